"""The parser of the program and of each command: its complaints are errors like all others, `--help` is the manual."""

from __future__ import annotations

import argparse
import os
from collections.abc import Iterable
from typing import Any, NoReturn

from git_clearml.base.console import Console
from git_clearml.base.sanitize import Safe
from git_clearml.errors import UsageError

_WIDTH = 78  # of what -h prints, whatever the terminal: two columns less than the narrowest that people use


class Parser(argparse.ArgumentParser):
    """An ArgumentParser with a short `-h`, two examples below it, and a `--help` that shows the page of the manual."""

    title = ""  # of a command, as the list of commands has it

    def __init__(self, *arguments: Any, **keywords: Any) -> None:
        keywords = {**keywords, "add_help": False, "formatter_class": _formatter}
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
        start, _, words = message.partition(": ")
        flag = words.split(" ")[0].partition("=")[0]
        if start == "unrecognized arguments" and flag.startswith("-"):
            near = nearest(flag, self._option_string_actions)
            raise UsageError(message + (f"; did you mean {near}?" if near else ""), f"{self.prog} -h")
        raise UsageError(message, f"{self.prog} -h")

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


def _formatter(prog: str) -> argparse.HelpFormatter:
    return argparse.HelpFormatter(prog, width=_WIDTH)


def nearest(word: str, words: Iterable[str]) -> str:
    """The one of the words that somebody may have meant, "" where none is like it."""
    import difflib

    return next(iter(difflib.get_close_matches(word, list(words), n=1)), "")
