"""What differs from a commit, in every way that git can be made to overlook it."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from git_clearml.git import worktree
from git_clearml.git.repository import Repository
from git_clearml.git.worktree import Changes, WorktreeState
from git_clearml.settings.policy import Policy
from tests.support.repos import Repo, make_repo

FILES = {"train.py": "print(1)\n", "src/model.py": "x = 1\n", "README.md": "hello\n", ".gitignore": "*.log\nbuild/\n"}
STRICT = Policy()


@pytest.fixture
def repo(tmp_path: Path) -> Repo:
    return make_repo(tmp_path / "repo", FILES)


def look(repo: Repo, rev: str = "HEAD") -> WorktreeState:
    repository = Repository(str(repo.path))
    [resolved] = repository.resolve([rev])
    return worktree.read_state(repository, resolved.commit)


def seen(repo: Repo) -> tuple[list[str], list[str]]:
    found = look(repo)
    return list(found.changed), list(found.untracked)


def with_submodule(repo: Repo, tmp_path: Path) -> Repo:
    """`repo` with a submodule `sub` committed; the submodule's own working tree."""
    origin = make_repo(tmp_path / "library", {"lib.py": "y = 1\n"})
    repo.git("-c", "protocol.file.allow=always", "submodule", "add", "--quiet", str(origin.path), "sub")
    repo.commit("submodule")
    return Repo(repo.path / "sub")


def test_a_clean_tree_differs_in_nothing(repo: Repo) -> None:
    repo.write({"noise.log": "", "build/x.py": ""})
    assert seen(repo) == ([], [])


def modified(repo: Repo) -> None:
    repo.write({"train.py": "print(2)\n"})


def staged(repo: Repo) -> None:
    modified(repo)
    repo.git("add", "train.py")


def assume_unchanged(repo: Repo) -> None:
    repo.git("update-index", "--assume-unchanged", "train.py")
    modified(repo)


def skip_worktree(repo: Repo) -> None:
    repo.git("update-index", "--skip-worktree", "train.py")
    modified(repo)


def racy(repo: Repo) -> None:
    """Same size and same times as in the index."""
    path = repo.path / "train.py"
    before = path.stat()
    repo.git("config", "core.trustctime", "false")
    repo.git("config", "core.checkStat", "minimal")
    repo.git("update-index", "--refresh")
    modified(repo)
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))


def monitored(repo: Repo) -> None:
    """A file system monitor that never saw a change."""
    monitor = repo.path / ".git" / "monitor"
    monitor.write_text("#!/bin/sh\nprintf 'token\\0'\n")
    monitor.chmod(0o755)
    repo.git("config", "core.fsmonitor", str(monitor))
    repo.git("config", "core.fsmonitorHookVersion", "2")
    repo.git("status")
    modified(repo)


def external_diff(repo: Repo) -> None:
    repo.git("config", "diff.external", "true")
    modified(repo)


def text_conversion(repo: Repo) -> None:
    repo.write({".git/info/attributes": "*.py diff=same\n"})
    repo.git("config", "diff.same.textconv", "echo same; true")
    modified(repo)


def latin1(repo: Repo) -> None:
    (repo.path / "train.py").write_bytes(b"# \xe4\xff\nprint(2)\n")


def deleted(repo: Repo) -> None:
    (repo.path / "train.py").unlink()


def executable(repo: Repo) -> None:
    (repo.path / "train.py").chmod(0o755)


def a_link(repo: Repo) -> None:
    (repo.path / "train.py").unlink()
    (repo.path / "train.py").symlink_to("src/model.py")


def removed_from_the_index(repo: Repo) -> None:
    repo.git("rm", "--cached", "--quiet", "train.py")
    modified(repo)


HIDDEN: list[Callable[[Repo], None]] = [
    modified,
    staged,
    assume_unchanged,
    skip_worktree,
    racy,
    monitored,
    external_diff,
    text_conversion,
    latin1,
    deleted,
    executable,
    a_link,
    removed_from_the_index,
]


@pytest.mark.parametrize("hide", HIDDEN)
def test_no_edit_is_hidden(repo: Repo, hide: Callable[[Repo], None]) -> None:
    before = look(repo)
    index = (repo.path / ".git" / "index").read_bytes()
    hide(repo)
    after = look(repo)
    assert list(after.changed) == ["train.py"]
    assert worktree.changes_between(before, after, STRICT) == Changes(("train.py",), ())
    if hide is modified:
        assert (repo.path / ".git" / "index").read_bytes() == index, "the index in use is left alone"


