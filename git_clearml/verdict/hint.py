"""The one command to run next after a verdict that is no pass."""

from __future__ import annotations

import json
import os
import posixpath
import re
import shlex
from collections.abc import Iterable, Sequence
from typing import NamedTuple

from git_clearml.base.secrets import REDACTED, redact_words
from git_clearml.clearml.entry_point import arguments_of, inside, installed, module_files, module_of, usual_paths
from git_clearml.git.repository import Repository
from git_clearml.model import RunRecord, Task
from git_clearml.run.ownership import NO_TASK
from git_clearml.settings.policy import Policy
from git_clearml.verdict.model import Finding, Outcome, RequirementVerdict, Verdict
from git_clearml.verdict.near_miss import ONLY_HERE

_USUAL = ("train.py", "main.py", "src/train.py")
_PYTHON = r"python[\d.]*(\.exe)?"
_LONGEST = 300  # characters of arguments
_RECENT = 5  # runs whose commands are looked at
_CUT = (64, 100)  # characters that a word of a record on a server may have been cut to

LEFT_OUT = "the arguments of what ran are left out of the next command: a secret is among them"


class _Way(NamedTuple):
    """A file that may have been run, by its path from the root, and how to run it from there: quoted for a shell."""

    path: str
    words: str


class Files:
    """Which (commit, path) are files of the commit: each is asked of git once."""

    def __init__(self, repository: Repository) -> None:
        self._repository = repository
        self._known: dict[tuple[str, str], bool] = {}

    def among(self, places: Iterable[tuple[str, str]]) -> set[tuple[str, str]]:
        """Those of the places that are. One git process at most."""
        wanted = list(places)
        if new := [place for place in wanted if place not in self._known]:
            files = self._repository.existing_files(new)
            self._known |= {place: place in files for place in new}
        return {place for place in wanted if self._known[place]}


def next_command(
    repository: Repository, verdicts: Sequence[Verdict], policy: Policy, files: Files | None = None
) -> str:
    """What makes the worst of these verdicts a pass; "" when they all are.

    Of what a server said it has paths that exist in the commit, and arguments for them, quoted for a shell; whole
    commands only from run records in this clone. Arguments with a secret are left out (see `remarks`).
    """
    verdict = _worst(verdicts)
    if verdict is None:
        return ""
    head = repository.head or repository.run("rev-parse", "--verify", "--quiet", "HEAD").text
    if local := [near.task for near in verdict.near_misses if any(why.message == ONLY_HERE for why in near.reasons)]:
        return "git clearml import" + ("" if local[0].commit == head else f" {local[0].commit[:12]}")
    if unmet := _worst_requirement(verdict):
        return unmet.hint or _of_requirement(repository, verdict, unmet, policy, files)
    is_head = verdict.rev == "HEAD" or head == verdict.commit
    if verdict.outcome is Outcome.PENDING:
        return "git clearml verify --wait" + ("" if is_head else f" {verdict.commit[:12]}")
    if verdict.needs_check:
        return "git clearml check-runnable" + ("" if is_head else f" {verdict.commit[:12]}")
    command = _command(repository, verdict, policy, files or Files(repository))
    if verdict.fails_metrics:
        from git_clearml.verdict import next_run  # late: few policies have metrics

        return next_run.next_command(verdict, command, "" if is_head else verdict.commit[:12])
    if verdict.near_misses and _made_no_task(verdict.near_misses[0]):
        record = verdict.near_misses[0].task.run
        words = record.command if record and _typeable(record.command) and not _has_secrets(record.command) else ()
        return with_task_init(shlex.join(words) or command, policy)  # the same alone would end in the same way
    run = f"git clearml run -- {command}"
    return run if is_head else f"git checkout {verdict.commit[:12]} && {run}"


def with_task_init(command: str, policy: Policy) -> str:
    """What to do where a command has made no task: what its script lacks, then the command."""
    project = json.dumps(policy.project, ensure_ascii=False) if policy.project else "..."
    name = json.dumps(policy.task_name, ensure_ascii=False) if policy.task_name else "..."
    script = next((word for word in command.split() if word.endswith(".py")), "the script")
    call = f"Task.init(project_name={project}, task_name={name})"
    return f"call {call} in {script}, commit, then: git clearml run -- {command}"


