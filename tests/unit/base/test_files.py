"""A file is written whole or not at all, and whatever stands in its place neither holds us up nor leads us astray."""

from __future__ import annotations

import os
import signal
import stat
import tempfile
from pathlib import Path

import pytest

from git_clearml.base import signals
from git_clearml.base.files import private_directory, read_limited, write_whole


def names(directory: Path) -> list[str]:
    return sorted(os.listdir(directory))


@pytest.mark.parametrize("durable", [True, False])
def test_a_file_is_written_and_replaced(tmp_path: Path, durable: bool) -> None:
    path = tmp_path / "file"
    for content in (b"one", b"", b"three"):
        write_whole(path, content, durable=durable)
        assert path.read_bytes() == content
        assert stat.S_IMODE(path.stat().st_mode) == 0o600
    write_whole(str(path), b"#!/bin/sh\n", mode=0o755)
    assert stat.S_IMODE(path.stat().st_mode) == 0o755
    assert names(tmp_path) == ["file"]


def test_a_link_and_a_pipe_are_replaced_and_never_followed(tmp_path: Path) -> None:
    other = tmp_path / "other"
    other.write_bytes(b"theirs")
    (tmp_path / "link").symlink_to(other)
    (tmp_path / "dangling").symlink_to(tmp_path / "missing")
    os.mkfifo(tmp_path / "pipe")
    for name in ("link", "dangling", "pipe"):
        write_whole(tmp_path / name, b"ours")
        assert not (tmp_path / name).is_symlink()
        assert (tmp_path / name).read_bytes() == b"ours"
    assert other.read_bytes() == b"theirs"
    assert not (tmp_path / "missing").exists()


def test_where_it_fails_the_old_one_stays_and_nothing_is_left_over(tmp_path: Path) -> None:
    (tmp_path / "directory").mkdir()
    with pytest.raises(OSError, match="directory"):
        write_whole(tmp_path / "directory", b"ours")
    with pytest.raises(OSError, match="No such file"):
        write_whole(tmp_path / "missing" / "file", b"ours")
    (tmp_path / "file").write_bytes(b"old")
    with pytest.raises(TypeError):
        write_whole(tmp_path / "file", "no bytes")  # type: ignore[arg-type]
    assert (tmp_path / "file").read_bytes() == b"old"
    assert names(tmp_path) == ["directory", "file"]


def test_a_full_disk_leaves_the_old_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import resource
    import signal

    (tmp_path / "file").write_bytes(b"old")
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    handler = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1000, before[1]))
    try:
        with pytest.raises(OSError, match="too large"):
            write_whole(tmp_path / "file", b"x" * 2000)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
        signal.signal(signal.SIGXFSZ, handler)
    assert (tmp_path / "file").read_bytes() == b"old"
    assert names(tmp_path) == ["file"]


def test_a_relative_path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    write_whole("file", b"ours")
    private_directory("deep")
    assert names(tmp_path) == ["deep", "file"]


def test_directories_are_for_our_user_alone(tmp_path: Path) -> None:
    private_directory(tmp_path / "one" / "two")
    private_directory(tmp_path / "one" / "two" / "three")
    private_directory(tmp_path / "one" / "two" / "three")
    for path in (tmp_path / "one", tmp_path / "one" / "two", tmp_path / "one" / "two" / "three"):
        assert stat.S_IMODE(path.stat().st_mode) == 0o700
    (tmp_path / "file").write_bytes(b"")
    with pytest.raises(OSError, match="directory"):
        private_directory(tmp_path / "file" / "below")
    with pytest.raises(OSError, match="No such file"):
        private_directory(tmp_path / "deleted" / "clearml" / "runs")
    assert not (tmp_path / "deleted").exists()


def test_what_is_read_has_its_limit(tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_bytes(b"x" * 100)
    assert read_limited(path, 100) == b"x" * 100
    assert read_limited(str(path), 99) == "it has over 99 bytes"
    with path.open("wb") as file:
        file.truncate(2_000_001)
    assert read_limited(path, 2_000_000) == "it is larger than 2 MB"


def test_what_is_no_file_is_not_read(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"content")
    (tmp_path / "link").symlink_to(tmp_path / "file")
    os.mkfifo(tmp_path / "pipe")
    for name in (".", "link", "pipe", "missing", "nul\0"):
        assert isinstance(read_limited(os.path.join(tmp_path, name), 100), str)
    assert read_limited(tmp_path / "pipe", 100) == "it is not a regular file"


def test_ctrl_c_leaves_nothing_beside_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Not even where it comes before anybody knows the file's name. What has been asked for is done first."""
    make = tempfile.mkstemp

    def interrupted(**options: str) -> tuple[int, str]:
        made = make(**options)
        signal.raise_signal(signal.SIGINT)
        return made

    monkeypatch.setattr(tempfile, "mkstemp", interrupted)
    with signals.heeded() as hold, pytest.raises(KeyboardInterrupt), hold.released():
        write_whole(tmp_path / "file", b"whole")
    assert names(tmp_path) == ["file"]
