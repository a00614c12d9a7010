"""Patterns mean what git's own `:(glob)` pathspecs mean; where they do not, a test here says so."""

from __future__ import annotations

import itertools
import os
import re
import subprocess
import time
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from git_clearml.base import globs
from tests.support.repos import Repo, make_repo

_NAMES = ("a", "b", "ab", "a.b", "-", "]", "[a]", "a-b", "B", "1", "!", "^", "a b", "\\a", ".a")
PATHS = sorted(
    {"/".join(parts) for depth in (1, 2) for parts in itertools.product(_NAMES, repeat=depth)}
    | {"/".join(parts) for parts in itertools.product(("x", "ab", "c", "a"), repeat=3)}
)
# A name cannot be a file and a directory: files end in their depth.
PATHS = [f"{path}{'.py' if '/' in path else '.txt'}" for path in PATHS] + ["z/y/x/w/v", "z/[a]/b", "é", "z/é"]

atoms = st.one_of(
    st.sampled_from(
        "a b ab c x z . - ] [a] [ab] [!a] [^a] [a-c] [c-a] [a-] []a] [!]a] [[:alpha:]] [[:digit:]b] [![:alpha:]]"
        " [[:nonsense:]] [\\]] [\\a-c] [a-\\c] [A-Z] [[] * ** *** ? \\a \\* \\[ .py .txt *.py".split(" ")
    ),
    st.sampled_from(["/", "/**/", "**/", "/**", "/*/"]),
)
patterns = st.lists(atoms, min_size=1, max_size=6).map("".join)


@pytest.fixture
def index(tmp_path: Path) -> Repo:
    """A repository whose index, and nothing else, has all the paths."""
    repo = make_repo(tmp_path, {})
    blob = repo.git("hash-object", "-w", "--stdin", stdin="")
    lines = "".join(f"100644 {blob}\t{path}\0" for path in PATHS)
    subprocess.run(["git", "update-index", "-z", "--index-info"], cwd=repo.path, input=lines.encode(), check=True)
    return repo


def of_git(index: Repo, pattern: str) -> set[str]:
    done = subprocess.run(
        ["git", "ls-files", "-z", "--", f":(top,glob){pattern}"], cwd=index.path, capture_output=True, check=True
    )
    return {os.fsdecode(name) for name in done.stdout.split(b"\0") if name}


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(pattern=patterns)
def test_a_pattern_names_what_git_says_it_names(index: Repo, pattern: str) -> None:
    if pattern.startswith("/") or "//" in pattern or pattern.endswith(("/", "\\")) or "./" in f"/{pattern}/":
        return  # git tidies such a path up, or refuses it, before it matches anything
    if re.match(r"[^*?\[\\]*[^*?\[\\/]\*\*", pattern):
        return  # git takes the plain beginning off, and then `**` seems to stand at the start: `a**` names a/b/c
    literally = {path for path in PATHS if path == pattern or path.startswith(pattern + "/")}
    ours = {path for path in PATHS if globs.matches([pattern], path) and path.isascii()}
    theirs = {path for path in of_git(index, pattern) if path.isascii()}
    assert ours - literally == theirs - literally


@given(st.lists(st.text(), max_size=3), st.text(min_size=1))
def test_no_text_is_too_odd(odd: list[str], path: str) -> None:
    assert globs.matches(odd, path) in (True, False)


@pytest.mark.parametrize(
    ("pattern", "named", "not_named"),
    [
        ("*.py", ["a.py", ".py"], ["src/a.py", "a.pyc"]),
        ("**/*.py", ["a.py", "src/a.py", "src/deep/a.py"], ["a.txt"]),
        ("src/**", ["src/a.py", "src/deep/a.py"], ["src", "srcs/a.py", "lib/src/a.py"]),
        ("**", ["a.py", "src/a.py"], []),
        ("release/*", ["release/1.0"], ["release/1.0/hotfix", "release"]),
        ("src/**/test_*.py", ["src/test_a.py", "src/a/b/test_a.py"], ["src/a/tests.py"]),
        ("a?c", ["abc", "aéc"], ["ac", "a/c", "abbc"]),  # a character, where git takes a byte
        ("outputs/", ["outputs/a", "outputs/b/c"], ["outputs", "x/outputs/a"]),
        ("*/cache/", ["a/cache/b", "a/cache/b/c"], ["cache/b"]),  # git would want the pattern to stand in full
        ("./src/*.py", ["src/a.py"], ["a.py"]),
        ("/src/*.py", ["src/a.py"], ["a.py"]),
        ("src", ["src"], ["src/a.py"]),  # git would take everything below as well
        ("a[1.py", ["a[1.py"], ["a1.py"]),
        ("[]x]", ["]", "x"], ["[]x]"]),
        ("[!/]", ["a"], ["/"]),
        ("a[!b]c", ["axc"], ["abc", "a/c"]),
        ("\\*.py", ["*.py"], ["a.py"]),
    ],
)
def test_what_the_policy_of_a_project_writes(pattern: str, named: list[str], not_named: list[str]) -> None:
    assert [path for path in named + not_named if globs.matches([pattern], path)] == named


def test_one_of_several_patterns_is_enough_and_none_name_nothing() -> None:
    assert globs.matches(["a/*", "b/*"], "b/x")
    assert not globs.matches(["a/*", "b/*"], "c/x")
    assert not globs.matches([], "a")


def test_a_long_pattern_of_stars_takes_no_time() -> None:
    assert not globs.matches(["**/a" * 12 + "b"], "/".join("a" * 25))


@pytest.mark.parametrize(
    ("pattern", "path"),
    [
        ("**/a/" * 12 + "x", "a/" * 60 + "y"),
        ("**/*/" * 12 + "x", "a/" * 60 + "y"),
        ("**/*a*/" * 12 + "x", "aaa/" * 60 + "y"),
        ("**/**/a**/" * 8 + "z", "a/" * 80 + "b"),
        ("*a" * 30 + "x", "a" * 200),
        ("**/" + "*a" * 30 + "x/**", "a" * 100 + "/b"),
        ("**/*a" * 12, "a/" * 60 + "b"),
        ("**/" * 12 + "[!x]*[!x]*/" * 12 + "x", "ab/" * 60 + "y"),
    ],
)
def test_no_mismatch_takes_its_time(pattern: str, path: str) -> None:
    started = time.process_time()
    assert not globs.matches([pattern], path)
    assert time.process_time() - started < 5  # seconds; each took minutes, and more than there are


def test_neighbouring_spans_are_one_span() -> None:
    """Else each of them could take any number of the segments: exponential in their count."""
    for pattern in ("**/" * 30 + "x", "***/**/" * 15 + "x", "src/" + "**/" * 30 + "x/" + "**/" * 30 + "**"):
        assert not globs.matches([pattern], "src/" + "a/" * 40 + "y")
    assert globs.matches(["**/**/x"], "x")
    assert globs.matches(["**/**/x"], "a/b/c/x")
    assert globs.matches(["a/**/**/**"], "a/b")
    assert not globs.matches(["a/**/**/**"], "a")
