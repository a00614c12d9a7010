"""The documents behind the loopback ClearML server: tasks, projects, queues, workers and events."""

from __future__ import annotations

import copy
import threading
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from tests.support.clearml_common import (
    API_VERSIONS,
    COMPANY_ID,
    SERVER_VERSION,
    USER_ID,
    ApiError,
    Json,
    new_id,
    stamp,
    unknown_id,
)

# A script of which nothing is known [10-2].
EMPTY_SCRIPT: Json = {"binary": "python", "repository": "", "entry_point": "", "requirements": {}}
EMPTY_EXECUTION: Json = {
    "test_split": 0,
    "parameters": {},
    "model_desc": {},
    "model_labels": {},
    "artifacts": [],
}


@dataclass
class Store:
    """All state of one server. Callers hold `lock` while they read or change it."""

    lock: threading.RLock = field(default_factory=threading.RLock)
    tasks: dict[str, Json] = field(default_factory=dict)
    projects: dict[str, Json] = field(default_factory=dict)
    queues: dict[str, Json] = field(default_factory=dict)
    workers: dict[str, Json] = field(default_factory=dict)
    events: dict[str, list[Json]] = field(default_factory=dict)
    scrolls: dict[str, list[Json]] = field(default_factory=dict)
    version: str = SERVER_VERSION

    @property
    def api_version(self) -> str:
        return API_VERSIONS[self.version]

    @property
    def sets_completed_on_failure(self) -> bool:
        """Since 2.3 a failed task has a `completed` time too (point 24)."""
        return self.version != SERVER_VERSION

    def task(self, task_id: str) -> Json:
        if task_id not in self.tasks:
            raise unknown_id("task", 101, task_id)
        return self.tasks[task_id]

    def all_tasks(self, ids: list[str]) -> list[Json]:
        """The tasks of a list of ids; one unknown id refuses the whole call (points 17, 21 and 29)."""
        unknown = [task_id for task_id in ids if task_id not in self.tasks]
        if unknown:
            raise ApiError(400, 101, "Invalid task id", ids=f"({', '.join(unknown)})")
        return [self.tasks[task_id] for task_id in ids]

    def queue(self, queue_id: str) -> Json:
        if queue_id not in self.queues:
            raise unknown_id("queue", 701, queue_id)
        return self.queues[queue_id]

    def new_task(self, name: str, kind: str, **fields: Any) -> Json:
        """Puts a task with every field that the server gives a bare one [10-2] into the store."""
        moment = stamp()
        task: Json = {
            "id": new_id(),
            "company": COMPANY_ID,
            "user": USER_ID,
            "name": name,
            "type": kind,
            "status": "created",
            "report_assets": [],
            "created": moment,
            "output": {},
            "execution": copy.deepcopy(EMPTY_EXECUTION),
            "tags": [],
            "system_tags": [],
            "script": copy.deepcopy(EMPTY_SCRIPT),
            "last_update": moment,
            "last_change": moment,
            "last_iteration": 0,
            "last_metrics": {},
            "metric_stats": {},
            "hyperparams": {},
            "configuration": {},
            "runtime": {},
            "models": {"input": [], "output": []},
            "container": {},
            "last_changed_by": USER_ID,
        }
        task.update(fields)
        self.tasks[task["id"]] = task
        return task

    def new_project(self, name: str, project_id: str | None = None, description: str = "") -> Json:
        """A project and, when they are missing, its parents [18-1, 18-7]."""
        parent_name = name.rpartition("/")[0]
        parent = (self.project_named(parent_name) or self.new_project(parent_name)) if parent_name else None
        moment = stamp()
        project: Json = {
            "id": project_id or new_id(),
            "company": COMPANY_ID,
            "user": USER_ID,
            "name": name,
            "basename": name.rpartition("/")[2],
            "description": description,
            "created": moment,
            "tags": [],
            "system_tags": [],
            "last_update": moment,
            "featured": 9999,
        }
        if parent:
            project["parent"] = parent["id"]
        project["path"] = [*parent["path"], parent["id"]] if parent else []
        self.projects[project["id"]] = project
        return project

    def project_named(self, name: str) -> Json | None:
        return next((each for each in self.projects.values() if each["name"] == name), None)

    def with_subprojects(self, ids: list[str]) -> list[str]:
        return [
            each["id"]
            for each in self.projects.values()
            if each["id"] in ids or any(parent in ids for parent in each["path"])
        ]

    def new_queue(self, name: str, queue_id: str | None = None) -> Json:
        moment = stamp()
        queue: Json = {
            "id": queue_id or new_id(),
            "name": name,
            "company": COMPANY_ID,
            "created": moment,
            "tags": [],
            "system_tags": [],
            "entries": [],
            "last_update": moment,
            "metadata": {},
        }
        self.queues[queue["id"]] = queue
        return queue

    def queue_named(self, name: str) -> Json | None:
        return next((each for each in self.queues.values() if each["name"] == name), None)

    def take_off_queues(self, task_id: str) -> int:
        """Takes a task off every queue; how many held it."""
        removed = 0
        for queue in self.queues.values():
            left = [entry for entry in queue["entries"] if entry["task"] != task_id]
            removed += len(left) != len(queue["entries"])
            queue["entries"] = left
        return removed


def plain(value: Any) -> Any:
    """A test's value as the store holds it: times become text, everything else is copied."""
    if isinstance(value, datetime):
        return stamp(value)
    return copy.deepcopy(value)
