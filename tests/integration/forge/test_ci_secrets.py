"""Secrets planted wherever a CI job meets text: none comes out, whatever the command, its form and its verdict."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from git_clearml.forge import calls
from tests.integration.forge.test_comment import Bench
from tests.support.actions import Job, pull_request
from tests.support.clearml_common import ApiError
from tests.support.github_server import TOKEN, Fault, GitHubServer
from tests.support.program import Gate, Result

PLANTED: dict[str, str | None] = {
    "AWS_SECRET_ACCESS_KEY": "wJalr/XUtn*FEMI+K7MDENG_bPxRfiCY|KEY",
    "DEPLOY_PASSWORD": "pa$$word#1:tada:<b>@team",
    "NPM_TOKEN": "npm_0123456789abcdefghij",
    "SOME_CREDENTIALS": 'quo"ted\\and\x1bcontrolled&amp;',
}
IN_URL = "pass-in-the-url-0001"
POLICY = ("[tool.git-clearml.best]", 'metric = "loss/train"', 'direction = "min"')
COMMANDS = (
    ("verify", "--comment", "--tag-best", "--tag-unmerged", "--add-tag", "checked"),
    ("compare", "--tag-best", "--tag-unmerged"),
    ("report", "--all"),
)


@pytest.fixture
def bench(gate: Gate, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Bench]:
    """Pull request 7 of HEAD, in a clone whose remote has a password in its URL."""
    monkeypatch.setattr(calls, "TRIES", 1)
    monkeypatch.setattr(calls, "BACKOFF_SECONDS", 0.01)
    base = gate.repo.policy(*POLICY)
    head = gate.repo.commit("change", {"train.py": "print('better')\n"})
    gate.repo.git("remote", "set-url", "origin", f"https://robot:{IN_URL}@example.com/team/project.git")
    with GitHubServer() as github:
        github.add_pull(7, head, base)
        job = Job(tmp_path / "job", event=pull_request(7, head, base), api=github.url, more=dict(PLANTED))  # type: ignore[arg-type]
        yield Bench(gate, github, job, base)


def secrets(bench: Bench) -> list[str]:
    """Those in the environment."""
    server = bench.gate.server
    return [*(each for each in PLANTED.values() if each), TOKEN, server.secret_key, server.access_key]


def plant(bench: Bench, **fields: Any) -> None:
    """A task of HEAD, and a best one, whose every text repeats every secret."""
    known = secrets(bench)
    many = " ".join(known)
    noisy = {f"title {each}": {f"series {each}": 0.5} for each in known}
    texts = {"name": f"train {many}", "project": f"project {many}", "tags": [f"tag {many}"], "comment": many}
    messages = {"status_message": many, "status_reason": many, "last_worker": many}
    for commit, value in ((bench.head, 0.3), ("b" * 40, 0.2)):
        given = fields if commit == bench.head else {}
        tags = ["Best Performance", many] if commit != bench.head else texts["tags"]
        metrics = {**noisy, "loss": {"train": value}}
        task = bench.gate.server.add_task(**{**texts, "commit": commit, "metrics": metrics, **given, "tags": tags})
        bench.gate.server.tasks[task].update(messages)


def assert_clean(bench: Bench, *texts: str) -> None:
    """No secret stands there: as it is, escaped for Markdown or JSON, or with the invisible guards in it."""
    bodies = [comment["body"] for comment in bench.github.comments]
    statuses = [json.dumps(status) for status in bench.github.statuses]
    shown = "".join([*texts, bench.job.written, *bodies, *statuses])
    flat = shown.replace("\\", "").replace("\u200c", "").replace("<span>$</span>", "$")
    flat = flat.replace("&lt;", "<").replace("&gt;", ">").replace("&amp;", "&")
    for secret in (*secrets(bench), IN_URL):
        for form in (secret, json.dumps(secret)[1:-1]):
            assert form not in shown
            assert form.replace("\\", "") not in flat
        assert secret[6:] not in flat


def call(bench: Bench, *words: str) -> Result:
    result = bench.gate.call(*words, env=bench.job.env)
    assert_clean(bench, result.out, result.err)
    return result


@pytest.mark.parametrize("form", ["text", "markdown", "json"])
@pytest.mark.parametrize("words", COMMANDS, ids=lambda words: words[0])
@pytest.mark.parametrize(("fields", "verdict"), [({}, 0), ({"diff": "+x\n"}, 1), ({"status": "in_progress"}, 4)])
def test_none_comes_out(bench: Bench, words: tuple[str, ...], form: str, fields: dict[str, Any], verdict: int) -> None:
    plant(bench, **fields)
    result = call(bench, *words, "--format", form, "--verbose")
    worse = verdict == 0 and words[0] != "report"
    assert result.status == (1 if worse else verdict), result.err
    assert "[secret]" in result.out.replace("\\", "") or verdict


@pytest.mark.parametrize("words", [*COMMANDS, ("comment", "--status")], ids=lambda words: words[0])
def test_nor_when_servers_repeat_them_in_their_refusals(bench: Bench, words: tuple[str, ...]) -> None:
    plant(bench)
    for secret in secrets(bench):
        refusal = f"not for {secret} in no way"
        bench.gate.server.hook = None
        bench.github.faults = [Fault(403, refusal, matching="POST")]
        assert call(bench, *words, "--verbose").status in (0, 1, 3)

        def refuse(call: str, _: object, refusal: str = refusal) -> None:
            raise ApiError(403, 0, refusal)

        bench.gate.server.hook = refuse
        assert call(bench, *words, "--verbose").status == 3


def test_nor_when_a_checkout_lacks_what_is_judged(bench: Bench) -> None:
    """git names the URL, with the password in it, when it cannot fetch."""
    bench.job.event = pull_request(7, "c" * 40, bench.base)
    for words in COMMANDS:
        assert call(bench, *words, "--verbose").status == 3
    assert call(bench, "comment").status == 0
    assert "Undecided" in bench.ours()


@pytest.mark.parametrize("form", ["text", "markdown", "json"])
@pytest.mark.parametrize("words", [("verify",), ("compare",), ("report", "--all")], ids=lambda words: words[0])
@pytest.mark.parametrize("fields", [{}, {"diff": "+x\n"}], ids=["verified", "rejected"])
def test_none_comes_out_on_a_terminal_either(
    bench: Bench, words: tuple[str, ...], form: str, fields: dict[str, Any]
) -> None:
    plant(bench, **fields)
    env = {**PLANTED, "GH_TOKEN": TOKEN}
    result = bench.gate.call(*words, "--format", form, "--verbose", env=env)
    assert_clean(bench, result.out, result.err)
    address = bench.gate.call("open", "--print", env=env)
    assert_clean(bench, address.out, address.err)
