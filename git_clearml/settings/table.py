"""Every setting: its one table, its four names, and which layer decided. Pure.

Flags beat `GIT_CLEARML_*` variables beat `git config clearml.*` beat `[tool.git-clearml]` beat the default. Policy
keys come from flags and the committed pyproject.toml alone: the environment and git config belong to the person
whom the policy judges.
"""

from __future__ import annotations

import importlib
import re
from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple

from git_clearml.errors import BadSetting
from git_clearml.settings.checks import Setting, checked, read_text, unknown
from git_clearml.settings.policy import Best, Equivalence, Policy, Runnable

MARKER = "GIT_CLEARML_RUN"
"""The variable by which a task tells which run made it."""

_FILE = "pyproject.toml"

MOST_BYTES = 1_000_000
"""Of a pyproject.toml that may hold a policy."""

SKIP = "GIT_CLEARML_SKIP"
"""The way around the hook. Read by the hook alone."""

_NOT_SETTINGS = {MARKER, SKIP}

CONFIG_FILE, REPOSITORY, SERVER_URL = "clearml.config-file", "clearml.repository", "clearml.server-url"
"""What a git server's hook reads of git config, and nobody else: see hook/git_server.py."""

_OF_GIT_SERVERS = {CONFIG_FILE, REPOSITORY, SERVER_URL}


class Value(NamedTuple):
    """A setting's value and the layer it came from: `default`, `pyproject.toml`, `git config`, a variable or a flag."""

    value: Any
    origin: str


Settings = dict[str, Value]


def _choice(key: str, default: str, choices: str, text: str) -> Setting:
    return Setting(key, "choice", default, text, choices=tuple(choices.split("|")))


TABLE: tuple[Setting, ...] = (
    Setting("project", "text", "", "where the tasks are; sub-projects count"),
    Setting("task-name", "text", "", "the task's exact name"),
    Setting("protect", "texts", (), "refs whose pushes are gated; every branch when unset"),
    _choice("equivalence", "commit", "commit|tree|paths", "which other commits' tasks count"),
    Setting("code-paths", "texts", (), 'what equivalence = "paths" looks at'),
    Setting("results-paths", "texts", (), "beside clearml.lock, what a results commit may touch"),
    _choice("merges", "strict", "strict|clean", "does the clean merge of an accepted and a verified commit count"),
    Setting("untracked-ok", "texts", (), "untracked files that a run may find; never code"),
    _choice("ignored-code", "name", "name|refuse", "what code does that .gitignore hides from git"),
    _choice("evidence", "auto", "auto|server|offline", "where tasks are looked up"),
    _choice("published", "accept", "accept|reject", "do published tasks count"),
    Setting("require-run-record", "flag", False, "only tasks made by git clearml run count"),
    Setting("repositories", "texts", (), "further URLs of this repository"),
    Setting("allow-no-repository", "flag", False, "do tasks count that recorded no repository"),
    _choice("on-unreachable", "block", "block|warn", "when the server cannot be reached"),
    Setting("accept-trailer", "flag", False, "may a ClearML-Accept: METRIC: why trailer accept a worse metric"),
    Setting("metrics", "tables", (), "what metrics must be: [[tool.git-clearml.metrics]]"),
    Setting("require", "tables", (), "tasks that there must be: [[tool.git-clearml.require]]"),
    Setting("best.metric", "text", "", "the deciding metric, TITLE/SERIES"),
    _choice("best.direction", "max", "max|min", "which way is better"),
    _choice("best.value", "last", "last|min|max", "which of the metric's values"),
    Setting("best.tolerance", "tolerance", "0", "how much worse still passes: a number or N%"),
    Setting("best.tag", "text", "Best Performance", "the tag of the best task"),
    _choice("best.on-worse", "fail", "fail|warn", "what a worse model does"),
    Setting("best.zero-is-a-value", "flag", False, "may a value of exactly 0 be true"),
    Setting("runnable.required", "flag", False, "is a passed check-runnable part of the verdict"),
    Setting("runnable.queue", "text", "default", "the queue to launch on"),
    Setting("runnable.project", "text", "Github CICD", "the project of the check's task"),
    Setting("runnable.task-name", "text", "cicd_test_task", "the name of the check's task"),
    Setting("runnable.entry-point", "text", "main.py", "the script to launch"),
    Setting("runnable.folder", "text", ".", "its working directory"),
    Setting("runnable.args", "texts", (), "its arguments, name=value"),
    Setting("runnable.requirements", "text", "requirements.txt", "its requirements file"),
    Setting("runnable.docker", "text", "", "the docker image to run it in"),
    Setting("runnable.execution-timeout", "number", 600.0, "seconds to the first report"),
    Setting("runnable.queue-timeout", "number", 1800.0, "seconds in the queue"),
    _choice("runnable.archive", "success", "success|always|never", "when to archive the check's task"),
    Setting("timeout", "number", 0.0, "seconds for all network calls; 0: the command's own", policy=False),
    Setting("wait-timeout", "number", 3600.0, "seconds that verify --wait waits", policy=False),
    Setting("remember", "number", 86400.0, "seconds that the hook remembers a verified commit", policy=False),
)
_BY_KEY = {setting.key: setting for setting in TABLE}
_SECTIONS = sorted({setting.key.partition(".")[0] for setting in TABLE if "." in setting.key})


