"""etcdserverpb.Auth."""

from __future__ import annotations

from typing import TypeVar

from google.protobuf.message import Message

from kvstore.auth import types as auth
from kvstore.member import Member
from kvstore.rpc import convert
from kvstore.rpc.call import Call, credentials
from kvstore.rpc.proto import auth_pb2
from kvstore.rpc.proto import rpc_pb2 as pb

M = TypeVar("M", bound=Message)


class Auth:
    """The answer to a change is its header alone."""

    def __init__(self, member: Member) -> None:
        self._member = member

    async def Authenticate(self, request: pb.AuthenticateRequest, call: Call) -> pb.AuthenticateResponse:
        token = await self._member.authenticate(request.name, request.password)
        return pb.AuthenticateResponse(header=convert.header(self._member.header()), token=token)

    async def AuthStatus(self, request: pb.AuthStatusRequest, call: Call) -> pb.AuthStatusResponse:
        found = await self._ask(auth.AuthStatusRequest(), call)
        assert isinstance(found, auth.AuthStatusResponse)
        return pb.AuthStatusResponse(
            header=convert.header(found.header), enabled=found.enabled, authRevision=found.auth_revision
        )

    async def UserGet(self, request: pb.AuthUserGetRequest, call: Call) -> pb.AuthUserGetResponse:
        found = await self._ask(auth.AuthUserGetRequest(request.name), call)
        assert isinstance(found, auth.AuthUserGetResponse)
        return pb.AuthUserGetResponse(header=convert.header(found.header), roles=found.roles)

    async def UserList(self, request: pb.AuthUserListRequest, call: Call) -> pb.AuthUserListResponse:
        found = await self._ask(auth.AuthUserListRequest(), call)
        assert isinstance(found, auth.AuthUserListResponse)
        return pb.AuthUserListResponse(header=convert.header(found.header), users=found.users)

    async def RoleGet(self, request: pb.AuthRoleGetRequest, call: Call) -> pb.AuthRoleGetResponse:
        found = await self._ask(auth.AuthRoleGetRequest(request.role), call)
        assert isinstance(found, auth.AuthRoleGetResponse)
        perm = [
            auth_pb2.Permission(
                permType=auth_pb2.Permission.Type.Name(p.type), key=p.key, range_end=p.range_end
            )
            for p in found.perm
        ]
        return pb.AuthRoleGetResponse(header=convert.header(found.header), perm=perm)

    async def RoleList(self, request: pb.AuthRoleListRequest, call: Call) -> pb.AuthRoleListResponse:
        found = await self._ask(auth.AuthRoleListRequest(), call)
        assert isinstance(found, auth.AuthRoleListResponse)
        return pb.AuthRoleListResponse(header=convert.header(found.header), roles=found.roles)

    async def AuthEnable(self, request: pb.AuthEnableRequest, call: Call) -> pb.AuthEnableResponse:
        return await self._change(auth.AuthEnableRequest(), pb.AuthEnableResponse, call)

    async def AuthDisable(self, request: pb.AuthDisableRequest, call: Call) -> pb.AuthDisableResponse:
        return await self._change(auth.AuthDisableRequest(), pb.AuthDisableResponse, call)

    async def UserAdd(self, request: pb.AuthUserAddRequest, call: Call) -> pb.AuthUserAddResponse:
        change = auth.AuthUserAddRequest(request.name, request.password, request.options.no_password)
        return await self._change(change, pb.AuthUserAddResponse, call)

    async def UserDelete(self, request: pb.AuthUserDeleteRequest, call: Call) -> pb.AuthUserDeleteResponse:
        return await self._change(auth.AuthUserDeleteRequest(request.name), pb.AuthUserDeleteResponse, call)

    async def UserChangePassword(
        self, request: pb.AuthUserChangePasswordRequest, call: Call
    ) -> pb.AuthUserChangePasswordResponse:
        change = auth.AuthUserChangePasswordRequest(request.name, request.password)
        return await self._change(change, pb.AuthUserChangePasswordResponse, call)

    async def UserGrantRole(
        self, request: pb.AuthUserGrantRoleRequest, call: Call
    ) -> pb.AuthUserGrantRoleResponse:
        change = auth.AuthUserGrantRoleRequest(request.user, request.role)
        return await self._change(change, pb.AuthUserGrantRoleResponse, call)

    async def UserRevokeRole(
        self, request: pb.AuthUserRevokeRoleRequest, call: Call
    ) -> pb.AuthUserRevokeRoleResponse:
        change = auth.AuthUserRevokeRoleRequest(request.name, request.role)
        return await self._change(change, pb.AuthUserRevokeRoleResponse, call)

    async def RoleAdd(self, request: pb.AuthRoleAddRequest, call: Call) -> pb.AuthRoleAddResponse:
        return await self._change(auth.AuthRoleAddRequest(request.name), pb.AuthRoleAddResponse, call)

    async def RoleDelete(self, request: pb.AuthRoleDeleteRequest, call: Call) -> pb.AuthRoleDeleteResponse:
        return await self._change(auth.AuthRoleDeleteRequest(request.role), pb.AuthRoleDeleteResponse, call)

    async def RoleGrantPermission(
        self, request: pb.AuthRoleGrantPermissionRequest, call: Call
    ) -> pb.AuthRoleGrantPermissionResponse:
        perm = request.perm
        given = auth.Permission(convert.known(auth.PermissionType, perm.permType), perm.key, perm.range_end)
        change = auth.AuthRoleGrantPermissionRequest(
            request.name, given if request.HasField("perm") else None
        )
        return await self._change(change, pb.AuthRoleGrantPermissionResponse, call)

    async def RoleRevokePermission(
        self, request: pb.AuthRoleRevokePermissionRequest, call: Call
    ) -> pb.AuthRoleRevokePermissionResponse:
        change = auth.AuthRoleRevokePermissionRequest(request.role, request.key, request.range_end)
        return await self._change(change, pb.AuthRoleRevokePermissionResponse, call)

    async def _ask(self, request: auth.AuthRequest, call: Call) -> auth.AuthAnswer:
        return await self._member.auth(request, await credentials(self._member, call))

    async def _change(self, request: auth.AuthCommand, response: type[M], call: Call) -> M:
        answer = await self._ask(request, call)
        return response(header=convert.header(answer.header))
