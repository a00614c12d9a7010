"""Entry points in the layouts that Python projects have, as the SDK records them: does the commit have them?"""

from __future__ import annotations

import shlex
import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings

from git_clearml.git.repository import Repository
from git_clearml.model import Task
from git_clearml.run.store import RunStore
from git_clearml.verdict.entry_points import EntryPoints
from tests.integration.verdict.test_processes import MOST, gits
from tests.support.program import Gate
from tests.support.recorded import put, record
from tests.support.repos import Repo, make_repo
from tests.unit.clearml.test_entry_point import odd

__all__ = ["gits"]  # a fixture

MOD = {"mypkg/train.py": "", "mypkg/sub/__main__.py": ""}
SETUPTOOLS = '[tool.setuptools.packages.find]\nwhere = ["python"]\n'
SCRIPTS = '[project.scripts]\nmytrain = "mypkg.train:main"\n'
POETRY = '[tool.poetry.scripts]\nmytrain = {reference = "mypkg.train:main", type = "console"}\n'
CFG = "[options]\npackage_dir =\n    = lib\n[options.entry_points]\nconsole_scripts =\n    mytrain = mypkg.train:main\n"


def below(folder: str) -> dict[str, str]:
    return {f"{folder}/{path}": content for path, content in MOD.items()}


HAS: list[tuple[dict[str, str], str, str]] = [
    (below("src"), "-m mypkg.train", "."),
    (below("src"), "-m mypkg.train  --lr 3", "notebooks"),
    (below("src"), "-m mypkg.sub.__main__", "."),
    (MOD, "-m mypkg.train", "scripts"),
    ({**below("python"), "pyproject.toml": SETUPTOOLS, "old/mypkg/train.py": ""}, "-m mypkg.train", "."),
    ({**below("lib"), "setup.cfg": CFG, "old/mypkg/train.py": ""}, "-m mypkg.train", "."),
    ({**below("services/vision/src"), "services/vision/pyproject.toml": SCRIPTS}, "-m mypkg.train", "services/vision"),
    (below("odd/place"), "-m mypkg.train", "."),
    ({**below("src"), "pyproject.toml": SCRIPTS}, ".venv/bin/mytrain", "."),
    ({**below("src"), "pyproject.toml": SCRIPTS}, "../.venv/bin/mytrain", "conf"),
    ({**below("src"), "pyproject.toml": POETRY}, "env/Scripts/mytrain.exe", "."),
    ({**below("lib"), "setup.cfg": CFG}, ".venv/bin/mytrain", "."),
    ({**below("odd"), "setup.py": "setup(entry_points={'x': ['mytrain=mypkg.train:main']})"}, ".venv/bin/mytrain", "."),
    ({"tools/go.sh": "", "setup.cfg": "[options]\nscripts = tools/go.sh\n"}, ".venv/bin/go.sh", "."),
    (MOD, "mypkg/sub", "."),
    (MOD, "sub", "mypkg"),
    ({"__main__.py": ""}, ".", "."),
    ({"my folder/train it.py": ""}, "my folder/train it.py", "."),
    ({"my folder/train.py": ""}, "-m torch.distributed.run --nproc_per_node 2 my folder/train.py", "."),
    ({"my folder/sub/__main__.py": ""}, "-m torch.distributed.run --nproc_per_node 2 my folder/sub", "."),
    (below("src"), "-m accelerate.commands.launch -m mypkg.train", "."),
]


def layouts(gate: Gate, cases: Sequence[tuple[dict[str, str], str, str]]) -> list[str]:
    """A commit and a task for each of these layouts; the hashes. No commit has another one's files."""
    base, commits = gate.repo.head, []
    for number, (files, entry_point, working_dir) in enumerate(cases):
        gate.repo.git("checkout", "--quiet", "--force", "--detach", base)
        commits.append(gate.repo.commit("layout", {"case": str(number), **files}))
        gate.task(entry_point=entry_point, working_dir=working_dir)
    return commits


