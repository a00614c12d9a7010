"""Evidence of another commit: equivalence = tree and = paths, against what git really does to histories."""

from __future__ import annotations

import time
from collections.abc import Callable
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import pytest

from git_clearml.git.repository import Repository
from tests.support.program import Gate, Result
from tests.support.recorded import put, record
from tests.support.repos import REPOSITORY, Repo, make_repo
from tests.support.tools import needs

TREE, PATHS = ("--equivalence", "tree"), ("--equivalence", "paths")


def amend(repo: Repo) -> None:
    repo.git("commit", "--quiet", "--amend", "--message", "said better")


def reworded_rebase(repo: Repo) -> None:
    base = repo.git("rev-parse", "HEAD~1")
    tree = repo.git("rev-parse", "HEAD^{tree}")
    repo.git("reset", "--quiet", "--hard", repo.git("commit-tree", tree, "-p", base, "-m", "reworded"))


def squash(repo: Repo) -> None:
    repo.git("reset", "--quiet", "--soft", "HEAD~2")
    repo.git("commit", "--quiet", "--message", "squashed")


def revert(repo: Repo) -> None:
    repo.commit("bad idea", {"train.py": "print('bad')\n"})
    repo.git("revert", "--no-edit", "HEAD")


@pytest.mark.parametrize("change", [amend, reworded_rebase, squash, revert])
def test_another_commit_with_the_same_tree(gate: Gate, change: Callable[[Repo], None]) -> None:
    gate.repo.commit("two", {"model.py": "1"})
    gate.repo.commit("three", {"model.py": "2"})
    ran = gate.repo.head
    gate.task()
    change(gate.repo)
    assert gate.repo.head != ran
    assert gate.refuses("other-commit").messages == [
        f'same code, but commit {ran[:12]}: equivalence = "tree" would accept it'
    ]
    commit = gate.verify(*TREE).commit
    assert (commit["outcome"], commit["equivalence"], commit["evidence_commit"]) == ("verified", "tree", ran)
    same, *only_here = commit["notes"]
    assert same == f"the task ran {ran[:12]}, which is the same tree"
    remedy = "CI will ask again; git clearml run records the tree of what it runs"
    assert only_here == ([] if change is revert else [f"only this clone knows {ran[:12]}: {remedy}"])


def test_a_task_of_the_commit_itself_is_preferred_and_costs_one_request(gate: Gate) -> None:
    gate.task()
    assert gate.accepts(*TREE).commit["equivalence"] == "commit"


def test_the_same_tree_known_only_from_the_servers_recent_tasks(gate: Gate, tmp_path: Path) -> None:
    """A commit without ref or reflog, fetched at some time: its hash comes from the server, its tree from the store."""
    tree = gate.repo.git("rev-parse", "HEAD^{tree}")
    loose = gate.repo.git("commit-tree", tree, "-m", "loose")
    gate.task(commit=loose)
    assert gate.verify(*TREE).commit["evidence_commit"] == loose


def test_a_commit_that_this_clone_does_not_have_is_never_guessed_equal(gate: Gate) -> None:
    gate.task(commit="c" * 40)
    result = gate.verify(*TREE)
    assert (result.status, result.commit["outcome"]) == (1, "rejected")


def test_a_dirty_task_of_an_equal_commit_does_not_count(gate: Gate) -> None:
    gate.task(diff="diff --git a/x b/x\n@@ -1 +1 @@\n-a\n+b\n")
    amend(gate.repo)
    result = gate.verify(*TREE)
    assert (result.status, result.codes) == (1, ["dirty"])


def test_a_cherry_pick_onto_another_base(gate: Gate) -> None:
    base = gate.repo.head
    picked = gate.repo.commit("feature", {"feature.py": "1"})
    gate.task()
    gate.repo.git("checkout", "--quiet", "-b", "other", base)
    gate.repo.commit("elsewhere", {"other.py": "1"})
    gate.repo.git("cherry-pick", picked)
    result = gate.verify(*TREE)
    assert (result.status, result.json["outcome"], result.commit["near_misses"]) == (1, "rejected", [])


