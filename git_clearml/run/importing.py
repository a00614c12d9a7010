"""Offline runs onto the server, so that each is there once, and what is there is evidence only when all of it is.

The order, of which any part may be the last one that happens: the SDK makes a task that is called unfinished and names
no code (staging.py), and ends it as the run ended; then the run record is put onto it; the last request gives it name
and script at once, and only then can it count. What is left of a broken import is told by its name, and deleted.
"""

from __future__ import annotations

import contextlib
import os
import shlex
import shutil
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from datetime import datetime
from typing import NamedTuple

from git_clearml.base import signals
from git_clearml.base.files import locked, private_directory
from git_clearml.clearml import offline as offline_sessions
from git_clearml.clearml import query, response, sdk, tasks
from git_clearml.clearml.client import ClearML
from git_clearml.errors import BadAnswer, CannotDecide, PublishFailed, TimedOut
from git_clearml.model import RunRecord, Session
from git_clearml.run import imported_sessions, local, staging
from git_clearml.run import tasks as run_tasks
from git_clearml.run.ownership import NO_TASK
from git_clearml.run.record import Damaged
from git_clearml.run.tasks import MadeTask

_CLEANING = 5.0  # seconds of network for what a broken import has left
_BY_HAND = (129, 130, 143)  # ended by SIGHUP, SIGINT, SIGTERM: what ClearML calls stopped


class Imported(NamedTuple):
    """What became of one offline session, or of a run that has none (`session` is "").

    `action` is `sent`, `already` or `refused`, `status` that of the task on the server, "" for none, and `reason` why
    it was refused.
    """

    commit: str
    run: str
    action: str
    session: str = ""
    name: str = ""
    task: str = ""
    status: str = ""
    reason: str = ""


class Candidate(NamedTuple):
    """A session that may be sent, None where there is none, and then why."""

    record: RunRecord
    session: Session | None = None
    reason: str = ""

    def became(self, action: str, task: str = "", status: str = "", reason: str = "") -> Imported:
        """What became of it."""
        session, name = (self.session.id, self.session.name) if self.session else ("", "")
        return Imported(self.record.commit, self.record.id, action, session, name, task, status, reason or self.reason)


def candidates(records: Iterable[RunRecord | Damaged]) -> Iterator[Candidate | Imported]:
    """The sessions of these runs, in their order; of a run without any, why. Runs on a server are passed over."""
    for record in records:
        if isinstance(record, Damaged):
            name = os.path.basename(record.where).removesuffix(".json")
            yield Imported(record.commit, name, "refused", reason=f"its run record is damaged: {record.why}")
        elif record.alive and record.exit_status is None:
            yield Candidate(record, reason="it is still running")
        else:
            yield from _of_run(record)


def _of_run(record: RunRecord) -> Iterator[Candidate]:
    since = began(record)
    if since is None:
        yield Candidate(record, reason="its run record is damaged: it does not say when it began")
        return
    sessions = [session for session in record.sessions if session.path]
    if not sessions and not record.tasks:  # a run that was killed has not written down what it left
        sessions, _ = offline_sessions.of_run(record.offline_dir, record.id, since.timestamp())
    if not sessions and not record.tasks:
        unknown = "" if local.tasks_are_known(record) else ", or the server did not tell it"
        yield Candidate(record, reason=f"{NO_TASK}{unknown}")
    for session in sessions:
        yield Candidate(record, session)


def began(record: RunRecord) -> datetime | None:
    """When the run began, None for what is no time."""
    with contextlib.suppress(ValueError):
        moment = datetime.fromisoformat(record.started)
        return moment if moment.tzinfo else None
    return None


def status_of(record: RunRecord) -> str:
    """The status of a task whose run ended so: ClearML's words. One that was killed has failed."""
    if record.exit_status == 0:
        return "completed"
    return "stopped" if record.exit_status in _BY_HAND else "failed"


def reason_of(record: RunRecord) -> str:
    """Why the task has that status, for its page."""
    if record.exit_status is None:
        return "the run was killed before it ended"
    return f"the command ended with exit status {record.exit_status}"


class BeingSent(PublishFailed):
    """Another import, of a copy of this clone, is at work on the same session and was there first."""

    def __init__(self) -> None:
        super().__init__("a git clearml import of another copy of this clone is sending it", "git clearml import")


