"""Does `git clearml doctor` know whether man finds our pages, and does what it says to type make man find them?"""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from git_clearml.doctor import manual
from git_clearml.report.diagnosis import Check

PAGES = ("git-clearml.1", "git-clearml-verify.1", "gitclearml-verify.1")


def program(place: Path) -> Path:
    place.parent.mkdir(parents=True, exist_ok=True)
    place.write_text("#!/bin/sh\n")
    place.chmod(0o755)
    return place


@pytest.fixture
def env(tmp_path: Path) -> dict[str, str]:
    """As uv leaves it: the program linked to ~/.local/bin, the manual where nobody looks. And a man(1)."""
    tool, home = tmp_path / "my tools" / "git-clearml", tmp_path / "home dir"
    (tool / "share" / "man" / "man1").mkdir(parents=True)
    for name in PAGES:
        (tool / "share" / "man" / "man1" / name).write_text(f".TH {name}\n")
    (home / ".local" / "bin").mkdir(parents=True)
    (home / ".local" / "bin" / "git-clearml").symlink_to(program(tool / "bin" / "git-clearml"))
    program(tmp_path / "usr" / "bin" / "man")
    return {"HOME": str(home), "PATH": f"{home}/.local/bin:{tmp_path}/usr/bin"}


def examine(env: dict[str, str], tmp_path: Path) -> list[Check]:
    return manual.examine(env, str(tmp_path / "my tools" / "git-clearml"))


def test_the_command_and_the_repair_link_every_page(env: dict[str, str], tmp_path: Path) -> None:
    [check] = examine(env, tmp_path)
    assert (check.name, check.level) == ("manual", "warn")
    target = Path(env["HOME"], ".local", "share", "man", "man1")
    for link in (lambda: subprocess.run(["sh", "-c", check.fix], check=True), check.repair and check.repair.act):
        assert link
        shutil.rmtree(target, ignore_errors=True)
        link()
        assert {page.name: page.read_text() for page in target.iterdir()} == {name: f".TH {name}\n" for name in PAGES}
        assert examine(env, tmp_path) == []
        link()  # twice changes nothing
    assert check.repair
    assert check.repair.outside


def test_a_link_that_leads_nowhere_is_no_page_and_a_file_of_somebodys_stays(
    env: dict[str, str], tmp_path: Path
) -> None:
    target = Path(env["HOME"], ".local", "share", "man", "man1")
    target.mkdir(parents=True)
    (target / PAGES[0]).symlink_to(tmp_path / "gone")
    (target / PAGES[1]).write_text("mine")
    [check] = examine(env, tmp_path)
    assert check.repair
    check.repair.act()
    assert ((target / PAGES[0]).read_text(), (target / PAGES[1]).read_text()) == (f".TH {PAGES[0]}\n", "mine")


def _in_a_venv(env: dict[str, str], tmp_path: Path) -> None:
    env["PATH"] = f"{tmp_path}/my tools/git-clearml/bin/:{env['PATH']}"


def _by_pipx(env: dict[str, str], tmp_path: Path) -> None:
    pages = Path(env["HOME"], ".local", "share", "man", "man1")
    pages.mkdir(parents=True)
    (pages / PAGES[0]).symlink_to(tmp_path / "my tools" / "git-clearml" / "share" / "man" / "man1" / PAGES[0])


def _by_a_distribution(env: dict[str, str], tmp_path: Path) -> None:
    (tmp_path / "usr" / "share" / "man" / "man1").mkdir(parents=True)
    (tmp_path / "usr" / "share" / "man" / "man1" / "git-clearml.1.gz").write_text("")


def _by_manpath(env: dict[str, str], tmp_path: Path) -> None:
    env["MANPATH"] = f"/nowhere:{tmp_path}/my tools/git-clearml/share/man"


def _without_man(env: dict[str, str], tmp_path: Path) -> None:
    (tmp_path / "usr" / "bin" / "man").unlink()


def _not_on_path(env: dict[str, str], tmp_path: Path) -> None:
    env["PATH"] = f"{tmp_path}/usr/bin"


def _a_checkout(env: dict[str, str], tmp_path: Path) -> None:
    shutil.rmtree(tmp_path / "my tools" / "git-clearml" / "share")


@pytest.mark.parametrize(
    "arrange", [_in_a_venv, _by_pipx, _by_a_distribution, _by_manpath, _without_man, _not_on_path, _a_checkout]
)
def test_nothing_is_said(arrange: Callable[[dict[str, str], Path], None], env: dict[str, str], tmp_path: Path) -> None:
    arrange(env, tmp_path)
    assert examine(env, tmp_path) == []


def test_where_man_does_not_look_beside_path_a_variable_helps(env: dict[str, str], tmp_path: Path) -> None:
    env["MANPATH"] = "/usr/share/man"
    [check] = examine(env, tmp_path)
    assert check.repair is None
    shown = subprocess.run(
        ["/bin/sh", "-c", f'{check.fix} && printf %s "$MANPATH"'],
        env=env,
        check=True,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert examine({**env, "MANPATH": shown.stdout}, tmp_path) == []
