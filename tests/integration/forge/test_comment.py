"""`git clearml comment` against a loopback GitHub: what stands on the pull request afterwards, and what is said."""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import dataclass, replace
from itertools import cycle
from pathlib import Path
from typing import Any

import pytest

from git_clearml.forge import calls, comment
from git_clearml.forge.calls import Clock
from git_clearml.forge.connect import Workplace
from git_clearml.forge.current_job import detect
from git_clearml.git.repository import Repository
from git_clearml.render import comment as view
from git_clearml.report.model import VerifyReport
from git_clearml.verdict.model import Outcome, Verdict
from tests.support.actions import Job, pull_request
from tests.support.clearml_common import ApiError
from tests.support.github_server import BOT, TOKEN, Fault, GitHubServer
from tests.support.program import Gate, Result

MARKER = view.marker("verify")


@dataclass
class Bench:
    """A gate whose repository is on a GitHub, with pull request 7 of HEAD; `job` runs on it."""

    gate: Gate
    github: GitHubServer
    job: Job
    base: str

    @property
    def head(self) -> str:
        return self.gate.repo.head

    def comment(self, *words: str, by_hand: bool = False, **env: str | None) -> Result:
        """Runs `comment`; nothing that it prints or posts holds the token."""
        around: dict[str, str | None] = dict(self.job.env)
        if by_hand:
            around = {"GITHUB_API_URL": self.github.url, "GITHUB_TOKEN": TOKEN}
        result = self.gate.call("comment", *words, env={**around, **env})
        bodies = "".join(comment["body"] for comment in self.github.comments)
        assert TOKEN not in result.out + result.err + self.job.written + bodies
        return result

    def amend(self) -> str:
        """A new head, as after `git commit --amend`."""
        self.gate.repo.git("commit", "--amend", "--quiet", "--allow-empty", "-m", f"again {len(self.github.calls)}")
        self.github.pulls[7]["head"]["sha"] = self.head
        self.job.event = pull_request(7, self.head, self.base)
        return self.head

    def ours(self) -> str:
        """The body of the bot's only comment."""
        (only,) = self.github.by(BOT)
        return str(only["body"])


@pytest.fixture
def bench(gate: Gate, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Bench]:
    monkeypatch.setattr(calls, "TRIES", 2)
    monkeypatch.setattr(calls, "BACKOFF_SECONDS", 0.01)
    base = gate.repo.head
    gate.repo.commit("change", {"train.py": "print('better')\n"})
    with GitHubServer() as github:
        head = gate.repo.head
        github.add_pull(7, head, base)
        yield Bench(gate, github, Job(tmp_path / "job", event=pull_request(7, head, base), api=github.url), base)


# --- the comment -------------------------------------------------------------------------------------------------


def test_a_verified_commit(bench: Bench) -> None:
    task = bench.gate.task(name="train")
    result = bench.comment()
    assert result.status == 0, result.err
    body = bench.ours()
    assert body.startswith(MARKER + "\n")
    assert f"### ✅ Verified: [`{bench.head[:12]}`](<https://github.com/team/project/commit/{bench.head}>)" in body
    assert "train](<" in body
    assert "comment created: https://github.com/team/project/pull/7#issuecomment-" in result.out
    assert f"verified {bench.head[:12]}" in result.out
    assert bench.job.outputs["outcome"] == "verified"
    assert bench.job.outputs["task-id"] == task
    assert bench.job.outputs["commit"] == bench.head
    assert task in bench.job.outputs["task-url"]
    assert "### ✅ Verified" in bench.job.summary
    assert "comment created" in bench.job.summary
    assert "::notice title=git clearml::" in result.err


def test_rejected_and_pending_are_posted_too_and_are_no_failure_of_the_posting(bench: Bench) -> None:
    bench.gate.task(status="failed")
    result = bench.comment()
    assert result.status == 0
    assert "### ❌ Rejected" in bench.ours()
    assert "Next: `git clearml run -- python train.py`" in bench.ours()
    assert "::error title=git clearml::" in result.err
    bench.gate.server.tasks.clear()
    bench.gate.task(status="in_progress")
    assert bench.comment().status == 0
    assert "### ⏳ Pending" in bench.ours()
    assert bench.job.outputs["outcome"] == "pending"


