"""One object knows the secrets; wherever one stands it is taken out, and what is none stays."""

from __future__ import annotations

import base64
import time
from dataclasses import dataclass, replace
from typing import NamedTuple

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from git_clearml.base.secrets import (
    Secrets,
    is_secret_parameter,
    redact_parameters,
    redact_words,
    without_credentials,
    without_users,
)

HASH = "0123456789abcdef" * 2 + "01234567"
CONF = """
# api.secret_key: "in-a-comment-1"
api {
    api_server: https://api.example.com
    credentials { "access_key" = "ACCESS1234", "secret_key": "s3cr3t-5678" }
}
agent { git_user = "robot", git_pass = 'p4ssw0rd-9'
    worker_name: trainer-number-one, ssh_key_path = /home/me/.ssh/id }
sdk.aws.s3 { key: AKIA12345678, secret = ${AWS_SECRET}, region: eu-central-1 }
sdk.development.task_key: short
"""


@dataclass(frozen=True)
class Inner:
    name: str
    pairs: tuple[tuple[str, str], ...] = ()


class Named(NamedTuple):
    name: str
    inner: tuple[Inner, ...]


@dataclass(frozen=True)
class Outer:
    inner: Inner
    number: float = 1.5


def test_what_variables_that_are_called_like_secrets_hold() -> None:
    environment = {
        "MY_TOKEN": "tok-123_456", "DB_PASSWORD": "short", "PATH": "/usr/bin/longer", "A_KEY": "tok-123_456789",
        "CLEARML_API_ACCESS_KEY": "ACCESS1234", "CLEARML_API_SECRET_KEY": "s3cr3t-5678",
    }  # fmt: skip
    secrets = Secrets.of_environment(environment)
    assert secrets.redact("a tok-123_456789 b tok-123_456 c short /usr/bin/longer") == (
        "a [secret] b [secret] c short /usr/bin/longer"
    )
    basic = base64.b64encode(b"ACCESS1234:s3cr3t-5678").decode()
    assert "ACCESS1234" not in secrets.redact(f"ACCESS1234 {basic}")
    assert basic.rstrip("=") not in secrets.redact(f"ACCESS1234 {basic}")
    assert secrets.redact_markdown(r"a tok\-123\_456 tok-123_456 b") == r"a \[secret\] \[secret\] b"


@pytest.mark.parametrize("value", [f"p{chr(0xDCE4)}ssword1", f"p{chr(0xD800)}ssword1"])
def test_a_secret_may_be_no_text(value: str) -> None:
    secrets = Secrets.of_environment({"MY_PASSWORD": value})
    assert secrets.redact_markdown(f"it is {value}") == r"it is \[secret\]"


@pytest.mark.parametrize("public", [HASH, HASH + HASH[:24], HASH[:32], f"offline-{HASH[:32]}", "refs/heads/main"])
def test_hashes_refs_and_task_ids_are_never_taken_out(public: str) -> None:
    secrets = Secrets.of_environment({"CACHE_KEY": public, "GITHUB_TOKEN": public, "CI_SECRET": public})
    assert secrets.redact(f"at {public}") == f"at {public}"
    assert Secrets.of_configuration(f"key: {public}").redact(public) == public


def test_giteas_token_looks_like_a_hash_and_is_none() -> None:
    secrets = Secrets.of_environment({"GITEA_TOKEN": HASH, "FORGEJO_TOKEN": "", "GITHUB_SHA": HASH[::-1]})
    assert secrets.redact(f"{HASH} {HASH[::-1]}") == f"[secret] {HASH[::-1]}"
    assert Secrets.of_environment({"GITEA_TOKEN": HASH, "GITHUB_SHA": HASH}).redact(HASH) == HASH


@pytest.mark.parametrize(
    "job",
    [{"GITEA_ACTIONS": "true"}, {"FORGEJO_ACTIONS": "true"}, {"GITHUB_API_URL": "https://git.example.com/api/v1"}],
)
@pytest.mark.parametrize("name", ["GITHUB_TOKEN", "GH_TOKEN"])
def test_the_token_of_a_job_of_giteas_is_one_of_those(job: dict[str, str], name: str) -> None:
    assert Secrets.of_environment({**job, name: HASH}).redact(HASH) == "[secret]"


def test_named_tuples_keep_their_kind() -> None:
    task = Named("hub tok-123_456", (Inner("a", (("b", "tok-123_456"),)),))
    assert Secrets.of_environment({"MY_TOKEN": "tok-123_456"}).redact(task) == Named(
        "hub [secret]", (Inner("a", (("b", "[secret]"),)),)
    )
    assert isinstance(Secrets.of_environment({}).redact(task), Named)