def test_the_commits_have_it(gate: Gate, gits: list[str]) -> None:
    commits = layouts(gate, HAS)
    gits.clear()
    result = gate.verify(*commits)
    outcomes = [commit["outcome"] for commit in result.json["commits"]]
    assert [case for case, outcome in zip(HAS, outcomes, strict=True) if outcome != "verified"] == []
    assert len(gits) < MOST, "\n".join(gits)


LACKS: list[tuple[dict[str, str], str, str, str]] = [
    ({}, "-m mypkg.train", ".", "'mypkg/train.py', which that commit does not have"),
    ({**below("a"), **below("b")}, "-m mypkg.train", ".", "may be any of 2 files of that commit: a/mypkg/train.py, b/"),
    ({"src/notmypkg/train.py": ""}, "-m mypkg.train", ".", "which that commit does not have"),
    (below("src"), "-m mypkg.other", ".", "which that commit does not have"),
    ({**below("src"), "pyproject.toml": SCRIPTS}, ".venv/bin/other", ".", "an environment with packages"),
    ({**below("src"), "pyproject.toml": SCRIPTS}, "../venv/bin/mytrain", ".", "lies outside the repository"),
    ({**below("src"), "pyproject.toml": SCRIPTS}, "bin/mytrain", ".", "which that commit does not have"),
    ({**below("src"), "pyproject.toml": SCRIPTS}, "mytrain", ".", "which that commit does not have"),
    (
        {"tools/x": "", **below("src"), "pyproject.toml": SCRIPTS},
        "tools/bin/mytrain",
        ".",
        "which that commit does not",
    ),
    ({"pyproject.toml": '[project.scripts]\nmytrain = "mypkg.train:main"\n'}, ".venv/bin/mytrain", ".", "environment"),
    ({}, ".venv/lib/python3.11/site-packages/ipykernel_launcher.py", ".", "an environment with packages"),
    ({"pyproject.toml": '[tool.setuptools.packages.find]\nwhere = ["../../up"]\n'}, "-m a.b", ".", "does not have"),
    ({"pkg/sub.py": ""}, "pkg/sub", ".", "which that commit does not have"),
    ({}, "/train.py", ".", "lies outside the repository"),
    (below("src"), "-m mypkg.train", "/home/me/other", "lies outside the repository"),
    (MOD, "-m mypkg.train", "..", "lies outside the repository"),
    ({}, "../../train.py", "src", "lies outside the repository"),
    ({"folder/train.py": ""}, "-m torch.distributed.run my other.py", ".", "which that commit does not have"),
]


def test_the_commits_lack_it(gate: Gate, gits: list[str]) -> None:
    commits = layouts(gate, [case[:3] for case in LACKS])
    gits.clear()
    result = gate.verify(*commits)
    for commit, (*case, message) in zip(result.json["commits"], LACKS, strict=True):
        assert commit["outcome"] == "rejected", case
        ((reason,),) = ([*miss["reasons"]] for miss in commit["near_misses"])
        assert reason["code"] == "entry-point-missing", case
        assert message in reason["message"], case
    assert len(gits) < MOST, "\n".join(gits)


