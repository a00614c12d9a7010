"""What `git clearml run` tells ClearML through the environment of the command. Pure.

The variables are those of clearml 2.1, config/defs.py; that the SDK believes them over the repository that it finds,
and CLEARML_VCS_DIFF above all, is in backend_interface/task/repo/{detectors,scriptinfo}.py.
"""

from __future__ import annotations

import base64
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from git_clearml.base.words import listed
from git_clearml.clearml import worker
from git_clearml.clearml.conf_file import variable
from git_clearml.clearml.diff import MARKER as DIFF_MARKER
from git_clearml.clearml.diff import UNTRACKED
from git_clearml.settings.table import MARKER

_VCS = ("CLEARML_VCS_", "TRAINS_VCS_")
_BASE64_BYTES = 100_000  # Linux takes 131,072 bytes for one variable, its name included
_FALSE = ("", "0", "n", "no", "f", "false", "off")  # clearml 2.1, backend_config/converters.py, strtobool


@dataclass(frozen=True)
class RunFacts:
    """What is known of the code before the run. `dirty` and `untracked` are paths, `diff` a patch."""

    run: str
    url: str
    commit: str
    branch: str
    top: str
    host: str
    dirty: Sequence[str] = ()
    untracked: Sequence[str] = ()
    ignored: Sequence[str] = ()  # code that is refused though .gitignore hides it
    diff: str = ""


def wants_offline(environment: Mapping[str, str]) -> bool | None:
    """Did the user ask for ClearML's offline mode? None when nothing is said."""
    value = variable(environment, "CLEARML_OFFLINE_MODE", "TRAINS_OFFLINE_MODE")
    return value.lower() not in _FALSE if value else None


def additions(facts: RunFacts, environment: Mapping[str, str], logged: Any, *, offline: bool) -> dict[str, str]:
    """The variables to set. `logged` is clearml.conf's sdk.development.log_os_environments, which ours would hide."""
    added = {
        "CLEARML_VCS_REPO_URL": facts.url,
        "CLEARML_VCS_COMMIT_ID": facts.commit,
        "CLEARML_VCS_ROOT": facts.top,
        "CLEARML_TASK_NO_REUSE": "1",  # ClearML would reset the last task of that name, and its evidence with it
        "CLEARML_WORKER_NAME": worker.name(_worker(facts, environment), facts.run),
        "CLEARML_LOG_ENVIRONMENT": _logged(environment, logged),
        MARKER: facts.run,
    }
    if facts.branch:
        added["CLEARML_VCS_BRANCH"] = facts.branch
    if facts.dirty or facts.untracked or facts.ignored:
        status = [f" M {path}" for path in facts.dirty] + [f"?? {path}" for path in facts.untracked]
        status += [f"!! {path}" for path in facts.ignored]
        added["CLEARML_VCS_STATUS"] = _encoded("\n".join(status) + "\n")
        added["CLEARML_VCS_DIFF"] = _encoded(facts.diff if facts.diff.strip() else _marker(facts))
    if offline:
        added["CLEARML_OFFLINE_MODE"] = "1"
    return added


def of_child(environment: Mapping[str, str], added: Mapping[str, str]) -> dict[str, str]:
    """The command's whole environment: the user's, without what would contradict us."""
    kept = {name: value for name, value in environment.items() if not name.startswith(_VCS)}
    return {**kept, **added}


def _worker(facts: RunFacts, environment: Mapping[str, str]) -> str:
    """What the SDK would call this machine (backend_api/session/session.py, get_worker_host_name)."""
    return next((environment[name] for name in worker.VARIABLES if environment.get(name)), facts.host)


def _logged(environment: Mapping[str, str], configured: Any) -> str:
    """Which variables ClearML is to log: the user's choice and our marker. The environment's list hides the file's."""
    names = ("CLEARML_LOG_ENVIRONMENT", "TRAINS_LOG_ENVIRONMENT")
    chosen: Any = next((environment[name] for name in names if name in environment), "").strip() or configured or ""
    listed_names = chosen.split(",") if isinstance(chosen, str) else [str(name) for name in chosen]
    stripped = [name.strip() for name in listed_names if name.strip()]
    return ",".join(dict.fromkeys([*stripped, MARKER]))


def _marker(facts: RunFacts) -> str:
    """A diff that is not empty where git has none to show."""
    if facts.dirty:
        return f"{DIFF_MARKER}uncommitted changes in {_one_line(facts.dirty)}\n"
    return f"{DIFF_MARKER}{UNTRACKED}{_one_line([*facts.untracked, *facts.ignored])}\n"


def _one_line(paths: Sequence[str]) -> str:
    return " ".join(listed(paths).split())


def _encoded(text: str) -> str:
    """Base64 of the text as valid UTF-8, cut so that it fits into one variable; the cut is marked by a line."""
    content = text.encode("utf-8", "surrogateescape").decode("utf-8", "replace").encode()
    most = _BASE64_BYTES // 4 * 3
    if len(content) > most:
        note = f"\n{DIFF_MARKER}cut here, {len(content)} bytes in all\n".encode()
        content = content[: most - len(note)].decode("utf-8", "ignore").encode() + note
    return base64.b64encode(content).decode("ascii")
