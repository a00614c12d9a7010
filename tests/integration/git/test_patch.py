"""A commit as a diff: what an agent makes of it is the commit, or it is refused."""

from __future__ import annotations

import os
import re
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from git_clearml.errors import CannotDecide, Unreachable, UsageError
from git_clearml.git import patch as differences
from git_clearml.git import remote as remotes
from git_clearml.git.patch import Difference
from git_clearml.git.repository import Repository
from tests.support.pushing import bare
from tests.support.repos import Repo, make_repo
from tests.support.tools import needs

ADDED = re.compile(r"^--- a/(?P<path>.*)")
LFS = "version https://git-lfs.github.com/spec/v1\noid sha256:{}\nsize 12345\n"


@dataclass(frozen=True)
class File:
    """A blob and its mode."""

    content: bytes
    mode: str = "100644"


Tree = Mapping[bytes, File]
LINE = File(b"print(1)\n")


@dataclass(frozen=True)
class Place:
    """A clone, and the bare remote that has its first commits."""

    repo: Repo
    remote: Repo

    def commit(self, tree: Tree, *parents: str) -> str:
        """A commit of exactly these files, on these parents: no filter and no setting has a say."""
        lines = [b"commit refs/made/latest", b"mark :1", b"committer C. <c@example.com> 1767323045 +0000", b"data 0"]
        words = ("from", *["merge"] * len(parents))
        lines += [f"{word} {parent}".encode() for word, parent in zip(words, parents, strict=False)] + [b"deleteall"]
        for path, file in tree.items():
            quoted = "".join(f"\\{byte:03o}" for byte in path)
            lines += [f'M {file.mode} inline "{quoted}"'.encode(), b"data %d" % len(file.content), file.content]
        given = b"reset refs/made/latest\n" + b"\n".join([*lines, b"get-mark :1", b""])
        git = ["git", "-C", str(self.repo.path), "fast-import", "--quiet", "--force"]
        return subprocess.run(git, input=given, check=True, capture_output=True).stdout.decode().strip()

    def published(self, tree: Tree, *parents: str, ref: str = "refs/heads/main") -> str:
        """Such a commit that the remote has."""
        name = self.commit(tree, *parents)
        self.repo.git("push", "--quiet", "--force", "origin", f"{name}:{ref}")
        return name

    def difference(self, commit: str) -> Difference:
        repository = Repository(str(self.repo.path))
        remote = remotes.pushed_to(repository)
        assert remote is not None
        return differences.difference(repository, remote, commit, timeout=60)

    def refused(self, before: Tree, after: Tree) -> str:
        """The difference cannot go as a diff: the reason."""
        base = self.published(before)
        with pytest.raises(UsageError) as said:
            self.difference(self.commit(after, base))
        assert said.value.hint == "leave --as-diff out"
        start = f"the difference to {base[:12]}, which the remote has, cannot be sent as a diff: "
        assert said.value.message.startswith(start)
        return said.value.message.removeprefix(start)

    def arrives(self, before: Tree, after: Tree, agent: Path) -> Difference:
        """An agent that has the first tree makes the second one of the difference."""
        base = self.published(before)
        commit = self.commit(after, base)
        if b".gitattributes" in after:  # git reads them where the files are
            self.repo.write({".gitattributes": after[b".gitattributes"].content.decode()})
        found = self.difference(commit)
        assert found.base == base
        self.runs(found, commit, agent)
        return found

    def runs(self, found: Difference, commit: str, agent: Path) -> None:
        """Does what clearml-agent 3.0.3 does (helper/repo.py: clone, checkout, patch), and compares file by file."""
        clone = Repo(agent)
        if agent.exists():  # by an example before: as good as a new clone, and quicker
            clone.git("read-tree", "--empty")
            clone.git("clean", "--quiet", "-ffdx")
        else:
            self.repo.git("clone", "--quiet", "--recursive", f"file://{self.remote.path}", str(agent))
        clone.git("fetch", "--quiet", "--all", "--tags", "--recurse-submodules")
        clone.git("checkout", "--quiet", found.base, "--force")
        if found.text:
            apply(found.text, agent)
        env = {"GIT_INDEX_FILE": str(agent / ".git/compared")}
        clone.git("fetch", "--quiet", str(self.repo.path), commit)
        clone.git("read-tree", commit, env=env)
        assert clone.git("diff", "--name-status", "--ignore-submodules=none", env=env) == ""
        left = paths(agent, "ls-files", "--others", "-z", env=env)
        assert left & paths(agent, "ls-tree", "-r", "-z", "--name-only", found.base) == set()  # the commit has it not


