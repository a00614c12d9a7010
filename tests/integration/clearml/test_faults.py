"""A server that is away, slow or wrong: status 3 with one line and one hint, in time, and without a secret."""

from __future__ import annotations

import base64
import json
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from git_clearml.clearml.client import ClearML
from git_clearml.clearml.config import read_server
from git_clearml.errors import TimedOut
from tests.support import faults
from tests.support.clearml_server import ACCESS_KEY, REPOSITORY, SECRET_KEY, ClearMLServer
from tests.support.faults import Scripted, answering, dribble, endless, make_certificate, reply
from tests.support.program import Gate, Result

META = {"result_code": 200, "result_subcode": 0, "result_msg": "OK"}
OK = json.dumps({"meta": META, "data": {"tasks": [], "scroll_id": "s"}}).encode()
BASIC = base64.b64encode(f"{ACCESS_KEY}:{SECRET_KEY}".encode()).decode()
PATIENT, SHORT = 10.0, 0.4  # seconds: for a server that answers, and for one that does not
LATE = 60.0  # seconds that a busy machine may add to a budget


@pytest.fixture(autouse=True)
def _quick_retries(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("git_clearml.base.http.RETRY_DELAYS", (0.01, 0.02))


def ask(gate: Gate, host: str, *, budget: float = PATIENT, **env: str) -> Result:
    """Verifies against another host, and ends: a fault lasts for minutes."""
    started = time.monotonic()
    result = gate.verify("--verbose", "--timeout", f"{budget:g}", env={"CLEARML_API_HOST": host, **env})
    assert time.monotonic() - started < budget + LATE
    return result


def undecided(result: Result, code: str) -> tuple[str, str]:
    """Checks that the answer is status 3 for this reason; gives the message and the hint."""
    assert (result.status, result.json["exit_code"], result.json["outcome"]) == (3, 3, "undecided"), result.out
    assert result.errors == [code], result.err
    assert [commit["outcome"] for commit in result.json["commits"]] == ["undecided"]
    message, hint = result.talk()
    assert message
    assert hint
    assert BASIC not in result.out + result.err
    return message, hint


def at(server: Scripted) -> str:
    return f"http://127.0.0.1:{server.port}"


# --- no answer ---------------------------------------------------------------------------------------------------


def test_refusing(gate: Gate) -> None:
    message, _ = undecided(ask(gate, f"http://127.0.0.1:{faults.closed_port()}"), "unreachable")
    assert "refuses connections" in message


def test_accepting_and_silent(gate: Gate) -> None:
    with faults.silent() as server:
        message, _ = undecided(ask(gate, at(server), budget=SHORT), "timeout")
    assert "did not answer within 0.4 s" in message


def test_hanging_in_connect(gate: Gate) -> None:
    with faults.full_backlog() as port:
        undecided(ask(gate, f"http://127.0.0.1:{port}", budget=SHORT), "timeout")


def test_hanging_up_unasked(gate: Gate) -> None:
    with Scripted(lambda _: None) as server:
        undecided(ask(gate, at(server)), "unreachable")
    assert server.connections == 3


def test_unresolvable(gate: Gate) -> None:
    message, _ = undecided(ask(gate, "http://clearml.invalid"), "unreachable")
    assert "clearml.invalid" in message


def test_a_name_server_that_hangs(gate: Gate, monkeypatch: pytest.MonkeyPatch) -> None:
    hanging = threading.Event()
    monkeypatch.setattr("socket.getaddrinfo", lambda *_, **__: hanging.wait(200) and [])
    undecided(ask(gate, "http://clearml.invalid", budget=SHORT), "timeout")
    hanging.set()


@pytest.mark.parametrize("text", [reply(OK), b"HTTP/1.1 200 OK\r\n" + b"X-Padding: yes\r\n" * 1000])
def test_one_byte_after_the_other(gate: Gate, text: bytes) -> None:
    with answering(dribble(text)) as server:
        undecided(ask(gate, at(server), budget=SHORT), "timeout")


def test_a_body_one_byte_after_the_other(gate: Gate) -> None:
    head, _, body = reply(OK).partition(b"\r\n\r\n")

    def talk(connection: Any) -> None:
        server.receive(connection)
        connection.sendall(head + b"\r\n\r\n")
        for part in dribble(body)():
            connection.sendall(part)

    with Scripted(talk) as server:
        undecided(ask(gate, at(server), budget=SHORT), "timeout")


# --- a wrong status ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("status", "code"),
    [
        *((status, "bad-answer") for status in (204, 400, 404, 418, 500)),
        *((status, "unreachable") for status in (502, 503, 504)),
        (401, "unauthorized"),
        (403, "forbidden"),
    ],
)
@pytest.mark.parametrize("kind", ["html", "envelope", "empty"])
def test_statuses(gate: Gate, status: int, code: str, kind: str) -> None:
    meta = {"result_code": status, "result_subcode": 7, "result_msg": f"because, said {SECRET_KEY} and Basic {BASIC}"}
    envelope = json.dumps({"meta": meta, "data": {}}).encode()
    body = {"html": b"<html>no</html>", "envelope": envelope, "empty": b""}[kind] if status != 204 else b""
    gate.server.fail_next(status, body, count=20)
    result = ask(gate, gate.server.url)
    message, _ = undecided(result, code)
    assert "html>" not in message
    if kind == "envelope" and code == "bad-answer" and status != 204:
        assert "because" in message


