"""The lookalikes of evidence, each with the right answer and the right reason; and which of several tasks counts."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from git_clearml.base.words import ago, listed
from git_clearml.model import Diff, DiffKind, Task
from git_clearml.settings.code_paths import untracked_ok
from git_clearml.settings.policy import Best, Equivalence, Policy
from git_clearml.verdict.model import Finding, Outcome, Reason, Verdict
from git_clearml.verdict.rules import judge, unreachable_is_tolerated
from git_clearml.verdict.run_rules import record_reasons
from tests.support.builders import (
    ABSENT,
    DIRTY,
    HASH,
    NOW,
    OTHER_HASH,
    OWN,
    TASK,
    commit,
    facts,
    offline,
    policy,
    run,
    task,
)

CODES = set(
    "dirty failed stopped closed running queued created archived other-project other-task-name other-repository "
    "no-repository entry-point-missing other-commit run-failed no-task untracked-files diff-unknown "
    "no-commit published".split()
)


def exactly(name: str) -> Equivalence | None:
    return Equivalence.COMMIT if name == HASH else None


def as_(sense: Equivalence) -> Callable[[str], Equivalence | None]:
    """The other commit is this one in that sense."""
    return lambda name: Equivalence.COMMIT if name == HASH else sense if name == OTHER_HASH else None


def judged(
    *tasks: Task,
    rules: Policy | None = None,
    equivalent: Callable[[str], Equivalence | None] = exactly,
    chosen: str = "",
    **changes: Any,
) -> Verdict:
    return judge(commit(), tasks, rules or policy(), facts(**changes), equivalent=equivalent, chosen=chosen)


def codes(verdict: Verdict) -> list[list[str]]:
    return [[reason.code for reason in finding.reasons] for finding in verdict.near_misses]


# --- one task


def test_a_clean_completed_task_is_evidence() -> None:
    verdict = judged(task())
    assert (verdict.outcome, verdict.task, verdict.equivalence) == (Outcome.VERIFIED, task(), Equivalence.COMMIT)
    assert (verdict.considered, verdict.accepted, verdict.notes, verdict.near_misses) == (1, 1, (), ())


def test_nothing_at_all_is_no_evidence() -> None:
    verdict = judged()
    assert (verdict.outcome, verdict.considered, verdict.near_misses) == (Outcome.REJECTED, 0, ())


LOOKALIKES: list[tuple[dict[str, Any], dict[str, Any], str, str]] = [
    # task, policy, code, a part of the message
    ({"diff": DIRTY}, {}, "dirty", "uncommitted changes in train.py (+4 -1)"),
    ({"diff": ABSENT}, {}, "diff-unknown", "no diff on record"),
    ({"diff": None}, {}, "diff-unknown", "no diff on record"),
    ({"diff": None, "by_agent": True}, {}, "diff-unknown", "unknown"),  # nobody asked: that is no absent field
    ({"status": "failed"}, {}, "failed", "failed 1 hour ago"),
    ({"status": "stopped", "completed": "2026-01-02T11:48:00+00:00"}, {}, "stopped", "was stopped 12 minutes ago"),
    ({"status": "created", "completed": ""}, {}, "created", "never run"),
    ({"status": "closed"}, {}, "closed", "nothing about success"),
    ({"status": "publishing"}, {}, "closed", "unknown status 'publishing'"),
    ({"status": ""}, {}, "closed", "unknown status"),
    ({"status": "COMPLETED"}, {}, "closed", "unknown status"),
    ({"status": "published"}, {"published": "reject"}, "published", "reject"),
    ({"status": "published", "completed": ""}, {}, "published", "without having completed"),
    ({"archived": True}, {}, "archived", "archived"),
    ({"project": "Vision/Other"}, {"project": "Vision/Detector"}, "other-project", "'Vision/Other'"),
    ({"project": "Vision/Detector2"}, {"project": "Vision/Detector"}, "other-project", "not in 'Vision/Detector'"),
    ({"project": "My Vision/Detector"}, {"project": "Vision/Detector"}, "other-project", "not in"),
    ({"project": "Vision"}, {"project": "Vision/Detector"}, "other-project", "not in"),
    ({"project": "vision/detector"}, {"project": "Vision/Detector"}, "other-project", "not in"),
    ({"project": ""}, {"project": "Vision/Detector"}, "other-project", "not in"),
    (
        {"project": "VisionXDetector"},
        {"project": "Vision.Detector"},
        "other-project",
        "not in",
    ),  # no regular expression
    ({"name": "train 2"}, {"task_name": "train"}, "other-task-name", "'train 2', not 'train'"),
    ({"name": ""}, {"task_name": "train"}, "other-task-name", "not 'train'"),
    ({"repository": "https://github.com/acme/detector2"}, {}, "other-repository", "detector2"),
    (
        {"repository": "https://me:s3cret@gitlab.com/acme/detector"},
        {},
        "other-repository",
        "'https://gitlab.com/acme/detector'",
    ),
    ({"repository": ""}, {}, "no-repository", "no repository"),
    ({"repository": "  "}, {}, "no-repository", "no repository"),
    ({"repository": "https://github.com/other/x"}, {"allow_no_repository": True}, "other-repository", "other/x"),
    ({"entry_point": "notebook.py"}, {}, "entry-point-missing", "'notebook.py'"),
    ({"entry_point": "train.py", "working_dir": "src"}, {}, "entry-point-missing", "'src/train.py'"),
    ({"entry_point": "../train.py"}, {}, "entry-point-missing", "outside"),
    ({"entry_point": "/home/me/train.py"}, {}, "entry-point-missing", "outside"),
    ({"entry_point": ""}, {}, "entry-point-missing", "does not say"),
    ({"entry_point": "-m pkg.missing"}, {}, "entry-point-missing", "'pkg/missing.py'"),
    ({"entry_point": "-m torch.distributed.run eval.py"}, {}, "entry-point-missing", "'eval.py'"),
    ({"entry_point": "pkg"}, {}, "entry-point-missing", "'pkg'"),  # a folder is no file
    ({"commit": OTHER_HASH}, {}, "other-commit", f"another commit, {OTHER_HASH[:12]}"),
    ({}, {"require_run_record": True}, "no-task", "git clearml run"),
    ({"by_agent": True}, {"require_run_record": True}, "no-task", "git clearml run"),
    ({"launched": True}, {"require_run_record": True}, "no-task", "git clearml run"),  # and then run by hand
    ({"damage": "its task.json cannot be read"}, {}, "no-task", "its task.json cannot be read"),
]


@pytest.mark.parametrize(("changes", "rules", "code", "said"), LOOKALIKES)
def test_what_only_looks_like_evidence(changes: dict[str, Any], rules: dict[str, Any], code: str, said: str) -> None:
    verdict = judged(task(**changes), rules=policy(**rules))
    assert (verdict.outcome, verdict.task, verdict.accepted, verdict.considered) == (Outcome.REJECTED, None, 0, 1)
    assert codes(verdict) == [[code]]
    assert code in CODES
    assert said in verdict.near_misses[0].reasons[0].message
    assert "s3cret" not in verdict.near_misses[0].reasons[0].message


@pytest.mark.parametrize(("changes", "rules", "code", "said"), LOOKALIKES)
def test_a_good_task_beside_a_lookalike_counts(
    changes: dict[str, Any], rules: dict[str, Any], code: str, said: str
) -> None:
    if rules.get("require_run_record"):
        return  # there the good task is none
    good = task(id="good", completed="2025-01-01T00:00:00+00:00")  # older than all the others
    if "project" in rules:
        good = good._replace(project=rules["project"])
    for tasks in ([good, task(**changes)], [task(**changes), good]):
        verdict = judged(*tasks, rules=policy(**rules))
        assert (verdict.outcome, verdict.task, verdict.considered, verdict.accepted) == (Outcome.VERIFIED, good, 2, 1)
        assert verdict.near_misses == ()


@pytest.mark.parametrize(
    "recorded",
    [
        HASH + "0",
        "0" + HASH,
        HASH[:-1],
        HASH[1:],
        HASH[:12],
        HASH.upper(),
        f" {HASH}",
        HASH + "\n",
        HASH + "|" + OTHER_HASH,
        ".*",
    ],
)
def test_a_hash_that_is_only_like_ours_is_another(recorded: str) -> None:
    """The server's filter is a regular expression search; the commit is compared afterwards."""
    verdict = judged(task(commit=recorded))
    assert (verdict.outcome, "other-commit" in codes(verdict)[0]) == (Outcome.REJECTED, True)


