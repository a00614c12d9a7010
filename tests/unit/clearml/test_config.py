"""Which server and which credentials: what ClearML's own tools would take, never half of it, never shown."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, assume, example, given, settings
from hypothesis import strategies as st

from git_clearml.clearml import conf_file
from git_clearml.clearml.conf_file import conf_paths, sdk_value
from git_clearml.clearml.config import Server, api_url, read_server, web_url
from git_clearml.errors import BadSetting, Error, NotConfigured

KEY, SECRET = "ACCESSKEY0123456789", "s3cretS3CRETs3cret"
FULL = f"""# clearml.conf as clearml-init writes it
api {{
    # Notice: 'host' is the api server (default port 8008), not the web server.
    api_server: https://api.example.com
    web_server: https://app.example.com
    files_server: https://files.example.com
    credentials {{"access_key": "{KEY}", "secret_key": "{SECRET}"}}
}}
sdk {{
    development {{
        vcs_repo_detect_async: false  # no fork
        store_code_diff_from_remote = true
    }}
    storage {{ path: "a}}b{{" }}
}}
"""


def environment(tmp_path: Path, conf: str | None = None, **variables: str) -> dict[str, str]:
    if conf is not None:
        (tmp_path / "clearml.conf").write_text(conf, encoding="utf-8")
    return {"HOME": str(tmp_path), **variables}


ENV = {
    "CLEARML_API_HOST": "https://env.example.com",
    "CLEARML_API_ACCESS_KEY": "ENVKEY",
    "CLEARML_API_SECRET_KEY": "ENVSECRET",
}


def test_nobody_configured_a_server(tmp_path: Path) -> None:
    assert read_server(environment(tmp_path)) is None
    assert read_server({}) is None
    assert read_server(environment(tmp_path, "sdk { }\n")) is None
    assert read_server(environment(tmp_path, "api { http { retries { total: 3 } } }\n")) is None
    assert read_server(environment(tmp_path, CLEARML_API_HOST_VERIFY_CERT="false", CLEARML_API_HOST=" ")) is None
    assert read_server(environment(tmp_path, CLEARML_CONFIG_FILE=os.devnull)) is None


def test_the_file_in_home(tmp_path: Path) -> None:
    server = read_server(environment(tmp_path, FULL))
    assert server == Server(
        "https://api.example.com", "https://app.example.com", KEY, SECRET, True, str(tmp_path / "clearml.conf")
    )


def test_the_environment_alone_reads_no_file(tmp_path: Path) -> None:
    server = read_server(environment(tmp_path, "api { this is { broken", **ENV))
    assert server
    assert (server.api, server.access_key, server.secret_key) == ("https://env.example.com", "ENVKEY", "ENVSECRET")
    assert server.origin == "environment"
    assert server.web == "https://env.example.com"


@pytest.mark.parametrize("name", sorted(ENV))
def test_a_variable_beats_the_file_one_by_one(tmp_path: Path, name: str) -> None:
    server = read_server(environment(tmp_path, FULL, **{name: ENV[name]}))
    assert server
    from_file = {
        "CLEARML_API_HOST": "https://api.example.com",
        "CLEARML_API_ACCESS_KEY": KEY,
        "CLEARML_API_SECRET_KEY": SECRET,
    }
    assert {**from_file, name: ENV[name]} == dict(
        zip(sorted(ENV, key=list(from_file).index), (server.api, server.access_key, server.secret_key), strict=True)
    )
    assert server.origin == f"environment and {tmp_path / 'clearml.conf'}"


@pytest.mark.parametrize(
    ("variables", "missing"),
    [
        ({"CLEARML_API_ACCESS_KEY": KEY}, "secret key and host"),
        ({"CLEARML_API_SECRET_KEY": SECRET}, "access key and host"),
        ({"CLEARML_API_ACCESS_KEY": KEY, "CLEARML_API_SECRET_KEY": SECRET}, "host"),
        ({"CLEARML_API_HOST": "h", "CLEARML_API_SECRET_KEY": SECRET}, "access key"),
        ({"CLEARML_API_HOST": "h", "CLEARML_API_ACCESS_KEY": KEY}, "secret key"),
        ({"CLEARML_API_HOST": "https://api.example.com"}, "access key and secret key"),
        ({"TRAINS_API_HOST": "https://api.example.com"}, "access key and secret key"),
        ({"TRAINS_API_ACCESS_KEY": KEY, "TRAINS_API_SECRET_KEY": SECRET}, "host"),
        ({"CLEARML_AUTH_TOKEN": SECRET}, "host"),
        ({"CLEARML_AUTH_TOKEN": SECRET, "CLEARML_API_ACCESS_KEY": KEY}, "host"),
        ({"CLEARML_WEB_HOST": "https://app.example.com"}, "access key and secret key and host"),
        ({"CLEARML_API_HOST": "  ", "CLEARML_API_ACCESS_KEY": KEY, "CLEARML_API_SECRET_KEY": SECRET}, "host"),
    ],
)
def test_a_half_is_an_error_and_never_a_request(tmp_path: Path, variables: dict[str, str], missing: str) -> None:
    """The SDK would send a key without a host to the public server."""
    with pytest.raises(NotConfigured) as caught:
        read_server(environment(tmp_path, **variables))
    assert f"the ClearML {missing} {'are' if ' and ' in missing else 'is'} missing" in caught.value.message
    assert ("the rest is" in caught.value.message) is not ("CLEARML_WEB_HOST" in variables)
    assert caught.value.status == 3
    shown = caught.value.message + caught.value.hint
    assert KEY not in shown
    assert SECRET not in shown


def test_a_half_in_the_file_is_an_error_too(tmp_path: Path) -> None:
    with pytest.raises(NotConfigured, match="host is missing"):
        read_server(environment(tmp_path, f'api {{ credentials {{ access_key: "{KEY}", secret_key: "{SECRET}" }} }}'))


def test_the_named_file_replaces_the_one_in_home(tmp_path: Path) -> None:
    other = tmp_path / "other.conf"
    other.write_text(FULL.replace("example.com", "other.example"), encoding="utf-8")
    server = read_server(environment(tmp_path, FULL, CLEARML_CONFIG_FILE=str(other)))
    assert server
    assert server.api == "https://api.other.example"
    server = read_server(environment(tmp_path, FULL, TRAINS_CONFIG_FILE="~/other.conf", CLEARML_CONFIG_FILE=" "))
    assert server
    assert (server.api, server.origin) == ("https://api.other.example", str(other))


def test_a_named_file_that_is_none_is_an_error(tmp_path: Path) -> None:
    """The SDK goes on without it, and so does a run that nobody sees."""
    (tmp_path / "gone.conf").symlink_to(tmp_path / "nowhere")
    os.mkfifo(tmp_path / "pipe")
    for named in (tmp_path / "missing", tmp_path, tmp_path / "gone.conf", tmp_path / "pipe", "~/missing", "$HOME/x"):
        for name in ("CLEARML_CONFIG_FILE", "TRAINS_CONFIG_FILE"):
            variables = environment(tmp_path, FULL, **{name: str(named)})
            with pytest.raises(BadSetting) as caught:
                read_server(variables)
            assert caught.value.status == 2
            assert conf_paths(variables) == []
    assert read_server(environment(tmp_path, FULL, CLEARML_CONFIG_FILE="/missing", **ENV))  # nobody needs it


def test_a_folder_in_the_place_of_the_one_in_home(tmp_path: Path) -> None:
    """Docker makes one where what was to be mounted is not there."""
    (tmp_path / "clearml.conf").mkdir()
    with pytest.raises(BadSetting, match="is not a file"):
        read_server(environment(tmp_path))


def test_the_former_file_in_home(tmp_path: Path) -> None:
    (tmp_path / "trains.conf").write_text(FULL, encoding="utf-8")
    server = read_server(environment(tmp_path))
    assert server
    assert (server.api, server.origin) == ("https://api.example.com", str(tmp_path / "trains.conf"))
    server = read_server(environment(tmp_path, 'api { api_server: "https://new.example.com" }'))
    assert server
    assert (server.api, server.access_key) == ("https://new.example.com", KEY)
    assert sdk_value(environment(tmp_path), "development", "vcs_repo_detect_async") is False


def test_former_names_of_variables(tmp_path: Path) -> None:
    former = {name.replace("CLEARML", "TRAINS"): value for name, value in ENV.items()}
    server = read_server(environment(tmp_path, **former))
    assert server
    assert (server.api, server.access_key, server.secret_key) == ("https://env.example.com", "ENVKEY", "ENVSECRET")
    server = read_server(environment(tmp_path, **former, CLEARML_API_ACCESS_KEY="NEW", CLEARML_API_HOST=" "))
    assert server
    assert (server.api, server.access_key) == ("https://env.example.com", "NEW")


@pytest.mark.parametrize("conf", [None, FULL])
def test_a_token_wins_over_keys(tmp_path: Path, conf: str | None) -> None:
    server = read_server(environment(tmp_path, conf, **ENV, CLEARML_AUTH_TOKEN="a.b.c"))
    assert server
    assert (server.api, server.access_key, server.secret_key) == ("https://env.example.com", "", "")
    assert (server.token, server.user, server.secrets.redact("a.b.c")) == ("a.b.c", "a.b.c", "[secret]")
    assert "a.b.c" not in repr(server)


def test_a_folder_of_configuration_is_not_read(tmp_path: Path) -> None:
    with pytest.raises(NotConfigured, match="CLEARML_CONFIG_PATH"):
        read_server(environment(tmp_path, TRAINS_CONFIG_PATH=str(tmp_path)))
    assert read_server(environment(tmp_path, FULL, CLEARML_CONFIG_PATH=str(tmp_path)))


def test_a_reference_to_the_environment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    conf = FULL.replace(f'"{KEY}"', "${?MY_KEY}").replace("https://api.example.com", "${MY_HOST}")
    monkeypatch.setenv("MY_KEY", "fromTheEnvironment")
    monkeypatch.setenv("MY_HOST", "https://my.example.com")
    server = read_server(environment(tmp_path, conf))
    assert server
    assert (server.access_key, server.api) == ("fromTheEnvironment", "https://my.example.com")
    monkeypatch.delenv("MY_HOST")
    with pytest.raises(BadSetting, match=r"not a valid clearml\.conf"):
        read_server(environment(tmp_path, conf))


def test_numbers_and_other_spellings(tmp_path: Path) -> None:
    conf = (
        'api.host = "http://localhost:8008"\napi.credentials.access_key = 12345\napi.credentials { secret_key: abc }\n'
    )
    server = read_server(environment(tmp_path, conf))
    assert server
    assert (server.api, server.access_key, server.secret_key) == ("http://localhost:8008", "12345", "abc")
    assert server.web == "http://localhost:8080"


def test_values_of_the_sdk_section(tmp_path: Path) -> None:
    where = environment(tmp_path, FULL)
    assert sdk_value(where, "development", "vcs_repo_detect_async") is False
    assert sdk_value(where, "development", "store_code_diff_from_remote") is True
    assert sdk_value(where, "development", "missing", "deeper") is None
    assert sdk_value(environment(tmp_path / "nowhere"), "development") is None


# --- files that cannot be read


BROKEN = [
    "api {",
    "api { credentials { access_key: \"%s\" }",
    "%s",
    "api { api_server: https://x, credentials { access_key: \"%s\" secret_key }} }",
    "api { credentials { secret_key: ${%s} } }",
    "api = [%s",
    "api { %s: { : } }",
    "\"%s",
    "api { a: \"\"\"%s }",
    "{" * 2000 + "%s",
    "api { a: ${b} }\nb: ${api.a} %s",
    "include required(file(\"/nonexistent-%s\"))\napi { }",
]  # fmt: skip


@pytest.mark.parametrize("conf", BROKEN)
def test_what_is_wrong_with_a_file_shows_nothing_of_it(
    tmp_path: Path, conf: str, capfd: pytest.CaptureFixture[str]
) -> None:
    conf = conf.replace("%s", SECRET)
    refused: Error | None = None
    try:
        read_server(environment(tmp_path, conf))
    except (BadSetting, NotConfigured) as error:
        refused = error
    shown = f"{refused} {refused.hint} {refused.__cause__!r}" if refused else ""
    out, err = capfd.readouterr()
    assert SECRET not in shown + out + err


def test_a_file_of_other_bytes_or_rights(tmp_path: Path) -> None:
    where = environment(tmp_path, "")
    (tmp_path / "clearml.conf").write_bytes(b"api { host: \xff\xfe }")
    with pytest.raises(BadSetting, match="not UTF-8"):
        read_server(where)


pieces = st.sampled_from(
    'api api_server credentials access_key { } [ ] : = , \n " """ # // ${ ${? } . += include 1 "x" \\ \t ( )'.split(" ")
)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(pieces, max_size=25).map(" ".join) | st.text(st.characters(codec="utf-8"), max_size=30))
def test_any_file_is_read_or_refused(tmp_path: Path, conf: str) -> None:
    refused: Error | None = None
    try:
        read_server(environment(tmp_path, conf))
    except (BadSetting, NotConfigured) as error:
        refused = error
    assert refused is None or refused.hint