def _made_no_task(nearest: Finding) -> bool:
    """Did the run end well and make no task?"""
    codes = {reason.code for reason in nearest.reasons}
    return "run-failed" not in codes and any(reason.message == NO_TASK for reason in nearest.reasons)


def with_commands(repository: Repository, verdicts: Sequence[Verdict], policy: Policy) -> list[Verdict]:
    """The verdicts, with what makes a pass of each requirement that is none. A few git processes for all."""
    files = Files(repository)
    ways = [
        (verdict.commit, way.path)
        for verdict in verdicts
        for each in verdict.requirements
        if each.outcome is Outcome.REJECTED and not each.entry_point
        for way in (*_ran(repository, each.verdict), *_usual(policy))
    ]
    files.among(ways)

    def of(verdict: Verdict, each: RequirementVerdict) -> RequirementVerdict:
        if each.outcome is Outcome.VERIFIED:
            return each
        return each._replace(hint=_of_requirement(repository, verdict, each, policy, files))

    return [
        verdict._replace(requirements=tuple(of(verdict, each) for each in verdict.requirements)) for verdict in verdicts
    ]


def _of_requirement(
    repository: Repository, verdict: Verdict, unmet: RequirementVerdict, policy: Policy, files: Files | None
) -> str:
    alone = unmet.verdict._replace(rev=verdict.rev, commit=verdict.commit)
    return next_command(repository, [alone], policy._replace(entry_point=unmet.entry_point), files)


def _worst_requirement(verdict: Verdict) -> RequirementVerdict | None:
    """The first one that is as bad as the verdict; None where nothing but a remote check is lacking."""
    return next((each for each in verdict.requirements if each.outcome is verdict.outcome), None)


def remarks(verdicts: Sequence[Verdict], command: str) -> tuple[str, ...]:
    """What there is to say of the next command for these verdicts."""
    verdict = _worst(verdicts)
    for task in [finding.task for finding in verdict.near_misses] if verdict else []:
        for way in _ways(task, keep=False):
            if command.endswith(way.words):
                return (LEFT_OUT,) if _has_secrets(_arguments(task, way.path)) else ()
    return ()


def _worst(verdicts: Sequence[Verdict]) -> Verdict | None:
    worst = Outcome.worst([verdict.outcome for verdict in verdicts])
    return None if worst is Outcome.VERIFIED else next(verdict for verdict in verdicts if verdict.outcome is worst)


def _ran(repository: Repository, verdict: Verdict) -> list[_Way]:
    """What the near misses may have run, the nearest first."""
    tasks = [finding.task for finding in verdict.near_misses]
    commands = _recorded_here(repository, tasks)
    return [way for task in tasks for way in _ways(task, commands.get(task.id, ()))]


def _usual(policy: Policy) -> list[_Way]:
    return [_Way(path, f"python {shlex.quote(path)}") for path in (policy.runnable.entry_point, *_USUAL) if path]


def _command(repository: Repository, verdict: Verdict, policy: Policy, files: Files) -> str:
    """What the nearest task ran, else a usual script, else what a run here did last, else a placeholder."""
    ways, usual = _ran(repository, verdict), _usual(policy)
    if policy.entry_point:  # of a requirement: nothing else will do
        script = posixpath.normpath(policy.entry_point)
        return next((way.words for way in ways if way.path == script), f"python {shlex.quote(script)}")
    present = files.among((verdict.commit, way.path) for way in (*ways, *usual))
    there = [way.words for way in ways if (verdict.commit, way.path) in present]
    there = there or [words for finding in verdict.near_misses for words in _elsewhere(finding)]
    there += [way.words for way in usual if (verdict.commit, way.path) in present]
    return there[0] if there else _last_run(repository, verdict.commit, files) or "python <your training script>"


def _ways(task: Task, command: Sequence[str] = (), *, keep: bool = True) -> list[_Way]:
    """The files that the task may have run. A module that is found from the root, or that is installed, by its name.

    `command` is what is known here to have been run; `keep` its arguments.
    """
    module = module_of(task.entry_point)
    by_name = {f"{root}{file}" for file in module_files(task.entry_point) for root in ("", "src/")}
    ways = []
    for path in usual_paths(task.entry_point, task.working_dir):
        shown = f"-m {module.removesuffix('.__main__')}" if path in by_name else shlex.quote(path)
        arguments = _shown(_arguments(task, path)) if keep else ""
        ways.append(_Way(path, _as_it_was(command, task, path, shown) or f"python {shown}{arguments}"))
    if not ways and _typeable(command) and not _has_secrets(command):  # an installed program that runs a notebook
        ways = _ways_of(command)
    return ways


