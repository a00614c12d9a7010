"""Which commit, base and pull request a CI job is about, and what it writes for the job."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from git_clearml.base.sanitize import without_commands
from git_clearml.errors import BadAnswer, Error, PublishFailed, UsageError
from git_clearml.forge import outputs as ci_outputs
from git_clearml.forge.current_job import detect
from git_clearml.forge.job import Job as CIJob
from git_clearml.forge.outputs import annotation, write_outputs, write_summary
from tests.support.actions import Job, pull_request, repository

HEAD, BASE, MERGE, ZERO = "a" * 40, "b" * 40, "c" * 40, "0" * 40
DEFAULT = "refs/heads/main"


def context(tmp_path: Path, name: str, event: Any, **more: str) -> CIJob:
    job = Job(tmp_path / "job", name, event, sha=MERGE, more=more)
    found = detect({key: value for key, value in job.env.items() if value is not None})
    assert found is not None
    return found


def test_outside_of_ci_there_is_none() -> None:
    assert detect({}) is None
    assert detect({"CI": "false", "GITHUB_ACTIONS": "", "JENKINS_URL": "", "COMMIT_ID": HEAD}) is None


@pytest.mark.parametrize("name", ["pull_request", "pull_request_target", "pull_request_review"])
def test_a_pull_request(tmp_path: Path, name: str) -> None:
    found = context(tmp_path, name, pull_request(7, HEAD, BASE))
    assert (found.provider, found.event, found.number) == ("github", name, 7)
    assert (found.head, found.base, found.checked_out, found.status_commit) == (HEAD, BASE, MERGE, "")
    assert (found.head_branch, found.base_branch, found.default_branch) == ("topic", "main", "main")
    assert (found.is_fork, found.is_push_to_base) == (False, False)
    assert found.repository == "team/project"
    assert "https://github.com/team/project.git" in found.head_urls


def test_a_fork(tmp_path: Path) -> None:
    found = context(tmp_path, "pull_request", pull_request(7, HEAD, BASE, fork="stranger/copy"))
    assert (found.is_fork, found.head_owner) == (True, "stranger")
    assert found.head_urls[0] == "https://github.com/stranger/copy.git"


def test_a_fork_that_was_deleted(tmp_path: Path) -> None:
    event = pull_request(7, HEAD, BASE)
    event["pull_request"]["head"]["repo"] = None
    found = context(tmp_path, "pull_request", event)
    assert (found.is_fork, found.head_urls) == (True, ())


@pytest.mark.parametrize(
    ("ref", "before", "base", "to_base"),
    [
        ("refs/heads/main", BASE, BASE, True),
        ("refs/heads/topic", BASE, BASE, False),
        ("refs/heads/topic", ZERO, "", False),
        ("refs/heads/main", ZERO, "", True),
        ("refs/tags/main", ZERO, "", False),
        ("refs/heads/x/refs/heads/main", ZERO, "", False),
    ],
)
def test_a_push(tmp_path: Path, ref: str, before: str, base: str, to_base: bool) -> None:
    event = {"ref": ref, "before": before, "after": HEAD, "repository": repository()}
    found = context(tmp_path, "push", event)
    assert (found.head, found.base, found.is_push_to_base) == (HEAD, base, to_base)
    assert found.base_ref == ("" if base or to_base else DEFAULT)
    assert (found.number, found.deletes, found.is_tag) == (0, False, ref.startswith("refs/tags/"))


@pytest.mark.parametrize("ref", ["refs/heads/main", "refs/heads/topic", "refs/tags/v1"])
def test_a_deletion(tmp_path: Path, ref: str) -> None:
    event = {"ref": ref, "before": BASE, "after": ZERO, "deleted": True, "repository": repository()}
    found = context(tmp_path, "push", event)
    assert (found.head, found.deletes, found.base, found.base_ref) == ("", True, "", DEFAULT)
    named = context(tmp_path, "push", event, COMMIT_ID=HEAD)
    assert (named.head, named.deletes) == (HEAD, False)
    assert context(tmp_path, "delete", {"ref": "v1", "ref_type": "tag", "repository": repository()}).deletes


def test_a_merge_group_judges_the_pull_requests_head(tmp_path: Path) -> None:
    event = {
        "repository": repository(),
        "merge_group": {
            "head_sha": HEAD,
            "head_ref": f"refs/heads/gh-readonly-queue/release/1.0/pr-104-{BASE}",
            "base_sha": BASE,
            "base_ref": "refs/heads/release/1.0",
        },
    }
    found = context(tmp_path, "merge_group", event)
    assert (found.number, found.head, found.head_ref) == (104, "", "refs/pull/104/head")
    assert (found.base, found.base_branch, found.status_commit) == (BASE, "release/1.0", HEAD)
    event["merge_group"]["head_ref"] = "refs/heads/elsewhere"
    found = context(tmp_path, "merge_group", event)
    assert (found.number, found.head, found.head_ref) == (0, "", "")


@pytest.mark.parametrize(
    ("ref", "base"), [("refs/heads/topic", ""), ("refs/heads/main", MERGE), ("refs/tags/main", ""), ("", "")]
)
@pytest.mark.parametrize("name", ["workflow_dispatch", "schedule", "create"])
def test_what_runs_on_a_ref(tmp_path: Path, name: str, ref: str, base: str) -> None:
    found = context(tmp_path, name, {"repository": repository(), "inputs": None}, GITHUB_REF=ref)
    assert (found.head, found.base, found.base_ref, found.number) == (MERGE, base, DEFAULT, 0)
    assert found.is_push_to_base is False


def test_an_event_that_does_not_tell_the_default_branch(tmp_path: Path) -> None:
    """Then the remote is asked: no branch is taken for the accepted one."""
    found = context(tmp_path, "schedule", {"schedule": "0 5 * * *"}, GITHUB_REF="refs/heads/main")
    assert (found.head, found.base, found.base_ref) == (MERGE, "", "HEAD")


ABOUT: dict[str, Any] = {
    "check_suite": {"check_suite": {"head_sha": HEAD, "head_branch": "topic", "pull_requests": []}},
    "check_run": {"check_run": {"head_sha": HEAD, "check_suite": {"head_branch": "topic"}}},
    "deployment": {"deployment": {"sha": HEAD, "ref": "topic"}, "check_run": {"head_sha": BASE}},
    "deployment_status": {"deployment": {"sha": HEAD}, "workflow_run": {"head_sha": BASE}},
    "status": {"sha": HEAD, "state": "success", "branches": []},
}


@pytest.mark.parametrize("name", ABOUT)
def test_events_about_a_commit(tmp_path: Path, name: str) -> None:
    """Never the commit that is checked out, nor that of another event whose object stands beside it."""
    found = context(tmp_path, name, {**ABOUT[name], "repository": repository()}, GITHUB_REF=DEFAULT)
    assert (found.head, found.base, found.base_ref, found.number) == (HEAD, "", DEFAULT, 0)
    assert found.is_push_to_base is False


@pytest.mark.parametrize("name", ["check_suite", "check_run"])
def test_a_check_of_a_pull_request(tmp_path: Path, name: str) -> None:
    other, ours = ({"number": n, "head": {"sha": head}, "base": {"sha": BASE, "ref": "release"}}
                   for n, head in ((6, MERGE), (7, HEAD)))  # fmt: skip
    event = {name: {**ABOUT[name][name], "pull_requests": [other, ours]}, "repository": repository()}
    found = context(tmp_path, name, event)
    assert (found.head, found.base, found.base_ref, found.base_branch, found.number) == (HEAD, BASE, "", "release", 7)


@pytest.mark.parametrize("name", ["check_suite", "check_run", "workflow_run"])
def test_a_pull_request_of_another_repository_says_nothing_here(tmp_path: Path, name: str) -> None:
    """Whoever has a fork opens one there, of our commit onto a branch whose policy is their own."""
    other, ours = ({"number": n, "head": {"sha": HEAD}, "base": {"sha": base, "ref": "x", "repo": {
        "id": n, "url": f"https://api.github.com/repos/{owner}/project", "name": "project"}}}
        for n, base, owner in ((6, MERGE, "stranger"), (7, BASE, "Team")))  # fmt: skip
    event = {name: {"head_sha": HEAD, "head_branch": "topic", "pull_requests": [other]}, "repository": repository()}
    found = context(tmp_path, name, event)
    assert (found.head, found.base, found.base_ref, found.number) == (HEAD, "", DEFAULT, 0)
    event[name]["pull_requests"].append(ours)
    found = context(tmp_path, name, event)
    assert (found.base, found.base_ref, found.number) == (BASE, "", 7)


def test_a_release_is_about_its_tag(tmp_path: Path) -> None:
    event = {"release": {"tag_name": "v1/x", "target_commitish": "main"}, "repository": repository()}
    found = context(tmp_path, "release", event, GITHUB_REF="refs/tags/v1/x")
    assert (found.head, found.head_ref, found.base_ref) == (MERGE, "refs/tags/v1/x", DEFAULT)
    assert context(tmp_path, "release", event, GITHUB_REF=DEFAULT).head == ""


def test_a_comment_on_a_pull_request(tmp_path: Path) -> None:
    """The event tells its number alone. GITHUB_SHA is the default branch's."""
    event = {"issue": {"number": 7, "pull_request": {"url": "x"}}, "comment": {}, "repository": repository()}
    found = context(tmp_path, "issue_comment", event, GITHUB_REF=DEFAULT)
    assert (found.number, found.head, found.head_ref, found.base, found.base_ref) == (7, "", "", "", "")