@pytest.mark.parametrize("command", ["verify", "log", "compare", "report", "check-runnable", "doctor"])
def test_what_a_server_says_moves_no_terminal(gate: Gate, command: str) -> None:
    """Its own reason goes into errors, warnings and remarks of every command."""
    evil = "because\x1b]0;title\x07\x1b[2J\r\u202e\N{TAG LATIN SMALL LETTER A}\nforged"
    for status in (400, 403):
        meta = {"result_code": status, "result_subcode": 7, "result_msg": evil}
        gate.server.fail_next(status, json.dumps({"meta": meta, "data": {}}).encode(), count=20)
        for words in ((command, "--verbose"), (command, "--verbose", "--format", "json")):
            result = gate.call(*words)
            assert result.status != 70, result.err
            shown = result.out + result.err
            assert not {"\x1b", "\x07", "\r", "\u202e", "\N{TAG LATIN SMALL LETTER A}"} & set(shown)
            assert "\nforged" not in shown


@pytest.mark.parametrize("status", [502, 503, 429])
def test_away_once_then_fine(gate: Gate, status: int) -> None:
    gate.task()
    gate.server.fail_next(status, headers={"Retry-After": "0"})
    result = ask(gate, gate.server.url)
    assert (result.status, len(result.calls)) == (0, 2)
    assert f"HTTP {status}" in result.err


def test_hung_up_once_then_fine(gate: Gate) -> None:
    gate.task()
    gate.server.fail_next(0)
    assert ask(gate, gate.server.url).status == 0


def test_429_for_an_hour(gate: Gate) -> None:
    gate.server.fail_next(429, headers={"Retry-After": "3600"}, count=9)
    started = time.monotonic()
    result = gate.verify("--timeout", "200")
    undecided(result, "unreachable")
    assert time.monotonic() - started < LATE
    assert len(result.calls) == 1


@pytest.mark.parametrize("when", ["Fri, 31 Dec 2060 23:59:59 GMT", "9" * 400, "soon", "-5", "Fri, 99 Foo"])
def test_strange_retry_after(gate: Gate, when: str) -> None:
    gate.server.fail_next(429, headers={"Retry-After": when}, count=9)
    undecided(ask(gate, gate.server.url), "unreachable")


# --- credentials -------------------------------------------------------------------------------------------------


def test_wrong_credentials(gate: Gate) -> None:
    gate.env = {"CLEARML_API_SECRET_KEY": "another-secret-key-0001"}
    result = ask(gate, gate.server.url)
    message, hint = undecided(result, "unauthorized")
    assert "does not accept the credentials" in message
    assert "credentials" in hint
    assert "another-secret-key-0001" not in result.out + result.err
    assert list(result.calls) == ["tasks.get_all_ex", "auth.login"]


