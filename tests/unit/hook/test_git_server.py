"""What a git server's hook reads of its lines, its environment and git config."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from git_clearml.errors import BadSetting, UsageError
from git_clearml.hook import git_server, script
from git_clearml.hook.git_server import ServerConfig
from git_clearml.hook.ref_updates import RefUpdate, is_free_side_ref, parse_received, updates_with_side_refs
from git_clearml.settings.policy import Policy
from git_clearml.settings.protection import protected

A, B, ZERO = "a" * 40, "b" * 40, "0" * 40
refs = st.text(st.characters(exclude_characters="\n ", codec=None), min_size=1).map("refs/".__add__)
hashes = st.one_of(*(st.text("0123456789abcdef", min_size=size, max_size=size) for size in (40, 64)))
words = st.text(st.sampled_from("abcXYZ0123_/.:= \n\t'\"$\\ä"), max_size=20)


@given(st.lists(st.tuples(hashes, hashes, refs), max_size=20))
def test_every_line_comes_out_as_it_went_in(lines: list[tuple[str, str, str]]) -> None:
    text = "".join(f"{old} {new} {ref}\n" for old, new, ref in lines)
    assert parse_received(text) == [RefUpdate(ref, new, ref, old) for old, new, ref in lines]


@given(hashes, hashes, refs, st.text(max_size=3), st.integers(0, 200))
def test_a_line_with_more_in_it_is_refused_or_read_without_loss(
    old: str, new: str, ref: str, more: str, place: int
) -> None:
    text = f"{old} {new} {ref}\n"
    text = text[:place] + more + text[place:]
    try:
        read = parse_received(text)
    except UsageError:
        return
    written = [f"{each.remote_hash} {each.local_hash} {each.remote_ref}" for each in read]
    assert written == [line for line in text.split("\n") if line]


@pytest.mark.parametrize(
    "line", [f"{A} {B}", f"{A} {B} main", f"{A} {B} refs/heads/a b", f"{A} refs/a {B}", f"{A[1:]} {B} refs/a"]
)
def test_anything_else_is_refused(line: str) -> None:
    with pytest.raises(UsageError):
        parse_received(line)


@given(
    st.dictionaries(
        st.one_of(words, st.sampled_from(["GIT_DIR", "GIT_TRACE", "PYTHONPATH", "HOME", "PATH", "http_proxy"])), words
    )
)
def test_what_is_kept_of_the_environment(environment: dict[str, str]) -> None:
    kept = git_server.kept(environment, "/srv/project.git")
    assert kept["HOME"] == "/nonexistent"
    assert kept.keys() - {"HOME", "GIT_CONFIG_GLOBAL"} <= {"PATH", "GIT_DIR"} & environment.keys()
    assert kept.get("GIT_DIR", "/").startswith("/")


@pytest.mark.parametrize(
    ("environment", "config", "file", "proxy"),
    [
        ({}, ServerConfig(), "", False),
        ({"CLEARML_CONFIG_FILE": "/a"}, ServerConfig(), "/a", True),
        ({"CLEARML_CONFIG_FILE": "/a"}, ServerConfig(file="/b"), "/b", False),
        ({"CLEARML_CONFIG_FILE": "/a"}, ServerConfig(file="/a"), "/a", False),
        ({}, ServerConfig(file_by_variable="/b"), "/b", False),
        ({"CLEARML_CONFIG_FILE": "/b"}, ServerConfig(file_by_variable="/b"), "/b", True),
    ],
)
def test_where_clearml_conf_is(environment: dict[str, str], config: ServerConfig, file: str, proxy: bool) -> None:
    variables = git_server.with_credentials({}, {**environment, "HTTPS_PROXY": "http://x"}, config)
    assert (variables.get("CLEARML_CONFIG_FILE", ""), "HTTPS_PROXY" in variables) == (file, proxy)


@pytest.mark.parametrize(
    "config", [ServerConfig(file="x"), ServerConfig(file_by_variable="/b"), ServerConfig(file="~/x")]
)
def test_no_clearml_conf_that_anybody_could_mean(config: ServerConfig) -> None:
    with pytest.raises(BadSetting):
        git_server.with_credentials({}, {"CLEARML_CONFIG_FILE": "/a"}, config)


def test_the_urls_of_the_repository() -> None:
    config = ServerConfig(repositories=("git@x:y",), forges=("https://a/", "https://b"))
    gitlab, gitea = {"GL_PROJECT_PATH": "g/p"}, {"GITEA_REPO_USER_NAME": "u", "GITEA_REPO_NAME": "n"}
    assert git_server.names({}, config) == ("git@x:y",)
    assert git_server.names(gitlab, config) == ("git@x:y", "https://a/g/p", "https://b/g/p")
    assert git_server.names({**gitea, "GITEA_REPO_NAME": ""}, config) == ("git@x:y",)
    assert git_server.names(gitea, config) == ("git@x:y", "https://a/u/n", "https://b/u/n")


@pytest.mark.parametrize(
    ("ref", "patterns", "is_so"),
    [
        ("refs/heads/main", ("Main",), True),
        ("refs/HEADS/x", (), True),
        ("refs/heads/a\u0308", ("\u00e4",), True),
        ("refs/tags/V1", ("refs/tags/v*",), True),
        ("refs/heads/other", ("main",), False),
        ("refs/tags/x", (), False),
    ],
)
def test_refs_that_are_files_whose_case_does_not_matter(ref: str, patterns: tuple[str, ...], is_so: bool) -> None:
    policy = Policy(protect=patterns)
    assert protected(ref, policy, ignores_case=True) == is_so
    assert not (protected(ref, policy) and not is_so)


def test_side_refs() -> None:
    side = f"refs/heads/git-clearml/{A[:12]}-01234567"
    new, moved = RefUpdate(side, A, side, ZERO), RefUpdate(side, A, side, B)
    assert updates_with_side_refs([new, moved]) == (new, moved)
    assert [is_free_side_ref(update, Policy()) for update in (new, moved)] == [True, False]
    assert not is_free_side_ref(new, Policy(protect=("**",)))
    assert not is_free_side_ref(new._replace(local_hash=B), Policy())


@given(words.filter(lambda text: "\n" not in text))
def test_the_python_in_the_hook(python: str) -> None:
    hook = script.with_python(script.text("pre-receive"), python)
    assert script.python_in(hook) == python
    assert script.with_python(hook, "") == script.text("pre-receive")
