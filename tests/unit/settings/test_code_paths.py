"""Which files are code: everything but results, or what code-paths names."""

from __future__ import annotations

import pytest

from git_clearml.settings.code_paths import is_code, naming
from git_clearml.settings.policy import Policy


@pytest.mark.parametrize(
    "path", ["train.py", "README.md", "conf/a.yaml", "poetry.lock", "clearml.lock.py", "sub/clearml.lock"]
)
def test_every_tracked_file_is_code_where_nothing_is_named(path: str) -> None:
    assert is_code(path, Policy())


@pytest.mark.parametrize("path", ["clearml.lock", "dvc.lock", "data/dvc.lock", "results/table.csv"])
def test_results_are_no_code(path: str) -> None:
    assert not is_code(path, Policy(results_paths=("results/**",)))
    assert not is_code(path, Policy(results_paths=("results/**",), code_paths=("**/*",)))


@pytest.mark.parametrize(
    ("path", "code"),
    [
        ("src/a.py", True),
        ("src/deep/a.py", True),
        ("conf/a.yaml", True),
        ("train.py", False),
        ("docs/a.md", False),
        ("srcs/a.py", False),
        ("pyproject.toml", True),  # what decides which packages a run imports
        ("requirements.txt", True),
        ("sub/requirements-dev.txt", True),
        ("requirements.in", True),
        ("poetry.lock", True),
        ("uv.lock", True),
        ("environment.yml", True),
        ("setup.cfg", True),
        ("clearml.lock", False),
        ("dvc.lock", False),
        ("src/notes/a.txt", False),
        ("Pipfile.lock", False),
    ],
)
def test_code_paths(path: str, code: bool) -> None:
    rules = Policy(code_paths=("src/**", "conf/*", "!src/notes/**", "!Pipfile.lock"))
    assert is_code(path, rules) is code


def test_named_otherwise_a_lock_is_no_code() -> None:
    assert is_code("uv.lock", Policy(code_paths=("src/**",)))
    assert not is_code("uv.lock", Policy(code_paths=("src/**", "!uv.lock")))
    assert not is_code("uv.lock", Policy(code_paths=("!uv.lock",)))
    assert is_code("train.py", Policy(code_paths=("!uv.lock",)))  # only exceptions: all the rest is code


def test_which_code_paths_name_a_file() -> None:
    patterns = ("src/**", "!src/a.py", "cnof/*", "*.py")
    assert naming(patterns, "src/a.py") == {"src/**", "!src/a.py"} | naming(["*.py"], "src/a.py")
    assert naming(patterns, "conf/b.yaml") == set()
    assert naming((), "src/a.py") == set()
