"""Which files of a commit a task's recorded entry point can be. Pure.

What the SDK records is in its backend_interface/task/repo/scriptinfo.py (clearml 1.9 to 2.1): the script as seen from
the working directory, without its arguments and without quotes; of `python -m` the module with its arguments; of a
distributed run `-m`, the launcher with its options, and the script last.
"""

from __future__ import annotations

import functools
import posixpath
import re
import shlex
from collections.abc import Sequence
from typing import NamedTuple

_LAUNCHERS = ("torch.distributed.", "accelerate.commands.")
_BLANKS = 12  # of a path, or between the words after a launcher, at which it may begin or end
_PROGRAM = (  # compiled when used
    r"(?P<environment>.+)/(?:bin|Scripts)/(?P<name>[^/]+?)(?:\.exe|-script\.pyw?)?"
)
_PACKAGES = r"(?i)(?P<environment>.+)/lib(?:64)?/(?:python[^/]*/)?(?:site|dist)-packages/.+"

INSTALLED = "which is a file of an environment with packages, not of the repository"
"""What is said of an entry point that only a run record can vouch for."""


class Installed(NamedTuple):
    """What an environment with packages holds: the environment's folder, from the repository's root, and the name of
    the console script, "" for a file of a package."""

    environment: str
    script: str


@functools.lru_cache(maxsize=1024)
def entry_paths(entry_point: str, working_dir: str) -> tuple[str, ...]:
    """Paths from the repository's root, any of which must exist; empty when no file of a commit can be meant.

    `entry_point` is `script.entry_point` as recorded (a script with arguments, or `-m module arguments`) and
    `working_dir` is `script.working_dir`, both seen as POSIX paths. Absolute paths, paths above the root, and
    an empty entry point name nothing inside a commit. A folder means its `__main__.py`.
    """
    words = _words(entry_point)
    if not words or words == ("-m",):
        return ()
    if words[0] != "-m":
        names = _scripts(words[0], entry_point)
    elif words[1].startswith(_LAUNCHERS):
        names = _launched(words, entry_point)
    else:
        names = [*module_files(entry_point)]
    paths = (inside(working_dir, name) for name in names if name)
    return tuple(dict.fromkeys(path for path in paths if path))


def module_of(entry_point: str) -> str:
    """The module that a `-m` entry point names, "" for a script. Of a distributed run it is the launched one."""
    words = _words(entry_point)
    if len(words) < 2 or words[0] != "-m":
        return ""
    module = words[-1] if words[1].startswith(_LAUNCHERS) else words[1]
    return module if all(part.isidentifier() for part in module.split(".")) else ""


def arguments_of(entry_point: str, working_dir: str, path: str) -> tuple[str, ...]:
    """What follows in the entry point where this path (see `usual_paths`) is what it names."""
    words, whole = _words(entry_point), entry_point.strip()
    if words[:1] == ("-m",):
        return () if words[1:2] and words[1].startswith(_LAUNCHERS) else words[2:]
    ends = [match.start() for match in re.finditer(r"[ \t]+", whole)][:_BLANKS]
    first = [(word, words[1:]) for word in words[:1]]
    for name, rest in [*first, *((whole[:end], _words(whole[end:])) for end in ends)]:
        if path in (inside(working_dir, each) for each in (name, *_main_of(name)) if each):
            return rest
    return ()


def module_files(entry_point: str) -> tuple[str, ...]:
    """The files that the module of a `-m` entry point may be, seen from a package root."""
    path = module_of(entry_point).replace(".", "/")
    return (f"{path}.py", f"{path}/__main__.py") if path else ()


def usual_paths(entry_point: str, working_dir: str) -> list[str]:
    """Where it is in most repositories: as the working directory says; a module also at the root or below `src`."""
    paths = [*entry_paths(entry_point, working_dir)]
    if is_outside(entry_point, working_dir):
        return paths
    paths += [path for root in (".", "src") for file in module_files(entry_point) if (path := inside(root, file))]
    return list(dict.fromkeys(paths))


def is_script(path: str, entry_point: str, working_dir: str) -> bool:
    """May the entry point be this file, or the package in this folder? The path is seen from the repository's root."""
    own = posixpath.normpath(path)
    return not {own, f"{own}/__main__.py"}.isdisjoint(usual_paths(entry_point, working_dir))


