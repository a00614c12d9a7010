"""Outputs as a dotenv file, whose lines GitLab makes variables of later jobs. Pure.

https://docs.gitlab.com/ci/yaml/artifacts_reports/#artifactsreportsdotenv: no quotes, no line ends, a number of lines
and a size that every installation allows.
"""

from __future__ import annotations

import re
from collections.abc import Mapping

from git_clearml.base.sanitize import Safe

_MOST_LINES = 20
_MOST_BYTES = 5 * 1024
_VALUE = re.compile(r"[A-Za-z0-9._~:/?&=%+@,;-]+", re.ASCII)


def text(outputs: Mapping[str, str]) -> Safe:
    """A line for each output that has a value which no reader takes for anything else: no blank, quote, `$` or `#`."""
    lines: list[str] = []
    room = _MOST_BYTES
    for name, value in outputs.items():
        line = f"{name.upper().replace('-', '_')}={value}\n"
        if _VALUE.fullmatch(value) and len(lines) < _MOST_LINES and len(line) <= room:
            lines.append(line)
            room -= len(line)
    return Safe("".join(lines))
