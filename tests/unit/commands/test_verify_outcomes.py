"""Everything that `git clearml verify` can say, in one file that a person reads through: snapshots/verify.txt.

What the rules say of tasks comes from the rules, what errors say from the errors; UPDATE_SNAPSHOTS=1 rewrites the file.
Everywhere else tests assert codes and facts.
"""

from __future__ import annotations

import io
import math
import os
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from git_clearml.agent.model import Check, CheckOutcome
from git_clearml.base.console import Console
from git_clearml.clearml.client import _ASK_AN_ADMIN, _CHECK_KEYS
from git_clearml.clearml.config import DOCTOR, login_hint
from git_clearml.commands import verify_output
from git_clearml.errors import Error, Forbidden, NotConfigured, PolicyUnknown, TimedOut, Unauthorized, Unreachable
from git_clearml.model import Commit, Metric, Task
from git_clearml.report import compose
from git_clearml.report.model import VerifyReport
from git_clearml.settings.code_paths import LOCK, not_results
from git_clearml.settings.policy import Equivalence, MetricRule, Policy
from git_clearml.verdict.hint import with_task_init
from git_clearml.verdict.model import Outcome, Verdict
from git_clearml.verdict.near_miss import _NEARNESS
from git_clearml.verdict.results_commits import MOST, Lineage
from git_clearml.verdict.rules import judge
from tests.support.builders import (
    ABSENT,
    DIRTY,
    HASH,
    OTHER_HASH,
    OWN,
    PAGE,
    TREE,
    commit,
    facts,
    offline,
    policy,
    run,
    task,
)

SNAPSHOT = Path(__file__).parent / "snapshots" / "verify.txt"
RUN, WAIT = "git clearml run -- python train.py", "git clearml verify --wait"
API = "https://api.clear.ml"


@dataclass(frozen=True)
class Case:
    """One thing that can happen, and the report of it."""

    title: str
    report: VerifyReport


def ran(**changes: Any) -> Task:
    """A task on a server, with its page; without any changes it counts."""
    found = task(**changes)
    return found if changes.get("url") else found._replace(url=PAGE.format(id=found.id))


def verdict_on(*tasks: Task, sense: Equivalence = Equivalence.TREE, chosen: str = "", **rules: Any) -> Verdict:
    """What the rules say of tasks of the judged commit, and of another one that is the same in this sense."""
    senses = {HASH: Equivalence.COMMIT, OTHER_HASH: sense}
    return judge(commit(), tasks, policy(**rules), facts(), equivalent=senses.get, chosen=chosen)


def report_of(verdict: Verdict, **changes: Any) -> VerifyReport:
    hints = {Outcome.VERIFIED: "", Outcome.PENDING: WAIT, Outcome.REJECTED: RUN}
    hint = "git clearml check-runnable" if verdict.needs_check else hints[verdict.outcome]
    shown = verdict._replace(refs=("refs/heads/main",))
    return VerifyReport(shown.outcome, shown.outcome.status, HASH, (shown,), hint)._replace(**changes)


def with_metrics(values: list[float | None], *, queued: bool = False) -> Verdict:
    """What a policy says that wants three runs of which the median is good, and a short latency."""
    rules = (MetricRule("validation/accuracy", at_least=0.8, of="median", min_runs=3), MetricRule("latency/p99", "min"))
    tasks = []
    for number, value in enumerate(values):
        metrics = [Metric("latency", "p99", 20, 19, 25)]
        metrics += [] if value is None else [Metric("validation", "accuracy", value, value, value)]
        tasks.append(ran(id=f"{number + 1:032x}", name=f"train, seed {number}", metrics=tuple(metrics)))
    tasks += [ran(id="f" * 32, status="queued", completed="")] if queued else []
    return verdict_on(*tasks, metrics=rules)


def verified() -> Iterator[Case]:
    yield Case("this commit's task", report_of(verdict_on(ran())))
    yield Case("several tasks count: the one with the latest end", report_of(verdict_on(ran(), ran(id="b" * 32))))
    yield Case("the diff is ClearML's own", report_of(verdict_on(ran(diff=OWN))))
    yield Case("no diff, but an agent ran it", report_of(verdict_on(ran(diff=ABSENT, by_agent=True))))
    yield Case("published", report_of(verdict_on(ran(status="published"))))
    yield Case("made by git clearml run", report_of(verdict_on(ran(run=run()))))
    yield Case("by a local run record", report_of(verdict_on(offline(project=""))))
    other = ran(commit=OTHER_HASH)
    yield Case("equivalence = tree", report_of(verdict_on(other, equivalence=Equivalence.TREE)))
    paths = verdict_on(other, sense=Equivalence.PATHS, equivalence=Equivalence.PATHS)
    yield Case("equivalence = paths", report_of(paths))
    results = verdict_on(other, sense=Equivalence.RESULTS)
    for title, ancestors in {
        "a results commit": [OTHER_HASH],
        "a results commit on another one": ["b" * 40, OTHER_HASH],
        "a results commit whose parent has run as another commit": ["b" * 40],
    }.items():
        yield Case(title, report_of(Lineage(tuple(Commit(name, TREE) for name in ancestors)).noted(results)))
    yield Case("metrics within their limits", report_of(with_metrics([0.85, 0.9, 0.8])))
    yield Case("judged by flags", report_of(verdict_on(ran()), policy_from="flags"))
    yield Case("cached", report_of(Verdict(HASH, Outcome.VERIFIED, notes=("cached",))))


