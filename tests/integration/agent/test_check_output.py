"""What a check says while it lasts and at its end: on a terminal, in a pipe, on a page; whatever others write."""

from __future__ import annotations

import io
import json
import re
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import cmarkgfm
import pytest
from cmarkgfm.cmark import Options

from git_clearml.agent.model import Check, CheckOutcome
from git_clearml.base.console import Console, Progress
from git_clearml.git.repository import Repository
from git_clearml.render import check as view
from tests.integration.agent.test_check_schedules import played
from tests.integration.agent.test_check_schedules import yard as yard  # a fixture
from tests.support.actions import Job, pull_request
from tests.support.check_bench import Bench, bench
from tests.support.check_world import World
from tests.support.clearml_http import CALLS
from tests.support.clearml_server import ClearMLServer
from tests.support.program import assert_no_secrets, command, process_environment
from tests.support.pushing import Yard, make_yard
from tests.support.terminal import at_a_terminal

STAMP = re.compile(r"\d\d:\d\d:\d\d ")
COLUMNS = 80


@pytest.fixture
def work(tmp_path: Path) -> Iterator[Bench]:
    with bench(tmp_path / "work") as made:
        yield made


# --- while it lasts ---------------------------------------------------------------------------------------------------


class Stepper:
    """An agent that gets one step further with each look at the check's task, which is the second in its queue."""

    def __init__(self, server: ClearMLServer) -> None:
        self.server, self.looks = server, 0
        server.add_worker("gpu-7")
        server.add_task(status="queued", queue="default", commit="e" * 40)

    def __call__(self, call: str, body: Any) -> None:
        store = self.server.store
        task = next((each for each in store.tasks.values() if "git-clearml-check" in each["tags"]), None)
        if task is None or call != "tasks.get_all_ex" or body.get("id") != [task["id"]] or task["status"] == "created":
            return
        self.looks += 1
        log = store.events.setdefault(task["id"], [])
        if self.looks == 2:
            store.take_off_queues(task["id"])
            CALLS["tasks.started"](store, {"task": task["id"]})
            task["last_worker"] = "gpu-7"
            log.append({"type": "log", "timestamp": 1, "msg": "task 1 pulled from q by worker gpu-7\ncloning: x\n"})
        if self.looks == 3:
            log.append({"type": "log", "timestamp": 2, "msg": "Starting Task Execution:\nloading\n"})
        if self.looks == 4:
            CALLS["tasks.completed"](store, {"task": task["id"]})


@pytest.fixture
def stepped(tmp_path: Path) -> Iterator[Yard]:
    with ClearMLServer() as server:
        made = make_yard(tmp_path, server)
        made.repo.commit("main", {"main.py": ""})
        server.hook = Stepper(server)
        yield made


