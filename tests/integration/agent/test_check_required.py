"""A passed check is remembered for the tree, and policy may want one: verify, the hook, push and verify in CI."""

from __future__ import annotations

import json
import shutil
import stat
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from git_clearml.forge import calls
from tests.integration.forge.test_comment import Bench as PullBench
from tests.support.actions import Job, pull_request
from tests.support.apart import Apart
from tests.support.check_bench import ENDS_AT_ONCE, KEYS, Bench, bench
from tests.support.clearml_http import CALLS
from tests.support.github_server import GitHubServer
from tests.support.program import Result
from tests.support.pushing import bare, recorder, refs_of, write_hook

REQUIRED = ("[tool.git-clearml.runnable]", "required = true")
PUSH = ("git", "clearml", "push")
FAILS = ((0.0, "pull"), (0.0, "fail"))
ASKED_ONLY = ("tasks.get_all_ex",)


@pytest.fixture
def work(tmp_path: Path) -> Iterator[Bench]:
    with bench(tmp_path / "work") as made:
        yield made


@pytest.fixture
def strict(work: Bench) -> Bench:
    """Its policy wants a passed check; the commit has been run."""
    work.yard.repo.policy(*REQUIRED)
    work.yard.task()
    return work


def launches(work: Bench, *words: str) -> bool:
    """Does a check with these words launch a task? It has to pass either way."""
    result = work.check(*words)
    assert result.json["outcome"] == "runnable"
    assert result.json["earlier"] == ("tasks.create" not in result.calls)
    return "tasks.create" in result.calls


# --- the same tree again ----------------------------------------------------------------------------------------------


def test_the_same_tree_is_not_checked_again(work: Bench) -> None:
    first = work.check().json
    result = work.check()
    assert result.calls == ASKED_ONLY
    assert (result.json["earlier"], result.json["task"], result.json["url"]) == (True, first["task"], first["url"])
    assert "has passed before (--force checks again)" in result.json["sentence"]
    assert len(work.world.server.tasks) == 1
    assert refs_of(work.yard.remote) == {}


def test_nor_another_commit_of_the_tree(work: Bench) -> None:
    assert launches(work)
    work.yard.repo.git("commit", "--amend", "--quiet", "-m", "another word")
    assert not launches(work)
    work.yard.repo.commit("empty")
    assert not launches(work)
    work.yard.repo.commit("files", {"main.py": "print('other')\n"})
    assert launches(work)


def test_unless_it_is_wanted(work: Bench) -> None:
    assert launches(work)
    assert launches(work, "--force")


def test_another_thing_to_run_is_another_check(work: Bench) -> None:
    """Which ones are: unit/clearml/test_lease.py."""
    work.world.server.add_worker("w1", ["default", "gpu"])
    assert launches(work)
    for words in (("--queue", "gpu"), ("--packages", "torch numpy")):
        assert launches(work, *words), words
        assert not launches(work, *words), words
    assert not launches(work)


def test_names_and_times_make_no_other_check(work: Bench) -> None:
    assert launches(work)
    assert not launches(
        work, "--project", "Other", "--task-name", "other", "--queue-timeout", "7", "--archive", "never"
    )


def test_what_did_not_pass_is_not_on_record(work: Bench) -> None:
    work.world.story = FAILS
    work.check(status=1)
    work.world.story = ENDS_AT_ONCE
    assert launches(work)


def proof(work: Bench) -> str:
    """The task that proves HEAD, after a check."""
    assert launches(work)
    return str(work.world.task["id"])


def test_a_clone_of_the_proof_proves_nothing(work: Bench) -> None:
    task = proof(work)
    store = work.world.server.store
    copy = CALLS["tasks.clone"](store, {"task": task})["id"]
    assert store.tasks[copy]["tags"] == store.tasks[task]["tags"]
    CALLS["tasks.delete"](store, {"task": task, "force": True})
    store.tasks[copy]["status"] = "completed"
    assert launches(work)


def test_a_tag_alone_proves_nothing(work: Bench) -> None:
    tree = work.yard.repo.git("rev-parse", "HEAD^{tree}")
    work.world.server.add_task(commit=work.repo_head, tags=["git-clearml-check", f"git-clearml-runnable-{tree}"])
    assert launches(work)


