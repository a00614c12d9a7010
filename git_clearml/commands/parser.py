"""The parser of the program and of each command: its complaints are errors like all others, `--help` is the manual."""

from __future__ import annotations

import argparse
import os
from collections.abc import Iterable
from functools import partial
from typing import Any, NoReturn

from git_clearml.base.console import Console
from git_clearml.base.sanitize import Safe
from git_clearml.errors import UsageError

_WIDTH = 78  # of what -h prints, whatever the terminal: two columns less than the narrowest that people use


class Parser(argparse.ArgumentParser):
    """An ArgumentParser with a short `-h`, two examples below it, and a `--help` that shows the page of the manual."""

    title = ""  # of a command, as the list of commands has it

    def __init__(self, *arguments: Any, **keywords: Any) -> None:
        keywords["formatter_class"] = partial(argparse.HelpFormatter, width=_WIDTH)
        keywords |= {"add_help": False, "allow_abbrev": False}
        super().__init__(*arguments, **keywords)
        self.color = False  # Python 3.14 would colour by a rule of its own
        self.add_argument("-h", action=_Short, help="show the flags and two examples")
        self.add_argument("--help", action=_Whole, help="show the page of the manual")

    @property
    def name(self) -> str:
        """The command's name, `git-clearml` for the whole program."""
        words = self.prog.split()
        return words[2] if len(words) > 2 else "git-clearml"

    def format_help(self) -> str:
        from git_clearml.commands import manual  # late: only -h needs it

        return super().format_help() + manual.examples(self.name)

    def error(self, message: str) -> NoReturn:
        """argparse's complaints in our words: what is missing, what is too much. Raises UsageError."""
        start, _, rest = message.partition(": ")
        if start == "the following arguments are required":
            names = rest.split(", ")
            raise self._without(next(each for each in self._actions if argparse._get_action_name(each) in names))
        if start == "unrecognized arguments":
            raise self._unknown(rest)
        flag = start.removeprefix("argument ").rpartition("/")[2]
        if rest.startswith("ignored explicit argument"):
            message = f"{flag} takes no value"
        raise UsageError(message, f"{self.prog} -h")

    def _without(self, missing: argparse.Action) -> UsageError:
        """Of an argument that is missing: what it can be, and two examples."""
        name = _called(missing)
        what = f"no {name} given: {either(missing.choices)}" if missing.choices else f"no {name} given: {missing.help}"
        error = UsageError(what, f"{self.prog} -h")
        from git_clearml.commands import manual  # late: only a mistake needs it

        if shown := [command for command, _ in manual.source(self.name).examples[:2]]:
            error.hint, error.examples = shown[0], tuple(shown[1:])
        return error

    def _unknown(self, words: str) -> UsageError:
        word = words.split(" ")[0]
        if not word.startswith("-"):
            return UsageError(f"unexpected argument: {words}", f"{self.prog} -h")
        flag = word.partition("=")[0]
        near = nearest(flag, self._option_string_actions)
        return UsageError(f"unknown option {flag}" + (f"; did you mean {near}?" if near else ""), f"{self.prog} -h")

    def _check_value(self, action: argparse.Action, value: Any) -> None:
        if action.choices is None or value in action.choices:
            return
        near = nearest(str(value), map(str, action.choices))
        meant = f"; did you mean {near}?" if near else ""
        error = self._without(action) if not action.option_strings else UsageError("", f"{self.prog} -h")
        error.message = f"{_called(action)} must be {either(action.choices)}, not {str(value)!r}{meant}"
        raise error

    def _get_value(self, action: argparse.Action, text: str) -> Any:
        try:
            return super()._get_value(action, text)
        except argparse.ArgumentError:
            kind = "a whole number" if action.type is int else "a number"
            raise UsageError(f"{_called(action)} must be {kind}, not {text!r}", f"{self.prog} -h") from None

    def _match_argument(self, action: argparse.Action, pattern: str) -> int:
        try:
            return int(super()._match_argument(action, pattern))
        except argparse.ArgumentError:
            if not action.option_strings:
                raise
            what = either(action.choices) if action.choices else action.metavar or ""
            raise UsageError(f"{_called(action)} needs a value: {what}", f"{self.prog} -h") from None

    def _print_message(self, message: str, file: object = None) -> None:
        """Prints the help or the version, a product like others: argparse's own hides that it could not be written."""
        Console(os.environ).product(Safe(message))


class _Short(argparse.Action):
    """`-h`."""

    def __init__(self, option_strings: Any, dest: str, **keywords: Any) -> None:
        super().__init__(option_strings, argparse.SUPPRESS, nargs=0, default=argparse.SUPPRESS, **keywords)

    def __call__(self, parser: argparse.ArgumentParser, *_: Any) -> None:
        parser.print_help()
        parser.exit()


class _Whole(_Short):
    """`--help`."""

    def __call__(self, parser: argparse.ArgumentParser, *_: Any) -> None:
        from git_clearml.commands import manual  # late: as above

        manual.show(parser, Console(os.environ))
        parser.exit()


def _called(action: argparse.Action) -> str:
    """How people know an argument: by its longest flag, or what stands for it in the help."""
    return max(action.option_strings, key=len, default="") or str(action.metavar or action.dest)


def either(words: Iterable[Any]) -> str:
    """`bash, zsh or fish`."""
    *front, last = [str(word) for word in words]
    return f"{', '.join(front)} or {last}" if front else last


def nearest(word: str, words: Iterable[str]) -> str:
    """The one of the words that somebody may have meant, "" where none is like it."""
    import difflib

    return next(iter(difflib.get_close_matches(word, list(words), n=1)), "")
