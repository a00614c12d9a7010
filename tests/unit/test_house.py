"""The house of docs/architecture.md: small files in rooms, one place for each act, third parties behind their edge.

That imports point down and make no circles is held by import-linter (pyproject.toml, `make check`).
"""

from __future__ import annotations

import ast
import functools
import os
import re
import statistics
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from docs import architecture
from tests.support import costs
from tests.support.clearml_server import ClearMLServer
from tests.support.program import process_environment
from tests.support.repos import make_repo

ROOT = Path(__file__).resolve().parents[2]
PACKAGE = ROOT / "git_clearml"
# Who alone may import a third-party package.
EDGES = {
    "git": {"git.gitpython"},
    "github": {"forge.github", "forge.retry"},
    "gitlab": {"forge.gitlab"},
    "requests": {"forge.gitlab"},
    "certifi": {"base.connection"},
    "urllib3": {"forge.retry"},
    "pyhocon": {"clearml.conf_file"},
    "pyparsing": {"clearml.conf_file"},
    "tomli": {"settings.table"},
    "tabulate": {"render.table"},
    "yaml": {"hook.yaml_edit"},
    "clearml": {"clearml.sdk"},
    "shtab": {"commands.completion_scripts"},
}
# What decides and renders does nothing to the world.
PURE = (
    "model errors settings.table settings.checks settings.policy settings.ci_flags settings.tolerance base.globs "
    "settings.packages base.colours base.ids base.jsonvalue base.sanitize base.markdown base.secrets clearml.diff "
    "clearml.entry_point run.record "
    "clearml.properties git.url git.output verdict.rules verdict.statuses "
    "verdict.near_miss verdict.model settings.code_paths agent.watch clearml.lease agent.task_log "
    "agent.queue_command record.model record.lockfile record.note_lines report.compare report.rows "
    "hook.ref_updates hook.yaml_edit hook.entries hook.init_policy hook.init_plan report.init "
    "doctor.recording doctor.differences doctor.skips doctor.advice "
).split()
HEAVY = ("clearml", "github", "gitlab", "git", "pyhocon", "tabulate", "shtab", "yaml")


@dataclass(frozen=True)
class Import:
    """One import: the unit that holds it (a module, or a package below ours), and what it names."""

    file: Path
    line: int
    name: str  # git_clearml.render.text, or git.cmd
    late: bool  # inside a function, or for the type checker alone

    @property
    def unit(self) -> str:
        return unit_of(self.file)

    def __str__(self) -> str:
        return f"{self.file.relative_to(PACKAGE.parent)}:{self.line} imports {self.name}"


def unit_of(file: Path) -> str:
    """The module's name below the package: git.runner."""
    return ".".join(file.relative_to(PACKAGE).with_suffix("").parts)


@functools.cache
def parsed(file: Path) -> ast.Module:
    return ast.parse(file.read_text(encoding="utf-8"))


@functools.cache
def modules() -> list[Path]:
    return sorted(PACKAGE.rglob("*.py"))


@functools.cache
def imports() -> list[Import]:
    return [line for file in modules() for line in _imports_of(file)]


def _imports_of(file: Path) -> Iterator[Import]:
    tree = parsed(file)
    late = {
        id(inner)
        for outer in ast.walk(tree)
        if isinstance(outer, (ast.FunctionDef, ast.AsyncFunctionDef)) or _for_type_checker(outer)
        for inner in ast.walk(outer)
    }
    for node in ast.walk(tree):
        for name in _named(node):
            yield Import(file, getattr(node, "lineno", 0), name, id(node) in late)


def _for_type_checker(node: ast.AST) -> bool:
    return isinstance(node, ast.If) and isinstance(node.test, ast.Name) and node.test.id == "TYPE_CHECKING"


def _named(node: ast.AST) -> list[str]:
    """What an import statement names; `from git_clearml import x` names git_clearml.x."""
    if isinstance(node, ast.Import):
        return [alias.name for alias in node.names]
    if isinstance(node, ast.ImportFrom):
        assert not node.level, "imports are absolute"
        if node.module == "git_clearml":
            return [f"git_clearml.{alias.name}" for alias in node.names]
        return [node.module or ""]
    return []


