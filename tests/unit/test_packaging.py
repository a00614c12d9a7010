"""What is released and installed: the lists of dependencies agree, and a job with secrets gets what was looked at."""

from __future__ import annotations

import re
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from git_clearml import __version__
from git_clearml.doctor import examine
from git_clearml.settings.table import toml_document
from tests.support.program import ROOT

PROJECT = toml_document((ROOT / "pyproject.toml").read_bytes())["project"]
NEEDED = [Requirement(text) for text in PROJECT["dependencies"]]
EXTRA = [Requirement(text) for text in PROJECT["optional-dependencies"]["gitlab"]]
WORKFLOWS = sorted((ROOT / ".github" / "workflows").iterdir())


def locked(name: str) -> Iterator[tuple[str, list[str], list[str]]]:
    """Each package of a list of hashes, the versions that it may have, and their hashes."""
    text = (ROOT / "actions" / name).read_text(encoding="utf-8").replace("\\\n", " ")
    versions: dict[str, list[str]] = {}
    hashes: dict[str, list[str]] = {}
    for line in text.splitlines():
        if line.strip() and not line.startswith("#"):
            package, version = re.match(r"([\w.-]+)==([\w.]+) ", line).groups()  # type: ignore[union-attr]
            versions.setdefault(package, []).append(version)
            hashes.setdefault(package, []).extend(re.findall(r"--hash=sha256:[0-9a-f]{64}", line))
    for package, known in versions.items():
        yield package, known, hashes[package]


def test_the_actions_install_what_the_project_needs() -> None:
    packages = {package: (versions, hashes) for package, versions, hashes in locked("requirements.txt")}
    for requirement in NEEDED:
        versions, hashes = packages[canonicalize_name(requirement.name)]
        assert all(requirement.specifier.contains(version) for version in versions), requirement
        assert len(hashes) >= len(versions)
    build = {package: hashes for package, _, hashes in locked("build.txt")}
    assert {"hatchling", "setuptools"} <= set(build)
    assert all(build.values())


def test_every_dependency_is_in_the_table_of_licences() -> None:
    rows = re.findall(
        r"^\| \[(.+?)\]\(.*?\) \| (.+?) \| .+ \| (.+?) \|$", (ROOT / "docs/dependencies.md").read_text(), re.M
    )
    lowest = [(each.name, next(iter(each.specifier)).version) for each in (*NEEDED, *EXTRA)]
    assert [(name, version) for name, version, _ in rows] == lowest
    assert all(licence for _, _, licence in rows)


@pytest.mark.parametrize("path", WORKFLOWS, ids=lambda path: path.name)
def test_a_workflow_of_ours_is_pinned_and_has_no_more_rights_than_it_needs(path: Path) -> None:
    workflow = yaml.safe_load(path.read_text(encoding="utf-8"))
    assert workflow["permissions"] == {}
    for name, job in workflow["jobs"].items():
        assert job["timeout-minutes"] <= 45
        writes = {right for right, level in job["permissions"].items() if level == "write"}
        assert writes <= ({"id-token", "attestations"} if name == "publish" else set())
        for step in job["steps"]:
            assert "${{" not in step.get("run", "")
            assert re.fullmatch(r"[\w/-]+@[0-9a-f]{40}", step.get("uses", "x/y@" + "0" * 40))


def test_the_release_wants_a_tag_of_this_version() -> None:
    script = ROOT / ".github" / "check-release.sh"
    statuses = [
        subprocess.run(["sh", str(script), tag], check=False, capture_output=True).returncode
        for tag in (f"v{__version__}", __version__, "v0.0.9", "")
    ]
    assert statuses == [0, 1, 1, 1]


def test_the_docs_install_this_version() -> None:
    texts = [path.read_text(encoding="utf-8") for path in (*ROOT.glob("docs/**/*.md"), ROOT / "README.md")]
    texts += [
        (ROOT / name).read_text(encoding="utf-8") for name in ("templates/verify.yml", "docs/examples/train-on-tag.yml")
    ]
    pins = {pin for text in texts for pin in re.findall(r"git-clearml@(v[\d.]+)", text)}
    pins |= {pin for text in texts for pin in re.findall(r"^    rev: (v[\d.]+)$", text, re.M)}
    assert pins == {f"v{__version__}"}
    assert not [text for text in texts if re.search(r"pip install git-clearml\b(?! @)", text)]


def test_no_hint_installs_a_name_that_is_on_no_index() -> None:
    """Whoever takes that name would run in the clones and on the git servers of those who type the hint."""
    files = [*ROOT.glob("git_clearml/**/*.py"), *ROOT.glob("hooks/*"), *ROOT.glob("docs/**/*.md"), ROOT / "README.md"]
    by_name = re.compile(r"""pip install (?:--[\w-]+ )*["'`]?git-clearml(?:\[\w+\])?(?![\w\[-]| @)""")
    said = [line for file in files for line in file.read_text(encoding="utf-8").splitlines() if by_name.search(line)]
    assert not said


def test_the_oldest_git_is_tried_and_named() -> None:
    """What `make oldest` builds, what `doctor` wants, and what README says."""
    oldest = ".".join(map(str, examine._OLDEST))
    assert f"\nversion={oldest}.0\n" in (ROOT / ".ci" / "oldest-git").read_text()
    assert f"git ({oldest} or newer)" in (ROOT / "README.md").read_text()