# --- only the api section is parsed, where it can be cut out


def whole(content: str) -> Any:
    return conf_file.Tree(conf_file._parse(content, "clearml.conf")).get("api")


def cut(content: str) -> Any:
    part = conf_file._cut_api(content)
    return conf_file.Tree(conf_file._parse(part, "clearml.conf")).get("api")


CUTTABLE = [
    FULL,
    'api: {\n host: "x" }\n',
    "api = { host: x }\nsdk = { }\n",
    '"api" { host: x }',
    '"api": { host: x }',
    "api { host: x }\napi { web_server: y }\n",
    "api { host: x }, sdk { api { host: y } }",
    "sdk { api { host: y } }\napi { host: x }",
    'sdk { a: "api { host: y }" }\n# api { host: z }\n// api { host: z }\napi { host: x } # }\n',
    'sdk { a: """api { host: y } " }""" }\napi { host: x }',
    "api { credentials: { access_key: a, secret_key: b }, list: [{ a: 1 }, [2]] }",
    "agent.x = 1\napi { host: x }\n",
]
NOT_CUTTABLE = [
    "",
    "sdk { }",
    "{ api { host: x } }",
    'include "other.conf"\napi { host: x }',
    "api { host: x }\napi.host = y\n",
    'api { host: x }\n"api".host = y\n',
    'api { host: x }\n"api.host" = y\n',
    "api { host: x }\nbase { host: y }\napi = ${base}\n",
    "base { host: y }\napi = ${base} { a: x }\n",
    "api { host: x } { host: y }\n",
    "api { credentials { access_key: ${?creds.key} } }\ncreds { key: k }\n",
    "api { credentials { access_key: ${?key} } }\nkey: k\n",
    "key: k\napi { credentials { access_key: ${key} } }\n",
    "sdk { a: 1 }, api { host: x }\nx: 1, api { host: y }",
]


