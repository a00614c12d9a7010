"""`[[metrics]]` in the verdict, asked of a server and of run records: what is asked for, and what is said."""

from __future__ import annotations

from datetime import datetime, timedelta, timezone
from typing import Any

import pytest

from git_clearml.clearml.response import metric_keys
from git_clearml.record import lockfile
from tests.integration.verdict.test_bounds import sent, sweep
from tests.support.program import Gate, Result

ACCURACY = ("[[tool.git-clearml.metrics]]", 'metric = "validation/accuracy"')
LATENCY = ("[[tool.git-clearml.metrics]]", 'metric = "latency/p99"', 'direction = "min"')
BEST = ("[tool.git-clearml.best]", 'metric = "validation/accuracy"')
OWN_DIFF = (
    "diff --git a/requirements.txt b/requirements.txt\n--- a/requirements.txt\n+++ b/requirements.txt\n"
    "@@ -0,0 +1,1 @@\n+clearml\n"
)
BY_AGENT = {"last_worker": "builder:0", "runtime": {"_exec_agent_hostname": "builder"}}
DIRTY = "diff --git a/train.py b/train.py\n--- a/train.py\n+++ b/train.py\n@@ -1 +1 @@\n-a\n+b\n"


def measured(gate: Gate, *values: float | None, **fields: Any) -> list[str]:
    """Tasks of HEAD with these accuracies, None for none."""
    metrics: list[dict[str, Any]] = [{} if value is None else {"validation": {"accuracy": value}} for value in values]
    return [gate.task(metrics=each, **fields) for each in metrics]


def row(result: Result, number: int = 0) -> dict[str, Any]:
    metric = result.commit["metrics"][number]
    assert isinstance(metric, dict)
    return metric


def test_limits_cost_no_further_request(gate: Gate) -> None:
    gate.repo.policy(*ACCURACY, "at-least = 0.8", *LATENCY, "at-most = 20")
    gate.task(metrics={"validation": {"accuracy": 0.8}, "latency": {"p99": 20.0}, "train": {"loss": 0.1}})
    result = gate.accepts()
    assert row(result) == {
        "metric": "validation/accuracy",
        "direction": "max",
        "value": 0.8,
        "runs": 1,
        "at_least": 0.8,
        "at_most": None,
        "baseline": None,
        "tolerance": "0",
        "outcome": "pass",
    }
    assert (row(result, 1)["value"], row(result, 1)["outcome"]) == (20.0, "pass")
    (request,) = gate.server.requests
    fields = [field for field in request.body["only_fields"] if field.startswith("last_metrics")]
    assert len(fields) == 2  # of three that were reported


@pytest.mark.parametrize(
    ("lines", "values", "codes", "hint"),
    [
        (["at-least = 0.8"], [0.79], ["metric-limit"], "git clearml run -- python train.py"),
        (["at-most = 0.8"], [0.81], ["metric-limit"], "git clearml show"),
        (["at-least = 0.8"], [None], ["metric-missing"], "git clearml report"),
        (['direction = "min"'], [0.0], ["metric-missing"], "git clearml report"),
        (['of = "worst"', "at-least = 0.8"], [0.9, 0.7], ["metric-limit"], "git clearml show"),
    ],
)
def test_what_is_refused_and_what_is_next(
    gate: Gate, lines: list[str], values: list[float | None], codes: list[str], hint: str
) -> None:
    gate.repo.policy(*ACCURACY, *lines)
    measured(gate, *values)
    result = gate.refuses(*codes)
    assert result.json["hint"] == (f"{hint} {list(gate.server.tasks)[-1]}" if hint.endswith("show") else hint)
    assert "validation/accuracy" in result.messages[0]
    assert result.commit["task"] is None
    assert result.commit["evidence"] == {"considered": len(values), "accepted": len(values)}
    assert row(result)["outcome"] in ("fail", "missing")