@pytest.mark.parametrize("missing", ["git-clearml-check", "git-clearml-runnable-"])
def test_without_its_tags_it_proves_nothing(missing: str, work: Bench) -> None:
    task = work.world.server.tasks[proof(work)]
    task["tags"] = [tag for tag in task["tags"] if not tag.startswith(missing)]
    assert launches(work)


def test_the_tag_of_another_tree_proves_nothing(work: Bench) -> None:
    """Put on a task that has proved something else."""
    task = work.world.server.tasks[proof(work)]
    work.yard.repo.commit("new", {"main.py": "print('new')\n"})
    tree = work.yard.repo.git("rev-parse", "HEAD^{tree}")
    task["tags"].append(f"git-clearml-runnable-{tree}")
    assert launches(work)


@pytest.mark.parametrize(("status", "proves"), [("created", False), ("published", True)])
def test_a_proof_that_was_reset_proves_nothing(status: str, proves: bool, work: Bench) -> None:
    work.world.server.tasks[proof(work)]["status"] = status
    assert launches(work) != proves


def test_one_proof_among_many_is_found(work: Bench) -> None:
    """A page of the server has 500 tasks."""
    task = work.world.server.tasks[proof(work)]
    for _ in range(600):
        work.world.server.add_task(status="stopped", tags=list(task["tags"]))
    work.world.again()
    result = work.check()
    assert (result.json["earlier"], result.json["task"]) == (True, task["id"])
    assert len(result.calls) == 2


# --- verify -----------------------------------------------------------------------------------------------------------


def test_verify_wants_what_the_policy_wants(strict: Bench) -> None:
    result = strict.gate.verify()
    assert (result.status, result.json["outcome"]) == (1, "rejected")
    assert result.json["hint"] == "git clearml check-runnable"
    assert result.commit["notes"] == ["the task 'train' counts; the policy also wants a passed check-runnable"]
    assert (result.commit["task"], result.commit["near_misses"]) == (None, [])
    assert len(result.calls) == 2
    text = strict.gate.call("verify")
    assert text.out.splitlines()[0] == f"rejected {strict.repo_head[:12]} (HEAD): not proved to run on an agent"
    assert text.out.splitlines()[-1] == "next: git clearml check-runnable"


def test_verify_is_content_after_a_check(strict: Bench) -> None:
    strict.check()
    result = strict.gate.verify()
    assert (result.status, result.json["outcome"], len(result.calls)) == (0, "verified", 2)


def test_verify_never_asks_the_clones_memory(strict: Bench) -> None:
    strict.check()
    strict.world.server.tasks.pop(strict.world.task["id"])
    assert strict.gate.verify().status == 1


def test_a_check_of_something_else_is_not_the_one(strict: Bench) -> None:
    strict.world.server.add_worker("w1", ["default", "gpu"])
    strict.check("--queue", "gpu")
    strict.check("--packages", "torch")
    assert strict.gate.verify().status == 1


def test_a_commit_that_nobody_has_run_is_rejected_for_that(work: Bench) -> None:
    work.yard.repo.policy(*REQUIRED)
    work.check()
    result = work.gate.verify()
    assert (result.status, result.json["hint"]) == (1, "git clearml run -- python main.py")


def test_of_several_commits_each_needs_its_check(strict: Bench) -> None:
    strict.check()
    first = strict.repo_head
    strict.yard.repo.commit("new", {"main.py": "print('new')\n"})
    strict.yard.task()
    result = strict.gate.verify(first, "HEAD")
    assert [commit["outcome"] for commit in result.json["commits"]] == ["verified", "rejected"]
    assert len(result.calls) == 2
    assert result.json["hint"] == "git clearml check-runnable"
    assert strict.gate.verify(first).status == 0
    strict.yard.repo.git("checkout", "--quiet", first)
    assert (
        strict.gate.verify("main").json["hint"]
        == f"git clearml check-runnable {result.json['commits'][1]['commit'][:12]}"
    )