def test_a_task_without_a_commit_says_how_to_prevent_it() -> None:
    verdict = judged(task(commit=""))
    assert codes(verdict) == [["no-commit"]]
    assert "vcs_repo_detect_async" in verdict.near_misses[0].reasons[0].message


@pytest.mark.parametrize(
    ("changes", "rules", "note"),
    [
        ({"status": "published"}, {}, "published: its success is not on record"),
        ({"diff": OWN}, {}, "only ClearML's own"),
        ({"diff": ABSENT, "by_agent": True}, {}, "an agent ran it"),
        ({"notes": ("its console is incomplete",)}, {}, "its console is incomplete"),
        ({"run": run()}, {}, "verified by a run record"),
        ({"run": run()}, {"require_run_record": True}, "verified by a run record"),
    ],
)
def test_what_counts_but_is_said(changes: dict[str, Any], rules: dict[str, Any], note: str) -> None:
    verdict = judged(task(**changes), rules=policy(**rules))
    assert verdict.outcome is Outcome.VERIFIED
    assert [each for each in verdict.notes if note in each] == list(verdict.notes)


@pytest.mark.parametrize(
    ("changes", "rules"),
    [
        ({"project": "Vision/Detector/nightly"}, {"project": "Vision/Detector"}),
        ({"project": "Vision/Detector"}, {"project": "Vision/Detector", "task_name": "train"}),
        ({"repository": ""}, {"allow_no_repository": True}),
        ({"repository": "git@github.com:acme/detector"}, {}),
        ({"repository": "https://me:token@GitHub.com:443/acme/detector.git/"}, {}),
        ({"entry_point": "eval.py", "working_dir": "src"}, {}),
        ({"entry_point": "../train.py --epochs 3", "working_dir": "src"}, {}),
        ({"entry_point": "-m pkg.mod"}, {}),
        ({"entry_point": "-m pkg.app --fast"}, {}),
        ({"entry_point": "-m torch.distributed.run train.py"}, {}),
    ],
)
def test_what_is_evidence_although_it_looks_different(changes: dict[str, Any], rules: dict[str, Any]) -> None:
    assert judged(task(**changes), rules=policy(**rules)).outcome is Outcome.VERIFIED