def test_an_undecided_verdict_is_posted(bench: Bench) -> None:
    result = bench.comment(CLEARML_API_HOST="http://127.0.0.1:1")
    assert result.status == 0
    assert "### ❔ Undecided" in bench.ours()
    assert "refuses connections" in bench.ours()


# --- hidden by somebody ------------------------------------------------------------------------------------------


def test_a_hidden_comment_is_left_alone_and_a_new_one_posted(bench: Bench) -> None:
    assert bench.comment().status == 0
    (first,) = bench.github.comments
    bench.github.minimized.add(first["id"])
    before = first["body"]
    bench.gate.task()
    assert "comment created" in bench.comment().out
    hidden, shown = bench.github.comments
    assert (hidden["body"], "### ✅ Verified" in shown["body"]) == (before, True)
    assert "comment unchanged" in bench.comment().out
    bench.github.minimized.add(shown["id"])
    assert "comment created" in bench.comment().out
    assert len(bench.github.comments) == 3


def test_where_nobody_tells_what_is_hidden_the_comment_is_updated(bench: Bench) -> None:
    bench.github.user = BOT
    assert bench.comment().status == 0
    for status, message in ((404, "Not Found"), (403, "Resource not accessible by integration"), (502, "down")):
        bench.github.faults = [Fault(status, message, matching="graphql")]
        bench.amend()
        assert "comment updated" in bench.comment().out


# --- who we are, and where ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(("user", "viewer"), [("maria", ""), ("", "my-app[bot]"), ("", "")])
def test_the_author_is_the_tokens_own_account(bench: Bench, user: str, viewer: str) -> None:
    bench.gate.task()
    bench.github.user, bench.github.viewer = user, viewer
    bench.github.add_comment(7, "mallory", f"{MARKER}\nforged")
    for _ in range(2):
        assert bench.comment().status == 0
    assert len(bench.github.by(user or viewer or BOT)) == 1
    assert len(bench.github.by("mallory")) == 1


def test_an_app_whose_name_cannot_be_asked_for_still_has_one_comment(bench: Bench) -> None:
    bench.gate.task()
    bench.github.faults.append(Fault(403, "Resource not accessible by integration", matching="graphql"))
    bench.github.viewer = "my-app[bot]"
    for _ in range(3):
        assert bench.comment().status == 0
    assert len(bench.github.by("my-app[bot]")) == 1


def test_github_enterprise(gate: Gate, tmp_path: Path) -> None:
    gate.task()
    with GitHubServer(prefix="/api/v3") as github:
        github.add_pull(7, gate.repo.head, gate.repo.head)
        job = Job(tmp_path / "job", event=pull_request(7, gate.repo.head, gate.repo.head), api=github.url)
        result = gate.call("comment", env={**job.env, "GITHUB_SERVER_URL": "https://git.example.com"})
        assert (result.status, len(github.comments)) == (0, 1), result.err


def test_the_other_token(bench: Bench) -> None:
    bench.gate.task()
    assert bench.comment(GITHUB_TOKEN="", GH_TOKEN=TOKEN).status == 0
    assert len(bench.github.comments) == 1


def test_a_missing_token_is_said_with_the_way_to_give_it(bench: Bench) -> None:
    bench.gate.task()
    result = bench.comment(GITHUB_TOKEN=None)
    assert result.status == 3
    assert "GITHUB_TOKEN: ${{ github.token }}" in result.err
    assert "verified" in result.out
    assert "there is no token" in bench.job.summary


def test_by_hand(bench: Bench) -> None:
    bench.gate.task()
    bench.gate.repo.git("remote", "set-url", "origin", "git@github.com:team/project.git")
    bench.gate.server.tasks.clear()
    bench.gate.task(repository="https://github.com/team/project")
    result = bench.comment(by_hand=True)
    assert result.status == 0, result.err
    assert "comment created" in result.out
    assert "::" not in result.err
    assert bench.job.written == ""


def test_by_hand_without_a_pull_request_is_a_usage_error(bench: Bench) -> None:
    bench.github.pulls[7]["state"] = "closed"
    result = bench.comment("--repository", "team/project", by_hand=True)
    assert result.status == 2
    assert "no open pull request" in result.err
    assert "--pr <number>" in result.err
    assert bench.comment("--repository", "team/project", "--pr", "7", by_hand=True).status == 0
    assert len(bench.github.comments) == 1


