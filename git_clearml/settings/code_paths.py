"""Which files are code: what a verdict is about, what must not change during a run nor in a results commit. Pure."""

from __future__ import annotations

from collections.abc import Iterable

from git_clearml.base import globs
from git_clearml.base.words import listed
from git_clearml.settings.policy import Policy

NEVER_OK = ("*.py", "*.pyx", "*.ipynb", "*.sh", "*.so", "*.pyd", "*.dll", "*.dylib")
"""Untracked files of these kinds are code, whatever `untracked-ok` says."""

LOCK = "clearml.lock"
"""Where a results commit writes results down."""

RESULTS = (LOCK, "dvc.lock", "**/dvc.lock")
"""Files that runs write and that are no code (design 12)."""

# What decides which packages a run imports is code, unless code-paths names it with a `!`.
_DEPENDENCIES = (
    "pyproject.toml setup.py setup.cfg requirements*.txt requirements*.in constraints*.txt Pipfile environment*.yml "
    "environment*.yaml conda*.yml *.lock .python-version"
).split()

# What says how git treats other files.
_OF_GIT = (".gitattributes", ".gitmodules", ".gitignore")

# What Python imports where there is no source. Untracked they are no code: Python leaves them behind in __pycache__.
_COMPILED = ("*.pyc", "*.pyo")
_PLAIN, _NONE = "100644", "000000"  # modes: a file that is neither executable nor a link; no such file


def is_code(path: str, policy: Policy, *, is_plain: bool = True) -> bool:
    """Is this tracked file code? Without code-paths every file is, but for locks of results and results-paths.

    A link (no plain file) is code also where code-paths reach below it: what is there is by its leave.
    """
    named, excepted = _split(policy.code_paths)
    if globs.matches((*excepted, *RESULTS), path) or _named_by_results_paths(path, policy):
        return False
    return not named or _names(named, path, is_plain) or globs.matches(_DEPENDENCIES, path.rpartition("/")[2])


def is_named(patterns: Iterable[str], path: str, *, is_plain: bool = True) -> bool:
    """Do the code-paths of a requirement name this file? They are all of its code, without what every policy has.

    What is no plain file (a submodule, a link) is code also where they reach below it.
    """
    named, excepted = _split(patterns)
    return not globs.matches(excepted, path) and _names(named, path, is_plain)


def _split(patterns: Iterable[str]) -> tuple[list[str], list[str]]:
    """Those of the code-paths that name files, and those with a `!`, which take some out again, without it."""
    patterns = list(patterns)
    named = [pattern for pattern in patterns if not pattern.startswith("!")]
    return named, [pattern[1:] for pattern in patterns if pattern.startswith("!")]


def _names(patterns: Iterable[str], path: str, is_plain: bool) -> bool:
    """Does any of these patterns name this path, or, of what is no plain file, something below it?"""
    return any(globs.matches([each], path) or (not is_plain and globs.reaches_below(each, path)) for each in patterns)


def _named_by_results_paths(path: str, policy: Policy) -> bool:
    """Do the policy's results-paths name this file? Never what is code by its name; a pattern for everything is none.

    Upper and lower case are the same here: on some file systems TRAIN.PY is train.py.
    """
    name = path.rpartition("/")[2].lower()
    if globs.matches((*NEVER_OK, *_COMPILED, *_OF_GIT), name):
        return False
    if globs.matches(_DEPENDENCIES, name) and not globs.matches(RESULTS, path):
        return False
    return globs.matches([pattern for pattern in policy.results_paths if pattern.strip("*/.")], path)


def not_results(changes: Iterable[tuple[str, str, str]], policies: Iterable[Policy]) -> str:
    """Why a commit with these changes (path, mode before, mode after) is no results commit; "" when it is one.

    It writes clearml.lock, and beside that it touches only plain files that the results-paths of every policy name.
    """
    changed = list(changes)  # a damaged tree may have a name twice
    if not any(path == LOCK and after != _NONE for path, _, after in changed):
        return f"it does not write {LOCK}"
    odd = [path for path, *modes in changed if not set(modes) <= {_PLAIN, _NONE}]
    if odd:
        return f"{listed(odd)} is or was no plain file"
    rules = list(policies)
    paths = [path for path, _, _ in changed if path != LOCK]
    others = [path for path in paths if not all(_named_by_results_paths(path, policy) for policy in rules)]
    return f"it also changes {listed(others)}, which results-paths do not name" if others else ""


def naming(patterns: Iterable[str], path: str, *, is_plain: bool = True) -> set[str]:
    """Those of these code-paths that name this file, or what lies below it, with or without a `!` before them."""
    return {pattern for pattern in patterns if _names([pattern.removeprefix("!")], path, is_plain)}


def is_untracked_code(path: str, policy: Policy) -> bool:
    """Is this file that git does not track code, by its name or by the policy's code-paths?"""
    named, _ = _split(policy.code_paths)
    return globs.matches(NEVER_OK, path.rpartition("/")[2]) or globs.matches(named, path)


def untracked_ok(path: str, policy: Policy) -> bool:
    """May a run find this untracked file? Never code, and only where the policy says so."""
    name = path.rpartition("/")[2]
    return globs.matches(policy.untracked_ok, path) and not globs.matches(NEVER_OK, name)