def test_the_chosen_task_is_the_only_one_that_counts() -> None:
    assert judged(task(id="a"), task(id="b"), chosen="a").task == task(id="a")
    verdict = judged(task(id="a"), task(id="b", diff=DIRTY), chosen="b")
    assert (verdict.outcome, verdict.considered, codes(verdict)) == (Outcome.REJECTED, 1, [["dirty"]])
    assert judged(task(id="a"), chosen="c").outcome is Outcome.REJECTED


def test_600_that_do_not_count_hide_none_that_does() -> None:
    bad = [task(id=f"{number}", status="failed", archived=number % 2 == 0) for number in range(600)]
    assert judged(*bad, task(id="good")).task == task(id="good")


# --- pending


@pytest.mark.parametrize(("status", "code"), [("queued", "queued"), ("in_progress", "running")])
def test_the_right_task_that_has_not_ended_makes_it_pending(status: str, code: str) -> None:
    waiting = task(status=status, completed="", iteration=310)
    verdict = judged(waiting, task(id="other", status="failed"))
    assert (verdict.outcome, verdict.outcome.status) == (Outcome.PENDING, 4)
    assert codes(verdict) == [[code], ["failed"]]
    assert verdict.near_misses[0].reasons[0].message == (
        "still queued" if code == "queued" else "still running, iteration 310"
    )
    assert judged(waiting, task()).outcome is Outcome.VERIFIED


