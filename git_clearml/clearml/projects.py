"""ClearML's projects, by their exact names. Numbers in brackets are points of tests/contract/recordings' README."""

from __future__ import annotations

import re

from git_clearml.clearml import response
from git_clearml.clearml.client import ClearML
from git_clearml.errors import CannotDecide, UsageError


def project(api: ClearML, name: str) -> str:
    """The id of the project of exactly this name, made with its parents when there is none [18].

    Raises UsageError for a name that no project can have, and the errors of ClearML.call.
    """
    if len(name.strip()) < 3:
        raise UsageError(f"invalid project name {name!r}: at least 3 characters", "see --project")
    if identity := _existing(api, name):
        return identity
    try:
        return response.identity(api.call("projects.create", {"name": name, "description": ""}, repeat=False))
    except CannotDecide:
        if identity := _existing(api, name):  # somebody was quicker, or the answer was lost
            return identity
        raise


def _existing(api: ClearML, name: str) -> str:
    body = {"name": f"^{re.escape(name)}$", "only_fields": ["id", "name"], "search_hidden": True}
    projects = response.objects(api.call("projects.get_all", body), "projects")
    return next((response.identity(project) for project in projects if project.get("name") == name), "")
