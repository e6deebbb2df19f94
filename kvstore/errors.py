"""Everything the store can refuse, as one tree with etcd's gRPC codes and exact messages.

    StoreError                      .code (name of the gRPC status), str(error) is etcd's message
    ├── InvalidArgument             the request is wrong in itself
    │   ├── MemberBadURLs
    │   ├── EmptyKey  KeyNotFound  ValueProvided  LeaseProvided  InvalidSortOption
    │   ├── TooManyOps  DuplicateKey  RequestTooLarge
    │   ├── UserEmpty  RoleEmpty  AuthFailed  AuthOldRevision  PermissionNotGiven  InvalidAuthManagement
    │   ├── WrongDowngradeVersionFormat  InvalidDowngradeTargetVersion
    │   ├── PasswordTooLong         (ours) bcrypt would ignore the rest
    │   └── InvalidCommand          (ours) bytes in the log that this version cannot read
    ├── OutOfRange
    │   ├── Compacted               .compact_revision
    │   └── FutureRevision  LeaseTTLTooLarge
    ├── NotFound
    │   └── LeaseNotFound  MemberNotFound
    ├── FailedPrecondition
    │   ├── MemberExists  PeerURLExists  MemberNotEnoughStarted  MemberNotLearner  LearnerNotReady
    │   ├── TooManyLearners  NotSupportedForLearner
    │   ├── RemovedFromCluster      (ours) this member is none any more
    │   ├── LeaseExists  NotLeader  BadLeaderTransferee  ClusterIDMismatch
    │   ├── RootUserNotExist  RootRoleNotExist  UserAlreadyExists  UserNotFound  RoleAlreadyExists
    │   └── RoleNotFound  RoleNotGranted  PermissionNotGranted  AuthNotEnabled  NoInflightDowngrade
    ├── PermissionDenied
    ├── Unauthenticated
    │   └── InvalidAuthToken
    ├── ResourceExhausted
    │   └── NoSpace  TooManyRequests
    ├── Unavailable                 try again; a write may or may not have happened where it says so
    │   ├── NoLeader  Unhealthy  Stopped     nothing was done
    │   └── LeaderChanged  RequestTimeout      outcome unknown
    ├── Unsupported                 (ours) etcd's API has it, this version has not
    ├── Canceled
    │   └── WatchCanceled
    └── DataLoss
        ├── Corrupt                 members disagree on what is stored
        │                           (ours, the rest) files and directories; the message names the path and the remedy
        └── SnapshotCorrupt  DataCorrupt  DataDirLocked  DataDirUnusable  DiskFull

Raised by the facade and by reads; returned as *values* by `StateMachine.apply`, which never raises for a bad
command. The gRPC front-end and the API server's storage translate it once, by `code`. Texts: etcd's
`api/v3rpc/rpctypes/error.go`.
"""

from __future__ import annotations


class StoreError(Exception):
    """Base: `code` is the gRPC status name, `message` etcd's text where etcd has one."""

    code = "UNKNOWN"
    message = "etcdserver: unknown error"

    def __init__(self, message: str | None = None) -> None:
        super().__init__(self.message if message is None else message)


class InvalidArgument(StoreError):
    code = "INVALID_ARGUMENT"


class EmptyKey(InvalidArgument):
    message = "etcdserver: key is not provided"


class KeyNotFound(InvalidArgument):
    """A put with `ignore_value` or `ignore_lease` on a key that does not exist."""

    message = "etcdserver: key not found"


class ValueProvided(InvalidArgument):
    message = "etcdserver: value is provided"


class LeaseProvided(InvalidArgument):
    message = "etcdserver: lease is provided"


class InvalidSortOption(InvalidArgument):
    message = "etcdserver: invalid sort option"


class TooManyOps(InvalidArgument):
    message = "etcdserver: too many operations in txn request"


class DuplicateKey(InvalidArgument):
    message = "etcdserver: duplicate key given in txn request"


class RequestTooLarge(InvalidArgument):
    message = "etcdserver: request is too large"


class InvalidCommand(InvalidArgument):
    message = "etcdserver: invalid command"


class UserEmpty(InvalidArgument):
    """No user name: in a request about users, or the caller did not say who it is."""

    message = "etcdserver: user name is empty"


class RoleEmpty(InvalidArgument):
    message = "etcdserver: role name is empty"


class AuthFailed(InvalidArgument):
    message = "etcdserver: authentication failed, invalid user ID or password"


class AuthOldRevision(InvalidArgument):
    """Users or rights changed after the caller was identified: it must be identified again."""

    message = "etcdserver: revision of auth store is old"


class PermissionNotGiven(InvalidArgument):
    message = "etcdserver: permission not given"


class InvalidAuthManagement(InvalidArgument):
    message = "etcdserver: invalid auth management"


class PasswordTooLong(InvalidArgument):
    message = "etcdserver: password is longer than 72 bytes"


class WrongDowngradeVersionFormat(InvalidArgument):
    message = "etcdserver: wrong downgrade target version format"


class InvalidDowngradeTargetVersion(InvalidArgument):
    message = "etcdserver: invalid downgrade target version"


class MemberBadURLs(InvalidArgument):
    message = "etcdserver: given member URLs are invalid"


class OutOfRange(StoreError):
    code = "OUT_OF_RANGE"