AGAINST: list[dict[str, Any]] = [
    {"diff": DIRTY},
    {"diff": ABSENT},
    {"archived": True},
    {"entry_point": "other.py"},
    {"repository": "https://github.com/acme/other"},
    {"repository": ""},
    {"commit": OTHER_HASH},
    {"commit": ""},
    {"project": "Other"},
    {"name": "other"},
    {"run": run(dirty=("train.py",), tasks=((TASK, "queued"),))},
    {"run": run(exit_status=1, tasks=((TASK, "in_progress"),))},
]


@pytest.mark.parametrize("against", AGAINST)
@pytest.mark.parametrize("status", ["queued", "in_progress"])
def test_what_can_never_count_is_nothing_to_wait_for(status: str, against: dict[str, Any]) -> None:
    rules = policy(project="Vision/Detector", task_name="train")
    assert judged(task(status=status, completed=""), rules=rules).outcome is Outcome.PENDING
    verdict = judged(task(status=status, completed="", **against), rules=rules)
    assert verdict.outcome is Outcome.REJECTED
    assert len(verdict.near_misses[0].reasons) > 1


# --- several that count


def preferred(first: Task, second: Task, best: Best) -> None:
    """The first of them is taken, in whatever order they are found."""
    for tasks in ((first, second), (second, first)):
        verdict = judged(*tasks, rules=policy(best=best))
        assert verdict.task == first
        assert verdict.accepted == 2


MAX, MIN = Best(metric="v/acc"), Best(metric="v/loss", direction="min")
EARLY, LATE = "2026-01-01T00:00:00+00:00", "2026-01-01T00:00:01+00:00"


@pytest.mark.parametrize(
    ("better", "worse", "best"),
    [
        (0.9, 0.8, MAX),
        (0.1, 0.2, MIN),
        (-1.0, -2.0, MAX),
        (-2.0, -1.0, MIN),
        (-5.0, None, MAX),
        (5.0, None, MIN),
        (-5.0, float("nan"), MAX),
        (5.0, float("nan"), MIN),
        (0.1, float("inf"), MAX),  # no number that a training could have reached
        (0.1, float("-inf"), MIN),
        (0.0, -1.0, MAX),
        (5.0, 0.0, MIN),  # a diverged loss, which ClearML sends as 0
        (0.0, 5.0, MIN._replace(zero_is_a_value=True)),
    ],
)
def test_the_better_metric_wins_over_the_newer_task(better: float | None, worse: float | None, best: Best) -> None:
    preferred(task(id="a", value=better, completed=EARLY), task(id="b", value=worse, completed=LATE), best)


@pytest.mark.parametrize("best", [MAX, MIN, Best()])
@pytest.mark.parametrize("value", [None, 0.5, float("nan")])
def test_with_equal_metrics_the_later_one_then_the_id(best: Best, value: float | None) -> None:
    preferred(task(id="a", value=value, completed=LATE), task(id="b", value=value, completed=EARLY), best)
    preferred(task(id="b", value=value, completed=LATE), task(id="a", value=value, completed=LATE), best)


def test_without_a_metric_in_the_policy_values_do_not_matter() -> None:
    preferred(task(id="a", value=1.0, completed=LATE), task(id="b", value=2.0, completed=EARLY), Best())


