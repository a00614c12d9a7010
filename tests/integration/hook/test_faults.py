"""Everything that a network can do to us, while pushing: refused within the budget, and never passed in silence."""

from __future__ import annotations

import contextlib
import json
import subprocess
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path

import pytest

from git_clearml.hook.ref_updates import Push
from tests.support.apart import Apart
from tests.support.clearml_server import ClearMLServer
from tests.support.faults import Scripted, answering, closed_port, dribble, endless, full_backlog, reply, silent
from tests.support.pushing import BIN, NULL, Pushed, Yard, make_yard, quick

Fault = Callable[[], AbstractContextManager[int]]

BUDGET = 1.0
OVERHEAD = 60.0  # seconds for git, two processes and a busy machine; each fault lasts for minutes
PASS = json.dumps({"meta": {"result_code": 200}, "data": {"tasks": []}}).encode()
ERROR = json.dumps({"meta": {"result_code": 401, "result_msg": "no such key"}, "data": {}}).encode()


@contextmanager
def at(server: Scripted) -> Iterator[int]:
    with server:
        yield server.port


def nobody() -> AbstractContextManager[int]:
    return contextlib.nullcontext(closed_port())


UNREACHABLE: dict[str, Fault] = {
    "refused": nobody,
    "hangs up": lambda: at(Scripted(lambda _: None)),
    "silent": lambda: at(silent()),
    "never accepts": full_backlog,
    "stops in the middle": lambda: at(answering(reply(PASS, length=100_000))),
    "a byte a second": lambda: at(answering(dribble(reply(PASS), 1.0))),
    "429 for an hour": lambda: at(
        answering(reply(b"{}", status="429 Too Many Requests", headers=("Retry-After: 3600",)))
    ),
    "502": lambda: at(answering(reply(b"<html>", status="502 Bad Gateway"))),
}
WRONG: dict[str, Fault] = {
    "500": lambda: at(answering(reply(b"{}", status="500 Internal Server Error"))),
    "HTML": lambda: at(answering(reply(b"<html>log in</html>"))),
    "401": lambda: at(answering(reply(ERROR, status="401 Unauthorized"))),
    "403": lambda: at(answering(reply(ERROR, status="403 Forbidden"))),
    "a redirect": lambda: at(answering(reply(b"", status="302 Found", headers=("Location: http://127.0.0.1:1/",)))),
    "no tasks": lambda: at(answering(reply(b'{"meta": {"result_code": 200}, "data": {}}'))),
    "400": lambda: at(answering(reply(ERROR.replace(b"401", b"400"), status="400 Bad Request"))),
    "404": lambda: at(answering(reply(b"no such page", status="404 Not Found"))),
    "cut JSON": lambda: at(answering(reply(PASS[:-9]))),
    "wrong types": lambda: at(answering(reply(PASS.replace(b"[]", b'[{"id": 5}]')))),
    "200 MB": lambda: at(answering(endless(200))),
    "not HTTP": lambda: at(answering(b"SSH-2.0-OpenSSH_9.2\r\n")),
}


@pytest.fixture
def yard(tmp_path: Path) -> Iterator[Yard]:
    with ClearMLServer() as server, quick(make_yard(tmp_path, server)) as yard:
        yard.install()
        yard.repo.git("config", "clearml.timeout", str(BUDGET))
        yield yard


def push(yard: Yard, port: int, *words: str) -> Pushed:
    pushed = yard.push("origin", *(words or ("main",)), env={"CLEARML_API_HOST": f"http://127.0.0.1:{port}"})
    assert pushed.seconds < BUDGET + OVERHEAD
    return pushed


SOME = ("refused", "silent", "502", "stops in the middle", "401", "no tasks", "200 MB")
"""A fault of each kind; that every one of them is undecided is seen in clearml/test_faults.py."""


def some(faults: dict[str, Fault]) -> pytest.MarkDecorator:
    cases = [
        pytest.param(fault, id=name, marks=[] if name in SOME else pytest.mark.slow) for name, fault in faults.items()
    ]
    return pytest.mark.parametrize("fault", cases)


