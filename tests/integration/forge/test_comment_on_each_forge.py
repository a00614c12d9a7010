"""`git clearml comment` on GitHub, Gitea and GitLab: one comment, found again and updated, whatever else goes on."""

from __future__ import annotations

import re
import sys
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from git_clearml.forge import calls, comment
from git_clearml.forge.connect import Workplace
from git_clearml.forge.current_job import detect
from git_clearml.git.repository import Repository
from git_clearml.report.model import VerifyReport
from git_clearml.verdict.model import Outcome, Verdict
from tests.integration.forge.test_forges import FAULTS
from tests.support import bitbucket_server
from tests.support.clearml_events import add_all, scalar
from tests.support.forge_server import Call, Fault
from tests.support.forges import BITBUCKET, GITEA, GITLAB, KINDS, Kind
from tests.support.gitlab_server import JOB_TOKEN
from tests.support.program import Gate
from tests.support.sites import Site

WEB = {"github": "https://github.com", "gitea": "https://gitea.example.com", "gitlab": "https://gitlab.com"}
WEB["bitbucket"] = "https://bitbucket.org"


@pytest.fixture(params=KINDS, ids=lambda kind: kind.name)
def kind(request: pytest.FixtureRequest) -> Kind:
    chosen: Kind = request.param
    return chosen


def on(*kinds: Kind) -> pytest.MarkDecorator:
    """What no forge has a part in is looked at on these, on all in `make slow`."""
    cases = [pytest.param(kind, id=kind.name, marks=[] if kind in kinds else pytest.mark.slow) for kind in KINDS]
    return pytest.mark.parametrize("kind", cases)


@pytest.fixture
def site(gate: Gate, kind: Kind, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Site]:
    monkeypatch.setattr(calls, "TRIES", 2)
    monkeypatch.setattr(calls, "BACKOFF_SECONDS", 0.01)
    base = gate.repo.head
    head = gate.repo.commit("change", {"train.py": "print('better')\n"})
    with kind.server() as server:
        server.add_pull(7, head, base)
        yield Site(gate, kind, server, tmp_path / "job", base, head)


def test_it_is_created_updated_and_left_alone(site: Site) -> None:
    site.gate.task(status="failed", completed="2026-01-02T03:04:05")
    first = site.comment()
    assert first.status == 0, first.err
    page = {
        "github": "pull/7#",
        "gitea": "pulls/7#",
        "gitlab": "-/merge_requests/7#",
        "bitbucket": "pull-requests/7/_/",
    }
    assert f"comment created: {WEB[site.kind.name]}/{site.kind.repository}/{page[site.kind.name]}" in first.out
    assert "### ❌ Rejected" in site.ours
    below = {"gitlab": "/-/commit/", "bitbucket": "/commits/"}.get(site.kind.name, "/commit/")
    assert f"(<{WEB[site.kind.name]}/{site.kind.repository}{below}{site.head}>)" in site.ours
    site.server.calls.clear()
    again = site.comment()
    assert (again.status, site.server.writes()) == (0, []), again.out
    assert "comment unchanged: https://" in again.out
    site.gate.task(name="train")
    assert "comment updated" in site.comment().out
    assert "### ✅ Verified" in site.ours


def test_ours_is_found_among_300_others_and_a_forged_one_left_alone(site: Site) -> None:
    site.gate.task()
    forged = site.server.add_comment(7, "mallory", f"{site.marker()}\nforged")
    for number in range(229):
        site.server.add_comment(7, f"user{number % 9}" if number % 10 else None, f"comment {number}")
    other = site.server.add_comment(7, site.kind.bot, f"{site.marker('other')}\nanother label")
    ours = site.server.add_comment(7, site.kind.bot, f"{site.marker()}\nold")
    for _ in range(69):
        site.server.add_comment(7, "somebody", "later")
    assert site.comment().status == 0
    assert "### ✅ Verified" in ours["body"]
    assert (forged["body"], other["body"]) == (f"{site.marker()}\nforged", f"{site.marker('other')}\nanother label")
    assert len(site.server.comments) == 301


@on(GITEA)
def test_labels_stand_side_by_side(site: Site) -> None:
    site.gate.task()
    for label in ("GPU tests", "verify", "GPU tests"):
        assert site.comment("--label", label).status == 0
    assert sorted(comment["body"].splitlines()[0] for comment in site.server.comments) == [
        site.marker("GPU tests"),
        site.marker(),
    ]


