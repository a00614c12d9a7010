"""One repository, two URLs: what a task has recorded, and what this clone calls its remote."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.support.program import Gate

SSH = """\
Host work
    HostName github.com
    User git
Host *.azure
    HostName ssh.dev.azure.com
"""


@pytest.fixture(autouse=True)
def ssh(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    (tmp_path / ".ssh").mkdir()
    (tmp_path / ".ssh" / "config").write_text(SSH)


@pytest.mark.parametrize(
    ("remote", "recorded"),
    [
        ("git@ssh.dev.azure.com:v3/acme/Vision/detector", "https://acme@dev.azure.com/acme/Vision/_git/detector"),
        ("https://acme.visualstudio.com/Vision/_git/detector", "git@ssh.dev.azure.com:v3/acme/Vision/detector"),
        ("ssh://git@git.example.com:7999/vis/detector.git", "https://git.example.com/scm/VIS/detector.git"),
        ("ssh://git@ssh.github.com:443/acme/x.git", "https://github.com/acme/x.git"),
        ("https://github.com/Acme/X.git", "git@github.com:acme/x.git"),
        ("git@work:acme/x.git", "https://github.com/acme/x.git"),  # a teammate's, or an agent's
        ("https://github.com/acme/x.git", "git@work:acme/x.git"),  # another clone's on this machine
        ("ssh://git@work:22/acme/x.git", "git@github.com:acme/x.git"),
        ("git@my.azure:v3/acme/Vision/detector", "https://dev.azure.com/acme/Vision/_git/detector"),
        ("gh:acme/x", "https://github.com/acme/x.git"),
        ("https://github.com/acme/x", "git@mirror.example.com:acme/x.git"),
    ],
)
def test_the_same(gate: Gate, remote: str, recorded: str) -> None:
    gate.repo.git("config", "url.https://github.com/.insteadOf", "gh:")
    gate.repo.git("config", "url.git@mirror.example.com:.pushInsteadOf", "https://github.com/")
    gate.repo.git("remote", "set-url", "origin", remote)
    gate.task(repository=recorded)
    gate.accepts()


@pytest.mark.parametrize(
    ("remote", "recorded"),
    [
        ("git@ssh.dev.azure.com:v3/acme/Vision/detector", "https://dev.azure.com/acme/Other/_git/detector"),
        ("git@work:acme/x.git", "https://gitlab.com/acme/x.git"),
        ("git@work:acme/x.git", "https://github.com/acme/y.git"),
        ("https://git.example.com/Acme/x.git", "https://git.example.com/acme/x.git"),
    ],
)
def test_another(gate: Gate, remote: str, recorded: str) -> None:
    gate.repo.git("remote", "set-url", "origin", remote)
    gate.task(repository=recorded)
    gate.refuses("other-repository")


@pytest.mark.parametrize(
    ("recorded", "is_alike"),
    [
        ("git@github.com-work:acme/x.git", True),
        ("git@gh:Acme/X.git", True),
        ("ssh://git@elsewhere:2222/acme/x.git", True),
        ("https://mirror.example.com/acme/x", False),
        ("git@10.0.0.7:acme/x.git", False),
        ("git@gh:acme/y.git", False),
        ("/acme/x", False),
    ],
)
def test_a_host_that_nobody_here_knows(gate: Gate, recorded: str, is_alike: bool) -> None:
    """An alias of another machine's ssh configuration: the refusal says so, and what makes it this repository."""
    gate.repo.git("remote", "set-url", "origin", "https://github.com/acme/x.git")
    gate.task(repository=recorded)
    [message] = gate.refuses("other-repository").messages
    assert ("the policy's repositories" in message) == is_alike
    gate.repo.policy(f'repositories = ["{recorded}"]')
    gate.task(repository=recorded)
    gate.accepts()


def test_this_clone_itself(gate: Gate, tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to(gate.repo.path)
    gate.repo.git("remote", "remove", "origin")
    gate.task(repository=f"file://{gate.repo.path}")
    gate.accepts()
