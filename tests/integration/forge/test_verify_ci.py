"""`git clearml verify` as a CI job: one command judges, compares, tags, posts, and tells the job."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from git_clearml.forge import calls
from tests.integration.forge.test_comment import Bench
from tests.support.actions import Job, pull_request, repository
from tests.support.clearml_common import Json
from tests.support.github_server import Fault, GitHubServer
from tests.support.program import Gate, Result
from tests.support.repos import Repo, make_repo

TAG = "Best Performance"
POLICY = ("[tool.git-clearml.best]", 'metric = "loss/train"', 'direction = "min"')
ALL = ("--comment", "--tag-best")


def loss(value: float) -> dict[str, dict[str, float]]:
    return {"loss": {"train": value}}


@pytest.fixture
def bench(gate: Gate, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Bench]:
    """Pull request 7 of HEAD; its base names the metric, and the project Vision."""
    monkeypatch.setattr(calls, "TRIES", 2)
    monkeypatch.setattr(calls, "BACKOFF_SECONDS", 0.01)
    monkeypatch.setattr("git_clearml.report.verify_steps._POLLS", (0.01, 0.02))
    base = gate.repo.policy('project = "Vision"', *POLICY)
    head = gate.repo.commit("change", {"train.py": "print('better')\n"})
    with GitHubServer() as github:
        github.add_pull(7, head, base)
        yield Bench(gate, github, Job(tmp_path / "job", event=pull_request(7, head, base), api=github.url), base)


def verify(bench: Bench, *words: str, **env: str | None) -> Result:
    """`verify --format json`; its status is that of the JSON."""
    result = bench.gate.verify(*words, env={**bench.job.env, **env})
    assert result.json["exit_code"] == result.status
    return result


def pushed(bench: Bench, branch: str = "main") -> None:
    """Makes the job one of a push to this branch."""
    bench.job.name = "push"
    bench.job.event = {
        "ref": f"refs/heads/{branch}",
        "before": bench.base,
        "after": bench.head,
        "repository": repository(),
    }


def best_task(bench: Bench, value: float) -> str:
    return bench.gate.server.add_task(commit="b" * 40, tags=[TAG, "keep"], metrics=loss(value))


def bearers(bench: Bench) -> list[str]:
    return sorted(name for name, task in bench.gate.server.tasks.items() if TAG in task["tags"])


# --- a pull request ----------------------------------------------------------------------------------------------


def test_a_verified_pull_request(bench: Bench) -> None:
    other = best_task(bench, 0.2)
    mine = bench.gate.task(name="train", metrics=loss(0.1))
    result = verify(bench, *ALL)
    assert (result.status, result.json["outcome"], result.json["compare"]["outcome"]) == (0, "verified", "better")
    assert result.json["compare"]["best"]["task"]["id"] == other
    assert result.json["comment"]["action"] == "created"
    assert result.json["comment"]["url"].startswith("https://github.com/team/project/pull/7#issuecomment-")
    assert result.json["policy"]["from"] == bench.base
    assert result.json["commits"][0]["commit"] == bench.head
    for page in (bench.ours(), bench.job.summary):
        assert page.index("### ✅ Verified") < page.index("better than the best task") < page.index("| metric")
        assert "would put the tag" in page.replace("\\", "")
    assert bench.job.outputs["task-id"] == mine
    assert "::notice title=git clearml::" in result.err
    assert bearers(bench) == [other]


def test_the_text_and_the_markdown_show_the_comparison_too(bench: Bench) -> None:
    best_task(bench, 0.2)
    bench.gate.task(metrics=loss(0.1))
    text = bench.gate.call("verify", *ALL, env=bench.job.env)
    assert text.out.index(f"verified {bench.head[:12]}") < text.out.index("better than the best task")
    assert "comment created: https://" in text.err
    markdown = bench.gate.call("verify", "--tag-best", "--format", "markdown", env=bench.job.env)
    assert f"`{bench.head[:12]}` better than the best task" in markdown.out


def test_a_rejected_pull_request(bench: Bench) -> None:
    other = best_task(bench, 0.2)
    bench.gate.task(status="failed", metrics=loss(0.1))
    result = verify(bench, *ALL)
    assert (result.status, result.json["outcome"], result.json["compare"]["outcome"]) == (1, "rejected", "missing")
    assert result.json["compare"]["current"] is None
    assert "### ❌ Rejected" in bench.ours()
    assert "### ❌ Rejected" in bench.job.summary
    assert "nothing to compare" not in bench.ours()
    assert (bench.job.outputs["outcome"], bearers(bench)) == ("rejected", [other])
    assert "::error title=git clearml::" in result.err


def test_a_worse_model_is_status_1(bench: Bench) -> None:
    best_task(bench, 0.2)
    bench.gate.task(metrics=loss(0.3))
    result = verify(bench, *ALL)
    assert (result.status, result.json["outcome"], result.json["compare"]["outcome"]) == (1, "verified", "worse")
    assert "worse than the best task" in bench.ours()
    assert "::error title=git clearml::" in result.err


def test_pending_is_posted_first_and_updated(bench: Bench) -> None:
    task = bench.gate.task(status="in_progress")
    posted: list[str] = []

    def finish(call: str, _: Any) -> None:
        if bench.github.comments and not posted:
            posted.append(bench.ours())
            bench.gate.server.tasks[task].update(status="completed", completed="2026-01-02T03:04:05.000000+00:00")

    bench.gate.server.hook = finish
    result = verify(bench, "--comment", "--wait")
    assert (result.status, result.json["comment"]["action"]) == (0, "updated"), result.err
    assert "### ⏳ Pending" in posted[0]
    assert "### ✅ Verified" in bench.ours()
    assert "### ✅ Verified" in bench.job.summary
    assert "### ⏳" not in bench.job.summary


def test_pending_for_ever(bench: Bench) -> None:
    bench.gate.task(status="queued")
    result = verify(bench, *ALL, "--wait", "--wait-timeout", "0.1")
    assert (result.status, result.json["outcome"], result.json["compare"]["outcome"]) == (4, "pending", "undecided")
    assert "still pending after" in bench.ours()
    assert "::warning title=git clearml::" in result.err


@pytest.mark.parametrize(("status", "code", "word"), [("completed", 3, "Verified"), ("failed", 1, "Rejected")])
def test_publishing_that_fails(bench: Bench, status: str, code: int, word: str) -> None:
    bench.gate.task(status=status)
    bench.github.faults.append(Fault(403, "Resource not accessible by integration", matching="POST"))
    result = verify(bench, "--comment")
    assert (result.status, result.errors, result.json["comment"]) == (code, ["publish-failed"], None)
    assert result.json["outcome"] == word.lower()
    assert f"{word}: " in bench.job.summary
    assert "the report could not be posted" in bench.job.summary.replace("\\", "")
    assert "permissions: pull-requests: write" in result.err
    text = bench.gate.call("verify", "--comment", env=bench.job.env)
    assert (text.status, f"{word.lower()} {bench.head[:12]}" in text.out) == (code, True)


def test_pending_with_publishing_that_fails_is_3(bench: Bench) -> None:
    bench.gate.task(status="queued")
    bench.github.faults.append(Fault(401, "Bad credentials"))
    result = verify(bench, "--comment", "--wait", "--wait-timeout", "0.05")
    assert (result.status, result.json["outcome"]) == (3, "pending")


def test_a_fork_without_rights(bench: Bench) -> None:
    bench.gate.task()
    bench.github.add_pull(7, bench.head, bench.base, fork="stranger/project")
    bench.job.event = pull_request(7, bench.head, bench.base, fork="stranger/project")
    bench.github.read_only = True
    result = verify(bench, "--comment")
    assert (result.status, result.json["comment"]["action"], bench.github.comments) == (0, "skipped", [])
    assert any("a pull request from a fork" in note for note in result.json["notes"])
    assert "a pull request from a fork" in bench.job.summary


def test_a_fork_without_secrets_is_told_of_the_two_stages(bench: Bench) -> None:
    bench.job.event = pull_request(7, bench.head, bench.base, fork="stranger/project")
    env = {"CLEARML_API_ACCESS_KEY": None, "CLEARML_API_SECRET_KEY": None, "GITHUB_TOKEN": ""}
    for command in ("verify", "comment"):
        words = ("--comment",) if command == "verify" else ()
        result = bench.gate.call(command, *words, env={**bench.job.env, **env})
        assert result.status == (3 if command == "verify" else 0), result.err
        assert "see Forks in docs/ci.md" in result.err
        assert "see Forks in docs/ci.md" in bench.job.summary.replace("\\", "")


def test_without_credentials_the_report_is_posted_and_the_status_is_3(bench: Bench) -> None:
    result = bench.gate.verify(
        *ALL, env={**bench.job.env, "CLEARML_API_ACCESS_KEY": None, "CLEARML_API_SECRET_KEY": None}
    )
    assert (result.status, result.json["outcome"], result.errors) == (3, "undecided", ["not-configured"])
    assert "### ❔ Undecided" in bench.ours()


def test_a_dry_run_writes_nothing(bench: Bench) -> None:
    pushed(bench)
    other = best_task(bench, 0.2)
    bench.gate.task(metrics=loss(0.1))
    result = verify(bench, *ALL, "--add-tag", "checked", "--dry-run")
    assert (result.status, bench.github.writes(), bench.job.written, bearers(bench)) == (0, [], "", [other])
    assert "tasks.update_tags" not in result.calls
    assert any("would put tag 'checked'" in note for note in result.json["notes"])
    assert any("would create a comment on pull request 7" in note for note in result.json["notes"])
    assert any("would put the tag" in note for note in result.json["compare"]["notes"])


def test_a_policy_that_cannot_be_read_is_told_to_the_job(bench: Bench) -> None:
    broken = bench.gate.repo.policy("nonsense = 1")
    bench.job.event = pull_request(7, bench.head, broken)
    result = verify(bench, *ALL)
    assert (result.status, result.errors) == (2, ["bad-setting"])
    assert "### ❔ Undecided" in bench.job.summary
    assert "unknown setting" in bench.job.summary


def test_a_job_file_that_cannot_be_written_is_status_3(bench: Bench) -> None:
    bench.gate.task()
    result = verify(bench, GITHUB_OUTPUT=str(bench.gate.repo.path))
    assert (result.status, result.errors, result.json["outcome"]) == (3, ["publish-failed"], "verified")


def test_no_secret_comes_out(bench: Bench) -> None:
    secret = "wJalrXUtnFEMIK7MDENGbPxRfiCY"
    best_task(bench, 0.2)
    bench.gate.task(name=f"train {secret}", metrics={**loss(0.1), f"m {secret}": {"x": 1.0}})
    result = verify(bench, *ALL, AWS_SECRET_ACCESS_KEY=secret)
    assert result.status == 0
    assert secret not in result.out + result.err + bench.job.written + bench.ours()


# --- the best tag ------------------------------------------------------------------------------------------------


def test_a_push_to_the_base_branch_moves_the_best_tag(bench: Bench) -> None:
    pushed(bench)
    best_task(bench, 0.2)
    mine = bench.gate.task(metrics=loss(0.1))
    result = verify(bench, *ALL)
    assert (result.status, result.json["compare"]["tagged"], bearers(bench)) == (0, True, [mine])
    assert result.json["comment"]["action"] == "created"


def test_a_push_to_another_branch_does_not(bench: Bench) -> None:
    pushed(bench, "topic")
    other = best_task(bench, 0.2)
    bench.gate.task(metrics=loss(0.1))
    assert verify(bench, "--tag-best").status == 0
    assert bearers(bench) == [other]


def test_a_pull_request_moves_it_with_tag_unmerged(bench: Bench) -> None:
    best_task(bench, 0.2)
    mine = bench.gate.task(metrics=loss(0.1))
    assert verify(bench, "--tag-best", "--tag-unmerged").json["compare"]["tagged"] is True
    assert bearers(bench) == [mine]


def test_by_hand_it_moves(bench: Bench) -> None:
    best_task(bench, 0.2)
    mine = bench.gate.task(metrics=loss(0.1))
    result = bench.gate.verify("--tag-best")
    assert (result.status, result.json["compare"]["tagged"], bearers(bench)) == (0, True, [mine])
    assert bench.gate.verify("--tag-best", "HEAD", "HEAD~1").status == 2


def test_a_tag_that_could_not_be_moved_is_status_3(bench: Bench) -> None:
    pushed(bench)
    best_task(bench, 0.2)
    bench.gate.task(metrics=loss(0.1))
    refusal = b'{"meta": {"result_code": 403, "result_msg": "no"}, "data": {}}'
    bench.gate.server.hook = lambda call, _: bench.gate.server.fail_next(403, refusal, call="tasks.update_tags")
    result = verify(bench, *ALL)
    assert (result.status, result.json["outcome"], result.errors) == (3, "verified", ["publish-failed"])
    assert "could not finish moving the tag" in bench.ours()


@pytest.mark.parametrize("command", ["verify", "compare"])
def test_without_a_metric_it_is_status_2_and_every_place_says_the_same(bench: Bench, command: str) -> None:
    base = bench.gate.repo.policy('project = "Vision"')
    bench.gate.repo.commit("change", {"train.py": "print('best')\n"})
    bench.job.event = pull_request(7, bench.head, base)
    bench.gate.task()
    result = bench.gate.call(command, "--tag-best", "--format", "json", env=bench.job.env)
    assert (result.status, result.json["exit_code"], result.json["outcome"]) == (2, 2, "undecided")
    for place in (result.err.splitlines()[0], result.err, bench.job.summary.replace("\\", "")):
        assert "no metric to compare by" in place
    for untrue in ("annot tell whether", "not compared", "judged by"):
        assert untrue not in bench.job.summary
    assert ("--metric" in result.err) == (command == "compare")  # verify has no such flag


def test_compare_follows_the_same_rule(bench: Bench) -> None:
    other = best_task(bench, 0.2)
    mine = bench.gate.task(metrics=loss(0.1))
    assert bench.gate.call("compare", "--tag-best", env=bench.job.env).status == 0
    assert bearers(bench) == [other]
    pushed(bench)
    assert bench.gate.call("compare", "--tag-best", env=bench.job.env).status == 0
    assert bearers(bench) == [mine]


# --- which commit, by whose policy -------------------------------------------------------------------------------


def shallow(bench: Bench, directory: Path) -> Repo:
    """What actions/checkout leaves: the merge commit alone."""
    repo, ref = bench.gate.repo, "refs/remotes/pull/7/merge"
    tree = repo.git("rev-parse", "HEAD^{tree}")
    repo.git("update-ref", ref, repo.git("commit-tree", tree, "-p", bench.base, "-p", bench.head, "-m", "merge"))
    clone = make_repo(directory, {}, remote=f"file://{repo.path}")
    clone.git("config", "protocol.version", "2")
    clone.git("fetch", "--quiet", "--depth=1", "--no-tags", "origin", f"+{ref}:{ref}")
    clone.git("checkout", "--quiet", "--detach", ref)
    return clone


@pytest.mark.parametrize("command", [("verify", *ALL), ("compare",), ("report",)])
def test_a_merge_ref_of_depth_1(bench: Bench, tmp_path: Path, command: tuple[str, ...]) -> None:
    clone = shallow(bench, tmp_path / "clone")
    best_task(bench, 0.2)
    mine = bench.gate.task(metrics=loss(0.1), repository=f"file://{bench.gate.repo.path}")
    result = bench.gate.call(*command, "--format", "json", cwd=clone.path, env=bench.job.env)
    assert result.status == 0, result.err
    document: Json = result.json["commits"][0] if command[0] == "verify" else result.json
    task = document["current"]["task"] if command[0] == "compare" else document["task"]
    assert (document["commit"], task["id"]) == (bench.head, mine)


@pytest.mark.parametrize("results", [1, 3, 20])
def test_a_results_commit_in_a_checkout_of_depth_1(bench: Bench, tmp_path: Path, results: int) -> None:
    """What it stands on is fetched: its parent has run."""
    ran = bench.head
    bench.gate.task(repository=f"file://{bench.gate.repo.path}")
    for number in range(results):
        bench.gate.repo.commit(f"results {number}", {"clearml.lock": f'{{"schema": {number}}}\n'})
    bench.github.pulls[7]["head"]["sha"] = bench.head
    bench.job.event = pull_request(7, bench.head, bench.base)
    clone = shallow(bench, tmp_path / "clone")
    commit = bench.gate.verify(cwd=clone.path, env=bench.job.env).commit
    assert (commit["commit"], commit["outcome"]) == (bench.head, "verified")
    assert (commit["equivalence"], commit["evidence_commit"]) == ("results", ran)


@pytest.mark.parametrize(("budget", "status"), [("20", 0), ("1.5", 3)])
def test_what_results_commits_stand_on_is_fetched_within_the_budget(
    bench: Bench, tmp_path: Path, budget: str, status: int
) -> None:
    """From a remote that takes its time; twice as much each time, so that it is not asked for each commit."""
    bench.gate.task(repository=f"file://{bench.gate.repo.path}")
    for number in range(20):
        bench.gate.repo.commit(f"results {number}", {"clearml.lock": f'{{"schema": {number}}}\n'})
    bench.github.pulls[7]["head"]["sha"] = bench.head
    bench.job.event = pull_request(7, bench.head, bench.base)
    clone = shallow(bench, tmp_path / "clone")
    slow, calls = tmp_path / "upload-pack", tmp_path / "calls"
    slow.write_text(f'#!/bin/sh\necho >> {calls}\nsleep 0.6\nexec git-upload-pack "$@"\n')
    slow.chmod(0o755)
    clone.git("config", "remote.origin.uploadpack", str(slow))
    started = time.monotonic()
    result = bench.gate.verify("--timeout", budget, cwd=clone.path, env=bench.job.env)
    assert result.status == status, result.out
    assert len(calls.read_text()) <= 10
    if status:
        assert result.errors == ["timeout"]
        assert time.monotonic() - started < 15


@pytest.mark.needs("git 2.38")
@pytest.mark.parametrize("button", ["merge", "squash", "rebase"])
@pytest.mark.parametrize("known", [True, False])
def test_what_a_merge_button_makes_of_a_verified_pull_request(
    bench: Bench, tmp_path: Path, button: str, known: bool
) -> None:
    """main has moved meanwhile. The head of a squash is fetched by the ref that the forge keeps."""
    repo = bench.gate.repo
    repo.git("checkout", "--quiet", "-B", "work", bench.base)
    base = repo.commit("policy", {"pyproject.toml": '[tool.git-clearml]\nmerges = "clean"\n'})
    repo.git("checkout", "--quiet", "-B", "feature")
    repo.commit("one", {"feature.py": "1"})
    head = repo.commit("two", {"feature.py": "2"})
    bench.gate.task(commit=head, repository=f"file://{repo.path}")
    repo.git("checkout", "--quiet", "-B", "main", base)
    before = repo.commit("moved", {"other.py": "1"})
    if button == "merge":
        repo.git("merge", "--quiet", "--no-ff", "-m", "Merge pull request #7 from team/feature", "feature")
    elif button == "squash":
        repo.git("merge", "--quiet", "--squash", "feature")
        repo.git("commit", "--quiet", "-m", "A feature (#7)")
    else:
        repo.git("cherry-pick", f"{base}..feature")
        repo.git("commit", "--quiet", "--amend", "-m", "two (#7)")
    repo.git("branch", "--quiet", "--delete", "--force", "feature")
    if known or button == "merge":
        repo.git("update-ref", "refs/pull/7/head", head)
    bench.job.name, bench.job.event = "push", {
        "ref": "refs/heads/main", "before": before, "after": repo.head, "repository": repository(),
    }  # fmt: skip
    clone = Repo(tmp_path / "clone")
    repo.git("clone", "--quiet", f"file://{repo.path}", str(clone.path))
    commit = bench.gate.verify(cwd=clone.path, env=bench.job.env).commit
    if known or button == "merge":
        assert (commit["outcome"], commit["equivalence"], commit["evidence_commit"]) == ("verified", "merge", head)
    else:
        assert commit["outcome"] == "rejected"
        assert "the head of its pull request is not here" in " ".join(commit["notes"])


@pytest.mark.parametrize(
    ("branch", "fork", "repository", "status"),
    [
        ("topic", "", "https://github.com/team/project", 4),
        ("other", "", "https://github.com/team/project", 1),
        ("topic", "someone/project", "https://github.com/team/project", 1),
        ("topic", "someone/project", "git@github.com:someone/project.git", 4),
    ],
)
def test_the_event_says_which_branch_the_commit_is_the_head_of(
    bench: Bench, tmp_path: Path, branch: str, fork: str, repository: str, status: int
) -> None:
    """No ref of it is in the checkout. A fork's branch is another than that of the same name here."""
    clone = Repo(tmp_path / "clone")
    bench.gate.repo.git("clone", "--quiet", "--depth", "1", f"file://{bench.gate.repo.path}", str(clone.path))
    clone.git("checkout", "--quiet", "--detach")
    clone.git("branch", "--quiet", "--delete", "--force", "main")
    bench.job.event = pull_request(7, bench.head, bench.base, fork=fork)
    waiting = {"commit": None, "diff": None, "status": "queued", "script__branch": branch, "project": "Vision"}
    bench.gate.task(**waiting, repository=repository)
    assert bench.gate.verify(cwd=clone.path, env=bench.job.env).status == status