@on(BITBUCKET)
def test_mode_new_adds_one_for_each_report_but_not_the_same_twice(site: Site) -> None:
    site.gate.task()
    assert site.comment().status == 0
    for _ in range(2):
        assert site.comment("--mode", "new").status == 0
    assert len(site.server.comments) == 2
    site.amend()
    assert site.comment("--mode", "new").status == 0
    assert len(site.server.comments) == 3
    assert site.comment().status == 0  # the one that is updated is still only one
    assert len(site.server.comments) == 3


def test_mode_recreate_puts_it_at_the_end_again_and_mode_delete_takes_it_away(site: Site) -> None:
    other = site.server.add_comment(7, site.kind.bot, f"{site.marker('other')}\nanother label")
    forged = site.server.add_comment(7, "mallory", f"{site.marker()}\nforged")
    assert site.comment().status == 0
    first, old = site.server.comments[-1], site.head
    assert "comment unchanged" in site.comment("--mode", "recreate").out
    later = site.server.add_comment(7, "somebody", "later")
    site.amend()
    assert "comment created" in site.comment("--mode", "recreate").out
    assert [each for each in site.server.comments if each in (other, forged, later, first)] == [other, forged, later]
    assert (len(site.server.comments), old[:12] in site.server.comments[-1]["body"]) == (4, True)
    assert "would delete" in site.comment("--mode", "delete", "--dry-run").err
    assert "comment deleted" in site.comment("--mode", "delete").out
    assert site.server.comments == [other, forged, later]
    assert (site.comment("--mode", "delete").status, site.server.comments) == (0, [other, forged, later])


@pytest.mark.parametrize("kind", [GITLAB, BITBUCKET])  # two ways of hiding it
def test_amending_keeps_a_history_newest_first_and_bounded(site: Site) -> None:
    heads = [site.head]
    assert site.comment().status == 0
    for _ in range(12):
        heads.append(site.amend())
        assert site.comment().status == 0
    rows = [line for line in site.ours.splitlines() if line.startswith("| [`")]
    assert [row[4:16] for row in rows] == [head[:12] for head in reversed(heads[-11:-1])]
    assert heads[-1][:12] in site.ours.splitlines()[2]


@on(GITLAB)
def test_a_late_job_does_not_overwrite_the_newer_head(site: Site) -> None:
    old = site.head
    site.gate.repo.git("tag", "old")
    new = site.amend()
    assert site.comment().status == 0
    before = site.ours
    result = site.comment(env=site.request(old))
    assert (result.status, site.ours) == (0, before)
    assert "comment skipped" in result.out
    assert f"the {'merge' if site.kind is GITLAB else 'pull'} request has moved on" in result.err
    assert new[:12] in result.err


# --- two at once -------------------------------------------------------------------------------------------------


def sneak_in(site: Site, verb: str, *, after: bool = False) -> None:
    """Another job's comment appears just before such a request is answered, or (`after`) once there is one of ours."""

    def sneak(call: Call) -> None:
        ends = call.path.endswith(("/comments", "/notes"))
        if call.verb == verb and ends and (site.server.comments or not after):
            site.server.hook = lambda _: None
            site.server.add_comment(7, site.kind.bot, f"{site.marker()}\nthe other job's")

    site.server.hook = sneak


@on(BITBUCKET)
def test_two_jobs_at_once_end_with_one_comment(site: Site) -> None:
    """The other job's comment appears after we looked and before we wrote."""
    site.gate.task()
    sneak_in(site, "POST")
    result = site.comment()
    assert result.status == 0
    assert "### ✅ Verified" in site.ours
    assert "comment updated" in result.out


def test_the_loser_of_the_race_is_taken_away(site: Site) -> None:
    """The other job's comment appears right after ours."""
    site.gate.task()
    sneak_in(site, "GET", after=True)
    assert site.comment().status == 0
    assert "### ✅ Verified" in site.ours


