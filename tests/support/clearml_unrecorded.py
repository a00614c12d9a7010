"""Calls of the SDK that are NOT in the recordings, written after the SDK and the server's documentation.

Nothing proves that a real server answers them just so; tests that depend on more than that they work should
say it.
"""

from __future__ import annotations

import copy
from typing import Any

from tests.support.clearml_common import ApiError, Json, required_text
from tests.support.clearml_store import Store
from tests.support.clearml_tasks import touch


def edit_hyper_params(store: Store, body: Json) -> Json:
    """Sets hyperparameters one by one, as `Task.set_user_properties` does.

    The section `properties` may be edited at every status, other sections only of created and running tasks or
    with `force`.
    """
    task = store.task(required_text(body, "task"))
    items: list[Json] = body.get("hyperparams") or []
    if any(item.get("section") != "properties" for item in items):
        _check_editable(task, body)
    replace = body.get("replace_hyperparams") or "none"
    params: dict[str, Any] = {} if replace == "all" else task["hyperparams"]
    if replace == "section":
        for section in {item["section"] for item in items}:
            params.pop(section, None)
    for item in items:
        params.setdefault(item["section"], {})[item["name"]] = dict(item)
    task["hyperparams"] = params
    touch(task)
    return {"updated": 1}


def get_hyper_params(store: Store, body: Json) -> Json:
    return {
        "params": [
            {
                "task": task["id"],
                "hyperparams": [
                    copy.deepcopy(item) for section in task["hyperparams"].values() for item in section.values()
                ],
            }
            for task in store.all_tasks(body.get("tasks") or [])
        ]
    }


def edit_configuration(store: Store, body: Json) -> Json:
    """Sets configuration objects by name, as `Task.connect_configuration` does."""
    task = store.task(required_text(body, "task"))
    _check_editable(task, body)
    if body.get("replace_configuration"):
        task["configuration"] = {}
    for item in body.get("configuration") or []:
        task["configuration"][item["name"]] = dict(item)
    touch(task)
    return {"updated": 1}


def get_configurations(store: Store, body: Json) -> Json:
    names = body.get("names")
    return {
        "configurations": [
            {
                "task": task["id"],
                "configuration": [
                    copy.deepcopy(item) for name, item in task["configuration"].items() if not names or name in names
                ],
            }
            for task in store.all_tasks(body.get("tasks") or [])
        ]
    }


def add_or_update_artifacts(store: Store, body: Json) -> Json:
    """What the SDK sends with an artifact."""
    task = store.task(required_text(body, "task"))
    added: list[Json] = body.get("artifacts") or []
    keys = {artifact["key"] for artifact in added}
    kept = [artifact for artifact in task["execution"]["artifacts"] if artifact["key"] not in keys]
    task["execution"]["artifacts"] = [*kept, *copy.deepcopy(added)]
    touch(task)
    return {"updated": 1}


def _check_editable(task: Json, body: Json) -> None:
    if task["status"] not in ("created", "in_progress") and not body.get("force"):
        raise ApiError(400, 110, "Invalid task status", expected="created", status=task["status"])


CALLS = {
    "tasks.edit_hyper_params": edit_hyper_params,
    "tasks.get_hyper_params": get_hyper_params,
    "tasks.edit_configuration": edit_configuration,
    "tasks.get_configurations": get_configurations,
    "tasks.add_or_update_artifacts": add_or_update_artifacts,
}
