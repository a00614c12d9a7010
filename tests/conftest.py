"""Seals the suite: a fresh HOME, no system git config, nobody's credentials, no network but loopback."""

from __future__ import annotations

import contextlib
import gc
import itertools
import os
import random
import shutil
import signal
import socket
import sys
from collections.abc import Iterator
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import pytest
from hypothesis import settings

from tests.support import costs, fuzzing
from tests.support.tools import require, summary

# nohup, and `&` in a script, have these ignored, and every child inherits that: a test that interrupts one would wait
# for ever. The workers of xdist come here too.
for _number, _action in ((signal.SIGINT, signal.default_int_handler), (signal.SIGHUP, signal.SIG_DFL),
                         (signal.SIGQUIT, signal.SIG_DFL)):  # fmt: skip
    if signal.getsignal(_number) is signal.SIG_IGN:
        signal.signal(_number, _action)

# `make test` draws the same examples each time: what it says depends on the code alone. `make fuzz` looks for new ones.
settings.register_profile("suite", max_examples=25, derandomize=True, deadline=None)
settings.register_profile("fuzz", max_examples=1000, deadline=None)
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "suite"))

# Half of a push's time is the disk's. Where there is room in memory, the tests' directories are there.
_MEMORY, _ROOM = Path("/dev/shm"), 4 << 30  # bytes; a container often has but 64 MiB
if os.access(_MEMORY, os.W_OK) and shutil.disk_usage(_MEMORY).free > _ROOM:
    os.environ.setdefault("PYTEST_DEBUG_TEMPROOT", str(_MEMORY))

_FOREIGN = (
    "CLEARML_", "TRAINS_", "GIT_", "GITHUB_", "PRE_COMMIT", "GIT_CLEARML_", "XDG_",
    "GITLAB_", "CI_", "GITEA_", "FORGEJO_", "BITBUCKET_", "CODEBUILD_", "CIRCLE", "TRAVIS", "TEAMCITY_", "CHANGE_",
)  # fmt: skip
_JOBS = {"CI", "NO_COLOR", "TF_BUILD", "JENKINS_URL", "COMMIT_ID", "GH_TOKEN"}
_PROXIES = {"http_proxy", "https_proxy", "all_proxy", "no_proxy"}
_BUNDLES = {"requests_ca_bundle", "curl_ca_bundle", "ssl_cert_file"}
_LOOPBACK = ("127.0.0.1", "::1", "localhost")
# Commits are from yesterday: fresh, as those that one pushes are. The same for all that are made on this day.
_DATE = f"{datetime.now(timezone.utc).date() - timedelta(days=1)}T03:04:05+00:00"


class ATestReachedForTheNetwork(AssertionError):
    """Only loopback addresses are open to tests."""


LIVE = {name: value for name, value in os.environ.items() if name.startswith("CLEARML_")}
"""The credentials that `make live` is about; every other test is sealed from them."""

_SKIPPED = pytest.StashKey[str]()
SKIPPED_TO = os.environ.get("SKIPPED_TO", "")
"""The file for the names of the test functions of which some were skipped, to be run by `make test T=@<file>`."""

COVERAGE: dict[str, str] = {}
"""What makes a child process measure its coverage, which doubles its time: only for those that ask for it."""


def pytest_configure(config: pytest.Config) -> None:
    if fuzzing.SECONDS:
        config.pluginmanager.register(fuzzing.Bound(fuzzing.SECONDS))
    config.addinivalue_line("markers", "needs(*tools): skipped, by name, where one of these programs is not on PATH")
    os.environ.pop("PYTHONDONTWRITEBYTECODE", None)  # each of a thousand processes would compile the program anew
    sys.dont_write_bytecode = False  # and each worker every test
    # `python` is this interpreter on every machine: many have but a `python3`, or a slow shim of that name.
    os.environ["PATH"] = os.pathsep.join([str(Path(sys.executable).parent), os.environ.get("PATH", os.defpath)])
    for name in list(os.environ):
        if name.startswith(_FOREIGN) or name.lower() in _PROXIES | _BUNDLES or name in _JOBS:
            del os.environ[name]


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    costly = costs.listed()
    for item in items:
        if costs.function(item.nodeid) in costly:
            item.add_marker(pytest.mark.costly)


@pytest.hookimpl(trylast=True)
def pytest_collection_finish() -> None:
    """What is loaded by now stays: looking for garbage in it would take a tenth of the tests' time."""
    gc.collect()
    gc.freeze()