def test_by_hand_on_no_github(bench: Bench) -> None:
    result = bench.comment(by_hand=True)
    assert result.status == 2
    assert "--repository owner/name" in result.err


def test_a_push_finds_the_pull_request_of_its_commit(bench: Bench) -> None:
    bench.gate.task()
    bench.job.name = "push"
    bench.job.event = {"ref": "refs/heads/topic", "before": bench.base, "after": bench.head, "repository": None}
    older = bench.github.add_pull(5, "a" * 40, bench.base, commits=[bench.head])
    closed = bench.github.add_pull(6, bench.head, bench.base, state="closed")
    assert bench.comment().status == 0
    assert [comment["_issue"] for comment in bench.github.comments] == [7], (older, closed)


def test_a_merge_queue_tells_the_pull_request_and_sets_the_status_on_the_merge(bench: Bench) -> None:
    repo, merged = bench.gate.repo, "e" * 40
    repo.git("update-ref", "refs/pull/7/head", bench.head)
    repo.git("remote", "set-url", "origin", f"file://{repo.path}")
    bench.gate.task(repository=f"file://{repo.path}")
    bench.job.name = "merge_group"
    queue = f"refs/heads/gh-readonly-queue/main/pr-7-{bench.base}"
    group = {"head_sha": merged, "head_ref": queue, "base_sha": bench.base, "base_ref": "refs/heads/main"}
    bench.job.event = {"merge_group": group}
    result = bench.comment("--status")
    assert result.status == 0, result.err
    assert f"Verified: [`{bench.head[:12]}`]" in bench.ours()
    assert [status["sha"] for status in bench.github.statuses] == [merged]


def test_a_push_without_a_pull_request_is_skipped_with_the_summary(bench: Bench) -> None:
    bench.gate.task()
    bench.github.pulls.clear()
    bench.job.name = "push"
    bench.job.event = {"ref": "refs/heads/topic", "before": bench.base, "after": bench.head}
    result = bench.comment("--status")
    assert (result.status, bench.github.comments) == (0, [])
    assert "comment skipped" in result.out
    assert "no open pull request" in bench.job.summary
    assert [status["state"] for status in bench.github.statuses] == ["success"]


def test_a_forks_workflow_run_is_found_by_its_branch(bench: Bench) -> None:
    bench.gate.task()
    bench.github.add_pull(7, bench.head, bench.base, fork="stranger/project")
    bench.github.unlinked.add(bench.head)
    bench.job.name = "workflow_run"
    bench.job.event = {
        "repository": {"full_name": "team/project", "default_branch": "main"},
        "workflow_run": {
            "event": "pull_request",
            "head_sha": bench.head,
            "head_branch": "topic",
            "head_repository": {"full_name": "stranger/project", "html_url": "https://github.com/stranger/project"},
            "pull_requests": [],
        },
    }
    bench.gate.repo.git("checkout", "--quiet", "-b", "topic")
    bench.gate.repo.git("update-ref", "refs/heads/main", bench.base)
    bench.gate.repo.git("remote", "set-url", "origin", f"file://{bench.gate.repo.path}")
    bench.gate.server.tasks.clear()
    bench.gate.task(repository="https://github.com/stranger/project.git")
    result = bench.comment()
    assert (result.status, len(bench.github.comments)) == (0, 1), result.err
    assert "### ✅ Verified" in bench.ours()


# --- forks, rights, status ---------------------------------------------------------------------------------------


def test_a_fork_without_rights_falls_back_to_the_summary(bench: Bench) -> None:
    bench.gate.task()
    bench.github.add_pull(7, bench.head, bench.base, fork="stranger/project")
    bench.job.event = pull_request(7, bench.head, bench.base, fork="stranger/project")
    bench.github.read_only = True
    result = bench.comment("--status")
    assert (result.status, bench.github.comments) == (0, [])
    assert "comment skipped" in result.out
    assert "a pull request from a fork" in result.err
    assert "a pull request from a fork" in bench.job.summary
    assert "### ✅ Verified" in bench.job.summary
    assert bench.comment(GITHUB_TOKEN="").status == 0


