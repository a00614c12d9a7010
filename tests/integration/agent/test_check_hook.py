"""An unpushed commit, every branch protected: the side ref goes through our hook, and through every other one."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.integration.hook.test_chain import given_to, uploaded, with_lfs
from tests.support.check_bench import Bench, bench
from tests.support.check_world import owner_of
from tests.support.pushing import NULL, recorder, refs_of, write_hook


@pytest.fixture
def work(tmp_path: Path) -> Iterator[Bench]:
    with bench(tmp_path / "work") as made:
        yield made


def test_git_lfs_uploads_and_the_branch_stays_refused(work: Bench) -> None:
    large = with_lfs(work.yard)
    work.yard.install()
    there: dict[str, str] = {}
    objects: set[str] = set()

    def look(world: object, task: str) -> None:
        there.update(refs_of(work.yard.remote))
        objects.update(uploaded(work.yard))

    work.world.on_launch = look
    work.check()
    assert there == {owner_of(work.world.task)["side_ref"]: work.repo_head}
    assert objects == {large}  # before the agent clones
    assert refs_of(work.yard.remote) == {}
    work.yard.refuses("origin", "main")
    work.yard.task()
    work.yard.accepts("origin", "main", moved=["refs/heads/main"])


def test_as_a_diff_a_large_file_cannot_go(work: Bench) -> None:
    work.yard.publish("main")
    with_lfs(work.yard)
    result = work.check("--as-diff", status=2)
    assert "hint: git clearml check-runnable" in result.err
    assert work.world.server.tasks == {}


def test_another_hook_sees_the_side_ref(work: Bench, tmp_path: Path) -> None:
    write_hook(work.yard.hook, recorder(tmp_path / "theirs"))
    work.yard.install()
    task = work.launched()
    _, lines = given_to(tmp_path / "theirs")  # of the last push, which deletes it
    assert lines == f"(delete) {NULL} {owner_of(task)['side_ref']} {work.repo_head}\n"


def test_another_hook_may_refuse_it(work: Bench, tmp_path: Path) -> None:
    write_hook(work.yard.hook, recorder(tmp_path / "theirs", status=5))
    work.yard.install()
    result = work.check(status=3)
    assert [error["code"] for error in result.json["errors"]] == ["publish-failed"]
    assert result.json["hint"] == "push the branch; a check does without: git clearml check-runnable --as-diff"
    _, lines = given_to(tmp_path / "theirs")
    assert lines.split()[1:4:2] == [work.repo_head, NULL]
    assert (work.world.server.tasks, refs_of(work.yard.remote)) == ({}, {})


def test_the_rule_is_for_side_refs_alone(work: Bench) -> None:
    work.yard.install()
    work.yard.refuses("origin", "main:refs/heads/git-clearml")
    work.yard.refuses("origin", "main:refs/heads/feature/git-clearml/x")
    work.yard.refuses("origin", "main:refs/heads/git-clearml/x", "main:refs/heads/y")
