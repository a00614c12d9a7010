"""Each forge, each kind of job, each verdict: the right commit judged, the right status, one comment or none and why.

The table of docs/ci.md is what this finds.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from itertools import cycle
from pathlib import Path

import pytest

from tests.support.forges import BITBUCKET, GITEA, GITHUB, GITLAB, KINDS, Kind
from tests.support.program import ROOT, Gate
from tests.support.sites import Site

STATES = {"completed": 0, "failed": 1, "in_progress": 4, "unknown": 3}
OUTCOMES = {0: "verified", 1: "rejected", 3: "undecided", 4: "pending"}
NAMES = {GITHUB: "GitHub", GITEA: "Gitea, Forgejo", GITLAB: "GitLab", BITBUCKET: "Bitbucket"}
ZEROS = "0" * 40
EVENTS = {
    GITHUB: (
        "a pull request", "one from a fork", "a push of its branch", "a tag", "the merge queue", "the merge, on main",
    ),
    GITEA: ("a pull request", "one from a fork", "a push of its branch", "a tag", "the merge, on main"),
    GITLAB: (
        "a merge request", "one from a fork", "a push of its branch", "a tag", "merged results", "a merge train",
        "the merge, on main",
    ),
    BITBUCKET: ("a pull request", "a push of its branch", "a tag", "the merge, on main"),
}  # fmt: skip


@dataclass
class World(Site):
    """A site whose clone has a remote of its own, and a merge of the head into main."""

    merge: str = ""

    def job(self, event: str) -> dict[str, str | None]:
        """The variables of such a job; before it, the forge is as the event leaves it."""
        fork = event == "one from a fork"
        self.server.add_pull(7, self.head, self.base, **({"fork": "stranger/project"} if fork else {}))
        self.server.read_only = fork
        if event == "a push of its branch":
            return self.push("refs/heads/topic", self.head, self.base)
        if event == "a tag":
            return self.push("refs/tags/v1", self.head, ZEROS)
        if event == "the merge, on main":
            self.server.pulls[7]["state"] = {GITLAB: "merged", BITBUCKET: "MERGED"}.get(self.kind, "closed")
            return self.push("refs/heads/main", self.merge, self.base)
        if event in ("the merge queue", "merged results", "a merge train"):
            return self.queued(self.merge, kind="merge_train" if event == "a merge train" else "merged_result")
        return self.request(fork=fork)


@pytest.fixture(params=KINDS, ids=lambda kind: kind.name)
def world(request: pytest.FixtureRequest, gate: Gate, tmp_path: Path) -> Iterator[World]:
    kind: Kind = request.param
    repo = gate.repo
    base = repo.head
    repo.git("checkout", "--quiet", "-b", "topic")
    head = repo.commit("change", {"train.py": "print('better')\n"})
    repo.git("checkout", "--quiet", "main")
    repo.git("merge", "--no-ff", "--quiet", "--no-edit", "topic")
    merge = repo.head
    bare = tmp_path / "remote.git"
    repo.git("clone", "--quiet", "--bare", str(repo.path), str(bare))
    for ref, name in (("refs/heads/main", base), ("refs/pull/7/head", head), ("refs/tags/v1", head)):
        repo.git("--git-dir", str(bare), "update-ref", ref, name)
    repo.git("remote", "set-url", "origin", f"file://{bare}")
    with kind.server() as server:
        yield World(gate, kind, server, tmp_path / "job", base, head, merge)


def row(world: World, event: str, states: Mapping[str, int]) -> str:
    """What comes of it, as a line of the table; all the same whatever the verdict."""
    lines = set()
    for state, status in states.items():
        world.server.comments.clear()
        world.gate.server.tasks.clear()
        env = world.job(event)
        env |= {"CLEARML_API_HOST": "http://127.0.0.1:1"} if state == "unknown" else {}
        for commit in {world.head, world.merge}:
            world.gate.task(commit=commit, status=state, repository=world.gate.repo.git("remote", "get-url", "origin"))
        first = world.gate.verify("--comment", env=env)
        assert (first.status, first.json["outcome"]) == (status, OUTCOMES[status]), (event, state, first.out, first.err)
        judged = {world.head: "the head", world.merge: "the merge"}[first.commit["commit"]]
        action = first.json["comment"]["action"]
        assert len(world.server.comments) == (action == "created"), (event, state, action)
        comment = "one" if world.server.comments else f"none: {first.json['notes'][-1]}"
        if action == "created" and state != "completed":
            world.server.calls.clear()
            second = world.gate.verify("--comment", env=env)
            assert (second.status, second.json["comment"]["action"]) == (status, "unchanged"), (event, state)
            assert world.server.writes() == []
        lines.add(f"| {NAMES[world.kind]} | {event} | {judged} | {comment.partition(';')[0]} |")
    (line,) = lines
    return line.replace(f" {world.head[:12]}", "").replace(f" {world.merge[:12]}", "")


@pytest.mark.parametrize("whole", [False, pytest.param(True, marks=pytest.mark.slow)])
def test_what_comes_of_each_job(whole: bool, world: World) -> None:
    """By default with two of the verdicts each, one after the other; with all of them in `make slow`."""
    documented = (ROOT / "docs" / "ci.md").read_text(encoding="utf-8").splitlines()
    others = cycle(list(STATES.items())[1:])
    for event in EVENTS[world.kind]:
        line = row(world, event, STATES if whole else dict([("completed", 0), next(others)]))
        assert line in documented, line