@on(GITLAB)
def test_eight_jobs_at_once_end_with_one_comment(site: Site) -> None:
    env = {name: value for name, value in site.request().items() if value is not None}
    report = VerifyReport(Outcome.REJECTED, 1, "defaults", (Verdict(site.head, Outcome.REJECTED),))
    start = threading.Barrier(8)

    def one(_: int) -> str:
        repository = Repository(str(site.gate.repo.path))  # each job has a git of its own to ask
        start.wait()
        return comment.publish(Workplace(detect(env), repository, env), report).action

    with ThreadPoolExecutor(8) as pool:
        actions = list(pool.map(one, range(8)))
    assert "### ❌ Rejected" in site.ours
    assert set(actions) <= {"created", "updated", "unchanged"}


@on(GITEA)
def test_duplicates_of_the_past_are_cleaned_up(site: Site) -> None:
    site.gate.task()
    first = site.server.add_comment(7, site.kind.bot, f"{site.marker()}\none")
    site.server.add_comment(7, site.kind.bot, f"{site.marker()}\ntwo")
    assert site.comment().status == 0
    assert site.server.by(site.kind.bot) == [first]


def test_one_that_is_deleted_meanwhile_is_made_again(site: Site) -> None:
    site.gate.task()
    site.server.add_comment(7, site.kind.bot, f"{site.marker()}\nold")

    def sneak(call: Call) -> None:
        if call.verb in ("PATCH", "PUT"):
            site.server.comments.clear()

    site.server.hook = sneak
    assert site.comment().status == 0
    assert "### ✅ Verified" in site.ours


def test_one_that_was_written_and_not_confirmed_is_no_second_one(site: Site) -> None:
    """A gateway gives up while the forge writes: the next try writes again, and one of the two goes."""
    site.gate.task()

    def lose(call: Call) -> None:
        if call.verb == "POST" and call.path.endswith(("/comments", "/notes")):
            site.server.hook = lambda _: None
            site.server.add_comment(7, site.kind.bot, call.body["body"])
            site.server.faults.append(Fault(502, raw=b"<html>bad gateway</html>", times=1))

    site.server.hook = lose
    assert site.comment().status == 0
    assert "### ✅ Verified" in site.ours


