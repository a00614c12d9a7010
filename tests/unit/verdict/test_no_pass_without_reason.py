"""Rules, tasks and run records against a plain model: what people do to tasks, and which of them count then.

The model knows how each task came about; the rules see only what a server shows of it.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from hypothesis import given, settings
from hypothesis import strategies as st

from git_clearml.model import Diff, DiffKind, RecordedTask, RunRecord, Task
from git_clearml.run import record as run_records
from git_clearml.run.ownership import for_task
from git_clearml.settings.policy import Equivalence, Policy
from git_clearml.verdict.model import Outcome
from git_clearml.verdict.rules import judge
from git_clearml.verdict.run_rules import siblings_of
from tests.support.builders import HASH, OTHER_HASH, TREE, commit, facts, task

WELL, BAD, AT_WORK = ("completed", "published"), ("failed", "stopped", "closed"), ("created", "queued", "in_progress")
CLEAN = Diff(DiffKind.CLEAN)
DIFFS = [CLEAN, CLEAN, CLEAN, Diff(DiffKind.OWN, "x"), Diff(DiffKind.DIRTY, "x"), Diff(DiffKind.ABSENT), None]


@dataclass(frozen=True)
class Known:
    """A task, and what the server does not tell: whether its record is of what it is now, and its run's others."""

    task: Task
    own: RunRecord | None = None  # None: no record, or one of another task or time
    others: tuple[tuple[str, str], ...] = field(default=())  # status when the run ended, and now ("gone": deleted)


def model(known: Known, policy: Policy) -> str:
    """ "counts", "waits" or "no", as design 6 says it."""
    shown = known.task
    if shown.damage or shown.commit != HASH or shown.archived or shown.is_check:
        return "no"
    clean = shown.diff is not None and shown.diff.kind in (DiffKind.CLEAN, DiffKind.OWN)
    if not clean and not (shown.diff and shown.diff.kind is DiffKind.ABSENT and shown.by_agent):
        return "no"
    waits = False
    if shown.status in ("queued", "in_progress"):
        waits = True
    elif shown.status == "published":
        if policy.published == "reject" or not shown.completed:
            return "no"
    elif shown.status != "completed":
        return "no"
    record = known.own
    if record is None:
        if policy.require_run_record and not waits and not (shown.launched and shown.by_agent):
            return "no"
        return "waits" if waits else "counts"
    untracked = [path for path in record.untracked if not path.startswith("outputs/") or not policy.untracked_ok]
    if record.exit_status != 0 or record.dirty or record.edited or untracked:
        return "no"
    if policy.ignored_code == "refuse" and (record.ignored is None or record.ignored):
        return "no"
    for then, now in known.others:
        status = now if then in AT_WORK else then
        if status not in (*WELL, "queued", "in_progress"):
            return "no"
        waits = waits or status not in WELL
    return "waits" if waits else "counts"


@st.composite
def runs(draw: st.DrawFn, number: int) -> list[Known]:
    """A run that made some tasks, and what became of each of them."""
    record = RunRecord(
        id=f"{number}" * 32,
        commit=HASH,
        tree=TREE,
        command=("python", "train.py"),
        host="here",
        user="me",
        pid=1,
        pid_started="1",
        started="2026-01-02T10:00:00+00:00",
        ended="2026-01-02T11:00:00+00:00",
        exit_status=draw(st.sampled_from([0, 0, 0, 0, 1, 137])),
        dirty=draw(st.sampled_from([(), (), (), ("train.py",)])),
        edited=draw(st.sampled_from([(), (), (), ("train.py",)])),
        untracked=draw(st.sampled_from([(), (), ("outputs/x.bin",), ("notes.txt",)])),
        ignored=draw(st.sampled_from([(), (), None, ("config.local.py",)])),
    )
    status = st.sampled_from([*WELL, *WELL, "completed", *BAD, *AT_WORK])
    then = [draw(status) for _ in range(draw(st.integers(1, 5)))]
    now = [draw(st.sampled_from([*WELL, *BAD, *AT_WORK, "gone"])) if each in AT_WORK else each for each in then]
    names = [f"{number}{place}" * 16 for place in range(len(then))]
    record = record._replace(tasks=tuple(zip(names, then, strict=True)))
    former = draw(st.booleans()) and draw(st.booleans())
    made = []
    for place, name in enumerate(names):
        if now[place] == "gone":
            continue
        others = tuple((then[other], now[other]) for other in range(len(then)) if other != place)
        started = f"2026-01-02T10:00:{number}{place}.000000+00:00"
        shown = _shown(draw, name, now[place], started)
        began = "" if then[place] in ("created", "queued") else started
        own = record if former else for_task(record, RecordedTask(name, then[place], began))
        read = run_records.parse(run_records.to_property(own))
        assert isinstance(read, RunRecord)
        made.append(Known(shown._replace(run=read), read, others))
    return made


