"""Settings of git, and files, under which `git diff` does not show what has changed: the SDK asks nothing else. Pure.

A diff that fails or says nothing is recorded as a clean tree (tried with clearml 2.1.12 and git 2.39.5).
"""

from __future__ import annotations

import shlex
from collections.abc import Mapping, Sequence
from typing import NamedTuple

from git_clearml.base import globs
from git_clearml.base.words import listed
from git_clearml.report.diagnosis import Check
from git_clearml.settings.code_paths import NEVER_OK

_HIDING = ("all", "dirty")
_NO = ("false", "no", "off", "0")


class Setting(NamedTuple):
    """One setting of git config (git-config(1), --show-scope and --show-origin): `file` is the one it stands in, "" for
    a variable's or the command line's."""

    scope: str
    key: str
    value: str
    file: str = ""


class Tracked(NamedTuple):
    """What the index says of files, and the working tree. Paths are from the top.

    `hidden` has the files that are there by the bit that they bear, assume-unchanged or skip-worktree; `changed` are
    those whose content is not the index's; `not_utf8` are texts of another encoding; `seen_all`: there was time for
    all. `submodules` are names; `ignores` is what .gitmodules says of them. `drivers` are those of tracked files;
    `constant` has the settings (`filter.x.clean`) that gave the same for another content of the file that was tried.
    """

    hidden: Mapping[str, tuple[str, ...]] = {}
    changed: frozenset[str] = frozenset()
    not_utf8: tuple[str, ...] = ()
    seen_all: bool = True
    submodules: tuple[str, ...] = ()
    ignores: Mapping[str, str] = {}
    drivers: frozenset[str] = frozenset()
    constant: Mapping[str, str] = {}


def examine(settings: Sequence[Setting], tracked: Tracked, environment: Mapping[str, str]) -> list[Check]:
    """Every way in which a diff can be silent, one check each."""
    return [
        _external(settings, tracked, environment),
        _relative(settings),
        _monitor(settings),
        _constant("textconv", "diff.", settings, tracked, "the diff of such a file hides changes"),
        _constant("clean-filter", "filter.", settings, tracked, "git does not see changes in such a file"),
        _submodules(settings, tracked),
        *(_bit(name, tracked) for name in ("assume-unchanged", "skip-worktree")),
        _encoding(tracked),
    ]


def unsetting(setting: Setting | None) -> str:
    """The command that takes a setting out of its file, which another one may include; "" where it is in none."""
    if setting is None or not setting.file:
        return ""
    return shlex.join(["git", "config", "--file", setting.file, "--unset-all", setting.key])


def _external(settings: Sequence[Setting], tracked: Tracked, environment: Mapping[str, str]) -> Check:
    """A program in the place of `git diff`; it may be interactive, so it is not tried."""
    name = "diff-external"
    if environment.get("GIT_EXTERNAL_DIFF"):
        words = "GIT_EXTERNAL_DIFF is set here: ClearML records what that program prints as the diff, or nothing"
        return Check(name, "fail", words, "unset GIT_EXTERNAL_DIFF")
    for setting in settings:
        subject = setting.key.removeprefix("diff.").removesuffix(".command")
        if setting.key == "diff.external" or (setting.key.endswith(".command") and subject in tracked.drivers):
            words = f"{setting.key} is set ({setting.scope}): ClearML records what that program prints, or nothing"
            return Check(name, "fail", f"{words}; git difftool can show it instead", unsetting(setting))
    return Check(name, "ok", "git diff is git's own")


def _relative(settings: Sequence[Setting]) -> Check:
    """The SDK asks for the diff in the script's directory."""
    setting = _last(settings, "diff.relative")
    if setting is None or setting.value.lower() in _NO:
        return Check("diff-relative", "ok", "git diff shows all of the working tree")
    words = f"diff.relative is set ({setting.scope}): changes outside of the script's directory are not recorded"
    return Check("diff-relative", "fail", words, unsetting(setting))


