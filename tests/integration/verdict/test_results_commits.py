"""Results commits: verified by their parent's evidence when they touch nothing but results, and never else."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from git_clearml.agent import passed_checks as proofs
from git_clearml.clearml import lease as owners
from git_clearml.clearml.lease import Lease
from git_clearml.git.repository import Repository
from git_clearml.settings.policy import Runnable
from git_clearml.verdict import results_commits
from git_clearml.verdict import results_commits as lineage
from tests.support.clearml_server import ClearMLServer
from tests.support.program import Gate, inside
from tests.support.pushing import Yard, make_yard, quick
from tests.support.repos import YESTERDAY, Repo, make_repo

LOCK = {"clearml.lock": '{"schema": 1}\n'}


def short(commit: str) -> str:
    return commit[:12]


@pytest.fixture
def ran(gate: Gate) -> str:
    """A commit with a policy and a task: what results are recorded of."""
    gate.repo.write({"metrics/old.json": "{}", "src/model.py": "1", "conf.yaml": "a: 1", "requirements.txt": "numpy"})
    commit = gate.repo.policy('results-paths = ["metrics/**", "dvc.lock"]')
    gate.task()
    return commit


def test_a_results_commit_is_verified_by_its_parent_in_one_request(gate: Gate, ran: str) -> None:
    gate.repo.commit("change-results", LOCK)
    commit = gate.accepts().commit
    assert (commit["equivalence"], commit["evidence_commit"], commit["task"]["commit"]) == ("results", ran, ran)
    assert commit["notes"] == [f"a results commit: its parent {short(ran)} has run"]
    assert f"a results commit: its parent {short(ran)} has run" in gate.call("verify").out


def test_what_results_paths_name_may_change_with_it(gate: Gate, ran: str) -> None:
    new = dict.fromkeys(("metrics/new.json", "metrics/deep/er.json", "metrics/über sicht.json", "dvc.lock"), "{}")
    gate.repo.commit("results", {**LOCK, **new, "metrics/old.json": '{"changed": 1}'})
    assert gate.accepts().commit["equivalence"] == "results"


def test_results_may_be_deleted_and_moved_among_each_other(gate: Gate, ran: str) -> None:
    gate.repo.git("mv", "metrics/old.json", "metrics/new.json")
    gate.repo.commit("results", LOCK)
    gate.accepts()


def test_a_lock_that_was_there_before(gate: Gate, ran: str) -> None:
    gate.repo.commit("results", LOCK)
    gate.repo.commit("code", {"train.py": "print(2)"})
    gate.task()
    gate.repo.commit("results", {"clearml.lock": "{}"})
    assert gate.accepts().commit["evidence_commit"] == gate.repo.git("rev-parse", "HEAD~1")


# --- what only looks like one


def files(content: dict[str, str]) -> Callable[[Repo], object]:
    return lambda repo: repo.commit("results", {**LOCK, **content})


def executable(repo: Repo) -> None:
    repo.write(LOCK)
    (repo.path / "clearml.lock").chmod(0o755)
    repo.commit("results")


def mode_of_code(repo: Repo) -> None:
    (repo.path / "train.py").chmod(0o755)
    repo.commit("results", LOCK)


def executable_result(repo: Repo) -> None:
    repo.write({"metrics/run": "#!/bin/sh\n"})
    (repo.path / "metrics/run").chmod(0o755)
    repo.commit("results", LOCK)


def link(repo: Repo) -> None:
    (repo.path / "clearml.lock").symlink_to("train.py")
    repo.commit("results")


def linked_result(repo: Repo) -> None:
    (repo.path / "metrics/link.json").symlink_to("../train.py")
    repo.commit("results", LOCK)


def result_becomes_a_link(repo: Repo) -> None:
    (repo.path / "metrics/old.json").unlink()
    (repo.path / "metrics/old.json").symlink_to("../train.py")
    repo.commit("results", LOCK)


def submodule(path: str) -> Callable[[Repo], object]:
    def change(repo: Repo) -> None:
        repo.write({} if path == "clearml.lock" else LOCK)
        repo.git("add", "--all")
        repo.git("update-index", "--add", "--cacheinfo", f"160000,{repo.head},{path}")
        repo.git("commit", "--quiet", "-m", "results")

    return change


def directory(repo: Repo) -> None:
    repo.commit("results", {"clearml.lock/train": "1"})


def renamed_code(repo: Repo) -> None:
    repo.git("mv", "train.py", "clearml.lock")
    repo.commit("results")


def code_moved_to_results(repo: Repo) -> None:
    repo.git("mv", "src/model.py", "metrics/model.txt")
    repo.commit("results", LOCK)


def merge(repo: Repo) -> None:
    repo.git("checkout", "--quiet", "-b", "side")
    repo.commit("side", {"metrics/side.json": "{}"})
    repo.git("checkout", "--quiet", "main")
    repo.git("merge", "--quiet", "--no-ff", "--no-commit", "side")
    repo.write(LOCK)
    repo.git("add", "--all")
    repo.git("commit", "--quiet", "-m", "results")


def other_root(repo: Repo) -> None:
    repo.git("checkout", "--quiet", "--orphan", "new")
    repo.commit("results", LOCK)


NOT_NAMED = "which results-paths do not name"
CHANGES: list[tuple[Callable[[Repo], object], str | None]] = [
    (files({"train.py": "1", "src/model.py": "2"}), f"it also changes src/model.py, train.py, {NOT_NAMED}"),
    (files({"new.txt": ""}), f"it also changes new.txt, {NOT_NAMED}"),
    (
        files({"pyproject.toml": '[tool.git-clearml]\nresults-paths = ["**/*"]\n'}),
        f"it also changes pyproject.toml, {NOT_NAMED}",
    ),
    (mode_of_code, "train.py is or was no plain file"),
    (executable, "clearml.lock is or was no plain file"),
    (executable_result, "metrics/run is or was no plain file"),
    (link, "clearml.lock is or was no plain file"),
    (linked_result, "metrics/link.json is or was no plain file"),
    (result_becomes_a_link, "metrics/old.json is or was no plain file"),
    (submodule("clearml.lock"), "clearml.lock is or was no plain file"),
    (submodule("metrics/lib"), "metrics/lib is or was no plain file"),
    (directory, "it does not write clearml.lock"),
    (renamed_code, f"it also changes train.py, {NOT_NAMED}"),
    (code_moved_to_results, f"it also changes src/model.py, {NOT_NAMED}"),
    (merge, None),
    (other_root, None),
    (lambda repo: repo.commit("results", {"metrics/new.json": "{}"}), None),  # results, but no record of them
]
"""What a commit does, and why it is no results commit. Which paths are results: unit/settings/test_code_paths.py."""


def test_a_commit_that_changes_more_than_results(gate: Gate, ran: str) -> None:
    commits = []
    for change, _ in CHANGES:
        gate.repo.git("checkout", "--quiet", "--force", "--detach", ran)
        gate.repo.git("clean", "--quiet", "-dff")
        change(gate.repo)
        commits.append(gate.repo.head)
    result = gate.verify(*commits)
    assert result.status == 1
    assert [(commit["outcome"], commit["equivalence"], commit["notes"]) for commit in result.json["commits"]] == [
        ("rejected", None, [f"not a results commit: {why}"] if why else []) for _, why in CHANGES
    ]


def test_an_empty_commit_records_nothing(gate: Gate, ran: str) -> None:
    gate.repo.commit("results")
    gate.refuses("other-commit")


def test_a_tree_with_a_name_twice(gate: Gate, ran: str) -> None:
    """No git makes one, but git takes it: whichever of the two is looked at, the other one may be checked out."""
    entries = gate.repo.git("ls-tree", "HEAD").splitlines()
    blob = gate.repo.git("hash-object", "-w", "--stdin", stdin="train.py")
    named = {line.partition("\t")[2]: [line] for line in entries}
    named["clearml.lock"] = [f"{mode} blob {blob}\tclearml.lock" for mode in ("120000", "100644")]
    content = b"".join(
        f"{mode.lstrip('0')} {name}".encode() + b"\0" + bytes.fromhex(hash_)
        for name in sorted(named)
        for mode, _, hash_ in (line.partition("\t")[0].split(" ") for line in named[name])
    )
    command = ["git", "hash-object", "-w", "-t", "tree", "--literally", "--stdin"]
    tree = subprocess.run(command, cwd=gate.repo.path, input=content, capture_output=True, check=True).stdout
    commit = gate.repo.git("commit-tree", "-p", ran, "-m", "results", tree.decode().strip())
    result = gate.verify(commit)
    assert (result.status, result.commit["notes"]) == (
        1,
        ["not a results commit: clearml.lock is or was no plain file"],
    )


def test_a_lock_that_gets_lost_is_no_result(gate: Gate, ran: str) -> None:
    gate.repo.commit("results", LOCK)
    gate.task()
    gate.repo.git("rm", "--quiet", "clearml.lock")
    gate.repo.commit("results")
    gate.refuses("other-commit")


def test_the_paths_are_those_of_the_parent(gate: Gate) -> None:
    """A commit that names itself what it may touch has named nothing."""
    gate.task()
    gate.repo.write({"notes.md": "1", **LOCK})
    gate.repo.policy('results-paths = ["notes.md", "pyproject.toml"]')
    gate.refuses()


def test_the_policy_that_judges_has_to_name_them_too(gate: Gate, ran: str) -> None:
    accepted = gate.repo.git("rev-parse", f"{ran}~1")
    gate.repo.commit("results", {**LOCK, "metrics/new.json": "{}"})
    gate.accepts()
    result = gate.refuses(words=["--policy-from", accepted])
    assert result.commit["notes"] == [f"not a results commit: it also changes metrics/new.json, {NOT_NAMED}"]


def test_a_parents_policy_that_cannot_be_read_allows_nothing(gate: Gate, ran: str) -> None:
    gate.repo.commit("broken", {"pyproject.toml": "[tool.git-clearml]\nresults-paths = 1\n"})
    broken = gate.repo.head
    gate.task()
    gate.repo.commit("results", LOCK)
    result = gate.refuses(words=["--policy-from", ran])
    assert result.commit["notes"] == [f"not a results commit: the policy of its parent {short(broken)} cannot be read"]


def test_a_graft_makes_no_parent(gate: Gate, ran: str) -> None:
    """What .git/info/grafts and git replace say of history is not in the objects that get pushed."""
    tree = gate.repo.git("rev-parse", "HEAD^{tree}")
    other = gate.repo.git("commit-tree", tree, "-m", "never ran")
    gate.repo.git("reset", "--quiet", "--hard", other)
    forged = gate.repo.commit("results", LOCK)
    (gate.repo.path / ".git/info/grafts").write_text(f"{forged} {ran}\n")
    assert gate.repo.git("rev-parse", "HEAD^") == ran
    gate.refuses("other-commit")
    (gate.repo.path / ".git/info/grafts").unlink()
    gate.repo.git("replace", "--graft", forged, ran)
    gate.refuses("other-commit")


def test_what_a_setting_hides_is_compared_all_the_same(gate: Gate, ran: str) -> None:
    gate.repo.git("config", "diff.relative", "true")
    gate.repo.git("config", "diff.ignoreSubmodules", "all")
    gate.repo.commit("results", {**LOCK, "train.py": "print('better')"})
    result = gate.verify(cwd=gate.repo.path / "metrics")
    assert (result.status, result.json["outcome"]) == (1, "rejected")


# --- the parent's evidence


def test_a_parent_that_never_ran_verifies_nothing(gate: Gate) -> None:
    """A forged lock, whatever it says."""
    gate.repo.commit("change", {"train.py": "print(2)"})
    head = gate.repo.head
    gate.repo.commit(
        "results", {"clearml.lock": f'{{"schema": 1, "commit": "{head}", "tasks": [{{"status": "completed"}}]}}'}
    )
    result = gate.refuses()
    assert result.commit["notes"] == []


def test_the_parents_tasks_explain_a_refusal(gate: Gate) -> None:
    task = gate.task(status="failed")
    gate.repo.commit("results", LOCK)
    result = gate.refuses("failed")
    assert result.commit["near_misses"][0]["task"]["id"] == task


def test_a_parent_that_ran_with_changes(gate: Gate) -> None:
    gate.task(diff="diff --git a/train.py b/train.py\n@@ -1 +1 @@\n-a\n+b\n")
    gate.repo.commit("results", LOCK)
    gate.refuses("dirty")


def test_a_parent_that_is_still_running(gate: Gate) -> None:
    gate.task(status="in_progress")
    gate.repo.commit("results", LOCK)
    result = gate.verify()
    assert (result.status, result.json["outcome"]) == (4, "pending")


def test_a_parent_whose_diff_has_to_be_looked_at(gate: Gate) -> None:
    gate.task(diff=None, last_worker="agent", runtime={"_exec_agent_hostname": "host"})
    gate.repo.commit("results", LOCK)
    commit = gate.accepts(requests=3).commit
    assert commit["equivalence"] == "results"


def test_a_task_of_its_own_comes_first(gate: Gate, ran: str) -> None:
    gate.repo.commit("results", LOCK)
    own = gate.task(completed="2020-01-01T00:00:00+00:00")
    commit = gate.accepts().commit
    assert (commit["equivalence"], commit["task"]["id"], commit["notes"]) == ("commit", own, [])
    assert commit["evidence"] == {"considered": 2, "accepted": 2}


def test_a_chosen_task_of_the_parent(gate: Gate, ran: str) -> None:
    other = gate.task()
    gate.repo.commit("results", LOCK)
    assert gate.accepts("--task", other).commit["task"]["id"] == other
    gate.refuses(words=["--task", "f" * 32])


def test_a_parent_that_has_run_before_its_amendment(gate: Gate) -> None:
    task_of = gate.repo.head
    gate.task()
    gate.repo.git("commit", "--quiet", "--amend", "-m", "said better")
    gate.repo.commit("results", LOCK)
    assert gate.refuses("other-commit").messages == [
        f'same code, but commit {short(task_of)}: equivalence = "tree" would accept it'
    ]
    commit = gate.verify("--equivalence", "tree").commit
    assert (commit["outcome"], commit["equivalence"], commit["evidence_commit"]) == ("verified", "results", task_of)
    assert commit["notes"] == [f"a results commit: what it stands on has run as {short(task_of)}"]


def test_a_parent_with_the_same_code_paths(gate: Gate) -> None:
    task_of = gate.repo.policy('equivalence = "paths"', 'code-paths = ["train.py"]', 'results-paths = ["train.py"]')
    gate.task()
    gate.repo.commit("docs", {"README.md": "1"})
    gate.repo.commit("results", LOCK)
    commit = gate.verify().commit
    assert (commit["outcome"], commit["equivalence"], commit["evidence_commit"]) == ("verified", "paths", task_of)
    gate.repo.commit("results", {"clearml.lock": "{}", "train.py": "print(2)"})
    assert gate.verify().status == 1


# --- one on top of the other


def test_a_results_commit_on_a_results_commit(gate: Gate, ran: str) -> None:
    gate.repo.commit("results", LOCK)
    gate.repo.commit("results", {"clearml.lock": "{}", "metrics/new.json": "{}"})
    gate.repo.commit("results", {"clearml.lock": "[]"})
    commit = gate.accepts().commit
    assert (commit["equivalence"], commit["evidence_commit"]) == ("results", ran)
    assert commit["notes"] == [
        f"a results commit: {short(ran)} has run, and only results changed in the 3 commits since"
    ]


def test_every_link_is_looked_at(gate: Gate, ran: str) -> None:
    gate.repo.commit("results", {**LOCK, "train.py": "print('better')"})
    gate.repo.commit("results", {"clearml.lock": "{}"})
    gate.refuses()


def stacked(repo: Repo, count: int) -> None:
    """So many results commits, one on top of the other, made by one git process; they are checked out."""
    who = f"C. Committer <committer@example.com> {YESTERDAY} +0000"
    lines = [
        f"commit refs/heads/main\ncommitter {who}\ndata 7\nresults\n"
        f"M 100644 inline clearml.lock\ndata {len(str(number))}\n{number}\n"
        for number in range(count)
    ]
    lines[0] = lines[0].replace("\nM ", f"\nfrom {repo.head}\nM ")
    repo.git("fast-import", "--quiet", stdin="\n".join(lines))
    repo.git("reset", "--quiet", "--hard")


@pytest.fixture
def most(monkeypatch: pytest.MonkeyPatch) -> int:
    """How many may stand on each other: fewer than in life, and more than are looked at first."""
    monkeypatch.setattr(results_commits, "MOST", 3 * results_commits._FEW)
    return results_commits.MOST


def test_the_chain_has_an_end(gate: Gate, ran: str, most: int) -> None:
    stacked(gate.repo, most)
    gate.accepts()
    gate.repo.commit("results", {"clearml.lock": "one more"})
    result = gate.refuses()
    assert result.commit["notes"] == [
        f"not a results commit: it stands on more than {most} of them, and no more are checked"
    ]


def test_a_whole_chain_without_evidence_is_no_end(gate: Gate, most: int) -> None:
    stacked(gate.repo, most)
    assert gate.refuses().commit["notes"] == []


def test_several_commits_are_still_one_question(gate: Gate, ran: str) -> None:
    commits = [gate.repo.commit("results", {"clearml.lock": str(number)}) for number in range(3)]
    result = gate.verify(ran, *commits)
    assert (result.status, len(result.calls)) == (0, 1)
    assert [commit["equivalence"] for commit in result.json["commits"]] == ["commit", "results", "results", "results"]


# --- other places


@pytest.mark.slow
def test_without_a_server(gate: Gate, tmp_path: Path) -> None:
    repo = make_repo(tmp_path / "offline", {"train.py": "from clearml import Task\nTask.init('Vision', 'train')\n"})
    assert inside("run", "--", sys.executable, "train.py", cwd=repo.path).status == 0
    ran = repo.head
    repo.commit("results", LOCK)
    result = inside("verify", "--format", "json", cwd=repo.path)
    assert (result.status, result.commit["equivalence"], result.commit["evidence_commit"]) == (0, "results", ran)


def test_a_shallow_clone_guesses_nothing(gate: Gate, ran: str, tmp_path: Path) -> None:
    gate.repo.commit("results", LOCK)
    shallow = gate.repo.clone(tmp_path / "shallow", "--depth", "1")
    other = Gate(shallow, gate.server)
    assert other.refuses().commit["notes"] == [
        f"not a results commit: its parent {short(ran)} is not in this clone (git fetch --deepen=1)"
    ]
    deeper = gate.repo.clone(tmp_path / "deeper", "--depth", "2")
    assert Gate(deeper, gate.server).accepts().commit["equivalence"] == "results"
    shallow.git("fetch", "--quiet", "--depth=1", f"file://{gate.repo.path}", ran)  # a graft is still at HEAD
    other.accepts()


def test_what_a_shallow_clone_lacks(gate: Gate, ran: str, tmp_path: Path) -> None:
    between = gate.repo.commit("results", LOCK)
    head = gate.repo.commit("results", {"clearml.lock": "{}"})
    shallow = gate.repo.clone(tmp_path / "shallow", "--depth", "1")
    repository = Repository(str(shallow.path))
    for absent in (between, ran):
        assert lineage.missing(repository, [repository.resolve([head])[0].commit]) == [absent]
        shallow.git("fetch", "--quiet", "--depth=1", f"file://{gate.repo.path}", absent)
    assert lineage.missing(repository, [repository.resolve([head])[0].commit]) == []
    chain = Repository(str(gate.repo.path))
    assert lineage.missing(chain, [chain.resolve([head])[0].commit]) == []


def test_a_damaged_tree_is_no_results_commit(gate: Gate, ran: str) -> None:
    tree = gate.repo.git("rev-parse", f"{ran}:metrics")
    gate.repo.commit("results", {**LOCK, "metrics/new.json": "{}"})
    os.unlink(gate.repo.path / ".git/objects" / tree[:2] / tree[2:])
    result = gate.refuses()
    assert "cannot be compared" in result.commit["notes"][0]


def test_sha256(tmp_path: Path) -> None:
    with ClearMLServer() as server:
        gate = Gate(make_repo(tmp_path / "repo", options=("--object-format=sha256",)), server)
        gate.task()
        gate.repo.commit("results", LOCK)
        assert gate.accepts().commit["equivalence"] == "results"


# --- the hook


@pytest.fixture
def yard(tmp_path: Path) -> Iterator[Yard]:
    with ClearMLServer() as server, quick(make_yard(tmp_path, server)) as yard:
        yield yard.install()


def test_a_results_commit_is_pushed_with_one_request(yard: Yard) -> None:
    yard.repo.policy('results-paths = ["metrics/**"]')
    yard.task()
    yard.publish()
    yard.repo.commit("results", {**LOCK, "metrics/a.json": "{}"})
    yard.accepts("origin", "main", requests=1)
    yard.repo.commit("results", {"clearml.lock": "{}", "train.py": "print('better')"})
    yard.refuses("origin", "main")


def test_parent_and_results_in_one_push(yard: Yard) -> None:
    yard.task()
    yard.repo.git("branch", "code")
    yard.repo.commit("results", LOCK)
    yard.accepts("origin", "main", "code", requests=1)


def test_a_push_cannot_loosen_its_own_gate(yard: Yard) -> None:
    """The parent's policy allows it, but nobody has accepted that policy yet."""
    yard.publish()
    yard.repo.policy('results-paths = ["conf/**"]')
    yard.task()
    yard.repo.commit("results", {**LOCK, "conf/a.yaml": "rate: 1"})
    yard.refuses("origin", "main")
    yard.accepts("origin", "HEAD~1:refs/heads/main")
    yard.accepts("origin", "main")


def test_where_a_remote_check_is_required_that_of_the_parent_counts(gate: Gate) -> None:
    """No check ever saw the tree of a results commit: that of what ran is the one."""
    rules = Runnable(required=True, entry_point="train.py")
    ran = gate.repo.policy("[tool.git-clearml.runnable]", "required = true", 'entry-point = "train.py"')
    gate.task()
    gate.repo.commit("results", LOCK)
    assert gate.verify().status == 1
    tree = gate.repo.git("rev-parse", f"{ran}^{{tree}}")
    check = "c" * 32
    owner = Lease("h", 1, "s", "n", 0.0, tree, proofs.digest(rules), "", check)
    item = owners.to_property(owner, owners.CHECK)
    tags = [owners.TAG, owners.passed_tag(tree)]
    gate.server.add_task(id=check, status="stopped", tags=tags, hyperparams={"properties": {owners.CHECK: item}})
    result = gate.verify()
    assert (result.status, result.commit["equivalence"], len(result.calls)) == (0, "results", 2)
