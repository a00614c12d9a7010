"""`git clearml run --queue`: the half of `run` that works through an agent."""

from __future__ import annotations

import argparse
import os
import re
import shlex
from collections.abc import Mapping, Sequence

from git_clearml.agent import launch as launching
from git_clearml.agent import queue_command as queue_commands
from git_clearml.agent import queue_end as run_reports
from git_clearml.agent import queue_launch as queue_runs
from git_clearml.agent.queue_command import Entry
from git_clearml.agent.requirement import passed_check
from git_clearml.base.console import Console
from git_clearml.base.progress import Progress
from git_clearml.base.sanitize import harmless
from git_clearml.base.words import listed
from git_clearml.clearml import config as clearml_conf
from git_clearml.clearml import response as answers
from git_clearml.clearml import tasks as agents
from git_clearml.clearml.client import ClearML
from git_clearml.clearml.entry_point import entry_paths
from git_clearml.clearml.model import Launch
from git_clearml.commands import run_flags, run_waiting
from git_clearml.commands.run_waiting import Awaited, Call
from git_clearml.errors import Error, NotConfigured, UsageError
from git_clearml.forge import context as ci_context
from git_clearml.git import worktree as working_tree
from git_clearml.git.repository import Repository
from git_clearml.record import record as recording
from git_clearml.verdict import session as judgement
from git_clearml.verdict import sources

_SHOWN = 10  # files named in a refusal
_PAGE = re.compile(r"https?://\S*/(?:experiments|tasks)/([^/?#\s]+)\S*")


def run(arguments: argparse.Namespace, words: Sequence[str], console: Console) -> int:
    """Launches, or attaches; waits where that is wanted; records. Returns the exit status.

    Raises UsageError and BadSetting for what can never run, CannotDecide for what keeps us from launching.
    """
    _check(arguments, words)
    repository = Repository()
    context, _ = ci_context.detect(repository, os.environ, log=console.log, warn=console.warn)
    flags = {"runnable.docker": arguments.docker, "runnable.requirements": arguments.requirements}
    flags["wait-timeout"] = arguments.wait_timeout
    judging = judgement.prepare(repository, judgement.VerifyRequest(flags=flags), context, passed_check)
    call = Call(arguments, run_flags.wish_of(arguments), console, repository, judging, _api(console), Progress(console))
    try:
        return run_waiting.attach(call) if arguments.attach else _launch(call, words)
    finally:
        call.api.close()
        judging.close()


def _check(arguments: argparse.Namespace, words: Sequence[str]) -> None:
    """Raises UsageError for flags that contradict each other, and makes ids of the addresses of pages."""
    if arguments.attach and (arguments.queue or arguments.template or words):
        raise UsageError("--attach launches nothing: no queue, no template and no command belong to it")
    if arguments.template and not arguments.queue:
        raise UsageError("--from wants a queue", "add --queue NAME")
    run_flags.wish_of(arguments)
    if not arguments.attach and not arguments.template and not words:
        raise UsageError("which command is to be run?", "for instance: git clearml run --queue gpu -- python train.py")
    for name in ("attach", "template"):
        if text := getattr(arguments, name):
            setattr(arguments, name, _task_id(text))


def _task_id(text: str) -> str:
    """The id of a task, which may stand in the address of its page. Raises UsageError."""
    page = _PAGE.fullmatch(text)
    identity = page[1] if page else text
    if not answers.ID.fullmatch(identity):
        raise UsageError(f"not the id of a task: {text!r}", "see its id on its page: INFO, or the address")
    return identity


def _api(console: Console) -> ClearML:
    server = clearml_conf.read_server(os.environ)
    if server is None:
        raise NotConfigured("no ClearML credentials are configured", sources.HINT)
    return ClearML(server, judgement.BUDGET, environment=os.environ, log=console.log)


# --- launching ------------------------------------------------------------------------------------------------------


def _launch(call: Call, words: Sequence[str]) -> int:
    entry = queue_commands.entry(words) if words else None
    refusal = _dirty(call) or (_missing(call, entry) if entry else None)
    if refusal:
        call.console.fail(refusal)
        return 1
    order, notes = _order(call, entry)
    if call.arguments.dry_run:
        return _show(call, order)
    where = recording.target(call.repository, order.commit, call.wish)
    run = queue_runs.QueueRun(call.repository, call.api, order, call.progress)
    started = run.start()
    for note in () if started.attached else (*notes, *started.notes):
        call.console.say(f"git clearml: {note}")
    how = "attached to" if started.attached else "launched"
    call.console.say(f"git clearml: {how} the task of {order.commit.hash[:12]} on the queue {harmless(order.queue)!r}")
    call.console.product(f"{started.task}\n{started.url}\n")
    if call.arguments.wait or call.arguments.follow:
        return run_waiting.waited(call, Awaited(started.task, order.commit, where, run.said, entry))
    run.said()
    run_reports.tell_launch(started.task, started.url, order.commit.hash, os.environ)
    return 0


