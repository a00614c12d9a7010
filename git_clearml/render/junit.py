"""The report of `verify` as JUnit XML, which GitLab, Jenkins, Azure and Bitbucket show beside the tests. Pure.

A view of the JSON of `verify`: a test suite for each commit, a test case for each rule, requirement and metric. What
could not be decided, or not yet, is an error and never a passed test.

Its structure: https://github.com/jenkinsci/xunit-plugin/blob/master/src/main/resources/org/jenkinsci/plugins/xunit/types/model/xsd/junit-10.xsd
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple
from xml.sax.saxutils import escape, quoteattr

from git_clearml.base.sanitize import Safe, sanitize, sanitize_lines

_MOST_TEXT = 20_000  # characters of one failure
_NAME = "git-clearml"
_GOOD = ("pass", "warned", "accepted")  # outcomes of metrics
_NOT_FINISHED = ("undecided", "pending")

_RULES: Mapping[str, tuple[str, ...]] = {
    "a task ran this commit": ("no-task", "other-commit", "no-commit", "ignored-code", "untracked-files"),
    "the task completed": ("failed", "stopped", "closed", "created", "running", "queued", "published", "run-failed"),
    "the task ran without uncommitted changes": ("dirty", "diff-unknown"),
    "the entry point is in the commit": ("entry-point-missing",),
    "the task belongs to this repository and project": (
        "archived", "other-project", "other-task-name", "other-repository", "no-repository", "not-a-check",
    ),
}  # fmt: skip
"""Each rule with the reasons (design 11) that speak against it; any other reason speaks against the first."""


class _Case(NamedTuple):
    """A test case: `result` is "" where it passed, else failure, error or skipped, with a kind and a text."""

    name: str
    result: str = ""
    kind: str = ""
    text: str = ""


def xml(report: Mapping[str, Any]) -> Safe:
    """The XML of a `verify` document (see render/json.py)."""
    commits: Sequence[Mapping[str, Any]] = report["commits"]
    suites = [(commit["commit"], _of_commit(commit, report)) for commit in commits]
    rest = _of_call(report)
    if rest or not suites:
        suites.append(("git clearml verify", rest or [_nothing(report)]))
    several = len(commits) > 1
    shown = "".join(
        _suite(name, cases, several and number < len(commits)) for number, (name, cases) in enumerate(suites)
    )
    counts = _counts(
        [case for _, cases in suites for case in cases], ("failures", "errors")
    )  # all that may stand there
    return Safe(f'<?xml version="1.0" encoding="UTF-8"?>\n<testsuites name="{_NAME}" {counts}>\n{shown}</testsuites>\n')


def _of_commit(commit: Mapping[str, Any], report: Mapping[str, Any]) -> list[_Case]:
    return [
        *_rules(commit, report),
        *(_requirement(each) for each in commit.get("requirements", ())),
        *(_metric(each) for each in commit.get("metrics", ())),
    ]


def _rules(commit: Mapping[str, Any], report: Mapping[str, Any]) -> list[_Case]:
    """All rules have passed, or those failed that speak against the near misses, or nobody knows."""
    outcome, names = commit["outcome"], list(_RULES)
    if outcome == "verified":
        return [_Case(name) for name in names]
    against: dict[str, list[str]] = {}
    for miss in commit["near_misses"]:
        for reason in miss["reasons"]:
            rule = next((name for name, codes in _RULES.items() if reason["code"] in codes), names[0])
            against.setdefault(rule, []).append(f"{_shown(miss['task'])}: {reason['message']}")
    text = [line for lines in against.values() for line in lines]
    if outcome in _NOT_FINISHED:
        which = names[1] if outcome == "pending" else names[0]
        why = [*text, *(error["message"] for error in report["errors"])]
        undecided = _Case(which, "error", outcome, _lines(outcome, why, report))
        return [undecided if name == which else _Case(name, "skipped", outcome) for name in names]
    against = against or {names[0]: ["no clean, completed ClearML task has run this commit", *commit["notes"]]}
    return [
        _Case(name, "failure", outcome, _lines(outcome, against[name], report)) if name in against else _Case(name)
        for name in names
    ]


def _requirement(requirement: Mapping[str, Any]) -> _Case:
    lines = [
        f"{_shown(miss['task'])}: {reason['message']}"
        for miss in requirement.get("near_misses", ())
        for reason in miss["reasons"]
    ]
    lines = lines or [requirement["outcome"], *requirement.get("notes", ())]
    text = _lines(requirement["outcome"], lines, {"hint": requirement.get("hint")})
    name, outcome = f"requirement {requirement['name']}", requirement["outcome"]
    if outcome == "verified":
        return _Case(name)
    return _Case(name, "error" if outcome in _NOT_FINISHED else "failure", outcome, text or outcome)


def _metric(metric: Mapping[str, Any]) -> _Case:
    """One of the policy's metrics and its limits."""
    name, outcome = f"metric {metric['metric']}", str(metric["outcome"])
    if outcome in _GOOD:
        return _Case(name)
    keys = ("value", "runs", "at_least", "at_most", "baseline", "tolerance")
    limits = [f"{key} {metric[key]}".replace("_", " ") for key in keys if metric.get(key) is not None]
    kind = "failure" if outcome in ("fail", "missing") else "error"
    return _Case(name, kind, outcome, f"{outcome}: {', '.join(limits)}")


