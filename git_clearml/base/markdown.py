"""Text from elsewhere as Markdown that shows it and does nothing. Pure."""

from __future__ import annotations

import re
from urllib.parse import quote

from git_clearml.base.sanitize import sanitize

_SPECIAL = re.compile(r"([\\`*_{}\[\]()#+\-.!|~:])")


# What the forges make links, emoji, diffs or other things of after the Markdown is parsed, where a backslash no longer
# helps: @team, #1, GH-1, :tada: and GitLab's !1 $1 &1 %name ~label *iteration: [vulnerability:1] [[_TOC_]] {+x+}. The
# guard stands behind the match and cannot be seen. Table with sources: tests/unit/render/test_hostile_names.py.
_REFERENCE = re.compile(
    r"@|[#!$&](?=\d)|%(?=\S)|~(?=\S|$)|\bg[hl]-(?=\d)|:(?=[\w+-]+(?::|$))|\*(?=iteration:)"
    r"|\[(?=[a-z_]+:|[+\-\[]|_?toc|[ x~]\])|\{(?=[+-])",
    re.IGNORECASE,
)
_PROJECT = re.compile(r"(?<=\w)(?=>)")  # group/project>


GUARD = "\N{ZERO WIDTH NON-JOINER}"


def escape(text: str, limit: int = 200) -> str:
    """Text from elsewhere as Markdown that shows it and does nothing: no HTML, mention, link or table cell."""
    text = " ".join(sanitize(text, limit).split())
    text = _PROJECT.sub(GUARD, _REFERENCE.sub(lambda match: match[0] + GUARD, text))
    text = text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
    return _SPECIAL.sub(r"\\\1", text).replace("$", "<span>$</span>")  # GitHub's way to say: no mathematics


def link(text: str, url: str) -> str:
    """A Markdown link where the URL is one for a browser, else only the (already escaped) text."""
    return f"[{text}](<{_link(url)}>)" if url.startswith(("http://", "https://")) else f"**{text}**"


def _link(url: str) -> str:
    """A URL for between `<` and `>`, where neither a table nor an entity can take it apart."""
    kept = re.sub(
        r"[^\w\-.~:/?#@!$&'()*+,;=%]", lambda match: quote(match[0], safe=""), sanitize(url, 500), flags=re.ASCII
    )
    return kept.replace("&", "&amp;")


def code(text: str) -> str:
    """Text as a code span that no backtick in it can end. Not for table cells."""
    text = sanitize(text, 500)
    fence = "`" * (max((len(run) for run in re.findall("`+", text)), default=0) + 1)
    pad = " " if text.startswith("`") or text.endswith("`") else ""
    return f"{fence}{pad}{text}{pad}{fence}"
