"""A check ends what killed checks left behind: what is past its deadline, or of a dead process here; nothing else."""

from __future__ import annotations

import copy
import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest

from git_clearml.agent import sweep as sweeping
from git_clearml.base import process
from git_clearml.clearml import lease
from git_clearml.clearml.client import ClearML
from git_clearml.clearml.config import Server
from git_clearml.clearml.lease import Lease
from git_clearml.git import side_ref as side_refs
from git_clearml.git.remote import Remote
from git_clearml.git.repository import Repository
from tests.support.check_bench import ENDS_AT_ONCE, Bench, bench
from tests.support.check_world import World, owned, owner
from tests.support.clearml_common import Json
from tests.support.clearml_http import CALLS
from tests.support.pushing import make_yard, refs_of
from tests.support.repos import make_repo

HOUR = 3600.0


@pytest.fixture
def work(tmp_path: Path) -> Iterator[Bench]:
    with bench(tmp_path / "work") as made:
        made.yard.publish("main")
        yield made


def alive(**changes: Any) -> Lease:
    """Of a check elsewhere that has an hour to go."""
    return owner(deadline=time.time() + HOUR, **changes)


def late(**changes: Any) -> Lease:
    return owner(deadline=time.time() - 1.0, **changes)


def dead_process() -> tuple[int, str]:
    """A process id that was ours, and when that process was started."""
    child = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE)
    started = process.started(child.pid)
    child.communicate()
    assert started
    return child.pid, started


def dead(**changes: Any) -> Lease:
    """Of a check on this host whose process has ended."""
    pid, started = dead_process()
    return alive(**{"host": process.here(), "pid": pid, "pid_started": started, **changes})


@dataclass
class Desk:
    """A server, and a clone without a remote that is shared by all tests: a sweep alone needs no more."""

    world: World
    repository: Repository

    def sweep(self, archive: bool = True) -> None:
        server = self.world.server
        keys = Server(server.url, server.url, server.access_key, server.secret_key)
        api = ClearML(keys, 30.0, environment={})
        sweeping.sweep(self.repository, api, archive=archive, say=lambda _: None)
        api.close()


@pytest.fixture(scope="module")
def clone(tmp_path_factory: pytest.TempPathFactory) -> Repository:
    return Repository(str(make_repo(tmp_path_factory.mktemp("sweep") / "repo").path))


@pytest.fixture
def desk(clone: Repository) -> Iterator[Desk]:
    with World(()) as world:
        yield Desk(world, clone)


def swept(work: Bench | Desk, *words: str) -> set[str]:
    """The tasks that a sweep changes; that of a check, which has to go as ever, leaves its own out."""
    before = copy.deepcopy(work.world.server.tasks)
    if isinstance(work, Desk):
        work.sweep(archive=words != ("--archive", "never"))
    else:
        work.check("--force", *words)
    return {name for name, task in before.items() if work.world.server.tasks[name] != task}


def running(work: Bench | Desk, whose: Lease, **fields: Any) -> str:
    """A check's task that a live agent is at work on."""
    task = owned(work.world.server, whose, last_worker="w9", **fields)
    work.world.server.add_worker("w9", ["elsewhere"], task=task)
    return task


def state(work: Bench | Desk, task: str) -> Json:
    return work.world.server.tasks[task]


def test_two_live_checks_and_one_past_its_deadline(work: Bench) -> None:
    """Two on two hosts, this one among them, and a third that is late: only that is swept."""
    us = alive(host=process.here(), pid=os.getpid(), pid_started=process.started(os.getpid()))
    here, there = owned(work.world.server, us), owned(work.world.server, alive())
    over = owned(work.world.server, late())
    assert swept(work) == {over}
    assert (state(work, over)["status"], state(work, over)["system_tags"]) == ("stopped", ["archived"])
    assert {state(work, item)["status"] for item in (here, there)} == {"in_progress"}


def test_it_says_what_it_swept(work: Bench) -> None:
    over = owned(work.world.server, late())
    assert f"swept an abandoned check: task {over}" in work.check().err


def test_a_dead_process_of_this_host(desk: Desk) -> None:
    left = owned(desk.world.server, dead())
    assert swept(desk) == {left}


