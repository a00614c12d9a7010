"""A task and what is on record of it, as text and as JSON. Pure."""

from __future__ import annotations

import shlex
import textwrap
from collections.abc import Iterable, Sequence
from typing import Any

from git_clearml.base.ids import is_hash
from git_clearml.base.sanitize import Safe, sanitize
from git_clearml.base.words import moment
from git_clearml.clearml.model import Artifact
from git_clearml.git.whereabouts import Whereabouts
from git_clearml.render import json as json_view
from git_clearml.render import metrics, text
from git_clearml.report.history import History, Package

_BRANCHES, _PACKAGES, _LONG = 5, 20, 500
_LINE = 70  # characters beside the name of a fact
_SPANS = ((86400, "d"), (3600, "h"), (60, "min"), (1, "s"))


def history_text(shown: History) -> Safe:
    """What ran, with what, and what came out, for a terminal."""
    task = shown.task
    lines = [*text.task_lines(task, ""), ""]
    lines += _facts(
        ("status", [_status(shown)]),
        ("commit", _commit(shown.commit)),
        ("changes", _changes(shown)),
        ("command", _command(shown)),
        ("where", _where(shown)),
        ("packages", _packages(shown)),
    )
    for title, rows in (("parameters", shown.parameters), *_made(shown.artifacts)):
        if rows:
            cells = [[sanitize(name, 60), *(sanitize(value, 300) for value in values)] for name, *values in rows]
            lines += ["", f"{title}:", *_indented(cells)]
    if shown.rows:
        lines += ["", metrics.metrics_text(shown.rows)]
    else:
        lines += ["", "no metrics were reported"]
    if shown.hidden:
        what = "metric is" if shown.hidden == 1 else "metrics are"
        lines.append(f"{shown.hidden:,} :monitor: {what} hidden: git clearml report --all {task.id}")
    if is_hash(shown.commit.hash):
        lines.append(f"the code: git clearml checkout {sanitize(task.id, 100)}")
    return Safe("".join(f"{line.rstrip()}\n" if not line.endswith("\n") else line for line in lines))


def _facts(*facts: tuple[str, list[str]]) -> list[str]:
    lines = []
    for name, values in facts:
        for number, value in enumerate(values):
            lines.append(f"{'' if number else name:<10}{value}")
    return lines


def _status(shown: History) -> str:
    task = shown.task
    parts: list[str] = [sanitize(task.status or "unknown", 20)]
    begun, ended = moment(task.started), moment(task.completed)
    if begun and ended:
        parts.append(f"{begun:%Y-%m-%d %H:%M} to {ended:%Y-%m-%d %H:%M} UTC")
    elif begun or ended:
        parts.append(f"started {begun:%Y-%m-%d %H:%M} UTC" if begun else f"ended {ended:%Y-%m-%d %H:%M} UTC")
    if begun and ended and (seconds := int((ended - begun).total_seconds())) >= 0:
        parts.append(f"took {_span(seconds)}")
    if sent := moment(shown.imported):
        parts.append(f"sent to the server {sent:%Y-%m-%d %H:%M} UTC")
    return ", ".join(parts)


def _span(seconds: int) -> str:
    for number, (size, unit) in enumerate(_SPANS[:-1]):
        if seconds >= size:
            smaller, name = _SPANS[number + 1]
            rest = seconds % size // smaller
            return f"{seconds // size} {unit}" + (f" {rest} {name}" if rest else "")
    return f"{seconds} s"


def _commit(commit: Whereabouts) -> list[str]:
    name = sanitize(commit.hash, 64)
    if not name:
        return ["none on record"]
    if not commit.present:
        return [f"{name[:12]}, which is not in this clone"]
    date = moment(commit.date)
    when = f", {date:%Y-%m-%d}" if date else ""
    branches = [sanitize(branch, 60) for branch in commit.branches[:_BRANCHES]]
    more = f" and {len(commit.branches) - _BRANCHES} more" if len(commit.branches) > _BRANCHES else ""
    place = f"in {', '.join(branches)}{more}" if branches else "in no branch"
    who = f"{sanitize(commit.author, 60)}{when}"
    return [f"{name[:12]} {sanitize(commit.subject, _LINE - 13)}", f"by {who}, {place}"]


def _changes(shown: History) -> list[str]:
    if shown.unreadable:
        return [sanitize(shown.unreadable, 200)]
    if shown.uncommitted is None:
        return ["unknown: no diff is on record"]
    if not shown.uncommitted:
        return ["none: the commit as it is"]
    many = "1 file" if len(shown.uncommitted) == 1 else f"{len(shown.uncommitted):,} files"
    files = [f"  {sanitize(file.path, 200)}  {file.change}" for file in shown.uncommitted]
    return [f"uncommitted, in {many}:", *files]