def _dirty(call: Call) -> Error | None:
    """Uncommitted changes would not go along: whoever launches them means them."""
    if call.arguments.allow_dirty or not call.repository.top:
        return None
    [head] = call.repository.resolve(["HEAD"])
    look = working_tree.look(call.repository, head.commit, call.judging.rulings[0].policy)
    if not look.changed:
        return None
    hint = "git commit, or add --allow-dirty: the agent runs the commit without your changes"
    return Error(f"not launched: uncommitted changes in {listed(list(look.changed), _SHOWN)}", hint)


def _missing(call: Call, entry: Entry) -> Error | None:
    """A script that the commit lacks cannot run. A module may be an installed one, but then it is no evidence."""
    commit = call.judging.commits[0].commit
    folder = _folder(call.repository)
    paths = entry_paths(entry.entry_point, folder)
    if paths and call.repository.existing_files((commit.hash, path) for path in paths):
        return None
    if entry.module:
        where = f"-m {entry.module} is not a module of the commit"
        call.console.say(f"git clearml: {where}: the task will be no evidence for it")
        return None
    shown = paths[0] if paths else entry.entry_point
    return Error(
        f"not launched: {shown} is not in commit {commit.hash[:12]}", "git add and commit it, or mend the path"
    )


def _folder(repository: Repository) -> str:
    """Where the command runs, seen from the repository's root."""
    if not repository.top:
        return "."
    here = os.path.relpath(os.path.realpath(os.getcwd()), os.path.realpath(repository.top))
    return "." if here.startswith("..") else here.replace(os.sep, "/")


def _order(call: Call, entry: Entry | None) -> tuple[queue_runs.Order, list[str]]:
    """What is to be launched, and what to say about it: the command names the script, flags and policy the rest."""
    arguments, commit, policy = call.arguments, call.judging.commits[0].commit, call.judging.rulings[0].policy
    template = arguments.template or ""
    requirements: str | None = None
    notes: list[str] = []
    if not template or arguments.requirements or arguments.packages:
        packages = shlex.split(arguments.packages or "")
        content, notes = launching.requirements(call.repository, commit, policy.runnable, packages)
        requirements = content if content.strip() else launching.NO_PACKAGES
    image, docker_arguments = launching.container(policy.runnable.docker if not template or arguments.docker else "")
    name = arguments.task_name or ("" if template else policy.task_name or (entry.name if entry else ""))
    launch = Launch(
        project=arguments.project or ("" if template else policy.project or _project(call.repository)),
        name=name if template or len(name.strip()) >= 3 else f"run {name}".strip(),
        queue=arguments.queue,
        repository="",
        commit="",
        entry_point=entry.entry_point if entry else "",
        working_dir=_folder(call.repository) if entry else ".",
        requirements=requirements,
        docker=image,
        docker_arguments=docker_arguments,
        tags=tuple(dict.fromkeys([*arguments.tag, *_pushed_tag(os.environ)])),
        kind="testing" if entry and entry.is_test else "training",
    )
    return queue_runs.Order(commit, arguments.queue, launch, arguments.repository or "", template), notes


def _pushed_tag(environment: Mapping[str, str]) -> list[str]:
    """The git tag whose push started this CI job: it becomes the task's tag."""
    if environment.get("GITHUB_REF_TYPE") == "tag" and environment.get("GITHUB_REF_NAME"):
        return [environment["GITHUB_REF_NAME"]]
    return [environment["CI_COMMIT_TAG"]] if environment.get("CI_COMMIT_TAG") else []


def _project(repository: Repository) -> str:
    """The repository's own name, where the policy names no project."""
    from git_clearml.git import remote as remotes
    from git_clearml.git import url as repository_urls

    url = remotes.fetch_url(repository)
    name = repository_urls.normalise(url).rstrip("/").rpartition("/")[2]
    return name if len(name) >= 3 else f"repository {name}".strip()


def _show(call: Call, order: queue_runs.Order) -> int:
    """--dry-run: the task as the server would get it."""
    import json

    source = launching.source(call.repository, order.commit.hash, override=order.repository)
    document = agents.body(order.launch, order.launch.project)
    document["script"] |= {"repository": source.url, "version_num": source.commit}
    if source.needs_side_ref:
        call.console.say("git clearml: the remote lacks the commit, which would be pushed as a side ref")
    call.console.product(json.dumps({"queue": order.queue, "from": order.template or None, **document}, indent=2))
    return 0
