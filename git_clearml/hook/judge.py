"""Judges a push: every ref update by the policy of the accepted side, every commit once, all in one question."""

from __future__ import annotations

import contextlib
import os
import time
from collections.abc import Mapping, Sequence
from functools import partial
from typing import NamedTuple

from git_clearml.agent.required_check import passed_check
from git_clearml.base.console import Console
from git_clearml.errors import CannotDecide
from git_clearml.git.remote_branch import HEADS
from git_clearml.git.repository import Repository
from git_clearml.hook import remembered_pushes as hook_memory
from git_clearml.hook.gated_refs import GatedUpdate, gated_updates
from git_clearml.hook.ref_updates import Push, refs_by
from git_clearml.model import Commit
from git_clearml.report import compose
from git_clearml.report.model import VerifyReport
from git_clearml.settings.in_ci import in_ci
from git_clearml.settings.load import ResolvedPolicy
from git_clearml.settings.policy import Equivalence, Policy
from git_clearml.verdict import sources
from git_clearml.verdict.cache import Cache, Circumstances
from git_clearml.verdict.evidence import Evidence
from git_clearml.verdict.model import Outcome, Tip, Verdict
from git_clearml.verdict.question import Question, Scope

_LEAST = 0.1  # seconds of it for evidence, whatever git took

_Question = tuple[Commit, Policy]


class JudgedPush(NamedTuple):
    """What came out, and the gated updates that it is about."""

    report: VerifyReport
    gated: tuple[GatedUpdate, ...] = ()

    @property
    def lacks_only_checks(self) -> bool:
        """Is this no pass, but would be one if the remote checks that the policy wants had passed?"""
        lacking = [verdict for verdict in self.report.verdicts if verdict.outcome is not Outcome.VERIFIED]
        return bool(lacking) and all(verdict.needs_check for verdict in lacking)

    def missing_checks(self) -> list[tuple[Commit, ResolvedPolicy]]:
        """The commits that lack nothing but a passed remote check, each with the ruling that wants it."""
        lacking = {verdict.commit for verdict in self.report.verdicts if verdict.needs_check}
        wanted = {
            (gated.commit, gated.ruling.policy): gated.ruling
            for gated in self.gated
            if gated.commit.hash in lacking and gated.ruling.policy.runnable.required
        }
        return [(commit, ruling) for (commit, _), ruling in wanted.items()]


class PushJudge:
    """Judges pushes of a repository; what is wrong with a policy is a warning."""

    def __init__(
        self, repository: Repository, environment: Mapping[str, str], console: Console, timeout: float | None = None
    ) -> None:
        self._repository, self._environment, self._timeout = repository, environment, timeout
        self._console = console
        self._since: dict[_Question, float] = {}  # when what may be remembered was verified

    def judge(self, push: Push) -> JudgedPush:
        """The verdicts on all protected ref updates; verified and empty when there is nothing to judge.

        Raises what gated_updates raises, before any server is asked.
        """
        if not push.updates:
            return JudgedPush(VerifyReport(Outcome.VERIFIED, 0, "defaults"))
        started = time.monotonic()
        flags = {"timeout": self._timeout}
        gated = gated_updates(self._repository, push, flags=flags, environment=self._environment)
        if push.received and gated:
            from git_clearml.hook import server_policies  # late: on a git server alone

            gated = server_policies.by_the_server(self._repository, gated, self._environment)
        if not gated:
            notes = ("no protected ref in this push",)
            return JudgedPush(VerifyReport(Outcome.VERIFIED, 0, "defaults", notes=notes))
        for warning in dict.fromkeys(warning for update in gated for warning in update.ruling.warnings):
            self._console.warn(warning)
        try:
            verdicts = self._verdicts(push, gated, time.monotonic() - started)  # the remote may have been asked
            report = compose.of_verdicts(self._repository, verdicts, gated[0].ruling)
            self._remember(push, gated)
        except CannotDecide as error:
            report = _typed_in_a_push(_undecided(gated, error), push, gated[0].ruling.personal.timeout)
        if JudgedPush(report).lacks_only_checks:  # which may be wanted by a policy that is not the commit's own
            report = report._replace(hint="git clearml push")
        return JudgedPush(report, tuple(gated))

    def _verdicts(self, push: Push, gated: Sequence[GatedUpdate], spent: float) -> list[Verdict]:
        """A verdict per commit and policy, with the refs it is pushed to; what is remembered is not asked again.

        `spent` are seconds of the budget.
        """
        refs = refs_by(((update.commit, update.ruling.policy), update.update) for update in gated)
        budget = max(_LEAST, (gated[0].ruling.personal.timeout or push.budget) - spent)
        lifetime = self._lifetime(push, gated)
        verdicts: dict[_Question, Verdict] = {}
        evidence: dict[str, Evidence] = {}
        with contextlib.ExitStack() as after:
            for kind in dict.fromkeys(policy.evidence for _, policy in refs):
                source = sources.choose(
                    kind, self._repository, budget=budget, environment=self._environment, log=self._console.log
                )
                after.callback(source.close)
                evidence[kind] = source
            for kind, source in evidence.items():
                questions = [question for question in refs if question[1].evidence == kind]
                scope = Scope(urls=_urls(push), accepted=_accepted(gated), tips=_tips(gated))
                answers = self._ask(source, questions, scope, lifetime)
                if not push.received and any(each.outcome is Outcome.REJECTED for each in answers.values()):
                    from git_clearml.verdict import local_runs  # late: a refusal alone wants it

                    judged = [Question(*question) for question in answers]
                    near = local_runs.explained(
                        self._repository, source, judged, [*answers.values()], scope, self._environment
                    )
                    answers = dict(zip(answers, near, strict=True))
                verdicts |= answers
        return [verdicts[question]._replace(refs=names) for question, names in refs.items()]

    def _ask(
        self, source: Evidence, questions: Sequence[_Question], scope: Scope, lifetime: float
    ) -> dict[_Question, Verdict]:
        """What this source has on each commit and policy; passes are remembered for `lifetime` seconds."""
        cache = Cache(os.path.join(self._repository.common_dir, "clearml", "verified"), lifetime)
        names, accepted = self._repository.names(scope.urls), scope.accepted or {}
        keys, merge_keys = (_keys(questions, source.identity, names, sides) for sides in ({}, accepted))
        recalled = {question: cache.recall(key) for question, key in keys.items() if source.identity}
        for question, key in merge_keys.items():
            if source.identity and recalled[question] is None and question[1].merges == "clean":
                recalled[question] = cache.recall(key)
        self._since |= {question: since for question, since in recalled.items() if since is not None}
        verdicts = {
            question: Verdict(question[0].hash, Outcome.VERIFIED, notes=("cached",))
            for question in keys
            if question in self._since
        }
        open_questions = [question for question in keys if question not in verdicts]
        if not open_questions:
            return verdicts
        source.open_ahead()
        from git_clearml.verdict import resolve  # late: while the connection is made

        began = time.time()
        to_ask = [Question(*question) for question in open_questions]
        answers = resolve.verify(self._repository, source, to_ask, partial(passed_check, lifetime=lifetime), scope)
        new = dict(zip(open_questions, answers, strict=True))
        if source.identity:
            verified = [question for question, answer in new.items() if answer.outcome is Outcome.VERIFIED]
            cache.remember(
                (merge_keys if new[question].equivalence is Equivalence.MERGE else keys)[question]
                for question in verified
            )
            self._since |= dict.fromkeys(verified, began)
        return verdicts | new

    def _lifetime(self, push: Push, gated: Sequence[GatedUpdate]) -> float:
        """For how many seconds a verified verdict is remembered here."""
        return 0.0 if push.received or in_ci(self._environment) else gated[0].ruling.personal.remember

    def _remember(self, push: Push, gated: Sequence[GatedUpdate]) -> None:
        """Writes down for hooks/pre-push what it may answer by itself."""
        verified = [
            hook_memory.Verified(update.update, self._since[update.commit, update.ruling.policy])
            for update in gated
            if update.is_lasting and (update.commit, update.ruling.policy) in self._since
        ]
        hook_memory.remember(self._repository.common_dir, self._environment, verified, self._lifetime(push, gated))


