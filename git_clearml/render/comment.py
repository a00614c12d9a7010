"""The comment on a pull request: the verdict first, what it is worth below, earlier commits folded away. Pure.

A comment is found again by its first line, the marker, which no text of a server can forge: `<` never comes through
`markdown.escape`. The second line carries the commits judged so far, newest first, for the history of the next one.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

from git_clearml import __version__
from git_clearml.base.ids import is_hash
from git_clearml.base.markdown import code, escape, link
from git_clearml.base.sanitize import Safe
from git_clearml.model import Task
from git_clearml.render import comment_history as history
from git_clearml.render import headline, markdown
from git_clearml.render.comment_history import HistoryRow
from git_clearml.render.flavour import GITHUB, Flavour
from git_clearml.render.markdown import MARKS
from git_clearml.render.table import TableForm, draw, fitting
from git_clearml.render.text import MOST_NEAR_MISSES
from git_clearml.report.model import VerifyReport
from git_clearml.settings.policy import Equivalence
from git_clearml.verdict.model import Finding, Outcome, Reason, Verdict

LIMIT = GITHUB.limit
SUMMARY_LIMIT = 250_000  # characters: no more than 1 MB, whatever they are
_MOST_VERDICTS = 20
_MOST_NOTES = 20
_LABEL = re.compile(r"[A-Za-z0-9](?:[A-Za-z0-9 ._/]|-(?!-)){0,62}", re.ASCII)
_AGO = re.compile(r"(?:just now|(?<!\d)\d{1,9} (?:minute|hour|day)s? ago)$")
_LAST = 40  # characters of a message, among which that is

Section = Callable[[int], str]
"""A part of a page: given the most characters that it may have, its Markdown, or "" for nothing to show."""


@dataclass(frozen=True)
class Page:
    """What a comment or a summary shows. `repository_url` is where its commits can be looked at, "" if nowhere.

    `apart` marks one of several comments that stand side by side (--mode new): it is never updated. `flavour` is the
    Markdown of the forge that it goes to.
    """

    report: VerifyReport
    label: str = "verify"
    sections: tuple[Section, ...] = ()
    repository_url: str = ""
    apart: bool = False
    flavour: Flavour = GITHUB


def is_label(text: str) -> bool:
    """Can this tell comments apart? It stands in an HTML comment, which two hyphens would end."""
    return bool(_LABEL.fullmatch(text)) and not text.endswith(("-", " "))


def marker(label: str, *, apart: bool = False, flavour: Flavour = GITHUB) -> str:
    """The first line of every comment with this label."""
    return flavour.hidden("git-clearml apart" if apart else "git-clearml", label)


def is_marked(body: str, label: str, *, apart: bool = False, flavour: Flavour = GITHUB) -> bool:
    """Does the comment begin with our marker?"""
    first = marker(label, apart=apart, flavour=flavour)
    return body.startswith((first + "\n", first + "\r\n"))


def same(body: str, other: str) -> bool:
    """Do two bodies say the same? GitHub may change line ends and what stands at the very end."""
    return body.replace("\r\n", "\n").strip() == other.replace("\r\n", "\n").strip()


def comment(page: Page, old: str = "", *, limit: int = 0) -> Safe:
    """The comment's body, never over the limit (0 is the flavour's; at least 16,384); `old` is the body before."""
    flavour, limit = page.flavour, limit or page.flavour.limit
    current = history.current(page.report)
    rows = history.rows_of(old, flavour)
    earlier = [row for row in rows if current is None or row.commit != current.commit][: history.MOST_ROWS]
    kept = [] if page.apart else [*([current] if current else []), *earlier]
    head = [marker(page.label, apart=page.apart, flavour=flavour), history.line(kept, flavour)]
    tail = [*_history(page, () if page.apart else earlier, limit // 8), _footer(page)]
    return Safe(flavour.adapted(_composed(page, "\n".join(head) + "\n", tail, limit)))


def summary(page: Page, remarks: Sequence[str] = (), *, limit: int = SUMMARY_LIMIT) -> Safe:
    """The same for a job summary, which carries no history, with remarks about where else it went."""
    return _composed(page, "", [*(f"*{escape(remark, 500)}*" for remark in remarks), _footer(page)], limit)


def _composed(page: Page, head: str, tail: Sequence[str], limit: int) -> Safe:
    """Head, verdict, as much of the sections as there is room for, tail: blocks, with an empty line between."""
    blocks = [*_verdicts(page, limit // 4), *_remarks(page.report, limit // 8)]
    room = limit - len(head) - sum(len(block) + 2 for block in (*blocks, *tail))
    for section in page.sections:
        text = section(max(0, room - 2)).strip()
        if not page.flavour.draws:
            from git_clearml.render.charts import undrawn

            text = undrawn(text + "\n").strip()
        if text and len(text) + 2 > room:
            text = "*A part was left out: there is no room for it.*"
            if len(text) + 2 > room:
                break
        if text:
            blocks.append(text)
            room -= len(text) + 2
    return Safe(head + "\n\n".join([*blocks, *tail]) + "\n")


def _verdicts(page: Page, limit: int) -> list[str]:
    report = page.report
    shown = report.verdicts[:_MOST_VERDICTS]
    titles = headline.headings(report, {verdict.commit: _commit(page, verdict.commit) for verdict in shown})
    if not shown:
        return titles
    blocks = []
    for title, verdict in zip(titles, shown, strict=True):
        room = limit // len(shown)
        blocks += [title, *_because(verdict), *markdown.table_of(verdict, room // 2), *_lists(verdict, room)]
    rest = len(report.verdicts) - len(shown)
    return [*blocks, f"and {rest} more commits"] if rest else blocks


def _lists(verdict: Verdict, limit: int) -> list[str]:
    near = verdict.other_near_misses
    misses = (_near_miss(finding) for finding in near[:MOST_NEAR_MISSES])
    notes = (f"* {escape(note, 300)}" for note in verdict.notes[:_MOST_NOTES])  # another mark makes it another list
    lines = [line for each in verdict.requirements for line in markdown.requirement(each, _near_miss)]
    return [
        *_list(lines, limit // 2, len(lines)),
        *_list(misses, limit // 2, len(near)),
        *_list(notes, limit // 2, len(verdict.notes), mark="*"),
    ]


def _because(verdict: Verdict) -> list[str]:
    """What the heading has not said: in which sense the task ran the commit, or what the list below it is."""
    if verdict.requirements and not verdict.needs_check:
        return []
    if verdict.task:
        where = f" in {escape(verdict.task.project, 80)}" if verdict.task.project else ""
        more = f" ({verdict.accepted} tasks count.)" if verdict.accepted > 1 else ""
        return [f"The task{where} {_how(verdict)}.{more}"]
    if verdict.outcome is Outcome.VERIFIED:
        return ["A ClearML task ran this commit."]
    return ["Nearest:"] if verdict.other_near_misses and not verdict.fails_metrics else []


def _how(verdict: Verdict) -> str:
    other = f"`{verdict.task.commit[:12]}`" if verdict.task and is_hash(verdict.task.commit) else "another commit"
    return {
        Equivalence.TREE: f"ran {other}, a commit with exactly the same files",
        Equivalence.PATHS: f"ran {other}, a commit with the same code",
        Equivalence.MERGE: f"ran {other}, of which this commit is the clean merge",
        Equivalence.RESULTS: f"ran {other}, whose results this commit records",
    }.get(verdict.equivalence or Equivalence.COMMIT, "ran exactly this commit and completed")


def _near_miss(finding: Finding) -> str:
    reasons = "; ".join(escape(_dated(reason, finding.task), 300) for reason in finding.reasons[:5])
    return f"- {markdown.task_link(finding.task)}: {reasons}"


def _dated(reason: Reason, task: Task) -> str:
    """The reason with a point in time for "12 minutes ago": a comment is read later, and must not change by itself."""
    moment = (task.completed or task.updated)[:16].replace("T", " ")
    last = reason.message[-_LAST:]  # a message may be of any length
    return reason.message[:-_LAST] + _AGO.sub(lambda _: f"on {moment} UTC", last)


def _remarks(report: VerifyReport, limit: int) -> list[str]:
    """What else there is to say, and what to do, where that is not in the heading."""
    problems = report.problems[1:] if headline.told_in_heading(report) else report.problems
    lines = [f"- {escape(note, 300)}" for note in report.notes[:_MOST_NOTES]]
    for problem in problems[:_MOST_NOTES]:
        hint = f" Hint: {escape(problem.hint, 300)}" if problem.hint else ""
        lines.append(f"- {escape(problem.message, 500)}.{hint}")
    elsewhere = len(report.verdicts) != 1 or report.outcome in (Outcome.VERIFIED, Outcome.UNDECIDED)
    next_step = [f"Next: {code(command)}"] if elsewhere and (command := headline.to_do(report)) else []
    return [*_list(lines, limit, len(report.notes) + len(problems)), *next_step]


def _history(page: Page, earlier: Sequence[HistoryRow], limit: int) -> list[str]:
    if not earlier:
        return []
    rows = [
        [
            _commit(page, row.commit),
            f"{MARKS[row.outcome]} {row.outcome.value}",
            link(escape(row.task, 60) or "task", row.url) if row.task or row.url else "",
        ]
        for row in earlier
    ]
    table, _ = fitting(draw(["commit", "verdict", "task"], rows, TableForm.MARKDOWN), limit)
    return [f"<details><summary>Earlier commits</summary>\n\n{table}\n</details>"] if table else []


def _footer(page: Page) -> str:
    if page.report.status == headline.CALLED_WRONGLY:
        return f"<sub>git-clearml {escape(__version__)}</sub>"
    origin = page.report.policy_from
    policy = {"flags": "judged by flags", "defaults": "judged by the default policy"}.get(
        origin, f"policy of {_commit(page, origin)}"
    )
    return f"<sub>git-clearml {escape(__version__)}, {policy}</sub>"


def _commit(page: Page, name: str) -> str:
    if not is_hash(name):
        return escape(name, 60)
    return (
        link(f"`{name[:12]}`", f"{page.repository_url}/{page.flavour.commits}/{name}")
        if page.repository_url
        else f"`{name[:12]}`"
    )


def _list(lines: Iterable[str], limit: int, count: int, mark: str = "-") -> list[str]:
    """The first of `count` lines as one block of at most so many characters; the last one says how many are left out.

    No more lines are made than are shown.
    """
    shown: list[str] = []
    room = limit - 30
    for line in lines:
        room -= len(line) + 1
        if room < 0:
            break
        shown.append(line)
    if count > len(shown):
        shown.append(f"{mark} and {count - len(shown)} more")
    return ["\n".join(shown)] if shown else []