class Importer:
    """Sends sessions one by one, `seconds` for each. One object per call; `directory` is for copies, and ours alone."""

    def __init__(
        self, api: ClearML, directory: str, lock: int, *, seconds: float, environment: Mapping[str, str]
    ) -> None:
        self._api, self._directory, self._lock = api, directory, lock
        self._seconds, self._environment = seconds, environment

    def send(self, candidate: Candidate) -> Imported:
        """Sends it. Raises CannotDecide: then nothing of it is left on the server, or what the next call deletes."""
        record, session = candidate.record, candidate.session
        if session is None:
            return candidate.became("refused")
        staged = self._stage(session, record)
        if isinstance(staged, str):
            return candidate.became("refused", reason=staged)
        self._task = ""
        try:
            task = self._made(staged, session, candidate)
        except BaseException:
            self._clean_up(session, began(record))
            raise
        finally:
            shutil.rmtree(staged.folder, ignore_errors=True)
        return task

    def _stage(self, session: Session, record: RunRecord) -> staging.Staged | str:
        if os.path.normpath(os.path.dirname(session.path)) != os.path.normpath(record.offline_dir):
            return "the run record names a session outside ClearML's offline folder"
        try:
            return staging.stage(session.path, record, self._directory)
        except OSError as error:
            why = f"the session cannot be copied: {error.strerror or error}"
            raise PublishFailed(why, shlex.join(["df", "-h", self._directory])) from None

    def _made(self, staged: staging.Staged, session: Session, candidate: Candidate) -> Imported:
        """The finished task; the one of another copy of this clone, where that was quicker."""
        self._api.close()  # it would idle
        record, status = candidate.record, status_of(candidate.record)
        self._task = task = sdk.import_session(
            self._api.server,
            staged.folder,
            completed=status == "completed",
            seconds=self._seconds,
            environment=self._environment,
            lock=self._lock,
        )
        self._api.renew()
        document = query.task(self._api, task, imported_sessions.FIELDS)
        if document is None or not imported_sessions.is_unfinished(document, session.id):
            raise BadAnswer(f"the task {task} is not what ClearML's SDK was asked to make", "git clearml import")
        if status != "completed" or response.text(document, "status") != status:
            tasks.end(self._api, task, status, reason_of(record))
        new = MadeTask(Session(task), status, response.text(document, "started"))
        run_tasks.attach(self._api, new, on_server(record, session.id, task))
        if other := self._other(document, session, candidate):
            tasks.delete(self._api, task)
            return other
        last = {"name": staged.name, "comment": staged.comment, "script": dict(staged.script)}
        tasks.edit(self._api, task, {"force": True, **last})
        return candidate.became("sent", task, status)

    def _other(self, own: query.Document, session: Session, candidate: Candidate) -> Imported | None:
        """What another import has made of the session since ours began; None for nothing. Of two at work the task that
        is the older one stays: whoever made it may have looked before the other was there. Raises BeingSent."""
        documents = imported_sessions.existing(self._api, [session.id], began(candidate.record))
        age = imported_sessions.age(own)
        if any(
            imported_sessions.is_unfinished(each, session.id) and imported_sessions.age(each) < age
            for each in documents
        ):
            raise BeingSent
        return server_state(documents, candidate)

    def _clean_up(self, session: Session, since: datetime | None) -> None:
        """Deletes what a broken import has left, as far as the server answers. Not what another one is at, if that can
        be told."""
        with signals.held(), contextlib.suppress(CannotDecide):
            self._api.renew(_CLEANING)
            left = imported_sessions.existing(self._api, [session.id], since)
            own = [each for each in left if self._task in ("", response.identity(each))]
            imported_sessions.delete_unfinished(self._api, own, session.id)


def on_server(record: RunRecord, session: str, task: str) -> RunRecord:
    """The record as it is for a server: this session is that task, and all of its tasks ended as the run did."""
    status = status_of(record)
    ended = [(task if name == session else name, own or status) for name, own in record.tasks]
    return record._replace(tasks=tuple(ended) if task in dict(ended) else ((task, status), *ended))


def on_server_already(api: ClearML, candidates: Iterable[Candidate | Imported]) -> list[query.Document]:
    """What the server has of all these sessions, as `existing` has it."""
    wanted = [each for each in candidates if isinstance(each, Candidate) and each.session]
    moments = [moment for each in wanted if (moment := began(each.record))]
    return imported_sessions.existing(
        api, [each.session.id for each in wanted if each.session], min(moments, default=None)
    )


@contextlib.contextmanager
def workplace(common_dir: str, seconds: float, waiting: Callable[[], None]) -> Iterator[tuple[str, int]]:
    """An empty directory for copies, and the lock of this clone's imports: one at a time, so that none is sent twice.

    Raises TimedOut where another holds it for so many seconds, and PublishFailed.
    """
    ours = os.path.join(common_dir, "clearml")
    directory = os.path.join(ours, "import")
    with contextlib.ExitStack() as stack:
        try:
            private_directory(ours)
            lock = stack.enter_context(locked(os.path.join(ours, "import.lock"), seconds, waiting))
            shutil.rmtree(directory, ignore_errors=True)  # of one that was killed
            private_directory(directory)
        except TimeoutError:
            raise TimedOut("another git clearml import is at work in this clone", "wait for its end") from None
        except OSError as error:
            why = f"there is no room for copies: {error.strerror or error}"
            raise PublishFailed(why, shlex.join(["df", "-h", ours])) from None
        stack.callback(shutil.rmtree, directory, ignore_errors=True)
        yield directory, lock


def server_state(documents: Sequence[query.Document], candidate: Candidate) -> Imported | None:
    """What the server has of the session already, None where it has nothing that is finished. Pure."""
    if candidate.session is None:
        return None
    for document in documents:
        if imported_sessions.is_import(document, candidate.session.id):
            return candidate.became("already", response.identity(document), response.text(document, "status"))
    return None
