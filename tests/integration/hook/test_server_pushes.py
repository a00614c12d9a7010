"""Real pushes to a gated bare repository: over `git http-backend` and to a path, by the hook as it is installed."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.clearml_server import ClearMLServer
from tests.support.git_http import GitServer
from tests.support.program import inside
from tests.support.pushing import BIN, SHELLS, run_hook, write_hook
from tests.support.receiving import Receiver, make_receiver
from tests.support.repos import fast_history
from tests.support.tools import needs


@pytest.fixture
def receiver(tmp_path: Path) -> Iterator[Receiver]:
    with ClearMLServer() as server:
        receiver = make_receiver(tmp_path, server)
        assert inside("install", "--server", str(receiver.remote.path), cwd=tmp_path).status == 0
        yield receiver


@needs("git remote-http")
def test_over_http(receiver: Receiver) -> None:
    """The reason is on the pusher's screen, and nothing of theirs reaches the server's hook but the push."""
    receiver.remote.git("config", "receive.advertisePushOptions", "true")
    with GitServer(receiver.remote.path.parent) as git:
        git.environment = {"CLEARML_CONFIG_FILE": str(receiver.conf)}
        receiver.repo.git("remote", "set-url", "origin", git.url(receiver.remote.path))
        theirs = {"GIT_CLEARML_SKIP": "1", "CLEARML_CONFIG_FILE": "/nonexistent", "GIT_ALLOW_PROTOCOL": "http"}
        result = receiver.is_refused("-o", "git-clearml.skip", "origin", "main", env=theirs)
        assert f"remote: rejected {receiver.repo.head[:12]} (refs/heads/main)" in result.err
        assert "remote: next: git " in result.err
        receiver.task()
        assert "remote: git clearml: verified" in receiver.is_accepted("origin", "main", env=theirs).err


def test_to_a_path(receiver: Receiver, tmp_path: Path) -> None:
    """There the pusher's environment is the hook's own, and Python's."""
    write_hook(tmp_path / "evil" / "git_clearml" / "__init__.py", "raise SystemExit(0)\n")
    write_hook(tmp_path / "evil" / "sitecustomize.py", "raise SystemExit(0)\n")
    theirs = {
        "GIT_CLEARML_SKIP": "1",
        "PYTHONPATH": str(tmp_path / "evil"),
        "PYTHONHOME": "/nonexistent",
        "PYTHONSTARTUP": str(tmp_path / "evil" / "sitecustomize.py"),
        "GIT_CONFIG_COUNT": "1",
        "GIT_CONFIG_KEY_0": "clearml.evidence",
        "GIT_CONFIG_VALUE_0": "offline",
    }
    receiver.is_refused("origin", "main", env=theirs)
    receiver.task()
    receiver.is_accepted("origin", "main", env=theirs)
    receiver.repo.policy('protect = ["nothing"]')
    receiver.repo.git("tag", "loose")
    receiver.repo.git("replace", "HEAD~1", "HEAD")
    receiver.is_refused("--atomic", "origin", "main", "loose", "refs/replace/*")


def test_fifty_refs_within_the_budget(receiver: Receiver) -> None:
    commits = fast_history(receiver.repo, 50)
    for number, commit in enumerate(commits):
        receiver.repo.git("update-ref", f"refs/heads/b{number}", commit)
        receiver.task(commit)
    result = receiver.is_accepted("origin", "refs/heads/b*")  # its questions have 4 seconds
    assert len(result.calls) == 1
    assert len(receiver.remote.git("for-each-ref", "--format=x").split()) == 50


@needs("git 2.38")
def test_a_merge_that_is_made_again_in_quarantine(receiver: Receiver) -> None:
    receiver.repo.policy('merges = "clean"', 'protect = ["main", "feature"]')
    receiver.accept()
    receiver.repo.git("checkout", "--quiet", "-b", "feature")
    receiver.repo.commit("feature", {"train.py": "print('better')\n"})
    receiver.task()
    receiver.repo.git("checkout", "--quiet", "main")
    receiver.repo.commit("main", {"other.txt": "x\n"})
    receiver.accept()
    receiver.repo.git("merge", "--quiet", "--no-edit", "feature")
    receiver.is_accepted("origin", "main")
    receiver.repo.git("reset", "--quiet", "--hard", "HEAD^")
    receiver.repo.git("merge", "--quiet", "--no-commit", "--no-ff", "feature")
    receiver.repo.commit("with more", {"train.py": "print('evil')\n"})
    receiver.is_refused("--force", "origin", "main")


