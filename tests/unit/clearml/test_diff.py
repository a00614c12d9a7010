"""What a recorded diff comes to, and what is said of a dirty one, held to git's own counting."""

from __future__ import annotations

import os
import re
import shutil
import string
import subprocess
from pathlib import Path

import pytest
from hypothesis import HealthCheck, assume, example, given, settings
from hypothesis import strategies as st

from git_clearml.clearml.diff import MARKER, classify
from git_clearml.model import DiffKind
from tests.support.repos import Repo, make_repo

# clearml 2.1.12, backend_interface/task/populate.py, CreateAndPopulate.create_task
REQUIREMENTS = (
    "diff --git a/requirements.txt b/requirements.txt\n"
    "--- a/requirements.txt\n"
    "+++ b/requirements.txt\n"
    "@@ -0,0 +1,1 @@\n"
    "+clearml\n"
)


def task_init(working_dir: str = ".", entry_point: str = "train.py", after: int = 0) -> str:
    """What clearml adds to the diff, written as there. `after` is the line of the last `from __future__ import`."""
    script_entry = os.path.abspath("/" + working_dir + "/" + entry_point)
    return (
        f"diff --git a{script_entry} b{script_entry}\n"
        f"--- a{script_entry}\n"
        f"+++ b{script_entry}\n"
        f"@@ -{after},0 +{after + 1},4 @@\n"
        "+try: from allegroai import Task\n"
        "+except ImportError: from clearml import Task\n"
        '+(__name__ != "__main__") or Task.init()\n'
        "+\n"
    )


names = st.text(string.ascii_letters + string.digits + "-_. äé", min_size=1, max_size=8).map(str.strip).filter(bool)
injected = st.builds(
    lambda requirements, init: requirements + init,
    st.sampled_from(["", REQUIREMENTS]),
    st.one_of(
        st.just(""),
        st.builds(
            task_init,
            st.one_of(st.just("."), names),
            names.map(lambda name: name + ".py"),
            st.integers(0, 300),
        ),
    ),
).filter(bool)
plain_edit = "diff --git a/x.py b/x.py\n--- a/x.py\n+++ b/x.py\n@@ -1 +1 @@\n-a\n+b\n"


def test_no_field_and_an_empty_field_are_two_things() -> None:
    assert classify(None).kind is DiffKind.ABSENT
    assert classify("").kind is DiffKind.CLEAN
    assert classify(" \n\t\r\n").kind is DiffKind.CLEAN


@given(
    st.one_of(
        st.text(), st.lists(st.sampled_from([*plain_edit.splitlines(True), "Submodule a ", '"', "\n"])).map("".join)
    )
)
@example("diff --git ")
@example('diff --git "')
@example('diff --git " "')
@example("diff --git a b\nrename to x\nrename to y\n@@\n+")
@example("diff --cc x\n@@@\n++")
def test_any_text_is_something_and_only_blank_ones_are_clean(text: str) -> None:
    diff = classify(text)
    assert (diff.kind is DiffKind.CLEAN) == (not text.strip())
    assert diff.kind in (DiffKind.CLEAN, DiffKind.DIRTY)
    assert bool(diff.summary) == (diff.kind is DiffKind.DIRTY)


@given(injected)
def test_what_clearml_itself_adds_is_its_own(text: str) -> None:
    assert classify(text).kind is DiffKind.OWN
    assert classify(text.rstrip("\n")).kind is DiffKind.OWN  # as some API users store it


@given(injected, st.data())
def test_one_character_more_and_it_is_nobodys_own(text: str, data: st.DataObject) -> None:
    place = data.draw(st.integers(0, len(text)))
    more = data.draw(st.characters(codec="utf-8"))
    changed = text[:place] + more + text[place:]
    # Line breaks around it all mean nothing, and another (equal) place or name of the script is just another script.
    assume(changed.strip("\n") != text.strip("\n"))
    assume(not re.search(r"^(diff --git a|--- a|\+\+\+ b|@@ )/?", text[text.rfind("\n", 0, place) + 1 :]))
    assert classify(changed).kind is DiffKind.DIRTY


@given(injected, st.data())
def test_one_character_less_and_it_is_nobodys_own(text: str, data: st.DataObject) -> None:
    place = data.draw(st.integers(0, len(text) - 2))
    changed = text[:place] + text[place + 1 :]
    assume(changed.strip("\n") != text.strip("\n"))
    assert classify(changed).kind is DiffKind.DIRTY