def pending() -> Iterator[Case]:
    yield Case("running", report_of(verdict_on(ran(status="in_progress", completed="", iteration=310))))
    yield Case("running, nothing reported yet", report_of(verdict_on(ran(status="in_progress", completed=""))))
    yield Case("queued", report_of(verdict_on(ran(status="queued", completed=""))))
    yield Case("too few runs, and one that is queued", report_of(with_metrics([0.85, 0.9], queued=True)))
    local = run(exit_status=None, ended="", alive=True)
    yield Case("a local run that is still in progress", report_of(verdict_on(offline(local, project=""))))


def rejected() -> Iterator[Case]:
    yield Case("no task", report_of(verdict_on()._replace(looked_back_to="2026-11-23T00:00:00+00:00")))
    yield Case("no task of the id that --task names", report_of(verdict_on(ran(), chosen="c" * 32)))
    checked = verdict_on(ran())._replace(outcome=Outcome.REJECTED, task=None, equivalence=None, needs_check=True)
    yield Case("a task counts, but runnable.required", report_of(checked))
    for title, values in {
        "metric-limit": [0.85, 0.75, 0.7],
        "metric-missing": [None, math.nan, None],
        "too-few-runs": [0.85, 0.9, None],
    }.items():
        yield Case(title, report_of(with_metrics(values)))
    for title, changes, rules in TASKS:
        yield Case(title, report_of(verdict_on(ran(**changes), **rules)))
    for title, changes in RECORDS:
        yield Case(title, report_of(verdict_on(offline(run(**changes), project=""))))
    hidden = verdict_on(offline(run(ignored=("secret.py",)), project=""), ignored_code="refuse")
    yield Case("ignored-code", report_of(hidden))
    bare = offline(run(tasks=()), id="", name="python train.py", project="", entry_point="")
    yield Case("no-task: a local run", report_of(verdict_on(bare), hint=with_task_init("python train.py", Policy())))
    for why in LINEAGES:
        noted = verdict_on(ran(diff=DIRTY))._replace(notes=(f"not a results commit: {why}",))
        yield Case("writes clearml.lock, but is not a results commit", report_of(noted))
    several = verdict_on(
        *(ran(id=f"{number:032x}", status="failed") for number in range(11)), ran(archived=True, diff=DIRTY)
    )
    yield Case("many near misses, the nearest first", report_of(several))


