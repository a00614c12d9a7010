"""Virtual environments that tests need and that take long to make: made once per machine, and shared.

    python -m tests.support.environments [agent] [dvc]

makes them and prints where; tests that find none make it themselves.
"""

from __future__ import annotations

import fcntl
import hashlib
import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

AGENT = ("clearml-agent==3.0.3", "clearml==2.1.12", "pytest")
DVC = ("dvc==3.67.1",)


def environment(packages: tuple[str, ...]) -> Path:
    """A virtual environment with these packages: below `E2E_ENV`, else in the temporary folder."""
    python = "python{}.{}".format(*sys.version_info)
    digest = hashlib.sha256(" ".join(packages).encode()).hexdigest()[:12]
    parent = Path(os.environ.get("E2E_ENV") or Path(tempfile.gettempdir(), f"git-clearml-e2e-{os.geteuid()}"))
    place = parent / f"{python}-{packages[0].partition('=')[0]}-{digest}"
    place.mkdir(mode=0o700, parents=True, exist_ok=True)
    if place.stat().st_uid != os.geteuid():
        raise AssertionError(f"{place} belongs to somebody else; name another folder in E2E_ENV")
    with (place / ".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        ready = place / ".ready"
        if not ready.exists():
            _install(place / "venv", packages)
            ready.touch()
    return place / "venv"


def _install(venv: Path, packages: tuple[str, ...]) -> None:
    shutil.rmtree(venv, ignore_errors=True)
    subprocess.run([sys.executable, "-m", "venv", str(venv)], check=True)
    pip = [str(venv / "bin" / "python"), "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
    subprocess.run([*pip, *packages], check=True)


if __name__ == "__main__":
    known = {"agent": AGENT, "dvc": DVC}
    for name in sys.argv[1:] or known:
        print(environment(known[name]))