@pytest.fixture
def with_submodule(gate: Gate, tmp_path: Path) -> Gate:
    library = make_repo(tmp_path / "library", {"lib.py": "1"}, remote="")
    gate.repo.git("-c", "protocol.file.allow=always", "submodule", "--quiet", "add", str(library.path), "lib")
    gate.repo.commit("submodule", {"pyproject.toml": '[tool.git-clearml]\ncode-paths = ["train.py"]\n'})
    return gate


@pytest.mark.parametrize("words", [TREE, PATHS])
def test_a_moved_submodule_is_another_tree_and_always_code(with_submodule: Gate, words: tuple[str, str]) -> None:
    gate = with_submodule
    gate.task()
    Repo(gate.repo.path / "lib").commit("moved", {"lib.py": "2"})
    gate.repo.commit("pointer")
    result = gate.verify(*words)
    assert (result.status, result.json["outcome"]) == (1, "rejected")


CODE = 'code-paths = ["src/**", "train.py"]'


@pytest.fixture
def with_paths(gate: Gate) -> Gate:
    gate.repo.write({"src/model.py": "1", "docs/readme.md": "1", "src/old.py": "import this\n" * 20})
    (gate.repo.path / "conf").symlink_to("docs")
    gate.repo.policy('equivalence = "paths"', CODE.replace("]", ', "conf/*.yaml"]'))
    gate.task()
    return gate


def relink(name: str, target: str) -> Callable[[Repo], str]:
    def change(repo: Repo) -> str:
        (repo.path / name).unlink(missing_ok=True)
        (repo.path / name).symlink_to(target)
        return repo.commit("link")

    return change


def move(old: str, new: str) -> Callable[[Repo], str]:
    def change(repo: Repo) -> str:
        (repo.path / new).parent.mkdir(exist_ok=True)
        repo.git("mv", old, new)
        return repo.commit("rename")

    return change


def edit(*names: str) -> Callable[[Repo], str]:
    return lambda repo: repo.commit("edit", dict.fromkeys(names, "changed"))


@pytest.mark.parametrize(
    ("change", "counts"),
    [
        (edit("docs/readme.md"), True),
        (edit("docs/new.md", "notes/x.py"), True),
        (edit("src/model.py"), False),
        (edit("src/new.py"), False),
        (edit("train.py"), False),
        (edit("docs/readme.md", "src/deep/new.py"), False),
        (edit("requirements.txt"), False),
        (edit("docs/requirements-dev.txt"), False),
        (edit("poetry.lock"), False),
        (edit("clearml.lock"), True),
        (move("src/old.py", "docs/old.py"), False),
        (move("docs/readme.md", "src/readme.md"), False),
        (move("src/old.py", "src/new.py"), False),
        (move("docs/readme.md", "docs/other.md"), True),
        (lambda repo: (repo.path / "train.py").chmod(0o755) or repo.commit("mode"), False),
        (relink("conf", "src"), False),
        (relink("other", "src"), True),
    ],
)
def test_changes_inside_and_outside_the_code(with_paths: Gate, change: Callable[[Repo], str], counts: bool) -> None:
    gate, ran = with_paths, with_paths.repo.head
    change(gate.repo)
    result = gate.verify()
    if counts:
        assert (result.status, result.commit["equivalence"], result.commit["evidence_commit"]) == (0, "paths", ran)
        assert result.commit["notes"] == [f"the task ran {ran[:12]}, which is the same code (code-paths)"]
    else:
        assert (result.status, result.json["outcome"]) == (1, "rejected")


@needs("git-lfs")
def test_what_git_lfs_keeps_is_the_same_code_where_its_pointer_is(gate: Gate) -> None:
    repo = gate.repo
    repo.git("lfs", "install", "--local")
    repo.policy('equivalence = "paths"', 'code-paths = ["train.py", "models/**"]')
    repo.commit("one", {".gitattributes": "*.bin filter=lfs -text\n", "models/m.bin": "one\n", "docs/x": "1"})
    assert repo.git("show", "HEAD:models/m.bin").startswith("version https://git-lfs")
    gate.task()
    repo.commit("docs", {"docs/x": "2"})
    assert gate.verify().commit["equivalence"] == "paths"
    repo.commit("two", {"models/m.bin": "two\n"})
    assert gate.verify().status == 1
    repo.commit("as it was", {"models/m.bin": "one\n"})
    assert gate.verify().commit["equivalence"] == "paths"


