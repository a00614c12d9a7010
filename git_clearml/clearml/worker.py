"""The worker's name by which all tasks of a run are known. Pure.

The SDK logs variables on the first task of a process only (binding/environ_bind.py), but the worker's name
(CLEARML_WORKER_NAME, config/defs.py) stands in the console events of every task that it makes, on a server and in
offline sessions. Measured with clearml 1.9.3, 1.16.5 and 2.1.12.
"""

from __future__ import annotations

from git_clearml.base.ids import is_uuid

VARIABLES = ("CLEARML_WORKER_NAME", "TRAINS_WORKER_NAME")
_SIGN = ":git-clearml-run-"


def name(usual: str, run: str) -> str:
    """The worker's usual name with the run's id behind it."""
    return f"{usual}{_SIGN}{run}"


def run_of(worker: str) -> str:
    """The run that a worker's name tells, "" for none."""
    _, sign, run = worker.rpartition(_SIGN)
    return run if sign and is_uuid(run) else ""


def run_in(events: bytes) -> str:
    """The run that a log.jsonl, or its beginning, tells; "" for none.

    No text that was printed looks like this: a quote inside of a JSON string has a backslash before it.
    """
    for part in events.replace(b'"worker":"', b'"worker": "').split(b'"worker": "')[1:]:
        if run := run_of(part.partition(b'"')[0].decode("utf-8", "replace")):
            return run
    return ""
