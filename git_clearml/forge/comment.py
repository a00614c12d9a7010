"""Puts a report where reviewers see it: one comment on the pull request, and a commit status where that is wanted.

The verdict never depends on any of it: what goes wrong here is said beside the verdict, as `publish-failed`.
"""

from __future__ import annotations

import contextlib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from git_clearml.clearml.conf_secrets import known_secrets
from git_clearml.errors import BadAnswer, CannotDecide, Error, Forbidden, NotConfigured, PublishFailed, UsageError
from git_clearml.forge.api import ChangeRequest, Comment, Forge, NotFound, State, Status, Unsupported
from git_clearml.forge.connect import Workplace, connect, flavour_of, provider_of, takes_comments
from git_clearml.forge.find_comment import Action, CommentPlan, marked, own_comments, plan
from git_clearml.forge.forks import no_rights
from git_clearml.render import comment as view
from git_clearml.render import headline
from git_clearml.render.comment import Page, Section
from git_clearml.report.model import CommentResult, VerifyReport
from git_clearml.settings.in_ci import in_ci

BUDGET = 120.0  # seconds for everything that is published at once
_DRY_BUDGET = 15.0  # seconds for finding out where it would go
_ROUNDS = 5  # of writing the comment, when somebody deletes it meanwhile
Mode = Literal["update", "new", "recreate", "delete"]
"""One comment that is edited, one for each report, one that a new one takes the place of, or none any more."""
_STATES: dict[int, State] = {0: "success", 1: "failure", 4: "pending"}
_NO_COMMENT = "no remote of this clone is on a forge that takes comments; the report is in this job's log"


@dataclass(frozen=True)
class CommentOptions:
    """How to publish. `number` and `repository` (owner/name) are 0 and "" where the job or the commit tells them;
    `budget` is in seconds."""

    label: str = "verify"
    mode: Mode = "update"
    number: int = 0
    repository: str = ""
    status: bool = False
    dry_run: bool = False
    budget: float = BUDGET


def check(options: CommentOptions) -> None:
    """Raises UsageError for options that cannot be."""
    if not view.is_label(options.label):
        raise UsageError(f"invalid label: {options.label[:80]!r}", "--label verify")
    if options.number < 0:
        raise UsageError("--pr must be the number of a pull request", "--pr <number>")
    owner, *names = options.repository.split("/")  # on GitLab group/sub/project
    if options.repository and not (owner and names and all(names) and not {*" ?#%\\"} & {*options.repository}):
        raise UsageError(f"invalid repository: {options.repository[:80]!r}", "--repository owner/name")


def publish(
    workplace: Workplace,
    report: VerifyReport,
    sections: Sequence[Section] = (),
    options: CommentOptions = CommentOptions(),
) -> CommentResult:
    """Posts the report as a comment, and as a commit status where that is wanted.

    `skipped`, with a note, where there is nothing to comment on or a fork has no right to. Raises UsageError for
    options that cannot be, and outside CI when no pull request is open; PublishFailed for everything else.
    """
    check(options)
    job, provider = workplace.job, provider_of(workplace, options.repository)
    if not takes_comments(provider):
        return CommentResult("", "skipped", _NO_COMMENT)
    try:
        budget = min(options.budget, _DRY_BUDGET) if options.dry_run else options.budget
        forge = connect(workplace, options.repository, budget)
    except (NotConfigured, UsageError) as error:
        if options.dry_run:
            return _would(options.mode, error)
        if isinstance(error, UsageError):
            raise
        if job is not None and job.is_fork:
            return CommentResult("", "skipped", no_rights(provider))
        raise _failed(error) from None
    try:
        return _CommentPublisher(forge, workplace, report, sections, options).run()
    except CannotDecide as error:
        if options.dry_run:
            return _would(options.mode, error)
        raise _failed(error) from None
    finally:
        forge.close()


def _would(mode: Mode, error: Error) -> CommentResult:
    """A dry run shows what there is to post, whether or not the forge can be asked where that would go."""
    act = "delete" if mode == "delete" else "post"
    return CommentResult("", "skipped", f"would {act} it; where is not known: {error.message}")


def _failed(error: Error) -> PublishFailed:
    return PublishFailed(f"the report could not be posted: {error.message}", error.hint)


