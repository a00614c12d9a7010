"""`[[require]]`: a train and an evaluation, the models of a monorepo; and what each of them costs a server."""

from __future__ import annotations

import random
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import pytest

from git_clearml.git.repository import Repository
from git_clearml.settings.policy import Policy, Require
from git_clearml.verdict import requirements
from git_clearml.verdict.equivalence import EquivalentCommits
from tests.support.program import Gate, Result
from tests.support.repos import REPOSITORY, Repo

MODELS = ("detector", "segmenter", "tracker")


def monorepo(repo: Repo) -> None:
    repo.write({f"{model}/{name}": model for model in MODELS for name in ("train.py", "net.py")})
    repo.write({"common/util.py": "1", "docs/readme.md": "1"})
    rows = []
    for model in MODELS:
        rows += ["[[tool.git-clearml.require]]", f'name = "{model}"', f'entry-point = "{model}/train.py"']
        rows += [f'code-paths = ["{model}/**", "common/**"]']
    repo.policy(*rows)


@pytest.fixture
def models(gate: Gate) -> Gate:
    """A monorepo of three models, each trained at HEAD."""
    monorepo(gate.repo)
    train(gate, *MODELS)
    return gate


def train(gate: Gate, *names: str, **fields: Any) -> list[str]:
    return [gate.task(**{"name": f"train {name}", "entry_point": f"{name}/train.py", **fields}) for name in names]


def outcomes(result: Result) -> dict[str, str]:
    return {each["name"]: each["outcome"] for each in result.commit["requirements"]}


def senses(result: Result) -> list[str]:
    return [each["equivalence"] for each in result.commit["requirements"]]


def test_each_model_has_its_task(models: Gate) -> None:
    result = models.accepts()
    assert outcomes(result) == dict.fromkeys(MODELS, "verified")
    assert senses(result) == ["commit"] * 3
    assert result.commit["task"]["name"] == "train detector"


def test_a_push_that_touches_docs_asks_for_nothing(models: Gate) -> None:
    ran = models.repo.head
    models.repo.commit("docs", {"docs/readme.md": "2", "README.md": "x"})
    result = models.accepts()
    assert senses(result) == ["paths"] * 3
    assert {each["evidence_commit"] for each in result.commit["requirements"]} == {ran}


def test_a_push_that_touches_one_model_asks_for_that_one(models: Gate) -> None:
    models.repo.commit("a better net", {"segmenter/net.py": "2"})
    result = models.verify()
    assert (result.status, len(result.calls)) == (1, 3)
    assert outcomes(result) == {"detector": "verified", "segmenter": "rejected", "tracker": "verified"}
    assert result.json["hint"] == "git clearml run -- python segmenter/train.py"
    train(models, "segmenter")
    assert senses(models.accepts()) == ["paths", "commit", "paths"]
    models.repo.commit("common code", {"common/util.py": "2"})
    assert set(outcomes(models.verify()).values()) == {"rejected"}


def test_a_train_and_an_evaluation(gate: Gate) -> None:
    gate.repo.write({"evaluate.py": "1"})
    gate.repo.policy(
        'project = "Vision"', "[[tool.git-clearml.require]]", 'name = "train"', 'task-name = "train"',
        "[[tool.git-clearml.require]]", 'name = "evaluation"', 'entry-point = "evaluate.py"', 'project = "Vision/Eval"',
    )  # fmt: skip
    gate.task()
    result = gate.verify()
    assert (outcomes(result), result.json["hint"]) == (
        {"train": "verified", "evaluation": "rejected"},
        "git clearml run -- python evaluate.py",
    )
    assert [each["near_misses"] for each in result.commit["requirements"]] == [[], []]  # a training is none of these
    evaluation = {"name": "evaluation", "entry_point": "evaluate.py", "project": "Vision/Eval/small"}
    failed = gate.task(**evaluation, status="failed")
    misses = gate.verify().commit["requirements"][1]["near_misses"]
    assert [(miss["task"]["id"], miss["reasons"][0]["code"]) for miss in misses] == [(failed, "failed")]
    gate.task(**evaluation, status="in_progress")
    assert (gate.verify().status, outcomes(gate.verify())["evaluation"]) == (4, "pending")
    gate.task(**evaluation)
    assert outcomes(gate.accepts()) == {"train": "verified", "evaluation": "verified"}


