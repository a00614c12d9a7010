"""A command line as a task's entry point: what `run --queue -- python train.py --lr 0.1` makes an agent run. Pure."""

from __future__ import annotations

import re
import shlex
from collections.abc import Sequence
from dataclasses import dataclass

from git_clearml.errors import UsageError

_PYTHON = re.compile(r"python(3(\.\d+)?)?")
_EXAMPLE = "git clearml run --queue <queue> -- python train.py"
_TESTS = ("pytest", "unittest", "nose2")


@dataclass(frozen=True)
class Entry:
    """What an agent runs: `entry_point` as a task records it, with the arguments, and a short name for it.

    `arguments` are its words behind the script or module. `module` is what follows `-m`, "" for a script. `is_test`: it
    is a test session, whose own result counts.
    """

    entry_point: str
    name: str
    module: str = ""
    arguments: tuple[str, ...] = ()

    @property
    def is_test(self) -> bool:
        return self.module in _TESTS


def entry(words: Sequence[str]) -> Entry:
    """`python FILE args` or `python -m MODULE args`, where python may be python3, python3.N, or a path to one.

    The agent splits the entry point as a shell does (clearml-agent 3.0, commands/worker.py). Raises UsageError for
    anything else: that can only run here.
    """
    hint = f"git clearml run -- {shlex.join(words)}"
    if not words or not _PYTHON.fullmatch(words[0].rpartition("/")[2]):
        what = "an agent can only run python FILE or python -m MODULE, with their arguments"
        raise UsageError(f"{what}; without --queue it runs here", hint)
    rest = list(words[1:])
    if not rest:
        raise UsageError("expected python FILE or python -m MODULE", _EXAMPLE)
    if rest[0] == "-m":
        if len(rest) < 2 or not all(part.isidentifier() for part in rest[1].split(".")):
            raise UsageError("python -m needs the name of a module", _EXAMPLE.replace("train.py", "-m package.module"))
        return Entry(shlex.join(rest), rest[1], rest[1], tuple(rest[2:]))
    if rest[0].startswith("-"):
        raise UsageError(f"an agent runs python without options ({rest[0]}); without --queue it runs here", hint)
    return Entry(shlex.join(rest), rest[0].rpartition("/")[2].removesuffix(".py"), arguments=tuple(rest[1:]))