values = st.one_of(st.none(), st.floats(), st.sampled_from([0.0, -0.0, 1.0]))
several = st.lists(
    st.builds(
        lambda number, value, when: task(id=f"{number}", value=value, completed=when),
        st.integers(0, 99), values, st.sampled_from([EARLY, LATE]),
    ),
    min_size=1, max_size=5, unique_by=lambda one: one.id,
)  # fmt: skip


@given(several, st.sampled_from([MAX, MIN, Best(), MIN._replace(zero_is_a_value=True)]))
def test_the_order_in_which_tasks_are_found_does_not_matter(found: list[Task], best: Best) -> None:
    rules = policy(best=best)
    taken = {judged(*order, rules=rules).task.id for order in itertools.permutations(found)}  # type: ignore[union-attr]
    assert len(taken) == 1


# --- near misses


def test_near_misses_come_best_first() -> None:
    expected = [
        task(id="running", status="in_progress", completed=""),
        task(id="amended", commit=OTHER_HASH),
        task(id="dirty new", diff=DIRTY, completed=LATE),
        task(id="dirty old", diff=DIRTY, completed=EARLY),
        task(id="failed", status="failed"),
        task(id="lost", commit=""),
        task(id="entry", entry_point="x.py"),
        task(id="archived", archived=True),
        task(id="repository", repository="https://host/x"),
        task(id="dirty and failed", diff=DIRTY, status="failed"),
        task(id="all", diff=DIRTY, status="failed", archived=True),
    ]
    for order in (expected, expected[::-1], expected[3:] + expected[:3]):
        assert [finding.task.id for finding in judged(*order).near_misses] == [each.id for each in expected]


def test_a_sweep_of_the_same_code_says_so_once_before_what_speaks_against_the_commit_s_own_task() -> None:
    sweep = [task(id=f"{number:032x}", commit=OTHER_HASH) for number in range(12)]
    near = judged(*sweep, task(status="failed"), equivalent=as_(Equivalence.TREE)).near_misses
    assert [finding.reasons[0].code for finding in near] == ["other-commit", "failed", *["other-commit"] * 11]


@given(
    st.lists(
        st.sampled_from([changes for changes, rules, *_ in LOOKALIKES if not rules]),
        min_size=1,
        max_size=4,
        unique_by=repr,
    )
)
def test_no_combination_of_faults_is_evidence(found: list[dict[str, Any]]) -> None:
    """Every near miss is there, with every code known, and the fewest reasons first."""
    both: dict[str, Any] = {}
    for changes in found:
        if not changes.keys() & both.keys():  # two faults of one field may make a good value
            both |= changes
    verdict = judged(*(task(**changes) for changes in found), task(**both))
    assert verdict.outcome is Outcome.REJECTED
    assert len(verdict.near_misses) == len(found) + 1
    lengths = [len(each) for each in codes(verdict)]
    assert lengths == sorted(lengths)
    assert {code for each in codes(verdict) for code in each} <= CODES


# --- equivalence


@pytest.mark.parametrize(
    ("level", "sense", "counts"),
    [
        ("commit", Equivalence.TREE, False),
        ("commit", Equivalence.PATHS, False),
        ("tree", Equivalence.TREE, True),
        ("tree", Equivalence.PATHS, False),
        ("paths", Equivalence.TREE, True),
        ("paths", Equivalence.PATHS, True),
    ],
)
def test_only_the_senses_that_the_policy_allows(level: str, sense: Equivalence, counts: bool) -> None:
    other = task(commit=OTHER_HASH)
    rules = policy(equivalence=Equivalence(level), code_paths=("src/**",))
    verdict = judged(other, rules=rules, equivalent=as_(sense))
    assert (verdict.outcome is Outcome.VERIFIED) == counts
    if counts:
        assert verdict.equivalence is sense
        assert [OTHER_HASH[:12] in note for note in verdict.notes] == [True]  # whose evidence it is, is said
    else:
        assert codes(verdict) == [["other-commit"]]
    assert judged(task(), other, rules=rules, equivalent=as_(sense)).outcome is Outcome.VERIFIED


