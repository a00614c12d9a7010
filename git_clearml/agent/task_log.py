"""Reads the console log of a task that clearml-agent ran: how far it got, what its end says, why it failed. Pure.

The words are those of clearml-agent 3.0.3 (commands/worker.py, helper/repo.py), git, pip and Python, as real runs
printed them (tests/unit/agent_logs). The log is untrusted: a script may print anything, the agent's own words too. So
what the agent says counts only before it starts the script, and what comes out is short and safe to print.

An agent reports every few seconds what was printed since: one text may hold many lines, and its "Process failed" may
stand before the last of them.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from enum import Enum

from git_clearml.base.sanitize import sanitize
from git_clearml.base.secrets import without_users

_LONGEST = 4000  # characters of a line that are looked at
_QUOTED = 160  # characters of a log line in a sentence
_START = "Starting Task Execution:"


class Phase(str, Enum):
    """How far an agent got with a task."""

    PULLED = "pulled"
    CLONING = "cloning"
    INSTALLING = "installing"
    RUNNING = "running"


@dataclass(frozen=True)
class Cause:
    """Why a task failed: the machine's word ("" for none of ours), and a sentence ("" when nothing can be said)."""

    code: str = ""
    sentence: str = ""


_PULLED = re.compile(r"task \S+ pulled from \S+ by worker ")
_HEAD = re.compile(r"task \S+ pulled from \S+ by worker |Executing task id \[")
_CLONING = re.compile(r"cloning: |Using cached repository in |pulling git|INFO: acquiring .* for repo cache")
_INSTALLING = re.compile(
    r"created virtual environment|\s*(?:Collecting|Downloading|Installing) |Requirement already satisfied"
    r"|Looking in (?:indexes|links): |Trying pip install|Successfully installed |::: Using Cached"
)
_MARKS = ((Phase.PULLED, _PULLED), (Phase.CLONING, _CLONING), (Phase.INSTALLING, _INSTALLING))


def phase(lines: Iterable[str]) -> Phase | None:
    """How far the agent got; None when these lines do not tell, as when their beginning is cut off."""
    before, script = _parts(lines)
    if script is not None:
        return Phase.RUNNING
    phases = [phase for line in before for phase, pattern in _MARKS if pattern.match(line)]
    return phases[-1] if phases and any(_HEAD.match(line) for line in before) else None


def tail(lines: Iterable[str], most: int = 20, width: int = 200) -> tuple[str, ...]:
    """The last lines worth reading, oldest first: at most `most`, each of at most `width` characters.

    The script's own, once it has said something. Without blank lines, the agent's configuration, git's advice, and the
    earlier states of a progress bar. How the process ended comes last, wherever it stands.
    """
    before, script = _parts(lines)
    chosen = script if script and _printed(script) else [*_worth_reading(before), *(script or ())]
    kept: list[str] = []
    bar = ""
    for line in _printed(chosen):
        earlier, bar = bar, _bar(line)
        if bar and bar == earlier:
            kept.pop()
        kept.append(line)
    kept += [line for line in [*before, *(script or ())] if _ENDED.match(line)][-1:]
    return tuple(_shown(line, width) for line in kept[-most:]) if most > 0 else ()


def complete(lines: Iterable[str]) -> bool:
    """Has the agent said its last word? A task whose repository cannot be cloned is `failed` some 5 seconds earlier."""
    return any(_ENDED.match(line) or line.startswith(_ERROR) for part in _parts(lines) for line in part or ())


def classify(lines: Iterable[str], *, status_message: str = "", status_reason: str = "") -> Cause:
    """Why the task failed, by its log and by what the agent left as its status's reason and message.

    The codes are `package-not-found`, `commit-not-found`, `repository-unreachable`, `diff-not-applied`,
    `entry-point-missing`, `out-of-memory` and `script-failed`.
    """
    before, script = _parts(lines)
    everything = [*before, *(script or ())]
    if any(_ABORTED.match(line) for line in everything):
        return Cause()
    code = _exit_code(everything, status_reason)
    cause = _of_setup(before) if script is None else None
    if script is None and _printed(before) and not any(_HEAD.match(line) for line in before):
        script = before  # the beginning is cut off: it may be either
    if script is not None:
        cause = cause or _of_script(_printed(script), code)
    if cause:
        return cause
    if "failed cloning repository" in status_reason:
        return Cause("repository-unreachable", "the agent could not get the commit from the repository")
    if code in _KILLED:
        return _killed(code)
    if errors := [line for line in before if line.startswith(_ERROR)]:
        return Cause("", f"the agent could not start the script: {_quoted(errors[-1].removeprefix(_ERROR))}")
    return Cause("", _quoted("" if _ROUTINE.match(status_message) else status_message))


# What stands in a log beside the script's own output.
_ABORTED = re.compile(r"User aborted: stopping task \(")
_ENDED = re.compile(r"Process (?:failed, exit code (-?\d{1,4})|completed successfully|(?:aborted|terminated) by user)")
_REASON = re.compile(r"exit code (-?\d{1,4})\b")
_ROUTINE = re.compile(r"(?:Changed|Stopped) by |stopping|pulled by |launch by ")
_ERROR = "clearml_agent: ERROR: "
_KILLED = (-9, 137)  # SIGKILL, as the agent and as a shell or docker give it