@pytest.mark.parametrize(
    ("fields", "met"),
    [
        ({}, True),
        ({"entry_point": "train.py", "working_dir": "detector"}, True),
        ({"entry_point": "-m detector.train --lr 1"}, True),
        ({"entry_point": "detector/train.py --data x"}, True),
        ({"entry_point": "segmenter/train.py detector/train.py"}, False),
        ({"entry_point": "train.py", "working_dir": "segmenter"}, False),
        ({"entry_point": "detector/net.py"}, False),
        ({"entry_point": ""}, False),
        ({"hyperparams__properties__git_clearml_check__value": "x"}, False),
        ({"status": "failed"}, False),
        ({"diff": "diff --git a/x b/x\n@@ -1 +1 @@\n-a\n+b\n"}, False),
        ({"commit": "c" * 40}, False),
    ],
)
def test_what_meets_a_requirement(gate: Gate, fields: dict[str, Any], met: bool) -> None:
    monorepo(gate.repo)
    train(gate, "segmenter", "tracker")
    train(gate, "detector", **fields)
    assert outcomes(gate.verify())["detector"] == ("verified" if met else "rejected")


def test_one_task_meets_every_requirement_that_it_fits(gate: Gate) -> None:
    gate.repo.policy(*(row for name in "ab" for row in ("[[tool.git-clearml.require]]", f'name = "{name}"')))
    task = gate.task()
    assert {each["task"]["id"] for each in gate.accepts().commit["requirements"]} == {task}


