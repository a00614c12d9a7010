"""Decides whether a commit has evidence: design 6, rule by rule. Pure.

Each rule looks at one task and gives the reasons why it does not count. A task with no reason against it counts.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from datetime import datetime
from typing import NamedTuple

from git_clearml.base.ids import is_hash
from git_clearml.base.secrets import without_credentials
from git_clearml.clearml.diff import UNLISTED
from git_clearml.clearml.entry_point import INSTALLED, entry_paths, is_outside, is_program, is_script, names_outside
from git_clearml.git import url
from git_clearml.model import Commit, DiffKind, Task
from git_clearml.run.ownership import belongs
from git_clearml.settings.policy import Equivalence, Policy
from git_clearml.verdict import metric_rules, run_rules, statuses
from git_clearml.verdict.model import Finding, Outcome, Reason, Verdict
from git_clearml.verdict.near_miss import nearest_first


class Facts(NamedTuple):
    """What the rules need to know: the repository's names, which (commit, path) are files there, the time, and what the
    tasks at hand say of each other.

    `elsewhere` is for entry points (commit, entry point, working directory) that are not where their directory says:
    "" where the commit has it all the same, else why not (see layouts.find). `tips`: the commits that branches are
    at, by the ids of the tasks that wait for them.
    """

    repositories: frozenset[str]
    files: frozenset[tuple[str, str]]
    now: datetime
    siblings: run_rules.Siblings = run_rules.Siblings()
    elsewhere: Mapping[tuple[str, str, str], str] = {}
    tips: Mapping[str, frozenset[str]] = {}


def judge(
    commit: Commit,
    tasks: Iterable[Task],
    policy: Policy,
    facts: Facts,
    *,
    equivalent: Callable[[str], Equivalence | None],
    chosen: str = "",
) -> Verdict:
    """The verdict for one commit over the tasks that were found.

    `equivalent` tells in which sense a task's commit is this one, None for not at all; a task is accepted only in
    a sense that the policy allows. `chosen` is the id of the only task that may count, "" for any.
    """
    every = [examine(task, policy, facts, _sense_of(task, policy, facts, equivalent)) for task in tasks]
    findings = [finding for finding in every if chosen in ("", finding.task.id)]
    accepted = [finding for finding in findings if finding.accepted]
    base = Verdict(commit.hash, Outcome.REJECTED, considered=len(findings), accepted=len(accepted))
    if accepted:
        best = max(accepted, key=lambda finding: preference(finding, policy))
        base = base._replace(outcome=Outcome.VERIFIED, task=best.task, equivalence=best.equivalence, notes=best.notes)
    else:
        outcome = Outcome.PENDING if any(finding.pending for finding in findings) else Outcome.REJECTED
        base = base._replace(outcome=outcome, near_misses=nearest_first(findings))
    return metric_rules.applied(base, every, policy)  # of all: a choice among seeds would be the choice of the best


def _sense_of(
    task: Task, policy: Policy, facts: Facts, equivalent: Callable[[str], Equivalence | None]
) -> Equivalence | None:
    """In which sense what the task has run, or will run, is the commit."""
    if not waits_for_branch(task):
        return equivalent(task.commit)
    senses = [equivalent(tip) for tip in facts.tips.get(task.id, ())]
    return next((sense for sense in senses if accepts_equivalence(policy, sense)), None)


def examine(task: Task, policy: Policy, facts: Facts, equivalence: Equivalence | None) -> Finding:
    """All that speaks against one task as evidence for one commit, and what a reader should know if nothing does."""
    notes: list[str] = list(task.notes)
    first = [*_same_code(task, policy, facts, equivalence), *statuses.reasons(task, policy, facts.now, notes)]
    recorded = [] if waits_for_branch(task) and task.diff is None else _diff(task, notes)
    where = [*_entry_point(task, policy, facts, notes), *_belongs(task, policy, facts)]
    seen = run_rules.reasons(task, policy, facts.siblings, notes)
    recorded, seen = run_rules.each_once(task, recorded, seen)
    reasons = [*first, *recorded, *where, *seen]
    if not reasons and equivalence in _SENSE:
        notes.append(f"the task ran {task.commit[:12]}, which is the same {_SENSE[equivalence]}")
    return Finding(task, equivalence, tuple(reasons), tuple(notes))


_SENSE: dict[Equivalence | None, str] = {Equivalence.TREE: "tree", Equivalence.PATHS: "code (code-paths)"}


def _same_code(task: Task, policy: Policy, facts: Facts, equivalence: Equivalence | None) -> list[Reason]:
    """Rule 1, widened by the policy's equivalence."""
    if task.damage:
        return [Reason("no-task", task.damage)]
    if waits_for_branch(task):
        if equivalence is not None:
            return []
        tips = facts.tips.get(task.id, frozenset())
        where = f"which is at {min(tips)[:12]}" if tips else "which is not in this clone"
        return [Reason("no-commit", f"will run what the branch {task.branch!r} is at when it starts, {where}")]
    if not task.commit:
        return [_another(task)]
    if accepts_equivalence(policy, equivalence):
        return []
    if equivalence is Equivalence.TREE:
        short = task.commit[:12]
        return [Reason("other-commit", f'same code, but commit {short}: equivalence = "tree" would accept it')]
    return [_another(task)]


