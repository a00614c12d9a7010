"""The tree that a task ran, out of its commit and the diff that the SDK recorded; and diffs that somebody made up."""

from __future__ import annotations

import contextlib
import os
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from git_clearml.errors import CannotDecide
from git_clearml.git import new_worktree, recorded_diff
from git_clearml.git.changes import Change
from git_clearml.git.repository import Repository
from tests.support.repos import Repo, make_repo

LINES = "".join(f"line {number}\n" for number in range(40))
START: dict[str, bytes] = {
    "train.py": LINES.encode(),
    "crlf.txt": b"one\r\ntwo\r\nthree\r\n",
    "mixed.txt": b"one\r\ntwo\nthree\r\n",
    "no-end.txt": b"one\ntwo",
    "empty.txt": b"",
    "w.bin": bytes(range(256)),
    "blank.py": b"a\n\n\n\nb\n  \n",
    "tool.sh": b"#!/bin/sh\n",
    "sub/deep/m.py": b"x = 1\n",
    "na me.py": b"x\n",
    "\u00e4\u4e2d.py": b"x\n",
    'quo"te\\.py': b"x\n",
    "tab\there.py": b"x\n",
    "latin.txt": "caf\u00e9 \u2028 \x0c \x85\n".encode(),
    "dollar.txt": b"$Id$\n",
}
Edit = Callable[[Path], object]


def put(name: str, content: bytes) -> Edit:
    def edit(top: Path) -> None:
        (top / name).parent.mkdir(parents=True, exist_ok=True)
        (top / name).write_bytes(content)

    return edit


def git(*words: str) -> Edit:
    return lambda top: subprocess.run(["git", *words], cwd=top, check=True, capture_output=True)


def symlink(name: str, target: str) -> Edit:
    def edit(top: Path) -> None:
        (top / name).symlink_to(target)
        git("add", name)(top)

    return edit


def added(name: str, content: bytes) -> list[Edit]:
    return [put(name, content), git("add", "-f", name)]


