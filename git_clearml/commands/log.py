"""`git clearml log`: commits with their tasks, from the notes of this clone or from the server."""

from __future__ import annotations

import argparse
import contextlib
import os
import shutil
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from git_clearml.base.console import Console
from git_clearml.clearml.connect import connect
from git_clearml.commands import options
from git_clearml.errors import CannotDecide, Error, UnknownRevision, UsageError
from git_clearml.git import log as history
from git_clearml.git.log import LogEntry
from git_clearml.git.repository import Repository
from git_clearml.record import note_lines, notes
from git_clearml.record.model import CommitWithTasks, RecordedTask
from git_clearml.render import log as view
from git_clearml.settings import load as policies
from git_clearml.settings.policy import Best

if TYPE_CHECKING:
    from git_clearml.clearml.client import ClearML

_SECONDS = 30.0  # for one query, as for one `verify`
_ONE_QUERY = 500  # commits


def add_parser(commands: Any) -> argparse.ArgumentParser:
    """Adds the command and its flags (design 11)."""
    parser: argparse.ArgumentParser = commands.add_parser(
        "log",
        help="commits with their tasks, their status and metrics",
        description="Prints commits as git log --oneline does, each with the tasks recorded for it.",
        epilog="What stands after -- are paths, as for git log.",
        allow_abbrev=False,
    )
    parser.add_argument("ranges", nargs="*", metavar="<range>", help="revisions and ranges (default: HEAD)")
    parser.add_argument("--fetch", action="store_true", help="ask the server, in one query for 500 commits")
    parser.add_argument(
        "--metric", action="append", default=[], metavar="TITLE/SERIES", help="show this metric; repeatable"
    )
    parser.add_argument("--sort", default="", metavar="TITLE/SERIES", help="order the commits by it, the best first")
    parser.add_argument("-n", "--max-count", type=int, metavar="N", help="show so many commits at most")
    options.add_timeout(parser, "for each query (default: 30)")
    options.add_format(parser)
    parser.set_defaults(paths=[])  # what stands after `--`; the command line is cut there before it is parsed
    return parser


def failed(error: Error) -> dict[str, Any]:
    """The JSON of a call that ended before there was anything to show."""
    return view.document([], [], status=error.status, errors=[_problem(error)])


def run(arguments: argparse.Namespace, console: Console) -> int:
    """Reads commits as git finds them, and prints them with their tasks. Returns the exit status."""
    if arguments.max_count is not None and arguments.max_count < 0:
        raise UsageError("--max-count must be 0 or more", "git clearml log -n 20")
    repository = Repository()
    best, timeout = _settings(repository, arguments, console)
    names = list(dict.fromkeys([*arguments.metric, *([arguments.sort] if arguments.sort else [])]))
    if not names and best.metric and arguments.format != "json":
        names = [best.metric]
    source = _Source(repository, console, names, timeout if arguments.fetch else None)
    most = None if arguments.sort else arguments.max_count
    with (
        contextlib.closing(source),
        contextlib.closing(history.walk(repository, arguments.ranges, arguments.paths, most=most)) as blocks,
    ):
        commits_with_tasks = source.with_tasks(blocks)
        if arguments.sort:
            ordered = _ordered([commit for block in commits_with_tasks for commit in block], arguments.sort, best)
            commits_with_tasks = iter([ordered[: arguments.max_count]])
        _print(commits_with_tasks, arguments.format, names, source, console)
    for name in source.missing(set(arguments.metric) | ({arguments.sort} - {""})):
        console.warn(f"no task shown has the metric {name}")
    return source.error.status if source.error else 0


def _settings(repository: Repository, arguments: argparse.Namespace, console: Console) -> tuple[Best, float]:
    """What the policy at HEAD says of the best model, and the seconds for a query. Raises BadSetting."""
    try:
        head = repository.resolve(["HEAD"])
    except UnknownRevision:  # other branches may have commits all the same
        return Best(), arguments.timeout or _SECONDS
    (ruling,) = policies.rulings(repository, head, flags={"timeout": arguments.timeout}, environment=os.environ)
    for warning in ruling.warnings:
        console.warn(warning)
    return ruling.policy.best, ruling.personal.timeout or _SECONDS


