"""What we make of two commits is what `git merge` makes of them, or a conflict where that stops at one."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from git_clearml.git import merge_trees
from git_clearml.git.repository import Repository
from tests.support.repos import Repo, make_repo

pytestmark = pytest.mark.needs("git 2.38")

BASE = {
    "a.py": "".join(f"{n}\n" for n in range(12)),
    "b.py": "b\n" * 6,
    "dir/c.py": "".join(f"c{n}\n" for n in range(9)),
}
# Each is applied to the tree: a line of a file, another name, no file, a new file.
change = st.one_of(
    st.tuples(st.just("line"), st.sampled_from(sorted(BASE)), st.integers(0, 5), st.sampled_from("xyz")),
    st.tuples(st.just("move"), st.sampled_from(sorted(BASE)), st.sampled_from(["moved.py", "dir/moved.py"])),
    st.tuples(st.just("drop"), st.sampled_from(sorted(BASE))),
    st.tuples(st.just("new"), st.sampled_from(["new.py", "dir/new.py"]), st.sampled_from("xy")),
)
changes = st.lists(change, min_size=1, max_size=3)


def apply(repo: Repo, edits: list[tuple[object, ...]]) -> str:
    files = dict(BASE)
    for kind, path, *rest in edits:
        path = str(path)
        if kind == "line" and path in files:
            lines = files[path].split("\n")
            lines[int(str(rest[0]))] = str(rest[1])
            files[path] = "\n".join(lines)
        elif kind == "move" and path in files:
            files[str(rest[0])] = files.pop(path)
        elif kind == "drop":
            files.pop(path, None)
        elif kind == "new":
            files[path] = f"{rest[0]}\n"
    repo.git("rm", "-r", "--quiet", "--force", "--ignore-unmatch", ".")
    return repo.commit("edit", files)


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("merges")


@settings(
    max_examples=settings.default.max_examples // 2,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(changes, changes)
def test_what_git_merge_makes(place: Path, ours: list[tuple[object, ...]], theirs: list[tuple[object, ...]]) -> None:
    repo = Repo(place / "repo") if (place / "repo").exists() else make_repo(place / "repo", BASE)
    base = repo.git("rev-list", "--max-parents=0", "HEAD").splitlines()[-1]
    repo.git("reset", "--quiet", "--hard", base)
    other = apply(repo, theirs)
    repo.git("reset", "--quiet", "--hard", base)
    mine = apply(repo, ours)
    result = merge_trees.merges(Repository(str(repo.path)), [(mine, other)])[mine, other]
    done = subprocess.run(
        ["git", "merge", "--quiet", "--no-ff", "-m", "merge", other], cwd=repo.path, capture_output=True, check=False
    )
    if done.returncode == 0:
        assert result.tree == repo.git("rev-parse", "HEAD^{tree}"), result
    else:
        repo.git("merge", "--abort")
        assert (result.tree, "conflict" in result.why) == ("", True)
