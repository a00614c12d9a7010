"""How the Markdown of one forge differs from another's: what it hides, folds and draws, and how much it takes. Pure.

A page is written for GitHub; `adapted` makes of it what another forge shows in the same way. The `<` of a page are its
own: none comes through `markdown.escape`.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass

from git_clearml.base.markdown import GUARD

_CODE = re.compile(r"(?<![\\`])(`+)(?!`).+?(?<!`)\1(?!`)", re.DOTALL)
_DOLLAR = "<span>$</span>"  # as markdown.escape writes it for GitHub


def _html_comment(name: str, value: str) -> str:
    return f"<!-- {name}: {value} -->"


@dataclass(frozen=True)
class Flavour:
    """The Markdown of a forge's comments.

    `limit` is in characters. `hidden` makes a line that nobody sees of a name and a value of no more than letters,
    digits, spaces and `._/+=-`. A commit's page is below `commits` of its repository's. `draws` where a Mermaid
    block is drawn. `adapted` is the last step: what it makes longer, `limit` leaves room for.
    """

    limit: int
    hidden: Callable[[str, str], str] = _html_comment
    draws: bool = True
    commits: str = "commit"
    adapted: Callable[[str], str] = lambda page: page

    def hidden_value(self, line: str, name: str) -> str | None:
        """What a line of `hidden` holds under this name, None for another line."""
        before, after = self.hidden(name, "\0").split("\0")
        ours = len(line) >= len(before) + len(after) and line.startswith(before) and line.endswith(after)
        return line[len(before) : len(line) - len(after)] if ours else None


GITHUB = Flavour(65_536)


def _outside_code(page: str, change: Callable[[str], str]) -> str:
    """The page with all of it changed that is no code."""
    pieces, end = [], 0
    for code in _CODE.finditer(page):
        pieces += [change(page[end : code.start()]), code[0]]
        end = code.end()
    return "".join([*pieces, change(page[end:])])


def _for_gitlab(page: str) -> str:
    """GitLab's parser makes mathematics of `$...$`, whatever tag stands there, and a later filter links any scheme.

    lib/banzai/filter/markdown_engines/glfm_markdown.rb (math_dollars) and autolink_filter.rb of gitlab-org/gitlab
    """
    return _outside_code(page, lambda text: text.replace(_DOLLAR, "\\$").replace("\\://", f"\\:{GUARD}//"))


_BRACKETS = {"\\(": "&#40;", "\\)": "&#41;", "\\[": "&#91;", "\\]": "&#93;"}


def _for_gitea(page: str) -> str:
    r"""Gitea makes mathematics of `$...$`, `\(...\)` and `\[...\]`: modules/markup/markdown/math of go-gitea/gitea."""

    def change(text: str) -> str:
        return re.sub(r"\\[()\[\]]", lambda match: _BRACKETS[match[0]], text.replace(_DOLLAR, "\\$"))

    return _outside_code(page, change)


GITLAB = Flavour(800_000, adapted=_for_gitlab)  # of 1,000,000
GITEA = Flavour(65_536, adapted=_for_gitea)  # it has no limit of its own


def _definition(name: str, value: str) -> str:
    """A link reference definition that nothing refers to: where HTML comments are shown, it is not."""
    return f"[{name}]: #{value.replace(' ', '%20')}"


_MOST_UNFOLDED = 25  # lines
_FOLD = re.compile(r"<details><summary>([^\n]*)</summary>\n\n(.*?)\n*</details>", re.DOTALL)
_HTML = re.compile(r"</?(?:sub|span)>")
_JIRA = re.compile(r"(?<=[A-Za-z0-9_])\\-(?=\d)")  # ABC-123, which a connected Jira makes a link of
_ESCAPED = re.compile(r"\\(.)", re.DOTALL)


def _without_html(page: str) -> str:
    """Of what would be folded the beginning; a colon without the backslash that would be seen."""

    def change(text: str) -> str:
        text = _JIRA.sub(f"-{GUARD}", _HTML.sub("", text))
        return _ESCAPED.sub(lambda escaped: _colon(escaped) if escaped[1] == ":" else escaped[0], text)

    return _outside_code(_FOLD.sub(_unfolded, page), change)


def _unfolded(fold: re.Match[str]) -> str:
    lines = fold[2].split("\n")
    left_out = len(lines) - _MOST_UNFOLDED
    rest = ["", f"*{left_out:,} more lines are left out here.*"] if left_out > 1 else lines[_MOST_UNFOLDED:]
    return "\n".join([f"**{fold[1]}**", "", *lines[:_MOST_UNFOLDED], *rest, ""])


def _colon(escaped: re.Match[str]) -> str:
    """No text becomes an address by losing a backslash."""
    return ":" + (GUARD if escaped.string[escaped.end() : escaped.end() + 1] in ("/", "\\") else "")


BITBUCKET = Flavour(32_768, _definition, draws=False, commits="commits", adapted=_without_html)
"""It shows HTML as text, and knows link reference definitions: https://bitbucket.org/tutorials/markdowndemo"""
