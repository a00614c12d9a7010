"""What every forge does for us, by its real client library against a loopback server of its published API."""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Iterator
from dataclasses import replace
from itertools import product
from pathlib import Path
from typing import Any

import pytest

from git_clearml.errors import (
    BadAnswer,
    CannotDecide,
    Error,
    Forbidden,
    NotConfigured,
    TimedOut,
    Unauthorized,
    Unreachable,
)
from git_clearml.forge import calls
from git_clearml.forge.api import Forge, NotFound, Status, Unsupported
from git_clearml.forge.bitbucket import Bitbucket
from git_clearml.forge.calls import Access, Clock
from git_clearml.forge.gitlab import GitLab
from tests.support import bitbucket_server
from tests.support.forge_server import Fault
from tests.support.forges import BITBUCKET, GITEA, GITHUB, GITLAB, KINDS, Kind, close_clients
from tests.support.gitlab_server import JOB_TOKEN, READ_TOKEN

HEAD, BASE, OTHER = "a" * 40, "b" * 40, "c" * 40


@pytest.fixture(params=KINDS, ids=lambda kind: kind.name)
def kind(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Kind:
    monkeypatch.setattr(calls, "TRIES", 2)
    monkeypatch.setattr(calls, "BACKOFF_SECONDS", 0.01)
    monkeypatch.setattr("git_clearml.base.http.RETRY_DELAYS", (0.01, 0.02))
    chosen: Kind = request.param
    return chosen


@pytest.fixture(autouse=True)
def clients_are_closed() -> Iterator[None]:
    yield
    close_clients()


@pytest.fixture
def server(kind: Kind) -> Iterator[Any]:
    """With change request 7 of HEAD into BASE."""
    with kind.server() as running:
        running.add_pull(7, HEAD, BASE)
        yield running


@pytest.fixture
def forge(kind: Kind, server: Any) -> Iterator[Forge]:
    client = kind.forge(server)
    yield client
    client.close()


# --- change requests ---------------------------------------------------------------------------------------------


def test_a_change_request_by_its_number(kind: Kind, server: Any, forge: Forge) -> None:
    request = forge.change_request(7)
    assert (request.number, request.head, request.base, request.is_open) == (7, HEAD, BASE, True)
    assert (request.is_fork, request.base_branch, request.head_branch) == (False, "main", "topic")
    pages = {"gitea": "/pulls/7", "gitlab": "/-/merge_requests/7", "bitbucket": "/pull-requests/7"}
    assert request.url.endswith(pages.get(kind.name, "/pull/7"))
    server.add_pull(8, OTHER, BASE, fork="stranger/project")
    assert forge.change_request(8).is_fork
    with pytest.raises(NotFound):
        forge.change_request(9)


def test_the_change_request_of_a_commit(kind: Kind, server: Any, forge: Forge) -> None:
    closed = {"github": "closed", "gitea": "closed", "gitlab": "merged", "bitbucket": "DECLINED"}[kind.name]
    for number in range(100, 210):
        server.add_pull(number, f"{number:0<40x}", BASE, state=closed if number % 2 else server.pulls[7]["state"])
    server.add_pull(8, OTHER, BASE, state=closed)
    assert forge.change_request_of(HEAD) == forge.change_request(7)
    assert getattr(forge.change_request_of(f"{208:0<40x}"), "number", 0) == 208
    assert forge.change_request_of(OTHER) is None
    assert forge.change_request_of("d" * 40) is None


def test_what_brought_a_commit_to_its_branch(kind: Kind, server: Any, forge: Forge) -> None:
    state = {GITLAB: "merged", BITBUCKET: "MERGED"}.get(kind, "closed")
    server.add_pull(8, OTHER, BASE, state=state, merged_at="2026-01-02T03:04:05Z", commits=["d" * 40])
    assert [forge.merged_by(commit) for commit in ("d" * 40, HEAD, "e" * 40)] == [[8], [], []]


# --- comments ----------------------------------------------------------------------------------------------------


def test_a_comment_from_its_beginning_to_its_end(kind: Kind, server: Any, forge: Forge) -> None:
    assert forge.author() == kind.bot
    created = forge.create_comment(7, "one")
    assert (created.author, created.body) == (kind.bot, "one")
    assert created.url.startswith(forge.change_request(7).url + ("/_/diff#" if kind is BITBUCKET else "#"))
    edited = forge.edit_comment(created, "two")
    assert (edited.id, edited.body, edited.url) == (created.id, "two", created.url)
    assert forge.comments(7) == [edited]
    assert forge.hidden([edited]) == set()
    forge.delete_comment(edited)
    forge.delete_comment(edited)
    assert forge.comments(7) == []
    with pytest.raises(NotFound):
        forge.edit_comment(edited, "three")


@pytest.mark.parametrize("count", [0, 1, 99, 100, 101, 200, 300])
def test_all_comments_are_read_once_each_and_oldest_first(kind: Kind, server: Any, forge: Forge, count: int) -> None:
    for number in range(count):
        server.add_comment(7, f"user{number % 7}" if number % 10 else None, f"comment {number}")
    read = forge.comments(7)
    assert [comment.body for comment in read] == [f"comment {number}" for number in range(count)]
    asked = [call for call in server.calls if call.path.endswith(("/comments", "/notes"))]
    pages = {"github": count // 100 + (1 if count else 2), "gitea": 1 if count else 2}
    assert len(asked) == pages.get(kind.name, -(-count // 100) or 1)


def test_an_endless_list_ends_with_the_budget(kind: Kind, server: Any) -> None:
    server.add_comment(7, "user", "x")
    following = {"Link": f'<{server.url}{kind.listed}?page=2>; rel="next"'}
    page = b'[{"id": 1, "system": false, "user": {"login": "u"}, "author": {"username": "u"}, "body": "x"}]'
    server.faults.append(Fault(200, raw=page, headers=following, matching=kind.comments))
    with pytest.raises((TimedOut, BadAnswer)):
        kind.forge(server, budget=0.5).comments(7)


# --- refs and files ----------------------------------------------------------------------------------------------


def test_refs_and_files(server: Any, forge: Forge) -> None:
    server.refs |= {"refs/heads/main": BASE, "refs/heads/feature/x": OTHER, "refs/tags/v1": HEAD}
    assert [forge.ref_at(ref) for ref in ("HEAD", "refs/heads/main", "refs/heads/feature/x")] == [BASE, BASE, OTHER]
    assert [forge.ref_at(ref) for ref in ("refs/tags/v1", "refs/heads/v1", "refs/heads/mai")] == [HEAD, "", ""]
    assert [forge.ref_at(ref) for ref in ("heads/main", "refs/heads/", "x")] == ["", "", ""]
    server.files[HEAD, "pyproject.toml"] = b"\xff\0x"
    assert forge.file_at(HEAD, "pyproject.toml") == b"\xff\0x"
    assert forge.file_at(HEAD, "other.toml") is None
    with pytest.raises(NotFound):
        forge.file_at("d" * 40, "pyproject.toml")


def test_a_status(kind: Kind, server: Any, forge: Forge) -> None:
    status = Status("success", "git-clearml/verify", "verified", "https://clearml.example.com")
    if kind is GITLAB:
        with pytest.raises(Unsupported, match="mergeable"):
            forge.set_status(HEAD, status)
        assert server.calls == []
        return
    forge.set_status(HEAD, status)
    (given,) = server.statuses
    assert (given["sha"], given["state"], given["context"]) == (HEAD, "success", "git-clearml/verify")


# --- refusals ----------------------------------------------------------------------------------------------------

FAULTS: dict[str, tuple[Fault, type[Error]]] = {
    "bad credentials": (Fault(401, "401 Unauthorized"), Unauthorized),
    "no rights": (Fault(403, "403 Forbidden"), Forbidden),
    "not found": (Fault(404, "404 Not Found"), NotFound),
    "conflict": (Fault(409, "409 Conflict"), BadAnswer),
    "unprocessable": (Fault(422, "Validation Failed"), BadAnswer),
    "too many": (
        Fault(429, raw=b"Retry later\n", headers={"Retry-After": "3600", "Content-Type": "text/plain"}),
        Unreachable,
    ),
    "an odd time to wait": (Fault(429, headers={"Retry-After": "\xb2"}), Unreachable),
    "an odd reset": (Fault(429, headers={"RateLimit-Reset": "9" * 40}), Unreachable),
    "a reset far away": (Fault(429, headers={"RateLimit-Reset": "99999999999"}), Unreachable),
    "error": (Fault(500, "500 Internal Server Error"), Unreachable),
    "away": (Fault(502, raw=b"<html>bad gateway</html>", headers={"Content-Type": "text/html"}), Unreachable),
    "reset": (Fault(0), Unreachable),
    "no json": (Fault(200, raw=b"{not json"), BadAnswer),
    "html": (Fault(200, raw=b"<html>sign in</html>", headers={"Content-Type": "text/html"}), BadAnswer),
    "wrong types": (Fault(200, raw=b'[{"id": "x", "iid": []}, 3]'), BadAnswer),
    "null": (Fault(200, raw=b"null"), BadAnswer),
    "nothing": (Fault(200, raw=b"{}"), BadAnswer),
    "redirect": (Fault(302, headers={"Location": "https://elsewhere.example"}), BadAnswer),
}


def test_every_refusal_at_every_place_has_its_kind_and_a_hint(kind: Kind, server: Any) -> None:
    """Within the budget, and without the token, whatever the server repeats of it."""
    places = (kind.read, kind.comments, kind.write)
    for (name, (fault, expected)), where in product(FAULTS.items(), places):
        server.faults[:] = [replace(fault, message=f"{fault.message} {kind.token}", matching=where)]
        lines: list[str] = []
        client = kind.forge(server, budget=5.0, log=lines.append)
        started = time.monotonic()
        error = refusal(client)
        client.close()
        assert time.monotonic() - started < 3, (name, where)
        assert isinstance(error, expected), (name, where, error)
        assert error.hint, (name, where)
        assert kind.token not in error.message + error.hint + "".join(lines), (name, where)


def refusal(client: Forge) -> CannotDecide:
    """What keeps this client from commenting."""
    try:
        client.change_request(7)
        client.comments(7)
        client.create_comment(7, "x")
    except CannotDecide as error:
        return error
    raise AssertionError("nothing kept it")


@pytest.mark.parametrize("status", [301, 302, 307, 308])
def test_the_token_goes_to_no_other_server(kind: Kind, server: Any, status: int) -> None:
    with kind.server() as elsewhere:
        asked: list[str] = []
        elsewhere.hook = lambda call: asked.append(str(call))
        address = {kind.read: "/", kind.comments: kind.listed, kind.write: kind.listed}
        for where, path in address.items():
            location = f"{elsewhere.url}{path}".replace("127.0.0.1", "localhost")
            server.faults[:] = [Fault(status, headers={"Location": location}, matching=where)]
            assert isinstance(refusal(kind.forge(server, budget=5.0)), CannotDecide)
        assert asked == []


def test_certificates_that_are_not_there_are_told(
    kind: Kind, server: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Ours, that of Bitbucket, has the system's alone."""
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(tmp_path / "gone.pem"))
    error = refusal(kind.forge(server, api=server.url.replace("http:", "https:"), budget=5.0))
    assert "REQUESTS_CA_BUNDLE" in error.hint or kind.name == "bitbucket"


def test_silence_ends_with_the_budget(kind: Kind, server: Any) -> None:
    server.faults.append(Fault(-1))
    client = kind.forge(server, budget=0.3)
    with pytest.raises(TimedOut, match=r"did not answer within 0\.3 s"):
        client.change_request(7)


def test_what_passes_is_waited_for(kind: Kind, server: Any, forge: Forge) -> None:
    server.faults += [Fault(500, times=1, matching=kind.read), Fault(0, times=1, matching=kind.comments)]
    server.faults += [Fault(503, times=2, matching=kind.write)]
    forge.change_request(7)
    forge.comments(7)
    assert forge.create_comment(7, "x").body == "x"


@pytest.mark.parametrize("header", ["Retry-After", "RateLimit-Reset", ""])
def test_rate_limits_are_waited_for_within_the_budget(kind: Kind, server: Any, header: str) -> None:
    told = {"Retry-After": "30", "RateLimit-Reset": str(int(time.time()) + 30)}.get(header, "")
    server.faults.append(Fault(429, "slow down", {header: told} if header else {}, times=1))
    slept: list[float] = []
    client = kind.forge(server, budget=120.0, clock=Clock(sleep=slept.append))
    assert client.change_request(7).number == 7
    soon = kind is BITBUCKET and header != "Retry-After"  # it tells no more, so that is tried first
    wanted = 0.01 if soon else 30 if header else 60
    assert slept == [pytest.approx(wanted, abs=2)] or (kind is not GITLAB and header == "RateLimit-Reset")


# --- GitLab's own ------------------------------------------------------------------------------------------------


def test_gitlabs_own_notes_and_page_keys_are_passed_over() -> None:
    with GITLAB.server() as server:
        server.add_pull(7, HEAD, BASE)
        for number in range(150):
            server.add_comment(7, GITLAB.bot, f"approved {number}", system=True)
        mine = server.add_comment(7, GITLAB.bot, "mine")
        assert [comment.id for comment in GITLAB.forge(server).comments(7)] == [mine["id"]]


def test_a_list_of_more_than_gitlab_counts() -> None:
    """Above 10,000 items there are no totals, and the pages go on."""
    with GITLAB.server() as server:
        server.add_pull(7, HEAD, BASE)
        server.counted = 150
        for _ in range(250):
            server.add_comment(7, "user", "x")
        assert len(GITLAB.forge(server).comments(7)) == 250


def test_further_pages_are_asked_for_at_the_same_address() -> None:
    """Behind a proxy GitLab tells its external address, which may not be reachable: or is another's."""
    with GITLAB.server() as server:
        server.add_pull(7, HEAD, BASE)
        for _ in range(120):
            server.add_comment(7, "user", "x")
        link = '<https://elsewhere.example/api/v4/projects/42/merge_requests/7/notes?page=2&per_page=100>; rel="next"'
        first = b"[" + b",".join([b'{"id": 1, "system": false, "author": {"username": "u"}, "body": "b"}'] * 1) + b"]"
        server.faults.append(Fault(200, raw=first, headers={"Link": link}, matching=GITLAB.comments, times=1))
        assert len(GITLAB.forge(server).comments(7)) == 21


@pytest.mark.parametrize(
    ("token", "role", "expected"),
    [(READ_TOKEN, 20, Forbidden), (JOB_TOKEN, 20, Unauthorized), ("", 20, Unauthorized), (GITLAB.token, 10, Forbidden)],
)
def test_which_token_can_is_said(token: str, role: int, expected: type[Error]) -> None:
    with GITLAB.server() as server:
        server.add_pull(7, HEAD, BASE)
        server.role = role
        client = GITLAB.forge(server, token=token or "x")
        error = refusal(client)
        assert isinstance(error, expected)
        assert "project access token with the scope api and the role Reporter" in error.hint


def test_without_python_gitlab_the_way_to_get_it_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "gitlab", None)
    with pytest.raises(NotConfigured) as raised:
        GitLab(Access("group/project", "x", "https://gitlab.com/api/v4", 1.0))
    assert raised.value.hint == 'pip install "python-gitlab>=4.4"'


@pytest.mark.parametrize(
    "api", ["ftp://x/api/v4", "https://gitlab.com", "http://[/api/v4", "https://gitlab.com/api/v3"]
)
def test_an_address_that_is_none(api: str) -> None:
    with pytest.raises(NotConfigured, match="invalid CI_API_V4_URL"):
        GitLab(Access("group/project", "x", api, 1.0))


def test_a_note_that_is_too_long_is_told_in_gitlabs_words() -> None:
    with GITLAB.server() as server:
        server.add_pull(7, HEAD, BASE)
        with pytest.raises(BadAnswer, match="is too long"):
            GITLAB.forge(server).create_comment(7, "x" * 1_000_001)


# --- Gitea's own -------------------------------------------------------------------------------------------------


def test_gitea_knows_the_account_of_a_token_of_ones_own() -> None:
    with GITEA.server() as server:
        server.user = "maria"
        assert GITEA.forge(server).author() == "maria"
        assert [str(call) for call in server.calls] == ["GET /api/v1/user"]
    assert GITHUB.bot != GITEA.bot


# --- Bitbucket's own ---------------------------------------------------------------------------------------------


def test_bitbucket_does_not_tell_a_repositorys_token_who_it_is() -> None:
    with BITBUCKET.server() as server:
        assert BITBUCKET.forge(server, token=bitbucket_server.TOKEN).author() == ""


def test_what_is_no_comment_on_the_whole_is_passed_over() -> None:
    with BITBUCKET.server() as server:
        server.add_pull(7, HEAD, BASE)
        for fields in ({"deleted": True}, {"pending": True}, {"inline": {"path": "train.py", "to": 3}}):
            server.add_comment(7, BITBUCKET.bot, "x", **fields)
        mine = server.add_comment(7, BITBUCKET.bot, "mine")
        assert [comment.id for comment in BITBUCKET.forge(server).comments(7)] == [mine["id"]]


@pytest.mark.parametrize(
    ("following", "values"),
    [
        ("https://elsewhere.example/2.0/x", [{"id": 1}]),
        ("{url}@elsewhere.example/2.0/x", [{"id": 1}]),
        ("{url}.elsewhere.example/x", [{"id": 1}]),
        ("{url}/../../x", [{"id": 1}]),
        ("{url}/repositories/team/project/pullrequests/7/comments?page=2", []),
        (7, [{"id": 1}]),
        ("", {}),
    ],
)
def test_bitbuckets_next_page_is_its_own(following: Any, values: Any) -> None:
    with BITBUCKET.server() as server:
        server.add_pull(7, HEAD, BASE)
        address = following.format(url=server.url) if isinstance(following, str) else following
        page = json.dumps({"values": values, "next": address}).encode()
        server.faults.append(Fault(200, raw=page, matching=BITBUCKET.comments))
        with pytest.raises(BadAnswer):
            BITBUCKET.forge(server, budget=2.0).comments(7)
        assert len(server.calls) == 1


def test_bitbuckets_endless_list() -> None:
    with BITBUCKET.server() as server:
        following = f"{server.url}{BITBUCKET.listed}?page=2"
        page = json.dumps({"values": [{"id": 1}] * 100, "next": following}).encode()
        server.faults.append(Fault(200, raw=page, matching=BITBUCKET.comments))
        with pytest.raises((TimedOut, BadAnswer)):
            BITBUCKET.forge(server, budget=1.0).comments(7)


def test_bitbuckets_hashes_are_completed_by_the_clone_or_the_api() -> None:
    with BITBUCKET.server() as server:
        server.add_pull(7, HEAD, BASE, fork="stranger/project")
        clone = {HEAD[:12]: HEAD, BASE[:12]: BASE}
        client = BITBUCKET.forge(server)
        assert isinstance(client, Bitbucket)
        client.complete = lambda short: clone.get(short, "")
        assert client.change_request(7).head == HEAD
        assert len(server.calls) == 1
        request = BITBUCKET.forge(server).change_request(7)
        assert (request.head, request.base, request.is_fork, request.head_owner) == (HEAD, BASE, True, "stranger")
        assert [str(call) for call in server.calls[2:]] == [
            f"GET /2.0/repositories/stranger/project/commit/{HEAD[:12]}",
            f"GET /2.0/repositories/team/project/commit/{BASE[:12]}",
        ]
        server.pulls[7]["source"]["commit"]["hash"] = "../../user"
        with pytest.raises(BadAnswer):
            BITBUCKET.forge(server).change_request(7)


def test_bitbuckets_status_has_a_short_key_of_its_own() -> None:
    with BITBUCKET.server() as server:
        for label in ("a" * 63, "a" * 62 + "b"):
            BITBUCKET.forge(server).set_status(HEAD, Status("pending", f"git-clearml/{label}", "x" * 999))
        keys = {status["key"] for status in server.statuses}
        assert {len(key) for key in keys} == {40}
        assert len(keys) == 2
        assert server.statuses[0]["url"] == f"https://bitbucket.org/team/project/commits/{HEAD}"


@pytest.mark.parametrize(
    ("token", "expected", "hint"),
    [
        (bitbucket_server.READ_TOKEN, Forbidden, "give BITBUCKET_TOKEN the scope pullrequest:write"),
        ("x", Unauthorized, "set BITBUCKET_TOKEN to an access token"),
        ("me:x", Unauthorized, "set BITBUCKET_TOKEN to an access token"),
    ],
)
def test_bitbucket_says_which_scope_is_missing(token: str, expected: type[Error], hint: str) -> None:
    with BITBUCKET.server() as server:
        server.add_pull(7, HEAD, BASE)
        error = refusal(BITBUCKET.forge(server, token=token))
        assert isinstance(error, expected)
        assert error.hint.startswith(hint)


@pytest.mark.parametrize("api", ["ftp://x/2.0", "http://[/2.0", "", "https://a b/2.0"])
def test_bitbuckets_address_that_is_none(api: str) -> None:
    with pytest.raises(NotConfigured, match="invalid BITBUCKET_API_URL"):
        Bitbucket(Access("team/project", "x", api, 1.0))