RUNS: dict[str, list[Edit]] = {
    "an edit": [put("train.py", START["train.py"].replace(b"line 3\n", b"line three\n"))],
    "many hunks": [put("train.py", START["train.py"].replace(b"2", b"two").replace(b"line 9\n", b""))],
    "emptied": [put("train.py", b"")],
    "filled": [put("empty.txt", b"x\n")],
    "emptied and filled": [put("empty.txt", b"x"), put("train.py", b"")],
    "deleted": [lambda top: (top / "train.py").unlink()],
    "an empty file deleted": [lambda top: (top / "empty.txt").unlink()],
    "deleted by git": [git("rm", "-q", "sub/deep/m.py")],
    "a new file": added("new/er/x.py", b"x\n"),
    "a new empty file": added("new.py", b""),
    "a new file by add -N": [put("new.py", b"x\n"), git("add", "-N", "new.py")],
    "an ignored file": [*added(".gitignore", b"*.log\n"), *added("x.log", b"x\n")],
    "renamed": [git("mv", "train.py", "model.py")],
    "renamed and edited": [git("mv", "train.py", "m.py"), put("m.py", START["train.py"] + b"more\n")],
    "renamed across folders": [git("mv", "sub", "other")],
    "two swapped": [git("mv", "train.py", "t"), git("mv", "crlf.txt", "train.py"), git("mv", "t", "crlf.txt")],
    "made executable": [lambda top: (top / "tool.sh").chmod(0o755)],
    "executable and edited": [lambda top: (top / "tool.sh").chmod(0o755), put("tool.sh", b"x\n")],
    "a new executable": [*added("go.sh", b"x\n"), lambda top: (top / "go.sh").chmod(0o755), git("add", "go.sh")],
    "CRLF": [put("crlf.txt", b"one\r\n2\r\nthree\r\n")],
    "CRLF at the end": [put("crlf.txt", b"one\r\ntwo\r\nthree\r\nfour\r\n")],
    "CRLF to LF": [put("crlf.txt", b"one\ntwo\nthree\n")],
    "LF to CRLF": [put("train.py", START["train.py"].replace(b"\n", b"\r\n"))],
    "mixed line ends": [put("mixed.txt", b"one\ntwo\r\nthree\r\n")],
    "a new CRLF file": added("new.txt", b"a\r\nb\r\n"),
    "lone CR": [put("crlf.txt", b"one\rtwo\r\r\nthree\r\n")],
    "no newline kept": [put("no-end.txt", b"1\ntwo")],
    "newline added": [put("no-end.txt", b"one\ntwo\n")],
    "newline removed": [put("train.py", START["train.py"][:-1])],
    "a new file without newline": added("new.txt", b"a"),
    "white space alone": [put("train.py", START["train.py"].replace(b"line 5\n", b"line 5  \t\n"))],
    "blank lines at the end": [put("blank.py", b"A\n\n\n\nb\n  \n")],
    "blank lines removed": [put("blank.py", b"a\nb\n")],
    "trailing blanks": [put("blank.py", b"a\n\n\n\nb\n   \n\n\n")],
    "names": [put(name, b"y\n") for name in ("na me.py", "\u00e4\u4e2d.py", 'quo"te\\.py', "tab\there.py")],
    "a new name": added("\U0001f600 \u00e9.py", b"y\n"),
    "renamed names": [git("mv", "\u00e4\u4e2d.py", 'q"\u00fc.py')],
    "odd characters": [put("latin.txt", "caf\u00e9 \u2028 \x0c \x85\r\x1b[31m\n".encode())],
    "looks like a diff": [put("train.py", b"--- a/x\n+++ b/x\n@@ -1 +1 @@\ndiff --git a/y b/y\nindex 1234..abcd\n")],
    "looks like dashes": [put("blank.py", b"a\n\n-- \n\nb\n  \n"), put("train.py", b"-- a\n++ b\n")],
    "a link": [symlink("l", "train.py")],
    "a file that became a link": [git("rm", "-q", "tool.sh"), symlink("tool.sh", "n")],
    "a file that became a folder": [git("rm", "-q", "tool.sh"), *added("tool.sh/x", b"x\n")],
    "a folder that became a file": [git("rm", "-rq", "sub"), *added("sub", b"x\n")],
    "a link out of the tree": [symlink("out", "/nonexistent/x")],
    "a submodule moved": [git("update-index", "--add", "--cacheinfo", f"160000,{'1' * 40},module")],
    "attributes": added(".gitattributes", b"*.txt text\n"),
    "ident": [*added(".gitattributes", b"nothing ident\n"), put("dollar.txt", b"$Id: x $\n")],
    "staged and edited again": [put("train.py", b"1\n"), git("add", "train.py"), put("train.py", b"2\n")],
    "everything gone": [git("rm", "-rq", ".")],
}  # fmt: skip


def new_file(name: str, mode: str = "100644", content: str = "x") -> str:
    lines = content.split("\n")
    body = "".join(f"+{line}\n" for line in lines)
    start = f"diff --git a/{name} b/{name}\nnew file mode {mode}\n--- /dev/null\n+++ b/{name}\n"
    return f"{start}@@ -0,0 +1,{len(lines)} @@\n{body}"


def change(name: str, header: str, old: str, new: str) -> str:
    start = f"diff --git a/{name} b/{name}\n{header}\n--- {f'a/{name}' if old else '/dev/null'}\n+++ b/{name}\n"
    return start + (f"@@ -1 +1 @@\n-{old}\n+{new}\n" if old else f"@@ -0,0 +1 @@\n+{new}\n")


def link(name: str, target: str) -> str:
    return new_file(name, "120000", target).rstrip("\n") + "\n\\ No newline at end of file\n"


SETTINGS = (
    (),
    ("-c", "diff.noprefix=true"),
    ("-c", "diff.mnemonicPrefix=true", "-c", "core.quotePath=false", "-c", "diff.renames=copies"),
    ("-c", "diff.context=0", "-c", "diff.suppressBlankEmpty=true"),
    ("-c", "color.ui=always"),
)


@pytest.fixture(scope="module")
def repo(tmp_path_factory: pytest.TempPathFactory) -> Repo:
    made = make_repo(tmp_path_factory.mktemp("recorded") / "repo")
    for name, content in START.items():
        put(name, content)(made.path)
    made.git("-c", "core.autocrlf=false", "add", "-A")
    (made.path / "escape").symlink_to("..")
    made.git("add", "escape")
    made.git("update-index", "--add", "--cacheinfo", f"160000,{'2' * 40},module")
    made.git("commit", "-qm", "start")
    return made