@pytest.mark.parametrize("content", CUTTABLE)
def test_the_cut_says_what_the_file_says(content: str) -> None:
    assert conf_file._cut_api(content)
    assert cut(content) == whole(content)
    assert "sdk" not in conf_file._cut_api(content)


@pytest.mark.parametrize("content", NOT_CUTTABLE)
def test_what_is_not_that_simple_is_read_as_a_whole(content: str) -> None:
    part = conf_file._cut_api(content)
    assert part == "" or cut(content) == whole(content)


values = st.sampled_from(
    [
        '"x"',
        "x",
        "1",
        "true",
        "https://host:8008",
        '"a } b"',
        '"""a { b"""',
        "[1, 2]",
        "{ a: b }",
        '"# no comment"',
        "${?NOT_SET}",
        "${key}",
        "${?key}",
    ]
)
fields = st.builds(
    lambda name, sign, value, end: f"  {name}{sign}{value}{end}\n",
    st.sampled_from(["host", "api_server", "credentials.access_key", '"credentials"', "api"]),
    st.sampled_from([": ", "=", " = "]),
    values,
    st.sampled_from(["", " # }", ","]),
)
sections = st.builds(
    lambda name, sign, lines: f"{name}{sign}{{\n{''.join(lines)}}}\n",
    st.sampled_from(["api", "sdk", '"api"', "agent", "api.credentials", "key"]),
    st.sampled_from([" ", ": ", " = "]),
    st.lists(fields, max_size=3),
)
files = st.lists(
    sections
    | st.sampled_from(
        ["# api { host: y }\n", "key: k\n", "api.host: y\n", "\n", "api = ${?key}\n", "// }\n", "api: 1\n"]
    ),
    max_size=5,
).map("".join)


