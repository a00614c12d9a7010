"""What `verify` prints: formats, streams, terminals, and text from a server that would like to do harm."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

import pytest

from tests.integration.verdict.test_lookalikes import DIRTY
from tests.support.program import Gate, command, process_environment
from tests.support.terminal import at_a_terminal

EVIL = [
    "\x1b[31mred\x1b[0m",
    "\x1b]0;title\x07",
    "one\ntwo\r\nthree\x85four\u2028five",
    "back\x08\x08\x08space",
    "\u202eesrever\u202c",
    "\u2066isolated\u2069 \u200f\u200e",
    "🚀👩‍👩‍👧 naïve 日本語 emoji",
    "x" * 10_000,
    "\x00\x7f\x9b31m",
    "\ud800 lone",
    "| a | b |\n|---|---|",
    "<script>alert(1)</script> ![x](http://e/x.png) [l](javascript:1) @octocat #1 `code` **bold**",
    "::error::workflow command",
    "&lt;b&gt;",
]
FORBIDDEN = re.compile("[\x00-\x09\x0b-\x1f\x7f-\x9f\u2028\u2029\u202a-\u202e\u2066-\u2069\u200e\u200f\ud800-\udfff]")


@pytest.mark.parametrize(
    ("name", "passes"), [*((name, number % 2 > 0) for number, name in enumerate(EVIL)), ("".join(EVIL[:3]), True)]
)
def test_evil_names_print_harmlessly(gate: Gate, name: str, passes: bool) -> None:
    gate.task(name=name, project=None, diff="" if passes else DIRTY)
    task = next(iter(gate.server.tasks.values()))
    gate.server.store.projects["p"] = {**gate.server.store.new_project("harmless"), "id": "p", "name": name}
    task["project"] = "p"
    result = gate.call("verify", "--verbose")
    assert result.status == (0 if passes else 1)
    assert not FORBIDDEN.search(result.out + result.err)
    assert all(len(line) <= 330 for line in result.out.splitlines())
    assert len(result.out.splitlines()) == (3 if passes else 7)
    markdown = gate.call("verify", "--format", "markdown").out
    assert not FORBIDDEN.search(markdown)
    assert not re.search(r"<script|@octocat|^\| a|\n::error|!\[x\]\(", markdown)
    document = gate.verify()
    assert document.status == result.status


def test_other_fields_of_a_task_print_harmlessly(gate: Gate) -> None:
    gate.repo.policy('project = "Ours\\u001b[31m"')
    gate.task(
        entry_point="no\x1b[31m\n.py",
        repository="https://e\x1b[31m.com/\u202ex",
        status="in\x1b[0mprogress",
        diff="diff --git a/\x1b]0;x\x07 b/\x1b]0;x\x07\n@@ -1 +1 @@\n+x\n",
    )
    for form in ("text", "markdown"):
        assert not FORBIDDEN.search(gate.call("verify", "--format", form).out)


def test_the_text_of_a_pass(gate: Gate) -> None:
    identity = gate.task(name="train a", project="Vision/Detector")
    lines = gate.call("verify").out.splitlines()
    assert lines[0] == f"verified {gate.repo.head[:12]} (HEAD) by this task:"
    assert lines[1] == '  "train a" in Vision/Detector'
    assert lines[2].endswith(f"/experiments/{identity}/output/log")
    assert len(lines) == 3


def test_the_text_of_a_rejection(gate: Gate) -> None:
    gate.task(name="train a", diff=DIRTY)
    result = gate.call("verify")
    lines = result.out.splitlines()
    assert lines[0].startswith(f"rejected {gate.repo.head[:12]} (HEAD): no clean, completed ClearML task")
    assert re.fullmatch(r"  tasks last updated before \d{4}-\d\d-\d\d were not looked at", lines[1])
    assert re.fullmatch(r"  to look further back: git clearml verify --since \S+", lines[-2])
    assert lines[2] == "  - ran with uncommitted changes in train.py (+4 -1)"
    assert lines[3] == '      "train a" in Vision/Detector'
    assert lines[-1] == "next: git clearml run -- python train.py"
    assert result.err == ""


def test_markdown(gate: Gate) -> None:
    gate.task(name="a*b", diff=DIRTY)
    rejected = gate.call("verify", "--format", "markdown").out
    assert rejected.startswith(f"### ❌ `{gate.repo.head[:12]}` rejected\n")
    assert "[a\\*b](<http" in rejected
    assert "Next: `git clearml run -- python train.py`" in rejected
    gate.task()
    assert gate.call("verify", "--format", "markdown").out.startswith("### ✅ `")


def test_the_shape_of_the_json(gate: Gate) -> None:
    gate.task(status="failed")
    report = gate.verify().json
    keys = "schema command outcome exit_code policy commits check_runnable compare comment hint errors"
    assert set(keys.split()) <= set(report)
    assert (report["schema"], report["command"], report["errors"]) == (1, "verify", [])
    (commit,) = report["commits"]
    keys = "commit refs outcome task equivalence evidence_commit evidence notes near_misses"
    assert set(commit) == set(keys.split())
    (miss,) = commit["near_misses"]
    assert set(miss) == {"task", "reasons"}
    assert set(miss["task"]) == {"id", "name", "project", "status", "source", "commit", "url"}


def test_quiet(gate: Gate) -> None:
    gate.task()
    result = gate.call("verify", "--quiet")
    assert (result.status, result.out, result.err) == (0, "", "")
    gate.repo.commit("two", {"x": "2"})
    assert gate.call("verify", "-q").out.startswith("rejected ")
    assert gate.verify("--quiet").json["outcome"] == "rejected"


def test_verbose_says_what_was_asked(gate: Gate) -> None:
    gate.task()
    result = gate.call("verify", "--verbose")
    assert re.fullmatch(r"git clearml: POST tasks\.get_all_ex: 200, \d+ bytes, \d+ ms\n", result.err)


@pytest.mark.parametrize(("words", "unbuffered"), [("--help", None), ("--version", "1")])
def test_the_help_on_a_full_disk(words: str, unbuffered: str | None, gate: Gate) -> None:
    done = shell(gate, f'"$@" {words} >/dev/full', PYTHONUNBUFFERED=unbuffered)
    assert done.returncode == 3
    assert done.stderr.startswith("git clearml: the output cannot be written: No space left on device\nhint: ")


def shell(gate: Gate, script: str, **env: str | None) -> subprocess.CompletedProcess[str]:
    """A line of sh, in which "$@" is `git clearml`."""
    return subprocess.run(
        ["sh", "-c", script, "sh", *command()],
        cwd=gate.repo.path,
        env=process_environment({**gate.server.env, **env}),
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.mark.parametrize("words", ["verify", "verify nosuch --format json", "--help"])
def test_a_reader_that_leaves_early(gate: Gate, words: str) -> None:
    done = shell(gate, f'{{ "$@" {words}; echo $? >status; }} | true')
    status = int((gate.repo.path / "status").read_text())
    assert "Traceback" not in done.stderr
    assert "bug" not in done.stderr
    assert "BrokenPipe" not in done.stderr
    assert status in (0, 1, 2, 141)


@pytest.mark.parametrize(
    ("closing", "words"), [(">&-", "verify"), ("2>&-", "verify nosuch"), (">&- 2>&-", "verify"), ("<&-", "verify")]
)
def test_closed_streams(gate: Gate, closing: str, words: str) -> None:
    gate.task()
    done = shell(gate, f'"$@" {words} {closing}')
    assert done.returncode == (2 if "nosuch" in words else 0), done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize(("words", "status"), [("verify", 3), ("verify nosuch --format json", 2)])
def test_a_full_disk(gate: Gate, words: str, status: int) -> None:
    gate.task()
    done = shell(gate, f'"$@" {words} >/dev/full')
    assert done.returncode == status
    assert "git clearml: the output cannot be written: No space left on device\nhint: " in done.stderr
    assert "Traceback" not in done.stderr


def on_a_terminal(gate: Gate, **env: str) -> str:
    """stdout and stderr of `verify` on a terminal."""
    environment = process_environment({**gate.server.env, "TERM": "xterm", **env})
    return at_a_terminal(command("verify"), cwd=gate.repo.path, env=environment)[1]


def test_colour_on_a_terminal_only_and_not_under_no_color(gate: Gate) -> None:
    gate.task()
    assert "\x1b[32mverified\x1b[0m" in on_a_terminal(gate)
    assert "\x1b" not in on_a_terminal(gate, NO_COLOR="1")
    assert "\x1b" not in on_a_terminal(gate, TERM="dumb")
    assert "\x1b" not in gate.call("verify").out


def test_a_terminal_that_knows_only_ascii(gate: Gate) -> None:
    gate.task(name="größe 日本", diff=DIRTY)
    result = gate.call("verify", env={"PYTHONIOENCODING": "ascii", "LC_ALL": "C", "PYTHONUTF8": "0"}, alone=True)
    assert (result.status, result.err) == (1, "")
    assert "gr??e ??" in result.out


def test_a_bug_of_ours_is_one_line_and_a_log_without_secrets(
    gate: Gate, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    def broken(*_: object) -> str:
        raise ZeroDivisionError(f"with {gate.server.access_key} and {gate.server.secret_key}")

    monkeypatch.setattr("git_clearml.verdict.hint.next_command", broken)
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    result = gate.call("verify")
    assert (result.status, result.out) == (70, "")
    message, hint = result.talk()
    assert "bug of git-clearml (ZeroDivisionError)" in message
    (log,) = tmp_path.glob("git-clearml-*.log")
    assert str(log) in hint
    text = log.read_text()
    assert "Traceback" in text
    assert "ZeroDivisionError: with [secret] and [secret]" in text


@pytest.mark.parametrize(
    "content",
    [
        'api {{ api_server: "{url}", credentials {{ access_key: "{access}", secret_key: "{secret}" }} }}\n',
        'include "keys.conf"\n',
        'x = "{access}"\ny = "{secret}"\n'
        'api {{ host: "{url}", credentials {{ access_key: ${{x}}, secret_key: ${{y}} }} }}\n',
    ],
    ids=["plain", "included", "referred to"],
)
def test_a_log_without_the_secrets_of_clearml_conf(
    gate: Gate, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, content: str
) -> None:
    """They stand in no variable, and still must not come out."""
    conf = tmp_path / "clearml.conf"
    secret = "0123456789abcdef" * 2 if "include" in content else gate.server.secret_key
    keys = {"url": gate.server.url, "access": gate.server.access_key, "secret": secret}
    gate.server._backend.authority._pair = f"{gate.server.access_key}:{secret}"
    inner = 'api {{ api_server: "{url}", credentials {{ access_key: "{access}", secret_key: "{secret}" }} }}\n'
    (tmp_path / "keys.conf").write_text(inner.format(**keys))
    conf.write_text(content.format(**keys))

    def broken(*_: object) -> str:
        raise ZeroDivisionError(f"with {gate.server.access_key} and {secret}")

    monkeypatch.setattr("git_clearml.verdict.hint.next_command", broken)
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    nothing = dict.fromkeys(gate.server.env)
    assert gate.call("verify", env={**nothing, "CLEARML_CONFIG_FILE": str(conf)}).status == 70
    (log,) = tmp_path.glob("git-clearml-*.log")
    assert "ZeroDivisionError: with [secret] and [secret]" in log.read_text()
