"""An in-memory ClearML API server on 127.0.0.1, made from recordings of a real one.

What it imitates is held to `tests/contract/recordings` by the tests beside them. As a process:

    python -m tests.support.clearml_server --port 0 --latency 0.05 --tasks tasks.json

prints its URL as the first line and serves until it is ended.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import timedelta
from pathlib import Path
from types import TracebackType
from typing import Any

from tests.support import clearml_queues, serving
from tests.support.clearml_auth import DEFAULT_LIFE, Authority
from tests.support.clearml_common import SERVER_VERSION, Json, new_id, now, stamp
from tests.support.clearml_events import add_all, scalar
from tests.support.clearml_fields import put
from tests.support.clearml_http import LOST, ApiHttpServer, Backend, Request, Script
from tests.support.clearml_store import EMPTY_SCRIPT, Store, plain

ACCESS_KEY = "LOOPBACKACCESSKEY001"
SECRET_KEY = "loopback-secret-key-of-the-tests-0000001"
REPOSITORY = "https://example.com/team/project.git"


class ClearMLServer:
    """A server for a `with` block; several may run at a time. `version` is that of a recorded one: 2.0.0 or 2.3.0."""

    def __init__(
        self,
        access_key: str = ACCESS_KEY,
        secret_key: str = SECRET_KEY,
        latency: float = 0.0,
        port: int = 0,
        version: str = SERVER_VERSION,
    ) -> None:
        self.access_key = access_key
        self.secret_key = secret_key
        self.may_be_asked_all = False  # by a test of the query itself
        self._backend = Backend(Authority(access_key, secret_key), latency=latency)
        self._backend.store.version = version
        self._backend.store.new_queue("default")
        self._http = ApiHttpServer(port, self._backend)
        self._thread = serving.serve(self._http)

    def __enter__(self) -> ClearMLServer:
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()
        if value is None and not self.may_be_asked_all:
            # Whatever a test is about: no question of ours is one about every task.
            assert [(request.call, request.body) for request in self._backend.unbounded] == []

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        """Stops listening and hangs up on clients that keep a connection."""
        serving.stop(self._http)
        self._http.hang_up()
        self._thread.join()

    def wait(self) -> None:
        """Serves until the process is ended."""
        self._thread.join()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._http.server_port}"

    @property
    def env(self) -> dict[str, str]:
        """The environment that points a ClearML client here. Web and files have no server of their own."""
        return {
            "CLEARML_API_HOST": self.url,
            "CLEARML_WEB_HOST": self.url,
            "CLEARML_FILES_HOST": self.url,
            "CLEARML_API_ACCESS_KEY": self.access_key,
            "CLEARML_API_SECRET_KEY": self.secret_key,
        }

    @property
    def latency(self) -> float:
        """Seconds slept before each answer."""
        return self._backend.latency

    @latency.setter
    def latency(self, seconds: float) -> None:
        self._backend.latency = seconds

    @property
    def hook(self) -> Callable[[str, Json], None] | None:
        """Called with name and body before each call is answered, so that tasks can move on between polls."""
        return self._backend.hook

    @hook.setter
    def hook(self, hook: Callable[[str, Json], None] | None) -> None:
        self._backend.hook = hook

    @property
    def ignored(self) -> frozenset[str]:
        """The filters of `get_all` calls that are ignored, by their keys."""
        return self._backend.ignored

    @ignored.setter
    def ignored(self, names: Iterable[str]) -> None:
        self._backend.ignored = frozenset(names)

    @property
    def store(self) -> Store:
        """Every document; hold `store.lock` to change them while clients are at work."""
        return self._backend.store

    @property
    def tasks(self) -> dict[str, Json]:
        return self.store.tasks

    @property
    def uploads(self) -> list[str]:
        """What was sent to the file server, which has the same address, by name."""
        return self._backend.uploads

    @property
    def requests(self) -> list[Request]:
        return self._backend.requests

    def calls(self) -> list[str]:
        """The names of the calls that came in, in order."""
        return [request.call for request in list(self.requests)]

    @property
    def opened(self) -> int:
        """How many connections were made to it since `reset_log`."""
        return self._http.opened

    def reset_log(self) -> None:
        self._http.opened = 0
        with self._backend.guard:
            self._backend.requests.clear()

    def token(self, life: float = DEFAULT_LIFE) -> str:
        """A bearer token; with a negative life an expired one."""
        return self._backend.authority.token(life)

    def fail_next(
        self,
        status: int = 502,
        body: bytes = b"<html><body>Bad Gateway</body></html>",
        headers: Mapping[str, str] | None = None,
        count: int = 1,
        call: str | None = None,
    ) -> None:
        """Orders the answers of the next requests (of one call, when given); status 0 hangs up unanswered."""
        kind = {"Content-Type": "text/html"} if headers is None else headers
        with self._backend.guard:
            self._backend.scripts.extend([Script(status, body, kind, call)] * count)

    def lose_next(self, call: str, count: int = 1) -> None:
        """Carries the next calls of this name out, and hangs up in place of answering."""
        self.fail_next(LOST, call=call, count=count)

    def add_project(self, name: str, project_id: str | None = None) -> str:
        """The project of that name, made with its parents when there is none."""
        with self.store.lock:
            found = self.store.project_named(name) or self.store.new_project(name, project_id)
            return str(found["id"])

    def add_queue(self, name: str, queue_id: str | None = None) -> str:
        """The queue of that name, made when there is none."""
        with self.store.lock:
            found = self.store.queue_named(name) or self.store.new_queue(name, queue_id)
            return str(found["id"])

    def add_worker(self, name: str, queues: Sequence[str] = ("default",), task: str | None = None) -> None:
        """A live worker on queues of these names, made when there are none; with an id of a task it runs that."""
        with self.store.lock:
            report = {"worker": name, "queues": [self.add_queue(each) for each in queues], "task": task}
            clearml_queues.register(self.store, report)
            clearml_queues.status_report(self.store, report)

    def add_task(
        self,
        name: str = "train",
        project: str | None = "Vision/Detector",
        status: str = "completed",
        commit: str | None = None,
        diff: str | None = "",
        repository: str | None = REPOSITORY,
        entry_point: str | None = "train.py",
        working_dir: str | None = ".",
        queue: str | None = None,
        **fields: Any,
    ) -> str:
        """Puts a task straight into the store, in any state; None leaves a field of the script out.

        With `queue` it waits in the queue of that name, which is made when there is none.

        `fields` are fields of the document, dotted ones written with two underscores (`execution__queue`);
        times may be datetimes or texts. Without any given, the times are those of a run that ended just now.
        `metrics={"loss": {"train": 0.1}}` is short for `last_metrics`.
        """
        script = {
            "version_num": commit,
            "diff": diff,
            "repository": repository,
            "entry_point": entry_point,
            "working_dir": working_dir,
        }
        given = {key: value for key, value in script.items() if value is not None}
        kind = fields.pop("type", "training")
        with self.store.lock:
            home = {"project": self.add_project(project)} if project else {}
            identity = {"id": fields.pop("id", None) or new_id()}
            task = self.store.new_task(name, kind, **identity, **home)
            task["script"] = {**EMPTY_SCRIPT, **given}
            task.update(_times(status, self.store))
            for metric, variants in fields.pop("metrics", {}).items():
                add_all(self.store, [scalar(task["id"], metric, *each) for each in variants.items()])
            task["status"] = status
            if queue:
                self._wait_in(queue, task)
            for key, value in fields.items():
                put(task, key.replace("__", "."), plain(value))
            return str(task["id"])

    def _wait_in(self, queue: str, task: Json) -> None:
        target = self.store.queues[self.add_queue(queue)]
        target["entries"].append({"task": task["id"], "added": stamp()})
        task["execution"]["queue"] = target["id"]
        task.update(status="queued", enqueue_status="created")


_latest = now()


def _times(status: str, store: Store) -> Json:
    """The times that a task of a status has (point 24). No two tasks have the same."""
    global _latest
    _latest = max(now(), _latest + timedelta(milliseconds=1))
    moment = stamp(_latest)
    if status == "created":
        return {}
    times = {"status_changed": moment, "status_reason": "", "status_message": ""}
    if status != "queued":
        times["started"] = moment
    if status in ("completed", "stopped", "published") or (status == "failed" and store.sets_completed_on_failure):
        times["completed"] = moment
    if status == "published":
        times["published"] = moment
    return times


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(prog="python -m tests.support.clearml_server")
    parser.add_argument("--port", type=int, default=0, help="0: any free one")
    parser.add_argument("--latency", type=float, default=0.0, metavar="SECONDS")
    parser.add_argument("--tasks", type=Path, metavar="FILE.json", help="a list of keywords of add_task")
    parser.add_argument("--access-key", default=ACCESS_KEY)
    parser.add_argument("--secret-key", default=SECRET_KEY)
    options = parser.parse_args(arguments)
    server = ClearMLServer(options.access_key, options.secret_key, options.latency, options.port)
    for task in json.loads(options.tasks.read_text(encoding="utf-8")) if options.tasks else []:
        server.add_task(**task)
    with server:
        print(server.url, flush=True)
        try:
            server.wait()
        except KeyboardInterrupt:
            return


if __name__ == "__main__":
    main()