def test_basic_refused_but_a_login_works(gate: Gate) -> None:
    gate.task()
    gate.server.fail_next(401, b"Basic is not for us", call="tasks.get_all_ex")
    result = ask(gate, gate.server.url)
    assert result.status == 0
    assert list(result.calls) == ["tasks.get_all_ex", "auth.login", "tasks.get_all_ex"]
    schemes = [request.headers["Authorization"] for request in gate.server.requests]
    assert schemes == ["Basic", "Basic", "Bearer"]


def test_the_login_serves_all_further_questions(gate: Gate) -> None:
    gate.task(status="failed")
    gate.server.fail_next(401, b"", call="tasks.get_all_ex")
    result = ask(gate, gate.server.url)
    assert (result.status, result.calls.count("auth.login"), len(result.calls)) == (1, 1, 5)


def test_a_login_whose_token_does_not_work(gate: Gate) -> None:
    gate.server.fail_next(401, b"", call="tasks.get_all_ex", count=9)
    result = ask(gate, gate.server.url)
    undecided(result, "unauthorized")
    assert len(result.calls) == 3


@pytest.mark.parametrize("token", [None, 5, "", "two words", "line\r\nX-Evil: 1", "ü", "x" * 9000, {"a": 1}])
def test_a_login_without_a_proper_token(gate: Gate, token: Any) -> None:
    gate.server.fail_next(401, b"", call="tasks.get_all_ex", count=9)
    gate.server.fail_next(
        200, json.dumps({"meta": META, "data": {"token": token}}).encode(), call="auth.login", count=9
    )
    undecided(ask(gate, gate.server.url), "bad-answer")


def test_forbidden_says_what_the_server_said(gate: Gate) -> None:
    meta = {"result_code": 403, "result_subcode": 20, "result_msg": "role \x1b[31m not \n allowed"}
    gate.server.fail_next(403, json.dumps({"meta": meta, "data": {}}).encode())
    message, _ = undecided(ask(gate, gate.server.url), "forbidden")
    assert "role" in message
    assert "\x1b" not in message


# --- wrong content -----------------------------------------------------------------------------------------------


def enveloped(data: Any) -> bytes:
    return json.dumps({"meta": META, "data": data}).encode()


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"<!DOCTYPE html><html><body>Log in</body></html>",
        b"null",
        b"[]",
        b"true",
        b"{}",
        OK[:-9],
        b"\x1f\x8b\x08\x00gzip",
        b"\xff\xfe\x00",
        b"[" * 200_000,
        b'{"meta": ' * 200_000,
        json.dumps({"meta": META}).encode(),
        json.dumps({"meta": [], "data": {}}).encode(),
        json.dumps({"meta": {"result_code": "200"}, "data": None}).encode(),
        b'{"meta": {"result_code": ' + b"9" * 5000 + b'}, "data": {}}',
        json.dumps({"meta": {"result_code": 500, "result_msg": "inside"}, "data": {"tasks": []}}).encode(),
        enveloped(None),
        enveloped([]),
        enveloped({}),
        enveloped({"tasks": None}),
        enveloped({"tasks": {}}),
        enveloped({"tasks": [1]}),
        enveloped({"tasks": [None]}),
        enveloped({"tasks": [{}]}),
        enveloped({"tasks": [{"id": "../../evil"}]}),
    ],
)
def test_wrong_documents(gate: Gate, body: bytes) -> None:
    gate.server.fail_next(200, body, {"Content-Type": "application/json"}, count=9)
    undecided(ask(gate, gate.server.url), "bad-answer")


WRONG = [5, True, [1], {"a": {"b": 1}}, 1.5]


