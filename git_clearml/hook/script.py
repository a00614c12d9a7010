"""The hook as this version ships it, and what to paste into a hook of one's own."""

from __future__ import annotations

import os
import re
import shlex
from pathlib import Path

from git_clearml.errors import NotARepository

MARK = re.compile(rb"^# git-clearml-hook: (\d+)$", re.MULTILINE)
"""The line by which our hook is recognised, with the number of its version."""

MANUAL = """\
# git-clearml: no push without a ClearML task that ran exactly that code.
# It reads the lines that git writes to the hook's stdin; whatever else reads them needs a copy (lines=$(cat)).
if command -v git-clearml >/dev/null 2>&1; then
    git-clearml hook pre-push "$@" || exit $?
else
    echo "git-clearml is not on PATH, so nothing can be verified" >&2
    exit 3
fi

# husky:    the lines above in .husky/pre-push
# lefthook: pre-push:
#             commands:
#               git-clearml:
#                 run: git-clearml hook pre-push {1} {2}
#                 use_stdin: true
"""


def text(name: str = "pre-push") -> bytes:
    """Our hook of that name: beside the package's rooms in a wheel, in hooks/ in a checkout."""
    package = Path(__file__).resolve().parents[1]
    for path in (package / "hooks" / name, package.parent / "hooks" / name):
        if path.is_file():
            return path.read_bytes()
    raise NotARepository("this installation of git-clearml lacks its hook", "install it again, from where it came")


def version(name: str = "pre-push") -> int:
    """The number in the shipped hook."""
    match = MARK.search(text(name))
    return int(match[1]) if match else 0


def with_python(hook: bytes, python: str) -> bytes:
    """The git server's hook with the Python that runs it, "" for git-clearml on PATH."""
    return _PYTHON.sub(lambda match: b"python=" + os.fsencode(shlex.quote(python) if python else "") + match[2], hook)


def python_in(hook: bytes) -> str:
    """The Python that a git server's hook names, "" for none."""
    match = _PYTHON.search(hook)
    words = shlex.split(os.fsdecode(match[1])) if match else []
    return words[0] if words else ""


_PYTHON = re.compile(rb"^python=(.*)( # of the installation;.*)$", re.MULTILINE)
