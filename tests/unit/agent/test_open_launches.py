"""Which task a launch has made, across a kill."""

from __future__ import annotations

from pathlib import Path

import pytest

from git_clearml.agent.open_launches import OpenLaunches
from git_clearml.errors import CannotDecide

DIGEST = "0123456789abcdef0123456789abcdef"
TASK = "4f1c0ffee0ddba11ca55e77e00000001"


def test_open_and_close(tmp_path: Path) -> None:
    launches = OpenLaunches(str(tmp_path))
    assert launches.task(DIGEST) == ""
    launches.open(DIGEST, TASK)
    launches.open(DIGEST, TASK)
    assert OpenLaunches(str(tmp_path)).task(DIGEST) == TASK
    (file,) = (tmp_path / "clearml" / "launches").iterdir()
    assert file.stat().st_mode & 0o777 == 0o600
    launches.close(DIGEST)
    launches.close(DIGEST)
    assert launches.task(DIGEST) == ""


@pytest.mark.parametrize(
    "content", [b"", b"{", b"[]", b'{"task": 5}', b'{"task": ""}', b'{"task": "../x"}', b"\xff", b"[" * 5000, b"null"]
)
def test_what_cannot_be_read_is_not_there(content: bytes, tmp_path: Path) -> None:
    place = tmp_path / "clearml" / "launches"
    place.mkdir(parents=True)
    (place / DIGEST).write_bytes(content)
    assert OpenLaunches(str(tmp_path)).task(DIGEST) == ""


def test_a_place_that_cannot_be_written(tmp_path: Path) -> None:
    """A launch that is not written down could be made twice."""
    (tmp_path / "clearml").write_text("in the way")
    with pytest.raises(CannotDecide, match="cannot be written down"):
        OpenLaunches(str(tmp_path)).open(DIGEST, TASK)


@pytest.mark.parametrize("digest", ["", "../../x", "ABC", "0" * 15])
def test_only_digests_name_files(digest: str, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="not a digest"):
        OpenLaunches(str(tmp_path)).task(digest)