@pytest.mark.needs("git 2.38")
@pytest.mark.parametrize(("protect", "status"), [("", 0), ('protect = ["main"]', 0), ('protect = ["release/*"]', 1)])
@pytest.mark.parametrize("where", ["a new branch", "a pull request", "by hand"])
def test_what_no_gate_has_accepted_is_no_half_of_a_clean_merge_in_ci_either(
    bench: Bench, tmp_path: Path, protect: str, status: int, where: str
) -> None:
    """As in the hook: anybody pushes untrained commits to a branch that `protect` leaves out."""
    repo = bench.gate.repo
    base = repo.commit("policy", {"pyproject.toml": f'[tool.git-clearml]\nmerges = "clean"\n{protect}\n'})
    repo.git("checkout", "--quiet", "-B", "main")
    repo.git("checkout", "--quiet", "-B", "feature", base)
    repo.commit("feature", {"feature.py": "1"})
    bench.gate.task(repository=f"file://{repo.path}")
    repo.git("checkout", "--quiet", "main")
    untrained = repo.commit("untrained", {"untrained.py": "1"})
    repo.git("checkout", "--quiet", "-B", "release/1")
    repo.git("merge", "--no-ff", "--quiet", "--no-edit", "feature")
    merge = repo.head
    repo.git("checkout", "--quiet", "main")
    clone = Repo(tmp_path / "clone")
    repo.git("clone", "--quiet", f"file://{repo.path}", str(clone.path))
    bench.job.name, bench.job.event = "push", {
        "ref": "refs/heads/release/1", "before": "0" * 40, "after": merge, "repository": repository(),
    }  # fmt: skip
    if where == "a pull request":
        bench.job.name, bench.job.event = "pull_request", pull_request(7, merge, untrained)
    words, env = ([merge], {}) if where == "by hand" else ([], bench.job.env)
    assert bench.gate.verify(*words, cwd=clone.path, env=env).status == status