@pytest.mark.parametrize(
    "text",
    [
        plain_edit + REQUIREMENTS + task_init(),  # the injected lines stand at the end of what was there
        REQUIREMENTS + task_init() + plain_edit,
        REQUIREMENTS + plain_edit + task_init(),
        task_init() + REQUIREMENTS,
        task_init() + task_init(entry_point="eval.py"),
        REQUIREMENTS + REQUIREMENTS,
        REQUIREMENTS.replace("+clearml", "+clearml\n+evil"),
        REQUIREMENTS.replace("+clearml", "+clearml==1.0"),
        REQUIREMENTS.replace("requirements.txt", "src/requirements.txt"),
        task_init().replace("Task.init()", "Task.init('x')"),
        task_init().replace("+\n", "+evil()\n"),
        task_init() + "+evil()\n",
        task_init() + " \n-x\n",
        task_init().replace("+++ b/train.py", "+++ b/other.py"),
        task_init().replace("@@ -0,0 +1,4 @@", "@@ -0,0 +9,4 @@"),
        task_init().replace("@@ -0,0 +1,4 @@", "@@ -٣,0 +٤,4 @@"),
        task_init().replace("@@ -0,0 +1,4 @@", "@@ -0,1 +1,4 @@"),
        task_init(entry_point="train.sh"),
        task_init().replace("/train.py", "/a.py b/a.py\nx.py"),
        task_init().removeprefix("diff"),
        REQUIREMENTS.removesuffix("\n") + task_init(),  # requires "clearmldiff --git a/..."
        # a single script that is no repository: the lines stand in the script itself
        "try: from allegroai import Task\nexcept ImportError: from clearml import Task\n"
        '(__name__ != "__main__") or Task.init()\n\nprint(1)\n',
    ],
)
def test_what_only_looks_like_it(text: str) -> None:
    assert classify(text).kind is DiffKind.DIRTY


def test_a_script_with_capital_letters_and_one_in_a_folder() -> None:
    assert classify(task_init("src/deep", "Train.PY", 17)).kind is DiffKind.OWN


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("# WARNING! git diff too large to store, clear this section to execute without it.\n", "too large"),
        ("# Repository modified, but no git diff could be extracted.", "could not extract"),
        ("import os\nprint('hello')\n", "whole script"),
        (f"{MARKER}files that git does not track: helper.py\n", "files that git does not track: helper.py"),
        (f"{MARKER}uncommitted changes in train.py\n{plain_edit}", "train.py"),
        (plain_edit, "x.py (+1 -1)"),
        (plain_edit + plain_edit.replace("x.py", "y.py"), "x.py (+1 -1), y.py (+1 -1)"),
        ("".join(plain_edit.replace("x.py", f"{n}.py") for n in range(5)), "2.py (+1 -1) and 2 more files"),
        ("".join(plain_edit.replace("x.py", f"{n}.py") for n in range(4)), "2.py (+1 -1) and 1 more file"),
        ("Submodule lib 1234567..89abcde:\n  > Newer\n", "lib (submodule)"),
        ("Submodule lib contains modified content\n" + plain_edit.replace("x.py", "lib/x.py"), "lib/x.py (+1 -1)"),
        ("Submodule my lib 0000000...89abcde (new submodule)\n", "my lib (submodule)"),
        ("diff --cc a b.py\nindex 1,2..3\n", "a b.py (+0 -0)"),
    ],
)
def test_what_is_said_of_a_dirty_one(text: str, said: str) -> None:
    assert classify(text).kind is DiffKind.DIRTY
    assert said in classify(text).summary


NAMES = (
    "train.py", "a b.py", "sub/a.py", "a/a.py", "b/b b/b.py", 'quo"te.py', "ä é.py", "back\\slash.py", "tab\t.py",
    "sub/x b/y.py", "-dash.py", "日本.py", "data.bin", "mode.sh", "'q'.py",
)  # fmt: skip
contents = st.lists(
    st.sampled_from(["a", "b", "", "-- a", "++ b", "@@ x", "diff --git a/x b/x", "é\x0c\x85\u2028x", "\x1b[1m"])
)
# A byte of any file: the line break at its end may be missing.
texts = st.builds(lambda lines, end: "\n".join(lines) + end, contents, st.sampled_from(["", "\n"]))
operations = st.dictionaries(
    st.sampled_from(NAMES), st.one_of(texts, st.sampled_from(["DELETE", "MODE", "RENAME"])), min_size=1, max_size=4
)
OPTIONS: tuple[list[str], ...] = (
    [],
    ["--no-renames"],
    ["--color=always"],
    ["--no-prefix"],
    ["--src-prefix=c/", "--dst-prefix=w/"],
    ["-U0"],
)


