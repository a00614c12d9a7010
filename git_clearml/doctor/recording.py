"""Settings of clearml.conf and variables under which a plain `Task.init` records what is not so. Pure.

What each does was tried with clearml 2.1.12 and git 2.39.5; `git clearml run` looks for itself, and sees through all.
"""

from __future__ import annotations

import shlex
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from git_clearml.report.diagnosis import Check, Level

_FALSE = ("", "0", "n", "no", "f", "false", "off")  # clearml 2.1, backend_config/converters.py, strtobool
_VCS = ("CLEARML_VCS_", "TRAINS_VCS_")
_BY_DEFAULT = " by default"
DEFAULTS = ("vcs-repo-detect-async", "task-reuse")
"""Checks of what every clearml.conf has, until somebody changes it."""
_BUNDLES = ("REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE")


class Configured(NamedTuple):
    """What the SDK would go by: `development` is the section `sdk.development` of clearml.conf, `path` that file, ""
    where a line behind its end would mean nothing; `verify` is `api.verify_certificate`, "" where it is not set."""

    development: Mapping[str, Any]
    path: str
    environment: Mapping[str, str]
    verify: str = ""
    has_server: bool = True


def examine(configured: Configured) -> list[Check]:
    """Every such setting and variable, one check each."""
    return [
        _setting(
            configured,
            "store_uncommitted_code_diff",
            good=True,
            wrong="fail",
            so="a run with uncommitted changes is recorded as clean",
        ),
        _setting(
            configured,
            "store_code_diff_from_remote",
            good=False,
            wrong="fail",
            so="the remote's commit is recorded instead of the one that ran",
        ),
        *_of_plain_runs(configured),
        _vcs(configured.environment),
        *_offline(configured),
        *_bundle(configured),
    ]


def _of_plain_runs(configured: Configured) -> list[Check]:
    """What loses the evidence of a run without `git clearml run`: without a server none of those has any."""
    checks = [
        _setting(
            configured,
            "vcs_repo_detect_async",
            good=False,
            wrong="warn",
            so="short runs can end before ClearML has found out their commit, and are no evidence then",
            default=True,
        ),
        _reuse(configured),
    ]
    if configured.has_server:
        return checks
    alone = "no server is configured: only git clearml run makes evidence, and it sets this itself"
    return [Check(check.name, "ok", alone) for check in checks]


def of_defaults(checks: Sequence[Check]) -> Check | None:
    """For people, who have not chosen them: what ClearML's own defaults lose, in one line; None where they do not."""
    both = [
        check for check in checks if check.name in DEFAULTS and check.level == "warn" and _BY_DEFAULT in check.message
    ]
    if len(both) < 2:
        return None
    words = (
        "by ClearML's defaults a plain python train.py can lose the commit of a short run, and resets the task of the "
        "run before it; git clearml run does neither"
    )
    lines = [check.fix.partition("'\\n")[2].rpartition("\\n'")[0] for check in both]
    fix = both[0].fix.replace(lines[0], "\\n".join(lines)) if all(lines) else ""
    return Check("clearml-defaults", "warn", words, fix)


def _setting(
    configured: Configured, key: str, *, good: bool, wrong: Level, so: str, default: bool | None = None
) -> Check:
    """One switch of sdk.development; `default` is the SDK's where it is not the good value."""
    name = key.replace("_", "-")
    value = configured.development.get(key)
    means = (good if default is None else default) if value is None else is_true(value)
    shown = f"sdk.development.{key}"
    if means == good:
        return Check(name, "ok", f"{shown} is {'true' if good else 'false'}")
    whence = f"{shown} is {str(means).lower()}" + (_BY_DEFAULT if value is None else f" in {configured.path}")
    return Check(name, wrong, f"{whence}: {so}", appending(configured.path, key, str(good).lower()))


def appending(path: str, key: str, value: str) -> str:
    """The command that sets a key of sdk.development: in HOCON what stands last is in force. "" without a file."""
    return f"printf '\\nsdk.development.{key}: {value}\\n' >> {shlex.quote(path)}" if path else ""


def is_true(value: Any) -> bool:
    """What a value of clearml.conf means to the SDK where it wants a yes or a no."""
    return bool(value) if isinstance(value, (bool, int, float)) else str(value).strip().lower() not in _FALSE


def _reuse(configured: Configured) -> Check:
    """A run of the same project and name within the window resets the task before it, where that has no artifacts."""
    key = "task_reuse_time_window_in_hours"
    names = ("CLEARML_TASK_NO_REUSE", "TRAINS_TASK_NO_REUSE")
    if any(is_true(configured.environment.get(name, "")) for name in names):
        return Check("task-reuse", "ok", "CLEARML_TASK_NO_REUSE is set: every run makes a task of its own")
    given = configured.development.get(key)
    try:
        hours = float(72 if given is None else given)
    except (TypeError, ValueError):
        hours = 72.0
    if hours <= 0:
        return Check("task-reuse", "ok", f"sdk.development.{key} is 0: every run makes a task of its own")
    whence = _BY_DEFAULT if given is None else f" in {configured.path}"
    so = "a run within that time resets the task of the run before it, and its commit has no evidence any more"
    words = f"sdk.development.{key} is {hours:g}{whence}: {so}"
    return Check("task-reuse", "warn", words, appending(configured.path, key, "0"))


def _vcs(environment: Mapping[str, str]) -> Check:
    """The SDK believes these over the repository; an empty CLEARML_VCS_DIFF is a clean tree to it."""
    names = sorted(name for name in environment if name.startswith(_VCS))
    if not names:
        return Check("vcs-variables", "ok", "no CLEARML_VCS_ variable is set")
    words = "is set" if len(names) == 1 else "are set"
    message = f"{', '.join(names)} {words} here: ClearML records what they say, whatever ran"
    return Check("vcs-variables", "fail", message, shlex.join(["unset", *names]))


def _offline(configured: Configured) -> list[Check]:
    names = ("CLEARML_OFFLINE_MODE", "TRAINS_OFFLINE_MODE")
    name = next((name for name in names if is_true(configured.environment.get(name, ""))), "")
    if not name or not configured.has_server:
        return []
    words = f"{name} is set here: no run reaches the server, where its task is looked for"
    return [Check("offline-mode", "warn", words, f"unset {name}")]


def _bundle(configured: Configured) -> list[Check]:
    """requests, which the SDK asks by, prefers these to what its caller says of certificates."""
    name = next((name for name in _BUNDLES if configured.environment.get(name)), "")
    if not name or not configured.verify or configured.verify.lower() == "true":
        return []
    words = f"{name} is set here: the SDK goes by it, and not by verify_certificate ({configured.verify})"
    return [Check("ca-bundle", "warn", words, f"unset {name}")]
