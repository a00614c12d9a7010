"""The comment on a pull request: the verdict first, what it is worth below, earlier commits folded away. Pure.

A comment is found again by its first line, the marker, which no text of a server can forge: `<` never comes through
`markdown.escape`. The second line carries the commits judged so far, newest first, for the history of the next one.
"""

from __future__ import annotations

import base64
import binascii
import json
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from git_clearml import __version__
from git_clearml.model import Equivalence, Finding, Outcome, Reason, Task, Verdict, VerifyReport
from git_clearml.render import markdown
from git_clearml.render.harmless import harmless
from git_clearml.render.markdown import MARKS, escape
from git_clearml.render.text import MOST_NEAR_MISSES

LIMIT = 65_536  # characters of a comment on GitHub
SUMMARY_LIMIT = 250_000  # characters: no more than 1 MB, whatever they are
MOST_ENTRIES = 10
_MOST_VERDICTS = 20
_MOST_NOTES = 20
_LABEL = re.compile(r"[A-Za-z0-9](?:[A-Za-z0-9 ._/]|-(?!-)){0,62}", re.ASCII)
_HISTORY = re.compile(r"<!-- git-clearml history: ([A-Za-z0-9+/=]{0,40000}) -->\n")
_COMMIT = re.compile(r"[0-9a-f]{40}|[0-9a-f]{64}")
_AGO = re.compile(r"(?:just now|\d+ (?:minute|hour|day)s? ago)$")

Section = Callable[[int], str]
"""A part of a page: given the most characters that it may have, its Markdown, or "" for nothing to show."""


@dataclass(frozen=True)
class Entry:
    """A commit that the comment has told about, with the task that its verdict was about ("" for none)."""

    commit: str
    outcome: Outcome
    task: str = ""
    url: str = ""


@dataclass(frozen=True)
class Page:
    """What a comment or a summary shows. `repository_url` is where its commits can be looked at, "" if nowhere.

    `apart` marks one of several comments that stand side by side (--mode new): it is never updated.
    """

    report: VerifyReport
    label: str = "verify"
    sections: tuple[Section, ...] = ()
    repository_url: str = ""
    apart: bool = False


def is_label(text: str) -> bool:
    """Can this tell comments apart? It stands in an HTML comment, which two hyphens would end."""
    return bool(_LABEL.fullmatch(text)) and not text.endswith(("-", " "))


def marker(label: str, *, apart: bool = False) -> str:
    """The first line of every comment with this label."""
    return f"<!-- git-clearml{' apart' if apart else ''}: {label} -->"


def is_marked(body: str, label: str, *, apart: bool = False) -> bool:
    """Does the comment begin with our marker?"""
    return body.startswith((marker(label, apart=apart) + "\n", marker(label, apart=apart) + "\r\n"))


def same(one: str, other: str) -> bool:
    """Do two bodies say the same? GitHub may change line ends and what stands at the very end."""
    return one.replace("\r\n", "\n").strip() == other.replace("\r\n", "\n").strip()


def entries(body: str) -> tuple[Entry, ...]:
    """The commits that a comment of ours has told about, newest first; what is damaged is left out."""
    found = _HISTORY.match(body.replace("\r\n", "\n").partition("\n")[2])
    if not found:
        return ()
    try:
        rows = json.loads(base64.b64decode(found[1], validate=True))
    except (ValueError, binascii.Error, RecursionError):
        return ()
    read = [_entry(row) for row in rows] if isinstance(rows, list) else []
    unique = {entry.commit: entry for entry in reversed(read) if entry}
    return tuple(reversed(unique.values()))[: MOST_ENTRIES + 1]