@pytest.mark.parametrize("name", ["issue_comment", "issues", "repository_dispatch", "gollum", "", "new_event"])
def test_an_event_about_no_commit(tmp_path: Path, name: str) -> None:
    event = {"issue": {"number": 7}, "client_payload": {"sha": HEAD}, "repository": repository()}
    found = context(tmp_path, name, event, GITHUB_REF=DEFAULT)
    assert (found.number, found.head, found.head_ref, found.base_ref) == (0, "", "", DEFAULT)
    assert context(tmp_path, name, event, COMMIT_ID=HEAD).head == HEAD


def run(**fields: Any) -> Any:
    given = {"event": "pull_request", "head_sha": HEAD, "head_branch": "topic", "head_repository": repository()}
    return {"repository": repository(), "workflow_run": {**given, "pull_requests": [], **fields}}


def test_a_workflow_run(tmp_path: Path) -> None:
    pulls = [{"number": 7, "head": {"sha": HEAD}, "base": {"sha": BASE, "ref": "main"}}]
    found = context(tmp_path, "workflow_run", run(pull_requests=pulls))
    assert (found.number, found.head, found.base, found.is_fork) == (7, HEAD, BASE, False)
    moved_on = [{"number": 7, "head": {"sha": MERGE}, "base": {"sha": BASE, "ref": "main"}}]
    assert context(tmp_path, "workflow_run", run(pull_requests=moved_on)).number == 0
    fork = context(tmp_path, "workflow_run", run(head_repository=repository("stranger/copy"), head_branch="main"))
    assert (fork.number, fork.is_fork, fork.base_ref) == (0, True, "refs/heads/main")
    assert (fork.head_owner, fork.is_push_to_base) == ("stranger", False)


