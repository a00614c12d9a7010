"""Run records on tasks of the loopback server, as `git clearml run` puts them there."""

from __future__ import annotations

from typing import Any

from git_clearml.clearml.properties import PROPERTY, TREE
from git_clearml.model import RecordedTask, RunRecord
from git_clearml.run import ownership
from git_clearml.run import record as run_records
from tests.support.program import Gate


def record(gate: Gate, task: str, **changes: Any) -> RunRecord:
    """The record of a run of HEAD that ended well on a clean tree and made this task."""
    defaults: dict[str, Any] = {
        "id": "0" * 32,
        "commit": gate.repo.head,
        "tree": gate.repo.git("rev-parse", "HEAD^{tree}"),
        "command": ("jupyter-execute", "train.ipynb"),
        "host": "here",
        "user": "me",
        "pid": 1,
        "pid_started": "1",
        "started": "2026-01-02T03:04:05.000+00:00",
        "ended": "2026-01-02T03:05:05.000+00:00",
        "exit_status": 0,
        "tasks": ((task, "completed"),),
    }
    return RunRecord(**{**defaults, **changes})


def put(gate: Gate, task: str, made: RunRecord, *, tree: str = "") -> None:
    """Puts the record on the task, and the tree by which it is found (the record's, unless another is named)."""
    own = made.tasks[0][0]
    started = gate.server.tasks[own].get("started") if own in gate.server.tasks else None
    lies_on = RecordedTask(own, "completed", str(started or ""))
    texts = {PROPERTY: run_records.to_property(ownership.for_task(made, lies_on)), TREE: tree or made.tree}
    properties = {
        name: {"section": "properties", "name": name, "value": text, "type": "str"} for name, text in texts.items()
    }
    sections = gate.server.tasks[task].get("hyperparams") or {}
    gate.server.tasks[task]["hyperparams"] = {**sections, "properties": properties}
