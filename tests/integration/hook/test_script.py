"""hooks/pre-push by itself: what sh answers before any Python starts, under every shell that may be /bin/sh."""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path

import pytest

from tests.support.pushing import (
    DELETION,
    GREEDY,
    HOOK,
    NULL,
    ONE,
    OTHER,
    SHELLS,
    line,
    on_path,
    recorder,
    run_hook,
    shim,
    write_hook,
)

URL = "https://example.com/team/project.git"
DELETION_256 = line("(delete)", "0" * 64, "refs/heads/gone", "1" * 64)
pytestmark = pytest.mark.parametrize("shell", SHELLS)

UP_TO_DATE = {
    "empty": b"",
    "deletion": DELETION,
    "deletion SHA-256": DELETION_256,
    "deletions": DELETION * 3,
}
TO_JUDGE = {
    "a branch": line(),
    "a branch of zeros in name only": line(f"refs/heads/{NULL}", ONE, f"refs/heads/{NULL}", NULL),
    "deletion and branch": DELETION + line(),
    "branch and deletion": line() + DELETION,
    "a ref named (delete)": line("(delete)", ONE, "refs/heads/x", NULL),
    "zeros of another length": line("(delete)", "0" * 41, "refs/heads/x", NULL),
    "no line of git's": b"garbage\n",
    "backslashes": line("HEAD^{/\\x \\n}", ONE, "refs/heads/x", NULL),
    "spaces around": b"  " + DELETION,
    "blank lines": b"\n \n",
}


@pytest.fixture
def place(tmp_path: Path) -> Path:
    """A hooks directory with our hook, beside a directory with a shim of git-clearml."""
    (tmp_path / "hooks").mkdir()
    (tmp_path / "bin").mkdir()
    shutil.copy(HOOK, tmp_path / "hooks" / "pre-push")
    return tmp_path


def bytes_seen(place: Path, status: int = 0) -> Path:
    """A git-clearml that records its arguments and stdin; where the start is logged."""
    return shim(place / "bin", recorder(place / "ours", status).partition("\n")[2])


def previous(place: Path, status: int = 0, mode: int = 0o755) -> None:
    write_hook(place / "hooks" / "pre-push.pre-clearml", recorder(place / "theirs", status), mode)


def run(shell: str, place: Path, stdin: bytes, **options: object) -> subprocess.CompletedProcess[bytes]:
    return run_hook(shell, place / "hooks" / "pre-push", stdin, path=on_path(place / "bin"), **options)  # type: ignore[arg-type]


@pytest.mark.parametrize("stdin", UP_TO_DATE.values(), ids=UP_TO_DATE.keys())
def test_what_shares_no_code_starts_no_python(shell: str, stdin: bytes, place: Path) -> None:
    log = bytes_seen(place, status=1)
    done = run(shell, place, stdin)
    assert (done.returncode, done.stdout, done.stderr, log.read_text()) == (0, b"", b"", "")


@pytest.mark.parametrize("stdin", TO_JUDGE.values(), ids=TO_JUDGE.keys())
def test_everything_else_is_judged(shell: str, stdin: bytes, place: Path) -> None:
    log = bytes_seen(place)
    assert run(shell, place, stdin).returncode == 0
    assert log.read_text() == "start\n"
    assert (place / "ours.stdin").read_bytes().rstrip(b"\n") == stdin.rstrip(b"\n")
    assert (place / "ours.args").read_text() == f"4\nhook\npre-push\norigin\n{URL}\n"
    assert run(shell, place, stdin, env={"GIT_CLEARML_SKIP": "1"}).returncode == 0
    assert log.read_text() == "start\n"


@pytest.mark.parametrize("status", [1, 3, 4, 70, 130])
def test_our_refusal_is_the_hooks(shell: str, status: int, place: Path) -> None:
    bytes_seen(place, status)
    previous(place)
    assert run(shell, place, line()).returncode == status
    assert not (place / "theirs.stdin").exists()


def test_without_git_clearml_the_push_is_refused_with_the_repair(shell: str, place: Path) -> None:
    (place / "bin" / "cat").symlink_to(shutil.which("cat") or "")
    hook = place / "hooks" / "pre-push"
    done = run_hook(shell, hook, line(), path=str(place / "bin"))
    said = done.stderr.decode().splitlines()
    assert done.returncode == 3
    assert said[0] == "git clearml: push refused: git-clearml is not on PATH, so nothing can be verified"
    assert said[1].startswith("hint: ")
    assert said[1].endswith(f"rm {hook}")
    for stdin, env in ((b"", {}), (DELETION, {}), (line(), {"GIT_CLEARML_SKIP": "yes"})):
        assert run_hook(shell, hook, stdin, path=str(place / "bin"), env=env).returncode == 0


