"""Values with every field at a sensible default: a test names only what it is about."""

from __future__ import annotations

from datetime import datetime, timezone
from typing import Any

from git_clearml.model import Commit, Diff, DiffKind, RunRecord, Task
from git_clearml.report.model import VerifyReport
from git_clearml.settings.policy import Equivalence, Policy
from git_clearml.verdict.model import Finding, Outcome, Reason, Verdict
from git_clearml.verdict.rules import Facts

HASH = "1a2b3c4d5e6f708192a3b4c5d6e7f8091a2b3c4d"
OTHER_HASH = "9f8e7d6c5b4a39281706f5e4d3c2b1a09f8e7d6c"
TASK = "4f1c0ffee0ddba11ca55e77e00000001"
TREE = "4b825dc642cb6eb9a060e54bf8d69288fbee4904"
URL = "https://github.com/acme/detector.git"
NAME = "github.com/acme/detector"
NOW = datetime(2026, 1, 2, 12, 0, tzinfo=timezone.utc)
PAGE = "https://app.clear.ml/projects/p/experiments/{id}/output/log"

CLEAN = Diff(DiffKind.CLEAN)
DIRTY = Diff(DiffKind.DIRTY, "train.py (+4 -1)")
OWN = Diff(DiffKind.OWN, "only ClearML's own Task.init and requirements lines")
ABSENT = Diff(DiffKind.ABSENT)


def commit(**changes: Any) -> Commit:
    """The judged commit."""
    return Commit(**{"hash": HASH, "tree": TREE, **changes})


def task(**changes: Any) -> Task:
    """A server's task that is evidence for `commit()` as it is: clean, completed, of this repository."""
    defaults: dict[str, Any] = {
        "id": TASK,
        "source": "server",
        "name": "train",
        "project": "Vision/Detector",
        "status": "completed",
        "commit": HASH,
        "repository": URL,
        "entry_point": "train.py",
        "working_dir": ".",
        "diff": CLEAN,
        "completed": "2026-01-02T11:00:00+00:00",
        "updated": "2026-01-02T11:00:01+00:00",
    }
    return Task(**{**defaults, **changes})


def offline(record: RunRecord | None = None, **changes: Any) -> Task:
    """A task of a local run record that is evidence for `commit()` as it is."""
    return task(**{"source": "offline", "status": "", "repository": "", "run": record or run(), **changes})


def run(**changes: Any) -> RunRecord:
    """A run of `python train.py` that ended well on a clean tree."""
    defaults: dict[str, Any] = {
        "id": "run-1",
        "commit": HASH,
        "tree": TREE,
        "command": ("python", "train.py"),
        "host": "host",
        "user": "user",
        "pid": 1,
        "pid_started": "1",
        "started": "2026-01-02T10:59:00+00:00",
        "ended": "2026-01-02T11:00:00+00:00",
        "exit_status": 0,
        "tasks": ((TASK, ""),),
    }
    return RunRecord(**{**defaults, **changes})


def facts(**changes: Any) -> Facts:
    """What the repository of `commit()` holds: train.py and src/eval.py, at either hash."""
    names = ("train.py", "src/eval.py", "pkg/mod.py", "pkg/app/__main__.py")
    files = frozenset((item, path) for item in (HASH, OTHER_HASH) for path in names)
    return Facts(**{"repositories": frozenset({NAME}), "files": files, "now": NOW, **changes})


def policy(**changes: Any) -> Policy:
    return Policy(**changes)


def finding(*codes: str, **changes: Any) -> Finding:
    """A finding with a reason for each code."""
    reasons = tuple(Reason(code, f"is {code}") for code in codes)
    return Finding(**{"task": task(), "equivalence": Equivalence.COMMIT, "reasons": reasons, **changes})


def verdict(**changes: Any) -> Verdict:
    """A verified one."""
    defaults: dict[str, Any] = {
        "commit": HASH,
        "outcome": Outcome.VERIFIED,
        "refs": ("refs/heads/main",),
        "task": task(),
        "equivalence": Equivalence.COMMIT,
        "considered": 1,
        "accepted": 1,
    }
    return Verdict(**{**defaults, **changes})


def rejected(*near_misses: Finding, **changes: Any) -> Verdict:
    defaults: dict[str, Any] = {
        "outcome": Outcome.REJECTED,
        "task": None,
        "equivalence": None,
        "considered": len(near_misses),
        "accepted": 0,
        "near_misses": near_misses,
    }
    return verdict(**{**defaults, **changes})


def report(*verdicts: Verdict, **changes: Any) -> VerifyReport:
    """A report of these verdicts, of one verified commit when there are none."""
    shown = verdicts or (verdict(),)
    outcome = Outcome.worst([each.outcome for each in shown])
    defaults: dict[str, Any] = {
        "outcome": outcome,
        "status": outcome.status,
        "policy_from": HASH,
        "verdicts": shown,
    }
    return VerifyReport(**{**defaults, **changes})
