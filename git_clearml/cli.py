"""The command line: parses it, calls a command, and is the only place where an error becomes an exit status."""

from __future__ import annotations

import argparse
import atexit
import errno
import gc
import os
import shlex
import signal
import sys
import threading
from collections.abc import Mapping, Sequence
from itertools import pairwise
from types import ModuleType

from git_clearml import __version__
from git_clearml.base import signals
from git_clearml.base.console import Console, discard, open_streams
from git_clearml.base.secrets import Secrets, redact_words
from git_clearml.commands.parser import Parser, nearest
from git_clearml.errors import CannotDecide, Error, Interrupted, UsageError

_COMMANDS = (
    *"verify run check-runnable report comment compare push install uninstall hook doctor config".split(),
    *"log bisect open show checkout diff import completion init".split(),
)
_ELSEWHERE = {"help": "-h", "version": "--version"}
_REST = "\0{}"  # stands for a word after `--` while argparse looks: no word of a command line can hold a NUL
_BUG = 70


def build_parser(only: str = "") -> tuple[argparse.ArgumentParser, Mapping[str, argparse.ArgumentParser]]:
    """The parser of every command, or of one: the gate has no time for the others' flags. And the commands' own."""
    parser = Parser(prog="git clearml", description="No push without a ClearML task that ran exactly that code.")
    parser.add_argument("--version", action="version", version=f"git-clearml {__version__}")
    commands = parser.add_subparsers(dest="command", metavar="<command>", parser_class=Parser)
    for name in _COMMANDS:
        if not only or only == name:
            module = _module(name)
            command = commands.add_parser(name, help=module.TITLE, description=module.DESCRIPTION)
            command.title = module.TITLE
            module.add_flags(command)
            command.set_defaults(run=module.run, whole=build_parser)
            command.add_argument("-q", "--quiet", action="store_true", help="print only the result")
            command.add_argument("-v", "--verbose", action="store_true", help="show each request and how long it took")
    return parser, commands.choices


def _unknown(command: str, rest: Sequence[str]) -> UsageError:
    if command in _ELSEWHERE:  # as other programs have it
        words = [command for command in rest[:1] if command in _COMMANDS] if command == "help" else []
        what = f"{command!r} is not a command of git clearml"
        return UsageError(what, " ".join(["git clearml", *words, _ELSEWHERE[command]]))
    near = nearest(command, _COMMANDS)
    message = f"{command!r} is not a command of git clearml"
    return UsageError(
        f"{message}; did you mean {near}?" if near else message, f"git clearml {near} -h".replace("  ", " ")
    )


