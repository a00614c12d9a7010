"""`git clearml compare`: against a server, with its tags, and with many of us at it at once."""

from __future__ import annotations

import os
import signal
import subprocess
import threading
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import pytest

from git_clearml.clearml import config as clearml_conf
from git_clearml.clearml.client import ClearML
from git_clearml.model import Task
from git_clearml.report import best_tag
from git_clearml.report.measures import Comparison, ComparisonOutcome
from git_clearml.settings.policy import Best, Policy
from git_clearml.verdict.model import Outcome, Verdict
from git_clearml.verdict.server import ServerEvidence
from tests.support.clearml_common import Json
from tests.support.clearml_server import ClearMLServer
from tests.support.faults import closed_port
from tests.support.program import Gate, Result, command, process_environment
from tests.support.repos import fast_history

TAG = "Best Performance"
POLICY = ("[tool.git-clearml.best]", 'metric = "loss/train"', 'direction = "min"')
CI = {"CI": "true"}
FORBIDDEN = b'{"meta": {"result_code": 403, "result_msg": "no"}, "data": {}}'


def loss(value: float) -> dict[str, dict[str, float]]:
    return {"loss": {"train": value}}


def bearers(server: ClearMLServer) -> list[str]:
    return sorted(name for name, task in server.tasks.items() if TAG in task["tags"])


@pytest.fixture
def model(gate: Gate) -> Gate:
    """A repository whose policy names the metric; its commit has no task yet."""
    gate.repo.policy('project = "Vision"', *POLICY)
    return gate


def on_main(gate: Gate) -> None:
    """HEAD has been accepted; the next commit has not."""
    gate.repo.default_branch(gate.repo.head)
    gate.repo.commit("change")


def compare(gate: Gate, *words: str, **options: Any) -> Result:
    """`compare --format json`; its status is that of the JSON."""
    result = gate.call("compare", "--format", "json", *words, **options)
    assert result.json["exit_code"] == result.status
    assert result.json["command"] == "compare"
    return result


def best_task(gate: Gate, value: float | None, **fields: Any) -> str:
    """A best task of another commit, in a sub-project."""
    metrics = {} if value is None else loss(value)
    return gate.server.add_task(**{"commit": "b" * 40, "tags": [TAG, "keep"], "metrics": metrics, **fields})


@pytest.mark.parametrize(
    ("ours", "words", "outcome", "status"),
    [
        (0.1, (), "better", 0),
        (0.2, (), "equal", 0),
        (0.3, (), "worse", 1),
        (0.3, ("--tolerance", "0.1"), "worse", 0),
        (0.3, ("--tolerance", "50%"), "worse", 0),
        (0.3, ("--tolerance", "49%"), "worse", 1),
        (0.3, ("--direction", "max"), "better", 0),
    ],
)
def test_against_the_best_task(model: Gate, ours: float, words: tuple[str, ...], outcome: str, status: int) -> None:
    other = best_task(model, 0.2)
    mine = model.task(metrics=loss(ours))
    result = compare(model, *words)
    assert (result.json["outcome"], result.status) == (outcome, status)
    assert (result.json["current"]["task"]["id"], result.json["current"]["value"]) == (mine, ours)
    assert (result.json["best"]["task"]["id"], result.json["best"]["value"]) == (other, 0.2)
    assert result.json["delta"] == pytest.approx(ours - 0.2)
    assert result.calls == ("tasks.get_all_ex", "tasks.get_all_ex")
    assert bearers(model.server) == [other]


def test_the_value_that_is_compared(model: Gate) -> None:
    best_task(model, 0.2)
    mine = model.task(metrics=loss(0.9))
    entry = next(iter(next(iter(model.server.tasks[mine]["last_metrics"].values())).values()))
    entry["min_value"], entry["max_value"] = 0.1, 1.5
    assert compare(model).json["current"]["value"] == 0.9
    assert compare(model, "--value", "min").json["current"]["value"] == 0.1
    assert compare(model, "--value", "max").json["current"]["value"] == 1.5