def tree_of(top: Path) -> dict[str, object]:
    """Every file with its kind, permission and content; folders that are empty are none."""
    found: dict[str, object] = {}
    for directory, folders, names in os.walk(top):
        for name in [*names, *(each for each in folders if (Path(directory) / each).is_symlink())]:
            path = Path(directory) / name
            if path.name != ".git" and ".git" not in path.relative_to(top).parts:
                shown = os.readlink(path) if path.is_symlink() else (path.stat().st_mode & 0o100, path.read_bytes())
                found[str(path.relative_to(top))] = shown
    return found


def made_of(repo: Repo, text: str, place: Path) -> recorded_diff.Applied:
    repository = Repository(str(repo.path))
    applied = recorded_diff.apply(repository, repo.head, text)
    new_worktree.add(repository, str(place), repo.head)
    if applied.tree:
        new_worktree.fill(repository, str(place), repo.head, applied.tree, applied.changes)
    return applied


def settle(repo: Repo) -> None:
    """Makes files older than the index: git reads anew what is as old as that, and finds what attributes normalise."""
    for name in repo.git("ls-files", "-z").split("\0")[:-1]:
        if (path := repo.path / name).is_file() and not path.is_symlink():
            os.utime(path, (1_700_000_000, 1_700_000_000))
    repo.git("update-index", "-q", "--refresh")


def gitlinks(top: Path, name: str = "module") -> str:
    listed = subprocess.run(["git", "ls-files", "-s", name], cwd=top, check=True, capture_output=True)
    return listed.stdout.decode().replace("\t", " ")


def diff_of(repo: Repo, *settings: str) -> str:
    """What the SDK records: `git diff HEAD` decoded, nothing stripped (sdk.md 5)."""
    done = subprocess.run(["git", *settings, "diff", "HEAD"], cwd=repo.path, check=True, capture_output=True)
    return done.stdout.decode()


@pytest.mark.parametrize("title", RUNS)
def test_the_tree_that_ran(repo: Repo, tmp_path: Path, title: str) -> None:
    repo.git("reset", "-q", "--hard")
    repo.git("clean", "-qfdx")
    settle(repo)
    for edit in RUNS[title]:
        edit(repo.path)
    ran, module = tree_of(repo.path), gitlinks(repo.path)
    number = list(RUNS).index(title)
    text = diff_of(repo, *SETTINGS[number % len(SETTINGS)])
    applied = made_of(repo, text, tmp_path / "w")
    assert applied.problem == "", text
    assert tree_of(tmp_path / "w") == ran
    assert gitlinks(tmp_path / "w") == module
    worktree = Repo(tmp_path / "w")
    assert worktree.head == repo.head
    if title != "attributes":  # of what it normalises the index of the run knows nothing
        assert diff_of(worktree) == diff_of(repo)


ASK = """
import sys
from clearml.backend_interface.task.repo import ScriptInfo
script = ScriptInfo.get(filepaths=[sys.argv[1]], check_uncommitted=True, create_requirements=False)[0].script
sys.stdout.buffer.write(script["diff"].encode())
"""


def test_what_the_sdk_itself_records(repo: Repo, tmp_path: Path) -> None:
    """A moved submodule is not among it: how that is recorded depends on the SDK and on git, see below."""
    repo.git("reset", "-q", "--hard")
    repo.git("clean", "-qfdx")
    for title in (
        "many hunks",
        "CRLF at the end",
        "no newline kept",
        "names",
        "blank lines at the end",
        "odd characters",
    ):
        for edit in RUNS[title]:
            edit(repo.path)
    for title in ("made executable", "a new file", "a link", "an empty file deleted"):
        for edit in RUNS[title]:
            edit(repo.path)
    ran = tree_of(repo.path)
    command = [sys.executable, "-c", ASK, str(repo.path / "train.py")]
    done = subprocess.run(command, cwd=repo.path, check=True, capture_output=True)
    text = done.stdout.decode()
    assert text == diff_of(repo)
    assert made_of(repo, text, tmp_path / "w").problem == ""
    assert (tree_of(tmp_path / "w"), gitlinks(tmp_path / "w")) == (ran, gitlinks(repo.path))


