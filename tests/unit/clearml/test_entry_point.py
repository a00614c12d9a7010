"""Which files of a commit a recorded entry point can mean, and that nothing outside of it is ever meant."""

from __future__ import annotations

import posixpath

import pytest
from hypothesis import given
from hypothesis import strategies as st

from git_clearml.clearml.entry_point import (
    Installed,
    entry_paths,
    installed,
    is_outside,
    is_program,
    module_files,
    module_of,
    names_outside,
)

odd = st.one_of(
    st.text(),
    st.text(st.sampled_from(list("./\\~-m'\" \n\t\0ab:C*")), max_size=14),
    st.lists(st.sampled_from(["..", ".", "/", "\\", "a", "-m", " ", "a.py", "''"]), max_size=8).map("".join),
)


@pytest.mark.parametrize(
    ("entry_point", "working_dir", "paths"),
    [
        ("train.py", ".", ("train.py",)),
        ("train.py", "", ("train.py",)),
        ("train.py", "src", ("src/train.py",)),
        ("./train.py", "./src/", ("src/train.py",)),
        ("../train.py", "src", ("train.py",)),
        ("src/../train.py", ".", ("train.py",)),
        ("src\\train.py", "lib\\deep", ("lib/deep/src/train.py",)),
        ("src\\train.py --fast", ".", ("src/train.py",)),
        ("my\\ script.py --fast", ".", ("my script.py",)),
        ("-m pkg.mod", ".", ("pkg/mod.py", "pkg/mod/__main__.py")),
        ("-m pkg.mod --epochs 3", "src", ("src/pkg/mod.py", "src/pkg/mod/__main__.py")),
        ("-m train", ".", ("train.py", "train/__main__.py")),
        ("-m torch.distributed.run --nproc_per_node 2 train.py", ".", ("train.py",)),
        ("-m torch.distributed.launch src/train.py", ".", ("src/train.py",)),
        ("-m torch.distributed.run -m pkg.mod", ".", ("pkg.mod", "pkg/mod.py", "pkg/mod/__main__.py")),
        ("-m accelerate.commands.launch train.py", "src", ("src/train.py",)),
        ("-m torch.distributed.run --nproc 2 my folder/train.py", ".", ("folder/train.py", "my folder/train.py")),
        ("-m torch.distributed.run --nproc 2 a b c/train it.py", "d", ("d/it.py", "d/a b c/train it.py")),
        ("my folder/train it.py", ".", ("my", "my folder/train it.py")),
        ("my folder/train.py --lr 3", ".", ("my", "my folder/train.py")),
        ("pkg/sub", ".", ("pkg/sub", "pkg/sub/__main__.py")),
        ("pkg/sub/", ".", ("pkg/sub", "pkg/sub/__main__.py")),
        (".", ".", ("__main__.py",)),
        ("..", "src", ("__main__.py",)),
        (".", "pkg", ("pkg", "pkg/__main__.py")),
        ("my tool", ".", ("my", "my tool/__main__.py")),
        ("-m pkg.__main__", ".", ("pkg/__main__.py",)),
    ],
)
def test_what_is_meant(entry_point: str, working_dir: str, paths: tuple[str, ...]) -> None:
    found = entry_paths(entry_point, working_dir)
    assert set(paths) <= set(found)
    assert found[0] == paths[0]


def test_arguments_are_no_part_of_the_script() -> None:
    assert entry_paths("train.py --epochs 3 'a b'", ".")[0] == "train.py"


def test_a_name_with_a_space_is_looked_for_too() -> None:
    assert "my script.py" in entry_paths("my script.py", ".")
    assert "my script.py" in entry_paths("'my script.py' --fast", ".")


def test_a_quote_that_never_closes_is_no_obstacle() -> None:
    assert entry_paths("train.py --name it's", ".")[0] == "train.py"


@pytest.mark.parametrize(
    ("entry_point", "working_dir"),
    [
        ("", "."),
        ("   ", "."),
        ("''", "train.py"),
        ("/etc/passwd", "."),
        ("/train.py", "."),
        ("train.py", "/home/me"),
        ("../train.py", "."),
        ("../../train.py", "src"),
        ("..", "src/.."),
        ("..", "."),
        ("train.py", ".."),
        ("..\\train.py", "."),
        ("\\\\server\\train.py", "."),
        ("-m", "."),
        ("-m ../train", "."),
        ("-m pkg/mod", "."),
        ("-m .train", "."),
        ("-m pkg..mod", "."),
        ("-m torch.distributed.run", "."),
        ("-m torch.distributed.run ../train.py", "."),
        ("train\0.py", "."),
        ("'train\n.py'", "."),
        ("\ud800.py", "."),
    ],
)
def test_what_no_file_of_a_commit_can_be(entry_point: str, working_dir: str) -> None:
    found = entry_paths(entry_point, working_dir)
    assert not {"train.py", "etc/passwd", "home/me/train.py"} & set(found)
    assert not [path for path in found if entry_point.strip() != path and not path.endswith("'")], found