@pytest.fixture
def base(tmp_path: Path) -> Repo:
    """A repository with all the names, each of other content, and one binary file."""
    files = {name: f"{name}\n" + "a\nb\n\nc\n" * (number + 2) for number, name in enumerate(NAMES)}
    return make_repo(tmp_path / "repo", {**files, "data.bin": "\0" + "x" * 50})


def apply(repo: Repo, changes: dict[str, str]) -> None:
    repo.git("reset", "--quiet", "--hard")
    repo.git("clean", "-fdq")
    for name, what in changes.items():
        place = repo.path / name
        if what == "DELETE":
            place.unlink()
        elif what == "MODE":
            place.chmod(0o755)
        elif what == "RENAME":
            place.rename(place.with_name("new " + place.name))
        else:
            place.write_text(what + ("\0" if name == "data.bin" else ""), encoding="utf-8", newline="")
    repo.git("add", "--all")


def counted_by_git(repo: Repo, options: list[str]) -> dict[str, str]:
    """Path -> what numstat counts, by the new name."""
    renames = [option for option in options if option == "--no-renames"]
    out = subprocess.run(
        ["git", "diff", "--numstat", "-z", *renames, "HEAD"], cwd=repo.path, capture_output=True, check=True
    )
    fields = out.stdout.decode().split("\0")[:-1]
    found = {}
    while fields:
        added, removed, path = fields.pop(0).split("\t", 2)
        if not path:  # a rename: the old name and the new follow
            fields.pop(0)
            path = fields.pop(0)
        found[path] = "" if (added, removed) in (("-", "-"), ("0", "0")) else f"+{added} -{removed}"
    return found


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(changes=operations, options=st.sampled_from(OPTIONS))
@example(changes={"b/b b/b.py": "RENAME", "ä é.py": "RENAME"}, options=[])
@example(changes={"data.bin": "a", "mode.sh": "MODE", 'quo"te.py': "x"}, options=["--color=always"])
def test_the_summary_counts_as_git_does(base: Repo, changes: dict[str, str], options: list[str]) -> None:
    apply(base, changes)
    recorded = subprocess.run(
        ["git", "diff", "--submodule=diff", *options, "HEAD"], cwd=base.path, capture_output=True, check=True
    ).stdout.decode()
    expected = counted_by_git(base, options)
    diff = classify(recorded)
    assert (diff.kind is DiffKind.CLEAN) == (not expected)
    shown, _, rest = diff.summary.partition(" and ")
    assert (rest == "") == (len(expected) <= 3)
    for path, count in list(expected.items())[:3]:
        said = re.search(r"(?:^|, )" + re.escape(path) + r" \((.*?)\)", shown)
        assert said, (path, diff.summary)
        assert said[1] == count or (not count and said[1] in ("binary", "mode", "renamed", "+0 -0")), diff.summary


def test_a_submodule_that_moved_and_one_that_is_edited(tmp_path: Path) -> None:
    inner = make_repo(tmp_path / "inner", {"lib.py": "a\n"})
    outer = make_repo(tmp_path / "outer")
    outer.git("submodule", "--quiet", "add", str(inner.path), "my lib")
    outer.commit("submodule")
    clone = Repo(outer.path / "my lib")
    clone.write({"lib.py": "a\nb\n"})
    edited = classify(outer.git("diff", "--submodule=diff", "HEAD"))
    assert (edited.kind, edited.summary) == (DiffKind.DIRTY, "my lib (submodule), my lib/lib.py (+1 -0)")
    assert classify(outer.git("diff", "HEAD")).summary == "my lib (+1 -1)"
    clone.commit("moved")
    moved = classify(outer.git("diff", "--submodule=diff", "HEAD"))
    assert moved.summary.startswith("my lib (submodule)")
    shutil.rmtree(clone.path)
    assert classify(outer.git("diff", "--submodule=diff", "HEAD")).kind is DiffKind.DIRTY
