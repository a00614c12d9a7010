"""Which files are code: what a verdict is about, and what must not change during a run. Pure."""

from __future__ import annotations

from git_clearml import globs
from git_clearml.model import Policy

RESULTS = ("clearml.lock", "dvc.lock", "**/dvc.lock")
"""Files that runs write and that are no code (design 12)."""

# What decides which packages a run imports is code, unless code-paths names it with a `!`.
_DEPENDENCIES = (
    "pyproject.toml setup.py setup.cfg requirements*.txt requirements*.in constraints*.txt Pipfile environment*.yml "
    "environment*.yaml conda*.yml *.lock .python-version"
).split()


def is_code(path: str, policy: Policy) -> bool:
    """Is this tracked file code? Without code-paths every file is, but for locks of results and results-paths."""
    named = [pattern for pattern in policy.code_paths if not pattern.startswith("!")]
    unnamed = [pattern[1:] for pattern in policy.code_paths if pattern.startswith("!")]
    if globs.matches(unnamed, path):
        return False
    if globs.matches(RESULTS, path) or globs.matches(policy.results_paths, path):
        return False
    if not named:
        return True
    return globs.matches(named, path) or globs.matches(_DEPENDENCIES, path.rpartition("/")[2])


def unmatched(policy: Policy, *trees: list[str]) -> str:
    """The first of the code-paths that names no file in any of the trees: a typing error, "" when there is none."""
    for pattern in policy.code_paths:
        bare = pattern.removeprefix("!")
        if not any(globs.matches([bare], path) for tree in trees for path in tree):
            return pattern
    return ""
