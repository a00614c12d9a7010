"""What a launch has made is ended and removed, whenever a signal comes; what cannot be is named."""

from __future__ import annotations

import itertools
import os
import signal
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from git_clearml.agent.cleanup import CleanupOptions, Launched, cleanup
from git_clearml.base import signals
from git_clearml.clearml.client import ClearML
from git_clearml.clearml.config import Server
from git_clearml.clearml.lease import CHECK, RUN, Lease, to_property
from git_clearml.git import side_ref as side_refs
from git_clearml.git.remote import Remote
from git_clearml.git.repository import Repository
from tests.support.clearml_server import ClearMLServer
from tests.support.program import inside
from tests.support.pushing import Yard, make_yard, refs_of, write_hook

REFUSAL = b'{"meta": {"result_code": 400, "result_subcode": 1, "result_msg": "no"}, "data": {}}'
OWNER = Lease("host", 1, "boot/1", "0123456789abcdef", 0.0)


@pytest.fixture
def yard(tmp_path: Path) -> Iterator[Yard]:
    with ClearMLServer() as server:
        made = make_yard(tmp_path, server)
        server.add_queue("gpu")
        yield made


class Struck(ClearML):
    """Signals arrive in the midst of the cleaning: when this is used for the n-th time."""

    when = -1
    numbers: tuple[signal.Signals, ...] = ()

    def __getattribute__(self, name: str) -> Any:
        get = super().__getattribute__
        if name in ("server", "close", "renew", "call") and get("when") >= 0:
            self.when = get("when") - 1
            for number in get("numbers") if self.when < 0 else ():
                signal.raise_signal(number)
        return get(name)


def cleaning(
    yard: Yard, launched: Launched, when: int = -1, *numbers: signal.Signals, interrupted: int = 0
) -> tuple[list[str], int]:
    server = Server(yard.server.url, yard.server.url, yard.server.access_key, yard.server.secret_key)
    api = Struck(server, 30.0, environment={})
    repository, seconds = Repository(str(yard.repo.path)), map(float, itertools.count(0, 5))
    options = CleanupOptions(archive=True, interrupted=interrupted)
    api.when, api.numbers = when, numbers
    with signals.heeded() as hold, hold.released():
        done = cleanup(repository, api, launched, options, sleep=lambda _: None, clock=lambda: next(seconds))
    api.when = -1
    api.close()
    return done.left, done.interrupted


def everything(yard: Yard) -> Launched:
    """A task on its queue, and a side ref."""
    ref = side_refs.push(Repository(str(yard.repo.path)), Remote("origin", str(yard.remote.path)), yard.repo.head)
    task = yard.server.add_task(status="in_progress")
    return Launched(CHECK, OWNER, yard.repo.head, requested=True, task=task, status="in_progress", side_ref=ref)


INT, TERM, HUP = signal.SIGINT, signal.SIGTERM, signal.SIGHUP


@pytest.mark.parametrize(
    ("when", "numbers", "interrupted"),
    [  # each moment with each kind of signals; interrupted before or not by turns, and both in `make slow`
        pytest.param(when, numbers, interrupted, marks=[] if (when + place) % 2 == turn else pytest.mark.slow)
        for when in (*range(14), 20)
        for place, numbers in enumerate([(TERM,), (INT, INT), (INT, TERM, HUP)])
        for turn, interrupted in enumerate([0, 143])
    ],
)
def test_signals_in_the_midst_of_it(
    numbers: tuple[signal.Signals, ...], when: int, interrupted: int, yard: Yard
) -> None:
    """At every point, first ones and later ones, alone and all at once: no step is left out but the waiting."""
    launched = everything(yard)
    left, status = cleaning(yard, launched, when, *numbers, interrupted=interrupted)
    page = f"{yard.server.url}/projects/*/experiments/{launched.task}/output/log"
    hurried = bool(interrupted) or len(set(numbers)) > 1
    waits = [f"see that the agent aborts the task: {page} (it is still in_progress)"]
    assert left in ([], waits) if hurried else left == []
    assert status in (0, 128 + numbers[-1])
    task = yard.server.tasks[launched.task]
    assert task["system_tags"] == ["archived"]
    assert (task["status"], task["status_message"])[bool(left)] == ("stopping" if left else "stopped")
    assert refs_of(yard.remote) == {}


