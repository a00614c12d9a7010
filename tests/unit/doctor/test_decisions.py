"""What each thing that `git clearml doctor` has seen comes to: the decisions, without a repository or a server."""

from __future__ import annotations

import os
import re
import shlex
import subprocess
from collections.abc import Mapping
from pathlib import Path

import pytest

from git_clearml.base import globs
from git_clearml.clearml import conf_file, conf_file_plain
from git_clearml.doctor import advice, differences, drill, examine, policy, recording, server, skips
from git_clearml.doctor.differences import Setting, Tracked
from git_clearml.errors import BadSetting, CannotDecide, Unreachable
from git_clearml.git.output import GitResult
from git_clearml.hook.drill_outcome import NO_LINES
from git_clearml.hook.owner import Owner
from git_clearml.render import doctor as view
from git_clearml.report.diagnosis import Check, Repaired, status_of
from git_clearml.settings.policy import Policy
from git_clearml.settings.protection import protected

CONF = "/home/u/my clearml.conf"


def by_name(checks: list[Check]) -> dict[str, Check]:
    assert len({check.name for check in checks}) == len(checks)
    return {check.name: check for check in checks}


# What ClearML records


@pytest.mark.parametrize(
    ("key", "value", "level"),
    [
        ("store_uncommitted_code_diff", None, "ok"),
        ("store_uncommitted_code_diff", True, "ok"),
        ("store_uncommitted_code_diff", "yes", "ok"),
        ("store_uncommitted_code_diff", False, "fail"),
        ("store_uncommitted_code_diff", "False", "fail"),
        ("store_uncommitted_code_diff", 0, "fail"),
        ("store_code_diff_from_remote", None, "ok"),
        ("store_code_diff_from_remote", "on", "fail"),
        ("vcs_repo_detect_async", None, "warn"),
        ("vcs_repo_detect_async", True, "warn"),
        ("vcs_repo_detect_async", "off", "ok"),
    ],
)
def test_a_switch_of_clearml_conf(key: str, value: object, level: str) -> None:
    development = {} if value is None else {key: value}
    check = by_name(recording.examine(recording.Configured(development, CONF, {})))[key.replace("_", "-")]
    assert check.level == level
    assert (CONF in shlex.split(check.fix)) is (level != "ok")
    nowhere = by_name(recording.examine(recording.Configured(development, "", {})))[check.name]
    assert (nowhere.level, nowhere.fix) == (level, "")


def test_the_line_that_a_fix_adds_is_in_force(tmp_path: Path) -> None:
    path = tmp_path / "clear ml.conf"
    path.write_text('sdk { development { store_uncommitted_code_diff: false, x: 1 } }\napi { host: "h" }  # the end')
    subprocess.run(["sh", "-c", recording.appending(str(path), "store_uncommitted_code_diff", "true")], check=True)
    environment = {"CLEARML_CONFIG_FILE": str(path)}
    assert conf_file.sdk_value(environment, "development", "store_uncommitted_code_diff") is True
    assert conf_file_plain.read(path.read_text()) is not None, "the hook would need pyhocon for it"
    path.write_text("{ sdk { } }")
    assert conf_file.path_to_append(environment) == ""
    assert conf_file.path_to_append({"CLEARML_CONFIG_FILE": os.devnull}) == ""
    assert conf_file.path_to_append({"HOME": "/nowhere"}) == "/nowhere/clearml.conf"