def test_too_few_runs_and_the_one_that_is_still_waiting(gate: Gate) -> None:
    gate.repo.policy(*ACCURACY, "min-runs = 3", 'of = "median"', "at-least = 0.7")
    measured(gate, 0.8, 0.6)
    result = gate.refuses("too-few-runs")
    assert result.json["hint"] == "git clearml run -- python train.py"
    (waiting,) = measured(gate, None, status="queued", completed=None)
    pending = gate.verify()
    assert (pending.status, pending.json["outcome"], pending.codes) == (4, "pending", ["queued"])
    assert pending.json["hint"] == "git clearml verify --wait"
    gate.server.tasks[waiting]["status"] = "failed"
    assert gate.verify().status == 1
    measured(gate, 0.7)
    result = gate.accepts()
    assert (row(result)["value"], row(result)["runs"]) == (0.7, 3)


def test_a_policy_of_today_asks_for_what_it_asked_for(gate: Gate) -> None:
    measured(gate, 0.8)
    result = gate.accepts()
    assert "metrics" not in result.commit
    (request,) = gate.server.requests
    assert not [field for field in request.body["only_fields"] if field.startswith("last_metrics")]


def test_a_sweep_of_700_tasks(gate: Gate) -> None:
    """Limits of the best run are one small answer; what every run decides takes one more for each 500."""
    gate.repo.policy(*ACCURACY, "at-least = 0.99", "min-runs = 5")
    tasks = sweep(gate, 700)
    assert row(gate.accepts())["value"] == 699 / 700  # with the records of a run of all of them
    assert sent(gate) < 64_000

    def policy(*lines: str) -> None:
        gate.repo.policy(*lines)
        for task in tasks:
            gate.server.tasks[task]["script"]["version_num"] = gate.repo.head
            gate.server.tasks[task]["hyperparams"] = {}

    policy(*ACCURACY, "at-least = 0.99", "at-most = 0.9999", "min-runs = 5")
    result = gate.accepts()
    assert row(result)["value"] == 699 / 700
    assert sent(gate) < 64_000
    policy(*BEST, *ACCURACY, "at-least = 0.99", *LATENCY, "at-most = 1")
    assert gate.verify().status == 1
    policy(*BEST, *ACCURACY, *RECALL, "at-least = 0.5")
    for number, task in enumerate(tasks):
        put_recall(gate, task, 0.5 if number else 0.9)
    gate.server.tasks[gate.task(metrics=both(0.5, 0.8), commit="c" * 40)]["tags"] = ["Best Performance"]
    assert row(gate.accepts(), 1)["value"] == 0.5  # of the first ten: enough for the limit
    assert sent(gate) < 64_000
    assert outcomes(compare(gate))[1] == (0.9, 0.8, "pass")  # what is compared is the best of all
    policy(*ACCURACY, 'of = "median"', "at-least = 0.49")
    result = gate.accepts(requests=2)
    assert (row(result)["value"], row(result)["runs"]) == (349 / 700, 700)
    policy(*ACCURACY, 'of = "worst"', "at-least = 0.49")
    assert gate.verify().status == 1


def test_seeds_of_one_commit_are_one_small_answer(gate: Gate) -> None:
    gate.repo.policy(*ACCURACY, 'of = "worst"', "min-runs = 20", "at-least = 0.5", *LATENCY, "at-most = 1")
    for number in range(20):
        gate.task(metrics={"validation": {"accuracy": 0.5 + number / 100}, "latency": {"p99": 1.0}})
    assert row(gate.accepts())["value"] == 0.5
    assert sent(gate) < 64_000


