"""Judges a push: every ref update by the policy of the accepted side, every commit once, all in one question."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from git_clearml.agent.requirement import remembered_for
from git_clearml.errors import CannotDecide, PolicyUnknown
from git_clearml.git.peel import NoCommit
from git_clearml.git.repository import Repository
from git_clearml.hook import ref_updates as prepush
from git_clearml.hook.ref_updates import RefUpdate
from git_clearml.model import Commit, Resolved
from git_clearml.report import compose
from git_clearml.report.model import VerifyReport
from git_clearml.settings import load as policies
from git_clearml.settings.policy import Policy
from git_clearml.verdict import resolve as verification
from git_clearml.verdict import sources as evidence_sources
from git_clearml.verdict.cache import Circumstances, Remembered
from git_clearml.verdict.evidence import Evidence
from git_clearml.verdict.model import Outcome, Verdict

BUDGET = 10.0  # seconds for all network calls: git holds a connection to the remote meanwhile


@dataclass(frozen=True)
class Push:
    """What git is about to do. `remote` is a remote's name, or the URL where the push names none.

    `by_pre_commit`: the remote's hashes are not git's, see `_is_new`.
    """

    remote: str
    url: str
    updates: tuple[RefUpdate, ...]
    by_pre_commit: bool = False


@dataclass(frozen=True)
class _Judged:
    """A ref update that the policy gates, the commit it brings, and that policy."""

    update: RefUpdate
    commit: Commit
    ruling: policies.Ruling


def judge(
    repository: Repository,
    push: Push,
    *,
    environment: Mapping[str, str],
    timeout: float | None = None,
    log: Callable[[str], None],
    warn: Callable[[str], None],
) -> VerifyReport:
    """The verdicts on all protected ref updates of the push; verified and empty when there is nothing to judge.

    Raises PolicyUnknown when the remote's old commit is not here, BadSetting for a policy that cannot be understood.
    """
    updates = [update for update in push.updates if prepush.needs_judging(update)]
    if not updates:
        return VerifyReport(Outcome.VERIFIED, 0, "defaults")
    judged = _gated(repository, push, updates, flags={"timeout": timeout}, environment=environment)
    if not judged:
        return VerifyReport(Outcome.VERIFIED, 0, "defaults", notes=("no protected ref in this push",))
    for warning in dict.fromkeys(warning for one in judged for warning in one.ruling.warnings):
        warn(warning)
    try:
        verdicts = _verdicts(repository, push, judged, environment, log)
    except CannotDecide as error:
        return _undecided(judged, error)
    report = compose.of_verdicts(repository, verdicts, judged[0].ruling)
    # git clearml push checks by the policy that judges this push, which need not be the commit's own
    return replace(report, hint="git clearml push") if lacks_only_checks(report) else report


def lacks_only_checks(report: VerifyReport) -> bool:
    """Is this no pass, but would be one if the remote checks that the policy wants had passed?"""
    lacking = [one for one in report.verdicts if one.outcome is not Outcome.VERIFIED]
    return bool(lacking) and all(one.needs_check for one in lacking)


def demands(
    repository: Repository, push: Push, report: VerifyReport, *, environment: Mapping[str, str]
) -> list[tuple[Commit, policies.Ruling]]:
    """The commits of a push that lack nothing but a passed remote check, each with the ruling that wants it."""
    lacking = {verdict.commit for verdict in report.verdicts if verdict.needs_check}
    updates = [update for update in push.updates if prepush.needs_judging(update)]
    judged = _gated(repository, push, updates, flags={}, environment=environment) if lacking else []
    pairs = {
        (one.commit, one.ruling.policy): one.ruling
        for one in judged
        if one.commit.hash in lacking and one.ruling.policy.runnable.required
    }
    return [(commit, ruling) for (commit, _), ruling in pairs.items()]


def _gated(
    repository: Repository,
    push: Push,
    updates: Sequence[RefUpdate],
    *,
    flags: Mapping[str, Any],
    environment: Mapping[str, str],
) -> list[_Judged]:
    """The updates that bring a commit to a ref which their policy protects."""
    fallback = _default_branch(repository, push)
    pairs = repository.peel([name for one in updates for name in (one.local_hash, _old(one))])
    commits: list[tuple[RefUpdate, Resolved, Resolved]] = []
    for number, update in enumerate(updates):
        new, old = pairs[2 * number], pairs[2 * number + 1]
        if not isinstance(new, Resolved):
            if new is not NoCommit.OTHER_OBJECT:
                raise PolicyUnknown(f"{update.local_ref} ({update.local_hash[:12]}) is not in this clone", "git fsck")
            continue  # a tag of a blob or a tree: nothing that could have run
        if old is NoCommit.MISSING and not update.creates:
            raise PolicyUnknown(
                f"{update.remote_ref} is at {update.remote_hash[:12]} on the remote, which is not in this clone; "
                "the policy that applies is unknown",
                f"git fetch {push.remote or 'origin'}",
            )
        ancestor = old if isinstance(old, Resolved) and not update.creates else new
        accepted = fallback or ancestor if _is_new(repository, push, update, ancestor) else ancestor
        commits.append((update, new, accepted))
    rulings = policies.rulings(repository, [one[2] for one in commits], flags=flags, environment=environment)
    return [
        _Judged(update, new.commit, ruling)
        for (update, new, _), ruling in zip(commits, rulings, strict=True)
        if prepush.protected(update.remote_ref, ruling.policy)
    ]


def _old(update: RefUpdate) -> str:
    """The remote's commit; for a new ref anything that exists, since it is not looked at."""
    return update.local_hash if update.creates else update.remote_hash


