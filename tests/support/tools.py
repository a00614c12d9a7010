"""Programs that not every machine has: a test says which it needs, and is skipped, by name, where they are missing.

`@pytest.mark.needs("git-lfs")` on a test, or `mark=needs("busybox")` on one of its parameters. With REQUIRE_TOOLS=1 a
missing program fails the test instead: CI installs all of them and then wants every test to run. `needs("git 2.38")`
asks for a version, `needs("git remote-https")` for what git may have been built without.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from collections import Counter
from collections.abc import Iterable, Sequence

import pytest

_REASON = "not installed: "


def needs(*tools: str) -> pytest.MarkDecorator:
    """The mark, for parameters and for `pytestmark`."""
    return pytest.mark.needs(*tools)


def where_there_is(tool: str) -> pytest.MarkDecorator:
    """The mark for what few machines have, CI's perhaps not among them: skipped there as well."""
    return pytest.mark.skipif(shutil.which(tool) is None, reason=_REASON + tool)


def require(*tools: str) -> None:
    """Skips the test that runs, or fails it with REQUIRE_TOOLS=1, when one of these programs is not on PATH."""
    lack([tool for tool in tools if not _is_there(tool)])


def _is_there(tool: str) -> bool:
    """A program on PATH, one of git's own (`git remote-https`), or git of at least a version (`git 2.38`)."""
    program, _, more = tool.partition(" ")
    if shutil.which(program) is None or not more:
        return shutil.which(program) is not None
    if more[0].isdigit():
        words = subprocess.run([program, "version"], capture_output=True, text=True, check=True).stdout.split()
        return _numbers(words[2]) >= _numbers(more)
    folder = subprocess.run([program, "--exec-path"], capture_output=True, text=True, check=True).stdout.strip()
    return shutil.which(f"{program}-{more}", path=folder) is not None


def _numbers(version: str) -> list[int]:
    return [int(number) for number in re.findall(r"\d+", version)[:2]]


def lack(missing: Sequence[str]) -> None:
    """The same for programs that were looked for in another way, and are missing."""
    if missing and os.environ.get("REQUIRE_TOOLS") == "1":
        pytest.fail(f"{_REASON}{', '.join(missing)} (REQUIRE_TOOLS=1)", pytrace=False)
    if missing:
        pytest.skip(_REASON + ", ".join(missing))


def summary(skip_reasons: Iterable[str]) -> str:
    """One line about the tests that were skipped: how many, and for which program. Empty when there are none."""
    counts: Counter[str] = Counter()
    total = 0
    for reason in skip_reasons:
        total += 1
        tools = re.search(f"{_REASON}(.+)", reason)
        counts[f"without {tools[1]}" if tools else "for another reason, see above"] += 1
    if not total:
        return ""
    return f"{total} skipped: " + ", ".join(f"{count} {why}" for why, count in sorted(counts.items()))
