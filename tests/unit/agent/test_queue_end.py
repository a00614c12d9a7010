"""How a run on a queue ended: what its log says of its tests, and whether the task itself is over."""

from __future__ import annotations

from git_clearml.agent import queue_end
from git_clearml.agent.watch import Watch, run_end
from git_clearml.clearml.model import TaskState


def test_the_summary_of_a_test_session() -> None:
    lines: tuple[str, ...]
    for lines, expected in (
        (("x", "===== 3 passed, 1 skipped in 0.10s ====="), "3 passed, 1 skipped in 0.10s"),
        (("===== 1 passed in 1s =====", "===== 2 failed in 0.10s =====", "x"), "2 failed in 0.10s"),
        (("===== no tests ran in 0.01s =====",), "no tests ran in 0.01s"),
        (("Ran 3 tests in 0.001s", "", "FAILED (failures=1)"), "Ran 3 tests in 0.001s: FAILED (failures=1)"),
        (("Ran 1 test in 0.1s", "", "OK"), "Ran 1 test in 0.1s: OK"),
        (("OK", "Ran 1 test in 0.1s"), ""),
        (("===== warnings summary =====", "OK"), ""),
        ((), ""),
    ):
        assert queue_end.test_summary(lines) == expected


def test_a_task_is_over_when_it_has_ended_itself() -> None:
    """Not when the waiting has, nor when the server was unavailable: then it may still run."""
    for status in ("completed", "failed", "stopped", "closed", "published", "created", ""):
        for seen, is_over in (
            (Watch(0.0, TaskState(status)), True),
            (Watch(999.0, TaskState(status), 9.0, 9.0, 1.0), False),
        ):
            end = run_end(seen, 3600.0)
            assert end is not None
            assert end.over is is_over
    late = run_end(Watch(0.0, TaskState("in_progress"), 9.0, 9.0), 18.0)
    assert late is not None
    assert (late.status, late.over) == (4, False)
