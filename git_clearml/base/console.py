"""The two streams: stdout is the product, stderr the talk. Everything that is printed goes through here.

The talk is made safe here, so that nobody has to remember it: whatever a server or a file put into a line, it moves no
terminal, starts no line of its own, and holds no secret. A product is `Safe` text already: a renderer has made it so.
"""

from __future__ import annotations

import contextlib
import os
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from typing import Any, TextIO

from git_clearml.base.sanitize import Safe, json_text, sanitize, without_commands
from git_clearml.base.secrets import Secrets, Value
from git_clearml.errors import Error, PublishFailed
from git_clearml.model import Problem

_TOLD = ("errors", "hint", "notes")  # of a JSON document: sentences, of whoever made them
_OBEYING = ("GITHUB_ACTIONS", "GITEA_ACTIONS", "FORGEJO_ACTIONS", "TF_BUILD", "TEAMCITY_VERSION")
"""Variables of jobs whose runners obey what stands in the output of any step."""
_EVERY = 60.0  # seconds after which a plain line is repeated, so that a CI job is seen to live


def open_streams() -> None:
    """Gives us the streams that we were started without (`>&-`); or the next file opened would take their place."""
    for number in range(3):
        try:
            os.fstat(number)
        except OSError:
            os.open(os.devnull, os.O_RDWR)  # the lowest free number is this one
    if sys.stdout is None:
        sys.stdout = os.fdopen(1, "w", closefd=False)
    if sys.stderr is None:
        sys.stderr = os.fdopen(2, "w", closefd=False)


def discard(stream: TextIO) -> None:
    """Sends what is still to be written nowhere, or the interpreter complains about it at its exit."""
    sink = os.open(os.devnull, os.O_WRONLY)
    os.dup2(sink, stream.fileno())
    os.close(sink)


_HINT = 2000  # characters of a hint: one that is cut does not work as typed


