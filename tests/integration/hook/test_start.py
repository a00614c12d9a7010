"""The hook starts Python without what others have put into its site packages, and as usual where that could differ."""

from __future__ import annotations

import os
import shutil
import stat
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace

import pytest

import git_clearml
from git_clearml.hook import start
from tests.support.clearml_server import ClearMLServer
from tests.support.program import ROOT
from tests.support.pushing import SHELLS, Yard, line, make_yard, run_hook, write_hook

SCRIPT = """\
#!{python}
# -*- coding: utf-8 -*-
import re
import sys
from git_clearml.cli import main
if __name__ == '__main__':
    sys.argv[0] = re.sub(r'(-script\\.pyw|\\.exe)?$', '', sys.argv[0])
    sys.exit(main())
"""
LONG = "#!/bin/sh\n'''exec' \"/a long/python\" \"$0\" \"$@\"\n' '''\nimport sys\nfrom git_clearml.cli import main\n"
UV = """\
#!/venv/bin/python
# -*- coding: utf-8 -*-
import sys
from git_clearml.__main__ import main
if __name__ == "__main__":
    if sys.argv[0].endswith("-script.pyw"):
        sys.argv[0] = sys.argv[0][:-11]
    elif sys.argv[0].endswith(".exe"):
        sys.argv[0] = sys.argv[0][:-4]
    sys.exit(main())
"""


@pytest.mark.parametrize("script", [SCRIPT, LONG + "sys.exit(main())\n", UV])
def test_a_script_that_only_calls_us(script: str, tmp_path: Path) -> None:
    program = write_hook(tmp_path / "git-clearml", script)
    (tmp_path / "link").symlink_to(program)
    assert start._is_only_ours(str(program), str(program))
    assert start._is_only_ours(str(tmp_path / "link"), str(program))


@pytest.mark.parametrize(
    "script",
    [
        "#!/bin/sh\nexport CLEARML_CONFIG_FILE=/etc/clearml.conf\nexec /venv/bin/git-clearml \"$@\"\n",
        SCRIPT.replace("import re\n", "import re, site\n"),
        SCRIPT.replace("import sys\n", "import sys\nsys.path.insert(0, '/opt/ours')\n"),
        SCRIPT.replace("main())", "main(['verify']))"),
        SCRIPT.replace("git_clearml.cli", "ours"),
        SCRIPT[2:], "", "\0",
    ],
)  # fmt: skip
def test_a_script_that_does_more(script: str, tmp_path: Path) -> None:
    program = write_hook(tmp_path / "git-clearml", script)
    assert not start._is_only_ours(str(program), str(program))


def test_a_program_that_has_started_another_one(tmp_path: Path) -> None:
    one, other = (write_hook(tmp_path / name / "git-clearml", SCRIPT) for name in ("one", "other"))
    assert not start._is_only_ours(str(one), str(other))
    assert not start._is_only_ours(str(one), "-c")
    assert start._is_only_ours(sys.executable, "-c")


class Place(SimpleNamespace):
    """A yard, and an environment whose site packages hold something of others, which notes when it is loaded."""

    yard: Yard
    bin: Path
    site: Path
    path: str
    written: bytes

    @property
    def start(self) -> Path:
        return self.yard.repo.path / ".git" / "clearml" / "start"

    @property
    def program(self) -> Path:
        return self.bin / "git-clearml"

    def install(self) -> None:
        env = {**os.environ, **self.yard.server.env, "PATH": self.path}
        subprocess.run([self.program, "install"], cwd=self.yard.repo.path, env=env, check=True, capture_output=True)

    def push(self, shell: str = "sh", **env: str) -> tuple[int, bool]:
        """The hook's exit status, and whether what others have there was loaded; the server is asked once if at all."""
        noted = self.site / "noted"
        noted.write_text("")
        yard = self.yard
        yard.server.reset_log()
        stdin = line(new=yard.repo.head, remote="refs/heads/topic")
        more = {**yard.server.env, "GIT_CLEARML_REMEMBER": "0", **env}
        done = run_hook(
            shell, yard.hook, stdin, path=self.path, arguments=("origin", "x"), env=more, cwd=yard.repo.path
        )
        assert done.returncode or len(yard.server.calls()) == 1, done.stderr
        assert b"Traceback" not in done.stderr
        return done.returncode, bool(noted.read_text())


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Place]:
    """git-clearml is installed there as an editable one: by a path."""
    tmp_path = tmp_path_factory.mktemp("start")
    venv, base = tmp_path / "venv", Path(sys._base_executable)  # type: ignore[attr-defined]  # site.py has it from there
    site = venv / "lib" / f"python{sys.version_info[0]}.{sys.version_info[1]}" / "site-packages"
    record = site / f"git_clearml-{git_clearml.__version__}.dist-info" / "RECORD"
    record.parent.mkdir(parents=True)
    record.touch()
    (site / "ours.pth").write_text("\n".join([str(ROOT), *(path for path in sys.path if path.endswith("packages"))]))
    (site / "others.pth").write_text(f"import sys; open({str(site / 'noted')!r}, 'a').write('loaded')\n")
    (venv / "bin").mkdir()
    (venv / "bin" / "python").symlink_to(base)
    (venv / "pyvenv.cfg").write_text(f"home = {base.parent}\n")
    write_hook(venv / "bin" / "git-clearml", SCRIPT.format(python=venv / "bin" / "python"))
    with ClearMLServer() as server:
        yard = make_yard(tmp_path, server)
        yard.publish()
        yard.repo.git("remote", "set-head", "origin", "main")
        yard.task()
        others = [each for each in os.environ["PATH"].split(os.pathsep) if not Path(each, "git-clearml").exists()]
        path = os.pathsep.join([str(venv / "bin"), *others])
        place = Place(yard=yard, bin=venv / "bin", site=site, path=path)
        place.install()
        place.written = place.start.read_bytes()
        yield place