def _printed(lines: Iterable[str]) -> list[str]:
    """The lines with something in them, but for that which tells how the process ended."""
    return [line for line in lines if line and not _ENDED.match(line)]


def _exit_code(lines: Sequence[str], status_reason: str) -> int | None:
    """The exit code of the script, or of the agent's own setting up. None when it is not on record."""
    if match := _REASON.search(status_reason[:_LONGEST]):
        return int(match[1])
    codes = [match[1] for line in lines if (match := _ENDED.match(line)) and match[1]]
    return int(codes[-1]) if codes else None


# Before the script starts. The first that is found decides: a diff that does not apply is printed whole, whatever
# stands in it.
_DIFF = re.compile(r"(?:clearml_agent: ERROR: |ERROR! )?Failed applying (?:git )?diff")
_PATCH = re.compile(r"patch failed: [^'\\]+|[^\s':]+: (?:patch does not apply|No such file or directory)")
_COMMIT = re.compile(
    r"fatal: (?:reference is not a tree|unable to read tree|bad object|invalid reference)"
    r"|error: pathspec '[^']*' did not match|Repository cloning failed: Command '\['git', 'checkout'"
)
_CLONE = re.compile(r"Repository cloning failed: |clearml_agent: ERROR: (?:Failed cloning|Cannot find \"(?:git|hg)\")")
_GIT = re.compile(
    r"(?:fatal|ssh|error|ERROR|remote): |\S+: Permission denied|Host key|clearml_agent: ERROR: Cannot find"
)
_REFUSED = re.compile(r"Authentication failed|could not read (?:User|Pass)|Permission denied|Host key|error: 40[13]")
_PACKAGE = re.compile(
    r"ERROR: (?:No matching distribution found for|Could not find a version that satisfies the requirement) (\S+)"
    r"|.{0,20}Because (\S+) was not found in the package registry"
)
_PACKAGES = re.compile(
    r"(?:clearml_agent: )?ERROR: (?:Could not install task|Failed installing|installing pip)|PackagesNotFoundError"
)


def _of_setup(lines: Sequence[str]) -> Cause | None:
    if any(_DIFF.match(line) for line in lines):
        detail = next((match[0] for line in lines if (match := _PATCH.search(line))), "")
        return Cause("diff-not-applied", _and("the task's diff does not apply to its commit", detail))
    if any(_COMMIT.match(line) for line in lines):
        return Cause("commit-not-found", "the repository that the agent cloned does not have the commit")
    if any(_CLONE.match(line) for line in lines):
        detail = next((line.removeprefix(_ERROR) for line in lines if _GIT.match(line)), "")
        verb = "may not read" if _REFUSED.search(detail) else "cannot clone"
        return Cause("repository-unreachable", _and(f"the agent {verb} the repository", detail))
    if match := next(filter(None, map(_PACKAGE.match, lines)), None):
        return Cause("package-not-found", f"the agent finds no package {_quoted(match[1] or match[2])}")
    if any(_PACKAGES.match(line) for line in lines):
        errors = [line for line in lines if line.startswith(("ERROR: ", "error: ")) and not _PACKAGES.match(line)]
        return Cause("package-not-found", _and("the agent could not install the requirements", (errors or [""])[-1]))
    return None


# After the start. Python itself says of what it is to run that it is not there, the agent of the directory.
_NO_ENTRY = re.compile(
    r"[^']{0,1000}python[\d.]*(?:\.exe)?: (?:can't open file '(?P<file>.*)'|No module named (?P<module>\S+)"
    r"|Error while finding module specification for '(?P<spec>[^']*)')"
    r"|\[Errno 2\] No such file or directory: '(?P<folder>.*)'"
)
_NO_MODULE = re.compile(r"ModuleNotFoundError: No module named '([^']+)'")
_NO_MEMORY = re.compile(
    r"Killed$|(?:\w+\.)*_?(?:Array)?MemoryError\b|(?:\w+\.)*(?:OutOfMemory|ResourceExhausted)Error\b"
    r"|.*(?:CUDA (?:error: )?out of memory|RESOURCE_EXHAUSTED|std::bad_alloc|Cannot allocate memory"
    r"|DefaultCPUAllocator: .*memory|killed by signal: Killed|Signals?[. ](?:9 \()?SIGKILL)"
)
_LAUNCHERS = ("ChildFailedError", "CalledProcessError")  # they only say that what they started has failed