@pytest.mark.parametrize(
    ("environment", "name", "level", "fix"),
    [
        ({}, "vcs-variables", "ok", ""),
        ({"CLEARML_VCS_DIFF": ""}, "vcs-variables", "fail", "unset CLEARML_VCS_DIFF"),
        (
            {"TRAINS_VCS_ROOT": "x", "CLEARML_VCS_BRANCH": "y"},
            "vcs-variables",
            "fail",
            "unset CLEARML_VCS_BRANCH TRAINS",
        ),
        ({"CLEARML_TASK_NO_REUSE": "1"}, "task-reuse", "ok", ""),
        ({"CLEARML_TASK_NO_REUSE": "0"}, "task-reuse", "warn", "printf"),
        ({"CLEARML_OFFLINE_MODE": "1"}, "offline-mode", "warn", "unset CLEARML_OFFLINE_MODE"),
        ({"REQUESTS_CA_BUNDLE": "/ca"}, "ca-bundle", "warn", "unset REQUESTS_CA_BUNDLE"),
        ({"CURL_CA_BUNDLE": "/ca"}, "ca-bundle", "warn", "unset CURL_CA_BUNDLE"),
    ],
)
def test_a_variable(environment: Mapping[str, str], name: str, level: str, fix: str) -> None:
    check = by_name(recording.examine(recording.Configured({}, CONF, environment, verify="false")))[name]
    assert (check.level, check.fix[: len(fix)]) == (level, fix)


def test_what_says_nothing_is_not_told() -> None:
    calm = recording.Configured({"task_reuse_time_window_in_hours": "0.0"}, CONF, {"REQUESTS_CA_BUNDLE": "/ca"})
    checks = by_name(recording.examine(calm))
    assert checks["task-reuse"].level == "ok"
    assert not {"ca-bundle", "offline-mode"} & set(checks)
    offline = recording.Configured({}, CONF, {"CLEARML_OFFLINE_MODE": "1"}, has_server=False)
    assert "offline-mode" not in by_name(recording.examine(offline))


def test_the_defaults_that_everybody_has_are_one_line(tmp_path: Path) -> None:
    path = tmp_path / "clear ml.conf"
    checks = recording.examine(recording.Configured({}, str(path), {}))
    (told,) = [check for check in examine.summary(checks) if check.level == "warn"]
    assert {check.name for check in checks if check.level == "warn"} == {"vcs-repo-detect-async", "task-reuse"}
    subprocess.run(["sh", "-c", told.fix], check=True)
    keys = ("vcs_repo_detect_async", "task_reuse_time_window_in_hours")
    found = {key: conf_file.sdk_value({"CLEARML_CONFIG_FILE": str(path)}, "development", key) for key in keys}
    assert found == {"vcs_repo_detect_async": False, "task_reuse_time_window_in_hours": 0}
    chosen = recording.examine(recording.Configured({"vcs_repo_detect_async": True}, str(path), {}))
    assert {check.name for check in examine.summary(chosen) if check.level == "warn"} == {*recording.DEFAULTS}
    alone = recording.examine(recording.Configured({}, str(path), {}, has_server=False))
    assert {check.level for check in alone} == {"ok"}


# What a diff shows


ONE = ("train.py",)
BIT = "git update-index --no-"


def setting(scope: str, key: str, value: str) -> Setting:
    return Setting(scope, key, value, "" if scope == "command" else f"/{scope}")


LIB = Tracked(submodules=("lib",))
FROM = {place: f"git config --file /{place} --unset-all " for place in ("local", "global")}