def test_a_submodule_as_newer_gits_record_it(tmp_path: Path) -> None:
    """`--submodule=diff`, which git 2.41 and newer are asked for: shortened hashes, and the difference inside."""
    inner, repo = make_repo(tmp_path / "inner"), make_repo(tmp_path / "repo")
    repo.git("-c", "protocol.file.allow=always", "submodule", "--quiet", "add", str(inner.path), "m")
    repo.commit("with a submodule")
    module = Repo(repo.path / "m")
    target = module.commit("moved", {"new.py": "x\n", "train.py": "y\n"})
    put("train.py", b"edited\n")(repo.path)

    def recorded(name: str) -> tuple[recorded_diff.Applied, str]:
        done = subprocess.run(
            ["git", "diff", "--submodule=diff", "HEAD"], cwd=repo.path, check=True, capture_output=True
        )
        return made_of(repo, done.stdout.decode(), tmp_path / name), gitlinks(tmp_path / name, "m")

    applied, link = recorded("moved")
    assert (applied.problem, applied.notes, target in link) == ("", (), True)
    assert (tmp_path / "moved" / "train.py").read_bytes() == b"edited\n"
    put("new.py", b"uncommitted\n")(module.path)
    applied, link = recorded("dirty")
    assert (applied.problem, len(applied.notes), target in link) == ("", 1, True)
    assert made_of(repo, diff_of(repo), tmp_path / "older").notes
    module.git("checkout", "-q", "HEAD~1", "--", ".")
    module.git("reset", "-q", "--soft", "HEAD~1")
    put("train.py", b"uncommitted\n")(module.path)
    applied = made_of(repo, diff_of(repo), tmp_path / "not moved")
    assert (applied.problem, len(applied.notes)) == ("", 1)
    repo.git("rm", "-qf", "m")
    applied, link = recorded("removed")
    assert (applied.problem, applied.notes, link) == ("", (), "")
    text = "Submodule m 1111111..2222222:\nSubmodule ../evil 1111111..2222222:\n"
    assert len(made_of(repo, text, tmp_path / "unknown").notes) == 2


def test_a_line_of_a_megabyte_is_read_at_once(repo: Repo) -> None:
    text = f"diff --git {'a ' * 500_000}b\n"
    start = time.process_time()
    assert recorded_diff.apply(Repository(str(repo.path)), repo.head, text).problem
    assert time.process_time() - start < 5


def test_a_binary_content_that_was_committed_since(repo: Repo, tmp_path: Path) -> None:
    repo.git("reset", "-q", "--hard")
    put("w.bin", bytes(range(255, -1, -1)))(repo.path)
    text = diff_of(repo)
    assert made_of(repo, text, tmp_path / "none").problem
    assert tree_of(tmp_path / "none")["w.bin"] == (0, START["w.bin"])
    repo.git("hash-object", "-w", "w.bin")
    assert made_of(repo, text, tmp_path / "w").problem == ""
    assert tree_of(tmp_path / "w") == tree_of(repo.path)


HOSTILE: dict[str, str] = {
    "above": new_file("../evil"),
    "above, deeper": new_file("sub/../../evil"),
    "absolute": change("//{place}/evil", "new file mode 100644", "", "x"),
    "absolute, without prefix": "--- /dev/null\n+++ {place}/evil\n@@ -0,0 +1 @@\n+x\n",
    "a hook": new_file(".git/hooks/post-checkout", "100755"),
    "git's file": new_file(".git"),
    "git's folder in other letters": new_file(".GIT/config"),
    "a short name of git's folder": new_file("git~1/config"),
    "git's folder with a hidden character": new_file(".g\u200cit/config"),
    "git's folder in a folder": new_file("sub/.git/config"),
    "a link, then a file through it": link("out", "{place}") + new_file("out/evil"),
    "a link to git's folder, then through it": link("g", "{repo}/.git/hooks") + new_file("g/post-checkout", "100755"),
    "a link in the commit": new_file("escape/evil"),
    "renamed out": "diff --git a/train.py b/../evil\nsimilarity index 100%\nrename from train.py\nrename to ../evil\n",
    "a submodule at git's folder": new_file(".git", "160000", "Subproject commit " + "1" * 40),
    "an object of another content": change("train.py", "index 1111111..2222222 100644", "line 0", "x"),
    "cut": "diff --git a/train.py b/train.py\n--- a/train.py\n+++ b/train.py\n@@ -1,2 +1,2 @@\n-line 0\n",
    "cut by git clearml run": new_file("a.py") + "# git-clearml: cut here, 500000 bytes in all\n",
    "names only": "# git-clearml: files that git does not track: evil.py\n",
    "too large": "# WARNING! git diff too large to store (600kb), skipping uncommitted changes\n",
    "a script": "import os\nos.system('touch {place}/evil')\n",
    "an odd character": "\udcff\n",
}  # fmt: skip