@pytest.mark.parametrize(("days", "requests"), [(3, 1), (20, 2), (200, 2)])
def test_a_model_that_was_trained_long_ago(
    gate: Gate, days: int, requests: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As long as its code is as it was: the first question is about the last days, the next begins at that code."""
    when = datetime.now(timezone.utc) - timedelta(days=days)
    with monkeypatch.context() as patch:
        patch.setenv("GIT_COMMITTER_DATE", when.isoformat(timespec="seconds"))
        monorepo(gate.repo)
    train(gate, *MODELS, last_update=when + timedelta(hours=1))
    gate.repo.commit("docs", {"docs/readme.md": "2"})
    assert senses(gate.accepts(requests=requests)) == ["paths"] * 3


@pytest.mark.parametrize("pattern", ["detcetor/**", "!detcetor/**", "!**"])
def test_a_pattern_that_names_nothing_makes_nothing_equal(models: Gate, pattern: str) -> None:
    name = models.repo.path / "pyproject.toml"
    models.repo.commit(
        "a typing error", {"pyproject.toml": name.read_text().replace('["detector/**",', f'["{pattern}",')}
    )
    result = models.verify()
    assert (result.status, result.errors) == (2, ["bad-setting"])
    assert pattern in result.talk()[0]
    train(models, "detector")
    models.accepts()


def test_the_task_of_a_flag_is_one_too_few(models: Gate) -> None:
    result = models.verify("--task", "1" * 32)
    assert (result.status, result.errors, result.calls) == (2, ["usage"], ())


def pull_request(gate: Gate) -> tuple[str, str]:
    """Two branches that change a model each, both trained: the head of one, and main, which has got the other."""
    base = gate.repo.head
    gate.repo.git("checkout", "--quiet", "-b", "topic")
    head = gate.repo.commit("segmenter", {"segmenter/net.py": "topic"})
    train(gate, "segmenter")
    gate.repo.git("checkout", "--quiet", "main")
    main = gate.repo.commit("detector", {"detector/net.py": "main"})
    train(gate, "detector")
    assert base not in (head, main)
    return head, main


def test_a_merge_of_two_models_needs_no_new_task(models: Gate) -> None:
    """Each model is what it was on its branch: nothing but the code of each counts, and no rule for merges is asked."""
    head, main = pull_request(models)
    models.repo.git("merge", "--quiet", "--no-ff", "--no-edit", "topic")
    result = models.accepts()
    assert senses(result) == ["paths"] * 3
    assert [each["evidence_commit"] for each in result.commit["requirements"]][:2] == [main, head]


@pytest.mark.needs("git 2.38")
def test_a_clean_merge_of_what_was_accepted_and_what_is_verified(models: Gate) -> None:
    repo = models.repo
    rows = (
        (repo.path / "pyproject.toml")
        .read_text()
        .replace("[tool.git-clearml]\n", '[tool.git-clearml]\nmerges = "clean"\n')
    )
    repo.commit("policy", {"pyproject.toml": rows, "detector/second.py": "1"})
    train(models, "detector")
    repo.git("checkout", "--quiet", "-b", "topic")
    repo.commit("topic", {"detector/net.py": "topic"})
    train(models, "detector")
    repo.git("checkout", "--quiet", "main")
    repo.commit("main", {"detector/second.py": "2"})
    train(models, "detector")
    repo.default_branch(repo.head)
    repo.git("merge", "--quiet", "--no-ff", "--no-edit", "topic")
    result = models.verify()
    assert (result.status, result.commit["equivalence"], senses(result)) == (0, "merge", ["merge"] * 3)
    repo.git("commit", "--quiet", "--amend", "--message", "and something else", "--allow-empty")
    repo.write({"detector/net.py": "unseen"})
    repo.git("commit", "--quiet", "--all", "--amend", "--no-edit")
    assert outcomes(models.verify()) == {"detector": "rejected", "segmenter": "verified", "tracker": "verified"}


def test_a_results_commit_stands_on_its_parent(models: Gate) -> None:
    models.repo.commit("net", {"tracker/net.py": "2"})
    train(models, "tracker")
    models.repo.commit("results", {"clearml.lock": "x"})
    result = models.accepts()
    assert senses(result) == ["paths", "paths", "paths"]
    requirement = dict(zip(MODELS, result.commit["requirements"], strict=True))
    assert requirement["tracker"]["evidence_commit"] == models.repo.git("rev-parse", "HEAD~1")


def test_a_shallow_clone_cannot_tell(models: Gate, tmp_path: Path) -> None:
    """Whether something else than docs was changed since the task ran, nobody knows where the commit is not here."""
    models.repo.commit("docs", {"docs/readme.md": "2"})
    clone = models.repo.clone(tmp_path / "clone", "--depth", "1")
    result = models.verify(cwd=clone.path)
    assert (result.status, result.commit["outcome"], result.errors) == (3, "undecided", ["unknown-revision"])
    assert result.json["hint"] == "git fetch --unshallow"
    deeper = models.repo.clone(tmp_path / "deeper", "--depth", "2")
    assert models.verify(cwd=deeper.path).status == 0
    train(models, *MODELS)
    assert models.verify(cwd=clone.path).status == 0


def test_a_ci_job_gets_the_history_that_its_checkout_lacks(models: Gate, tmp_path: Path) -> None:
    for number in range(3):
        models.repo.commit("docs", {"docs/readme.md": f"{number}"})
    clone = models.repo.clone(tmp_path / "clone", "--depth", "1")
    clone.git("config", f"url.file://{models.repo.path}.insteadOf", REPOSITORY)
    result = models.verify(cwd=clone.path, env={"CI": "true"})
    assert (result.status, senses(result)) == (0, ["paths"] * 3)


def test_the_same_code_is_what_its_files_say(gate: Gate) -> None:
    """Every pair of commits of random trees, with a link and a submodule among them, by two requirements at once."""
    chance = random.Random(14)
    paths = ("a/x.py", "a/deep/y.py", "b/x.py", "docs/z", "link", "lib")
    stream, trees = [], {}
    for number in range(24):
        versions = [chance.choice("0112") for _ in paths]
        stream.append(f"commit refs/heads/n{number}\ncommitter A <a@b> {1_700_000_000 + number} +0000\ndata 0\n")
        for path, version in zip(paths, versions, strict=True):
            if path == "lib" and version != "0":
                stream.append(f"M 160000 {version * 40} lib\n")
            elif version != "0":
                stream.append(f"M {'120000' if path == 'link' else '100644'} inline {path}\ndata 1\n{version}\n")
        trees[number] = dict(zip(paths, versions, strict=True))
    gate.repo.git("fast-import", "--quiet", stdin="".join(stream))
    code = (("a/**", "lib/src/**"), ("b/*.py", "link/**", "!docs/**"))
    seen = ({"a/x.py", "a/deep/y.py", "lib"}, {"b/x.py", "link"})
    policy = Policy(require=tuple(Require(str(number), code_paths=each) for number, each in enumerate(code)))
    repository = Repository(str(gate.repo.path))
    commits = [each.commit for each in repository.resolve([f"n{number}" for number in trees])]
    ways = requirements.ways(policy)
    equivalents = EquivalentCommits(repository, policy, commits[:3], ways)
    named = set(equivalents.of_same_code(commits[:3]))
    equivalents.compare(commits, [commit.hash for commit in commits])
    for number, commit in enumerate(commits):
        for way, wanted in enumerate(seen):
            sense = equivalents.sense(commit, way)
            for other, own in zip(commits, trees.values(), strict=True):
                same = all(own[path] == trees[number][path] for path in wanted)
                assert (sense(other.hash) is not None) == (same or other.tree == commit.tree), (commit, other)
                if same and number < 3 and other not in commits[:3]:
                    assert other.hash in named


def test_what_one_ref_of_a_push_has_run_may_be_what_another_needs(models: Gate) -> None:
    first = models.repo.commit("segmenter", {"segmenter/net.py": "2"})
    train(models, "segmenter")
    models.repo.commit("docs", {"docs/readme.md": "2"})
    result = models.verify("HEAD", first, "HEAD~2")
    assert (result.status, len(result.calls)) == (0, 1)
    assert [each["requirements"][1]["evidence_commit"] for each in result.json["commits"]][:2] == [first, first]


def test_code_that_rested_for_longer_than_is_looked_back(models: Gate, monkeypatch: pytest.MonkeyPatch) -> None:
    """A model that nobody has touched for hundreds of commits: git tells when that was."""
    monkeypatch.setattr("git_clearml.verdict.equivalence._FAMILY", 2)
    for number in range(4):
        models.repo.commit("docs", {"docs/readme.md": f"{number}"})
    assert senses(models.accepts()) == ["paths"] * 3
    models.repo.commit("tracker", {"tracker/net.py": "2"})
    result = models.verify()
    assert outcomes(result) == {"detector": "verified", "segmenter": "verified", "tracker": "rejected"}


def test_each_requirement_is_measured_by_its_own_metrics(gate: Gate) -> None:
    """And of its tasks the one counts that is best by them."""
    monorepo(gate.repo)
    rules = [
        ('"loss/train"', "detector", 'direction = "min"', "at-most = 0.5"),
        ('"val/acc"', "segmenter", "min-runs = 2"),
    ]
    rows = [row for metric, name, *more in rules for row in (
        "[[tool.git-clearml.metrics]]", f"metric = {metric}", f'requirement = "{name}"', *more,
    )]  # fmt: skip
    text = (gate.repo.path / "pyproject.toml").read_text() + "\n".join(rows)
    gate.repo.commit("metrics", {"pyproject.toml": text})
    [best] = train(gate, "detector", metrics={"loss": {"train": 0.25}})
    train(gate, "detector", metrics={"loss": {"train": 0.4}})
    train(gate, "segmenter", metrics={"val": {"acc": 0.9}})
    train(gate, "tracker")
    result = gate.verify()
    assert outcomes(result) == {"detector": "verified", "segmenter": "rejected", "tracker": "verified"}
    assert result.commit["requirements"][0]["task"]["id"] == best
    assert [(each["requirement"], each["runs"], each["outcome"]) for each in result.commit["metrics"]] == [
        ("detector", 2, "pass"),
        ("segmenter", 1, "fail"),
    ]
    train(gate, "segmenter", metrics={"val": {"acc": 0.8}})
    gate.accepts()


def test_whose_task_is_looked_at(models: Gate) -> None:
    """Commands about one task take the first requirement's, of those that are met, and say so."""
    ids = [each["task"]["id"][:8] for each in models.verify().commit["requirements"]]
    note = f"this is the task of the requirement 'detector'; of the others: segmenter {ids[1]}, tracker {ids[2]}"
    assert note in models.call("report", "--format", "json").json["notes"]
    models.repo.commit("detector", {"detector/net.py": "2"})
    shown = models.call("show")
    assert "segmenter/train.py" in shown.out
    assert f"'segmenter'; of the others: detector has none, tracker {ids[2]}" in shown.out + shown.err


@pytest.mark.parametrize("equivalence", ["tree", "paths"])
@pytest.mark.parametrize("trained", [(), MODELS])
def test_a_refusal_asks_once_for_all_requirements(gate: Gate, equivalence: str, trained: tuple[str, ...]) -> None:
    """Only tasks of a related commit make two more. How often it asks about the time before is the server's pace."""
    monorepo(gate.repo)
    lines = (gate.repo.path / "pyproject.toml").read_text().splitlines()[1:]
    gate.repo.policy(f'equivalence = "{equivalence}"', 'code-paths = ["**/*.py"]', *lines)
    train(gate, *trained)
    gate.repo.commit("a better net", {"segmenter/net.py": "2"})
    assert gate.verify().status == 1
    bounds = [request.body.get("last_update", []) for request in gate.server.requests]
    assert len([each for each in bounds if not any("<" in bound for bound in each)]) == (6 if trained else 4)