# --- refusals ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", [GITEA, GITLAB])  # GitHub: test_ci_faults.py
def test_no_refusal_hides_the_verdict(site: Site) -> None:
    """Each at one of three places, with each of three verdicts: what could not be posted is told beside it."""
    task = site.gate.task()
    env = site.request()
    places = (site.kind.read, site.kind.comments, site.kind.write)
    verdicts = [("completed", 3, "verified"), ("failed", 1, "rejected"), ("in_progress", 3, "pending")]
    for number, (name, (fault, _)) in enumerate(FAULTS.items()):
        state, status, outcome = verdicts[number // 3 % 3]
        site.gate.server.tasks[task]["status"] = state
        site.server.comments.clear()
        site.server.faults[:] = [Fault(fault.status, fault.message, fault.headers, places[number % 3], 999, fault.raw)]
        result = site.gate.call("verify", "--comment", "--timeout", "5", env=env)
        assert result.status == status, (name, result.err)
        assert f"{outcome} {site.head[:12]}" in result.out, name
        assert "git clearml: the report could not be posted: " in result.err, name
        assert site.kind.token not in result.out + result.err, name


@on(GITLAB)
def test_silence_ends_with_the_budget_and_the_verdict_is_told(site: Site) -> None:
    site.gate.task()
    site.server.faults.append(Fault(-1))
    result = site.comment("--timeout", "0.5")
    assert result.status == 3
    assert f"verified {site.head[:12]}" in result.out
    assert "did not answer within 0.5 s" in result.err


def test_without_a_token_it_is_said_which_one_can(site: Site) -> None:
    site.gate.task()
    none = dict.fromkeys(("GITHUB_TOKEN", "GITLAB_TOKEN", "BITBUCKET_TOKEN"))
    tokens = {"GITLAB_TOKEN": JOB_TOKEN} if site.kind is GITLAB else {}
    for env in ({**site.request(), **none}, {**site.request(), **none, **tokens}):
        result = site.comment(env=env)
        assert (result.status, site.server.calls) == (3, [])
        assert site.kind.variable in result.err
        assert ("CI_JOB_TOKEN may read notes, and write none" in result.err) == (site.kind is GITLAB)
        assert f"verified {site.head[:12]}" in result.out


def test_a_fork_is_no_failure(site: Site) -> None:
    site.gate.task()
    site.server.add_pull(7, site.head, site.base, fork="stranger/project")
    site.server.read_only = True
    result = site.comment("--status", env=site.request(fork=True))
    assert (result.status, site.server.comments) == (0, []), result.err
    assert "comment skipped" in result.out
    assert f"a {'merge' if site.kind is GITLAB else 'pull'} request from a fork gives this job no right" in result.err


def test_a_status_is_set_but_never_on_gitlab(site: Site) -> None:
    site.gate.task()
    result = site.comment("--status")
    assert (result.status, len(site.server.comments)) == (0, 1), result.err
    if site.kind is GITLAB:
        assert "no commit status was set: on GitLab one from outside can make a merge request mergeable" in result.err
        assert not [call for call in site.server.calls if "statuses" in call.path]
    else:
        assert [status["state"] for status in site.server.statuses] == ["success"]


@on(GITEA)
def test_a_dry_run_shows_the_body_and_writes_nothing(site: Site) -> None:
    site.gate.task(name="costs $1", project="x")
    result = site.comment("--dry-run", "--status")
    assert (result.status, site.server.writes()) == (0, [])
    assert result.out.startswith(site.marker())
    assert f"would create a comment on {'merge' if site.kind is GITLAB else 'pull'} request 7" in result.err
    assert ("<span>$</span>" in result.out) == (site.kind.name == "github")


def test_no_secret_comes_out_anywhere(site: Site) -> None:
    planted = {"DEPLOY_PASSWORD": "pa$$word#1:tada:<b>@team!1", "S3_SECRET": "x~y!12%{a}[[toc]]&1 $x$"}
    planted[site.kind.variable] = site.kind.token
    for secret in planted.values():
        site.gate.task(name=f"train {secret} end", status="failed", project=f"p {secret}")
    result = site.comment("--verbose", **planted)
    assert result.status == 0, result.err
    shown = result.out + result.err + site.ours
    flat = shown.replace("\\", "").replace("\u200c", "").replace("<span>", "").replace("</span>", "")
    for secret in planted.values():
        assert secret not in shown
        assert secret not in flat.replace("&lt;", "<").replace("&gt;", ">").replace("&amp;", "&").replace("&#91;", "[")


# --- by hand -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("kind", "scheme"),
    list(zip(KINDS, ["https://{}/{}.git", "git@{}:{}.git", "ssh://git@{}:2222/{}"] * 2, strict=False)),
)
def test_by_hand_the_forge_is_that_of_the_remote(site: Site, scheme: str) -> None:
    hosts = {"gitea": "git.example.com", "gitlab": "gitlab.com", "bitbucket": "bitbucket.org"}
    url = scheme.format(hosts.get(site.kind.name, "github.com"), site.kind.repository)
    site.gate.repo.git("remote", "set-url", "origin", url)
    site.gate.task(repository=url)
    api = {"gitlab": "CI_API_V4_URL", "bitbucket": "BITBUCKET_API_URL"}.get(site.kind.name, "GITHUB_API_URL")
    env: dict[str, Any] = {api: site.server.url, site.kind.variable: site.kind.token}
    words = ("--repository", site.kind.repository) if site.kind is GITEA else ()  # its API is elsewhere here
    for more in (("--pr", "7"), ()):
        result = site.gate.call("comment", *words, *more, env=env)
        assert result.status == 0, result.err
    assert "### ✅ Verified" in site.ours


@pytest.mark.parametrize("kind", [GITLAB])
def test_by_hand_on_a_gitlab_of_ones_own(site: Site) -> None:
    """The server has to be named: a token goes to no other than that."""
    site.gate.repo.git("remote", "set-url", "origin", "git@git.example.com:group/sub/project.git")
    env = {"GITLAB_TOKEN": site.kind.token, "CI_API_V4_URL": site.server.url}
    result = site.gate.call("comment", "--pr", "7", env=env)
    assert result.status == 2
    assert "no remote of this clone is on gitlab.com" in result.err
    for more in ({"CI_SERVER_URL": "https://git.example.com"}, {}):
        words = () if more else ("--repository", "group/sub/project")
        result = site.gate.call("comment", "--pr", "7", *words, env={**env, **more})
        assert (result.status, len(site.server.comments)) == (0, 1), result.err


