"""One question at a time within its budget: what is late, wrong or misdirected is our error, without secrets."""

from __future__ import annotations

import base64
import gc
import re
import socket
import threading
import time
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from git_clearml.base.exchange import Request, Site
from git_clearml.base.http import RETRY_DELAYS, HttpClient, seconds_to_wait
from git_clearml.errors import BadAnswer, BadSetting, CannotDecide, TimedOut, Unreachable
from tests.support import faults
from tests.support.faults import Scripted, answering, reply

SECRET = "S3CRET-token"
ODD_TIMES = (
    "Fri, 31 Dec 9999 23:59:59 -9999",
    "Mon, 01 Jan 0001 00:00:00 +2359",
    "1 1 1",
    ",",
    "Thu, 1 Jan 99999999999",
)


@pytest.fixture(autouse=True)
def _quick_retries(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("git_clearml.base.http.RETRY_DELAYS", (0.01, 0.02))


_CLIENTS: list[HttpClient] = []


@pytest.fixture(autouse=True)
def _closed_in_the_end() -> Iterator[None]:
    yield
    while _CLIENTS:
        _CLIENTS.pop().close()


def client(port: int, budget: float = 10.0, path: str = "", **more: Any) -> HttpClient:
    _CLIENTS.append(HttpClient(Site(f"http://127.0.0.1:{port}{path}"), budget, **{"environment": {}, **more}))
    return _CLIENTS[-1]


def ask(path: str = "first", body: bytes | None = None, **headers: str) -> Request:
    return Request("GET" if body is None else "POST", path, headers, body)


# --- what is sent ------------------------------------------------------------------------------------------------


def test_a_request_goes_out_as_it_was_asked_for() -> None:
    lines: list[str] = []
    with answering(reply(b"{}", headers=("X-Kind: odd",))) as server:
        http = client(server.port, path="/api/v1", log=lines.append)
        answer = http.exchange(ask("repos/a?token=" + SECRET, Authorization="Bearer " + SECRET))
        http.exchange(ask("repos/b", b'{"a": 1}'))
        http.close()
    first, second = (head.decode().split("\r\n") for head in server.requests)
    assert first[0] == f"GET /api/v1/repos/a?token={SECRET} HTTP/1.1"
    assert "Authorization: Bearer " + SECRET in first
    assert "Accept-Encoding: identity" in first
    assert any(line.startswith("User-Agent: git-clearml/") for line in first)
    assert second[0] == "POST /api/v1/repos/b HTTP/1.1"
    assert "Content-Length: 8" in second
    assert (answer.status, answer.headers["x-kind"], answer.body) == (200, "odd", b"{}")
    assert server.connections == 1
    assert [line.partition(":")[0] for line in lines] == ["GET repos/a", "POST repos/b"]


def test_nothing_that_was_asked_shows_in_a_repr() -> None:
    assert SECRET not in repr(ask("first", SECRET.encode(), Authorization=SECRET))


@pytest.mark.parametrize("odd", ["a\nb", "a\r\nX: y", "a\0", "ключ"])
def test_a_header_that_cannot_be_sent_is_not_quoted(odd: str) -> None:
    with answering(reply(b"{}")) as server:
        with pytest.raises(BadSetting) as raised:
            client(server.port).exchange(ask(Authorization=SECRET + odd))
        assert SECRET not in str(raised.value) + raised.value.hint
    assert server.connections == 0


def test_a_proxy_gets_the_whole_url_and_its_own_credentials() -> None:
    with answering(reply(b"{}")) as proxy:
        site = Site("http://clearml.internal:8008/base")
        environment = {"HTTP_PROXY": f"http://user:pa%20ss@127.0.0.1:{proxy.port}"}
        http = HttpClient(site, 10, environment=environment)
        http.exchange(ask())
        http.close()
    lines = proxy.requests[0].decode().split("\r\n")
    assert lines[0] == "GET http://clearml.internal:8008/base/first HTTP/1.1"
    assert "Proxy-Authorization: Basic " + base64.b64encode(b"user:pa ss").decode() in lines


# --- what comes back ---------------------------------------------------------------------------------------------


def test_a_proxy_that_refuses_is_hung_up_on_at_once() -> None:
    """Its answer holds the socket open, and the error holds the answer: nothing is left for Python to find later.

    Python 3.10.13 and 3.11.2 leave it to us, the http.client of 3.11.7 closes the answer itself.
    """
    with answering(b"HTTP/1.1 403 Forbidden\r\nContent-Length: 0\r\n\r\n") as proxy:
        through = {"https_proxy": f"http://127.0.0.1:{proxy.port}"}
        asking = HttpClient(Site("https://clearml.internal"), 10.0, environment=through)
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always", ResourceWarning)
            with pytest.raises(Unreachable):
                asking.exchange(ask())
            gc.collect()
    assert [str(warning.message) for warning in caught if "socket" in str(warning.message)] == []


def test_any_status_is_an_answer_but_not_a_redirect() -> None:
    with answering(reply(b"no", status="404 Not Found")) as server:
        assert client(server.port).exchange(ask()).status == 404
    for place in ("http://elsewhere.invalid/x", "https://[bad", ""):
        with answering(reply(b"", status="302 Found", headers=(f"Location: {place}",))) as server:
            http = client(server.port)
            with pytest.raises(BadAnswer, match=r"redirects to (elsewhere|elsewhere\.invalid);"):
                http.exchange(ask(Authorization=SECRET))
            http.close()
        assert len(server.requests) == 1


def test_an_answer_has_its_limit() -> None:
    with answering(reply(b"x" * 100)) as server:
        http = client(server.port)
        assert len(http.exchange(ask(), limit=100).body) == 100
        http.close()
        with pytest.raises(BadAnswer, match="sent more than"):
            client(server.port).exchange(ask(), limit=99)


@pytest.mark.parametrize(
    ("after", "waits"),
    [
        ("", [0.01, 0.02]),
        ("3", [3, 3]),
        ("\xb2", [0.01, 0.02]),
        ("soon", [0.01, 0.02]),
        ("Fri, 31 Dec 1999 23:59:59 GMT", [0.01, 0.02]),
        ("9" * 400, []),
    ],
)
def test_an_unavailable_server_is_asked_again_when_it_says(after: str, waits: list[float]) -> None:
    slept: list[float] = []
    answer = reply(b"", status="503 Busy").replace(b"\r\n\r\n", f"\r\nRetry-After: {after}\r\n\r\n".encode("latin-1"))
    with answering(answer) as server:
        with pytest.raises(Unreachable, match=r"temporarily unavailable \(HTTP 503\)"):
            client(server.port, sleep=slept.append).exchange(ask())
        assert all(wait <= slow < wait + 0.01 for slow, wait in zip(slept, waits, strict=True))  # and some jitter
        assert len(server.requests) == len(waits) + 1


def test_an_unavailable_server_is_waited_for_as_long_as_the_budget_allows(monkeypatch: pytest.MonkeyPatch) -> None:
    """429 and 503: four times more within ten seconds, and not at the moment when everybody else comes back too."""
    monkeypatch.setattr("git_clearml.base.http.RETRY_DELAYS", RETRY_DELAYS)
    with answering(*[reply(b"", status="429 Slow down")] * 20, reply(b"{}")) as server:
        slept: list[list[float]] = []
        for _ in range(4):
            slept.append([])
            with pytest.raises(Unreachable, match="429"):
                client(server.port, sleep=slept[-1].append).exchange(ask())
        for each in slept:
            assert all(delay <= wait < 1.5 * delay for wait, delay in zip(each, RETRY_DELAYS, strict=True))
        assert len({tuple(each) for each in slept}) == 4
        assert sum(RETRY_DELAYS) < 10


def test_what_must_not_happen_twice_is_asked_once() -> None:
    with answering(reply(b"", status="502 Bad Gateway"), reply(b"{}")) as server:
        with pytest.raises(Unreachable):
            client(server.port).exchange(ask(), repeat=False)
        assert len(server.requests) == 1


def test_a_connection_that_was_closed_meanwhile_is_opened_again() -> None:
    with answering(reply(b"{}", headers=("Connection: close",)), reply(b"{}")) as server:
        http = client(server.port)
        http.exchange(ask(), repeat=False)
        http.exchange(ask(), repeat=False)
        http.close()
        assert server.connections == 2


# --- time --------------------------------------------------------------------------------------------------------


def test_the_budget_is_for_all_and_can_be_renewed() -> None:
    now = [0.0]
    with answering(reply(b"{}")) as server:
        http = client(server.port, clock=lambda: now[0])
        http.exchange(ask())
        now[0] = 10.0
        with pytest.raises(TimedOut, match="did not answer within 10 s"):
            http.exchange(ask())
        http.renew()
        http.exchange(ask())
        http.close()


def test_a_silent_server_costs_the_budget_and_no_more() -> None:
    with faults.silent() as server:
        started = time.monotonic()
        with pytest.raises(TimedOut):
            client(server.port, 0.2).exchange(ask())
        assert time.monotonic() - started < 60


def resolving(
    event: threading.Event, entered: threading.Event, asking: list[threading.Thread] | None = None
) -> Callable[..., Any]:
    """A name server that answers the first question when the event comes, and the others at once; who has asked."""
    real = socket.getaddrinfo
    asked = [] if asking is None else asking

    def getaddrinfo(*args: Any, **kwargs: Any) -> Any:
        asked.append(threading.current_thread())
        if len(asked) == 1:
            entered.set()
            event.wait(120)
        return real(*args, **kwargs)

    return getaddrinfo


@pytest.mark.parametrize("renewed_first", [True, False])
def test_what_was_given_up_is_never_sent_and_its_connection_never_used(
    monkeypatch: pytest.MonkeyPatch, renewed_first: bool
) -> None:
    """The thread that the deadline left behind still connects; that connection is nobody's but its own."""
    event, entered = threading.Event(), threading.Event()
    monkeypatch.setattr("socket.getaddrinfo", resolving(event, entered))
    with answering(reply(b"{}")) as server:
        http = client(server.port, 0.2)
        before = set(threading.enumerate())
        with pytest.raises(TimedOut):
            http.exchange(ask("first", b"{}"), repeat=False)
        assert entered.is_set()
        (left_behind,) = [thread for thread in threading.enumerate() if thread not in before]
        if renewed_first:
            http.renew()
            http._deadline += 10
            http.exchange(ask("second"))
        event.set()
        left_behind.join(10)
        http.renew()
        http._deadline += 10
        http.exchange(ask("third"))
        http.close()
        paths = [head.split(b" ")[1] for head in server.requests]
    assert paths == [*([b"/second"] if renewed_first else []), b"/third"]


# --- ahead of the question ---------------------------------------------------------------------------------------


def test_the_question_goes_over_what_was_opened_ahead() -> None:
    with answering(reply(b"{}")) as server:
        http = client(server.port)
        for path in ("first", "second"):
            http.open_ahead()
            http.open_ahead()
            http.exchange(ask(path))
        http.close()
        assert (server.connections, len(server.requests)) == (1, 2)


@pytest.mark.parametrize(
    "site",
    [
        lambda: f"http://127.0.0.1:{faults.closed_port()}",
        lambda: "http://nosuch.invalid",
        lambda: "http://x" + "x" * 300,
        lambda: "https://{server}",
        lambda: "http://{server}",
    ],
)
@pytest.mark.parametrize("proxy", ["", "socks5://127.0.0.1:1"])
def test_what_goes_wrong_ahead_is_told_as_ever(site: Callable[[], str], proxy: str) -> None:
    def told(ahead: bool) -> tuple[type[Exception], str, str]:
        with Scripted(lambda connection: connection.sendall(b"SSH-2.0-x\r\n")) as server:
            url = site().replace("{server}", f"127.0.0.1:{server.port}")
            http = HttpClient(Site(url), 10, environment={"ALL_PROXY": proxy})
            _CLIENTS.append(http)
            if ahead:
                http.open_ahead()
            with pytest.raises(CannotDecide) as raised:
                http.exchange(ask())
            text = f"{raised.value.message} {raised.value.hint}"
            return type(raised.value), raised.value.code, re.sub(r":\d+", "", text)

    assert told(True) == told(False)


@pytest.mark.parametrize("still_connecting", [True, False])
def test_where_nothing_is_asked_after_all_the_connection_is_closed(
    monkeypatch: pytest.MonkeyPatch, still_connecting: bool
) -> None:
    event, entered = threading.Event(), threading.Event()
    asking: list[threading.Thread] = []
    monkeypatch.setattr("socket.getaddrinfo", resolving(event, entered, asking))
    with answering(reply(b"{}")) as server:
        http = client(server.port)
        if not still_connecting:
            event.set()
        http.open_ahead()
        assert entered.wait(60)
        http.close()
        event.set()
        (thread,) = asking
        thread.join(60)
        assert not thread.is_alive()
        assert server.requests == []


@pytest.mark.parametrize("goodbye", [b"", reply(b"", status="408 Request Time-out", headers=("Connection: close",))])
def test_what_the_server_has_closed_meanwhile_is_opened_again(goodbye: bytes) -> None:
    """Some proxies say so in an answer to what nobody has asked yet."""
    closed = threading.Event()

    def talk(connection: Any) -> None:
        if closed.is_set() and server.receive(connection):
            connection.sendall(reply(b"{}"))
        else:
            connection.sendall(goodbye)
        connection.close()
        closed.set()

    with Scripted(talk) as server:
        http = client(server.port)
        http.open_ahead()
        assert closed.wait(10)
        assert http.exchange(ask()).body == b"{}"
        http.close()


def test_a_tls_connection_that_was_cut_meanwhile_is_opened_again(tmp_path: Path) -> None:
    """Without a word of TLS, as what stands between does with one that is idle."""
    certificate, cut = faults.make_certificate(tmp_path), threading.Event()

    def talk(connection: Any) -> None:
        if cut.is_set() and server.receive(connection):
            connection.sendall(reply(b"{}"))
        else:
            time.sleep(0.05)  # the handshake has two ends
            connection.close()
            cut.set()

    with Scripted(talk, certificate.context) as server:
        site = Site(f"https://127.0.0.1:{server.port}", verify=str(certificate.file))
        http = HttpClient(site, 10, environment={})
        _CLIENTS.append(http)
        http.open_ahead()
        assert cut.wait(10)
        assert http.exchange(ask(body=b"{}")).body == b"{}"
        http.close()


# --- faults ------------------------------------------------------------------------------------------------------


@pytest.fixture
def secret_request() -> Request:
    return ask("first", SECRET.encode(), Authorization="Bearer " + SECRET)


@pytest.mark.parametrize(
    ("raw", "words"),
    [
        (b"SSH-2.0-OpenSSH_9.2\r\n", "not HTTP"),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\nConnection: close\r\n\r\nabc", "truncated"),
    ],
)
def test_what_is_not_an_answer(raw: bytes, words: str, secret_request: Request) -> None:
    def talk(connection: Any) -> None:
        server.receive(connection)
        connection.sendall(raw)

    with Scripted(talk) as server, pytest.raises(BadAnswer, match=words) as raised:
        client(server.port).exchange(secret_request)
    assert SECRET not in str(raised.value)


def test_hanging_up_is_tried_again_and_then_said(secret_request: Request) -> None:
    with Scripted(lambda _: None) as server:
        with pytest.raises(CannotDecide) as raised:
            client(server.port).exchange(secret_request)
        assert server.connections == 3
    assert raised.value.code == "unreachable"


def test_each_site_has_its_own_hints() -> None:
    site = Site(f"http://127.0.0.1:{faults.closed_port()}", check_address="check BITBUCKET_API_URL")
    with pytest.raises(Unreachable) as raised:
        HttpClient(site, 5, environment={}).exchange(ask())
    assert raised.value.hint.endswith("check BITBUCKET_API_URL")


@pytest.mark.parametrize(
    ("system", "named", "trusts"), [(True, "", True), (False, "", True), (False, "SSL_CERT_FILE", False)]
)
def test_a_python_that_knows_no_authorities_takes_those_of_requests(
    system: bool, named: str, trusts: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As ClearML's SDK does: Python of python.org on macOS, and slim images, have none of their own."""
    import ssl

    import certifi

    from git_clearml.base import connection

    monkeypatch.setenv("SSL_CERT_FILE", certifi.where() if system else str(tmp_path / "none.pem"))
    monkeypatch.setenv("SSL_CERT_DIR", str(tmp_path / "none"))
    context = connection._trust(True, {named: "none.pem"} if named else {})
    assert bool(context.cert_store_stats()["x509_ca"]) is trusts
    assert context.verify_mode is ssl.CERT_REQUIRED
    assert context.check_hostname


def test_what_is_wrong_with_a_proxy_is_said_of_it() -> None:
    """Not of the server, and by the variable that names it."""
    port = faults.closed_port()
    site = Site("http://127.0.0.1:1", check_address="check CLEARML_API_HOST")
    for variable, proxy, said in (
        ("ALL_PROXY", "socks5://127.0.0.1:1", "the proxy in ALL_PROXY is not an http:// URL"),
        ("http_proxy", f"http://u:{SECRET}@127.0.0.1:{port}", f"the proxy 127.0.0.1:{port} refuses connections"),
    ):
        with pytest.raises(Unreachable) as raised:
            HttpClient(site, 5, environment={variable: proxy, "NO_PROXY": "10.0.0.0/8,,/"}).exchange(ask())
        assert raised.value.message.startswith(said)
        assert raised.value.hint == "correct the address of the proxy, or name the server in NO_PROXY"


def test_an_answer_that_ends_the_connection_is_given_up_as_well() -> None:
    """http.client lets go of such a socket before the answer is read: the thread would read on for ever."""
    over: list[bytes] = []

    def talk(connection: Any) -> None:
        server.receive(connection)
        connection.sendall(b"HTTP/1.0 200 OK\r\nContent-Type: application/json\r\n\r\n{")
        over.append(connection.recv(1))

    with Scripted(talk) as server:
        before = set(threading.enumerate())
        with pytest.raises(TimedOut):
            client(server.port, 0.3).exchange(ask())
        for thread in set(threading.enumerate()) - before:
            thread.join(10)
        assert over == [b""]


@given(st.text(st.characters(max_codepoint=255)) | st.from_regex(r"[-+]?\d{1,30}") | st.sampled_from(ODD_TIMES))
def test_any_retry_after_is_a_time_or_none(text: str) -> None:
    seconds = seconds_to_wait(text)
    assert seconds is None or 0 <= seconds < 1e12


@pytest.mark.parametrize("odd", ["²", "-5", "1e9", "٣", "99999999999", "Fri, 31 Dec 9999 23:59:59 GMT", ""])
def test_odd_times_to_wait(odd: str) -> None:
    """Whatever it says: one more try where there is time for it, or the answer that there is none."""
    busy = reply(b"", status="503 Busy", headers=(f"Retry-After: {odd}",)).decode().encode("utf-8")
    with answering(busy) as server, pytest.raises(Unreachable, match="temporarily unavailable"):
        client(server.port, 2).exchange(ask())


@pytest.mark.parametrize(
    "host", [f"{'a' * 70}.example", f"{'ä' * 70}.example", "a..b", "127.0.0.1:65536", "\udcff.example", "h\0st"]
)
@pytest.mark.parametrize("proxy", [True, False])
def test_no_host_is_a_bug_of_ours(host: str, proxy: bool) -> None:
    """Settings are checked before; here it may come from a proxy's variable, or a forge's."""
    url = "http://127.0.0.1:1" if proxy else f"http://{host}"
    environment = {"http_proxy": f"http://{host}"} if proxy else {}
    http = HttpClient(Site(url), 5.0, environment=environment)
    with pytest.raises(CannotDecide) as raised:
        http.exchange(ask())
    assert raised.value.code in ("unreachable", "bad-answer")