def test_a_process_id_that_was_used_again(desk: Desk) -> None:
    """Ours has that number now, but was started at another time."""
    left = owned(desk.world.server, dead(pid=os.getpid()))
    assert swept(desk) == {left}


@pytest.mark.parametrize("status", ["queued", "in_progress", "created"])
def test_whatever_it_waits_for(status: str, desk: Desk) -> None:
    queued = {"queue": "other"} if status == "queued" else {}
    left = owned(desk.world.server, dead(), status=status, **queued)
    assert swept(desk) == {left}
    assert state(desk, left)["status"] == ("created" if status == "created" else "stopped")
    assert "archived" in state(desk, left)["system_tags"]
    assert all(queue["entries"] == [] for queue in desk.world.server.store.queues.values())


def test_a_draft_that_does_not_name_itself_yet(desk: Desk) -> None:
    left = owned(desk.world.server, dead(), status="created", names_itself=False)
    assert swept(desk) == {left}
    assert swept(desk) == set()  # and not again


def test_its_agent_still_learns_that_it_is_to_stop(desk: Desk) -> None:
    """A server replaces the status's message when a task is archived: "stopping" has to stay."""
    left = running(desk, dead())
    assert swept(desk) == {left}
    assert (state(desk, left)["status"], state(desk, left)["status_message"]) == ("in_progress", "stopping")
    (request,) = [
        each for each in desk.world.server.requests if each.call == "tasks.archive" and each.body["tasks"] == [left]
    ]
    assert request.body["status_message"] == "stopping"


def test_one_that_was_swept_and_runs_on_is_swept_again(desk: Desk) -> None:
    left = owned(desk.world.server, dead(), system_tags=["archived"])
    assert swept(desk) == {left}
    assert state(desk, left)["status"] == "stopped"


def test_with_archive_never_it_is_only_ended(desk: Desk) -> None:
    left = owned(desk.world.server, dead())
    assert swept(desk, "--archive", "never") == {left}
    assert (state(desk, left)["status"], state(desk, left)["system_tags"]) == ("stopped", [])


# --- what is not swept ------------------------------------------------------------------------------------------------


def test_another_container_of_a_host_of_the_same_name(desk: Desk) -> None:
    """Another namespace of process ids: that ours has no such process says nothing."""
    host, boot, _ = process.here().split("/")
    owned(desk.world.server, dead(host=f"{host}/{boot}/pid:[4026539999]"))
    assert swept(desk) == set()


def test_the_same_host_after_a_restart(desk: Desk) -> None:
    host, _, space = process.here().split("/")
    owned(desk.world.server, dead(host=f"{host}/another-boot/{space}"))
    assert swept(desk) == set()


def test_a_process_that_nobody_could_look_at(desk: Desk) -> None:
    owned(desk.world.server, dead(pid_started=""))
    assert swept(desk) == set()


def test_a_process_of_somebody_else_that_proc_hides(desk: Desk) -> None:
    """With the mount option hidepid another user's process is not to be seen, but signals tell that it is there."""
    from git_clearml.agent import leased_tasks

    whose = alive(host=process.here(), pid=1, pid_started="another-start")
    script = (
        "import os, sys; sys.path[:0] = sys.argv[1:]\n"
        "from git_clearml.agent import leased_tasks; from git_clearml.base import process\n"
        "if os.geteuid() == 0:\n"  # only now: another user may not be able to read this clone
        "    os.setgroups([]), os.setgid(65534), os.setuid(65534)\n"
        "process.started = lambda pid: ''\n"  # what hidepid makes of it
        "sys.exit(0 if leased_tasks._is_hidden(1) else 1)\n"
    )
    root = str(Path(leased_tasks.__file__).parents[2])
    command = [sys.executable, "-c", script, root]
    assert subprocess.run(command, check=False, cwd="/").returncode == 0, whose
    assert not leased_tasks._is_hidden(2**40)


