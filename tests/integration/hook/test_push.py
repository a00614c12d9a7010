"""`git push` through the native hook, to real remotes: one decision per ref, one question for all."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.clearml_server import ClearMLServer
from tests.support.pushing import Yard, bare, make_yard, on_path, quick, refs_of, shim
from tests.support.repos import Repo, fast_history

DIRTY = "diff --git a/train.py b/train.py\n--- a/train.py\n+++ b/train.py\n@@ -1 +1 @@\n-print('training')\n+print(1)\n"


@pytest.fixture
def yard(tmp_path: Path) -> Iterator[Yard]:
    with ClearMLServer() as server, quick(make_yard(tmp_path, server)) as yard:
        yield yard.install()


# Branches


def test_a_refusal_starts_python_once(yard: Yard, tmp_path: Path) -> None:
    """Its status tells sh that it was ours, and no Python that does not find git-clearml."""
    (tmp_path / "bin").mkdir()
    starts = shim(tmp_path / "bin")
    pushed = yard.push("origin", "main", env={"PATH": on_path(tmp_path / "bin")})
    assert (pushed.status, starts.read_text()) == (1, "start\n")
    assert f"rejected {yard.repo.head[:12]}" in pushed.err


def test_the_first_push(yard: Yard) -> None:
    yard.refuses("origin", "main")
    yard.task()
    yard.accepts("origin", "main", moved=["refs/heads/main"])


def test_an_update(yard: Yard) -> None:
    yard.publish()
    yard.repo.commit("two")
    yard.refuses("origin", "main")
    yard.task()
    yard.accepts("origin", "main", moved=["refs/heads/main"])


def test_a_push_that_names_nothing(yard: Yard) -> None:
    yard.repo.git("config", "push.default", "current")
    yard.refuses()
    yard.task()
    yard.accepts(moved=["refs/heads/main"])


def test_up_to_date_asks_nothing(yard: Yard) -> None:
    yard.publish()
    pushed = yard.accepts("origin", "main", moved=[], requests=0)
    assert pushed.lines() == []


def test_a_new_branch_at_a_commit_that_the_remote_has(yard: Yard) -> None:
    yard.publish()
    yard.refuses("origin", "main:refs/heads/copy")
    yard.task()
    yard.accepts("origin", "main:refs/heads/copy", moved=["refs/heads/copy"])


def test_a_force_push(yard: Yard) -> None:
    yard.repo.commit("two")
    yard.publish()
    yard.repo.git("commit", "--quiet", "--amend", "--allow-empty", "--message", "amended")
    yard.refuses("--force", "origin", "main")
    yard.task()
    yard.accepts("--force-with-lease", "origin", "main", moved=["refs/heads/main"])


def test_a_force_push_back_to_an_older_commit(yard: Yard) -> None:
    yard.repo.commit("two")
    yard.publish()
    yard.refuses("origin", "+HEAD~1:main")
    yard.task(yard.repo.git("rev-parse", "HEAD~1"))
    yard.accepts("origin", "+HEAD~1:main", moved=["refs/heads/main"])


def test_a_push_that_the_remote_would_refuse_anyway(yard: Yard) -> None:
    """Not a fast-forward: git tells the hook nothing, and refuses by itself."""
    yard.repo.commit("two")
    yard.publish()
    yard.repo.git("reset", "--quiet", "--hard", "HEAD~1")
    yard.repo.commit("other")
    yard.refuses("origin", "main", by_us="non-fast-forward", requests=0)


def test_a_deletion_is_free(yard: Yard) -> None:
    yard.publish("main:refs/heads/gone", "main:refs/heads/gone2")
    assert yard.accepts("origin", "--delete", "gone", moved=["refs/heads/gone"], requests=0).lines() == []
    yard.accepts("origin", ":gone2", moved=["refs/heads/gone2"], requests=0)


def test_a_deletion_beside_a_push_that_is_refused(yard: Yard) -> None:
    yard.publish("main:refs/heads/gone")
    yard.refuses("origin", ":gone", "main")
    yard.task()
    yard.accepts("origin", ":gone", "main", moved=["refs/heads/gone", "refs/heads/main"])


def test_two_refs_one_good_one_bad(yard: Yard) -> None:
    yard.task()
    good = yard.repo.head
    yard.repo.git("branch", "good")
    bad = yard.repo.commit("bad")
    pushed = yard.refuses("origin", "good", "main")
    assert f"verified {good[:12]} (refs/heads/good)" in pushed.said
    assert f"rejected {bad[:12]} (refs/heads/main)" in pushed.said
    yard.forget()
    assert yard.refuses("--atomic", "origin", "main", "good").moved == {}
    yard.task()
    yard.forget()
    yard.accepts("--atomic", "origin", "main", "good", moved=["refs/heads/good", "refs/heads/main"])


def test_a_pending_task_refuses_too(yard: Yard) -> None:
    yard.task(status="in_progress")
    pushed = yard.refuses("origin", "main", by_us="pending")
    assert "git clearml verify --wait" in pushed.said


@pytest.mark.parametrize("words", [["--mirror", "origin"], ["origin", "refs/heads/*"]])
def test_many_branches_are_one_question(words: list[str], yard: Yard) -> None:
    names = ["main"]
    for number in range(4):
        yard.repo.git("checkout", "--quiet", "-b", f"b{number}")
        yard.task(yard.repo.commit(f"{number}"))
        names.append(f"b{number}")
    yard.refuses(*words)
    yard.task(yard.repo.git("rev-parse", "main"))
    yard.forget()
    pushed = yard.accepts(*words, moved=[f"refs/heads/{name}" for name in names])
    assert "verified 5 commits" in pushed.err


@pytest.mark.parametrize("revision", ["HEAD~1", "HEAD^{/fix  it now}"])
def test_the_pushed_commit_is_judged_and_not_head(revision: str, yard: Yard) -> None:
    first = yard.repo.head
    yard.repo.commit("fix  it now")
    yard.repo.commit("three")
    meant = yard.repo.git("rev-parse", revision)
    for commit in {first, yard.repo.head, yard.repo.git("rev-parse", "HEAD~1")} - {meant}:
        yard.task(commit)
    assert meant[:12] in yard.refuses("origin", f"{revision}:refs/heads/x").said
    yard.task(meant)
    assert yard.accepts("origin", f"{revision}:refs/heads/x").moved == {"refs/heads/x": meant}


def test_a_detached_head(yard: Yard) -> None:
    yard.repo.git("checkout", "--quiet", "--detach")
    yard.repo.commit("detached")
    yard.refuses("origin", "HEAD:refs/heads/main")
    yard.task()
    yard.accepts("origin", "HEAD:refs/heads/main", moved=["refs/heads/main"])


def test_branches_of_any_name(yard: Yard) -> None:
    names = ("f\u00fcr-\u6a5f\u68b0-\U0001f600", "a'b\"$c&d;e|f(g)", "-dash", "%s%n", "(delete)", "0" * 40)
    refs = [f"refs/heads/{name}" for name in names]
    for ref in refs:
        yard.repo.git("update-ref", ref, "HEAD")
    pushed = yard.refuses("origin", *refs)
    assert [name for name in names if name not in pushed.said] == []
    yard.task()
    yard.accepts("origin", *refs, moved=refs)


def test_a_name_that_is_not_utf8(yard: Yard) -> None:
    ref = b"refs/heads/caf\xe9\x81".decode("utf-8", "surrogateescape")
    yard.repo.git("update-ref", ref, "HEAD")
    yard.env["LC_ALL"] = "C"
    yard.repo.git("branch", "readable")
    pushed = yard.push("origin", f"{ref}:refs/heads/readable")
    assert (pushed.status, pushed.moved) == (1, {})
    yard.task()
    yard.accepts("origin", f"{ref}:refs/heads/readable", moved=["refs/heads/readable"])


def test_a_terminal_escape_in_a_name_of_the_server_is_harmless(yard: Yard) -> None:
    yard.task(name="evil\x1b[2J\x07 task", diff=DIRTY)
    assert "\x1b" not in yard.refuses("origin", "main").said
    yard.task(name="evil\x1b[2J\x07 task")
    assert "\x1b" not in yard.accepts("origin", "main").said


def test_a_sha256_repository(tmp_path: Path) -> None:
    with ClearMLServer() as server, quick(make_yard(tmp_path, server, "--object-format=sha256")) as yard:
        yard.install()
        assert yard.repo.head[:12] in yard.refuses("origin", "main").said
        yard.task()
        yard.accepts("origin", "main", moved=["refs/heads/main"])
        yard.publish("main:refs/heads/gone")
        yard.accepts("origin", ":gone", moved=["refs/heads/gone"], requests=0)
        yard.repo.commit("two")
        yard.refuses("origin", "main")


# From where, to where


def test_from_a_worktree_and_from_a_subdirectory(yard: Yard, tmp_path: Path) -> None:
    tree = yard.repo.worktree(tmp_path / "tree")
    tree.commit("in the worktree", {"deep/down/x.txt": "x"})
    for place in (tree.path, tree.path / "deep" / "down"):
        yard.refuses("origin", f"HEAD:refs/heads/{place.name}", cwd=place)
    yard.task(tree.head)
    for place in (tree.path, tree.path / "deep" / "down"):
        yard.forget()
        yard.accepts("origin", f"HEAD:refs/heads/{place.name}", moved=[f"refs/heads/{place.name}"], cwd=place)


def test_to_a_url_instead_of_a_remote(yard: Yard, tmp_path: Path) -> None:
    other = bare(tmp_path / "other.git")
    before = refs_of(other)
    for url in (str(other.path), f"file://{other.path}"):
        assert yard.push(url, "main").status == 1
    assert refs_of(other) == before
    yard.task(repository=f"file://{other.path}")
    assert yard.push(str(other.path), "main").status == 0
    assert refs_of(other) == {"refs/heads/main": yard.repo.head}


def test_to_a_url_that_git_rewrites(yard: Yard, tmp_path: Path) -> None:
    """The task may have recorded what was typed, as on a machine without that setting."""
    other = bare(tmp_path / "other.git")
    yard.repo.git("config", f"url.{other.path.parent}/.insteadOf", "https://example.com/mirrored/")
    yard.task(repository="https://example.com/mirrored/other.git")
    assert yard.push("https://example.com/mirrored/other.git", "main").status == 0


def test_a_task_of_an_unrelated_repository_is_none(yard: Yard, tmp_path: Path) -> None:
    yard.task(repository=str(tmp_path / "other.git"))
    assert "ran in another repository" in yard.refuses("origin", "main").said


def test_a_remote_of_another_name(yard: Yard) -> None:
    name = "team/my.fork"
    yard.repo.git("remote", "rename", "origin", name)
    yard.refuses(name, "main")
    yard.task()
    yard.accepts(name, "main", moved=["refs/heads/main"])


# Tags, notes, side refs


def test_tags_are_free_unless_the_policy_names_them(yard: Yard) -> None:
    yard.repo.git("tag", "light")
    yard.repo.git("tag", "-a", "-m", "x", "annotated")
    yard.accepts("origin", "--tags", moved=["refs/tags/light", "refs/tags/annotated"], requests=0)
    assert yard.remote.git("cat-file", "-t", "annotated") == "tag"


def test_protected_tags_are_peeled(yard: Yard) -> None:
    yard.repo.policy('protect = ["refs/tags/v*"]')
    yard.repo.git("tag", "v1")
    yard.repo.git("tag", "-a", "-m", "x", "v2")
    yard.repo.git("tag", "-a", "-m", "a tag of a tag", "v3", "v2")
    yard.repo.git("tag", "other")
    for tag in ("v1", "v2", "v3"):
        assert yard.repo.head[:12] in yard.refuses("origin", tag).said
    yard.refuses("origin", "--tags")
    yard.accepts("origin", "other", "main", moved=["refs/tags/other", "refs/heads/main"], requests=0)
    yard.task()
    yard.accepts("origin", "--tags", moved=["refs/tags/v1", "refs/tags/v2", "refs/tags/v3"])


def test_a_tag_that_moves(yard: Yard) -> None:
    yard.repo.policy('protect = ["refs/tags/v*"]')
    yard.repo.git("tag", "-a", "-m", "x", "v1")
    yard.publish("v1")
    yard.repo.commit("more")
    yard.repo.git("tag", "-f", "-a", "-m", "x", "v1")
    yard.refuses("--force", "origin", "v1")
    yard.task()
    yard.accepts("--force", "origin", "v1", moved=["refs/tags/v1"])


def test_a_tag_of_no_commit_is_nothing_to_judge(yard: Yard) -> None:
    yard.repo.policy('protect = ["refs/tags/**", "main"]')
    yard.repo.git("tag", "light", "HEAD:train.py")
    yard.repo.git("tag", "-a", "-m", "x", "annotated", "HEAD^{tree}")
    yard.accepts("origin", "--tags", moved=["refs/tags/light", "refs/tags/annotated"], requests=0)
    yard.refuses("origin", "--tags", "main")


def test_notes_are_free_whatever_is_protected(yard: Yard) -> None:
    yard.repo.policy('protect = ["refs/**"]')
    yard.publish()
    yard.repo.git("notes", "add", "-m", "a note")
    yard.accepts("origin", "refs/notes/*", moved=["refs/notes/commits"], requests=0)
    yard.refuses("origin", "refs/notes/commits:refs/heads/notes")


def test_our_own_side_refs_are_free_and_nothing_beside_them(yard: Yard) -> None:
    side = f"refs/heads/git-clearml/{yard.repo.head[:12]}-0123abcd"
    yard.accepts("origin", f"HEAD:{side}", moved=[side], requests=0)
    yard.refuses("origin", "HEAD:refs/heads/git-clearml-x", f"HEAD:{side[:-1]}d")
    for beside in (f"{side}2", side[:-1], "refs/heads/git-clearml/mine", f"refs/heads/git-clearml/{'0' * 12}-0123abcd"):
        yard.refuses("origin", f"HEAD:{beside}")
    yard.refuses("origin", f"{side.removeprefix('refs/heads/')}:main", by_us="src refspec", requests=0)
    yard.accepts("origin", f":{side}", moved=[side], requests=0)


# Many


@pytest.mark.slow
def test_a_thousand_branches_at_a_thousand_commits(yard: Yard) -> None:
    commits = fast_history(yard.repo, 1000)
    refs = [f"refs/heads/b/{number}" for number in range(1000)]
    create = "".join(f"create {ref} {commit}\n" for ref, commit in zip(refs, commits, strict=True))
    yard.repo.git("update-ref", "--stdin", stdin=create)
    for commit in commits[1:]:
        yard.task(commit)
    yard.refuses("origin", "refs/heads/b/*", requests=3)
    yard.forget()
    yard.task(commits[0])
    pushed = yard.accepts("origin", "refs/heads/b/*", moved=refs, requests=1)
    assert "verified 1000 commits" in pushed.err


def test_a_thousand_branches_at_one_commit(yard: Yard) -> None:
    refs = [f"refs/heads/b/{number}" for number in range(1000)]
    yard.repo.git("update-ref", "--stdin", stdin="".join(f"create {ref} HEAD\n" for ref in refs))
    yard.refuses("origin", "refs/heads/b/*")
    yard.task()
    pushed = yard.accepts("origin", "refs/heads/b/*", moved=refs)
    assert all(len(line) <= 80 for line in pushed.err.splitlines() if line.startswith("git clearml"))


# The policy, and whose it is


@pytest.mark.parametrize(
    ("protect", "gated", "free"),
    [
        (["main", "release/*"], ["main", "release/1"], ["main2", "x/main", "release", "x/release/1/2"]),
        (["release/**"], ["release/1/2"], ["main"]),
    ],
)
def test_what_protect_names_is_gated(protect: list[str], gated: list[str], free: list[str], yard: Yard) -> None:
    yard.repo.policy(f"protect = {json.dumps(protect)}")
    for name in gated:
        yard.refuses("origin", f"HEAD:refs/heads/{name}")
    refs = [f"refs/heads/{name}" for name in free]
    pushed = yard.accepts("origin", *(f"HEAD:{ref}" for ref in refs), moved=refs, requests=0)
    assert "verified" not in pushed.said


def test_through_an_unprotected_branch_first(yard: Yard) -> None:
    """That the remote has the commit already proves nothing."""
    yard.repo.policy('protect = ["main"]')
    yard.publish()
    yard.repo.commit("more")
    yard.accepts("origin", "HEAD:refs/heads/feature", requests=0)
    yard.refuses("origin", "main")
    yard.task()
    yard.accepts("origin", "main", moved=["refs/heads/main"])


LOOSE = ['protect = ["elsewhere"]']
STRICT = ['project = "Other"']


def test_a_commit_cannot_loosen_its_own_gate(yard: Yard) -> None:
    yard.publish()
    yard.repo.policy(*LOOSE)
    yard.refuses("origin", "main")
    yard.task()
    yard.accepts("origin", "main", moved=["refs/heads/main"])
    yard.repo.commit("after it the loosened policy is the accepted one")
    yard.accepts("origin", "main", moved=["refs/heads/main"], requests=0)


def test_a_stricter_policy_does_not_judge_its_own_commit_yet(yard: Yard) -> None:
    yard.publish()
    yard.repo.policy(*STRICT)
    yard.task()
    yard.accepts("origin", "main", moved=["refs/heads/main"])
    yard.repo.commit("more")
    yard.task()
    assert "is in project" in yard.refuses("origin", "main").said


def test_a_new_ref_is_judged_by_the_remotes_default_branch(yard: Yard) -> None:
    yard.repo.git("checkout", "--quiet", "-b", "trunk")
    yard.repo.policy(*STRICT)
    yard.publish("trunk")
    yard.repo.git("symbolic-ref", "refs/remotes/origin/HEAD", "refs/remotes/origin/trunk")
    yard.repo.policy(*LOOSE)
    yard.task()
    assert "is in project" in yard.refuses("origin", "HEAD:refs/heads/new").said
    yard.task(project="Other")
    yard.accepts("origin", "HEAD:refs/heads/new", moved=["refs/heads/new"])


@pytest.mark.parametrize(("by_url", "name"), [(False, "my.remote"), (True, "origin")])
def test_a_new_ref_where_origin_has_no_head(by_url: bool, name: str, yard: Yard) -> None:
    """Then the remote is asked for its own, whether the push names the remote or its URL."""
    yard.publish()
    yard.repo.git("remote", "rename", "origin", "elsewhere")
    yard.repo.git("remote", "rename", "elsewhere", name)
    yard.repo.policy(*LOOSE)
    yard.refuses(str(yard.remote.path) if by_url else name, "HEAD:refs/heads/new")


def test_a_new_ref_on_a_remote_without_any_branch_is_judged_by_its_own_policy(yard: Yard) -> None:
    yard.repo.policy(*LOOSE)
    yard.accepts("origin", "main", moved=["refs/heads/main"], requests=0)
    yard.repo.policy('protect = ["main", "new"]')
    yard.accepts("origin", "HEAD:refs/heads/new", requests=0)


def test_each_ref_has_its_own_accepted_side(yard: Yard) -> None:
    yard.repo.policy('protect = ["main"]')
    yard.publish("main:refs/heads/main", "main:refs/heads/dev")
    yard.repo.policy('protect = ["dev"]')
    yard.publish("HEAD:refs/heads/dev")
    new = yard.repo.commit("both")
    pushed = yard.refuses("origin", "HEAD:refs/heads/main", "HEAD:refs/heads/dev", requests=6)  # 3 for each policy
    assert "refs/heads/main" in pushed.said
    assert "refs/heads/dev" in pushed.said
    yard.task(new)
    both = ["refs/heads/main", "refs/heads/dev"]
    yard.accepts("origin", *(f"HEAD:{ref}" for ref in both), moved=both, requests=2)


def test_a_remote_that_is_ahead_of_what_was_fetched(yard: Yard, tmp_path: Path) -> None:
    yard.publish()
    yard.repo.git("clone", "--quiet", str(yard.remote.path), str(tmp_path / "colleague"))
    colleague = Repo(tmp_path / "colleague")
    colleague.commit("theirs")
    colleague.git("push", "--quiet", "origin", "main")
    yard.repo.commit("ours")
    yard.task()
    pushed = yard.refuses("--force", "origin", "main", by_us="policy that applies is unknown", requests=0)
    assert "hint: git fetch origin" in pushed.err
    yard.repo.git("fetch", "--quiet", "origin")
    yard.accepts("--force", "origin", "main", moved=["refs/heads/main"])


@pytest.mark.parametrize(
    ("text", "said"),
    [("[tool.git-clearml\n", "cannot be read"), ("[tool.git-clearml]\nprotekt = []\n", "did you mean protect?")],
)
def test_a_policy_that_nobody_can_read(text: str, said: str, yard: Yard) -> None:
    yard.repo.commit("broken policy", {"pyproject.toml": text})
    yard.publish()
    yard.repo.commit("mended", {"pyproject.toml": "[tool.git-clearml]\n"})
    yard.task()
    yard.refuses("origin", "main", by_us=said, requests=0)
    pushed = yard.accepts("origin", "main", requests=0, env={"GIT_CLEARML_SKIP": "1"})
    assert pushed.lines() == ["git clearml: this push is not verified (GIT_CLEARML_SKIP=1)"]


def test_neither_git_config_nor_the_environment_loosen_the_policy(yard: Yard) -> None:
    yard.task(diff=DIRTY)
    yard.repo.git("config", "clearml.protect", "elsewhere")
    pushed = yard.refuses("origin", "main", env={"GIT_CLEARML_ON_UNREACHABLE": "warn"})
    assert "clearml.protect is ignored" in pushed.err
    assert "GIT_CLEARML_ON_UNREACHABLE is ignored" in pushed.err


def test_a_required_check_that_has_not_passed(yard: Yard) -> None:
    yard.repo.policy("runnable = { required = true }")
    yard.task()
    yard.refuses("origin", "main", by_us="not proved to run on an agent", requests=2)


def test_without_credentials_there_is_no_evidence(yard: Yard) -> None:
    yard.task()
    off = dict.fromkeys(yard.server.env)
    yard.refuses("origin", "main", env=off, requests=0)
    yard.refuses("origin", "main", env={**off, "CI": "true"}, by_us="no ClearML credentials are configured", requests=0)


# What is printed


def test_success_is_one_short_line(yard: Yard) -> None:
    yard.task(name="train the detector with a name that is far longer than anybody would want to read in a terminal")
    pushed = yard.accepts("origin", "main")
    (said,) = pushed.lines()
    assert said.startswith(f"git clearml: verified {yard.repo.head[:12]} (main) by task ")
    assert len(said) <= 80
    assert pushed.out == ""


def test_quiet_success_is_silent(yard: Yard) -> None:
    yard.task()
    yard.hook.write_text(yard.hook.read_text().replace("hook pre-push", "hook --quiet pre-push"))
    assert yard.accepts("--quiet", "origin", "main").said == ""
    yard.repo.commit("more")
    assert "next: git clearml run" in yard.refuses("--quiet", "origin", "main").said


def test_a_refusal_says_what_why_what_next_and_the_way_around(yard: Yard) -> None:
    yard.task(name="dirty one", diff=DIRTY)
    yard.task(name="failed one", status="failed")
    pushed = yard.refuses("origin", "main:refs/heads/topic")
    said = pushed.err.splitlines()
    assert pushed.out == ""  # which is for --porcelain
    assert any(line.startswith(f"rejected {yard.repo.head[:12]} (refs/heads/topic): ") for line in said)
    assert any("ran with uncommitted changes in train.py (+1 -1)" in line for line in said)
    assert any("failed just now" in line for line in said)
    assert any('"dirty one"' in line for line in said)
    assert "next: git clearml run -- python train.py" in said
    assert said.index("next: git clearml run -- python train.py") < said.index(
        "to push anyway: GIT_CLEARML_SKIP=1 git push ..."
    )
    long = [line for line in pushed.lines() if len(line) > 80]
    assert [line for line in long if not line.strip().startswith(("http", "rejected "))] == []


def test_the_way_around_is_one_loud_line_and_starts_nothing(yard: Yard) -> None:
    pushed = yard.accepts("origin", "main", requests=0, env={"GIT_CLEARML_SKIP": "true", "GIT_CLEARML_BOGUS": "1"})
    assert pushed.lines() == ["git clearml: this push is not verified (GIT_CLEARML_SKIP=true)"]
    assert not yard.memory.exists()
    yard.repo.commit("more")
    pushed = yard.refuses("origin", "main", env={"GIT_CLEARML_SKIP": "please"})
    assert pushed.err.count("GIT_CLEARML_SKIP has no effect with this value") == 1


def test_porcelain_output_stays_gits(yard: Yard) -> None:
    yard.task()
    pushed = yard.accepts("--porcelain", "origin", "main")
    assert pushed.out.splitlines()[0].startswith("To ")
    yard.repo.commit("more")
    assert yard.refuses("--porcelain", "origin", "main").out == ""


def test_called_by_hand_without_anything(yard: Yard) -> None:
    assert "no lines on standard input" in yard.push("pre-push", command=["git-clearml", "hook"]).err
    assert yard.push("pre-push", "origin", "x", command=["git-clearml", "hook"]).status == 0


def test_a_push_that_is_not_gits_is_refused(yard: Yard) -> None:
    done = yard.push("-c", "echo garbage | git-clearml hook pre-push origin x", command=["sh"])
    assert (done.status, done.calls) == (2, ())
    assert "not a line of a pre-push hook: 'garbage'" in done.err
