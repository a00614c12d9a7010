"""Placeholders of ours beside git's in `git clearml log --format`, and our columns beside git's graph. Pure.

git gets the format with a mark in place of each of ours, which holds the commit's hash, and what it prints is filled in
as it comes. A mark bears a token that nobody can have committed.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Callable, Mapping, Sequence
from typing import NamedTuple

from git_clearml.base.sanitize import Safe, sanitize, sanitize_output
from git_clearml.errors import UsageError
from git_clearml.record.model import RecordedTask
from git_clearml.render import log as view

FIELDS = ("id", "name", "project", "status", "completed", "url", "source", "count", "metric:TITLE/SERIES", "metrics")
"""What stands in %(clearml:...)."""

_OURS = "%(clearml:"
_EXAMPLE = "git clearml log --format '%h %(clearml:status) %s'"
_COLUMNS = "columns"  # of --graph: at the right end of the line
_MOST_DIGITS = 4  # of a width, which is made of blanks for every commit
_PAD = r"%(<|>|>>|><)\(([0-9]+)(?:,(trunc))?\)"
_COLOUR = r"%C(?:\([^)]*\)|red|green|blue|reset)"
_BYTE = r"%x([0-9a-fA-F]{2})"
_SGR = r"\x1b\[[0-9;]*m"
_NARROW = 20  # columns that a line of git's needs at least
_KEPT = (0x00, 0x09, 0x0A)  # control characters that git may print itself

Tasks = Mapping[str, Sequence[RecordedTask]]


class _Field(NamedTuple):
    """One of ours: what it is, of which metric, how wide, and what stands before it where it is not empty."""

    name: str
    metric: str = ""
    before: str = ""
    align: str = ""
    width: int = 0
    cut: bool = False


class Template(NamedTuple):
    """A format for git, and what to put in place of the marks in what it prints."""

    format: str
    fields: tuple[_Field, ...]
    mark: str
    colours: bool

    @property
    def metrics(self) -> list[str]:
        """The metrics that it names."""
        return [field.metric for field in self.fields if field.metric]

    def commits(self, text: str) -> list[str]:
        """The commits that stand in marks."""
        return list(dict.fromkeys(match[2] for match in re.finditer(self.mark, text) if match[2]))

    def filled(self, text: str, tasks: Tasks, names: Sequence[str], *, width: int = 0) -> Safe:
        """What git has printed, with the values; columns end at `width`, 0 for right behind what stands before."""
        return Safe("\n".join(self._line(line, tasks, names, width) for line in text.split("\n")))

    def _line(self, line: str, tasks: Tasks, names: Sequence[str], width: int) -> str:
        shown, end = "", 0
        for match in re.finditer(self.mark, line):
            shown += sanitize_output(line[end : match.start()], colours=self.colours)
            end = match.end()
            if match[3]:
                shown += chr(int(match[3], 16))
                continue
            field, of_commit = self.fields[int(match[1])], tasks.get(match[2], ())
            if field.name == _COLUMNS:
                shown = beside(shown, view.columns(of_commit, names, colour=self.colours), width)
            else:
                shown += _padded(_value(field, of_commit, names), field)
        return shown + sanitize_output(line[end:], colours=self.colours)


def graph(token: str, *, colours: bool) -> Template:
    """What --graph prints: a line of `git log --oneline`, and our columns."""
    return parse(f"%C(auto)%h%d %s{_OURS}{_COLUMNS})", token, colours=colours)


def parse(text: str, token: str, *, colours: bool) -> Template:
    """The format with marks in place of ours; all else is git's. Raises UsageError for what is not ours."""
    out, fields, pad, place = "", list[_Field](), "", 0
    for match in re.finditer(rf"%%|{_PAD}|{_COLOUR}|{_BYTE}|%[ +-]?\(clearml:|%\([^)]*\)|%(?=.)", text, re.DOTALL):
        if match.start() < place:
            continue
        out += text[place : match.start()]
        word, place = match[0], match.end()
        if word.endswith("(clearml:"):
            name, place = _name(text, place)
            out += f"%x01{token}{len(fields)}:%H%x02"
            fields.append(_field(name, word[1:-9], pad))
            pad = ""
        elif re.fullmatch(_PAD, word):
            out, pad = out + pad, word
        elif re.fullmatch(_COLOUR, word):
            out += word
        else:
            out, pad = out + pad + _left_to_git(word, token), ""
    colours = colours or "%C(always" in text
    mark = rf"\x01{token}(?:(\d+):(?:{_SGR})*([0-9a-f]+)(?:{_SGR})*|x([0-9a-f]{{2}}))\x02"  # %C(auto) colours hashes
    return Template(out + text[place:] + pad, tuple(fields), mark, colours)