@pytest.mark.parametrize("title", HOSTILE)
def test_a_diff_that_somebody_made_up_writes_nothing(repo: Repo, tmp_path: Path, title: str) -> None:
    repo.git("reset", "-q", "--hard")
    (tmp_path / "outside").mkdir()
    text = HOSTILE[title].replace("{place}", str(tmp_path / "outside")).replace("{repo}", str(repo.path))
    before = sorted(each.name for each in (repo.path / ".git").iterdir() if each.name != "worktrees")
    assert made_of(repo, text, tmp_path / "w").problem
    assert sorted(each.name for each in (repo.path / ".git").iterdir() if each.name != "worktrees") == before
    assert not list((repo.path / ".git" / "hooks").glob("post-checkout"))
    assert sorted(each.name for each in tmp_path.iterdir()) == ["outside", "w"]
    assert not list((tmp_path / "outside").iterdir())
    assert tree_of(tmp_path / "w") == tree_of(repo.path)


def test_nothing_behind_a_link_is_removed(tmp_path: Path) -> None:
    """A tree that has a name twice, as a link and as a folder: git makes the link, and lists what is in the folder."""
    repo = make_repo(tmp_path / "repo")
    outside = tmp_path / "outside" / "b"
    outside.parent.mkdir()
    outside.write_text("somebody's")

    def made(kind: str, content: bytes) -> str:
        words = ["git", "hash-object", "-t", kind, "-w", "--literally", "--stdin"]
        return (
            subprocess.run(words, cwd=repo.path, input=content, capture_output=True, check=True).stdout.decode().strip()
        )

    file = made("blob", b"one\n")
    folder = made("tree", b"100644 b\0" + bytes.fromhex(file))
    link = made("blob", os.fsencode(outside.parent))
    tree = made("tree", b"40000 a\0" + bytes.fromhex(folder) + b"120000 a\0" + bytes.fromhex(link))
    commit = repo.git("commit-tree", tree, "-m", "x")
    repository = Repository(str(repo.path))
    new_worktree.add(repository, str(tmp_path / "w"), commit)
    with contextlib.suppress(CannotDecide):
        new_worktree.fill(
            repository, str(tmp_path / "w"), commit, tree, [Change("a/b", "100644", "100644", file, file)]
        )
    assert outside.read_text() == "somebody's"


def test_nothing_of_a_diff_is_run(repo: Repo, tmp_path: Path) -> None:
    """Hooks of the clone, filters that the user has and the diff turns on, a submodule that it adds."""
    repo.git("reset", "-q", "--hard")
    clone = repo.clone(tmp_path / "clone")
    ran = tmp_path / "ran"
    for name in ("post-checkout", "reference-transaction", "post-index-change", "fsmonitor"):
        hook = clone.path / ".git" / "hooks" / name
        hook.parent.mkdir(exist_ok=True)
        hook.write_text(f"#!/bin/sh\necho {name} >>'{ran}'\n")
        hook.chmod(0o755)
    included = tmp_path / "included"
    included.write_text(f"[filter \"evil\"]\nsmudge = echo s >>'{ran}'\nclean = echo c >>'{ran}'\nrequired = true\n")
    for key, value in (
        ("filter.a=b.smudge", f"echo s >>'{ran}'"),
        ("filter.proc.process", f"echo p >>'{ran}'"),
        ("includeIf.gitdir:**/worktrees/**.path", str(included)),
        ("core.fsmonitor", str(clone.path / ".git" / "hooks" / "fsmonitor")),
        ("submodule.recurse", "true"),
        ("diff.external", f"echo d >>'{ran}'"),
        ("apply.whitespace", "fix"),
    ):
        clone.git("config", key, value)
    attributes = "*.py filter=evil\n*.txt filter=a=b\nx filter=proc"
    text = new_file(".gitattributes", content=attributes) + new_file("new.py") + new_file("new.txt", content="y  ")
    text += new_file("x") + new_file(".gitmodules", content='[submodule "m"]\npath = m\nurl = ext::sh -c date')
    assert made_of(clone, text, tmp_path / "w").problem == ""
    assert (tmp_path / "w" / "new.txt").read_bytes() == b"y  \n"
    assert not ran.exists(), ran.read_text()
