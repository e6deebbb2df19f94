"""A history across a restore: two, and the second begins with what the backup held."""

from __future__ import annotations

from components.drills.checks import gone_back, judge, linearizable, restored, revisions, watches
from components.drills.eras import Break, split, state_at
from components.drills.measure import lost_writes
from components.drills.observed import Observed
from kvstore.check.history import Call, History, Watch, Watched
from tests.unit.components.drills.histories import MS, PREFIX, everything, history, read, swap, told, watch

BUMP = 1_000_000_000
BREAK = Break(100 * MS, 95)
BEFORE: tuple[Call | Watch | Watched, ...] = (
    watch(1, 0, 51),
    swap(1, 2, "d-k0", 0, "1-1", 90),
    swap(3, 4, "d-l1", 0, "1-2", 94),
    told(1, 4, "d-k0", "1-1", 90),
    told(1, 5, "d-l1", "1-2", 94),
    swap(6, 7, "d-k0", 90, "1-3", 99),
    swap(8, 9, "d-l2", 0, "1-4", 101),
)


def seen(*after: Call | Watch | Watched) -> Observed:
    return Observed(prefix=PREFIX, histories={"keys": history(*BEFORE, *after)}, restored=BREAK, end=1.0)


GOOD = (
    read(110, 111, "d-k0", "1-1", 90),
    swap(112, 113, "d-k0", 90, "1-5", BUMP + 96),
    everything(120, 121, BUMP + 97, k0=("1-5", BUMP + 96), l1=("1-2", 94)),
)


def test_the_state_at_the_backup_is_the_newest_of_each_key_up_to_it() -> None:
    state = {kv.key: (kv.value, kv.mod) for kv in state_at(history(*BEFORE), 95)}
    assert state == {"d-k0": ("1-1", 90), "d-l1": ("1-2", 94)}


def test_watches_of_the_second_era_resume_nothing_of_the_first() -> None:
    first, second = split(history(*BEFORE, watch(2, 110, BUMP, resumes=1)), BREAK)
    assert [w.watch for w in first.history.watches] == [1]
    assert [w.resumes for w in second.history.watches] == [None]
    assert split(history(*BEFORE), None)[0].history == history(*BEFORE)


def test_a_good_restore_keeps_every_promise() -> None:
    run = seen(*GOOD)
    judged = judge(run)
    for check in (linearizable, watches, revisions, restored):
        assert check(run, judged).held, check(run, judged)
    assert lost_writes(run) == []


def test_a_restore_without_a_jump_of_the_revision_is_found() -> None:
    run = seen(
        read(110, 111, "d-k0", "1-1", 90),
        swap(112, 113, "d-k0", 90, "1-5", 96),
        everything(120, 121, 97, k0=("1-5", 96), l1=("1-2", 94)),
    )
    found = revisions(run, judge(run))
    assert found.held is False
    assert "after the restore, revision 101 was seen before it" in found.offending[-1]
    assert list(gone_back(run.histories["keys"])) != []


def test_a_watch_that_goes_on_across_a_restore_is_found() -> None:
    run = seen(*GOOD, watch(2, 110, 102, resumes=1), told(2, 114, "d-k0", "1-5", BUMP + 96))
    assert "as if nothing had happened" in revisions(run, judge(run)).offending[0]


def test_what_a_restore_has_lost_is_found() -> None:
    run = seen(read(110, 111, "d-k0", "1-1", 90), everything(120, 121, BUMP + 97, k0=("1-1", 90)))
    assert len(lost_writes(run)) == 1
    assert restored(run, judge(run)).held is False
    assert linearizable(run, judge(run)).held is False


def test_a_write_of_unknown_outcome_may_have_been_saved() -> None:
    """As the log of the one survivor holds it, when two of three are lost."""
    hanging = swap(5, 99, "d-l9", 0, "1-9", None)
    after = everything(120, 121, BUMP + 97, k0=("1-1", 90), l1=("1-2", 94), l9=("1-9", 95))
    for found, said in (((hanging, after), True), ((after,), False)):
        run = seen(*found)
        assert linearizable(run, judge(run)).held is said


def test_what_was_asked_before_and_answered_after_is_of_the_new_cluster() -> None:
    """A client that asks again while there is no cluster; a write of unknown outcome may be of either."""
    asked = (read(50, 115, "d-k0", "1-5", BUMP + 96), swap(51, 130, "d-l7", 0, "1-7", BUMP + 97))
    hanging = swap(52, 140, "d-l8", 0, "1-8", None)
    last = everything(
        150,
        151,
        BUMP + 99,
        k0=("1-5", BUMP + 96),
        l1=("1-2", 94),
        l7=("1-7", BUMP + 97),
        l8=("1-8", BUMP + 98),
    )
    run = seen(*GOOD[:2], *asked, hanging, last)
    judged = judge(run)
    for check in (linearizable, watches, revisions, restored):
        assert check(run, judged).held, check(run, judged)


def test_a_restore_that_brings_an_older_state_back_is_found() -> None:
    earlier = (swap(1, 2, "d-k5", 0, "1-0", 80), swap(5, 6, "d-k5", 80, "1-6", 92))
    run = seen(*earlier, read(110, 111, "d-k5", "1-0", 80))
    assert linearizable(run, judge(run)).held is False


def test_what_came_back_although_it_was_written_after_the_backup_is_found() -> None:
    run = seen(everything(120, 121, BUMP + 97, k0=("1-1", 90), l1=("1-2", 94), l2=("1-4", 101)))
    assert restored(run, judge(run)).offending == ["keys: d-l2 was written after the backup and is there"]


def test_without_a_restore_nothing_was_restored() -> None:
    run = Observed(prefix=PREFIX, histories={"keys": History()})
    assert restored(run, []).held is False
