"""Where the server and the credentials come from: the environment, clearml.conf, and what is missing."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import pytest

from tests.support import faults
from tests.support.clearml_server import ACCESS_KEY, SECRET_KEY
from tests.support.faults import answering, reply
from tests.support.program import Gate, Result

CREDENTIALS = f'credentials {{ "access_key" = "{ACCESS_KEY}", "secret_key" = "{SECRET_KEY}" }}'


def with_conf(gate: Gate, tmp_path: Path, content: str, *words: str, **env: str | None) -> Result:
    """`verify` with the credentials in a clearml.conf alone."""
    conf = tmp_path / "my clearml.conf"
    conf.write_text(content, encoding="utf-8")
    nothing: Mapping[str, str | None] = dict.fromkeys(gate.server.env)
    return gate.verify(*words, env={**nothing, "CLEARML_CONFIG_FILE": str(conf), **env})


def only(gate: Gate, *words: str, **env: str | None) -> Result:
    """`verify` with nothing configured but `env`."""
    return gate.verify(*words, env={**dict.fromkeys(gate.server.env), **env})


@pytest.mark.parametrize(
    "content",
    [
        "api {{ api_server: {url}, web_server: {url}, {keys} }}",
        'api {{\n  # comment }} with a brace\n  api_server: "{url}" // more\n  {keys}\n}}\nsdk {{ a: [1, 2] }}\n',
        '{{ "api": {{ "api_server": "{url}", {keys} }} }}',
        'api.api_server = "{url}"\napi {{ {keys} }}',
        'host = "{url}"\napi {{ api_server: ${{host}}, {keys} }}',
        'api {{ host: "http://wrong.invalid", api_server: "{url}", {keys} }}\nagent {{ x: 1 }}',
        'api {{ api_server: "http://wrong.invalid", {keys} }}\napi {{ api_server: "{url}" }}',
        'sdk {{ api {{ api_server: "http://wrong.invalid" }} }}\napi {{ api_server: "{url}", {keys} }}',
    ],
)
def test_clearml_conf(gate: Gate, tmp_path: Path, content: str) -> None:
    gate.task()
    text = content.format(url=gate.server.url if '"{url}"' in content else f'"{gate.server.url}"', keys=CREDENTIALS)
    result = with_conf(gate, tmp_path, text)
    assert (result.status, len(result.calls)) == (0, 1), result.err


def test_clearml_conf_with_values_from_the_environment(gate: Gate, tmp_path: Path) -> None:
    gate.task()
    keys = "credentials { access_key: none, access_key: ${?MY_ACCESS}, secret_key: ${?MY_SECRET} }"
    text = f'api {{ api_server: "{gate.server.url}", {keys} }}'
    assert with_conf(gate, tmp_path, text, MY_ACCESS=ACCESS_KEY, MY_SECRET=SECRET_KEY).status == 0


def test_clearml_conf_in_home(gate: Gate, tmp_path: Path) -> None:
    gate.task()
    (tmp_path / "clearml.conf").write_text(f'api {{ api_server: "{gate.server.url}", {CREDENTIALS} }}')
    assert only(gate, CLEARML_CONFIG_FILE=None, HOME=str(tmp_path)).status == 0


def test_the_environment_beats_clearml_conf(gate: Gate, tmp_path: Path) -> None:
    gate.task()
    text = f'api {{ api_server: "http://wrong.invalid", {CREDENTIALS} }}'
    assert with_conf(gate, tmp_path, text, CLEARML_API_HOST=gate.server.url).status == 0
    assert with_conf(gate, tmp_path, "this is { no conf", **gate.server.env).status == 0


def test_verify_certificate_of_clearml_conf(gate: Gate, tmp_path: Path) -> None:
    certificate = faults.make_certificate(tmp_path)
    ok = b'{"meta": {"result_code": 200}, "data": {"tasks": []}}'
    server = answering(reply(ok))
    server.context = certificate.context
    with server:
        url = f"https://127.0.0.1:{server.port}"
        for value, status in (("false", 1), (f'"{certificate.file}"', 1), ("true", 3)):
            text = f'api {{ api_server: "{url}", verify_certificate: {value}, {CREDENTIALS} }}'
            assert with_conf(gate, tmp_path, text).status == status


@pytest.mark.parametrize(
    "content", ["api {", "api { credentials { ", "= = =", 'api { include "x" ', "api : ${nosuch}", "a" * 500 + "{"]
)
def test_a_broken_clearml_conf(gate: Gate, tmp_path: Path, content: str) -> None:
    result = with_conf(gate, tmp_path, content + f"\n# {SECRET_KEY}\nsecret_key: {SECRET_KEY}\n")
    assert (result.status, result.errors, result.calls) == (2, ["bad-setting"], ())
    assert "clearml.conf" in result.talk()[0]


def test_a_clearml_conf_that_is_not_text(gate: Gate, tmp_path: Path) -> None:
    (tmp_path / "conf").write_bytes(b"\xff\xfe\x00api")
    result = only(gate, CLEARML_CONFIG_FILE=str(tmp_path / "conf"))
    assert (result.status, result.errors) == (2, ["bad-setting"])
    assert "not UTF-8" in result.talk()[0]


@pytest.mark.parametrize(
    ("env", "missing"),
    [
        ({"CLEARML_API_ACCESS_KEY": ACCESS_KEY, "CLEARML_API_SECRET_KEY": SECRET_KEY}, "the ClearML host is missing"),
        ({"CLEARML_API_ACCESS_KEY": ACCESS_KEY}, "the ClearML secret key and host are missing"),
        ({"CLEARML_API_SECRET_KEY": SECRET_KEY, "CLEARML_API_HOST": "http://x"}, "the ClearML access key is missing"),
        ({"CLEARML_API_ACCESS_KEY": ACCESS_KEY, "CLEARML_API_HOST": "http://x"}, "the ClearML secret key is missing"),
    ],
)
def test_half_a_configuration(gate: Gate, monkeypatch: pytest.MonkeyPatch, env: dict[str, str], missing: str) -> None:
    asked: list[object] = []

    def look_up(*address: object, **_: object) -> list[object]:
        asked.append(address)
        return []

    monkeypatch.setattr("socket.getaddrinfo", look_up)
    result = only(gate, **env)
    assert (result.status, result.json["outcome"], result.errors) == (3, "undecided", ["not-configured"])
    assert missing in result.talk()[0]
    assert result.talk()[1].startswith("set CLEARML_API_")
    assert (asked, result.calls) == ([], ())


def test_a_key_in_clearml_conf_without_a_host(gate: Gate, tmp_path: Path) -> None:
    result = with_conf(gate, tmp_path, f"api {{ {CREDENTIALS} }}")
    assert (result.status, result.errors, result.calls) == (3, ["not-configured"], ())


def test_nothing_configured_means_local_evidence(gate: Gate) -> None:
    result = only(gate)
    assert (result.status, result.json["outcome"], result.errors) == (1, "rejected", [])


def test_nothing_configured_in_ci(gate: Gate) -> None:
    gate.repo.default_branch(gate.repo.head)
    result = only(gate, CI="1")
    assert (result.status, result.errors) == (3, ["not-configured"])
    assert only(gate, CI="true").status == 3
    assert only(gate, CI="false").status == 1
    assert only(gate, "--evidence", "offline", CI="1").status == 1
    assert only(gate, "--evidence", "server").status == 3


def test_evidence_offline_asks_no_server(gate: Gate) -> None:
    gate.task()
    result = gate.verify("--evidence", "offline")
    assert (result.status, result.calls) == (1, ())
    gate.repo.policy('evidence = "offline"')
    assert gate.verify().calls == ()


def test_a_ci_job_with_credentials(gate: Gate) -> None:
    gate.repo.default_branch(gate.repo.head)
    gate.task()
    gate.env = {"CI": "true"}
    gate.accepts()


@pytest.mark.parametrize("host", ["127.0.0.1:{port}", "http://127.0.0.1:{port}/", "http://u:p@127.0.0.1:{port}"])
def test_ways_to_write_the_host(gate: Gate, host: str) -> None:
    gate.task()
    gate.env = {"CLEARML_API_HOST": host.format(port=gate.server.url.rpartition(":")[2])}
    gate.accepts()


@pytest.mark.parametrize(
    "host",
    ["ftp://x", "http://", "http://x:port", "http://[::1", "://",
     "http://host:port", "https://" + "a" * 70 + ".example", "http://h:70000", "a..b",
     "http://ho\tst", "http://\udcff.example", "http://h:0"],
)  # fmt: skip
def test_a_host_that_is_no_url(gate: Gate, host: str) -> None:
    result = gate.verify(env={"CLEARML_API_HOST": host})
    assert (result.status, result.errors) == (2, ["bad-setting"])


def test_a_path_before_the_api(gate: Gate) -> None:
    ok = b'{"meta": {"result_code": 200}, "data": {"tasks": []}}'
    with answering(reply(ok)) as server:
        gate.verify(env={"CLEARML_API_HOST": f"http://127.0.0.1:{server.port}/clearml/api/"})
    assert server.requests[0].startswith(b"POST /clearml/api/tasks.get_all_ex HTTP/1.1\r\n")


def test_verify_does_not_honour_the_skip_of_the_hook(gate: Gate) -> None:
    assert gate.verify(env={"GIT_CLEARML_SKIP": "1"}).status == 1


def test_a_token_in_place_of_keys(gate: Gate) -> None:
    gate.task()
    gate.env = dict.fromkeys(("CLEARML_API_ACCESS_KEY", "CLEARML_API_SECRET_KEY"))
    gate.env["CLEARML_AUTH_TOKEN"] = gate.server.token()
    gate.accepts()
    assert gate.server.requests[0].headers["Authorization"] == "Bearer"
    gate.env["CLEARML_AUTH_TOKEN"] = gate.server.token(-5)
    late = gate.verify()
    assert (late.status, late.errors) == (3, ["unauthorized"])
    assert gate.env["CLEARML_AUTH_TOKEN"] not in late.out + late.err


@pytest.mark.parametrize(
    ("name", "named"),
    [
        ("CLEARML_CONFIG_FILE", "/nowhere/clearml.conf"),
        ("TRAINS_CONFIG_FILE", "/"),
        ("CLEARML_CONFIG_FILE", "~/missing.conf"),
    ],
)
def test_a_clearml_conf_that_is_not_there(gate: Gate, tmp_path: Path, name: str, named: str) -> None:
    """Neither is local evidence looked at, nor does a run go on without a server."""
    result = only(gate, **{name: named})
    assert (result.status, result.errors, result.calls) == (2, ["bad-setting"], ())
    without = dict.fromkeys(gate.server.env)
    touched = tmp_path / "touched"
    words = ("run", "--", "touch", str(touched))
    assert gate.call(*words, env={**without, name: named}).status == 2
    assert not touched.exists()
    offline = gate.call(*words, env={**without, name: named, "CLEARML_OFFLINE_MODE": "1"})
    assert (touched.exists(), offline.calls) == (True, ())


@pytest.mark.parametrize("env", [{"CLEARML_API_HOST": "http://x"}, {"TRAINS_API_SECRET_KEY": SECRET_KEY}])
def test_run_does_not_go_offline_by_half_a_configuration(gate: Gate, tmp_path: Path, env: dict[str, str]) -> None:
    touched = tmp_path / "touched"
    result = gate.call("run", "--", "touch", str(touched), env={**dict.fromkeys(gate.server.env), **env})
    assert (result.status, touched.exists()) == (3, False)


@pytest.mark.parametrize(
    ("name", "odd"),
    [
        ("CLEARML_API_ACCESS_KEY", "\udcff"),
        ("CLEARML_API_ACCESS_KEY", "ä\u20ac"),
        ("CLEARML_API_SECRET_KEY", "a\nb"),
        ("CLEARML_API_SECRET_KEY", "x" * 100_000),
        ("CLEARML_AUTH_TOKEN", "\udcff"),
        ("CLEARML_AUTH_TOKEN", "q w"),
    ],
)
def test_odd_credentials_are_refused_and_no_bug(gate: Gate, name: str, odd: str) -> None:
    result = gate.verify(env={name: odd})
    assert (result.status, result.json["outcome"]) in ((2, "undecided"), (3, "undecided"))
    assert odd not in result.out + result.err
