"""Tasks that look like evidence for a commit, and whether they are: design 6, rules 1 to 5, on a real repository."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timedelta, timezone
from typing import Any

import pytest

from tests.support.clearml_server import REPOSITORY
from tests.support.program import Gate

DIRTY = """\
diff --git a/train.py b/train.py
index 1111111..2222222 100644
--- a/train.py
+++ b/train.py
@@ -1 +1,4 @@
-print('training')
+print('1')
+print('2')
+print('3')
+print('4')
"""
TASK_INIT = """\
diff --git a/train.py b/train.py
--- a/train.py
+++ b/train.py
@@ -3,0 +4,4 @@
+try: from allegroai import Task
+except ImportError: from clearml import Task
+(__name__ != "__main__") or Task.init()
+
"""
REQUIREMENTS = """\
diff --git a/requirements.txt b/requirements.txt
--- a/requirements.txt
+++ b/requirements.txt
@@ -0,0 +1,1 @@
+clearml
"""
AGENT: dict[str, Any] = {"last_worker": "builder:0", "runtime": {"_exec_agent_hostname": "builder"}}
WITHOUT = "00000000000000000000000000000000"


def ago(**duration: float) -> datetime:
    return datetime.now(timezone.utc) - timedelta(**duration)


def test_a_clean_completed_task_verifies(gate: Gate) -> None:
    identity = gate.task(name="train one", project="Vision/Detector")
    commit = gate.accepts().commit
    assert commit["task"] == {
        "id": identity,
        "name": "train one",
        "project": "Vision/Detector",
        "status": "completed",
        "source": "server",
        "commit": gate.repo.head,
        "url": commit["task"]["url"],
    }
    assert commit["task"]["url"].startswith(gate.server.url + "/projects/")
    assert commit["task"]["url"].endswith(f"/experiments/{identity}/output/log")
    assert (commit["commit"], commit["evidence_commit"], commit["equivalence"]) == (gate.repo.head,) * 2 + ("commit",)
    assert commit["evidence"] == {"considered": 1, "accepted": 1}
    assert (commit["near_misses"], commit["notes"]) == ([], [])


def test_no_task_at_all(gate: Gate) -> None:
    gate.task(commit="a" * 40)
    result = gate.refuses()
    assert result.commit["evidence"] == {"considered": 0, "accepted": 0}
    assert result.json["hint"] == "git clearml run -- python train.py"
    assert "no ClearML task has run this commit" in gate.call("verify").out


def test_published_counts_and_says_that_its_success_is_not_on_record(gate: Gate) -> None:
    gate.task(status="published")
    assert gate.accepts().commit["notes"] == ["published: its success is not on record"]


def test_published_without_a_completion_time(gate: Gate) -> None:
    gate.task(status="published", completed=None)
    assert gate.refuses("published").messages == ["published without having completed"]


def test_published_under_a_policy_that_rejects_it(gate: Gate) -> None:
    gate.repo.policy('published = "reject"')
    gate.task(status="published")
    assert 'published = "reject"' in gate.refuses("published").messages[0]
    gate.task(status="completed")
    gate.accepts()


def test_dirty(gate: Gate) -> None:
    gate.task(diff=DIRTY)
    assert gate.refuses("dirty").messages == ["ran with uncommitted changes in train.py (+4 -1)"]


ENDED: list[tuple[str, str, str]] = [
    ("failed", "failed", "failed 12 minutes ago"),
    ("stopped", "stopped", "was stopped"),
    ("created", "created", "created, but never run"),
    ("closed", "closed", "closed, which says nothing about success"),
    ("quantum", "closed", "has the unknown status 'quantum'"),
]


def judged(gate: Gate, *tasks: dict[str, Any], verified: bool = False) -> list[dict[str, Any]]:
    """What one `verify` says of commits with one of these tasks each; all of them are verified, or none is."""
    commits = []
    for number, fields in enumerate(tasks):
        commits.append(gate.repo.commit(f"variation {number}", {"variation": f"{number} {verified}"}))
        gate.task(**fields)
    result = gate.verify(*commits)
    found: list[dict[str, Any]] = result.json["commits"]
    assert [each["outcome"] for each in found] == ["verified" if verified else "rejected"] * len(tasks), [
        (fields, task) for fields, task in zip(tasks, found, strict=True) if (task["outcome"] == "verified") != verified
    ]
    return found


def against(commit: dict[str, Any]) -> tuple[list[str], str]:
    """The codes against the nearest task, and the first message."""
    reasons = commit["near_misses"][0]["reasons"]
    return [reason["code"] for reason in reasons], reasons[0]["message"]


def test_a_task_that_did_not_complete(gate: Gate) -> None:
    tasks = [{"status": status, "last_update": ago(minutes=12.5)} for status, _, _ in ENDED]
    for commit, (_, code, message) in zip(judged(gate, *tasks), ENDED, strict=True):
        codes, told = against(commit)
        assert (codes, told.startswith(message)) == ([code], True)


@pytest.mark.parametrize(
    ("status", "fields", "message"),
    [
        ("in_progress", {"last_iteration": 310}, "still running, iteration 310"),
        ("in_progress", {}, "still running"),
        ("queued", {}, "still queued"),
    ],
)
def test_the_right_task_has_not_ended_yet(gate: Gate, status: str, fields: dict[str, Any], message: str) -> None:
    gate.task(status=status, **fields)
    result = gate.verify()
    assert (result.status, result.json["outcome"], result.json["exit_code"]) == (4, "pending", 4)
    assert result.messages == [message]
    assert result.codes == ["running" if status == "in_progress" else "queued"]
    assert result.json["hint"] == "git clearml verify --wait"
    assert len(result.calls) <= 3


def test_a_running_task_with_another_fault_is_not_pending(gate: Gate) -> None:
    gate.task(status="in_progress", diff=DIRTY)
    gate.refuses("running", "dirty")


@pytest.mark.parametrize("newer", [{"diff": DIRTY}, {"status": "in_progress"}])
def test_a_clean_task_older_than_a_bad_one(gate: Gate, newer: dict[str, Any]) -> None:
    good = gate.task(completed=ago(days=3), last_update=ago(days=3))
    gate.task(**newer)
    assert gate.accepts().commit["task"]["id"] == good


def test_archived(gate: Gate) -> None:
    gate.task(system_tags=["archived"])
    gate.refuses("archived")


PROJECTS: list[tuple[str | None, bool]] = [
    ("Vision/Detector", True),
    ("Vision/Detector/Nightly", True),
    ("Vision/Detector/Nightly/Deep", True),
    ("Vision/Detector2", False),
    ("My Vision/Detector", False),
    ("Vision/Detector 2/Vision/Detector", False),
    ("vision/detector", False),
    ("VisionXDetector", False),
    ("Vision", False),
    (None, False),
]


def test_projects(gate: Gate) -> None:
    gate.repo.policy('project = "Vision/Detector"')
    judged(gate, *({"project": project} for project, counts in PROJECTS if counts), verified=True)
    for commit in judged(gate, *({"project": project} for project, counts in PROJECTS if not counts)):
        assert against(commit)[0] == ["other-project"]


def test_a_project_whose_name_is_a_regular_expression(gate: Gate) -> None:
    gate.repo.policy('project = "a.c+[x]"')
    gate.task(project="abcc")
    gate.refuses("other-project")
    gate.task(project="a.c+[x]")
    gate.accepts()


def test_task_names(gate: Gate) -> None:
    gate.repo.policy('task-name = "train"')
    judged(gate, {"name": "train"}, verified=True)
    names = ("train 2", "Train", "re-train")
    for name, commit in zip(names, judged(gate, *({"name": name} for name in names)), strict=True):
        assert against(commit) == (["other-task-name"], f"is named {name!r}, not 'train'")


SAME: list[str] = [
    REPOSITORY,
    "https://example.com/team/project",
    "https://example.com/team/project/",
    "https://someone:s3cret@example.com/team/project.git",
    "https://EXAMPLE.com:443/team/project.git",
    "git@example.com:team/project.git",
    "ssh://git@example.com:2222/team/project",
    "example.com:team/project.git",
]


def test_the_same_repository_written_otherwise(gate: Gate) -> None:
    judged(gate, *({"repository": url} for url in SAME), verified=True)


OTHERS: list[str] = [
    "https://example.com/other/project.git",
    "https://example.com/team/project2.git",
    "https://example.com.evil.org/team/project.git",
    "https://example.com/Team/project.git",
    "git@example.org:team/project.git",
    "file:///somewhere/else",
]


def test_another_repository(gate: Gate) -> None:
    for url, commit in zip(OTHERS, judged(gate, *({"repository": url} for url in OTHERS)), strict=True):
        assert against(commit) == (["other-repository"], f"ran in another repository, {url!r}")


def test_credentials_in_a_repository_url_are_not_shown(gate: Gate) -> None:
    gate.task(repository="https://someone:s3cret@example.com/other.git")
    result = gate.refuses("other-repository")
    assert "s3cret" not in result.out + gate.call("verify").out


def test_this_clone_itself_is_its_own_repository(gate: Gate) -> None:
    gate.task(repository=f"file://{gate.repo.path}")
    gate.accepts()


def test_any_remote_of_the_clone_will_do(gate: Gate) -> None:
    gate.repo.git("remote", "add", "fork", "git@example.com:me/project.git")
    gate.repo.git("config", "url.https://mirror.example.com/.insteadOf", "https://example.com/")
    gate.task(repository="https://example.com/me/project")
    gate.accepts()
    gate.server.tasks.clear()
    gate.task(repository="https://mirror.example.com/team/project")
    gate.accepts()


def test_further_urls_that_the_policy_names(gate: Gate) -> None:
    gate.repo.policy('repositories = ["git@git.example.com:team/project.git", "https://old.example.com/project"]')
    gate.task(repository="https://old.example.com/project.git")
    gate.accepts()
    gate.server.tasks.clear()
    gate.task(repository="https://old.example.com/project2.git")
    gate.refuses("other-repository")


def test_no_repository_recorded(gate: Gate) -> None:
    gate.task(repository=None)
    gate.refuses("no-repository")
    gate.repo.policy("allow-no-repository = true")
    gate.task(repository=None)
    gate.accepts()


HAS: list[tuple[str, str]] = [
    ("train.py", "."),
    ("train.py", ""),
    ("train.py --epochs 3 --name 'a b'", "."),
    ("./train.py", "."),
    ("deep.py", "sub"),
    ("../train.py", "sub"),
    ("sub/deep.py", "."),
    ("-m pkg.mod", "."),
    ("-m pkg.mod --epochs 3", "."),
    ("-m pkg", "."),
    ("-m torch.distributed.run --nproc_per_node 2 train.py", "."),
    ("-m torch.distributed.launch --nproc_per_node 2 sub/deep.py", "."),
    ("-m accelerate.commands.launch pkg.mod", "."),
    ("with space.py", "."),
    ("'with space.py' --x", "."),
]


def test_entry_points_that_the_commit_has(gate: Gate) -> None:
    gate.repo.commit("more", dict.fromkeys(("sub/deep.py", "pkg/mod.py", "pkg/__main__.py", "with space.py"), ""))
    judged(gate, *({"entry_point": point, "working_dir": place} for point, place in HAS), verified=True)


LACKS: list[tuple[str | None, str | None]] = [
    ("ignored.py", "."),
    ("train.py", "sub"),
    ("sub", "."),
    ("../train.py", "."),
    ("../../train.py", "sub"),
    ("/train.py", "."),
    ("/usr/lib/python3/train.py", "."),
    ("train.py", "/"),
    ("", "."),
    (None, None),
    ("-m", "."),
    ("-m pkg.nothing", "."),
    ("-m pkg", "sub"),
    ("-m torch.distributed.run", "."),
    ("-m torch.distributed.run --nproc_per_node 2 ignored.py", "."),
    ("TRAIN.PY", "."),
    ("link.py", "."),
]


def test_entry_points_that_the_commit_does_not_have(gate: Gate) -> None:
    gate.repo.commit("more", {"sub/deep.py": "", "pkg/mod.py": "", ".gitignore": "ignored.py\n"})
    gate.repo.write({"ignored.py": "print('training')\n"})
    for commit in judged(gate, *({"entry_point": point, "working_dir": place} for point, place in LACKS)):
        assert against(commit)[0] == ["entry-point-missing"]


def test_an_absent_diff_counts_only_after_an_agent(gate: Gate) -> None:
    gate.task(diff=None)
    gate.refuses("diff-unknown")
    gate.task(diff=None, system_tags=["development"], **AGENT)
    gate.refuses("diff-unknown")
    gate.task(diff=None, last_worker="builder:0")
    gate.refuses("diff-unknown")
    by_agent = gate.task(diff=None, **AGENT)
    commit = gate.accepts(requests=3).commit
    assert commit["task"]["id"] == by_agent
    assert commit["notes"] == ["no diff on record; an agent ran it from its own checkout"]


@pytest.mark.parametrize("diff", ["", " \n\t\n"])
def test_an_empty_diff_is_clean(gate: Gate, diff: str) -> None:
    gate.task(diff=diff)
    gate.accepts(requests=3 if " " in diff else 1)


def test_what_clearml_itself_adds_is_clean_and_said_so(gate: Gate) -> None:
    diffs = (TASK_INIT, REQUIREMENTS, REQUIREMENTS + TASK_INIT, TASK_INIT.replace("train", "sub/x"))
    for commit in judged(gate, *({"diff": diff} for diff in diffs), verified=True):
        assert commit["notes"] == ["its diff is only ClearML's own Task.init and requirements lines"]


DIRTY_DIFFS: list[tuple[str, str]] = [
    (TASK_INIT + DIRTY, "train.py (+8 -1)"),
    (TASK_INIT.replace("Task.init()", "Task.init() or evil()"), "train.py (+4 -0)"),
    (TASK_INIT + "+import evil\n", "train.py (+5 -0)"),
    ("# WARNING! git diff too large to store, clear this section to execute without it\n", "too large"),
    ("# Repository modified, but no git diff could be extracted\n", "could not extract"),
    ("from clearml import Task\nTask.init()\nprint('the whole script')\n", "a whole script"),
    ("\x1b[1mdiff --git a/x.py b/x.py\x1b[m\n@@ -1 +1 @@\n-a\n+b\n", "x.py (+1 -1)"),
    ("diff --git a/w.bin b/w.bin\nBinary files a/w.bin and b/w.bin differ\n", "w.bin (binary)"),
    ("Submodule lib 1111111..2222222:\n  > change\n", "lib (submodule)"),
]


def test_other_diffs_are_dirty(gate: Gate) -> None:
    found = judged(gate, *({"diff": diff} for diff, _ in DIRTY_DIFFS))
    for commit, (_, words) in zip(found, DIRTY_DIFFS, strict=True):
        codes, told = against(commit)
        assert (codes, words in told) == (["dirty"], True), told
    assert "\x1b" not in gate.call("verify", *(commit["commit"] for commit in found)).out


RESEMBLING: list[Callable[[str], str]] = [
    lambda commit: commit + "0",
    lambda commit: "0" + commit,
    lambda commit: commit[:39],
    lambda commit: commit[:12],
    lambda commit: commit.upper(),
    lambda commit: commit + "-dirty",
    lambda commit: commit + "\n",
    lambda commit: f" {commit}",
    lambda _: "",
]


def test_a_hash_that_only_resembles_ours(gate: Gate) -> None:
    for change in RESEMBLING:
        assert change(gate.repo.head) != gate.repo.head
        gate.task(commit=change(gate.repo.head), project="Elsewhere", entry_point="other.py")
    refused = gate.refuses("other-commit")
    assert refused.commit["evidence"]["considered"] == 0
    shown = [miss["reasons"] for miss in refused.commit["near_misses"]]
    assert {reason["code"] for each in shown for reason in each} == {"other-commit"}
    said = "".join(reason["message"] for each in shown for reason in each)
    assert said.count("which is not a full hash (git rev-parse HEAD)") == len(shown) == len(RESEMBLING) - 2


def test_a_task_that_lost_its_commit_is_a_near_miss(gate: Gate) -> None:
    gate.task(commit=None, name="lost")
    gate.task(commit=None, entry_point="untracked.py")
    result = gate.refuses("no-commit")
    assert "vcs_repo_detect_async" in result.messages[0]
    assert [miss["task"]["name"] for miss in result.commit["near_misses"]] == ["lost"]


def test_a_chosen_task_that_recorded_no_commit(gate: Gate) -> None:
    lost = gate.task(commit=None)
    assert "ClearML lost it" in gate.refuses("no-commit", words=("--task", lost)).messages[0]


def for_branch(gate: Gate, branch: str = "main", status: str = "queued", **fields: Any) -> str:
    """A task as `clearml-task --branch` makes it: its agent will say which commit it has run."""
    return gate.task(commit=None, diff=None, status=status, script__branch=branch, **fields)


@pytest.mark.parametrize(("status", "place"), [("queued", "local"), ("in_progress", "remote")])
def test_a_task_that_will_run_the_tip_of_a_branch_is_pending(gate: Gate, status: str, place: str) -> None:
    if place == "remote":
        gate.repo.git("update-ref", "refs/remotes/origin/main", "HEAD")
        gate.repo.git("checkout", "--quiet", "--detach")
        gate.repo.git("branch", "--quiet", "--delete", "--force", "main")
    task = for_branch(gate, status=status)
    result = gate.verify()
    assert (result.status, result.json["outcome"]) == (4, "pending")
    assert result.codes == ["running" if status == "in_progress" else "queued"]
    assert result.json["hint"] == "git clearml verify --wait"
    assert len(result.calls) <= 3
    gate.server.tasks[task]["script"] |= {"version_num": gate.repo.head, "diff": ""}  # its agent has started it
    gate.server.tasks[task] |= {"status": "completed", "completed": ago(minutes=1).isoformat()}
    gate.accepts()


@pytest.mark.parametrize("status", ["queued", "in_progress"])
def test_an_agent_runs_where_a_branch_is_on_the_remote_not_where_it_is_here(gate: Gate, status: str) -> None:
    pushed = gate.repo.head
    gate.repo.git("update-ref", "refs/remotes/origin/main", pushed)
    gate.repo.commit("refused by the hook so far")
    for_branch(gate, status=status)
    result = gate.verify()
    assert (result.status, result.json["outcome"]) == (1, "rejected"), "waiting would never make it a pass"
    assert f"which is at {pushed[:12]}" in result.messages[0]
    assert gate.verify(pushed).json["outcome"] == "pending"


@pytest.mark.parametrize(
    ("branch", "fields", "code"),
    [
        ("old", {}, "no-commit"),
        ("nowhere", {}, "no-commit"),
        ("ma*", {}, "no-commit"),
        ("../heads/main", {}, "no-commit"),
        ("main", {"repository": "https://example.com/another.git"}, "other-repository"),
        ("main", {"status": "created"}, "no-commit"),
        ("main", {"status": "failed"}, "no-commit"),
        ("", {}, "no-commit"),
    ],
)
def test_a_task_that_will_run_something_else(gate: Gate, branch: str, fields: dict[str, Any], code: str) -> None:
    gate.repo.git("branch", "old")
    gate.repo.commit("next")
    for_branch(gate, branch, **fields)
    result = gate.verify()
    assert (result.status, result.json["outcome"]) == (1, "rejected")
    assert code in result.codes
    if branch == "old":
        at = gate.repo.git("rev-parse", "old")[:12]
        assert f"will run what the branch 'old' is at when it starts, which is at {at}" in result.messages[0]


def test_a_task_for_a_branch_of_another_project(gate: Gate) -> None:
    gate.repo.policy('project = "Ours"')
    for_branch(gate)
    assert gate.verify().status == 1


@pytest.mark.parametrize(("equivalence", "is_for_branch"), [("tree", True), ("paths", False)])
def test_what_is_equal_and_has_not_ended_is_pending(gate: Gate, equivalence: str, is_for_branch: bool) -> None:
    gate.repo.policy(f'equivalence = "{equivalence}"', 'code-paths = ["train.py"]')
    gate.repo.git("update-ref", "refs/remotes/origin/old", "HEAD")
    task = for_branch(gate, "old") if is_for_branch else gate.task(status="queued")
    gate.repo.git("commit", "--quiet", "--amend", "--message", "said better")
    if equivalence == "paths":
        gate.repo.commit("words", {"README.md": "more"})
    assert gate.verify().json["outcome"] == "pending"
    assert gate.verify("--equivalence", "commit").status == 1
    gate.repo.commit("code", {"train.py": "more"})
    assert gate.verify().status == 1
    gate.server.tasks[task]["status"] = "failed"
    assert gate.verify("HEAD^").status == 1


@pytest.mark.parametrize("bad", [{"system_tags": ["archived"]}, {"diff": DIRTY}])
def test_600_bad_tasks_in_front_of_the_one_good_one(gate: Gate, bad: dict[str, Any]) -> None:
    good = gate.task(last_update=ago(days=3), completed=ago(days=3))
    for _ in range(600):
        gate.task(**bad)
    assert gate.accepts().commit["task"]["id"] == good


def test_every_reason_against_a_task_is_given(gate: Gate) -> None:
    gate.repo.policy('project = "Ours"', 'task-name = "train"')
    gate.task(
        name="x-y",
        project="Theirs",
        status="failed",
        diff=DIRTY,
        repository="",
        entry_point="no.py",
        system_tags=["archived"],
    )
    gate.refuses(
        "failed", "dirty", "entry-point-missing", "archived", "other-project", "other-task-name", "no-repository"
    )


def test_near_misses_come_best_first_and_at_most_ten(gate: Gate) -> None:
    for _ in range(12):
        gate.task(status="created")
    gate.task(status="failed", name="a failed one")
    gate.task(diff=DIRTY, name="a dirty one")
    gate.task(status="failed", diff=DIRTY)
    result = gate.refuses("dirty")
    misses = result.commit["near_misses"]
    assert [miss["task"]["name"] for miss in misses[:2]] == ["a dirty one", "a failed one"]
    assert len(misses) == 10
    assert result.commit["evidence"]["considered"] == 15
    assert "and 5 more" in gate.call("verify").out


def test_of_several_good_tasks_the_latest_and_how_many(gate: Gate) -> None:
    gate.task(completed=ago(days=2))
    latest = gate.task(completed=ago(hours=1))
    gate.task(completed=ago(days=1))
    commit = gate.accepts().commit
    assert (commit["task"]["id"], commit["evidence"]["accepted"]) == (latest, 3)
    assert "(of 3 that count)" in gate.call("verify").out


@pytest.mark.parametrize(("direction", "expected"), [("max", "high"), ("min", "low")])
def test_of_several_good_tasks_the_one_with_the_best_metric(gate: Gate, direction: str, expected: str) -> None:
    gate.repo.policy("[tool.git-clearml.best]", 'metric = "val/acc/top1"', f'direction = "{direction}"')
    for name, value in (("low", 0.25), ("high", 0.75), ("diverged", 0.0)):
        gate.task(name=name, metrics={"val": {"acc/top1": value if name != "diverged" or direction == "min" else -1.0}})
    gate.task(name="without", completed=ago(days=-1))
    assert gate.accepts().commit["task"]["name"] == expected


def test_task_chooses_one(gate: Gate) -> None:
    chosen = gate.task(completed=ago(days=2))
    dirty = gate.task(diff=DIRTY)
    gate.task()
    assert gate.accepts("--task", chosen).commit["task"]["id"] == chosen
    refused = gate.refuses("dirty", words=["--task", dirty])
    assert refused.commit["evidence"] == {"considered": 1, "accepted": 0}
    unknown = gate.refuses(words=["--task", WITHOUT]).commit
    assert (unknown["near_misses"], unknown["notes"]) == ([], [f"there is no task {WITHOUT}"])
    page = f"{gate.server.url}/projects/*/experiments/{chosen}/output/log"
    assert gate.accepts("--task", page).commit["task"]["id"] == chosen
    assert gate.accepts("--task", chosen[:8], requests=2).commit["task"]["id"] == chosen
    assert gate.call("verify", "--task", "0" * 8).status == 1
    gate.task(id=f"{chosen[:8]}{'0' * 24}")
    assert gate.call("verify", "--task", chosen[:8]).status == 2
    other = gate.task(commit="b" * 40, diff=DIRTY, status="failed")
    elsewhere = gate.refuses("other-commit", words=["--task", other])
    assert elsewhere.messages == [f"ran another commit, {'b' * 12}"]