def _module(command: str) -> ModuleType:
    """The module of a command, loaded now; `import` is no name for one."""
    import importlib

    name = "import_runs" if command == "import" else command.replace("-", "_")
    return importlib.import_module(f"git_clearml.commands.{name}")


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs one command line and returns its exit status (design 5). Raises nothing.

    Without `arguments` it is that of this process, which ends with it.
    """
    if arguments is None:
        gc.set_threshold(100_000)  # what is loaded stays: looking for garbage in it takes a tenth of the gate's time
        return _leave(_main(sys.argv[1:]))
    return _main(arguments)


def _main(arguments: Sequence[str]) -> int:
    open_streams()
    try:
        with signals.heeded() as hold:
            return _run(list(arguments), hold)
    except BrokenPipeError:  # whoever read what we print has left, as `head` does
        discard(sys.stdout)
        return 128 + signal.SIGPIPE


def _leave(status: int) -> int:
    """Ends the process without taking its modules apart one by one, which takes a tenth of the gate's time, too.

    Returns the status where something is left that Python has to see to: what cannot be written, a thread.
    """
    if any(not thread.daemon for thread in threading.enumerate() if thread is not threading.main_thread()):
        return status
    try:
        for stream in (sys.stdout, sys.stderr):
            if stream is not None:
                stream.flush()
    except (OSError, ValueError):
        return status
    atexit._run_exitfuncs()
    os._exit(status)


def _run(words: list[str], hold: signals.Hold) -> int:
    console = Console(os.environ, secrets=_secrets)
    parsed: argparse.Namespace | None = None
    try:
        with hold.released():
            parsed = _parse(words)
            console = Console(os.environ, quiet=parsed.quiet, verbose=parsed.verbose, secrets=_secrets)
            return int(parsed.run(parsed, console))
    except SystemExit as leaving:  # --help and --version
        return leaving.code if isinstance(leaving.code, int) else 0
    except (KeyboardInterrupt, Interrupted, Exception) as raised:  # noqa: BLE001  what is left is a bug
        if status := _interrupted(raised):
            if isinstance(raised, Error):  # of what was to be cleaned up
                console.fail(raised)
            console.say("git clearml: interrupted")
            return status
        return _failed(raised, words, parsed, console)


def _interrupted(raised: BaseException) -> int:
    """The exit status of the interruption that this is, or in whose place it stands: argparse and others have `finally`
    blocks that fail when what comes before them has not ended. 0 where there was none.
    """
    seen: BaseException | None = raised
    while seen is not None:
        if isinstance(seen, (KeyboardInterrupt, Interrupted)):
            return signals.status_of(seen)
        seen = seen.__context__
    return 0


def _failed(raised: BaseException, words: list[str], parsed: argparse.Namespace | None, console: Console) -> int:
    """Says what a command raised, and its exit status. Raises BrokenPipeError."""
    if isinstance(raised, Error):
        return _fail(raised, words, parsed, console)
    if isinstance(raised, BrokenPipeError):
        raise raised
    if isinstance(raised, OSError) and _is_of_the_machine(raised):
        what = raised.strerror or str(raised)
        where = f": {raised.filename}" if isinstance(raised.filename, str) else ""
        return _fail(CannotDecide(f"the system refuses: {what}{where}", "df -h . /tmp"), words, parsed, console)
    return _report_bug(raised, words, console)


def _parse(words: list[str]) -> argparse.Namespace:
    first = next((word for word in words if not word.startswith("-")), "")
    is_command = first in _COMMANDS and words[0] == first
    if first == "push" and is_command and not {"-h", "--help"} & set(words):
        from git_clearml.commands import push

        return push.parse(words[1:])
    if words and words[0] == first and not is_command:
        raise _unknown(first, words[1:])
    parser, commands = build_parser(first if is_command else "")
    if not is_command:
        if first in _COMMANDS and not {"-h", "--help", "--version"} & set(words):
            before = words[: words.index(first)]
            options = [word for word in before if word != "--"]
            later = redact_words(["git", "clearml", first, *options, *words[len(before) + 1 :]])
            raise UsageError(f"options come after the command: {shlex.join(redact_words(before))}", shlex.join(later))
        parser.parse_args([word for word in words if word.startswith("-") and word != "--"] if words else ["-h"])
        raise UsageError("no command given", "git clearml -h")
    end = words.index("--") if "--" in words else len(words)
    parsed = _parse_command(commands[first], words[1:end], words[end:])
    parsed.command = first
    return parsed


def _parse_command(parser: argparse.ArgumentParser, words: list[str], tail: list[str]) -> argparse.Namespace:
    """The words of one command, and those from a `--` on: no flags, and no two versions of argparse agree about them.

    A command that has `paths` or `words` gets them there; for all others they are more of their arguments.
    """
    rest = tail[1:]
    if parser.get_default("paths") is not None:
        parsed = parser.parse_intermixed_args(words)
        parsed.paths = rest
        return parsed
    if parser.get_default("words") is not None:  # from its first word on, all belongs to the command that is run
        parsed = parser.parse_args(words)
        parsed.words = [*parsed.words, *tail] if parsed.words else rest
        return parsed
    tokens = {_REST.format(number): word for number, word in enumerate(rest)}
    try:
        parsed = parser.parse_intermixed_args([*words, *tokens])  # flags may stand between and after revisions
    except UsageError as error:
        for token, word in tokens.items():
            error.message = error.message.replace(repr(token)[1:-1], word).replace(token, word)
        raise
    for name, value in vars(parsed).items():
        if isinstance(value, str):
            setattr(parsed, name, tokens.get(value, value))
        elif isinstance(value, list):
            setattr(parsed, name, [tokens.get(word, word) for word in value])
    return parsed


def _fail(error: Error, words: list[str], parsed: argparse.Namespace | None, console: Console) -> int:
    """Says the error; where JSON was asked for, on stdout too, in the command's own shape."""
    if "--" in error.hint and words and words[0] in _COMMANDS and words[0] != "push":
        from git_clearml.commands import again  # late: for a hint that is not a command yet

        error.hint = again.completed(error.hint, words, build_parser(words[0])[1][words[0]])
    console.fail(error)
    error.message, error.hint = console.redact(error.message), console.redact(error.hint)
    module = _module(words[0]) if words and words[0] in _COMMANDS else None
    if parsed is None and module is not None and hasattr(module, "unparsed"):  # the command leaves files
        module.unparsed(words[1:], error)
    if _wants_json(words) and module is not None and hasattr(module, "failed"):  # the command has a JSON form
        try:
            console.document(module.failed(error))
        except Error as unwritten:
            console.fail(unwritten)
    return error.status


def _wants_json(words: list[str]) -> bool:
    """Was --format json among the words, even if they could not be parsed? Not what follows a `--`."""
    words = words[: words.index("--")] if "--" in words else words
    return bool({"--json", "--format=json"} & set(words)) or any(
        pair == ("--format", "json") for pair in pairwise(words)
    )


def _report_bug(bug: BaseException, words: list[str], console: Console) -> int:
    """One line, and the path of a log with the traceback; without the secrets."""
    import platform
    import tempfile
    import traceback

    text = _all_secrets().redact("".join(traceback.format_exception(bug)))
    system = f"version {__version__}, Python {platform.python_version()}, {platform.platform()}"
    what = f"this is a bug of git-clearml ({type(bug).__name__})"
    try:
        with tempfile.NamedTemporaryFile(
            "w", prefix="git-clearml-", suffix=".log", delete=False, encoding="utf-8", errors="replace"
        ) as log:
            log.write(f"{system}\ncommand: {words[:1]}\n\n{text}")
    except OSError as error:
        console.fail(
            _Bug(f"{what}, and its log could not be written: {error.strerror}", "df -h /tmp, and call it again")
        )
        return _BUG
    console.fail(_Bug(what, f"please report it with {log.name}"))
    return _BUG


def _is_of_the_machine(error: OSError) -> bool:
    """Is it a disk that is full, a limit that is reached, or no folder for temporary files, and nothing of ours?"""
    limits = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EROFS, errno.EIO, errno.EMFILE, errno.ENFILE, errno.ENOMEM)
    return error.errno in (*limits, errno.EAGAIN) or "usable temporary directory" in str(error)


def _secrets() -> Secrets:
    from git_clearml.clearml.conf_secrets import known_secrets

    return known_secrets(os.environ)


def _all_secrets() -> Secrets:
    """Those of a clearml.conf, too, that includes others, or refers to them: it is parsed for that."""
    from git_clearml.clearml.config import read_server

    try:
        server = read_server(os.environ)
    except Exception:  # noqa: BLE001  one bug is enough
        server = None
    return _secrets() | server.secrets if server else _secrets()


class _Bug(Error):
    code, status = "bug", _BUG
