"""How hooks/pre-push may start us without the site packages of others, whose `.pth` files can take longer than we do;
and which Python has installed the hook: it runs git-clearml where that is not on PATH, as in a graphical client.

Such a start (`python -ISc`) finds nothing but the standard library and the directories that are written down here, with
what they hang on: the program on PATH, which is nothing but a way to call us as pip or uv make it, its Python, and the
installation.
A start of the usual kind writes them down, so that a change costs one of those.
"""

from __future__ import annotations

import contextlib
import os
import re
import sys
from collections.abc import Mapping

import git_clearml
from git_clearml.base.files import private_directory, read_beginning, read_limited, write_whole

_MOST = 4096  # bytes of a script, or of a path
# Each line of the scripts that pip, uv and distlib make for an entry point: whatever else is in one may matter.
_SCRIPT = re.compile(
    r"#.*|import (?:re|sys)|from git_clearml\.(?:cli|__main__) import main|sys\.exit\(main\(\)\)|sys\.argv\[0\] = .*"
    r"|(?:el)?if (?:__name__ == .__main__.|sys\.argv\[0\]\.endswith\(.*\)):|'''exec' .*|' '''|",
)
_PYTHON = ("PYTHONPATH", "PYTHONHOME")
_OURS = r"(?i)(CLEARML|TRAINS)_.*|.*_PROXY|(REQUESTS|CURL)_CA_BUNDLE|SSL_CERT_(FILE|DIR)|PATH|HOME"
_STARTED_WITH = "/proc/self/environ"  # proc(5); where there is none nobody tells


def remember(common_dir: str, environment: Mapping[str, str], program: str) -> None:
    """Writes down how what `program` has started can be started alone, where it can; else nothing is left of it.

    `program`: the `git-clearml` on PATH, or the Python that has installed the hook.
    """
    if any(environment.get(name) for name in _PYTHON):
        return  # the hook starts Python as usual then
    with contextlib.suppress(OSError):
        lines = None if _sets_variables(environment) else _lines(program)
        if lines is None:
            os.unlink(_path(common_dir))
            return
        _write(_path(common_dir), os.fsencode("\n".join([*lines, ""])))


def remember_python(common_dir: str) -> None:
    """Writes down this Python for hooks/pre-push, which reads it. Raises OSError."""
    _write(_path(common_dir, "python"), os.fsencode(sys.executable) + b"\n")


def remembered_python(common_dir: str) -> str:
    """The Python that has installed the hook, "" where none is written down, or it is gone."""
    content = read_limited(_path(common_dir, "python"), _MOST)
    python = "" if isinstance(content, str) else os.fsdecode(content.rstrip(b"\n"))
    return python if python and os.access(python, os.X_OK) else ""


def forget(common_dir: str) -> None:
    """The hook is gone, and starts nothing."""
    for name in ("python", "start"):
        with contextlib.suppress(OSError):
            os.unlink(_path(common_dir, name))


def _path(common_dir: str, name: str = "start") -> str:
    return os.path.join(common_dir, "clearml", name)


def _write(path: str, content: bytes) -> None:
    private_directory(os.path.dirname(path))
    write_whole(path, content)


def _lines(program: str) -> list[str] | None:
    """What the hook reads, a line each; None where a start of that kind could be another one. Raises OSError."""
    record, package = _record(), os.path.dirname(os.path.abspath(git_clearml.__file__))
    if not record or sys.flags.no_site or _is_patched():
        return None
    if not os.path.isabs(program) or not _is_only_ours(program, sys.argv[0]):
        return None
    places = [place for place in dict.fromkeys([*sys.path, os.path.dirname(package)]) if _is_of_packages(place)]
    lines = ["git-clearml-start 1", program, sys.executable, record, os.path.join(package, "__init__.py")]
    words = [sys.implementation.cache_tag or "", *places]
    if any("\n" in line for line in lines + words) or any(":" in word for word in words):
        return None
    return [*lines, ":".join(words)]


def _is_only_ours(program: str, script: str) -> bool:
    """Has `program` started us, and does nothing before? A wrapper, or pyenv's, may set what we depend on."""
    if script == "-c":  # the hook's own way to call a Python
        return program == sys.executable
    if not os.path.isfile(script) or not os.path.samefile(program, script):
        return False
    lines = read_beginning(os.path.realpath(program), _MOST).decode("utf-8", "replace").split("\n")
    return len(lines) < 30 and lines[0].startswith("#!") and all(_SCRIPT.fullmatch(line.strip()) for line in lines)


def _is_patched() -> bool:
    """Has a package of others put its own in the place of what we speak to servers by? Then it must be loaded."""
    import http.client
    import ssl

    wanted = {ssl.SSLContext: "ssl", http.client.HTTPSConnection: "http.client"}
    return any(kind.__module__ != module for kind, module in wanted.items())


def _sets_variables(environment: Mapping[str, str]) -> bool:
    """Has something in site packages (a `.pth` file, sitecustomize) set a variable that we go by? Raises OSError."""
    if not os.path.exists(_STARTED_WITH):
        return False
    with open(_STARTED_WITH, "rb") as file:
        pairs = [entry.partition("=") for entry in os.fsdecode(file.read()).split("\0") if entry]
    before = {name: value for name, _, value in reversed(pairs)}
    names = {name for name in (*before, *environment) if re.fullmatch(_OURS, name)}
    return any(before.get(name) != environment.get(name) for name in names)


def _is_of_packages(place: str) -> bool:
    """Is this a directory that packages are in, and not the standard library, or where a script lies?"""
    if not os.path.isabs(place) or not os.path.isdir(place) or place == os.path.dirname(os.path.abspath(sys.argv[0])):
        return False
    return not os.path.exists(os.path.join(place, "os.py")) and os.path.basename(place) != "lib-dynload"


def _record() -> str:
    """The file that every installation of us writes anew, "" where there is none."""
    name = os.path.join(f"git_clearml-{git_clearml.__version__}.dist-info", "RECORD")
    paths = (os.path.join(os.path.abspath(place), name) for place in sys.path)
    return next((path for path in paths if os.path.isfile(path)), "")