@pytest.mark.parametrize(
    ("settings", "tracked", "name", "level", "fix"),
    [
        ([], Tracked(), "diff-external", "ok", ""),
        ([("local", "diff.external", "x")], Tracked(), "diff-external", "fail", FROM["local"] + "diff.external"),
        ([("global", "diff.external", "")], Tracked(), "diff-external", "fail", FROM["global"] + "diff.external"),
        ([("command", "diff.external", "x")], Tracked(), "diff-external", "fail", ""),
        ([("local", "diff.a.command", "x")], Tracked(), "diff-external", "ok", ""),
        ([("local", "diff.a.command", "x")], Tracked(drivers=frozenset("a")), "diff-external", "fail", FROM["local"]),
        ([("local", "diff.relative", "")], Tracked(), "diff-relative", "fail", FROM["local"] + "diff.relative"),
        ([("global", "diff.relative", "1"), ("local", "diff.relative", "no")], Tracked(), "diff-relative", "ok", ""),
        ([("global", "core.fsmonitor", "/x/watch")], Tracked(), "fsmonitor", "warn", FROM["global"] + "core.fsmonitor"),
        ([("global", "core.fsmonitor", "true")], Tracked(), "fsmonitor", "ok", ""),
        (
            [("global", "diff.py.textconv", "x")],
            Tracked(constant={"diff.py.textconv": "a.py"}),
            "textconv",
            "fail",
            FROM["global"],
        ),
        (
            [("local", "filter.x.clean", "x")],
            Tracked(constant={"filter.x.clean": "a.py"}),
            "clean-filter",
            "fail",
            FROM["local"],
        ),
        ([], LIB, "submodule-ignore", "ok", ""),
        ([], LIB._replace(ignores={"lib": "all"}), "submodule-ignore", "fail", "git config submodule.lib.ignore none"),
        (
            [("local", "submodule.lib.ignore", "none")],
            LIB._replace(ignores={"lib": "all"}),
            "submodule-ignore",
            "ok",
            "",
        ),
        ([("local", "submodule.lib.ignore", "untracked")], LIB, "submodule-ignore", "ok", ""),
        ([("global", "diff.ignoresubmodules", "dirty")], LIB, "submodule-ignore", "fail", "git config submodule.lib."),
        ([("global", "diff.ignoresubmodules", "all")], Tracked(), "submodule-ignore", "ok", ""),
        (
            [],
            Tracked(hidden={"assume-unchanged": ONE}),
            "assume-unchanged",
            "warn",
            BIT + "assume-unchanged -- train.py",
        ),
        ([], Tracked({"assume-unchanged": ONE}, frozenset(ONE)), "assume-unchanged", "fail", BIT + "assume-unchanged"),
        ([], Tracked(hidden={"skip-worktree": ONE}), "skip-worktree", "warn", BIT + "skip-worktree -- train.py"),
        ([], Tracked(changed=frozenset(ONE)), "encoding", "ok", ""),
        ([], Tracked(not_utf8=ONE), "encoding", "warn", "iconv -f WINDOWS-1252"),
        ([], Tracked(not_utf8=("a b.txt",)), "encoding", "warn", """echo '"/a b.txt" -diff' >> .gitattributes"""),
        ([], Tracked(not_utf8=("\udce9.txt",)), "encoding", "warn", ""),
        ([], Tracked(not_utf8=ONE, changed=frozenset(ONE)), "encoding", "fail", "iconv"),
    ],
)
def test_a_way_to_hide_a_change(
    settings: list[tuple[str, str, str]], tracked: Tracked, name: str, level: str, fix: str
) -> None:
    checks = by_name(differences.examine([setting(*each) for each in settings], tracked, {}))
    assert (checks[name].level, checks[name].fix[: len(fix)]) == (level, fix)
    assert fix or not checks[name].fix
    others = {check.level for check in checks.values() if check.name != name}
    assert level == "ok" or others == {"ok"}, checks


def test_an_external_diff_of_the_environment() -> None:
    check = by_name(differences.examine([], Tracked(), {"GIT_EXTERNAL_DIFF": "difft"}))["diff-external"]
    assert (check.level, check.fix) == ("fail", "unset GIT_EXTERNAL_DIFF")


def test_not_all_was_read() -> None:
    assert "time to read" in by_name(differences.examine([], Tracked(seen_all=False), {}))["encoding"].message


# Variables that turn hooks off


