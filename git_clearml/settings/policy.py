"""The policy's values: which tasks count, which refs are protected, what must be runnable. Frozen, and free of I/O."""

from __future__ import annotations

from enum import Enum
from typing import NamedTuple


class Equivalence(str, Enum):
    """In which sense a task's commit is the judged one."""

    COMMIT = "commit"
    TREE = "tree"
    PATHS = "paths"
    MERGE = "merge"
    RESULTS = "results"


class Best(NamedTuple):
    """Policy of the best model (design 8b).

    `project` is where the best task is looked up, "" for where the tasks are: a flag in CI may narrow which tasks
    count, but not what they are measured by.
    """

    metric: str = ""
    direction: str = "max"
    value: str = "last"
    tolerance: str = "0"
    tag: str = "Best Performance"
    on_worse: str = "fail"
    zero_is_a_value: bool = False
    project: str = ""


class Runnable(NamedTuple):
    """Policy of the remote-runnable check (design 8a). Timeouts in seconds."""

    required: bool = False
    queue: str = "default"
    project: str = "Github CICD"
    task_name: str = "cicd_test_task"
    entry_point: str = "main.py"
    folder: str = "."
    args: tuple[str, ...] = ()
    requirements: str = "requirements.txt"
    docker: str = ""
    execution_timeout: float = 600
    queue_timeout: float = 1800
    archive: str = "success"


class MetricRule(NamedTuple):
    """One `[[metrics]]` of the policy: what a metric, TITLE/SERIES, must be (design 14).

    `requirement` is the name of the `[[require]]` whose tasks are measured, "" for the first one's.
    """

    metric: str
    direction: str = "max"
    value: str = "last"
    at_least: float | None = None
    at_most: float | None = None
    against: str = "best"
    tolerance: str = "0"
    of: str = "best"
    requirement: str = ""
    zero_is_a_value: bool = False
    min_runs: int = 1
    on_worse: str = "fail"


class Require(NamedTuple):
    """One `[[require]]` of the policy: a task that there must be (design 14). What is "" or () is the policy's own."""

    name: str
    project: str = ""
    task_name: str = ""
    entry_point: str = ""
    code_paths: tuple[str, ...] = ()


class Policy(NamedTuple):
    """The project's rules: which tasks count, which refs are protected (design 6). The defaults are the strict ones."""

    project: str = ""
    task_name: str = ""
    protect: tuple[str, ...] = ()
    equivalence: Equivalence = Equivalence.COMMIT
    code_paths: tuple[str, ...] = ()
    results_paths: tuple[str, ...] = ()
    merges: str = "strict"
    untracked_ok: tuple[str, ...] = ()
    ignored_code: str = "name"
    evidence: str = "auto"
    published: str = "accept"
    require_run_record: bool = False
    repositories: tuple[str, ...] = ()
    allow_no_repository: bool = False
    on_unreachable: str = "block"
    accept_trailer: bool = False
    metrics: tuple[MetricRule, ...] = ()
    require: tuple[Require, ...] = ()
    entry_point: str = ""  # of a requirement alone: no key of the policy itself (see verdict/requirements.py)
    best: Best = Best()
    runnable: Runnable = Runnable()

    def has_project(self, project: str) -> bool:
        """Is it the policy's project, or one below it? Any is where the policy names none."""
        return not self.project or f"{project}/".startswith(f"{self.project}/")

    @property
    def ranking(self) -> Best | MetricRule:
        """The metric by which a task is chosen of several that count: the best model's, else the first of `metrics`."""
        return self.metrics[0] if self.metrics and not self.best.metric else self.best

    @property
    def ruled(self) -> dict[str, Best | MetricRule]:
        """The metrics that the policy names, the best model's first, and what it says of each."""
        rules: dict[str, Best | MetricRule] = {self.best.metric: self.best} if self.best.metric else {}
        for rule in self.metrics:
            rules.setdefault(rule.metric, rule)
        return rules


class Personal(NamedTuple):
    """The settings that change no verdict, and so are each person's own. All in seconds."""

    timeout: float = 0.0  # for all network calls; 0: the command's own
    wait_timeout: float = 3600.0  # that `verify --wait` and `run --queue --wait` wait
    remember: float = 86400.0  # that the hook remembers a verified commit
