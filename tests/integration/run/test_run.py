"""`git clearml run`: what it refuses, hands on, passes through and writes down."""

from __future__ import annotations

import base64
import json
import os
import pty
import re
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from git_clearml.clearml.diff import MARKER
from git_clearml.model import RunRecord
from git_clearml.run import record as run_records
from tests.support.apart import shared
from tests.support.program import Result, command, inside, process_environment
from tests.support.repos import Repo, make_repo
from tests.support.scripts import QUICK, SIGNALS

PRINT_ENVIRONMENT = "import os, json; print(json.dumps(dict(os.environ)))"
SERVER: dict[str, str | None] = {
    "CLEARML_API_HOST": "http://127.0.0.1:9",
    "CLEARML_API_ACCESS_KEY": "KEYKEYKEY",
    "CLEARML_API_SECRET_KEY": "secretsecret",
}


@pytest.fixture
def repo(tmp_path: Path) -> Repo:
    return make_repo(tmp_path / "repo", {"train.py": QUICK, "signals.py": SIGNALS, ".gitignore": "__pycache__/\n"})


def run(repo: Repo, *words: str, **options: Any) -> Result:
    return shared().program("run", *words, cwd=repo.path, **options)


def train(repo: Repo, *options: str) -> Result:
    result = inside("run", *options, "--", sys.executable, "train.py", cwd=repo.path)
    assert result.status == 0, result.err
    return result


def records(repo: Repo) -> list[RunRecord]:
    """The repository's records, the oldest first."""
    found = [run_records.parse(path.read_bytes()) for path in (repo.path / ".git/clearml/runs").glob("*/*.json")]
    sound = [record for record in found if isinstance(record, RunRecord)]
    assert len(sound) == len(found)
    return sorted(sound, key=lambda record: record.started)


def record_file(repo: Repo) -> Path:
    [path] = (repo.path / ".git/clearml/runs").glob("*/*.json")
    return path


def verify(repo: Repo, *words: str) -> Result:
    return inside("verify", "--format", "json", *words, cwd=repo.path)


def environment_of(repo: Repo, *options: str, **given: str | None) -> dict[str, str]:
    """What a command gets to see."""
    result = run(repo, *options, "--", sys.executable, "-c", PRINT_ENVIRONMENT, env=given)
    assert result.status == 0, result.err
    found: dict[str, str] = json.loads(result.out)
    return found


def decoded(text: str) -> str:
    return base64.b64decode(text).decode("utf-8")


# Evidence, from end to end


def test_a_run_at_a_clean_commit_verifies_it(repo: Repo) -> None:
    assert verify(repo).codes == []
    result = train(repo)
    assert result.err.startswith(f'git clearml: recorded the run of {repo.head[:7]} (exit 0, task "train" ')
    assert result.err.endswith("next: git clearml verify\n")
    answer = verify(repo)
    assert (answer.status, answer.commit["task"]["source"]) == (0, "offline"), answer.out
    assert "verified by a local run record" in answer.commit["notes"]
    [record] = records(repo)
    assert (record.commit, record.exit_status) == (repo.head, 0)
    assert (record.dirty, record.untracked, record.edited) == ((), (), ())
    assert record.tree == repo.git("rev-parse", "HEAD^{tree}")
    assert record.command == (sys.executable, "train.py")
    assert [session.metrics[0].last for session in record.sessions] == [0.75]


def test_a_later_run_of_another_commit_takes_nothing_away(repo: Repo) -> None:
    first = repo.head
    train(repo)
    repo.commit("second")
    assert verify(repo).status == 1
    train(repo)
    assert verify(repo, first, "HEAD").status == 0


def test_a_run_in_a_worktree_verifies_everywhere(repo: Repo, tmp_path: Path) -> None:
    other = repo.worktree(tmp_path / "other")
    assert inside("run", sys.executable, "train.py", cwd=other.path).status == 0
    assert verify(repo).status == 0
    assert verify(other).status == 0