def comment(page: Page, old: str = "", *, limit: int = LIMIT) -> str:
    """The comment's body, never over the limit (of at least 16,384); `old` is the body that it replaces."""
    current = _current(page.report)
    earlier = [entry for entry in entries(old) if current is None or entry.commit != current.commit][:MOST_ENTRIES]
    kept = [] if page.apart else [*([current] if current else []), *earlier]
    head = [marker(page.label, apart=page.apart), f"<!-- git-clearml history: {_packed(kept)} -->"]
    tail = [*_history(page, () if page.apart else earlier, limit // 8), _footer(page)]
    return _composed(page, "\n".join(head) + "\n", tail, limit)


def summary(page: Page, remarks: Sequence[str] = (), *, limit: int = SUMMARY_LIMIT) -> str:
    """The same for a job summary, which carries no history, with remarks about where else it went."""
    return _composed(page, "", [*(f"*{escape(remark, 500)}*" for remark in remarks), _footer(page)], limit)


def headline(report: VerifyReport) -> str:
    """The verdict in a line, for a status or an annotation. Text of a server may stand in it: untrusted."""
    if report.outcome is Outcome.VERIFIED and report.status == 0:
        task = next((one.task for one in report.verdicts if one.task), None)
        return f"verified by the task {task.name!r}" if task and task.name else "verified"
    if report.problems:
        return f"{report.outcome.value}: {report.problems[0].message}"
    return {
        Outcome.REJECTED: "rejected: not proved to run on a ClearML agent"
        if any(one.unproved for one in report.verdicts)
        else "rejected: no clean, completed ClearML task has run this commit",
        Outcome.PENDING: "pending: the right ClearML task has not ended yet",
        Outcome.VERIFIED: "verified, but a check after it failed",
    }.get(report.outcome, "undecided")


def _composed(page: Page, head: str, tail: Sequence[str], limit: int) -> str:
    """Head, verdict, as much of the sections as there is room for, tail: blocks, with an empty line between."""
    blocks = [*_verdicts(page, limit // 4), *_remarks(page.report, limit // 8)]
    room = limit - len(head) - sum(len(block) + 2 for block in (*blocks, *tail))
    for section in page.sections:
        text = section(max(0, room - 2)).strip()
        if text and len(text) + 2 > room:
            text = "*A part was left out: there is no room for it.*"
            if len(text) + 2 > room:
                break
        if text:
            blocks.append(text)
            room -= len(text) + 2
    return head + "\n\n".join([*blocks, *tail]) + "\n"


def _verdicts(page: Page, limit: int) -> list[str]:
    verdicts = page.report.verdicts
    if not verdicts:
        return [f"### {MARKS[page.report.outcome]} {page.report.outcome.value.capitalize()}"]
    shown = verdicts[:_MOST_VERDICTS]
    blocks = [block for verdict in shown for block in _verdict(page, verdict, limit // len(shown))]
    rest = len(verdicts) - len(shown)
    return [*blocks, f"and {rest} more commits"] if rest else blocks


def _verdict(page: Page, verdict: Verdict, limit: int) -> list[str]:
    heading = f"### {MARKS[verdict.outcome]} {verdict.outcome.value.capitalize()}: {_commit(page, verdict.commit)}"
    misses = [_near_miss(finding) for finding in verdict.near_misses[:MOST_NEAR_MISSES]]
    notes = [f"- {escape(note, 300)}" for note in verdict.notes[:_MOST_NOTES]]
    left_out = len(verdict.near_misses) + len(verdict.notes) - len(misses) - len(notes)
    return [heading, _because(verdict), *_list([*misses, *notes], limit, left_out)]


def _because(verdict: Verdict) -> str:
    """One sentence for why; the near misses follow it as a list."""
    if verdict.task:
        more = f" ({verdict.accepted} tasks count.)" if verdict.accepted > 1 else ""
        return f"{markdown.task_link(verdict.task)} {_how(verdict)}.{more}"
    nearest = " Nearest:" if verdict.near_misses else ""
    if verdict.outcome is Outcome.PENDING:
        return f"The right task has not ended yet.{nearest}"
    if verdict.outcome is Outcome.UNDECIDED:
        return f"It could not be decided whether a ClearML task ran this commit.{nearest}"
    if verdict.outcome is Outcome.VERIFIED:
        return "A ClearML task ran this commit."
    if verdict.unproved:
        return "It has not been proved to run on a ClearML agent."
    clean = "clean, completed " if verdict.near_misses else ""
    return f"No {clean}ClearML task has run this commit.{nearest}"


def _how(verdict: Verdict) -> str:
    other = (
        f"`{verdict.task.commit[:12]}`" if verdict.task and _COMMIT.fullmatch(verdict.task.commit) else "another commit"
    )
    return {
        Equivalence.TREE: f"ran {other}, a commit with exactly the same files",
        Equivalence.PATHS: f"ran {other}, a commit with the same code",
        Equivalence.RESULTS: f"ran {other}, whose results this commit records",
    }.get(verdict.equivalence or Equivalence.COMMIT, "ran exactly this commit and completed")


def _near_miss(finding: Finding) -> str:
    reasons = "; ".join(escape(_dated(reason, finding.task), 300) for reason in finding.reasons[:5])
    return f"- {markdown.task_link(finding.task)}: {reasons}"


def _dated(reason: Reason, task: Task) -> str:
    """The reason with a point in time for "12 minutes ago": a comment is read later, and must not change by itself."""
    moment = (task.completed or task.updated)[:16].replace("T", " ")
    return _AGO.sub(lambda _: f"on {moment} UTC", reason.message)


def _remarks(report: VerifyReport, limit: int) -> list[str]:
    """What else there is to say, and what to do."""
    lines = [f"- {escape(note, 300)}" for note in report.notes[:_MOST_NOTES]]
    for problem in report.problems[:_MOST_NOTES]:
        hint = f" Hint: {escape(problem.hint, 300)}" if problem.hint else ""
        lines.append(f"- {escape(problem.message, 500)}.{hint}")
    next_step = [f"Next: {markdown.code(report.hint)}"] if report.hint and not report.problems else []
    left_out = len(report.notes) + len(report.problems) - len(lines)
    return [*_list(lines, limit, left_out), *next_step]


def _history(page: Page, earlier: Sequence[Entry], limit: int) -> list[str]:
    if not earlier:
        return []
    rows = ["| commit | verdict | task |", "|---|---|---|"]
    size = sum(map(len, rows))
    for entry in earlier:
        name = markdown.link(escape(entry.task, 60) or "task", entry.url) if entry.task or entry.url else ""
        rows.append(f"| {_commit(page, entry.commit)} | {MARKS[entry.outcome]} {entry.outcome.value} | {name} |")
        size += len(rows[-1]) + 1
        if size > limit:
            rows.pop()
            break
    return ["<details><summary>Earlier commits</summary>\n\n" + "\n".join(rows) + "\n\n</details>"]


def _footer(page: Page) -> str:
    origin = page.report.policy_from
    policy = {"flags": "judged by flags", "defaults": "judged by the default policy"}.get(
        origin, f"policy of {_commit(page, origin)}"
    )
    return f"<sub>git-clearml {escape(__version__)}, {policy}</sub>"


def _commit(page: Page, name: str) -> str:
    if not _COMMIT.fullmatch(name):
        return escape(name, 60)
    return (
        markdown.link(f"`{name[:12]}`", f"{page.repository_url}/commit/{name}")
        if page.repository_url
        else f"`{name[:12]}`"
    )


def _list(lines: Sequence[str], limit: int, left_out: int) -> list[str]:
    """The lines as one block of at most so many characters; the last one says how many are left out, here or before."""
    shown: list[str] = []
    room = limit - 30
    for line in lines:
        room -= len(line) + 1
        if room < 0:
            break
        shown.append(line)
    left_out += len(lines) - len(shown)
    if left_out:
        shown.append(f"- and {left_out} more")
    return ["\n".join(shown)] if shown else []


def _current(report: VerifyReport) -> Entry | None:
    """What the history will say of this report: its first commit."""
    verdict = next((one for one in report.verdicts if _COMMIT.fullmatch(one.commit)), None)
    if verdict is None:
        return None
    task = verdict.task
    return Entry(verdict.commit, verdict.outcome, task.name if task else "", task.url if task else "")


def _packed(kept: Sequence[Entry]) -> str:
    rows = [
        [one.commit, one.outcome.value, harmless(one.task, 60), one.url if len(one.url) <= 300 else ""] for one in kept
    ]
    return base64.b64encode(json.dumps(rows, separators=(",", ":")).encode()).decode()


def _entry(row: object) -> Entry | None:
    """One row of the history, None when it is not one of ours."""
    if not isinstance(row, list) or len(row) != 4 or not all(isinstance(cell, str) for cell in row):
        return None
    commit, outcome, task, url = row
    if not _COMMIT.fullmatch(commit) or outcome not in {one.value for one in Outcome}:
        return None
    return Entry(commit, Outcome(outcome), harmless(task, 60), url if len(url) <= 300 else "")
