"""The remote check in a CI job: alone, and as a part of `verify`, whose comment and status are those of all parts."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from git_clearml.agent import poll as following
from tests.integration.forge.test_comment import Bench
from tests.support.actions import Job, pull_request, repository
from tests.support.clearml_common import Json
from tests.support.clearml_server import ClearMLServer
from tests.support.github_server import Fault, GitHubServer
from tests.support.program import Gate, Result
from tests.support.repos import Repo, make_repo
from tests.support.robot import Robot, log

TAG = "Best Performance"
POLICY = (
    'project = "Vision"',
    "{required}",
    "[tool.git-clearml.best]",
    'metric = "loss/train"',
    'direction = "min"',
    "[tool.git-clearml.runnable]",
    'entry-point = "train.py"',
)
ALL = ("--check-runnable", "--comment", "--tag-best")
LOG = Path(__file__).parents[2] / "unit" / "agent" / "agent_logs" / "req_version.txt"
SECRET = "wJalrXUtnFEMIK7MDENGbPxRfiCY"


@pytest.fixture
def bench(gate: Gate, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Bench]:
    """Pull request 7 of HEAD, which a remote has on a branch; a worker serves the queue."""
    monkeypatch.setattr(following, "_SHORTEST", 0.01)
    base = gate.repo.policy(*(line for line in POLICY if line != "{required}"))
    head = gate.repo.commit("change", {"train.py": "print('better')\n"})
    gate.repo.git("remote", "set-url", "origin", f"file://{copied(gate.repo, tmp_path / 'remote.git').path}")
    gate.server.add_worker("gpu:0", ["default"])
    with GitHubServer() as github:
        github.add_pull(7, head, base)
        more = {"SOME_SECRET": SECRET}
        job = Job(tmp_path / "job", event=pull_request(7, head, base), api=github.url, more=more)
        yield Bench(gate, github, job, base)


def copied(repo: Repo, path: Path) -> Repo:
    """A bare copy with all branches."""
    repo.git("clone", "--quiet", "--bare", str(repo.path), str(path))
    return Repo(path)


def good_task(bench: Bench, **fields: object) -> str:
    url = bench.gate.repo.git("remote", "get-url", "origin")
    return bench.gate.task(**{"metrics": {"loss": {"train": 0.1}}, "repository": url, **fields})


def best_task(bench: Bench, value: float) -> str:
    return bench.gate.server.add_task(commit="b" * 40, tags=[TAG], metrics={"loss": {"train": value}})


def fails(server: ClearMLServer) -> Robot:
    """An agent that cannot meet a task's requirements, and says so in its log."""

    def end(task: Json) -> None:
        log(server, task["id"], LOG.read_text(encoding="utf-8"), f"it said {SECRET}")
        task.update(status="failed", status_message="")

    return Robot(server, end, queue="default")


def completes(server: ClearMLServer) -> Robot:
    return Robot(server, "complete", queue="default")


def checks(bench: Bench) -> list[Json]:
    """The tasks that were launched."""
    return [task for task in bench.gate.server.tasks.values() if "git-clearml-check" in task["tags"]]


def verify(bench: Bench, *words: str) -> Result:
    result = bench.gate.verify(*words, env=bench.job.env)
    assert result.json["exit_code"] == result.status
    assert SECRET not in result.out + result.err + bench.job.written
    return result


def test_one_command_does_it_all(bench: Bench) -> None:
    best_task(bench, 0.2)
    good_task(bench)
    completes(bench.gate.server)
    result = verify(bench, *ALL)
    assert result.status == 0, result.err
    (check,) = checks(bench)
    assert (check["script"]["version_num"], check["script"]["diff"]) == (bench.head, "")
    assert (result.json["check_runnable"]["outcome"], result.json["compare"]["outcome"]) == ("runnable", "better")
    for page in (bench.ours(), bench.job.summary):
        parts = ("### ✅ Verified", "better than the best task", "Runs on an agent", "| metric")
        assert [page.index(part) for part in parts] == sorted(page.index(part) for part in parts)
    outputs = bench.job.outputs
    assert (outputs["check-runnable"], outputs["compare"]) == ("runnable", "better")
    assert check["id"] in outputs["check-url"]


