"""`git clearml verify --reports DIR`: files for CI services that need no token, whatever comes of the call."""

from __future__ import annotations

import json
import shutil
import stat
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pytest

from git_clearml.forge import report_files
from tests.support.actions import Job, pull_request
from tests.support.bitbucket_server import REPOSITORY, BitbucketServer
from tests.support.forge_server import Fault
from tests.support.github_server import TOKEN, GitHubServer
from tests.support.program import Gate, Result

FILES = {"junit.xml", "metrics.txt", "annotations.json", "clearml.env", "report.md", "report.json"}


def verify(gate: Gate, place: Path, *words: str, **env: str | None) -> Result:
    return gate.verify("--reports", str(place), *words, env=env)


def content(place: Path) -> dict[str, str]:
    assert {file.name for file in place.iterdir()} == FILES
    assert all(stat.S_IMODE(file.stat().st_mode) == 0o644 for file in place.iterdir())
    return {file.name: file.read_text(encoding="utf-8") for file in place.iterdir()}


def counts(text: str) -> tuple[str, ...]:
    """Failures, errors and skipped."""
    suites = list(ElementTree.fromstring(text))
    return tuple(str(sum(int(suite.get(name, "")) for suite in suites)) for name in ("failures", "errors", "skipped"))


def test_verified(gate: Gate, tmp_path: Path) -> None:
    mine = gate.task(name="train", metrics={"loss": {"train": 0.25, "val": 0.5}, ":monitor:gpu": {"x": 1.0}})
    place = tmp_path / "made" / "reports"
    result = verify(gate, place)
    written = content(place)
    assert (result.status, counts(written["junit.xml"])) == (0, ("0", "0", "0"))
    assert json.loads(written["report.json"]) == result.json
    assert 'clearml_metric{title="loss",series="train"} 0.25\n' in written["metrics.txt"]
    assert (written["metrics.txt"].count("\n"), "monitor" in written["metrics.txt"]) == (5, False)
    assert written["clearml.env"].startswith(f"OUTCOME=verified\nTASK_ID={mine}\nTASK_URL=http")
    (links,) = json.loads(written["annotations.json"]).values()
    assert mine in links[0]["external_link"]["url"]
    assert "### ✅ Verified" in written["report.md"]
    assert "| loss " in written["report.md"]


PLAIN: dict[str, Any] = {"status": "completed"}
OUTCOMES: dict[str, tuple[dict[str, Any], dict[str, str | None], tuple[str, ...], int, str, tuple[str, ...]]] = {
    # name: (the task, the environment, flags, exit status, outcome, (failures, errors, skipped))
    "rejected": ({"status": "failed"}, {}, (), 1, "rejected", ("1", "0", "0")),
    "pending": ({"status": "in_progress"}, {}, (), 4, "pending", ("0", "1", "4")),
    "no server": (PLAIN, {"CLEARML_API_HOST": "http://127.0.0.1:9"}, (), 3, "undecided", ("0", "1", "4")),
    "no credentials": (PLAIN, {"CLEARML_API_SECRET_KEY": None}, (), 3, "undecided", ("0", "1", "4")),
    "a usage error": (PLAIN, {}, ("no-such-rev",), 2, "undecided", ("0", "1", "0")),
    "an empty tag": (PLAIN, {}, ("--add-tag", " "), 2, "undecided", ("0", "1", "0")),
    "a bad job": (PLAIN, {"GITHUB_ACTIONS": "true"}, (), 3, "undecided", ("0", "1", "0")),
    "no such flag": (PLAIN, {}, ("--no-such-flag",), 2, "undecided", ("0", "1", "0")),
    "no such choice": (PLAIN, {}, ("--evidence", "x"), 2, "undecided", ("0", "1", "0")),
    "a bad COMMIT_ID": (PLAIN, {"CI": "1", "COMMIT_ID": "x"}, (), 2, "undecided", ("0", "1", "0")),
}