@pytest.mark.parametrize(
    ("environment", "owner", "ours_first", "levels"),
    [
        ({}, Owner.OURS, True, []),
        ({"GIT_CLEARML_SKIP": "1"}, Owner.OURS, True, ["fail"]),
        ({"GIT_CLEARML_SKIP": "please"}, Owner.OURS, True, ["warn"]),
        ({"GIT_CLEARML_SKIP": "0"}, Owner.OURS, True, []),
        ({"HUSKY": "0"}, Owner.HUSKY, False, ["fail"]),
        ({"HUSKY": "0"}, Owner.OURS, True, []),
        ({"LEFTHOOK": "false"}, Owner.LEFTHOOK, False, ["fail"]),
        ({"LEFTHOOK": "1"}, Owner.LEFTHOOK, False, []),
        ({"SKIP": "a,clearml-verify"}, Owner.PRE_COMMIT, False, ["fail"]),
        ({"SKIP": "a,clearml-verify"}, Owner.PREK, True, []),
        ({"SKIP": "clearml-verify-not"}, Owner.PRE_COMMIT, False, []),
    ],
)
def test_a_hook_that_is_turned_off(
    environment: Mapping[str, str], owner: Owner, ours_first: bool, levels: list[str]
) -> None:
    checks = skips.examine(environment, owner, ours_first=ours_first)
    assert [check.level for check in checks] == levels
    assert all(check.fix.startswith("unset ") for check in checks)


# The server


@pytest.mark.parametrize(
    ("ahead", "level", "words"),
    [(0, "ok", ""), (59, "ok", ""), (-600, "warn", "10 minutes behind"), (7200, "warn", "2.0 hours ahead of")],
)
def test_two_clocks(ahead: float, level: str, words: str) -> None:
    (check,) = server.clock("Thu, 26 Nov 2026 09:00:00 GMT", 1795683600.0 + ahead)
    assert check.level == level
    assert words in check.message
    assert server.clock("", 0) == server.clock("yesterday", 0) == []


def test_of_a_key_no_more_than_its_first_digits_is_shown() -> None:
    from git_clearml.clearml.config import Server

    api = Server("https://a", "https://w", "ABCDEFGHIJKLMNOP", "secret-secret")
    words = server.described(api, {"host": "X", "access key": "X", "secret key": "/f"})
    assert words == "host and access key ABCD... from X, secret key from /f"
    short = server.described(api._replace(access_key="ABCDEF"), {"access key": "X"})
    assert short == "access key from X"


@pytest.mark.parametrize(
    ("api", "verify", "ends", "levels"),
    [
        ("http://127.0.0.1:8008", True, "", []),
        ("http://clearml.example.com:8008", True, "", ["warn"]),
        ("https://clearml.example.com", False, "", ["warn"]),
        ("https://clearml.example.com", True, "", []),
        ("https://clearml.example.com", True, "Dec  5 09:00:00 2026 GMT", ["warn"]),
        ("https://clearml.example.com", True, "Nov 25 09:00:00 2026 GMT", ["warn"]),
        ("https://clearml.example.com", True, "Dec 31 09:00:00 2026 GMT", ["ok"]),
    ],
)
def test_the_way_to_the_server(api: str, verify: bool, ends: str, levels: list[str]) -> None:
    from git_clearml.clearml.config import Server

    checks = server._way(Server(api, api, "k", "s", verify), ends, 1795683600.0)
    assert [check.level for check in checks] == levels


# The policy, and what it gates


def test_an_error_becomes_a_check() -> None:
    told = advice.of_error("x", "fail", Unreachable("away", "git fetch origin"), "; so")
    assert (told.message, told.fix) == ("away; so", "git fetch origin")
    told = advice.of_error("x", "fail", BadSetting("wrong", "write it right"))
    assert (told.message, told.fix) == ("wrong: write it right", "")


@pytest.mark.parametrize(
    "patterns",
    [(), ("main",), ("release/*",), ("refs/heads/**/prod",), ("v[0-9]*",), ("[", "x?y"), ("team/",), ("refs/tags/v*",)],
)
def test_a_ref_of_the_drill_is_one_that_the_policy_protects(patterns: tuple[str, ...]) -> None:
    rules = Policy(protect=patterns)
    ref = drill.ref_for(rules)
    assert protected(ref, rules)
    subprocess.run(["git", "check-ref-format", ref], check=True)


def test_a_policy_that_protects_nothing_that_could_be() -> None:
    with pytest.raises(CannotDecide):
        drill.ref_for(Policy(protect=("[",)))