@pytest.mark.parametrize("status", ["completed", "failed", "stopped", "published", "closed"])
def test_one_that_has_ended(status: str, desk: Desk) -> None:
    """It is marked as done, and no more: what becomes of it is not for us to say."""
    ended = owned(desk.world.server, late(), status=status)
    before = copy.deepcopy(state(desk, ended))
    assert swept(desk) == {ended}
    assert state(desk, ended)["tags"] == [lease.TAG, lease.DONE]
    assert {**state(desk, ended), "tags": before["tags"], "last_change": 0, "last_changed_by": 0} == {
        **before,
        "last_change": 0,
        "last_changed_by": 0,
    }
    state(desk, ended)["status"] = "in_progress"
    assert swept(desk) == set()


@pytest.mark.parametrize("how", ["fail", "complete", "pull"])
def test_what_a_person_starts_again(how: str, work: Bench) -> None:
    """What did not pass "stays for you to look at": then it is theirs, though it carries our owner, long dead."""
    server = work.world.server
    work.world.story = [(0.0, "pull"), *([(0.0, how)] if how != "pull" else [])]
    work.world.abort_after = 0.0
    work.check("--archive", "never", "--execution-timeout", "0.01", status=0 if how == "complete" else 1)
    task = str(work.world.task["id"])
    assert lease.DONE in state(work, task)["tags"]
    item = state(work, task)["hyperparams"]["properties"][lease.CHECK]
    item["value"] = json.dumps({**json.loads(item["value"]), **vars(dead(task=task))})
    desk = Desk(work.world, Repository(str(work.yard.repo.path)))
    CALLS["tasks.reset"](server.store, {"task": task})
    assert swept(desk) == set()
    CALLS["tasks.enqueue"](server.store, {"task": task, "queue": server.add_queue("debug")})
    assert swept(desk) == set()
    CALLS["tasks.started"](server.store, {"task": task, "force": True})
    assert swept(desk) == set()
    work.world.story = list(ENDS_AT_ONCE)
    assert swept(work) == set()


def test_one_that_was_swept_is_marked_once_it_has_ended(desk: Desk) -> None:
    """Not before: its agent may not have seen yet that it is to stop."""
    left = running(desk, dead())
    assert swept(desk) == {left}
    assert lease.DONE not in state(desk, left)["tags"]
    CALLS["tasks.stopped"](desk.world.server.store, {"task": left})
    assert swept(desk) == {left}
    assert lease.DONE in state(desk, left)["tags"]
    assert swept(desk) == set()


def test_a_mark_that_a_server_did_not_look_for(desk: Desk) -> None:
    """One that does not know how to leave tags out sends such a task all the same."""
    owned(desk.world.server, late(), tags=[lease.TAG, lease.DONE])
    own, sent = desk.world.server._answer, []

    def answer(path: str, authorization: str | None, body: Any, lines: bool) -> tuple[int, Json]:
        status, document = own(path, authorization, body.replace(b'"__$not"', b'"__$any"'), lines)
        if b"__$not" in body:
            sent.append(len(document["data"]["tasks"]))
        return status, document

    desk.world.server._backend.answer = answer  # type: ignore[method-assign]
    assert swept(desk) == set()
    assert sent == [1]


def test_more_than_one_page(desk: Desk) -> None:
    """Drafts of killed checks were archived; what still runs comes after them all."""
    for _ in range(500):
        owned(desk.world.server, late(), status="created", system_tags=["archived"])
    over = owned(desk.world.server, late())
    assert swept(desk) == {over}


@pytest.mark.parametrize("status", ["created", "queued", "in_progress"])
def test_a_clone_of_a_checks_task(status: str, desk: Desk) -> None:
    """Made by hand from one that is swept, with its tag and its property; also when its parent is gone."""
    store = desk.world.server.store
    left = owned(desk.world.server, late())
    copies = [str(CALLS["tasks.clone"](store, {"task": left})["id"]) for _ in range(2)]
    for each in copies:
        store.tasks[each]["status"] = status
    del store.tasks[copies[1]]["parent"]
    assert swept(desk) == {left}


def test_a_clone_of_a_draft(desk: Desk) -> None:
    store = desk.world.server.store
    left = owned(desk.world.server, late(), status="created", names_itself=False)
    CALLS["tasks.clone"](store, {"task": left})
    assert swept(desk) == {left}


