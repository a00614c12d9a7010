"""The flags of `git clearml run`, and which of them go together."""

from __future__ import annotations

import argparse
import shlex
from collections.abc import Sequence

from git_clearml.base.secrets import redact_words
from git_clearml.commands import options
from git_clearml.errors import UsageError
from git_clearml.record.model import RecordOptions

PLACE = "{seed}"
"""What stands for the seed in a command."""

_MOST_SEEDS, _LARGEST = 1000, 2**32 - 1  # runs of one call, and what numpy, torch and Python all take for a seed


def add(parser: argparse.ArgumentParser) -> None:
    """All flags but the command itself."""
    parser.add_argument("--allow-dirty", action="store_true", help="run with uncommitted changes; never verifies")
    parser.add_argument("--seeds", type=int, metavar="N", help="run it N times, for {seed} in the command 0, 1, ...")
    parser.add_argument("--first-seed", type=int, metavar="N", help="with --seeds: count from there (default: 0)")
    options.add_dry_run(parser, "say what would run, and run nothing")
    _of_queues(parser)
    _of_recording(parser)


def _of_queues(parser: argparse.ArgumentParser) -> None:
    """The flags of a run on a queue."""
    group = parser.add_argument_group("on an agent")
    group.add_argument("--queue", metavar="NAME", help="launch on this queue instead of running here")
    group.add_argument("--parallel", type=int, metavar="N", help="with --seeds: no more than N at once (default: all)")
    group.add_argument("--attach", metavar="TASK", help="launch nothing: follow this task")
    group.add_argument("--from", dest="template", metavar="TASK", help="take all but the commit from this task")
    group.add_argument("--wait", action="store_true", help="wait for the end; status 0 only when it completed")
    group.add_argument("--wait-timeout", type=float, metavar="SECONDS", help="how long to wait (default: 3600)")
    group.add_argument("--follow", action="store_true", help="wait, and print the console log as it grows")
    group.add_argument("--abort-on-interrupt", action="store_true", help="abort the task when the waiting ends early")
    group.add_argument("--project", metavar="NAME", help="the task's project (default: the policy's)")
    group.add_argument("--task-name", metavar="NAME", help="the task's name (default: the policy's, or the script's)")
    group.add_argument("--tag", action="append", default=[], metavar="TAG", help="a tag for the task; may be repeated")
    group.add_argument("--docker", metavar="IMAGE", help="docker image, and docker arguments after it")
    group.add_argument("--requirements", metavar="FILE", help="its requirements file; none for no packages")
    group.add_argument("--packages", metavar="NAMES", help='packages instead of a file: "torch==2.4 pandas"')
    group.add_argument("--repository", metavar="URL", help="what the agent clones (default: the push remote)")


def _of_recording(parser: argparse.ArgumentParser) -> None:
    """The flags of recording."""
    group = parser.add_argument_group("recording what came out")
    group.add_argument("--record", choices=("none", "notes", "commit"), default="none", help="default: none")
    group.add_argument("--push-record", action="store_true", help="with notes: push them too")
    group.add_argument("--add", action="append", default=[], metavar="PATH", help="with commit: what else to commit")
    group.add_argument("--before-push", metavar="COMMAND", help="with commit: run this first, for instance dvc push")
    group.add_argument("--branch", metavar="NAME", help="with commit: the branch to push to")
    group.add_argument("--skip-ci", action="store_true", help="with commit: [skip ci] in its message")
    group.add_argument("--committer", metavar="NAME <MAIL>", help="with commit: who commits")


def on_queue(arguments: argparse.Namespace) -> bool:
    """Is an agent to run it? Raises UsageError for an empty name, as an unset variable gives one."""
    named = {"--queue": arguments.queue, "--attach": arguments.attach, "--from": arguments.template}
    for flag, value in named.items():
        if value == "":
            raise UsageError(f"{flag} is empty", f"{flag} <{'queue' if flag == '--queue' else 'task'}>")
    return any(value is not None for value in named.values())


def seeds(arguments: argparse.Namespace) -> range:
    """The seeds to run the command for, none where it is to be run once. Raises UsageError for what makes no sense."""
    count, first, parallel = arguments.seeds, arguments.first_seed, arguments.parallel
    for flag, value in (("--first-seed", first), ("--parallel", parallel)):
        if value is not None and count is None:
            raise UsageError(f"{flag} requires --seeds", "--seeds 3")
    if count is None:
        return range(0)
    for flag, value, least, most in (
        ("--seeds", count, 1, _MOST_SEEDS),
        ("--first-seed", first or 0, 0, _LARGEST - count + 1),
        ("--parallel", 1 if parallel is None else parallel, 1, _MOST_SEEDS),
    ):
        if not least <= value <= most:
            raise UsageError(f"{flag} is {value}: expected a number from {least} to {most}", f"{flag} 3")
    if arguments.attach is not None or arguments.follow:
        raise UsageError(f"{'--follow' if arguments.follow else '--attach'} is about one task", "leave --seeds out")
    words = arguments.words
    if (words or arguments.template) and not any(PLACE in word for word in words):
        is_showable = redact_words(words) == tuple(words)  # else the hint would not work as typed
        command = shlex.join(words or ["python", "train.py"]) if is_showable else "<command>"
        hint = f"git clearml run --seeds {count} -- {command} --seed {PLACE}"
        raise UsageError(f"{PLACE} is not in the command, and so all {count} runs would be the same", hint)
    return range(first or 0, (first or 0) + count)


def for_seed(words: Sequence[str], seed: int) -> list[str]:
    """The command for one of its seeds."""
    return [word.replace(PLACE, str(seed)) for word in words]


def refuse_alone(arguments: argparse.Namespace) -> None:
    """Raises UsageError for flags that mean nothing for a run on this machine."""
    of_queue = "parallel wait follow abort_on_interrupt wait_timeout project task_name tag docker"
    for name in (*of_queue.split(), "requirements", "packages", "repository"):
        if getattr(arguments, name):
            raise UsageError(f"--{name.replace('_', '-')} requires --queue", "--queue <queue>")


def record_words(arguments: argparse.Namespace) -> list[str]:
    """The flags of recording as they would be written once more."""
    if arguments.record == "none":
        return []
    words = ["--record", arguments.record, *(["--push-record"] if arguments.push_record else [])]
    words += [word for path in arguments.add for word in ("--add", path)]
    for name in ("before_push", "branch", "committer"):
        if value := getattr(arguments, name):
            words += [f"--{name.replace('_', '-')}", value]
    return [*words, *(["--skip-ci"] if arguments.skip_ci else [])]


def record_options(arguments: argparse.Namespace) -> RecordOptions:
    """The flags as RecordOptions. Raises UsageError for flags that the kind of record does not know."""
    kind = arguments.record
    of_commit = ("add", "before_push", "branch", "skip_ci", "committer")
    for name in of_commit if kind != "commit" else ():
        if getattr(arguments, name):
            raise UsageError(f"--{name.replace('_', '-')} requires --record commit", "--record commit")
    if on_queue(arguments) and kind != "none" and not (arguments.wait or arguments.follow or arguments.attach):
        raise UsageError("--record requires waiting for the end of the task", "--wait")
    if arguments.push_record and kind != "notes":
        raise UsageError("--push-record requires --record notes", "--record notes")
    return RecordOptions(
        kind,
        arguments.push_record,
        tuple(arguments.add),
        arguments.before_push or "",
        arguments.branch or "",
        arguments.skip_ci,
        arguments.committer or "",
    )