def merge(
    *,
    flags: Mapping[str, Any],
    environment: Mapping[str, str],
    git_config: Iterable[tuple[str, str]],
    pyproject: Mapping[str, Any],
    pyproject_origin: str = "pyproject.toml",
) -> tuple[Settings, list[str]]:
    """All settings with their origins, and a warning for every policy key set where it does not count.

    `flags` maps keys to what the command line gave (None: not given); `git_config` lists lower-case
    `clearml.` keys with values, the last one wins; `pyproject` is the `[tool.git-clearml]` table.

    Raises BadSetting for an unknown key or an impossible value, in any layer.
    """
    settings = {setting.key: Value(setting.default, "default") for setting in TABLE}
    warnings: list[str] = []
    for key, raw in _flatten(pyproject):
        if _BY_KEY[key].kind != "tables":
            settings[key] = Value(checked(_BY_KEY[key], raw, f"{key} in {_FILE}"), pyproject_origin)
    _merge_tables(settings, pyproject, pyproject_origin)
    for layer in (_from_git_config(git_config), _from_environment(environment)):
        for setting, raw, name, origin in layer:
            if setting.policy:
                warnings.append(
                    f"{name} is ignored: {setting.key} is policy and comes from the committed pyproject.toml"
                )
            else:
                settings[setting.key] = Value(checked(setting, read_text(setting, raw), name), origin)
    for key, value in flags.items():
        if value is not None:
            flag = "--" + key.rpartition(".")[2]  # --metric for best.metric
            settings[key] = Value(checked(_BY_KEY[key], value, flag), f"flag {flag}")
    return settings, warnings


def _merge_tables(settings: Settings, pyproject: Mapping[str, Any], origin: str) -> None:
    """The arrays of tables; what reads them is loaded where a policy has any. Raises BadSetting."""
    keys = [key for key in ("metrics", "require") if key in pyproject]
    if not keys:
        return
    from git_clearml.settings import arrays

    for key in keys:
        settings[key] = Value(arrays.read(key, pyproject[key], _FILE), origin)
    arrays.check(settings["metrics"].value, settings["require"].value, _FILE)


def policy_of(settings: Settings) -> Policy:
    """The policy part of the settings as one value. Raises BadSetting where two keys contradict each other."""

    def part(prefix: str, kind: type[Any]) -> dict[str, Any]:
        keys = {prefix + name.replace("_", "-"): name for name in kind._fields}
        return {name: settings[key].value for key, name in keys.items() if key in settings}

    best, runnable = Best(**part("best.", Best)), Runnable(**part("runnable.", Runnable))
    policy = Policy(best=best, runnable=runnable, **part("", Policy))
    policy = policy._replace(equivalence=Equivalence(policy.equivalence))
    if policy.equivalence is Equivalence.PATHS and not policy.code_paths:
        raise BadSetting(
            'equivalence = "paths" needs code-paths: without them no file would be code',
            'name them in pyproject.toml, for instance code-paths = ["src/**"]',
        )
    return policy


def policy_flags(settings: Settings) -> tuple[str, ...]:
    """The flags that changed the policy, as typed."""
    return tuple(
        settings[setting.key].origin.removeprefix("flag ")
        for setting in TABLE
        if setting.policy and settings[setting.key].origin.startswith("flag ")
    )


def check_size(size: int, where: str) -> None:
    """Raises BadSetting for a file that is too large to hold a policy: its parser takes a second for each megabyte."""
    if size > MOST_BYTES:
        raise BadSetting(f"{where} has {size:,} bytes: too large for a policy", "move what is large to another file")