DAMAGE: dict[str, Any] = {
    "none at all": {},
    "of another tool": {"properties": {"note": {"section": "properties", "name": "note", "value": "late"}}},
    "no JSON": {"properties": {lease.CHECK: {"value": "{"}}},
    "no value": {"properties": {lease.CHECK: {}}},
    "a number": {"properties": {lease.CHECK: {"value": 7}}},
    "not of this schema": {"properties": {lease.CHECK: {"value": '{"schema": 2}'}}},
}


@pytest.mark.parametrize("name", DAMAGE)
def test_a_tag_without_a_proper_owner(name: str, desk: Desk) -> None:
    desk.world.server.add_task(status="in_progress", tags=[lease.TAG], hyperparams=DAMAGE[name])
    assert swept(desk) == set()


def test_an_owner_that_names_another_task(desk: Desk) -> None:
    other = desk.world.server.add_task(status="in_progress")
    owned(desk.world.server, late(task=other), names_itself=False)
    assert swept(desk) == set()


def test_an_owner_without_the_tag(desk: Desk) -> None:
    owned(desk.world.server, late(), tags=["mine"])
    assert swept(desk) == set()


def test_damage_does_not_keep_others_from_being_swept(desk: Desk) -> None:
    desk.world.server.add_task(status="in_progress", tags=[lease.TAG], hyperparams=DAMAGE["no JSON"])
    left = owned(desk.world.server, late())
    assert swept(desk) == {left}


def test_a_training_that_was_put_on_a_queue(desk: Desk) -> None:
    """`run --queue` writes an owner too; those are swept by nobody."""
    task = desk.world.server.add_task(status="in_progress", tags=[lease.TAG])
    named = replace(late(), task=task)
    item = lease.to_property(named, lease.RUN)
    desk.world.server.tasks[task]["hyperparams"] = {"properties": {lease.RUN: item}}
    assert swept(desk) == set()


# --- side refs --------------------------------------------------------------------------------------------------------


def side_ref(work: Bench) -> side_refs.SideRef:
    repository = Repository(str(work.yard.repo.path))
    return side_refs.push(repository, Remote("origin", str(work.yard.remote.path)), work.repo_head)


def record(work: Bench, ref: side_refs.SideRef) -> Path:
    return work.yard.repo.path / ".git" / "clearml" / "side-refs" / f"{ref.ref.rpartition('/')[2]}.json"


def test_the_side_ref_of_a_swept_task(work: Bench) -> None:
    """Also from another clone, which has no record of it."""
    work.yard.repo.commit("new")
    ref = side_ref(work)
    record(work, ref).unlink()
    url = f"file://{work.yard.remote.path}"
    owned(work.world.server, late(side_ref=ref.ref), commit=ref.commit, repository=url)
    assert ref.ref in refs_of(work.yard.remote)
    assert len(swept(work)) == 1
    assert set(refs_of(work.yard.remote)) == {"refs/heads/main"}


def lost_ref(work: Bench, whose: Lease, **fields: Any) -> tuple[side_refs.SideRef, str]:
    """A side ref of which this clone has no record, and its task."""
    work.yard.repo.commit("new")
    ref = side_ref(work)
    record(work, ref).unlink()
    url = f"file://{work.yard.remote.path}"
    values = {"commit": ref.commit, "repository": url, **fields}
    return ref, owned(work.world.server, replace(whose, side_ref=ref.ref), **values)


@pytest.mark.parametrize("status", ["completed", "failed", "stopped"])
def test_the_side_ref_of_a_task_that_ended_unwatched(status: str, work: Bench) -> None:
    """Its check was killed, and the clone with the record is gone: nobody else would ever delete it."""
    ref, task = lost_ref(work, dead(), status=status)
    work.check("--force")
    assert ref.ref not in refs_of(work.yard.remote)
    assert (state(work, task)["status"], state(work, task)["tags"]) == (status, [lease.TAG, lease.DONE])
    assert state(work, task)["system_tags"] == []


def test_one_that_ended_and_is_watched(work: Bench) -> None:
    """Its check is about to clean up."""
    ref, _ = lost_ref(work, alive(), status="completed")
    assert swept(work) == set()
    assert ref.ref in refs_of(work.yard.remote)


