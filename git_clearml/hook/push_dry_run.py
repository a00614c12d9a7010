"""What a `git push` with these arguments would push, as git itself says: a dry run with a hook that writes it down."""

from __future__ import annotations

import os
import shlex
import tempfile
from collections.abc import Sequence
from pathlib import Path

from git_clearml.base.secrets import redact_words
from git_clearml.errors import CannotDecide, UsageError
from git_clearml.git.repository import Repository
from git_clearml.hook.ref_updates import Push, parse_lines, updates_to_judge

_USAGE = 129  # of git, for what it cannot parse
_CAPTURE = """#!/bin/sh
git rev-parse --absolute-git-dir >{place}/repository.$$
printf '%s\\n%s\\n' "$1" "$2" >{place}/remote.$$
cat >{place}/lines.$$
"""


def planned_pushes(repository: Repository, words: Sequence[str]) -> list[Push]:
    """A Push for each URL of the remote, by git push's own arguments. Raises CannotDecide when git cannot say,
    and UsageError for options that it does not have.

    What goes along out of submodules (`--recurse-submodules=on-demand`) is judged by their own hooks, if they have one.
    """
    with tempfile.TemporaryDirectory(prefix="git-clearml-") as place:
        hook = Path(place, "pre-push")
        hook.write_text(_CAPTURE.format(place=shlex.quote(place)))
        hook.chmod(0o700)
        result = repository.run("-c", f"core.hooksPath={place}", "push", "--dry-run", *words, remote=True, may_ask=True)
        ran = sorted(Path(place).glob("remote.*"))
        captured = [path for path in ran if _is_of(repository, path.with_name(f"repository{path.suffix}"))]
        if result.status == _USAGE and not captured:
            raise UsageError(f"git push would fail: {result.reason}", "git push -h")
        if result.status and not captured:
            again = ["git", "push", "--dry-run", *(words if redact_words(words) == tuple(words) else ())]
            raise CannotDecide(f"git push would fail: {result.reason}", shlex.join(again))
        if not captured:  # it runs on every push; not where programs may not be run
            raise CannotDecide(
                f"git push --dry-run ran no hook in {tempfile.gettempdir()}", "set TMPDIR to another directory"
            )
        return [_read(path) for path in captured]


def _is_of(repository: Repository, file: Path) -> bool:
    """Was this written in this very repository? Where git did not say, it was."""
    directory = file.read_bytes().rstrip(b"\n")
    return not directory or os.path.realpath(directory) == os.path.realpath(os.fsencode(repository.git_dir))


def _read(remote_file: Path) -> Push:
    """What the hook wrote down: the remote in one file, the lines in the one beside it."""
    remote, url = remote_file.read_text("utf-8", "surrogateescape").split("\n")[:2]
    lines_file = remote_file.with_name(remote_file.name.replace("remote", "lines"))
    lines = parse_lines(lines_file.read_text("utf-8", "surrogateescape"))
    return Push(remote, url, updates_to_judge(lines))
