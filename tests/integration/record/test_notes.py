"""Records in git notes: kept, merged and pushed, whoever else writes at the same time."""

from __future__ import annotations

import functools
import json
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Mapping
from datetime import datetime, timedelta, timezone
from pathlib import Path

import pytest

from git_clearml.clearml.model import Result
from git_clearml.errors import PublishFailed, UnknownRevision
from git_clearml.git.repository import Repository
from git_clearml.model import Metric
from git_clearml.record import notes
from git_clearml.record.model import RecordedTask
from git_clearml.record.notes import Notes
from tests.support.apart import Apart
from tests.support.git_http import GitServer
from tests.support.program import Gate, process_environment
from tests.support.pushing import bare, on_path, refs_of, without_privileges, write_hook
from tests.support.repos import Copier, Repo, fast_history, made_here, make_repo

START = datetime(2026, 1, 2, 3, 4, 5, tzinfo=timezone.utc)
GIT = shutil.which("git") or "git"

RECORDER = """
import sys
from git_clearml.record import notes
from git_clearml.git.repository import Repository
from git_clearml.clearml.model import Result
_, commit, *tasks = sys.argv
for task in tasks:
    notes.record(Repository(), commit, [Result(task, "train", status="completed")])
"""


def result(task: str = "1", status: str = "completed", **fields: object) -> Result:
    metrics = (Metric("validation", "accuracy", 0.9, 0.1, 0.9),)
    values = {"name": "train", "project": "Vision", "status": status, "url": f"https://x/{task}", "metrics": metrics}
    return Result(task, **(values | fields))  # type: ignore[arg-type]


def record(repo: Repo, *results: Result, commit: str = "", seconds: int = 0) -> bool:
    """Records them on HEAD, so many seconds after the start."""
    moment = START + timedelta(seconds=seconds)
    return notes.record(Repository(str(repo.path)), commit or repo.head, results, now=lambda: moment)


def recorded(repo: Repo, commit: str = "") -> dict[str, str]:
    """Task -> status as it is on record for a commit (HEAD)."""
    name = commit or repo.head
    return {each.task: each.status for each in Notes(Repository(str(repo.path))).of([name]).get(name, ())}


def push(repo: Repo, remote: str = "origin", tries: int = 5, timeout: float = 60) -> bool:
    return notes.push(Repository(str(repo.path)), remote, timeout=timeout, tries=tries, sleep=lambda _: None)


def other_refs(repo: Repo) -> dict[str, str]:
    """All refs but those that are ours to write."""
    return {name: at for name, at in refs_of(repo).items() if name not in (notes.REF, "refs/clearml/notes")}


@pytest.fixture
def repo(tmp_path: Path) -> Repo:
    return make_repo(tmp_path / "räum lich" / "repo", remote="")


@functools.cache
def _made_pair() -> tuple[Path, Copier]:
    place = Path(tempfile.mkdtemp(dir=made_here()))
    remote = bare(place / "remote ü.git")
    one = make_repo(place / "one", remote=f"file://{remote.path}")
    one.git("push", "--quiet", "origin", "main")
    one.git("clone", "--quiet", f"file://{remote.path}", str(place / "two"))
    return place, Copier(place)


@pytest.fixture
def pair(tmp_path: Path) -> tuple[Repo, Repo, Repo]:
    """Two clones of one repository, and the bare remote of both."""
    place, copier = _made_pair()
    copier.copy(tmp_path, {bytes(place): bytes(tmp_path)})
    return Repo(tmp_path / "one"), Repo(tmp_path / "two"), Repo(tmp_path / "remote ü.git")


