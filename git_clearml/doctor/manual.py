"""Does man(1) find our pages? `git clearml --help` is git's own to answer, and git asks man; uv links no page."""

from __future__ import annotations

import os
import shlex
import shutil
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path

from git_clearml.report.diagnosis import Check, Repair

_OVERVIEW, _PAGES = "git-clearml.1", "git*clearml*.1"
_ALWAYS = ("/usr/share/man", "/usr/local/share/man")


def examine(environment: Mapping[str, str], prefix: str = sys.prefix) -> list[Check]:
    """A warning where this installation has pages, git finds the program, and man does not find the pages."""
    path, pages = environment.get("PATH", ""), Path(prefix, "share", "man")
    program = shutil.which("git-clearml", path=path)
    if not program or not shutil.which("man", path=path) or not (pages / "man1" / _OVERVIEW).is_file():
        return []
    if any(_has_page(place) for place in _places(environment)):
        return []
    words = f"man does not look in {pages}, so git clearml --help shows no page; git-clearml --help does"
    links = Path(os.path.dirname(os.path.dirname(os.path.abspath(program))), "share", "man")
    if links not in _places(environment) or not _writable(links):
        return [Check("manual", "warn", words, f'export MANPATH={shlex.quote(str(pages))}:"$MANPATH"')]
    source, target = pages / "man1", links / "man1"
    there = shlex.quote(str(target))
    command = f"mkdir -p {there} && ln -sf {shlex.quote(str(source))}/{_PAGES} {there}"
    repair = Repair(f"link the pages of {source} in {target}", lambda: _link(source, target), outside=True)
    return [Check("manual", "warn", words, command, repair)]


def _places(environment: Mapping[str, str]) -> Iterator[Path]:
    """Where man looks: $MANPATH; where that has an empty part, beside each directory of PATH (manpath(1))."""
    parts = environment.get("MANPATH", "").split(":")
    yield from (Path(part) for part in parts if part)
    if "" not in parts:
        return
    yield from map(Path, _ALWAYS)
    for directory in filter(os.path.isabs, environment.get("PATH", "").split(os.pathsep)):
        for beside in (os.path.dirname(directory.rstrip("/")), directory):
            yield Path(beside, "man")
            yield Path(beside, "share", "man")


def _has_page(place: Path) -> bool:
    return any(
        page.is_file() for page in (place / "man1").glob(f"{_OVERVIEW}*")
    )  # .gz, where a distribution packs them


def _writable(directory: Path) -> bool:
    """May we make this directory, or write into it?"""
    there = next(parent for parent in (directory / "man1", directory, *directory.parents) if parent.exists())
    return there.is_dir() and os.access(there, os.W_OK | os.X_OK)


def _link(source: Path, target: Path) -> None:
    """A link for each page; a file of somebody's stays. Raises OSError."""
    target.mkdir(parents=True, exist_ok=True)
    for page in sorted(source.glob(_PAGES)):
        link = target / page.name
        if link.is_symlink():
            link.unlink()
        if not link.exists():
            link.symlink_to(page)