def without_nulls(tree: Any) -> Any:
    """pyhocon keeps the name of what a reference did not find, or not, by its place in the file."""
    if isinstance(tree, dict):
        return {name: without_nulls(value) for name, value in tree.items() if value is not None}
    return tree


@given(files)
def test_the_cut_is_never_something_else(content: str) -> None:
    part = conf_file._cut_api(content)
    if not part:
        return
    try:
        expected = whole(content)
    except BadSetting:
        return  # what is wrong elsewhere in the file does not matter here
    try:
        found = cut(content)
    except BadSetting:
        return  # then the whole file is read
    assert without_nulls(found) == without_nulls(expected)


# --- hosts


@pytest.mark.parametrize(
    ("host", "api"),
    [
        ("https://api.clear.ml", "https://api.clear.ml"),
        ("https://api.clear.ml/", "https://api.clear.ml"),
        ("api.clear.ml", "https://api.clear.ml"),
        ("app.clear.ml", "https://api.clear.ml"),
        ("https://app.clear.ml/", "https://api.clear.ml"),
        ("https://API.Clear.ML", "https://api.clear.ml"),
        ("http://localhost:8008", "http://localhost:8008"),
        ("localhost:8008", "http://localhost:8008"),
        ("127.0.0.1:8008", "http://127.0.0.1:8008"),
        ("[::1]:8008", "http://[::1]:8008"),
        ("http://[2001:db8::1]:8008/", "http://[2001:db8::1]:8008"),
        ("http://localhost:8080", "http://localhost:8008"),
        ("https://host.example/clearml/api/", "https://host.example/clearml/api"),
        ("http://host.example:8080/api", "http://host.example:8080/api"),
        ("http://[::1]:8080/api/", "http://[::1]:8080/api"),
        ("http://[::1]:8080/", "http://[::1]:8008"),
        ("https://host.example:8080", "https://host.example:8008"),
        ("https://app.example.com:8443", "https://api.example.com:8443"),
        ("https://app.example.com/api", "https://app.example.com/api"),
        ("http://app.example.com:8080//", "http://api.example.com:8008"),
        ("http://bücher.example:8008", "http://bücher.example:8008"),
        ("http://host.example/ä b".replace(" ", ""), "http://host.example/%C3%A4b"),
        ("https://my_host.example.", "https://my_host.example."),
        ("http://[fe80::1%25eth0]:8008", "http://[fe80::1%25eth0]:8008"),
        ("https://user:pw@host.example", "https://host.example"),
        ("localhost.example", "https://localhost.example"),
        ("  https://api.clear.ml\n", "https://api.clear.ml"),
    ],
)
def test_the_host_of_the_api(host: str, api: str) -> None:
    assert api_url(host) == api
    assert api_url(api) == api


