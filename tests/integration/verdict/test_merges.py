"""merges = "clean", against what git really makes: merges, squashes and rebases as people and forges do them."""

from __future__ import annotations

import os
from collections.abc import Callable
from datetime import datetime, timedelta, timezone
from pathlib import Path

import pytest

from git_clearml.git import merge_trees
from git_clearml.git.output import GitResult
from git_clearml.git.repository import Repository
from git_clearml.git.runner import Runner
from tests.integration.verdict.test_processes import MOST, gits
from tests.support.program import Gate, Result, inside
from tests.support.repos import Repo, make_repo

__all__ = ["gits"]  # a fixture

pytestmark = pytest.mark.needs("git 2.38")  # older ones merge nothing without a working tree, and are told so

NOFF = ("merge", "--no-ff", "--quiet", "--no-edit")
LINES = "".join(f"line {n}\n" for n in range(30))


@pytest.fixture
def work(gate: Gate) -> Gate:
    """main, which is accepted, and a branch `feature` of it whose last commit has run; main has moved meanwhile."""
    gate.repo.write({"model.py": LINES})
    gate.repo.policy('merges = "clean"')
    gate.repo.git("checkout", "--quiet", "-b", "feature")
    gate.repo.commit("one", {"feature.py": "1"})
    gate.repo.commit("two", {"feature.py": "2", "model.py": LINES.replace("line 3\n", "three\n")})
    gate.task()
    gate.repo.git("checkout", "--quiet", "main")
    gate.repo.commit("moved", {"model.py": LINES.replace("line 25\n", "twenty-five\n")})
    accept(gate.repo)
    return gate


def accept(repo: Repo, rev: str = "HEAD") -> None:
    """The remote's default branch is here now."""
    repo.git("update-ref", "refs/remotes/origin/main", rev)
    repo.git("symbolic-ref", "refs/remotes/origin/HEAD", "refs/remotes/origin/main")


def clean(gate: Gate, *words: str) -> Result:
    result = gate.verify(*words)
    assert (result.status, result.commit["equivalence"]) == (0, "merge"), result.out
    assert result.commit["evidence_commit"] == gate.repo.git("rev-parse", "feature")
    return result


def refused(gate: Gate, *words: str, requests: int = 5) -> str:
    result = gate.verify(*words)
    assert (result.status, result.json["outcome"]) == (1, "rejected"), result.out
    assert len(result.calls) <= requests
    return " ".join(note for note in result.commit["notes"] if "no clean merge" in note)


def test_a_merge_of_what_has_run_into_what_is_there(work: Gate, gits: list[str]) -> None:
    base, head = work.repo.head, work.repo.git("rev-parse", "feature")
    work.repo.git(*NOFF, "feature")
    before = work.repo.git("count-objects")
    gits.clear()
    result = clean(work)
    assert len(gits) < MOST, gits
    assert len(result.calls) == 1
    assert result.commit["notes"] == [
        f"the clean merge of {base[:12]}, which was accepted before, and {head[:12]}, which has run"
    ]
    assert work.repo.git("count-objects") == before
    assert work.verify("--merges", "strict").status == 1


AGENT = {"diff": None, "last_worker": "agent", "runtime": {"_exec_agent_hostname": "host"}}


@pytest.mark.parametrize("how", ["an agent without a diff", "a results commit", "a commit that was amended"])
def test_what_is_verified_by_itself_is_so_in_a_merge(gate: Gate, how: str) -> None:
    """By a task that the first question does not find, or of another commit, of a month ago."""
    repo, old = gate.repo, datetime.now(timezone.utc) - timedelta(days=30)
    repo.policy('merges = "clean"', 'equivalence = "tree"')
    repo.git("checkout", "--quiet", "-b", "feature")
    repo.write({"train.py": "print(5)\n"})
    repo.git("commit", "--quiet", "--all", "--message", "old", env={"GIT_COMMITTER_DATE": old.isoformat()})
    gate.task(last_update=(old + timedelta(days=1)).isoformat(), **(AGENT if how.startswith("an agent") else {}))
    if how == "a results commit":
        repo.commit("results", {"clearml.lock": "{}"})
    elif how == "a commit that was amended":
        repo.git("commit", "--quiet", "--amend", "--message", "new")
    repo.git("checkout", "--quiet", "main")
    repo.commit("moved", {"model.py": "1"})
    accept(repo)
    assert gate.verify("feature").status == 0
    repo.git(*NOFF, "feature")
    result = gate.verify()
    assert (result.status, result.commit["equivalence"]) == (0, "merge"), result.out


