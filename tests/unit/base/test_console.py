"""stdout is the product, stderr the talk; nothing that is printed moves a terminal."""

from __future__ import annotations

import io
import json
import os
import sys
from pathlib import Path

import pytest

from git_clearml.base.console import Console, Progress, discard, open_streams
from git_clearml.base.sanitize import Safe
from git_clearml.errors import BadSetting, PublishFailed, UsageError

EVIL = "a\nb\x1b[2Jc\r\u202ed\ud800\N{TAG LATIN SMALL LETTER A}"


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def console(
    out: io.StringIO, err: io.StringIO, *, quiet: bool = False, verbose: bool = False, **environment: str
) -> Console:
    return Console(environment, quiet=quiet, verbose=verbose, out=out, err=err)


def test_each_stream_gets_its_own() -> None:
    out, err = io.StringIO(), io.StringIO()
    shown = console(out, err)
    shown.product(Safe("verified"))
    shown.say("a remark")
    shown.announce("skipped")
    shown.warn("odd")
    shown.log("a detail")
    shown.fail(UsageError("what happened", "what to do"))
    shown.fail(UsageError("no hint"))
    assert out.getvalue() == "verified\n"
    assert err.getvalue().splitlines() == [
        "a remark",
        "skipped",
        "git clearml: warning: odd",
        "git clearml: what happened",
        "hint: what to do",
        "git clearml: no hint",
    ]


def test_quiet_keeps_remarks_back_and_nothing_else() -> None:
    out, err = io.StringIO(), io.StringIO()
    shown = console(out, err, quiet=True)
    shown.product(Safe("verified\n"))
    shown.say("a remark")
    shown.announce("this push is not verified")
    shown.warn("odd")
    shown.fail(UsageError("what happened"))
    assert out.getvalue() == "verified\n"
    assert err.getvalue().splitlines() == [
        "this push is not verified",
        "git clearml: warning: odd",
        "git clearml: what happened",
    ]


def test_details_are_for_verbose() -> None:
    err = io.StringIO()
    console(io.StringIO(), err, verbose=True).log("asked the server")
    assert err.getvalue() == "git clearml: asked the server\n"


def test_an_empty_product_is_no_line() -> None:
    out = io.StringIO()
    console(out, io.StringIO()).product(Safe(""))
    assert out.getvalue() == ""


def test_whatever_is_said_stays_on_its_line() -> None:
    """A server's `result_msg` comes out as an error, a warning, a remark, a detail, a hint or a state."""
    for err in (io.StringIO(), Terminal()):
        shown = console(io.StringIO(), err, verbose=True)
        progress = Progress(shown, wall=lambda: "12:00:00")
        shown.say(EVIL)
        shown.announce(EVIL)
        shown.warn(EVIL)
        shown.log(EVIL)
        shown.command(f"::error::{EVIL}")
        shown.fail(UsageError(EVIL, EVIL))
        progress.event(EVIL)
        progress.warn(EVIL)
        progress.state(EVIL, EVIL)
        shown.progress(EVIL)
        shown.say("the end")
        text = err.getvalue().replace("\r\x1b[K", "")  # our own way to take a line of progress back
        assert not {"\x1b", "\r", "\u202e", "\ud800", "\N{TAG LATIN SMALL LETTER A}"} & set(text)
        assert len(text.splitlines()) == (10 if err.isatty() else 11)  # states are not kept on a terminal
        text.encode("utf-8")


def test_json_is_ascii_without_controls() -> None:
    out = io.StringIO()
    console(out, io.StringIO()).document({"name": EVIL + "\x7f\x9b", "list": [1]})
    assert out.getvalue().isascii()
    assert out.getvalue().replace("\n", "").isprintable()
    assert json.loads(out.getvalue()) == {"name": EVIL + "\x7f\x9b", "list": [1]}


@pytest.mark.parametrize(
    ("environment", "colour"),
    [
        ({}, True),
        ({"NO_COLOR": "1"}, False),
        ({"NO_COLOR": ""}, True),
        ({"TERM": "dumb"}, False),
        ({"TERM": "xterm"}, True),
    ],
)
def test_colour_is_for_terminals_that_want_it(environment: dict[str, str], colour: bool) -> None:
    assert Console(environment, out=Terminal(), err=io.StringIO()).colour is colour
    assert not Console(environment, out=io.StringIO(), err=Terminal()).colour


