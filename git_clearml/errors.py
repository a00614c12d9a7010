"""What can keep us from an answer. A rejection is a value (see model.Verdict), never one of these.

Every error carries its code and exit status (design 11) and, where there is one, the single thing to do next.
"""

from __future__ import annotations


class Error(Exception):
    """One line that says what happened, and a hint that says what to do.

    `code` is the machine's word for it (the `errors` list of every JSON), `status` the exit status. `examples` are
    further commands, where the hint is one of several.
    """

    code = "error"
    status = 3
    passing = False  # does the server say that the next asking may do better?
    examples: tuple[str, ...] = ()

    def __init__(self, message: str, hint: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint


class UsageError(Error):
    """The command line asks for something that does not exist or contradicts itself."""

    code, status = "usage", 2


class NothingToJudge(Error):
    """Not an error, but the end of it: what there is has no commit. The status is that of a pass."""

    code, status = "nothing-to-judge", 0


class UnknownRevision(Error):
    """A revision that names no commit of this repository."""

    code, status = "unknown-revision", 2


class NoTask(Error):
    """No task has run the commit whose task was asked for: an answer, and the status is that of a rejection."""

    code, status = "no-task", 1


class NotARepository(Error):
    """There is no git repository here, or git refuses to work with it."""

    code, status = "not-a-repository", 2


class BadSetting(Error):
    """A setting with an unknown name or an impossible value."""

    code, status = "bad-setting", 2


class CannotDecide(Error):
    """What the evidence source could not tell. Never a pass, never a rejection."""

    status = 3


class Unreachable(CannotDecide):
    """No connection to the server, or only a gateway that says it is away."""

    code = "unreachable"


class Unavailable(Unreachable):
    """A server, or its gateway, that says itself that it is temporarily unavailable."""

    passing = True


class TimedOut(CannotDecide):
    """The server did not answer within the budget."""

    code = "timeout"


class Unfinished(TimedOut):
    """The server has answered, but not all of it was asked within the budget: how much that is hangs on the commit."""


class Unauthorized(CannotDecide):
    """The server does not accept the credentials."""

    code = "unauthorized"


class Forbidden(CannotDecide):
    """The credentials are good, but not for this."""

    code = "forbidden"


class BadAnswer(CannotDecide):
    """An answer that is not what a ClearML server says, or one that cannot be trusted (TLS)."""

    code = "bad-answer"


class TooLarge(BadAnswer):
    """An answer of more bytes than whoever asked would take."""


class Refused(BadAnswer):
    """A ClearML server that understood the question and would not answer it; `subcode` is its own word for why."""

    def __init__(self, message: str, hint: str = "", *, result_code: int = 0, subcode: int = 0) -> None:
        super().__init__(message, hint)
        self.result_code = result_code
        self.subcode = subcode

    @property
    def unknown_task(self) -> bool:
        """Is it that there is no such task [17, 21]?"""
        return (self.result_code, self.subcode) == (400, 101)


class NotConfigured(CannotDecide):
    """There are no credentials, or only half of them."""

    code = "not-configured"


class PublishFailed(CannotDecide):
    """The verdict stands, but it could not be published (tag, comment)."""

    code = "publish-failed"


class PolicyUnknown(CannotDecide):
    """The policy that applies cannot be read, because its commit is not in this clone."""

    code = "unknown-revision"


class HistoryMissing(CannotDecide):
    """An earlier commit may have the evidence, and this shallow clone does not have it."""

    code = "unknown-revision"


class Interrupted(BaseException):
    """SIGINT, SIGTERM or SIGHUP arrived. Not an Exception, so that nothing swallows it on the way out."""

    def __init__(self, status: int) -> None:
        super().__init__(status)
        self.status = status