@pytest.mark.parametrize("where", ["repo", "worktree"])
def test_without_a_remote_the_clone_is_the_repository(tmp_path: Path, where: str) -> None:
    repo = make_repo(tmp_path / "a b%20c", {"train.py": QUICK}, remote="")
    place = repo if where == "repo" else repo.worktree(tmp_path / "other")
    train(place)
    [record] = records(repo)
    assert record.sessions[0].repository == f"file://{tmp_path}/a%20b%2520c"
    assert verify(repo).status == 0


def test_a_script_in_a_sub_directory_and_from_one(repo: Repo) -> None:
    repo.commit("deep", {"src/deep/train.py": QUICK})
    assert inside("run", sys.executable, "../src/deep/train.py", cwd=repo.path / "src").status == 0
    assert verify(repo).status == 0
    assert records(repo)[0].sessions[0].working_dir == "src"


def test_a_script_outside_the_repository_proves_nothing(repo: Repo, tmp_path: Path) -> None:
    (tmp_path / "train.py").write_text(QUICK)
    assert inside("run", sys.executable, "../train.py", cwd=repo.path).status == 0
    assert verify(repo).codes == ["entry-point-missing"]


def test_a_run_says_that_its_task_will_not_verify_and_why(repo: Repo, tmp_path: Path) -> None:
    (tmp_path / "train.py").write_text(QUICK)
    done = inside("run", sys.executable, "../train.py", cwd=repo.path)
    assert "it will not verify: its task ran '../train.py', which lies outside the repository" in done.err
    repo.policy('project = "Other"')
    done = inside("run", sys.executable, "train.py", cwd=repo.path)
    assert "it will not verify: its task is in project 'Vision/Detector', not in 'Other'" in done.err
    repo.policy('project = "Vision"')
    assert "next: git clearml verify" in inside("run", sys.executable, "train.py", cwd=repo.path).err
    assert verify(repo).status == 0


def test_a_run_says_what_its_metrics_are_short_of(repo: Repo) -> None:
    rule = ("[[tool.git-clearml.metrics]]", 'metric = "validation/accuracy"')
    repo.policy(*rule, "at-least = 0.76")
    assert "it will not verify: validation/accuracy is 0.75 and must be at least 0.76" in train(repo).err
    assert verify(repo).codes == ["metric-limit"]
    repo.policy(*rule, "at-least = 0.75", "min-runs = 2")
    assert "it will not verify: 1 run with validation/accuracy, and min-runs is 2" in train(repo).err
    assert verify(repo).codes == ["too-few-runs"]
    assert "next: git clearml verify" in train(repo).err
    answer = verify(repo)
    assert (answer.status, answer.commit["metrics"][0]["runs"]) == (0, 2), answer.out


def test_a_run_without_a_task_is_said_to_be_one(repo: Repo) -> None:
    result = run(repo, "true")
    assert result.status == 0
    assert "it will not verify: the run created no ClearML task\nhint: call Task.init(" in result.err
    answer = verify(repo)
    assert answer.codes == ["no-task"]
    assert answer.json["hint"].startswith("call Task.init(project_name=..., task_name=...) in the script, commit, then")


def test_a_failed_run_does_not_verify(repo: Repo) -> None:
    repo.commit("fails", {"train.py": QUICK + "    sys.exit(3)\n"})
    result = run(repo, sys.executable, "train.py")
    assert result.status == 3
    assert "it will not verify: the command failed" in result.err
    assert verify(repo).codes == ["run-failed"]


def test_code_edited_during_the_run_does_not_verify(repo: Repo) -> None:
    repo.commit("edits itself", {"train.py": QUICK + "    Path('signals.py').write_text('# edited')\n"})
    assert "it will not verify: code changed during the run: signals.py" in train(repo).err
    assert verify(repo).codes == ["dirty"]
    assert records(repo)[0].edited == ("signals.py",)


def test_a_commit_made_during_the_run_changes_nothing(repo: Repo) -> None:
    first = repo.commit("commits", {"train.py": QUICK + "    os.system('git commit --quiet --allow-empty -m on')\n"})
    train(repo)
    assert repo.head != first
    assert verify(repo, first).status == 0
    assert verify(repo).status == 1