def installed(entry_point: str, working_dir: str) -> Installed | None:
    """What is meant where the entry point lies in an environment inside of the working tree, None for all else.

    A console script is recorded as the file in `bin` or `Scripts` that starts it; a notebook that is executed without a
    server as the kernel's own file in `site-packages`.
    """
    words = _words(entry_point)
    path = inside(working_dir, words[0]) if words and words[0] != "-m" else ""
    if match := re.fullmatch(_PACKAGES, path):
        return Installed(match["environment"], "")
    match = re.fullmatch(_PROGRAM, path)
    return Installed(match["environment"], match["name"]) if match else None


def is_outside(entry_point: str, working_dir: str) -> bool:
    """Is it no path, or one that leads out of the repository: absolute, or above its root? So is a module there."""
    words = _words(entry_point)
    if not words or not words[0]:
        return True
    path = _path(working_dir, "." if words[0] == "-m" else words[0])
    return path is not None and (posixpath.isabs(path) or _has_drive(path) or f"{path}/".startswith("../"))


def is_program(entry_point: str) -> bool:
    """Does it look like what is installed with an interpreter: a console script, or a file of a package?"""
    path = "/./" + (_words(entry_point) or ("",))[0]
    return bool(re.fullmatch(_PROGRAM, path) or re.fullmatch(_PACKAGES, path))


def names_outside(command: Sequence[str], entry_point: str, working_dir: str) -> bool:
    """Does a command name the file that a task ran by a path that leads out of the repository?"""
    name = posixpath.basename((_words(entry_point) or ("",))[0])
    words = (word.replace("\\", "/") for word in command[1:])
    return any(posixpath.basename(word) == name and is_outside(shlex.quote(word), working_dir) for word in words)


def _scripts(first: str, entry_point: str) -> list[str]:
    """A script's path: the first shell word; else a path with blanks, followed by arguments or not."""
    if not first:
        return []
    whole = entry_point.strip()
    names = [first]
    if first != whole:
        ends = [match.start() for match in re.finditer(r"[ \t]+", whole)][:_BLANKS]
        names += [*(whole[:end] for end in ends), whole]
    return [path for name in names for path in (name, *_main_of(name))]


def _launched(words: Sequence[str], entry_point: str) -> list[str]:
    """What a launcher starts: its last word, or words, since a path with blanks is recorded without quotes."""
    if len(words) < 3:
        return []
    options = entry_point.strip().split(None, 2)[2]
    starts = [match.end() for match in re.finditer(r"[ \t]+", options)][-_BLANKS:]
    names = [words[-1], *(options[start:] for start in [*starts[::-1], 0])]
    return [*(path for name in names for path in (name, *_main_of(name))), *module_files(entry_point)]


def _main_of(name: str) -> tuple[str, ...]:
    """What Python runs of a folder."""
    return () if name.lower().endswith((".py", ".ipynb")) else (f"{name.rstrip('/')}/__main__.py",)


@functools.lru_cache(maxsize=1024)
def _words(entry_point: str) -> tuple[str, ...]:
    """Shell words; what no shell could read (an unclosed quote in an argument) is split at white space.

    A backslash that escapes no space or quote is one between the folders of a Windows path.
    """
    entry_point = re.sub(r"\\(?![\s'\"])", "/", entry_point)
    try:
        return tuple(shlex.split(entry_point))
    except ValueError:
        return tuple(entry_point.split())


def inside(working_dir: str, name: str) -> str:
    """The path from the root, or "" when it leads out of the repository."""
    path = _path(working_dir, name)
    outside = path is None or path in (".", "..") or path.startswith(("../", "/")) or _has_drive(path)
    return "" if outside or path is None else path


def _path(working_dir: str, name: str) -> str | None:
    """The path from the root, which may lead out of the repository; None for what git could not be asked for."""
    directory = working_dir.strip() or "."
    if "\\" in directory + name:  # recorded on Windows
        directory, name = directory.replace("\\", "/"), name.replace("\\", "/")
    if "\0" in directory + name or "\n" in directory + name:
        return None
    try:
        (directory + name).encode("utf-8", "surrogateescape")
    except UnicodeEncodeError:  # half a surrogate pair, which JSON can carry and no file system
        return None
    return posixpath.normpath(name if _has_drive(name) else posixpath.join(directory, name))


def _has_drive(path: str) -> bool:
    return path[1:3] == ":/" and path[0].isalpha()