def _of_script(lines: Sequence[str], code: int | None) -> Cause | None:
    """`lines` are those that the script printed, blank ones left out."""
    if code in _KILLED:
        return _killed(code)
    if lines and (match := _NO_ENTRY.match(lines[0])):
        return Cause("entry-point-missing", _no_entry(match.groupdict()))
    exception = _last_exception(lines)
    if any(_NO_MEMORY.match(line) for line in ([exception] if exception else lines)):
        return Cause("out-of-memory", _and("the script ran out of memory", exception))
    if match := _NO_MODULE.match(exception):
        missing = f"the agent has no module {_quoted(match[1])!r}: is its package missing from the requirements?"
        return Cause("package-not-found", missing)
    if exception:
        return Cause("script-failed", f"the script failed with {_quoted(exception)}")
    if not code:
        return None
    end = f"was ended by signal {-code}" if code < 0 else f"ended with exit code {code}"
    return Cause("script-failed", _and(f"the script {end}", lines[-1] if lines else ""))


def _no_entry(missing: dict[str, str | None]) -> str:
    if module := missing["module"] or missing["spec"]:
        return f"python finds no module {_quoted(module)!r} to run, neither in the commit nor installed"
    kind = "script" if missing["file"] else "folder"
    path = missing["file"] or missing["folder"] or ""
    return f"there is no {kind} {_quoted(path.rpartition('/')[2])!r} in the commit"


def _killed(code: int | None) -> Cause:
    return Cause("out-of-memory", f"it was killed (exit code {code}), most likely because it ran out of memory")


_TRACEBACK = "Traceback (most recent call last):"
_EXCEPTION = re.compile(r"(?:\w{1,99}\.){0,9}_?(?=\w*[a-z])[A-Z]\w{0,99}(?::|$)")
_SYNTAX = re.compile(r"(?:Syntax|Indentation|Tab)Error: ")


def _last_exception(lines: Sequence[str]) -> str:
    """`Type: message` of the last traceback, without what launchers add to it; "" when there is none."""
    exceptions = list(_exceptions(lines))
    own = [exception for exception in exceptions if not exception.partition(":")[0].endswith(_LAUNCHERS)]
    return (own or exceptions or [""])[-1]


def _exceptions(lines: Sequence[str]) -> Iterator[str]:
    """The line that ends each traceback: the first behind its header that is neither indented nor foreign."""
    prefix: str | None = None  # what stands before every line of it: "[rank0]: " of torch, "  | " of a group
    for line in lines:
        at = line.find(_TRACEBACK)
        if at >= 0:
            prefix = line[:at].removesuffix("Exception Group ").replace("+", "|")
        elif _SYNTAX.match(line) or (prefix is not None and _EXCEPTION.match(line.removeprefix(prefix))):
            yield line.removeprefix(prefix or "")
            prefix = None


# Lines, as they come and as they are shown.
_ANSI = re.compile(r"\x1b(?:\[[0-?]*[ -/]*[@-~]|\][^\x07\x1b]*(?:\x07|\x1b\\)?|[@-Z\\-_])")
_CONFIGURATION = ("Using custom configuration file from ", "Current configuration (clearml_agent")
_AFTER_CONFIGURATION = ("Executing task id [", "clearml_agent: ", "Task failed: ", "INFO: ")
_SETTING = re.compile(r"(?:agent|api|sdk|environment|files)\.\S+ =")
_PERCENT = re.compile(r"(.{0,100}?)\d{1,3}(?:\.\d+)?%[ |\[]")
_RICH_BAR = re.compile(r"\s*[━╸╺]{3}")


def _parts(texts: Iterable[str]) -> tuple[list[str], list[str] | None]:
    """The lines up to the start of the script, and those after it; None when it has not been started."""
    lines = [_last_state(line) for text in texts for line in text.split("\n")]
    at = lines.index(_START) if _START in lines else len(lines)
    return lines[:at], lines[at + 1 :] if at < len(lines) else None


def _last_state(line: str) -> str:
    """The line without colours, as a terminal shows it after its carriage returns."""
    line = next((part for part in reversed(line.split("\r")) if part.strip()), "")
    return _ANSI.sub("", line[: 2 * _LONGEST])[:_LONGEST].rstrip()


def _worth_reading(lines: Sequence[str]) -> Iterator[str]:
    """The agent's lines without its configuration, which names an access key, and git's advice about detached heads."""
    dump, advice = False, False
    for line in lines:
        dump = line.startswith(_CONFIGURATION) or (dump and not line.startswith(_AFTER_CONFIGURATION))
        advice = line.startswith("Note: switching to '") or (advice and not line.startswith("HEAD is now at "))
        if not dump and not advice and not _SETTING.match(line):
            yield line


def _bar(line: str) -> str:
    """What a progress bar is about, "" for a line that is none."""
    if match := _PERCENT.match(line):
        return match[1].strip() or "%"
    return "━" if _RICH_BAR.match(line) else ""


def _shown(line: str, width: int) -> str:
    text = line.expandtabs(4)
    indent = min(len(text) - len(text.lstrip()), width // 4)
    return (" " * indent + sanitize(without_users(text.strip()), max(width - indent, 1))).rstrip()


def _quoted(line: str) -> str:
    return sanitize(without_users(line.strip()), _QUOTED)


def _and(sentence: str, detail: str) -> str:
    return f"{sentence}: {_quoted(detail)}" if detail else sentence