@pytest.mark.parametrize(
    "host",
    [
        f"https://{'a' * 70}.example",
        f"https://{'ä' * 70}.example",
        "a..b",
        "https://.example",
        "http://host:0",
        "http://ho st",
        "https://host\t.example",
        "https://host.example/a\nb",
        "https://host\x00",
        "http://host\\x",
        "http://h:-1",
        "https://\udcff.example",
        "http://[zz::1]",
        "https://%zz",
        "https://*",
        f"https://{'a.' * 200}example",
        "ftp://host",
        "https://",
        "https:///x",
        "http://host:port",
        "http://host:99999",
        "http://[::1",
        "file:///x",
    ],
)
def test_what_is_no_host(host: str) -> None:
    with pytest.raises(BadSetting, match="host") as caught:
        api_url(host)
    assert host not in caught.value.message  # there may be a password in it
    assert "https://api.clear.ml" in caught.value.hint
    assert caught.value.status == 2


@given(st.text())
def test_any_host_is_read_or_refused(host: str) -> None:
    try:
        url = api_url(host)
    except BadSetting:
        return
    assert url.startswith(("http://", "https://"))
    assert not url.endswith("/")
    assert "@" not in url.split("/")[2]


@pytest.mark.parametrize(
    ("web", "api", "expected"),
    [
        ("", "https://api.clear.ml", "https://app.clear.ml"),
        ("", "http://localhost:8008", "http://localhost:8080"),
        ("", "https://api.example.com:8008", "https://app.example.com:8080"),
        ("", "https://clearml.example.com", "https://clearml.example.com"),
        ("", "http://host.example:8080/api", "http://host.example:8080"),
        ("", "https://api.example.com/clearml/api", "https://api.example.com/clearml"),
        ("", "http://[::1]:8008", "http://[::1]:8080"),
        ("https://app.example.com/", "https://api.clear.ml", "https://app.example.com"),
        ("app.example.com", "https://api.clear.ml", "https://app.example.com"),
        ("https://user:pw@app.example.com", "https://api.clear.ml", "https://app.example.com"),
    ],
)
def test_the_web_pages(web: str, api: str, expected: str) -> None:
    assert web_url(web, api) == expected


