"""What is asked is bounded, in time and in bytes, and the verdict is that over all tasks: against a plain model."""

from __future__ import annotations

import contextlib
import os
import random
import time
from collections.abc import Iterator, Sequence
from datetime import datetime, timedelta, timezone
from typing import Any

import pytest
from hypothesis import settings

from git_clearml.clearml.client import ClearML
from git_clearml.clearml.config import Server
from git_clearml.git.repository import Repository
from git_clearml.model import RecordedTask, RunRecord, Task
from git_clearml.run import ownership
from git_clearml.run import record as run_records
from git_clearml.settings.policy import Best, Policy
from git_clearml.verdict import resolve
from git_clearml.verdict.evidence import Answer
from git_clearml.verdict.model import Verdict
from git_clearml.verdict.question import Question
from git_clearml.verdict.resolve import tasks_only
from git_clearml.verdict.server import ServerEvidence
from git_clearml.verdict.time_windows import Window
from tests.support.clearml_common import stamp
from tests.support.clearml_cost import looked_at
from tests.support.clearml_server import REPOSITORY
from tests.support.program import Gate

DAY = 86_400
DIRTY = "diff --git a/train.py b/train.py\n--- a/train.py\n+++ b/train.py\n@@ -1 +1 @@\n-1\n+2\n"
METRIC = "[tool.git-clearml.best]", 'metric = "validation/accuracy"'
ALWAYS = Window(datetime(1970, 1, 1, tzinfo=timezone.utc))


class Unbounded(ServerEvidence):
    """The model: every question is about all tasks of all times, and answered whole."""

    bounded = False

    def passing(self, commits: Sequence[str], policy: Policy, window: Window, *, few: int = 0) -> Answer:
        return super().passing(commits, policy, ALWAYS)

    def all(
        self, commits: Sequence[str], policy: Policy, window: Window, *, chosen: str = "", also: Sequence[str] = ()
    ) -> list[Task]:
        return super().all(commits, policy, ALWAYS, chosen=chosen, also=also)

    def recent(self, policy: Policy, window: Window) -> Answer:
        return super().recent(policy, ALWAYS)


def record_of(task: str, commit: str, others: Sequence[tuple[str, str]] = ()) -> dict[str, Any]:
    """The property that `git clearml run` puts on a task of a sweep."""
    record = RunRecord(
        id="0" * 32, commit=commit, tree="b" * 40, command=("python", "x.py", *(f"--p{n}=0.{n}" for n in range(40))),
        host="builder", user="me", pid=1, pid_started="1", started=stamp(), ended=stamp(), exit_status=0,
        tasks=((task, "completed"), *others),
    )  # fmt: skip
    text = run_records.to_property(ownership.for_task(record, RecordedTask(task, "completed")))
    return {"properties": {"git_clearml_run": {"section": "properties", "name": "git_clearml_run", "value": text}}}


def sweep(gate: Gate, count: int, **fields: Any) -> list[str]:
    """So many tasks of one run, each with its record; the last completed last."""
    commit, now = gate.repo.head, datetime.now(timezone.utc)
    tasks = []
    for n in range(count):
        metrics = {"validation": {"accuracy": (n * 7919 % count) / count}}
        completed = (now - timedelta(seconds=count - n)).isoformat()
        tasks.append(gate.task(name=f"trial {n}", completed=completed, metrics=metrics, **fields))
    others = [(task, "completed") for task in tasks]
    for task in tasks:
        gate.server.tasks[task]["hyperparams"] = record_of(task, commit, [pair for pair in others if pair[0] != task])
    return tasks


def sent(gate: Gate) -> int:
    return sum(request.response_bytes for request in gate.server.requests)