def test_results_may_be_written_and_are_recorded(repo: Repo) -> None:
    repo.policy('untracked-ok = ["out/**"]')
    script = "    Path('dvc.lock').write_text('2')\n    Path('out/m.bin').write_text('2')\n"
    repo.commit("results", {"dvc.lock": "1", "train.py": QUICK + script})
    repo.write({f"out/{number}.txt": "" for number in range(run_records.LISTED)})
    train(repo)
    assert verify(repo).status == 0
    assert records(repo)[0].allowed_by == ()
    assert records(repo)[0].wrote == ("dvc.lock", "out/m.bin")
    repo.write({"dvc.lock": "1"})
    train(repo)
    assert sorted(record.allowed_by for record in records(repo)) == [(), ("out/**",)]


def test_two_runs_at_once_do_not_mix(repo: Repo) -> None:
    """Both leave their session before either ends."""
    wait = "    print(train(name=sys.argv[1]).name, flush=True)\n    sys.stdin.read()\n"
    repo.commit("waits", {"train.py": QUICK.replace("    train()\n", wait)})
    words = [command("run", sys.executable, "train.py", name) for name in ("one", "two")]
    both = [_start(repo, word) for word in words]
    made = [child.stdout.readline().strip() for child in both if child.stdout]
    for child in both:
        child.communicate(timeout=120)
        assert child.returncode == 0
    found = {record.command[-1]: [session.id for session in record.sessions] for record in records(repo)}
    assert found == {"one": [made[0]], "two": [made[1]]}
    assert verify(repo).status == 0


# What becomes of records and sessions later


def test_a_session_that_was_cleared_away_is_judged_by_the_record(repo: Repo) -> None:
    repo.policy("[tool.git-clearml.best]", 'metric = "validation/accuracy"')
    train(repo)
    [session] = Path(os.environ["CLEARML_CACHE_DIR"], "offline").iterdir()
    for path in [*session.iterdir()]:
        path.unlink()
    session.rmdir()
    answer = verify(repo)
    assert answer.status == 0, answer.out
    assert any("its offline session is gone" in note for note in answer.commit["notes"]), answer.out


def test_a_damaged_session_does_not_verify(repo: Repo) -> None:
    train(repo)
    [session] = Path(os.environ["CLEARML_CACHE_DIR"], "offline").iterdir()
    (session / "task.json").write_bytes(b"")
    assert verify(repo).status == 1


def test_a_session_of_another_run_does_not_verify(repo: Repo) -> None:
    train(repo)
    path = record_file(repo)
    document = json.loads(path.read_text())
    path.unlink()
    document["id"] = "f" * 32
    path.with_name(f"{'f' * 32}.json").write_text(json.dumps(document))
    assert verify(repo).status == 1


def test_a_session_of_another_commit_is_no_evidence_for_the_record_s(repo: Repo) -> None:
    first = repo.head
    claims = f"    os.environ['CLEARML_VCS_COMMIT_ID'] = '{first}'\n    train()\n"
    repo.commit("claims", {"train.py": QUICK.replace("    train()\n", claims)})
    assert "its task names another commit" in train(repo).err
    assert verify(repo).status == 1
    assert verify(repo, first).status == 1


@pytest.mark.parametrize("content", [b"{", b'{"schema": 1}'])
def test_a_damaged_record_does_not_verify_and_stops_nothing(repo: Repo, content: bytes) -> None:
    train(repo)
    record_file(repo).write_bytes(content)
    assert verify(repo).status == 1
    record_file(repo).with_name("0.json").mkdir()
    result = run(repo, sys.executable, "train.py")
    assert result.status == 0
    assert verify(repo).status == 0


def test_a_record_that_cannot_be_written_is_a_loud_warning(repo: Repo) -> None:
    (repo.path / ".git" / "clearml").write_text("in the way")
    result = run(repo, "-q", "--", "sh", "-c", "exit 5")
    assert result.status == 5
    assert "warning: this run is NOT RECORDED and will never verify" in result.err
    result = train(repo)
    assert result.err.count("NOT RECORDED") == 1
    assert re.search(r"ran [0-9a-f]{7} \(exit 0, .*\); it will not verify: it is not recorded", result.err)
    assert "recorded the run" not in result.err
    assert verify(repo).status == 1