def test_an_old_commit_s_runs_are_all_looked_at(gate: Gate) -> None:
    """A bad one among them that the last days do not show."""
    gate.repo.policy(*ACCURACY, 'of = "worst"', "at-least = 0.8")
    old = datetime.now(timezone.utc) - timedelta(days=30)
    gate.repo.git(
        "commit", "--amend", "--no-edit", f"--date={old.isoformat()}", env={"GIT_COMMITTER_DATE": old.isoformat()}
    )
    measured(gate, 0.9)
    (bad,) = measured(gate, 0.5)
    moment = (old + timedelta(days=1)).isoformat()
    gate.server.tasks[bad].update(completed=moment, last_update=moment)
    result = gate.verify()
    assert (result.status, result.codes) == (1, ["metric-limit"])
    gate.server.tasks[bad]["status"] = "failed"
    assert gate.verify().status == 0


def test_of_all_refs_of_a_push_the_first_answer_tells(gate: Gate) -> None:
    gate.repo.policy(*ACCURACY, 'of = "median"', "at-least = 0.5")
    revs = []
    for number in range(5):
        revs.append(gate.repo.commit(f"number {number}"))
        measured(gate, 0.4, 0.6, 0.7)
    result = gate.accepts(*revs)
    assert [commit["metrics"][0]["value"] for commit in result.json["commits"]] == [0.6] * 5


def test_it_is_shown(gate: Gate) -> None:
    gate.repo.policy(*ACCURACY, "at-least = 0.8", 'of = "median"')
    measured(gate, 0.5, 0.6)
    for form in ("text", "markdown"):
        out = gate.call("verify", "--format", form).out
        assert "validation/accuracy" in out
        assert "median of 2 runs" in out
        assert "≥ 0.8" in out


# --- baselines


def compare(gate: Gate, *words: str, **options: Any) -> Result:
    return gate.call("compare", "--format", "json", *words, **options)


def outcomes(result: Result) -> list[tuple[float | None, float | None, str]]:
    return [(each["value"], each["baseline"], each["outcome"]) for each in result.json["metrics"]]


def both(accuracy: float, recall: float) -> dict[str, Any]:
    return {"validation": {"accuracy": accuracy, "recall": recall}}


RECALL = ("[[tool.git-clearml.metrics]]", 'metric = "validation/recall"')


def test_several_metrics_against_the_best_task(gate: Gate) -> None:
    gate.repo.policy(*BEST, *ACCURACY, *RECALL, 'tolerance = "1%"')
    best = gate.task(metrics=both(0.8, 0.9), tags=["Best Performance"], commit="c" * 40)
    ours = gate.task(metrics=both(0.85, 0.89))
    result = compare(gate)
    assert (result.status, result.json["outcome"], result.json["metric"]) == (1, "better", "validation/accuracy")
    assert (result.json["current"]["task"]["id"], result.json["best"]["task"]["id"]) == (ours, best)
    assert outcomes(result) == [(0.85, 0.8, "pass"), (0.89, 0.9, "fail")]
    verified = gate.verify("--compare")
    assert (verified.status, verified.json["outcome"], verified.json["exit_code"]) == (1, "verified", 1)
    assert verified.codes == ["metric-worse"]
    assert verified.commit["metrics"][1]["baseline"] == 0.9
    assert verified.json["hint"] == f"git clearml diff {best} {ours}"
    # the best tag follows [best] alone
    tagged = gate.verify("--tag-best")
    assert (tagged.status, tagged.json["compare"]["tagged"]) == (1, True)
    assert gate.server.tasks[best]["tags"] == []
    gate.server.tasks[best]["tags"] = ["Best Performance"]
    gate.server.tasks[ours]["tags"] = []
    # without --compare a verdict compares nothing, and asks for nothing more
    assert gate.accepts().commit["metrics"][1]["baseline"] is None
    for form in ("text", "markdown"):
        for words in (("compare",), ("verify", "--compare")):
            out = gate.call(*words, "--format", form).out
            assert "worse than the policy allows" in out
            assert out.count("0.9 ± 1% (the best task)") == 1


