"""Launches a run on a queue: a training at an exact commit, found again after a kill.

The same call attaches to its own task while that runs, and after a kill to whatever became of it: never a second task.
"""

from __future__ import annotations

import shlex
import time
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from git_clearml.agent import failure, leased_tasks, queue_arguments, sweep
from git_clearml.agent.cleanup import CleanupOptions, Launched, cleanup
from git_clearml.agent.launch import Source, find_source
from git_clearml.agent.leased_tasks import LeasedTask
from git_clearml.agent.open_launches import OpenLaunches
from git_clearml.agent.queue_request import QueueOrder
from git_clearml.base import process, signals
from git_clearml.base.console import Progress
from git_clearml.base.ids import is_hex
from git_clearml.clearml import lease, projects, queues, response, tasks
from git_clearml.clearml.client import ClearML
from git_clearml.clearml.lease import Lease
from git_clearml.clearml.model import Launch, Queue
from git_clearml.errors import BadAnswer, CannotDecide, PublishFailed
from git_clearml.git import side_ref as side_refs
from git_clearml.git.repository import Repository
from git_clearml.settings.table import MARKER

_LAUNCHING, _POLL = 300.0, 0.5  # seconds that a draft is its call's own, and between two polls of another one
_DRAFT = "git-clearml-draft-"
_WAITS = 30  # days that a task may wait in its queue, untouched, and still be found by a later call of the same
_TEMPLATE = ("id", "name", "project.id", "script", "hyperparams", "tags", "type")


@dataclass(frozen=True)
class Started:
    """A task on its way. `attached`: it was launched by an earlier call. `notes` are for the reader."""

    task: str
    url: str
    attached: bool = False
    notes: tuple[str, ...] = field(default=())


