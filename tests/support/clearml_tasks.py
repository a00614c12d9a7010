"""tasks.*: making, reading and changing task documents; their states are in `clearml_states`."""

from __future__ import annotations

import copy

from tests.support.clearml_common import (
    USER_ID,
    ApiError,
    Json,
    checked_name,
    new_id,
    required_list,
    required_text,
    stamp,
)
from tests.support.clearml_fields import project, project_expanded, requested_fields
from tests.support.clearml_query import TASKS, matching, page
from tests.support.clearml_store import EMPTY_SCRIPT, Store

TYPES = frozenset(
    [
        "training",
        "testing",
        "inference",
        "data_processing",
        "application",
        "monitor",
        "controller",
        "optimizer",
        "service",
        "qc",
        "custom",
        "report",
    ]
)
# Fields of tasks.edit beside script, execution and output_dest, which are merged (point 22).
EDITABLE = [
    "name",
    "tags",
    "system_tags",
    "type",
    "comment",
    "parent",
    "project",
    "hyperparams",
    "configuration",
    "models",
    "container",
    "runtime",
]
UPDATABLE = ["name", "tags", "system_tags", "comment"]
# A change of these alone leaves `last_update` as it was [13-18, 13-24, 35-24].
QUIET = frozenset(["name", "tags", "system_tags", "comment", "type", "parent", "project"])


def create(store: Store, body: Json) -> Json:
    name = checked_name(body)
    kind = required_text(body, "type")
    if kind not in TYPES:
        problem = f"error for field 'type': value '{kind}' is not a valid choice.."
        raise ApiError(400, 12, f"Validation error ({problem})")
    _check_project(store, body)
    task = store.new_task(name, kind)
    for field in (
        "comment",
        "project",
        "parent",
        "hyperparams",
        "configuration",
        "container",
        "models",
        "runtime",
    ):
        if body.get(field) is not None:
            task[field] = copy.deepcopy(body[field])
    for field in ("tags", "system_tags"):
        task[field] = sorted(set(body.get(field) or []))
    task["script"] = {**EMPTY_SCRIPT, **(body.get("script") or {})}
    task["execution"].update(body.get("execution") or {})
    if body.get("output_dest") is not None:
        task["output"]["destination"] = body["output_dest"]
    return {"id": task["id"]}


def _check_project(store: Store, body: Json) -> None:
    wanted = body.get("project")
    if wanted and wanted not in store.projects:
        raise ApiError(400, 16, "Invalid value for fields (expecting Project id)", id=wanted, field="project")


def get_all(store: Store, body: Json) -> Json:
    fields = requested_fields(body, TASKS.name)
    tasks, scroll = page(_find(store, body), body, store)
    return {"tasks": [project(task, fields) for task in tasks], **scroll}


def get_all_ex(store: Store, body: Json) -> Json:
    fields = requested_fields(body, TASKS.name)
    tasks, scroll = page(_find(store, body), body, store)
    return {"tasks": [project_expanded(task, fields, store, TASKS.name) for task in tasks], **scroll}


def _find(store: Store, body: Json) -> list[Json]:
    if body.get("include_subprojects") and body.get("project"):
        wanted = body["project"] if isinstance(body["project"], list) else [body["project"]]
        body = {**body, "project": store.with_subprojects(wanted)}
    return matching(list(store.tasks.values()), body, TASKS)


def get_by_id(store: Store, body: Json) -> Json:
    """The whole task, whatever `only_fields` says (point 17), but for `enqueue_status` [35-18, 40-20]."""
    task_id = required_text(body, "task")
    if task_id not in store.tasks:
        raise ApiError(400, 101, "Invalid task id", ids=f"({task_id})")
    task = {**copy.deepcopy(store.tasks[task_id]), "unique_metrics": []}
    task.pop("enqueue_status", None)
    return {"task": task}


def get_by_id_ex(store: Store, body: Json) -> Json:
    fields = requested_fields(body, TASKS.name)
    wanted = body.get("id") or []
    ids = wanted if isinstance(wanted, list) else [wanted]
    tasks = [store.tasks[task_id] for task_id in ids if task_id in store.tasks]
    return {"tasks": [project_expanded(task, fields, store, TASKS.name) for task in tasks]}


def update_tags(store: Store, body: Json) -> Json:
    """Adds and removes tags of tasks of any status; `updated` counts adds and removes (point 21)."""
    tasks = store.all_tasks(required_list(body, "ids"))
    add, remove = body.get("add_tags") or [], body.get("remove_tags") or []
    if not add and not remove:
        raise ApiError(400, 12, "Validation error (Either add tags or remove tags should be provided)")
    for task in tasks:
        task["tags"] = sorted((set(task["tags"]) | set(add)) - set(remove))
        task["last_change"] = stamp()
        task["last_changed_by"] = USER_ID
    return {"updated": len(tasks) * (bool(add) + bool(remove))}