def test_what_a_configuration_holds() -> None:
    secrets = Secrets.of_configuration(CONF)
    hidden = ["ACCESS1234", "s3cr3t-5678", "p4ssw0rd-9", "AKIA12345678"]
    shown = [
        "api.example.com",
        "trainer-number-one",
        "/home/me/.ssh/id",
        "robot",
        "eu-central-1",
        "short",
        "in-a-comment-1",
    ]
    text = secrets.redact(" ".join([*hidden, *shown]))
    assert [word for word in hidden if word in text] == []
    assert [word for word in shown if word not in text] == []
    basic = base64.b64encode(b"ACCESS1234:s3cr3t-5678").decode().rstrip("=")
    assert secrets.redact(basic) == "[secret]"


@given(st.text())
def test_no_configuration_is_too_odd(text: str) -> None:
    Secrets.of_configuration(text).redact(text)


def test_values_of_values_lose_their_secrets_too() -> None:
    secrets = Secrets(["tok-123_456"])
    value = Outer(Inner("a tok-123_456", (("x", "tok-123_456"),)))
    assert secrets.redact((value, None, 3)) == (
        replace(value, inner=Inner("a [secret]", (("x", "[secret]"),))),
        None,
        3,
    )
    assert "tok" not in repr(secrets)


def test_two_know_more_than_one_and_none_knows_nothing() -> None:
    both = Secrets(["first-secret"]) | Secrets(["second-secret"])
    assert both.redact("first-secret second-secret") == "[secret] [secret]"
    assert Secrets().redact("first-secret") == "first-secret"
    assert Secrets([""]).redact("abc") == "abc"
    assert Secrets(["[secret]", "secret]x"]).redact("[secret]x") == "[secret]x"  # no secret is made of what is left


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("clone of https://robot:pa%20ss@example.com/a failed", "clone of https://example.com/a failed"),
        ("'https://tok3n@example.com/a.git/'", "'https://example.com/a.git/'"),
        ("https://a:b@c@example.com", "https://example.com"),
        ("ssh://git@example.com/a ssh://me@example.com", "ssh://git@example.com/a ssh://example.com"),
        ("ext::https://u:p@example.com", "ext::https://example.com"),
        ("git@example.com:a/b and me@example.com", "git@example.com:a/b and me@example.com"),
        ("https://example.com/@team/a", "https://example.com/@team/a"),
        ("no//thing here@all", "no//thing here@all"),
    ],
)
def test_a_text_loses_the_users_of_its_urls(text: str, shown: str) -> None:
    assert without_users(text) == shown
    assert Secrets().redact(text) == shown
    assert Secrets().redact_markdown(text) == shown


@example("a://?:S3CRET@a")
@example("a://x?:S3CRET@a")
@example("a://#:S3CRET@a/b")
@given(st.from_regex(r"[a-z]{1,9}://[^/\s'\"<>]{0,9}:S3CRET@[a-z]{1,9}(/[a-z@]{0,9})?", fullmatch=True))
def test_no_spelling_of_a_url_keeps_its_password(url: str) -> None:
    assert "S3CRET" not in without_users(f"see {url}, then")
    assert "S3CRET" not in without_credentials(url)


@pytest.mark.parametrize(
    ("name", "value", "secret"),
    [
        ("Args/hf_token", "hf_abc", True),
        ("General/db-password", "x", True),
        ("Args/API_KEY", "x", True),
        ("Args/api-key", "x", True),
        ("Args/client_secret", "x", True),
        ("Args/passwd", "x", True),
        ("Args/max_tokens", "512", False),
        ("Args/token", "", False),
        ("Args/use_secrets", "True", False),
        ("Args/lr", "0.1", False),
        ("Args/key", "value", False),
    ],
)
def test_parameters_whose_name_says_so(name: str, value: str, secret: bool) -> None:
    assert is_secret_parameter(name, value) is secret
    assert redact_parameters([(name, value)]) == ((name, "[secret]" if secret else value),)


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("get https://h/x?access_token=abc&y=1", "get https://h/x?access_token=[secret]&y=1"),
        ("https://h/x?a=1&sig=ab%2Fc#end", "https://h/x?a=1&sig=[secret]#end"),
        ("https://h/x?a=1&amp;X-Amz-Signature=abc", "https://h/x?a=1&amp;X-Amz-Signature=[secret]"),
        ("https://h/x?X-Amz-Credential=AK/1/s3 b", "https://h/x?X-Amz-Credential=[secret] b"),
        ("https://h/#ACCESS_TOKEN=abc", "https://h/#ACCESS_TOKEN=[secret]"),
        ("https://u:p@h/x?key=abc", "https://h/x?key=[secret]"),
        ("https://h/x?page=2&monkey=1&sigma=3", "https://h/x?page=2&monkey=1&sigma=3"),
        ("really? token = 3", "really? token = 3"),
    ],
)
def test_a_text_loses_the_secrets_of_its_queries(text: str, shown: str) -> None:
    assert without_users(text) == shown
    assert without_users(shown) == shown
    assert Secrets().redact(text) == shown


