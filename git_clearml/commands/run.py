"""`git clearml run`: runs a command at a clean commit and records the run."""

from __future__ import annotations

import argparse
import os

from git_clearml.base.console import Console
from git_clearml.commands import run_flags, run_here
from git_clearml.errors import NotARepository, UsageError
from git_clearml.git.repository import Repository
from git_clearml.settings import load as policies

TITLE = "run a command at a clean commit and record the run"
DESCRIPTION = """\
Runs the command when the working tree is exactly the commit, tells ClearML so, and records how it ended. Everything
from the command's first word on belongs to the command. The exit status is the command's own."""


def add_flags(parser: argparse.ArgumentParser) -> None:
    parser.usage = "git clearml run [<options>] [--] <command>..."
    run_flags.add(parser)
    parser.add_argument("words", nargs=argparse.REMAINDER, metavar="<command>", help="the command and its arguments")
    parser.set_defaults(words=[])  # also what stands after `--`


def run(arguments: argparse.Namespace, console: Console) -> int:
    """Runs the command line's command; its exit status, or 1 when the working tree is not the commit.

    Raises UsageError without a command, and what runs.plan raises: before the command starts.
    """
    words, seeds = arguments.words, run_flags.seeds(arguments)
    if run_flags.on_queue(arguments):
        from git_clearml.commands import run_on_queue  # late: a run here needs none of it

        return run_on_queue.run(arguments, words, seeds, console)
    run_flags.refuse_alone(arguments)
    recording = run_flags.record_options(arguments)
    if not words:
        raise UsageError("no command given", "git clearml run -- python train.py")
    repository = Repository()
    if not repository.top:
        raise NotARepository("this repository is bare: there is nothing to run", "run in a clone with a working tree")
    [head] = repository.resolve(["HEAD"])
    [ruling] = policies.rulings(repository, [head], flags={}, environment=os.environ)
    for warning in ruling.warnings:
        console.warn(warning)
    call = run_here.Call(arguments, console, repository, head.commit, ruling.policy, recording)
    if not seeds:
        ran = run_here.once(call, words)
        not_recorded = run_here.recorded(call, [ran])
        return ran.status or not_recorded
    from git_clearml.commands import run_seeds  # late: most runs are of one

    return run_seeds.run(call, words, seeds)
