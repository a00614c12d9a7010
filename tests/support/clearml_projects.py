"""projects.* and the small services: users, models, server, debug."""

from __future__ import annotations

import copy

from tests.support.clearml_common import (
    COMPANY_ID,
    COMPANY_NAME,
    USER_ID,
    USER_NAME,
    ApiError,
    Json,
    checked_name,
    required_text,
)
from tests.support.clearml_fields import project as chosen
from tests.support.clearml_fields import project_expanded, requested_fields
from tests.support.clearml_query import PROJECTS, matching, page
from tests.support.clearml_store import Store

STATUSES = [
    "closed",
    "completed",
    "created",
    "failed",
    "in_progress",
    "published",
    "publishing",
    "queued",
    "stopped",
    "unknown",
]


def create(store: Store, body: Json) -> Json:
    name = checked_name(body)
    parts = body["name"].split("/")
    if len(parts) > 1 and any(part and len(part.strip()) < 3 for part in parts):  # since 2.3 (point 23)
        raise ApiError(400, 12, "Validation error (Project name cannot be blank)")
    if store.project_named(name):
        raise ApiError(400, 801, "Project with the same name already exists", name=name, company=COMPANY_ID)
    return {"id": store.new_project(name, description=body.get("description") or "")["id"]}


def get_all(store: Store, body: Json) -> Json:
    fields = requested_fields(body, PROJECTS.name)
    found, scroll = page(matching(list(store.projects.values()), body, PROJECTS), body, store)
    return {"projects": [chosen(each, fields) for each in found], **scroll}


def get_all_ex(store: Store, body: Json) -> Json:
    fields = requested_fields(body, PROJECTS.name)
    found, scroll = page(matching(list(store.projects.values()), body, PROJECTS), body, store)
    answers = [project_expanded(each, fields, store, PROJECTS.name) for each in found]
    if body.get("include_stats"):
        answers = [{**answer, **_statistics(store, answer["id"])} for answer in answers]
    return {"projects": answers, **scroll}


def _statistics(store: Store, project_id: str) -> Json:
    """Of the tasks that are not archived, those of sub-projects too [18-20]. Run times are not kept: 0."""
    below = store.with_subprojects([project_id])
    tasks = [
        task for task in store.tasks.values() if task.get("project") in below and "archived" not in task["system_tags"]
    ]
    counts: dict[str, int] = dict.fromkeys(STATUSES, 0)
    for task in tasks:
        counts[task["status"]] += 1
    active = {
        "status_count": counts,
        "total_tasks": len(tasks),
        "total_runtime": 0,
        "completed_tasks_24h": counts["completed"],
        "last_task_run": max((task["started"] for task in tasks if "started" in task), default=None),
    }
    subs: list[Json] = [{"id": each, "name": store.projects[each]["name"]} for each in below if each != project_id]
    return {"stats": {"active": active}, "sub_projects": subs}


def get_by_id(store: Store, body: Json) -> Json:
    project_id = required_text(body, "project")
    if project_id not in store.projects:
        raise ApiError(400, 401, "Invalid project id", id=project_id)
    return {"project": copy.deepcopy(store.projects[project_id])}


def current_user(store: Store, body: Json) -> Json:
    user = {
        "company": {"id": COMPANY_ID, "name": COMPANY_NAME},
        "created": "2026-01-01T00:00:00.000000+00:00",
        "family_name": "User",
        "given_name": "Default",
        "id": USER_ID,
        "name": USER_NAME,
        "role": "user",
    }
    started = {
        "agentName": "clearml",
        "configure": "clearml-init",
        "install": "pip install clearml",
        "packageName": "clearml",
    }
    return {"user": user, "getting_started": started, "settings": {"max_download_items": 50000}}


def no_models(store: Store, body: Json) -> Json:
    """There are no models on this server: the SDK asks before it deletes a task [35-27]."""
    return {"models": []}


def server_info(store: Store, body: Json) -> Json:
    return {"version": store.version, "build": "", "commit": "", "api_version": store.api_version}


def forbidden(store: Store, body: Json) -> Json:
    """server.config and server.endpoints are not for ordinary keys (point 2)."""
    raise ApiError(403, 20, "Forbidden (not allowed for role)", role="user", allowed="(root, system)")


def ping(store: Store, body: Json) -> Json:
    return {"msg": "ClearML server"}


CALLS = {
    "projects.create": create,
    "projects.get_all": get_all,
    "projects.get_all_ex": get_all_ex,
    "projects.get_by_id": get_by_id,
    "users.get_current_user": current_user,
    "models.get_all": no_models,
    "server.info": server_info,
    "server.config": forbidden,
    "server.endpoints": forbidden,
    "debug.ping": ping,
}
