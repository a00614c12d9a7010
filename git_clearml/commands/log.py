"""`git clearml log`: commits with their tasks, from the notes of this clone or from the server."""

from __future__ import annotations

import argparse
import contextlib
import difflib
import os
import shutil
from collections.abc import Iterator, Sequence
from typing import Any

from git_clearml.base.console import Console
from git_clearml.commands import options
from git_clearml.errors import CannotDecide, Error, UnknownRevision, UsageError
from git_clearml.git import log as history
from git_clearml.git import pager
from git_clearml.git.log import Chosen, Form
from git_clearml.git.repository import Repository
from git_clearml.record.log import TaskSource, by_metric
from git_clearml.record.model import CommitWithTasks
from git_clearml.render import log as view
from git_clearml.render import log_format
from git_clearml.render.log_format import Template
from git_clearml.settings import load as policies
from git_clearml.settings.policy import Best

_DOCUMENTS = ("markdown", "json")
_SECONDS = 30.0  # for one query, as for one `verify`

TITLE = "commits with their tasks, their status and metrics"
DESCRIPTION = "Prints commits as git log --oneline does, each with the tasks recorded for it."


def add_flags(parser: argparse.ArgumentParser) -> None:
    parser.epilog = "What stands after -- are paths, as for git log."
    parser.add_argument("ranges", nargs="*", metavar="<range>", help="revisions and ranges (default: HEAD)")
    parser.add_argument("--fetch", action="store_true", help="ask the server, in one query for 500 commits")
    parser.add_argument(
        "--metric", action="append", default=[], metavar="TITLE/SERIES", help="show this metric; repeatable"
    )
    parser.add_argument("--sort", default="", metavar="TITLE/SERIES", help="order the commits by it, the best first")
    parser.add_argument("-n", "--max-count", type=int, metavar="N", help="show so many commits at most")
    parser.add_argument("--graph", action="store_true", help="git's graph of the commits, our columns beside it")
    parser.add_argument("--all", action="store_true", help="the commits of all refs but notes")
    options.add_timeout(parser, "for each query (default: 30)")
    parser.add_argument(
        "--format", default="text", metavar="FORMAT", help="text, markdown, json, or git's with %%(clearml:status) ..."
    )
    options.add_json(parser)
    parser.set_defaults(paths=[])  # what stands after `--`; the command line is cut there before it is parsed


def failed(error: Error) -> dict[str, Any]:
    return view.document([], [], error=error)


def run(arguments: argparse.Namespace, console: Console) -> int:
    """Reads commits as git finds them, and prints them with their tasks. Returns the exit status."""
    _check(arguments)
    repository = Repository()
    best, timeout = _settings(repository, arguments, console)
    template, page = None, ""
    if arguments.format not in _DOCUMENTS:
        console.colour = console.colour and pager.wants_colours(repository)
        page = pager.command(repository, os.environ) if console.out.isatty() else ""
        template = _template(arguments, console.colour)
    wanted = [*arguments.metric, *([arguments.sort] if arguments.sort else []), *(template.metrics if template else [])]
    names = list(dict.fromkeys(wanted))
    if not names and best.metric and arguments.format != "json":
        names = [best.metric]

    def tell(error: CannotDecide) -> None:
        console.fail(error)
        console.say("git clearml: only what is recorded in this clone is shown")

    source = TaskSource(repository, names, timeout if arguments.fetch else None, tell=tell, log=console.log)
    chosen = Chosen(arguments.ranges, arguments.paths, arguments.all, None if arguments.sort else arguments.max_count)
    with contextlib.closing(source), console.paged(page, os.environ):
        if template:
            form = Form(template.format, arguments.graph, console.colour)
            with contextlib.closing(history.printed(repository, form, chosen)) as texts:
                _print_filled(texts, template, source, names, console)
        else:
            with contextlib.closing(history.walk(repository, chosen)) as blocks:
                _print(_sorted(source.with_tasks(blocks), arguments, best), arguments.format, names, source, console)
    if source.commits and not source.tasks and not source.error and arguments.format == "text":
        _hint(arguments, console)
    for name in source.missing({*wanted}):
        console.warn(f"no task shown has the metric {name}")
    return source.error.status if source.error else 0