def test_a_change_of_the_policy_file_is_a_change_of_code(with_paths: Gate) -> None:
    with_paths.repo.policy('equivalence = "paths"', 'code-paths = ["src/**", "train.py", "docs/**"]')
    result = with_paths.verify()
    assert (result.status, result.json["outcome"]) == (1, "rejected")


def test_a_typing_error_in_code_paths(gate: Gate) -> None:
    gate.repo.policy('equivalence = "paths"', 'code-paths = ["train.py", "scr/**"]')
    result = gate.verify()
    assert (result.status, result.errors) == (2, ["bad-setting"])
    assert "'scr/**'" in result.talk()[0]
    gate.task()
    gate.accepts()


def test_a_pattern_whose_last_file_was_just_deleted_is_no_typing_error(with_paths: Gate) -> None:
    with_paths.repo.git("rm", "--quiet", "-r", "src")
    with_paths.repo.commit("no more src")
    assert with_paths.verify().status == 1


def test_paths_without_code_paths(gate: Gate) -> None:
    result = gate.verify(*PATHS)
    assert (result.status, result.errors, result.json["outcome"]) == (2, ["bad-setting"], "undecided")
    assert result.calls == ()
    assert "needs code-paths" in result.talk()[0]


def test_notes_are_not_among_the_commits_that_may_be_equal(gate: Gate) -> None:
    """However many records there are, and wherever results are kept: code is looked for among commits of code."""
    ran = gate.repo.head
    gate.task()
    gate.repo.git("notes", "--ref=clearml", "add", "-m", "x", ran)
    gate.repo.git("update-ref", "refs/clearml/notes", gate.repo.git("rev-parse", "refs/notes/clearml"))
    gate.repo.git("update-ref", "refs/clearml/results/abc", ran)
    gate.repo.git("commit", "--amend", "--quiet", "-m", "amended")
    seen = {commit.hash for commit in Repository(str(gate.repo.path)).history([])}
    assert seen == {ran, gate.repo.head}
    assert gate.verify("--equivalence", "tree").status == 0


@pytest.fixture
def amended(gate: Gate) -> tuple[str, str]:
    """A run whose record lies on its task, and then an amend: the commit that ran, and the task."""
    gate.repo.policy('equivalence = "tree"')
    ran, task = gate.repo.head, gate.task()
    put(gate, task, record(gate, task))
    amend(gate.repo)
    gate.repo.git("commit", "--quiet", "--amend", "--message", "said better")
    return ran, task


@pytest.mark.parametrize("options", [(), ("--depth", "1")])
def test_every_clone_gives_the_answer_that_the_author_s_gave(
    gate: Gate, amended: tuple[str, str], options: tuple[str, ...], tmp_path: Path
) -> None:
    ran, _ = amended
    for place in (gate.repo, gate.repo.clone(tmp_path / "clone", *options)):
        result = gate.verify(cwd=place.path)
        assert (result.status, result.commit["equivalence"], result.commit["evidence_commit"]) == (0, "tree", ran)
        assert len(result.calls) == 2
        assert f"the task ran {ran[:12]}, which is the same tree" in result.commit["notes"]


def notes_of(gate: Gate, *words: str) -> list[str]:
    """What there is to say of a verdict that holds in this clone alone."""
    notes = gate.verify(*words).commit["notes"]
    assert all(f"note: {note}" in gate.call("verify", *words).out for note in notes)
    return [note for note in notes if note.startswith("only this clone knows")]


