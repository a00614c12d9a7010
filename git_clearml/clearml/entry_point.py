"""Which files of a commit a task's recorded entry point can be. Pure."""

from __future__ import annotations

import posixpath
import re
import shlex

# What the SDK records for distributed runs names the launcher first and the launched script last
# (clearml 2.1, ScriptInfo._detect_distributed_execution).
_LAUNCHERS = ("torch.distributed.", "accelerate.commands.")


def entry_paths(entry_point: str, working_dir: str) -> tuple[str, ...]:
    """Paths from the repository's root, any of which must exist; empty when no file of a commit can be meant.

    `entry_point` is `script.entry_point` as recorded (a script with arguments, or `-m module arguments`) and
    `working_dir` is `script.working_dir`, both seen as POSIX paths. Absolute paths, paths above the root, and
    an empty entry point name nothing inside a commit.
    """
    words = _words(entry_point)
    if not words:
        return ()
    if words[0] != "-m":
        names = [words[0]] if words[0] == entry_point.strip() else [words[0], entry_point.strip()]
    elif len(words) == 1:
        return ()
    elif words[1].startswith(_LAUNCHERS):
        names = [words[-1], *_module_files(words[-1])] if len(words) > 2 else []
    else:
        names = _module_files(words[1])
    paths = (_inside(working_dir, name) for name in names if name)
    return tuple(dict.fromkeys(path for path in paths if path))


def _words(entry_point: str) -> list[str]:
    """Shell words; what no shell could read (an unclosed quote in an argument) is split at white space.

    A backslash that escapes no space or quote is one between the folders of a Windows path.
    """
    entry_point = re.sub(r"\\(?![\s'\"])", "/", entry_point)
    try:
        return shlex.split(entry_point)
    except ValueError:
        return entry_point.split()


def _module_files(module: str) -> list[str]:
    parts = module.split(".")
    if not all(part.isidentifier() for part in parts):
        return []
    return ["/".join(parts) + ".py", "/".join(parts) + "/__main__.py"]


def _inside(working_dir: str, name: str) -> str:
    """The path from the root, or "" when it leads out of the repository."""
    directory = working_dir.strip() or "."
    if "\\" in directory + name:  # recorded on Windows
        directory, name = directory.replace("\\", "/"), name.replace("\\", "/")
    if posixpath.isabs(directory) or posixpath.isabs(name) or "\0" in directory + name or "\n" in directory + name:
        return ""
    try:
        (directory + name).encode("utf-8", "surrogateescape")
    except UnicodeEncodeError:  # half a surrogate pair, which JSON can carry and no file system
        return ""
    path = posixpath.normpath(posixpath.join(directory, name))
    return "" if path in (".", "..") or path.startswith("../") else path
