"""What a launch has made is ended and removed, whenever a signal comes; what cannot be is named."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from git_clearml.agent.cleanup import CleanupOptions, Launched, cleanup
from git_clearml.clearml.client import ClearML
from git_clearml.clearml.config import Server
from git_clearml.clearml.lease import CHECK, RUN, Lease, to_property
from git_clearml.errors import Interrupted
from git_clearml.git import side_ref as side_refs
from git_clearml.git.remote import Remote
from git_clearml.git.repository import Repository
from tests.support.clearml_server import ClearMLServer
from tests.support.program import inside
from tests.support.pushing import Yard, make_yard, refs_of

REFUSAL = b'{"meta": {"result_code": 400, "result_subcode": 1, "result_msg": "no"}, "data": {}}'
OWNER = Lease("host", 1, "boot/1", "0123456789abcdef", 0.0)


@pytest.fixture
def yard(tmp_path: Path) -> Iterator[Yard]:
    with ClearMLServer() as server:
        made = make_yard(tmp_path, server)
        server.add_queue("gpu")
        yield made


class Struck(ClearML):
    """A signal arrives as soon as the cleaning begins: when this is used for the first time."""

    where = ""

    def __getattribute__(self, name: str) -> Any:
        if name == object.__getattribute__(self, "where"):
            self.where = ""
            raise Interrupted(143)
        return super().__getattribute__(name)


def cleaning(yard: Yard, launched: Launched, patience: int, where: str = "") -> tuple[list[str], int]:
    server = Server(yard.server.url, yard.server.url, yard.server.access_key, yard.server.secret_key)
    api = Struck(server, 30.0, environment={})
    repository, seconds = Repository(str(yard.repo.path)), map(float, itertools.count(0, 5))
    options = CleanupOptions(archive=True, patience=patience)
    api.where = where
    done = cleanup(repository, api, launched, options, sleep=lambda _: None, clock=lambda: next(seconds))
    api.close()
    return done.left, done.interrupted


def everything(yard: Yard) -> Launched:
    """A task on its queue, and a side ref."""
    ref = side_refs.push(Repository(str(yard.repo.path)), Remote("origin", str(yard.remote.path)), yard.repo.head)
    task = yard.server.add_task(status="in_progress")
    return Launched(CHECK, OWNER, yard.repo.head, requested=True, task=task, status="in_progress", side_ref=ref)


@pytest.mark.parametrize("where", ["server", "close"])
def test_a_signal_that_comes_first_is_borne(where: str, yard: Yard) -> None:
    launched = everything(yard)
    assert cleaning(yard, launched, 1, where) == ([], 143)
    task = yard.server.tasks[launched.task]
    assert (task["status"], task["system_tags"]) == ("stopped", ["archived"])
    assert refs_of(yard.remote) == {}


@pytest.mark.parametrize("where", ["server", "close"])
def test_one_signal_too_many_says_all_that_is_left(where: str, yard: Yard) -> None:
    launched = everything(yard)
    left, status = cleaning(yard, launched, 0, where)
    assert [line.partition(":")[0] for line in left] == [
        "abort the task",
        "delete the side ref",
        "see that the agent aborts the task",
        "archive the task",
    ]
    assert status == 143


# --- a draft whose id never reached us --------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", [CHECK, RUN])
@pytest.mark.parametrize("known", [True, False])
def test_a_lost_draft_is_found_by_its_owner(kind: str, known: bool, yard: Yard) -> None:
    commit = yard.repo.head
    draft = yard.server.add_task(status="created", commit=commit)
    yard.server.tasks[draft]["hyperparams"] = {"properties": {kind: to_property(OWNER, kind)}}
    if not known:
        yard.server.fail_next(400, REFUSAL, {}, call="tasks.get_all_ex", count=2)
    left, _ = cleaning(yard, Launched(kind, OWNER, commit, requested=True), 1)
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