def _of_call(report: Mapping[str, Any]) -> list[_Case]:
    """What was asked for beside the verdicts, and what went wrong with the call."""
    cases = []
    compared, check = report["compare"], report["check_runnable"]
    if compared:
        values = [f"{name}: {compared[name]['value']}" for name in ("current", "best") if compared[name]]
        text = "\n".join([compared["outcome"], *values, *compared["notes"]])
        name = f"compared with the best task by {compared['metric'] or 'a metric'}"
        if rows := compared.get("metrics"):  # each of them has its own test case
            name = "metrics compared with their baselines"
            failed_first = sorted(rows, key=lambda row: row["outcome"] in _GOOD)
            text = "\n".join([*(f"{row['metric']}: {row['outcome']}" for row in failed_first), *compared["notes"]])
        cases.append(_by_status(name, compared, text))
    if check:
        text = "\n".join([check["outcome"], *filter(None, [check["sentence"]]), *check["log_tail"]])
        cases.append(_by_status("it runs on a ClearML agent", check, text))
    is_undecided = any(commit["outcome"] in _NOT_FINISHED for commit in report["commits"])
    for error in () if is_undecided and not cases else report["errors"]:
        cases.append(_Case(f"problem {error['code']}", "error", error["code"], error["message"]))
    return cases


def _by_status(name: str, document: Mapping[str, Any], text: str) -> _Case:
    status = document["exit_code"]
    return _Case(name) if status == 0 else _Case(name, "failure" if status == 1 else "error", document["outcome"], text)


def _nothing(report: Mapping[str, Any]) -> _Case:
    """There was no commit to judge, or nobody could even look."""
    text = "\n".join(report["notes"])
    if report["outcome"] == "verified":
        return _Case("nothing to judge", "skipped", "", text)
    return _Case("verdict", "error", report["outcome"], text or report["outcome"])


def _shown(task: Mapping[str, Any]) -> str:
    where = f" in {task['project']}" if task["project"] else ""
    return f"{task['name'] or task['id']}{where}" + (f" ({task['url']})" if task["url"] else "")


def _lines(outcome: str, lines: Iterable[str], report: Mapping[str, Any]) -> str:
    """The text of a failure; its first line is what one sees of it."""
    hint = [f"Next: {report['hint']}"] if report["hint"] else []
    return "\n".join([*(sanitize(line) for line in lines), *hint]) or outcome


def _suite(name: str, cases: Sequence[_Case], apart: bool) -> str:
    """`apart` where another suite has test cases of the same names: GitLab knows a test by its class and name."""
    group = f"{_NAME}.{name[:12]}" if apart else _NAME
    shown = "".join(_case(case, group) for case in cases)
    return f'<testsuite name={_attribute(name)} {_counts(cases)} time="0">\n{shown}</testsuite>\n'


_COUNTED = {"failures": "failure", "errors": "error", "skipped": "skipped"}


def _counts(cases: Sequence[_Case], names: Iterable[str] = tuple(_COUNTED)) -> str:
    counts = [f'{name}="{sum(case.result == _COUNTED[name] for case in cases)}"' for name in names]
    return " ".join([f'tests="{len(cases)}"', *counts])


def _case(case: _Case, group: str) -> str:
    start = f'<testcase classname={_attribute(group)} name={_attribute(case.name)} time="0"'
    if not case.result:
        return f"{start}/>\n"
    message, kind = _attribute(case.text.partition("\n")[0] or case.kind), _attribute(case.kind)
    if case.result == "skipped":
        return f"{start}><skipped message={message}/></testcase>\n"
    text = escape(sanitize_lines(case.text[:_MOST_TEXT]))
    return f"{start}><{case.result} type={kind} message={message}>{text}</{case.result}></testcase>\n"


def _attribute(text: str) -> str:
    return quoteattr(sanitize(text, 500))
