"""ClearML's queues, and which of them have workers. No queue is ever made here.

Numbers in brackets are points of the README of tests/contract/recordings.
"""

from __future__ import annotations

import re
import shlex
from collections.abc import Mapping
from datetime import datetime, timezone

from git_clearml.base import words
from git_clearml.base.sanitize import sanitize
from git_clearml.clearml import response
from git_clearml.clearml.client import ClearML
from git_clearml.clearml.model import Queue
from git_clearml.errors import BadAnswer, BadSetting

_SEEN_SECONDS = 120  # an idle agent reports every 30 s; one that died stays listed for 600 [30]


def queue(api: ClearML, name: str) -> Queue:
    """The queue of exactly this name, with its live workers. Two requests; no queue is ever made here.

    Raises BadSetting that lists the queues which have workers when there is none, and the errors of ClearML.call.
    """
    data = api.call("queues.get_all", {"name": f"^{re.escape(name)}$", "only_fields": ["id", "name"]})
    queues = [queue for queue in response.objects(data, "queues") if queue.get("name") == name]
    workers = _workers(api)
    if not queues:
        served_queues = f"queues with workers: {_listed(workers)}" if workers else "no queue has active workers"
        hint = shlex.join(["clearml-agent", "daemon", "--queue", name, "--create-queue", "--detached"])
        raise BadSetting(f"there is no queue {name!r} on {api.server.api}; {served_queues}", hint)
    identity = response.identity(queues[0])
    return Queue(identity, name, sum(identity in ids for ids in workers.values()))


def lives(api: ClearML, worker: str) -> bool:
    """Has this worker been seen of late? One request."""
    return worker in _workers(api)


def served(api: ClearML) -> str:
    """The queues that live workers serve, for a message."""
    return _listed(_workers(api))


def last_sign(api: ClearML, *, queue_name: str = "", worker: str = "") -> str:
    """Of the worker of this name, or of the last one that served the queue: who was last seen when, for a message.

    "" where the server does not know: it forgets a worker 600 s after its last sign of life, and one that was ended in
    an orderly way at once [30]. One request. Raises the errors of ClearML.call.
    """
    signs = []
    for document in response.objects(api.call("workers.get_all", {}), "workers"):
        name, when = response.text(document, "id"), response.text(document, "last_activity_time")
        listed = document.get("queues") or []
        queues = [queue.get("name") for queue in listed if isinstance(queue, dict)] if isinstance(listed, list) else []
        if when and (name == worker or (queue_name and queue_name in queues)):
            signs.append((when, name))
    return sentence_of(*max(signs)) if signs else ""


def sentence_of(when: str, worker: str) -> str:
    """Says when a worker was last seen (ISO 8601); "" for one that may still be at work."""
    now = datetime.now(timezone.utc)
    seen = words.moment(when)
    if seen is None or (now - seen).total_seconds() < _SEEN_SECONDS:
        return ""
    return f"its agent {sanitize(worker, 60)} was last seen {words.ago(when, now)}"


def _workers(api: ClearML) -> dict[str, dict[str, str]]:
    """Live worker -> the ids and names of the queues that it serves."""
    data = api.call("workers.get_all", {"last_seen": _SEEN_SECONDS})
    workers = {}
    for worker in response.objects(data, "workers"):
        queues = worker.get("queues") or []
        if not isinstance(queues, list):
            raise BadAnswer("the server sent a worker whose queues are not a list", response.WHICH)
        workers[response.text(worker, "id")] = {
            response.text(queue, "id"): response.text(queue, "name") for queue in queues if isinstance(queue, dict)
        }
    return workers


def _listed(workers: Mapping[str, Mapping[str, str]]) -> str:
    names = sorted({sanitize(name, 60) for queues in workers.values() for name in queues.values() if name})
    return words.listed(names, 10) or "none"
