"""The command that a task ran: as `git clearml run` wrote it down, else put together of what ClearML recorded. Pure."""

from __future__ import annotations

import posixpath
import shlex
from collections.abc import Sequence
from typing import NamedTuple

from git_clearml.base.secrets import redact_words
from git_clearml.model import Task
from git_clearml.run import ownership

_ARGS = "Args/"


class CommandLine(NamedTuple):
    """The words of the command, without secrets, and those that come after the entry point.

    `recorded`: they are the very words that ran. Else the arguments are those that the task's parameters have, named as
    argparse names their destinations.
    """

    words: tuple[str, ...] = ()
    arguments: tuple[str, ...] = ()
    recorded: bool = False


def of_task(task: Task, parameters: Sequence[tuple[str, str]]) -> CommandLine:
    """The command line of a task."""
    entry = _entry(task.entry_point)
    if task.run and task.run.command and ownership.belongs(task.run, task):
        words = redact_words(task.run.command)
        return CommandLine(words, _behind(words, entry), True)
    given = [(name.removeprefix(_ARGS), value) for name, value in parameters if name.startswith(_ARGS)]
    size = 2 if entry[:1] == ("-m",) else 1
    words = redact_words(("python", *entry, *(f"--{name}={value}" for name, value in given if value)))
    return CommandLine(words, words[1 + size :]) if entry else CommandLine()


def _entry(entry_point: str) -> tuple[str, ...]:
    try:
        return tuple(shlex.split(entry_point))
    except ValueError:
        return (entry_point,)


def _behind(words: Sequence[str], entry: Sequence[str]) -> tuple[str, ...]:
    """What follows the script, or the module after `-m`, in a command; () where it is not in it."""
    name = posixpath.basename(entry[1] if entry[:1] == ("-m",) and len(entry) > 1 else (entry or ("",))[0])
    places = [number for number, word in enumerate(words) if name and posixpath.basename(word) == name]
    return tuple(words[places[0] + 1 :]) if places else ()