# Refusals


def test_a_dirty_tree_is_refused_and_nothing_runs(repo: Repo) -> None:
    repo.write({"train.py": "print('edited')\n", "new.py": ""})
    result = run(repo, "touch", "ran")
    assert (result.status, result.out) == (1, "")
    assert f"not run: 2 files differ from commit {repo.head[:7]}: train.py, new.py (not tracked)" in result.err
    assert "hint: git add --all && git commit\nhint: git clearml run --allow-dirty -- touch ran\n" in result.err
    (repo.path / "new.py").unlink()
    assert "hint: git commit --all\n" in run(repo, "touch", "ran").err
    assert not (repo.path / "ran").exists()
    assert not (repo.path / ".git" / "clearml").exists()


def test_a_refusal_names_ten_files_and_counts_the_rest(repo: Repo) -> None:
    repo.write({f"n{number:02}.py": "" for number in range(13)})
    result = run(repo, "true")
    assert "13 files differ" in result.err
    assert "n09.py (not tracked) and 3 more" in result.err
    assert "n10" not in result.err


def test_untracked_files_that_the_policy_allows_are_no_hindrance(repo: Repo) -> None:
    repo.policy('untracked-ok = ["out/**"]')
    repo.write({"out/model.bin": ""})
    train(repo)
    assert records(repo)[0].untracked == ("out/model.bin",)
    assert verify(repo).status == 0
    repo.write({"out/code.py": ""})
    assert run(repo, "true").status == 1


def test_an_uncommitted_policy_allows_nothing(repo: Repo) -> None:
    repo.policy('untracked-ok = ["out/**"]', commit=False)
    repo.write({"out/model.bin": ""})
    assert "out/model.bin" in run(repo, "true").err


@pytest.mark.parametrize("words", [(), ("--dry-run", "--")])
def test_no_command_is_a_usage_error(repo: Repo, words: tuple[str, ...]) -> None:
    result = run(repo, *words)
    assert result.status == 2
    assert "no command given" in result.talk()[0]


def test_a_flag_that_does_not_exist_is_a_usage_error(repo: Repo) -> None:
    assert run(repo, "--alow-dirty", "true").status == 2


def test_places_where_nothing_can_run(repo: Repo, tmp_path: Path) -> None:
    bare = tmp_path / "bare.git"
    repo.git("clone", "--quiet", "--bare", str(repo.path), str(bare))
    empty = make_repo(tmp_path / "empty", {})
    (tmp_path / "plain").mkdir()
    for place, said in ((bare, "bare"), (empty.path, "no commits yet"), (tmp_path / "plain", "not a git repository")):
        result = inside("run", "true", cwd=place)
        assert result.status == 2
        assert said in result.talk()[0]


def test_half_a_server_is_an_error_before_anything_runs(repo: Repo) -> None:
    result = run(repo, "touch", "ran", env={**SERVER, "CLEARML_API_HOST": None})
    assert result.status == 3
    assert not (repo.path / "ran").exists()


def test_a_dirty_run_is_refused_where_clearml_would_store_no_diff(repo: Repo, tmp_path: Path) -> None:
    conf = tmp_path / "clearml.conf"
    conf.write_text("sdk { development { store_uncommitted_code_diff: false } }")
    repo.write({"train.py": "# edited\n"})
    result = run(repo, "--allow-dirty", "touch", "ran", env={**SERVER, "CLEARML_CONFIG_FILE": str(conf)})
    assert result.status == 2
    assert "store_uncommitted_code_diff" in result.talk()[0]
    assert not (repo.path / "ran").exists()


# What the command is handed


