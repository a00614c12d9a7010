"""What hooks/pre-push needs to answer by itself: a small file per verdict, which sh can read.

The hook names the circumstances by a digest (credentials, clearml.conf, remotes, settings, the program's place) and
hands it over with the commits of the remote's default branches; below that name a file says which commit was verified
against which accepted side, when, and by which installation (docs/hook.md).
"""

from __future__ import annotations

import contextlib
import os
import re
import sys
import time
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import NamedTuple

import git_clearml
from git_clearml.base.files import clear_old, private_directory, read_limited, write_whole
from git_clearml.hook.ref_updates import RefUpdate

VARIABLE = "_GIT_CLEARML_MEMORY"
"""The digest, and the hashes that this clone has for the remote's HEAD, main and master, as the hook wrote them."""

_HANDED_OVER = re.compile(r"(?P<digest>[0-9a-f]{40,64}) (?P<defaults>(?:[0-9a-f]{40,64}(?: [0-9a-f]{40,64}){0,2})?)")
_OPEN = re.compile(rb"^[^#\n]*(\$\{|\binclude\b)", re.MULTILINE)
"""A clearml.conf that says so takes values from elsewhere, where the hook does not look."""

_SSH_INCLUDES = re.compile(rb"^[ \t]*include\b", re.MULTILINE | re.IGNORECASE)
"""So does an ssh configuration, of what hosts are called."""

_CROWDED = 50  # digests; a change of credentials, remotes or settings makes a new one


class Verified(NamedTuple):
    """A ref update that may go, and since when that is known (seconds since the epoch)."""

    update: RefUpdate
    since: float


def remember(common_dir: str, environment: Mapping[str, str], verified: Iterable[Verified], lifetime: float) -> None:
    """Writes a file per ref update, good for `lifetime` seconds from when it was verified; 0 writes none.

    Nor does it where no hook has handed over anything. Where nothing can be written the next push asks again.
    """
    match, installed = _HANDED_OVER.fullmatch(environment.get(VARIABLE, "")), _installed()
    times = {(update.local_hash, "" if update.creates else update.remote_hash): since for update, since in verified}
    if match is None or installed is None or not lifetime or not times or _open_configuration(environment):
        return
    directory = Path(common_dir, "clearml", "pushed", match["digest"])
    with contextlib.suppress(OSError):
        private_directory(directory, levels=3)
        for (commit, accepted), since in sorted(times.items()):
            defaults = "" if accepted else match["defaults"]
            lines = [f"verified {int(since)} {int(since + lifetime)}", defaults, *installed]
            write_whole(directory / f"{commit}-{accepted or 'new'}", os.fsencode("\n".join([*lines, ""])))
        _clear_away(directory, lifetime)


def _open_configuration(environment: Mapping[str, str]) -> bool:
    """Does a clearml.conf that the hook looks at depend on other files or variables, or does the user's ssh
    configuration? One that cannot be read does."""
    named = [environment.get(name, "") for name in ("CLEARML_CONFIG_FILE", "TRAINS_CONFIG_FILE")]
    home = environment.get("HOME", "")
    usual = [os.path.join(home, name) for name in ("clearml.conf", "trains.conf")]
    return any(_says(path, _OPEN) for path in named + usual) or _says(os.path.join(home, ".ssh/config"), _SSH_INCLUDES)


def _says(path: str, pattern: re.Pattern[bytes]) -> bool:
    """Is there such a file, and does it say this? One that cannot be read may."""
    content = read_limited(os.path.realpath(path), 1_000_000) if os.path.isfile(path) else b""
    return isinstance(content, str) or bool(pattern.search(content))


def _installed() -> tuple[str, str] | None:
    """Files that are gone, or younger, once another version is installed; None where no installer put us here."""
    name = f"git_clearml-{git_clearml.__version__}.dist-info"
    places = (Path(entry or ".", name) for entry in sys.path)
    directory = next((place for place in places if place.is_dir()), None)
    paths = directory and (str(directory.absolute()), str(git_clearml.__file__))
    return None if not paths or "\n" in "".join(paths) else paths


def _clear_away(directory: Path, lifetime: float) -> None:
    """Forgets expired verdicts, and the circumstances that changed longest ago, once there are many. Raises OSError."""
    clear_old(directory, most=2000, seconds=max(lifetime, 60), now=time.time())
    others = sorted(directory.parent.iterdir(), key=lambda path: path.stat().st_mtime)
    for path in others[: max(0, len(others) - _CROWDED)]:
        for file in path.iterdir():
            file.unlink()
        path.rmdir()