def test_a_record_is_a_note_that_git_shows(repo: Repo) -> None:
    before = repo.git("status", "--porcelain"), repo.git("config", "--list"), other_refs(repo)
    assert record(repo, result("1"), result("2", "failed"))
    lines = [json.loads(line) for line in repo.git("notes", "--ref=clearml", "show", "HEAD").splitlines()]
    assert {line["task"]: line["status"] for line in lines} == {"1": "completed", "2": "failed"}
    assert lines[0]["metrics"] == {"validation/accuracy": 0.9}
    assert lines[0]["recorded"] == "2026-01-02T03:04:05.000+00:00"
    assert (repo.git("status", "--porcelain"), repo.git("config", "--list"), other_refs(repo)) == before
    assert repo.git("log", "-1", "--format=%an <%ae>%n%s", notes.REF).splitlines() == [
        "C. Committer <committer@example.com>",
        f"git clearml: record 1, 2 of {repo.head[:12]}",
    ]


def test_an_entry_says_what_the_result_said(repo: Repo) -> None:
    record(repo, result("1", completed="2026-01-02T00:00:00+00:00"))
    (entry,) = Notes(Repository(str(repo.path))).of([repo.head])[repo.head]
    assert entry == RecordedTask(
        "1",
        "train",
        "Vision",
        "completed",
        "https://x/1",
        "2026-01-02T00:00:00+00:00",
        (("validation/accuracy", 0.9),),
        "2026-01-02T03:04:05.000+00:00",
    )


def test_recording_again(repo: Repo) -> None:
    record(repo, result("1", "in_progress"), result("2"))
    assert record(repo, result("1", "completed"), seconds=1)
    assert recorded(repo) == {"1": "completed", "2": "completed"}
    tip = repo.git("rev-parse", notes.REF)
    assert not record(repo, result("1", "completed"), result("2"), seconds=2)
    assert not record(repo)
    assert repo.git("rev-parse", notes.REF) == tip


def test_nothing_on_record(repo: Repo) -> None:
    assert Notes(Repository(str(repo.path))).of([repo.head]) == {}
    record(repo, result())
    assert Notes(Repository(str(repo.path))).of(["1" * 40]) == {}
    assert Notes(Repository(str(repo.path))).of([]) == {}


def test_only_full_hashes_get_notes(repo: Repo) -> None:
    for odd in ("HEAD", repo.head[:12], "../../config", ""):
        with pytest.raises(UnknownRevision):
            notes.record(Repository(str(repo.path)), odd, [result()])


def test_sha_256_bare_and_worktrees(tmp_path: Path) -> None:
    repo = make_repo(tmp_path / "repo", remote="", options=("--object-format=sha256",))
    tree = repo.worktree(tmp_path / "a tree")
    record(tree, result("1"))
    repo.git("clone", "--quiet", "--mirror", str(repo.path), str(tmp_path / "bare.git"))
    there = Repo(tmp_path / "bare.git")
    record(there, result("2"), commit=repo.head)
    assert len(repo.head) == 64
    assert recorded(repo) == {"1": "completed"}
    assert recorded(there, repo.head) == {"1": "completed", "2": "completed"}


