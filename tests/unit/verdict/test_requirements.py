"""Requirements x tasks x paths against a plain model: no pass without an accepted task for each requirement."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from git_clearml.model import Task
from git_clearml.settings import code_paths
from git_clearml.settings.policy import Equivalence, Policy, Require
from git_clearml.verdict import requirements, rules
from git_clearml.verdict.model import Outcome, Verdict
from tests.support.builders import CLEAN, DIRTY, HASH, facts, offline, run, task
from tests.support.builders import commit as judged

PATHS = ("a/train.py", "b/train.py", "common/util.py", "docs/readme.md")
Tree = tuple[int, ...]  # the version of each of the paths
TREES = st.tuples(*[st.integers(0, 1)] * len(PATHS))
PATTERNS = (("a/**", "common/**"), ("b/**",), ("**", "!docs/**"), ("docs/*.md",))
CODE = ({0, 2}, {1}, {0, 1, 2}, {3})  # what they name, by place
REQUIRES = st.builds(
    lambda project, name, entry, code: (project, name, entry, code),
    st.sampled_from(["", "Vision", "Vision/A", "Speech"]),
    st.sampled_from(["", "train", "evaluate"]),
    st.sampled_from(["", "a/train.py", "b/train.py"]),
    st.sampled_from([None, *range(len(PATTERNS))]),
)
TASKS = st.tuples(
    TREES,
    st.sampled_from(["Vision", "Vision/A", "Visionary", "Speech"]),
    st.sampled_from(["train", "evaluate"]),
    st.sampled_from(["a/train.py", "b/train.py"]),
    st.sampled_from(["completed", "completed", "failed", "in_progress"]),
    st.booleans(),
)


def name_of(tree: Tree) -> str:
    """A commit for each tree."""
    return "".join(map(str, tree)).ljust(40, "a")


def sense(tree: Tree, way: Policy) -> Callable[[str], Equivalence | None]:
    """What EquivalentCommits says, for commits whose trees are all here."""
    senses: dict[str, Equivalence | None] = {}
    for number in range(1 << len(PATHS)):
        other = tuple(number >> place & 1 for place in range(len(PATHS)))
        changed = [path for place, path in enumerate(PATHS) if other[place] != tree[place]]
        same = way.equivalence is Equivalence.PATHS and not any(
            code_paths.is_named(way.code_paths, path) for path in changed
        )
        senses[name_of(other)] = Equivalence.COMMIT if not changed else Equivalence.PATHS if same else None
    return senses.get


def verdict_on(tree: Tree, tasks: list[Task], policy: Policy) -> Verdict:
    ways, commit = requirements.ways(policy), judged(hash=name_of(tree))
    known = facts(files=frozenset((each.commit, path) for each in tasks for path in PATHS))
    return requirements.combined(
        policy,
        [
            rules.judge(commit, requirements.concerning(tasks, way, ways), way, known, equivalent=sense(tree, way))
            for way in ways
        ],
    )


def status_of(tree: Tree, tasks: list[Any], general: str, required: Any) -> str:
    """The plain model of one requirement: accepted, pending or lacking."""
    project, name, entry, code = required
    project = project or general
    best = "rejected"
    for other, its_project, its_name, its_entry, status, dirty in tasks:
        fits = (
            (not project or its_project == project or its_project.startswith(project + "/"))
            and name in ("", its_name)
            and entry in ("", its_entry)
            and not dirty
            and all(other[place] == tree[place] for place in (range(len(PATHS)) if code is None else CODE[code]))
        )
        if fits and status == "completed":
            return "verified"
        if fits and status == "in_progress":
            best = "pending"
    return best


@given(TREES, st.lists(TASKS, max_size=5), st.sampled_from(["", "Vision"]), st.lists(REQUIRES, min_size=1, max_size=3))
@example((0, 0, 0, 0), [((0, 0, 0, 1), "Vision", "train", "a/train.py", "completed", False)], "", [("", "", "", 0)])
def test_a_commit_passes_where_each_requirement_has_a_task(
    tree: Tree, tasks: list[Any], general: str, required: list[Any]
) -> None:
    policy = Policy(
        project=general,
        require=tuple(
            Require(f"r{number}", project, name, entry, () if code is None else PATTERNS[code])
            for number, (project, name, entry, code) in enumerate(required)
        ),
    )
    known = [
        task(id=f"{number:032x}", commit=name_of(other), project=project, name=name, entry_point=entry, status=status,
             diff=DIRTY if dirty else CLEAN)
        for number, (other, project, name, entry, status, dirty) in enumerate(tasks)
    ]  # fmt: skip
    verdict = verdict_on(tree, known, policy)
    expected = [status_of(tree, tasks, general, each) for each in required]
    assert [each.outcome.value for each in verdict.requirements] == expected
    assert verdict.outcome is Outcome.worst([Outcome(each) for each in expected])
    assert (verdict.task is None) == (verdict.outcome is not Outcome.VERIFIED)
    met = [each for each in verdict.requirements if each.outcome is Outcome.VERIFIED]
    assert all(each.verdict.task for each in met)
    assert len(verdict_on(tree, [], policy).near_misses) == 0


def test_a_policy_without_requirements_is_one_way_to_judge() -> None:
    policy = Policy(project="Vision")
    assert requirements.ways(policy) == (policy,)
    assert requirements.asked(policy) is not None
    verdict = Verdict(HASH, Outcome.VERIFIED)
    assert requirements.combined(policy, [verdict]) is verdict


def test_what_is_asked_narrows_nothing_that_a_requirement_leaves_open() -> None:
    policy = Policy(project="Vision", task_name="train", require=(Require("a"), Require("b", "Speech", "train")))
    assert (requirements.asked(policy).project, requirements.asked(policy).task_name) == ("", "train")


@pytest.mark.parametrize(("command", "met"), [(("python", "a/train.py"), True), (("python", "./b/train.py"), False)])
def test_a_run_without_a_task_is_told_where_it_belongs(command: tuple[str, ...], met: bool) -> None:
    lost = offline(run(command=command, tasks=()), id="", entry_point="", commit=HASH)
    ways = requirements.ways(
        Policy(require=(Require("a", entry_point="a/train.py"), Require("b", entry_point="b/train.py")))
    )
    assert [bool(requirements.concerning([lost], way, ways)) for way in ways] == [met, not met]


@pytest.mark.parametrize(
    ("patterns", "path", "plain", "named"),
    [
        (("a/**",), "a/x.py", True, True),
        (("a/**",), "a", True, False),
        (("a/**",), "a", False, True),  # a submodule, or a link to what lies there
        (("a/**",), "ab", False, False),
        (("a/",), "a", False, True),
        (("third_party/lib/src/*.py",), "third_party/lib", False, True),
        (("third_party/lib/src/*.py",), "third_party/other", False, False),
        (("**/net.py",), "any/where", False, True),
        (("*/src/**",), "lib", False, True),
        (("a[b/]c/**",), "ab", False, True),  # not plain to see
        (("a/**", "!a/docs/**"), "a/docs/x.md", True, False),
        (("a/**", "!a/docs"), "a/docs", False, False),
        (("a/**",), "pyproject.toml", True, False),  # the policy's own list of dependency files is not asked
    ],
)
def test_the_code_of_a_requirement(patterns: tuple[str, ...], path: str, plain: bool, named: bool) -> None:
    assert code_paths.is_named(patterns, path, is_plain=plain) is named