@some(UNREACHABLE | WRONG)
def test_a_fault_refuses_the_push(fault: Fault, yard: Yard) -> None:
    yard.task()
    with fault() as port:
        pushed = push(yard, port)
    assert (pushed.status, pushed.moved) == (1, {})
    assert "git clearml: " in pushed.err
    assert "hint: " in pushed.err
    assert f"undecided {yard.repo.head[:12]} (refs/heads/main): cannot tell whether" in pushed.err
    assert "GIT_CLEARML_SKIP=1 git push" in pushed.err
    assert "rejected" not in pushed.lines()[0]
    assert "--timeout" not in pushed.err, "nobody can type a flag there"
    assert ("did not answer within" in pushed.err) == ("hint: git config clearml.timeout 60" in pushed.err)
    assert not yard.memory.exists()
    yard.accepts("origin", "main", moved=["refs/heads/main"])


@pytest.mark.parametrize("host", ["https://127.0.0.1:{port}", "http://nobody.invalid"])
def test_a_wrong_host_refuses_the_push(host: str, yard: Yard) -> None:
    yard.task()
    port = int(yard.server.url.rpartition(":")[2])
    pushed = yard.push("origin", "main", env={"CLEARML_API_HOST": host.format(port=port)})
    assert (pushed.status, pushed.moved) == (1, {})
    assert "cannot tell whether" in pushed.err


def test_a_server_that_is_away_once_is_asked_again(yard: Yard) -> None:
    yard.repo.git("config", "clearml.timeout", "5")
    yard.task()
    yard.server.fail_next(status=502)
    yard.accepts("origin", "main", moved=["refs/heads/main"], requests=2)


def tolerant(yard: Yard) -> None:
    yard.repo.policy('on-unreachable = "warn"')
    yard.publish()
    yard.repo.commit("more")


@some(UNREACHABLE)
def test_warn_lets_an_unreachable_server_pass_aloud(fault: Fault, yard: Yard) -> None:
    tolerant(yard)
    with fault() as port:
        pushed = push(yard, port)
    assert (pushed.status, list(pushed.moved)) == (0, ["refs/heads/main"]), pushed.said
    assert "not verified" in pushed.err
    assert "git clearml: verified" not in pushed.err
    assert not yard.memory.exists()


@some(WRONG)
def test_warn_lets_nothing_else_pass(fault: Fault, yard: Yard) -> None:
    """The answers come at once, but for 200 MB, whose first 16 a busy machine need not see within a second."""
    tolerant(yard)
    yard.repo.git("config", "clearml.timeout", str(OVERHEAD))
    with fault() as port:
        pushed = push(yard, port)
    assert (pushed.status, pushed.moved) == (1, {})


def test_warn_is_the_word_of_every_ref(yard: Yard) -> None:
    """One protected ref that says block is enough."""
    yard.publish("main:refs/heads/strict")
    tolerant(yard)
    with nobody() as port:
        pushed = push(yard, port, "main", "main:refs/heads/strict")
        assert (pushed.status, pushed.moved) == (1, {})
        assert push(yard, port, "main").status == 0


def test_warn_in_the_pushed_commit_itself_does_not_help(yard: Yard) -> None:
    yard.publish()
    yard.repo.policy('on-unreachable = "warn"')
    with nobody() as port:
        assert push(yard, port).status == 1


def test_warn_does_not_pass_what_is_rejected(yard: Yard) -> None:
    tolerant(yard)
    yard.refuses("origin", "main")


def test_a_server_that_dies_after_the_first_answer(yard: Yard) -> None:
    """Between the question and its explanation: what is not known is no pass and no rejection."""
    yard.server.fail_next(status=200, body=PASS, headers={"Content-Type": "application/json"})
    yard.server.fail_next(status=0, count=9)
    pushed = yard.push("origin", "main")
    assert (pushed.status, pushed.moved) == (1, {})
    assert "undecided" in pushed.err