def test_on_worse_warn(gate: Gate) -> None:
    gate.repo.policy(*POLICY, 'on-worse = "warn"')
    best_task(gate, 0.2)
    gate.task(metrics=loss(0.3))
    result = compare(gate)
    assert (result.json["outcome"], result.status) == ("worse", 0)


def test_the_first_task_ever_takes_the_tag(model: Gate) -> None:
    mine = model.task(metrics=loss(0.3), tags=["mine"])
    assert (compare(model).json["outcome"], bearers(model.server)) == ("first", [])
    result = compare(model, "--tag-best")
    assert (result.status, result.json["best"], result.json["tagged"]) == (0, None, True)
    assert model.server.tasks[mine]["tags"] == [TAG, "mine"]
    again = compare(model, "--tag-best")
    assert (again.json["outcome"], again.json["tagged"], again.json["delta"]) == ("equal", True, 0.0)
    assert "tasks.update_tags" not in again.calls


def test_the_tag_moves_and_no_other_tag_does(model: Gate) -> None:
    other = best_task(model, 0.2)
    mine = model.task(metrics=loss(0.1), tags=["mine"])
    result = compare(model, "--tag-best")
    assert (result.status, result.json["tagged"]) == (0, True)
    assert model.server.tasks[mine]["tags"] == [TAG, "mine"]
    assert model.server.tasks[other]["tags"] == ["keep"]
    changes = [request.body for request in model.server.requests if request.call == "tasks.update_tags"]
    assert changes == [{"ids": [mine], "add_tags": [TAG]}, {"ids": [other], "remove_tags": [TAG]}]


def test_within_the_tolerance_passes_and_is_not_tagged(model: Gate) -> None:
    other = best_task(model, 0.2)
    model.task(metrics=loss(0.21))
    result = compare(model, "--tag-best", "--tolerance", "10%")
    assert (result.status, result.json["outcome"], result.json["tagged"]) == (0, "worse", False)
    assert bearers(model.server) == [other]


def test_an_equal_later_task_takes_the_tag_and_an_earlier_one_does_not(model: Gate) -> None:
    early, late = "2026-01-01T00:00:00.000000+00:00", "2026-01-02T00:00:00.000000+00:00"
    other = best_task(model, 0.2, completed=late)
    mine = model.task(metrics=loss(0.2), completed=early)
    assert compare(model, "--tag-best").json["tagged"] is False
    model.server.tasks[other]["completed"] = "2025-12-31T00:00:00.000000+00:00"
    assert compare(model, "--tag-best").json["tagged"] is True
    assert bearers(model.server) == [mine]


@pytest.mark.parametrize("ours", [0.3, 0.1, 0.2])
def test_several_best_tasks_are_repaired_even_when_ours_is_worse(model: Gate, ours: float) -> None:
    good = best_task(model, 0.2, completed="2026-01-02T00:00:00.000000+00:00")
    best_task(model, 0.25)
    best_task(model, None)
    mine = model.task(metrics=loss(ours), tags=["mine"], completed="2026-01-03T00:00:00.000000+00:00")
    told = compare(model)
    assert any("3 tasks have the tag" in note for note in told.json["notes"])
    assert len(bearers(model.server)) == 3
    result = compare(model, "--tag-best")
    assert result.status == (1 if ours > 0.2 else 0)
    assert bearers(model.server) == [good if ours > 0.2 else mine]
    assert all({"keep", "mine"} & set(task["tags"]) for task in model.server.tasks.values())


def test_a_diverged_loss_never_becomes_best(model: Gate) -> None:
    """NaN arrives as 0.0, the perfect loss."""
    other = best_task(model, 0.2)
    model.task(metrics=loss(0.0))
    result = compare(model, "--tag-best")
    assert (result.status, result.json["outcome"], result.json["tagged"]) == (1, "missing", False)
    assert any("may have been NaN" in note for note in result.json["notes"])
    assert bearers(model.server) == [other]


def test_a_diverged_best_task_is_none(model: Gate) -> None:
    best_task(model, 0.0)
    mine = model.task(metrics=loss(0.4))
    result = compare(model, "--tag-best")
    assert (result.status, result.json["outcome"], result.json["best"]) == (0, "first", None)
    assert bearers(model.server) == [mine]


