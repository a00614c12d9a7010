"""Which layer wins, what is refused, and that every key of the table means something."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from git_clearml.errors import BadSetting
from git_clearml.settings.load import ResolvedPolicy
from git_clearml.settings.policy import Equivalence, MetricRule, Personal, Policy, Require
from git_clearml.settings.table import (
    SKIP,
    TABLE,
    Setting,
    Settings,
    merge,
    policy_flags,
    policy_of,
    pyproject_table,
)

PERSONAL = [setting for setting in TABLE if not setting.policy]
RULES = [setting for setting in TABLE if setting.policy]
every = pytest.mark.parametrize("setting", TABLE, ids=lambda setting: setting.key)


def merged(
    *,
    flags: Mapping[str, Any] | None = None,
    environment: Mapping[str, str] | None = None,
    git_config: list[tuple[str, str]] | None = None,
    pyproject: Mapping[str, Any] | None = None,
) -> tuple[Settings, list[str]]:
    return merge(
        flags=flags or {}, environment=environment or {}, git_config=git_config or [], pyproject=pyproject or {}
    )


def table(key: str, value: Any) -> dict[str, Any]:
    """As tomllib reads `[tool.git-clearml]`, sections nested."""
    section, dot, name = key.partition(".")
    return {section: {name: value}} if dot else {key: value}


def other_value(setting: Setting) -> Any:
    """A good value that is not the default, as TOML has it."""
    return {
        "text": "other",
        "flag": not setting.default,
        "number": 7,
        "choice": next((choice for choice in setting.choices if choice != setting.default), ""),
        "texts": ["src/**", "conf/*"],
        "tolerance": "0.5%",
        "tables": [{"metric": "a/b"} if setting.key == "metrics" else {"name": "a"}],
    }[setting.kind]


def wrong_values(setting: Setting) -> list[Any]:
    common: list[Any] = [None, {"a": 1}, object()]
    return (
        common
        + {
            "text": [1, True, ["a"], 1.5],
            "flag": ["true", 0, 1, "yes", []],
            "number": ["7", True, -1, math.inf, -math.inf, math.nan, [1], 10**400, 1e300],
            "choice": ["", "none", True, 1, ["server"], setting.default.upper() if setting.kind == "choice" else ""],
            "texts": ["src/**", [1], ["a", ""], [["a"]], {"a"}, True],
            "tolerance": [True, "", "%", "abc", "-1", -0.5, "nan", math.nan, math.inf, "inf%", "1%%", [1]],
            "tables": [True, 1, "a/b", ["a/b"], {}, {"metric": "a/b"}, [{}], [{"metric": "a/b"}, 1]],
        }[setting.kind]
    )


@every
def test_a_default_without_a_layer(setting: Setting) -> None:
    value = merged()[0][setting.key]
    assert (value.value, value.origin) == (setting.default, "default")


@every
def test_pyproject_sets_every_key(setting: Setting) -> None:
    given_ = other_value(setting)
    settings, warnings = merged(pyproject=table(setting.key, given_))
    kinds: dict[str, Any] = {"metrics": MetricRule("a/b"), "require": Require("a")}
    expected = tuple(given_) if setting.kind == "texts" else given_
    expected = (kinds[setting.key],) if setting.kind == "tables" else expected
    assert (settings[setting.key].value, settings[setting.key].origin) == (expected, "pyproject.toml")
    assert not warnings
    assert all(settings[each.key].origin == "default" for each in TABLE if each is not setting)


@every
def test_every_key_of_the_policy_arrives_in_the_policy(setting: Setting) -> None:
    if setting.key == "equivalence":
        given_: dict[str, Any] = {"equivalence": "paths", "code-paths": ["src/**"]}
    else:
        given_ = table(setting.key, other_value(setting))
    policy = policy_of(merged(pyproject=given_)[0])
    assert (policy != Policy()) == setting.policy  # the personal ones are no part of it


def test_the_defaults_of_the_table_are_those_of_the_model() -> None:
    assert policy_of(merged()[0]) == Policy()


@every
def test_a_wrong_type_is_refused_and_named(setting: Setting) -> None:
    for wrong in wrong_values(setting):
        with pytest.raises(BadSetting) as caught:
            merged(pyproject=table(setting.key, wrong))
        assert setting.key in caught.value.message
        assert "pyproject.toml" in caught.value.message
        assert caught.value.hint
        assert len(caught.value.message) < 250


# --- who wins


@pytest.mark.parametrize("setting", PERSONAL, ids=lambda setting: setting.key)
def test_flags_beat_the_environment_beats_git_config_beats_pyproject(setting: Setting) -> None:
    layers: dict[str, Any] = {
        "pyproject": table(setting.key, 1),
        "git_config": [(setting.git_key.lower(), "2")],
        "environment": {setting.variable: "3"},
        "flags": {setting.key: 4.0},
    }
    origins = ["pyproject.toml", "git config", setting.variable, f"flag --{setting.key}"]
    for count in range(1, 5):
        settings, warnings = merged(**dict(list(layers.items())[:count]))
        assert (settings[setting.key].value, settings[setting.key].origin) == (count, origins[count - 1])
        assert not warnings


@pytest.mark.parametrize("setting", RULES, ids=lambda setting: setting.key)
def test_policy_is_deaf_to_the_environment_and_git_config_and_says_so(setting: Setting) -> None:
    settings, warnings = merged(
        environment={setting.variable: "anything"},
        git_config=[(setting.git_key.lower(), "anything")],
        pyproject=table(setting.key, other_value(setting)),
    )
    assert settings[setting.key].origin == "pyproject.toml"
    assert len(warnings) == 2
    assert any(setting.variable in warning for warning in warnings)
    assert any(f"git config {setting.git_key}" in warning for warning in warnings)
    assert all(setting.key in warning and "pyproject.toml" in warning for warning in warnings)


def test_a_flag_of_policy_beats_pyproject_and_is_remembered_as_typed() -> None:
    settings, _ = merged(
        flags={"project": "Mine", "best.metric": "a/b", "task-name": None},
        pyproject={"project": "Theirs", "task-name": "t"},
    )
    policy = policy_of(settings)
    assert (policy.project, policy.best.metric, policy.task_name) == ("Mine", "a/b", "t")
    assert policy_flags(settings) == ("--project", "--metric")
    assert policy_flags(merged(flags={"timeout": 3.0})[0]) == ()  # personal ones change no verdict


def test_a_flag_that_is_empty_is_given_all_the_same() -> None:
    settings, _ = merged(flags={"project": ""}, pyproject={"project": "Theirs"})
    assert policy_of(settings).project == ""


def test_the_last_of_several_git_configs_wins() -> None:
    assert merged(git_config=[("clearml.timeout", "1"), ("clearml.timeout", "2")])[0]["timeout"].value == 2


def test_an_empty_variable_is_none() -> None:
    assert merged(environment={"GIT_CLEARML_TIMEOUT": "", "GIT_CLEARML_PROJET": ""})[1] == []


personal_layers = st.fixed_dictionaries(
    {
        layer: st.dictionaries(st.sampled_from([each.key for each in PERSONAL]), st.integers(0, 10**6))
        for layer in ("pyproject", "git_config", "environment", "flags")
    }
)


@given(personal_layers)
def test_the_strongest_layer_that_speaks_wins(layers: dict[str, dict[str, int]]) -> None:
    by_key = {setting.key: setting for setting in TABLE}
    settings, _ = merged(
        pyproject=layers["pyproject"],
        git_config=[(by_key[key].git_key.lower(), str(value)) for key, value in layers["git_config"].items()],
        environment={by_key[key].variable: str(value) for key, value in layers["environment"].items()},
        flags=layers["flags"],
    )
    for setting in PERSONAL:
        weakest_first = ("pyproject", "git_config", "environment", "flags")
        spoken = [layers[name][setting.key] for name in weakest_first if setting.key in layers[name]]
        assert settings[setting.key].value == (spoken[-1] if spoken else setting.default)


# --- unknown keys


@pytest.mark.parametrize(
    ("layer", "hint"),
    [
        ({"pyproject": {"projet": "x"}}, "did you mean project?"),
        ({"pyproject": {"task_name": "x"}}, "did you mean task-name?"),
        ({"pyproject": {"best": {"metrik": "x"}}}, "did you mean best.metric?"),
        ({"pyproject": {"metric": "x"}}, "did you mean best.metric?"),
        ({"pyproject": {"best": "validation/accuracy"}}, "did you mean best."),
        ({"git_config": [("clearml.waittimout", "1")]}, "did you mean clearml.waitTimeout?"),
        ({"git_config": [("clearml.wait-timeout", "1")]}, "did you mean clearml.waitTimeout?"),
        ({"git_config": [("clearml.projet", "1")]}, "did you mean clearml.project?"),
        ({"environment": {"GIT_CLEARML_TIMEOT": "1"}}, "did you mean GIT_CLEARML_TIMEOUT?"),
        ({"environment": {"GIT_CLEARML_PROJET": "1"}}, "did you mean GIT_CLEARML_PROJECT?"),
        ({"environment": {"GIT_CLEARML_SKP": "1"}}, "did you mean GIT_CLEARML_SKIP?"),
        ({"environment": {"GIT_CLEARML_zzzzzz": "1"}}, "unset GIT_CLEARML_zzzzzz"),
        ({"pyproject": {"": "x"}}, "known are: "),
    ],
)
def test_an_unknown_key_names_the_nearest(layer: dict[str, Any], hint: str) -> None:
    with pytest.raises(BadSetting, match="unknown setting") as caught:
        merged(**layer)
    assert caught.value.hint.startswith(hint)
    assert caught.value.status == 2


@pytest.mark.parametrize("key", ["project", "runnable.project"])
@pytest.mark.parametrize("value", ["AB/x", "ab", "Vision/ab", "ab/Vision", "Vision/ a /x", "Vision/  ", "/"])
def test_a_project_that_no_server_makes_any_more(key: str, value: str) -> None:
    for layer in ({"pyproject": table(key, value)}, {"flags": {key: value}}):
        with pytest.raises(BadSetting, match=r"characters|the name of a project") as caught:
            merged(**layer)
        assert caught.value.status == 2


@pytest.mark.parametrize("value", ["", "abc", "Vision/Detector", "/Vision//Detector/", "äöü/абв"])
def test_a_project_that_there_may_be(value: str) -> None:
    assert merged(pyproject={"project": value})[0]["project"].value == value


@every
def test_one_letter_too_few_names_the_key_in_every_layer(setting: Setting) -> None:
    key = setting.key[:-1]
    with pytest.raises(BadSetting) as caught:
        merged(pyproject=table(key, other_value(setting)))
    assert caught.value.hint == f"did you mean {setting.key}?"
    with pytest.raises(BadSetting) as caught:
        merged(environment={setting.variable[:-1]: "x"})
    assert caught.value.hint == f"did you mean {setting.variable}?"
    with pytest.raises(BadSetting) as caught:
        merged(git_config=[(setting.git_key.lower()[:-1], "x")])
    assert caught.value.hint == f"did you mean {setting.git_key}?"


@pytest.mark.parametrize(
    "name", ["api-host", "access-key", "secret-key", "clearml-config-file", "python", "hooks-path"]
)
def test_no_server_secret_program_or_place_is_read_from_the_repository(name: str) -> None:
    with pytest.raises(BadSetting, match="unknown setting"):
        merged(pyproject={name: "https://evil.example"})


def test_the_ways_around_are_no_settings() -> None:
    assert merged(environment={SKIP: "1", "GIT_CLEARML_RUN": "x", "PATH": "/bin", "CLEARML_API_HOST": "x"})[1] == []
    assert not {SKIP, "GIT_CLEARML_RUN"} & {setting.variable for setting in TABLE}


def test_the_names_of_all_layers_are_distinct_and_derived() -> None:
    assert (
        len({setting.variable for setting in TABLE})
        == len({setting.git_key.lower() for setting in TABLE})
        == len(TABLE)
    )
    by_key = {setting.key: setting for setting in TABLE}
    assert by_key["best.zero-is-a-value"].variable == "GIT_CLEARML_BEST_ZERO_IS_A_VALUE"
    assert by_key["wait-timeout"].git_key == "clearml.waitTimeout"
    for setting in TABLE:  # what git takes for a name: letters, digits and - behind the last dot
        assert setting.git_key.removeprefix("clearml.").isalnum()


@pytest.mark.parametrize("raw", ["abc", "", " ", "-1", "nan", "inf", "1e999", "1,5", "0x10", "1" * 400])
def test_a_number_that_is_none(raw: str) -> None:
    with pytest.raises(BadSetting, match=r"git config clearml\.timeout"):
        merged(git_config=[("clearml.timeout", raw)])


# --- values of their own


@pytest.mark.parametrize(
    "pattern",
    ["outputs/**", "outputs/", "outputs/*", "**/logs/**", "*.log", "runs/run*", "data/*.csv", "copy/**", "a.pyc"],
)
def test_outputs_may_be_untracked(pattern: str) -> None:
    assert policy_of(merged(pyproject={"untracked-ok": [pattern]})[0]).untracked_ok == (pattern,)


@pytest.mark.parametrize(
    "pattern",
    [
        "*.py", "**/*.py", "src/*.py", "src/**/*.py", "**", "*", "**/*", "/**", "./**", "*.p?", "*.p*", "*.[p]y",
        "*.?y", "?.py", "x.*", "src/train.py", "train_*.py", "outputs/*_config.py", "outputs/*.py", "outputs/run*py",
        "src/*y", "outputs/?????*.py",
    ],
)  # fmt: skip
def test_code_may_not_be_untracked(pattern: str) -> None:
    for patterns in ([pattern], ["outputs/**", pattern]):
        with pytest.raises(BadSetting, match="untracked") as caught:
            merged(pyproject={"untracked-ok": patterns})
        assert "outputs/**" in caught.value.hint


@pytest.mark.parametrize(
    "pattern",
    ["main ", "!main", "heads/main", "tags/v*", "remotes/origin/main", "refs/*", "refs/heads/", "a:b", "v^1", "a\tb"],
)
def test_a_pattern_that_can_name_no_ref_would_protect_nothing(pattern: str) -> None:
    with pytest.raises(BadSetting, match="would protect nothing") as caught:
        merged(pyproject={"protect": ["main", pattern]})
    assert "refs/tags/v*" in caught.value.hint
    names = [
        "main",
        "*",
        "**",
        "refs/**",
        "refs/heads/main",
        "refs/tags/*",
        "release/",
        "a[!b]",
        "wip/!x",
        "ä",
        "head",
        "refs",
    ]
    assert merged(pyproject={"protect": names})[0]["protect"].value == tuple(names)


def test_protecting_nothing_is_refused_and_other_empty_lists_are_not() -> None:
    with pytest.raises(BadSetting, match="protect nothing"):
        merged(pyproject={"protect": []})
    empty: dict[str, Any] = {key: [] for key in ("code-paths", "results-paths", "untracked-ok")}
    assert policy_of(merged(pyproject=empty)[0]) == Policy()


def test_equivalence_by_paths_wants_paths() -> None:
    with pytest.raises(BadSetting, match="code-paths"):
        policy_of(merged(pyproject={"equivalence": "paths"})[0])
    with pytest.raises(BadSetting, match="code-paths"):
        policy_of(merged(flags={"equivalence": "paths"})[0])
    policy = policy_of(merged(pyproject={"equivalence": "paths", "code-paths": ["src/**"]})[0])
    assert policy.equivalence is Equivalence.PATHS
    with pytest.raises(BadSetting, match="equivalence"):
        merged(pyproject={"equivalence": "results"})  # a word of the verdict, not of the policy


@pytest.mark.parametrize("value", [0, 1, 0.5, "0", "0.5", "0.5%", " 1 % ", "1e-3"])
def test_tolerances(value: Any) -> None:
    assert policy_of(merged(pyproject={"best": {"tolerance": value}})[0]).best.tolerance == str(value)


scalars = st.one_of(st.none(), st.booleans(), st.integers(), st.floats(), st.text(), st.dates())
trees = st.recursive(
    scalars, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3), max_leaves=6
)
keys = st.one_of(st.sampled_from([setting.key for setting in TABLE] + ["best", "runnable"]), st.text(max_size=8))


@given(st.dictionaries(keys, trees, max_size=4))
def test_any_table_is_read_or_refused_with_one_line(pyproject: dict[str, Any]) -> None:
    refused = None
    try:
        settings, _ = merged(pyproject=pyproject)
        policy_of(settings)
    except BadSetting as error:
        refused = error
    assert refused is None or (refused.hint and "\n" not in refused.message)


# --- pyproject.toml


def test_the_table_of_a_file() -> None:
    content = b'[tool.git-clearml]\nproject = "P"\n[tool.git-clearml.best]\nmetric = "a/b"\n'
    assert pyproject_table(content, "pyproject.toml") == {"project": "P", "best": {"metric": "a/b"}}


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"[tool.black]\nline-length = 100\n",
        b"# git-clearml\n",
        b"tool = 1\nx = 'git-clearml'\n",
        b"\xff[broken\n",
        b"[project]\nname = 'git-clearml'\n[tool.uv.sources.git-clearml]\npath = '.'\n",
        b"x = '\\uABCD'",
        b" \t\r",
    ],
)
def test_a_file_without_the_table_has_no_policy(content: bytes) -> None:
    assert pyproject_table(content, "pyproject.toml") == {}


@pytest.mark.parametrize(
    "content",
    [
        b"[tool.git-clearml\n",
        b"[tool.git-clearml]\nproject = P\n",
        b"[tool.git-clearml]\nproject = '\xff'\n",
        b"[tool.git-clearml]\nproject = 'a'\nproject = 'b'\n",
        b"[tool]\ngit-clearml = 1\n",
        b"[[tool.git-clearml]]\nproject = 'a'\n",
        b"[tool.git-clearml]\ntimeout = " + b"1" * 5000 + b"\n",
        b"[tool.git-clearml]\nprotect = " + b"[" * 5000 + b"\n",
        b"\xef\xbb\xbf[tool.git-clearml]\n",
        *("[tool.git-clearml]\n".encode(encoding) for encoding in ("utf-16", "utf-16-le", "utf-32-be")),
        b"shared/pyproject.toml",  # as git has a symbolic link
        b"../a=b [c]",
    ],
)
def test_a_policy_that_nobody_can_read_is_not_a_policy_without_rules(content: bytes) -> None:
    with pytest.raises(BadSetting) as caught:
        pyproject_table(content, "pyproject.toml at 1a2b3c4d5e6f")
    assert caught.value.message.startswith("pyproject.toml at 1a2b3c4d5e6f")


@pytest.mark.parametrize(
    "content",
    [
        "[tool.git_clearml]",
        "[tool.gitclearml]",
        "[tool.Git-ClearML]",
        "[tool.git-clearml-]",
        "[git-clearml]",
        "['tool.git-clearml']",
        "[tools.git-clearml]",
        "[tool.git_clearml.best]",
        "[tool.git-clearml]\nproject = 'Vision'\n[tool.git_clearml]",
    ],
)
def test_a_table_whose_name_is_misspelt_is_not_passed_over(content: str) -> None:
    with pytest.raises(BadSetting) as caught:
        pyproject_table(f"{content}\nmetric = 'a/b'\n".encode(), "pyproject.toml at 1a2b3c4d5e6f")
    assert caught.value.hint == "did you mean [tool.git-clearml]?"


def test_a_name_in_other_letters_of_toml_is_the_same_name() -> None:
    assert pyproject_table(b'[tool."git\\u002dclearml"]\nproject = "P"\n', "pyproject.toml") == {"project": "P"}


@given(st.binary(max_size=60))
def test_any_file_is_read_or_refused(tail: bytes) -> None:
    refused = None
    try:
        pyproject_table(b"[tool.git-clearml]\n" + tail, "pyproject.toml")
    except BadSetting as error:
        refused = error
    assert refused is None or refused.message.startswith("pyproject.toml")


def test_personal_settings_are_one_value_of_seconds() -> None:
    assert ResolvedPolicy(Policy(), merged()[0], "").personal == Personal()
    settings, _ = merged(flags={"timeout": 3}, environment={"GIT_CLEARML_REMEMBER": "60"})
    assert ResolvedPolicy(Policy(), settings, "").personal == Personal(timeout=3.0, remember=60.0)