def test_without_cat_nothing_is_known_of_the_push(shell: str, place: Path) -> None:
    write_hook(place / "bin" / "git-clearml", "#!/bin/sh\nexit 0\n")
    done = run_hook(shell, place / "hooks" / "pre-push", line(), path=str(place / "bin"))
    assert done.returncode == 3
    assert b"hint: " in done.stderr


@pytest.mark.parametrize("where", ["hooks", "a 'b\" $c *"])
def test_whoever_removes_it_as_told_keeps_the_hook_that_was_there(shell: str, where: str, place: Path) -> None:
    (place / "bin" / "cat").symlink_to(shutil.which("cat") or "")
    previous(place)
    hook = place / where / "pre-push"
    (place / "hooks").rename(place / "moved")
    (place / "moved").rename(hook.parent)
    done = subprocess.run(
        [shutil.which(shell.split()[0]) or "", *shell.split()[1:], "./pre-push", "origin", URL],
        input=line(),
        env={"PATH": str(place / "bin")},
        cwd=hook.parent,
        capture_output=True,
        check=False,
    )
    told = done.stderr.decode().splitlines()[1].partition("to remove this hook: ")[2]
    subprocess.run(["/bin/sh", "-c", told], check=True, cwd="/")
    assert [path.name for path in hook.parent.iterdir()] == ["pre-push"]
    assert run_hook(shell, hook, line(), path=on_path(place / "bin")).returncode == 0
    assert (place / "theirs.stdin").read_bytes() == line()


BROKEN = {
    "an empty file": ("", "is not a program"),
    "without its bit": ("#!/bin/sh\nexit 0\n", "is not"),
    "a venv that has moved": ("#!/nowhere/venv/bin/python\nprint()\n", "cannot be run"),
    "a Python without our package": ("#!/bin/sh\nexec env python3 -IS -c 'import git_clearml'\n", "does not work"),
    "a program that is not ours": ("#!/bin/sh\nexit 1\n", "does not work"),
}


@pytest.mark.parametrize("how", BROKEN)
def test_a_git_clearml_that_does_not_work_refuses_with_the_repair(shell: str, how: str, place: Path) -> None:
    text, why = BROKEN[how]
    write_hook(place / "bin" / "git-clearml", text, 0o644 if how == "without its bit" else 0o755)
    for tool in ("cat", "env", "python3"):
        (place / "bin" / tool).symlink_to(shutil.which(tool) or "")
    done = run_hook(shell, place / "hooks" / "pre-push", line(), path=str(place / "bin"))
    said = done.stderr.decode()
    assert done.returncode in (1, 3)
    assert why in said
    assert said.splitlines()[-1].startswith("hint: ")
    assert re.search("install (it|git-clearml) again", said.splitlines()[-1])


def test_a_directory_of_that_name_is_no_program(shell: str, place: Path) -> None:
    (place / "bin" / "git-clearml").mkdir()
    (place / "bin" / "cat").symlink_to(shutil.which("cat") or "")
    done = run_hook(shell, place / "hooks" / "pre-push", line(), path=str(place / "bin"))
    assert done.returncode == 3
    assert b"push refused" in done.stderr


def test_a_plain_refusal_is_not_taken_for_a_broken_program(shell: str, place: Path) -> None:
    shim(place / "bin", '[ -z "$(cat)" ] || exit 1')
    done = run(shell, place, line())
    assert (done.returncode, done.stderr) == (1, b"")


def test_a_remote_may_be_named_like_a_flag(shell: str, place: Path) -> None:
    bytes_seen(place)
    previous(place)
    assert run(shell, place, line(), arguments=["--timeout", URL]).returncode == 0
    assert (place / "ours.args").read_text() == f"5\nhook\npre-push\n--\n--timeout\n{URL}\n"
    assert (place / "theirs.args").read_text() == f"2\n--timeout\n{URL}\n"


def odd_names() -> bytes:
    """1,000 lines with every byte that a ref's name may have, and what a shell could stumble on."""
    allowed = bytes(byte for byte in range(0x21, 0x100) if byte not in b"~^:?*[\\\x7f")
    texts = [b"HEAD^{/a  b\\c $x `y` %s ' \" * ? [a] ~ !}", b"-n", b"-e", b"refs/heads/" + allowed]
    texts += [b"refs/heads/" + bytes([byte]) + b"x" for byte in allowed]
    texts += [b"refs/heads/%d" % number for number in range(1000 - len(texts))]
    return b"".join(b"%s %s %s %s\n" % (name, ONE.encode(), name.replace(b" ", b""), OTHER.encode()) for name in texts)