def test_missing_rights_name_the_permissions_line(bench: Bench) -> None:
    bench.gate.task()
    bench.github.faults.append(Fault(403, "Resource not accessible by integration", matching="POST .*/comments"))
    result = bench.comment()
    assert result.status == 3
    assert "hint: give the job permissions: pull-requests: write" in result.err
    assert "Resource not accessible by integration" in result.err


def test_missing_rights_for_a_status(bench: Bench) -> None:
    bench.gate.task()
    bench.github.faults.append(Fault(403, "Resource not accessible by integration", matching="statuses"))
    result = bench.comment("--status")
    assert result.status == 3
    assert "permissions: statuses: write" in result.err
    assert len(bench.github.comments) == 1


@pytest.mark.parametrize(
    ("status", "state"), [("completed", "success"), ("failed", "failure"), ("in_progress", "pending")]
)
def test_a_commit_status(bench: Bench, status: str, state: str) -> None:
    task = bench.gate.task(status=status)
    assert bench.comment("--status", "--label", "gpu").status == 0
    (given,) = bench.github.statuses
    assert (given["sha"], given["state"], given["context"]) == (bench.head, state, "git-clearml/gpu")
    assert (task in given.get("target_url", "")) is (state == "success")


def test_dry_run_shows_the_body_and_writes_nothing(bench: Bench) -> None:
    bench.gate.task()
    result = bench.comment("--dry-run", "--status")
    assert (result.status, bench.github.writes(), bench.job.written) == (0, [], "")
    assert result.out.startswith(MARKER)
    assert "would create a comment on pull request 7" in result.err


# --- a server that is away, slow or wrong ------------------------------------------------------------------------

FAULTS = {
    "bad credentials": Fault(401, "Bad credentials"),
    "no rights": Fault(403, "Resource not accessible by integration"),
    "rate limit": Fault(
        403, "API rate limit exceeded", {"X-RateLimit-Remaining": "0", "X-RateLimit-Reset": "99999999999"}
    ),
    "secondary limit": Fault(403, "You have exceeded a secondary rate limit", {"Retry-After": "3600"}),
    "too many": Fault(429, "slow down", {"Retry-After": "3600"}),
    "an odd time to wait": Fault(429, "slow down", {"Retry-After": "\xb2"}),
    "no time to wait": Fault(403, "You have exceeded a secondary rate limit", {"Retry-After": "soon"}),
    "a time out of range": Fault(503, "busy", {"Retry-After": "Fri, 31 Dec 99999 23:59:59 GMT"}),
    "a reset out of range": Fault(403, "API rate limit exceeded", {"X-RateLimit-Reset": "9" * 40}),
    "not found": Fault(404, "Not Found"),
    "unprocessable": Fault(422, "Validation Failed"),
    "error": Fault(500, "boom"),
    "away": Fault(502, raw=b"<html>bad gateway</html>"),
    "reset": Fault(0),
    "no json": Fault(200, raw=b"{not json"),
    "html": Fault(200, raw=b"<html>hello</html>"),
    "wrong types": Fault(200, raw=b'[{"number": "x"}, 3]'),
    "null": Fault(200, raw=b"null"),
    "redirect": Fault(302, headers={"Location": "https://elsewhere.example"}),
}


WHERE = ["GET .*/pulls/7", "GET .*/comments", "POST .*/comments"]


def test_every_fault_is_status_3_with_the_verdict_still_told(bench: Bench) -> None:
    """Each at one place or another; test_forges has each at every place."""
    task = bench.gate.task()
    for (kind, fault), where in zip(FAULTS.items(), cycle(WHERE), strict=False):
        bench.job = bench.job.again(kind)
        bench.github.comments.clear()
        bench.github.faults[:] = [replace(fault, matching=where)]
        result = bench.comment("--timeout", "5")
        assert result.status == 3, (kind, result.err)
        assert f"verified {bench.head[:12]}" in result.out, kind
        last, hint = result.err.splitlines()[-2:]
        assert last.startswith("git clearml: the report could not be posted: "), (kind, last)
        assert hint.startswith("hint: "), (kind, hint)
        assert "### ✅ Verified" in bench.job.summary, kind
        assert "the report could not be posted" in bench.job.summary.replace("\\", ""), kind
        assert bench.job.outputs["task-id"] == task, kind
        assert "::error title=git clearml::" in result.err, kind