def test_a_web_host_that_is_no_url_is_no_crash(tmp_path: Path) -> None:
    with pytest.raises(BadSetting, match="web host"):
        read_server(environment(tmp_path, **ENV, CLEARML_WEB_HOST="http://[bad"))


@pytest.mark.parametrize(
    ("value", "verify"),
    [
        ("true", True),
        ("1", True),
        ("", True),
        ("True", True),
        ("false", False),
        ("0", False),
        ("FALSE", False),
        ("no", False),
    ],
)
def test_certificates_are_checked_unless_told_otherwise(tmp_path: Path, value: str, verify: bool) -> None:
    server = read_server(environment(tmp_path, **ENV, CLEARML_API_HOST_VERIFY_CERT=value))
    assert server
    assert server.verify is verify
    from_file = read_server(environment(tmp_path, FULL.replace("api {", f'api {{ verify_certificate: "{value}"', 1)))
    assert from_file
    assert from_file.verify is verify


def test_a_file_of_the_ca(tmp_path: Path) -> None:
    ca = tmp_path / "ca.pem"
    ca.write_text("", encoding="utf-8")
    server = read_server(environment(tmp_path, **ENV, CLEARML_API_HOST_VERIFY_CERT=str(ca)))
    assert server
    assert server.verify == str(ca)
    with pytest.raises(BadSetting, match="CLEARML_API_HOST_VERIFY_CERT"):
        read_server(environment(tmp_path, **ENV, CLEARML_API_HOST_VERIFY_CERT=str(ca) + "x"))


# --- secrets


def test_a_server_shows_no_credentials() -> None:
    from base64 import b64encode

    server = Server("https://api.example.com", "", KEY, SECRET)
    assert KEY not in repr(server)
    assert SECRET not in f"{server}"
    basic = b64encode(f"{KEY}:{SECRET}".encode()).decode()
    said = server.secrets.redact(f"{KEY} {SECRET} Basic {basic} https://api.example.com")
    assert said == f"[secret] [secret] Basic [secret]{'=' * basic.count('=')} https://api.example.com"


@given(st.text(min_size=4), st.text(min_size=4), st.text(), st.text())
@example("0000", "0001", "", "")  # credentials that could be parts of a hash
def test_no_text_carries_a_secret_on(key: str, secret: str, before: str, after: str) -> None:
    assume(not {"*"} & set(key + secret))
    assume(not any("\ud800" <= each <= "\udfff" for each in key + secret))
    redacted = Server("https://x", "", key, secret).secrets.redact(f"{before}{key}{after}{secret}")
    assert key not in redacted or key in secret
    assert secret not in redacted or secret in key


def test_the_environment_is_never_changed(tmp_path: Path) -> None:
    before = dict(os.environ)
    read_server(environment(tmp_path, FULL))
    assert dict(os.environ) == before