def test_a_sweep_of_700_tasks_is_one_small_answer(gate: Gate) -> None:
    tasks = sweep(gate, 700)
    for _ in range(20):
        gate.task(diff=DIRTY * 5000)
    commit = gate.accepts().commit
    assert commit["task"]["id"] == tasks[-1]  # the latest
    assert sent(gate) < 64_000
    assert sum(looked_at(gate.server.requests)) < 20_000
    assert commit["notes"][-1] == "the first 10 tasks were looked at; there are more"
    # one that is chosen need not be among the latest
    chosen = gate.verify("--task", tasks[3])
    assert (chosen.status, chosen.commit["task"]["id"], len(chosen.calls)) == (0, tasks[3], 1)
    assert sent(gate) < 64_000
    # the task with the best metric, whichever completed last
    gate.repo.policy(*METRIC)
    for task in tasks:
        gate.server.tasks[task]["script"]["version_num"] = gate.repo.head
        gate.server.tasks[task]["hyperparams"] = {}
    best = max(tasks, key=lambda task: _accuracy(gate, task))
    assert gate.accepts().commit["task"]["id"] == best
    assert sent(gate) < 64_000
    # a server that knows no order is asked for all, and so is one whose best tasks do not count
    gate.server.ignored = {"order_by"}
    assert gate.accepts(requests=3).commit["task"]["id"] == best
    gate.server.ignored = ()
    for task in sorted(tasks, key=lambda task: _accuracy(gate, task))[-11:]:
        gate.server.tasks[task]["script"]["repository"] = "https://example.com/somebody/else.git"
    result = gate.accepts(requests=3)
    assert result.commit["task"]["id"] == max(
        (task for task in tasks if gate.server.tasks[task]["script"]["repository"] == REPOSITORY),
        key=lambda task: _accuracy(gate, task),
    )


def _accuracy(gate: Gate, task: str) -> float:
    ((entry,),) = ([*title.values()] for title in gate.server.tasks[task]["last_metrics"].values())
    return float(entry["value"])


DATES = [0, 1, 2, 5, 9, 20, 50, 200, 400, 1000, 3600, -0.5, -3, 20_000]  # days ago; less than 0 is to come


@pytest.fixture
def dated(gate: Gate) -> dict[str, float]:
    """Commits of those dates, by their hashes: made by one git."""
    lines, now = (
        [f"commit refs/heads/dated\ncommitter C <c@example.com> {int(time.time())} +0000\ndata 1\nx\n"],
        time.time(),
    )
    lines = []
    for number, days in enumerate(DATES):
        start = f"from {gate.repo.head}\n" if not number else ""
        lines.append(
            f"commit refs/heads/dated\ncommitter C <c@example.com> {int(now - days * DAY)} +0000\ndata 1\nx\n{start}"
            f"M 100644 inline n.txt\ndata {len(str(number))}\n{number}\n"
        )
    gate.repo.git("fast-import", "--quiet", stdin="\n".join(lines))
    names = gate.repo.git("rev-list", f"--max-count={len(DATES)}", "dated").splitlines()
    return dict(zip(reversed(names), DATES, strict=True))


@pytest.fixture
def sources(gate: Gate) -> Iterator[tuple[ServerEvidence, Unbounded]]:
    keys = Server(gate.server.url, gate.server.url, gate.server.access_key, gate.server.secret_key)
    with contextlib.closing(ClearML(keys, 600, environment=os.environ)) as api:
        yield ServerEvidence(api), Unbounded(api)


KINDS: list[dict[str, Any]] = [
    {}, {}, {}, {}, {}, {"diff": DIRTY}, {"diff": None}, {"status": "failed"}, {"status": "in_progress"},
    {"project": "Other"}, {"system_tags": ["archived"]},
]  # fmt: skip
BESTS = [Best(), Best(), Best("validation/accuracy"), Best("validation/accuracy", direction="min")]