def test_a_server_that_does_not_tell_is_undecided(strict: Bench) -> None:
    own, count = strict.world.server._answer, [0]

    def answer(path: str, authorization: str | None, body: Any, lines: bool) -> tuple[int, Any]:
        count[0] += 1
        return own(path, authorization, body, lines) if count[0] == 1 else (200, {})

    strict.world.server._backend.answer = answer  # type: ignore[method-assign]
    result = strict.gate.verify()
    assert (result.status, result.json["outcome"], result.errors) == (3, "undecided", ["bad-answer"])


def test_without_a_server_it_cannot_be_known(strict: Bench, tmp_path: Path) -> None:
    result = strict.gate.verify("--evidence", "offline")
    assert result.status in (1, 3)
    assert result.json["outcome"] != "verified"


# --- the hook ---------------------------------------------------------------------------------------------------------


def memory(work: Bench) -> Path:
    return work.yard.repo.path / ".git" / "clearml" / "runnable"


def forget(work: Bench) -> None:
    shutil.rmtree(memory(work), ignore_errors=True)
    work.yard.forget()


def test_the_hook_wants_it_too(strict: Bench) -> None:
    strict.yard.install()
    pushed = strict.yard.refuses("origin", "main", requests=2)
    assert "not proved to run on an agent" in pushed.said
    assert "next: git clearml push" in pushed.said
    assert not memory(strict).exists()


def test_the_hook_knows_of_the_clones_own_checks(strict: Bench) -> None:
    strict.yard.install()
    strict.check()
    (file,) = memory(strict).iterdir()
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert strict.yard.repo.git("rev-parse", "HEAD^{tree}") not in file.read_text() + file.name
    strict.yard.accepts("origin", "main", moved=["refs/heads/main"], requests=1)


def test_else_it_asks_the_server_once(strict: Bench) -> None:
    strict.yard.install()
    strict.check()
    forget(strict)
    strict.yard.accepts("origin", "main", requests=2)
    assert len(list(memory(strict).iterdir())) == 1
    strict.yard.forget()  # the verdict, not the check
    strict.yard.accepts("origin", "main:refs/heads/two", requests=1)


def test_in_ci_it_always_asks_the_server(strict: Bench) -> None:
    strict.yard.install()
    strict.check()
    strict.world.server.tasks.pop(strict.world.task["id"])
    pushed = strict.yard.refuses("origin", "main", requests=2, env={"CI": "true"})
    assert "not proved" in pushed.said
    strict.yard.accepts("origin", "main", requests=1)  # by hand the memory counts, for a day


def test_a_check_in_ci_is_not_remembered_in_the_clone(strict: Bench) -> None:
    strict.yard.repo.default_branch(strict.yard.repo.head)
    strict.check(env={"CI": "true"})
    assert not memory(strict).exists()


@pytest.mark.parametrize("damage", [b"\xff", b'{"key": "x", "verified": 9e99}'])
def test_a_damaged_memory_is_none(damage: bytes, strict: Bench) -> None:
    strict.yard.install()
    strict.check()
    (file,) = memory(strict).iterdir()
    file.write_bytes(damage)
    strict.yard.accepts("origin", "main", requests=2)


def test_the_memory_is_of_one_thing_to_run(strict: Bench) -> None:
    strict.yard.install()
    strict.world.server.add_worker("w1", ["default", "gpu"])
    strict.check("--queue", "gpu")
    strict.check("--packages", "torch")
    assert len(list(memory(strict).iterdir())) == 2
    strict.yard.refuses("origin", "main", requests=2)


def test_a_branch_that_wants_none_gets_none(work: Bench) -> None:
    work.yard.install().task()
    work.yard.accepts("origin", "main", requests=1)
    assert not memory(work).exists()


# --- push -------------------------------------------------------------------------------------------------------------


@pytest.fixture
def pushing(strict: Bench, apart: Apart) -> Bench:
    """Here `git clearml push` is a process of its own."""
    strict.yard.at_hand = apart
    return strict