# --- GitLab's own ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", [GITLAB])
def test_without_python_gitlab_the_report_files_are_written(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "gitlab", None)
    site.gate.task()
    result = site.gate.call("verify", "--comment", "--reports", "reports", env=site.request())
    assert result.status == 3
    assert f"verified {site.head[:12]}" in result.out
    assert 'hint: pip install "python-gitlab>=4.4"' in result.err
    assert "verified" in (site.gate.repo.path / "reports" / "clearml.env").read_text()


@pytest.mark.parametrize("kind", [GITLAB])
def test_a_forks_pipeline_in_the_project_itself_comments(site: Site) -> None:
    """A member has started it there, so it has the token."""
    site.gate.task()
    site.server.add_pull(7, site.head, site.base, fork="stranger/project")
    own = {"CI_PROJECT_PATH": site.kind.repository, "CI_PROJECT_ID": "42", "GITLAB_TOKEN": site.kind.token}
    result = site.comment(env={**site.request(fork=True), **own})
    assert (result.status, "### ✅ Verified" in site.ours) == (0, True), result.err


@pytest.mark.parametrize("kind", [GITLAB])
def test_a_note_takes_more_metrics_than_a_comment_on_github(site: Site) -> None:
    task = site.gate.task()
    add_all(site.gate.server.store, [scalar(task, f"loss {n % 500}", f"layer {n}", 0.5) for n in range(10_000)])
    result = site.comment()
    assert result.status == 0, result.err
    assert 65_536 < len(site.ours) <= 1_000_000


@pytest.mark.parametrize("kind", [GITEA])
def test_forgejos_own_token_writes_as_its_own_account(site: Site) -> None:
    site.gate.task()
    site.server.viewer = "forgejo-actions"
    for _ in range(2):
        assert site.comment(FORGEJO_ACTIONS="true").status == 0
    assert len(site.server.comments) == 1


# --- where the forge does not tell who we are ----------------------------------------------------------------------


@pytest.fixture
def unknown(site: Site) -> Site:
    """The token is one of the repository, as a pipeline has it: it may not ask for its user."""
    site.kind = replace(BITBUCKET, token=bitbucket_server.TOKEN, bot=bitbucket_server.BOT)
    return site


@pytest.mark.parametrize("kind", [BITBUCKET])
@pytest.mark.parametrize("where", ["before", "after"])
def test_ours_is_the_one_that_we_may_edit(unknown: Site, where: str) -> None:
    site = unknown
    site.gate.task(status="failed")
    names = [f"{{mallory-{number}}}" for number in range(9)] + [None]
    if where == "before":
        forged = [site.server.add_comment(7, name, f"{site.marker()}\nforged") for name in names]
    assert "comment created" in site.comment().out
    if where == "after":
        forged = [site.server.add_comment(7, name, site.ours) for name in names]
    site.gate.task()
    assert "comment updated" in site.comment().out
    assert "comment unchanged" in site.comment().out
    assert "### ✅ Verified" in site.ours
    assert len(site.server.comments) == 11
    assert all("✅" not in each["body"] for each in forged)


@pytest.mark.parametrize("kind", [BITBUCKET])
def test_the_second_time_nothing_is_written(unknown: Site) -> None:
    unknown.gate.task()
    assert "comment created" in unknown.comment().out
    unknown.server.calls.clear()
    assert "comment unchanged" in unknown.comment().out
    assert unknown.server.writes() == []
    assert "would leave the comment unchanged" in unknown.comment("--dry-run").err


@pytest.mark.parametrize("kind", [BITBUCKET])
def test_a_comment_on_bitbucket_has_no_html_and_fits(unknown: Site) -> None:
    metrics = {f"title {number}": {"a:b https://x.example/": float(number)} for number in range(150)}
    unknown.gate.task(name="<b>a</b> & :tada: @{x} #1 $x$ ~y~", metrics=metrics)
    assert "comment created" in unknown.comment().out
    assert len(unknown.ours) <= 32_768
    assert not re.search(r"<(?!https?://)", unknown.ours)
    assert "more lines are left out here" in unknown.ours
    assert unknown.ours.splitlines()[0] == "[git-clearml]: #verify"
    assert "://x" not in unknown.ours