def test_without_a_name_configured(repo: Repo, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("GIT_COMMITTER_NAME", "GIT_COMMITTER_EMAIL", "GIT_COMMITTER_DATE", "EMAIL"):
        monkeypatch.delenv(name, raising=False)
    repo.git("config", "user.useConfigOnly", "true")
    assert record(repo, result())
    assert repo.git("log", "-1", "--format=%cn <%ce>", notes.REF) == "git-clearml <git-clearml@users.invalid>"


def test_many_notes_lie_in_directories_as_git_has_them(repo: Repo) -> None:
    commits = fast_history(repo, 300)
    here = Repository(str(repo.path))
    for commit in commits[:5]:
        record(repo, result(), commit=commit)
    flat = repo.git("ls-tree", "-r", "--name-only", notes.REF).splitlines()
    assert all("/" not in path for path in flat)
    stream = "".join(f"N inline {commit}\ndata 5\nwords\n" for commit in commits)
    head = "commit refs/notes/clearml\ncommitter A <a@example.com> 1767323045 +0000\ndata 1\nx\n"
    repo.git("fast-import", "--quiet", "--force", stdin=head + stream)
    for number in (0, 299):
        assert record(repo, result(str(number)), commit=commits[number])
    assert record(repo, result("new"))
    paths = repo.git("ls-tree", "-r", "--name-only", notes.REF).splitlines()
    assert len(paths) == 301
    assert all(path[2] == "/" for path in paths)
    found = Notes(here).of([*commits, repo.head])
    assert {name: [task.task for task in some] for name, some in found.items()} == {
        commits[0]: ["0"],
        commits[299]: ["299"],
        repo.head: ["new"],
    }
    assert "words" in repo.git("notes", "--ref=clearml", "show", commits[0]).splitlines()
    assert len(repo.git("notes", "--ref=clearml", "list").splitlines()) == 301


def test_two_notes_of_one_commit_become_one(repo: Repo) -> None:
    """A merge of trees that lie in different directories leaves two files for one commit."""
    record(repo, result("1"))
    blob, head = repo.git("rev-parse", f"{notes.REF}:{repo.head}"), repo.head
    inner = repo.git("mktree", stdin=f"100644 blob {blob}\t{head[2:]}\n")
    second = blob_of(repo, repo.git("notes", "--ref=clearml", "show").replace('"task": "1"', '"task": "2"'))
    tree = repo.git("mktree", stdin=f"100644 blob {second}\t{head}\n040000 tree {inner}\t{head[:2]}\n")
    repo.git("update-ref", notes.REF, repo.git("commit-tree", tree, "-m", "x"))
    assert recorded(repo) == {"1": "completed", "2": "completed"}
    record(repo, result("3"))
    assert recorded(repo) == {"1": "completed", "2": "completed", "3": "completed"}
    assert len(repo.git("ls-tree", "-r", notes.REF).splitlines()) == 1


def blob_of(repo: Repo, content: str) -> str:
    return repo.git("hash-object", "-w", "--stdin", stdin=content)


def forged(repo: Repo, content: str, commit: str = "") -> None:
    """A note with this content, by git's own hand."""
    repo.git("notes", "--ref=clearml", "add", "-f", "-F", "-", commit or "HEAD", stdin=content)


def test_what_others_wrote_is_kept(repo: Repo) -> None:
    forged(repo, 'reviewed by hand\n{"schema": 2, "task": "1"}\n')
    record(repo, result("1"))
    lines = repo.git("notes", "--ref=clearml", "show").splitlines()
    assert len(lines) == 3
    assert {'{"schema": 2, "task": "1"}', "reviewed by hand"} < set(lines)


def test_a_note_of_megabytes_is_not_read(repo: Repo) -> None:
    good = json.dumps({"schema": 1, "task": "1"})
    forged(repo, f"{good}\n{'x' * 5_000_000}")
    assert recorded(repo) == {}
    record(repo, result("1"))
    assert recorded(repo) == {"1": "completed"}


def test_more_than_fits_into_memory_is_read_in_parts(repo: Repo) -> None:
    commits = fast_history(repo, 6)
    record(repo, result("1"))
    content = repo.git("notes", "--ref=clearml", "show") + "\n" + "x" * 3_900_000
    for commit in commits:
        forged(repo, content, commit)
    found = Notes(Repository(str(repo.path))).of([*commits, repo.head])
    assert list(found) == [*commits, repo.head]


def test_a_note_whose_object_is_missing(repo: Repo) -> None:
    second = repo.commit("second")
    for commit, task in ((second, "2"), (repo.git("rev-parse", "HEAD~1"), "1")):
        record(repo, result(task), commit=commit)
    blob = repo.git("rev-parse", f"{notes.REF}:{second}")
    (repo.path / ".git" / "objects" / blob[:2] / blob[2:]).unlink()
    assert recorded(repo, second) == {}
    assert recorded(repo, repo.git("rev-parse", "HEAD~1")) == {"1": "completed"}


def test_a_notes_tree_with_other_things_in_it(repo: Repo) -> None:
    record(repo, result("1"))
    blob, head = repo.git("rev-parse", f"{notes.REF}:{repo.head}"), repo.head
    entries = [
        f"100644 blob {blob}\tREADME",
        f"120000 blob {blob}\t{'1' * 40}",
        f"160000 commit {'2' * 40}\t{'3' * 40}",
        f"100644 blob {blob}\t{'g' * 40}",
        f"100644 blob {blob}\t{head}",
    ]
    tree = repo.git("mktree", "--missing", stdin="\n".join(entries) + "\n")
    repo.git("update-ref", notes.REF, repo.git("commit-tree", tree, "-m", "x"))
    assert recorded(repo) == {"1": "completed"}
    record(repo, result("2"))
    assert recorded(repo) == {"1": "completed", "2": "completed"}
    names = {line.partition("\t")[2] for line in repo.git("ls-tree", notes.REF).splitlines()}
    assert names == {"README", "1" * 40, "3" * 40, "g" * 40, head}


def test_a_notes_ref_that_is_no_commit(repo: Repo) -> None:
    repo.git("update-ref", notes.REF, blob_of(repo, "x"))
    assert recorded(repo) == {}
    with pytest.raises(PublishFailed) as caught:
        record(repo, result())
    assert "could not be written" in caught.value.message


def test_a_forged_note_verifies_nothing(gate: Gate) -> None:
    record(gate.repo, result("1", commit=gate.repo.head))
    assert gate.verify().json["outcome"] == "rejected"
    offline = gate.call("verify", "--format", "json", "--evidence", "offline")
    assert (offline.status, offline.json["outcome"]) == (1, "rejected")
    none: Mapping[str, None] = dict.fromkeys(gate.server.env)
    assert gate.call("verify", env=none).status == 1


# Two at once, and kills.


def test_eight_at_once_are_all_kept(repo: Repo, apart: Apart) -> None:
    repo.commit("second")
    commits = [repo.head, repo.git("rev-parse", "HEAD~1")]
    calls = [[commits[number % 2], *(f"{number}-{n}" for n in range(3))] for number in range(8)]
    assert apart.code(RECORDER, calls, repo.path) == [0] * 8
    for place, commit in enumerate(commits):
        assert set(recorded(repo, commit)) == {f"{n}-{m}" for n in range(place, 8, 2) for m in range(3)}
    assert "error" not in repo.git("fsck", "--no-dangling")


def shim(directory: Path, word: str, before: str = "", after: str = "") -> str:
    """A PATH whose git does something before or after what it does for `git <word>`."""
    script = f'#!/bin/sh\nif [ "$1" = {word} ]; then\n{before}\n"{GIT}" "$@"; status=$?\n{after}\nexit $status\nfi\n'
    write_hook(directory / "git", f'{script}exec "{GIT}" "$@"\n')
    return on_path(directory)


@pytest.mark.parametrize(
    ("word", "when"),
    [
        *((word, "before") for word in ("rev-parse", "ls-tree", "cat-file", "var", "fast-import")),
        ("fast-import", "after"),
    ],
)
def test_killed_and_run_again(repo: Repo, tmp_path: Path, apart: Apart, word: str, when: str) -> None:
    record(repo, result("there"))
    kill = "kill -9 $PPID"
    path = shim(tmp_path / "bin", word, **{when: kill})
    assert apart.code(RECORDER, [[repo.head, "new"]], repo.path, {"PATH": path}) == [-9]
    assert set(recorded(repo)) in ({"there"}, {"there", "new"})
    record(repo, result("new"))
    assert set(recorded(repo)) == {"there", "new"}
    assert len(repo.git("notes", "--ref=clearml", "show").splitlines()) == 2
    repo.git("fsck")


def test_somebody_is_quicker_every_time(repo: Repo, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    again = f'"{GIT}" -c core.hooksPath=/ notes --ref=clearml append -m again'
    monkeypatch.setenv("PATH", shim(tmp_path / "bin", "fast-import", before=again))
    waited: list[float] = []
    with pytest.raises(PublishFailed) as caught:
        notes.record(Repository(str(repo.path)), repo.head, [result()], sleep=waited.append)
    assert "locked" in caught.value.message
    assert len(waited) == 30
    assert waited == sorted(waited)


def test_a_lock_that_stays(repo: Repo) -> None:
    repo.git("config", "core.filesRefLockTimeout", "0")
    record(repo, result("1"))
    (repo.path / ".git" / "refs" / "notes" / "clearml.lock").touch()
    with pytest.raises(PublishFailed) as caught:
        notes.record(Repository(str(repo.path)), repo.head, [result("2")], sleep=lambda _: None)
    assert "refs/notes/clearml.lock" in caught.value.hint
    assert recorded(repo) == {"1": "completed"}


def test_no_right_to_write(repo: Repo) -> None:
    for directory, _names, _files in os.walk(repo.path / ".git"):
        os.chmod(directory, 0o500)
    done = subprocess.run(
        without_privileges([sys.executable, "-c", RECORDER, repo.head, "1"]), cwd=repo.path, env=process_environment(),
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    for directory, _names, _files in os.walk(repo.path / ".git"):
        os.chmod(directory, 0o700)
    assert "PublishFailed: the note could not be written: " in done.stderr
    assert recorded(repo) == {}


# Pushing.


def test_pushed_and_pulled(pair: tuple[Repo, Repo, Repo]) -> None:
    one, two, remote = pair
    assert not push(one)
    assert not notes.pull(Repository(str(one.path)), "origin", timeout=60)
    record(one, result("1"))
    assert push(one)
    assert push(one)
    assert refs_of(remote)[notes.REF] == one.git("rev-parse", notes.REF)
    assert notes.pull(Repository(str(two.path)), "origin", timeout=60)
    assert recorded(two) == {"1": "completed"}
    assert not notes.pull(Repository(str(two.path)), "origin", timeout=60)
    assert two.git("rev-parse", notes.REF) == one.git("rev-parse", notes.REF)


def test_another_machine_was_first(pair: tuple[Repo, Repo, Repo]) -> None:
    one, two, _ = pair
    head = one.head
    record(one, result("1"), result("both", "in_progress"))
    record(two, result("both", "completed"), result("2"), seconds=5)
    second = two.commit("second")
    record(two, result("3"), commit=second)
    assert push(one)
    before = two.git("config", "--list"), other_refs(two), two.git("status", "--porcelain")
    assert push(two)
    assert (two.git("config", "--list"), other_refs(two), two.git("status", "--porcelain")) == before
    assert not (two.path / ".git" / "FETCH_HEAD").exists()
    everything = {"1": "completed", "both": "completed", "2": "completed"}
    assert recorded(two, head) == everything
    notes.pull(Repository(str(one.path)), "origin", timeout=60)
    assert recorded(one, head) == everything
    assert recorded(one, second) == {"3": "completed"}  # of a commit that this clone does not have
    assert len(one.git("rev-list", "--min-parents=2", notes.REF).splitlines()) == 1


def test_the_same_notes_by_two_ways(pair: tuple[Repo, Repo, Repo]) -> None:
    one, two, _ = pair
    record(one, result("1"))
    two.git("commit", "--quiet", "--allow-empty", "-m", "x")
    two.git("notes", "--ref=clearml", "add", "-m", one.git("notes", "--ref=clearml", "show"), one.head)
    assert push(one)
    assert push(two)
    assert recorded(two, one.head) == {"1": "completed"}


def test_many_notes_are_merged_into_few(pair: tuple[Repo, Repo, Repo]) -> None:
    one, two, _ = pair
    commits = fast_history(one, 400)
    stream = "".join(f"N inline {name}\ndata {len(text)}\n{text}\n" for name in commits if (text := f"words {name}"))
    head = "commit refs/notes/clearml\ncommitter A <a@example.com> 1767323045 +0000\ndata 1\nx\n"
    one.git("fast-import", "--quiet", stdin=head + stream)
    assert push(one)
    record(two, result("1"))
    assert push(two)
    assert len(two.git("notes", "--ref=clearml", "list").splitlines()) == 401
    assert two.git("notes", "--ref=clearml", "show", "HEAD").count("\n") == 0


def test_a_fetch_refspec_for_notes_does_not_overwrite_ours(pair: tuple[Repo, Repo, Repo]) -> None:
    one, two, _ = pair
    record(one, result("1"))
    push(one)
    two.git("config", "--add", "remote.origin.fetch", "+refs/notes/*:refs/notes/*")
    two.git("config", "fetch.prune", "true")
    two.git("notes", "--ref=mine", "add", "-m", "mine")
    record(two, result("2"))
    assert push(two)
    assert recorded(two) == {"1": "completed", "2": "completed"}
    assert two.git("notes", "--ref=mine", "show") == "mine"


def racing(repo: Repo, rival: Repo, times: int) -> None:
    """A pre-push hook that lets another clone push first, so many times."""
    count = repo.path.parent / "count"
    write_hook(
        repo.path / ".git" / "hooks" / "pre-push",
        f"#!/bin/sh\nn=$(($(cat '{count}' 2>/dev/null || echo 0) + 1)); echo $n >'{count}'\n"
        f"[ $n -le {times} ] || exit 0\ncd '{rival.path}' && unset GIT_DIR\n"
        "git fetch --quiet origin +refs/notes/clearml:refs/notes/clearml 2>/dev/null\n"
        'git notes --ref=clearml append -m "rival $n" && git push --quiet origin refs/notes/clearml\n',
    )


def test_another_machine_is_first_again_and_again(pair: tuple[Repo, Repo, Repo]) -> None:
    one, two, remote = pair
    record(one, result("1"))
    racing(one, two, 3)
    assert push(one)
    words = remote.git("notes", "--ref=clearml", "show", one.head).split("\n")
    assert {"rival 1", "rival 2", "rival 3"} < set(words)
    assert recorded(one) == {"1": "completed"}


def test_at_some_point_it_gives_up(pair: tuple[Repo, Repo, Repo]) -> None:
    one, two, _ = pair
    record(one, result("1"))
    racing(one, two, 100)
    with pytest.raises(PublishFailed) as caught:
        push(one, tries=3)
    assert "each of 3 push attempts" in caught.value.message
    assert recorded(one) == {"1": "completed"}


@pytest.mark.slow
def test_many_push_at_once(pair: tuple[Repo, Repo, Repo], tmp_path: Path) -> None:
    """From three clones, two processes in each."""
    one, _, remote = pair
    clones = [one.clone(tmp_path / f"clone {n}") for n in range(3)] * 2
    pusher = RECORDER + f"assert notes.push(Repository(), 'file://{remote.path}', timeout=200, tries=40)\n"
    running = [
        subprocess.Popen(
            [sys.executable, "-c", pusher, one.head, f"task-{n}"], cwd=clone.path, env=process_environment()
        )
        for n, clone in enumerate(clones)
    ]
    assert [process.wait() for process in running] == [0] * 6
    assert set(recorded(remote, one.head)) == {f"task-{n}" for n in range(6)}


def test_a_mirror_gets_the_notes_alone(pair: tuple[Repo, Repo, Repo]) -> None:
    one, _, remote = pair
    one.git("config", "remote.origin.mirror", "true")
    one.git("branch", "private")
    record(one, result("1"))
    assert push(one)
    assert refs_of(remote).keys() == {"refs/heads/main", notes.REF}


def test_notes_are_fetched_from_where_they_are_pushed_to(pair: tuple[Repo, Repo, Repo], tmp_path: Path) -> None:
    one, two, remote = pair
    fork = bare(tmp_path / "fork.git")
    for clone in (one, two):
        clone.git("remote", "set-url", "--push", "origin", f"file://{fork.path}")
    record(two, result("2"))
    assert push(two)
    record(one, result("1"))
    assert push(one)
    assert recorded(fork, one.head) == recorded(one) == {"1": "completed", "2": "completed"}
    assert notes.REF not in refs_of(remote)


def test_the_remote_lost_its_notes_meanwhile(pair: tuple[Repo, Repo, Repo]) -> None:
    one, two, remote = pair
    record(two, result("2"))
    push(two)
    record(one, result("1"))
    waited: list[float] = []

    def lose(seconds: float) -> None:
        waited.append(seconds)
        remote.git("update-ref", "-d", notes.REF)

    assert notes.push(Repository(str(one.path)), "origin", timeout=60, sleep=lose)
    assert len(waited) == 1
    assert recorded(remote, one.head) == {"1": "completed"}


@pytest.mark.parametrize(
    ("spoil", "said"),
    [
        (lambda repo, remote: shutil.rmtree(remote.path), "does not appear to be a git repository"),
        (lambda repo, remote: repo.git("remote", "remove", "origin"), "does not appear to be a git repository"),
        (
            lambda repo, remote: write_hook(remote.path / "hooks" / "pre-receive", "#!/bin/sh\nexit 1\n"),
            "pre-receive hook declined",
        ),
        (
            lambda repo, remote: write_hook(repo.path / ".git" / "hooks" / "pre-push", "#!/bin/sh\nexit 1\n"),
            "failed to push some refs to",
        ),
    ],
)
def test_a_push_that_is_refused(
    pair: tuple[Repo, Repo, Repo], spoil: Callable[[Repo, Repo], object], said: str
) -> None:
    one, _, remote = pair
    record(one, result("1"))
    spoil(one, remote)
    with pytest.raises(PublishFailed) as caught:
        push(one)
    assert said in caught.value.message
    assert recorded(one) == {"1": "completed"}


def test_a_remote_that_hides_its_notes(pair: tuple[Repo, Repo, Repo]) -> None:
    one, two, remote = pair
    record(two, result("2"))
    push(two)
    record(one, result("1"))
    remote.git("config", "uploadpack.hideRefs", "refs/notes")
    with pytest.raises(PublishFailed):
        push(one)
    assert recorded(one) == {"1": "completed"}
    assert recorded(remote, one.head) == {"2": "completed"}


def test_a_remote_that_does_not_answer(pair: tuple[Repo, Repo, Repo]) -> None:
    one, _, _ = pair
    record(one, result("1"))
    write_hook(one.path / ".git" / "hooks" / "pre-push", "#!/bin/sh\nexec sleep 100\n")
    with pytest.raises(PublishFailed) as caught:
        push(one, timeout=0.3)
    assert caught.value.message == "the notes could not be pushed within 0.3 s"


@pytest.mark.needs("git remote-http")
def test_no_password_in_what_is_said(pair: tuple[Repo, Repo, Repo], monkeypatch: pytest.MonkeyPatch) -> None:
    one, _, _ = pair
    monkeypatch.setenv("GIT_ALLOW_PROTOCOL", "file:http")
    record(one, result("1"))
    with GitServer(one.path.parent) as server:
        server.refuse = 403
        url = server.url(one.path).replace("http://", "http://user:hunter22@")
        for doing in (lambda: push(one, url), lambda: notes.pull(Repository(str(one.path)), url, timeout=60)):
            with pytest.raises(PublishFailed) as caught:
                doing()
            assert "hunter22" not in caught.value.message + caught.value.hint
            assert "403" in caught.value.message


@pytest.mark.needs("git remote-http")
def test_over_http(pair: tuple[Repo, Repo, Repo], monkeypatch: pytest.MonkeyPatch) -> None:
    one, two, remote = pair
    monkeypatch.setenv("GIT_ALLOW_PROTOCOL", "file:http")
    served = bare(remote.path.parent / "served.git")
    with GitServer(served.path.parent) as server:
        record(one, result("1"))
        record(two, result("2"))
        assert push(one, server.url(served.path))
        assert push(two, server.url(served.path))
    assert recorded(served, one.head) == {"1": "completed", "2": "completed"}


def test_from_a_shallow_clone(pair: tuple[Repo, Repo, Repo], tmp_path: Path) -> None:
    one, two, remote = pair
    one.commit("second")
    one.git("push", "--quiet", "origin", "main")
    for number in range(3):
        record(two, result(str(number)))
        push(two)
    one.git("clone", "--quiet", "--depth=1", f"file://{remote.path}", str(tmp_path / "shallow"))
    shallow = Repo(tmp_path / "shallow")
    record(shallow, result("new"))
    assert push(shallow)
    assert recorded(remote, one.head) == {"new": "completed"}
    assert set(recorded(remote, two.head)) == {"0", "1", "2"}