def test_a_recent_one_that_an_agent_ran_without_a_diff(gate: Gate) -> None:
    gate.repo.policy('merges = "clean"')
    gate.repo.git("checkout", "--quiet", "-b", "feature")
    gate.repo.commit("feature", {"feature.py": "1"})
    gate.task(**AGENT)
    gate.repo.git("checkout", "--quiet", "main")
    gate.repo.commit("moved", {"model.py": "1"})
    accept(gate.repo)
    gate.repo.git(*NOFF, "feature")
    clean(gate)


def test_it_is_strict_where_nobody_says_otherwise(work: Gate) -> None:
    work.repo.policy("")
    accept(work.repo)
    work.repo.git(*NOFF, "feature")
    assert refused(work) == ""
    clean(work, "--merges", "clean")


def test_main_merged_into_the_feature_and_that_into_main(work: Gate, gits: list[str]) -> None:
    """`Update branch`, then the merge button: the second is the merge of a merge."""
    work.repo.git("checkout", "--quiet", "-b", "updated", "feature")
    work.repo.git(*NOFF, "main")
    clean(work)
    work.repo.git("checkout", "--quiet", "main")
    work.repo.git(*NOFF, "updated")
    gits.clear()
    clean(work)
    assert len(gits) < MOST + 5, gits


def test_two_commits_that_have_run(work: Gate) -> None:
    work.task()
    work.repo.git("update-ref", "-d", "refs/remotes/origin/HEAD")
    work.repo.git(*NOFF, "feature")
    result = work.verify()
    assert (result.status, result.commit["equivalence"]) == (0, "merge"), result.out
    assert "which has run too" in result.commit["notes"][0]


def evil(repo: Repo) -> None:
    repo.git(*NOFF, "--no-commit", "feature")
    repo.write({"evil.py": "1"})
    repo.git("add", "--all")
    repo.git("commit", "--quiet", "--message", "Merge branch 'feature'")


def ours(repo: Repo) -> None:
    repo.git(*NOFF, "--strategy", "ours", "feature")


def theirs(repo: Repo) -> None:
    """The tree of the feature, as if main had not moved."""
    repo.git("reset", "--quiet", "--hard", repo.git(
        "commit-tree", "feature^{tree}", "-p", "HEAD", "-p", "feature", "-m", "Merge branch 'feature'"
    ))  # fmt: skip


def by_hand(repo: Repo) -> None:
    """A conflict that somebody has resolved."""
    repo.commit("conflict", {"feature.py": "other"})
    accept(repo)
    repo.git("merge", "--quiet", "--no-ff", "--no-edit", "--strategy-option", "theirs", "feature")


@pytest.mark.parametrize(
    ("merge", "why"),
    [
        (evil, "it is not what git makes of the two"),
        (ours, "it is not what git makes of the two"),
        (theirs, "it is not what git makes of the two"),
        (by_hand, "git alone stops at a conflict in feature.py"),
    ],
)
def test_a_merge_that_somebody_had_a_hand_in(work: Gate, merge: Callable[[Repo], None], why: str) -> None:
    merge(work.repo)
    assert why in refused(work)


def test_a_merge_that_brings_nothing_is_no_way_around(work: Gate) -> None:
    """What the remote has accepted is there already, whether it has run or not: something verified must come to it."""
    work.repo.git(*NOFF, "feature")
    accept(work.repo)
    work.repo.git("update-ref", "refs/pull/12/head", "feature")
    work.repo.git("commit", "--quiet", "--allow-empty", "--message", "nothing (#12)")
    assert "it brings nothing of the verified commit to the other" in refused(work)


def test_an_octopus(work: Gate) -> None:
    base = work.repo.git("rev-parse", "HEAD~1")
    work.repo.git("checkout", "--quiet", "-b", "third", base)
    work.repo.commit("third", {"third.py": "1"})
    work.task()
    work.repo.git("checkout", "--quiet", "main")
    work.repo.git("merge", "--quiet", "--no-edit", "feature", "third")
    assert "it has 3 parents" in refused(work)


