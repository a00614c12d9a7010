"""Calls of the SDK that are NOT in the recordings, written after the SDK and the server's documentation.

Nothing proves that a real server answers them just so; tests that depend on more than that they work should
say it.
"""

from __future__ import annotations

import copy

from tests.support.clearml_common import Json, required_text
from tests.support.clearml_parameters import check_editable
from tests.support.clearml_store import Store
from tests.support.clearml_tasks import touch


def edit_configuration(store: Store, body: Json) -> Json:
    """Sets configuration objects by name, as `Task.connect_configuration` does."""
    task = store.task(required_text(body, "task"))
    check_editable(task, body)
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


CALLS = {
    "tasks.edit_configuration": edit_configuration,
    "tasks.get_configurations": get_configurations,
    "tasks.add_or_update_artifacts": add_or_update_artifacts,
}