def test_zero_is_a_value_where_the_policy_says_so(gate: Gate) -> None:
    gate.repo.policy(*POLICY, "zero-is-a-value = true")
    best_task(gate, 0.2)
    mine = gate.task(metrics=loss(0.0))
    assert compare(gate, "--tag-best").json["outcome"] == "better"
    assert bearers(gate.server) == [mine]


@pytest.mark.parametrize("value", [float("nan"), float("inf"), float("-inf")])
def test_numbers_that_are_none_never_win(model: Gate, value: float) -> None:
    """A server keeps them when a client sends them raw."""
    other = best_task(model, 0.2)
    model.task(metrics=loss(value))
    result = compare(model, "--tag-best")
    assert (result.status, result.json["outcome"], result.json["current"]["value"]) == (1, "missing", None)
    assert bearers(model.server) == [other]


def test_the_metric_is_missing_in_ours(model: Gate) -> None:
    other = best_task(model, 0.2)
    model.task(metrics={"loss": {"training": 0.1, "val": 1.0}, "lr": {"lr": 0.1}, ":monitor:gpu": {"loss/train": 1.0}})
    result = compare(model, "--tag-best")
    assert (result.status, result.json["outcome"]) == (1, "missing")
    said = ["loss/train of this task was not reported", "it reported loss/training, loss/val, lr/lr"]
    assert result.json["notes"] == said
    assert bearers(model.server) == [other]


def test_the_metric_is_missing_in_the_best_task(model: Gate) -> None:
    other = best_task(model, None)
    model.task(metrics=loss(0.3))
    result = compare(model)
    assert (result.status, result.json["outcome"], result.json["best"]) == (0, "first", None)
    assert any(other in note and "was not reported" in note for note in result.json["notes"])


@pytest.mark.parametrize(
    "fields",
    [
        {"system_tags": ["archived"]},
        {"status": "failed"},
        {"status": "in_progress"},
        {"status": "created"},
        {"tags": ["best performance", f"{TAG}!", f"not {TAG}"]},
        {"project": "Visionary"},
        {"project": "Other"},
    ],
)
def test_what_is_no_best_task(model: Gate, fields: dict[str, Any]) -> None:
    other = best_task(model, 0.1, **fields)
    before = list(model.server.tasks[other]["tags"])
    mine = model.task(metrics=loss(0.3))
    result = compare(model, "--tag-best")
    assert (result.status, result.json["outcome"]) == (0, "first")
    assert model.server.tasks[other]["tags"] == before
    assert TAG in model.server.tasks[mine]["tags"]


@pytest.mark.parametrize("fields", [{"status": "published"}, {"project": "Vision"}, {"project": "Vision/a/b"}])
def test_what_is_a_best_task(model: Gate, fields: dict[str, Any]) -> None:
    other = best_task(model, 0.1)
    for key, value in fields.items():  # metrics cannot be put on a published task
        task = model.server.tasks[other]
        task[key] = model.server.add_project(value) if key == "project" else value
    model.task(metrics=loss(0.3))
    assert compare(model).json["best"]["task"]["id"] == other


def test_several_that_come_at_once_lose_the_tag_in_one_round(model: Gate) -> None:
    """More of them than there are rounds of reading back."""
    ours = model.task(metrics=loss(0.1))

    def rivals_come(call: str, body: object) -> None:
        if call == "tasks.update_tags":
            model.server.hook = None
            for _ in range(7):
                best_task(model, 0.5)

    model.server.hook = rivals_come
    result = compare(model, "--tag-best")
    assert (result.status, result.json["errors"]) == (0, [])
    assert bearers(model.server) == [ours]


def test_a_best_task_deleted_while_the_tag_moves(model: Gate) -> None:
    other = best_task(model, 0.2)
    mine = model.task(metrics=loss(0.1))

    def delete(call: str, body: Json) -> None:
        if call == "tasks.update_tags" and "remove_tags" in body:
            model.server.tasks.pop(other, None)

    model.server.hook = delete
    result = compare(model, "--tag-best")
    assert (result.status, result.json["tagged"]) == (0, True)
    assert bearers(model.server) == [mine]