def test_progress_is_for_those_who_watch() -> None:
    err = io.StringIO()
    console(io.StringIO(), err).progress("waiting")
    assert err.getvalue() == ""
    watched = Terminal()
    console(io.StringIO(), watched, quiet=True).progress("waiting")
    console(io.StringIO(), watched, TERM="dumb").progress("waiting")
    assert watched.getvalue() == ""


def test_a_line_of_progress_is_replaced_by_what_follows() -> None:
    out, err = Terminal(), Terminal()
    shown = console(out, err)
    shown.progress("waiting, 1 s")
    shown.progress("waiting, 2 s " + "x" * 200)
    shown.product(Safe("verified"))
    shown.say("done")
    assert err.getvalue() == "waiting, 1 s\r\x1b[K" + ("waiting, 2 s " + "x" * 200)[:79] + "\r\x1b[Kdone\n"
    assert out.getvalue() == "verified\n"


def test_a_runner_obeys_nothing_that_we_print() -> None:
    for here, obeyed in (("true", False), ("", True)):
        out, err = io.StringIO(), io.StringIO()
        shown = console(out, err, GITHUB_ACTIONS=here)
        shown.product(Safe("::error::x\n  ::set-env name=a::b\n##[error]x\n"))
        shown.announce("::stop-commands::x")
        text = out.getvalue() + err.getvalue()
        assert ("::error::" in text, "::set-env" in text, "##[" in text, "::stop" in text) == (obeyed,) * 4


def test_a_full_disk_is_an_error_and_a_closed_pipe_is_not_ours() -> None:
    with open("/dev/full", "w", encoding="utf-8", buffering=1) as full:
        with pytest.raises(PublishFailed, match="cannot be written"):
            Console({}, out=full, err=io.StringIO()).product(Safe("verified"))
        full.write("more\n")  # goes nowhere, and does not fail at the exit
    read, write = os.pipe()
    os.close(read)
    with os.fdopen(write, "w", encoding="utf-8") as pipe:
        with pytest.raises(BrokenPipeError):
            Console({}, out=pipe, err=io.StringIO()).product(Safe("verified"))
        discard(pipe)


def test_a_name_that_the_terminal_cannot_show_is_no_crash(tmp_path: Path) -> None:
    with open(tmp_path / "out", "w", encoding="ascii") as out:
        Console({}, out=out, err=io.StringIO()).product(Safe("émoji 🚀 \udcff"))
    assert (tmp_path / "out").read_text(encoding="ascii") == "?moji ? ?\n"


def test_streams_that_are_missing_are_opened(monkeypatch: pytest.MonkeyPatch) -> None:
    closed: list[int] = []
    real = os.fstat

    def fstat(number: int) -> os.stat_result:
        if number == 2 and not closed:
            raise OSError
        return real(number)

    monkeypatch.setattr(os, "fstat", fstat)
    monkeypatch.setattr(os, "open", lambda path, flags: closed.append(2))
    monkeypatch.setattr(sys, "stdout", None)
    monkeypatch.setattr(sys, "stderr", None)
    open_streams()
    assert closed == [2]
    assert sys.stdout is not None
    assert sys.stderr is not None


def test_no_line_of_the_talk_holds_a_secret() -> None:
    """Whoever made the line: a hint with the URL of a remote, an error with what a server said."""
    err = io.StringIO()
    shown = console(io.StringIO(), err, verbose=True, MY_TOKEN="tok-123_456", CACHE_KEY="a" * 40)
    url = "https://robot:pass-in-url@example.com/a?access_token=t0k3n"
    long = "x" * 495
    for say in (shown.say, shown.announce, shown.warn, shown.log, shown.command):
        say(f"see {url} with tok-123_456 at {'a' * 40}")
    shown.fail(BadSetting(f"{long} tok-123_456 {url}", f"git fetch {url} tok-123_456"))
    text = err.getvalue()
    assert [bad for bad in ("pass-in-url", "t0k3n", "tok-") if bad in text] == []
    assert text.count("a" * 40) == 5
    assert "hint: git fetch https://example.com/a?access_token=[secret] [secret]" in text


def test_a_document_tells_errors_without_secrets() -> None:
    out = io.StringIO()
    errors = [{"code": "unreachable", "message": "https://u:pw@h/x?sig=abc tok-123_456"}]
    console(out, io.StringIO(), MY_TOKEN="tok-123_456").document({"errors": errors, "hint": None, "notes": ("a",)})
    assert json.loads(out.getvalue()) == {
        "errors": [{"code": "unreachable", "message": "https://h/x?sig=[secret] [secret]"}],
        "hint": None,
        "notes": ["a"],
    }
