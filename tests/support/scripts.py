"""Training scripts: with the real SDK, and quick ones that leave what the SDK leaves in offline mode."""

from __future__ import annotations

SDK = """
import sys
from clearml import Task

task = Task.init("Vision/Detector", "train", auto_connect_frameworks=False, auto_resource_monitoring=False)
task.get_logger().report_scalar("validation", "accuracy", 0.75, iteration=1)
task.flush(wait_for_uploads=True)
"""
SDK_REMOTE = """
from clearml import Task

task = Task.init("Vision/Detector", "remote", auto_connect_frameworks=False, auto_resource_monitoring=False)
task.execute_remotely(queue_name="default")
"""
SDK_FOLDS = """
import sys
from clearml import Task

for fold in range(3):
    quiet = {"auto_connect_frameworks": False, "auto_resource_monitoring": False}
    task = Task.init("Vision/Detector", f"fold {fold}", **quiet)
    task.get_logger().report_scalar("validation", "accuracy", 0.75, iteration=1)
    if fold == 1 and "--bad-fold" in sys.argv:
        task.mark_failed(status_message="the loss is not a number")
    task.close()
"""
SDK_FAILS = SDK + "sys.exit(3)\n"

# What clearml 2.1 writes offline; tests/integration/test_run_sdk.py compares it with the real thing.
QUICK = """
import base64, json, os, sys, uuid
from pathlib import Path


def train(script=__file__, name="train"):
    here = Path(os.environ["CLEARML_CACHE_DIR"], "offline", "offline-" + uuid.uuid4().hex)
    here.mkdir(parents=True)
    root = os.path.realpath(os.environ["CLEARML_VCS_ROOT"])
    working_dir = os.path.relpath(os.getcwd(), root)
    working_dir = "." if working_dir.startswith("..") else working_dir
    facts = {
        "binary": "python3.11",
        "diff": base64.b64decode(os.environ.get("CLEARML_VCS_DIFF", "")).decode(),
        "entry_point": os.path.relpath(os.path.realpath(script), os.path.join(root, working_dir)),
        "repository": os.environ["CLEARML_VCS_REPO_URL"],
        "version_num": os.environ["CLEARML_VCS_COMMIT_ID"],
        "working_dir": working_dir,
    }
    if "CLEARML_VCS_BRANCH" in os.environ:
        facts["branch"] = os.environ["CLEARML_VCS_BRANCH"]
    assert "GIT_CLEARML_RUN" in os.environ["CLEARML_LOG_ENVIRONMENT"].split(",")
    marker = {"description": "", "name": "GIT_CLEARML_RUN", "section": "Environment", "type": "str"}
    marker["value"] = os.environ["GIT_CLEARML_RUN"]
    task = {
        "id": here.name,
        "name": name,
        "project_name": "Vision/Detector",
        "hyperparams": {"Environment": {"GIT_CLEARML_RUN": marker}},
        "script": facts,
        "type": "training",
    }
    event = {"type": "training_stats_scalar", "metric": "validation", "variant": "accuracy", "iter": 1, "value": 0.75}
    (here / "metrics.jsonl").write_text(json.dumps([event]) + chr(10))
    (here / "task.json").write_text(json.dumps(task))
    return here


if __name__ == "__main__":
    train()
"""

# Tells every signal it gets; ends at the line "end" on its standard input.
SIGNALS = """
import os, signal, sys

def tell(number, _):
    os.write(1, f"got {signal.Signals(number).name}\\n".encode())

for one in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGQUIT, signal.SIGUSR1, signal.SIGUSR2):
    signal.signal(one, tell)
os.write(1, b"ready\\n")
while sys.stdin.readline().strip() != "end":
    pass
sys.exit(7)
"""
