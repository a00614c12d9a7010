"""The manual: each page is held to the parser, whose words it takes where docs/manual has none of its own."""

from __future__ import annotations

import argparse
import re
import shlex
import subprocess
from pathlib import Path

import pytest

from git_clearml import cli
from git_clearml.commands import manual
from git_clearml.render import manual as view
from tests.support.program import ROOT
from tests.support.tools import where_there_is

PARSER, COMMANDS = cli.build_parser()
PLACE = ROOT / "docs" / "manual"


def flags(parser: argparse.ArgumentParser) -> set[str]:
    return {flag for action in parser._actions for flag in action.option_strings}


@pytest.mark.parametrize("name", sorted(COMMANDS))
def test_a_page_is_the_parser_s(name: str) -> None:
    """It has every flag, names no other, and is as wide as a terminal; so is -h, with two examples that parse."""
    source, parser = manual.source(name), COMMANDS[name]
    page = view.page(name, manual.titles_of(PARSER)[name], parser, source)
    shown = view.text(page)
    listed = [flag for item in dict(page.sections)["Options"] for flag in re.findall(r"`(-[^`]+)`", item.item)]
    assert sorted(listed) == sorted(flags(parser))
    assert {flag for block in source.options for flag in re.findall(r"`(-[^`]+)`", block.item)} <= flags(parser)
    assert max(map(len, shown.splitlines())) <= 80
    help_text = parser.format_help()
    assert max(map(len, help_text.splitlines())) <= 80
    assert len(source.examples) >= 2, f"docs/manual/{name}.md wants two examples, and more of what its command does"
    for command, words in source.examples:
        assert words
        plain = re.sub(r'^eval "\$\((.*)\)"$|( \||>| <).*', r"\1", command)
        parts = shlex.split(plain)
        start = parts.index("clearml") + 1 if "clearml" in parts else 1
        assert cli._parse(parts[start:]).command == name
    assert all(f"\n  {command}\n" in help_text for command, _ in source.examples[:2])


def test_pages_of_nothing_that_is_gone() -> None:
    assert {path.stem for path in PLACE.glob("*.md")} == {*COMMANDS, "git-clearml"}
    assert not list((ROOT / "docs").glob("*.1")), "what it says belongs into docs/manual/<command>.md"


def test_the_overview_has_every_command() -> None:
    shown = view.text(manual.pages(PARSER, COMMANDS)[0])
    assert all(f"\n       git clearml {name}\n" in shown for name in COMMANDS)


@where_there_is("groff")
def test_roff_without_warnings(tmp_path: Path) -> None:
    made = manual.files(PARSER, COMMANDS)
    assert set(made) == {"git-clearml.1", *(f"git{dash}clearml-{name}.1" for name in COMMANDS for dash in ("-", ""))}
    pages = [name for name in made if not made[name].startswith(".so ")]
    for name in pages:
        (tmp_path / name).write_text(made[name], encoding="ascii")
    groff = ["groff", "-man", "-Tutf8", "-ww", "-rLL=78n", *pages]
    done = subprocess.run(groff, cwd=tmp_path, capture_output=True, text=True, check=True)
    assert done.stderr == ""
    plain = " ".join(re.sub("\x1b\\[[0-9;]*m|.\b", "", done.stdout).split())
    assert "git-clearml-verify - is there a completed, diff-free task" in plain


def test_what_markdown_becomes() -> None:
    source = view.read(
        "# git clearml x\n\nOne `a-b` and\ntwo.\n\nThree \\ <rev>.\n\n## Options\n\n- `--one`, `-t`: Words\n  on.\n"
        "- `--two`: .dot\n\n## Examples\n\n- `git x | y`: It's it.\n\nMore.\n"
    )
    parser = argparse.ArgumentParser("git clearml x", add_help=False)
    parser.add_argument("-t", action="store_true", help="not shown")
    parser.add_argument("--one", choices=("a", "b"), help="nor this")
    parser.add_argument("--two", metavar="N", help="%(default)s")
    parser.add_argument("--three", default=3, type=int, help="by default %(default)s, 100%%")
    parser.add_argument("rest", nargs="*", metavar="<rev>", help="what?")
    page = view.page("x", "is it?", parser, source)
    assert view.roff(page).splitlines() == [
        '.TH GIT-CLEARML-X 1 "" "git-clearml" "Git Manual"',
        ".SH NAME",
        "git\\-clearml\\-x \\- is it",
        ".SH SYNOPSIS",
        "git clearml x [\\-t] [\\-\\-one {a,b}] [\\-\\-two N] [\\-\\-three THREE] [<rev> ...]",
        ".SH DESCRIPTION",
        "One \\fBa\\-b\\fR and two.",
        ".PP",
        "Three \\e <rev>.",
        ".SH OPTIONS",
        *(".TP", "<rev>", "What?"),
        *(".TP", "\\fB\\-t\\fR, \\fB\\-\\-one\\fR a|b", "Words on."),
        *(".TP", "\\fB\\-\\-two\\fR N", "\\&.dot"),
        *(".TP", "\\fB\\-\\-three\\fR THREE", "By default 3, 100%."),
        ".SH EXAMPLES",
        *(".TP", "\\fBgit x | y\\fR", "It's it."),
        *(".PP", "More."),
        ".SH SEE ALSO",
        "\\fBgit\\-clearml\\fR(1)",
    ]
    coloured = view.text(page, colour=True)
    assert "\x1b[1mOPTIONS\x1b[22m" in coloured
    assert re.sub("\x1b\\[[0-9;]*m", "", coloured) == view.text(page)
