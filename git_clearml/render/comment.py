"""The comment on a pull request: the verdict first, what it is worth below, earlier commits folded away. Pure.

A comment is found again by its first line, the marker, which no text of a server can forge: `<` never comes through
`markdown.escape`. The second line carries the commits judged so far, newest first, for the history of the next one.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from git_clearml import __version__
from git_clearml.base.ids import is_hash
from git_clearml.base.markdown import code, escape, link
from git_clearml.base.sanitize import Safe
from git_clearml.model import Task
from git_clearml.render import comment_history as history
from git_clearml.render import markdown, metrics, text
from git_clearml.render.comment_history import HistoryRow
from git_clearml.render.flavour import GITHUB, Flavour
from git_clearml.render.markdown import MARKS
from git_clearml.render.table import TableForm, draw, fitting
from git_clearml.render.text import MOST_NEAR_MISSES
from git_clearml.report.measures import ComparisonOutcome
from git_clearml.report.model import VerifyReport
from git_clearml.settings.policy import Equivalence
from git_clearml.verdict.model import Finding, Outcome, Reason, Verdict

LIMIT = GITHUB.limit
SUMMARY_LIMIT = 250_000  # characters: no more than 1 MB, whatever they are
_CALLED_WRONGLY = 2  # the exit status: no policy has judged, and no server was asked
_MOST_VERDICTS = 20
_MOST_NOTES = 20
_LABEL = re.compile(r"[A-Za-z0-9](?:[A-Za-z0-9 ._/]|-(?!-)){0,62}", re.ASCII)
_AGO = re.compile(r"(?:just now|\d+ (?:minute|hour|day)s? ago)$")

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


def same(one: str, other: str) -> bool:
    """Do two bodies say the same? GitHub may change line ends and what stands at the very end."""
    return one.replace("\r\n", "\n").strip() == other.replace("\r\n", "\n").strip()


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


def headline(report: VerifyReport) -> str:
    """The verdict in a line, for a status or an annotation. Text of a server may stand in it: untrusted."""
    if report.outcome is Outcome.VERIFIED and report.status == 0:
        if not report.verdicts and report.notes:
            return report.notes[0]
        first = next((verdict for verdict in report.verdicts if verdict.task), None)
        if first and len(first.requirements) > 1:
            return f"verified: {text.met(first)}"
        return f"verified by the task {first.task.name!r}" if first and first.task and first.task.name else "verified"
    if tells_first_problem(report):
        joint = ", but " if report.outcome is Outcome.VERIFIED else ": "
        return f"{report.outcome.value}{joint}{report.problems[0].message}"
    unmet = next((each for each in report.verdicts if each.requirements and each.outcome is Outcome.REJECTED), None)
    if unmet is None and (short := next((each.shortfalls[0] for each in report.verdicts if each.fails_metrics), "")):
        return f"{report.outcome.value}: {short}"
    return {
        Outcome.REJECTED: "rejected: not proved to run on a ClearML agent"
        if any(verdict.needs_check for verdict in report.verdicts)
        else f"rejected: {text.met(unmet)}"
        if unmet
        else "rejected: no clean, completed ClearML task has run this commit",
        Outcome.PENDING: "pending: the right ClearML task has not ended yet",
        Outcome.VERIFIED: f"verified, but {_wrong_after(report)}",
    }.get(report.outcome, "undecided")


def tells_first_problem(report: VerifyReport) -> bool:
    """Does the headline say the first problem? A rejection has its reason already, and so has what is pending."""
    return bool(report.problems) and report.outcome in (Outcome.UNDECIDED, Outcome.VERIFIED)


def _wrong_after(report: VerifyReport) -> str:
    if report.check and report.check.status:
        return f"not proved to run on a ClearML agent: {report.check.sentence or report.check.outcome.value}"
    if report.comparison and report.comparison.status:
        return metrics.headline(report.comparison)
    return "a check after it failed"


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
    verdicts = page.report.verdicts
    if not verdicts:
        if page.report.outcome is Outcome.VERIFIED:
            return ["### Nothing to judge"]
        return [f"### {MARKS[page.report.outcome]} {page.report.outcome.value.capitalize()}"]
    shown = verdicts[:_MOST_VERDICTS]
    blocks = [block for verdict in shown for block in _verdict(page, verdict, limit // len(shown))]
    rest = len(verdicts) - len(shown)
    return [*blocks, f"and {rest} more commits"] if rest else blocks


def _verdict(page: Page, verdict: Verdict, limit: int) -> list[str]:
    near = verdict.other_near_misses
    misses = [_near_miss(finding) for finding in near[:MOST_NEAR_MISSES]]
    notes = [f"* {escape(note, 300)}" for note in verdict.notes[:_MOST_NOTES]]  # another mark makes it another list
    left_out = len(near) - len(misses), len(verdict.notes) - len(notes)
    lists = _list([line for each in verdict.requirements for line in markdown.requirement(each)], limit // 2, 0)
    lists += [*_list(misses, limit // 2, left_out[0]), *_list(notes, limit // 2, left_out[1], mark="*")]
    because = _because(verdict) if page.report.status != _CALLED_WRONGLY else "It has not been judged."
    return [_heading(page, verdict), because, *markdown.table_of(verdict, limit // 2), *lists]


def _heading(page: Page, verdict: Verdict) -> str:
    """The verdict, and what went wrong after a good one."""
    but = _but(page.report) if verdict.outcome is Outcome.VERIFIED else ""
    mark = "⚠️" if but else MARKS[verdict.outcome]
    return f"### {mark} {verdict.outcome.value.capitalize()}{but}: {_commit(page, verdict.commit)}"


def _but(report: VerifyReport) -> str:
    if report.check and report.check.status:
        return ", but not proved to run on an agent"
    if report.comparison and report.comparison.failing:
        return ", but worse than the policy allows"
    standing = report.comparison.outcome if report.comparison and report.comparison.status else None
    if standing is ComparisonOutcome.WORSE:
        return ", but worse than the best task"
    compared = standing not in (ComparisonOutcome.MISSING, ComparisonOutcome.UNDECIDED, ComparisonOutcome.PENDING)
    return "" if compared else ", but not compared with the best task"


def _because(verdict: Verdict) -> str:
    """One sentence for why; the near misses follow it as a list."""
    if verdict.requirements and not verdict.needs_check:
        return f"{text.met(verdict).capitalize()}."
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
    if verdict.needs_check:
        return "It has not been proved to run on a ClearML agent."
    if verdict.fails_metrics:
        return "Its metrics are not what the policy wants:"
    clean = "clean, completed " if verdict.near_misses else ""
    return f"No {clean}ClearML task has run this commit.{nearest}"


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
    return _AGO.sub(lambda _: f"on {moment} UTC", reason.message)


def _remarks(report: VerifyReport, limit: int) -> list[str]:
    """What else there is to say, and what to do."""
    lines = [f"- {escape(note, 300)}" for note in report.notes[:_MOST_NOTES]]
    for problem in report.problems[:_MOST_NOTES]:
        hint = f" Hint: {escape(problem.hint, 300)}" if problem.hint else ""
        lines.append(f"- {escape(problem.message, 500)}.{hint}")
    next_step = [f"Next: {code(report.hint)}"] if report.hint and not report.problems else []
    left_out = len(report.notes) + len(report.problems) - len(lines)
    return [*_list(lines, limit, left_out), *next_step]


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
    if page.report.status == _CALLED_WRONGLY:
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


def _list(lines: Sequence[str], limit: int, left_out: int, mark: str = "-") -> list[str]:
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
        shown.append(f"{mark} and {left_out} more")
    return ["\n".join(shown)] if shown else []