def test_the_same_tree_before_an_amend_names_the_setting_that_takes_it() -> None:
    message = judged(task(commit=OTHER_HASH), equivalent=as_(Equivalence.TREE)).near_misses[0].reasons[0].message
    assert 'equivalence = "tree"' in message
    assert OTHER_HASH[:12] in message


def test_the_entry_point_is_looked_for_in_the_commit_that_the_task_ran() -> None:
    rules = policy(equivalence=Equivalence.PATHS, code_paths=("src/**",))
    only_ours = frozenset({(HASH, "train.py")})
    verdict = judged(task(commit=OTHER_HASH), rules=rules, equivalent=as_(Equivalence.PATHS), files=only_ours)
    assert codes(verdict) == [["entry-point-missing"]]


# --- run records


def test_a_clean_local_run_is_evidence_and_says_so() -> None:
    verdict = judged(offline())
    assert (verdict.outcome, verdict.notes) == (Outcome.VERIFIED, ("verified by a local run record",))


RUNS: list[tuple[dict[str, Any], str, str]] = [
    ({"exit_status": 1}, "run-failed", "exit status 1"),
    ({"exit_status": 137}, "run-failed", "exit status 137"),
    ({"exit_status": -9}, "run-failed", "exit status -9"),
    ({"exit_status": None, "ended": ""}, "run-failed", "killed"),
    ({"dirty": ("train.py", "a.py", "b.py", "c.py")}, "dirty", "train.py, a.py, b.py and 1 more"),
    ({"edited": ("train.py",)}, "dirty", "during the run: train.py"),
    ({"untracked": ("helper.py",)}, "untracked-files", "helper.py"),
    ({"untracked": ("outputs/model.bin", "notes.txt")}, "untracked-files", "notes.txt"),
    ({"untracked": ("outputs/helper.py",)}, "untracked-files", "outputs/helper.py"),
    ({"untracked": ("outputs/native.so",)}, "untracked-files", "outputs/native.so"),
    (
        {"untracked": ("outputs/a",), "allowed_by": ("outputs/**", "**")},
        "untracked-files",
        "where ** was in untracked-ok",
    ),
    ({"tasks": ((TASK, "completed"), ("b", "failed"))}, "run-failed", "b"),
    ({"tasks": ((TASK, "completed"), ("b", "in_progress"))}, "run-failed", "b"),
]


@pytest.mark.parametrize(("changes", "code", "said"), RUNS)
@pytest.mark.parametrize("make", [offline, lambda record: task(run=record)], ids=["offline", "server"])
def test_a_run_that_is_no_evidence(make: Callable[..., Task], changes: dict[str, Any], code: str, said: str) -> None:
    verdict = judged(make(run(**changes)), rules=policy(untracked_ok=("outputs/**",)))
    assert (verdict.outcome, codes(verdict)) == (Outcome.REJECTED, [[code]])
    assert said in verdict.near_misses[0].reasons[0].message
    if code == "untracked-files":
        assert "model.bin" not in verdict.near_misses[0].reasons[0].message


ONCE = {
    "train.py (+1 -0)": ({"dirty": ("train.py",)}, ["train.py (+1 -0)"]),
    "a.py (+1 -0), b.py (+1 -0), c.py (+1 -0) and 2 more files": ({"dirty": (*"edcba",)}, ["and 2 more files"]),
    "files that git does not track: new.py": ({"untracked": ("new.py",)}, ["untracked files: new.py"]),
    "train.py (+1 -2)": ({"dirty": ("train.py",), "untracked": ("new.py",)}, ["(+1 -2)", "files: new.py"]),
    "train.py (+1 -3)": ({"dirty": ("other.py",)}, ["train.py (+1 -3)", "changes in other.py"]),
    "train.py (+1 -4)": ({"edited": ("train.py",)}, ["train.py (+1 -4)", "during the run: train.py"]),
}
"""What a recorded diff says, what the run's record says, and what is told of both."""