def test_silence_ends_with_the_budget(bench: Bench) -> None:
    bench.gate.task()
    bench.github.faults.append(Fault(-1))
    result = bench.comment("--timeout", "0.5")
    assert result.status == 3
    assert "did not answer within 0.5 s" in result.err


def test_what_passes_is_waited_for(bench: Bench) -> None:
    bench.gate.task()
    bench.github.faults += [
        Fault(500, times=1, matching="pulls/7"),
        Fault(0, times=1, matching="GET .*/comments"),
        Fault(503, times=1, matching="POST .*/comments"),
    ]
    assert bench.comment().status == 0
    assert "### ✅ Verified" in bench.ours()


@pytest.mark.parametrize(
    ("fault", "waited"),
    [
        (Fault(429, "slow", {"Retry-After": "30"}), 30.0),
        (Fault(403, "You have exceeded a secondary rate limit. Please wait", {}), 60.0),
        (Fault(403, "API rate limit exceeded", {"X-RateLimit-Reset": "in 50 s"}), 51.0),
    ],
)
def test_rate_limits_are_waited_for_within_the_budget(bench: Bench, fault: Fault, waited: float) -> None:
    reset = {name: str(int(time.time()) + 50) for name in fault.headers if name == "X-RateLimit-Reset"}
    bench.github.faults.append(Fault(fault.status, fault.message, {**fault.headers, **reset}, times=1))
    slept: list[float] = []
    clock = Clock(sleep=slept.append)
    env = {name: value for name, value in bench.job.env.items() if value is not None}
    report = VerifyReport(Outcome.REJECTED, 1, "defaults", (Verdict(bench.head, Outcome.REJECTED),))
    repository = Repository(str(bench.gate.repo.path))
    result = comment.publish(Workplace(detect(env), repository, env, clock=clock), report)
    assert (result.action, slept) == ("created", [pytest.approx(waited, abs=2)])


# --- secrets -----------------------------------------------------------------------------------------------------


def test_no_secret_comes_out_anywhere(bench: Bench) -> None:
    """Not even one that a server's text repeats, escaped or not."""
    planted: dict[str, Any] = {
        "AWS_SECRET_ACCESS_KEY": "wJalr/XUtn*FEMI+K7MDENG_bPxRfiCY|KEY",
        "DEPLOY_PASSWORD": "pa$$word#1:tada:<b>@team",
    }
    secrets = [*planted.values(), TOKEN, bench.gate.server.secret_key, bench.gate.server.access_key]
    for secret in secrets:
        bench.gate.task(name=f"train {secret} end", status="failed", project=f"p {secret}")
    metrics = {f"loss {secret}": {f"v {secret}": 0.5} for secret in secrets}
    bench.gate.task(name=f"good {' '.join(secrets)}", metrics=metrics)
    bench.github.faults.append(Fault(401, f"Bad credentials: {TOKEN}", matching="statuses"))
    result = bench.comment("--status", "--verbose", **planted)
    assert result.status == 3
    shown = result.out + result.err + bench.job.written + bench.ours()
    flat = shown.replace("\\", "").replace("\u200c", "").replace("<span>", "").replace("</span>", "")
    for secret in secrets:
        assert secret not in shown
        assert secret not in flat
        assert secret[8:] not in flat.replace("&lt;", "<").replace("&gt;", ">")
    assert "secret" in bench.ours()


# --- what else can be wrong --------------------------------------------------------------------------------------


def test_metrics_that_cannot_be_read_are_said_and_do_not_hide_the_verdict(bench: Bench) -> None:
    bench.gate.task(metrics={"loss": {"train": 0.5}})
    asked = []

    def fail_after_the_verdict(call: str, _: object) -> None:
        asked.append(call)
        if len(asked) > 1:
            raise ApiError(403, 0, "no metrics for you")

    bench.gate.server.hook = fail_after_the_verdict
    result = bench.comment()
    assert result.status == 0
    assert "the metrics are left out" in result.err
    assert "### ✅ Verified" in bench.ours()
    assert "The metrics could not be read" in bench.ours()


