"""`git clearml import`: sends offline runs to the server."""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Callable, Sequence
from typing import Any

from git_clearml.base.console import Console
from git_clearml.clearml.client import ClearML
from git_clearml.clearml.connect import connect
from git_clearml.commands import options
from git_clearml.errors import BadAnswer, CannotDecide, Error, PublishFailed
from git_clearml.git.repository import Repository
from git_clearml.model import Problem, RunRecord
from git_clearml.render import imports as view
from git_clearml.run import importing
from git_clearml.run.importing import Candidate, Imported, Importer
from git_clearml.run.record import Damaged
from git_clearml.run.store import RunStore

_EACH, _BUDGET = 120.0, 30.0  # seconds: of the SDK for a task, and of our own questions
_DESCRIPTION = """\
Makes tasks on the server of what git clearml run recorded without one, by the SDK's own import, each with its run
record and the status that its run had. What is there already is not sent again."""


def add_parser(commands: Any) -> argparse.ArgumentParser:
    """Adds the command and its flags (design 11)."""
    parser: argparse.ArgumentParser = commands.add_parser(
        "import", help="send offline runs to the server", description=_DESCRIPTION, allow_abbrev=False
    )
    parser.add_argument("revs", nargs="*", metavar="<rev>", help="commits whose runs are sent (default: HEAD)")
    parser.add_argument("--all", action="store_true", help="the runs of all commits that are on record here")
    options.add_dry_run(parser, "only say what would be sent")
    options.add_timeout(parser, f"for each task (default: {_EACH:g})")
    options.add_format(parser)
    return parser


def failed(error: Error) -> dict[str, Any]:
    """The JSON of a call that ended before anything was sent."""
    from git_clearml.render import json as json_view

    return {**json_view.failed("import", error), "runs": []}


def run(arguments: argparse.Namespace, console: Console) -> int:
    """Finds the runs, sends what the server does not have, prints what became of each. Returns the exit status."""
    repository = Repository()
    runs, problems, web = _imported(arguments, console, repository)
    refused = any(run.action == "refused" for run in runs)
    status = 1 if refused else 3 if problems else 0
    for problem in problems:
        console.fail(Error(problem.message, problem.hint))
    runs = console.redact(runs)
    if arguments.format == "json":
        console.document(view.document(runs, web, status, problems))
    else:
        render = view.markdown if arguments.format == "markdown" else view.text
        console.product(render(runs, web, dry_run=arguments.dry_run))
    if any(run.action == "sent" for run in runs) and not arguments.dry_run:
        rev = f" {arguments.revs[0]}" if arguments.revs else ""
        console.say(f"git clearml: next: git clearml verify{rev}")
    return status


def _imported(
    arguments: argparse.Namespace, console: Console, repository: Repository
) -> tuple[list[Imported], list[Problem], str]:
    """What became of the runs, what went wrong, and the address of the server's pages."""
    found = list(importing.candidates(_records(arguments, repository)))
    if not found:
        where = "" if arguments.all else f" of {', '.join(arguments.revs) or 'HEAD'}"
        console.say(f"git clearml: no offline run{where} is on record in this clone")
    sessions = [each for each in found if isinstance(each, Candidate) and each.session]
    if not sessions:
        return [each if isinstance(each, Imported) else each.became("refused") for each in found], [], ""
    seconds = arguments.timeout or _EACH
    api = connect(os.environ, min(seconds, _BUDGET), log=console.log)
    try:
        waiting = "git clearml: waiting for another git clearml import of this clone"
        with importing.workplace(repository.common_dir, seconds, lambda: console.say(waiting)) as (directory, lock):
            importer = Importer(api, directory, lock, seconds=seconds, environment=os.environ)
            send = _dry if arguments.dry_run else _sending(importer, console)
            return *_each(api, found, send), api.server.web
    finally:
        api.close()


def _records(arguments: argparse.Namespace, repository: Repository) -> list[RunRecord | Damaged]:
    """The records of the runs that are meant, the oldest first; damaged ones before them."""
    store = RunStore(repository.common_dir)
    if arguments.all:
        records = store.recent(sys.maxsize)
    else:
        revs = repository.resolve(arguments.revs or ["HEAD"])
        records = store.of_commits(resolved.commit.hash for resolved in revs)
    return sorted(records, key=lambda record: record.started if isinstance(record, RunRecord) else "")


def _dry(candidate: Candidate) -> Imported:
    return candidate.became("sent", status=importing.status_of(candidate.record))


def _sending(importer: Importer, console: Console) -> Callable[[Candidate], Imported]:
    def send(candidate: Candidate) -> Imported:
        console.progress(f"sending {candidate.session.name if candidate.session else ''} ...")
        return importer.send(candidate)

    return send


def _each(
    api: ClearML, found: Sequence[Candidate | Imported], send: Callable[[Candidate], Imported]
) -> tuple[list[Imported], list[Problem]]:
    """What becomes of each: those that the server has are left alone, and what broken imports have left is deleted.

    One that cannot be sent does not keep the others from it, but where the server is away there is no sense in trying.
    """
    ids = [each.session.id for each in found if isinstance(each, Candidate) and each.session]
    since = [moment for each in found if isinstance(each, Candidate) and (moment := importing.began(each.record))]
    documents = importing.existing(api, ids, min(since))
    runs: list[Imported] = []
    problems: list[Problem] = []
    for each in found:
        if isinstance(each, Imported):
            runs.append(each)
            continue
        try:
            if (known := importing.server_state(documents, each)) is None:
                if each.session and send is not _dry:
                    importing.delete_unfinished(api, documents, each.session.id)
                known = send(each) if each.session else each.became("refused")
            runs.append(known)
        except (PublishFailed, BadAnswer) as error:
            problems.append(_of_run(error, each))
        except CannotDecide as error:
            problems.append(_of_run(error, each))
            break
    return runs, problems


def _of_run(error: Error, candidate: Candidate) -> Problem:
    name = candidate.session.name if candidate.session else candidate.record.id[:8]
    return Problem(error.code, f'"{name}" of {candidate.record.commit[:12]}: {error.message}', error.hint)
