"""What `verify` takes for a revision, and the kinds of repositories it works in. No bad revision reaches the server."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest

from tests.support.program import Gate, command, process_environment
from tests.support.repos import Repo, fast_history, make_repo


def refused(gate: Gate, *words: str, code: str = "unknown-revision", cwd: Path | None = None) -> tuple[str, str]:
    """The message and the hint of a call that ends with status 2 before any request."""
    result = gate.verify(*words, cwd=cwd)
    assert (result.status, result.json["exit_code"], result.json["outcome"]) == (2, 2, "undecided"), result.out
    assert result.errors == [code]
    assert result.json["commits"] == []
    assert result.calls == ()
    return result.talk()


@pytest.fixture
def tagged(gate: Gate) -> Gate:
    """A history with names of all kinds, and a good task for its first commit."""
    gate.task()
    gate.repo.git("tag", "--annotate", "v1", "--message", "one")
    gate.repo.git("tag", "--annotate", "again", "v1", "--message", "a tag of a tag")
    gate.repo.git("branch", "grüße/日本")
    gate.repo.git("tag", "tree-tag", "HEAD^{tree}")
    gate.repo.git("branch", "with-dash-")
    gate.repo.commit("second: with words", {"other.py": "2"})
    return gate


@pytest.mark.parametrize(
    "rev",
    [
        "v1",
        "again",
        "v1^{commit}",
        "v1^0",
        "refs/tags/v1",
        "HEAD~1",
        "HEAD^",
        "@~1",
        "main~1",
        "main@{1}",
        "grüße/日本",
        "refs/heads/grüße/日本",
        ":/first",
        "HEAD^{/first}",
        "with-dash-",
        "v1-0-gdeadbee~0",
    ],
)
def test_names_of_a_commit(tagged: Gate, rev: str) -> None:
    first = tagged.repo.git("rev-parse", "HEAD~1")
    rev = rev.replace("deadbee", first[:7])
    assert tagged.accepts(rev).commit["commit"] == first


@pytest.mark.parametrize("form", ["{}", "{:.12}", "{:.7}"])
def test_hashes_of_a_commit(tagged: Gate, form: str) -> None:
    first = tagged.repo.git("rev-parse", "HEAD~1")
    tagged.accepts(form.format(first))
    tagged.accepts(first.upper())


@pytest.mark.parametrize(
    ("rev", "message"),
    [
        ("", "not a revision: ''"),
        (" ", "not a revision"),
        ("\n", "not a revision"),
        ("HEAD\nHEAD~1", "not a revision"),
        ("nosuch", "no such commit in this clone: 'nosuch'"),
        ("HEAD~9", "no such commit"),
        ("0" * 40, "no such commit"),
        ("f" * 40, "no such commit"),
        ("f" * 39, "no such commit"),
        ("f" * 64, "no such commit"),
        ("HEAD^{tree}", "is not a commit"),
        ("tree-tag", "is not a commit"),
        ("HEAD:train.py", "is not a commit"),
        ("HEAD:nosuch.py", "no such revision"),
        (":train.py", "is not a commit"),
        (":/no such message", "no such revision"),
        ("HEAD~1..HEAD", "is a range"),
        ("HEAD~1...HEAD", "is a range"),
        ("..", "is a range"),
        ("^HEAD", "is a range"),
        ("HEAD^@", "no such commit"),
        ("HEAD^!", "no such commit"),
        ("HEAD HEAD", "no such commit"),
        ("main@{yesterday", "no such revision"),
        ("HEAD^{", "no such revision"),
        ("HEAD^{blob}", "no such revision"),
        ("$(touch evil)", "no such commit"),
        ("*", "no such commit"),
        ("\x1b[31mred", "no such commit"),
        ("\udcff", "no such commit"),
    ],
)
def test_what_is_no_commit(tagged: Gate, rev: str, message: str) -> None:
    said, hint = refused(tagged, rev)
    assert message in said
    assert hint
    assert "\x1b" not in said


@pytest.mark.parametrize("rev", ["--all", "-x", "--", "--exec=touch evil", "-", "--batch"])
def test_words_with_dashes_after_two_dashes(tagged: Gate, rev: str) -> None:
    refused(tagged, "--", rev)
    assert not (tagged.repo.path / "evil").exists()


@pytest.mark.parametrize(
    "word", ["--all", "-x", "--project", "--equivalence=sort-of", "--timeout=soon", "--format=xml"]
)
def test_unknown_flags_and_values(tagged: Gate, word: str) -> None:
    said, hint = refused(tagged, word, code="usage")
    assert said
    assert hint.endswith(" -h")


def test_abbreviated_flags_are_not_guessed(tagged: Gate) -> None:
    refused(tagged, "--proj", "x", code="usage")


def test_one_bad_revision_among_good_ones(tagged: Gate) -> None:
    refused(tagged, "v1", "nosuch", "HEAD")


def test_an_ambiguous_short_hash(gate: Gate) -> None:
    commits = fast_history(gate.repo, 3000)
    prefixes = [commit[:4] for commit in commits]
    twice = next(prefix for prefix in prefixes if prefixes.count(prefix) > 1)
    said, hint = refused(gate, twice)
    assert "short for more than one commit" in said
    assert "digits" in hint


def test_a_branch_named_like_a_flag_or_a_hash(gate: Gate) -> None:
    gate.task()
    gate.repo.git("update-ref", "refs/heads/-x", "HEAD")
    gate.accepts("--", "-x")
    gate.accepts("refs/heads/-x")


def test_a_replaced_commit_is_judged_as_it_really_is(gate: Gate) -> None:
    ran = gate.repo.head
    gate.task()
    bad = gate.repo.commit("bad", {"train.py": "print('bad')\n"})
    gate.repo.git("replace", bad, ran)
    assert gate.refuses().commit["commit"] == bad


def test_the_default_is_head(gate: Gate) -> None:
    gate.task()
    gate.repo.git("checkout", "--quiet", "--detach")
    assert gate.accepts().commit["commit"] == gate.repo.head


def test_in_a_subdirectory(gate: Gate) -> None:
    gate.repo.commit("deep", {"a/b/deep.py": "1"})
    gate.task(entry_point="deep.py", working_dir="a/b")
    result = gate.verify(cwd=gate.repo.path / "a" / "b")
    assert (result.status, len(result.calls)) == (0, 1)


def test_in_a_worktree(gate: Gate, tmp_path: Path) -> None:
    first = gate.repo.head
    gate.task(repository=f"file://{gate.repo.path}")
    gate.repo.commit("two", {"x.py": "2"})
    tree = gate.repo.worktree(tmp_path / "tree", first)
    assert gate.verify(cwd=tree.path).commit["commit"] == first


def test_in_a_bare_repository(gate: Gate, tmp_path: Path) -> None:
    gate.task()
    gate.repo.policy('project = "Vision"')
    commit = gate.repo.head
    gate.task()
    bare = gate.repo.clone(tmp_path / "bare.git", "--bare")
    result = gate.verify(commit, cwd=bare.path)
    assert (result.status, result.json["policy"]["from"]) == (0, commit)
    assert gate.verify(cwd=bare.path).status == 0
    assert gate.verify("HEAD~1", cwd=bare.path / "refs").status == 0


def test_in_a_shallow_clone(gate: Gate, tmp_path: Path) -> None:
    gate.repo.commit("two", {"x.py": "2"})
    gate.task()
    shallow = gate.repo.clone(tmp_path / "shallow", "--depth=1")
    assert gate.verify(cwd=shallow.path).status == 0
    refused(gate, "HEAD~1", cwd=shallow.path)
    assert gate.verify("--equivalence", "tree", gate.repo.head, cwd=shallow.path).status == 0


def test_in_a_submodule(gate: Gate, tmp_path: Path) -> None:
    gate.task()
    outer = make_repo(tmp_path / "outer", {"x": "1"})
    outer.git("-c", "protocol.file.allow=always", "submodule", "--quiet", "add", str(gate.repo.path), "lib")
    Repo(outer.path / "lib").git("remote", "set-url", "origin", "https://example.com/team/project")
    result = gate.verify(cwd=outer.path / "lib")
    assert (result.status, result.commit["commit"]) == (0, gate.repo.head)
    assert gate.verify(cwd=outer.path).status == 1


def test_with_git_dir_set(gate: Gate, tmp_path: Path) -> None:
    gate.task()
    env = {"GIT_DIR": str(gate.repo.path / ".git")}
    assert gate.verify(cwd=tmp_path, env=env).status == 0
    env["GIT_WORK_TREE"] = str(gate.repo.path)
    assert gate.verify(cwd=tmp_path, env=env).status == 0


def test_with_a_git_dir_that_is_none(gate: Gate, tmp_path: Path) -> None:
    result = gate.verify(env={"GIT_DIR": str(tmp_path)})
    assert (result.status, result.errors, result.calls) == (2, ["not-a-repository"], ())


def test_without_commits(gate: Gate, tmp_path: Path) -> None:
    make_repo(tmp_path / "new", {})
    assert refused(gate, cwd=tmp_path / "new") == ("this repository has no commits yet", "commit something first")


def test_outside_a_repository(gate: Gate, tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    said, hint = refused(gate, code="not-a-repository", cwd=tmp_path / "empty")
    assert said == "not a git repository (or any of the parent directories)"
    assert hint == "cd into the clone first"


@pytest.mark.needs("git 2.36")  # older ones ask nobody whose it is, but for late releases of theirs
def test_in_a_repository_of_somebody_else(gate: Gate) -> None:
    result = gate.verify(env={"GIT_TEST_ASSUME_DIFFERENT_OWNER": "1"})
    assert (result.status, result.errors, result.calls) == (2, ["not-a-repository"], ())
    assert "dubious ownership" in result.talk()[0]
    assert "safe.directory" in result.talk()[1]


def test_without_git(gate: Gate, tmp_path: Path) -> None:
    result = gate.verify(env={"PATH": str(tmp_path)}, alone=True)
    assert (result.status, result.errors, result.calls) == (2, ["not-a-repository"], ())
    assert result.talk() == ("git was not found on PATH", "install git, or fix PATH")


def test_in_a_directory_that_was_removed(gate: Gate, tmp_path: Path) -> None:
    """getcwd() fails there."""
    script = 'mkdir gone && cd gone && rmdir ../gone && exec "$@"'
    done = subprocess.run(
        ["sh", "-c", script, "sh", *command("verify")],
        cwd=tmp_path,
        env=process_environment(gate.server.env),
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 2
    assert "Traceback" not in done.stderr
    assert "git clearml: " in done.stderr


def test_a_repository_whose_path_has_odd_characters(gate: Gate, tmp_path: Path) -> None:
    odd = make_repo(tmp_path / "spaces and 'quotes' ü $HOME", {"train.py": "1", "ünï cödé.py": "1"})
    gate.task(commit=odd.head, entry_point="ünï cödé.py")
    assert gate.verify(cwd=odd.path).status == 0


def test_a_damaged_repository(gate: Gate) -> None:
    commit = gate.repo.head
    gate.task()
    place = gate.repo.path / ".git" / "objects" / commit[:2] / commit[2:]
    os.chmod(place, 0o644)
    place.write_bytes(b"garbage")
    result = gate.verify()
    assert result.status in (2, 3)
    assert result.calls == ()