def paths(place: Path, *words: str, env: Mapping[str, str] | None = None) -> set[bytes]:
    """The paths that git lists, with NULs between them."""
    done = subprocess.run(
        ["git", *words], cwd=place, env={**os.environ, **(env or {})}, check=True, capture_output=True
    )
    return set(filter(None, done.stdout.split(b"\0")))


def apply(text: str, place: Path) -> None:
    """VCS.patch of clearml-agent 3.0.3, with what it takes for new files."""
    for match in filter(None, map(ADDED.match, text.splitlines())):
        path = os.path.normpath(os.path.expandvars(os.path.expanduser(os.path.join(str(place), match["path"]))))
        try:
            if not os.path.exists(path):
                Path(path).open("w").close()
        except (OSError, ValueError):
            pass
    done = subprocess.run(
        ["git", "apply", "--unidiff-zero"], cwd=place, input=text.encode("utf-8") + b"\n", capture_output=True
    )
    assert done.returncode == 0, done.stderr.decode()


@pytest.fixture
def place(tmp_path: Path) -> Place:
    return make_place(tmp_path)


def make_place(directory: Path, *options: str) -> Place:
    remote = bare(directory / "remote.git", *options)
    return Place(make_repo(directory / "my clone", {}, remote=str(remote.path), options=options), remote)


# The difference -------------------------------------------------------------------------------------------------------

CASES: dict[str, tuple[Tree, Tree]] = {
    "a line": ({b"a": LINE}, {b"a": File(b"print(2)\n")}),
    "no line break at the end": ({b"a": File(b"x\ny"), b"b": LINE}, {b"a": File(b"x\nz"), b"b": File(b"print(1)")}),
    "a line break more at the end": ({b"a": File(b"x")}, {b"a": File(b"x\n\n")}),
    "spaces at ends of lines": ({b"a": File(b"x \n\t\n \n")}, {b"a": File(b"x\n\t \n\n \n")}),
    "CRLF": ({b"a": File(b"x\r\ny\r\nz\r\n")}, {b"a": File(b"x\r\nY\r\nz\r\nw\r\n")}),
    "CRLF to LF": ({b"a": File(b"x\r\ny\r\n")}, {b"a": File(b"x\ny\n")}),
    "odd line ends": ({b"a": File(b"x\ry\x0cz\x1c\n")}, {b"a": File("x\ry\x0c\u2028\x85z\n".encode())}),
    "binary": ({b"a": File(bytes(range(256)) * 9)}, {b"a": File(bytes(range(256))[::-1] * 11), b"b": File(b"\0")}),
    "binary to text": ({b"a": File(b"\0\1\2")}, {b"a": LINE}),
    "a mode": ({b"a": LINE, b"b": File(b"x\n")}, {b"a": File(LINE.content, "100755"), b"b": File(b"y\n", "100755")}),
    "an empty file": ({b"a": LINE}, {b"a": LINE, b"b": File(b""), b"c/__init__.py": File(b"", "100755")}),
    "emptied": ({b"a": LINE}, {b"a": File(b"")}),
    "deleted": ({b"a": LINE, b"b/c/d": LINE, b"e": File(b""), b"f": File(b"\0")}, {b"a": LINE}),
    "all deleted": ({b"a": LINE}, {}),
    "from nothing": ({}, {b"a": LINE, b"b/c": LINE}),
    "renamed": ({b"a": File(b"x\n" * 50)}, {b"b/c": File(b"x\n" * 50)}),
    "a link": ({b"a": LINE, b"l": File(b"a", "120000")}, {b"a": LINE, b"l": File(b"b", "120000"), b"b": LINE}),
    "a new link": ({b"a": LINE}, {b"a": LINE, b"l": File("nowhere/ä".encode(), "120000")}),
    "a file becomes a link": ({b"a": LINE, b"b": LINE}, {b"a": File(b"b", "120000"), b"b": LINE}),
    "a link becomes a file": ({b"a": File(b"b", "120000"), b"b": LINE}, {b"a": LINE, b"b": LINE}),
    "a file becomes a folder": ({b"a": LINE, b"b": LINE}, {b"a/b": LINE, b"b": LINE}),
    "a folder becomes a file": ({b"a/b": LINE, b"a/c": LINE}, {b"a": LINE}),
    "names": (
        dict.fromkeys((b"a b", b" a", b"a ", b'"q"', b"it's", b"\\", b"tab\t", b"line\nend", b"-x", b"$HOME"), LINE),
        {name: File(b"new\n") for name in (b"a b", b" a", b'"q"', b"it's", b"\\", b"tab\t", b"line\nend", b"-x", b"#")},
    ),
    "names beyond ASCII": (
        {"größe/模型.py".encode(): LINE, b"not utf-8 \xff": LINE},
        {"größe/模型.py".encode(): File("ü\n".encode()), b"not utf-8 \xff": File(b"x\n"), b"\xfe": LINE},
    ),
    "a header in a file": (
        {b"a": File(b"-- a/x\n++ b/x\nx\n"), b"x": LINE},
        {b"a": File(b"diff --git a/x b/x\n"), b"x": File(b"@@ -1 +1 @@\n-x\n")},
    ),
    "long lines and a long function": (
        {b"a.py": File(("def " + "ü" * 200 + "():\n" + "    x\n" * 9).encode())},
        {b"a.py": File(("def " + "ü" * 200 + "():\n" + "    x\n" * 8 + "    y" * 9000 + "\n").encode())},
    ),
    "attributes": (
        {b".gitattributes": File(b"* text=auto eol=crlf\n*.id ident\n"), b"a": LINE, b"b.id": File(b"$Id$\n")},
        {
            b".gitattributes": File(b"* text=auto eol=crlf\n*.id ident\n"),
            b"a": File(b"x\ny\n"),
            b"b.id": File(b"$Id$x\n"),
        },
    ),
    "no text by its attributes": (
        {b".gitattributes": File(b"*.csv -diff\n"), b"a.csv": File(b"1,2\n")},
        {b".gitattributes": File(b"*.csv -diff\n"), b"a.csv": File(b"1,3\n"), b"b.csv": File(b"\xff\n")},
    ),
}


