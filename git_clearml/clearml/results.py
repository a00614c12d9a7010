"""Fetches from a ClearML server what tasks came to: for records, and for `git clearml log`.

Numbers in brackets are points of the README of tests/contract/recordings. Artifacts and models are not in those
recordings: they are read as the SDK's own classes have them (clearml.backend_api.services.v2_23: tasks.Artifact,
tasks.TaskModelItem, models.GetAllRequest).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from typing import Any

from git_clearml.base.exchange import MEGABYTE
from git_clearml.base.ids import is_clearml_id, page_at
from git_clearml.base.secrets import redact_parameters, without_password
from git_clearml.clearml import query, response
from git_clearml.clearml.client import ClearML
from git_clearml.clearml.model import Artifact, Result
from git_clearml.clearml.properties import OURS
from git_clearml.errors import BadAnswer, CannotDecide

_AT_ONCE = 500  # ids of one query: a page is never longer [14]
_LIMIT = 64 * MEGABYTE
_LIGHT = ("id", "name", "status", "project.name", "script.version_num", "completed")
_WHOLE = (*_LIGHT, "last_metrics", "hyperparams", "execution.artifacts", "models.output")
_PRIVATE = "Environment"  # the section with the task's environment variables: secrets, as likely as not


def of_tasks(api: ClearML, ids: Sequence[str]) -> list[Result]:
    """What these tasks came to, in the order of their ids, each once. Two requests for each 500 at most.

    Raises BadAnswer for ids that the server does not know, and the errors of ClearML.call.
    """
    wanted = list(dict.fromkeys(ids))
    documents = query.by_ids(api, wanted, _WHOLE, limit=_LIMIT)
    if unknown := [identity for identity in wanted if identity not in documents]:
        many = "tasks" if len(unknown) > 1 else "task"
        raise BadAnswer(f"the server no longer has the {many} {', '.join(unknown[:10])}")
    models = {task: _models(document) for task, document in documents.items()}
    uris = _uris(api, [model for references in models.values() for _, model in references])
    return [
        result_of(api, document, [(name, uris.get(model, "")) for name, model in models[task]])
        for task, document in documents.items()
    ]


def of_commits(
    api: ClearML, commits: Sequence[str], since: datetime, until: datetime | None = None, *, metrics: Sequence[str] = ()
) -> dict[str, list[Result]]:
    """What the tasks of these commits (full hashes) came to, without parameters and artifacts; the latest last.

    One query for up to 500 commits, for tasks that were last updated in that time. Commits without a task are left
    out, archived tasks too. `metrics` are the TITLE/SERIES to fetch, none for all. Raises the errors of ClearML.call.
    """
    fields = [f"last_metrics.{title}.{series}" for metric in metrics for title, series in response.metric_keys(metric)]
    wanted = set(commits)
    results: dict[str, Result] = {}
    for pattern in query.patterns(commits):
        body = {**query.of_commits(pattern), "system_tags": ["-archived"], **query.updated(since, until)}
        for document in query.every(api, body, [*_LIGHT, *(fields or ["last_metrics"])], limit=_LIMIT):
            result = result_of(api, document)
            if result.commit in wanted:
                results[result.task] = result
    by_commit: dict[str, list[Result]] = {}
    for result in sorted(results.values(), key=lambda result: (result.completed, result.task)):
        by_commit.setdefault(result.commit, []).append(result)
    return by_commit


def result_of(api: ClearML, document: Mapping[str, Any], models: Sequence[tuple[str, str]] = ()) -> Result:
    """A task of the server, with its output models as pairs of name and URI, without our credentials.

    Raises BadAnswer.
    """
    project = response.part(document, "project")
    identity, project_id = response.identity(document), response.text(project, "id")
    result = Result(
        task=identity,
        name=response.text(document, "name"),
        project=response.text(project, "name"),
        status=response.text(document, "status"),
        url=page_at(api.server.web, identity, project_id),
        commit=response.text(response.part(document, "script"), "version_num"),
        completed=response.text(document, "completed"),
        parameters=parameters(document),
        metrics=response.metrics(document),
        artifacts=artifacts(document, models),
    )
    return replace(api.server.secrets.redact(result), task=result.task, commit=result.commit)


def parameters(document: Mapping[str, Any]) -> tuple[tuple[str, str], ...]:
    """Section/name and value of every hyperparameter, by name; neither the environment's nor our own, nor secrets.

    The names stand in the entries: those of the map are escaped where they have a dot.
    """
    sections, values = response.part(document, "hyperparams"), dict[str, str]()
    for section in sections:
        for key, entry in response.part(sections, section).items():
            ours = section == "properties" and key.startswith(OURS)
            if section == _PRIVATE or ours or not isinstance(entry, dict):
                continue
            names = response.text(entry, "section") or section, response.text(entry, "name") or key
            values["/".join(names)] = response.text(entry, "value")
    return redact_parameters(sorted(values.items()))


def artifacts(document: Mapping[str, Any], models: Sequence[tuple[str, str]]) -> tuple[Artifact, ...]:
    """What a task made, its output models, pairs of name and URI, among it."""
    outputs = [_artifact(entry) for entry in _objects(response.part(document, "execution"), "artifacts")]
    artifacts_and_models = [artifact for artifact in outputs if artifact]
    artifacts_and_models += [Artifact(name, "model", without_password(uri)) for name, uri in models]
    return tuple(sorted(artifacts_and_models, key=lambda artifact: (artifact.kind, artifact.name, artifact.uri)))


def models(api: ClearML, document: Mapping[str, Any]) -> list[tuple[str, str]]:
    """Name and URI of a task's output models; one request where it has any."""
    references = _models(document)
    uris = _uris(api, [model for _, model in references]) if references else {}
    return [(name, uris.get(model, "")) for name, model in references]


