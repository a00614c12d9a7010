"""Many tasks, many commits, long diffs: nothing is decided from a truncated list, and a pass stays one small answer."""

from __future__ import annotations

import re
import subprocess
import sys

import pytest

from tests.integration.verdict.test_lookalikes import AGENT, DIRTY, TASK_INIT
from tests.support import faults
from tests.support.clearml_server import REPOSITORY
from tests.support.program import Gate, process_environment
from tests.support.repos import YESTERDAY, Repo, fast_history, make_repo

HUGE = DIRTY + "+# padding of an uncommitted notebook\n" * 13_500  # 500 kB


def answer_bytes(gate: Gate) -> int:
    return sum(request.response_bytes for request in gate.server.requests)


@pytest.mark.slow
def test_more_than_500_good_tasks_at_a_commit(gate: Gate) -> None:
    best = gate.task(completed="2050-01-01T00:00:00.000000+00:00")
    for _ in range(1104):
        gate.task()
    commit = gate.accepts().commit
    assert commit["evidence"] == {"considered": 10, "accepted": 10}
    assert commit["task"]["id"] == best
    assert "there are more" in commit["notes"][-1]


def test_more_than_a_scroll_of_tasks(gate: Gate, monkeypatch: pytest.MonkeyPatch) -> None:
    """None of the latest counts: then all are looked at."""
    monkeypatch.setattr("git_clearml.clearml.query._SCROLL", 50)
    gate.repo.policy('task-name = "evaluate"')
    for _ in range(120):
        gate.task()
    gate.task(name="evaluate", completed="2001-01-01T00:00:00.000000+00:00")
    assert gate.accepts(requests=2).commit["evidence"] == {"considered": 121, "accepted": 1}
    monkeypatch.setattr("git_clearml.clearml.query.PAGE", 100)
    assert gate.accepts(requests=5).commit["evidence"] == {"considered": 121, "accepted": 1}


@pytest.mark.slow
def test_a_server_without_scrolls_is_paged(gate: Gate) -> None:
    gate.server.hook = lambda _, body: body.pop("scroll_id", None)
    gate.repo.policy('task-name = "evaluate"')
    for _ in range(1000):
        gate.task()
    gate.task(name="evaluate", completed="2001-01-01T00:00:00.000000+00:00")
    assert gate.accepts(requests=5).commit["evidence"]["considered"] == 1001


@pytest.fixture
def long_history(gate: Gate) -> list[str]:
    return fast_history(gate.repo, 500)


def test_500_commits_with_one_task_each(gate: Gate, long_history: list[str]) -> None:
    for commit in long_history:
        gate.task(commit=commit)
    report = gate.accepts(*long_history).json
    assert [commit["commit"] for commit in report["commits"]] == long_history
    assert {commit["evidence_commit"] == commit["commit"] for commit in report["commits"]} == {True}


@pytest.mark.slow
def test_500_commits_with_several_tasks_each(gate: Gate, long_history: list[str]) -> None:
    for number, commit in enumerate(long_history):
        gate.task(commit=commit, status="failed")
        gate.task(commit=commit, diff=DIRTY)
        gate.task(commit=commit, system_tags=["archived"])
        if number != 321:
            gate.task(commit=commit)
            gate.task(commit=commit)
    result = gate.verify(*long_history)
    outcomes = [commit["outcome"] for commit in result.json["commits"]]
    assert result.status == 1
    assert outcomes == ["rejected" if number == 321 else "verified" for number in range(500)]
    assert len(result.calls) == 3


def test_more_commits_than_a_pattern_holds_are_asked_for_by_their_first_digits(gate: Gate) -> None:
    *commits, last = fast_history(gate.repo, 502)
    for commit in commits:
        gate.task(commit=commit)
    gate.accepts(*commits, requests=1)
    gate.task(commit=last[:16] + "0" * 24)  # found by those digits, and not this commit
    assert gate.verify(*commits, last).status == 1


def test_the_worst_outcome_of_several_commits_decides(gate: Gate) -> None:
    good = gate.repo.head
    gate.task()
    running = gate.repo.commit("two")
    gate.task(status="in_progress")
    bad = gate.repo.commit("three")
    assert gate.verify(good, running).status == 4
    result = gate.verify(good, running, bad)
    assert (result.status, result.json["outcome"]) == (1, "rejected")
    assert [commit["outcome"] for commit in result.json["commits"]] == ["verified", "pending", "rejected"]
    assert len(result.calls) <= 3
    assert result.json["hint"] == "git clearml run -- python train.py"
    assert gate.verify(bad, good).json["hint"] == "git clearml run -- python train.py"
    other = gate.verify("HEAD~1", good).json["hint"]
    assert other == f"git clearml verify --wait {running[:12]}"


def test_a_rejected_commit_that_is_not_checked_out(gate: Gate) -> None:
    old = gate.repo.head
    gate.repo.commit("two")
    assert gate.verify(old).json["hint"] == f"git checkout {old[:12]} && git clearml run -- python train.py"


def test_the_same_commit_twice(gate: Gate) -> None:
    gate.task()
    gate.repo.git("tag", "again")
    report = gate.accepts("HEAD", "again", gate.repo.head).json
    assert [commit["commit"] for commit in report["commits"]] == [gate.repo.head] * 3


def test_twenty_huge_diffs_beside_the_good_task(gate: Gate) -> None:
    for _ in range(20):
        gate.task(diff=HUGE)
    gate.task()
    gate.accepts()
    assert answer_bytes(gate) < 64_000


def test_twenty_huge_diffs_alone(gate: Gate) -> None:
    for _ in range(20):
        gate.task(diff=HUGE)
    result = gate.refuses("dirty")
    assert result.messages[0] == "ran with uncommitted changes in train.py (+13504 -1)"