def test_a_link_that_leads_elsewhere_is_an_edit_of_the_code_below_it(repo: Repo) -> None:
    for name in ("conf", "other"):
        (repo.path / name).symlink_to("a")
    repo.commit("links")
    before = look(repo)
    for name in ("conf", "other"):
        (repo.path / name).unlink()
    (repo.path / "conf").symlink_to("b")
    (repo.path / "other").mkdir()
    policy = STRICT._replace(code_paths=("conf/*.yaml",))
    assert worktree.changes_between(before, look(repo), policy) == Changes(("conf",), ("other",))


@pytest.mark.parametrize("hide", HIDDEN)
def test_every_edit_has_a_diff(repo: Repo, hide: Callable[[Repo], None]) -> None:
    hide(repo)
    repository = Repository(str(repo.path))
    text = worktree.diff_text(repository, repository.resolve(["HEAD"])[0].commit)
    assert text.startswith("diff --git a/train.py b/train.py\n")
    text.encode("utf-8")
    assert "\x1b" not in text


def test_a_change_that_was_only_staged_and_put_back_is_none(repo: Repo) -> None:
    staged(repo)
    repo.write({"train.py": FILES["train.py"]})
    assert seen(repo) == ([], [])


def test_untracked_files_are_named_each(repo: Repo) -> None:
    repo.write({"new.py": "", "out/a.bin": "", "out/deep/b.bin": ""})
    assert seen(repo) == ([], ["new.py", "out/a.bin", "out/deep/b.bin"])


def test_files_added_to_the_index_are_untracked_even_when_ignored(repo: Repo) -> None:
    repo.write({"build/config.py": "", "fresh.py": "", "later.py": ""})
    repo.git("add", "--force", "build/config.py", "fresh.py")
    repo.git("add", "--intent-to-add", "later.py")
    assert seen(repo) == ([], ["build/config.py", "fresh.py", "later.py"])


def test_a_repository_inside_is_looked_into(repo: Repo) -> None:
    make_repo(repo.path / "out" / "other", {"hidden.py": "", "data.bin": ""})
    found = look(repo)
    assert list(found.untracked) == ["out/other/data.bin", "out/other/hidden.py"]
    assert found.not_ok(Policy(untracked_ok=("out/**",))) == ("out/other/hidden.py",)


SCRIPT = "l/pkg/script -> ../elsewhere/run.sh"
LINKS = {
    "out of the tree": ("../../elsewhere/pkg", ["l/__init__.py", "l/deep/more.py", "l/script -> ../elsewhere/run.sh"]),
    "by its whole path": ("{elsewhere}/pkg/deep", ["l/more.py"]),
    "in the tree": ("../src", ["l/model.py"]),
    "to what holds it": ("..", ["l/src/model.py", "l/train.py"]),
    "to a link": ("second", ["l/__init__.py", "l/deep/more.py", "l/script -> ../elsewhere/run.sh"]),
    "in a circle": ("../../elsewhere/round", ["l/pkg/__init__.py", "l/pkg/deep/more.py", SCRIPT, "l/run.sh"]),
    "to a file": ("../../elsewhere/run.sh", ["l -> ../elsewhere/run.sh"]),
    "to data": ("../../elsewhere/data", []),
    "to an environment": ("../../elsewhere/env", []),
    "to nowhere": ("../gone", []),
    "to itself": ("l", []),
}


@pytest.mark.parametrize(("target", "code"), LINKS.values(), ids=LINKS)
def test_code_that_an_untracked_link_leads_to_is_untracked_code(
    repo: Repo, tmp_path: Path, target: str, code: list[str]
) -> None:
    """Whatever untracked-ok says of the link: Python imports through it. A link to data is as other outputs are."""
    elsewhere = Repo(tmp_path / "elsewhere")
    elsewhere.write({"pkg/__init__.py": "", "pkg/deep/more.py": "", "run.sh": "", "data/x.bin": "", "pkg/x.txt": ""})
    elsewhere.write({"env/pyvenv.cfg": "", "env/lib/y.py": ""})
    (elsewhere.path / "pkg" / "script").symlink_to("../run.sh")
    (elsewhere.path / "round").symlink_to(".")
    (elsewhere.path / "second").symlink_to("pkg")
    outputs = repo.path / "outputs"
    outputs.mkdir()
    if target == "second":
        (outputs / "second").symlink_to("../../elsewhere/second")
    (outputs / "l").symlink_to(target.format(elsewhere=elsewhere.path))
    before = look(repo)
    assert "outputs/l" in before.untracked
    refused = [path.removeprefix("outputs/") for path in before.not_ok(Policy(untracked_ok=("outputs/**",)))]
    assert sorted(path for path in refused if path.startswith("l")) == code