def _command(shown: History) -> list[str]:
    if not shown.command.words:
        return ["no entry point on record"]
    lines: list[str] = [sanitize(shlex.join(shown.command.words), _LONG)]
    if shown.task.working_dir not in ("", "."):
        lines.append(f"in {sanitize(shown.task.working_dir, 200)}")
    if not shown.command.recorded and shown.command.arguments:
        lines.append("(arguments as its parameters have them)")
    return lines


def _where(shown: History) -> list[str]:
    queue = f"queue {sanitize(shown.queue, 60)}" if shown.queue else ""
    places = [part for part in (sanitize(shown.host, 100), queue) if part]
    return [", ".join(places)] if places else []


def _packages(shown: History) -> list[str]:
    if not shown.recorded_packages:
        return ["none on record"]
    file, count = sanitize(shown.requirements, 100), f"{shown.recorded_packages:,}"
    if not file:
        return [f"{count} on record; the commit has no requirements file to compare with"]
    if not shown.packages:
        return [f"{count} on record, none differs from {file}"]
    others = [each for each in shown.packages if each.wanted is not None]
    more = [f"{sanitize(each.name, 60)}{sanitize(each.ran, 60)}" for each in shown.packages if each.wanted is None]
    verb = "differs" if len(others) == 1 else "differ"
    lines = [f"{len(others):,} of {count} {verb} from {file}{':' if others else ''}"]
    lines += [f"  {_package(each, file)}" for each in others[:_PACKAGES]]
    lines += [f"  and {len(others) - _PACKAGES:,} more"] if len(others) > _PACKAGES else []
    if more:  # mostly what those in the file need themselves
        rest = f" and {len(more) - _PACKAGES:,} more" if len(more) > _PACKAGES else ""
        listed = f"{len(more):,} not in {file}: {', '.join(more[:_PACKAGES])}{rest}"
        lines += textwrap.wrap(listed, _LINE, subsequent_indent="  ", break_long_words=False, break_on_hyphens=False)
    return lines


def _package(package: Package, file: str) -> str:
    named = f"{sanitize(package.name, 60)} {sanitize(package.ran, 100)}".rstrip()
    return f"{named} ({file} has {sanitize(package.wanted or '', 60)})"


def _made(artifacts: Iterable[Artifact]) -> list[tuple[str, list[tuple[str, str, str]]]]:
    rows = [(each.kind, (each.name, each.uri, each.hash[:12])) for each in artifacts]
    return [(f"{kind}s", [row for each, row in rows if each == kind]) for kind in ("model", "artifact")]


def _indented(cells: Sequence[Sequence[str]]) -> list[str]:
    width = max(len(row[0]) for row in cells)
    return [f"  {row[0]:<{width}}  {'  '.join(row[1:])}" for row in cells]


def history_json(shown: History) -> dict[str, Any]:
    """`show --format json`. Text of a server stands in it as it came."""
    task, commit = shown.task, shown.commit
    files = [
        {"path": file.path, "added": file.added, "deleted": file.deleted, "kind": file.kind or None}
        for file in shown.uncommitted or ()
    ]
    return json_view.document(
        "show",
        0,
        task={
            **json_view.task_object(task),
            "started": task.started or None,
            "completed": task.completed or None,
            "entry_point": task.entry_point,
            "working_dir": task.working_dir,
            "arguments": list(shown.command.arguments),
            "queue": shown.queue or None,
            "host": shown.host or None,
        },
        commit={
            "hash": commit.hash,
            "subject": commit.subject or None,
            "author": commit.author or None,
            "here": commit.present,
            "branches": list(commit.branches),
        },
        uncommitted=None if shown.uncommitted is None else {"files": files, "note": shown.unreadable or None},
        packages=[package._asdict() for package in shown.packages],
        parameters=[{"name": name, "value": value} for name, value in shown.parameters],
        metrics=[json_view.row_object(row) for row in shown.rows],
        models=[_made_object(each) for each in shown.artifacts if each.kind == "model"],
        artifacts=[_made_object(each) for each in shown.artifacts if each.kind == "artifact"],
    )


def _made_object(artifact: Artifact) -> dict[str, Any]:
    return {"name": artifact.name, "uri": artifact.uri or None, "hash": artifact.hash or None}
