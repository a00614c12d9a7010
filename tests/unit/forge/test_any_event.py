"""Whatever stands in the event file of a CI job: a job about full hashes and single lines, or an error of ours."""

from __future__ import annotations

import contextlib
import json
import tempfile
from dataclasses import fields
from pathlib import Path
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from git_clearml.base.ids import is_hash
from git_clearml.errors import Error
from git_clearml.forge.current_job import detect
from tests.support.actions import Job, pull_request, repository
from tests.support.odd_json import JSON, spoilt

HEAD, BASE, MERGE = "a" * 40, "b" * 40, "c" * 40
RUN = {"head_sha": HEAD, "head_branch": "topic", "event": "push", "id": 1, "html_url": "https://github.com/x",
       "pull_requests": [{"number": 7, "head": {"sha": HEAD, "ref": "topic"}, "base": {"sha": BASE, "ref": "main"}}],
       "head_repository": repository("stranger/copy")}  # fmt: skip
EVENTS: list[tuple[str, dict[str, Any]]] = [
    ("pull_request", pull_request(7, HEAD, BASE)),
    ("pull_request_target", pull_request(7, HEAD, BASE, fork="stranger/copy")),
    ("push", {"ref": "refs/heads/main", "before": BASE, "after": HEAD, "repository": repository()}),
    ("merge_group", {"merge_group": {"head_sha": HEAD, "base_sha": BASE, "head_ref": "refs/heads/gh-readonly-queue/"
                     "main/pr-7-" + HEAD, "base_ref": "refs/heads/main"}, "repository": repository()}),
    ("workflow_run", {"workflow_run": RUN, "repository": repository()}),
    ("issue_comment", {"issue": {"number": 7, "pull_request": {}}, "repository": repository()}),
    ("workflow_dispatch", {"ref": "refs/heads/topic", "repository": repository()}),
]  # fmt: skip


@given(
    st.sampled_from(EVENTS),
    st.integers(0, 1000),
    JSON | st.just("gone"),
    st.sampled_from([{}, {"GITEA_ACTIONS": "true"}]),
)
def test_anything_in_one_place(event: tuple[str, Any], where: int, value: Any, more: dict[str, str]) -> None:
    name, document = event
    with tempfile.TemporaryDirectory() as directory:
        job = Job(Path(directory) / "job", name, document, sha=MERGE, more=more)
        env = {key: value for key, value in job.env.items() if value is not None}
        Path(env["GITHUB_EVENT_PATH"]).write_text(json.dumps(spoilt(document, where, value)), encoding="utf-8")
        found = None
        with contextlib.suppress(Error):
            found = detect(env)
    if found is None:
        return
    for commit in (found.head, found.base, found.checked_out, found.status_commit):
        assert commit == "" or is_hash(commit)
    assert type(found.number) is int
    assert found.number >= 0
    for field in fields(found):
        text = getattr(found, field.name)
        assert not isinstance(text, str) or not set("\n\0") & set(text), field.name