def test_the_verdict_is_that_of_the_unbounded_question(
    gate: Gate, dated: dict[str, float], sources: tuple[ServerEvidence, Unbounded], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Tasks at random times after their commits were made, by clocks that differ by a day at most; commits of ten
    years, of 1970 and to come; few looked at first. HYPOTHESIS_PROFILE=fuzz draws hundreds."""
    names, repository = {days: name for name, days in dated.items()}, Repository(str(gate.repo.path))
    for seed in range(settings().max_examples // 2):
        draw = random.Random(seed)
        asked = draw.sample(DATES, draw.randint(1, 3))
        gate.server.store.tasks.clear()
        for _ in range(draw.randint(1, 6)):
            a_task(gate, draw, names, draw.choice(asked))
        policy = Policy(project="Vision/Detector", best=draw.choice(BESTS))
        monkeypatch.setattr("git_clearml.verdict.server._FIRST", draw.choice([1, 1, 2, 10]))
        commits = [resolved.commit for resolved in repository.resolve([names[days] for days in asked])]
        questions = [Question(commit, policy) for commit in commits]
        verdicts = [resolve.verify(repository, source, questions, tasks_only) for source in sources]
        for bounded, model, days in zip(*verdicts, asked, strict=True):
            assert told(bounded, recent=days < 8) == told(model, recent=days < 8), seed


def a_task(gate: Gate, draw: random.Random, names: dict[float, str], days: float) -> None:
    """A task of the commit of that date, last touched some time since, if the date can be believed."""
    made = max(days, 0) if days < 5000 else 4000  # days ago that it was made, at the earliest
    ago = made * (1 - draw.choice([0.0, 0.0, 0.02, 0.5, 0.95, 1.0])) + 0.99 * draw.choice([-1, 0, 1]) * (made > 0)
    updated = (datetime.now(timezone.utc) - timedelta(days=max(ago, 0.0))).isoformat()
    fields: dict[str, Any] = draw.choice(KINDS)
    value = draw.choice([None, None, 0.0, 0.5, 0.9])
    metrics = {} if value is None else {"metrics": {"validation": {"accuracy": value}}}
    times = {"last_update": updated, **({} if "status" in fields else {"completed": updated})}
    gate.task(commit=names[days], **times, **fields, **metrics)


def told(verdict: Verdict, *, recent: bool) -> tuple[Any, ...]:
    """What a verdict comes to. Which of several tasks of an old commit is named hangs on which window had one first."""
    named = [verdict.task and verdict.task.id, *(finding.task.id for finding in verdict.near_misses)]
    return verdict.commit, verdict.outcome, bool(verdict.near_misses), named if recent else None


@pytest.mark.parametrize("then", ["completed", "in_progress", "failed"])
@pytest.mark.parametrize("now", ["completed", "failed", "in_progress", "deleted"])
def test_the_other_tasks_of_a_run_need_not_be_looked_at_to_be_missed(
    gate: Gate,
    sources: tuple[ServerEvidence, Unbounded],
    monkeypatch: pytest.MonkeyPatch,
    then: str,
    now: str,
) -> None:
    """All must have ended well: what one of them was when the run ended, and is now, though few are looked at first."""
    monkeypatch.setattr("git_clearml.verdict.server._FIRST", 2)
    commit = gate.repo.head
    ended = (datetime.now(timezone.utc) - timedelta(minutes=5)).isoformat()
    status = "completed" if now == "deleted" else now
    other = gate.task(status=status, completed=ended)  # the one that is looked at last
    tasks = [gate.task() for _ in range(4)]
    for task in tasks:
        others = [(each, "completed") for each in tasks if each != task]
        gate.server.tasks[task]["hyperparams"] = record_of(task, commit, [(other, then), *others])
    if now == "deleted":
        del gate.server.store.tasks[other]
    repository = Repository(str(gate.repo.path))
    questions = [Question(resolved.commit, Policy()) for resolved in repository.resolve(["HEAD"])]
    (bounded,), (model,) = (resolve.verify(repository, source, questions, tasks_only) for source in sources)
    assert told(bounded, recent=True) == told(model, recent=True)
    assert (bounded.outcome.value == "verified") == ("completed" in (then, now))  # without a record it counts itself


def test_results_commits_on_top_of_a_sweep_are_small_answers_too(gate: Gate) -> None:
    """Each task of a sweep adds one. A task of a results commit itself comes before all of them."""
    tasks = sweep(gate, 200)
    for number in range(60):
        gate.repo.write({"clearml.lock": f"{number}\n"})
        gate.repo.git("add", "clearml.lock")
        gate.repo.git("commit", "--quiet", "--message", "results")
    result = gate.accepts(requests=2)
    assert (result.commit["task"]["id"], result.commit["equivalence"]) == (tasks[-1], "results")
    assert sent(gate) < 64_000
    own = gate.task(completed="2001-01-01T00:00:00.000000+00:00")
    result = gate.verify()
    assert (result.commit["task"]["id"], result.commit["equivalence"]) == (own, "commit")