@pytest.mark.parametrize(
    ("files", "entry_point", "working_dir", "command"),
    [
        (below("src"), "-m mypkg.train  --lr 3 'a b'", ".", "python -m mypkg.train --lr 3 'a b'"),
        ({}, "train.py --lr 0.1", ".", "python train.py --lr 0.1"),
        ({}, "train.py '$(reboot)' ; x", ".", "python train.py '$(reboot)' ';' x"),
        ({"my folder/train it.py": ""}, "train it.py --lr 3", "my folder", "python 'my folder/train it.py' --lr 3"),
        ({"pkg/__main__.py": ""}, "pkg --lr 3", ".", "python pkg/__main__.py --lr 3"),
        ({}, "train.py --hub_token hf_abcdefgh", ".", "python train.py"),
        ({}, "train.py --url https://me:word@host/x", ".", "python train.py"),
        ({}, f"train.py {'x' * 400}", ".", "python train.py"),
        ({}, "train.py 'a\nb'", ".", "python train.py"),
        (MOD, "-m mypkg.sub.__main__", ".", "python -m mypkg.sub"),
        (below("services"), "-m mypkg.train", "services", "python services/mypkg/train.py"),
        ({"my folder/train it.py": ""}, "my folder/train it.py", ".", "python 'my folder/train it.py'"),
    ],
)
def test_what_to_run_next_is_what_the_failed_task_ran(
    gate: Gate, files: dict[str, str], entry_point: str, working_dir: str, command: str
) -> None:
    gate.repo.commit("layout", {"here": "", **files})
    gate.task(entry_point=entry_point, working_dir=working_dir, status="failed")
    assert gate.verify().json["hint"] == f"git clearml run -- {command}"
    remark = "a secret is among them" in gate.call("verify").out
    assert remark == ("hub_token" in entry_point or "://" in entry_point)


RAN = [
    ("python3.11 -u train.py --lr 3", "train.py", ".", "python -u train.py --lr 3", "python train.py --lr 3"),
    ("torchrun --nproc_per_node 2 train.py --lr 3", "-m torch.distributed.run train.py", ".",
     "torchrun --nproc_per_node 2 train.py --lr 3", "python train.py --lr 3"),
    ("python train.py --fast", "train.py", "sub", "python sub/train.py --fast", "python sub/train.py --fast"),
    ("python -m pkg.fit --lr 3", "-m pkg.fit --lr 3", ".", "python -m pkg.fit --lr 3", "python -m pkg.fit --lr 3"),
    ("python train.py --api-key abcdefgh1", "train.py", ".", "python train.py", "python train.py"),
    ("jupyter-execute n.ipynb", "../lib/python3/site-packages/ipykernel_launcher.py", ".",
     "jupyter-execute n.ipynb", "python train.py"),
    ("sh -c 'reboot; train.py'", "train.py", ".", "python train.py", "python train.py"),
    ("python ../x.py /etc/x '' . 'a\nb' \udcff", "../x.py", ".", "python train.py", "python train.py"),
]  # fmt: skip


@pytest.mark.parametrize(("words", "entry_point", "working_dir", "here", "elsewhere"), RAN)
def test_what_a_run_record_says_was_run(
    gate: Gate, words: str, entry_point: str, working_dir: str, here: str, elsewhere: str
) -> None:
    """Whole commands come from this clone's own records; of what lies on a server its script and arguments."""
    gate.repo.commit("layout", {"sub/train.py": "", "pkg/fit.py": "", "n.ipynb": "{}"})
    task = gate.task(entry_point=entry_point, working_dir=working_dir, status="failed")
    made = record(gate, task, command=tuple(shlex.split(words)), exit_status=1)
    put(gate, task, made)
    assert gate.verify().json["hint"] == f"git clearml run -- {elsewhere}"
    RunStore(str(gate.repo.path / ".git")).write(made)
    assert gate.verify().json["hint"] == f"git clearml run -- {here}"


def test_what_was_run_here_last_where_nothing_else_tells(gate: Gate) -> None:
    gate.repo.git("mv", "train.py", "fit.py")
    gate.repo.commit("renamed", {"fit.py": "1"})
    assert gate.verify().json["hint"] == "git clearml run -- python <your training script>"
    RunStore(str(gate.repo.path / ".git")).write(record(gate, "f" * 32, command=("python", "fit.py", "--lr", "3")))
    outside = record(gate, "e" * 32, command=("python", "../fit.py", "/fit.py", "..", ""))
    RunStore(str(gate.repo.path / ".git")).write(outside._replace(id="1" * 32))
    gate.repo.commit("next", {"fit.py": "2"})
    assert gate.verify().json["hint"] == "git clearml run -- python fit.py --lr 3"