@pytest.mark.parametrize("pattern", ["a", "*", "**", "a/**/b", "[!a]b", "[]a]", "a/", "x\\[y", "é*", "[[:digit:]]"])
def test_an_example_of_a_pattern(pattern: str) -> None:
    example = globs.example(pattern, "word")
    assert globs.matches([pattern], example)


# What a drill has shown


def pushed(status: int, *told: str, arrived: bool = False, stderr: str = "") -> drill.Pushed:
    return drill.Pushed(GitResult(status, b"", stderr), list(told), arrived, 0.5)


@pytest.mark.parametrize(
    ("seen", "level", "words"),
    [
        (pushed(1, "rejected"), "ok", "was refused"),
        (pushed(1, "pending"), "warn", "nothing could be decided"),
        (pushed(1, "undecided", stderr="git clearml: away\nhint: x\n"), "warn", "decided: away"),
        (pushed(0, "verified", arrived=True), "fail", "git-clearml itself says verified"),
        (pushed(0, "undecided", arrived=True), "fail", "on-unreachable"),
        (pushed(0, NO_LINES, arrived=True), "fail", "read the lines"),
        (pushed(0, arrived=True), "fail", "did not ask"),
        (pushed(1, "rejected", arrived=True), "fail", "let through"),
        (pushed(1, stderr="git clearml: push refused: no PATH\n"), "warn", "without a verdict: push refused"),
        (
            pushed(1, stderr="3 tests failed\n"),
            "fail",
            "not by git-clearml, which was not asked before: 3 tests failed",
        ),
        (pushed(1, NO_LINES, stderr="later: no\n"), "fail", "not by git-clearml"),
    ],
)
def test_a_drill(seen: drill.Pushed, level: str, words: str) -> None:
    check = drill.judged(seen, "pre-push")
    assert check.level == level
    assert words in check.message


# What is printed


def test_every_form_says_the_same(tmp_path: Path) -> None:
    long = "words " * 30
    checks = [Check("a", "ok", "fine"), Check("b", "warn", long, "git x"), Check("c", "fail", "bad\x1b[2J")]
    assert view.text(checks).split("\n")[2] == "      fix: git x"
    narrow = view.text(checks, width=80, colour=True)
    assert max(len(re.sub("\x1b\\[\\d+m", "", line)) for line in narrow.split("\n")) <= 80
    assert "\x1b[31mFAIL\x1b[0m  c: bad\ufffd" in narrow
    assert view.text(checks, quiet=True).startswith("warn  b")
    assert view.markdown(checks).startswith("- ❌ **c**")
    document = view.document(checks, [Repaired("b", "do x", "no room")])
    assert (document["exit_code"], document["checks"][0]["fix"], document["fixed"][0]["error"]) == (1, None, "no room")
    assert status_of(checks[:2]) == 0


def test_what_is_well_is_one_line_for_people() -> None:
    checks = [Check("git", "ok", ""), Check("encoding", "ok", ""), Check("textconv", "fail", ""), Check("jj", "ok", "")]
    assert [check.name for check in examine.summary(checks)] == ["git", "record", "textconv", "jj"]
    assert examine.summary([Check("git", "ok", "")]) == [Check("git", "ok", "")]


def test_the_policy() -> None:
    from git_clearml.settings.load import ResolvedPolicy

    def judged(rules: Policy, *warnings: str, refs: tuple[str, ...] = ()) -> Check:
        return policy.judged(ResolvedPolicy(rules, {}, "1" * 40, warnings), refs)

    assert judged(Policy()).message.endswith("gates every branch")
    assert judged(Policy(protect=("a", "b"))).message.endswith("gates a, b")
    refs = ("refs/heads/main", "refs/tags/v1")
    for typed, level in {"mian": "warn", "origin/main": "warn", "v*": "warn", "m*": "ok", "refs/tags/*": "ok"}.items():
        assert judged(Policy(protect=(typed,)), refs=refs).level == level, typed
    assert judged(Policy(on_unreachable="warn")).level == "warn"
    assert judged(Policy(), "deprecated").level == "warn"