@pytest.mark.parametrize(("best", "status", "model"), [(0.2, 1, "better"), (0.05, 1, "worse")])
def test_a_check_that_fails_fails_the_job_and_moves_no_tag(bench: Bench, best: float, status: int, model: str) -> None:
    bench.job.name = "push"
    event = {"ref": "refs/heads/main", "before": bench.base, "after": bench.head, "repository": repository()}
    bench.job.event = event
    other, mine = best_task(bench, best), good_task(bench)
    fails(bench.gate.server)
    result = verify(bench, *ALL)
    assert (result.status, result.json["outcome"], result.json["compare"]["outcome"]) == (status, "verified", model)
    assert result.json["check_runnable"]["cause"] == "package-not-found"
    tagged = [name for name in (other, mine) if TAG in bench.gate.server.tasks[name]["tags"]]
    assert tagged == [other]
    for page in (bench.ours(), bench.job.summary):
        assert "six==99" in page.replace("\\", "")
        assert "[secret]" in page.replace("\\", "")
        assert SECRET not in page
        assert page.count("Next: ") == 1
    assert "verified, but not proved to run on a ClearML agent" in result.err


@pytest.mark.parametrize(("best", "status"), [(0.2, 3), (0.05, 1)])
def test_the_status_is_the_worst_of_all_parts(bench: Bench, best: float, status: int) -> None:
    """A check without a worker is undecided, 3; a worse model is 1 and beats it."""
    best_task(bench, best)
    good_task(bench)
    bench.gate.server.store.workers.clear()
    result = verify(bench, *ALL)
    assert (result.status, result.json["check_runnable"]["outcome"], checks(bench)) == (status, "no-worker", [])
    assert bench.job.outputs["check-runnable"] == "no-worker"


def test_trouble_with_publishing_hides_no_failed_check(bench: Bench) -> None:
    good_task(bench)
    fails(bench.gate.server)
    bench.github.faults.append(Fault(403, "Resource not accessible by integration", matching="POST"))
    result = verify(bench, "--check-runnable", "--comment")
    assert (result.status, result.errors) == (1, ["publish-failed"])
    assert "six==99" in bench.job.summary.replace("\\", "")


def test_a_commit_that_nobody_ran_is_not_worth_an_agents_time(bench: Bench) -> None:
    good_task(bench, status="failed")
    result = verify(bench, *ALL)
    assert (result.status, result.json["check_runnable"], checks(bench)) == (1, None, [])
    assert "check-runnable was left out" in bench.ours().replace("\\", "")
    assert "check-runnable" not in bench.job.outputs


def test_a_required_check_makes_the_verdict(bench: Bench) -> None:
    lines = [*(line for line in POLICY if line != "{required}"), "required = true"]
    base = bench.gate.repo.policy(*lines)
    bench.job.event = pull_request(7, bench.head, base)
    bench.github.pulls[7]["head"]["sha"] = bench.head
    bench.gate.repo.git("push", "--quiet", "origin", "main")
    good_task(bench)
    completes(bench.gate.server)
    without = verify(bench)
    assert (without.status, without.json["hint"]) == (1, "git clearml check-runnable")
    assert "not proved to run on a ClearML agent" in without.err
    result = verify(bench, "--check-runnable", "--comment")
    assert (result.status, result.json["outcome"]) == (0, "verified"), result.out
    assert verify(bench).status == 0


def test_a_forks_commit_is_cloned_from_the_fork(bench: Bench, tmp_path: Path) -> None:
    repo = bench.gate.repo
    head = repo.commit("from the fork")
    fork = copied(repo, tmp_path / "fork.git")
    event = pull_request(7, head, bench.base, fork="stranger/project")
    event["pull_request"]["head"]["repo"]["clone_url"] = f"file://{fork.path}"
    bench.job.event = event
    good_task(bench)
    completes(bench.gate.server)
    for words in (("verify", "--check-runnable"), ("check-runnable", "--entry-point", "train.py", "--force")):
        before = {task["id"] for task in checks(bench)}
        result = bench.gate.call(*words, env=bench.job.env)
        assert result.status == 0, result.err
        (check,) = (task for task in checks(bench) if task["id"] not in before)
        assert (check["script"]["repository"], check["script"]["version_num"]) == (f"file://{fork.path}", head)