def test_one_metric_by_hand_is_another_question(gate: Gate) -> None:
    gate.repo.policy(*ACCURACY, *RECALL)
    gate.task(metrics=both(0.8, 0.9), tags=["Best Performance"], commit="c" * 40)
    gate.task(metrics=both(0.7, 0.95))
    assert compare(gate).status == 1
    result = compare(gate, "--metric", "validation/recall")
    assert (result.status, result.json["outcome"], "metrics" in result.json) == (0, "better", False)


def test_the_base_is_where_the_commit_left_the_default_branch(gate: Gate) -> None:
    gate.repo.policy(*ACCURACY, 'against = "base"', 'of = "median"', *RECALL, 'against = "none"')
    measured(gate, 0.5, 0.8, 0.9)
    base = gate.repo.head
    gate.repo.default_branch(base)
    gate.repo.commit("one")
    measured(gate, 0.95)
    gate.repo.commit("two")
    for task in measured(gate, 0.79):
        put_recall(gate, task)
    result = compare(gate)
    assert (result.status, outcomes(result)) == (1, [(0.79, 0.8, "fail"), (0.5, None, "pass")])
    best = result.json["best"]["task"]
    assert best["commit"] == base
    assert (
        gate.verify("--compare").json["hint"] == f"git clearml diff {best['id']} {result.json['current']['task']['id']}"
    )
    assert len(result.calls) <= 2
    junit = gate.repo.path / "reports" / "junit.xml"
    assert gate.verify("--compare", "--reports", str(junit.parent)).status == 1
    assert 'message="fail: value 0.79, runs 1, baseline 0.8, tolerance 0"' in junit.read_text()
    measured(gate, 0.9, 0.8)
    for task in measured(gate, 0.85):
        put_recall(gate, task)
    assert compare(gate).json["metrics"][0]["outcome"] == "pass"
    # on the default branch itself it is the first parent
    gate.repo.default_branch(gate.repo.head)
    assert compare(gate).json["metrics"][0]["baseline"] == 0.95
    gate.repo.git("checkout", "-q", "--orphan", "new")
    gate.repo.commit("root")
    for task in measured(gate, 0.1):
        put_recall(gate, task)
    result = compare(gate)
    assert (result.status, result.json["outcome"], outcomes(result)[0]) == (0, "first", (0.1, None, "pass"))


@pytest.mark.parametrize("fields", [{"diff": None, **BY_AGENT}, {"diff": OWN_DIFF}, {"days": 12}])
@pytest.mark.parametrize("direction", ["max", "min"])
def test_the_best_run_of_the_base_is_seen_whatever_its_diff_says(
    gate: Gate, fields: dict[str, Any], direction: str
) -> None:
    """Else one is compared with a worse baseline than there is."""
    gate.repo.policy(*ACCURACY, 'against = "base"', f'direction = "{direction}"')
    made = (datetime.now(timezone.utc) - timedelta(days=20)).isoformat()
    gate.repo.git("commit", "--amend", "--no-edit", env={"GIT_COMMITTER_DATE": made})
    values = (0.8, 0.95, 0.85) if direction == "max" else (0.8, 0.65, 0.75)
    measured(gate, values[0])
    days = timedelta(days=fields.get("days", 0))
    moment = (datetime.now(timezone.utc) - days).isoformat()
    (best,) = measured(gate, values[1], **{key: value for key, value in fields.items() if key != "days"})
    gate.server.tasks[best].update(completed=moment, last_update=moment)
    gate.repo.default_branch(gate.repo.head)
    gate.repo.commit("next")
    measured(gate, values[2])
    assert outcomes(compare(gate)) == [(values[2], values[1], "fail")]


def put_recall(gate: Gate, task: str, value: float = 0.5) -> None:
    """The task has reported one more metric."""
    [(title, series)] = metric_keys("validation/recall")
    entries = gate.server.tasks[task]["last_metrics"][title]
    entry = next(iter(entries.values()))
    entries[series] = {**entry, "variant": "recall", "value": value, "min_value": value, "max_value": value}