def test_in_a_pipe_there_are_plain_lines_with_the_time(stepped: Yard) -> None:
    done = subprocess.run(
        command("check-runnable"),
        cwd=stepped.repo.path,
        env=process_environment(stepped.server.env),
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    lines = done.stderr.splitlines()
    assert all(STAMP.match(line) for line in lines)
    said = [line[9:] for line in lines]
    commit = stepped.repo.head[:12]
    assert said[:2] == [
        f"{commit} is not on the remote; pushed there temporarily",
        f"no requirements.txt in {commit}: the agent installs no packages",
    ]
    assert re.fullmatch(rf"pushed refs/heads/git-clearml/{commit}-[0-9a-f]{{8}}", said[2])
    assert said[5:] == [
        "queued in 'default', 0 of 1800 s",
        "cloning, 0 of 600 s on gpu-7",
        "running, 1 of 600 s on gpu-7",
    ]
    assert [line for line in lines if len(line) > COLUMNS and "http://" not in line] == []
    assert "\x1b" not in done.stderr + done.stdout
    assert done.stdout.splitlines()[0] == f"runnable {commit}: the task completed"


def on_a_terminal(yard: Yard, *words: str) -> tuple[int, str]:
    """The exit status, and everything that a terminal of 80 columns gets."""
    environment = process_environment({**yard.server.env, "TERM": "xterm", "COLUMNS": str(COLUMNS)})
    status, text = at_a_terminal(command(*words), cwd=yard.repo.path, env=environment, is_asked=True)
    assert_no_secrets(text, yard.server.access_key, yard.server.secret_key)
    return status, text


def test_on_a_terminal_there_is_one_live_line(stepped: Yard) -> None:
    status, text = on_a_terminal(stepped, "check-runnable")
    assert status == 0, text
    live = [part for part in re.split(r"\r\x1b\[K|\r\n", text) if STAMP.match(part)]
    assert "queued in 'default', 0 of 1800 s, 2 of 2" in [part[9:] for part in live]
    assert "cloning, 0 of 600 s on gpu-7" in [part[9:] for part in live]
    assert "running, 1 of 600 s on gpu-7" in [part[9:] for part in live]
    assert [part for part in live if len(part) >= COLUMNS and "http://" not in part] == []
    assert text.count("\r\x1b[K") == 3  # each is taken away again
    assert "\x1b[32mrunnable\x1b[0m" in text


def test_quiet_says_nothing_but_the_result(work: Bench) -> None:
    result = work.gate.call("check-runnable", "--quiet")
    assert (result.status, result.out, result.err) == (0, "", "")
    work.world.story = [(0.0, "pull"), (0.0, "fail")]
    work.world.again()
    result = work.gate.call("check-runnable", "--quiet", "--force")
    assert (result.status, result.err) == (1, "")
    assert result.out.startswith(f"failed {work.repo_head[:12]}: the task failed")


def test_verbose_says_what_is_asked(work: Bench) -> None:
    result = work.gate.call("check-runnable", "--verbose")
    assert "git clearml: POST tasks.create: 200" in result.err


class Terminal(io.StringIO):
    """Somebody watches."""

    def isatty(self) -> bool:
        return True


def test_a_long_queue_costs_few_requests_on_a_terminal_too(yard: Yard) -> None:
    world = World([(1790.0, "pull"), (0.0, "scalar")])
    console = Console({}, out=io.StringIO(), err=Terminal())
    check = played(yard, world, queue_timeout=1800.0, most=2400.0, progress=Progress(console, clock=world.clock))
    assert check.outcome == "runnable"
    assert world.asked < 120
    assert "of 1800 s, 2 of 3" in console.err.getvalue()  # type: ignore[attr-defined]


def lines_of(live: bool = False, *, quiet: bool = False) -> tuple[Progress, io.StringIO, list[float]]:
    err, now = (Terminal() if live else io.StringIO()), [0.0]
    console = Console({}, quiet=quiet, out=io.StringIO(), err=err)
    return Progress(console, clock=lambda: now[0], wall=lambda: "12:00:00"), err, now


def test_a_plain_line_comes_with_each_state_and_each_minute() -> None:
    progress, err, now = lines_of()
    for moment in (0, 30, 59, 60, 61, 62):
        now[0] = float(moment)
        progress.state("queued" if moment < 61 else "running", f"{moment} s")
    assert err.getvalue().splitlines() == [
        "12:00:00 queued, 0 s",
        "12:00:00 queued, 60 s",
        "12:00:00 running, 61 s",
    ]


def test_after_an_event_the_state_is_said_again() -> None:
    progress, err, _ = lines_of()
    progress.state("queued")
    progress.event("something")
    progress.state("queued")
    assert err.getvalue().splitlines() == ["12:00:00 queued", "12:00:00 something", "12:00:00 queued"]


def test_on_a_terminal_the_line_is_replaced() -> None:
    progress, err, _ = lines_of(live=True)
    progress.state("queued", "x" * 200)
    progress.state("running")
    progress.event("done")
    first, second, third = err.getvalue().split("\r\x1b[K")
    assert (len(first), second, third) == (79, "12:00:00 running", "12:00:00 done\n")


@pytest.mark.parametrize("live", [False, True])
def test_hostile_names_are_harmless(live: bool) -> None:
    progress, err, _ = lines_of(live)
    progress.state("running", "on \x1b[2Jw\u202e\n::error::x")
    progress.event("a\rb\x07")
    said = err.getvalue().replace("\r\x1b[K", "")
    assert not {"\x1b", "\r", "\x07", "\u202e"} & set(said)
    assert not any(line.startswith("::") for line in said.splitlines())


def test_quiet_keeps_it_back() -> None:
    progress, err, _ = lines_of(quiet=True)
    progress.state("queued")
    progress.event("something")
    assert (err.getvalue(), progress.live) == ("", False)


# --- text of others ---------------------------------------------------------------------------------------------------

EVIL = "\x1b]0;owned\x07\x1b[2J\u202eevil\r::error::owned"
PAGE = "</details><script>alert(1)</script> ![x](http://e.com) @team/all [a](javascript:x) `c` | **b** <!-- x -->"
LOG = f"Starting Task Execution:\n{EVIL}\n::add-mask::x\n##[error]owned\n{PAGE}\n"


@pytest.fixture
def hostile(tmp_path: Path) -> Iterator[Bench]:
    """A failed task of which everything that others can write was written by one who means harm."""
    world = World([(0.0, "pull"), (0.0, "fail")], worker=f"w{EVIL}{PAGE}", said=f"{EVIL}{PAGE}")
    world.on_launch = lambda world, task: world.server.store.events.setdefault(task, []).append(
        {"type": "log", "task": task, "msg": LOG, "timestamp": 1}
    )
    with bench(tmp_path / "work", world) as made:
        yield made


def test_on_a_terminal_it_is_harmless(hostile: Bench) -> None:
    result = hostile.gate.call("check-runnable")
    assert result.status == 1
    said = result.out + result.err
    assert not {"\x1b", "\r", "\x07", "\u202e"} & set(said)
    assert "evil" in result.out


@pytest.mark.parametrize("form", ["text", "markdown", "json"])
def test_no_runner_takes_it_for_a_command(form: str, hostile: Bench, tmp_path: Path) -> None:
    """In a job of GitHub Actions, which obeys what any step prints."""
    base = hostile.yard.repo.git("rev-parse", "HEAD~1")
    job = Job(tmp_path / "job", event=pull_request(7, hostile.repo_head, base))
    result = hostile.gate.call("check-runnable", "--format", form, env=job.env)
    assert result.status == 1, result.err
    said = result.out + result.err
    assert "evil" in said
    ours = "::error title=git clearml::"  # what the job is told
    assert [line for line in said.splitlines() if line.lstrip().startswith("::") and not line.startswith(ours)] == []
    assert "##[" not in said


def test_on_a_page_it_is_text(hostile: Bench) -> None:
    result = hostile.gate.call("check-runnable", "--format", "markdown")
    assert result.status == 1
    page = cmarkgfm.github_flavored_markdown_to_html(result.out, options=Options.CMARK_OPT_UNSAFE)
    outside = re.sub(r"(?s)<pre>.*?</pre>", "", page)
    for bad in ("<script", "<img", 'href="javascript:', 'href="http://e.com'):
        assert bad not in outside
    assert page.count("</details>") == 1
    assert "&lt;script&gt;" in page
    assert "@team" not in re.sub(r"(?s)<(pre|code)>.*?</\1>", "", page)


def test_in_json_it_is_a_string(hostile: Bench) -> None:
    document = hostile.check(status=1).json
    assert all("\x1b" not in line and "\n" not in line for line in document["log_tail"])
    assert json.loads(json.dumps(document)) == document


def test_a_page_has_its_limit() -> None:
    lines = tuple(f"{number} " + "x" * 290 for number in range(20))
    check = Check(CheckOutcome.FAILED, 1, "1" * 40, sentence="s" * 1000, log_tail=lines, hint="h" * 100)
    whole = view.markdown_of(check)
    assert len(whole) < 8000 + 1500
    short = view.markdown_of(check, 2000)
    assert len(short) <= 2000
    assert "19 xxx" in short  # the last lines are those that tell why
    assert "\n    0 xxx" not in short


@pytest.mark.parametrize("outcome", list(CheckOutcome))
def test_every_outcome_has_its_words(outcome: CheckOutcome) -> None:
    check = Check(outcome, outcome.status, "1" * 40, task="t", sentence="why", notes=("a note",), hint="do this")
    text = view.text(check)
    assert text.splitlines()[0] == f"{outcome.value} {'1' * 12}: why"
    assert text.splitlines()[-1] == "next: do this"
    page = view.markdown_of(check)
    assert "why" in page
    assert "Next: `do this`" in page


def test_what_is_left_is_on_the_page() -> None:
    check = Check(CheckOutcome.RUNNABLE, 0, "1" * 40, task="t", left=("archive the task: http://x",))
    assert "archive the task" in view.markdown_of(check)


# --- secrets ----------------------------------------------------------------------------------------------------------


def test_no_secret_gets_anywhere(work: Bench) -> None:
    """Not into what is said, the task, its property, the clone's memory, the record of the side ref."""
    server, records = work.world.server, []
    clone = work.yard.repo.path / ".git" / "clearml"
    work.world.on_launch = lambda world, task: records.extend(path.read_text() for path in clone.rglob("*.json"))
    url = f"file://{work.yard.remote.path}"
    work.yard.repo.git("remote", "set-url", "origin", "https://me:hunter22@example.com/team/project.git")
    work.yard.repo.git("config", f"url.{url}.insteadOf", "https://me:hunter22@example.com/team/project.git")
    result = work.check("--verbose")
    kept = "".join(path.read_text() for path in clone.rglob("*") if path.is_file())
    everything = result.out + result.err + json.dumps(server.tasks) + kept + "".join(records)
    assert records
    assert_no_secrets(everything, server.access_key, server.secret_key)
    assert "hunter22" not in everything
    assert Repository(str(work.yard.repo.path)).common_dir in str(clone)


def test_not_even_where_a_script_prints_them(tmp_path: Path) -> None:
    """Nor the first half of one, at the end of a line that is cut."""
    world = World([(0.0, "pull"), (0.0, "fail")])
    server = world.server
    keys = f"{server.access_key} {server.secret_key}"
    world.said = f"refused {keys}"
    lines = [keys, "x" * 180 + keys, f"error: {'y' * 140}{keys}"]
    log = {"type": "log", "msg": "Starting Task Execution:\n" + "\n".join(lines), "timestamp": 1}
    world.on_launch = lambda world, task: server.store.events.setdefault(task, []).append({**log, "task": task})
    with bench(tmp_path / "work", world) as work:
        for form in ("text", "markdown", "json"):
            world.again()
            result = work.gate.call("check-runnable", "--format", form)
            assert result.status == 1
            assert server.secret_key[:12] not in result.out + result.err
            assert server.access_key[:12] not in result.out + result.err