def _keys(
    questions: Sequence[_Question], source: str, repositories: frozenset[str], accepted: Mapping[str, Sequence[str]]
) -> dict[_Question, str]:
    """Under which names verdicts are remembered: that on a clean merge hangs on what was accepted where it is to go."""
    return {
        (commit, policy): Circumstances(source, repositories, policy, tuple(accepted.get(commit.hash, ()))).key(
            commit.hash
        )
        for commit, policy in questions
    }


def _urls(push: Push) -> tuple[str, ...]:
    """Where it goes: rewritten, and as typed; and what a git server knows of itself."""
    return tuple(url for url in (push.url, push.remote if ":" in push.remote else "", *push.names) if url)


def _tips(gated: Sequence[GatedUpdate]) -> tuple[Tip, ...]:
    """Where the branches will be that the push makes: an agent that waits for one of them runs that."""
    new = [update for update in gated if update.update.creates and update.update.remote_ref.startswith(HEADS)]
    return tuple(Tip(update.update.remote_ref.removeprefix(HEADS), update.commit.hash) for update in new)


def _accepted(gated: Sequence[GatedUpdate]) -> dict[str, list[str]]:
    """For each commit what was accepted at every ref that it is pushed to."""
    sides: dict[str, dict[str, set[str]]] = {}
    for update in gated:
        sides.setdefault(update.commit.hash, {}).setdefault(update.update.remote_ref, set()).add(update.accepted)
    return {commit: sorted(set.intersection(*by_ref.values()) - {""}) for commit, by_ref in sides.items()}


_LITTLE, _MUCH = 60, 300  # seconds


def _typed_in_a_push(report: VerifyReport, push: Push, timeout: float) -> VerifyReport:
    """The report with a hint that helps the next push: nobody types a flag there. `timeout` is what is set, 0: none."""
    if not _is_about_time(report.hint):
        return report
    if push.received:
        hint = "push again; whoever keeps this server can give it more time: git config clearml.timeout SECONDS"
    else:
        hint = f"git config clearml.timeout {_LITTLE if timeout < _LITTLE else max(_MUCH, 2 * round(timeout))}"
    problems = tuple(
        problem._replace(hint=hint) if _is_about_time(problem.hint) else problem for problem in report.problems
    )
    return report._replace(hint=hint, problems=problems)


def _is_about_time(hint: str) -> bool:
    return "--timeout" in hint or "clearml.timeout" in hint


def _undecided(gated: Sequence[GatedUpdate], error: CannotDecide) -> VerifyReport:
    """The report of a push that an error kept us from deciding about."""
    refs = refs_by((update.commit.hash, update.update) for update in gated)
    verdicts = [Verdict(commit, Outcome.UNDECIDED, refs=names) for commit, names in refs.items()]
    policies = [update.ruling.policy for update in gated]
    return compose.undecided(error, verdicts, origin=gated[0].ruling.origin, policies=policies)