def test_a_workflow_run_after_a_push_to_the_default_branch(tmp_path: Path) -> None:
    assert context(tmp_path, "workflow_run", run(event="push", head_branch="main")).is_push_to_base
    assert not context(tmp_path, "workflow_run", run(event="push")).is_push_to_base
    fork = run(event="push", head_branch="main", head_repository=repository("stranger/copy"))
    assert not context(tmp_path, "workflow_run", fork).is_push_to_base


# --- COMMIT_ID ---------------------------------------------------------------------------------------------------


def test_commit_id_names_the_commit(tmp_path: Path) -> None:
    other = "d" * 40
    assert context(tmp_path, "pull_request", pull_request(7, HEAD, BASE), COMMIT_ID=other.upper()).head == other
    assert context(tmp_path, "pull_request", pull_request(7, HEAD, BASE), COMMIT_ID="").head == HEAD
    assert context(tmp_path, "pull_request", pull_request(7, HEAD, BASE), COMMIT_ID="e" * 64).head == "e" * 64


@pytest.mark.parametrize(("named", "to_base"), [(HEAD, True), ("d" * 40, False)])
def test_another_commit_than_the_pushed_one_is_not_on_the_base_branch(
    tmp_path: Path, named: str, to_base: bool
) -> None:
    event = {"ref": DEFAULT, "before": BASE, "after": HEAD, "repository": repository()}
    assert context(tmp_path, "push", event, COMMIT_ID=named).is_push_to_base is to_base