def pyproject_table(content: bytes, where: str) -> Mapping[str, Any]:
    """The `[tool.git-clearml]` table of a pyproject.toml, {} when there is none.

    Raises BadSetting when the file cannot be read: a policy that nobody can read is not a policy without rules.
    """
    check_size(len(content), where)
    is_one_line = b"\n" not in content and bool(content.strip())  # git has a symbolic link as a file with its target
    if not is_one_line and not re.search(_HAS_TABLE, content):
        return {}  # spares the parser's import on the gate's path
    try:
        document = toml_document(content)
    except (ValueError, RecursionError) as error:  # TOMLDecodeError is a ValueError; so is a number of 5000 digits
        why = f"{error}; or is it a symbolic link?" if is_one_line else error
        raise BadSetting(f"{where} cannot be read: {why}", "fix the file: it contains the policy") from None
    table = document.get("tool", {})
    table = table.get("git-clearml", {}) if isinstance(table, dict) else {}
    if not isinstance(table, dict):
        raise BadSetting(f"{where}: tool.git-clearml is not a table", "write it as [tool.git-clearml]")
    for name in _misspelt(document):
        raise BadSetting(f"{where}: the table {name} says nothing here", "did you mean [tool.git-clearml]?")
    return table


_HAS_TABLE = rb"(?i)git[-_.]?clearml|\\[ux]|\0"
"""What a file with the table, its name perhaps misspelt, has: or TOML's escapes, or the zeros of another encoding."""


def _misspelt(document: Mapping[str, Any]) -> list[str]:
    """The tables of a pyproject.toml whose names are nearly that of ours."""
    names = [(name,) for name, value in document.items() if isinstance(value, dict)]
    below = [(*name, each) for name in names for each, value in document[name[0]].items() if isinstance(value, dict)]
    alike = ("gitclearml", "toolgitclearml")
    return [
        f"[{'.'.join(name)}]"
        for name in (*names, *below)
        if name != ("tool", "git-clearml") and re.sub("[^a-z]", "", name[-1].lower()) in alike
    ]


def toml_document(content: bytes) -> dict[str, Any]:
    """A TOML file's content. Raises ValueError and RecursionError for what is none."""
    try:
        toml = importlib.import_module("tomllib")
    except ImportError:  # Python 3.10
        toml = importlib.import_module("tomli")
    document: dict[str, Any] = toml.loads(content.decode("utf-8"))
    return document


def _flatten(table: Mapping[str, Any]) -> list[tuple[str, Any]]:
    """Keys of the table with sections dotted. Raises BadSetting for a key that is not in the table of settings."""
    flat = []
    for name, value in table.items():
        if name in _SECTIONS and isinstance(value, Mapping):
            flat += [(f"{name}.{inner}", content) for inner, content in value.items()]
        else:
            flat.append((name, value))
    for key, value in flat:
        if key not in _BY_KEY:
            tables = isinstance(value, (list, Mapping))
            names = [name for name, setting in _BY_KEY.items() if tables or setting.kind != "tables"]
            raise unknown(f"{key!r} in [tool.git-clearml] of {_FILE}", key, names)
    return flat


def _from_git_config(pairs: Iterable[tuple[str, str]]) -> list[tuple[Setting, str, str, str]]:
    by_name = {setting.git_key.lower(): setting for setting in TABLE}
    rows = []
    for name, raw in pairs:
        if name.lower() in _OF_GIT_SERVERS:
            continue
        setting = by_name.get(name.lower())
        if setting is None:
            names = [*(setting.git_key for setting in TABLE), *sorted(_OF_GIT_SERVERS)]
            raise unknown(f"git config {name}", name, names, f"git config --show-origin {name}")
        rows.append((setting, raw, f"git config {setting.git_key}", "git config"))
    return rows


def _from_environment(environment: Mapping[str, str]) -> list[tuple[Setting, str, str, str]]:
    by_name = {setting.variable: setting for setting in TABLE}
    rows = []
    for name, raw in environment.items():
        if not name.startswith("GIT_CLEARML_") or name in _NOT_SETTINGS or not raw:
            continue
        setting = by_name.get(name)
        if setting is None:
            raise unknown(f"the variable {name}", name, [*by_name, SKIP], f"unset {name}")
        rows.append((setting, raw, name, name))
    return rows
