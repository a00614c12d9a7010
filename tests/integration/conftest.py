"""What the integration tests share: a repository and a ClearML server that belongs to it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.apart import Apart, shared
from tests.support.clearml_server import ClearMLServer
from tests.support.program import Gate
from tests.support.repos import make_repo


@pytest.fixture
def server() -> Iterator[ClearMLServer]:
    """Without tasks."""
    with ClearMLServer() as running:
        yield running


@pytest.fixture
def gate(tmp_path: Path) -> Iterator[Gate]:
    """A clone with one commit (`train.py`), and a server without tasks."""
    with ClearMLServer() as server:
        yield Gate(make_repo(tmp_path / "repo"), server)


@pytest.fixture(scope="session")
def apart() -> Apart:
    """Answers the hooks of pushes that our own program makes."""
    return shared()


@pytest.fixture(autouse=True)
def _no_late_words(monkeypatch: pytest.MonkeyPatch) -> None:
    """The end of a failed task's log is not waited for: no agent sends one here."""
    monkeypatch.setattr("git_clearml.agent.failure._LATE", 0.0)