def test_the_hook_before_ours_gets_the_same_arguments_and_the_same_bytes(shell: str, place: Path) -> None:
    bytes_seen(place)
    previous(place)
    stdin = odd_names()
    assert stdin.count(b"\n") == 1000
    done = run(shell, place, stdin, arguments=["a remote", b"/srv/\xff $x `y` *"])
    assert (done.returncode, done.stderr) == (0, b"")
    assert (place / "theirs.stdin").read_bytes() == stdin
    assert (place / "ours.stdin").read_bytes() == stdin
    assert (place / "theirs.args").read_bytes() == b"2\na remote\n/srv/\xff $x `y` *\n"


@pytest.mark.parametrize("stdin", [b"", DELETION, line()], ids=["up to date", "deletion", "branch"])
@pytest.mark.parametrize("skip", ["", "1"])
def test_the_hook_before_ours_runs_whatever_ours_does(shell: str, skip: str, stdin: bytes, place: Path) -> None:
    bytes_seen(place)
    for status in (0, 1, 37):
        previous(place, status)
        assert run(shell, place, stdin, env={"GIT_CLEARML_SKIP": skip}).returncode == status
        assert (place / "theirs.stdin").read_bytes() == stdin


def test_a_previous_hook_without_its_bit_does_not_run(shell: str, place: Path) -> None:
    bytes_seen(place)
    previous(place, status=1, mode=0o644)
    assert run(shell, place, line()).returncode == 0
    assert not (place / "theirs.stdin").exists()


@pytest.mark.parametrize("kind", ["broken link", "directory"])
def test_what_cannot_run_is_passed_over(shell: str, kind: str, place: Path) -> None:
    bytes_seen(place)
    there = place / "hooks" / "pre-push.pre-clearml"
    if kind == "broken link":
        there.symlink_to("nowhere")
    else:
        there.mkdir()
    done = run(shell, place, line())
    assert (done.returncode, done.stderr) == (0, b"")


def test_a_previous_hook_may_be_a_binary_or_a_link(shell: str, place: Path) -> None:
    bytes_seen(place)
    for program, status in (("true", 0), ("false", 1)):
        there = place / "hooks" / "pre-push.pre-clearml"
        shutil.copy(shutil.which(program) or "", there)
        assert run(shell, place, line()).returncode == status
        there.unlink()
        there.symlink_to(shutil.which(program) or "")
        assert run(shell, place, line()).returncode == status
        there.unlink()


def test_a_previous_hook_that_does_not_read_is_no_failure(shell: str, place: Path) -> None:
    bytes_seen(place)
    for text in (GREEDY, "#!/bin/sh\nexit 0\n"):
        write_hook(place / "hooks" / "pre-push.pre-clearml", text)
        done = run(shell, place, odd_names() * 3)
        assert (done.returncode, done.stderr) == (0, b"")


def test_a_git_clearml_that_does_not_read_still_decides(shell: str, place: Path) -> None:
    shim(place / "bin", "exit 1")
    assert run(shell, place, odd_names() * 3).returncode == 1
    shim(place / "bin", "exit 0")
    assert run(shell, place, odd_names() * 3).returncode == 0


@pytest.mark.parametrize("number", [9, 15])
def test_a_git_clearml_that_is_killed_refuses(shell: str, number: int, place: Path) -> None:
    shim(place / "bin", f"kill -{number} $$")
    assert run(shell, place, line()).returncode == 128 + number


def test_the_hook_works_from_a_directory_with_odd_letters(shell: str, place: Path) -> None:
    bytes_seen(place)
    odd = place / "a 'b\" $c *"
    (place / "hooks").rename(odd)
    write_hook(odd / "pre-push.pre-clearml", recorder(place / "theirs"))
    assert run_hook(shell, odd / "pre-push", line(), path=on_path(place / "bin")).returncode == 0
    assert (place / "theirs.stdin").read_bytes() == line()


def test_it_is_sound_under_the_strictest_options(shell: str, place: Path) -> None:
    """`set -eu` in an environment file, or in a hook that sources ours, must not change the answer."""
    log = bytes_seen(place)
    for stdin, starts in ((b"", ""), (DELETION, ""), (line(), "start\n")):
        program = [*shell.split(), "-eu", str(place / "hooks" / "pre-push"), "origin", URL]
        env = {"PATH": on_path(place / "bin")}
        done = subprocess.run(program, input=stdin, env=env, capture_output=True, check=False)
        assert (done.returncode, done.stderr, log.read_text()) == (0, b"", starts)