def _ways_of(command: Sequence[str]) -> list[_Way]:
    """What of a command may be a file of the repository, with the whole of it to run that."""
    return [_Way(path, shlex.join(command)) for word in command[1:] if (path := inside(".", word))]


def _as_it_was(command: Sequence[str], task: Task, path: str, shown: str) -> str:
    """The command with the script as it is seen from the root; "" where it is not in it."""
    number = _place(command, task, path)
    if not number:
        return ""
    before, after = list(command[: number - 1 if shown.startswith("-m ") else number]), command[number + 1 :]
    before[0] = "python" if re.fullmatch(_PYTHON, posixpath.basename(before[0])) else before[0]
    if not _typeable(before) or _has_secrets(before):
        return ""
    return f"{shlex.join(before)} {shown}{_shown(after)}"


def _place(command: Sequence[str], task: Task, path: str) -> int:
    """Where in a command the script stands that lies at this path, or its module; 0 for nowhere."""
    module = module_of(task.entry_point)
    for number, word in enumerate(command[1:], start=1):
        below = posixpath.normpath(posixpath.join(task.working_dir or ".", word))
        if path in (below, f"{below}/__main__.py") or (module and word == module and command[number - 1] == "-m"):
            return number
    return 0


def _elsewhere(finding: Finding) -> list[str]:
    """How to run what a task ran that the verdict has found elsewhere in the commit: in a submodule, in a package."""
    task = finding.task
    if finding.equivalence is None or any(reason.code == "entry-point-missing" for reason in finding.reasons):
        return []
    program, module = installed(task.entry_point, task.working_dir), module_of(task.entry_point)
    if module:
        return [f"python -m {module}{_shown(_arguments(task, ''))}"]
    if program:
        return [shlex.quote(program.script)] if program.script else []
    ways = _ways(task)
    return [way.words for way in ways if way.path.endswith((".py", ".ipynb"))] or [way.words for way in ways]


def _recorded_here(repository: Repository, tasks: Sequence[Task]) -> dict[str, tuple[str, ...]]:
    """The commands whose runs this clone has on record, by the ids of their tasks."""
    from git_clearml.run.store import RunStore  # late: a refusal alone wants it

    records = RunStore(repository.common_dir).sound_of({task.commit for task in tasks if task.commit})
    return {task: record.command for record in records for task, _ in record.tasks}


def _last_run(repository: Repository, commit: str, files: Files) -> str:
    """What was run here last, with a file that the commit has too; "" for nothing."""
    from git_clearml.run.store import RunStore  # late: a refusal alone wants it

    records = [each for each in RunStore(repository.common_dir).recent(_RECENT) if isinstance(each, RunRecord)]
    commands = [each.command for each in records if _typeable(each.command) and not _has_secrets(each.command)]
    ways = [way for each in commands for way in _ways_of(each)]
    present = files.among((commit, way.path) for way in ways)
    return next((way.words for way in ways if (commit, way.path) in present), "")


def _arguments(task: Task, path: str) -> tuple[str, ...]:
    """What followed the script at this path, or the module, as far as the task tells."""
    command = task.run.command if task.run else ()
    whole = not any(len(word) in _CUT for word in command)
    if whole and (number := _place(command, task, path)):
        return tuple(command[number + 1 :])
    return arguments_of(task.entry_point, task.working_dir, path)


def _shown(arguments: Sequence[str]) -> str:
    """The arguments for a shell, after a blank; "" where they could not be typed, or have a secret."""
    fine = arguments and _typeable(arguments) and not _has_secrets(arguments)
    return f" {shlex.join(arguments)}" if fine else ""


def _typeable(words: Sequence[str]) -> bool:
    """Can they be typed as they are printed?"""
    text = shlex.join(words)
    return text.isprintable() and len(text) <= _LONGEST


def _has_secrets(words: Sequence[str]) -> bool:
    from git_clearml.clearml.conf_secrets import known_secrets  # late: a refusal alone wants it

    shown = redact_words(words)
    return any(REDACTED in word for word in words) or known_secrets(os.environ).redact(shown) != tuple(words)