def test_without_a_project_in_the_policy_others_best_tasks_are_left_alone(gate: Gate) -> None:
    gate.repo.policy(*POLICY)
    theirs = best_task(gate, 0.1, project="Elsewhere")
    mine = gate.task(metrics=loss(0.3))
    assert compare(gate, "--tag-best").json["outcome"] == "first"
    assert bearers(gate.server) == sorted([theirs, mine])


def test_a_task_without_a_project_has_no_rivals_in_the_projects_of_others(gate: Gate) -> None:
    gate.repo.policy(*POLICY)
    theirs = best_task(gate, 0.1, project="Elsewhere")
    mine = gate.task(metrics=loss(0.3), project="")
    assert compare(gate, "--tag-best").json["outcome"] == "first"
    assert bearers(gate.server) == sorted([theirs, mine])


def test_rejected(model: Gate) -> None:
    best_task(model, 0.2)
    model.task(metrics=loss(0.1), diff="- a\n+ b\n")
    result = compare(model, "--tag-best")
    assert (result.status, result.json["outcome"], result.json["current"]) == (1, "missing", None)
    assert "tasks.update_tags" not in result.calls
    shown = model.call("compare")
    assert "ran with uncommitted changes" in shown.out
    assert "next: git clearml run" in shown.out


def test_pending(model: Gate) -> None:
    best_task(model, 0.2)
    model.task(metrics=loss(0.1), status="in_progress")
    result = compare(model, "--tag-best")
    assert (result.status, result.json["outcome"], result.json["current"]) == (4, "undecided", None)
    assert "tasks.update_tags" not in result.calls


def test_undecided(model: Gate) -> None:
    result = compare(model, env={"CLEARML_API_HOST": f"http://127.0.0.1:{closed_port()}"})
    assert (result.status, result.json["outcome"], result.errors) == (3, "undecided", ["unreachable"])
    assert result.talk()[1]


def test_the_best_task_cannot_be_looked_up(model: Gate) -> None:
    model.task(metrics=loss(0.1))

    def break_the_next(call: str, body: Json) -> None:
        model.server.hook = None
        model.server.fail_next(403, FORBIDDEN)

    model.server.hook = break_the_next
    result = compare(model)
    assert (result.status, result.json["outcome"], result.errors) == (3, "undecided", ["forbidden"])


@pytest.mark.parametrize(("ours", "status", "outcome"), [(0.1, 3, "better"), (0.3, 1, "worse")])
def test_trouble_with_the_tag_is_told_and_hides_nothing(model: Gate, ours: float, status: int, outcome: str) -> None:
    best_task(model, 0.2)
    best_task(model, 0.25)
    model.task(metrics=loss(ours))
    model.server.fail_next(403, FORBIDDEN, call="tasks.update_tags")
    result = compare(model, "--tag-best")
    assert (result.status, result.json["outcome"], result.errors) == (status, outcome, ["publish-failed"])
    assert "could not finish moving the tag" in result.talk()[0]


@pytest.mark.parametrize(
    ("words", "code"),
    [
        ((), "usage"),
        (("--metric", "loss"), "bad-setting"),
        (("--metric", "loss/train", "--tolerance", "-1"), "bad-setting"),
        (("--metric", "loss/train", "--direction", "up"), "usage"),
        (("nosuch", "--metric", "loss/train"), "unknown-revision"),
    ],
)
def test_called_wrongly(gate: Gate, words: tuple[str, ...], code: str) -> None:
    gate.task(metrics=loss(0.1))
    result = compare(gate, *words)
    assert (result.status, result.json["outcome"], result.errors, result.calls) == (2, "undecided", [code], ())
    assert result.talk()[1]
    assert gate.call("compare", *words).out == ""


