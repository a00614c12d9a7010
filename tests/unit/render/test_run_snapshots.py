"""All outcomes of `check-runnable` and of `run`, one file each, to be read through. UPDATE_SNAPSHOTS=1 writes them."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, cast

import pytest

from git_clearml.agent import failure, interrupt, queue_end, task_log
from git_clearml.agent.check import ended_check
from git_clearml.agent.launch import argument, check_launch
from git_clearml.agent.model import Check, CheckOutcome, Limits
from git_clearml.agent.queue_command import entry
from git_clearml.agent.queue_end import QueueEnd
from git_clearml.agent.watch import Ending, Watch, check_end, run_end
from git_clearml.clearml.model import Result, TaskState
from git_clearml.errors import Error
from git_clearml.git.repository import Repository
from git_clearml.model import Commit, Metric
from git_clearml.render import check as check_view
from git_clearml.render import queue_run
from git_clearml.report.result import of_result
from git_clearml.settings.policy import Policy, Runnable
from tests.support.program import inside

SNAPSHOTS = Path(__file__).parent / "snapshots"
LOGS = Path(__file__).parents[1] / "agent" / "agent_logs"
COMMIT, QUEUE, URL = "1a2b3c4d5e6f" + "0" * 28, "q" * 32, "https://app.example.com/projects/*/experiments/t1/output/log"
CHECK = Check(CheckOutcome.UNDECIDED, 3, COMMIT, "4" * 40, task="t1", url=URL, queue="gpu", worker="gpu-7")
LIMITS = Limits(1800.0, 600.0)
FAILURES = "auth bad_diff chained cuda exit2 killed module no_commit no_entry no_workdir req_bad segv".split()


def snapshot(name: str, blocks: Sequence[tuple[str, str]]) -> None:
    """Compares these titles and texts with the file of that name."""
    text = "\n".join(f"# {title}\n{body.rstrip()}\n" for title, body in blocks)
    file = SNAPSHOTS / name
    if os.environ.get("UPDATE_SNAPSHOTS"):
        file.write_text(text, encoding="utf-8")
    assert text == file.read_text(encoding="utf-8")


def refusal(do: Callable[[], Any]) -> str:
    with pytest.raises(Error) as caught:
        do()
    error = caught.value
    return (
        f"git clearml: {error.message}\n" + (f"hint: {error.hint}\n" if error.hint else "") + f"status {error.status}"
    )


# --- check-runnable ---------------------------------------------------------------------------------------------------


def watched(status: str = "in_progress", *, queued: float = 12.0, running: float = 34.0, **changes: Any) -> Watch:
    gone = changes.pop("unavailable_since", None)
    state = TaskState(status, **{"queue": QUEUE, "worker": "gpu-7", **changes})
    return Watch(1000.0, state, queued, running, gone)


WATCHED = {
    "it reported something": watched(alive=True),
    "it completed": watched("completed"),
    "it failed": watched("failed"),
    "nobody started it": watched("queued", queued=1800.0, running=0.0),
    "it reported nothing": watched(running=600.0),
    "it was aborted": watched("stopped"),
    "it was closed": watched("closed"),
    "it was published": watched("published"),
    "it was reset": watched("created"),
    "it was deleted": watched(""),
    "it was moved": watched("queued", queue="e" * 32, queue_name="elsewhere"),
    "an unknown status": watched("odd", queued=1800.0, running=600.0),
    "the server is unavailable": watched(unavailable_since=700.0),
}


def finished(watch: Watch) -> Check:
    end = check_end(watch, LIMITS, QUEUE)
    assert end is not None
    check = replace(CHECK, seconds_queued=watch.queued, seconds_running=watch.running)
    return ended_check(check, end)


def failed_with(lines: Sequence[str]) -> Check:
    check = finished(watched("failed"))
    cause = task_log.classify(lines)
    sentence = f"{check.sentence}: {cause.sentence}" if cause.sentence else check.sentence
    return failure.with_hint(replace(check, cause=cause.code, sentence=sentence, log_tail=task_log.tail(lines, 3)))


def checks() -> Iterator[tuple[str, Check]]:
    for title, watch in WATCHED.items():
        check = finished(watch)
        yield title, check if check.status == 0 else failure.with_hint(check)
    for name in FAILURES:
        yield f"it failed: {name}", failed_with((LOGS / f"{name}.txt").read_text(encoding="utf-8").splitlines())
    passed = ended_check(CHECK, Ending(CheckOutcome.RUNNABLE, "a check of the same files has passed before"))
    yield "it passed before", replace(passed, earlier=True)
    yield "interrupted", interrupt.interrupted(replace(CHECK, seconds_queued=3.0), 130)
    yield "interrupted after its end", interrupt.interrupted(finished(watched("failed")), 143)


def test_check_runnable() -> None:
    blocks = [(f"{title} (status {check.status})", str(check_view.text(check))) for title, check in checks()]
    nowhere, commit = cast(Repository, None), Commit(COMMIT, "4" * 40)
    for words in ({"execution_timeout": 0.0}, {"queue_timeout": -1.0}, {"task_name": "ab"}):
        rules = Runnable(**words)  # type: ignore[arg-type]
        title = ", ".join(f"{key} = {value!r}" for key, value in words.items())
        blocks.append((title, refusal(lambda rules=rules: check_launch(nowhere, commit, rules, ["torch"]))))  # type: ignore[misc]
    blocks.append(("--args epochs", refusal(lambda: argument("epochs"))))
    snapshot("check-runnable.txt", blocks)


# --- run --------------------------------------------------------------------------------------------------------------

ACCURACY = Metric("validation", "accuracy", 0.9, 0.1, 0.9)
RESULT = Result("t1", "train", "Vision", "completed", URL, COMMIT, metrics=(ACCURACY,))
FAILED = replace(RESULT, status="failed", metrics=())
STATUSES = ("completed", "failed", "stopped", "closed", "published", "created", "")
PYTEST = ["tests/test_x.py ..F", "=========== 1 failed, 2 passed in 0.12s ==========="]
ALONE = (
    "--wait",
    "--follow",
    "--abort-on-interrupt",
    "--wait-timeout 5",
    "--project x",
    "--docker x",
    "--repository x",
)
FLAGS = (
    *(("run", *flag.split(), "--", "true") for flag in ALONE),
    ("run",),
    ("run", "--push-record", "--", "true"),
    ("run", "--add", "x", "--", "true"),
    ("run", "--queue", "", "--", "true"),
    ("run", "--queue", "gpu"),
    ("run", "--queue", "gpu", "--record", "notes", "--", "python", "train.py"),
    ("run", "--from", "t1", "--", "python", "train.py"),
    ("run", "--attach", "t1", "--queue", "gpu"),
    ("run", "--attach", "t 1"),
)
COMMANDS = ("make train", "python", "python -u train.py", "python -m", "python -m not-a-module")


def ends() -> Iterator[tuple[str, QueueEnd]]:
    for status in STATUSES:
        end = run_end(watched(status), 3600.0)
        assert end is not None
        yield f"the task is {status or 'deleted'}", QueueEnd(end, replace(RESULT, status=status))
    late = run_end(watched(queued=3000.0, running=600.0), 3600.0)
    gone = run_end(watched(unavailable_since=100.0), 3600.0)
    failed = run_end(watched("failed"), 3600.0)
    assert late
    assert gone
    assert failed
    yield "the time is up", QueueEnd(late, replace(RESULT, status="in_progress"))
    yield "the server is unavailable", QueueEnd(gone, Result("t1"))
    yield "tests failed", QueueEnd(failed, FAILED, queue_end.test_summary(PYTEST))
    yield "it failed", QueueEnd(failed, FAILED, tail=("Traceback", "KeyError: 1"))


def test_run(tmp_path: Path) -> None:
    blocks = []
    for title, ended in ends():
        text = queue_run.text(ended, of_result(ended.result, Policy()))
        blocks.append((f"{title} (status {ended.end.status}, outcome {ended.outcome})", str(text)))
    for title, watch in {
        "queued": watched("queued"),
        "in progress": watched(iteration=7, metrics=RESULT.metrics),
        "unavailable": watched(unavailable_since=990.0),
    }.items():
        blocks.append((f"the live line: {title}", ", ".join(queue_run.progress(watch, ""))))
    blocks += [(command, refusal(lambda command=command: entry(command.split()))) for command in COMMANDS]  # type: ignore[misc]
    for words in FLAGS:
        done = inside(*words, cwd=tmp_path)
        assert done.out == ""
        blocks.append((" ".join(word or '""' for word in words), f"{done.err}status {done.status}"))
    snapshot("run.txt", blocks)
