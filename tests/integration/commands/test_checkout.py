"""`git clearml checkout`: a worktree with what a task ran."""

from __future__ import annotations

import json
import os
import shlex
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest

from tests.integration.git.test_recorded_diff import link, new_file
from tests.support.program import Gate, Result
from tests.support.repos import Repo, make_repo
from tests.support.scripts import QUICK
from tests.support.tools import needs

EDIT = """diff --git a/train.py b/train.py
--- a/train.py
+++ b/train.py
@@ -1 +1 @@
-print('training')
+print('better')
"""
STALE = EDIT.replace("'training'", "'something else'")


def checkout(gate: Gate, *words: str, **options: Any) -> Result:
    """`checkout --format json`; its status is that of the JSON."""
    result = gate.call("checkout", "--format", "json", *words, **options)
    assert (result.json["exit_code"], result.json["schema"]) == (result.status, 1)
    assert result.json["command"] == "checkout"
    return result


def test_the_code_of_a_task_and_its_command(gate: Gate, tmp_path: Path) -> None:
    task = gate.task(diff=EDIT + new_file("sub/new.py"), working_dir="sub", entry_point="-m pkg.mod")
    place = tmp_path / "old run"
    document = checkout(gate, task, str(place)).json
    assert document["directory"] == str(place)
    assert (document["commit"], document["task"]["id"]) == (gate.repo.head, task)
    assert (document["applied"], document["command_line"]) == (True, ["python", "-m", "pkg.mod"])
    assert (place / "train.py").read_text() == "print('better')\n"
    assert (place / "sub" / "new.py").read_text() == "x\n"
    git = ["git", "-C", str(place)]
    assert subprocess.check_output([*git, "status", "--porcelain"]).decode() == " A sub/new.py\n M train.py\n"
    assert subprocess.run([*git, "symbolic-ref", "-q", "HEAD"], check=False).returncode == 1
    again = checkout(gate, task, str(place))
    assert (again.status, again.errors) == (2, ["usage"])
    shutil.rmtree(place)
    assert gate.call("checkout", task, str(place)).talk()[1] == "git worktree prune"


@needs("bash")
def test_the_printed_command_runs_as_it_is(gate: Gate, tmp_path: Path) -> None:
    script = "import json, os, sys\nprint(json.dumps([os.getcwd(), sys.argv[1:]]))\n"
    gate.repo.commit("script", {"my src/train.py": script})
    values = [
        "a b",
        "$(touch evil)",
        "it's",
        "\u00fc",
        "two\nlines\x1b[31m",
        "tab\there",
        "zero\u200bwidth",
        "`x`; rm \\",
    ]
    parameters = {f"p{n}": {"section": "Args", "name": f"p{n}", "value": value} for n, value in enumerate(values)}
    task = gate.task(hyperparams={"Args": parameters}, working_dir="my src")
    result = gate.call("checkout", task[:8], str(tmp_path / "w"))
    line = result.out.splitlines()[-1]
    assert line.isprintable()
    out = subprocess.check_output(["bash", "-c", line.replace("python ", "python3 ", 1)], cwd=tmp_path).decode()
    assert json.loads(out) == [str(tmp_path / "w" / "my src"), [f"--p{n}={value}" for n, value in enumerate(values)]]
    assert not list(tmp_path.rglob("evil"))


def test_a_diff_that_does_not_apply_lies_beside_a_clean_worktree(gate: Gate, tmp_path: Path) -> None:
    task = gate.task(diff=STALE)
    (tmp_path / "w.diff").write_text("mine")
    result = checkout(gate, task, str(tmp_path / "w"))
    assert (result.status, result.json["applied"]) == (1, False)
    assert (tmp_path / "w" / "train.py").read_text() == "print('training')\n"
    assert ((tmp_path / "w.diff").read_text(), (tmp_path / "w.1.diff").read_text()) == ("mine", STALE)
    assert str(tmp_path / "w.1.diff") in result.err
    assert subprocess.check_output(["git", "-C", str(tmp_path / "w"), "status", "--porcelain"]) == b""


@pytest.mark.parametrize(
    ("diff", "status"),
    [("import os\n", 0), (STALE, 1), (STALE.replace("a/t", "t").replace("b/t", "t"), 1)],
)
@needs("bash")
def test_the_hint_for_a_diff_that_does_not_apply_works(gate: Gate, tmp_path: Path, diff: str, status: int) -> None:
    """`git apply --reject` is 1 where it has applied a part, 128 where it did not understand anything."""
    hint = gate.call("checkout", gate.task(diff=diff), str(tmp_path / "a\nb")).talk()[1]
    done = subprocess.run(["bash", "-c", hint.replace("less ", "cat ")], capture_output=True, text=True, check=False)
    assert (done.returncode, "patch failed" in done.stderr) == (status, status == 1), (hint, done.stderr)


