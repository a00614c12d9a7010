"""The policy that `init` proposes: what the repository's own tasks show, and what is guessed says so. Pure."""

from __future__ import annotations

import json
import posixpath
import re
from collections import Counter
from collections.abc import Collection, Iterable
from typing import Any

from git_clearml.base.sanitize import HIDDEN, sanitize
from git_clearml.base.words import listed
from git_clearml.clearml.entry_point import entry_paths
from git_clearml.clearml.recent import Recent
from git_clearml.errors import BadSetting
from git_clearml.hook.yaml_edit import NotEdited
from git_clearml.settings import table as settings
from git_clearml.settings.policy import Policy

_HIGHER = re.compile(
    r"acc|auc|f1|f_?score|precision|recall|\bm?ap\b|map|iou|dice|bleu|rouge|r2|psnr|ssim|reward|hit|ndcg"
)
_LOWER = re.compile(r"loss|err|mse|mae|rmse|perplexity|\bppl\b|\bw?er\b|\bcer\b|\bfid\b|nll|distance")
_HELD_OUT = re.compile(r"val|test|eval|dev|hold")
_MOST = 60  # characters of a name in a comment


def propose(recent: Recent, files: Collection[str], branch: str, *, merges: bool) -> str:
    """The lines of a policy that these tasks meet, as far as it goes beyond the defaults.

    `files` are the paths of the commit; `branch` is the default one, "" where that is unknown; `merges`: does a CI job
    ask again, and so meet what merge buttons make?
    """
    metric, direction = _best(recent)
    text = _text(recent, files, branch, metric, direction, merges)
    try:
        _merge(settings.pyproject_table(text.encode("utf-8", "surrogatepass"), "the proposed policy"))
    except BadSetting:  # a name that the server took and a policy does not
        return _text(Recent(), files, branch, "", "", merges)
    return text


def has_policy(content: bytes) -> bool:
    """Is there a [tool.git-clearml] already? Raises BadSetting where it is not valid, NotEdited for what is no TOML."""
    if content.startswith(b"\xef\xbb\xbf"):
        raise NotEdited("it begins with a byte order mark, with which Python reads no TOML")
    try:
        document = settings.toml_document(content)
    except UnicodeDecodeError:
        raise NotEdited("it is not UTF-8") from None
    except (ValueError, RecursionError) as error:
        raise NotEdited(f"it is not valid TOML: {error}") from None
    tool = document.get("tool")
    if not isinstance(tool, dict) or "git-clearml" not in tool:
        return False
    _merge(settings.pyproject_table(content, "pyproject.toml"))
    return True


def metric_in(content: bytes) -> str:
    """The best model's metric that the policy in a pyproject.toml names, "" for none, or no valid policy."""
    try:
        return _merge(settings.pyproject_table(content, "pyproject.toml")).best.metric
    except BadSetting:
        return ""


def _merge(table: Any) -> Policy:
    values, _ = settings.merge(flags={}, environment={}, git_config=(), pyproject=table)
    return settings.policy_of(values)


def _text(recent: Recent, files: Collection[str], branch: str, metric: str, direction: str, merges: bool) -> str:
    lines = ["[tool.git-clearml]", *_where(recent)]
    if merges:
        lines += ["# A clean merge of an accepted commit and a verified one counts.", 'merges = "clean"']
    protected = _quoted(branch or "main")
    lines += ["# Without protect every branch is gated.", f"# protect = [{protected}]"]
    if metric:
        lines += ["", "[tool.git-clearml.best]", f"# Reported by {_measured(recent)}.", f"metric = {_quoted(metric)}"]
        lines += ["# A guess from its name: max or min?", f'direction = "{direction}"']
    lines += _runnable(recent, files)
    return "".join(line + "\n" for line in lines)


def _where(recent: Recent) -> list[str]:
    """Where the tasks are: the project that has all of them; where none has, their names as a comment."""
    projects = Counter(task.project for task in recent.tasks)
    count = len(recent.tasks)
    if not count:
        return []
    tasks = (
        f"all {count} tasks of the last {recent.days} days" if count > 1 else f"the task of the last {recent.days} days"
    )
    if common := _common(projects):
        lines = [f"# Where {tasks} are. Sub-projects count.", f"project = {_quoted(common)}"]
    else:
        shown = [f"{_shown(name)} ({number})" for name, number in projects.most_common()]
        lines = [f"# No project has {tasks}: {listed(shown, 2)}.", "# project = ..."]
    names = Counter(task.name for task in recent.tasks)
    if len(names) == 1:
        lines += [
            "# The name that they all bear; set, it is the only one that counts.",
            f"# task-name = {_quoted(*names)}",
        ]
    return lines


def _common(projects: Iterable[str]) -> str:
    """The longest path that all projects are or lie in, "" for none."""
    paths = [[part for part in name.split("/") if part] for name in projects]
    common: list[str] = []
    for parts in zip(*paths, strict=False):
        if len(set(parts)) > 1:
            break
        common.append(parts[0])
    return "/".join(common)


def _best(recent: Recent) -> tuple[str, str]:
    """A metric that every task we looked at has reported, and a direction by its name; "" where none says so itself."""
    measured = [task.metrics for task in recent.tasks if task.id in recent.measured]
    shared = frozenset.intersection(*measured) if measured else frozenset()
    rated = [(rank, metric) for metric in sorted(shared) if (rank := _rank(metric))]
    if not rated:
        return "", ""
    _, metric = min(rated)
    return metric, _direction(metric)


def _rank(metric: str) -> tuple[bool, ...]:
    """Less is likelier to be what models are compared by; () for a metric whose name does not tell."""
    direction = _direction(metric)
    return (not _HELD_OUT.search(metric.lower()), direction == "min") if direction else ()


def _direction(metric: str) -> str:
    name = metric.lower()
    lower, higher = bool(_LOWER.search(name)), bool(_HIGHER.search(name))
    return "" if lower == higher else "min" if lower else "max"


def _measured(recent: Recent) -> str:
    count = len(recent.measured)
    return f"each of the last {count} completed tasks" if count > 1 else "the last completed task"


def _runnable(recent: Recent, files: Collection[str]) -> list[str]:
    """How check-runnable starts it: as all these tasks were started, if that file is in the commit."""
    ran = {(task.entry_point, task.working_dir) for task in recent.tasks if task.entry_point}
    queues = {task.queue for task in recent.tasks if task.queue}
    lines = []
    if len(ran) == 1:
        ((entry_point, folder),) = ran
        path = posixpath.normpath(posixpath.join(folder or ".", entry_point))
        if path in files and entry_paths(entry_point, folder) == (path,):
            lines += ["# What these tasks ran.", f"entry-point = {_quoted(entry_point)}"]
            if (folder or ".") != ".":
                lines.append(f"folder = {_quoted(folder)}")
    if len(queues) == 1:
        lines += ["# Where they were queued.", f"queue = {_quoted(*queues)}"]
    return ["", "[tool.git-clearml.runnable]", *lines] if lines else []


def _quoted(text: str) -> str:
    """A basic string of TOML; what hides or reorders is escaped."""
    return re.sub(HIDDEN, lambda match: f"\\U{ord(match[0]):08X}", json.dumps(text, ensure_ascii=False))


def _shown(text: str) -> str:
    return sanitize(text, _MOST)