def test_push_checks_and_pushes(pushing: Bench) -> None:
    pushing.yard.install()
    pushing.world.again()
    pushed = pushing.yard.push("origin", "main", command=PUSH)
    assert pushed.status == 0, pushed.said
    assert set(pushed.moved) == {"refs/heads/main"}
    assert f"runnable {pushing.repo_head[:12]}: the task completed" in pushed.out
    assert pushed.calls.count("tasks.create") == 1
    assert f"verified {pushing.repo_head[:12]} (main)" in pushed.err
    again = pushing.yard.push("origin", "main:refs/heads/two", command=PUSH)
    assert (again.status, "tasks.create" in again.calls) == (0, False)


def test_a_dry_run_of_a_push_launches_nothing(pushing: Bench) -> None:
    pushed = pushing.yard.push("-fn", "origin", "main", command=PUSH)
    assert (pushed.status, pushed.moved, pushing.world.mine) == (1, {}, [])
    assert "next: git clearml push" in pushed.said


@pytest.mark.parametrize("by", ["name", "url"])
def test_the_agent_gets_it_from_where_it_is_pushed_to(by: str, pushing: Bench, tmp_path: Path) -> None:
    """Not from origin, which nobody named, and which may be public."""
    private, told = bare(tmp_path / "private.git"), tmp_path / "told"
    write_hook(pushing.yard.remote.path / "hooks" / "pre-receive", recorder(told))
    if by == "name":
        pushing.yard.repo.git("remote", "add", "private", str(private.path))
    else:
        pushing.yard.repo.git("remote", "remove", "origin")
        pushing.yard.task(repository=str(private.path))
    pushed = pushing.yard.push("private" if by == "name" else str(private.path), "main", command=PUSH)
    assert pushed.status == 0, pushed.said
    assert pushing.world.task["script"]["repository"] == f"file://{private.path}"
    assert refs_of(private) == {"refs/heads/main": pushing.repo_head}
    assert [path.name for path in tmp_path.glob("told*")] == []


def test_what_is_committed_during_a_check_is_not_pushed(pushing: Bench) -> None:
    """A check takes minutes, and git push would push whatever the branch is by then."""
    checked = pushing.repo_head

    def commit(*_: object) -> None:
        if pushing.repo_head == checked:
            pushing.yard.repo.commit("nobody has run this", {"main.py": "print('new')\n"})

    pushing.world.on_launch = commit
    pushed = pushing.yard.push("origin", "main", command=PUSH)
    assert (pushed.status, pushed.moved) == (3, {})
    assert "has changed during the check, so nothing was pushed" in pushed.err


@pytest.mark.slow
def test_push_does_not_push_what_does_not_run(pushing: Bench) -> None:
    pushing.world.story = FAILS
    pushing.world.again()
    pushed = pushing.yard.push("origin", "main", command=PUSH)
    assert (pushed.status, pushed.moved) == (1, {})
    assert f"failed {pushing.repo_head[:12]}: the task failed" in pushed.out


def test_push_checks_nothing_that_would_not_be_pushed(pushing: Bench) -> None:
    pushing.yard.repo.git("branch", "good")
    pushing.yard.repo.commit("nobody has run this", {"main.py": "print('new')\n"})
    pushed = pushing.yard.push("origin", "good", "main", command=PUSH)
    assert (pushed.status, pushed.moved, "tasks.create" in pushed.calls) == (1, {}, False)


def test_push_checks_by_the_policy_that_judges(pushing: Bench) -> None:
    """The remote's: a commit that names another queue for itself is checked on the one that is wanted there."""
    pushing.check()
    pushing.yard.publish("main")
    pushing.yard.repo.git("fetch", "--quiet", "origin")
    pushing.yard.install()
    pushing.world.server.add_worker("w1", ["default", "gpu"])
    pushing.yard.repo.policy(*REQUIRED, 'queue = "gpu"')
    pushing.yard.task()
    pushing.check()
    refused = pushing.yard.refuses("origin", "main", requests=2)
    assert "next: git clearml push" in refused.said
    pushing.world.again()
    pushed = pushing.yard.push("origin", "main", command=PUSH)
    assert (pushed.status, set(pushed.moved)) == (0, {"refs/heads/main"}), pushed.said
    task = pushing.world.task
    assert pushing.world.server.store.queues[task["execution"]["queue"]]["name"] == "default"