def test_a_criss_cross_merge(work: Gate) -> None:
    """Two bases: git makes one of them first, and so do we."""
    repo = work.repo
    repo.git("checkout", "--quiet", "-b", "side", "main")
    repo.git(*NOFF, "feature")
    repo.commit("side", {"side.py": "1"})
    work.task()
    repo.git("checkout", "--quiet", "feature")
    repo.git(*NOFF, "main")
    repo.commit("more", {"feature.py": "3"})
    accept(repo)
    assert len(repo.git("merge-base", "--all", "feature", "side").splitlines()) == 2
    repo.git(*NOFF, "side")
    result = work.verify()
    assert (result.status, result.commit["equivalence"]) == (0, "merge"), result.out
    assert result.commit["evidence_commit"] == repo.git("rev-parse", "side")


def test_a_merge_of_what_has_not_run(work: Gate) -> None:
    work.server.tasks[next(iter(work.server.tasks))]["status"] = "failed"
    work.repo.git(*NOFF, "feature")
    assert "one must be verified, and the other accepted before or verified" in refused(work)


@pytest.mark.parametrize(
    ("status", "task", "how"),
    [
        ("queued", "of the head", "merge"),
        ("in_progress", "of its tree", "squash"),
        ("queued", "of the branch", "squash"),
        ("in_progress", "of the branch", "merge"),
    ],
)
def test_a_merge_of_what_has_not_ended_is_pending(work: Gate, status: str, task: str, how: str) -> None:
    """A verdict hangs on what comes of it, as on the commit's own task; a failed one of its own is told beside it."""
    fields = work.server.tasks[next(iter(work.server.tasks))]
    fields["status"] = status
    words = ("--equivalence", "tree") if task == "of its tree" else ()
    if task == "of the branch":
        fields["script"] |= {"version_num": None, "branch": "feature", "diff": None}
        work.repo.git("update-ref", "refs/remotes/origin/feature", "feature")
    elif words:
        work.repo.git("checkout", "--quiet", "feature")
        work.repo.git("commit", "--quiet", "--amend", "--message", "said better")
        work.repo.git("checkout", "--quiet", "main")
    if how == "merge":
        work.repo.git(*NOFF, "feature")
    else:
        work.repo.git("update-ref", "refs/pull/12/head", "feature")
        squash(work.repo, "A feature (#12)")
    result = work.verify(*words)
    assert (result.status, result.json["outcome"]) == (4, "pending"), result.out
    assert "which has not ended yet" in result.commit["notes"][-1]
    assert result.codes == ["running" if status == "in_progress" else "queued"]
    assert result.json["hint"] == "git clearml verify --wait"
    work.task(status="failed")
    assert work.verify(*words).status == 4
    fields["status"] = "failed"
    assert work.verify(*words).status == 1


def test_two_halves_of_which_one_has_not_ended(work: Gate) -> None:
    work.repo.commit("local", {"local.py": "1"})
    other = work.server.tasks[work.task(status="in_progress")]
    work.repo.git(*NOFF, "feature")
    assert work.verify().status == 4
    other["status"] = "stopped"
    assert work.verify().status == 1


def test_a_merge_into_what_nobody_has_accepted(work: Gate) -> None:
    work.repo.commit("local", {"local.py": "nobody has run this"})
    work.repo.git(*NOFF, "feature")
    assert "one must be verified, and the other accepted before or verified" in refused(work)


def squash(repo: Repo, message: str) -> None:
    repo.git("merge", "--quiet", "--squash", "feature")
    repo.git("commit", "--quiet", "--message", message)


@pytest.mark.parametrize(
    ("ref", "message"),
    [
        ("refs/pull/12/head", "feat: better (#12)\n\nfixes (#3)"),
        ("refs/merge-requests/7/head", "feat: better\n\nSee merge request group/project!7"),
        ("refs/pull/5/head", "Merged in feature (pull request #5)"),
    ],
)
def test_a_squash_of_a_pull_request(work: Gate, ref: str, message: str) -> None:
    squash(work.repo, message)
    assert "(git fetch origin refs/pull/" in refused(work)
    work.repo.git("update-ref", ref, "feature")
    clean(work)
    work.repo.commit("feat: better (#12)", {"evil.py": "1"})
    assert refused(work)