@pytest.mark.parametrize(
    ("entry_point", "working_dir", "command"),
    [
        ("train_it.py --lr 3", "libs/lib", "python libs/lib/train_it.py --lr 3"),
        ("libs/lib/train_it.py", ".", "python libs/lib/train_it.py"),
        (".venv/bin/fit", ".", "fit"),
        ("-m made.fit --lr 3", ".", "python -m made.fit --lr 3"),
    ],
)
def test_what_to_run_next_lies_elsewhere_in_the_commit(
    gate: Gate, gits: list[str], tmp_path: Path, entry_point: str, working_dir: str, command: str
) -> None:
    """In a submodule, or where the build configuration says; not the usual script beside it."""
    library = make_repo(tmp_path / "library", {"train_it.py": "1"}, remote="")
    gate.repo.git("-c", "protocol.file.allow=always", "submodule", "--quiet", "add", str(library.path), "libs/lib")
    project = '[project]\nscripts = {fit = "made.fit:main"}\n[tool.setuptools]\npackage-dir = {"" = "python"}\n'
    gate.repo.commit("all", {"pyproject.toml": project, "python/made/__init__.py": "", "python/made/fit.py": ""})
    gate.task(entry_point=entry_point, working_dir=working_dir, status="failed")
    gits.clear()
    assert gate.verify().json["hint"] == f"git clearml run -- {command}"
    assert len(gits) < MOST, "\n".join(gits)


def test_a_build_configuration_that_nobody_can_read_says_nothing(gate: Gate) -> None:
    gate.repo.commit("odd", {"setup.cfg": "[options\n\xff", "setup.py": "def (", **below("lib")})
    gate.task(entry_point="-m mypkg.train")
    gate.accepts()  # the one place


def test_many_tasks_of_many_layouts_are_looked_up_at_once(gate: Gate, gits: list[str]) -> None:
    gate.repo.commit("layout", {**below("odd/place"), "pyproject.toml": SCRIPTS})
    for number in range(40):
        gate.task(entry_point=f"-m mypkg.m{number}")
        gate.task(entry_point=f".venv{number}/bin/x")
    gate.task(entry_point=".venv/bin/mytrain", completed="2001-01-01T00:00:00.000000+00:00")
    gits.clear()
    assert gate.accepts(requests=2).commit["evidence"] == {"considered": 81, "accepted": 1}
    assert len(gits) < MOST, "\n".join(gits)


OUTSIDE = [
    "../venv/lib/python3.11/site-packages/ipykernel_launcher.py",
    ".venv/lib/python3.11/site-packages/ipykernel_launcher.py",
    "/opt/venv/bin/mytrain",
    ".venv/bin/mytrain",
    "../../somewhere.py",
]


@pytest.mark.parametrize("entry_point", OUTSIDE)
def test_a_run_record_vouches_for_what_lies_outside(gate: Gate, entry_point: str) -> None:
    task = gate.task(entry_point=entry_point)
    gate.refuses("entry-point-missing")
    put(gate, task, record(gate, task))
    assert "its run record vouches for the code" in gate.accepts().commit["notes"][0]


@pytest.mark.parametrize(
    ("changes", "codes"),
    [
        ({"untracked": ("new.py",)}, {"entry-point-missing", "untracked-files"}),
        ({"dirty": ("train.py",)}, {"entry-point-missing", "dirty"}),
        ({"edited": ("train.py",)}, {"entry-point-missing", "dirty"}),
        ({"tasks": (("f" * 32, "completed"),)}, {"entry-point-missing"}),
        ({"commit": "c" * 40}, {"entry-point-missing"}),
        ({"command": ("python", "../../somewhere.py")}, {"entry-point-missing"}),
    ],
)
def test_no_other_record_does(gate: Gate, changes: dict[str, Any], codes: set[str]) -> None:
    """One of another task or commit, of a tree that was not clean, and of a script that is no part of the tree."""
    task = gate.task(entry_point="../../somewhere.py")
    put(gate, task, record(gate, task, **changes))
    assert codes <= set(gate.refuses(*gate.verify().codes).codes)


