"""What `comment` says, outcome by outcome: see tests/integration/snapshots/comment.txt."""

from __future__ import annotations

import pytest

from tests.integration.forge.test_comment import Bench, bench  # noqa: F401 - the fixture
from tests.support.github_server import Fault
from tests.support.program import Result
from tests.support.transcript import Transcript

pytestmark = pytest.mark.usefixtures("commits_of_one_day")


def test_comment(bench: Bench) -> None:  # noqa: F811
    transcript = Transcript("comment", {"/repo": bench.gate.repo.path})

    def say(title: str, *words: str, by_hand: bool = False, **env: str | None) -> Result:
        return transcript.add(title, ("comment", *words), bench.comment(*words, by_hand=by_hand, **env))

    def refused(status: int, message: str, where: str, **headers: str) -> None:
        bench.github.faults[:] = [Fault(status, message, headers, where)]

    bench.gate.task(name="train")
    say("what would be posted", "--dry-run")
    say("the first report")
    say("the same report again")
    say("the same report with another label, and a status", "--label", "gpu", "--status")
    bench.gate.server.tasks.clear()
    bench.gate.task(status="failed", completed="2026-01-02T03:04:05")
    say("a rejected commit")
    refused(403, "Resource not accessible by integration", "POST|PATCH")
    say("the token may not write", "--label", "new")
    refused(401, "Bad credentials", "")
    say("the token is wrong")
    refused(404, "Not Found", "pulls/7")
    say("there is no such pull request")
    refused(502, "bad gateway", "")
    say("GitHub is unavailable")
    refused(429, "slow down", "", **{"Retry-After": "3600"})
    say("the rate limit is used up")
    bench.github.faults.clear()
    say("there is no token", GITHUB_TOKEN=None)
    say("the server of ClearML cannot be reached", CLEARML_API_HOST="http://127.0.0.1:1")
    say("a label that could end the marker", "--label", "x -->")
    say("a repository that is none", "--repository", "nonsense")
    say("no remote is on GitHub", by_hand=True)
    bench.github.pulls[7]["state"] = "closed"
    say("by hand, and no pull request is open", "--repository", "team/project", by_hand=True)
    bench.job.name = "push"
    bench.job.event = {"ref": "refs/heads/topic", "before": bench.base, "after": bench.head}
    say("a push without a pull request")
    transcript.compare()