def _artifact(entry: Mapping[str, Any]) -> Artifact | None:
    """An artifact that the task made, None for one that it was given."""
    if entry.get("mode") == "input":
        return None
    size = entry.get("content_size")
    return Artifact(
        response.text(entry, "key"),
        "artifact",
        without_password(response.text(entry, "uri")),
        response.text(entry, "hash"),
        size if isinstance(size, int) and not isinstance(size, bool) else None,
    )


def _models(document: Mapping[str, Any]) -> list[tuple[str, str]]:
    """Name and id of each output model; the task query makes an object of the id, a plain one does not [13]."""
    models = []
    for item in _objects(response.part(document, "models"), "output"):
        model = item.get("model")
        identity = response.text(model, "id") if isinstance(model, dict) else response.text(item, "model")
        models.append((response.text(item, "name"), identity))
    return models


def _uris(api: ClearML, models: Sequence[str]) -> dict[str, str]:
    """Where each model lies, as far as the server tells: that is not worth the record of its training."""
    uris: dict[str, str] = {}
    ids = [model for model in dict.fromkeys(models) if is_clearml_id(model)]
    for start in range(0, len(ids), _AT_ONCE):
        body = {"id": ids[start : start + _AT_ONCE], "page": 0, "page_size": _AT_ONCE, "only_fields": ["id", "uri"]}
        try:
            documents = _objects(api.call("models.get_all", body), "models")
        except CannotDecide:
            continue
        for document in documents:
            uris[response.text(document, "id")] = response.text(document, "uri")
    return uris


def _objects(document: Mapping[str, Any], key: str) -> list[Mapping[str, Any]]:
    """A list of objects, [] where there is none. Raises BadAnswer for anything else."""
    values = document.get(key) or []
    if not isinstance(values, list) or not all(isinstance(value, dict) for value in values):
        raise BadAnswer(f"the server sent {key} that are not a list of objects", response.WHICH)
    return values