@pytest.mark.parametrize(
    ("trailer", "lines", "outcome"),
    [
        ("ClearML-Accept: validation/accuracy: a smaller model", [], "accepted"),
        ("clearml-accept: validation/accuracy: a\n  smaller model", [], "accepted"),
        ("ClearML-Accept: validation/accuracy:", [], "fail"),
        ("ClearML-Accept: validation/recall: a smaller model", [], "fail"),
        ("", [], "fail"),
        ("ClearML-Accept: validation/accuracy: a smaller model\n\nand then no trailer", [], "fail"),
        ("ClearML-Accept: validation/accuracy: a smaller model", ["at-least = 0.75"], "fail"),
    ],
)
def test_a_trailer_accepts_what_is_worse(gate: Gate, trailer: str, lines: list[str], outcome: str) -> None:
    gate.repo.policy("accept-trailer = true", *ACCURACY, *lines)
    gate.repo.commit(f"Use a smaller model\n\n{trailer}\nSigned-off-by: A <a@example.com>" if trailer else "worse")
    gate.task(metrics=both(0.8, 0.9), tags=["Best Performance"], commit="c" * 40)
    gate.task(metrics=both(0.7, 0.9))
    result = compare(gate)
    (metric,) = result.json["metrics"]
    assert (metric["outcome"], metric.get("reason")) == (
        outcome,
        "a smaller model" if outcome == "accepted" else None,
    )
    assert result.status == (0 if outcome == "accepted" else 1)
    if outcome == "accepted":
        assert "accepted: a smaller model" in gate.call("verify", "--compare").out
        gate.repo.policy(*ACCURACY)  # a policy that has not asked for it
        gate.repo.git("commit", "--amend", "--allow-empty", "-qm", f"x\n\n{trailer}")
        gate.task(metrics=both(0.7, 0.9))
        assert compare(gate).json["metrics"][0]["outcome"] == "fail"


TRAILER = "ClearML-Accept: validation/accuracy: a smaller model"


@pytest.mark.needs("git 2.38")
def test_a_results_commit_and_a_clean_merge_stand_on_what_their_run_has_accepted(gate: Gate) -> None:
    gate.repo.policy("accept-trailer = true", 'merges = "clean"', *ACCURACY)
    gate.repo.default_branch(gate.repo.head)
    gate.task(metrics=both(0.8, 0.9), tags=["Best Performance"])
    gate.repo.git("checkout", "-qb", "feature")
    ran = gate.repo.commit(f"Use a smaller model\n\n{TRAILER}", {"train.py": "2"})
    gate.task(metrics=both(0.7, 0.9))
    gate.repo.commit("results", {"clearml.lock": lockfile.to_text(ran, [])})
    result = compare(gate)
    assert (result.status, result.json["metrics"][0]["reason"]) == (0, "a smaller model")
    gate.repo.git("checkout", "-q", "main")
    gate.repo.default_branch(gate.repo.commit("other", {"other.txt": "1"}))
    gate.repo.git("merge", "-q", "--no-ff", "-m", "Merge the smaller model", ran)
    result = compare(gate)
    assert (result.status, result.json["metrics"][0]["outcome"]) == (0, "accepted")
    gate.repo.git("commit", "-q", "--amend", "--no-edit", "--allow-empty", "--reset-author")
    gate.task(metrics=both(0.7, 0.9))  # a run of its own has a message of its own
    assert (compare(gate).status, compare(gate).json["metrics"][0]["outcome"]) == (1, "fail")