def test_without_workers_nothing_is_pushed(pushing: Bench) -> None:
    pushing.world.server.store.workers.clear()
    pushed = pushing.yard.push("origin", "main", command=PUSH)
    assert (pushed.status, pushed.moved) == (3, {})
    assert "queue 'default' has no active workers" in pushed.out


# --- verify --check-runnable ------------------------------------------------------------------------------------------


def verify(work: Bench, *words: str) -> Result:
    work.world.again()
    result = work.gate.verify("--check-runnable", *words)
    assert result.json["exit_code"] == result.status
    return result


def test_verified_and_runnable(work: Bench) -> None:
    work.yard.task()
    result = verify(work)
    assert (result.status, result.json["outcome"]) == (0, "verified")
    check = result.json["check_runnable"]
    assert set(check) == set(KEYS)
    assert (check["outcome"], check["exit_code"], check["commit"]) == ("runnable", 0, work.repo_head)
    assert result.calls.index("tasks.create") > 0  # the verdict first
    again = verify(work)
    assert (again.json["check_runnable"]["earlier"], "tasks.create" in again.calls) == (True, False)


def test_the_status_is_the_worst(work: Bench) -> None:
    work.yard.task()
    work.world.story = FAILS
    result = verify(work)
    assert (result.status, result.json["outcome"], result.json["check_runnable"]["outcome"]) == (
        1,
        "verified",
        "failed",
    )
    assert result.json["hint"] == result.json["check_runnable"]["hint"]
    work.world.server.store.workers.clear()
    result = verify(work)
    assert (result.status, result.json["check_runnable"]["outcome"]) == (3, "no-worker")


def test_both_are_shown_in_order(work: Bench) -> None:
    work.yard.task()
    work.world.story = FAILS
    for form, first, second in (("text", "verified ", "failed "), ("markdown", "### ✅ ", "Remote check")):
        work.world.again()
        result = work.gate.call("verify", "--check-runnable", "--format", form)
        assert result.status == 1
        assert 0 <= result.out.index(first) < result.out.index(second)
        assert result.out.count("git clearml open ") == 1


def test_quiet_does_not_hide_a_check_that_failed(work: Bench) -> None:
    work.yard.task()
    work.world.story = FAILS
    work.world.again()
    result = work.gate.call("verify", "--check-runnable", "--quiet")
    assert (result.status, f"failed {work.repo_head[:12]}: the task failed" in result.out) == (1, True)
    work.world.story = ENDS_AT_ONCE
    work.world.again()
    result = work.gate.call("verify", "--check-runnable", "--quiet")
    assert (result.status, result.out, result.err) == (0, "", "")


@pytest.mark.parametrize(("status", "code"), [("failed", 1), ("in_progress", 4)])
def test_what_is_not_verified_is_not_checked(status: str, code: int, work: Bench) -> None:
    work.yard.task(status=status)
    result = verify(work)
    assert (result.status, result.json["check_runnable"], "tasks.create" in result.calls) == (code, None, False)
    text = work.gate.call("verify", "--check-runnable")
    assert "check-runnable was left out: the commit is" in text.out


def test_what_lacks_nothing_but_the_check_is_checked_and_judged_again(strict: Bench) -> None:
    result = verify(strict)
    assert (result.status, result.json["outcome"]) == (0, "verified")
    assert result.json["check_runnable"]["outcome"] == "runnable"
    assert result.commit["task"]["name"] == "train"


def test_a_failed_check_leaves_it_rejected(strict: Bench) -> None:
    strict.world.story = FAILS
    result = verify(strict)
    assert (result.status, result.json["outcome"], result.json["check_runnable"]["outcome"]) == (
        1,
        "rejected",
        "failed",
    )


def test_a_dry_run_launches_nothing(work: Bench) -> None:
    work.yard.task()
    result = work.gate.call("verify", "--check-runnable", "--dry-run")
    assert (result.status, "tasks.create" in result.calls) == (0, False)
    assert "would check that the commit runs on an agent" in result.out