def _is_new(repository: Repository, push: Push, update: RefUpdate, old: Resolved) -> bool:
    """Does the remote lack this ref? pre-commit does not say so: it names some ancestor that a remote has.

    Nobody has accepted that one's policy for this ref, unless it is where the ref was when last fetched.
    """
    if update.creates or not push.by_pre_commit:
        return update.creates
    branch = update.remote_ref.removeprefix("refs/heads/")
    (fetched,) = repository.peel([f"refs/remotes/{_remote_name(repository, push)}/{branch}"])
    return not (isinstance(fetched, Resolved) and fetched.commit == old.commit)


def _default_branch(repository: Repository, push: Push) -> Resolved | None:
    """The remote's default branch as last fetched: the accepted side of a ref that the remote does not have yet."""
    name = _remote_name(repository, push)
    if not name:
        return None
    found = repository.peel([f"refs/remotes/{name}/{branch}" for branch in ("HEAD", "main", "master")])
    return next((one for one in found if isinstance(one, Resolved)), None)


def _remote_name(repository: Repository, push: Push) -> str:
    """The name of the remote that is pushed to, "" for a URL that belongs to none."""
    name = push.remote
    if name == push.url or not name:
        urls = {
            value: key.removeprefix("remote.").rpartition(".")[0]  # a remote's name may hold dots
            for key, value in repository.config()
            if key.startswith("remote.") and key.endswith((".url", ".pushurl"))
        }
        name = urls.get(push.url, "")
    return name


def _verdicts(
    repository: Repository,
    push: Push,
    judged: Sequence[_Judged],
    environment: Mapping[str, str],
    log: Callable[[str], None],
) -> list[Verdict]:
    """A verdict per commit and policy, with the refs it is pushed to; what is remembered is not asked again."""
    refs: dict[tuple[Commit, Policy], list[str]] = {}
    for one in judged:
        refs.setdefault((one.commit, one.ruling.policy), []).append(one.update.remote_ref or one.update.local_ref)
    values = judged[0].ruling.settings
    budget = float(values["timeout"].value) or BUDGET
    lifetime = 0.0 if evidence_sources.in_ci(environment) else float(values["remember"].value)
    verdicts: dict[tuple[Commit, Policy], Verdict] = {}
    sources: dict[str, Evidence] = {}
    with contextlib.ExitStack() as after:
        for kind in dict.fromkeys(policy.evidence for _, policy in refs):
            source = evidence_sources.choose(kind, repository, budget=budget, environment=environment, log=log)
            after.callback(source.close)
            sources[kind] = source
        for kind, source in sources.items():
            verdicts |= _of(source, [pair for pair in refs if pair[1].evidence == kind], repository, push, lifetime)
    return [replace(verdicts[pair], refs=tuple(dict.fromkeys(names))) for pair, names in refs.items()]


def _of(
    source: Evidence,
    pairs: Sequence[tuple[Commit, Policy]],
    repository: Repository,
    push: Push,
    lifetime: float,
) -> dict[tuple[Commit, Policy], Verdict]:
    """What this source has on each commit and policy; passes are remembered for `lifetime` seconds."""
    memory = Remembered(os.path.join(repository.common_dir, "clearml", "verified"), lifetime)
    urls = [push.url] if push.url else []
    names = repository.names(urls)
    keys = {pair: Circumstances(source.identity, names, pair[1]).key(pair[0].hash) for pair in pairs}
    known = [pair for pair, key in keys.items() if source.identity and memory.recall(key)]
    verdicts = {pair: Verdict(pair[0].hash, Outcome.VERIFIED, notes=("remembered",)) for pair in known}
    asked = [verification.Question(*pair) for pair in keys if pair not in verdicts]
    if not asked:
        return verdicts
    found = verification.verify(repository, source, asked, remembered_for(lifetime), urls=urls)
    new = {(question.commit, question.policy): verdict for question, verdict in zip(asked, found, strict=True)}
    if source.identity:
        memory.remember(keys[pair] for pair, verdict in new.items() if verdict.outcome is Outcome.VERIFIED)
    return verdicts | new


def _undecided(judged: Sequence[_Judged], error: CannotDecide) -> VerifyReport:
    """Nothing is known; only where every policy in question says warn, an unreachable server lets the push through."""
    refs = prepush.by_commit([(one.update, one.commit.hash) for one in judged])
    verdicts = [Verdict(commit, Outcome.UNDECIDED, refs=names) for commit, names in refs.items()]
    rules = [one.ruling.policy for one in judged]
    return compose.undecided(error, verdicts, origin=judged[0].ruling.origin, policies=rules)