class _CommentPublisher:
    """One report on its way to one pull request."""

    def __init__(
        self,
        forge: Forge,
        workplace: Workplace,
        report: VerifyReport,
        sections: Sequence[Section],
        options: CommentOptions,
    ) -> None:
        self._forge, self._job, self._options = forge, workplace.job, options
        self._provider = provider_of(workplace, options.repository)
        self._by_hand = workplace.job is None and not in_ci(workplace.environment)
        self._secrets = known_secrets(workplace.environment)
        self._report = self._secrets.redact(report)
        self._sections = tuple(self._without_secrets(section) for section in sections)
        job = workplace.job
        self._commit = report.verdicts[0].commit if report.verdicts else job.head if job and not job.deletes else ""

    def _without_secrets(self, section: Section) -> Section:
        return lambda limit: self._secrets.redact_markdown(section(limit))

    def run(self) -> CommentResult:
        """What became of the comment. Raises CannotDecide and UsageError."""
        request = self._change_request()
        try:
            result = self._nowhere() if request is None else self._comment(request)
            return self._with_status(result) if self._options.status else result
        except Forbidden:
            if request is not None and (request.is_fork or (self._job is not None and self._job.is_fork)):
                return CommentResult("", "skipped", no_rights(self._provider))
            raise

    def _change_request(self) -> ChangeRequest | None:
        job = self._job
        number = self._options.number or (job.number if job else 0)
        if number:
            return self._forge.change_request(number)
        if not self._commit:
            return None
        owner, branch = (job.head_owner, job.head_branch) if job else ("", "")
        return self._forge.change_request_of(self._commit, owner=owner, branch=branch)

    def _nowhere(self) -> CommentResult:
        if not self._commit:
            return CommentResult("", "skipped", "there is no commit to comment on")
        message = f"no open {self._provider.request} has the commit {self._commit[:12]}"
        if self._by_hand:
            raise UsageError(message, "git clearml comment --pr <number>")
        return CommentResult("", "skipped", message)

    def _comment(self, request: ChangeRequest) -> CommentResult:
        """Makes and carries out a plan, until what was planned for is still there when it is done."""
        page = Page(
            self._report,
            self._options.label,
            self._sections,
            repository_url=request.repository_url,
            apart=self._options.mode == "new",
            flavour=flavour_of(self._provider),
        )
        author = self._forge.author() or self._editor(request, page)
        if self._options.mode == "delete":
            return self._delete(self._own(request, author, page), request)
        for _ in range(_ROUNDS):
            todo = plan(self._own(request, author, page), page, request.head)
            if self._options.dry_run:
                url = todo.keep.url if todo.keep else request.url
                return CommentResult(
                    url, "skipped", f"would {todo.action.value} on {self._provider.request} {request.number}"
                )
            try:
                result = self._carry_out(todo, request, page)
            except NotFound:  # somebody deleted it meanwhile, or there is no such pull request
                if todo.keep is None:
                    raise
                continue
            if result is not None:
                return result
        message = f"the comment was deleted each of the {_ROUNDS} times it was written"
        raise BadAnswer(message, "stop the bot that deletes it")

    def _delete(self, own: Sequence[Comment], request: ChangeRequest) -> CommentResult:
        if not own:
            return CommentResult("", "unchanged", f"there is no comment of ours on {request.url}")
        if self._options.dry_run:
            return CommentResult(own[0].url, "skipped", f"would delete the comment on {request.url}")
        for comment in own:
            self._forge.delete_comment(comment)
        return CommentResult("", "deleted")

    def _editor(self, request: ChangeRequest, page: Page) -> str:
        """Whose marked comments the forge lets us edit, where it does not tell who we are; "" for nobody's.

        A comment is tried with the body that it has: somebody may have copied our marker.
        """
        authors: dict[str, Comment] = {}
        for comment in marked(self._forge.comments(request.number), page):
            authors.setdefault(comment.author, comment)
        for author, comment in authors.items():
            unchanged = plan([comment], page, request.head).action is Action.UNCHANGED
            if self._options.dry_run or (unchanged and len(authors) == 1):
                return author  # there is nothing to write
            with contextlib.suppress(Forbidden, NotFound):
                self._forge.edit_comment(comment, comment.body)
                return author
        return ""

    def _own(self, request: ChangeRequest, author: str, page: Page) -> list[Comment]:
        """Our comments with this label, oldest first, but those that somebody has hidden: they would stay hidden."""
        own = own_comments(self._forge.comments(request.number), author, page)
        hidden = self._forge.hidden(own) if own else set()
        return [comment for comment in own if comment.id not in hidden]

    def _carry_out(self, todo: CommentPlan, request: ChangeRequest, page: Page) -> CommentResult | None:
        """The result, or None when another job came in between and there is a new plan to make."""
        if todo.action is Action.SKIP:
            note = f"the comment already reports on {request.head[:12]}: the {self._provider.request} has moved on"
            return CommentResult(todo.keep.url if todo.keep else request.url, "skipped", note)
        if todo.keep is None:
            return self._create(todo, request, page)
        for duplicate in todo.delete:
            self._forge.delete_comment(duplicate)
        if todo.action is Action.UNCHANGED:
            return CommentResult(todo.keep.url, "unchanged")
        if self._options.mode == "recreate":
            self._forge.delete_comment(todo.keep)
            return self._create(todo, request, page)
        return CommentResult(self._forge.edit_comment(todo.keep, todo.body).url, "updated")

    def _create(self, todo: CommentPlan, request: ChangeRequest, page: Page) -> CommentResult | None:
        """A new comment, unless another job has created one meanwhile: the oldest stays, whoever wrote it."""
        created = self._forge.create_comment(request.number, todo.body)
        rivals = [] if page.apart else self._own(request, created.author, page)
        others = [rival for rival in rivals if rival.id != created.id]
        if all(rival.id > created.id for rival in others):
            for rival in others:
                self._forge.delete_comment(rival)
            return CommentResult(created.url, "created")
        self._forge.delete_comment(created)
        again = plan(others, page, request.head)
        return None if again.action is Action.SKIP else self._carry_out(again, request, page)

    def _with_status(self, result: CommentResult) -> CommentResult:
        """Puts the verdict on the commit that the forge waits for; the result, which says where it takes none."""
        commit = (self._job.status_commit if self._job else "") or self._commit  # no tag: a status is a commit's
        task = next((verdict.task for verdict in self._report.verdicts if verdict.task), None)
        if self._options.dry_run or not commit:
            return result
        state: State = _STATES.get(self._report.status, "error")
        target_url = task.url if task and task.url.startswith(("https://", "http://")) else ""
        context = f"git-clearml/{self._options.label}"
        try:
            self._forge.set_status(commit, Status(state, context, headline.plain(self._report), target_url))
        except Unsupported as error:
            return result._replace(note=". ".join(filter(None, (result.note, error.message))))
        return result