# The script


NULL = "0" * 40


@pytest.mark.parametrize("shell", SHELLS)
def test_what_cannot_be_run_refuses(tmp_path: Path, shell: str) -> None:
    """On the pusher's screen, with whom to ask, marked where GitLab wants that."""
    from git_clearml.hook import script

    tools = tmp_path / "tools"
    tools.mkdir()
    for tool in ("cat", "sh"):
        (tools / tool).symlink_to(shutil.which(tool) or tool)
    empty, broken = write_hook(tmp_path / "empty", ""), write_hook(tmp_path / "broken", "#!/nonexistent\n")
    bare_python = write_hook(tmp_path / "python", '#!/bin/sh\nexec python3 -S "$@"\n')
    stdin = f"{NULL} {'1' * 40} refs/heads/main\n".encode()
    good = write_hook(tmp_path / "good", "#!/bin/sh\nexit 0\n")
    for python in ("", str(tmp_path / "gone"), str(empty), str(broken), str(bare_python), str(good)):
        hook = write_hook(tmp_path / "hooks" / "pre-receive", script.with_python(script.text("pre-receive"), python))
        previous = write_hook(tmp_path / "hooks" / "pre-receive.pre-clearml", f"#!/bin/sh\ntouch '{tmp_path}/ran'\n")
        path = str(tools) if not python else os.environ["PATH"]
        for env in ({}, {"GL_ID": "user-1", "GL_PROTOCOL": "http"}):
            lines_of_push = b"" if python == str(good) else stdin
            done = run_hook(shell, hook, lines_of_push, path=path, arguments=(), env=env)
            assert done.returncode == 3, (python, done.stderr)
            lines = [
                line
                for line in done.stderr.decode().splitlines()
                if "not found" not in line and str(broken) not in line
            ]
            prefix = "GL-HOOK-ERR: " if env else ""
            assert lines[-1].startswith(f"{prefix}hint: ask whoever runs this git server: "), (python, done.stderr)
        assert previous.exists()
    (tools / "cat").unlink()
    assert run_hook(shell, hook, stdin, path=str(tools), arguments=()).returncode == 3
    assert not (tmp_path / "ran").exists()


@pytest.mark.parametrize("shell", SHELLS)
def test_git_clearml_on_path_and_the_hook_that_was_there(tmp_path: Path, shell: str) -> None:
    """Its exit status is the hook's; the other hook gets the same lines once it has passed."""
    from tests.support.pushing import HOOK

    stdin = b"".join(f"{NULL} {'1' * 40} refs/heads/b{n}\n".encode() for n in range(300))
    hook = write_hook(tmp_path / "hooks" / "pre-receive", (HOOK.parent / "pre-receive").read_bytes())
    write_hook(tmp_path / "hooks" / "pre-receive.pre-clearml", f"#!/bin/sh\ncat >'{tmp_path}/got'\nexit 7\n")
    for status, expected in ((0, 7), (1, 1), (4, 4), (70, 70)):
        (tmp_path / "got").unlink(missing_ok=True)
        write_hook(tmp_path / "bin" / "git-clearml", f"#!/bin/sh\ncat >'{tmp_path}/ours'\nexit {status}\n")
        path = os.pathsep.join([str(tmp_path / "bin"), os.environ["PATH"]])
        assert run_hook(shell, hook, stdin, path=path, arguments=()).returncode == expected
        assert (tmp_path / "ours").read_bytes() == stdin
        assert (tmp_path / "got").exists() == (status == 0)
    write_hook(tmp_path / "bin" / "git-clearml", "#!/bin/sh\nexit 0\n")
    run_hook(
        shell, hook, stdin, path=os.pathsep.join([str(tmp_path / "bin"), str(BIN), os.environ["PATH"]]), arguments=()
    )
    assert (tmp_path / "got").read_bytes() == stdin