@pytest.mark.parametrize("name", OUTCOMES)
def test_whatever_comes(gate: Gate, tmp_path: Path, name: str) -> None:
    """What an earlier job has left green does not stay so."""
    fields, env, words, status, outcome, wanted = OUTCOMES[name]
    gate.task(**fields)
    place = tmp_path / "reports"
    place.mkdir()
    (place / "junit.xml").write_text("<testsuites><testsuite name='x'><testcase name='x'/></testsuite></testsuites>")
    result = verify(gate, place, *words, **env)
    written = content(place)
    assert (result.status, counts(written["junit.xml"])) == (status, wanted), written["junit.xml"]
    told = json.loads(written["report.json"])
    assert (told["outcome"], told["exit_code"], told["errors"]) == (outcome, status, result.json["errors"])
    assert written["metrics.txt"] == "# EOF\n"
    assert written["clearml.env"].startswith(f"OUTCOME={outcome}\n")


def test_a_mistyped_flag_before_or_without_a_directory(gate: Gate, tmp_path: Path) -> None:
    """No file of an earlier call is left green where it can be told which were meant."""
    place = tmp_path / "reports"
    for words, told in (
        (["--no-such-flag", f"--reports={place}"], True),
        (["--reports", str(tmp_path / "first"), "--reports", str(place), "-x"], True),
        (["--no-such-flag", "--reports"], False),
        (["--reports", "--no-such-flag"], False),
        (["--no-such-flag", "--", "--reports", str(place)], False),
        (["-n", "--no-such-flag", "--reports", str(place)], False),
        (["--no-such-flag", "--reports", "/dev/null/x"], False),
    ):
        assert gate.call("verify", *words).status == 2
        assert place.exists() is told, words
        if told:
            assert json.loads(content(place)["report.json"])["exit_code"] == 2
            shutil.rmtree(place)


def test_not_even_a_repository(gate: Gate, tmp_path: Path) -> None:
    (gate.repo.path / ".git").rename(tmp_path / "git")
    assert verify(gate, tmp_path / "reports").status == 2
    assert counts(content(tmp_path / "reports")["junit.xml"]) == ("0", "1", "0")