def test_clearml_is_told_the_facts(repo: Repo) -> None:
    repo.git("remote", "set-url", "origin", "https://me:secret@example.com/team/project.git")
    theirs = {"CLEARML_VCS_DIFF": "", "CLEARML_VCS_ENTRY_POINT": "x", "TRAINS_VCS_COMMIT_ID": "f" * 40}
    found = environment_of(repo, **theirs, CLEARML_LOG_LEVEL="ERROR")
    assert {name: value for name, value in found.items() if "_VCS_" in name} == {
        "CLEARML_VCS_REPO_URL": "https://example.com/team/project.git",
        "CLEARML_VCS_COMMIT_ID": repo.head,
        "CLEARML_VCS_BRANCH": "main",
        "CLEARML_VCS_ROOT": str(repo.path),
    }
    assert found["CLEARML_TASK_NO_REUSE"] == "1"
    assert found["CLEARML_OFFLINE_MODE"] == "1"
    assert found["CLEARML_LOG_LEVEL"] == "ERROR"
    assert found["CLEARML_LOG_ENVIRONMENT"] == "GIT_CLEARML_RUN"
    assert found["GIT_CLEARML_RUN"] == records(repo)[0].id


def test_a_detached_head_has_no_branch(repo: Repo) -> None:
    repo.git("checkout", "--quiet", "--detach")
    assert "CLEARML_VCS_BRANCH" not in environment_of(repo)


def test_the_remote_is_the_branch_s_own(repo: Repo) -> None:
    repo.git("remote", "add", "fork", "git@example.com:me/project.git")
    assert environment_of(repo)["CLEARML_VCS_REPO_URL"] == "https://example.com/team/project.git"
    repo.git("config", "branch.main.remote", "fork")
    assert environment_of(repo)["CLEARML_VCS_REPO_URL"] == "git@example.com:me/project.git"
    repo.git("config", "branch.main.remote", ".")
    repo.git("config", "remote.pushDefault", "fork")
    repo.git("config", "url.https://mirror.example.com/.insteadOf", "git@example.com:")
    assert environment_of(repo)["CLEARML_VCS_REPO_URL"] == "https://mirror.example.com/me/project.git"


def test_what_the_user_logs_stays_logged(repo: Repo, tmp_path: Path) -> None:
    conf = tmp_path / "clearml.conf"
    conf.write_text('sdk { development { log_os_environments: ["AWS_*", "CUDA"] } }')
    from_file = environment_of(repo, CLEARML_CONFIG_FILE=str(conf))
    assert from_file["CLEARML_LOG_ENVIRONMENT"] == "AWS_*,CUDA,GIT_CLEARML_RUN"
    chosen = environment_of(repo, CLEARML_CONFIG_FILE=str(conf), CLEARML_LOG_ENVIRONMENT="*, GIT_CLEARML_RUN")
    assert chosen["CLEARML_LOG_ENVIRONMENT"] == "*,GIT_CLEARML_RUN"
    assert environment_of(repo, TRAINS_LOG_ENVIRONMENT="A")["CLEARML_LOG_ENVIRONMENT"] == "A,GIT_CLEARML_RUN"


def test_a_dirty_run_tells_what_is_dirty(repo: Repo) -> None:
    repo.write({"train.py": "# \xe4dited\n", "new.py": ""})
    found = environment_of(repo, "--allow-dirty")
    assert decoded(found["CLEARML_VCS_STATUS"]) == " M train.py\n?? new.py\n"
    assert decoded(found["CLEARML_VCS_DIFF"]).startswith("diff --git a/train.py b/train.py\n")
    assert "+# \xe4dited" in decoded(found["CLEARML_VCS_DIFF"])
    [record] = records(repo)
    assert (record.dirty, record.untracked) == (("train.py",), ("new.py",))


def test_untracked_code_alone_is_a_diff_too(repo: Repo) -> None:
    repo.write({"new.py": ""})
    diff = decoded(environment_of(repo, "--allow-dirty")["CLEARML_VCS_DIFF"])
    assert diff == f"{MARKER}files that git does not track: new.py\n"


def test_a_large_diff_that_is_no_utf8_fits_into_a_variable(repo: Repo) -> None:
    (repo.path / "train.py").write_bytes(b"\xff\xe4 \xc3\xa4 line\n" * 100_000)
    diff = environment_of(repo, "--allow-dirty")["CLEARML_VCS_DIFF"]
    assert 99_000 < len(diff) <= 100_000
    assert decoded(diff).splitlines()[-1].startswith(f"{MARKER}cut here, ")


