"""Looks at the index, the working tree and git's settings for what differences.py judges. Changes nothing."""

from __future__ import annotations

import codecs
import os
import re
import time
from collections.abc import Iterable, Iterator, Sequence

from git_clearml.doctor.differences import Setting, Tracked
from git_clearml.errors import CannotDecide
from git_clearml.git.output import decode, entries, stdin_entries, stdin_lines
from git_clearml.git.quarantine import quarantine
from git_clearml.git.repository import Repository

_SECONDS = 3.0  # for reading the tracked files
_EACH = 5.0  # seconds for a program that is tried
_PROGRAMS_SECONDS = 10.0  # after which no other one is
_MOST = 1_000_000  # bytes of a file
_MOST_PATHS = 1000  # that are compared with the index
_BINARY = 8000  # bytes in which git looks for a NUL (xdiff-interface.c)
_PROGRAMS = re.compile(r"(filter\.(?P<filter>.+)\.(?:clean|process)|diff\.(?P<diff>.+)\.(?:textconv|command))", re.S)
_KNOWN = ("lfs", "annex", "git-crypt")  # filters: they hide no change, and two of them store all content
_MORE = b"\ngit_clearml_tried_this = 1\n"


def settings(repository: Repository) -> list[Setting]:
    """Every setting of git config with its scope and its file. Raises CannotDecide."""
    base = repository.top or repository.git_dir
    out = repository.read("-C", base, "config", "--list", "--show-scope", "--show-origin", "-z")
    parts = decode(out).split("\0")
    triples = zip(parts[::3], parts[1::3], parts[2::3], strict=False)
    return [
        Setting(scope, *entry.partition("\n")[::2], os.path.join(base, origin[5:]) if origin[:5] == "file:" else "")
        for scope, origin, entry in triples
    ]


def look(repository: Repository, configured: Sequence[Setting]) -> Tracked:
    """What the index and the working tree hold. Raises CannotDecide where git cannot tell."""
    top = repository.top
    listing = entries(repository.read("-C", top, "ls-files", "-v", "-s", "-z"))
    files, names = {}, {}
    hidden: dict[str, list[str]] = {"assume-unchanged": [], "skip-worktree": []}
    submodules = []
    for entry in listing:
        facts, _, path = entry.partition("\t")
        tag, mode, name, stage = facts.split(" ")
        if mode == "160000":
            submodules.append(path)
            continue
        if mode == "120000" or stage != "0":
            continue
        files[path], names[path] = mode, name
        bits = [bit for bit, has in (("assume-unchanged", tag.islower()), ("skip-worktree", tag in "Ss")) if has]
        for bit in bits:
            if os.path.lexists(os.path.join(top, path)):
                hidden[bit].append(path)
    odd, seen_all = _not_utf8(top, files)
    odd = _shown_as_text(repository, odd)
    drivers, constant = _programs(repository, configured, list(files))
    called, ignores = _gitmodules(repository)
    return Tracked(
        {bit: tuple(paths) for bit, paths in hidden.items() if paths},
        _changed(repository, [*hidden["assume-unchanged"], *hidden["skip-worktree"], *odd], names),
        tuple(odd),
        seen_all,
        tuple(called.get(path, path) for path in submodules),
        ignores,
        drivers,
        constant,
    )


def _not_utf8(top: str, paths: Iterable[str]) -> tuple[list[str], bool]:
    """The texts among the files that are no UTF-8, and whether there was time for all of them."""
    end = time.monotonic() + _SECONDS
    odd: list[str] = []
    for path in paths:
        if time.monotonic() > end:
            return odd, False
        content = _content(top, path)
        if content.isascii() or b"\0" in content[:_BINARY]:
            continue
        try:
            codecs.getincrementaldecoder("utf-8")().decode(content, final=len(content) < _MOST)
        except UnicodeDecodeError:
            odd.append(path)
    return odd, True


def _content(top: str, path: str) -> bytes:
    try:
        with open(os.path.join(top, path), "rb") as file:
            return file.read(_MOST)
    except OSError:
        return b""


def _changed(repository: Repository, paths: Sequence[str], names: dict[str, str]) -> frozenset[str]:
    """Those of the files whose content is not what the index names."""
    plain = [path for path in dict.fromkeys(paths) if "\n" not in path][:_MOST_PATHS]
    if not plain:
        return frozenset()
    hashed = repository.run("-C", repository.top, "hash-object", "--stdin-paths", stdin=stdin_lines(plain)).lines
    return frozenset(path for path, name in zip(plain, hashed, strict=False) if names[path] != name)


