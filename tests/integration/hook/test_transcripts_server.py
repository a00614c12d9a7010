"""What `install --server`, `hook pre-receive` and `doctor` say on a git server, outcome by outcome."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest

from tests.support.clearml_server import ClearMLServer
from tests.support.faults import closed_port
from tests.support.program import inside
from tests.support.pushing import NULL, write_hook
from tests.support.receiving import Receiver, make_receiver
from tests.support.transcript import Transcript

pytestmark = pytest.mark.usefixtures("commits_of_one_day")
GITLAB = {"GL_ID": "user-1", "GL_PROTOCOL": "ssh"}


@pytest.fixture
def receiver(tmp_path: Path) -> Iterator[Receiver]:
    with ClearMLServer() as server:
        yield make_receiver(tmp_path, server)


def test_git_server(receiver: Receiver) -> None:
    places = {"/git/project.git": receiver.remote.path, "/repo": receiver.repo.path, "/python": sys.executable}
    transcript = Transcript("git-server", {**places, "/etc/clearml.conf": receiver.conf})
    hook = receiver.remote.path / "hooks" / "pre-receive"

    def call(title: str, *words: str, env: Mapping[str, str | None] | None = None, cwd: Path | None = None) -> None:
        result = inside(*words, cwd=cwd or receiver.remote.path, env={"CLEARML_CONFIG_FILE": None, **(env or {})})
        transcript.add(title, words, result)

    def receive(title: str, *lines: str, env: Mapping[str, str | None] | None = None) -> None:
        transcript.add(title, ("hook", "pre-receive"), receiver.receive(*lines, env=env))

    call("nothing is installed", "doctor")
    call("it is installed", "install", "--server", "--dry-run")
    call("it is", "install", "--server")
    call("again", "install", "--server")
    call("where is what", "doctor", env={"CLEARML_CONFIG_FILE": str(receiver.conf)})
    hook.write_bytes(hook.read_bytes() + b"# mine\n")
    call("it has been edited", "install", "--server")
    call("it goes", "uninstall", "--server")
    write_hook(hook, "#!/bin/sh\nexit 0\n")
    call("somebody has a hook there", "install", "--server")
    call("a clone", "install", "--server", cwd=receiver.repo.path)

    receive("a branch is deleted", f"{receiver.repo.head} {NULL} refs/heads/gone\n")
    receive("nobody has run it")
    receive("nor in GitLab", env=GITLAB)
    receive("no credentials", env={"CLEARML_CONFIG_FILE": None})
    host = receiver.server.env["CLEARML_API_HOST"]
    content = receiver.conf.read_text()
    receiver.conf.write_text(content.replace(host, f"http://127.0.0.1:{closed_port()}"))
    receive("the ClearML server is away")
    receiver.conf.write_text(content)
    receiver.task(status="in_progress")
    receive("its task is still running")
    receiver.task()
    receive("it is verified")
    receive("it is verified, in GitLab", env=GITLAB)
    receiver.remote.git("config", "--unset", "clearml.repository")
    receive("the repository has no name")
    receiver.repo.policy('evidence = "offline"')
    receive("the pushed policy wants run records")
    receiver.accept()
    receiver.repo.policy()
    receive("the accepted one does")
    receive("no line of git's", "nonsense\n")
    transcript.compare()