def test_the_command_runs_in_the_worktree(gate: Gate, tmp_path: Path) -> None:
    place = tmp_path / "w"
    task = gate.task(diff=link("out", str(tmp_path)), working_dir="out")
    assert f"cd {place} && python" in gate.call("checkout", task, str(place)).out


def test_what_fails_half_way_leaves_nothing(gate: Gate, tmp_path: Path) -> None:
    """Half of a diff would look like what ran; and a branch that is there already stops the next try."""
    before = gate.repo.git("for-each-ref") + gate.repo.git("worktree", "list")
    place = str(tmp_path / "w")
    task = gate.task(diff=new_file("a.py") + new_file("n" * 300))
    assert checkout(gate, "--branch", "again", task, place).status == 3
    assert gate.repo.git("for-each-ref") + gate.repo.git("worktree", "list") == before
    assert not (tmp_path / "w").exists()
    gate.repo.git("branch", "kept")
    assert checkout(gate, "--branch", "kept", task, place).status == 2
    assert gate.repo.git("rev-parse", "kept") == gate.repo.head
    gate.repo.commit("a filter that fails", {".gitattributes": "*.py filter=bad\n", "b.py": "x\n"})
    before = gate.repo.git("for-each-ref") + gate.repo.git("worktree", "list")
    for name, value in (("smudge", "false"), ("required", "true")):
        gate.repo.git("config", f"filter.bad.{name}", value)
    assert checkout(gate, "--branch", "again", gate.task(), place).status == 2
    assert gate.repo.git("for-each-ref") + gate.repo.git("worktree", "list") == before


def test_a_file_that_a_filter_makes_is_changed_all_the_same(gate: Gate, tmp_path: Path) -> None:
    """As git-lfs does: what lies in the worktree is not what git has. What the diff leaves alone stays filtered."""
    pointer = "version https://git-lfs.github.com/spec/v1\noid sha256:{}\nsize 1\n"
    files = {".gitattributes": "*.bin filter=f\n", "a.bin": pointer.format("1" * 64), "b.bin": pointer.format("3" * 64)}
    gate.repo.commit("pointers", files)
    gate.repo.git("config", "filter.f.smudge", "sed -e 's/^version.*/the content/'")
    (gate.repo.path / "a.bin").write_text(pointer.format("2" * 64))
    task = gate.task(diff=gate.repo.git("diff") + "\n")
    result = checkout(gate, task, str(tmp_path / "w"))
    assert (result.status, result.json["applied"]) == (0, True)
    assert result.json["notes"] == ["of a.bin, which is in git-lfs, the diff has the pointer and not the content"]
    assert (tmp_path / "w" / "a.bin").read_text() == pointer.format("2" * 64)
    assert (tmp_path / "w" / "b.bin").read_text().startswith("the content")


def test_in_a_hook_the_index_of_the_user_is_left_alone(gate: Gate, tmp_path: Path) -> None:
    index = gate.repo.path / ".git" / "index"
    before = index.read_bytes()
    task = gate.task(diff=EDIT)
    assert checkout(gate, task, str(tmp_path / "w"), env={"GIT_INDEX_FILE": str(index)}).json["applied"]
    assert index.read_bytes() == before
    status = subprocess.check_output(["git", "-C", str(tmp_path / "w"), "status", "--porcelain"])
    assert status == b" M train.py\n"


def test_a_submodule_has_its_worktrees_beside_it(gate: Gate, tmp_path: Path) -> None:
    outer = make_repo(tmp_path / "outer")
    outer.git("-c", "protocol.file.allow=always", "submodule", "--quiet", "add", str(gate.repo.path), "m")
    task = gate.task()
    origin = gate.repo.git("remote", "get-url", "origin")
    Repo(outer.path / "m").git("remote", "set-url", "origin", origin)
    assert checkout(gate, task, cwd=outer.path / "m").json["directory"] == str(outer.path / f"m-{task[:8]}")


def test_a_dry_run_writes_nothing(gate: Gate, tmp_path: Path) -> None:
    before = sorted(path for path in gate.repo.path.rglob("*") if "objects" not in path.parts)
    for diff, status in ((EDIT, 0), (STALE, 1)):
        task = gate.task(diff=diff)
        assert gate.call("checkout", "--dry-run", task, str(tmp_path / "w")).status == status
    assert gate.call("checkout", "--dry-run", gate.task(commit="b" * 40), str(tmp_path / "w")).status == 0
    assert sorted(path for path in gate.repo.path.rglob("*") if "objects" not in path.parts) == before
    assert not list(tmp_path.glob("w*"))