def test_a_verdict_that_only_this_clone_gives_says_so(gate: Gate) -> None:
    ran, task = gate.repo.head, gate.task()
    assert notes_of(gate, *TREE) == []
    amend(gate.repo)
    assert len(notes_of(gate, *TREE)) == 1
    gate.repo.git("update-ref", "refs/remotes/origin/topic", ran)
    assert notes_of(gate, *TREE) == [], "the remote has it, or had it when last fetched"
    gate.repo.git("update-ref", "-d", "refs/remotes/origin/topic")
    gate.repo.git("tag", "v1", ran)
    assert notes_of(gate, *TREE) == []
    gate.repo.git("tag", "-d", "v1")
    assert len(notes_of(gate, *TREE)) == 1
    put(gate, task, record(gate, task, commit=ran))
    assert notes_of(gate, *TREE) == [], "its record names the tree"
    gate.repo.git("remote", "remove", "origin")
    gate.server.tasks[task]["hyperparams"] = {}
    assert notes_of(gate, *TREE) == [], "there is nobody else"


def test_it_goes_along_with_what_is_pushed(gate: Gate) -> None:
    """A commit whose effect was taken back is still there, in the history of what is judged."""
    gate.task()
    revert(gate.repo)
    assert notes_of(gate, *TREE) == []


def in_ci(gate: Gate, place: Path, *words: str, depth: str = "--depth=1") -> Result:
    """The verdict of a job whose clone has the one commit; its remote is the repository of the gate."""
    clone = gate.repo.clone(place, *([depth] if depth else []))
    clone.git("remote", "set-url", "origin", f"file://{gate.repo.path}")
    gate.server.reset_log()
    job = {"GITLAB_CI": "true", "CI_COMMIT_SHA": gate.repo.head, "CI_COMMIT_BRANCH": "main"}
    return gate.verify(*words, cwd=clone.path, env=job)


@pytest.mark.parametrize("depth", ["--depth=1", ""])
@pytest.mark.parametrize("policy", [('equivalence = "tree"',), ('equivalence = "paths"', 'code-paths = ["train.py"]')])
def test_ci_fetches_the_commit_that_a_task_ran(gate: Gate, tmp_path: Path, policy: tuple[str, ...], depth: str) -> None:
    """What the remote has of it, be it under no name: its task names it."""
    gate.repo.policy(*policy, f'repositories = ["{REPOSITORY}"]')
    ran = gate.repo.commit("ran", {"a.py": "1"})
    gate.task()
    if len(policy) == 1:
        amend(gate.repo)
    else:
        gate.repo.commit("words", {"README": "1"})
    result = in_ci(gate, tmp_path / "clone", depth=depth)
    assert (result.status, result.commit["evidence_commit"]) == (0, ran), result.out
    assert len(result.calls) <= 4


def test_ci_says_what_it_lacks(gate: Gate, tmp_path: Path) -> None:
    """The author's clone has told that it would ask again. Nothing is fetched for tasks that cannot count."""
    gate.repo.policy('equivalence = "tree"', f'repositories = ["{REPOSITORY}"]')
    lost = gate.task(commit="c" * 40)
    others = [
        gate.task(commit="d" * 40, status="failed"),
        gate.task(commit="e" * 40, repository="https://x.org/y.git"),
        gate.task(commit="f" * 40),
    ]
    for task in (lost, *others[:2]):
        gate.server.tasks[task]["script"]["branch"] = "main"
    result = in_ci(gate, tmp_path / "clone", "--verbose")
    assert (result.status, [miss["task"]["id"] for miss in result.commit["near_misses"]]) == (1, [lost])
    what = "a commit that neither this clone nor the remote has: whether that is the same code, nothing tells"
    assert result.messages == [f"ran {'c' * 12}, {what}"]


def test_the_tree_is_asked_for_only_where_trees_count_and_the_commit_has_nothing(
    gate: Gate, amended: tuple[str, str]
) -> None:
    def asked() -> int:
        return sum("git_clearml_tree" in " ".join(request.body) for request in gate.server.requests)

    assert gate.verify("--equivalence", "commit").status == 1
    assert asked() == 0
    assert (gate.verify().status, asked()) == (0, 1)
    gate.task()
    gate.accepts()
    assert asked() == 0


