"""`git clearml import`: sends offline runs to the server."""

from __future__ import annotations

import argparse
import os
import shlex
import sys
from collections.abc import Iterator, Sequence

from git_clearml.base.console import Console
from git_clearml.clearml.client import ClearML
from git_clearml.clearml.connect import connect
from git_clearml.commands import options
from git_clearml.errors import BadAnswer, CannotDecide, Error, PublishFailed, TimedOut, UsageError
from git_clearml.git.repository import Repository
from git_clearml.model import Problem, RunRecord
from git_clearml.render import imports as view
from git_clearml.run import imported_sessions, importing
from git_clearml.run.importing import Candidate, Imported, Importer
from git_clearml.run.record import Damaged
from git_clearml.run.store import RunStore

_EACH, _BUDGET, _LONGEST = 120.0, 30.0, 1e6  # seconds: of the SDK for a task, of our own questions, and of the former

failed = options.failed("import", runs=[])

TITLE = "send offline runs to the server"
DESCRIPTION = """\
Makes tasks on the server of what git clearml run recorded without one, by the SDK's own import, each with its run
record and the status that its run had. What is there already is not sent again."""


def add_flags(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("revs", nargs="*", metavar="<rev>", help="commits whose runs are sent (default: HEAD)")
    parser.add_argument("--all", action="store_true", help="the runs of all commits that are on record here")
    options.add_dry_run(parser, "only say what would be sent")
    options.add_timeout(parser, f"for each task (default: {_EACH:g})")
    options.add_format(parser)


def run(arguments: argparse.Namespace, console: Console) -> int:
    """Finds the runs, sends what the server does not have, prints what became of each. Returns the exit status."""
    if arguments.timeout is not None and not 0 < arguments.timeout <= _LONGEST:
        raise UsageError(
            f"--timeout = {arguments.timeout:g}: expected a number of seconds, more than 0", f"--timeout {_EACH:g}"
        )
    repository = Repository()
    candidates = list(importing.candidates(_records(arguments, repository)))
    if not candidates:
        where = "" if arguments.all else f" of {', '.join(arguments.revs) or 'HEAD'}"
        console.say(f"git clearml: no offline run{where} is on record in this clone")
    runs: list[Imported] = []
    problems: list[Problem] = []
    web = ""
    if any(isinstance(each, Candidate) and each.session for each in candidates):
        api = connect(os.environ, min(arguments.timeout or _EACH, _BUDGET), log=console.log)
        web = api.server.web
        became = _sent(arguments, console, repository, api, candidates)
    else:
        became = iter([each if isinstance(each, Imported) else each.became("refused") for each in candidates])
    for each in became:
        if isinstance(each, Problem):
            console.fail(each)
            problems.append(each)
            continue
        runs.append(console.redact(each))
        if arguments.format == "text":  # at once: whoever interrupts it has to know what has been sent
            console.product(view.text(runs[-1:], web, dry_run=arguments.dry_run))
    status = 1 if any(each.action == "refused" for each in runs) else 3 if problems else 0
    if arguments.format == "json":
        console.document(view.document(runs, web, status, problems))
    elif arguments.format == "markdown":
        console.product(view.markdown(runs, web, dry_run=arguments.dry_run))
    if any(each.action == "sent" for each in runs) and not arguments.dry_run:
        console.say(f"git clearml: next: git clearml verify{''.join(f' {rev}' for rev in arguments.revs)}")
    return status


def _records(arguments: argparse.Namespace, repository: Repository) -> list[RunRecord | Damaged]:
    """The records of the runs that are meant, the oldest first; damaged ones before them."""
    store = RunStore(repository.common_dir)
    if arguments.all:
        records = store.recent(sys.maxsize)
    else:
        revs = repository.resolve(arguments.revs or ["HEAD"])
        records = store.of_commits(resolved.commit.hash for resolved in revs)
    return sorted(records, key=lambda record: record.started if isinstance(record, RunRecord) else "")


def _sent(
    arguments: argparse.Namespace,
    console: Console,
    repository: Repository,
    api: ClearML,
    candidates: Sequence[Candidate | Imported],
) -> Iterator[Imported | Problem]:
    """What becomes of each, one import at a time in this clone."""
    seconds = arguments.timeout or _EACH

    def waiting() -> None:
        console.say("git clearml: waiting for another git clearml import of this clone")

    def send(candidate: Candidate) -> Imported:
        if arguments.dry_run:
            return candidate.became("sent", status=importing.status_of(candidate.record))
        console.progress(f"sending {candidate.session.name if candidate.session else ''} ...")
        return importer.send(candidate)

    try:
        with importing.workplace(repository.common_dir, seconds, waiting) as (directory, lock):
            importer = Importer(api, directory, lock, seconds=seconds, environment=os.environ)
            documents = importing.on_server_already(api, candidates)
            for each in candidates:
                if isinstance(each, Imported) or each.session is None:
                    yield each if isinstance(each, Imported) else each.became("refused")
                    continue
                try:
                    state = importing.server_state(documents, each)
                    if state is None and not arguments.dry_run:
                        imported_sessions.delete_unfinished(api, documents, each.session.id)
                    yield state or send(each)
                except CannotDecide as error:
                    yield _of_run(error, each, arguments)
                    if not isinstance(error, (PublishFailed, BadAnswer)):
                        return  # the server is away, or does not let us in: there is no sense in trying the others
    finally:
        api.close()


def _of_run(error: Error, candidate: Candidate, arguments: argparse.Namespace) -> Problem:
    name = candidate.session.name if candidate.session else candidate.record.id[:8]
    again = ["git", "clearml", "import", *(["--all"] if arguments.all else []), *arguments.revs]
    more = ["--timeout", f"{5 * (arguments.timeout or _EACH):g}"] if isinstance(error, TimedOut) else []
    message = f'"{name}" of {candidate.record.commit[:12]}: {error.message}'
    return Problem.of(error)._replace(message=message, hint=error.hint or shlex.join([*again, *more]))