@pytest.mark.parametrize("value", ["HEAD", "abc", "a" * 39, "g" * 40, "a" * 40 + ";x", ZERO])
def test_a_malformed_commit_id(tmp_path: Path, value: str) -> None:
    with pytest.raises(UsageError, match="COMMIT_ID"):
        context(tmp_path, "pull_request", pull_request(7, HEAD, BASE), COMMIT_ID=value)


# --- an event file that lies, or is none -------------------------------------------------------------------------

GOOD = json.dumps(pull_request(7, HEAD, BASE)).encode()


@pytest.mark.parametrize(
    "content", [b"", b"null", b"[]", b'"x"', b"\xff\xfe", GOOD[:-5], b"[" * 100_000, b"{}" * 2, b"NaN"]
)
def test_an_event_file_that_is_none(tmp_path: Path, content: bytes) -> None:
    with pytest.raises(BadAnswer) as caught:
        context(tmp_path, "pull_request", content)
    assert caught.value.hint


@pytest.mark.parametrize("path", ["", "/nowhere/event.json", "/", "a\0b"])
def test_a_missing_event_file(path: str) -> None:
    with pytest.raises(BadAnswer) as caught:
        detect({"GITHUB_ACTIONS": "true", "GITHUB_EVENT_NAME": "push", "GITHUB_EVENT_PATH": path})
    assert "GITHUB_EVENT_PATH" in caught.value.message + caught.value.hint


def test_a_huge_event_file(tmp_path: Path) -> None:
    file = tmp_path / "event.json"
    with open(file, "wb") as made:
        made.truncate(40_000_000)
    with pytest.raises(BadAnswer, match="32 MB"):
        detect({"GITHUB_ACTIONS": "true", "GITHUB_EVENT_PATH": str(file)})


ODD: list[Any] = [None, 3, 3.5, True, "", "x", "-->\n::error::", [], [1], {}, {"sha": 1}, "a" * 41]


def _places(value: Any, path: tuple[str, ...] = ()) -> list[tuple[str, ...]]:
    if not isinstance(value, dict):
        return [path]
    return [path, *(place for key, inner in value.items() for place in _places(inner, (*path, key)))]