@pytest.mark.parametrize("value", WRONG, ids=lambda value: type(value).__name__)
@pytest.mark.parametrize(
    "field",
    (
        "id name status project project.id project.name script script.version_num script.repository script.entry_point "
        "script.working_dir completed last_update system_tags runtime hyperparams hyperparams.properties last_metrics"
    ).split(),
)
def test_a_field_of_the_wrong_type(gate: Gate, field: str, value: Any) -> None:
    """Either it does not matter or the answer is bad; a task with it never verifies by accident of a type."""
    script = {"version_num": gate.repo.head, "entry_point": "train.py", "working_dir": ".", "repository": REPOSITORY}
    task: dict[str, Any] = {"id": "a" * 32, "name": "n", "status": "completed", "completed": "", "script": script}
    task["project"] = {"id": "p", "name": "P"}
    *path, last = field.split(".")
    place = task
    for name in path:
        place = place.setdefault(name, {})
    place[last] = value
    gate.server.fail_next(200, enveloped({"tasks": [task]}), {"Content-Type": "application/json"}, count=9)
    result = ask(gate, gate.server.url)
    harmless = (isinstance(value, list) and field == "system_tags") or (isinstance(value, dict) and field in (
        "project", "script", "runtime", "hyperparams", "hyperparams.properties", "last_metrics"
    ))  # fmt: skip
    if not harmless:
        undecided(result, "bad-answer")
    assert result.status in (0, 1, 3)


def test_a_diff_of_the_wrong_type(gate: Gate) -> None:
    task = {"id": "a" * 32, "script": {"version_num": gate.repo.head, "diff": 5}}
    body = enveloped({"tasks": [task]})
    gate.server.fail_next(200, enveloped({"tasks": []}), count=1)
    gate.server.fail_next(200, body, count=9)
    undecided(ask(gate, gate.server.url), "bad-answer")


def test_strange_but_harmless_values(gate: Gate) -> None:
    good: dict[str, Any] = {"id": "a" * 32, "name": None, "status": "completed", "last_iteration": "many", "extra": {}}
    good |= {"system_tags": None, "project": None}
    script = {
        "version_num": gate.repo.head,
        "diff": "",
        "entry_point": "train.py",
        "repository": "https://example.com/team/project",
    }
    gate.server.fail_next(200, enveloped({"tasks": [{**good, "script": script}]}))
    result = ask(gate, gate.server.url)
    assert (result.status, result.commit["task"]["name"]) == (0, "")


def test_lone_surrogates(gate: Gate) -> None:
    name = b'"\\ud800 \\udfff \\u0000 \\u001b[31m"'
    task = enveloped({"tasks": [{"id": "a" * 32, "name": "NAME", "script": {"version_num": gate.repo.head}}]})
    gate.server.fail_next(200, task.replace(b'"NAME"', name), count=18)
    assert ask(gate, gate.server.url).status == 1
    text = gate.call("verify")
    assert (text.status, "\x1b" in text.out) == (1, False)
    assert gate.call("verify", "--format", "markdown").status == 1


def test_content_length_too_long(gate: Gate) -> None:
    with answering(reply(OK, headers=("Connection: close",), length=len(OK) + 10)) as server:
        message, _ = undecided(ask(gate, at(server)), "bad-answer")
    assert "truncated" in message


def test_content_length_too_short(gate: Gate) -> None:
    with answering(reply(OK, length=20)) as server:
        undecided(ask(gate, at(server)), "bad-answer")


@pytest.mark.parametrize(
    "raw",
    [
        b"SSH-2.0-OpenSSH_9.2\r\n",
        b"\x00" * 100,
        b"HTTP/1.1 abc\r\n\r\n",
        b"HTTP/1.1 200 OK\r\n" + b"X: y\r\n" * 200 + b"\r\n",
        b"HTTP/1.1 200 OK\r\nX: " + b"y" * 70_000 + b"\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: many\r\nConnection: close\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nabc",
    ],
)
def test_what_is_not_http(gate: Gate, raw: bytes) -> None:
    def talk(connection: Any) -> None:
        server.receive(connection)
        connection.sendall(raw)

    with Scripted(talk) as server:
        undecided(ask(gate, at(server)), "bad-answer")


@pytest.mark.parametrize("chunked", [True, False])
def test_200_megabytes(gate: Gate, chunked: bool) -> None:
    answer: Any = endless(200) if chunked else reply(b" " * 1000, length=200_000_000)
    with answering(answer) as server:
        message, _ = undecided(ask(gate, at(server)), "bad-answer")
    assert "more than 16 MB" in message


# --- redirects, proxies, connections -----------------------------------------------------------------------------