class _Source:
    """Where the tasks of commits are looked up. `error` is what kept the server from telling, None if nothing did.

    `timeout` is that of a query in seconds, None for no query: the notes alone.
    """

    def __init__(self, repository: Repository, console: Console, metrics: Sequence[str], timeout: float | None) -> None:
        self._notes = notes.Notes(repository)
        self._console, self._metrics, self._timeout = console, metrics, timeout
        self._api: ClearML | None = None
        self._seen: set[str] = set()
        self.error: CannotDecide | None = None

    def close(self) -> None:
        """Lets go of the connection."""
        if self._api:
            self._api.close()

    def missing(self, names: Iterable[str]) -> list[str]:
        """Those of the metrics that no task had."""
        return sorted(set(names) - self._seen)

    def with_tasks(self, blocks: Iterator[list[LogEntry]]) -> Iterator[list[CommitWithTasks]]:
        """The commits with their tasks: the server's, then those on record that the server did not tell of."""
        for commits in blocks if self._timeout is None else _grouped(blocks):
            names = [entry.commit for entry in commits]
            recorded, fetched = self._notes.of(names), self._fetched(names)
            with_tasks = [
                CommitWithTasks(entry.commit, entry.short, entry.subject, _both(fetched, recorded, entry.commit))
                for entry in commits
            ]
            self._seen |= {name for commit in with_tasks for task in commit.tasks for name, _ in task.metrics}
            yield with_tasks

    def _fetched(self, commits: Sequence[str]) -> Mapping[str, tuple[RecordedTask, ...]]:
        """The tasks that the server has; {} when it cannot be asked, and then it is not asked again."""
        if self._timeout is None or self.error:
            return {}
        from git_clearml.clearml import results as task_results

        try:
            self._api = self._api or connect(os.environ, self._timeout, log=self._console.log)
            self._api.renew()
            results = task_results.of_commits(self._api, commits, metrics=self._metrics)
        except CannotDecide as error:
            self.error = error
            self._console.fail(error)
            self._console.say("git clearml: what follows is recorded in this clone")
            return {}
        return {commit: tuple(map(note_lines.recorded_task, reversed(tasks))) for commit, tasks in results.items()}


def _grouped(blocks: Iterator[list[LogEntry]]) -> Iterator[list[LogEntry]]:
    """The same commits, as many at a time as one query takes."""
    waiting: list[LogEntry] = []
    for block in blocks:
        waiting += block
        while len(waiting) >= _ONE_QUERY:
            yield waiting[:_ONE_QUERY]
            waiting = waiting[_ONE_QUERY:]
    if waiting:
        yield waiting


def _both(
    fetched: Mapping[str, tuple[RecordedTask, ...]], recorded: Mapping[str, tuple[RecordedTask, ...]], commit: str
) -> tuple[RecordedTask, ...]:
    """The tasks of a commit, those that the server told of first."""
    tasks = fetched.get(commit, ())
    ids = {task.task for task in tasks}
    return (*tasks, *(task for task in recorded.get(commit, ()) if task.task not in ids))


def _ordered(commits: Sequence[CommitWithTasks], metric: str, best: Best) -> list[CommitWithTasks]:
    """By the best value of each commit's tasks, in the policy's direction for its own metric, else the greatest first.

    Commits without the metric come last; equals stay in git's order.
    """
    sign = -1 if (metric, best.direction) == (best.metric, "min") else 1

    def rank(commit: CommitWithTasks) -> tuple[bool, float]:
        values = [sign * value for task in commit.tasks for name, value in task.metrics if name == metric]
        return not values, -max(values, default=0.0)

    return sorted(commits, key=rank)


def _print(
    commits_with_tasks: Iterator[list[CommitWithTasks]],
    form: str,
    names: Sequence[str],
    source: _Source,
    console: Console,
) -> None:
    """Prints the commits as they come; JSON is one document, and comes at the end."""
    if form == "json":
        commits = [commit for block in commits_with_tasks for commit in block]
        problems = [_problem(source.error)] if source.error else []
        status = source.error.status if source.error else 0
        console.document(view.document(commits, names, status=status, errors=problems))
        return
    width = shutil.get_terminal_size().columns if console.out.isatty() else 0
    if form == "markdown":
        console.product(view.markdown(next(commits_with_tasks, []), names))
    for commits in commits_with_tasks:
        if form == "markdown":
            console.product(view.markdown(commits, names, head=False))
        else:
            console.product(view.text(commits, names, width=width, colour=console.colour))


def _problem(error: Error) -> dict[str, str]:
    return {"code": error.code, "message": error.message}