class Console:
    """Where a command prints. `colour` is on for a terminal that was not told NO_COLOR; `secrets` finds what no line of
    the talk may hold, when there is one, and without it is what the environment tells."""

    def __init__(
        self,
        environment: Mapping[str, str],
        *,
        quiet: bool = False,
        verbose: bool = False,
        secrets: Callable[[], Secrets] | None = None,
        out: TextIO | None = None,
        err: TextIO | None = None,
    ) -> None:
        self.out, self.err = out or sys.stdout, err or sys.stderr
        self.quiet, self.verbose = quiet, verbose
        self._find_secrets = secrets or (lambda: Secrets.of_environment(environment))
        self._secrets: Secrets | None = None
        self.is_terminal = self.out.isatty()
        self.colour = self.is_terminal and not environment.get("NO_COLOR") and environment.get("TERM") != "dumb"
        self.progress_wanted = self.err.isatty() and not quiet and environment.get("TERM") != "dumb"
        self.prefix = ""  # of each line that says why something is refused: a git server may want one
        self._progress = ""
        self._is_obeyed = any(environment.get(name) for name in _OBEYING)
        for stream in (self.out, self.err):
            reconfigure = getattr(stream, "reconfigure", None)
            if reconfigure:  # a name that the terminal's encoding lacks must not end in a traceback
                reconfigure(errors="replace")

    def draws(self, characters: str) -> bool:
        """Does the encoding of what reads the product have these characters?"""
        try:
            characters.encode(getattr(self.out, "encoding", None) or "utf-8")
        except (UnicodeEncodeError, LookupError):
            return False
        return True

    def document(self, document: Mapping[str, Any]) -> None:
        """Writes the product of `--format json`; what it says of errors loses its secrets.

        Raises PublishFailed where that cannot be written.
        """
        redacted = {key: self._redacted(document[key]) for key in _TOLD if document.get(key)}
        self.product(json_text({**document, **redacted}))

    def _redacted(self, value: Any) -> Any:
        if isinstance(value, dict):
            return {key: self._redacted(item) for key, item in value.items()}
        return [self._redacted(item) for item in value] if isinstance(value, (list, tuple)) else self.redact(value)

    def product(self, text: Safe) -> None:
        """Writes what the command is for. Raises PublishFailed where that cannot be written."""
        self._clear()
        try:
            shown = without_commands(text) if self._is_obeyed else text
            if self.prefix:
                shown = Safe(
                    "".join(f"{self.prefix}{line}\n" for line in shown.removesuffix("\n").split("\n") if shown)
                )
            self.out.write(shown if shown.endswith("\n") or not shown else shown + "\n")
            self.out.flush()
        except BrokenPipeError:
            raise
        except OSError as error:
            discard(self.out)
            raise PublishFailed(f"the output cannot be written: {error.strerror}", "df -h") from None

    @contextlib.contextmanager
    def paged(self, command: str, environment: Mapping[str, str]) -> Iterator[None]:
        """Inside, the product goes through this pager; "" is none. Who leaves it early ends what writes to it."""
        if not command:
            yield
            return
        from git_clearml.base import shell  # late: only where somebody reads at a terminal

        with shell.pager(command, environment) as stream:
            out, self.out = self.out, stream
            try:
                yield
            except BrokenPipeError:
                discard(stream)
                raise
            finally:
                self.out = out

    def say(self, line: str) -> None:
        """A remark, kept back by --quiet."""
        if not self.quiet:
            self._talk(line)

    def announce(self, line: str) -> None:
        """A line that --quiet does not keep back: what was skipped, and the way around."""
        self._talk(line, self.prefix)

    def warn(self, line: str) -> None:
        """A warning that --quiet does not keep back."""
        self._talk(f"git clearml: warning: {line}")

    def log(self, line: str) -> None:
        """A detail that only --verbose wants."""
        if self.verbose:
            self._talk(f"git clearml: {line}")

    def fail(self, *errors: Error | Problem) -> None:
        """Of each what happened, on one line, and the one thing to do."""
        for error in errors:
            self._talk(f"git clearml: {sanitize(self.redact(error.message), 500)}", self.prefix)
            examples = error.examples if isinstance(error, Error) else ()
            for hint in filter(None, (error.hint, *examples)):
                self._talk(f"hint: {sanitize(self.redact(hint), _HINT)}", self.prefix)

    def progress(self, line: str) -> None:
        """A line that the next one replaces; only where somebody watches."""
        if self.progress_wanted:
            self._clear()
            self._progress = sanitize(self.redact(line))[:79]
            self._write(self._progress)

    @property
    def can_ask(self) -> bool:
        """Is there somebody at a terminal?"""
        return sys.stdin is not None and sys.stdin.isatty() and self.err.isatty()

    def agreed(self, question: str) -> bool:
        """Asks for a yes, which is typed behind the question. The end of the input is a no."""
        self._clear()
        self._write(f"{sanitize(question)} [y/N] ")
        return sys.stdin.readline().strip().lower() in ("y", "yes")

    def command(self, line: str) -> None:
        """A workflow command for the runner of a CI job, which --quiet does not keep back."""
        self._clear()
        self._write(sanitize(self.redact(line)) + "\n")

    def redact(self, value: Value) -> Value:
        """The text, or what is to be rendered, without secrets, and before any of it is cut off."""
        if self._secrets is None:
            self._secrets = self._find_secrets()
        return self._secrets.redact(value)

    def _talk(self, line: str, prefix: str = "") -> None:
        self._clear()
        shown = sanitize(self.redact(line))
        self._write(prefix + (without_commands(shown) if self._is_obeyed else shown) + "\n")

    def _clear(self) -> None:
        if self._progress:
            self._progress = ""
            self._write("\r\x1b[K")

    def _write(self, text: str) -> None:
        try:
            self.err.write(text)
            self.err.flush()
        except BrokenPipeError:
            raise
        except OSError:  # a terminal that has been closed, a full disk: what there is to do is done all the same
            discard(self.err)


class Progress:
    """Says how a task gets on: one live line on a terminal, plain lines with the time of day elsewhere.

    `clock` counts seconds; `wall` gives the time of day for a line.
    """

    def __init__(
        self,
        console: Console,
        *,
        clock: Callable[[], float] = time.monotonic,
        wall: Callable[[], str] = lambda: time.strftime("%H:%M:%S"),
    ) -> None:
        self._console, self._clock, self._wall = console, clock, wall
        self._last, self._when = "", 0.0

    @property
    def live(self) -> bool:
        """Is somebody watching, for whom details may be asked?"""
        return self._console.progress_wanted

    def event(self, line: str) -> None:
        """Something that happened once, kept on the screen."""
        self._console.say(f"{self._wall()} {line}")
        self._last = ""

    def warn(self, line: str) -> None:
        """A warning that --quiet does not keep back."""
        self._console.warn(line)
        self._last = ""

    def state(self, state: str, detail: str = "") -> None:
        """How it stands. A plain line is printed when the state changes, and every minute."""
        line = f"{self._wall()} {state}{', ' + detail if detail else ''}"
        if self.live:
            self._console.progress(line)
            return
        now = self._clock()
        if state != self._last or now - self._when >= _EVERY:
            self._console.say(line)
            self._last, self._when = state, now