def test_flags_win_by_hand_and_the_policy_in_ci(model: Gate) -> None:
    on_main(model)
    best_task(model, 0.2)
    model.task(metrics={**loss(0.3), "acc": {"val": 0.5}})
    words = ("--metric", "acc/val", "--direction", "max", "--tolerance", "90%")
    by_hand = compare(model, *words)
    assert (by_hand.json["metric"], by_hand.status) == ("acc/val", 0)
    assert by_hand.json["notes"][-1] == "judged by your flags: --metric --direction --tolerance"
    result = compare(model, *words, env=CI)
    assert (result.json["metric"], result.json["direction"], result.status) == ("loss/train", "min", 1)
    assert result.err.count("is ignored") == 3


def test_in_ci_flags_count_where_there_is_no_policy(gate: Gate) -> None:
    on_main(gate)
    gate.task(metrics=loss(0.3))
    result = compare(gate, "--metric", "loss/train", "--tolerance", "3%", env=CI)
    assert (result.json["outcome"], result.json["tolerance"], result.err) == ("first", "3%", "")


def test_in_ci_the_tag_moves_only_when_told_that_it_may(model: Gate) -> None:
    on_main(model)
    other = best_task(model, 0.2)
    mine = model.task(metrics=loss(0.1))
    result = compare(model, "--tag-best", env=CI)
    assert (result.status, result.json["tagged"], bearers(model.server)) == (0, False, [other])
    assert "--tag-unmerged" in result.json["notes"][-1]
    assert compare(model, "--tag-best", "--tag-unmerged", env=CI).json["tagged"] is True
    assert bearers(model.server) == [mine]


def test_a_dry_run_says_what_it_would_do(model: Gate) -> None:
    other = best_task(model, 0.2)
    mine = model.task(metrics=loss(0.1))
    result = compare(model, "--tag-best", "-n")
    assert result.json["notes"] == [f"would put the tag 'Best Performance' on {mine} and take it from {other}"]
    assert bearers(model.server) == [other]


def test_without_a_server(gate: Gate) -> None:
    gate.repo.policy(*POLICY, 'tag = "x"')
    gone: dict[str, str | None] = dict.fromkeys(gate.server.env)
    result = compare(gate, env=gone)
    assert (result.status, result.json["outcome"]) == (1, "missing")
    told = compare(gate, "--tag-best", env=gone)
    assert (told.status, told.errors) == (2, ["usage"])


@pytest.mark.parametrize("form", ["text", "markdown"])
def test_other_forms_have_the_same_status(model: Gate, form: str) -> None:
    best_task(model, 0.2, name="the <best> | one")
    model.task(metrics=loss(0.3))
    result = model.call("compare", "--format", form)
    assert result.status == 1
    assert "worse than the best task" in result.out
    assert "0.3" in result.out


def test_quiet_says_nothing_of_a_pass(model: Gate) -> None:
    model.task(metrics=loss(0.3))
    assert model.call("compare", "-q").out == ""


# Many at once.

VALUES = [0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, *[0.05] * 8]


@pytest.fixture
def rivals(model: Gate) -> list[tuple[str, str]]:
    """Sixteen commits, each with its task: (commit, task); the last is the best by the total order.

    An old best task is there, and every task bears another tag as well.
    """
    best_task(model, 0.9)
    commits = fast_history(model.repo, len(VALUES))
    on_main(model)
    made = []
    for number, (commit, value) in enumerate(zip(commits, VALUES, strict=True)):
        moment = f"2026-01-02T03:04:{number:02}.000000+00:00"
        task = model.server.add_task(commit=commit, metrics=loss(value), tags=["keep"], completed=moment)
        made.append((commit, task))
    return made


def all_at_once(gate: Gate, commits: Sequence[str]) -> Iterator[tuple[str, subprocess.Popen[bytes]]]:
    """A process of `compare --tag-best --tag-unmerged` for each commit, started one after the other."""
    for commit in commits:
        yield (
            commit,
            subprocess.Popen(
                command("compare", commit, "--tag-best", "--tag-unmerged", "--format", "json"),
                cwd=gate.repo.path,
                env=process_environment({**gate.server.env, **CI}),
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
            ),
        )