@pytest.mark.parametrize("words", [("check-runnable",), ("verify", "--check-runnable")])
def test_in_a_checkout_of_a_merge_ref_of_depth_1(bench: Bench, tmp_path: Path, words: tuple[str, ...]) -> None:
    """The clone has neither head nor base; the remote has the head on a branch, and an agent will find it there."""
    repo, remote = bench.gate.repo, Repo(tmp_path / "remote.git")
    ref = "refs/pull/7/merge"
    tree = repo.git("rev-parse", "HEAD^{tree}")
    merge = remote.git("commit-tree", tree, "-p", bench.base, "-p", bench.head, "-m", "merge")
    remote.git("update-ref", ref, merge)
    clone = make_repo(tmp_path / "clone", {}, remote=f"file://{remote.path}")
    clone.git("fetch", "--quiet", "--depth=1", "--no-tags", "origin", f"+{ref}:{ref}")
    clone.git("checkout", "--quiet", "--detach", ref)
    good_task(bench)
    completes(bench.gate.server)
    result = bench.gate.call(*words, cwd=clone.path, env=bench.job.env)
    assert result.status == 0, result.err
    (check,) = checks(bench)
    assert (check["script"]["version_num"], check["script"]["diff"]) == (bench.head, "")
    assert remote.git("for-each-ref", "--format=%(refname)") == f"refs/heads/main\n{ref}"


def test_a_job_pushes_nothing(bench: Bench) -> None:
    """What the remote has on no branch goes along as a diff: reading rights are enough."""
    bench.gate.repo.commit("only here", {"train.py": "print('best')\n"})
    bench.job.event = pull_request(7, bench.head, bench.base)
    good_task(bench)
    completes(bench.gate.server)
    assert verify(bench, "--check-runnable").status == 0
    (check,) = checks(bench)
    assert "print('best')" in check["script"]["diff"]


# --- check-runnable by itself ------------------------------------------------------------------------------------


def check_alone(bench: Bench, *words: str) -> Result:
    result = bench.gate.call("check-runnable", *words, env=bench.job.env)
    assert SECRET not in result.out + result.err + bench.job.written
    return result


def test_a_pass_is_told_to_the_job(bench: Bench) -> None:
    completes(bench.gate.server)
    result = check_alone(bench)
    assert result.status == 0, result.err
    (check,) = checks(bench)
    outputs = bench.job.outputs
    assert (outputs["outcome"], outputs["task-id"], outputs["commit"]) == ("runnable", check["id"], bench.head)
    assert check["id"] in outputs["task-url"]
    assert "Runs on an agent" in bench.job.summary
    assert f"::notice title=git clearml::{bench.head[:12]} runnable: the task completed" in result.err
    assert bench.github.calls == []


@pytest.mark.parametrize("form", ["text", "markdown", "json"])
def test_a_failure_is_told_to_the_job(bench: Bench, form: str) -> None:
    fails(bench.gate.server)
    result = check_alone(bench, "--format", form)
    assert result.status == 1
    assert bench.job.outputs["outcome"] == "failed"
    assert "six==99" in bench.job.summary.replace("\\", "")
    assert f"::error title=git clearml::{bench.head[:12]} failed: " in result.err


def test_what_keeps_it_from_an_answer_is_told_to_the_job(bench: Bench) -> None:
    env = {**bench.job.env, "CLEARML_API_HOST": "http://127.0.0.1:1"}
    result = bench.gate.call("check-runnable", env=env)
    assert result.status == 3
    assert (bench.job.outputs["outcome"], bench.job.outputs["task-id"]) == ("undecided", "")
    assert "refuses connections" in bench.job.summary
    assert "::error title=git clearml::" in result.err


def test_a_queue_that_does_not_exist_is_told_to_the_job(bench: Bench) -> None:
    result = check_alone(bench, "--queue", "nope")
    assert (result.status, bench.job.outputs["outcome"]) == (2, "undecided")
    assert "there is no queue 'nope'" in bench.job.summary
    assert f"::error title=git clearml::{bench.head[:12]} undecided: there is no queue 'nope'" in result.err
    assert "; queues with workers: default. Next: clearml-agent daemon --queue nope" in result.err


def test_a_job_file_that_cannot_be_written_is_status_3(bench: Bench) -> None:
    completes(bench.gate.server)
    bench.job.more["GITHUB_OUTPUT"] = str(bench.gate.repo.path)
    result = check_alone(bench, "--format", "json")
    assert (result.status, result.json["outcome"], result.errors) == (3, "runnable", ["publish-failed"])