@pytest.mark.parametrize("name", ["pull_request", "push", "merge_group", "workflow_run", "check_run", "issue_comment"])
def test_wrong_types_anywhere_are_an_error_of_ours_or_harmless(tmp_path: Path, name: str) -> None:
    """Every field of every event, replaced by everything odd: a context, or our error. Never a crash."""
    event: Any = {
        "pull_request": pull_request(7, HEAD, BASE),
        "push": {"ref": "refs/heads/x", "before": BASE, "after": HEAD, "repository": repository()},
        "merge_group": {
            "merge_group": {"head_sha": HEAD, "head_ref": "x", "base_sha": BASE, "base_ref": "x"},
            "repository": repository(),
        },
        "check_run": {"check_run": {"head_sha": HEAD, "pull_requests": []}, "repository": repository()},
        "issue_comment": {"issue": {"number": 7, "pull_request": {}}, "repository": repository()},
        "workflow_run": run(pull_requests=[{"number": 7, "head": {"sha": HEAD}, "base": {"sha": BASE, "ref": "m"}}]),
    }[name]
    for place in _places(event)[1:]:
        for odd in ODD:
            changed = json.loads(json.dumps(event))
            inner = changed
            for key in place[:-1]:
                inner = inner[key]
            inner[place[-1]] = odd
            found = _read(tmp_path, name, changed)
            if isinstance(found, Error):
                assert found.hint
                assert "\n" not in found.message
            else:
                assert "\n" not in found.head + found.base + found.head_branch + found.base_branch


def _read(tmp_path: Path, name: str, event: Any) -> CIJob | Error:
    try:
        return context(tmp_path, name, event)
    except Error as error:
        return error


# --- GitLab ------------------------------------------------------------------------------------------------------

GITLAB = {
    "GITLAB_CI": "true",
    "CI_COMMIT_SHA": HEAD,
    "CI_DEFAULT_BRANCH": "main",
    "CI_PROJECT_PATH": "team/project",
    "CI_PROJECT_URL": "https://gitlab.com/team/project",
    "CI_PIPELINE_URL": "https://gitlab.com/team/project/-/pipelines/1",
}


def test_a_gitlab_merge_request() -> None:
    more = {
        "CI_PIPELINE_SOURCE": "merge_request_event",
        "CI_MERGE_REQUEST_IID": "12",
        "CI_MERGE_REQUEST_DIFF_BASE_SHA": BASE,
        "CI_MERGE_REQUEST_TARGET_BRANCH_NAME": "main",
        "CI_MERGE_REQUEST_SOURCE_BRANCH_NAME": "topic",
        "CI_MERGE_REQUEST_SOURCE_BRANCH_SHA": "",
        "CI_MERGE_REQUEST_SOURCE_PROJECT_ID": "2",
        "CI_MERGE_REQUEST_PROJECT_ID": "1",
        "CI_MERGE_REQUEST_SOURCE_PROJECT_URL": "https://gitlab.com/stranger/copy",
    }
    found = detect({**GITLAB, **more})
    assert found is not None
    assert (found.provider, found.number, found.head, found.base) == ("gitlab", 12, HEAD, BASE)
    assert (found.is_fork, found.head_urls) == (True, ("https://gitlab.com/stranger/copy",))
    merged = detect({**GITLAB, **more, "CI_MERGE_REQUEST_SOURCE_BRANCH_SHA": MERGE})
    assert merged is not None
    assert (merged.head, merged.checked_out) == (MERGE, HEAD)


@pytest.mark.parametrize("source", ["push", "web", "schedule"])
def test_a_gitlab_job_that_does_not_tell_the_default_branch(source: str) -> None:
    """Then the remote is asked: the policy of the commit itself never judges because something was not told."""
    push = {"CI_PIPELINE_SOURCE": source, "CI_COMMIT_BRANCH": "topic", "CI_COMMIT_BEFORE_SHA": ZERO}
    found = detect({**GITLAB, **push, "CI_DEFAULT_BRANCH": ""})
    assert found is not None
    assert (found.head, found.base, found.base_ref) == (HEAD, "", "HEAD")


@pytest.mark.parametrize("source", ["push", "parent_pipeline"])
@pytest.mark.parametrize(("branch", "to_base"), [("main", True), ("topic", False)])
def test_a_gitlab_push(branch: str, to_base: bool, source: str) -> None:
    """A child pipeline of a push judges by what was there before, too, and never by the policy that was pushed."""
    push = {"CI_PIPELINE_SOURCE": source, "CI_COMMIT_BRANCH": branch, "CI_COMMIT_BEFORE_SHA": BASE}
    found = detect({**GITLAB, **push})
    assert found is not None
    assert (found.head, found.base, found.is_push_to_base) == (HEAD, BASE, to_base)
    new = detect({**GITLAB, **push, "CI_COMMIT_BEFORE_SHA": ZERO})
    assert new is not None
    assert (new.base, new.base_ref) == ("", "" if to_base else DEFAULT)


