"""Causes are read from logs that real runs of clearml-agent 3.0.3 left (agent_logs), and from what may be in others.

A sample is the task's status and reason, then what the console had, event by event, each after a line `=====`. Paths,
ports and hosts are neutral; all but good.txt have only the first lines of the agent's configuration.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from git_clearml.agent.task_log import Cause, Phase, classify, complete, phase, tail

LOGS = Path(__file__).parent / "agent_logs"
START = ["Executing task id [1]:", "Starting Task Execution:", ""]
TRACEBACK = ["Traceback (most recent call last):", '  File "/x/train.py", line 1, in <module>', "    load()"]


@dataclass(frozen=True)
class Sample:
    status: str
    reason: str
    events: list[str]

    @property
    def lines(self) -> list[str]:
        return [line for event in self.events for line in event.split("\n")]


def sample(name: str) -> Sample:
    head, *events = (LOGS / f"{name}.txt").read_text(encoding="utf-8").split("\n=====\n")
    status, _, reason = head.partition(": ")
    return Sample(status, reason, events)


SAMPLES = sorted(path.stem for path in LOGS.glob("*.txt"))

CAUSES = {
    "auth": ("repository-unreachable", "may not read the repository: fatal: Authentication failed for 'http://127"),
    "bad_diff": ("diff-not-applied", "the task's diff does not apply to its commit: patch failed: plain.py:1"),
    "bars": ("script-failed", "the script ended with exit code 1: done"),
    "chained": ("script-failed", "the script failed with ValueError: no column a"),
    "cuda": ("out-of-memory", "torch.OutOfMemoryError: CUDA out of memory. Tried to allocate 20.00 GiB."),
    "exit2": ("script-failed", "exit code 2: exit2.py: error: the following arguments are required: --epochs"),
    "exit3": ("script-failed", "the script ended with exit code 3: nothing to do"),
    "good": ("", ""),
    "group": ("script-failed", "the script failed with ExceptionGroup: several (2 sub-exceptions)"),
    "in_module": ("script-failed", "the script failed with RuntimeError: in module"),
    "killed": ("out-of-memory", "it was killed (exit code -9), most likely because it ran out of memory"),
    "memory": ("out-of-memory", "the script ran out of memory: MemoryError"),
    "module": ("package-not-found", "the agent has no module 'torchvision_of_nowhere': is its package missing from"),
    "no_commit": ("commit-not-found", "the repository that the agent cloned does not have the commit"),
    "no_entry": ("entry-point-missing", "there is no script 'nothere.py' in the commit"),
    "no_host": ("repository-unreachable", "cannot clone the repository: fatal: unable to access 'https://git.invalid/"),
    "no_module": ("entry-point-missing", "python finds no module 'pkg.nothere' to run, neither in the commit nor"),
    "no_workdir": ("entry-point-missing", "there is no folder 'nodir' in the commit"),
    "not_found": ("repository-unreachable", "fatal: repository 'http://127.0.0.1:8090/other.git/' not found"),
    "raises": ("script-failed", "FileNotFoundError: [Errno 2] No such file or directory: 'data/missing.csv'"),
    "refused": ("repository-unreachable", "Failed to connect to 127.0.0.1"),
    "relative": ("script-failed", "the script failed with ImportError: cannot import name 'nothing' from 'helpers'"),
    "req_bad": ("package-not-found", "the agent finds no package no-such-package-of-git-clearml-tests==1.0"),
    "req_good": ("", ""),
    "req_repo": ("package-not-found", "the agent finds no package no-such-package-of-git-clearml-tests==1.0"),
    "req_version": ("package-not-found", "the agent finds no package six==99.0"),
    "sdk_raises": ("script-failed", "the script failed with RuntimeError: told to fail: red"),
    "segv": ("script-failed", "the script was ended by signal 11"),
    "sleep": ("", ""),
    "ssh": ("repository-unreachable", "ssh: connect to host 127.0.0.1 port 22: Connection refused"),
    "syntax": ("script-failed", "the script failed with SyntaxError: '(' was never closed"),
    "sysexit": ("script-failed", "the script ended with exit code 1: no data in /data: mount it first"),
    "term": ("script-failed", "the script was ended by signal 15"),
}


@pytest.mark.parametrize("name", SAMPLES)
def test_the_cause_of_a_real_failure(name: str) -> None:
    one = sample(name)
    cause = classify(one.lines, status_message="Changed by clearml-agent builder", status_reason=one.reason)
    code, words = CAUSES[name]
    assert cause.code == code
    assert words in cause.sentence
    assert bool(words) == bool(cause.sentence)


@pytest.mark.parametrize("name", SAMPLES)
def test_the_status_reason_is_not_needed(name: str) -> None:
    """It comes late: a task whose clone failed is `failed` before its process has ended."""
    one = sample(name)
    assert classify(one.lines) == classify(one.lines, status_reason=one.reason)


@pytest.mark.parametrize("name", SAMPLES)
def test_whole_events_and_windows_line_ends_say_the_same(name: str) -> None:
    one = sample(name)
    assert classify(one.events) == classify(one.lines)
    assert classify(line + "\r" for line in one.lines) == classify(one.lines)
    assert tail(line + "\r" for line in one.lines) == tail(one.lines)
    assert phase(one.events) is phase(one.lines)


def script(*lines: str) -> list[str]:
    return [*START, *lines]


def failed_with(*lines: str) -> list[str]:
    return script(*TRACEBACK, *lines)


SCRIPTS = [
    (failed_with("torch.cuda.OutOfMemoryError: CUDA out of memory."), "out-of-memory"),
    (failed_with("RuntimeError: CUDA error: out of memory"), "out-of-memory"),
    (failed_with("numpy.core._exceptions._ArrayMemoryError: Unable to allocate 8 GiB"), "out-of-memory"),
    (failed_with("OSError: [Errno 12] Cannot allocate memory"), "out-of-memory"),
    (failed_with("RuntimeError: DataLoader worker (pid 7) is killed by signal: Killed."), "out-of-memory"),
    (failed_with("tensorflow.python.framework.errors_impl.ResourceExhaustedError: OOM"), "out-of-memory"),
    (script("epoch 1", "Killed"), "out-of-memory"),
    (script("terminate called after throwing an instance of 'std::bad_alloc'"), "out-of-memory"),
    (failed_with("OSError: [Errno 28] No space left on device"), "script-failed"),
    (script("Killed the zombie", "Process failed, exit code 1"), "script-failed"),
    # A smaller batch was tried after this one.
    (script("CUDA out of memory, halving the batch", *TRACEBACK, "ValueError: no"), "script-failed"),
    (failed_with("MemoryError", "", *TRACEBACK, "ValueError: no"), "script-failed"),
    (failed_with("ModuleNotFoundError: No module named 'torch.nn'; 'torch' is not a package"), "package-not-found"),
    (failed_with("ModuleNotFoundError: No module named 'a'", *TRACEBACK, "KeyError: 'a'"), "script-failed"),
    (failed_with("ModuleNotFoundError: No module named 'a'", *TRACEBACK, "x.ChildFailedError: "), "package-not-found"),
    (failed_with("torch.distributed.elastic.multiprocessing.errors.ChildFailedError: "), "script-failed"),
    (script("[rank0]: " + TRACEBACK[0], "[rank0]:   File", "[rank0]: MemoryError"), "out-of-memory"),
    (failed_with("step 3 of a thread", "KeyError: 'a'"), "script-failed"),
    (script("Process failed, exit code 137"), "out-of-memory"),
    (script("/usr/bin/python3.11: can't open file '/x y/train.py': [Errno 2]"), "entry-point-missing"),
    (script("python: Error while finding module specification for 'a.b' (ModuleNotFoundError)"), "entry-point-missing"),
    # A script of ours that starts others is there itself.
    (script("starting", "python: can't open file 'x.py'", "Process failed, exit code 2"), "script-failed"),
    (script("hello"), ""),
    (script(), ""),
]


@pytest.mark.parametrize(("lines", "code"), SCRIPTS)
def test_the_cause_of_a_script_that_fails(lines: list[str], code: str) -> None:
    assert classify(lines).code == code


BEFORE = [
    (["git@example.com: Permission denied (publickey).", "Repository cloning failed: x"], "may not read"),
    (["fatal: could not read Username for 'https://example.com'", "Repository cloning failed: x"], "may not read"),
    (["fatal: unable to access 'x': The requested URL returned error: 403", "Repository cloning failed: x"], "may not"),
    (['clearml_agent: ERROR: Cannot find "git" executable. You can'], 'cannot clone the repository: Cannot find "git"'),
    (["Repository cloning failed: x"], "the agent cannot clone the repository"),
    (["error: pathspec '1234' did not match any file(s) known to git"], "does not have the commit"),
    (["  x Because nosuch was not found in the package registry"], "finds no package nosuch"),
    (["ERROR: Failed building wheel for x", "clearml_agent: ERROR: Could not install task requirements!"], "wheel for"),
    (["clearml_agent: ERROR: Could not install task requirements!"], "the agent could not install the requirements"),
    (["clearml_agent: ERROR: no disk"], "the agent could not start the script: no disk"),
    (["Process failed, exit code 137"], "it was killed (exit code 137)"),
]


@pytest.mark.parametrize(("lines", "words"), BEFORE)
def test_the_cause_of_an_agent_that_fails(lines: list[str], words: str) -> None:
    assert words in classify(["Executing task id [1]:", *lines]).sentence


def test_what_the_script_prints_is_not_taken_for_the_agents_words() -> None:
    lines = script("fatal: reference is not a tree: x", "clearml_agent: ERROR: no", "KeyError", "exit code 137")
    assert classify([*lines, "Process failed, exit code 1"]).code == "script-failed"
    assert classify(lines) == Cause()


def test_a_log_whose_beginning_is_cut_off() -> None:
    assert classify([*TRACEBACK, "KeyError: 'a'"]).code == "script-failed"
    assert classify(["ERROR: No matching distribution found for x"]).code == "package-not-found"
    assert phase([*TRACEBACK, "Collecting x"]) is None


def test_without_a_log_the_status_has_to_do() -> None:
    assert classify([], status_reason="worker execution exit code -9").code == "out-of-memory"
    assert classify([], status_reason="failed cloning repository").code == "repository-unreachable"
    assert classify([], status_reason="worker execution exit code 1") == Cause()
    assert classify([], status_message="Changed by clearml-agent builder:0") == Cause()
    assert classify([], status_message="no data\x1b[0m\nat all") == Cause("", "no data\ufffd[0m at all")


@pytest.mark.parametrize("name", SAMPLES)
def test_the_log_is_complete_when_the_agent_has_said_its_last_word(name: str) -> None:
    lines = sample(name).lines
    assert complete(lines)
    assert not complete(line for line in lines if not line.startswith(("Process ", "clearml_agent: ERROR: ")))


def test_the_phase_of_a_run() -> None:
    lines = sample("req_good").lines
    seen = [phase(lines[: count + 1]) for count in range(len(lines))]
    assert seen[0] is Phase.PULLED
    assert seen[-1] is Phase.RUNNING
    assert list(dict.fromkeys(seen)) == [Phase.PULLED, Phase.INSTALLING, Phase.CLONING, Phase.RUNNING]
    light = sample("raises").lines
    assert {phase(light[:count]) for count in range(1, len(light))} == {Phase.PULLED, Phase.CLONING, Phase.RUNNING}
    assert phase([]) is None
    assert phase(["Executing task id [1]:"]) is None


def test_the_tail_of_a_script_is_its_own_words() -> None:
    assert tail(sample("raises").lines) == (
        "loading",
        "Traceback (most recent call last):",
        '  File "/home/agent/venvs/task_repository/project.git/raises.py", line 5, in <module>',
        '    load("data/missing.csv")',
        '  File "/home/agent/venvs/task_repository/project.git/raises.py", line 2, in load',
        "    return open(path)",
        "           ^^^^^^^^^^",
        "FileNotFoundError: [Errno 2] No such file or directory: 'data/missing.csv'",
        "Process failed, exit code 1",
    )


def test_the_tail_before_the_script_is_the_agents() -> None:
    lines = tail(sample("no_commit").lines)
    assert "fatal: reference is not a tree: 0123456789abcdef0123456789abcdef01234567" in lines
    assert not any("detached HEAD" in line for line in tail(sample("segv").lines, 200))
    assert tail(sample("segv").lines, 2)[-1] == "Process failed, exit code -11"


def test_neither_the_agents_configuration_nor_passwords_are_shown() -> None:
    lines = sample("good").lines
    assert any("api.credentials.access_key = LOOPBACKACCESSKEY001" in line for line in lines)
    for count in range(len(lines)):
        for part in (lines[:count], lines[len(lines) - count :]):
            assert not any("LOOPBACKACCESSKEY001" in line for line in tail(part, 500))
    shown = "\n".join(tail(sample("auth").lines, 500))
    assert "(repository='http://127.0.0.1:8090/project.git'" in shown
    assert tail(["see https://me:to/ken@host/x and ssh://git@host/y"]) == (
        "see https://me:to/ken@host/x and ssh://git@host/y",
    )
    for text in ("https://me:secret@example.com/x", "ftp://secret@a@example.com"):
        for line in (f"clearml_agent: ERROR: {text}", f"cloning: {text}"):
            assert "secret" not in classify([START[0], line]).sentence + "".join(tail([line]))
            assert "example.com" in "".join(tail([line]))


def test_a_progress_bar_is_its_last_state() -> None:
    assert tail(sample("bars").lines) == (
        "100%|##########| 100/100 [00:100<00:01, 8.3it/s]",
        "done",
        "Process failed, exit code 1",
    )
    bars = ["Epoch 1:  10%|1", "Epoch 1: 100%|9", "Epoch 2:   0%| ", "loss 50% less", "  ━━━ 1/2", "  ━━━╸ 2/2"]
    assert tail(script(*bars)) == ("Epoch 1: 100%|9", "Epoch 2:   0%|", "loss 50% less", "  ━━━╸ 2/2")
    assert tail(script("10%\r20%\r30%\r")) == ("30%",)


def test_the_tail_is_short_and_safe() -> None:
    assert tail(script(*(f"line {n}" for n in range(99))), 3) == ("line 96", "line 97", "line 98")
    assert tail(script("a", "b"), 0) == ()
    assert tail(script("\x1b[31mred\x1b[0m \x1b]0;title\x07x", "a\x00b", "\u202eevil")) == (
        "red x",
        "a\ufffdb",
        "\ufffdevil",
    )
    assert tail(script("x" * 1000), 5, 10) == ("xxxxxxxxx…",)
    assert tail(script("\tdeep"), 5, 40) == ("    deep",)
    assert tail(script(), 5) == ("Executing task id [1]:",)


_CONTROL = re.compile("[\x00-\x1f\x7f-\x9f\u2028\u2029\u202a-\u202e\u2066-\u2069\ud800-\udfff]")
_WORDS = st.sampled_from(
    [line for name in SAMPLES for line in sample(name).lines if line]
    + ["Starting Task Execution:", "\r", "\x1b[", "Traceback (most recent call last):", "50%|", "://", "@", "A" * 5000]
)
_LOG = st.lists(st.one_of(_WORDS, st.text(), st.lists(_WORDS, max_size=3).map("".join)), max_size=30)


@given(_LOG, st.text(), st.text(), st.integers(-1, 30), st.integers(1, 300))
def test_any_text_is_read_and_what_comes_out_is_bounded(
    lines: list[str], message: str, reason: str, most: int, width: int
) -> None:
    cause = classify(lines, status_message=message, status_reason=reason)
    assert len(cause.sentence) <= 300
    assert "\n" not in cause.sentence
    cause.sentence.encode()
    shown = tail(lines, most, width)
    assert len(shown) <= max(most, 0)
    for line in shown:
        assert line.strip()
        assert len(line) <= width
        assert not _CONTROL.search(line)
    assert phase(lines) in (None, *Phase)


@pytest.mark.parametrize(
    "line", ["A" * 200_000, "a." * 100_000, "x://" * 50_000, "\x1b]" * 50_000, "DefaultCPUAllocator: " * 9000]
)
def test_long_lines_are_read_quickly(line: str) -> None:
    """What takes for ever runs into the suite's time limit."""
    lines = [line] * 20
    classify([*script(), TRACEBACK[0], *lines])
    classify([START[0], *lines])
    tail(lines)
    phase(lines)