def assert_one_best(gate: Gate) -> None:
    """Exactly one bears the tag, it is a best one, and nobody lost another tag."""
    (name,) = bearers(gate.server)
    entry = next(iter(next(iter(gate.server.tasks[name]["last_metrics"].values())).values()))
    assert entry["value"] == min(VALUES)
    assert all("keep" in task["tags"] for task in gate.server.tasks.values())


@pytest.mark.parametrize("step", [5, pytest.param(1, marks=pytest.mark.slow)])
def test_four_or_sixteen_at_once_leave_one_best_task(model: Gate, rivals: list[tuple[str, str]], step: int) -> None:
    model.server.latency = 0.02
    running = dict(all_at_once(model, [commit for commit, _ in rivals[::step]]))
    for process in running.values():
        out, err = process.communicate(timeout=120)
        assert process.returncode in (0, 1), (out, err)
        assert err == b""
    assert_one_best(model)


@pytest.mark.slow
@pytest.mark.parametrize("moment", ["add_tags", "remove_tags"])
def test_one_of_sixteen_is_killed_half_way(model: Gate, rivals: list[tuple[str, str]], moment: str) -> None:
    """It has put its tag on, or is about to take the old one away. The others, and the next run, mend that."""
    (victim, its_task), *others = rivals[::-1]
    running: dict[str, subprocess.Popen[bytes]] = {}
    started = threading.Event()

    def kill(call: str, body: Json) -> None:
        if call == "tasks.update_tags" and moment in body and (moment == "remove_tags" or its_task in body["ids"]):
            model.server.hook = None
            started.wait(60)
            running[victim].kill()
            if moment == "remove_tags":
                raise ConnectionError("it never arrived")

    model.server.hook = kill
    running |= all_at_once(model, [victim])
    started.set()
    if moment == "remove_tags":  # whoever takes a tag away while it is alone is the victim
        running[victim].wait(60)
        assert len(bearers(model.server)) == 2
    running |= all_at_once(model, [commit for commit, _ in others])
    for process in running.values():
        process.communicate(timeout=120)
    assert running.pop(victim).returncode == -signal.SIGKILL
    assert {process.returncode for process in running.values()} <= {0, 1}
    compare(model, rivals[0][0], "--tag-best")
    assert_one_best(model)


class Together(ServerEvidence):
    """Waits, after it has looked the best task up for the first time, until all others have done so too."""

    gate: threading.Barrier | None = None

    def tagged(self, tag: str, policy: Policy) -> list[Task]:
        found = super().tagged(tag, policy)
        if self.gate is not None:
            barrier, self.gate = self.gate, None
            barrier.wait(60)
        return found


def test_sixteen_that_all_saw_the_same_best_task(model: Gate, rivals: list[tuple[str, str]]) -> None:
    """The worst race there can be: everybody decides on the same old facts, then everybody writes."""
    server = clearml_conf.read_server({**os.environ, **model.server.env})
    assert server is not None
    barrier = threading.Barrier(len(rivals))
    policy = Policy(project="Vision", best=Best(metric="loss/train", direction="min"))
    results: list[Comparison] = []

    def settle(commit: str, task: str) -> None:
        source = Together(ClearML(server, 60, environment={}))
        current = source.find(task, policy)
        source.gate = barrier
        verdict = Verdict(commit, Outcome.VERIFIED, task=current)
        results.append(best_tag.move_best_tag(source, verdict, policy, may_write=best_tag.MayWrite(True)))
        source.close()

    threads = [threading.Thread(target=settle, args=rival) for rival in rivals]
    each(threads, threading.Thread.start)
    each(threads, lambda thread: thread.join(120))
    assert [(result.outcome, result.status, result.problems) for result in results] == [
        (ComparisonOutcome.BETTER, 0, ())
    ] * len(rivals)
    assert_one_best(model)
    assert [result.current.id for result in results if result.tagged and result.current] == bearers(model.server)


def each(threads: list[threading.Thread], act: Callable[[threading.Thread], object]) -> None:
    for thread in threads:
        act(thread)
