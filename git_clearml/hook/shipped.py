"""The hook as this version ships it, and what to paste into a hook of one's own."""

from __future__ import annotations

import re
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


def text() -> bytes:
    """Our hook: beside the package's rooms in a wheel, in hooks/ in a checkout."""
    package = Path(__file__).resolve().parents[1]
    for path in (package / "hooks" / "pre-push", package.parent / "hooks" / "pre-push"):
        if path.is_file():
            return path.read_bytes()
    raise NotARepository("this installation of git-clearml lacks its hook", "pip install --force-reinstall git-clearml")


def version() -> int:
    """The number in the shipped hook."""
    match = MARK.search(text())
    return int(match[1]) if match else 0
