"""Puts a report where reviewers see it: one comment on the pull request, a commit status, the CI job's summary.

The verdict never depends on any of it: what goes wrong here is said beside the verdict, as `publish-failed`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Literal

from git_clearml.base import secrets as redaction
from git_clearml.errors import BadAnswer, CannotDecide, Error, Forbidden, NotConfigured, PublishFailed, UsageError
from git_clearml.forge.api import ChangeRequest, Comment, FileAt, NotFound, Status
from git_clearml.forge.github import GitHub
from git_clearml.forge.github_retry import Clock
from git_clearml.forge.job import Job
from git_clearml.git import url as repository_urls
from git_clearml.git.repository import Repository
from git_clearml.render import comment as view
from git_clearml.render import comment_history as history
from git_clearml.render.comment import Page, Section
from git_clearml.report.model import CommentResult, VerifyReport
from git_clearml.verdict import sources

BUDGET = 120.0  # seconds for everything that is published at once
POLICY_BUDGET = 30.0  # seconds for reading a policy from GitHub, where git cannot fetch it
TOKENS = ("GITHUB_TOKEN", "GH_TOKEN")
_ROUNDS = 5  # of writing the comment, when somebody deletes it meanwhile
_STATES: dict[int, Literal["success", "failure", "error", "pending"]] = {0: "success", 1: "failure", 4: "pending"}
_NO_RIGHTS = "a pull request from a fork gives this job no right to write; the report is in the job summary"
_GITLAB = "GitLab merge requests get no comment; the report is in this job's log, and the exit status is the verdict"
_SET_TOKEN = "env: GITHUB_TOKEN: ${{ github.token }} on the step, and permissions: pull-requests: write on the job"  # noqa: S105


@dataclass(frozen=True)
class Options:
    """How to publish. `number` and `repository` (owner/name) are 0 and "" where the job or the commit tells them;
    `budget` is in seconds."""

    label: str = "verify"
    mode: str = "update"  # update | new
    number: int = 0
    repository: str = ""
    status: bool = False
    dry_run: bool = False
    budget: float = BUDGET


@dataclass(frozen=True)
class Plan:
    """What to do about the comment: `action` is create, update, unchanged or skip, `keep` the comment that stays."""

    action: str
    body: str = ""
    keep: Comment | None = None
    delete: tuple[Comment, ...] = ()


def check(options: Options) -> None:
    """Raises UsageError for options that cannot be."""
    if not view.is_label(options.label):
        raise UsageError(
            f"not a label: {options.label[:80]!r}", "letters, digits, spaces and . _ / - tell comments apart"
        )
    if options.number < 0:
        raise UsageError("--pr wants the number of a pull request")
    owner, slash, name = options.repository.partition("/")
    if options.repository and not (slash and owner and name and "/" not in name and not {*" ?#%\\"} & {*name, *owner}):
        raise UsageError(f"not a repository: {options.repository[:80]!r}", "write --repository owner/name")


def publish(
    job: Job | None,
    report: VerifyReport,
    sections: Sequence[Section] = (),
    options: Options = Options(),
    *,
    repository: Repository,
    environment: Mapping[str, str],
    log: Callable[[str], None] = lambda _: None,
    clock: Clock | None = None,
) -> CommentResult:
    """Posts the report as a comment, and as a commit status where that is wanted.

    `skipped`, with a note, where there is nothing to comment on or a fork has no right to. Raises UsageError for
    options that cannot be, and outside CI when no pull request is open; PublishFailed for everything else.
    """
    check(options)
    if job is not None and job.provider != "github":
        return CommentResult("", "skipped", _GITLAB)
    try:
        client = connect(job, options, repository=repository, environment=environment, log=log, clock=clock)
    except NotConfigured as error:
        if job is not None and job.is_fork:
            return CommentResult("", "skipped", _NO_RIGHTS)
        raise _failed(error) from None
    try:
        return _Publishing(client, job, report, tuple(sections), options, environment).run()
    except CannotDecide as error:
        raise _failed(error) from None
    finally:
        client.close()


def connect(
    job: Job | None,
    options: Options,
    *,
    repository: Repository,
    environment: Mapping[str, str],
    log: Callable[[str], None] = lambda _: None,
    clock: Clock | None = None,
) -> GitHub:
    """The repository on GitHub. Raises NotConfigured without a token, UsageError when the repository is unknown."""
    name = options.repository or (job.repository if job else "") or _of_remote(repository, environment)
    api = (job.api if job else "") or environment.get("GITHUB_API_URL", "") or "https://api.github.com"
    token = next((environment[key] for key in TOKENS if environment.get(key)), "")
    if not token:
        raise NotConfigured("there is no token for GitHub (GITHUB_TOKEN or GH_TOKEN)", _SET_TOKEN)
    known = redaction.secrets_in(environment)
    return GitHub(name, token, api=api, budget=options.budget, secrets=known, log=log, clock=clock)


def policy_reader(
    job: Job | None,
    options: Options = Options(budget=POLICY_BUDGET),
    *,
    repository: Repository,
    environment: Mapping[str, str],
    log: Callable[[str], None] = lambda _: None,
) -> FileAt | None:
    """How to read a file of the base commit through GitHub; None where there is no GitHub to ask."""
    if job is None or job.provider != "github":
        return None

    def read(commit: str, path: str) -> bytes | None:
        client = connect(job, options, repository=repository, environment=environment, log=log)
        try:
            return client.file_at(commit, path)
        finally:
            client.close()

    return read


def _of_remote(repository: Repository, environment: Mapping[str, str]) -> str:
    """owner/name of the first remote that is on the GitHub server in question."""
    server = repository_urls.normalise(environment.get("GITHUB_SERVER_URL", "") or "https://github.com").strip("/")
    for url in repository.remote_urls():
        host, _, name = repository_urls.normalise(url).partition("/")
        if host == server and name.count("/") == 1:
            return name
    raise UsageError(f"no remote of this clone is on {server}", "name it: --repository owner/name")


def _failed(error: Error) -> PublishFailed:
    return PublishFailed(f"the report could not be posted: {error.message}", error.hint)


class _Publishing:
    """One report on its way to one pull request."""

    def __init__(
        self,
        client: GitHub,
        job: Job | None,
        report: VerifyReport,
        sections: tuple[Section, ...],
        options: Options,
        environment: Mapping[str, str],
    ) -> None:
        self._client, self._job, self._options = client, job, options
        self._by_hand = job is None and not sources.in_ci(environment)
        self._secrets = redaction.secrets_in(environment)
        self._report = redaction.struck(report, self._secrets)
        self._sections = tuple(self._without_secrets(section) for section in sections)
        self._commit = report.verdicts[0].commit if report.verdicts else (job.head if job else "")

    def _without_secrets(self, section: Section) -> Section:
        return lambda limit: redaction.struck_markdown(section(limit), self._secrets)

    def run(self) -> CommentResult:
        pull = self._pull()
        try:
            result = self._nowhere() if pull is None else self._comment(pull)
            if self._options.status:
                self._set_status()
            return result
        except Forbidden:
            if pull is not None and (pull.is_fork or (self._job is not None and self._job.is_fork)):
                return CommentResult("", "skipped", _NO_RIGHTS)
            raise

    def _pull(self) -> ChangeRequest | None:
        job = self._job
        number = self._options.number or (job.number if job else 0)
        if number:
            return self._client.change_request(number)
        if not self._commit:
            return None
        owner, branch = (job.head_owner, job.head_branch) if job else ("", "")
        return self._client.change_request_of(self._commit, owner=owner, branch=branch)

    def _nowhere(self) -> CommentResult:
        what = f"no open pull request has the commit {self._commit[:12]}"
        if self._by_hand:
            raise UsageError(what, "push it and open one, or name one: --pr N")
        return CommentResult("", "skipped", what)

    def _comment(self, pull: ChangeRequest) -> CommentResult:
        """Makes and carries out a plan, until what was planned for is still there when it is done."""
        page = Page(
            self._report,
            self._options.label,
            self._sections,
            repository_url=pull.url.rpartition("/pull/")[0],
            apart=self._options.mode == "new",
        )
        me = self._client.author()
        for _ in range(_ROUNDS):
            todo = plan(self._own(pull, me, page), page, pull.head)
            if self._options.dry_run:
                return CommentResult(todo.keep.url if todo.keep else pull.url, "skipped", f"would {_named(todo, pull)}")
            try:
                result = self._carry_out(todo, pull, me, page)
            except NotFound:  # somebody deleted it meanwhile, or there is no such pull request
                if todo.keep is None:
                    raise
                continue
            if result is not None:
                return result
        raise BadAnswer("the comment vanishes as often as it is written", "does another job delete it?")

    def _own(self, pull: ChangeRequest, me: str, page: Page) -> list[Comment]:
        """Our comments with this label, oldest first."""
        return [
            one
            for one in self._client.comments(pull.number)
            if one.author == me and view.is_marked(one.body, page.label, apart=page.apart)
        ]

    def _carry_out(self, todo: Plan, pull: ChangeRequest, me: str, page: Page) -> CommentResult | None:
        """The result, or None when another job came in between and there is a new plan to make."""
        if todo.action == "skip":
            note = f"the comment tells about {pull.head[:12]}, to which the pull request has moved on"
            return CommentResult(todo.keep.url if todo.keep else pull.url, "skipped", note)
        if todo.keep is None:
            made = self._client.create_comment(pull.number, todo.body)
            rivals = [] if page.apart else self._own(pull, made.author, page)
            if all(one.id >= made.id for one in rivals):
                for one in rivals:
                    if one.id != made.id:
                        self._client.delete_comment(one)
                return CommentResult(made.url, "created")
            self._client.delete_comment(made)  # the oldest stays, whoever made it
            todo = plan(rivals, page, pull.head)
            todo = replace(todo, delete=tuple(one for one in todo.delete if one.id != made.id))
            if todo.keep is None or todo.action == "skip":
                return None
        for one in todo.delete:
            self._client.delete_comment(one)
        if todo.action == "unchanged":
            return CommentResult(todo.keep.url, "unchanged")
        return CommentResult(self._client.edit_comment(todo.keep, todo.body).url, "updated")

    def _set_status(self) -> None:
        """Puts the verdict on the commit that GitHub waits for."""
        commit = (self._job.status_commit if self._job else "") or self._commit
        task = next((one.task for one in self._report.verdicts if one.task), None)
        if self._options.dry_run or not commit:
            return
        state: Literal["success", "failure", "error", "pending"] = _STATES.get(self._report.status, "error")
        target_url = task.url if task and task.url.startswith(("https://", "http://")) else ""
        self._client.set_status(
            commit, Status(state, f"git-clearml/{self._options.label}", view.headline(self._report), target_url)
        )


def plan(own: Sequence[Comment], page: Page, head: str) -> Plan:
    """What to do, given our comments (oldest first) and the pull request's head. Pure.

    A late job does not overwrite what the comment says about the head with what it found out about an older commit.
    """
    if page.apart:
        body = view.comment(page)
        twin = next((one for one in own if view.same(one.body, body)), None)
        return Plan("unchanged", body, twin) if twin else Plan("create", body)
    if not own:
        return Plan("create", view.comment(page))
    keep, *others = own
    told = history.rows_of(keep.body)
    judged = {verdict.commit for verdict in page.report.verdicts}
    if told and told[0].commit == head and judged and head not in judged:
        return Plan("skip", keep=keep)
    body = view.comment(page, keep.body)
    return Plan("unchanged" if view.same(keep.body, body) else "update", body, keep, tuple(others))


def _named(todo: Plan, pull: ChangeRequest) -> str:
    words = {"create": "create a comment", "update": "update the comment", "skip": "leave the newer comment alone"}
    return f"{words.get(todo.action, 'leave the comment unchanged')} on pull request {pull.number}"
