"""The tasks that a pipeline launched, as a ClearML server has them: those whose parent is the pipeline's own task.

A step's `parent` is its controller's id, and an optimizer's trials have the optimizer's (clearml 1.9 to 2.1,
automation/job.py: `ClearmlJob` clones with `parent`). The parent of a clone is what it was cloned from, too (contract
29): a pipeline that was run again is no step of itself. The SDK asks by a bare id (automation/optimization.py,
`task_filter["parent"]`), and a server has an index of it (clearml-server, database/model/task/task.py).
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import timedelta

from git_clearml.base.exchange import MEGABYTE
from git_clearml.base.words import moment
from git_clearml.clearml import query, response
from git_clearml.clearml.client import ClearML
from git_clearml.clearml.model import Result
from git_clearml.clearml.query import Document
from git_clearml.clearml.results import result_of

MOST = 5_000  # steps
_PIPELINES = ("controller", "optimizer")  # types of tasks that launch others
_MOST_ASKED = 20  # pipelines within a pipeline whose steps are asked for
_LIMIT = 64 * MEGABYTE
_MARGIN = timedelta(days=1)  # by which clocks may differ
_SCRIPT = ("script.repository", "script.entry_point", "script.working_dir")
_TOP = ("id", "type", "created", "started", *_SCRIPT)
_STEP = (*_TOP, "name", "status", "project.name", "script.version_num", "completed", "system_tags", "parent",
         "last_metrics")  # fmt: skip


@dataclass(frozen=True)
class StepTask:
    """A task that a pipeline launched. `path` names the pipelines within the pipeline that it is in, and it."""

    result: Result
    parent: str
    path: tuple[str, ...]
    archived: bool


@dataclass(frozen=True)
class Steps:
    """The steps of a task of this `kind` (ClearML's type), each one after the pipeline that launched it.

    `again` counts tasks that are the pipeline itself, run again. `whole` is false where there are more steps.
    """

    kind: str
    tasks: tuple[StepTask, ...] = ()
    again: int = 0
    whole: bool = True

    @property
    def is_pipeline(self) -> bool:
        """Is the task one that launches others?"""
        return self.kind in _PIPELINES


def of_task(api: ClearML, identity: str) -> Steps:
    """The steps of the task of this id, in the order in which they were made; none of a task that launches none.

    One request, one for each 500 steps, and as much for each of 20 pipelines among them. Raises the errors of
    ClearML.call.
    """
    document = query.task(api, identity, _TOP)
    if document is None or response.text(document, "type") not in _PIPELINES:
        return Steps(response.text(document, "type") if document else "")
    walk = _Walk(api)
    tasks = list[StepTask]()
    for step in walk.below(document, ()):
        if len(tasks) == MOST:
            walk.whole = False
            break
        tasks.append(step)
    return Steps(response.text(document, "type"), tuple(tasks), walk.again, walk.whole)


class _Walk:
    """Goes down from a pipeline to the pipelines that are steps of it. No task is met twice."""

    def __init__(self, api: ClearML) -> None:
        self._api = api
        self._seen: set[str] = set()
        self._asked = 0
        self.again, self.whole = 0, True

    def below(self, pipeline: Document, path: tuple[str, ...]) -> Iterator[StepTask]:
        identity = response.identity(pipeline)
        self._seen.add(identity)
        if self._asked > _MOST_ASKED:
            self.whole = False
            return
        self._asked += 1
        for document in self._children(pipeline, identity):
            if (name := response.identity(document)) in self._seen:
                continue
            self._seen.add(name)
            if _code(document) == _code(pipeline):
                self.again += 1
                continue
            result = result_of(self._api, document)
            archived = "archived" in response.texts(document, "system_tags")
            step = StepTask(result, identity, (*path, result.name), archived)
            yield step
            if response.text(document, "type") in _PIPELINES:
                yield from self.below(document, step.path)

    def _children(self, pipeline: Document, identity: str) -> Iterator[Document]:
        """Page by page: 5,000 tasks at once, as a scroll has them, with all their metrics may be too large."""
        started = moment(response.text(pipeline, "started") or response.text(pipeline, "created"))
        body = {"parent": identity, "order_by": ["created", "id"], "search_hidden": True}
        body |= query.updated(started - _MARGIN if started else None)
        return query.every(self._api, body, _STEP, limit=_LIMIT)


def _code(document: Document) -> tuple[str, ...]:
    script = response.part(document, "script")
    names = [response.text(script, name.partition(".")[2]) for name in _SCRIPT]
    return response.text(document, "type"), *names
