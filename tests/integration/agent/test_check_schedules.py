"""Remote checks through thick and thin, in no real time: whatever happens to the task, the network, and to us.

What holds in all of it: the check ends within its limits, with the outcome that the story has; it launches one task at
most; of it is left nothing at work and no side ref, unless it says so; and nobody else's task is touched.
"""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any, TextIO

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from git_clearml.agent.model import Check
from git_clearml.base import patience
from git_clearml.base.console import Console, Progress
from git_clearml.git import side_ref as side_refs
from git_clearml.git.repository import Repository
from tests.support.check_world import AWAY, GOOD, Away, Blow, Step, World, order, owned, owner
from tests.support.clearml_http import CALLS
from tests.support.clearml_server import ClearMLServer
from tests.support.pushing import Yard, make_yard, refs_of

QUEUED, RUNNING, AWAY_LIMIT = 120.0, 60.0, patience.SECONDS  # seconds; see check_world.order
MOST = QUEUED + RUNNING + AWAY_LIMIT + 2 * 60.0 + 60.0
"""Seconds after which every check has ended: its limits, twice the grace for cleaning up, and what requests take."""

FULL = settings(max_examples=settings.default.max_examples // 4, suppress_health_check=list(HealthCheck))
UNDECIDED, FAILED, RUNNABLE, TIMEOUT = "undecided", "failed", "runnable", "timeout"


# An interrupted exchange leaves its socket to the garbage collector, in a process that is about to end.
pytestmark = pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")


@pytest.fixture
def yard(tmp_path: Path) -> Yard:
    """A clone whose branch main is on the remote, and whose branch `new` is not. Each world brings its own server."""
    with ClearMLServer() as server:
        made = make_yard(tmp_path, server)
    made.repo.commit("main", {"main.py": "print(1)\n", "requirements.txt": "numpy\n"})
    made.publish("main")
    made.repo.git("checkout", "--quiet", "-b", "new")
    made.repo.commit("new", {"main.py": "print(2)\n"})
    return made


# What may become of a task. Each begins when an agent takes it from the queue, if ever one does.
ENDS: dict[tuple[str, ...], str] = {
    ("scalar",): RUNNABLE,
    ("single value",): RUNNABLE,
    ("plot",): RUNNABLE,
    ("plot, then log",): RUNNABLE,
    ("image",): RUNNABLE,
    ("iteration",): RUNNABLE,
    ("complete",): RUNNABLE,
    ("monitor", "scalar"): RUNNABLE,
    ("scalar", "publish"): RUNNABLE,
    ("scalar", "stop by other"): RUNNABLE,
    ("plot", "stop by other"): RUNNABLE,
    ("log", "complete"): RUNNABLE,
    ("fail",): FAILED,
    ("scalar fail",): FAILED,
    ("log", "fail"): FAILED,
    ("stop by other",): FAILED,
    ("monitor", "stop by other"): FAILED,
    ("publish",): UNDECIDED,
    ("close",): UNDECIDED,
    ("reset",): UNDECIDED,
    ("delete",): UNDECIDED,
    ("log", "delete"): UNDECIDED,
}
QUIET = ("log", "monitor")
"""What is no report."""

BEFORE: dict[str, str] = {
    "abort by other": FAILED,
    "reset": UNDECIDED,
    "delete": UNDECIDED,
    "dequeue": UNDECIDED,
    "move": UNDECIDED,
}
"""What may become of it while it is queued."""


@st.composite
def stories(draw: st.DrawFn) -> tuple[list[Step], str, float]:
    """What happens, what the check makes of it, and when it is over at the latest."""
    kind = draw(st.sampled_from(["never taken", "before", "silent", "ends", "ends", "ends", "k8s"]))
    if kind == "never taken":
        return [], TIMEOUT, QUEUED
    wait = draw(st.floats(0, 90))
    if kind == "before":
        what = draw(st.sampled_from(sorted(BEFORE)))
        return [(wait, what)], BEFORE[what], wait
    start: list[Step] = [(wait, "pull")]
    if kind == "k8s":
        start = [(wait, "k8s take"), (0.5, "k8s wait"), (2.0, "pull")]
        wait += 2.5
    elif draw(st.booleans()):  # an agent that takes its time
        start = [(wait, "pop"), (0.2, "start unseen"), (0.8, "start")]
        wait += 1.0
    if kind == "silent":
        rest = draw(st.lists(st.tuples(st.floats(0, 60), st.sampled_from(QUIET)), max_size=3))
        return start + rest, TIMEOUT, wait + RUNNING
    steps = draw(st.sampled_from(sorted(ENDS)))
    outcome, first = ENDS[steps], draw(st.floats(0, 45))
    actions = steps[0].split() if steps == ("scalar fail",) else list(steps)
    return start + [(first if n == 0 else 0.0, what) for n, what in enumerate(actions)], outcome, wait + first


def others(world: World) -> None:
    """Tasks of other people, alike and unlike ours, before and after it comes into being."""
    server = world.server
    world.plant(status="in_progress", name="train", last_worker="w2")
    world.plant(status="queued", queue="default")
    world.plant(status="in_progress", tags=["git-clearml-check"])
    world.foreign(owned(server, owner()))
    world.foreign(owned(server, owner(deadline=0.0, task="f" * 32), names_itself=False))  # forged

    def clone(world: World, task: str) -> None:
        copy = CALLS["tasks.clone"](server.store, {"task": task})["id"]
        CALLS["tasks.enqueue"](server.store, {"task": copy})
        world.foreign(copy)

    world.on_launch = clone


def played(
    yard: Yard,
    world: World,
    rev: str = "main",
    *,
    most: float = MOST,
    progress: Progress | None = None,
    stays: bool = False,
    **changes: Any,
) -> Check:
    """The check of a commit in this world, and everything that holds in every world; over in `most` seconds.

    `stays`: the server does what it is asked to, so that of the side ref nothing is left in any case.
    """
    repository = Repository(str(yard.repo.path))
    before = refs_of(yard.remote)
    with world:
        others(world)
        check = world.check(repository, order(repository, rev, **changes), progress)
        assert world.ended <= most, check
        world.goes_on(300.0)
        world.untouched()
        assert len(world.mine) <= 1
        if stays:
            assert refs_of(yard.remote) == before
            assert side_refs.recorded(repository) == []
        if not check.left:
            assert [task["status"] for task in world.mine if task["status"] in ("queued", "in_progress")] == []
            assert refs_of(yard.remote) == before
            assert side_refs.recorded(repository) == []
        if check.outcome != "interrupted":
            assert check.status == check.outcome.status
            assert check.outcome == UNDECIDED or not check.problems
    for ref in refs_of(yard.remote).keys() - before.keys():  # for the next world
        yard.remote.git("update-ref", "-d", ref)
    for record in side_refs.recorded(repository):
        side_refs.delete(repository, record)
    return check


REVS = st.sampled_from(["main", "main", "new"])


@FULL
@given(story=stories(), rev=REVS, archive=st.sampled_from(["success", "always", "never"]))
def test_whatever_becomes_of_the_task(yard: Yard, story: tuple[list[Step], str, float], rev: str, archive: str) -> None:
    steps, outcome, _ = story
    world = World(steps)
    check = played(yard, world, rev, archive=archive)
    assert (check.outcome, check.left, len(world.mine)) == (outcome, (), 0 if "delete" in str(steps) else 1)
    for task in world.mine:
        archived = archive == "always" or (archive == "success" and outcome == RUNNABLE)
        assert ("archived" in task["system_tags"]) == archived
        assert any(tag.startswith("git-clearml-runnable-") for tag in task["tags"]) == (outcome == RUNNABLE)


MAKING = ["tasks.create", "tasks.edit", "tasks.enqueue"]
CHANGING = [*MAKING, "tasks.stop", "tasks.archive", "tasks.update_tags"]
ON_THE_WAY = ["reset", "502"]
"""How an answer is lost between the server and us."""

SPOILED = ["reset", "502", "500", "bare"]
"""How else it can come: what the server says of a call for which it has another look is not believed."""

LOST = st.fixed_dictionaries(
    {},
    optional={
        **{call: st.sampled_from(ON_THE_WAY) for call in MAKING},
        **{call: st.sampled_from(SPOILED) for call in (*CHANGING[3:], "tasks.create", "projects.create")},
    },
)


def possible(steps: list[Step], outcome: str, lost: dict[str, str]) -> set[str]:
    """The outcomes of a story. A task that somebody takes off its queue before we, whose request seemed lost, look
    again is one that was never queued: it is queued again, and nobody takes it."""
    unqueued = bool(steps) and steps[0][1] in ("dequeue", "reset")
    return {outcome, TIMEOUT} if unqueued and "tasks.enqueue" in lost else {outcome}


NOT_401 = sorted(set(AWAY) - {"401"})
GAPS = st.builds(
    lambda start, length, how: Away(start, start + length, how),
    st.floats(2, 130),
    st.floats(0.1, 50),
    st.sampled_from(NOT_401),
)


@FULL
@example(story=([(0.0, "dequeue")], UNDECIDED, 0.0), rev="main", lost={"tasks.enqueue": "reset"}, gaps=[])
@given(story=stories(), rev=REVS, lost=LOST, gaps=st.lists(GAPS, max_size=1))
def test_lost_answers_and_a_server_that_comes_back_change_nothing(
    yard: Yard, story: tuple[list[Step], str, float], rev: str, lost: dict[str, str], gaps: list[Away]
) -> None:
    steps, outcome, _ = story
    world = World(steps, gaps, lost)
    check = played(yard, world, rev)
    assert check.outcome in possible(steps, outcome, lost)
    assert check.left == ()


@FULL
@given(story=stories(), rev=REVS, part=st.floats(0.1, 0.9), how=st.sampled_from(sorted(AWAY)))
def test_a_server_that_stays_away_is_undecided(
    yard: Yard, story: tuple[list[Step], str, float], rev: str, part: float, how: str
) -> None:
    steps, _, over = story
    if over < 5.0:
        steps, over = [], QUEUED
    world = World(steps, [Away(max(over * part, 1.0), 1e9, how)])
    check = played(yard, world, rev)
    assert (check.outcome, check.status, bool(check.left)) == (UNDECIDED, 3, True)
    if how == "401":
        assert [problem.code for problem in check.problems] == ["unauthorized"]
        assert world.ended < over + 30
    else:
        assert check.cause == "server-away"
    assert any("abort the task" in line for line in check.left)


KINDS = [130, 130, 143, 143, 129]
"""The exit statuses for the signals: SIGINT and SIGTERM are the usual ones."""

BLOWS = st.lists(
    st.builds(
        Blow,
        st.sampled_from(["sleep", "request"]),
        st.integers(1, 45),
        st.sampled_from(KINDS),
        st.sampled_from([1, 2, 3]),  # git passes on what it got; `timeout` signals the whole group
    ),
    min_size=1,
    max_size=4,
    unique_by=lambda one: (one.where, one.number),
)


@FULL
@given(story=stories(), rev=REVS, blows=BLOWS, lost=LOST)
def test_signals(
    yard: Yard, story: tuple[list[Step], str, float], rev: str, blows: list[Blow], lost: dict[str, str]
) -> None:
    """Whatever comes when, and how often: only the waiting for the agent gets shorter by it."""
    steps, outcome, _ = story
    world = World(steps, lost=lost, blows=blows)
    check = played(yard, world, rev, stays=not lost)
    if not world.landed:
        assert check.outcome in possible(steps, outcome, lost)
        assert check.left == ()
        return
    assert check.outcome == "interrupted"
    assert check.status in world.counted
    if len(world.counted) == 1:
        assert check.left == ()
    if not lost:
        assert [line for line in check.left if not line.startswith("see that the agent aborts the task: ")] == []
    for task in world.mine:
        by_others = any(what in ("reset", "dequeue") for _, what in steps)
        assert task["status"] != "created" or by_others or "archived" in task["system_tags"]
        assert task["status"] not in ("queued", "in_progress") or task["status_message"] == "stopping"


@FULL
@given(story=stories(), how=st.sampled_from(NOT_401), call=st.sampled_from(MAKING))
def test_a_launch_that_was_not_done_touches_nothing_else(
    yard: Yard, story: tuple[list[Step], str, float], how: str, call: str
) -> None:
    """Where the server did nothing, whatever it says, no task is on its way, and none is taken for ours."""
    steps, outcome, _ = story
    world = World(steps, instead={call: how})
    check = played(yard, world)
    if call == "tasks.create":
        assert (check.outcome, check.task, world.mine) == (UNDECIDED, "", [])
    elif check.outcome != outcome:
        assert check.outcome == UNDECIDED
        (task,) = world.mine
        assert (task["status"], "archived" in task["system_tags"]) == ("created", True)
    assert check.left == ()


# --- what needs a story of its own ------------------------------------------------------------------------------------


def test_an_agent_that_never_confirms_the_abort(yard: Yard) -> None:
    world = World([(1.0, "pull"), (1.0, "scalar")], abort_after=None)
    check = played(yard, world)
    assert (check.outcome, check.status) == (RUNNABLE, 0)
    assert [line.partition(": http")[0] for line in check.left] == ["see that the agent aborts the task"]
    assert check.left[0].endswith("(it is still in_progress)")
    task = world.task
    assert (task["status_message"], task["system_tags"]) == ("stopping", ["archived"])  # it will, should it ever look


def test_a_queue_that_loses_its_workers(yard: Yard) -> None:
    check = played(yard, World([(30.0, "workers gone")]))
    assert (check.outcome, check.status, check.left) == ("no-worker", 3, ())
    assert check.sentence == "queue 'default' has no active workers any more"
    assert check.seconds_queued >= QUEUED


@pytest.mark.parametrize("taken", [True, False])
def test_a_dead_agents_last_sign_of_life_is_told(taken: bool, yard: Yard) -> None:
    check = played(yard, World([(30.0, "pull"), (1.0, "agent dies")] if taken else [(30.0, "agent dies")]))
    assert (check.outcome, bool(check.left)) == (TIMEOUT if taken else "no-worker", taken)  # nobody aborts it
    assert check.sentence.endswith("; its agent w1 was last seen 5 minutes ago")


def test_a_state_that_nobody_has_heard_of(yard: Yard) -> None:
    check = played(yard, World([(1.0, "pull"), (1.0, "unheard of")]))
    assert (check.outcome, check.cause) == (UNDECIDED, "unknown-status")


def test_to_another_queue_it_says_which(yard: Yard) -> None:
    check = played(yard, World([(1.0, "move")]))
    assert (check.cause, check.sentence) == ("moved", "the task was moved to another queue 'elsewhere'")


@pytest.mark.parametrize("where", ["before", "while"])
def test_another_tasks_id_in_answer_to_create(where: str, yard: Yard) -> None:
    """Not ours, whatever the server says: ours is found by what is written on it, or there is none."""
    world = World([(1.0, "pull"), (1.0, "complete")])
    own = world.server._answer  # the loopback server has no such fault of its own

    def mistaken(path: str, authorization: str | None, body: Any, lines: bool) -> tuple[int, Any]:
        call = path.rpartition("/")[2]
        if call != "tasks.create":
            return own(path, authorization, body, lines)
        if where == "while":
            own(path, authorization, body, lines)
        return 200, {**GOOD, "data": {"id": next(iter(world.server.tasks))}}

    world.server._backend.answer = mistaken  # type: ignore[method-assign]
    check = played(yard, world)
    assert (check.outcome, check.left) == ((UNDECIDED, ()) if where == "before" else (RUNNABLE, ()))


class Unheard(Progress):
    """Nobody listens any more: whatever is said once the task runs is an error."""

    def __init__(self, world: World, err: TextIO) -> None:
        super().__init__(Console({}, quiet=True, err=err), clock=world.clock)

    def state(self, state: str, detail: str = "") -> None:
        if not state.startswith("queued"):
            raise BrokenPipeError


@pytest.mark.parametrize("abort_after", [3.0, None])
def test_a_reader_that_leaves(abort_after: float | None, yard: Yard) -> None:
    """As `2>&1 | head` does. Everything is cleaned up; what cannot be is said, --quiet or not."""
    world, err = World([(1.0, "pull")], abort_after=abort_after), io.StringIO()
    before = refs_of(yard.remote)
    repository = Repository(str(yard.repo.path))
    with world:
        with pytest.raises(BrokenPipeError):
            world.check(repository, order(repository, "new"), Unheard(world, err))
        assert world.task["status"] == ("stopped" if abort_after else "in_progress")
        assert world.task["status_message"] == ("Changed by clearml-agent" if abort_after else "stopping")
    assert refs_of(yard.remote) == before
    left = [line for line in err.getvalue().splitlines() if "left behind: " in line]
    assert ["see that the agent aborts the task" in line for line in left] == ([] if abort_after else [True])


def test_an_agent_takes_it_while_it_is_aborted(yard: Yard) -> None:
    """The server ends it at once, the agent starts it all the same, and again: it is asked until it stays ended."""
    world = World([(QUEUED - 0.3, "pop"), (1.5, "start unseen"), (4.0, "start")])
    check = played(yard, world)
    assert (check.outcome, check.left) == (TIMEOUT, ())
    assert world.task["status"] == "stopped"
    assert world.server.calls().count("tasks.stop") == 3


def test_a_long_queue_costs_few_requests(yard: Yard) -> None:
    world = World([(1790.0, "pull"), (0.0, "scalar")])
    check = played(yard, world, queue_timeout=1800.0, most=2400.0)
    assert (check.outcome, check.left) == (RUNNABLE, ())
    assert world.asked < 120
