"""Which trees have passed a check, as the checks' own tasks on the server have it on record."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Mapping, Sequence
from typing import Any

from git_clearml.agent import leased_tasks
from git_clearml.base.ids import is_hash
from git_clearml.clearml import lease, query, response, tasks
from git_clearml.clearml.client import ClearML
from git_clearml.clearml.config import login_hint
from git_clearml.errors import NotConfigured
from git_clearml.git.repository import Repository
from git_clearml.settings.policy import Equivalence, Runnable
from git_clearml.verdict import results_commits as lineage
from git_clearml.verdict.cache import Cache
from git_clearml.verdict.evidence import Evidence
from git_clearml.verdict.model import Outcome, Verdict
from git_clearml.verdict.question import Question
from git_clearml.verdict.server import ServerEvidence

_MOST = 100  # trees in one request
_FIELDS = ("id", "status", "tags", "last_update", leased_tasks.property_of(lease.CHECK))
_NOT_RUN = ("created", "queued")  # somebody has reset the task: what it showed is gone


def digest(rules: Runnable, packages: Sequence[str] = ()) -> str:
    """What a check runs, and where: a pass counts for exactly that."""
    return lease.digest(rules, *packages)


def passed(api: ClearML, trees: Sequence[str], rules: Runnable, packages: Sequence[str] = ()) -> dict[str, str]:
    """Tree hash -> the task of a check that passed, archived or not. One request for 100 trees.

    Raises the errors of ClearML.call.
    """
    wanted = [tree for tree in dict.fromkeys(trees) if is_hash(tree)]
    tasks_by_tree: dict[str, str] = {}
    for start in range(0, len(wanted), _MOST):
        part = wanted[start : start + _MOST]
        tagged = query.every(api, {"tags": [lease.passed_tag(tree) for tree in part]}, _FIELDS)
        for document in query.newest_first(tagged):
            tree = _passed_tree(document, digest(rules, packages))
            if tree in part:
                tasks_by_tree.setdefault(tree, response.identity(document))
    return tasks_by_tree


def _passed_tree(document: Mapping[str, Any], what: str) -> str:
    """The tree whose check this task has passed, "" for none: a clone of it bears the same tags."""
    owner = leased_tasks.owner_in(document, lease.CHECK)
    tags = response.texts(document, "tags")
    if owner is None or owner.task != response.identity(document) or owner.what != what:
        return ""
    if response.text(document, "status") in _NOT_RUN:
        return ""
    return owner.tree if {lease.TAG, lease.passed_tag(owner.tree)} <= set(tags) else ""


def remember(api: ClearML, task: str, tree: str, *more: str) -> None:
    """Puts the pass on record, and these tags beside it. Raises the errors of ClearML.call."""
    api.renew()
    tasks.add_tags(api, [task], [lease.passed_tag(tree), *more])


def memory(repository: Repository, lifetime: float) -> Cache:
    """The passes that this clone remembers, so that a hook need not ask for them again; 0 seconds remember nothing."""
    return Cache(os.path.join(repository.common_dir, "clearml", "runnable"), lifetime)


def key(identity: str, tree: str, what: str) -> str:
    """A name for a pass of this tree on the server of that identity, from which nothing can be read."""
    words = "\0".join(("runnable", identity, tree, what))
    return hashlib.sha256(words.encode("utf-8", "surrogatepass")).hexdigest()


def required(
    repository: Repository,
    questions: Sequence[Question],
    verdicts: Sequence[Verdict],
    source: Evidence,
    remembered: Cache | None = None,
) -> list[Verdict]:
    """The verdicts, rejected where the policy wants a passed check of the tree and none is on record.

    One request for all trees of a policy that are not remembered. Raises the errors of the evidence source.
    """
    judged = list(zip(questions, verdicts, strict=True))
    checked: set[tuple[str, Runnable]] = set()
    for rules in dict.fromkeys(question.policy.runnable for question in questions if question.policy.runnable.required):
        mine = [pair for pair in judged if pair[0].policy.runnable == rules and _passes(pair[1])]
        wanted = list(dict.fromkeys(tree for pair in mine for tree in _trees(repository, *pair)))
        checked |= {(tree, rules) for tree in _with_pass(wanted, rules, source, remembered)}
    return [
        verdict
        if not question.policy.runnable.required
        or not _passes(verdict)
        or any((tree, question.policy.runnable) in checked for tree in _trees(repository, question, verdict))
        else _needs_check(verdict)
        for question, verdict in judged
    ]


def _with_pass(trees: Sequence[str], rules: Runnable, source: Evidence, remembered: Cache | None) -> set[str]:
    """Those of the trees that a passed check is remembered of, or on record."""
    keys = {tree: key(source.identity, tree, digest(rules)) for tree in trees}
    recalled = {tree for tree in trees if remembered and remembered.recall(keys[tree]) is not None}
    others = [tree for tree in trees if tree not in recalled]
    on_record = set(passed(_server(source), others, rules)) if others else set()
    if remembered:
        remembered.remember(keys[tree] for tree in on_record)
    return recalled | on_record


def _server(source: Evidence) -> ClearML:
    """The server that has passed checks on record. Raises NotConfigured for local evidence, which has none."""
    if isinstance(source, ServerEvidence):
        return source.api
    raise NotConfigured(
        "the policy wants a passed check-runnable, which only a ClearML server has on record", login_hint(os.environ)
    )


def _trees(repository: Repository, question: Question, verdict: Verdict) -> list[str]:
    """The trees any of which must have passed: the commit's own; of a results commit also those that it stands on."""
    trees = [question.commit.tree]
    if verdict.equivalence is Equivalence.RESULTS:
        results = lineage.of(repository, [question.commit], question.policy).get(question.commit.hash)
        trees += [ancestor.tree for ancestor in results.ancestors] if results else []
    return trees


def _passes(verdict: Verdict) -> bool:
    return verdict.outcome is Outcome.VERIFIED


def _needs_check(verdict: Verdict) -> Verdict:
    name = f"the task {verdict.task.name!r}" if verdict.task and verdict.task.name else "a task"
    note = f"{name} counts; the policy also wants a passed check-runnable"
    notes = (*verdict.notes, note)
    return verdict._replace(outcome=Outcome.REJECTED, task=None, equivalence=None, notes=notes, needs_check=True)