def _left_to_git(word: str, token: str) -> str:
    """The placeholder as it is; but what the user writes as a control character is no commit's, and is kept."""
    byte = re.fullmatch(_BYTE, word)
    if byte and (int(byte[1], 16) < 0x20 or int(byte[1], 16) == 0x7F) and int(byte[1], 16) not in _KEPT:
        return f"%x01{token}x{byte[1].lower()}%x02"
    return word


def _name(text: str, start: int) -> tuple[str, int]:
    """What stands up to the parenthesis that closes this one, and where that ends. %x29 is a `)` on its own."""
    depth = 1
    for place in range(start, len(text)):
        depth += {"(": 1, ")": -1}.get(text[place], 0)
        if not depth:
            return re.sub(_BYTE, lambda match: chr(int(match[1], 16)), text[start:place]), place + 1
    raise UsageError(f"no ) ends {_OURS}{text[start : start + 40]}", _EXAMPLE)


def _field(name: str, before: str, pad: str) -> _Field:
    kind, _, metric = name.partition(":")
    if before and before != " ":
        raise UsageError(f"%{before}(clearml:{kind}) is not possible, only with a blank", _EXAMPLE)
    align, width, cut = re.fullmatch(_PAD, pad).groups() if pad else ("", "0", "")  # type: ignore[union-attr]
    if len(width) > _MOST_DIGITS:
        raise UsageError(f"no line has so many columns: {pad[:40]}", _EXAMPLE)
    field = _Field(kind, metric, before, align, int(width), bool(cut))
    if kind == "metric" and "/" in metric:
        return field
    if name in FIELDS or name == _COLUMNS:
        return field
    names = [each.partition(":")[0] for each in FIELDS]
    near = "metric:TITLE/SERIES" if kind == "metric" else next(iter(difflib.get_close_matches(kind, names, 1)), "")
    near = "metric:TITLE/SERIES" if near == "metric" else near
    meant = f"; did you mean {_OURS}{near})?" if near else f"; there are {', '.join(FIELDS)}"
    raise UsageError(f"not a placeholder: {_OURS}{name[:80]}){meant}", _EXAMPLE)


def _value(field: _Field, tasks: Sequence[RecordedTask], names: Sequence[str]) -> str:
    """The value for the first task that `log` shows, "" where there is none. Numbers are whole, as JSON has them."""
    if field.name == "count":
        return str(len(tasks))
    if not tasks:
        return ""
    task = tasks[0]
    values: dict[str, Callable[[], str]] = {
        "id": lambda: task.task,
        "source": lambda: view.RECORDED if task.recorded else "server",
        "metric": lambda: _number(dict(task.metrics).get(field.metric)),
        "metrics": lambda: " ".join(f"{name}={_number(value)}" for name, value in view.chosen(task, names)),
    }
    text = sanitize(values[field.name]() if field.name in values else getattr(task, field.name))
    return field.before + text if text else ""


def _number(value: float | None) -> str:
    return "" if value is None else repr(value)


def _padded(text: str, field: _Field) -> str:
    """As git pads: to the width, and cut to it where that is wished; a longer one stands as it is."""
    if field.cut and view.column_count(text) > field.width:
        text = view.cut(text, field.width, end="..")
    room = max(field.width - view.column_count(text), 0)
    left = {"": 0, "<": 0, ">": room, ">>": room, "><": room // 2}[field.align]
    return " " * left + text + " " * (room - left)


def beside(line: str, columns: str, width: int) -> str:
    """A line of git's with our columns at its right end, or right behind it where the terminal is not known."""
    if not columns:
        return line
    room = width - view.column_count(re.sub(_SGR, "", columns)) - 2
    if room < _NARROW:
        return f"{line}  {columns.rstrip()}"
    taken = view.column_count(re.sub(_SGR, "", line))
    if taken > room:
        line, taken = _cut_coloured(line, room), room
    return f"{line}{' ' * (room - taken)}  {columns.rstrip()}"


def _cut_coloured(line: str, room: int) -> str:
    """The line cut to so many columns; its colours count for none, and end with it."""
    shown, taken = "", 0
    for part in re.split(f"({_SGR})", line):
        if re.fullmatch(_SGR, part):
            shown += part
            continue
        for character in part:
            size = view.column_count(character)
            if taken + size > room - 1:
                return shown + "…" + " " * (room - 1 - taken) + ("\x1b[m" if "\x1b" in shown else "")
            shown, taken = shown + character, taken + size
    return shown
