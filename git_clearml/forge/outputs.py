"""What a GitHub Actions job can show beside its log: the job summary, outputs for later steps, annotations.

https://docs.github.com/en/actions/reference/workflows-and-actions/workflow-commands
"""

from __future__ import annotations

import os
import secrets
from collections.abc import Mapping

from git_clearml.base.sanitize import sanitize
from git_clearml.errors import PublishFailed

MOST_SUMMARY_BYTES = 1024 * 1024  # of one step; GitHub drops the whole summary of a step that writes more
_CUT = "\n\n*The rest was left out: a job summary holds 1 MiB.*\n"


def write_summary(environment: Mapping[str, str], markdown: str) -> None:
    """Appends to the job summary of this step, where there is one, no more than it can hold.

    Raises PublishFailed when the file cannot be written.
    """
    path = environment.get("GITHUB_STEP_SUMMARY", "")
    if not path:
        return
    try:
        room = MOST_SUMMARY_BYTES - (os.path.getsize(path) if os.path.exists(path) else 0)
        with open(path, "ab") as file:
            file.write(_fitting(markdown.rstrip() + "\n\n", room))
    except (OSError, ValueError) as error:
        raise PublishFailed(f"the job summary cannot be written: {_reason(error)}", "see GITHUB_STEP_SUMMARY") from None


def _fitting(markdown: str, room: int) -> bytes:
    """The text, cut behind a line where it has more than `room` bytes; nothing where not even the remark fits."""
    content = markdown.encode("utf-8", "replace")
    if len(content) <= room:
        return content
    remark = _CUT.encode()
    kept = content[: max(0, room - len(remark))]
    return kept[: kept.rfind(b"\n") + 1] + remark if room >= len(remark) else b""


def of_task(outcome: str, task: str, url: str, commit: str) -> dict[str, str]:
    """The outputs that every command has."""
    return {"outcome": outcome, "task-id": task, "task-url": url, "commit": commit}


def write_outputs(environment: Mapping[str, str], values: Mapping[str, str]) -> None:
    """Sets outputs of this step, where there is a file for them. Raises PublishFailed.

    Every value stands between two lines that nobody could have guessed, so that none can set another output.
    """
    path = environment.get("GITHUB_OUTPUT", "")
    if not path:
        return
    text = ""
    for name, value in values.items():
        mark = f"git-clearml-{secrets.token_hex(16)}"
        text += f"{name}<<{mark}\n{value}\n{mark}\n"
    try:
        with open(path, "ab") as file:
            file.write(text.encode("utf-8", "replace"))
    except (OSError, ValueError) as error:
        raise PublishFailed(f"the outputs cannot be written: {_reason(error)}", "see GITHUB_OUTPUT") from None


def annotation(kind: str, message: str, title: str = "") -> str:
    """The line that makes an annotation of kind `error`, `warning` or `notice`. Pure."""
    shown = f" title={_escaped(sanitize(title, 200)).replace(':', '%3A').replace(',', '%2C')}" if title else ""
    return f"::{kind}{shown}::{_escaped(sanitize(message, 1000))}"


def _escaped(text: str) -> str:
    """https://github.com/actions/toolkit/blob/main/packages/core/src/command.ts"""
    return text.replace("%", "%25").replace("\r", "%0D").replace("\n", "%0A")


def _reason(error: Exception) -> str:
    return (isinstance(error, OSError) and error.strerror) or "not a path"
