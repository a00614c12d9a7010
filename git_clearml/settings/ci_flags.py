"""Which flags count in CI, where the accepted policy judges: those by which no policy could be loosened. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from git_clearml.settings.load import ResolvedPolicy
from git_clearml.settings.policy import Equivalence, Policy
from git_clearml.settings.table import Settings, Value
from git_clearml.settings.tolerance import parse_tolerance

_POLICY_FLAGS = ("project", "task-name", "evidence", "equivalence", "merges", "on-unreachable")
_BEST = "best."
_LOOSER_AND_LOOSER = (Equivalence.COMMIT, Equivalence.TREE, Equivalence.PATHS)


def without_policy(flags: Mapping[str, Any]) -> dict[str, Any]:
    """The flags that are no policy: they count everywhere."""
    return {key: value for key, value in flags.items() if key not in _POLICY_FLAGS and not key.startswith(_BEST)}


def stricter_flags(flags: Mapping[str, Any], rulings: Sequence[ResolvedPolicy]) -> tuple[dict[str, Any], list[str]]:
    """The flags that count under each of these rulings (made without policy flags), and a warning for every other one.

    `flags` maps a setting's key to what was given, None for a flag that was not.
    """
    counting, warnings = _stricter_than_policies(flags, [ruling.policy for ruling in rulings])
    for ruling in rulings:
        best = {key: value for key, value in counting.items() if key.startswith(_BEST)}
        kept, more = _stricter_than_best(best, ruling.settings)
        counting = {key: value for key, value in counting.items() if key not in best} | kept
        warnings += more
    return counting, warnings


def _stricter_than_policies(flags: Mapping[str, Any], policies: Sequence[Policy]) -> tuple[dict[str, Any], list[str]]:
    counting, warnings = dict(flags), []
    for key in _POLICY_FLAGS:
        value = flags.get(key)
        if value is not None and not all(_is_stricter(key, value, policy) for policy in policies):
            del counting[key]
            warnings.append(f"--{key} {value} is ignored: in CI the policy decides, and this would loosen it")
    return counting, warnings


def _is_stricter(key: str, value: str, policy: Policy) -> bool:
    """Does every task that counts under the flag count under the policy? Or does the flag say the same."""
    if key == "project":
        return policy.has_project(value)
    if key == "task-name":
        return policy.task_name in ("", value)
    if key == "equivalence":
        return _LOOSER_AND_LOOSER.index(Equivalence(value)) <= _LOOSER_AND_LOOSER.index(policy.equivalence)
    if key == "merges":
        return value == "strict" or policy.merges == value
    if key == "on-unreachable":
        return value == "block" or policy.on_unreachable == value
    # evidence: where the policy leaves it open, offline in CI is there for whoever asks for it in the workflow
    return value == "server" or policy.evidence in ("auto", value)


def _stricter_than_best(flags: Mapping[str, Any], settings: Settings) -> tuple[dict[str, Any], list[str]]:
    """Which `best.*` flags count, and a warning for every other one.

    A policy that names a metric decides about all of it, else about the keys that it sets; a flag beats it only where
    it is stricter, which is a smaller tolerance.
    """
    counting: dict[str, Any] = {}
    warnings = []
    has_metric = bool(settings["best.metric"].value)
    for key, given in flags.items():
        if given is None:
            continue
        ruled = has_metric or settings[key].origin != "default"
        same = str(given) == str(settings[key].value)
        if not ruled or same or (key == "best.tolerance" and _allows_less(given, settings[key])):
            counting[key] = given
        else:
            warnings.append(f"--{key.rpartition('.')[2]} is ignored: in CI the policy decides, and it is not stricter")
    return counting, warnings


def _allows_less(given: Any, setting: Value) -> bool:
    try:
        return parse_tolerance(str(given)).stricter_than(parse_tolerance(str(setting.value)))
    except ValueError:
        return True  # settings.merge has to see it, and says what is wrong with it