@pytest.mark.parametrize("command", ["verify", "compare", "report"])
def test_the_head_cannot_loosen_the_policy(bench: Bench, command: str) -> None:
    bench.gate.repo.policy("[tool.git-clearml.best]", 'metric = "acc/val"')
    bench.github.pulls[7]["head"]["sha"] = bench.head
    bench.job.event = pull_request(7, bench.head, bench.base)
    bench.gate.task(project="Elsewhere", metrics=loss(0.1))
    result = bench.gate.call(command, "--format", "json", env=bench.job.env)
    assert result.status == 1, result.out
    assert bench.gate.call(command, "--format", "json").status == (1 if command == "compare" else 0)


def test_flags_of_compare_count_where_the_policy_is_silent(bench: Bench) -> None:
    bench.gate.task(name="train", metrics=loss(0.1))
    words = ("--project", "Vision/Inner", "--task-name", "train", "--tag", "Mine")
    result = bench.gate.call("compare", *words, "--format", "json", env=bench.job.env)
    assert result.err.count("is ignored") == 1  # the policy names a metric, and so decides about the tag
    assert result.status == 1
    by_hand = bench.gate.call("compare", "--tag", "Mine", "--project", "Vision", "--tag-best")
    assert by_hand.status == 0
    assert [task["tags"] for task in bench.gate.server.tasks.values()] == [["Mine"]]