def test_an_edit_behind_a_link_is_one_of_code(repo: Repo, tmp_path: Path) -> None:
    Repo(tmp_path / "elsewhere").write({"m.py": "1"})
    make_repo(repo.path / "outputs" / "other", {"x.txt": ""})
    (repo.path / "outputs" / "other" / "l").symlink_to(tmp_path / "elsewhere")
    before = look(repo)
    Repo(tmp_path / "elsewhere").write({"m.py": "2"})
    assert worktree.changes_between(before, look(repo), STRICT).edited == ("outputs/other/l/m.py",)


@pytest.mark.parametrize("name", ["x.py", "x.pyx", "x.ipynb", "x.sh", "x.so"])
def test_code_never_passes_as_untracked(repo: Repo, name: str) -> None:
    repo.write({f"outputs/{name}": "", "outputs/model.bin": ""})
    assert look(repo).not_ok(Policy(untracked_ok=("outputs/**",))) == (f"outputs/{name}",)
    assert look(repo).not_ok(STRICT) == ("outputs/model.bin", f"outputs/{name}")


def test_names_that_are_no_utf8_and_names_with_odd_characters(repo: Repo) -> None:
    odd = ["a b.py", "new\nline.py", 'quo"te.py', "-n.py", "\N{GREEK SMALL LETTER PI}.py", os.fsdecode(b"\xe4.py")]
    repo.write(dict.fromkeys(odd, "1"))
    assert sorted(look(repo).untracked) == sorted(odd)
    repo.commit("odd")
    assert seen(repo) == ([], [])
    repo.write(dict.fromkeys(odd, "2"))
    assert sorted(look(repo).changed) == sorted(odd)


def test_sparse_checkout_leaves_files_out_without_making_them_dirty(repo: Repo) -> None:
    repo.git("status")  # its index has yet to learn of the copies
    repo.git("sparse-checkout", "set", "--no-cone", "/*", "!src")
    assert not (repo.path / "src").exists()
    assert seen(repo) == ([], [])
    repo.write({"src/model.py": "x = 2\n"})
    assert seen(repo) == (["src/model.py"], [])
    modified(repo)
    repository = Repository(str(repo.path))
    text = worktree.diff_text(repository, repository.resolve(["HEAD"])[0].commit)
    assert "deleted file" not in text


def test_line_endings_that_a_filter_takes_away_are_no_change(repo: Repo) -> None:
    repo.git("config", "core.autocrlf", "input")
    (repo.path / "train.py").write_bytes(b"print(1)\r\n")
    assert seen(repo) == ([], [])


def test_a_look_from_a_sub_directory_sees_everything(repo: Repo) -> None:
    modified(repo)
    repo.write({"top.py": ""})
    assert seen(Repo(repo.path / "src")) == (["train.py"], ["top.py"])


def test_a_worktree_is_looked_at_by_itself(repo: Repo, tmp_path: Path) -> None:
    other = repo.worktree(tmp_path / "other")
    other.write({"train.py": "other\n", "new.py": ""})
    assert seen(repo) == ([], [])
    assert seen(other) == (["train.py"], ["new.py"])


def test_sha256_repositories_are_looked_at(tmp_path: Path) -> None:
    repo = make_repo(tmp_path / "long", FILES, options=("--object-format=sha256",))
    assert seen(repo) == ([], [])
    modified(repo)
    assert seen(repo) == (["train.py"], [])


def test_the_variables_of_a_hook_do_not_lead_elsewhere(repo: Repo, monkeypatch: pytest.MonkeyPatch) -> None:
    modified(repo)
    monkeypatch.chdir(repo.path)
    monkeypatch.setenv("GIT_DIR", ".git")
    monkeypatch.setenv("GIT_PREFIX", "src/")
    assert seen(repo) == (["train.py"], [])


