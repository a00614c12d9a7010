"""Which host an alias of the user's ssh means."""

from __future__ import annotations

from pathlib import Path

import pytest

from git_clearml.git import ssh_config

CONFIG = """\
# a comment
Host work github.com-work
    HostName github.com
    User git
Host *.corp !bad.corp
    hostname=%h.example.com
Host "quoted"
    HostName "gitlab.com"
Match host other
    HostName never.example.com
Include conf.d/*.conf ~/more
Host work
    HostName second.example.com
Host percent
    HostName 100%%.example.com
"""


@pytest.fixture(autouse=True)
def config(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("HOME", str(tmp_path))
    (tmp_path / ".ssh" / "conf.d").mkdir(parents=True)
    (tmp_path / ".ssh" / "conf.d" / "a.conf").write_text("Host included\n HostName a.example.com\nInclude *.conf\n")
    (tmp_path / "more").write_text("Host home\r\n\tHostName\tb.example.com\r\n")
    (tmp_path / "dotfiles").write_text(CONFIG)
    (tmp_path / ".ssh" / "config").symlink_to(tmp_path / "dotfiles")
    return tmp_path / "dotfiles"


@pytest.mark.parametrize(
    ("alias", "host"),
    [
        ("work", "github.com"),
        ("WORK", "github.com"),
        ("github.com-work", "github.com"),
        ("git.corp", "git.corp.example.com"),
        ("bad.corp", "bad.corp"),
        ("quoted", "gitlab.com"),
        ("other", "other"),
        ("included", "a.example.com"),
        ("home", "b.example.com"),
        ("percent", "100%.example.com"),
        ("github.com", "github.com"),
        ("", ""),
    ],
)
def test_an_alias(alias: str, host: str) -> None:
    assert ssh_config.host_of(alias, ssh_config.read()) == host


def test_the_aliases_of_a_host() -> None:
    names = ssh_config.read()
    assert ssh_config.aliases_of("github.com", names) == ["work", "github.com-work"]
    assert ssh_config.aliases_of("never.example.com", names) == []


def test_a_file_that_includes_itself_ends(config: Path) -> None:
    config.write_text("Include config\nInclude config\nHost a\n HostName b\n")
    assert ssh_config.host_of("a", ssh_config.read()) == "b"


@pytest.mark.parametrize(
    "content", [b"", b"\xff\xfe\0", b"Host\nHostName\nHost a b\nHostName\n", b"HostName x y\n", b"=\n"]
)
def test_an_odd_file(config: Path, content: bytes) -> None:
    config.write_bytes(content)
    assert ssh_config.host_of("a", ssh_config.read()) == "a"


def test_no_file(config: Path) -> None:
    config.unlink()
    assert ssh_config.read() == []
