"""Runs without a server as `git clearml run` and ClearML's SDK leave them: a record, and its sessions on disk.

What a session holds is compared with the real thing by tests/integration/run/test_run_sdk.py (scripts.QUICK).
"""

from __future__ import annotations

import json
import os
import shutil
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Any

from git_clearml.clearml import offline
from git_clearml.model import RunRecord
from git_clearml.run.store import RunStore
from tests.support.clearml_common import new_id
from tests.support.clearml_server import REPOSITORY
from tests.support.repos import Repo


def session(place: Path, run: str, commit: str, name: str = "train", **task: Any) -> Path:
    """Writes an offline session below ClearML's cache; its folder."""
    folder = place / "offline" / f"offline-{new_id()}"
    made = folder / "data" / "Vision%2FDetector" / f"train.{folder.name}" / "artifacts" / "notes" / "notes.txt"
    made.parent.mkdir(parents=True)
    made.write_text("made by the run")
    marker = {"section": "Environment", "name": "GIT_CLEARML_RUN", "type": "str", "value": run, "description": ""}
    script = {"repository": REPOSITORY, "version_num": commit, "branch": "main", "diff": "", "binary": "python3"}
    document = {
        "id": folder.name,
        "name": name,
        "project_name": "Vision/Detector",
        "type": "training",
        "offline_folder": str(folder),
        "execution": {"artifacts": [{"key": "notes", "type": "string", "mode": "output", "uri": str(made)}]},
        "hyperparams": {"Environment": {"GIT_CLEARML_RUN": marker}},
        "script": {**script, "entry_point": "train.py", "working_dir": "."},
        **task,
    }
    event = {"type": "training_stats_scalar", "task": folder.name, "metric": "validation", "variant": "accuracy"}
    line = {"type": "log", "level": "info", "worker": f"builder:git-clearml-run-{run}", "msg": "a line", "timestamp": 1}
    (folder / "metrics.jsonl").write_text(json.dumps([{**event, "iter": 1, "value": 0.75, "timestamp": 1}]) + "\n")
    (folder / "log.jsonl").write_text(json.dumps([{**line, "task": folder.name}]) + "\n")
    (folder / "task.json").write_text(json.dumps(document))
    return folder


def zipped(folder: Path) -> Path:
    """The session as a zip alone."""
    shutil.make_archive(str(folder), "zip", folder)
    shutil.rmtree(folder)
    return folder.with_suffix(".zip")


def ran(repo: Repo, exit_status: int | None = 0, *, sessions: int = 1, commit: str = "", **changes: Any) -> RunRecord:
    """A run of HEAD with so many tasks, of which there is a record now. Without an exit status it was killed."""
    run, head = changes.get("id", new_id()), commit or repo.head
    place = Path(os.environ["CLEARML_CACHE_DIR"])
    folders = [session(place, run, head, f"train {number}" if number else "train") for number in range(sessions)]
    read = [offline.read(str(folder), str(folder.parent)) for folder in folders] if exit_status is not None else []
    fields: dict[str, Any] = {
        "id": run,
        "commit": head,
        "tree": repo.git("rev-parse", f"{head}^{{tree}}"),
        "command": ("python", "train.py"),
        "host": "here",
        "user": "me",
        "pid": 1,
        "pid_started": "1",
        "started": now(),
        "ended": "" if exit_status is None else now(),
        "exit_status": exit_status,
        "sessions": tuple(read),
        "tasks": tuple((each.id, "") for each in read),
        "offline_dir": str(place / "offline"),
        **changes,
    }
    record = RunRecord(**fields)
    RunStore(str(repo.path / ".git")).write(record)
    return record


_latest = datetime.now(timezone.utc)


def now() -> str:
    """No two runs begin at the same time."""
    global _latest
    _latest = max(datetime.now(timezone.utc), _latest + timedelta(milliseconds=1))
    return _latest.isoformat(timespec="milliseconds")
