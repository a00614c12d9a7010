"""Virtual environments that tests need and that take long to make: made once per machine, and shared.

    python -m tests.support.environments [agent] [dvc] [mermaid]

makes them and prints where; tests that find none make it themselves.
"""

from __future__ import annotations

import fcntl
import hashlib
import os
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

AGENT = ("clearml-agent==3.0.3", "clearml==2.1.12", "pytest")
DVC = ("dvc==3.67.1",)
MERMAID = (
    "mermaid@10.9.3",
    "jsdom@26.1.0",
)  # its grammar of xychart-beta is that of 11 and 12; 11 takes twice the room


def environment(packages: tuple[str, ...]) -> Path:
    """A virtual environment with these packages: below `E2E_ENV`, else in the temporary folder."""
    return _made("python{}.{}".format(*sys.version_info), packages, _install) / "venv"


def node_modules(packages: tuple[str, ...]) -> Path:
    """The folder of a `node_modules` with these packages of npm, at the same place."""
    return _made("node", packages, _install_node)


def _made(language: str, packages: tuple[str, ...], install: Callable[[Path, tuple[str, ...]], None]) -> Path:
    digest = hashlib.sha256(" ".join(packages).encode()).hexdigest()[:12]
    parent = Path(os.environ.get("E2E_ENV") or Path(tempfile.gettempdir(), f"git-clearml-e2e-{os.geteuid()}"))
    place = parent / f"{language}-{re.split('[=@]', packages[0])[0]}-{digest}"
    place.mkdir(mode=0o700, parents=True, exist_ok=True)
    if place.stat().st_uid != os.geteuid():
        raise AssertionError(f"{place} belongs to somebody else; name another folder in E2E_ENV")
    with (place / ".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        ready = place / ".ready"
        if not ready.exists():
            install(place, packages)
            ready.touch()
    return place


def _install(place: Path, packages: tuple[str, ...]) -> None:
    venv = place / "venv"
    shutil.rmtree(venv, ignore_errors=True)
    subprocess.run([sys.executable, "-m", "venv", str(venv)], check=True)
    pip = [str(venv / "bin" / "python"), "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
    subprocess.run([*pip, *packages], check=True)


def _install_node(place: Path, packages: tuple[str, ...]) -> None:
    (place / "package.json").write_text("{}", encoding="utf-8")
    flags = ["--silent", "--ignore-scripts", "--no-audit", "--no-fund", "--no-package-lock"]
    subprocess.run(["npm", "install", *flags, *packages], cwd=place, check=True)


if __name__ == "__main__":
    known = {"agent": AGENT, "dvc": DVC, "mermaid": MERMAID}
    for name in sys.argv[1:] or known:
        print((node_modules if name == "mermaid" else environment)(known[name]))