def test_the_pure_floors_do_nothing_to_the_world() -> None:
    """No module of theirs imports what reads files, runs processes or speaks to a network."""
    outside = {
        "os",
        "subprocess",
        "socket",
        "http",
        "urllib.request",
        "tempfile",
        "shutil",
        "pathlib",
        "time",
        "signal",
    }
    wrong = [str(imported) for imported in imports() if _is_pure(imported.unit) and imported.name in outside]
    assert wrong == []
    assert {*PURE} <= {unit_of(file) for file in modules()}, "a module of the list is gone"


def _is_pure(unit: str) -> bool:
    return unit in PURE or unit.startswith("render.")


def test_third_parties_stay_behind_their_edge() -> None:
    wrong = [
        str(imported)
        for imported in imports()
        if imported.unit not in EDGES.get(imported.name.partition(".")[0], {imported.unit})
    ]
    assert wrong == []


def test_nothing_but_the_known_third_parties() -> None:
    ours = {"git_clearml", *EDGES, *sys.stdlib_module_names}
    assert [str(imported) for imported in imports() if imported.name.partition(".")[0] not in ours] == []


def test_colours_are_painted_in_one_place() -> None:
    """The console says whether there are any; escape sequences beside that are those of moving, of bold, of git's."""
    known = {"base/colours.py", "base/console.py", "base/sanitize.py", "render/manual.py", "render/log_format.py"}
    named = {str(file.relative_to(PACKAGE)) for file in modules() if "\\x1b[" in file.read_text(encoding="utf-8")}
    assert named <= known


def test_processes_are_started_in_three_places() -> None:
    """git in one, a shell command in another; the third asks ps where there is no /proc."""
    places = {imported.unit for imported in imports() if imported.name.partition(".")[0] == "subprocess"}
    assert places == {"base.process", "base.shell", "git.runner"}


def test_heavy_packages_are_imported_where_they_are_used() -> None:
    assert [
        str(imported) for imported in imports() if imported.name.partition(".")[0] in HEAVY and not imported.late
    ] == []


ONE_PLACE = {
    "subprocess": 3,
    "mkstemp": 2,
    "os.replace": 2,
    "get_all_ex": 1,
}
"""How many files may name what has one implementation."""


@pytest.mark.parametrize("name", ONE_PLACE)
def test_one_implementation(name: str) -> None:
    files = [str(file.relative_to(PACKAGE)) for file in modules() if _names(file, name)]
    assert 0 < len(files) <= ONE_PLACE[name], files


def _names(file: Path, name: str) -> bool:
    """Does the code, and not only a comment or a docstring, name this?"""
    words = set()
    for node in ast.walk(parsed(file)):
        match node:
            case ast.Import():
                words |= {alias.name for alias in node.names}
            case ast.ImportFrom():
                words |= {node.module or "", *(alias.name for alias in node.names)}
            case ast.Attribute(value=ast.Name(id=owner), attr=attribute):
                words |= {attribute, f"{owner}.{attribute}"}
            case ast.Constant(value=str(text)) if not text.count(" "):
                words |= set(text.split("."))
    return name in words


def test_the_package_root_is_small() -> None:
    names = {file.name for file in PACKAGE.glob("*.py")}
    assert names == {"__init__.py", "__main__.py", "cli.py", "errors.py", "model.py"}


def test_files_and_functions_are_small() -> None:
    """A file is under 300 lines, half of them under 110; a function is under 50, and takes 7 parameters at most."""
    lines = {str(file.relative_to(PACKAGE)): file.read_text(encoding="utf-8").count("\n") for file in modules()}
    assert {file: count for file, count in lines.items() if count >= 300} == {}
    assert statistics.median(count for count in lines.values() if count) < 110
    assert [words for file in modules() for words in _large_functions(file)] == []


def _large_functions(file: Path) -> Iterator[str]:
    for node in ast.walk(parsed(file)):
        if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)):
            length = (node.end_lineno or node.lineno) - node.lineno + 1
            names = [argument.arg for argument in (*node.args.posonlyargs, *node.args.args, *node.args.kwonlyargs)]
            count = len([name for name in names if name not in ("self", "cls")])
            if length >= 50 or count > 7:
                yield f"{file.relative_to(PACKAGE)}:{node.lineno} {node.name}: {length} lines, {count} parameters"