class QueueRun:
    """One order on its way through the server. `task` is its task, "" while none is on a queue for it."""

    def __init__(self, repository: Repository, api: ClearML, order: QueueOrder, progress: Progress) -> None:
        self._repository, self._api, self._order, self._progress = repository, api, order, progress
        self._open_launches = OpenLaunches(repository.common_dir)
        self._launched, self.task = Launched(), ""
        self._notes: list[str] = []

    def start(self) -> Started:
        """Launches the task, or attaches to the one that an earlier call of the same has launched.

        Raises BadSetting and UsageError for what can never run, and CannotDecide; nothing is left behind then.
        """
        sweep.settle(self._repository, self._api, say=self._progress.event)
        earlier = self._earlier()
        if earlier:
            self.task = earlier
            return Started(earlier, tasks.page_of(self._api, earlier), attached=True)
        queue = queues.queue(self._api, self._order.queue)
        if not queue.workers:
            self._notes.append(f"{failure.idle_queue(self._api, queue.name)}: the task waits for one")
        with signals.held() as hold:
            try:
                with hold.released():
                    self._launch(queue)
            except BaseException:
                self._taken_back()
                raise
            self.task = task = self._launched.task
            return Started(task, tasks.page_of(self._api, task), notes=tuple(self._notes))

    def _taken_back(self) -> None:
        """Whatever the launch has made is removed again, unless the task is on its way."""
        if self._on_its_way():
            self.task = self._launched.task
            return
        options = CleanupOptions(archive=True, wait=False)
        for line in cleanup(self._repository, self._api, self._launched, options).left:
            self._progress.warn(f"left behind: {line}")
        self._open_launches.close(self._order.digest)

    def settled(self) -> None:
        """Nothing is owed any more: the next call of the same is a new launch, unless the task still runs."""
        self._open_launches.close(self._order.digest)

    # --- finding what an earlier call has launched ------------------------------------------------------------------

    def _earlier(self) -> str:
        """The task of an earlier call: one that still runs, or one whose call was killed. "" for none."""
        self._api.renew()
        task = self._open_launches.task(self._order.digest)
        if task and tasks.poll_task(self._api, task).status not in ("", "created"):
            return task
        while True:
            ours = leased_tasks.of_commit(self._api, lease.RUN, self._order.commit.hash, _WAITS)
            same = [task for task in ours if task.owner.what == self._order.digest]
            started = next((task for task in same if task.status != "created"), None)
            if started:
                self._open_launches.open(self._order.digest, started.task)
                return started.task
            draft = next((task for task in same if not task.archived), None)
            if draft is None:
                return ""
            alive, now = leased_tasks.lives(draft.owner), time.time()
            if lease.expired(draft.owner, host=process.here(), alive=alive, now=now):
                return self._resumed(draft)
            self._progress.state("waiting", f"for another call that is launching {draft.task}")
            time.sleep(_POLL)
            self._api.renew()

    def _resumed(self, draft: LeasedTask) -> str:
        """Puts the draft of a call that was killed on its queue, unless its commit has to be pushed again."""
        document = tasks.document_of(self._api, draft.task, ("id", "hyperparams", "tags"))
        if document is None or draft.owner.side_ref:
            tasks.archive(self._api, draft.task)
            return ""
        queue = queues.queue(self._api, self._order.queue)
        tasks.sign(self._api, draft.task, document, draft.owner, lease.RUN)
        self._open_launches.open(self._order.digest, draft.task)
        tasks.enqueue(self._api, draft.task, queue.id)
        return draft.task

    # --- launching --------------------------------------------------------------------------------------------------

    def _launch(self, queue: Queue) -> None:
        order, api, launched = self._order, self._api, self._launched
        api.renew()
        project = projects.project(api, order.launch.project) if order.launch.project else ""
        source = find_source(self._repository, order.commit.hash, override=order.repository)
        if source.needs_side_ref:
            try:
                pushed = side_refs.push(self._repository, source.remote, order.commit.hash, keeper=launched.pushing)
            except PublishFailed as error:
                raise PublishFailed(error.message, "push the branch that the commit is on, then again") from None
            self._notes.append(f"the commit is not on the remote; pushed temporarily as {pushed.ref}")
        launch = replace(order.launch, repository=source.url, commit=source.commit)
        launched.commit = order.commit.hash
        deadline = time.time() + _LAUNCHING
        launched.owner = owner = leased_tasks.new_lease(deadline, order.commit.tree, order.digest, launched.side_ref)
        api.renew()
        launched.requested = True
        if order.template:
            self._clone(launch, source, owner, project)
        else:
            self._create(launch, owner, project)
        if launched.side_ref:
            launched.side_ref = side_refs.bind(self._repository, launched.side_ref, launched.task, api.server.api)
        self._open_launches.open(order.digest, launched.task)
        with signals.held():  # what the server is doing meanwhile cannot be taken back
            tasks.enqueue(api, launched.task, queue.id)
            launched.status = "queued"

    def _create(self, launch: Launch, owner: Lease, project: str) -> None:
        api, launched = self._api, self._launched
        document = tasks.body(launch, project, [lease.to_property(owner, lease.RUN)])
        with signals.held():
            launched.task = leased_tasks.created(
                api, lease.RUN, launched.commit, owner, lambda: tasks.create(api, document)
            )
        tasks.sign(api, launched.task, document, owner, lease.RUN)

    def _clone(self, launch: Launch, source: Source, owner: Lease, project: str) -> None:
        """A copy of the template at our commit, without its diff, its tags, and the records of its runs."""
        api, launched = self._api, self._launched
        tag = _DRAFT + self._order.digest
        with signals.held():
            launched.task = tasks.draft_with(api, tag) or tasks.clone(
                api, self._order.template, tag, launch.name, project
            )
        document = tasks.document_of(api, launched.task, _TEMPLATE)
        if document is None:
            raise BadAnswer("the server lost the clone that it has just made", "try again")
        sections = {key: value for key, value in response.part(document, "hyperparams").items() if key != "properties"}
        sections, unmatched = queue_arguments.over(sections, self._order.arguments, self._order.options)
        if unmatched:
            words = shlex.join(unmatched)
            self._notes.append(f"not found among the template's arguments, and so not in its parameters: {words}")
        sections.get("Environment", {}).pop(MARKER, None)  # of the run that made the template
        item = lease.to_property(replace(owner, task=launched.task), lease.RUN)
        sections["properties"] = {lease.RUN: item}
        script = {
            "repository": source.url,
            "version_num": source.commit,
            "branch": "",
            "tag": "",
            "diff": "",
            **_overrides(launch),
        }
        changes: dict[str, Any] = {"script": script, "hyperparams": sections, "tags": list(launch.tags)}
        tasks.edit(api, launched.task, changes)
        now = tasks.document_of(api, launched.task, ("id", "script.version_num", "script.diff"))
        edited: Mapping[str, Any] = response.part(now or {}, "script")
        if edited.get("version_num") != source.commit or edited.get("diff"):
            raise BadAnswer("the server did not take over the commit and the empty diff", response.WHICH)

    def _on_its_way(self) -> bool:
        """Is the task on its queue, whatever went wrong since?"""
        if not self._launched.task:
            return False
        try:
            self._api.renew()
            return tasks.poll_task(self._api, self._launched.task).status not in ("created", "")
        except CannotDecide:
            return True  # not known: nothing of it is taken away


def recorded(repository: Repository, task: str, owner: Lease | None) -> None:
    """The task, of this owner, is on record: the call that launched it owes nothing any more."""
    launches = OpenLaunches(repository.common_dir)
    if owner and is_hex(owner.what, 32, 32) and launches.task(owner.what) == task:
        launches.close(owner.what)


def _overrides(launch: Launch) -> dict[str, Any]:
    """What the command line says in place of the template's own."""
    overrides: dict[str, Any] = {}
    if launch.entry_point:
        overrides |= {"entry_point": launch.entry_point, "working_dir": launch.working_dir}
    if launch.requirements is not None:
        overrides["requirements"] = {"pip": launch.requirements}
    return overrides