def test_a_dirty_run_runs_and_never_verifies(repo: Repo) -> None:
    repo.write({"signals.py": "# edited\n"})
    assert "it will not verify: uncommitted changes in signals.py" in train(repo, "--allow-dirty").err
    assert verify(repo).codes[0] == "dirty"
    repo.git("checkout", "signals.py")
    repo.write({"new.py": ""})
    train(repo, "--allow-dirty")
    (repo.path / "new.py").unlink()
    assert verify(repo).status == 1
    train(repo)
    assert verify(repo).status == 0


@pytest.mark.parametrize(("value", "offline"), [("2.30", True), ("0", False), ("", False)])
def test_offline_mode_is_the_user_s_choice_with_a_server(repo: Repo, value: str, offline: bool) -> None:
    result = run(repo, "--dry-run", "true", env={**SERVER, "CLEARML_OFFLINE_MODE": value})
    assert ("CLEARML_OFFLINE_MODE=1" in result.out) is offline
    assert "secretsecret" not in result.out + result.err


def test_a_dry_run_shows_the_plan_and_does_nothing(repo: Repo) -> None:
    result = run(repo, "--dry-run", "--", "touch", "a file", "-q")
    assert result.status == 0
    assert f"CLEARML_VCS_COMMIT_ID={repo.head}" in result.out.splitlines()
    assert result.out.splitlines()[-1] == "touch 'a file' -q"
    assert not (repo.path / "a file").exists()
    assert not (repo.path / ".git" / "clearml").exists()


# What passes through


@pytest.mark.parametrize("separator", [(), ("--",)])
def test_the_command_keeps_its_flags(repo: Repo, separator: tuple[str, ...]) -> None:
    flags = ["-q", "--verbose", "--", "--allow-dirty", "--format", "json"]
    words = (sys.executable, "-c", "import sys; print(sys.argv[1:])", *flags)
    assert run(repo, "-q", *separator, *words).out == f"{flags}\n"


@pytest.mark.parametrize(
    ("script", "status"),
    [("exit 0", 0), ("exit 255", 255), ("kill -KILL $$", 137)],
)
def test_the_exit_status_is_the_command_s(repo: Repo, script: str, status: int) -> None:
    assert run(repo, "sh", "-c", script).status == status
    assert records(repo)[0].exit_status == status


def test_commands_that_cannot_start_are_recorded(repo: Repo) -> None:
    repo.commit("script", {"plain.sh": "echo $1 ran\n", "README": ""})
    missing, refused = run(repo, "no-such-command"), run(repo, "./README")
    assert (missing.status, refused.status) == (127, 126)
    assert "command not found: no-such-command" in missing.err
    assert "cannot execute ./README: Permission denied" in refused.err
    assert [record.exit_status for record in records(repo)] == [127, 126]
    (repo.path / "plain.sh").chmod(0o755)
    repo.commit("executable")
    assert run(repo, "./plain.sh", "it").out == "it ran\n"


def test_streams_are_the_command_s_own(repo: Repo) -> None:
    content = bytes(range(256)) * 1000
    done = subprocess.run(
        command("run", "cat"), cwd=repo.path, env=process_environment(), input=content, capture_output=True, timeout=60
    )
    assert (done.returncode, done.stdout) == (0, content)
    assert done.stderr.count(b"\n") == 2  # the line, and a hint for want of a task


def test_quiet_says_nothing(repo: Repo) -> None:
    result = run(repo, "-q", "true")
    assert (result.out, result.err) == ("", "")


# Signals


def _start(repo: Repo, words: list[str], **options: Any) -> subprocess.Popen[str]:
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
    return subprocess.Popen(words, cwd=repo.path, env=process_environment(), text=True, **{**pipes, **options})


def _line(child: subprocess.Popen[str]) -> str:
    assert child.stdout
    return child.stdout.readline().strip()


