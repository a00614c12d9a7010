"""The names that the user's ssh configuration gives to hosts: ssh_config(5), as far as it decides on a HostName.

Read here, because `ssh -G` would be a process. What this reader does not understand (`Match`, canonical names) gives no
host another name.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from fnmatch import fnmatchcase

from git_clearml.base.files import read_limited

_MOST_BYTES = 1_000_000
_MOST_FILES = 32  # that one Include may bring
_DEPTH = 4  # of Include; ssh itself allows 16

Names = list[tuple[list[str], str]]
"""(patterns of hosts, HostName), the first that fits counting."""


def read() -> Names:
    """The names in ~/.ssh/config and what it includes; none where there is no such file."""
    home = os.path.expanduser("~")
    names: Names = []
    patterns: list[str] = ["*"]
    for keyword, words in _lines(os.path.join(home, ".ssh", "config"), home, _DEPTH):
        if keyword == "host":
            patterns = words
        elif keyword == "match":
            patterns = []
        elif keyword == "hostname" and len(words) == 1 and patterns:
            names.append((patterns, words[0]))
    return names


def host_of(alias: str, names: Names) -> str:
    """The host, in lower case, that an alias means; itself where it is none."""
    alias = alias.lower()
    for patterns, name in names:
        fits = [pattern for pattern in patterns if fnmatchcase(alias, pattern.lstrip("!").lower())]
        if fits and not any(pattern.startswith("!") for pattern in fits):
            return name.replace("%%", "\0").replace("%h", alias).replace("\0", "%").lower()
    return alias


def aliases_of(host: str, names: Names) -> list[str]:
    """The names without wildcards that mean this host."""
    words = (word.lower() for patterns, _ in names for word in patterns if not set(word) & set("*?!"))
    return [word for word in dict.fromkeys(words) if word != host and host_of(word, names) == host]


def _lines(path: str, home: str, depth: int) -> Iterator[tuple[str, list[str]]]:
    """(keyword in lower case, its words), with the files that are included in their place."""
    content = read_limited(os.path.realpath(path), _MOST_BYTES)
    if isinstance(content, str):  # why it cannot be read
        return
    for line in content.decode("utf-8", "replace").split("\n"):
        keyword, words = _split(line)
        if keyword != "include":
            yield keyword, words
            continue
        from glob import glob  # rare

        for pattern in words if depth else []:
            place = os.path.join(home, ".ssh", home + pattern[1:] if pattern.startswith("~/") else pattern)
            for file in sorted(glob(place))[:_MOST_FILES]:
                yield from _lines(file, home, depth - 1)


def _split(line: str) -> tuple[str, list[str]]:
    """`Keyword value "a value"` or `Keyword=value`; ("", []) for a comment."""
    line = line.strip()
    if not line or line.startswith("#"):
        return "", []
    end = next((place for place, letter in enumerate(line) if letter in " \t="), len(line))
    rest = line[end:].strip(" \t").removeprefix("=").strip(" \t\r")
    words = rest[1:].split('"')[:1] if rest.startswith('"') else rest.split()
    return line[:end].lower(), words