ALONE = ("all deleted", "from nothing", "names", "attributes", "no text by its attributes")
"""Cases about the root of a tree; the others lie in folders beside each other, so many in a commit."""


@pytest.mark.parametrize("case", ALONE)
def test_what_an_agent_makes_of_it(place: Place, tmp_path: Path, case: str) -> None:
    place.arrives(*CASES[case], tmp_path / "agent")


@pytest.mark.parametrize("start", range(3))
def test_what_an_agent_makes_of_many(place: Place, tmp_path: Path, start: int) -> None:
    before: dict[bytes, File] = {}
    after: dict[bytes, File] = {}
    for case in sorted(CASES.keys() - set(ALONE))[start::3]:
        for whole, tree in zip((before, after), CASES[case], strict=True):
            whole.update({case.replace(" ", "-").encode() + b"/" + path: file for path, file in tree.items()})
    place.arrives(before, after, tmp_path / "agent")


def test_sha256(tmp_path: Path) -> None:
    place = make_place(tmp_path, "--object-format=sha256")
    found = place.arrives({b"a": LINE}, {b"a": File(b"\0")}, tmp_path / "agent")
    assert len(found.base) == 64


NAMES = st.lists(
    st.sampled_from([b"a", b"b", b"a b", "ü".encode(), b'"', b"\\n", b"\xff", b"\t", b"x.py"]), min_size=1, max_size=3
).map(b"/".join)
TEXTS = st.lists(
    st.sampled_from(
        [b"x\n", b"y\n", b"x", b"\r\n", b"\r", b"  \n", b"-- a/a\n", b"-- a/b/a\n", b"@@ -1 +1 @@\n", b"\\\n"]
    ),
    max_size=12,
).map(b"".join)
FILES = st.one_of(
    st.builds(File, TEXTS, st.sampled_from(["100644", "100755"])),
    st.builds(File, st.binary(max_size=60), st.just("100644")),
    st.builds(File, NAMES, st.just("120000")),
)


@st.composite
def trees(draw: st.DrawFn) -> dict[bytes, File]:
    """A few files; none lies below another."""
    found = draw(st.dictionaries(NAMES, FILES, max_size=5))
    return {path: file for path, file in found.items() if not any(path.startswith(each + b"/") for each in found)}


