"""The pages of the manual, and what `-h` and `--help` show of them."""

from __future__ import annotations

import argparse
import os
import shutil
from collections.abc import Mapping
from pathlib import Path

from git_clearml.base.console import Console
from git_clearml.base.sanitize import Safe
from git_clearml.render import manual as view
from git_clearml.render.manual import Page, Source

_EXAMPLES = 2
Parsers = Mapping[str, argparse.ArgumentParser]


def source(name: str) -> Source:
    """What the manual says of a command, or of `git-clearml`; nothing where this installation lacks it."""
    package = Path(__file__).resolve().parents[1]
    for directory in (package / "manual", package.parent / "docs" / "manual"):
        path = directory / f"{name}.md"
        if path.is_file():
            return view.read(path.read_text(encoding="utf-8"))
    return Source()


def examples(name: str) -> str:
    """The last lines of `-h`: two command lines, and what they do."""
    shown = source(name).examples[:_EXAMPLES]
    lines = [f"  {command}\n{view.indented(text, 6)}\n" for command, text in shown]
    return "\nexamples:\n" + "".join(lines) if lines else ""


def pages(parser: argparse.ArgumentParser, commands: Parsers) -> list[Page]:
    """Every page, that of the whole program first."""
    titles = titles_of(parser)
    overview = view.overview(titles, source(view.PROGRAM))
    return [overview, *(view.page(name, titles[name], commands[name], source(name)) for name in titles)]


def files(parser: argparse.ArgumentParser, commands: Parsers) -> dict[str, str]:
    """The files below man1 by their names. `git help clearml-verify` asks for gitclearml-verify(1): git knows no
    program of that name (builtin/help.c, cmd_to_page)."""
    shown = pages(parser, commands)
    texts = {f"{page.name}.1": view.roff(page) for page in shown}
    aliases = {f"git{page.name.removeprefix('git-')}.1": f".so man1/{page.name}.1\n" for page in shown[1:]}
    return texts | aliases


def titles_of(parser: argparse.ArgumentParser) -> dict[str, str]:
    """What each command is, in the words of the parser's list."""
    [listed] = [action for action in parser._actions if isinstance(action, argparse._SubParsersAction)]
    return {action.dest: action.help or "" for action in listed._choices_actions}


def show(parser: argparse.ArgumentParser, console: Console) -> None:
    """Prints the page of a parser: at a terminal through the pager, else as plain text."""
    name = getattr(parser, "name", view.PROGRAM)
    if name == view.PROGRAM:
        shown = view.overview(titles_of(parser), source(name))
    else:
        shown = view.page(name, getattr(parser, "title", ""), parser, source(name))
    is_terminal = console.out.isatty()
    width = shutil.get_terminal_size().columns if is_terminal else 80
    with console.paged(_pager() if is_terminal else "", os.environ):
        console.product(Safe(view.text(shown, width=width, colour=console.colour)))


def _pager() -> str:
    """git's pager, "" for none: one that is not installed would show nothing."""
    from git_clearml.git import pager  # late: GitPython is needed for it

    command = pager.default(os.environ)
    return command if command and shutil.which(command.split()[0]) else ""