def _another(task: Task) -> Reason:
    if is_hash(task.commit):
        return Reason("other-commit", f"ran another commit, {task.commit[:12]}")
    if task.commit:
        message = f"recorded {task.commit[:80]!r} as its commit, which is not a full hash (git rev-parse HEAD)"
        return Reason("other-commit", message)
    if task.status in ("created", "queued"):
        return Reason("no-commit", "has not run yet, and does not say which commit it will run")
    lost = "recorded no commit: ClearML lost it in a short run"
    remedy = "set sdk.development.vcs_repo_detect_async: false in clearml.conf, or use git clearml run"
    return Reason("no-commit", f"{lost}; {remedy}")


def of_another(task: Task) -> Finding:
    """That this task is one of another commit, or of none, whatever else there is: its diff has not been looked at."""
    return Finding(task, None, (_another(task),), ())


def waits_for_branch(task: Task) -> bool:
    """Has the task no commit yet, because its agent will take that of a branch? `clearml-task --branch` makes such."""
    return not task.commit and bool(task.branch) and task.status in ("queued", "in_progress")


def accepts_equivalence(policy: Policy, equivalence: Equivalence | None) -> bool:
    """Does the policy take a task whose commit is the judged one in this sense?

    Every policy takes the task of a results commit's parent (design 6); in which sense that commit is the parent has
    been asked before.
    """
    if equivalence is None or equivalence in (Equivalence.RESULTS, Equivalence.MERGE):
        return equivalence is not None
    strictest_first = (Equivalence.COMMIT, Equivalence.TREE, Equivalence.PATHS)
    return strictest_first.index(equivalence) <= strictest_first.index(policy.equivalence)


def _diff(task: Task, notes: list[str]) -> list[Reason]:
    """Rule 3. A diff that nobody has looked at yet is unknown, never clean."""
    if task.damage or not task.id or not task.commit:  # without a commit it does not count, whatever its diff
        return []
    kind = task.diff.kind if task.diff else None
    if kind is DiffKind.CLEAN:
        return []
    if task.diff and kind is DiffKind.OWN:
        notes.append(f"its diff is {task.diff.summary}")
        return []
    if task.diff and kind is DiffKind.DIRTY:
        joint = ": " if task.diff.summary in UNLISTED else " in "
        return [Reason("dirty", f"ran with uncommitted changes{joint}{task.diff.summary}")]
    if kind is DiffKind.ABSENT and task.by_agent:
        notes.append("no diff on record; an agent ran it from its own checkout")
        return []
    summary = task.diff.summary if task.diff and task.diff.summary else "no diff on record"
    return [Reason("diff-unknown", f"has {summary}, and no agent ran it: whether it was clean is unknown")]


def _entry_point(task: Task, policy: Policy, facts: Facts, notes: list[str]) -> list[Reason]:
    """Rule 4: what the task says it ran must be a file of the commit that it says it ran.

    What lies outside of the repository no commit can have: an installed program that runs a script or a notebook of it.
    There the run record of the task says whether the tree was the commit.
    """
    if task.damage or not task.commit or not task.id:
        return []
    paths = entry_paths(task.entry_point, task.working_dir)
    elsewhere = facts.elsewhere.get((task.commit, task.entry_point, task.working_dir))
    if elsewhere == "" or any((task.commit, path) in facts.files for path in paths):
        return []
    outside = is_outside(task.entry_point, task.working_dir)
    if outside or elsewhere == INSTALLED:
        if _vouches(task, policy):
            notes.append(f"ran {task.entry_point!r}, outside of the repository: its run record vouches for the code")
            return []
        if not task.entry_point:
            return [Reason("entry-point-missing", "does not say which script it ran")]
    if outside:
        return [Reason("entry-point-missing", f"ran {task.entry_point!r}, which lies outside the repository")]
    if elsewhere:
        return [Reason("entry-point-missing", f"ran {task.entry_point!r}, {elsewhere}")]
    return [Reason("entry-point-missing", f"ran {(*paths, task.entry_point)[0]!r}, which that commit does not have")]