TASKS: list[tuple[str, dict[str, Any], dict[str, Any]]] = [
    ("dirty", {"diff": DIRTY}, {}),
    ("diff-unknown: no diff", {"diff": ABSENT}, {}),
    ("diff-unknown: a long one", {"diff": ABSENT._replace(summary="no diff on record, or a long one")}, {}),
    ("failed", {"status": "failed"}, {}),
    ("stopped", {"status": "stopped"}, {}),
    ("closed", {"status": "closed"}, {}),
    ("closed: a status that nobody knows", {"status": "quantum"}, {}),
    ("created", {"status": "created", "completed": "", "updated": ""}, {}),
    ("published: the policy rejects it", {"status": "published"}, {"published": "reject"}),
    ("published: never completed", {"status": "published", "completed": ""}, {}),
    ("archived", {"archived": True}, {}),
    ("not-a-check", {"is_check": True}, {}),
    ("other-project", {"project": "Sandbox"}, {"project": "Vision"}),
    ("other-task-name", {"name": "evaluate"}, {"task_name": "train"}),
    ("other-repository", {"repository": "https://github.com/acme/other.git"}, {}),
    ("no-repository", {"repository": ""}, {}),
    ("entry-point-missing: not in the commit", {"entry_point": "notebook.py"}, {}),
    ("entry-point-missing: outside of the repository", {"entry_point": "/home/me/train.py"}, {}),
    ("entry-point-missing: not recorded", {"entry_point": ""}, {}),
    ("other-commit", {"commit": "b" * 40}, {}),
    ("other-commit: the same tree", {"commit": OTHER_HASH}, {}),
    ("no-commit", {"commit": ""}, {}),
    ("no-task: require-run-record", {}, {"require_run_record": True}),
    ("no-task: a damaged record", {"damage": "its run record cannot be read: it is not JSON"}, {}),
]
RECORDS: list[tuple[str, dict[str, Any]]] = [
    ("untracked-files", {"untracked": ("helper.py", "notes.txt")}),
    ("dirty before the run", {"dirty": ("train.py", "a.py", "b.py", "c.py")}),
    ("dirty after the run", {"edited": ("train.py",)}),
    ("run-failed", {"exit_status": 2}),
    ("run-failed: killed", {"exit_status": None, "ended": ""}),
    ("run-failed: another task of the run", {"tasks": (("a" * 32, "completed"), ("b" * 32, "failed"))}),
]
LINEAGES = (
    not_results([(LOCK, "100644", "000000")], [Policy()]),
    not_results([(LOCK, "100644", "120000")], [Policy()]),
    not_results([(LOCK, "000000", "100644"), ("train.py", "100644", "100644")], [Policy()]),
    f"its parent {OTHER_HASH[:12]} is not in this clone (git fetch --deepen=1)",
    f"the policy of its parent {OTHER_HASH[:12]} cannot be read",
    f"its files cannot be compared with those of its parent {OTHER_HASH[:12]}",
    f"it stands on more than {MOST} of them, and no more are checked",
)
ERRORS: tuple[Error, ...] = (
    Unreachable(f"{API} refuses connections", DOCTOR),
    TimedOut(f"{API} did not answer within 30 s", "git config clearml.timeout 60"),
    Unauthorized(f"{API} does not accept the credentials from the environment", _CHECK_KEYS),
    Forbidden(f"{API} forbids tasks.get_all_ex to these credentials: no permission", _ASK_AN_ADMIN),
    NotConfigured("no ClearML credentials are configured", login_hint({})),
    PolicyUnknown("refs/heads/main is at 9f8e7d6c5b4a on the remote, which is not in this clone", "git fetch origin"),
)


def undecided() -> Iterator[Case]:
    unknown = Verdict(HASH, Outcome.UNDECIDED, refs=("refs/heads/main",))
    for error in ERRORS:
        yield Case(error.code, compose.undecided(error, [unknown], origin=HASH, policies=[Policy()]))
    tolerated = compose.undecided(ERRORS[0], [unknown], origin=HASH, policies=[Policy(on_unreachable="warn")])
    yield Case("unreachable, on-unreachable = warn", tolerated)


def more() -> Iterator[Case]:
    passed = report_of(verdict_on(ran()))
    failed = report_of(verdict_on(ran(diff=DIRTY)))
    both = (*passed.verdicts, failed.verdicts[0]._replace(commit=OTHER_HASH, refs=(), rev="HEAD~1"))
    yield Case("two commits, one of them rejected", failed._replace(verdicts=both))
    check = Check(CheckOutcome.RUNNABLE, 0, HASH, TREE, task="c" * 32, queue="gpu", url=PAGE.format(id="c" * 32))
    yield Case("--check-runnable", compose.with_check(passed, check))
    hint = f"git clearml open {check.task}"
    dead = replace(check, outcome=CheckOutcome.FAILED, status=1, sentence="the task failed", hint=hint)
    yield Case("--check-runnable, and it fails", compose.with_check(passed, dead))


GROUPS = {"VERIFIED": verified, "PENDING": pending, "REJECTED": rejected, "UNDECIDED": undecided, "MORE": more}


def shown(case: Case) -> str:
    """What a terminal would show, stderr and stdout, and the exit status."""
    screen = io.StringIO()
    verify_output.show(case.report, "text", Console({}, out=screen, err=screen))
    return f"--- {case.title} [exit status {case.report.status}]\n{screen.getvalue()}"


def test_all_that_verify_can_say() -> None:
    parts = []
    for title, cases in GROUPS.items():
        parts += [f"=== {title} ===", *(shown(case) for case in cases())]
    content = "\n".join(parts)
    if os.environ.get("UPDATE_SNAPSHOTS") == "1":
        SNAPSHOT.parent.mkdir(exist_ok=True)
        SNAPSHOT.write_text(content, encoding="utf-8")
    assert content == SNAPSHOT.read_text(encoding="utf-8"), f"UPDATE_SNAPSHOTS=1 rewrites {SNAPSHOT}"


def test_every_reason_code_is_among_them() -> None:
    findings = [
        finding
        for cases in (pending, rejected)
        for case in cases()
        for verdict in case.report.verdicts
        for finding in verdict.near_misses
    ]
    assert {reason.code for finding in findings for reason in finding.reasons} == set(_NEARNESS)


def test_every_case_is_what_its_group_says() -> None:
    for outcome in Outcome:
        for case in GROUPS[outcome.name]():
            assert case.report.outcome is outcome, case.title