class Compacted(OutOfRange):
    """`compact_revision` is the oldest revision that can still be read; 0 where it is not known."""

    message = "etcdserver: mvcc: required revision has been compacted"

    def __init__(self, compact_revision: int = 0) -> None:
        super().__init__()
        self.compact_revision = compact_revision


class FutureRevision(OutOfRange):
    message = "etcdserver: mvcc: required revision is a future revision"


class LeaseTTLTooLarge(OutOfRange):
    message = "etcdserver: too large lease TTL"


class NotFound(StoreError):
    code = "NOT_FOUND"


class LeaseNotFound(NotFound):
    message = "etcdserver: requested lease not found"


class MemberNotFound(NotFound):
    message = "etcdserver: member not found"


class FailedPrecondition(StoreError):
    code = "FAILED_PRECONDITION"


class LeaseExists(FailedPrecondition):
    message = "etcdserver: lease already exists"


class NotLeader(FailedPrecondition):
    message = "etcdserver: not leader"


class BadLeaderTransferee(FailedPrecondition):
    message = "etcdserver: bad leader transferee"


class ClusterIDMismatch(FailedPrecondition):
    message = "etcdserver: cluster ID mismatch"


class RootUserNotExist(FailedPrecondition):
    message = "etcdserver: root user does not exist"


class RootRoleNotExist(FailedPrecondition):
    message = "etcdserver: root user does not have root role"


class UserAlreadyExists(FailedPrecondition):
    message = "etcdserver: user name already exists"


class UserNotFound(FailedPrecondition):
    message = "etcdserver: user name not found"


class RoleAlreadyExists(FailedPrecondition):
    message = "etcdserver: role name already exists"


class RoleNotFound(FailedPrecondition):
    message = "etcdserver: role name not found"


class RoleNotGranted(FailedPrecondition):
    message = "etcdserver: role is not granted to the user"


class PermissionNotGranted(FailedPrecondition):
    message = "etcdserver: permission is not granted to the role"


class AuthNotEnabled(FailedPrecondition):
    message = "etcdserver: authentication is not enabled"


class PermissionDenied(StoreError):
    code = "PERMISSION_DENIED"
    message = "etcdserver: permission denied"


class Unauthenticated(StoreError):
    code = "UNAUTHENTICATED"


class InvalidAuthToken(Unauthenticated):
    message = "etcdserver: invalid auth token"


class NoInflightDowngrade(FailedPrecondition):
    message = "etcdserver: no inflight downgrade job"


class MemberExists(FailedPrecondition):
    message = "etcdserver: member ID already exist"


class PeerURLExists(FailedPrecondition):
    message = "etcdserver: Peer URLs already exists"


class MemberNotEnoughStarted(FailedPrecondition):
    message = "etcdserver: re-configuration failed due to not enough started members"


class MemberNotLearner(FailedPrecondition):
    message = "etcdserver: can only promote a learner member"


class LearnerNotReady(FailedPrecondition):
    message = "etcdserver: can only promote a learner member which is in sync with leader"


class TooManyLearners(FailedPrecondition):
    message = "etcdserver: too many learner members in cluster"


class NotSupportedForLearner(FailedPrecondition):
    message = "etcdserver: rpc not supported for learner"


class RemovedFromCluster(FailedPrecondition):
    """(ours) this member is none any more: its process ends. Its data directory may be deleted."""


class ResourceExhausted(StoreError):
    code = "RESOURCE_EXHAUSTED"


class NoSpace(ResourceExhausted):
    message = "etcdserver: mvcc: database space exceeded"


class TooManyRequests(ResourceExhausted):
    message = "etcdserver: too many requests"


class Unavailable(StoreError):
    code = "UNAVAILABLE"


class NoLeader(Unavailable):
    message = "etcdserver: no leader"


class Unhealthy(Unavailable):
    message = "etcdserver: unhealthy cluster"


class LeaderChanged(Unavailable):
    """Outcome unknown: the command may have been, or may yet be, applied."""

    message = "etcdserver: leader changed"


class RequestTimeout(Unavailable):
    """Outcome unknown for a write."""

    message = "etcdserver: request timed out"


class Stopped(Unavailable):
    message = "etcdserver: server stopped"


class Unsupported(StoreError):
    """(ours) a request of etcd's API that this version does not serve; the message says which."""

    code = "UNIMPLEMENTED"


class Canceled(StoreError):
    code = "CANCELLED"


class WatchCanceled(Canceled):
    message = "etcdserver: watch canceled"


class DataLoss(StoreError):
    code = "DATA_LOSS"
    message = "etcdserver: corrupt cluster"


class Corrupt(DataLoss):
    """The alarm is on: members hold different data, and nobody can say yet which is right."""


class SnapshotCorrupt(DataLoss):
    """A snapshot file that is truncated, altered or not one; raised before anything was changed."""


class DataCorrupt(DataLoss):
    """Files of a data directory that contradict each other or cannot be read."""


class DataDirLocked(DataLoss):
    """Another process uses the data directory."""

    code = "FAILED_PRECONDITION"


class DataDirUnusable(DataLoss):
    """Cannot be created, read or written, or is not what it must be (not empty, for a restore)."""

    code = "FAILED_PRECONDITION"


class DiskFull(DataLoss):
    """The disk (not the quota) is full: the process must stop; the log restores its state later."""

    code = "RESOURCE_EXHAUSTED"