def test_a_squash_with_a_change_of_its_own(work: Gate) -> None:
    work.repo.git("update-ref", "refs/pull/12/head", "feature")
    work.repo.git("merge", "--quiet", "--squash", "feature")
    work.repo.commit("feat: better (#12)", {"evil.py": "1"})
    assert "it is not what git makes of the two" in refused(work)


def test_a_squash_that_names_no_pull_request(work: Gate) -> None:
    squash(work.repo, "feat: better")
    assert refused(work) == ""


@pytest.mark.parametrize("moved", [True, False])
def test_a_rebase_as_github_does_it(work: Gate, moved: bool) -> None:
    """New commits of the same changes; where main has not moved they have the same trees."""
    repo = work.repo
    base = repo.git("rev-parse", "main" if moved else "main~1")
    repo.git("checkout", "--quiet", "-B", "main", base)
    accept(repo)
    repo.git("update-ref", "refs/pull/12/head", "feature")
    repo.git("cherry-pick", "main..feature")
    repo.git("commit", "--quiet", "--amend", "--message", "two (#12)")
    clean(work)


def test_a_driver_of_this_clone_has_no_say(work: Gate, tmp_path: Path) -> None:
    """Nor an attribute of its working tree: what git makes here is what it makes in CI."""
    repo = work.repo
    driver = tmp_path / "driver"
    driver.write_text("#!/bin/sh\necho evil > $2\n")
    driver.chmod(0o755)
    repo.git("config", "merge.evil.driver", f"{driver} %O %A")
    (repo.path / ".git" / "info").mkdir(exist_ok=True)
    (repo.path / ".git" / "info" / "attributes").write_text("model.py merge=evil\n")
    repo.git(*NOFF, "feature")
    assert (repo.path / "model.py").read_text() == "evil\n"
    assert refused(work)
    (repo.path / ".git" / "info" / "attributes").write_text("")
    (repo.path / ".gitattributes").write_text("model.py merge=evil\n")
    assert refused(work)
    repo.git("reset", "--quiet", "--hard", "HEAD~1")
    (repo.path / ".gitattributes").unlink(missing_ok=True)
    repo.git(*NOFF, "feature")
    (repo.path / ".gitattributes").write_text("model.py merge=evil\n")
    clean(work)
    work.env |= {"GIT_DIR": str(repo.path / ".git"), "GIT_WORK_TREE": str(repo.path)}  # as a hook may have them
    clean(work)


def test_a_shallow_clone_cannot_tell(work: Gate, tmp_path: Path) -> None:
    main = work.repo.head
    work.repo.git(*NOFF, "feature")
    for depth, accepted, words in ((2, "HEAD~1", "this clone is shallow"), (1, "HEAD", f"{main[:12]} is not in this")):
        clone = work.repo.clone(tmp_path / str(depth), f"--depth={depth}", "--no-single-branch")
        accept(clone, accepted)
        result = work.verify(cwd=clone.path)
        assert result.status == 1
        (note,) = [note for note in result.commit["notes"] if "no clean merge" in note]
        assert words in note
        assert "git fetch --unshallow" in note


def test_a_sha256_repository(gate: Gate, tmp_path: Path) -> None:
    repo = make_repo(tmp_path / "sha256", {"model.py": LINES}, options=("--object-format=sha256",))
    base = repo.head
    one = repo.commit("one", {"one.py": "1"})
    repo.git("checkout", "--quiet", "-b", "feature", base)
    two = repo.commit("two", {"two.py": "2"})
    repo.git(*NOFF, one)
    merge = merge_trees.merges(Repository(str(repo.path)), [(one, two)])[one, two]
    assert merge.tree == repo.git("rev-parse", "HEAD^{tree}")


def test_an_old_git_says_so(work: Gate, monkeypatch: pytest.MonkeyPatch) -> None:
    """git 2.38 takes no batch, and the ones before it no merge: as they answer, with status 129."""
    run = Runner.run
    refusing = ["--stdin"]

    def old(self: Runner, *words: str, **options: object) -> GitResult:
        if "merge-tree" in words and any(word in words for word in refusing):
            return GitResult(129, b"", "usage: git merge-tree <base-tree> <branch1> <branch2>")
        return run(self, *words, **options)  # type: ignore[arg-type]

    monkeypatch.setattr(Runner, "run", old)
    work.repo.git(*NOFF, "feature")
    clean(work)
    refusing.append("--write-tree")
    assert "this git is older than 2.38" in refused(work)


