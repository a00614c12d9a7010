"""The manual: a page for each command, of what its parser knows and what docs/manual says, as roff and as text. Pure.

Of Markdown the pages use paragraphs, lists, headings and `code`, so that forges show them as they are.
"""

from __future__ import annotations

import argparse
import re
import textwrap
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

PROGRAM = "git-clearml"
_INDENT = 7
_ITEM = r"- ((?:`[^`]+`(?:, )?)+): (.*)"
_BOLD, _PLAIN = "\x1b[1m", "\x1b[22m"


@dataclass(frozen=True)
class Block:
    """A paragraph, or (`item` is not "") an entry of a list: what it is about, and the text. `code` is in backticks."""

    text: str
    item: str = ""


_HELP = Block("The flags and two examples; this page.", "`-h`, `--help`")


@dataclass(frozen=True)
class Page:
    """A page of the manual: its name, what it is in a line, and its sections in order."""

    name: str
    title: str
    sections: tuple[tuple[str, tuple[Block, ...]], ...]


@dataclass(frozen=True)
class Source:
    """What docs/manual says of a command: paragraphs, what there is to say of flags, further sections by heading."""

    description: tuple[Block, ...] = ()
    options: tuple[Block, ...] = ()
    sections: tuple[tuple[str, tuple[Block, ...]], ...] = ()

    @property
    def examples(self) -> list[tuple[str, str]]:
        """Command lines, and what each does."""
        blocks = dict(self.sections).get("Examples", ())
        return [(block.item.strip("`"), block.text) for block in blocks if block.item]


def read(text: str) -> Source:
    """What a file of docs/manual says."""
    sections: dict[str, list[Block]] = {"": []}
    heading = ""
    for block in re.split(r"\n{2,}|\n(?=- |## )", text.split("\n", 1)[1] if text.startswith("# ") else text):
        line = " ".join(block.split())
        if line.startswith("## "):
            heading = line[3:]
            sections[heading] = []
        elif item := re.fullmatch(_ITEM, line):
            sections[heading].append(Block(item[2], item[1]))
        elif line:
            sections[heading].append(Block(line))
    options = sections.pop("Options", [])
    description = sections.pop("")
    return Source(tuple(description), tuple(options), tuple((name, tuple(each)) for name, each in sections.items()))


def page(name: str, title: str, parser: argparse.ArgumentParser, source: Source) -> Page:
    """The page of a command: each argument in the parser's words, and what there is to say of it beyond that."""
    title = re.sub(r"%%", "%", title).rstrip("?.")
    description = source.description or (Block(parser.description or ""),)
    sections = [
        ("Synopsis", (Block(_usage(parser)),)),
        ("Description", description),
        ("Options", tuple(_options(parser, source))),
    ]
    sections += source.sections
    sections.append(("See also", (Block(f"`{PROGRAM}`(1)"),)))
    return Page(f"{PROGRAM}-{name}", title, tuple(sections))


def overview(titles: Mapping[str, str], source: Source) -> Page:
    """The page of the whole program; `titles` are its commands."""
    commands = tuple(Block(title, f"`git clearml {name}`") for name, title in titles.items())
    sections = [
        ("Synopsis", (Block("`git clearml <command> [<options>]`"),)),
        ("Description", source.description),
        ("Commands", commands),
        *source.sections,
    ]
    return Page(PROGRAM, "no push without a ClearML task that ran exactly that code", tuple(sections))


def _usage(parser: argparse.ArgumentParser) -> str:
    return " ".join(parser.format_usage().removeprefix("usage:").split())


def _options(parser: argparse.ArgumentParser, source: Source) -> Iterator[Block]:
    """An entry for each argument, in the manual's words, else the parser's; flags together that these name together."""
    entries = [(re.findall(r"`(-[^`]+)`", block.item), block.text) for block in (*source.options, _HELP)]
    actions = [action for action in parser._actions if action.help != argparse.SUPPRESS]
    positionals = [action for action in actions if not action.option_strings]
    done: set[str] = set()
    for action in [*positionals, *(action for action in actions if action.option_strings)]:
        if done & {*action.option_strings}:
            continue
        texts = [text for flags, text in entries if set(flags) & set(action.option_strings)]
        named = {flag for flags, _ in entries for flag in flags if set(flags) & set(action.option_strings)}
        group = [action, *(each for each in actions if each is not action and named & set(each.option_strings))]
        done |= {flag for each in group for flag in each.option_strings}
        helps = "; ".join(dict.fromkeys(_help(each) for each in group if _help(each)))
        yield Block(" ".join(texts) or _sentence(helps), ", ".join(map(_invocation, group)))