@pytest.mark.parametrize(
    "changes",
    [
        {"tasks": (("f" * 32, "completed"),)},  # the task is a clone, which bears the properties of its origin
        {"commit": "c" * 40},  # a clone that runs another commit
        {"tree": "d" * 40},  # the record, which is what counts, names another tree
        {"exit_status": 1},
        {"dirty": ("train.py",)},
        {"untracked": ("new.py",)},
    ],
)
def test_a_tree_on_a_task_whose_record_does_not_say_so(gate: Gate, tmp_path: Path, changes: dict[str, Any]) -> None:
    gate.repo.policy('equivalence = "tree"')
    task, tree = gate.task(), gate.repo.git("rev-parse", "HEAD^{tree}")
    put(gate, task, record(gate, task, **changes), tree=tree)
    amend(gate.repo)
    clone = gate.repo.clone(tmp_path / "clone")
    assert gate.verify(cwd=clone.path).status == 1


def test_a_tree_without_a_record_is_nothing(gate: Gate, tmp_path: Path) -> None:
    gate.repo.policy('equivalence = "tree"')
    task = gate.task()
    put(gate, task, record(gate, task))
    del gate.server.tasks[task]["hyperparams"]["properties"]["git_clearml_run"]
    amend(gate.repo)
    assert gate.verify(cwd=gate.repo.clone(tmp_path / "clone").path).status == 1


def test_records_that_name_two_trees_for_a_commit(gate: Gate, amended: tuple[str, str], tmp_path: Path) -> None:
    """One of them lies: nobody who has not got the commit believes either."""
    ran, _ = amended
    liar = gate.task(commit=ran)
    tree = gate.repo.git("rev-parse", "HEAD^{tree}")
    put(gate, liar, record(gate, liar, commit=ran, tree="d" * 40), tree=tree)
    clone = gate.repo.clone(tmp_path / "clone")
    assert gate.verify(cwd=clone.path).status == 0  # what does not name the tree is left out
    gate.repo.commit("other", {"train.py": "other"})
    other = gate.repo.git("rev-parse", "HEAD^{tree}")
    put(gate, liar, record(gate, liar, commit=ran, tree=other), tree=other)
    clone.git("fetch", "--quiet", f"file://{gate.repo.path}", "main")
    assert gate.verify("FETCH_HEAD", clone.head, cwd=clone.path).status == 1


@pytest.mark.parametrize("days", [20, 45, 200, 1500])
def test_however_long_ago_the_tree_ran_every_clone_finds_it(
    gate: Gate, amended: tuple[str, str], tmp_path: Path, days: int
) -> None:
    """As the author's clone does, by the date of the commit that ran. `--since` asks no further back."""
    _, task = amended
    clone = gate.repo.clone(tmp_path / "clone", "--depth", "1")
    gate.server.tasks[task]["last_update"] = before(days)
    assert gate.verify(cwd=clone.path).status == 0
    assert gate.verify("--since", before(days - 2)[:10], cwd=clone.path).status == 1


def test_time_that_is_over_while_older_runs_are_looked_for_is_undecided(
    gate: Gate, amended: tuple[str, str], tmp_path: Path
) -> None:
    """No refusal of what the author's clone lets pass; the hint goes on from there."""
    clone = gate.repo.clone(tmp_path / "clone")
    gate.server.tasks[amended[1]]["last_update"] = before(500)

    def slow(call: str, body: Any) -> None:
        if "git_clearml_tree" in " ".join(body) and len(body.get("last_update") or []) == 2:
            time.sleep(3)

    gate.server.hook = slow
    result = gate.verify("--timeout", "1", cwd=clone.path)
    gate.server.hook = None
    assert (result.status, result.errors) == (3, ["timeout"])
    assert "tasks of the same tree last updated since" in result.json["errors"][0]["message"]
    assert result.json["hint"].startswith("git clearml verify --since 2")


def test_a_refusal_says_how_to_look_further_back(gate: Gate) -> None:
    gate.repo.commit("two", {"model.py": "1"})
    gate.task(last_update=before(20))
    date = gate.call("verify", "HEAD").out.partition("to look further back: git clearml verify --since ")[2].split()[0]
    assert gate.call("verify", "--since", date).status == 0


def before(days: int) -> str:
    """So many days ago, as a server has it."""
    return (datetime.now(timezone.utc) - timedelta(days=days)).isoformat(timespec="microseconds")