@pytest.mark.parametrize("summary", ONCE)
@pytest.mark.parametrize("make", [offline, lambda record: task(run=record)], ids=["offline", "server"])
def test_what_the_diff_and_the_record_say_is_told_once(make: Callable[..., Task], summary: str) -> None:
    changes, told = ONCE[summary]
    dirty = make(run(**changes))._replace(diff=Diff(DiffKind.DIRTY, summary))
    failed = make(run(exit_status=1, **changes))._replace(diff=Diff(DiffKind.DIRTY, summary))
    near, last = judged(failed, dirty).near_misses
    assert (near.task, last.task) == (dirty, failed)
    assert len(near.reasons) == len(told)
    assert all(words in reason.message for reason, words in zip(near.reasons, told, strict=True))


def test_outputs_that_the_policy_allows_do_not_matter() -> None:
    record = run(untracked=("outputs/model.bin", "outputs/deep/log.txt"), wrote=("clearml.lock",))
    assert judged(offline(record), rules=policy(untracked_ok=("outputs/**",))).outcome is Outcome.VERIFIED
    assert codes(judged(offline(record))) == [["untracked-files"]]
    more = record._replace(allowed_by=("outputs/**",))
    assert judged(offline(more), rules=policy(untracked_ok=("logs/**", "outputs/**"))).outcome is Outcome.VERIFIED


def test_a_run_without_a_task_is_none() -> None:
    verdict = judged(offline(run(tasks=()), id="", name="", entry_point="", diff=None))
    assert codes(verdict) == [["no-task"]]
    assert "no ClearML task" in verdict.near_misses[0].reasons[0].message


def test_a_run_that_still_goes_on_is_waited_for() -> None:
    record = run(exit_status=None, ended="", alive=True)
    verdict = judged(offline(record, status="in_progress", completed=""))
    assert (verdict.outcome, codes(verdict)) == (Outcome.PENDING, [["running"]])
    nothing_yet = judged(offline(record._replace(tasks=()), id="", name="", entry_point="", diff=None))
    assert nothing_yet.outcome is Outcome.PENDING


@pytest.mark.parametrize(
    "against", [{"dirty": ("train.py",)}, {"untracked": ("helper.py",)}, {"edited": ("train.py",)}]
)
def test_a_dirty_run_that_still_goes_on_is_not_waited_for(against: dict[str, Any]) -> None:
    record = run(exit_status=None, ended="", alive=True, **against)
    verdict = judged(offline(record))
    assert verdict.outcome is Outcome.REJECTED
    assert codes(verdict)[0][0] == "running"


def test_of_several_tasks_all_that_ended_well_are_fine() -> None:
    record = run(tasks=(("a", "completed"), ("b", "published"), ("c", "")))
    assert judged(task(run=record)).outcome is Outcome.VERIFIED


def test_an_offline_task_needs_no_repository_but_its_project() -> None:
    assert judged(offline(), rules=policy(project="Vision")).outcome is Outcome.VERIFIED
    assert codes(judged(offline(), rules=policy(project="Speech"))) == [["other-project"]]


def test_a_required_run_record_is_met_by_a_run_alone() -> None:
    rules = policy(require_run_record=True)
    assert judged(offline(), rules=rules).outcome is Outcome.VERIFIED
    assert codes(judged(task(), rules=rules)) == [["no-task"]]
    ran = task(id="b", run=run(tasks=(("b", "completed"),)))
    assert judged(task(), ran, rules=rules).task == ran


def test_damage_is_a_finding() -> None:
    verdict = judged(offline(damage="its task.json is cut off", id="", diff=None))
    assert codes(verdict) == [["no-task"]]
    assert verdict.near_misses[0].reasons[0].message == "its task.json is cut off"


