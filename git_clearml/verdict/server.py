"""Evidence from a ClearML server.

What the server was asked to filter is looked at again, by `query` and here: a server or a proxy that ignores a filter
gets no false pass. Numbers in brackets are points of the README of tests/contract/recordings.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from datetime import datetime, timezone
from typing import Any

from git_clearml.base.exchange import MEGABYTE
from git_clearml.base.ids import is_clearml_id, is_hash, is_short_id
from git_clearml.clearml import diff, query, response
from git_clearml.clearml.client import ClearML
from git_clearml.clearml.properties import TREE
from git_clearml.errors import BadAnswer, Refused, TooLarge
from git_clearml.model import Curve, Diff, DiffKind, Metric, Task
from git_clearml.settings.policy import Policy
from git_clearml.verdict import server_tasks, statuses
from git_clearml.verdict.evidence import Answer, the_only
from git_clearml.verdict.time_windows import LONGEST, Window

_RECENT = 500
_CURVE_SECONDS = 10.0
_FIRST = 10  # tasks of a commit that are looked at first; their run records may have 8 kB each
_FEW = 20  # tasks whose diffs are fetched whole: 500,000 characters each at most
_SHORT_DIFF = 20_000  # characters; of many tasks only diffs up to this are fetched
_NAMESAKES = 5  # tasks whose ids begin alike that are named


class ServerEvidence:
    """Looks tasks up on the server that `api` speaks to. Every method may raise the errors of ClearML.call."""

    def __init__(self, api: ClearML) -> None:
        self.api = api
        self.identity = f"{api.server.api} {api.server.user}"
        self.open_ahead, self.renew, self.close = api.open_ahead, api.renew, api.close

    bounded = True

    def passing(self, commits: Sequence[str], policy: Policy, window: Window, *, few: int = 0) -> Answer:
        """Tasks of these commits that ended, with an empty diff: one request for up to 500 commits.

        The server says which diffs are empty [8], and sends those, which costs nothing, so that they can be looked at.
        A task without a diff, or with ClearML's own, is not among these; `all` finds it. `few`: for up to so many
        of 50 commits 10 tasks, those that the policy prefers. A sweep has hundreds, and an answer about all megabytes.
        """
        filters = [query.of_commits(pattern) for pattern in query.patterns(commits)]
        first = max([_FIRST, *(rule.min_runs for rule in policy.metrics)])
        body, wanted = {**server_tasks.that_count(policy), **query.updated(*window)}, set(commits)
        answer = self._preferred({**body, **filters[0]}, policy, first * few) if few and len(filters) == 1 else None
        if answer is None:
            answer = Answer(self._with(filters, body, policy, many=len(wanted) > query.PAGE // 2))
        return answer._replace(tasks=[task for task in answer.tasks if task.commit in wanted])

    def of_trees(self, trees: Sequence[str], policy: Policy, window: Window) -> list[Task]:
        """Tasks like those of `passing`, of any status, whose run recorded one of these trees: one request for 500.

        The property is filtered exactly [29]. A clone bears its origin's: whoever relies on it looks at the record.
        """
        wanted = [tree for tree in dict.fromkeys(trees) if is_hash(tree)]
        parts = [wanted[start : start + query.PAGE] for start in range(0, len(wanted), query.PAGE)]
        filters = [{f"hyperparams.properties.{TREE}.value": part} for part in parts]
        return self._with(filters, {**server_tasks.clean(policy), **query.updated(*window)}, policy)

    def _with(
        self, filters: Sequence[query.Query], body: query.Query, policy: Policy, *, many: bool = False
    ) -> list[Task]:
        """The tasks that pass the body's filters, and one of these; none where the server sends more than can be held.

        That is one which sends diffs that are not empty; `all` asks for no more than that.
        """
        tasks, fields = dict[str, Task](), server_tasks.fields(policy)
        for each in filters:
            try:
                for document in query.every(self.api, {**body, **each}, fields, many=many):
                    task = self._with_diff(document, policy)
                    tasks[task.id] = task
            except TooLarge:
                continue
        return list(tasks.values())

    def _preferred(self, body: query.Query, policy: Policy, most: int) -> Answer | None:
        """So many of the tasks that may count, the policy's favourites; None where those cannot be told."""
        order = server_tasks.preferred_first(policy)
        if not order or most > query.PAGE:
            return None
        try:
            documents, whole = query.first(self.api, {**body, **order}, server_tasks.fields(policy), most)
        except TooLarge:
            return Answer([])
        tasks = [self._with_diff(document, policy) for document in documents]
        if whole or not tasks:  # a full page of what was not asked for: the server filters nothing, and `all` will do
            return Answer(tasks)
        return Answer(tasks, whole=False) if server_tasks.is_sorted([task.value for task in tasks], policy) else None

    def all(
        self, commits: Sequence[str], policy: Policy, window: Window, *, chosen: str = "", also: Sequence[str] = ()
    ) -> list[Task]:
        """Every task of these commits, whatever became of it, with its diff looked at: two requests. One where a task
        is `chosen` that is not among them: then no diff is. Those of `also` come with the diffs of few."""
        tasks = self._tasks_of(commits, query.updated(*window), policy)
        if chosen and all(task.id != chosen for task in tasks):
            return tasks
        ids = {task.id for task in tasks}
        others = [identity for identity in also if is_clearml_id(identity) and identity not in ids]
        together = bool(others) and len(tasks) + len(others) <= _FEW
        wanted, diffs = ([*ids, *others], ["script.diff"]) if together else (others, [])
        documents = query.by_ids(self.api, wanted, [*server_tasks.fields(policy), *diffs], limit=64 * MEGABYTE)
        of_ids = [self._task(document, policy) for document in documents.values()]
        if not together:
            return [*self._with_diffs(tasks), *of_ids]
        then = {task.id: task.commit for task in tasks}  # one of another commit by now has been reset meanwhile
        of_ids = [task for task in of_ids if task.commit == then.get(task.id, task.commit)]
        return [task._replace(diff=task.diff or Diff(DiffKind.ABSENT)) for task in of_ids]

    def of_ids(self, ids: Sequence[str], policy: Policy) -> list[Task]:
        """Those of the tasks of these ids that `passing` would have. One request for 500 of them."""
        valid = [identity for identity in ids if is_clearml_id(identity)]
        parts = [{"id": valid[start : start + query.PAGE]} for start in range(0, len(valid), query.PAGE)]
        return self._with(parts, server_tasks.that_count(policy), policy)

    def recent(self, policy: Policy, window: Window) -> Answer:
        """The newest 500 tasks of whatever commit, diffs not looked at. One request."""
        body: dict[str, Any] = {"system_tags": ["-archived"], "order_by": ["-last_update"], **query.updated(*window)}
        if policy.task_name:
            body["name"] = f"^{re.escape(policy.task_name)}$"
        documents, whole = query.first(self.api, body, server_tasks.fields(policy), _RECENT)
        return Answer([self._task(document, policy) for document in documents], whole)

    def tag(self, ids: Sequence[str], tag: str) -> None:
        """Adds a tag to tasks, atomically: other tags stay, and an unknown id leaves all as they were [21]."""
        if not ids or not all(is_clearml_id(identity) for identity in ids):
            raise BadAnswer("no task to tag")
        self.api.call("tasks.update_tags", {"ids": list(ids), "add_tags": [tag]})

    def find(self, identity: str, policy: Policy) -> Task | None:
        """The task of this id, None when the server has none. One request; its diff is not looked at.

        An id may be cut to its first digits where the task was last updated within 112 days. Raises UsageError where
        several tasks begin with them.
        """
        if is_short_id(identity):
            body = {"_all_": {"fields": ["id"], "pattern": f"^{identity}"}}
            body |= query.updated(datetime.now(timezone.utc) - LONGEST)
            documents, _ = query.first(self.api, body, server_tasks.fields(policy), _NAMESAKES)
            return the_only([self._task(document, policy) for document in documents], identity)
        document = query.task(self.api, identity, server_tasks.fields(policy))
        return self._task(document, policy) if document else None

    def metrics(self, task: Task) -> tuple[Metric, ...]:
        """Every scalar and single value that the task reported, by name. One request."""
        document = query.task(self.api, task.id, ["id", "last_metrics"])
        if document is None:
            raise BadAnswer(f"the server no longer has the task {task.id}")
        return response.metrics(document)

    def curves(
        self, tasks: Sequence[Task], names: Sequence[tuple[str, str]]
    ) -> dict[str, dict[tuple[str, str], Curve]]:
        """The curves of these tasks. One request, within 10 s of what is left of the budget: they are no evidence."""
        from git_clearml.clearml import curves

        self.api.hurry(_CURVE_SECONDS)
        return curves.of_tasks(self.api, [task.id for task in tasks], names)

    def tagged(self, tag: str, policy: Policy) -> list[Task]:
        """The completed and published, unarchived tasks with this tag, in the policy's project when it names one.

        Diffs are not looked at. One request for up to 5,000 tasks [12].
        """
        body = {"tags": [tag], "status": list(statuses.ENDED_WELL), "system_tags": ["-archived"]}
        tasks = {}
        for document in query.every(self.api, body, server_tasks.tagged_fields(policy)):
            task = self._task(document, policy)
            if policy.has_project(task.project):
                tasks[task.id] = task
        return list(tasks.values())

    def move_tag(self, add_to: Sequence[str], remove_from: Sequence[str], tag: str) -> None:
        """Adds the tag to tasks, then takes it from others, each atomically: other tags stay [21].

        A task to take it from that has been deleted meanwhile is no failure.
        """
        if add_to:
            self.tag(add_to, tag)
        for task in remove_from:
            try:
                self.api.call("tasks.update_tags", {"ids": [task], "remove_tags": [tag]})
            except Refused as refusal:
                if not refusal.unknown_task:
                    raise

    def _tasks_of(self, commits: Sequence[str], body: Mapping[str, Any], policy: Policy) -> list[Task]:
        wanted, fields = set(commits), server_tasks.fields(policy)
        tasks: dict[str, Task] = {}
        for pattern in query.patterns(commits):
            filters = {**body, **query.of_commits(pattern)}
            for document in query.every(self.api, filters, fields, many=len(wanted) > query.PAGE // 2):
                task = self._task(document, policy)
                if task.commit in wanted:
                    tasks[task.id] = task
        return list(tasks.values())

    def _with_diffs(self, tasks: list[Task]) -> list[Task]:
        """Fetches the diffs of few tasks whole, of many only the short ones.

        Of the others it is asked which are long and which absent only where that can decide: after an agent.
        """
        few = len(tasks) <= _FEW
        diffs = self._diffs(tasks, "" if few else f"^[\\s\\S]{{0,{_SHORT_DIFF}}}$")
        others = [task for task in tasks if task.id not in diffs]
        long = f"a diff of more than {_SHORT_DIFF:,} characters"
        if few or not others:
            unseen = {}
            tasks = [task for task in tasks if task.id in diffs]  # another one has been reset or deleted meanwhile
        elif any(task.by_agent for task in others):
            present = self._diffs(tasks, ".*", content=False)
            unseen = {
                task.id: Diff(DiffKind.DIRTY, long) if task.id in present else Diff(DiffKind.ABSENT) for task in others
            }
        else:
            unseen = dict.fromkeys((task.id for task in others), Diff(DiffKind.ABSENT, f"no diff on record, or {long}"))
        diffs |= unseen
        return [task._replace(diff=diffs[task.id]) for task in tasks]

    def _diffs(self, tasks: Sequence[Task], pattern: str, *, content: bool = True) -> dict[str, Diff]:
        """Task id -> its diff, for those of these tasks that are of the same commits still.

        Of those whose diff matches the pattern, if any. By id it costs least.
        """
        fields = ["id", "script.diff"] if content else ["id"]
        diffs: dict[str, Diff] = {}
        # Of a server that ignores the pattern every diff counts as present, and is looked at where it came.
        large = {"_any_": {"fields": ["script.diff"], "pattern": pattern}} if pattern else {}
        for commits in query.patterns(sorted({task.commit for task in tasks})):
            body = {"id": [task.id for task in tasks], **query.of_commits(commits)}
            many = len(tasks) > query.PAGE
            for document in query.every(self.api, body, fields, limit=64 * MEGABYTE, unchecked=large, many=many):
                script = response.part(document, "script")
                text = response.text(script, "diff") if not content or script.get("diff") is not None else None
                diffs[response.identity(document)] = diff.classify(text)
        return diffs

    def _with_diff(self, document: Mapping[str, Any], policy: Policy) -> Task:
        """The task, by whose diff the server was to filter: what has none then has none."""
        task = self._task(document, policy)
        return task if task.diff else task._replace(diff=Diff(DiffKind.ABSENT))

    def _task(self, document: Mapping[str, Any], policy: Policy) -> Task:
        return server_tasks.task_of(document, policy, self.api.server.web)