def _hint(arguments: argparse.Namespace, console: Console) -> None:
    """Where nothing but commits was shown: where tasks would come from."""
    if arguments.fetch:
        console.say("git clearml: the server has no task of these commits")
        return
    command = options.whence_tasks("git clearml run --record notes -- python train.py")
    console.say("git clearml: no task of these commits is on record in git notes or clearml.lock")
    console.say(f"hint: {command}")


def _check(arguments: argparse.Namespace) -> None:
    """Raises UsageError for what does not go together."""
    if arguments.max_count is not None and arguments.max_count < 0:
        raise UsageError("--max-count must be 0 or more", "git clearml log -n 20")
    own = arguments.format in ("text", *_DOCUMENTS)
    if not own and "%" not in arguments.format and not arguments.format.startswith(("format:", "tformat:")):
        near = next(iter(difflib.get_close_matches(arguments.format, ("text", *_DOCUMENTS), 1)), "")
        meant = f"; did you mean {near}?" if near else ": text, markdown, json, or placeholders"
        raise UsageError(f"not a format: {arguments.format!r}{meant}", "git clearml log --format '%h %s'")
    if arguments.graph and arguments.format in _DOCUMENTS:
        raise UsageError(f"--graph and --format {arguments.format} cannot be used together", "git clearml log --graph")
    if arguments.sort and (arguments.graph or not own):
        what = "--graph" if arguments.graph else "a format of placeholders"
        raise UsageError(f"--sort and {what} cannot be used together", "git clearml log --sort validation/accuracy")


def _template(arguments: argparse.Namespace, colours: bool) -> Template | None:
    """The format for git where git prints the commits; None where we do."""
    token = os.urandom(8).hex()
    if arguments.format != "text":
        return log_format.parse(arguments.format, token, colours=colours)
    return log_format.graph(token, colours=colours) if arguments.graph else None


def _sorted(
    commits_with_tasks: Iterator[list[CommitWithTasks]], arguments: argparse.Namespace, best: Best
) -> Iterator[list[CommitWithTasks]]:
    if not arguments.sort:
        return commits_with_tasks
    ordered = by_metric([commit for block in commits_with_tasks for commit in block], arguments.sort, best)
    return iter([ordered[: arguments.max_count]])


def _print_filled(
    texts: Iterator[str], template: Template, source: TaskSource, names: Sequence[str], console: Console
) -> None:
    """Prints what git prints, the values of ours filled in, as it comes; as many commits at once as one query takes."""
    width = shutil.get_terminal_size().columns if console.out.isatty() else 0
    waiting = ""
    for text in texts:
        waiting += text
        commits = template.commits(waiting)
        if len(commits) >= source.at_once or not commits:
            console.product(template.filled(waiting, source.of(commits), names, width=width))
            waiting = ""
    console.product(template.filled(waiting, source.of(template.commits(waiting)), names, width=width))


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


def _print(
    commits_with_tasks: Iterator[list[CommitWithTasks]],
    form: str,
    names: Sequence[str],
    source: TaskSource,
    console: Console,
) -> None:
    """Prints the commits as they come; JSON is one document, and comes at the end."""
    if form == "json":
        commits = [commit for block in commits_with_tasks for commit in block]
        console.document(view.document(commits, names, error=source.error))
        return
    width = shutil.get_terminal_size().columns if console.out.isatty() else 0
    if form == "markdown":
        console.product(view.markdown(next(commits_with_tasks, []), names))
    for commits in commits_with_tasks:
        if form == "markdown":
            console.product(view.markdown(commits, names, head=False))
        else:
            console.product(view.text(commits, names, width=width, colour=console.colour))