def _attributes(repository: Repository, paths: Sequence[str]) -> Iterator[tuple[str, str, str]]:
    """(path, attribute, value) of `diff` and `filter`, where they are set to something. Raises CannotDecide."""
    words = ("-C", repository.top, "check-attr", "-z", "--stdin", "diff", "filter")
    out = repository.read(*words, stdin=stdin_entries(paths))
    parts = decode(out).split("\0")
    for path, attribute, value in zip(parts[::3], parts[1::3], parts[2::3], strict=False):
        if value != "unspecified":
            yield path, attribute, value


def _shown_as_text(repository: Repository, paths: list[str]) -> list[str]:
    """Those of the files of which a diff shows the content."""
    if not paths:
        return []
    binary = {
        path for path, attribute, value in _attributes(repository, paths) if (attribute, value) == ("diff", "unset")
    }
    return [path for path in paths if path not in binary]


def _programs(
    repository: Repository, configured: Sequence[Setting], paths: Sequence[str]
) -> tuple[frozenset[str], dict[str, str]]:
    """The diff drivers of tracked files, and the programs that were tried and hide a change -> the file.

    Without a program in git's settings nothing is asked; those are not tried that keep what they get.
    """
    keys = {match[0]: match for setting in configured if (match := _PROGRAMS.fullmatch(setting.key))}
    wanted = {key: match for key, match in keys.items() if match["filter"] not in _KNOWN}
    if not wanted:
        return frozenset(), {}
    first: dict[tuple[str, str], str] = {}
    for path, attribute, value in _attributes(repository, paths):
        first.setdefault((attribute, value), path)
    constant, end = {}, time.monotonic() + _PROGRAMS_SECONDS
    for key, match in wanted.items():
        path = first.get(("filter", match["filter"]) if match["filter"] else ("diff", match["diff"]), "")
        is_tried = path and not key.endswith(".command") and time.monotonic() < end
        if is_tried and _is_constant(repository, match["diff"] or "", path):
            constant[key] = path
    return frozenset(value for attribute, value in first if attribute == "diff"), constant


def _is_constant(repository: Repository, driver: str, path: str) -> bool:
    """Does the program give the same for the file's content and for a longer one? What fails is no answer."""
    content = _content(repository.top, path)
    try:
        if not driver:  # the name of the content after the filters of this path
            words = ("-C", repository.top, "hash-object", f"--path={path}", "--stdin")
            contents = (content, content + _MORE)
            answers = [repository.run(*words, stdin=each, timeout=_EACH).stdout for each in contents]
        else:
            answers = _converted(repository, driver, path, (content, content + _MORE))
    except (CannotDecide, OSError):
        return False
    return bool(answers[0]) and answers[0] == answers[1]


def _converted(repository: Repository, driver: str, path: str, contents: Sequence[bytes]) -> list[bytes]:
    """What the textconv of this path makes of contents; nothing of them is kept."""
    top, converted = ("-C", repository.top), []
    with quarantine(repository) as apart:
        for content in contents:
            write = (*top, "hash-object", "-w", "--no-filters", "--stdin")
            written = repository.run(*write, stdin=content, env=apart.environment).text
            words = ("-c", f"diff.{driver}.cachetextconv=false", "cat-file", "--textconv", f"--path={path}", written)
            result = repository.run(*top, *words, env=apart.environment, timeout=_EACH)
            if result.status:
                raise CannotDecide(f"the textconv of {path} failed: {result.reason}")
            converted.append(b"as: " + result.stdout)
    return converted


def _gitmodules(repository: Repository) -> tuple[dict[str, str], dict[str, str]]:
    """Path -> name of the submodules, and name -> what .gitmodules says of `ignore`."""
    listed = repository.run("-C", repository.top, "config", "--file", ".gitmodules", "--list", "-z").entries
    names, ignores = {}, {}
    for entry in listed:
        key, _, value = entry.partition("\n")
        name = key.removeprefix("submodule.").rpartition(".")[0]
        if key.endswith(".path"):
            names[value] = name
        elif key.endswith(".ignore"):
            ignores[name] = value
    return names, ignores