def update(store: Store, body: Json) -> Json:
    """Takes a few fields at any status and silently ignores the others (point 22)."""
    task = store.task(required_text(body, "task"))
    return _apply(task, {name: body[name] for name in UPDATABLE if body.get(name) is not None})


def edit(store: Store, body: Json) -> Json:
    """Takes most fields; without `force` only of a created task (point 22)."""
    task = store.task(required_text(body, "task"))
    if task["status"] != "created" and not body.get("force"):
        raise ApiError(400, 110, "Invalid task status", expected="created", status=task["status"])
    _check_project(store, body)
    fields = {name: copy.deepcopy(body[name]) for name in EDITABLE if body.get(name) is not None}
    for name in ("script", "execution"):
        if body.get(name) is not None:
            fields[name] = {**task[name], **copy.deepcopy(body[name])}
    if body.get("output_dest") is not None:
        fields["output"] = {**task["output"], "destination": body["output_dest"]}
    answer = _apply(task, fields)
    task["execution"].pop("dataviews", None)  # answered by the edit but not kept [31-6, 31-8]
    return answer


def _apply(task: Json, fields: Json) -> Json:
    if not fields:
        return {"fields": {}, "updated": 0}
    if "name" in fields:
        fields["name"] = checked_name(fields)
    for name in ("tags", "system_tags"):
        if name in fields:
            fields[name] = sorted(set(fields[name]))
    moment = stamp()
    fields.update({"last_change": moment, "last_changed_by": USER_ID})
    if not QUIET.issuperset(set(fields) - {"last_change", "last_changed_by"}):
        fields["last_update"] = moment
    task.update(copy.deepcopy(fields))
    return {"fields": fields, "updated": 1}


def set_requirements(store: Store, body: Json) -> Json:
    """[30-13]: answers no fields but `updated: 1`."""
    task = store.task(required_text(body, "task"))
    task["script"]["requirements"] = copy.deepcopy(body.get("requirements") or {})
    touch(task)
    return {"fields": {}, "updated": 1}


def ping(store: Store, body: Json) -> Json:
    touch(store.task(required_text(body, "task")))
    return {}


def clone(store: Store, body: Json) -> Json:
    """A created task with the script, tags and hyperparameters of another, which becomes its parent (point 29).

    The system tags `development` and `archived` are not taken along [35-22].
    """
    source_id = required_text(body, "task")
    source = store.all_tasks([source_id])[0]
    name = checked_name({"name": body.get("new_task_name") or source["name"]})
    kept = (
        "comment",
        "script",
        "tags",
        "hyperparams",
        "configuration",
        "container",
        "execution",
        "company",
        "user",
    )
    fields = {field: copy.deepcopy(source[field]) for field in kept if field in source}
    fields["execution"].pop("queue", None)
    fields["system_tags"] = [tag for tag in source["system_tags"] if tag not in ("development", "archived")]
    fields["parent"] = body.get("new_task_parent") or source_id
    home = body.get("new_task_project") or source.get("project")
    if home:
        fields["project"] = home
    for field in ("tags", "comment"):
        if body.get(f"new_task_{field}") is not None:
            fields[field] = copy.deepcopy(body[f"new_task_{field}"])
    return {"id": store.new_task(name, source["type"], id=new_id(), **fields)["id"]}


def delete(store: Store, body: Json) -> Json:
    """A created task; any other needs force (point 29). Children lose their parent."""
    task = store.task(required_text(body, "task"))
    if task["status"] != "created" and not body.get("force"):
        title = "Task cannot be deleted (due to status, use force=True)"
        raise ApiError(400, 123, title, task=task["id"], expected="created", current=task["status"])
    children = [each for each in store.tasks.values() if each.get("parent") == task["id"]]
    for child in children:
        del child["parent"]
    store.take_off_queues(task["id"])
    del store.tasks[task["id"]]
    store.events.pop(task["id"], None)
    counts = {"updated_children": len(children), "updated_models": 0, "deleted_models": 0}
    return {"deleted": True, **counts, "urls": None}


def touch(task: Json) -> None:
    """Notes that a task was changed now."""
    task["last_update"] = task["last_change"] = stamp()
    task["last_changed_by"] = USER_ID


CALLS = {
    "tasks.create": create,
    "tasks.get_all": get_all,
    "tasks.get_all_ex": get_all_ex,
    "tasks.get_by_id": get_by_id,
    "tasks.get_by_id_ex": get_by_id_ex,
    "tasks.update_tags": update_tags,
    "tasks.update": update,
    "tasks.edit": edit,
    "tasks.set_requirements": set_requirements,
    "tasks.ping": ping,
    "tasks.clone": clone,
    "tasks.delete": delete,
}