# --- what a job can show -----------------------------------------------------------------------------------------


def test_the_summary_is_appended_and_capped(tmp_path: Path) -> None:
    file = tmp_path / "summary.md"
    env = {"GITHUB_STEP_SUMMARY": str(file)}
    write_summary(env, "# one")
    write_summary(env, "# two\n")
    assert file.read_text() == "# one\n\n# two\n\n"
    write_summary(env, "é line\n" * 300_000)
    content = file.read_bytes()
    assert len(content) <= ci_outputs.MOST_SUMMARY_BYTES
    assert content.decode().endswith("é line\n\n\n*The rest was left out: a job summary holds 1 MiB.*\n")
    write_summary(env, "more " * 1000)
    assert len(file.read_bytes()) <= ci_outputs.MOST_SUMMARY_BYTES


def test_without_files_nothing_is_written(tmp_path: Path) -> None:
    write_summary({}, "x")
    write_outputs({}, {"a": "b"})


@pytest.mark.parametrize("path", ["/nowhere/at/all", "a\0b", "/"])
def test_files_that_cannot_be_written(path: str) -> None:
    with pytest.raises(PublishFailed):
        write_summary({"GITHUB_STEP_SUMMARY": path}, "x")
    with pytest.raises(PublishFailed):
        write_outputs({"GITHUB_OUTPUT": path}, {"a": "b"})


def test_outputs_cannot_set_each_other(tmp_path: Path) -> None:
    job = Job(tmp_path / "job", event={})
    values = {"outcome": "rejected", "task-id": "x\noutcome<<EOF\nverified\nEOF", "task-url": "", "commit": HEAD}
    write_outputs({"GITHUB_OUTPUT": str(job.directory / "output")}, values)
    assert job.outputs == values


def test_annotations_are_escaped() -> None:
    assert annotation("error", "50% of a:b,c") == "::error::50%25 of a:b,c"
    assert annotation("notice", "x\n::error::y\r\n", "a:b,c%") == "::notice title=a%3Ab%2Cc%25::x ::error::y"
    assert "\n" not in annotation("warning", "a\u2028b\x85c\x0bd\n" * 500)


@pytest.mark.parametrize(
    "text", ["::error::x", "  ::set-output name=a::b", "\u200d::error::x", ":\u00ad:error::x", "ok\n\t::error::x"]
)
def test_no_line_of_text_is_a_workflow_command(text: str) -> None:
    ignorable = str.maketrans("", "", "\u200d\u00ad")
    assert not any(line.translate(ignorable).lstrip().startswith("::") for line in without_commands(text).splitlines())


@pytest.mark.parametrize("text", ["a ##[error]x", "#\u200d#[set-output name=outcome]verified", "###[x]", "##\u00ad[x]"])
def test_nor_the_old_form_within_a_line(text: str) -> None:
    assert "##[" not in without_commands(text).replace("\u200d", "").replace("\u00ad", "")


@pytest.mark.parametrize(
    "text", ["a ##vso[task.setvariable variable=x]y", "##VSO[x]", "#\u200d#teamcity[buildStatus status='SUCCESS']"]
)
def test_nor_one_of_azure_or_teamcity(text: str) -> None:
    shown = without_commands(text).replace("\u200d", "").lower()
    assert "##vso[" not in shown
    assert "##teamcity[" not in shown


def test_other_text_is_left_alone() -> None:
    for text in ("https://a::b", "a::b", "## [x]", "# heading\n\n\n" * 5, ": a", "#[derive]"):
        assert without_commands(text) == text