def test_one_commit_at_a_time(work: Bench) -> None:
    work.yard.repo.commit("two")
    result = work.gate.verify("--check-runnable", "HEAD", "HEAD~1")
    assert (result.status, result.errors, result.calls) == (2, ["usage"], ())


def test_a_bad_setting_is_known_before_anything_is_launched(work: Bench) -> None:
    work.yard.repo.policy("[tool.git-clearml.runnable]", 'args = ["epochs"]')
    work.yard.task()
    result = work.gate.verify("--check-runnable")
    assert (result.status, result.errors) == (2, ["bad-setting"])


# --- on a pull request ------------------------------------------------------------------------------------------------

BEST = ("[tool.git-clearml.best]", 'metric = "loss/train"', 'direction = "min"')


@pytest.fixture
def pull(work: Bench, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[PullBench]:
    """Pull request 7 of HEAD, whose branch the remote has."""
    monkeypatch.setattr(calls, "TRIES", 2)
    monkeypatch.setattr(calls, "BACKOFF_SECONDS", 0.01)
    repo = work.yard.repo
    base = repo.policy(*BEST)
    head = repo.commit("change", {"main.py": "print('better')\n"})
    work.yard.publish("main")
    with GitHubServer() as github:
        github.add_pull(7, head, base)
        job = Job(tmp_path / "job", event=pull_request(7, head, base), api=github.url)
        yield PullBench(work.gate, github, job, base)


def in_ci(work: Bench, pull: PullBench, *words: str) -> Result:
    work.world.again()
    result = pull.gate.verify("--check-runnable", *words, env=pull.job.env)
    assert result.json["exit_code"] == result.status
    return result


def test_the_comment_and_the_job_tell_of_the_check(work: Bench, pull: PullBench) -> None:
    work.yard.task(metrics={"loss": {"train": 0.1}})
    result = in_ci(work, pull, "--comment")
    assert (result.status, result.json["check_runnable"]["outcome"]) == (0, "runnable"), result.err
    for page in (pull.ours(), pull.job.summary):
        assert page.index("### ✅ Verified") < page.index("Runs on an agent")
    assert pull.job.outputs["check-runnable"] == "runnable"


def test_a_failed_check_is_told_there(work: Bench, pull: PullBench) -> None:
    work.yard.task(metrics={"loss": {"train": 0.1}})
    work.world.story = FAILS
    result = in_ci(work, pull, "--comment")
    assert (result.status, result.json["outcome"]) == (1, "verified")
    for page in (pull.ours(), pull.job.summary):
        assert "❌ Remote check" in page
        assert "the task failed" in page
    assert pull.job.outputs["check-runnable"] == "failed"
    assert "::error" in result.err


def test_the_best_tag_is_not_moved_to_what_does_not_run(work: Bench, pull: PullBench) -> None:
    task = work.yard.task(metrics={"loss": {"train": 0.1}})
    work.world.story = FAILS
    result = in_ci(work, pull, "--tag-best", "--tag-unmerged")
    assert (result.status, result.json["compare"]["tagged"]) == (1, False)
    assert "Best Performance" not in work.world.server.tasks[task]["tags"]
    work.world.story = ENDS_AT_ONCE
    result = in_ci(work, pull, "--tag-best", "--tag-unmerged")
    assert (result.status, result.json["compare"]["tagged"]) == (0, True)
    assert "Best Performance" in work.world.server.tasks[task]["tags"]


def test_nothing_secret_is_published(work: Bench, pull: PullBench) -> None:
    """Not even where the script prints our credentials into its log."""
    secret = work.world.server.secret_key
    log = {"type": "log", "msg": f"Starting Task Execution:\nconnecting with {secret}\n", "timestamp": 1}
    work.yard.task(metrics={"loss": {"train": 0.1}})
    work.world.story = FAILS
    work.world.on_launch = lambda world, task: world.server.store.events.setdefault(task, []).append(
        {**log, "task": task}
    )
    result = in_ci(work, pull, "--comment")
    assert result.status == 1
    pages = pull.ours() + pull.job.summary + pull.job.written + json.dumps(result.json)
    assert secret not in pages + result.err
    assert "connecting with" in pull.ours()