def _shown(draw: st.DrawFn, name: str, status: str, started: str) -> Task:
    return task(
        id=name,
        status=status,
        started=started,
        diff=draw(st.sampled_from(DIFFS)),
        commit=HASH,
        completed=draw(st.sampled_from(["2026-01-02T11:00:00+00:00", ""])),
        archived=draw(st.integers(0, 9)) == 0,
        is_check=draw(st.integers(0, 9)) == 0,
    )


@st.composite
def afterwards(draw: st.DrawFn, known: Known, number: int) -> list[Known]:
    """What somebody does to a task: nothing, clones it, resets it and runs it, sends it to an agent as it is."""
    shown = known.task
    what = draw(st.sampled_from(["nothing", "nothing", "nothing", "clone", "reset", "agent", "damaged", "commit"]))
    status = draw(st.sampled_from(["completed", "completed", *AT_WORK, *BAD]))
    by_agent = draw(st.booleans())
    new = shown._replace(status=status, by_agent=by_agent, launched=draw(st.booleans()), diff=CLEAN)
    had_ended = known.own is not None and dict(known.own.tasks)[shown.id] not in AT_WORK
    if what == "clone":
        return [known, Known(new._replace(id=f"{number:02x}" * 16, started="2026-02-02", commit=_any(draw)))]
    if what == "reset" and had_ended and known.own and known.own.task:
        return [Known(new._replace(started="2026-02-02" if status not in ("created", "queued") else ""))]
    if what == "agent" and had_ended:
        return [Known(new._replace(by_agent=True))]
    if what == "damaged" and had_ended:
        return [Known(shown._replace(run=None, damage="its run record cannot be read"))]
    if what == "commit" and had_ended:
        return [Known(shown._replace(commit=OTHER_HASH))]
    return [known]


def _any(draw: st.DrawFn) -> str:
    return draw(st.sampled_from([HASH, HASH, OTHER_HASH]))


@st.composite
def worlds(draw: st.DrawFn) -> tuple[list[Known], Policy]:
    policy = Policy(
        published=draw(st.sampled_from(["accept", "reject"])),
        require_run_record=draw(st.booleans()),
        ignored_code=draw(st.sampled_from(["name", "refuse"])),
        untracked_ok=draw(st.sampled_from([(), ("outputs/**",)])),
    )
    known = [each for number in range(1, draw(st.integers(1, 3))) for each in draw(runs(number))]
    world = [later for number, each in enumerate(known, 160) for later in draw(afterwards(each, number))]
    for place in range(draw(st.integers(0, 2))):
        status = draw(st.sampled_from([*WELL, *BAD, *AT_WORK]))
        plain = _shown(draw, f"f{place}" * 16, status, "2026-01-02T09:00:00")
        world.append(
            Known(plain._replace(by_agent=draw(st.booleans()), launched=draw(st.booleans()), commit=_any(draw)))
        )
    return draw(st.permutations(world)), policy


@settings(max_examples=settings.default.max_examples * 6)
@given(worlds())
def test_what_counts_has_a_reason_to_and_what_does_not_too(world: tuple[list[Known], Policy]) -> None:
    known, policy = world
    tasks = [each.task for each in known]
    around = facts(siblings=siblings_of(tasks))
    answers = []
    for each in known:
        exactly = {HASH: Equivalence.COMMIT}.get
        verdict = judge(commit(), tasks, policy, around, equivalent=exactly, chosen=each.task.id)
        answers.append({Outcome.VERIFIED: "counts", Outcome.PENDING: "waits"}.get(verdict.outcome, "no"))
        assert answers[-1] == model(each, policy), (each, verdict)
    together = judge(commit(), tasks, policy, around, equivalent=exactly) if known else None
    if together:
        expected = (
            Outcome.VERIFIED if "counts" in answers else Outcome.PENDING if "waits" in answers else Outcome.REJECTED
        )
        assert together.outcome is expected