def test_one_that_ended_and_is_of_another_repository(work: Bench, tmp_path: Path) -> None:
    """It is left to a check of that one, without a mark."""
    other = make_yard(tmp_path / "other", work.world.server)
    ref, _ = lost_ref(work, late(), status="completed", repository=f"file://{other.remote.path}")
    assert swept(work) == set()
    assert ref.ref in refs_of(work.yard.remote)


def test_one_that_ended_whose_side_ref_cannot_be_deleted(work: Bench) -> None:
    ref, task = lost_ref(work, late(), status="completed")
    work.yard.remote.git("config", "receive.denyDeletes", "true")
    assert "an old side ref could not be deleted" in work.check("--force").err
    assert lease.DONE not in state(work, task)["tags"]
    work.yard.remote.git("config", "receive.denyDeletes", "false")
    assert task in swept(work)
    assert ref.ref not in refs_of(work.yard.remote)


def test_a_server_that_takes_no_marks(work: Bench) -> None:
    """The next check tries again."""
    task = owned(work.world.server, late(), status="completed")
    refusal = b'{"meta": {"result_code": 400, "result_subcode": 1, "result_msg": "no"}, "data": {}}'
    work.world.server.fail_next(400, refusal, {}, call="tasks.update_tags")
    assert swept(work) == set()
    assert swept(work) == {task}


def test_after_a_restart_of_the_machine(work: Bench) -> None:
    """The power went before there was a task: its process is not to be seen any more, but its deadline is."""
    work.yard.repo.commit("new")
    ref = side_ref(work)
    host, _, space = process.here().split("/")
    there = {"host": f"{host}/another-boot/{space}", "pid_started": "another-boot/123"}
    document = json.loads(record(work, ref).read_text())
    record(work, ref).write_text(json.dumps({**document, **there}))
    work.check("--force")
    assert ref.ref in refs_of(work.yard.remote)
    past = {"created": time.time() - 2 * 86400.0, "deadline": time.time() - 86400.0}
    record(work, ref).write_text(json.dumps({**document, **there, **past}))
    work.check("--force")
    assert set(refs_of(work.yard.remote)) == {"refs/heads/main"}
    assert not record(work, ref).exists()


def test_the_side_ref_of_a_live_check(work: Bench) -> None:
    work.yard.repo.commit("new")
    ref = side_ref(work)
    record(work, ref).unlink()
    url = f"file://{work.yard.remote.path}"
    owned(work.world.server, alive(side_ref=ref.ref), commit=ref.commit, repository=url)
    assert swept(work) == set()
    assert ref.ref in refs_of(work.yard.remote)


@pytest.mark.parametrize(
    "name", ["refs/heads/main", "refs/heads/git-clearml/../main", "refs/heads/git-clearml/x", "-d"]
)
def test_only_side_refs_are_deleted(name: str, work: Bench) -> None:
    """Whatever an owner names; and only where the task was swept."""
    url = f"file://{work.yard.remote.path}"
    owned(work.world.server, late(side_ref=name), commit=work.repo_head, repository=url)
    before = refs_of(work.yard.remote)
    assert len(swept(work)) == 1
    assert refs_of(work.yard.remote) == before


def test_a_side_ref_of_another_repository(work: Bench, tmp_path: Path) -> None:
    """A task of the same server, of another project that has a ref of that name too."""
    work.yard.repo.commit("new")
    ref = side_ref(work)
    record(work, ref).unlink()
    other = make_yard(tmp_path / "other", work.world.server)
    owned(work.world.server, late(side_ref=ref.ref), commit=ref.commit, repository=f"file://{other.remote.path}")
    assert len(swept(work)) == 1
    assert ref.ref in refs_of(work.yard.remote)


def test_a_side_ref_that_was_moved(work: Bench) -> None:
    work.yard.repo.commit("new")
    ref = side_ref(work)
    record(work, ref).unlink()
    work.yard.remote.git("update-ref", ref.ref, work.yard.repo.git("rev-parse", "HEAD~1"))
    url = f"file://{work.yard.remote.path}"
    owned(work.world.server, late(side_ref=ref.ref), commit=ref.commit, repository=url)
    assert len(swept(work)) == 1
    assert ref.ref in refs_of(work.yard.remote)