def test_a_submodule_that_is_clean(repo: Repo, tmp_path: Path) -> None:
    sub = with_submodule(repo, tmp_path)
    found = look(repo)
    assert (found.changed, found.untracked) == ({}, {})
    assert found.submodules == (("sub", sub.head),)


@pytest.mark.parametrize("ignore", ["none", "all"])
def test_a_submodule_with_edits_and_new_files(repo: Repo, tmp_path: Path, ignore: str) -> None:
    sub = with_submodule(repo, tmp_path)
    repo.git("config", "submodule.sub.ignore", ignore)
    repo.git("config", "diff.ignoreSubmodules", ignore)
    sub.git("update-index", "--assume-unchanged", "lib.py")
    sub.write({"lib.py": "y = 2\n", "new.py": ""})
    assert seen(repo) == (["sub/lib.py"], ["sub/new.py"])


def test_a_submodule_at_another_commit(repo: Repo, tmp_path: Path) -> None:
    sub = with_submodule(repo, tmp_path)
    before = look(repo)
    sub.commit("on", {"lib.py": "y = 3\n"})
    after = look(repo)
    assert list(after.changed) == ["sub"]
    assert after.submodules == (("sub", sub.head),)
    assert worktree.changes_between(before, after, STRICT).edited == ("sub",)


def test_a_submodule_that_is_not_checked_out(repo: Repo, tmp_path: Path) -> None:
    with_submodule(repo, tmp_path)
    clone = repo.clone(tmp_path / "clone")
    assert seen(clone) == ([], [])
    assert look(clone).submodules == (("sub", ""),)
    clone.write({"sub/hidden.py": ""})
    assert seen(clone) == (["sub"], [])
    (clone.path / "sub" / "hidden.py").unlink()
    (clone.path / "sub").rmdir()
    assert seen(clone) == (["sub"], [])


def test_results_may_change_and_code_may_not(repo: Repo) -> None:
    policy = Policy(results_paths=("metrics/**",), untracked_ok=("outputs/**",))
    repo.commit("results", {"dvc.lock": "1", "sub/dvc.lock": "1", "clearml.lock": "1", "metrics/a.json": "1"})
    before = look(repo)
    repo.write({"dvc.lock": "2", "sub/dvc.lock": "2", "clearml.lock": "2", "metrics/a.json": "2", "outputs/m.bin": ""})
    after = look(repo)
    wrote = ("clearml.lock", "dvc.lock", "metrics/a.json", "outputs/m.bin", "sub/dvc.lock")
    assert worktree.changes_between(before, after, policy) == Changes((), wrote)
    repo.write({"README.md": "changed\n", "outputs/generated.py": ""})
    assert worktree.changes_between(before, look(repo), policy).edited == ("README.md", "outputs/generated.py")


def test_code_paths_say_what_code_is(repo: Repo) -> None:
    policy = Policy(code_paths=("src/**",))
    before = look(repo)
    repo.write({"README.md": "changed\n", "src/model.py": "x = 2\n", "src/data.bin": ""})
    changes = worktree.changes_between(before, look(repo), policy)
    assert changes == Changes(("src/data.bin", "src/model.py"), ("README.md",))


def test_an_edit_taken_back_during_the_run_leaves_no_change(repo: Repo) -> None:
    before = look(repo)
    modified(repo)
    repo.write({"train.py": FILES["train.py"]})
    assert look(repo) == before


def test_a_commit_made_during_the_run_is_compared_with_the_first(repo: Repo) -> None:
    first, before = repo.head, look(repo)
    repo.commit("empty")
    assert worktree.changes_between(before, look(repo, rev=first), STRICT) == Changes((), ())
    repo.commit("edit", {"train.py": "print(3)\n", "more.py": ""})
    assert worktree.changes_between(before, look(repo, rev=first), STRICT).edited == ("more.py", "train.py")


def test_edits_of_files_that_were_dirty_before_are_seen(repo: Repo) -> None:
    modified(repo)
    repo.write({"new.py": "1"})
    before = look(repo)
    assert worktree.changes_between(before, look(repo), STRICT) == Changes((), ())
    repo.write({"train.py": "print(4)\n", "new.py": "2"})
    assert worktree.changes_between(before, look(repo), STRICT).edited == ("new.py", "train.py")
