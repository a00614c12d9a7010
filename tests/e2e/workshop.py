"""What the end-to-end tests work in: a git server, a ClearML server, and a real clearml-agent that serves its queue."""

from __future__ import annotations

import copy
import json
import os
import signal
import subprocess
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from git_clearml.base.ids import SIDE_REFS
from tests.support.agent import Agent
from tests.support.clearml_server import ClearMLServer
from tests.support.git_http import GitServer
from tests.support.program import Result, assert_no_secrets, command, inside, process_environment
from tests.support.pushing import bare, refs_of
from tests.support.repos import Repo, make_repo

QUEUE, IDLE = "default", "idle"
"""The agent's queue, and one that nobody serves."""

_OWN_WAYS = {"last_update", "last_change", "last_worker_report", "active_duration"}  # an agent's last words change them
_PATIENCE = 90.0  # seconds for anything that a real agent does


@dataclass
class Workshop:
    """The servers and the agent, shared by the tests of a module, and tasks of others that nobody may touch."""

    root: Path
    server: ClearMLServer
    git: GitServer
    agent: Agent
    others: list[str] = field(default_factory=list)

    def project(self, name: str, files: Mapping[str, str]) -> Project:
        """A clone with these files pushed to main of a remote of its own.

        Its trees are no other project's: a check that has passed holds for the tree.
        """
        remote = bare(self.root / "git" / f"{name}.git")
        repo = make_repo(self.root / name, {**files, "NAME": name}, remote=self.git.url(remote.path))
        repo.git("push", "--quiet", "origin", "main")
        return Project(self, repo, remote)


@contextmanager
def workshop(root: Path, *, installs: bool = False) -> Iterator[Workshop]:
    """Sets everything up, and takes it down again."""
    (root / "git").mkdir()
    with (
        GitServer(root / "git") as git,
        ClearMLServer() as server,
        Agent(root / "agent", server, QUEUE, installs=installs) as agent,
    ):
        made = Workshop(root, server, git, agent)
        made.others = [
            server.add_task(name="of others, waiting", status="created", queue=IDLE),
            server.add_task(name="of others, running", status="in_progress", project="Github CICD"),
            server.add_task(name="cicd_test_task", status="completed", project="Github CICD", commit="1" * 40),
        ]
        server.add_worker("somebody:0", ["theirs"], task=made.others[1])
        yield made


@dataclass(frozen=True)
class Checked:
    """What a check came to, and the task that it launched ({} for none)."""

    result: Result
    task: dict[str, Any]

    @property
    def json(self) -> dict[str, Any]:
        return self.result.json

    @property
    def archived(self) -> bool:
        return "archived" in self.task["system_tags"]

    def came_to(self, outcome: str, status: int, cause: str | None) -> Checked:
        """These are its outcome, exit status and cause."""
        document = self.json
        seen = (document["outcome"], document["exit_code"], self.result.status, document["cause"])
        assert seen == (outcome, status, status, cause), json.dumps(document, indent=2)
        return self


@dataclass
class Project:
    """A repository whose commits are checked, and its remote."""

    shop: Workshop
    repo: Repo
    remote: Repo

    def check(self, *words: str, sweeps: str = "") -> Checked:
        """`check-runnable --format json`. Of it is left no task at work and no side ref.

        Other tasks are as they were, but for one that it `sweeps`.
        """
        before, refs = self._documents(), refs_of(self.remote)
        before.pop(sweeps, None)
        result = inside("check-runnable", "--format", "json", *words, cwd=self.repo.path, env=self.shop.server.env)
        assert "Traceback" not in result.err, result.err
        return self._closed(result, before, refs, {sweeps})

    @contextmanager
    def interrupted(self, number: signal.Signals, *words: str) -> Iterator[list[Checked]]:
        """A check in a process of its own that gets a signal while its task waits; the block runs just before that.

        The list is filled when the check has ended.
        """
        before, refs = self._documents(), refs_of(self.remote)
        process = subprocess.Popen(
            command("check-runnable", "--format", "json", *words),
            cwd=self.repo.path,
            env=process_environment(self.shop.server.env),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            start_new_session=True,
        )
        found: list[Checked] = []
        try:
            until(lambda: process.poll() is not None or self._waits(before), "the moment for the signal")
            assert process.poll() is None, process.communicate()
            yield found
            process.send_signal(number)
            out, err = process.communicate(timeout=_PATIENCE)
        finally:
            if process.poll() is None:
                os.killpg(process.pid, signal.SIGKILL)
                process.communicate()
        assert "Traceback" not in err, err
        result = Result(process.returncode, out, err)
        if number is signal.SIGKILL:
            (new,) = set(self._documents()) - set(before)
            found.append(Checked(result, self.shop.server.tasks[new]))
        else:
            found.append(self._closed(result, before, refs, set()))

    def _waits(self, before: Mapping[str, Any]) -> bool:
        """Is there a new task whose script has said that it waits?"""
        events = self.shop.server.store.events
        new = set(self.shop.server.tasks) - set(before)
        return any(
            "waiting" in str(event.get("msg")).split("\n") for task in new for event in list(events.get(task, []))
        )

    def _documents(self) -> dict[str, dict[str, Any]]:
        with self.shop.server.store.lock:
            return copy.deepcopy(self.shop.server.tasks)

    def _closed(
        self, result: Result, before: dict[str, dict[str, Any]], refs: dict[str, str], swept: set[str]
    ) -> Checked:
        assert_no_secrets(result.out + result.err, self.shop.server.access_key, self.shop.server.secret_key)
        assert refs_of(self.remote) == {ref: commit for ref, commit in refs.items() if not ref.startswith(SIDE_REFS)}
        new = set(self._documents()) - set(before) - swept
        assert len(new) <= 1, new
        for name in new:
            until(lambda name=name: self.shop.server.tasks[name]["status"] in ENDED, "the task's end")
        after = self._documents()
        for name, document in before.items():
            assert _lasting(after[name]) == _lasting(document)
        checked = Checked(result, after[new.pop()] if new else {})
        assert checked.json["task"] == checked.task.get("id") or checked.json["earlier"]
        assert checked.json["left"] == []
        return checked


ENDED = ("completed", "failed", "stopped")


def _lasting(document: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in document.items() if name not in _OWN_WAYS}


def until(condition: Callable[[], Any], what: str) -> None:
    """Waits for something that a real process does."""
    end = time.monotonic() + _PATIENCE
    while not condition():
        assert time.monotonic() < end, f"waited in vain for {what}"
        time.sleep(0.1)