@pytest.mark.parametrize("status", ["301 Moved", "302 Found", "307 Temporary", "308 Permanent"])
def test_a_redirect_to_another_host_takes_no_credentials_along(gate: Gate, status: str) -> None:
    with answering(reply(OK)) as elsewhere:
        place = f"Location: http://127.0.0.1:{elsewhere.port}/tasks.get_all_ex"
        with answering(reply(b"", status=status, headers=(place,))) as server:
            message, _ = undecided(ask(gate, at(server)), "bad-answer")
    assert "redirects to 127.0.0.1" in message
    assert elsewhere.requests == []


def test_a_connection_is_kept_for_all_questions(gate: Gate) -> None:
    with answering(reply(OK)) as server:
        assert ask(gate, at(server)).status == 1
    assert (server.connections, len(server.requests)) == (1, 3)


def test_a_connection_dropped_between_requests(gate: Gate) -> None:
    def talk(connection: Any) -> None:
        if server.receive(connection):
            connection.sendall(reply(OK))

    with Scripted(talk) as server:
        assert ask(gate, at(server)).status == 1
    assert (server.connections, len(server.requests)) == (3, 3)


def test_through_a_proxy(gate: Gate) -> None:
    with answering(reply(OK)) as proxy:
        at_proxy = f"http://user:pa%20ss@127.0.0.1:{proxy.port}"
        result = ask(gate, "http://clearml.internal:8008", HTTP_PROXY=at_proxy)
    assert result.status == 1
    assert proxy.requests[0].startswith(b"POST http://clearml.internal:8008/tasks.get_all_ex HTTP/1.1\r\n")
    assert b"Proxy-Authorization: Basic " + base64.b64encode(b"user:pa ss") in proxy.requests[0]
    assert "pa%20ss" not in result.err


@pytest.mark.parametrize("bypass", ["127.0.0.1", "*", "localhost,127.0.0.1:{port}", "::/0, 127.0.0.0/8,x/y"])
def test_no_proxy(gate: Gate, bypass: str) -> None:
    gate.task()
    port = gate.server.url.rpartition(":")[2]
    with answering(reply(OK)) as proxy:
        result = ask(gate, gate.server.url, HTTP_PROXY=at(proxy), NO_PROXY=bypass.format(port=port))
    assert result.status == 0
    assert proxy.connections == 0


def test_a_proxy_that_is_no_url(gate: Gate) -> None:
    undecided(ask(gate, "http://clearml.internal", HTTP_PROXY="socks5://127.0.0.1:1080"), "unreachable")
    undecided(ask(gate, "http://clearml.internal", HTTP_PROXY="http://127.0.0.1:port"), "unreachable")


def test_https_through_a_proxy_that_refuses(gate: Gate) -> None:
    with answering(b"HTTP/1.1 407 Who are you\r\nContent-Length: 0\r\nConnection: close\r\n\r\n") as proxy:
        result = ask(gate, "https://clearml.internal", HTTPS_PROXY=at(proxy))
        undecided(result, "unreachable")
    assert proxy.requests[0].startswith(b"CONNECT clearml.internal:443 ")
    assert b"Authorization: Basic" not in proxy.requests[0]


# --- TLS ---------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> faults.Certificate:
    return make_certificate(tmp_path_factory.mktemp("tls"))


@pytest.fixture
def tls(certificate: faults.Certificate) -> Iterator[Scripted]:
    server = answering(reply(OK))
    server.context = certificate.context
    with server:
        yield server


def test_a_certificate_that_nobody_knows(gate: Gate, tls: Scripted) -> None:
    message, hint = undecided(ask(gate, f"https://127.0.0.1:{tls.port}"), "bad-answer")
    assert "certificate" in message
    assert "CLEARML_API_HOST_VERIFY_CERT" in hint
    assert tls.requests == []


@pytest.mark.parametrize("variable", ["CLEARML_API_HOST_VERIFY_CERT", "REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE"])
def test_a_certificate_of_our_own_authority(
    gate: Gate, tls: Scripted, certificate: faults.Certificate, variable: str
) -> None:
    gate.env[variable] = str(certificate.file)
    assert ask(gate, f"https://127.0.0.1:{tls.port}").status == 1
    assert len(tls.requests) == 3