def test_a_script_in_the_tree_that_git_does_not_track_is_vouched_for_by_nobody(gate: Gate) -> None:
    task = gate.task(entry_point="ignored/train.py")
    put(gate, task, record(gate, task))
    gate.refuses("entry-point-missing")


@pytest.fixture
def with_submodules(gate: Gate, tmp_path: Path) -> Gate:
    """A submodule `lib/models` with a script, which has a submodule itself."""
    inner = make_repo(tmp_path / "inner", {"deep.py": "1"}, remote="")
    library = make_repo(tmp_path / "library", {"fit.py": "1", "pkg/fit.py": "1"}, remote="")
    allow = ("-c", "protocol.file.allow=always", "submodule", "--quiet")
    library.git(*allow, "add", str(inner.path), "inner")
    library.commit("inner")
    gate.repo.git(*allow, "add", str(library.path), "lib/models")
    gate.repo.git(*allow, "update", "--init", "--recursive")
    gate.repo.commit("submodule")
    return gate


def test_a_script_of_a_submodule(with_submodules: Gate, gits: list[str], tmp_path: Path) -> None:
    gate = with_submodules
    for entry_point, working_dir in (
        ("lib/models/fit.py", "."),
        ("fit.py", "lib/models"),
        ("models/pkg/fit.py", "lib"),
        ("-m models.pkg.fit", "lib"),
        ("lib/models/inner/deep.py", "."),
    ):
        gate.task(entry_point=entry_point, working_dir=working_dir)
    gits.clear()
    assert gate.accepts().commit["evidence"] == {"considered": 5, "accepted": 5}
    assert len(gits) < MOST, "\n".join(gits)
    shutil.rmtree(gate.repo.path / "lib")  # its objects lie in the superproject's git directory
    assert gate.accepts().commit["evidence"]["accepted"] == 5
    gate.env["GIT_DIR"] = str(gate.repo.path / ".git")  # as git has it for its hooks
    assert gate.accepts().commit["evidence"]["accepted"] == 5


def test_a_script_that_the_submodule_lacks_or_nobody_has(with_submodules: Gate, tmp_path: Path) -> None:
    gate = with_submodules
    gate.task(entry_point="lib/models/other.py")
    assert "the submodule lib/models does not have it" in gate.refuses("entry-point-missing").messages[0]
    Repo(gate.repo.path / "lib" / "models").commit("later", {"other.py": ""})  # the tree pins the commit before
    gate.refuses("entry-point-missing")
    gate.repo.commit("moved")
    gate.task(entry_point="lib/models/other.py")
    gate.accepts()
    clone = gate.repo.clone(tmp_path / "clone")
    words = gate.verify(cwd=clone.path).messages[0]
    assert "the submodule lib/models is not here at" in words
    assert "(git submodule update --init --recursive)" in words


@settings(max_examples=settings.default.max_examples // 3, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(odd, odd)
def test_whatever_a_server_says_is_looked_up_inside_of_the_commit(
    with_submodules: Gate, entry_point: str, working_dir: str
) -> None:
    """And nothing of it makes git fail."""
    repository, head = Repository(str(with_submodules.repo.path)), with_submodules.repo.head
    task = Task("a" * 32, "server", commit=head, entry_point=entry_point, working_dir=working_dir)
    entries = EntryPoints(repository)
    entries.learn([task, task._replace(entry_point=f"-m {entry_point}"), task._replace(entry_point="train.py " + "x")])
    files = {"train.py", ".gitmodules", "lib/models/fit.py", "lib/models/pkg/fit.py", "lib/models/inner/deep.py"}
    for (_, _, _), why in entries.elsewhere.items():
        assert isinstance(why, str)
    assert {path for _, path in entries.files} <= files | {"lib/models/.gitmodules"}