def _vouches(task: Task, policy: Policy) -> bool:
    """Does the task's own run record say that the tree was the commit? A clone bears the record of its origin.

    Not where the command itself names a script that lies outside of the repository: that is what was run then.
    """
    record = task.run
    if record is None or record.exit_status is None or not belongs(record, task):
        return False
    if run_rules.record_reasons(record, policy):
        return False
    return is_program(task.entry_point) or not names_outside(record.command, task.entry_point, task.working_dir)


def _belongs(task: Task, policy: Policy, facts: Facts) -> list[Reason]:
    """Rule 5. Project and name are compared here, exactly: the server's own name filter is a regular expression."""
    if task.damage or not task.id:
        return []
    reasons = []
    if task.is_check:
        only = "was launched by check-runnable, which shows that the commit starts and no more"
        reasons.append(Reason("not-a-check", only))
    if task.archived:
        reasons.append(Reason("archived", "is archived"))
    reasons += another_kind(task, policy)
    if task.source == "offline":
        return reasons
    name = url.normalise(task.repository)
    if not name:
        if not policy.allow_no_repository:
            reasons.append(Reason("no-repository", "recorded no repository"))
    elif name not in facts.repositories:
        shown = without_credentials(task.repository)
        reasons.append(Reason("other-repository", f"ran in another repository, {shown!r}{_alike(name, facts)}"))
    return reasons


def another_kind(task: Task, policy: Policy) -> list[Reason]:
    """Why the task, whatever became of it, is none of those that the policy, or a requirement of it, is about."""
    reasons = []
    if not policy.has_project(task.project):
        reasons.append(Reason("other-project", f"is in project {task.project!r}, not in {policy.project!r}"))
    if policy.task_name and task.name != policy.task_name:
        reasons.append(Reason("other-task-name", f"is named {task.name!r}, not {policy.task_name!r}"))
    if policy.entry_point and not is_script(policy.entry_point, task.entry_point, task.working_dir):
        ran = (*entry_paths(task.entry_point, task.working_dir), task.entry_point)[0]
        reasons.append(Reason("entry-point-missing", f"ran {ran!r}, not {policy.entry_point!r}"))
    return reasons


def _alike(name: str, facts: Facts) -> str:
    """What there is to say of this repository's path on a host that no name server has: an ssh configuration names it.

    Which host is meant only that one tells.
    """
    host, _, path = name.lower().partition("/")
    last = host.rpartition(".")[2]
    is_alias = host + ":" != url.LOCAL and not (last.isdigit() or (last.isalpha() and last != host)) and ":" not in host
    if not is_alias or all(path != own.lower().partition("/")[2] for own in facts.repositories):
        return ""
    return (
        f": {host!r} is a name of somebody's ssh configuration, and which host it means is not known here; if this is "
        "the repository, name it in the policy's repositories"
    )


def unreachable_is_tolerated(policies: Iterable[Policy], error_code: str) -> bool:
    """May what could not be decided pass unverified? Only for want of a server, and only where every policy says so.

    Of several policies the strictest decides; no policy at all tolerates nothing.
    """
    words = {policy.on_unreachable for policy in policies}
    return error_code in ("unreachable", "timeout") and words == {"warn"}


def is_measured(task: Task, policy: Policy) -> bool:
    """Has the task a value of the policy's metric that can be compared?"""
    return not metric_rules.unusable(metric_rules.ranked_value(task, policy), policy.ranking)


def preference(finding: Finding, policy: Policy) -> tuple[bool, float, str, str]:
    """Its own tasks before those of a results commit's parent; then the best metric (none is worst), then the latest
    `completed`, then the id."""
    value, ranking = metric_rules.ranked_value(finding.task, policy), policy.ranking
    if not ranking.metric or not is_measured(finding.task, policy):
        signed = float("-inf")
    else:
        signed = float(value or 0) if ranking.direction == "max" else -float(value or 0)
    return finding.equivalence is not Equivalence.RESULTS, signed, finding.task.completed, finding.task.id