def _sentence(text: str) -> str:
    text = text[:1].upper() + text[1:]
    return text if not text or text.endswith((".", "?", ")")) else f"{text}."


def _help(action: argparse.Action) -> str:
    """The help of an argument, its %(default)s and the like filled in."""
    values = {**vars(action), "prog": PROGRAM}
    return (action.help or "") % values if "%" in (action.help or "") else action.help or ""


def _invocation(action: argparse.Action) -> str:
    """`-n`, `--max-count` N."""
    choices = "|".join(map(str, action.choices)) if action.choices else ""
    if not action.option_strings:
        return str(action.metavar or choices or action.dest)
    value = "" if action.nargs == 0 else f" {action.metavar or choices or action.dest.upper()}"
    return ", ".join(f"`{flag}`" for flag in action.option_strings) + value


def roff(shown: Page) -> str:
    """The page for man(1): man(7) macros alone."""
    lines = [f'.TH {shown.name.upper()} 1 "" "git-clearml" "Git Manual"', ".SH NAME"]
    lines.append(f"{_roff(shown.name)} \\- {_roff(shown.title)}")
    for heading, blocks in shown.sections:
        lines.append(f".SH {heading.upper()}")
        for number, block in enumerate(blocks):
            if block.item:
                lines += [".TP", _roff(block.item)]
            elif number:
                lines.append(".PP")
            lines.append(_roff(block.text))
    return "\n".join(lines) + "\n"


def _roff(text: str) -> str:
    """Text as roff: what stands in backticks is bold, what stands in <> italic."""
    text = text.replace("\\", "\\e").replace("-", "\\-")
    text = re.sub(r"`([^`]*)`", lambda match: f"\\fB{match[1]}\\fR", text)
    text = "".join(chr_ if ord(chr_) < 128 else f"\\[u{ord(chr_):04X}]" for chr_ in text)
    return f"\\&{text}" if text.startswith((".", "'")) else text


def text(shown: Page, *, width: int = 80, colour: bool = False) -> str:
    """The page as man(1) would show it, for where there is none."""
    lines = [*_heading("Name", colour), *_wrapped(f"`{shown.name}` - {shown.title}", _INDENT, width, colour)]
    for heading, blocks in shown.sections:
        lines += ["", *_heading(heading, colour)]
        for number, block in enumerate(blocks):
            if number:
                lines.append("")
            if block.item:
                lines += _wrapped(block.item, _INDENT, width, colour)
            lines += _wrapped(block.text, _INDENT + (4 if block.item else 0), width, colour)
    return "\n".join(lines) + "\n"


def indented(words: str, indent: int) -> str:
    """A paragraph in lines of 78 characters, without the marks of code."""
    return "\n".join(_wrapped(words, indent, 78, False))


def _heading(words: str, colour: bool) -> list[str]:
    return [f"{_BOLD}{words.upper()}{_PLAIN}" if colour else words.upper()]


def _wrapped(words: str, indent: int, width: int, colour: bool) -> Iterator[str]:
    """Lines of the text, what is code in bold letters."""
    parts = words.split("`")
    shades = iter([number % 2 == 1 for number, part in enumerate(parts) for letter in part if letter != " "])
    room = max(min(width, 100) - indent, 20)
    for line in textwrap.wrap("".join(parts), room, break_long_words=False, break_on_hyphens=False):
        shown, bold = " " * indent, False
        for letter in line if colour else ():
            before, bold = bold, bold if letter == " " else next(shades)
            shown += ("" if bold == before else _BOLD if bold else _PLAIN) + letter
        yield shown + (_PLAIN if bold else "") if colour else shown + line
