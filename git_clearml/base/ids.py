"""The shapes of ids: of git's objects, of ClearML's documents and of our own runs. Pure.

Each is checked before it stands in a path, a query or a command line.
"""

from __future__ import annotations

import re

SIDE_REFS = "refs/heads/git-clearml/"
"""Where this tool itself pushes commits that an agent has to fetch."""

FIND_THE_ID = "copy the task's id from the INFO tab of its page, or give the page's address"
"""The hint for what is the id of no task."""

_HASH = re.compile(r"[0-9a-f]{40}|[0-9a-f]{64}")
_HEX = re.compile(r"[0-9a-f]+")
_CLEARML_ID = re.compile(r"[A-Za-z0-9_-]{1,64}")
_OFFLINE_ID = re.compile(r"offline-[0-9a-f]{1,64}")
_TASK_PAGE = re.compile(r"https?://\S*/(?:experiments|tasks)/([^/?#\s]+)\S*")
_TASK = r'"task": *"([A-Za-z0-9_-]{1,64})"'  # compiled when used
_SIDE_REF_LEAF = re.compile(r"([0-9a-f]{12})-[0-9a-f]{8}")


def is_hash(text: str) -> bool:
    """Is this the full, lower-case name of an object (SHA-1 or SHA-256)?"""
    return bool(_HASH.fullmatch(text))


def is_zero(name: str) -> bool:
    """Is this git's way to say "no object"? 40 zeros, or 64 in a SHA-256 repository; "" counts as well."""
    return not name.strip("0")


def is_hex(text: str, least: int, most: int) -> bool:
    """Are these lower-case hexadecimal digits, `least` to `most` of them: an abbreviated hash, a digest?"""
    return least <= len(text) <= most and bool(_HEX.fullmatch(text))


def is_clearml_id(text: str) -> bool:
    """Is this the id that a ClearML server or its offline mode may give a task, a project or a queue?"""
    return bool(_CLEARML_ID.fullmatch(text))


def id_in(text: str) -> str:
    """The id of the task whose page has this address; any other text as it is."""
    page = _TASK_PAGE.fullmatch(text.strip())
    return page[1] if page else text


def page_at(web: str, task: str, project: str = "") -> str:
    """The address of a task's page on a server's web app; what is no id of a project stands for any."""
    return f"{web}/projects/{project if is_clearml_id(project) else '*'}/experiments/{task}/output/log"


def is_page(text: str) -> bool:
    """Is this the address of a task's page?"""
    return bool(_TASK_PAGE.fullmatch(text.strip()))


def short_id(task: str) -> str:
    """The first digits of a task's id, by which every command takes it."""
    return task.removeprefix("offline-")[:8]


def is_short_id(text: str) -> bool:
    """Are these the first digits of a task's id, enough of them to look it up by: 8 to 31?"""
    return is_hex(text, 8, 31)


def is_uuid(text: str) -> bool:
    """Is this 32 hexadecimal digits: a run's id, and that of a task by a ClearML server of its own?"""
    return is_hex(text, 32, 32)


def tasks_in(text: str) -> list[str]:
    """The ids that notes and clearml.lock give as a task's."""
    return re.findall(_TASK, text)


def is_offline_id(text: str) -> bool:
    """Is this the id of a ClearML offline session, which is the name of its folder too?"""
    return bool(_OFFLINE_ID.fullmatch(text))


def side_ref_commit(leaf: str) -> str:
    """The first 12 digits of the commit that the last part of a side ref's name tells, "" for no such name."""
    match = _SIDE_REF_LEAF.fullmatch(leaf)
    return match[1] if match else ""