def pytest_runtest_setup(item: pytest.Item) -> None:
    for mark in item.iter_markers("needs"):
        require(*mark.args)


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter, config: pytest.Config) -> None:
    skipped = terminalreporter.stats.get("skipped", [])
    config.stash[_SKIPPED] = summary(report.longrepr[2] for report in skipped)
    if SKIPPED_TO:  # CI runs these again, once it has installed what they need
        names = sorted({costs.function(report.nodeid) for report in skipped})  # which cases there are, tools decide
        Path(SKIPPED_TO).write_text("".join(f"{name}\n" for name in names), encoding="utf-8")


def pytest_unconfigure(config: pytest.Config) -> None:
    """Below pytest's own last line: what this machine could not test."""
    if line := config.stash.get(_SKIPPED, ""):
        print(line)


def pytest_xdist_auto_num_workers() -> int:
    """For `-n auto`: one more than there are cores, since much of a test is waiting for a process or a server."""
    return (os.cpu_count() or 1) + 1


@pytest.fixture
def commits_of_one_day(monkeypatch: pytest.MonkeyPatch) -> None:
    """Commits are of the same day whenever the test runs, and so have the same hashes."""
    for name in ("GIT_AUTHOR_DATE", "GIT_COMMITTER_DATE"):
        monkeypatch.setenv(name, "2026-01-02T03:04:05+00:00")


@pytest.fixture(scope="session", autouse=True)
def _seal_for_all(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """For the fixtures that several tests share, and of each test what is the same for all. A place for their homes."""
    place = tmp_path_factory.mktemp("homes")
    with pytest.MonkeyPatch.context() as patch:
        for name, value in sealed_environment(place / "shared").items():
            patch.setenv(name, value)
        for name in [name for name in os.environ if name.startswith("COVERAGE_")]:
            COVERAGE[name] = os.environ[name]
            patch.delenv(name)
        patch.setattr(socket.socket, "connect", _only_loopback(socket.socket.connect))
        patch.setattr(socket.socket, "connect_ex", _only_loopback(socket.socket.connect_ex))
        yield place


_HOMES = itertools.count()


@pytest.fixture(autouse=True)
def _seal(_seal_for_all: Path) -> Iterator[None]:
    """A home of its own. Without pytest's own means, which look through all earlier directories for each test."""
    random.seed(0)  # the pauses between two looks at a server are drawn by lot
    home = _seal_for_all / str(next(_HOMES))
    home.mkdir()
    before = {name: os.environ[name] for name in _at_home(home)}
    os.environ.update(_at_home(home))
    yield
    os.environ.update(before)
    with contextlib.suppress(OSError):
        home.rmdir()  # where nothing was put into it


def _at_home(home: Path) -> dict[str, str]:
    return {
        "HOME": f"{home}",
        "XDG_CONFIG_HOME": f"{home}/.config",
        "XDG_CACHE_HOME": f"{home}/.cache",
        "GIT_CONFIG_GLOBAL": f"{home}/.gitconfig",
        "CLEARML_CACHE_DIR": f"{home}/clearml-cache",
    }


def sealed_environment(home: Path) -> dict[str, str]:
    """What makes git and ClearML the same on every machine, for this process and its children."""
    return {
        **_at_home(home),
        "GIT_TEST_FSYNC": "0",
        "GIT_CONFIG_NOSYSTEM": "1",
        "GIT_AUTHOR_NAME": "A. Author",
        "GIT_AUTHOR_EMAIL": "author@example.com",
        "GIT_COMMITTER_NAME": "C. Committer",
        "GIT_COMMITTER_EMAIL": "committer@example.com",
        "GIT_AUTHOR_DATE": _DATE,
        "GIT_COMMITTER_DATE": _DATE,
        "GIT_EDITOR": "false",
        "GIT_TERMINAL_PROMPT": "0",
        "GIT_ALLOW_PROTOCOL": "file",
        "LC_ALL": "C.UTF-8",
    }


def _only_loopback(connect: Any) -> Any:
    def guarded(self: socket.socket, address: Any) -> Any:
        if self.family in (socket.AF_INET, socket.AF_INET6) and str(address[0]) not in _LOOPBACK:
            raise ATestReachedForTheNetwork(f"a test reached for {address}")
        return connect(self, address)

    return guarded
