"""Where a build configuration says that packages are, and what console scripts start; odd files say nothing."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from git_clearml.settings.packages import FILES, Packages, read


def pyproject(text: str) -> Packages:
    return read("pyproject.toml", text.encode())


@pytest.mark.parametrize(
    ("text", "module", "place"),
    [
        ('[tool.setuptools.package-dir]\n"" = "lib"', "a.b", "lib/a/b.py"),
        ('[tool.setuptools]\npackage-dir = {"" = "lib"}', "a", "lib/a/__main__.py"),
        ('[tool.setuptools.package-dir]\na = "source/x"', "a.b", "source/x/b.py"),
        ('[tool.setuptools.package-dir]\n"a.b" = "deep"', "a.b.c", "deep/c.py"),
        ('[tool.setuptools.packages.find]\nwhere = ["python", "tools"]', "a.b", "tools/a/b.py"),
        ('[tool.hatch.build.targets.wheel]\npackages = ["code/a"]', "a.b", "code/a/b.py"),
        ('[tool.hatch.build.targets.wheel]\nsources = ["code"]', "a.b", "code/a/b.py"),
        ('[tool.hatch.build.targets.wheel.sources]\n"code/x" = "a"', "a.b", "code/x/b.py"),
        ('[tool.hatch.build]\nonly-include = ["code/a"]', "a.b", "code/a/b.py"),
        ('[tool.poetry]\npackages = [{include = "a", from = "lib"}]', "a.b", "lib/a/b.py"),
        ('[tool.pdm.build]\npackage-dir = "lib"', "a.b", "lib/a/b.py"),
        ('[tool.uv.build-backend]\nmodule-root = "lib"', "a.b", "lib/a/b.py"),
        ('[tool.maturin]\npython-source = "python"', "a.b", "python/a/b.py"),
    ],
)
def test_package_roots_of_pyproject(text: str, module: str, place: str) -> None:
    assert place in pyproject(text).places(module)


@pytest.mark.parametrize(
    ("text", "module"),
    [
        ('[project.scripts]\ntrain = "a.b:main"', "a.b"),
        ('[project.scripts]\ntrain = "a.b"', "a.b"),
        ('[project.scripts]\ntrain = "a.b:cli.main [extra]"', "a.b"),
        ('[project.gui-scripts]\ntrain = "a:main"', "a"),
        ('[tool.poetry.scripts]\ntrain = "a.b:main"', "a.b"),
        ('[tool.poetry.scripts]\ntrain = {callable = "a.b:main"}', "a.b"),
        ('[tool.poetry.scripts]\ntrain = {reference = "a.b:main", type = "console"}', "a.b"),
        ('[project.scripts]\ntrain = "../a:main"', None),
        ("[project.scripts]\ntrain = 3", None),
        ('[project]\nscripts = "train"', None),
    ],
)
def test_console_scripts_of_pyproject(text: str, module: str | None) -> None:
    assert pyproject(text).scripts.get("train") == module


def test_script_files() -> None:
    assert pyproject('[tool.setuptools]\nscript-files = ["bin/train"]').files == {"train": "bin/train"}
    file = pyproject('[tool.poetry.scripts]\ntrain = {reference = "bin/t.sh", type = "file"}')
    assert (file.files, file.scripts) == ({"train": "bin/t.sh"}, {})


def test_setup_cfg() -> None:
    said = read(
        "setup.cfg",
        b"[options]\npackage_dir =\n    = lib\n    a = source/x\nscripts =\n    bin/go\n"
        b"[options.packages.find]\nwhere = python\n"
        b"[options.entry_points]\nconsole_scripts =\n    train = a.b:main\n    eval=a.c : run [x]\n",
    )
    assert said.roots == ("lib", "python")
    assert said.folders == {"a": "source/x"}
    assert said.scripts == {"train": "a.b", "eval": "a.c"}
    assert said.files == {"go": "bin/go"}


def test_setup_py_is_a_program_of_which_literals_are_read() -> None:
    said = read(
        "setup.py",
        b"from setuptools import setup\nsetup(name='x', package_dir={'': 'lib', \"a\": 'source/x'},\n"
        b"entry_points={'console_scripts': ['train = a.b:main', \"eval=a.c:run [x]\"]})\n",
    )
    assert (said.roots, said.folders) == (("lib",), {"a": "source/x"})
    assert said.scripts == {"train": "a.b", "eval": "a.c"}


@pytest.mark.parametrize("name", FILES)
def test_what_cannot_be_read_says_nothing(name: str) -> None:
    for content in (b"\xff\xfe", b"[", b"[[[[", b"a" * 1_000_001, b"x = " + b"[" * 5000):
        assert read(name, content) == Packages()


def test_what_comes_first_counts() -> None:
    first, second = Packages(("a",), scripts={"t": "x"}), Packages(("b", "a"), scripts={"t": "y", "u": "z"})
    both = first | second
    assert (both.roots, dict(both.scripts)) == (("a", "b"), {"t": "x", "u": "z"})


values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text("abc-", min_size=1, max_size=4), inner),
    max_leaves=6,
)
keys = st.sampled_from("packages find where package-dir scripts sources only-include wheel targets build from".split())


@given(st.dictionaries(keys, values, max_size=4), st.sampled_from(["setuptools", "hatch", "poetry", "pdm", "uv"]))
def test_no_table_of_any_shape_is_too_odd(table: dict[str, object], tool: str) -> None:
    def toml(value: object) -> str:
        if isinstance(value, dict):
            return "{" + ", ".join(f"{json.dumps(key)} = {toml(each)}" for key, each in value.items()) + "}"
        if isinstance(value, list):
            return "[" + ", ".join(map(toml, value)) + "]"
        return json.dumps("" if value is None else value)

    said = pyproject("".join(f"tool.{tool}.{key} = {toml(value)}\n" for key, value in table.items()))
    assert all(isinstance(root, str) and root for root in said.roots)
    assert all(isinstance(place, str) for place in said.places("a.b"))


@given(st.text(max_size=60) | st.text("[]=:\n ,'\"{}abc()_options.entry_points", max_size=80))
def test_no_text_is_too_odd(text: str) -> None:
    for name in FILES:
        for place in read(name, text.encode("utf-8", "replace")).places("a.b"):
            assert place.endswith(("a/b.py", "b.py", "__main__.py", ".py"))