@pytest.mark.parametrize(
    "name",
    [
        "SIGINT",
        "SIGTERM",
        "SIGUSR1",
        *(pytest.param(name, marks=pytest.mark.slow) for name in ("SIGHUP", "SIGQUIT", "SIGUSR2")),
    ],
)
def test_signals_to_us_reach_the_command_once_and_we_outlive_it(repo: Repo, name: str) -> None:
    child = _start(repo, command("run", sys.executable, "signals.py"))
    assert _line(child) == "ready"
    child.send_signal(getattr(signal, name))
    assert _line(child) == f"got {name}"
    out, _ = child.communicate("end\n", timeout=120)
    assert (out, child.returncode) == ("", 7)
    assert records(repo)[0].exit_status == 7


def test_an_interrupted_command_is_recorded_as_failed(repo: Repo) -> None:
    child = _start(repo, command("run", "sh", "-c", "echo ready; read line; exit 0"))
    assert _line(child) == "ready"
    child.send_signal(signal.SIGINT)
    assert child.wait(timeout=120) == 130
    assert "exit 130" in child.communicate()[1]
    assert "run-failed" in verify(repo).codes


def test_ctrl_c_of_a_terminal_arrives_once(repo: Repo) -> None:
    """The terminal sends it to the whole group. SIGUSR1 comes after it: so a second one would have been told before."""
    words, environment = command("run", sys.executable, "signals.py"), process_environment()
    pid, terminal = pty.fork()
    if pid == 0:  # pragma: no cover
        os.chdir(repo.path)
        os.execvpe(words[0], words, environment)
    told = b""

    def until(text: bytes) -> None:
        nonlocal told
        while text not in told:
            told += os.read(terminal, 1000)

    until(b"ready")
    os.write(terminal, b"\x03")
    until(b"got SIGINT")
    os.kill(pid, signal.SIGUSR1)
    until(b"got SIGUSR1")
    assert told.count(b"got SIGINT") == 1
    os.kill(pid, signal.SIGINT)
    os.kill(pid, signal.SIGUSR2)
    until(b"got SIGUSR2")
    assert told.count(b"got SIGINT") == 2
    os.write(terminal, b"end\n")
    until(b"recorded the run")
    assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 7
    os.close(terminal)


def test_what_was_ignored_stays_ignored(repo: Repo) -> None:
    check = "import signal; print(int(signal.getsignal(signal.SIGHUP)))"
    nohup = ["sh", "-c", 'trap "" HUP; exec "$@"', "sh", *command("run", sys.executable, "-S", "-c", check)]
    child = _start(repo, nohup)
    assert _line(child).strip() == "1"  # SIG_IGN
    child.communicate(timeout=120)


def test_a_run_that_is_killed_leaves_an_open_record_that_never_verifies(repo: Repo) -> None:
    repo.commit("waits", {"train.py": QUICK + "    print('ready', flush=True)\n    sys.stdin.read()\n"})
    child = _start(repo, command("run", sys.executable, "train.py"))
    assert _line(child) == "ready"
    answer = verify(repo)
    assert (answer.status, answer.json["outcome"]) == (4, "pending"), answer.out
    child.kill()
    child.wait()
    [record] = records(repo)
    assert (record.ended, record.exit_status) == ("", None)
    answer = verify(repo)
    assert answer.status == 1
    assert "run-failed" in answer.codes
    assert any("killed" in message for message in answer.messages)
    child.communicate(timeout=120)
    assert inside("run", "true", cwd=repo.path).status == 0


def test_a_thread_that_lives_on_does_not_hide_the_end_of_the_command() -> None:
    """A signal to a process goes to any thread that does not block it, if the command ends before we wait for it."""
    script = """
import sys, threading, time
from git_clearml.run.child import Signals

class Late(Signals):
    def _start(self, *arguments):
        pid = super()._start(*arguments)
        time.sleep(0.5)
        return pid

threading.Thread(target=time.sleep, args=(600,), daemon=True).start()
with Late() as signals:
    sys.exit(signals.run(["sh", "-c", "exit 7"], {"PATH": "/usr/bin:/bin"}).status)
"""
    done = subprocess.run([sys.executable, "-c", script], env=process_environment(), timeout=120, check=False)
    assert done.returncode == 7