@pytest.mark.parametrize("name", ["x.py", "x.pyx", "x.ipynb", "x.sh", "x.so", "x.pyd", "x.dll", "x.dylib", ".py"])
@pytest.mark.parametrize("pattern", ["outputs/**", "outputs/*", "**/*", "outputs/"])
def test_untracked_code_never_passes(name: str, pattern: str) -> None:
    assert not untracked_ok(f"outputs/{name}", policy(untracked_ok=(pattern,)))
    assert untracked_ok("outputs/x.bin", policy(untracked_ok=(pattern,)))
    assert not untracked_ok("outputs/x.bin", policy())


@pytest.mark.parametrize("name", ["__pycache__/x.cpython-311.pyc", "__pycache__/x.cpython-311.opt-1.pyc", "best.pth"])
def test_what_python_leaves_behind_and_weights_pass_untracked(name: str) -> None:
    assert untracked_ok(f"outputs/{name}", policy(untracked_ok=("outputs/**",)))
    assert not untracked_ok(f"outputs/{name}", policy())


def test_record_reasons_of_a_clean_record() -> None:
    assert record_reasons(run(), policy()) == []


# --- words


@pytest.mark.parametrize(
    ("moment", "said"),
    [
        ("2026-01-02T11:59:30+00:00", "just now"),
        ("2026-01-02T11:59:00Z", "1 minute ago"),
        ("2026-01-02T11:48:00.123456+00:00", "11 minutes ago"),
        ("2026-01-02T12:00:00+02:00", "2 hours ago"),
        ("2026-01-02T11:00:00", "1 hour ago"),  # without a zone: UTC
        ("2026-01-01T12:00:00+00:00", "1 day ago"),
        ("2024-01-01T12:00:00+00:00", "732 days ago"),
        ("2026-01-02T12:10:00+00:00", "just now"),  # a clock that is ahead
        ("", ""),
        ("yesterday", ""),
    ],
)
def test_how_long_ago(moment: str, said: str) -> None:
    assert ago(moment, NOW) == said


@given(st.one_of(st.text(), st.datetimes(timezones=st.timezones()).map(lambda moment: moment.isoformat())))
def test_any_moment_can_be_said(moment: str) -> None:
    said = ago(moment, NOW)
    assert said in ("", "just now") or said.endswith(" ago")


def test_lists_are_cut() -> None:
    assert listed(["a"]) == "a"
    assert listed(["a", "b", "c"]) == "a, b, c"
    assert listed(["a", "b", "c", "d", "e"]) == "a, b, c and 2 more"


def test_a_finding_without_reasons_counts_and_is_not_pending() -> None:
    assert (Finding(task(), None).accepted, Finding(task(), None).pending) == (True, False)
    waiting = Finding(task(), None, (Reason("queued", ""), Reason("dirty", "")))
    assert (waiting.accepted, waiting.pending) == (False, False)


def test_a_diff_without_a_summary_is_still_a_reason() -> None:
    verdict = judged(task(diff=Diff(DiffKind.DIRTY)))
    assert codes(verdict) == [["dirty"]]


WARN, BLOCK = Policy(on_unreachable="warn"), Policy(on_unreachable="block")


@pytest.mark.parametrize("code", ["unreachable", "timeout"])
def test_without_a_server_of_several_policies_the_strictest_decides(code: str) -> None:
    assert unreachable_is_tolerated([WARN], code)
    assert unreachable_is_tolerated([WARN, WARN], code)
    for policies in ([BLOCK], [WARN, BLOCK], [BLOCK, WARN], [WARN, WARN, BLOCK], []):
        assert not unreachable_is_tolerated(policies, code)


@pytest.mark.parametrize("code", ["unauthorized", "forbidden", "bad-answer", "not-configured", "unknown-revision", ""])
def test_nothing_else_that_keeps_us_from_deciding_is_tolerated(code: str) -> None:
    assert not unreachable_is_tolerated([WARN], code)