def test_commit_id(bench: Bench) -> None:
    before = bench.head
    bench.gate.task()
    bench.amend()
    assert verify(bench).status == 1
    result = verify(bench, COMMIT_ID=before)
    assert (result.status, result.commit["commit"]) == (0, before)
    assert bench.gate.verify(env={**bench.job.env, "COMMIT_ID": "main"}).status == 2


def test_gitlab(bench: Bench) -> None:
    bench.gate.task(metrics=loss(0.1))
    env = {
        "CI": "true",
        "GITLAB_CI": "true",
        "CI_PIPELINE_SOURCE": "merge_request_event",
        "CI_COMMIT_SHA": "f" * 40,
        "CI_MERGE_REQUEST_IID": "3",
        "CI_MERGE_REQUEST_SOURCE_BRANCH_SHA": bench.head,
        "CI_MERGE_REQUEST_TARGET_BRANCH_SHA": bench.base,
        "CI_PROJECT_PATH": "team/project",
    }
    result = bench.gate.verify(*ALL, env=env)
    assert (result.status, result.json["comment"], result.json["compare"]["tagged"]) == (3, None, False)
    assert (result.json["outcome"], result.errors) == ("verified", ["publish-failed"])
    assert "set GITLAB_TOKEN to a project access token" in result.err
    assert (result.commit["commit"], bearers(bench)) == (bench.head, [])


def test_by_hand_on_github(bench: Bench) -> None:
    bench.gate.task(status="failed")
    result = bench.gate.verify("--comment")
    assert (result.status, result.json["comment"]) == (1, None)
    assert result.errors == ["usage"]
    assert "--repository owner/name" in result.err