@pytest.fixture
def place(made: Place) -> Iterator[Place]:
    """The same for each test, as after the installation."""
    path, tasks = made.path, dict(made.yard.server.tasks)
    yield made
    made.path = path
    made.yard.server.tasks.update(tasks)
    if made.start.is_dir():
        made.start.rmdir()
    elif os.path.lexists(made.start):
        made.start.unlink()
    made.start.write_bytes(made.written)
    made.start.chmod(0o600)
    for moved in made.site.glob("git_clearml-0.0.9*"):
        moved.rename(_record(made))


@pytest.mark.parametrize("shell", SHELLS)
def test_what_others_have_there_is_not_loaded(shell: str, place: Place) -> None:
    assert place.start.stat().st_mode & 0o777 == stat.S_IRUSR | stat.S_IWUSR
    assert place.push(shell) == (0, False)
    place.yard.server.tasks.clear()
    assert place.push(shell) == (1, False)


def test_where_git_clearml_is_not_on_path(place: Place) -> None:
    """A graphical client: then it is the Python that has installed the hook."""
    place.path = place.path.partition(os.pathsep)[2]
    assert place.push() == (0, False)


def test_the_first_push_after_a_change_finds_it_out(place: Place) -> None:
    for change in (os.utime, Path.touch):
        change(place.program)
        os.utime(place.start, (1, 1))
        assert [place.push(), place.push()] == [(0, True), (0, False)]


def _record(place: Place) -> Path:
    return place.site / f"git_clearml-{git_clearml.__version__}.dist-info"


def _moved(place: Place) -> None:
    shutil.copytree(place.bin, place.bin.parent / "other", symlinks=True)
    place.path = f"{place.bin.parent / 'other'}{os.pathsep}{place.path}"


def _rewritten(old: str, new: str) -> Callable[[Place], object]:
    return lambda place: place.start.write_text(place.start.read_text().replace(old, new))


def _replaced(make: Callable[[Path], object]) -> Callable[[Place], object]:
    def replace(place: Place) -> None:
        place.start.rename(place.start.with_name("kept"))
        make(place.start)

    return replace


CHANGES: dict[str, Callable[[Place], object]] = {
    "a newer installation": lambda place: os.utime(place.start, (1, 1)),
    "another version": lambda place: _record(place).rename(_record(place).with_name("git_clearml-0.0.9.dist-info")),
    "another program": _moved,
    "another Python": _rewritten(f"{sys.implementation.cache_tag}:", "cpython-27:"),
    "paths that are gone": _rewritten(f":{ROOT}", ":/gone"),
    "a Python that is gone": _rewritten("/bin/python\n", "/bin/gone\n"),
    "another format": _rewritten("start 1", "start 2"),
    "cut": lambda place: place.start.write_bytes(place.start.read_bytes()[:-30]),
    "garbage": lambda place: place.start.write_bytes(os.urandom(3000)),
    "a directory": _replaced(Path.mkdir),
    "a named pipe": _replaced(os.mkfifo),
    "a link": _replaced(lambda path: path.symlink_to("kept")),
    "none": lambda place: place.start.unlink(),
}  # fmt: skip


@pytest.mark.parametrize("change", CHANGES.values(), ids=CHANGES.keys())
def test_where_anything_differs_python_starts_as_usual(change: Callable[[Place], object], place: Place) -> None:
    change(place)
    assert place.push() == (0, True)


def test_what_is_wanted_from_others_stays_in_force(place: Place) -> None:
    """Packages that put TLS in Python's place or set variables, those for Python, and a wrapper that sets some."""
    assert place.push(PYTHONPATH="/nowhere") == (0, True)
    trust = place.site / "trust.pth"
    for code in (
        "import ssl; ssl.SSLContext = type('Context', (ssl.SSLContext,), {})\n",
        "import os; os.environ['REQUESTS_CA_BUNDLE'] = '/etc/ours.pem'\n",
    ):  # installed after the start was written down, and gone again
        trust.write_text(code)
        assert [place.push(), place.push()] == [(0, True), (0, True)]
        trust.unlink()
        assert [place.push(), place.push()] == [(0, True), (0, False)]
    script = place.program.read_text()
    real = place.program.rename(place.bin / "real")
    write_hook(place.program, f'#!/bin/sh\nexec {place.bin / "python"} {real} "$@"\n')
    place.install()
    assert [place.push(), place.push()] == [(0, True), (0, True)]
    write_hook(place.program, script)


def test_uninstalled(place: Place) -> None:
    """The hook goes, and with it what it is started by; the package goes, and the hook refuses."""
    before = place.yard.hook.read_bytes()
    subprocess.run([place.program, "uninstall"], cwd=place.yard.repo.path, check=True, capture_output=True)
    assert not place.start.exists()
    write_hook(place.yard.hook, before)
    place.start.write_bytes(place.written)
    place.program.unlink()
    (place.site / "ours.pth").unlink()
    assert place.push()[0] not in (0, 1)