def test_thirty_long_diffs_alone(gate: Gate) -> None:
    for _ in range(30):
        gate.task(diff=HUGE)
    result = gate.refuses("diff-unknown")
    assert "no diff on record, or a diff of more than 20,000 characters" in result.messages[0]
    assert answer_bytes(gate) < 64_000


def test_long_and_absent_diffs_among_many_are_told_apart(gate: Gate) -> None:
    for _ in range(30):
        gate.task(diff=HUGE)
    gate.task(diff=None)
    by_agent = gate.task(diff=None, **AGENT)
    commit = gate.accepts(requests=4).commit
    assert commit["task"]["id"] == by_agent


def test_an_agents_tasks_with_long_diffs_are_not_taken_for_clean(gate: Gate) -> None:
    for _ in range(30):
        gate.task(diff=HUGE, **AGENT)
    assert "a diff of more than 20,000 characters" in gate.refuses("dirty", requests=4).messages[0]


def test_600_dirty_tasks_and_one_with_clearmls_own_lines(gate: Gate) -> None:
    for number in range(600):
        gate.task(diff=DIRTY + f"+{number}\n")
    good = gate.task(diff=TASK_INIT)
    assert gate.accepts(requests=4).commit["task"]["id"] == good  # a full page makes one more


def test_a_hash_never_matches_the_neighbours_in_one_query(gate: Gate) -> None:
    """The filter is a regular expression over all asked hashes; each task still counts for its own commit alone."""
    first = gate.repo.head
    gate.task()
    second = gate.repo.commit("two")
    result = gate.verify(first, second)
    assert [commit["outcome"] for commit in result.json["commits"]] == ["verified", "rejected"]


def test_a_sha256_repository(gate: Gate) -> None:
    modern = make_repo(gate.repo.path.parent / "modern", options=("--object-format=sha256",))
    assert len(modern.head) == 64
    gate.task(commit=modern.head, repository=REPOSITORY)
    inside = Gate(Repo(modern.path), gate.server)
    assert inside.accepts().commit["commit"] == modern.head
    modern.commit("two", {"train.py": "other"})
    inside.refuses()


def peak_megabytes(gate: Gate, *words: str, **env: str) -> tuple[int, float]:
    """The exit status of a process of its own, and the most memory it had.

    Started by a shell: Linux counts what the process that forks had, and that is all of pytest.
    """
    script = (
        "import resource, sys; from git_clearml.cli import main; status = main(sys.argv[1:]);"
        "print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024, file=sys.stderr); sys.exit(status)"
    )
    done = subprocess.run(
        ["sh", "-c", '"$@"; exit $?', "sh", sys.executable, "-c", script, *words],
        cwd=gate.repo.path,
        env=process_environment({**gate.server.env, **env}),
        capture_output=True,
        text=True,
        check=False,
    )
    return done.returncode, float(done.stderr.splitlines()[-1])


def test_memory_beside_huge_diffs(gate: Gate) -> None:
    for _ in range(20):
        gate.task(diff=HUGE)
    status, rejected = peak_megabytes(gate, "verify")
    assert (status, rejected < 100) == (1, True), rejected
    gate.task()
    status, passed = peak_megabytes(gate, "verify")
    assert (status, passed < 80) == (0, True), passed


def test_memory_under_an_endless_answer(gate: Gate) -> None:
    with faults.answering(faults.endless(200)) as server:
        host = f"http://127.0.0.1:{server.port}"
        status, peak = peak_megabytes(gate, "verify", CLEARML_API_HOST=host)
    assert (status, peak < 100) == (3, True), peak


def families(repo: Repo, count: int, size: int) -> list[list[str]]:
    """So many families of commits with one tree each, `size` commits in each; made by one git process."""
    who = "C. Committer <committer@example.com>"
    lines = []
    for number in range(count * size):
        lines += [f"commit refs/heads/families\ncommitter {who} {YESTERDAY + number} +0000\ndata 1\nx"]
        lines += [f"from {repo.head}"] if number == 0 else []
        lines += [f"M 100644 inline number.txt\ndata <<END\n{number // size}\nEND\n"]
    repo.git("fast-import", "--quiet", stdin="\n".join(lines))
    names = repo.git("rev-list", f"--max-count={count * size}", "families").splitlines()
    return [names[start : start + size] for start in range(0, len(names), size)]


def named_by(gate: Gate) -> list[set[str]]:
    """The commits, in full or by their first digits, that each question for tasks named."""
    patterns = [request.body["_all_"]["pattern"] for request in gate.server.requests if "_all_" in request.body]
    return [set(re.findall(r"[0-9a-f]{16,}", pattern)) for pattern in patterns]


def test_equal_commits_that_only_explain_are_named_where_there_is_room(gate: Gate) -> None:
    """150 refused commits have 450 equals, whose tasks cannot count: one question names 500 commits, and no more."""
    members = families(gate.repo, 150, 4)
    judged = [family[0] for family in members]
    dirty = gate.task(commit=judged[7], diff=DIRTY)
    result = gate.verify(*judged)
    assert [commit["near_misses"][0]["task"]["id"] for commit in result.json["commits"] if commit["near_misses"]] == [
        dirty
    ]
    passing, explaining, _ = named_by(gate)
    assert passing == set(judged)
    assert len(explaining) == 500
    assert set(judged) < explaining


def test_the_refused_commits_themselves_are_all_named(gate: Gate) -> None:
    judged = [family[0] for family in families(gate.repo, 520, 1)]
    last = gate.task(commit=judged[-1], diff=DIRTY)
    result = gate.verify(*judged)
    assert result.json["commits"][-1]["near_misses"][0]["task"]["id"] == last
    assert len(named_by(gate)[1]) == 520