def test_a_git_that_ctrl_c_ends_is_started_again(yard: Yard, tmp_path: Path) -> None:
    """A terminal signals all of its foreground group: also the git that deletes the side ref."""
    launched = everything(yard)
    ends = f"[ -e '{tmp_path}/once' ] || {{ touch '{tmp_path}/once'; kill -INT {os.getpid()}; sleep 0.3; exit 1; }}"
    write_hook(yard.repo.path / ".git/hooks/pre-push", f"#!/bin/sh\n{ends}\n")
    assert cleaning(yard, launched) == ([], 130)
    assert (tmp_path / "once").exists()
    assert refs_of(yard.remote) == {}


# --- a draft whose id never reached us --------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", [CHECK, RUN])
@pytest.mark.parametrize("known", [True, False])
def test_a_lost_draft_is_found_by_its_owner(kind: str, known: bool, yard: Yard) -> None:
    commit = yard.repo.head
    draft = yard.server.add_task(status="created", commit=commit)
    yard.server.tasks[draft]["hyperparams"] = {"properties": {kind: to_property(OWNER, kind)}}
    if not known:
        yard.server.fail_next(400, REFUSAL, {}, call="tasks.get_all_ex", count=2)
    left, _ = cleaning(yard, Launched(kind, OWNER, commit, requested=True))
    which = "with the tag git-clearml-check" if kind == CHECK else f"of {commit[:12]}"
    assert [line.partition(" (")[0] for line in left] == ([] if known else [f"a draft {which} may exist: archive it"])
    assert yard.server.tasks[draft]["system_tags"] == (["archived"] if known else [])


@pytest.mark.parametrize("times", [1, 2])
def test_a_lost_draft_of_a_run(times: int, yard: Yard) -> None:
    """The answer is lost, and so is that to the question what became of it: archived all the same, or named."""
    yard.publish()

    def refuses(call: str, _: object) -> None:
        if call == "tasks.create":
            yard.server.fail_next(400, REFUSAL, {}, call="tasks.get_all_ex", count=times)

    yard.server.hook = refuses
    yard.server.lose_next("tasks.create")
    words = ("run", "--quiet", "--queue", "gpu", "--", "python", "train.py")
    done = inside(*words, cwd=yard.repo.path, env=yard.server.env)
    (task,) = yard.server.tasks.values()
    assert (done.status, task["status"]) == (3, "created")
    assert task["system_tags"] == (["archived"] if times == 1 else [])
    assert (f"left behind: a draft of {yard.repo.head[:12]} may exist" in done.err) == (times == 2)


# --- two servers ------------------------------------------------------------------------------------------------------


def test_a_side_ref_whose_task_waits_on_another_server(yard: Yard) -> None:
    """The record says where its task is; this server, which knows no such task, has no say."""
    words = ("run", "--queue", "gpu", "--", "python", "train.py")
    assert inside(*words, cwd=yard.repo.path, env=yard.server.env).status == 0
    (first,) = refs_of(yard.remote)
    with ClearMLServer() as other:
        other.add_queue("gpu")
        assert inside(*words, cwd=yard.repo.path, env=other.env).status == 0
    assert first in refs_of(yard.remote)
    (task,) = yard.server.tasks.values()
    task["status"] = "stopped"
    inside("run", "--queue", "gpu", "--", "python", "train.py", "again", cwd=yard.repo.path, env=yard.server.env)
    assert first not in refs_of(yard.remote)