@pytest.mark.parametrize(
    ("message", "note"),
    [
        (f"x\n\n{TRAILER}\n\nCo-authored-by: B <b@example.com>", "not in the last paragraph"),
        ("x\n\nClearML-Accept: validation/acuracy: a smaller model", "no metric of the policy"),
        ("x\n\nClearML-Accept: validation/accuracy", "or no reason"),
    ],
)
def test_a_trailer_that_accepts_nothing_is_named(gate: Gate, message: str, note: str) -> None:
    gate.repo.policy("accept-trailer = true", *ACCURACY)
    gate.repo.commit(message)
    gate.task(metrics=both(0.8, 0.9), tags=["Best Performance"], commit="c" * 40)
    gate.task(metrics=both(0.7, 0.9))
    result = compare(gate)
    assert result.status == 1
    assert any("ClearML-Accept accepts nothing" in each and note in each for each in result.json["notes"])
    assert any("ClearML-Accept: validation/accuracy: <why>" in each for each in result.json["notes"])


def test_a_warning_is_no_failure(gate: Gate) -> None:
    gate.repo.policy(*ACCURACY, 'on-worse = "warn"')
    gate.task(metrics=both(0.8, 0.9), tags=["Best Performance"], commit="c" * 40)
    gate.task(metrics=both(0.7, 0.9))
    result = compare(gate)
    assert (result.status, outcomes(result)) == (0, [(0.7, 0.8, "warned")])


def test_without_a_task_there_is_nothing_to_compare(gate: Gate) -> None:
    gate.repo.policy(*ACCURACY, "at-least = 0.8")
    result = compare(gate)
    assert (result.status, result.json["outcome"], result.json["current"]) == (1, "missing", None)
    gate.task(metrics=both(0.7, 0.9))
    result = compare(gate)
    assert (result.status, result.json["outcome"]) == (1, "missing")
    assert "must be at least 0.8" in result.json["notes"][0]


def test_compare_needs_a_metric(gate: Gate) -> None:
    assert gate.verify("--compare").status == 2
    gate.repo.policy(*ACCURACY)
    assert gate.verify("--tag-best").errors == ["usage"]


def test_the_report_shows_the_spread_of_several_runs(gate: Gate) -> None:
    gate.repo.policy(*ACCURACY, 'of = "worst"', "at-least = 0.5")
    tasks = measured(gate, 0.4, 0.9, 0.7, None)
    result = gate.call("report", "--format", "json")
    assert (result.status, result.json["outcome"], result.json["task"]["id"]) == (1, "rejected", tasks[1])
    assert result.json["spread"] == [
        {"metric": "validation/accuracy", "runs": 3, "best": 0.9, "median": 0.7, "worst": 0.4}
    ]
    for form in ("text", "markdown"):
        out = gate.call("report", "--format", form).out.lower()
        assert "of the runs that count" in out
        assert "missing" in out
    for task in tasks[:1] + tasks[3:]:
        gate.server.tasks[task]["status"] = "failed"
    assert gate.call("report").status == 0


def test_runs_of_equal_commits_count_together(gate: Gate) -> None:
    gate.repo.policy('equivalence = "tree"', *ACCURACY, "min-runs = 2")
    measured(gate, 0.8)
    gate.repo.git("commit", "--amend", "-qm", "reworded")
    measured(gate, 0.9)
    result = gate.verify()
    assert (result.status, row(result)["runs"]) == (0, 2)


@pytest.mark.parametrize("lines", [['equivalence = "tree"'], ['equivalence = "paths"', 'code-paths = ["train.py"]']])
@pytest.mark.parametrize("values", [(0.1, 0.9), (0.9, 0.1)])
def test_a_bad_run_is_not_hidden_by_a_good_one_of_an_equal_commit(
    gate: Gate, lines: list[str], values: tuple[float, float]
) -> None:
    gate.repo.policy(*lines, *ACCURACY, 'of = "worst"', "at-least = 0.8")
    measured(gate, values[0])
    gate.repo.git("commit", "--amend", "-qm", "reworded")
    measured(gate, values[1])
    better = list(gate.server.tasks)[values.index(0.9)]
    result = gate.verify()
    assert (result.status, result.codes, row(result)["value"]) == (1, ["metric-limit"], 0.1)
    for task in gate.server.tasks.values():
        task["last_metrics"] = gate.server.tasks[better]["last_metrics"]
    gate.accepts(requests=2)  # one for runs whose record names the tree