def _monitor(settings: Sequence[Setting]) -> Check:
    """A program of somebody's that says which files have changed; git's own daemon is `true`."""
    setting = _last(settings, "core.fsmonitor")
    if setting is None or setting.value.lower() in (*_NO, "true", "yes", "on", "1", ""):
        return Check("fsmonitor", "ok", "git looks itself which files have changed")
    words = f"core.fsmonitor is {setting.value} ({setting.scope}): a change that it does not tell is in no diff"
    return Check("fsmonitor", "warn", words, unsetting(setting))


def _last(settings: Sequence[Setting], key: str) -> Setting | None:
    """The one that is in force."""
    return next((setting for setting in reversed(settings) if setting.key == key), None)


def _constant(name: str, section: str, settings: Sequence[Setting], tracked: Tracked, so: str) -> Check:
    """A program that is run over content before it is compared, and that gave the same for another content."""
    for key, path in sorted(tracked.constant.items()):
        if key.startswith(section):
            words = f"{key}, tried with {path}, gives the same for another content: {so}"
            return Check(name, "fail", words, unsetting(_last(settings, key)))
    return Check(name, "ok", f"no {name.replace('-', ' ')} hides a change")


def _submodules(settings: Sequence[Setting], tracked: Tracked) -> Check:
    """Of two the user's setting wins over .gitmodules, and both over diff.ignoreSubmodules (git-config(1))."""
    own = {setting.key: setting.value for setting in settings}
    general = own.get("diff.ignoresubmodules", "")
    hidden = []
    for name in tracked.submodules:
        value = own.get(f"submodule.{name}.ignore") or tracked.ignores.get(name) or general
        if value.lower() in _HIDING:
            hidden.append(name)
    if not hidden:
        return Check("submodule-ignore", "ok", "no change in a submodule is ignored")
    message = f"changes in the submodule {listed(hidden)} are ignored: a run with them is recorded as clean"
    fix = " && ".join(shlex.join(["git", "config", f"submodule.{name}.ignore", "none"]) for name in hidden)
    return Check("submodule-ignore", "fail", message, fix)


def _bit(name: str, tracked: Tracked) -> Check:
    """A bit by which git does not look at a file."""
    paths = tracked.hidden.get(name, ())
    if not paths:
        return Check(name, "ok", f"no file that is here is marked {name}")
    differing = [path for path in paths if path in tracked.changed]
    fix = shlex.join(["git", "update-index", f"--no-{name}", "--", *(differing or paths)])
    if differing:
        message = f"{listed(differing)} is marked {name} and differs from the commit: no diff shows it"
        return Check(name, "fail", message, fix)
    return Check(name, "warn", f"{listed(paths)} is marked {name}: no diff will show its changes", fix)


def _encoding(tracked: Tracked) -> Check:
    """One such byte in a diff, and the SDK records none at all."""
    changed = [path for path in tracked.not_utf8 if path in tracked.changed]
    if changed:
        message = f"{listed(changed)} is not UTF-8 and has changed: ClearML records no diff at all, and so a clean tree"
        return Check("encoding", "fail", message, _to_utf8(changed[0]))
    if tracked.not_utf8:
        message = f"{listed(tracked.not_utf8)} is not UTF-8: with a change in it ClearML records no diff at all"
        return Check("encoding", "warn", message, _to_utf8(tracked.not_utf8[0]))
    limit = "" if tracked.seen_all else " that there was time to read"
    return Check("encoding", "ok", f"every tracked text{limit} is UTF-8")


def _to_utf8(path: str) -> str:
    """The command after which a diff can be recorded: code becomes UTF-8, of data git says only that it differs."""
    if not path.isprintable() or path.startswith("-"):
        return ""
    if globs.matches(NEVER_OK, path.rpartition("/")[2]):
        old, new = shlex.quote(path), shlex.quote(f"{path}.utf-8")
        return f"iconv -f WINDOWS-1252 -t UTF-8 {old} > {new} && cat {new} > {old} && rm {new}"
    line = f'"/{path}" -diff' if " " in path else f"/{path} -diff"
    return f"echo {shlex.quote(line)} >> .gitattributes"
