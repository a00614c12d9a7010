"""The arrays of tables of a policy, `[[tool.git-clearml.metrics]]` and `[[...require]]` (design 14). Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from git_clearml.errors import BadSetting
from git_clearml.settings.checks import Setting, checked, unknown
from git_clearml.settings.policy import MetricRule, Require

METRICS = (
    Setting("metric", "metric", "", "TITLE/SERIES as ClearML shows it"),
    Setting("direction", "choice", "max", "which way is better", choices=("max", "min")),
    Setting("value", "choice", "last", "which of the metric's values", choices=("last", "min", "max")),
    Setting("at-least", "limit", None, "the lowest value that passes"),
    Setting("at-most", "limit", None, "the highest value that passes"),
    Setting("against", "choice", "best", "what it is compared with", choices=("best", "base", "none")),
    Setting("tolerance", "tolerance", "0", "how much worse than that still passes: a number or N%"),
    Setting("of", "choice", "best", "which of several runs counts", choices=("best", "median", "worst")),
    Setting("requirement", "text", "", "whose tasks are measured; the first [[require]] when unset"),
    Setting("zero-is-a-value", "flag", False, "may a value of exactly 0 be true"),
    Setting("min-runs", "count", 1, "how many accepted tasks with the metric there must be"),
    Setting("on-worse", "choice", "fail", "what a worse value does", choices=("fail", "warn")),
)
"""The keys of a table of `[[metrics]]`."""

REQUIRE = (
    Setting("name", "name", "", "how the verdict calls it"),
    Setting("project", "text", "", "where its tasks are; sub-projects count"),
    Setting("task-name", "text", "", "its task's exact name"),
    Setting("entry-point", "path", "", "the script that its task runs, from the repository's top"),
    Setting("code-paths", "patterns", (), "its code: a difference outside of it needs no new task"),
)
"""The keys of a table of `[[require]]`."""

_ROWS: dict[str, tuple[tuple[Setting, ...], type[MetricRule] | type[Require]]] = {
    "metrics": (METRICS, MetricRule),
    "require": (REQUIRE, Require),
}


def read(key: str, value: Any, where: str) -> tuple[MetricRule, ...] | tuple[Require, ...]:
    """The tables under the key `metrics` or `require`, as tomllib has them. Raises BadSetting."""
    header = f"[[tool.git-clearml.{key}]]"
    if not isinstance(value, (list, tuple)) or not all(isinstance(table, Mapping) for table in value):
        raise BadSetting(f"{key} in {where}: expected tables", f"write each with two brackets: {header}")
    return tuple(_row(key, table, f"{header} {number} in {where}") for number, table in enumerate(value, start=1))


def _row(key: str, table: Mapping[str, Any], place: str) -> Any:
    settings, kind = _ROWS[key]
    by_key = {setting.key: setting for setting in settings}
    for name in table:
        if name not in by_key:
            raise unknown(f"{name!r} in {place}", name, list(by_key))
    if settings[0].key not in table:
        raise BadSetting(f"{place} has no {settings[0].key}", f"add {settings[0].key} = ...: {settings[0].help}")
    values = {name: checked(by_key[name], value, f"{name} of {place}") for name, value in table.items()}
    return kind(**{name.replace("-", "_"): value for name, value in values.items()})


def check(metrics: Sequence[MetricRule], require: Sequence[Require], where: str) -> None:
    """Raises BadSetting where the tables contradict themselves or each other."""
    names = [each.name for each in require]
    for number, name in enumerate(names, start=1):
        if name in names[: number - 1]:
            place = f"name of [[tool.git-clearml.require]] {number} in {where}"
            raise BadSetting(f"{place} = {name!r}: there is one of that name already", "give each its own name")
    seen: list[tuple[str, str]] = []
    for number, rule in enumerate(metrics, start=1):
        place = f"[[tool.git-clearml.metrics]] {number} in {where}"
        if rule.requirement and rule.requirement not in names:
            raise unknown(f"requirement of {place} = {rule.requirement!r}", rule.requirement, names or ["[[require]]"])
        if rule.at_least is not None and rule.at_most is not None and rule.at_least > rule.at_most:
            limits = f"at-least = {rule.at_least:g} is more than at-most = {rule.at_most:g}"
            raise BadSetting(f"{place}: {limits}", "no value can be both: change one of them")
        subject = (rule.metric, rule.requirement or (names or [""])[0])
        if subject in seen:
            hint = "put all that it must be into one table"
            raise BadSetting(f"metric of {place} = {rule.metric!r}: there is a table for it already", hint)
        seen.append(subject)


def as_toml(row: MetricRule | Require) -> dict[str, Any]:
    """The keys of a table with their values, as TOML would have them; limits that are not set are None."""
    return {
        name.replace("_", "-"): list(value) if isinstance(value, tuple) else value
        for name, value in row._asdict().items()
    }


def set_keys(row: MetricRule | Require) -> dict[str, Any]:
    """Those keys of a table that are not as they are by default."""
    settings = METRICS if isinstance(row, MetricRule) else REQUIRE
    values = as_toml(row)
    return {each.key: values[each.key] for each in settings if values[each.key] not in (each.default, list[str]())}
