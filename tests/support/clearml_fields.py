"""Which fields documents have, and what `only_fields` makes of them (point 13)."""

from __future__ import annotations

import copy
from collections.abc import Iterable, Mapping
from typing import Any

from tests.support.clearml_common import COMPANY_ID, COMPANY_NAME, USER_ID, USER_NAME, ApiError, Json
from tests.support.clearml_store import Store

MISSING = object()
SCALAR: frozenset[str] = frozenset()
ANY: frozenset[str] = frozenset({"*"})  # a map with names of the users' own, nested as they like
REFERENCE: frozenset[str] = frozenset({"id", "name"})

Schema = Mapping[str, "frozenset[str]"]

SCRIPT_FIELDS = frozenset(
    [
        "binary",
        "repository",
        "tag",
        "branch",
        "version_num",
        "entry_point",
        "working_dir",
        "requirements",
        "diff",
    ]
)
EXECUTION_FIELDS = frozenset(
    [
        "queue",
        "test_split",
        "parameters",
        "model_desc",
        "model_labels",
        "framework",
        "docker_cmd",
        "artifacts",
        "dataviews",
    ]
)
TASK_FIELDS: Schema = {
    **dict.fromkeys(
        [
            "id",
            "name",
            "type",
            "status",
            "status_reason",
            "status_message",
            "status_changed",
            "comment",
            "report",
            "report_assets",
            "created",
            "started",
            "completed",
            "published",
            "active_duration",
            "tags",
            "system_tags",
            "last_worker",
            "last_worker_report",
            "last_update",
            "last_change",
            "last_iteration",
            "enqueue_status",
            "last_changed_by",
            "unique_metrics",
            "company_origin",
        ],
        SCALAR,
    ),
    **dict.fromkeys(["company", "user", "parent", "project"], REFERENCE),
    **dict.fromkeys(
        [
            "last_metrics",
            "metric_stats",
            "hyperparams",
            "configuration",
            "runtime",
            "container",
            "models",
            "output",
        ],
        ANY,
    ),
    "script": SCRIPT_FIELDS,
    "execution": EXECUTION_FIELDS,
}
PROJECT_FIELDS: Schema = {
    **dict.fromkeys(
        [
            "id",
            "name",
            "basename",
            "description",
            "created",
            "tags",
            "system_tags",
            "last_update",
            "featured",
            "path",
            "default_output_destination",
        ],
        SCALAR,
    ),
    **dict.fromkeys(["company", "user", "parent"], REFERENCE),
}
QUEUE_FIELDS: Schema = {
    **dict.fromkeys(
        [
            "id",
            "name",
            "display_name",
            "created",
            "tags",
            "system_tags",
            "entries",
            "last_update",
            "metadata",
        ],
        SCALAR,
    ),
    "company": REFERENCE,
}
SCHEMAS: dict[str, Schema] = {"Task": TASK_FIELDS, "Project": PROJECT_FIELDS, "Queue": QUEUE_FIELDS}


def check_fields(fields: Iterable[str], kind: str) -> None:
    """Refuses unknown fields: two messages, both 400/14, for the first part of a name and for a later one."""
    schema = SCHEMAS[kind]
    unknown = sorted({name for name in fields if name.partition(".")[0] not in schema})
    if unknown:
        raise ApiError(400, 14, "Fields not defined for object", fields=f"({', '.join(unknown)})", object=kind)
    for name in fields:
        top, _, rest = name.partition(".")
        second = rest.partition(".")[0]
        if second and schema[top] != ANY and second not in schema[top]:
            title = "Lookup error (probably an invalid field name or unsupported nested field)"
            raise ApiError(400, 14, title, err=f'Cannot resolve field "{second}"')


def lookup(document: Json, path: str) -> Any:
    """The value at a dotted path, or MISSING."""
    value: Any = document
    for part in path.split("."):
        if not isinstance(value, dict) or part not in value:
            return MISSING
        value = value[part]
    return value


def put(document: Json, path: str, value: Any) -> None:
    """Sets a dotted path, making the maps above it."""
    *parents, last = path.split(".")
    for part in parents:
        document = document.setdefault(part, {})
    document[last] = value


def requested_fields(body: Json, kind: str) -> list[str]:
    """`only_fields`, checked; a bare string counts as its letters, as on the real server [06-25]."""
    fields = list(dict.fromkeys(body.get("only_fields") or []))
    check_fields(fields, kind)
    return fields


def project(document: Json, fields: list[str]) -> Json:
    """The asked fields of a document as `get_all` answers them; a path leaves its empty parent behind."""
    if not fields:
        return {key: copy.deepcopy(value) for key, value in document.items() if key != "path"}
    answer: Json = {}
    for name in sorted(fields):
        if any(name.startswith(f"{other}.") for other in fields):
            continue
        value = lookup(document, name)
        if value is not MISSING:
            put(answer, name, copy.deepcopy(value))
        elif "." in name:
            answer.setdefault(name.partition(".")[0], {})
    return answer


def project_expanded(document: Json, fields: list[str], store: Store, kind: str) -> Json:
    """The same for the `_ex` calls: references are objects, with the sub-fields asked for; `id` always comes."""
    references = _references(kind)
    wanted, inner = _split(fields, references)
    answer = project(document, wanted)
    for path in references:
        value = lookup(answer, path)
        if isinstance(value, str) and value:
            put(answer, path, {"id": value, **_named(path, value, inner.get(path, []), store)})
    if fields:
        answer["id"] = document["id"]
    return answer


def _references(kind: str) -> list[str]:
    own = [name for name, inner in SCHEMAS[kind].items() if inner is REFERENCE]
    return [*own, "execution.queue"] if kind == "Task" else own


def _split(fields: list[str], references: list[str]) -> tuple[list[str], dict[str, list[str]]]:
    """Fields with references cut to their base, and the sub-fields asked of each reference."""
    wanted: list[str] = []
    inner: dict[str, list[str]] = {}
    for name in fields:
        base = next((path for path in references if name.startswith(f"{path}.")), None)
        if base is None:
            wanted.append(name)
        else:
            wanted.append(base)
            inner.setdefault(base, []).append(name[len(base) + 1 :])
    return list(dict.fromkeys(wanted)), inner


def _named(path: str, value: str, inner: list[str], store: Store) -> Json:
    if "name" not in inner:
        return {}
    if path == "user":
        return {"name": USER_NAME} if value == USER_ID else {}
    if path == "company":
        return {"name": COMPANY_NAME} if value == COMPANY_ID else {}
    places = {"project": store.projects, "parent": store.tasks, "execution.queue": store.queues}
    target = places[path].get(value)
    return {"name": target["name"]} if target else {}
