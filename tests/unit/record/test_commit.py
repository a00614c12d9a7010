"""What of a results commit needs no git: which tasks have results, its message, and what is on record already."""

from __future__ import annotations

from dataclasses import replace

from git_clearml.clearml.model import Result
from git_clearml.git.remote import Remote
from git_clearml.git.remote_branch import RemoteBranch
from git_clearml.model import Metric
from git_clearml.record.commit import covers, message, no_results
from git_clearml.record.lockfile import Lock
from git_clearml.record.model import RecordOptions
from tests.support.builders import HASH, OTHER_HASH

RESULT = Result("a" * 32, "train", status="completed", metrics=(Metric("validation", "accuracy", 0.9, 0.5, 0.9),))
OTHER = replace(RESULT, task="b" * 32)


def test_only_tasks_that_ended_well_have_results() -> None:
    assert no_results([RESULT, replace(OTHER, status="published")]) == ""
    for status in ("failed", "stopped", "in_progress", "queued", "created", "closed"):
        assert (
            no_results([RESULT, replace(OTHER, status=status)]) == f"task {OTHER.task} is {status}, which is no result"
        )
    assert no_results([replace(RESULT, status="")]) == f"task {RESULT.task} is in no known state, which is no result"
    assert no_results([]) == "there is no task, which is no result"


def test_the_message() -> None:
    text = "T\u00e4glich: better\nwrapped\n\nWhy so.\n\nSigned-off-by: A <a@example.com>"
    options = RecordOptions(suffix="-done", skip_ci=True)
    wanted = "T\u00e4glich: better\nwrapped-done\n\nWhy so.\n\nSigned-off-by: A <a@example.com>\n\n[skip ci]\n"
    assert message(HASH, text, options) == wanted
    assert message(HASH, "", RecordOptions()) == f"{HASH[:12]}-results\n"


def test_what_a_lock_says_already() -> None:
    lock = Lock(HASH, (RESULT, OTHER))
    assert covers(lock, HASH, [RESULT])
    assert covers(lock, HASH, [OTHER, RESULT])
    assert not covers(None, HASH, [RESULT])
    assert not covers(Lock(HASH, (RESULT,)), OTHER_HASH, [RESULT])
    assert not covers(lock, HASH, [replace(RESULT, status="published")])
    assert not covers(lock, HASH, [replace(RESULT, task="c" * 32)])


def test_a_branch_of_a_url_is_named_without_its_password() -> None:
    target = RemoteBranch(Remote("", "https://me:hunter22@example.com/project.git"), "main", HASH)
    assert target.shown == "main of https://example.com/project.git"