def test_a_recorded_side_ref_whose_process_died(work: Bench) -> None:
    """Killed before there was a task: only this clone knows of the ref."""
    work.yard.repo.commit("new")
    ref = side_ref(work)
    pid, started = dead_process()
    text = record(work, ref).read_text()
    text = text.replace(f'"pid": {os.getpid()}', f'"pid": {pid}').replace(process.started(os.getpid()), started)
    record(work, ref).write_text(text)
    work.check()
    assert set(refs_of(work.yard.remote)) == {"refs/heads/main"}
    assert not record(work, ref).exists()


# --- a sweep that cannot be done --------------------------------------------------------------------------------------


@pytest.mark.parametrize("call", ["tasks.stop", "tasks.archive"])
def test_one_that_cannot_be_swept_is_left_to_the_next(call: str, work: Bench) -> None:
    first, second = owned(work.world.server, late()), owned(work.world.server, late())
    refusal = b'{"meta": {"result_code": 400, "result_subcode": 1, "result_msg": "no"}, "data": {}}'
    work.world.server.fail_next(400, refusal, {}, call=call)
    result = work.check("--archive", "always")
    assert result.json["outcome"] == "runnable"
    assert f"the abandoned task {first} could not be swept" in result.err
    assert f"swept an abandoned check: task {second}" in result.err
    if call == "tasks.stop":
        assert swept(work) == {first, second}  # the second has ended, and is marked
        assert state(work, first)["status"] == "stopped"


def test_a_server_that_does_not_tell(work: Bench) -> None:
    """What a sweep needs and cannot have keeps no check from being made."""
    over = owned(work.world.server, late())
    asked = 0
    own = work.world.server._answer

    def answer(path: str, authorization: str | None, body: Any, lines: bool) -> tuple[int, Json]:
        nonlocal asked
        asked += 1
        broken = b"__$not" in body  # the question for checks that are not done
        return (200, {}) if broken else own(path, authorization, body, lines)

    work.world.server._backend.answer = answer  # type: ignore[method-assign]
    result = work.check("--force")
    assert "earlier checks could not be looked for" in result.err
    assert state(work, over)["status"] == "in_progress"


# --- the side refs of `run --queue`, which are settled ----------------------------------------------------------------


def settled(work: Bench, task: str, server: str) -> tuple[bool, list[str]]:
    """Is the side ref, of this task on this server, deleted? And what was asked."""
    work.yard.repo.commit("new")
    repository, ours = Repository(str(work.yard.repo.path)), work.world.server
    ref = side_refs.bind(repository, side_ref(work), task, server)
    api = ClearML(Server(ours.url, ours.url, ours.access_key, ours.secret_key), 30.0, environment={})
    ours.reset_log()
    sweeping.settle(repository, api, say=lambda line: pytest.fail(line))
    api.close()
    return ref.ref not in refs_of(work.yard.remote), ours.calls()


@pytest.mark.parametrize(("status", "over"), [("created", False), ("queued", False), ("in_progress", False),
                                              ("completed", True), ("failed", True), ("stopped", True)])  # fmt: skip
@pytest.mark.parametrize("earlier", [False, True])
def test_the_side_ref_of_a_run(status: str, over: bool, earlier: bool, work: Bench) -> None:
    """Until its task has ended; a record of an earlier version does not name the server."""
    task = work.world.server.add_task(status=status)
    assert settled(work, task, "" if earlier else work.world.server.url)[0] == over


@pytest.mark.parametrize("earlier", [False, True])
def test_the_side_ref_of_a_run_that_this_server_does_not_know(earlier: bool, work: Bench) -> None:
    """Deleted, if it was this server's; else it may wait on another one."""
    assert settled(work, "f" * 32, "" if earlier else work.world.server.url)[0] != earlier


def test_the_side_ref_of_a_run_on_another_server(work: Bench) -> None:
    assert settled(work, "f" * 32, "https://api.elsewhere.example") == (False, [])