def test_the_usual_budget_is_ten_seconds_and_a_flag_shortens_it(yard: Yard) -> None:
    assert Push("origin", "", ()).budget == 10.0
    yard.repo.git("config", "--unset", "clearml.timeout")
    yard.hook.write_text(yard.hook.read_text().replace("hook pre-push", "hook --timeout 0.5 pre-push"))
    with at(silent()) as port:
        pushed = push(yard, port)
    assert (pushed.status, pushed.moved) == (1, {})
    assert "did not answer within 0." in pushed.err  # and not ten; what git took is off the budget


# What it is handed


@pytest.fixture
def called(yard: Yard, apart: Apart) -> Yard:
    """Its hook is called as git calls it, without a push."""
    yard.at_hand = apart
    return yard


def handed(yard: Yard, lines: bytes, *words: str) -> subprocess.CompletedProcess[bytes]:
    """The installed hook with these lines, as git calls it, and with time enough on a busy machine."""
    yard.repo.git("config", "clearml.timeout", "60")
    arguments = words or ("origin", str(yard.remote.path))
    command, env = [str(yard.hook), *arguments], yard.environment()
    return subprocess.run(command, cwd=yard.repo.path, env=env, input=lines, capture_output=True, check=False)


@pytest.mark.slow
def test_a_hundred_thousand_lines(yard: Yard) -> None:
    """A mirror's first push: sh leaves them to git-clearml, which looks at each commit once."""
    yard.task()
    names = [b"refs/heads/%d" % number for number in range(100_000)]
    lines = b"".join(b"%s %s %s %s\n" % (name, yard.repo.head.encode(), name, NULL.encode()) for name in names)
    yard.server.reset_log()
    done = handed(yard, lines)
    assert (done.returncode, len(yard.server.calls())) == (0, 1), done.stderr[:500]
    deletions = b"".join(b"(delete) %s %s %s\n" % (NULL.encode(), name, b"1" * 40) for name in names)
    assert handed(yard, deletions).returncode == 0


@pytest.mark.parametrize(
    "name", [b"\xff\xfe", b"a\xe2\x80\xa8b", b"x\xc2\x85y", b'it\'s"q"', b"$(exit)", b"-n", b"%s\\n"]
)
def test_names_of_refs_with_odd_bytes(name: bytes, called: Yard) -> None:
    line = b"HEAD^{/%s  x} %s refs/heads/%s %s\n" % (name, called.repo.head.encode(), name, NULL.encode())
    refused = handed(called, line)
    assert refused.returncode == 1
    assert refused.stderr.count(b"rejected") == 1
    called.task()
    assert handed(called, line).returncode == 0
    assert handed(called, line).returncode == 0


@pytest.mark.parametrize("name", ["-q", "--timeout", "--", "-"])
def test_a_remote_named_like_a_flag(name: str, called: Yard) -> None:
    line = b"main %s refs/heads/main %s\n" % (called.repo.head.encode(), NULL.encode())
    assert handed(called, line, name, str(called.remote.path)).returncode == 1
    called.task()
    assert handed(called, line, name, str(called.remote.path)).returncode == 0


def test_stdin_that_nobody_closes(yard: Yard) -> None:
    words = [str(BIN / "git-clearml"), "hook", "pre-push", "--timeout", "0.5", "origin", str(yard.remote.path)]
    env = yard.environment()
    with subprocess.Popen(words, cwd=yard.repo.path, env=env, stdin=subprocess.PIPE, stderr=subprocess.PIPE) as running:
        assert running.wait(60) == 3
        assert running.stderr
        assert b"stdin was still open after 0.5 s" in running.stderr.read()


def test_a_refusal_of_several_refs_says_no_task_that_it_does_not_name(yard: Yard) -> None:
    yard.task()
    yard.repo.git("branch", "good")
    yard.push("origin", "good")  # cached from here on
    yard.repo.git("branch", "again")
    bad = yard.repo.commit("bad")
    said = yard.push("origin", "again", "main").said
    assert f"rejected {bad[:12]}" in said
    assert "by this task:" not in said
