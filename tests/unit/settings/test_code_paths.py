"""Which files are code: everything but results, or what code-paths names."""

from __future__ import annotations

import pytest

from git_clearml.settings.code_paths import is_code, naming, not_results
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


CODE_BY_NAME = (
    "train.py conf.yaml sub/clearml.lock sub/dvc.lock metrics/__init__.py metrics/A.PY metrics/plot.ipynb "
    "metrics/a.pyc metrics/A.PYC metrics/__pycache__/a.pyc metrics/a.pyo metrics/a.pyd metrics/a.dll metrics/a.dylib "
    "metrics/.gitattributes metrics/requirements.txt metrics/uv.lock pyproject.toml"
).split()
ADDED = ("000000", "100644")


def test_what_is_no_result_of_a_results_commit() -> None:
    rules, lock = Policy(results_paths=("metrics/**", "dvc.lock")), ("clearml.lock", *ADDED)
    assert not_results([lock, ("metrics/a.json", *ADDED), ("dvc.lock", "100644", "100644")], [rules]) == ""
    for path in CODE_BY_NAME:
        expected = f"it also changes {path}, which results-paths do not name"
        assert not_results([lock, (path, *ADDED)], [rules]) == expected
    assert not_results([lock, ("metrics/a", *ADDED)], [rules, Policy()]), "every policy has to name it"
    for modes in (("100755", "100644"), ("000000", "120000"), ("100644", "160000")):
        assert not_results([lock, ("metrics/a", *modes)], [rules]) == "metrics/a is or was no plain file"
    for change in (("metrics/a", *ADDED), ("clearml.lock", "100644", "000000")):
        assert not_results([change], [rules]) == "it does not write clearml.lock"


def test_no_pattern_makes_results_of_code() -> None:
    for pattern in ("**", "*", "**/*", "*.py", "train.*", "t*", "[t]rain.py", "./train.py"):
        changes = [("clearml.lock", *ADDED), ("train.py", "100644", "100644")]
        assert not_results(changes, [Policy(results_paths=(pattern,))]), pattern


def test_what_results_paths_leave_to_the_code_of_a_run() -> None:
    """A run may write results; code that changes during it stays code."""
    rules = Policy(results_paths=("results/**", "train.py", "**"))
    for path in ("train.py", "results/plot.py", "results/uv.lock", "conf/a.yaml"):
        assert is_code(path, rules), path
    assert not is_code("results/table.csv", rules)
    assert not is_code("results/dvc.lock", rules)
