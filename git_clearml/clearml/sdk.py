"""ClearML's own SDK, at the one thing for which it is used: to import an offline session (Task.import_offline_session).

It retries for hours on a server that is away, and for ever on a certificate that it does not trust. So it runs in a
process of its own, that has a deadline, ends with the one that started it, and knows the server that we have found.
"""

from __future__ import annotations

import json
import os
import sys
import threading
from collections.abc import Mapping
from typing import Any

from git_clearml.base import process
from git_clearml.base.ids import is_clearml_id
from git_clearml.clearml.config import Server
from git_clearml.errors import PublishFailed, TimedOut
from git_clearml.settings.table import MARKER

_START = """\
import json, sys
sys.path[:] = json.loads(sys.argv.pop(1))
from git_clearml.clearml import sdk
sdk.import_here()
"""
_OF_A_RUN = ("CLEARML_VCS_", "TRAINS_VCS_")
_OF_A_TASK = tuple(
    f"{product}_{name}"
    for product in ("CLEARML", "TRAINS")
    for name in ("OFFLINE_MODE", "TASK_ID", "PROC_MASTER_ID", "LOG_ENVIRONMENT", "WORKER_NAME")
)
_SHOWN = 200  # characters of what the SDK says


def import_session(
    server: Server, folder: str, *, completed: bool, seconds: float, environment: Mapping[str, str], lock: int
) -> str:
    """Has the SDK make a task of the offline session in this folder; its id. The SDK's process holds the lock, too.

    The task ends as completed, or as failed: never as anything else than what is asked for. Raises TimedOut after so
    many seconds, and PublishFailed.
    """
    end = "completed" if completed else "failed"
    command = [sys.executable, "-c", _START, json.dumps(sys.path), folder, end]
    try:
        ended = process.run_bounded(
            command, _environment(server, environment), os.path.dirname(folder), seconds, shared=(lock,)
        )
    except OSError as error:
        raise PublishFailed(f"ClearML's SDK could not be started: {error.strerror or error}") from None
    if ended.status is None:
        raise TimedOut(f"ClearML's SDK did not get it to the server within {seconds:g} seconds")
    identity = ended.out.decode("utf-8", "replace").strip()
    if ended.status or not is_clearml_id(identity):
        raise PublishFailed(f"ClearML's SDK could not import it: {server.secrets.redact(_why(ended.err))}")
    return identity


def _why(output: bytes) -> str:
    """The last line of what the SDK said: of a traceback, the exception."""
    lines = [line.strip() for line in output.decode("utf-8", "replace").split("\n")]
    return next((line for line in reversed(lines) if line), "it did not say why")[:_SHOWN]


def _environment(server: Server, environment: Mapping[str, str]) -> dict[str, str]:
    """The SDK's environment: the user's, the server as we read it, and nothing of the task that we may be a part of."""
    left_out = (*_OF_A_TASK, MARKER)
    kept = {
        name: value
        for name, value in environment.items()
        if name not in left_out and not name.startswith(_OF_A_RUN) and not name.startswith("TRAINS_API_")
    }
    kept |= {"CLEARML_API_HOST": server.api, "CLEARML_WEB_HOST": server.web, "CLEARML_SUPPRESS_UPDATE_MESSAGE": "1"}
    if server.token:
        kept["CLEARML_AUTH_TOKEN"] = server.token
    else:
        kept |= {"CLEARML_API_ACCESS_KEY": server.access_key, "CLEARML_API_SECRET_KEY": server.secret_key}
    if server.verify is not True:
        kept["CLEARML_API_HOST_VERIFY_CERT"] = str(server.verify).lower() if not server.verify else str(server.verify)
    return kept


def import_here() -> None:
    """What the SDK's process does: imports the session of its first argument, and prints the id of the task.

    The SDK ends every import with `mark_completed` (clearml 1.9.3 to 2.1.12, task.py), whatever the run came to: in
    here that is `mark_failed` where the second argument says so, so that a failed run looks completed at no moment.
    """
    folder, end = sys.argv[1:3]
    threading.Thread(target=_end_with_whoever_asked, daemon=True).start()
    answer, sys.stdout = sys.stdout, sys.stderr  # the SDK prints, and logs on stdout
    import clearml

    task: Any = clearml.Task
    if end != "completed":
        task.mark_completed = task.mark_failed
    answer.write(f"{task.import_offline_session(folder)}\n")
    answer.flush()
    os._exit(0)  # it has waited for its uploads; what the SDK does at the end of a process is for the task of that one


def _end_with_whoever_asked() -> None:
    """Waits for the end of stdin, whose other end the process that has started us holds."""
    os.read(0, 1)
    os._exit(1)