def test_a_branch_and_the_directory_that_it_takes_by_itself(gate: Gate) -> None:
    task = gate.task()
    document = checkout(gate, "--branch", "again", "HEAD").json
    assert document["directory"] == f"{gate.repo.path}-{task[:8]}"
    assert gate.repo.git("rev-parse", "again") == gate.repo.head
    taken = gate.call("checkout", "--branch", "again", task, "elsewhere")
    assert taken.status == 2
    assert not (gate.repo.path / "elsewhere").exists()
    hints = [taken.talk()[1]]
    for name in ("--orphan", "a..b", "a b", "@{-1}"):
        result = gate.call("checkout", f"--branch={name}", "--dry-run", task, "elsewhere")
        assert result.status == 2, name
        hints.append(result.talk()[1])
    assert hints == [f"git clearml checkout --branch {name} {task}" for name in ("again-2", *[f"task-{task[:8]}"] * 4)]
    assert gate.call(*hints[-1].split()[2:], "elsewhere").status == 0


def test_a_commit_that_is_not_here_is_fetched(gate: Gate, tmp_path: Path) -> None:
    other = gate.repo.clone(tmp_path / "other")
    other.commit("elsewhere", {"new.py": "x\n"})
    gate.repo.git("remote", "set-url", "origin", str(other.path))
    task = gate.task(commit=other.head, diff=EDIT)
    assert checkout(gate, task, str(tmp_path / "w")).json["applied"]
    assert (tmp_path / "w" / "new.py").read_text() == "x\n"
    unknown = checkout(gate, gate.task(commit="b" * 40), str(tmp_path / "v"))
    assert (unknown.status, unknown.errors) == (3, ["unknown-revision"])
    assert not (tmp_path / "v").exists()
    stranger = gate.task(commit="b" * 40, repository="https://u:hushhush@example.com/o/other.git")
    hint = gate.call("checkout", stranger, str(tmp_path / "v")).talk()[1]
    assert "https://example.com/o/other.git" in hint
    gate.repo.git("remote", "remove", "origin")
    assert "git remote add" in gate.call("checkout", gate.task(commit="b" * 40, repository=None), "v").err


@pytest.mark.parametrize(("fields", "status"), [({"commit": None, "diff": "import os\n"}, 2), ({"diff": None}, 0)])
def test_a_task_of_which_less_is_on_record(gate: Gate, tmp_path: Path, fields: dict[str, Any], status: int) -> None:
    result = checkout(gate, gate.task(**fields), str(tmp_path / "w"))
    assert result.status == status
    assert (tmp_path / "w").exists() == (status == 0)
    assert (status == 2) or "has no diff on record" in result.err


def test_what_a_real_run_left_behind(gate: Gate, tmp_path: Path) -> None:
    """Offline, by the SDK and by `git clearml run`, which looks for itself and hands the SDK its own diff."""
    env = {**dict.fromkeys(gate.server.env), "CLEARML_CACHE_DIR": str(tmp_path)}
    gate.repo.commit("script", {"train.py": QUICK, "b.txt": "one\r\ntwo", "gone.py": "x\n", "n\u00e9w.py": "x"})
    (gate.repo.path / "w.bin").write_bytes(b"\0")
    gate.repo.commit("binary")
    (gate.repo.path / "w.bin").write_bytes(bytes(range(256)))
    (gate.repo.path / "b.txt").write_bytes(b"one\r\n2")
    (gate.repo.path / "gone.py").unlink()
    (gate.repo.path / "n\u00e9w.py").write_text("y")
    os.chmod(gate.repo.path / "train.py", 0o755)
    run = ("run", "--allow-dirty", "--", "python", "train.py", "--api-key", "hushhush")
    gate.call(*run, env=env, alone=True)
    result = gate.call("checkout", "HEAD", str(tmp_path / "w"), env=env)
    assert (result.status, "hushhush" in result.out) == (0, False), result.err
    for name in ("b.txt", "w.bin", "n\u00e9w.py", "train.py"):
        ran, made = gate.repo.path / name, tmp_path / "w" / name
        assert (made.read_bytes(), made.stat().st_mode & 0o100) == (ran.read_bytes(), ran.stat().st_mode & 0o100)
    assert not (tmp_path / "w" / "gone.py").exists()
    assert shlex.join(["python", "train.py", "--api-key", "[secret]"]) in result.out
