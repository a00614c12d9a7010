"""GitPython is loaded as far as running git needs it, and whoever imports it himself gets all of it."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

from tests.support.program import ROOT

LOAD = """
import json, os, sys
from git_clearml.git import gitpython
loaded = gitpython.load()
modules = sorted(name for name in sys.modules if name.partition(".")[0] in ("git", "gitdb"))
version = loaded.git(os.getcwd()).execute(["git", "--version"])
left = "GIT_PYTHON_REFRESH" in os.environ
import git
print(json.dumps([modules, version, left, git.__name__, hasattr(git, "Repo")]))
"""


def load(tmp_path: Path, *paths: str) -> list[Any]:
    """What was imported, what git said, whether our variable is left, and what `import git` gives then."""
    path = os.pathsep.join([*paths, str(ROOT)])
    env = {"PATH": os.environ["PATH"], "PYTHONPATH": path, "GIT_TRACE2_EVENT": str(tmp_path / "trace")}
    done = subprocess.run([sys.executable, "-c", LOAD], env=env, cwd=tmp_path, stdout=subprocess.PIPE, check=True)
    result = json.loads(done.stdout)
    assert isinstance(result, list)
    return result


def test_only_what_runs_git_is_loaded_and_nothing_is_left_behind(tmp_path: Path) -> None:
    modules, version, left, name, whole = load(tmp_path)
    assert (modules, left, name, whole) == ([], False, "git", True)
    assert version.startswith("git version")


def test_no_git_is_started_for_it(tmp_path: Path) -> None:
    env = {"PATH": os.environ["PATH"], "PYTHONPATH": str(ROOT), "GIT_TRACE2_EVENT": str(tmp_path / "trace")}
    code = "from git_clearml.git import gitpython; gitpython.load()"
    subprocess.run([sys.executable, "-c", code], env=env, check=True)
    assert not (tmp_path / "trace").exists()


def test_a_gitpython_that_cannot_be_loaded_in_parts_is_loaded_whole(tmp_path: Path) -> None:
    package = tmp_path / "new" / "git"
    package.mkdir(parents=True)
    (package / "__init__.py").write_text("import os\nassert os.environ['GIT_PYTHON_REFRESH'] == 'quiet'\nneeded = 1\n")
    (package / "exc.py").write_text("class GitCommandNotFound(Exception): ...\n")
    (package / "cmd.py").write_text(
        "from git import needed\n"
        "class Git:\n"
        "    def __init__(self, directory): ...\n"
        "    def execute(self, words): return 'git version 0'\n"
    )
    modules, version, left, _, whole = load(tmp_path, str(tmp_path / "new"))
    assert (modules, version, left, whole) == (["git", "git.cmd", "git.exc"], "git version 0", False, False)
