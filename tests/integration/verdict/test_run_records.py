"""Whose the run record on a task is: clones carry their origin's, and a reset keeps it (contract/README.md 29)."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest

from git_clearml.model import RecordedTask, RunRecord, Session
from git_clearml.run import ownership
from git_clearml.run import record as run_records
from git_clearml.run.store import RunStore
from git_clearml.run.tasks import MadeTask
from tests.support.clearml_common import Json, stamp
from tests.support.program import Gate
from tests.support.raw_client import RawClient

RUN = "0" * 32
AGENT: Json = {"last_worker": "builder:0", "runtime": {"_exec_agent_hostname": "builder"}}


class Lab:
    """A gate, and what people do to tasks on its server."""

    def __init__(self, gate: Gate, client: RawClient) -> None:
        self.gate, self._client = gate, client

    def record(self, **changes: Any) -> RunRecord:
        fields: dict[str, Any] = {
            "id": RUN,
            "commit": self.gate.repo.head,
            "tree": "b" * 40,
            "command": ("python", "train.py"),
            "host": "here",
            "user": "me",
            "pid": 1,
            "pid_started": "1",
            "started": stamp(),
            "ended": stamp(),
            "exit_status": 0,
            **changes,
        }
        return RunRecord(**fields)

    def ran(self, status: str = "completed", others: tuple[tuple[str, str], ...] = (), **changes: Any) -> str:
        """A task that `git clearml run` made, with its record; of `others` only the ids and statuses are on record."""
        task = self.gate.task(status=status)
        self.bear(task, self.record(tasks=((task, status), *others), **changes))
        return task

    def bear(self, task: str, record: RunRecord) -> None:
        document = self.gate.server.tasks[task]
        made = MadeTask(Session(task), document["status"], document.get("started", ""))
        own = RecordedTask(task, made.status, made.started)
        self.write(task, run_records.to_property(ownership.for_task(record, own)))

    def write(self, task: str, text: str) -> None:
        item = {"section": "properties", "name": "git_clearml_run", "type": "str", "value": text}
        self.call("tasks.edit_hyper_params", task=task, hyperparams=[item])

    def call(self, name: str, **body: Any) -> Json:
        return self._client.data(name, body)

    def clone(self, task: str, commit: str = "") -> str:
        copy = str(self.call("tasks.clone", task=task, new_task_name="a clone")["id"])
        if commit:
            self.call("tasks.edit", task=copy, script={"version_num": commit})
        return copy

    def agent_runs(self, task: str, until: str = "completed") -> None:
        """What an agent does to a draft, or one that was reset: takes it from its queue and runs it."""
        self.call("tasks.enqueue", task=task, queue_name="default")
        if until == "queued":
            return
        self.call("tasks.started", task=task)
        self.call("tasks.dequeue", task=task, new_status="in_progress")
        self.call("tasks.edit", task=task, force=True, runtime=AGENT["runtime"])
        self.gate.server.tasks[task]["last_worker"] = AGENT["last_worker"]
        if until != "in_progress":
            self.call(f"tasks.{until}", task=task)

    def requires_records(self) -> None:
        self.gate.repo.policy("require-run-record = true", commit=False)


@pytest.fixture
def lab(gate: Gate) -> Iterator[Lab]:
    with RawClient(gate.server) as client:
        yield Lab(gate, client)


REQUIRED = ("--policy-from", "HEAD")


def test_a_task_s_own_record_is_what_the_policy_requires(lab: Lab) -> None:
    lab.gate.repo.policy("require-run-record = true")
    lab.ran()
    assert lab.gate.accepts().commit["notes"] == ["verified by a run record"]


@pytest.mark.parametrize("until", ["completed", "in_progress", "queued"])
@pytest.mark.parametrize("required", [True, False])
def test_a_clone_at_another_commit_has_no_record(lab: Lab, *, required: bool, until: str) -> None:
    origin = lab.ran()
    lab.gate.repo.policy(f"require-run-record = {str(required).lower()}")  # a new commit
    lab.agent_runs(lab.clone(origin, lab.gate.repo.head), until)
    if until != "completed":
        result = lab.gate.verify()
        assert (result.status, result.json["outcome"]) == (4, "pending")
    elif required:
        assert "another task" in lab.gate.refuses("no-task").out
    else:
        assert lab.gate.accepts().commit["notes"] == []


@pytest.mark.parametrize("how", ["clone", "reset", "failed and put on a queue"])
@pytest.mark.parametrize("flaw", [{"exit_status": 1}, {"dirty": ("train.py",)}, {"edited": ("train.py",)}])
def test_a_failed_run_says_nothing_of_what_an_agent_makes_of_it(lab: Lab, how: str, flaw: dict[str, Any]) -> None:
    task = lab.ran("failed", **flaw)
    if how == "clone":
        task = lab.clone(task)
    elif how == "reset":
        lab.call("tasks.reset", task=task)
    lab.agent_runs(task, "queued")
    assert lab.gate.verify().json["outcome"] == "pending"
    lab.call("tasks.dequeue", task=task)
    lab.agent_runs(task)
    assert lab.gate.accepts().commit["task"]["id"] == task


def test_a_run_that_failed_counts_as_failed_whatever_people_mark_it(lab: Lab) -> None:
    task = lab.ran("stopped", exit_status=143)
    lab.call("tasks.completed", task=task)
    lab.gate.refuses("run-failed")
    lab.call("tasks.publish", task=task)
    lab.gate.refuses("run-failed")


def test_a_task_that_was_reset_and_run_by_hand_is_no_recorded_run(lab: Lab) -> None:
    lab.gate.repo.policy("require-run-record = true")
    task = lab.ran()
    lab.call("tasks.reset", task=task)
    lab.call("tasks.started", task=task)
    lab.call("tasks.completed", task=task)
    lab.gate.refuses("no-task")


def test_a_record_from_before_is_known_by_the_tasks_that_it_lists(lab: Lab) -> None:
    lab.gate.repo.policy("require-run-record = true")
    task = lab.gate.task()
    record = lab.record(tasks=((task, "completed"),))
    document = run_records.to_json(record)
    lab.write(task, json.dumps(document))
    lab.gate.accepts()
    copy = lab.clone(task)
    lab.call("tasks.delete", task=task, force=True)
    lab.agent_runs(copy)
    lab.gate.refuses("no-task")


# --- the other tasks of the run


def test_one_that_was_queued_when_the_run_ended_is_looked_at_again(lab: Lab) -> None:
    other = lab.gate.task(status="created", project="Vision/Other", name="on the agent")
    lab.agent_runs(other, "queued")
    first = lab.gate.task()
    record = lab.record(tasks=((first, "completed"), (other, "queued")))
    lab.bear(first, record)
    lab.bear(other, record)
    assert lab.gate.verify().json["outcome"] == "pending"
    lab.call("tasks.dequeue", task=other)
    lab.agent_runs(other, "in_progress")
    assert lab.gate.verify().json["outcome"] == "pending"
    lab.call("tasks.completed", task=other)
    lab.gate.accepts()


def test_and_refuses_when_it_failed_or_is_gone(lab: Lab) -> None:
    other = lab.gate.task(status="queued")
    first = lab.ran(others=((other, "queued"),))
    lab.gate.server.tasks[other]["status"] = "failed"
    assert lab.gate.refuses("run-failed").commit["near_misses"][0]["task"]["id"] in (first, other)
    lab.call("tasks.delete", task=other, force=True)
    lab.gate.refuses("run-failed")


def test_the_only_task_sent_to_a_queue_counts_by_its_own_end(lab: Lab) -> None:
    task = lab.gate.task(status="stopped")  # as Task.execute_remotely leaves it
    lab.call("tasks.enqueue", task=task, queue_name="default")
    lab.bear(task, lab.record(tasks=((task, "queued"),)))
    assert lab.gate.verify().json["outcome"] == "pending"
    lab.call("tasks.dequeue", task=task)
    lab.agent_runs(task)
    lab.gate.accepts()


def test_a_sweep_s_records_do_not_list_the_sweep(lab: Lab) -> None:
    tasks = [lab.gate.task(name=f"run {number}") for number in range(700)]
    record = lab.record(tasks=tuple((task, "completed") for task in tasks))
    for task in tasks:
        lab.bear(task, record)
    result = lab.gate.accepts()
    assert result.commit["evidence"] == {"considered": 10, "accepted": 10}
    assert lab.gate.server.requests[-1].response_bytes < 64_000
    latest = result.commit["task"]["id"]
    lab.bear(latest, record._replace(tasks=(*(pair for pair in record.tasks[1:]), (tasks[0], "failed"))))
    assert lab.gate.accepts().commit["evidence"] == {"considered": 10, "accepted": 9}


# --- what has become of a task that ran


def ran_here(lab: Lab) -> str:
    """A task whose run this clone has on record too."""
    task = lab.ran()
    session = Session(task, name="train", project="Vision/Detector", commit=lab.gate.repo.head)
    record = lab.record(tasks=((task, "completed"),), sessions=(session,))
    RunStore(str(lab.gate.repo.path / ".git")).write(record)
    lab.gate.accepts()
    return task


def test_a_task_that_a_later_init_has_taken_is_told_and_how_to_prevent_it(lab: Lab) -> None:
    task = ran_here(lab)
    lab.call("tasks.reset", task=task)
    lab.call("tasks.edit", task=task, script={"version_num": "c" * 40})
    result = lab.gate.refuses("other-commit")
    assert result.commit["near_misses"][0]["task"]["id"] == task
    assert "reuse_last_task_id=False" in result.messages[0]
    assert "no ClearML task has run" not in lab.gate.call("verify").out


@pytest.mark.parametrize("became", ["reset", "deleted"])
@pytest.mark.parametrize("others", ["failed", "dirty", "of the same code", "many"])
def test_it_is_told_beside_the_other_tasks(lab: Lab, became: str, others: str) -> None:
    task, ran = ran_here(lab), lab.gate.repo.head
    if others == "of the same code":
        lab.gate.repo.git("commit", "--quiet", "--amend", "--message", "said better")
        lab.gate.task()
        lab.gate.repo.git("reset", "--quiet", "--hard", ran)
    for _ in range(25 if others == "many" else 1):
        if others != "of the same code":
            lab.gate.task(**({"diff": "diff --git a/x b/x\n"} if others == "dirty" else {"status": "failed"}))
    lab.gate.accepts()
    if became == "reset":
        lab.call("tasks.reset", task=task)
        lab.call("tasks.edit", task=task, script={"version_num": "c" * 40})
    else:
        lab.call("tasks.delete", task=task, force=True)
    code = "other-commit" if became == "reset" else "no-task"
    near = lab.gate.refuses(code, requests=4 if others == "many" else 3).commit["near_misses"]
    assert [miss["task"]["id"] for miss in near].count(task) == 1
    assert (near[0]["task"]["id"], len(near)) == (task, 10 if others == "many" else 2)


def test_what_it_runs_now_may_count_by_its_tree(lab: Lab) -> None:
    task = ran_here(lab)
    lab.call("tasks.reset", task=task)
    lab.gate.repo.git("commit", "--quiet", "--amend", "--message", "said better")
    lab.call("tasks.edit", task=task, script={"version_num": lab.gate.repo.head})
    lab.gate.repo.git("reset", "--quiet", "--hard", "HEAD@{1}")
    result = lab.gate.verify()
    assert result.status == 1
    assert [miss["task"]["id"] for miss in result.commit["near_misses"]] == [task]


def test_so_is_one_that_has_been_deleted(lab: Lab) -> None:
    task = ran_here(lab)
    lab.call("tasks.delete", task=task, force=True)
    assert lab.gate.refuses("no-task").commit["near_misses"][0]["task"]["id"] == task


def test_one_that_was_reset_and_left_is_not_called_never_run(lab: Lab) -> None:
    lab.call("tasks.reset", task=ran_here(lab))
    assert lab.gate.refuses("created").messages == ["reset after it had run"]


def test_the_next_run_is_what_counts(lab: Lab) -> None:
    lab.call("tasks.delete", task=ran_here(lab), force=True)
    lab.ran()
    lab.gate.accepts()


@pytest.mark.parametrize("end", ["failed", "stopped"])
def test_publishing_on_a_newer_server_hides_a_failure_from_all_but_the_record(lab: Lab, end: str) -> None:
    """Since 2.3 a failed task has a `completed` time, and publishing forgets what it was (contract/README.md 24)."""
    lab.gate.server.store.version = "2.3.0"
    task = lab.gate.task(status="in_progress")
    lab.call(f"tasks.{end}", task=task)
    lab.gate.refuses(end)
    lab.call("tasks.publish", task=task)
    assert lab.gate.accepts().commit["notes"] == ["published: its success is not on record"]
    lab.bear(task, lab.record(tasks=((task, "published"),), exit_status=1))
    lab.gate.refuses("run-failed")
