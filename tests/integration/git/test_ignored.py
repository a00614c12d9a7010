"""Code that .gitignore hides: named, refused where the policy says so, and cheap to look for."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import pytest

from git_clearml.git import ignored
from git_clearml.git.repository import Repository
from git_clearml.settings.policy import Policy
from tests.support.clearml_server import ClearMLServer
from tests.support.program import Result, inside
from tests.support.repos import Repo, make_repo
from tests.support.scripts import QUICK

NAMED = Policy()
REFUSED = Policy(ignored_code="refuse")


@pytest.fixture
def repo(tmp_path: Path) -> Repo:
    return make_repo(tmp_path / "repo", {"train.py": QUICK, ".gitignore": "*.local.py\ngen/\ndata/\nvenv*/\n*.so\n"})


def found(repo: Repo, policy: Policy = NAMED, submodules: tuple[str, ...] = ()) -> list[str]:
    return list(ignored.code(Repository(str(repo.path)), submodules, policy))


def test_nothing_ignored_is_nothing(repo: Repo) -> None:
    assert found(repo) == []


def test_ignored_code_is_named_wherever_it_lies(repo: Repo) -> None:
    code = ["config.local.py", "src/x.local.py", "gen/model.py", "gen/deep/er/run.sh", "src/_ext.so", "gen/a b/\xe4.py"]
    repo.write(dict.fromkeys([*code, "data/images.bin", "gen/notes.txt"], "x"))
    assert found(repo) == sorted(code)


def test_what_code_paths_name_is_code_too_unless_it_is_an_allowed_output(repo: Repo) -> None:
    repo.write({"gen/conf/a.yaml": "", "gen/out/b.yaml": "", "gen/c.txt": ""})
    assert found(repo, Policy(code_paths=("gen/**/*.yaml",), untracked_ok=("gen/out/**",))) == ["gen/conf/a.yaml"]


@pytest.mark.parametrize(
    "path",
    [
        "venv/lib/python3.11/site-packages/numpy/__init__.py",
        "gen/node_modules/x/y.py",
        "gen/__pycache__/z.py",
        "gen/.ipynb_checkpoints/a.ipynb",
    ],
)
def test_installed_packages_and_copies_are_left_out(repo: Repo, path: str) -> None:
    repo.write({path: ""})
    assert found(repo) == []


@pytest.mark.parametrize("mark", ["pyvenv.cfg", "conda-meta/history"])
def test_so_are_virtual_environments_under_any_name(repo: Repo, mark: str) -> None:
    repo.write({f"gen/env/{mark}": "", "gen/env/bin/tool.py": "", "gen/mine.py": ""})
    assert found(repo) == ["gen/mine.py"]


def test_an_environment_that_ignores_itself_is_one_too(repo: Repo) -> None:
    """As uv, virtualenv and Python 3.13 make them: with a .gitignore that says `*`."""
    repo.write({".env/.gitignore": "*\n", ".env/pyvenv.cfg": "", ".env/bin/activate_this.py": "", ".env/lib/x.py": ""})
    repo.write({"tools/.gitignore": "*\n", "tools/mine.py": "", "tools/deep/too.py": ""})
    assert found(repo) == ["tools/deep/too.py", "tools/mine.py"]


def test_a_repository_of_its_own_is_code_too(repo: Repo) -> None:
    make_repo(repo.path / "gen/other", {"helper.py": ""})
    assert found(repo) == ["gen/other/helper.py"]


def test_a_link_that_leads_into_a_loop_ends(repo: Repo) -> None:
    repo.write({"gen/a.py": ""})
    os.symlink("..", repo.path / "gen/up")
    assert found(repo) == ["gen/a.py"]


def test_a_link_to_code_elsewhere_is_followed(repo: Repo, tmp_path: Path) -> None:
    """Python imports through it, and what it leads to is in no commit."""
    elsewhere = Repo(tmp_path / "elsewhere")
    elsewhere.write({"__init__.py": "", "deep/more.py": "", "data.bin": "", "env/pyvenv.cfg": "", "env/x.py": ""})
    (elsewhere.path / "deep" / "round").symlink_to(elsewhere.path)
    (elsewhere.path / "back").symlink_to(repo.path)
    repo.write({".gitignore": "linked\ngen/\nvenv\ninside\n", "gen/x.txt": "", "pkg/tracked.py": ""})
    repo.commit("all")
    for place, target in {
        "linked": elsewhere.path, "gen/linked": "../../elsewhere/deep", "venv": elsewhere.path / "env", "inside": "pkg",
    }.items():  # fmt: skip
        (repo.path / place).symlink_to(target)
    assert found(repo, REFUSED) == ["gen/linked/more.py", "linked/__init__.py", "linked/deep/more.py"]


def test_compiled_code_without_its_source_is_code(repo: Repo) -> None:
    repo.write({".gitignore": "*.pyc\ngen/\n", "beside.py": ""})
    repo.commit("all")
    compiled = ["helper.pyc", "gen/other.pyc", "beside.pyc", "gen/__pycache__/a.pyc", "pkg/__pycache__/b.pyc"]
    repo.write(dict.fromkeys(compiled, "x"))
    assert found(repo) == ["gen/other.pyc", "helper.pyc"]


def test_the_budget_is_for_entries_and_what_is_left_out_is_said(repo: Repo, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ignored, "_ENTRIES", 50)
    repo.write({f"data/{number}": "" for number in range(100)} | {"gen/near.py": "", "a.local.py": ""})
    assert found(repo) == ["a.local.py", ignored.INCOMPLETE]
    assert found(repo, REFUSED) == ["a.local.py", "gen/near.py"]


def test_what_git_cannot_list_is_incomplete(repo: Repo) -> None:
    repo.write({".git/index": "no index"})
    assert found(repo) == [ignored.INCOMPLETE]


# --- what `run` and `verify` make of it


def run(repo: Repo, *flags: str) -> Result:
    return inside("run", *flags, "--", sys.executable, "train.py", cwd=repo.path)


def test_run_names_it_and_verify_takes_it(repo: Repo) -> None:
    repo.write({"config.local.py": ""})
    done = run(repo)
    assert done.status == 0
    assert "config.local.py" in done.err
    assert inside("verify", cwd=repo.path).status == 0


def test_refuse_refuses_before_the_run_and_after(repo: Repo) -> None:
    repo.write({"config.local.py": ""})
    assert run(repo).status == 0
    repo.policy('ignored-code = "refuse"')
    done = run(repo)
    assert (done.status, "config.local.py (ignored code)" in done.err) == (1, True)
    assert run(repo, "--allow-dirty").status == 0
    answer = inside("verify", "--format", "json", cwd=repo.path)
    assert (answer.status, answer.codes) == (1, ["ignored-code"])
    (repo.path / "config.local.py").unlink()
    assert run(repo).status == 0
    assert inside("verify", cwd=repo.path).status == 0


def test_a_run_under_another_policy_is_judged_by_what_it_found(repo: Repo) -> None:
    repo.write({"config.local.py": ""})
    assert run(repo).status == 0
    repo.policy('ignored-code = "refuse"', commit=False)
    answer = inside("verify", "--format", "json", "HEAD", cwd=repo.path)
    assert answer.status == 0  # its own policy
    path = next((repo.path / ".git/clearml/runs").glob("*/*.json"))
    assert '"config.local.py"' in path.read_text()


def test_an_output_in_the_way_is_told_of_gitignore_and_untracked_ok(repo: Repo) -> None:
    repo.write({"model.pt": ""})
    refused = run(repo)
    assert refused.status == 1
    assert ".gitignore" in refused.err
    assert "untracked-ok" in refused.err
    repo.write({"helper.py": ""})
    (repo.path / "model.pt").unlink()
    assert "untracked-ok" not in run(repo).err


def test_a_dirty_run_with_a_server_looks_dirty_there_too(repo: Repo) -> None:
    repo.policy('ignored-code = "refuse"')
    repo.write({"config.local.py": ""})
    with ClearMLServer() as server:
        shown = inside("run", "--allow-dirty", "--dry-run", "true", cwd=repo.path, env=dict(server.env))
    assert "CLEARML_VCS_DIFF=" in shown.out