def test_merges_of_many_commits_are_one_git(work: Gate, gits: list[str]) -> None:
    head = work.repo.git("rev-parse", "feature")
    repository = Repository(str(work.repo.path))
    commits = work.repo.git("rev-list", "--all").splitlines()
    pairs = [(commit, head) for commit in commits] + [(head, commit) for commit in commits] + [("f" * 40, head)]
    gits.clear()
    results = merge_trees.merges(repository, pairs)
    assert len(gits) <= 3
    assert all(result.tree for pair, result in results.items() if pair[0] != "f" * 40)
    assert results["f" * 40, head].why
    assert not os.environ.get("GIT_OBJECT_DIRECTORY")


def test_the_hook_knows_what_the_remote_has_accepted(work: Gate) -> None:
    base = work.repo.head
    work.repo.git("update-ref", "-d", "refs/remotes/origin/HEAD")
    work.repo.git(*NOFF, "feature")
    line = f"refs/heads/main {work.repo.head} refs/heads/main {base}\n".encode()
    url = work.repo.git("remote", "get-url", "origin")
    done = inside("hook", "pre-push", "origin", url, cwd=work.repo.path, env=work.server.env, stdin=line)
    assert done.status == 0, done.err
    parent = work.repo.git("rev-parse", "HEAD~2")
    old = f"refs/heads/main {work.repo.head} refs/heads/main {parent}\n".encode()
    work.repo.git("update-ref", "-d", "refs/remotes/origin/main")
    assert inside(
        "hook", "pre-push", "origin", url, cwd=work.repo.path,
        env={**work.server.env, "GIT_CLEARML_REMEMBER": "0"}, stdin=old,
    ).status == 1  # fmt: skip


def test_what_another_branch_has_accepted_is_not_accepted_here(work: Gate) -> None:
    """Both are pushed at once, and all that is new on the other branch has run."""
    repo, base = work.repo, work.repo.head
    repo.git("update-ref", "-d", "refs/remotes/origin/HEAD")
    repo.git("checkout", "--quiet", "-b", "scratch")
    there = repo.commit("there already", {"scratch.py": "nobody has run this"})
    repo.git("checkout", "--quiet", "main")
    repo.git("reset", "--quiet", "--hard", there)
    repo.git(*NOFF, "feature")
    merged = repo.head
    repo.git("checkout", "--quiet", "scratch")
    new = repo.commit("next", {"scratch.py": "this has run"})
    work.task()

    def push(*lines: str) -> int:
        words = ("hook", "pre-push", "origin", repo.git("remote", "get-url", "origin"))
        env = {**work.server.env, "GIT_CLEARML_REMEMBER": "0"}
        return inside(*words, cwd=repo.path, env=env, stdin="".join(f"{line}\n" for line in lines).encode()).status

    scratch = f"refs/heads/scratch {new} refs/heads/scratch {there}"
    assert push(scratch) == 0
    assert push(scratch, f"refs/heads/main {merged} refs/heads/main {base}") == 1
    assert push(f"refs/heads/main {merged} refs/heads/main {there}") == 0


def test_what_is_remembered_of_a_merge_is_so_for_what_was_accepted(work: Gate) -> None:
    """One half of it is accepted on main alone."""
    repo, base = work.repo, work.repo.head
    repo.git("update-ref", "-d", "refs/remotes/origin/HEAD")
    there = repo.commit("there already", {"there.py": "nobody has run this"})
    repo.git(*NOFF, "feature")
    merged = repo.head

    def push(ref: str, old: str) -> tuple[int, int]:
        work.server.reset_log()
        words = ("hook", "pre-push", "origin", repo.git("remote", "get-url", "origin"))
        line = f"{ref} {merged} {ref} {old}\n".encode()
        return inside(*words, cwd=repo.path, env=work.server.env, stdin=line).status, len(work.server.calls())

    assert push("refs/heads/main", there) == (0, 1)
    assert push("refs/heads/main", there) == (0, 0)
    assert push("refs/heads/release", base)[0] == 1