@pytest.mark.parametrize(
    ("name", "value", "shown"),
    [
        ("Hydra/overrides", "['lr=1', 'hub_token=hf_abc', 'n=2']", "['lr=1', 'hub_token=[secret]', 'n=2']"),
        ("General/config", '{"hub": {"api_key": "a b", "lr": 1}}', '{"hub": {"api_key": "[secret]", "lr": 1}}'),
        ("General/config", r"{\"Password\": \"x\"}", r"{\"Password\": \"[secret]\"}"),
        ("Args/command", "train.py --hub-token hf_abc --lr 1", "train.py --hub-token [secret] --lr 1"),
        ("Args/command", "--use-token --lr 1", "--use-token --lr 1"),
        ("Args/command", "--max-tokens 512 --password 512", "--max-tokens 512 --password [secret]"),
        ("Args/data", "s3://b/x?X-Amz-Signature=abc", "s3://b/x?X-Amz-Signature=[secret]"),
        ("Args/data", "https://me:pw@h/x", "https://h/x"),
        ("Model/auth/HUB_TOKEN", "hf_abc", "[secret]"),
        ("Args/db_password", "12345", "[secret]"),
        ("Args/max_tokens", "12345", "12345"),
        ("Args/use_auth_token", "True", "True"),
        ("Args/note", "the token is good", "the token is good"),
    ],
)
def test_a_parameter_loses_what_is_called_a_secret(name: str, value: str, shown: str) -> None:
    assert redact_parameters([(name, value)]) == ((name, shown),)
    assert redact_parameters([(name, shown)]) == ((name, shown),)


@given(st.text(alphabet="token-.=:\"'\\ {}[],?&#/@", max_size=400))
def test_no_parameter_is_too_odd(value: str) -> None:
    redact_parameters([("Args/x", value)])


@pytest.mark.parametrize("value", ["-" * 200_000, "a." * 100_000, "token" * 1000, "?" * 100_000 + "="])
def test_no_parameter_takes_its_time(value: str) -> None:
    started = time.process_time()
    redact_parameters([("Args/x", value)])
    assert time.process_time() - started < 5


@pytest.mark.parametrize("variables", [{"GITHUB_REF_NAME": "feature/login"}, {"CI_COMMIT_BRANCH": "feature/login"}])
def test_what_the_job_calls_a_ref_is_no_secret(variables: dict[str, str]) -> None:
    environment = {"CACHE_KEY": "feature/login", **variables}
    assert Secrets.of_environment(environment).redact("refs/heads/feature/login") == "refs/heads/feature/login"
    assert Secrets.of_environment({"CACHE_KEY": "feature/login"}).redact("feature/login") == "[secret]"


def test_a_secret_of_digits_is_not_taken_out_of_a_hash() -> None:
    secrets = Secrets.of_environment({"DB_PASSWORD": "12345678", "CACHE_KEY": HASH[:12]})
    assert secrets.redact(f"{HASH} 12345678 {HASH[:12]}") == f"{HASH} [secret] {HASH[:12]}"


def test_clearmls_own_credentials_are_secret_whatever_they_look_like() -> None:
    for name in ("CLEARML_API_SECRET_KEY", "CLEARML_API_ACCESS_KEY", "TRAINS_API_SECRET_KEY", "CLEARML_AUTH_TOKEN"):
        assert Secrets.of_environment({name: HASH[:32]}).redact(HASH[:32]) == "[secret]"
    for name in ("secret_key", "access_key", "git_pass", "token"):
        assert Secrets.of_configuration(f"{name}: {HASH[:32]}").redact(HASH[:32]) == "[secret]"


@pytest.mark.parametrize(
    ("words", "shown"),
    [
        ("train.py --hub_token hf_x --lr 3", "train.py --hub_token [secret] --lr 3"),
        ("train.py --hub_token=hf_x", "train.py --hub_token=[secret]"),
        ("train.py hub_token=hf_x model.password=y", "train.py hub_token=[secret] model.password=[secret]"),
        ("train.py --url https://me:word@host/x", "train.py --url https://host/x"),
        ("train.py --max_tokens 512 --token 3", "train.py --max_tokens 512 --token 3"),
        ("train.py --secret --lr 3", "train.py --secret --lr 3"),
        ("--api-key abcdefgh", "--api-key [secret]"),
        ("token secret password", "token secret password"),
        ("", ""),
    ],
)
def test_a_command_line(words: str, shown: str) -> None:
    assert " ".join(redact_words(words.split())) == shown