@pytest.mark.parametrize("lines", [['of = "worst"', "at-least = 0.8"], ['direction = "min"', "at-least = 0.8"]])
@pytest.mark.parametrize(
    ("fields", "counts"),
    [
        ({"diff": OWN_DIFF}, True),
        ({"diff": None, **BY_AGENT}, True),
        ({"diff": None, "last_worker": "gpu 7: first", "runtime": {"_exec_agent_hostname": "x"}}, True),
        ({"diff": None}, False),  # whether it was clean is unknown: it counts for nothing
        ({"diff": None, **BY_AGENT, "system_tags": ["development"]}, False),
        ({"diff": DIRTY, **BY_AGENT}, False),
        ({"diff": DIRTY}, False),
    ],
)
def test_a_bad_run_is_seen_whatever_its_diff_says(
    gate: Gate, lines: list[str], fields: dict[str, Any], counts: bool
) -> None:
    """One without a diff field, too, which no server can be asked for: an agent ran it, and by that it is found."""
    gate.repo.policy(*ACCURACY, *lines)
    measured(gate, 0.9)
    measured(gate, 0.1, **fields)
    if counts:
        gate.refuses("metric-limit")
    else:
        gate.accepts()


def test_what_was_run_with_changes_by_hand_is_not_sent(gate: Gate) -> None:
    gate.repo.policy(*ACCURACY, 'of = "worst"', "at-least = 0.8")
    measured(gate, 0.9)
    measured(gate, 0.1, diff=DIRTY + "+x\n" * 100_000)
    gate.accepts()
    assert sent(gate) < 64_000


def test_an_upper_limit_of_the_best_run_is_that_of_all_windows(gate: Gate) -> None:
    gate.repo.policy(*ACCURACY, "at-most = 0.99")
    old = datetime.now(timezone.utc) - timedelta(days=30)
    moment = old.isoformat()
    gate.repo.git("commit", "--amend", "--no-edit", f"--date={moment}", env={"GIT_COMMITTER_DATE": moment})
    for task, days in zip(measured(gate, 0.9, 0.999), (1, 20), strict=True):
        moment = (old + timedelta(days=days)).isoformat()
        gate.server.tasks[task].update(completed=moment, last_update=moment)
    result = gate.verify()
    assert (result.status, row(result)["value"]) == (1, 0.999)


@pytest.mark.needs("git 2.38")
@pytest.mark.parametrize("days", [0, 30])
def test_a_bad_run_of_a_clean_merge_is_not_hidden_by_its_halves(gate: Gate, days: int) -> None:
    made = (datetime.now(timezone.utc) - timedelta(days=days)).isoformat()
    env = {"GIT_COMMITTER_DATE": made}
    gate.repo.policy('merges = "clean"', *ACCURACY, 'of = "worst"', "at-least = 0.8")
    gate.repo.git("checkout", "-qb", "feature")
    for branch, name in (("feature", "a.py"), ("main", "b.py")):
        gate.repo.git("checkout", "-q", branch)
        gate.repo.write({name: "1"})
        gate.repo.git("add", name)
        gate.repo.git("commit", "-qm", name, env=env)
        measured(gate, 0.9)
    gate.repo.default_branch(gate.repo.head)
    gate.repo.git("merge", "-q", "--no-ff", "--no-edit", "feature", env=env)
    result = gate.verify()
    assert (result.status, result.commit["equivalence"], row(result)["value"]) == (0, "merge", 0.9)
    (bad,) = measured(gate, 0.1)
    moment = (datetime.now(timezone.utc) - timedelta(days=days / 2)).isoformat()
    gate.server.tasks[bad].update(completed=moment, last_update=moment)
    assert gate.verify().status == 1