@pytest.mark.parametrize("no", ["false", "0", "no", "False"])
def test_certificates_not_checked_when_told_so(gate: Gate, tls: Scripted, no: str) -> None:
    assert ask(gate, f"https://127.0.0.1:{tls.port}", CLEARML_API_HOST_VERIFY_CERT=no).status == 1


def test_a_certificate_for_another_host(gate: Gate, tmp_path: Path, certificate: faults.Certificate) -> None:
    server = answering(reply(OK))
    server.context = certificate.context
    with server:
        host = f"https://127.0.0.2:{server.port}"
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr("socket.create_connection", _always(server.port))
            undecided(ask(gate, host, CLEARML_API_HOST_VERIFY_CERT=str(certificate.file)), "bad-answer")
    assert server.requests == []


def _always(port: int) -> Callable[..., Any]:
    import socket

    real = socket.create_connection
    return lambda _, *rest, **more: real(("127.0.0.1", port), *rest, **more)


def test_a_ca_file_that_is_none(gate: Gate, tls: Scripted, tmp_path: Path) -> None:
    (tmp_path / "ca.pem").write_text("no certificate\n")
    host = f"https://127.0.0.1:{tls.port}"
    undecided(ask(gate, host, CLEARML_API_HOST_VERIFY_CERT=str(tmp_path / "ca.pem")), "bad-answer")
    missing = ask(gate, host, CLEARML_API_HOST_VERIFY_CERT=str(tmp_path / "missing.pem"))
    assert (missing.status, missing.errors) == (2, ["bad-setting"])


def test_https_on_an_http_port(gate: Gate) -> None:
    undecided(ask(gate, gate.server.url.replace("http:", "https:")), "bad-answer")
    with Scripted(lambda connection: connection.sendall(b"HTTP/1.1 400 Bad Request\r\n\r\n")) as server:
        _, hint = undecided(ask(gate, f"https://127.0.0.1:{server.port}"), "bad-answer")
    assert "http://" in hint


def test_https_on_a_silent_port(gate: Gate) -> None:
    with faults.silent() as server:
        undecided(ask(gate, f"https://127.0.0.1:{server.port}", budget=SHORT), "timeout")


# --- processes, and the other exits ------------------------------------------------------------------------------


def test_a_process_of_its_own_ends_in_time(gate: Gate) -> None:
    """Not even at the interpreter's exit does the thread that still reads hold us."""
    with faults.silent() as server:
        started = time.monotonic()
        result = gate.verify("--timeout", "0.5", env={"CLEARML_API_HOST": at(server)}, alone=True)
        assert time.monotonic() - started < LATE
    undecided(result, "timeout")


@pytest.mark.parametrize("form", ["text", "markdown", "json"])
def test_every_format_says_the_same_on_stderr(gate: Gate, form: str) -> None:
    with ClearMLServer() as other:
        url = other.url
    result = gate.call("verify", "--format", form, env={"CLEARML_API_HOST": url})
    assert result.status == 3
    assert "refuses connections" in result.talk()[0]


def test_the_budget_is_for_all_requests_together(gate: Gate) -> None:
    """Each answer is quick enough, all three together are not."""
    gate.server.latency = 0.3
    undecided(ask(gate, gate.server.url, budget=0.8), "timeout")


def test_a_renewed_budget(gate: Gate) -> None:
    """What --wait relies on."""
    server = read_server(gate.server.env)
    assert server is not None
    now = [0.0]
    api = ClearML(server, 5, environment={}, clock=lambda: now[0])
    now[0] = 100.0
    with pytest.raises(TimedOut):
        api.call("debug.ping", {})
    api.renew()
    assert api.call("debug.ping", {}) == {"msg": "ClearML server"}
    api.hurry(2)
    now[0] += 3
    with pytest.raises(TimedOut, match="within 2 s"):
        api.call("debug.ping", {})
    api.renew()
    now[0] += 4
    api.hurry(2)  # never beyond what there is
    now[0] += 1.5
    with pytest.raises(TimedOut):
        api.call("debug.ping", {})
    api.close()