def test_the_picture_is_what_the_imports_are() -> None:
    page = (ROOT / "docs" / "architecture.md").read_text(encoding="utf-8")
    assert architecture.drawn(page, architecture.picture(PACKAGE)) == page, "python docs/architecture.py"


def test_the_pages_name_files_that_exist() -> None:
    for page in ("docs/architecture.md", "CONTRIBUTING.md"):
        text = (ROOT / page).read_text(encoding="utf-8")
        named = re.findall(r"`((?:[\w.-]+/)+[\w.-]*|[\w-]+\.(?:py|md|toml))`", text)
        places = [
            name if name.startswith(("tests/", "docs/", ".ci/", "hooks/", "benchmarks/")) else f"git_clearml/{name}"
            for name in named
        ]
        assert named
        assert [
            place
            for place in places
            if not (ROOT / place).exists() and not (ROOT / place.removeprefix("git_clearml/")).exists()
        ] == []


def loaded(*words: str, cwd: Path, env: dict[str, str] | None = None) -> set[str]:
    """The top-level packages that a run of the program imports."""
    done = subprocess.run(
        [sys.executable, "-X", "importtime", "-m", "git_clearml", *words],
        cwd=cwd,
        env=process_environment(env),
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
    )
    lines = [line.split("|") for line in done.stderr.splitlines() if line.startswith("import time:")]
    return {parts[2].strip().partition(".")[0] for parts in lines if len(parts) == 3}


@pytest.mark.parametrize("words", ["--help", "--version", "", "nosuch", "verify --help", "run --help", "config --help"])
def test_help_loads_nothing_heavy(tmp_path: Path, words: str) -> None:
    names = loaded(*words.split(), cwd=tmp_path)
    assert "argparse" in names
    assert names & {*HEAVY, "requests", "urllib3"} == set()


def test_verify_loads_neither_clearml_nor_github(tmp_path: Path) -> None:
    repo = make_repo(tmp_path / "repo")
    with ClearMLServer() as server:
        server.add_task(commit=repo.head)
        names = loaded("verify", cwd=repo.path, env=server.env)
        assert [request.call for request in server.requests] == ["tasks.get_all_ex"]
    assert "git" in names
    assert names & {"clearml", "github", "pyhocon", "requests", "urllib3"} == set()


def test_the_marker_of_gitpython_stays_here(tmp_path: Path) -> None:
    """The commands that `run` starts do not inherit how we like GitPython to be imported."""
    from git_clearml.git.repository import Repository

    Repository(str(make_repo(tmp_path / "repo").path))
    assert "GIT_PYTHON_REFRESH" not in os.environ


def test_the_tests_that_security_md_names_exist() -> None:
    """A claim about security without the test that shows it is an advertisement."""
    text = (ROOT / "docs" / "security.md").read_text(encoding="utf-8")
    named = re.findall(r"`((?:unit|integration)/[\w/]+\.py)(?:::(\w+))?`", text)
    assert len(named) > 20
    for path, test in named:
        content = (ROOT / "tests" / path).read_text(encoding="utf-8")
        assert not test or f"def {test}(" in content, f"{path}::{test}"


_QUESTION = r'\bquery\.(?:every|first|task|by_ids)\(|\bapi\.call\("events\.\w+_histogram"'


def test_the_costly_tests_are_there() -> None:
    """A test that was renamed or has gone is not left out, and its line is not left behind: `make costs` knows."""
    names = [name.split("::") for name in sorted(costs.listed())]
    missing = [name for name in names if f"def {name[-1]}(" not in _content(ROOT / name[0])]
    assert missing == []


@functools.cache
def _content(file: Path) -> str:
    return file.read_text(encoding="utf-8") if file.exists() else ""


def test_server_load_md_has_a_line_for_each_place_that_asks_for_tasks() -> None:
    text = (ROOT / "docs" / "server-load.md").read_text(encoding="utf-8")
    lines = Counter(re.findall(r"^\| `([\w/]+\.py)` \|", text, re.MULTILINE))
    calls = {
        path: len(re.findall(_QUESTION, (ROOT / "git_clearml" / path).read_text()))
        for path in (str(path.relative_to(ROOT / "git_clearml")) for path in (ROOT / "git_clearml").rglob("*.py"))
    }
    assert lines == Counter({path: count for path, count in calls.items() if count})
