"""tasks.*: hyperparameters and user properties one by one (point 29)."""

from __future__ import annotations

import copy
from typing import Any

from tests.support.clearml_common import ApiError, Json, required_text
from tests.support.clearml_store import Store
from tests.support.clearml_tasks import touch


def edit_hyper_params(store: Store, body: Json) -> Json:
    """Sets hyperparameters one by one, as `Task.set_user_properties` does [52-1, 52-12, 52-14].

    The section `properties` may be edited at every status, other sections only of created and running tasks or
    with `force`: that is not recorded.
    """
    task = store.task(required_text(body, "task"))
    items: list[Json] = body.get("hyperparams") or []
    if any(item.get("section") != "properties" for item in items):
        check_editable(task, body)
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


def delete_hyper_params(store: Store, body: Json) -> Json:
    """Removes hyperparameters by section and name; a section stays, empty [52-16, 52-17]."""
    task = store.task(required_text(body, "task"))
    for item in body.get("hyperparams") or []:
        task["hyperparams"].get(item["section"], {}).pop(item["name"], None)
    touch(task)
    return {"deleted": 1}


def get_hyper_params(store: Store, body: Json) -> Json:
    """Not recorded: after the server's documentation."""
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


def check_editable(task: Json, body: Json) -> None:
    """Not recorded: after the server's documentation."""
    if task["status"] not in ("created", "in_progress") and not body.get("force"):
        raise ApiError(400, 110, "Invalid task status", expected="created", status=task["status"])


CALLS = {
    "tasks.edit_hyper_params": edit_hyper_params,
    "tasks.delete_hyper_params": delete_hyper_params,
    "tasks.get_hyper_params": get_hyper_params,
}