def test_a_bug_or_a_kill_leaves_no_pass(gate: Gate, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    gate.task()
    assert verify(gate, tmp_path / "reports").status == 0

    def fails(*_: Any, **__: Any) -> Any:
        raise ZeroDivisionError

    monkeypatch.setattr("git_clearml.commands.verification.prepare", fails)
    assert gate.call("verify", "--reports", str(tmp_path / "reports")).status == 70
    written = content(tmp_path / "reports")
    assert counts(written["junit.xml"]) == ("0", "1", "0")
    assert json.loads(written["report.json"])["outcome"] == "undecided"


def test_a_bug_in_a_file_hides_no_verdict(gate: Gate, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """And leaves no file that is green: what was written before there was a verdict stays."""
    gate.task(status="failed")
    place = tmp_path / "reports"
    begun = report_files.begin

    def begins(*words: Any) -> None:
        begun(*words)
        monkeypatch.setattr("git_clearml.render.openmetrics.text", lambda _: 1 / 0)

    monkeypatch.setattr("git_clearml.forge.report_files.begin", begins)
    result = verify(gate, place)
    assert (result.status, result.json["outcome"]) == (70, "rejected")
    assert "this is a bug of git-clearml" in result.err
    assert counts(content(place)["junit.xml"])[1] == "1"


def test_the_forge_is_away(gate: Gate, tmp_path: Path) -> None:
    base, head = gate.repo.head, gate.repo.commit("change")
    gate.task(commit=head)
    with GitHubServer() as github:
        github.faults = [Fault("", 401)] * 9
        job = Job(tmp_path / "job", event=pull_request(7, head, base), api=github.url)
        result = gate.verify("--comment", "--reports", str(tmp_path / "reports"), env=job.env)
    written = content(tmp_path / "reports")
    assert (result.status, counts(written["junit.xml"])) == (3, ("0", "1", "0"))
    assert json.loads(written["report.json"])["errors"][0]["code"] == "publish-failed"
    assert TOKEN not in "".join(written.values())


def test_no_secret_gets_into_a_file(gate: Gate, tmp_path: Path) -> None:
    secret = gate.server.env["CLEARML_API_SECRET_KEY"]
    assert secret
    gate.task(name=f"{secret} train", metrics={secret: {"x": 1.0}})
    assert verify(gate, tmp_path / "reports").status == 0
    assert secret not in "".join(content(tmp_path / "reports").values())


def test_a_directory_that_cannot_be(gate: Gate, tmp_path: Path) -> None:
    gate.task()
    (tmp_path / "file").write_text("x")
    result = verify(gate, tmp_path / "file" / "reports")
    assert (result.status, result.errors) == (3, ["publish-failed"])
    assert str(tmp_path / "file" / "reports") in result.talk()[0]
    assert gate.call("verify", "--reports", "").status == 2


def test_a_file_that_cannot_be_written_leaves_no_green_one(gate: Gate, tmp_path: Path) -> None:
    gate.task()
    (tmp_path / "clearml.env").mkdir()
    result = verify(gate, tmp_path)
    assert (result.status, result.errors) == (3, ["publish-failed"])
    junit = tmp_path / "junit.xml"
    assert not junit.exists() or counts(junit.read_text()) == ("0", "1", "0")


def test_a_dry_run_writes_none(gate: Gate, tmp_path: Path) -> None:
    gate.task()
    result = verify(gate, tmp_path / "reports", "--dry-run")
    assert (result.status, (tmp_path / "reports").exists()) == (0, False)
    assert any("would write" in note for note in result.json["notes"])


# --- Code Insights -----------------------------------------------------------------------------------------------


def pipeline(gate: Gate, server: BitbucketServer, **more: str | None) -> dict[str, str | None]:
    """The variables of a pipeline of a pull request; nothing but the proxy is there to be asked."""
    return {
        "BITBUCKET_BUILD_NUMBER": "3",
        "BITBUCKET_REPO_FULL_NAME": REPOSITORY,
        "BITBUCKET_COMMIT": gate.repo.head,
        "BITBUCKET_PR_ID": "7",
        "BITBUCKET_PR_DESTINATION_COMMIT": gate.repo.git("rev-parse", "HEAD~1")[:12],
        "BITBUCKET_PROXY_URL": server.url.removesuffix("/2.0"),
        **more,
    }


@pytest.mark.parametrize(
    ("fields", "env", "status", "result"),
    [
        ({}, {}, 0, "PASSED"),
        ({"status": "failed"}, {}, 1, "FAILED"),
        ({"status": "queued"}, {}, 4, "PENDING"),
        ({}, {"CLEARML_API_HOST": "http://127.0.0.1:9"}, 3, "PENDING"),
    ],
)
def test_code_insights(
    gate: Gate, tmp_path: Path, fields: dict[str, Any], env: dict[str, str | None], status: int, result: str
) -> None:
    gate.repo.commit("change")
    names = {f'a {number}"<>': {"b": float(number), "c": float("nan")} for number in range(20)}
    task = gate.task(name="<train>", metrics=names, **fields)
    with BitbucketServer() as server:
        for _ in range(2):
            done = gate.verify("--reports", str(tmp_path / "reports"), env={**pipeline(gate, server), **env})
            assert (done.status, done.errors) == (status, ["unreachable"] if env else []), done.err
        assert {str(call) for call in server.calls} == {
            f"PUT /2.0/repositories/{REPOSITORY}/commit/{gate.repo.head}/reports/git-clearml"
        }
        (report,) = server.reports.values()
    assert report["result"] == result
    assert len(report["data"]) == (10 if not status else 1)
    assert task in report["link"] or (
        status and report["link"].startswith("https://bitbucket.org/team/project/commits/")
    )


@pytest.mark.parametrize("fault", [Fault(401), Fault(404), Fault(502), Fault(0), Fault(200, raw=b"<html>")])
def test_a_proxy_that_refuses_hides_no_verdict(
    gate: Gate, tmp_path: Path, fault: Fault, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("git_clearml.base.http.RETRY_DELAYS", (0.01, 0.02))
    gate.repo.commit("change")
    gate.task(status="failed")
    with BitbucketServer() as server:
        server.faults.append(fault)
        env = pipeline(gate, server)
        rejected = gate.verify("--reports", str(tmp_path / "reports"), env=env)
        assert (rejected.status, rejected.json["outcome"], rejected.errors) == (1, "rejected", ["publish-failed"])
        gate.task()
        verified = gate.verify("--reports", str(tmp_path / "reports"), env=env)
        assert (verified.status, verified.json["outcome"], verified.errors) == (3, "verified", ["publish-failed"])
        assert json.loads(content(tmp_path / "reports")["report.json"]) == verified.json
        without = gate.verify("--reports", str(tmp_path / "reports"), env={**env, "BITBUCKET_PROXY_URL": ""})
        assert (without.status, without.errors) == (0, [])
