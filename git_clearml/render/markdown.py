"""The verify report for a pull request or a job summary. Pure."""

from __future__ import annotations

import re
from urllib.parse import quote

from git_clearml.base.sanitize import harmless
from git_clearml.model import Outcome, Task, Verdict, VerifyReport
from git_clearml.render.text import MOST_NEAR_MISSES

MARKS = {Outcome.VERIFIED: "✅", Outcome.REJECTED: "❌", Outcome.PENDING: "⏳", Outcome.UNDECIDED: "❔"}
_SPECIAL = re.compile(r"([\\`*_{}\[\]()#+\-.!|~:])")
# What GitHub makes links and emoji of after the Markdown is parsed, where a backslash no longer helps: @team, #1, GH-1
# and :tada:. The guard stands behind the match and cannot be seen.
_REFERENCE = re.compile(r"@|#(?=\d)|\bgh-(?=\d)|:(?=[\w+-]+:)", re.IGNORECASE)
GUARD = "\N{ZERO WIDTH NON-JOINER}"


def escape(text: str, limit: int = 200) -> str:
    """Text from elsewhere as Markdown that shows it and does nothing: no HTML, mention, link or table cell."""
    text = " ".join(harmless(text, limit).split())
    text = _REFERENCE.sub(lambda match: match[0] + GUARD, text)
    text = text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
    return _SPECIAL.sub(r"\\\1", text).replace("$", "<span>$</span>")  # GitHub's way to say: no mathematics


def verify(report: VerifyReport) -> str:
    """The verdicts first, then why, then what to do."""
    lines: list[str] = []
    for verdict in report.verdicts:
        lines += [*_verdict(verdict), ""]
    lines += [f"> {escape(problem.message, 500)}\n" for problem in report.problems]
    lines += [f"- {escape(note, 300)}" for note in report.notes]
    if report.notes:
        lines.append("")
    if report.policy_from == "flags":
        lines.append("Judged by flags.")
    if report.hint:
        lines.append(f"Next: {code(report.hint)}")
    return "\n".join(lines).strip() + "\n"


def _verdict(verdict: Verdict) -> list[str]:
    refs = "".join(f" ({escape(ref, 60)})" for ref in verdict.refs)
    lines = [f"### {MARKS[verdict.outcome]} `{verdict.commit[:12]}`{refs} {verdict.outcome.value}", ""]
    if verdict.task:
        lines.append(f"By {task_link(verdict.task)}")
    lines += [f"- {escape(note, 300)}" for note in verdict.notes]
    for finding in verdict.near_misses[:MOST_NEAR_MISSES]:
        reasons = "; ".join(escape(reason.message, 300) for reason in finding.reasons)
        lines.append(f"- {task_link(finding.task)}: {reasons}")
    if (rest := len(verdict.near_misses) - MOST_NEAR_MISSES) > 0:
        lines.append(f"- and {rest} more")
    if verdict.outcome is Outcome.UNDECIDED:
        lines.append("Could not be decided.")
    elif not verdict.task and not verdict.near_misses and not verdict.notes:
        lines.append("No ClearML task has run this commit.")
    return lines


def task_link(task: Task) -> str:
    """The task's name, linked to its page, and its project."""
    name = escape(task.name, 80) or "a run"
    linked = link(name, task.url)
    return f"{linked} in {escape(task.project, 80)}" if task.project else linked


def link(text: str, url: str) -> str:
    """A Markdown link where the URL is one for a browser, else only the (already escaped) text."""
    return f"[{text}](<{_link(url)}>)" if url.startswith(("http://", "https://")) else f"**{text}**"


def _link(url: str) -> str:
    """A URL for between `<` and `>`, where neither a table nor an entity can take it apart."""
    kept = re.sub(
        r"[^\w\-.~:/?#@!$&'()*+,;=%]", lambda match: quote(match[0], safe=""), harmless(url, 500), flags=re.ASCII
    )
    return kept.replace("&", "&amp;")


def code(text: str) -> str:
    """Text as a code span that no backtick in it can end. Not for table cells."""
    text = harmless(text, 500)
    fence = "`" * (max((len(run) for run in re.findall("`+", text)), default=0) + 1)
    pad = " " if text.startswith("`") or text.endswith("`") else ""
    return f"{fence}{pad}{text}{pad}{fence}"
