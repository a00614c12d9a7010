"""The remote-runnable check for people: on a terminal, and in a comment. Pure."""

from __future__ import annotations

from git_clearml.agent.model import Check, CheckOutcome
from git_clearml.base.colours import GREEN, RED, YELLOW, painted
from git_clearml.base.markdown import code, escape, link
from git_clearml.base.sanitize import Safe, sanitize

_COLOURS = {CheckOutcome.RUNNABLE: GREEN, CheckOutcome.FAILED: RED, CheckOutcome.TIMEOUT: RED}
_MARKS = {CheckOutcome.RUNNABLE: "✅", CheckOutcome.FAILED: "❌", CheckOutcome.TIMEOUT: "❌"}
_MOST_LOG = 8000  # characters in a comment


def text(check: Check, *, colour: bool = False) -> Safe:
    """What came out and why, the end of the log where it failed, the next thing to do."""
    word = painted(check.outcome.value, _COLOURS.get(check.outcome, YELLOW), colour)
    reason = "" if check.sentence in ("", check.outcome.value) else f": {sanitize(check.sentence, 400)}"
    lines = [f"{word} {check.commit[:12]}{reason}"]
    if check.task and not check.earlier:
        lines.append(f"  {_times(check)}")
    if check.url:
        lines.append(f"  {sanitize(check.url, 300)}")
    lines += [f"  note: {sanitize(note, 300)}" for note in check.notes]
    if check.log_tail:
        lines += ["  the end of its log:", *(f"  | {sanitize(line, 300)}" for line in check.log_tail)]
    if check.hint and not check.problems:
        lines.append(f"next: {sanitize(check.hint, 500)}")
    return Safe("".join(line + "\n" for line in lines))


def markdown_of(check: Check, limit: int = 60_000) -> Safe:
    """The same for a comment, in at most so many characters."""
    mark = _MARKS.get(check.outcome, "❔")
    title = f"**{mark} Runs on an agent**" if check.outcome is CheckOutcome.RUNNABLE else f"**{mark} Remote check**"
    page = link("its task", check.url) if check.url else ""
    facts = [escape(check.outcome.value), escape(check.sentence, 400), page]
    lines = [title + ": " + ", ".join(fact for fact in facts if fact)]
    if check.task and not check.earlier:
        lines.append(f"- {escape(_times(check))}")
    lines += [f"- {escape(note, 300)}" for note in (*check.notes, *check.left)]
    if check.hint and not check.problems:
        lines.append(f"- Next: {code(check.hint)}")
    body = "\n".join(lines) + "\n"
    return Safe(body + _log(check, min(_MOST_LOG, limit - len(body))))


def _times(check: Check) -> str:
    worker = f" on {sanitize(check.worker, 60)}" if check.worker else ""
    return f"{check.seconds_queued:.0f} s in the queue {check.queue!r}, {check.seconds_running:.0f} s running{worker}"


def _log(check: Check, limit: int) -> str:
    """The end of the log, folded away; its last lines where not all fit."""
    shown: list[str] = []
    room = limit - 120
    for line in reversed(check.log_tail):
        line = "    " + sanitize(line, 300)
        room -= len(line) + 1
        if room < 0:
            break
        shown.insert(0, line)
    if not shown:
        return ""
    return "\n<details><summary>The end of its log</summary>\n\n" + "\n".join(shown) + "\n\n</details>\n"
