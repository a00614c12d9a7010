"""Judges again what does not pass, over every task there is and its diff: what a refusal, and only that, is worth."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from git_clearml.model import Commit, Task
from git_clearml.verdict import lost_tasks, reset_tasks, rules
from git_clearml.verdict.evidence import Answer, RemoteEvidence
from git_clearml.verdict.inquiry import Inquiry, united, unverified
from git_clearml.verdict.model import Finding, Outcome, Verdict


def explained(inquiry: Inquiry, commits: Sequence[Commit]) -> dict[Commit, Verdict]:
    """Judged again over every task of these commits and their equals, diffs looked at."""
    chosen = inquiry.scope.chosen
    on_server = isinstance(inquiry.evidence, RemoteEvidence) and not chosen
    sessions = reset_tasks.recorded(inquiry.repository, commits) if on_server else {}
    names = inquiry.relatives(commits)
    verdicts, tasks = _judged(inquiry, commits, names, [session.id for session in sessions.values()])
    bare = [name for name, verdict in verdicts.items() if verdict.outcome is Outcome.REJECTED]
    if bare and chosen:
        from git_clearml.verdict import chosen_task as chosen_task  # late: few ask for a task

        refused = {commit: verdicts[commit] for commit in bare}
        return verdicts | chosen_task.elsewhere(refused, chosen, inquiry.evidence, inquiry.policy)
    became = reset_tasks.findings({name: each for name, each in sessions.items() if name in bare}, tasks)
    for commit, finding in became.items():
        others = [near for near in verdicts[commit].near_misses if near.task.id != finding.task.id]
        verdicts[commit] = verdicts[commit]._replace(near_misses=(finding, *others))
    if bare and not became and not {task.commit for task in tasks} & set(names):  # else a 4th request
        verdicts |= _by_lost_tasks(inquiry, bare, verdicts)
    return verdicts | inquiry.elsewhere.explained({commit: verdicts[commit] for commit in bare})


def of_sources(inquiry: Inquiry, commits: Sequence[Commit]) -> dict[Commit, Verdict]:
    """The same of commits that others are merges of: what counts for them, or will, and no more reasons than that."""
    verdicts, tasks = _judged(inquiry, commits, inquiry.relatives(commits))
    return verdicts if tasks else verdicts | _by_lost_tasks(inquiry, list(verdicts), verdicts)


def _by_lost_tasks(
    inquiry: Inquiry, bare: Sequence[Commit], verdicts: Mapping[Commit, Verdict]
) -> dict[Commit, Verdict]:
    """The verdicts on commits without a task, by recent tasks that lost their commit or have none yet."""
    recent = inquiry.search.recent()
    lost = lost_tasks.of(inquiry.repository, bare, recent, inquiry.asked_policy)
    judged = {commit: inquiry.judging.verdicts([commit], tasks)[commit] for commit, tasks in lost.items()}
    return {
        commit: verdicts[commit]._replace(
            outcome=verdict.outcome,
            near_misses=(*verdict.near_misses, *_meaning(commit, recent)),
            requirements=verdict.requirements,
        )
        for commit, verdict in judged.items()
    }


def _meaning(commit: Commit, tasks: Sequence[Task]) -> list[Finding]:
    """The tasks that have named the commit by what is no full hash."""
    return [rules.of_another(task) for task in tasks if lost_tasks.means(task.commit, commit.hash)]


def _judged(
    inquiry: Inquiry, commits: Sequence[Commit], names: Sequence[str], also: Sequence[str] = ()
) -> tuple[dict[Commit, Verdict], list[Task]]:
    """The verdicts on commits by the tasks of these names, and the tasks that it took, with those of more ids."""
    verdicts: dict[Commit, Verdict] = {}
    tasks: list[Task] = []
    for (tasks, whole), since in _every(inquiry, commits, names, also):
        judged = inquiry.judging.verdicts(commits, tasks)
        judged = judged if whole else {commit: verdict.of_more() for commit, verdict in judged.items()}
        verdicts = {commit: verdict._replace(looked_back_to=since) for commit, verdict in judged.items()}
        if not inquiry.needs_older and not unverified(verdicts):
            break
    return verdicts, tasks


def _every(
    inquiry: Inquiry, commits: Sequence[Commit], names: Sequence[str], also: Sequence[str]
) -> Iterator[tuple[Answer, str]]:
    """All tasks of these names, and since when, as Search.every has them; then those of the commits' trees, too."""
    tasks, since = inquiry.by_tree, ""
    for answer, since in inquiry.search.every(names, chosen=inquiry.scope.chosen, also=also):
        tasks = united(inquiry.by_tree, answer.tasks)
        yield answer._replace(tasks=tasks), since
    if inquiry.equals_count:
        for older in inquiry.search.of_trees_before(inquiry.judging.equivalents.with_ancestors(commits)):
            if older:
                tasks = united(older, tasks)
                yield Answer(tasks), since