@pytest.fixture(scope="module")
def lasting(tmp_path_factory: pytest.TempPathFactory) -> Place:
    return make_place(tmp_path_factory.mktemp("lasting"))


@settings(max_examples=settings.default.max_examples // 8, suppress_health_check=list(HealthCheck))
@given(before=trees(), after=trees())
def test_any_trees(lasting: Place, before: Tree, after: Tree) -> None:
    """The agent makes the commit of it, or it is refused for a reason that is there."""
    base = lasting.published(before)
    commit = lasting.commit(after, base)
    try:
        found = lasting.difference(commit)
    except UsageError as error:
        refusal = error.message
    else:
        lasting.runs(found, commit, lasting.remote.path.parent / "agent")
        return
    files = [*before.values(), *after.values()]
    if "is not UTF-8" in refusal:
        assert any(not_text(file.content) for file in files)
    elif "git-lfs" in refusal:
        assert any(file.content.startswith(b"version https://git-lfs") for file in files)
    elif "became a folder" in refusal:
        assert any(file.mode == "120000" for file in before.values())
    elif "became a file" in refusal:
        assert any(b" " in path for path in before)
    else:
        assert "trips over it" in refusal
        assert any(b"-- a/" in file.content or file.mode == "120000" for file in files)


def not_text(blob: bytes) -> bool:
    try:
        blob.decode("utf-8")
    except UnicodeDecodeError:
        return True
    return False


# The base -------------------------------------------------------------------------------------------------------------


def test_nothing_to_do(place: Place) -> None:
    first = place.published({b"a": LINE})
    second = place.published({b"a": LINE}, first)
    assert place.difference(second) == Difference(second, "")
    assert place.difference(first) == Difference(first, "")
    assert place.difference(place.commit({b"a": LINE}, second)) == Difference(second, "")


def test_the_newest_ancestor(place: Place) -> None:
    first = place.published({b"a": LINE})
    second = place.published({b"a": File(b"2\n")}, first, ref="refs/tags/v1")
    third = place.commit({b"a": File(b"3\n")}, second)
    fourth = place.commit({b"a": File(b"4\n")}, third)
    assert place.difference(fourth).base == second
    place.repo.git("push", "--quiet", "origin", f"{third}:refs/heads/git-clearml/{third[:12]}-00000000")
    assert place.difference(fourth).base == second  # a side ref may go at any moment


def test_of_a_merge(place: Place, tmp_path: Path) -> None:
    """Both parents' ancestors are there: the one that the other descends from is no candidate."""
    old = place.published({b"a": LINE})
    middle = place.commit({b"a": LINE, b"m": LINE}, old)
    new = place.published({b"a": LINE, b"m": LINE, b"n": LINE}, middle)
    side = place.commit({b"a": LINE, b"s": LINE}, old)
    for parents in ((side, new), (new, side)):
        merge = place.commit({b"a": LINE, b"m": LINE, b"n": LINE, b"s": LINE}, *parents)
        found = place.difference(merge)
        assert found.base == new
        assert found.text.count("diff --git") == 1
    place.runs(found, merge, tmp_path / "agent")


def test_no_ancestor(place: Place) -> None:
    place.published({b"a": LINE})
    with pytest.raises(UsageError, match=r"origin has no ancestor of .* that this clone knows of"):
        place.difference(place.commit({b"a": LINE, b"b": LINE}))


def test_a_shallow_clone(place: Place, tmp_path: Path) -> None:
    first = place.published({b"a": LINE})
    second = place.published({b"a": File(b"2\n")}, first)
    place.repo.git("clone", "--quiet", "--depth=1", f"file://{place.remote.path}", str(tmp_path / "shallow"))
    shallow = Place(Repo(tmp_path / "shallow"), place.remote)
    third = shallow.commit({b"a": File(b"3\n")}, second)
    found = shallow.difference(third)
    assert found.base == second
    shallow.runs(found, third, tmp_path / "agent")


def test_from_a_folder_a_worktree_and_a_bare_clone(place: Place, tmp_path: Path) -> None:
    first = place.published({b"below/a": LINE, b"b": LINE})
    second = place.commit({b"below/a": File(b"2\n"), b"b": File(b"2\n")}, first)
    expected = place.difference(second)
    place.repo.git("update-ref", "refs/heads/topic", second)
    worktree = place.repo.worktree(tmp_path / "worktree", second)
    copy = Repo(tmp_path / "copy.git")
    place.repo.git("clone", "--quiet", "--bare", str(place.repo.path), str(copy.path))
    copy.git("remote", "set-url", "origin", str(place.remote.path))
    for where in (worktree.path, worktree.path / "below", copy.path):
        assert Place(Repo(where), place.remote).difference(second) == expected


# Whatever is configured -----------------------------------------------------------------------------------------------

CONFIGURED = [
    "diff.noprefix=true",
    "diff.mnemonicPrefix=true",
    "diff.srcPrefix=x/",
    "diff.external=true",
    "core.quotePath=false",
    "core.attributesFile={attributes}",
    "diff.algorithm=histogram",
    "diff.context=0",
    "diff.interHunkContext=20",
    "diff.suppressBlankEmpty=true",
    "diff.renames=copies",
    "diff.relative=true",
    "diff.orderFile=/nowhere",
    "diff.ignoreSubmodules=all",
    "diff.submodule=log",
    "diff.wsErrorHighlight=all",
    "color.ui=always",
    "color.diff=always",
    "core.autocrlf=true",
    "core.safecrlf=true",
    "core.eol=crlf",
    "core.whitespace=cr-at-eol",
    "apply.whitespace=fix",
    "apply.ignoreWhitespace=change",
    "core.fileMode=false",
    "core.symlinks=false",
    "core.abbrev=4",
    "core.pager=false",
    "index.sparse=true",
    "core.sparseCheckout=true",
    "core.splitIndex=true",
]


def test_nothing_configured_changes_it(place: Place, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    attributes = tmp_path / "attributes"
    attributes.write_text("* diff=odd\n")
    lines = [b"%d \n" % number for number in range(40)]
    before = {b"a": File(b"".join(lines)), b"moved": File(b"same\n" * 9), "ü".encode(): File(b"\r\n\nx"), b"l": LINE}
    lines[3], lines[14] = b"three\t\n", b"\r\n"
    after = {
        b"a": File(b"".join(lines)),
        b"to": File(b"same\n" * 9),
        "ü".encode(): File(b"\n"),
        b"l": File(b"a", "120000"),
    }
    base = place.published(before)
    commit = place.commit(after, base)
    expected = place.difference(commit)
    assert "\n@@ -1,7 +1,7 @@\n" in expected.text
    assert '--- "a/\\303\\274"\n' in expected.text
    for setting in CONFIGURED:
        place.repo.git("config", *setting.format(attributes=attributes).split("=", 1))
    for setting in ("command=false", "textconv=false", "xfuncname=^.*$", "algorithm=minimal"):
        place.repo.git("config", *f"diff.odd.{setting}".split("=", 1))
    for name, value in {"GIT_DIFF_OPTS": "--unified=0", "GIT_EXTERNAL_DIFF": "false"}.items():
        monkeypatch.setenv(name, value)
    found = place.difference(commit)
    assert re.sub("(?m)^(@@ .*? @@).*", r"\1", found.text) == re.sub("(?m)^(@@ .*? @@).*", r"\1", expected.text)
    monkeypatch.delenv("GIT_DIFF_OPTS")
    monkeypatch.delenv("GIT_EXTERNAL_DIFF")
    place.runs(found, commit, tmp_path / "agent")


# Impossible -----------------------------------------------------------------------------------------------------------


def test_not_utf8(place: Place) -> None:
    assert "is not UTF-8" in place.refused({b"a": LINE}, {b"a": File("# Größe\n".encode("latin-1"))})


def test_bytes_that_no_text_holds(place: Place) -> None:
    """git looks at the first 8000 bytes to tell text from other files."""
    late = b"x\n" * 5000 + b"\0\n"
    assert "is not UTF-8" in place.refused({b"a": File(late)}, {b"a": File(late + b"y\n")})


def test_as_long_as_it_may_be(place: Place, tmp_path: Path) -> None:
    """To the character: one more is one too many, whatever the bytes are."""
    base = place.published({b"a": File(b"")})
    head = len(place.difference(place.commit({b"a": File(b"x\n")}, base)).text) - len("+x\n")
    most = differences.LIMIT - head - len("+\n")
    found = place.difference(commit := place.commit({b"a": File(("ü" * most + "\n").encode())}, base))
    assert len(found.text) == 500_000
    place.runs(found, commit, tmp_path / "agent")
    with pytest.raises(UsageError, match="more than 500,000 characters"):
        place.difference(place.commit({b"a": File(("ü" * (most + 1) + "\n").encode())}, base))


def test_far_too_long(place: Place) -> None:
    assert "more than 500,000 characters" in place.refused({}, {b"a": File(b"0123456789\n" * 400_000)})
    assert "more than 500,000 characters" in place.refused({}, {b"a": File(os.urandom(4_000_000))})


@pytest.mark.parametrize(("before", "after"), [("1", "2"), ("", "1"), ("1", "")])
def test_a_moved_submodule(place: Place, before: str, after: str) -> None:
    old, new = (place.repo.git("commit-tree", "-m", "x", with_submodule(place, digit)) for digit in (before, after))
    place.repo.git("push", "--quiet", "origin", f"{old}:refs/heads/main")
    new = place.repo.git("commit-tree", "-m", "x", "-p", old, f"{new}^{{tree}}")
    with pytest.raises(UsageError, match="the submodule sub was moved, which a diff cannot do"):
        place.difference(new)


def with_submodule(place: Place, digit: str) -> str:
    """A tree with a file, and a submodule at a commit of that digit alone; without one for no digit."""
    blob = place.repo.git("hash-object", "-w", "--stdin", stdin="x\n")
    lines = f"100644 blob {blob}\ta\n" + (f"160000 commit {digit * 40}\tsub\n" if digit else "")
    return place.repo.git("mktree", "--missing", stdin=lines)


def test_a_submodule_that_stays(place: Place, tmp_path: Path) -> None:
    inner_remote = bare(tmp_path / "inner.git")
    inner = make_repo(tmp_path / "inner", remote=str(inner_remote.path))
    inner.git("push", "--quiet", "origin", "main")
    place.repo.git("config", "--global", "protocol.file.allow", "always")
    place.repo.git("submodule", "add", "--quiet", str(inner_remote.path), "inner")
    first = place.repo.commit("a submodule", {"a.py": "x\n"})
    place.repo.git("push", "--quiet", "origin", "main")
    second = place.repo.commit("more", {"a.py": "y\n"})
    found = place.difference(second)
    assert found.base == first
    place.runs(found, second, tmp_path / "agent")


@pytest.mark.parametrize(
    ("before", "after"),
    [(LFS.format("1" * 64), LFS.format("2" * 64)), ("", LFS.format("1" * 64)), (LFS.format("1" * 64), "")],
)
@pytest.mark.parametrize("attributes", ["*.bin filter=lfs diff=lfs merge=lfs -text\n", "*.bin binary\n"])
def test_files_in_git_lfs(place: Place, before: str, after: str, attributes: str) -> None:
    trees = [
        {b".gitattributes": File(attributes.encode()), b"a": LINE, b"m.bin": File(content.encode())}
        for content in (before, after)
    ]
    assert place.refused(*trees) == "m.bin is in git-lfs, which a diff leaves out"


@needs("git-lfs")
def test_other_files_beside_git_lfs(place: Place, tmp_path: Path) -> None:
    """What is in git-lfs and stays as it is does not matter, where the agent gets the objects."""
    place.repo.git("config", "lfs.locksverify", "false")
    place.repo.git("lfs", "install", "--skip-smudge")
    place.repo.git("lfs", "track", "*.bin")
    place.repo.commit("first", {"m.bin": "weights\n" * 100, "a.py": "x\n"})
    place.repo.git("push", "--quiet", "origin", "main")
    second = place.repo.commit("second", {"a.py": "y\n", "about.md": "see " + LFS.format("1")})
    found = place.difference(second)
    assert "m.bin" not in found.text
    place.runs(found, second, tmp_path / "agent")


def test_a_line_that_the_agent_takes_for_a_name(place: Place, tmp_path: Path) -> None:
    """It makes an empty file of that name before git apply would make the new one. Without the check:"""
    before = {b"a.sql": File(b"-- a/new.py\n-- a/folder\n"), b"b": LINE}
    for name in (b"new.py", b"folder/x"):
        said = place.refused(before, {b"a.sql": LINE, b"b": LINE, name: LINE})
        assert said == f"an agent takes a line of it for the name of {name.decode()}, a new file, and trips over it"
    text = place.repo.git("diff", "--binary", place.published(before), place.commit({b"new.py": LINE}))
    (tmp_path / "agent").mkdir()
    clone = Repo(tmp_path / "agent")
    clone.git("clone", "--quiet", str(place.remote.path), ".")
    with pytest.raises(AssertionError, match=r"new\.py: already exists"):
        apply(text + "\n", clone.path)


def test_such_a_line_that_does_no_harm(place: Place, tmp_path: Path) -> None:
    """The name is that of an old file or folder, or of none that is new."""
    before = {b"a.sql": File(b"-- a/old.py\n-- a/folder\n-- a/elsewhere\n"), b"old.py": LINE, b"folder/x": LINE}
    place.arrives(before, {b"a.sql": LINE, b"folder/x": LINE, b"folder/new": LINE, b"other": LINE}, tmp_path / "agent")


def test_a_link_that_leads_to_a_new_file(place: Place) -> None:
    """The agent would follow it and make the file."""
    before, after = {b"d/l": File(b"../new", "120000")}, {b"d/l": File(b"x", "120000"), b"new": LINE}
    assert "takes a line of it for the name of new" in place.refused(before, after)


def test_a_link_that_becomes_a_folder(place: Place, tmp_path: Path) -> None:
    """With no index, git apply looks where the old link leads to. Without the check:"""
    before, after = {b"a": File(b"a", "120000"), b"b": LINE}, {b"a/x": LINE, b"b": LINE}
    assert place.refused(before, after) == "the link above a/x became a folder, which git apply fails at"
    base = place.repo.git("ls-remote", "origin", "main").split()[0]
    text = place.repo.git("diff-tree", "-p", "--full-index", base, place.commit(after))
    place.repo.git("clone", "--quiet", str(place.remote.path), str(tmp_path / "agent"))
    with pytest.raises(AssertionError, match="Too many levels of symbolic links"):
        apply(text + "\n", tmp_path / "agent")


def test_a_folder_that_becomes_a_file_below_a_name_with_a_space(place: Place, tmp_path: Path) -> None:
    """git diff ends such a name with a tab, and the agent makes a file of the two in that folder. Without the check:"""
    before, after = {b"a b/c": LINE, b"d": LINE}, {b"a b": LINE, b"d": LINE}
    assert place.refused(before, after) == "the folder of a b/c became a file, which an agent fails at"
    base = place.repo.git("ls-remote", "origin", "main").split()[0]
    text = place.repo.git("diff-tree", "-p", "--full-index", base, place.commit(after))
    place.repo.git("clone", "--quiet", str(place.remote.path), str(tmp_path / "agent"))
    with pytest.raises(AssertionError, match="Directory not empty"):
        apply(text + "\n", tmp_path / "agent")


def test_the_proof_fails(place: Place) -> None:
    """git makes trees that its own apply refuses."""
    blob = place.repo.git("hash-object", "-w", "--stdin", stdin="x\n")
    base = place.published({b"a": LINE})
    inner = place.repo.git("mktree", stdin=f"100644 blob {blob}\tx\n")
    tree = place.repo.git("mktree", stdin=f"040000 tree {inner}\t.git\n")
    commit = place.repo.git("commit-tree", "-m", "x", "-p", base, tree)
    with pytest.raises(UsageError, match="git apply does not make the commit's files of it"):
        place.difference(commit)


def test_a_remote_that_is_away(place: Place) -> None:
    commit = place.commit({b"a": LINE}, place.published({}))
    place.remote.path.rename(place.remote.path.with_name("away.git"))
    with pytest.raises(Unreachable):
        place.difference(commit)


def test_a_damaged_clone(place: Place) -> None:
    """An object that is missing: not known, so neither a pass nor a usage error."""
    base = place.published({b"a": File(b"1\n")})
    commit = place.commit({b"a": File(b"x" * 3000)}, base)
    blob = place.repo.git("rev-parse", f"{commit}:a")
    (place.repo.path / ".git/objects" / blob[:2] / blob[2:]).unlink()
    with pytest.raises(CannotDecide, match="git diff-tree failed"):
        place.difference(commit)


def test_nothing_is_left_behind(place: Place, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Neither in the temporary folder nor in the working tree's index."""
    (tmp_path / "tmp").mkdir()
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path / "tmp"))
    base = place.published({b"a": LINE})
    place.difference(place.commit({b"a": File(b"2\n")}, base))
    assert list((tmp_path / "tmp").iterdir()) == []
    assert place.repo.git("ls-files") == ""