def test_one_that_vanishes_for_ever_ends(bench: Bench) -> None:
    bench.github.add_comment(7, BOT, f"{MARKER}\nold")
    bench.github.faults.append(Fault(404, "Not Found", matching="PATCH"))
    result = bench.comment()
    assert result.status == 3
    assert "deleted each of the 5 times" in result.err


def test_options_that_cannot_be(bench: Bench) -> None:
    for words in (
        ("--pr", "-1"),
        ("--timeout", "0"),
        ("--repository", "nonsense"),
        ("--pr", "x"),
        ("--label", "x -->"),
    ):
        result = bench.comment(*words)
        assert (result.status, bench.github.calls, bench.job.written) == (2, [], ""), words


def test_an_api_url_that_is_none(bench: Bench) -> None:
    bench.job.api = "ftp://x"
    result = bench.comment()
    assert result.status == 3
    assert "invalid GITHUB_API_URL" in result.err


def test_a_locked_conversation(bench: Bench) -> None:
    bench.github.faults.append(Fault(403, "Unable to create comment because issue is locked.", matching="POST"))
    assert "hint: unlock the conversation" in bench.comment().err


def test_a_commit_that_github_does_not_have(bench: Bench) -> None:
    bench.job.name = "push"
    bench.job.event = {"ref": "refs/tags/v1", "before": bench.base, "after": bench.head}
    bench.github.faults.append(Fault(422, f"No commit found for SHA: {bench.head}", matching="/commits/"))
    assert "comment skipped" in bench.comment().out


# --- a dry run without a forge -----------------------------------------------------------------------------------


@pytest.mark.parametrize("remote", ["git@github.com:Team/Project.git", "ssh://git@ssh.github.com:443/Team/Project"])
def test_by_hand_the_repository_is_the_remotes_in_its_letter_case(bench: Bench, remote: str) -> None:
    bench.gate.repo.git("remote", "set-url", "origin", remote)
    bench.comment(by_hand=True)
    assert {call.path.split("/")[2] for call in bench.github.calls if call.path.startswith("/repos/")} == {"Team"}


@pytest.mark.parametrize("flag", ["-n", "--dry-run"])
def test_a_dry_run_needs_no_forge(bench: Bench, flag: str) -> None:
    """By hand: no token, no remote on GitHub, no pull request."""
    bench.gate.task()
    bench.gate.repo.git("remote", "set-url", "origin", "https://git.example.com/team/project.git")
    bench.gate.server.tasks.clear()
    bench.gate.repo.default_branch(bench.base)
    bench.gate.task(repository="https://git.example.com/team/project.git")
    for env, wanted in (({}, "would"), ({"GITHUB_TOKEN": TOKEN}, "would"), ({"CI": "true"}, "no remote")):
        result = bench.gate.call("comment", flag, env=env)
        assert (result.status, bench.github.calls) == (0, []), result.err
        assert "### ✅ Verified" in result.out
        assert wanted in result.err
    result = bench.gate.verify("--comment", flag)
    assert (result.status, result.json["comment"]["action"]) == (0, "skipped")


def test_a_dry_run_in_a_job_without_a_token(bench: Bench) -> None:
    bench.gate.task()
    result = bench.comment("-n", GITHUB_TOKEN="", GH_TOKEN="")
    assert (result.status, bench.github.calls, bench.job.written) == (0, [], "")
    assert "### ✅ Verified" in result.out
    bench.job.api = "http://127.0.0.1:1"
    assert "would post it" in bench.comment("-n").err
    assert "would delete it" in bench.comment("-n", "--mode", "delete").err


@pytest.mark.parametrize(
    "host",
    [
        "https://" + "a" * 70 + ".example",
        "http://[",
        "http://h:70000",
        "a..b",
        "http://h:port",
        "ftp://x",
        "http://h\tx",
    ],
)
def test_an_odd_address_of_the_api_is_no_bug(bench: Bench, host: str) -> None:
    bench.gate.task()
    result = bench.gate.call("verify", "--comment", env={**bench.job.env, "GITHUB_API_URL": host})
    assert result.status == 3
    assert "GITHUB_API_URL" in result.err
