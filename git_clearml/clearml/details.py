"""What a task is on record with: its code, packages, parameters, metrics, and what it made. For people who look back.

Numbers in brackets are points of the README of tests/contract/recordings. The packages are read as the SDK writes them
(clearml 2.1, backend_interface/task/task.py: `script.requirements` is a map of `pip` and `conda`, each a text).
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from git_clearml.base.exchange import MEGABYTE
from git_clearml.base.secrets import Secrets, without_credentials
from git_clearml.clearml import query, response, results
from git_clearml.clearml.client import ClearML
from git_clearml.clearml.model import Artifact
from git_clearml.clearml.properties import IMPORT
from git_clearml.errors import BadAnswer
from git_clearml.model import Metric

_FIELDS = (
    "id",
    "script",
    "hyperparams",
    "last_metrics",
    "execution.artifacts",
    "execution.queue.name",
    "models.output",
    "last_worker",
)
_LIMIT = 64 * MEGABYTE
_PINNED = r"(?m)^[ \t]*([A-Za-z0-9][A-Za-z0-9._-]*)(?:\[[^\]\n]*\])?[ \t]*([^;#\n]*)"


@dataclass(frozen=True)
class Details:
    """What is on record of a task. Text in it comes from a server: untrusted.

    `diff` is the recorded diff as it stands there, None where there is none on record. `packages` maps each package, by
    its normalised name, to what was recorded of it: `==1.2`, ` @ <url>`. `queue` is a name, `worker` what ClearML calls
    the host that ran it; both "" where that is not known. `imported`: was it an offline session before? Of parameters
    and metrics see Result.
    """

    diff: str | None = None
    packages: tuple[tuple[str, str], ...] = ()
    parameters: tuple[tuple[str, str], ...] = ()
    metrics: tuple[Metric, ...] = ()
    artifacts: tuple[Artifact, ...] = ()
    queue: str = ""
    worker: str = ""
    imported: bool = False


def of_task(api: ClearML, identity: str) -> Details:
    """The details of a task of the server. One request, and one more where it made models.

    Raises BadAnswer where there is no such task any more, and the errors of ClearML.call.
    """
    document = query.by_ids(api, [identity], _FIELDS, limit=_LIMIT).get(identity)
    if document is None:
        raise BadAnswer(f"the server no longer has the task {identity}")
    return of_document(document, results.models(api, document), api.server.secrets)


def of_document(
    document: Mapping[str, Any], models: Sequence[tuple[str, str]] = (), secrets: Secrets | None = None
) -> Details:
    """The details that a task's document holds; `models` are names and URIs. All but the diff loses its secrets.

    Raises BadAnswer for what is of the wrong type.
    """
    script, execution = response.part(document, "script"), response.part(document, "execution")
    queue = execution.get("queue")
    details = Details(
        None,
        tuple(packages_in(_requirements(script)).items()),
        results.parameters(document),
        response.metrics(document),
        results.artifacts(document, models),
        response.text(queue, "name") if isinstance(queue, Mapping) else "",
        response.text(document, "last_worker"),
        bool(response.user_property(document, IMPORT)),
    )
    details = secrets.redact(details) if secrets else details
    return replace(details, diff=response.text(script, "diff") if script.get("diff") is not None else None)


def _requirements(script: Mapping[str, Any]) -> str:
    recorded = script.get("requirements")
    pip = recorded.get("pip") if isinstance(recorded, Mapping) else None
    return "\n".join(map(str, pip)) if isinstance(pip, list) else pip if isinstance(pip, str) else ""


def packages_in(text: str) -> dict[str, str]:
    """Package -> what a requirements file asks for, "" for any version. Options and what has no name are left out."""
    packages = {}
    for match in re.finditer(_PINNED, text):
        rest = match[2].strip()
        if rest and rest[0] not in "=<>!~@(":
            continue
        wanted = f"@ {without_credentials(rest[1:].strip())}" if rest.startswith("@") else rest.replace(" ", "")
        packages[re.sub(r"[-_.]+", "-", match[1]).lower()] = wanted
    return packages
