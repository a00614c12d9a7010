"""What the hooks read and print, the pre-push hook and those of a git server."""

from __future__ import annotations

import os
import select
import sys
import time

from git_clearml.base.console import Console
from git_clearml.errors import TimedOut
from git_clearml.report.model import VerifyReport
from git_clearml.verdict.model import ONLY_HERE, Outcome

AROUND = "to push anyway: GIT_CLEARML_SKIP=1 git push ..."
_WIDTH = 80


def read_stdin(seconds: float) -> str:
    """All of stdin, "" at a terminal. Raises TimedOut where it is not at its end by then: git closes it at once."""
    if sys.stdin is None or sys.stdin.isatty():
        return ""
    try:
        descriptor = sys.stdin.fileno()
    except (OSError, ValueError):  # no file of the system's
        return sys.stdin.buffer.read().decode("utf-8", "surrogateescape")
    blocks, end = list[bytes](), time.monotonic() + seconds
    while True:
        ready, _, _ = select.select([descriptor], [], [], max(0.0, end - time.monotonic()))
        if not ready:
            raise TimedOut(f"stdin was still open after {seconds:g} s", "git clearml verify")
        block = os.read(descriptor, 65_536)
        if not block:
            return b"".join(blocks).decode("utf-8", "surrogateescape")
        blocks.append(block)


def show(report: VerifyReport, console: Console, around: str = AROUND) -> None:
    """One short line for a push that may go; for one that may not: which ref, why, what to do, the way around."""
    console.fail(*report.problems)
    if report.outcome is Outcome.VERIFIED:
        if report.verdicts:
            console.say(f"git clearml: {_verified(report)}")
        notes = (note for verdict in report.verdicts for note in verdict.notes if note.startswith(ONLY_HERE))
        for note in dict.fromkeys(notes):
            console.say(f"git clearml: {note}")
        return

    from git_clearml.render import text

    console.product(text.verify(report._replace(hint="") if report.problems else report, colour=console.colour))
    if report.status:
        console.announce(around)


def _verified(report: VerifyReport) -> str:
    from git_clearml.base.sanitize import sanitize

    first = report.verdicts[0]
    if len(report.verdicts) > 1:
        return f"verified {len(report.verdicts)} commits"
    more = f" and {len(first.refs) - 1} more" if len(first.refs) > 1 else ""
    line = f"verified {first.commit[:12]} ({sanitize(first.refs[0].removeprefix('refs/heads/'), 30)}{more})"
    if (tasks := len({part.task.id for part in first.parts if part.task})) > 1:
        return f"{line} by {tasks} tasks"
    room = _WIDTH - len("git clearml: ") - len(line) - len(' by task ""')
    if first.task is None or not first.task.name or room < 8:
        return line
    return f'{line} by task "{sanitize(first.task.name, room)}"'