@given(odd, odd)
def test_no_text_leads_out_of_the_repository(entry_point: str, working_dir: str) -> None:
    for path in entry_paths(entry_point, working_dir):
        assert path
        assert not path.startswith("/")
        assert path != "."
        assert ".." not in path.split("/")
        assert path == posixpath.normpath(path)
        assert not {"\0", "\n"} & set(path)
        path.encode("utf-8", "surrogateescape")  # or git could not be asked


name = st.text("abcxyz_", min_size=1, max_size=6).filter(str.isidentifier)


@given(st.lists(name, max_size=3), st.lists(name, min_size=1, max_size=3), st.lists(st.text("abc-=1 ", max_size=6)))
def test_a_plain_script_and_a_module_are_always_found(
    directory: list[str], parts: list[str], arguments: list[str]
) -> None:
    place = "/".join(directory)
    tail = "".join(" " + argument for argument in arguments)
    assert entry_paths("/".join(parts) + ".py" + tail, place or ".")[0] == "/".join([*directory, *parts]) + ".py"
    module = "/".join([*directory, *parts])
    assert entry_paths("-m " + ".".join(parts) + tail, place) == (module + ".py", module + "/__main__.py")


@given(odd, odd)
def test_what_is_outside_names_no_file_of_the_repository(entry_point: str, working_dir: str) -> None:
    place = installed(entry_point, working_dir)
    if is_outside(entry_point, working_dir):
        assert place is None
    if place:
        assert not place.environment.startswith(("/", "../"))
    for path in module_files(entry_point):
        assert path == posixpath.normpath(path)
        assert not path.startswith("/")
        assert ".." not in path


@pytest.mark.parametrize(
    ("entry_point", "working_dir", "outside"),
    [
        ("", ".", True),
        ("''", ".", True),
        ("/usr/bin/train", ".", True),
        ("C:\\Python\\Scripts\\train.exe", ".", True),
        ("../venv/bin/train", ".", True),
        ("../../venv/bin/train", "src", True),
        ("train.py", "..", True),
        ("train.py", "/home/me", True),
        ("..", ".", True),
        ("../train.py", "src", False),
        ("..", "src", False),
        (".", ".", False),
        ("train.py", ".", False),
        ("-m train", ".", False),
        ("-m", ".", False),
        ("-m pkg.train", "..", True),
        ("-m pkg.train", "/home/me", True),
        ("-m pkg.train", "src/..", False),
        ("train\0.py", ".", False),  # what git cannot be asked for is nowhere
        ("..foo/train.py", ".", False),
    ],
)
def test_what_lies_outside(entry_point: str, working_dir: str, outside: bool) -> None:
    assert is_outside(entry_point, working_dir) is outside


@pytest.mark.parametrize(
    ("entry_point", "working_dir", "place"),
    [
        (".venv/bin/train", ".", Installed(".venv", "train")),
        ("../.venv/bin/train", "src", Installed(".venv", "train")),
        ("env/Scripts/train.exe", ".", Installed("env", "train")),
        ("env\\Scripts\\train-script.py", ".", Installed("env", "train")),
        (".venv/lib/python3.11/site-packages/ipykernel_launcher.py", ".", Installed(".venv", "")),
        ("env/Lib/site-packages/ipykernel_launcher.py", ".", Installed("env", "")),
        ("bin/train", ".", None),  # the repository is no environment
        ("train", ".", None),
        ("../venv/bin/train", ".", None),
        ("-m train", ".", None),
        (".venv/bin/deep/train", ".", None),
    ],
)
def test_what_is_installed_in_the_working_tree(entry_point: str, working_dir: str, place: Installed | None) -> None:
    assert installed(entry_point, working_dir) == place


def test_modules() -> None:
    assert module_of("-m a.b  --lr 3") == "a.b"
    assert module_of("-m torch.distributed.run -m a.b") == "a.b"
    assert module_of("-m torch.distributed.run --x 1 a/b.py") == ""
    assert (module_of("-m a/b"), module_of("a.b"), module_of("-m"), module_of("")) == ("",) * 4
    assert module_files("-m a.b") == ("a/b.py", "a/b/__main__.py")


def test_programs_and_what_a_command_names() -> None:
    assert is_program("../venv/bin/train")
    assert is_program("/usr/lib/python3/dist-packages/x.py")
    assert not is_program("../train.py")
    assert names_outside(["python", "../train.py"], "../train.py", ".")
    assert names_outside(["python", "/x/train.py"], "../train.py", ".")
    assert not names_outside(["python", "train.py"], "/x/train.py", ".")
    assert not names_outside(["train"], "../bin/train", ".")
