"""A remembered push: sh answers by itself, and starts no Python; whatever has changed, git-clearml decides."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.support.clearml_server import ClearMLServer
from tests.support.program import ROOT
from tests.support.pushing import HOOK, SHELLS, Yard, line, make_yard, on_path, quick, run_hook, shim, write_hook
from tests.support.repos import Repo

DAY = 86_400
COUNT = iter(range(1_000_000))


@pytest.fixture
def yard(tmp_path: Path) -> Iterator[Yard]:
    """A yard that has pushed HEAD once, and of which only the sh of the hook remembers it."""
    with ClearMLServer() as server, quick(make_yard(tmp_path, server)) as yard:
        yard.install()
        yard.publish()
        yard.repo.git("remote", "set-head", "origin", "main")
        yard.task()
        push(yard, 1)
        yield yard


def push(yard: Yard, requests: int | None, *words: str, **options: object) -> str:
    """HEAD to one more branch, or these words: accepted after so many requests. What git-clearml itself remembers is
    forgotten first: where nothing is asked it was the sh that answered."""
    for file in yard.memory.glob("*"):
        file.unlink()
    yard.server.reset_log()
    pushed = yard.accepts("origin", *(words or (f"HEAD:refs/heads/b{next(COUNT)}",)), requests=requests, **options)
    return "\n".join(pushed.lines())


def entries(yard: Yard) -> list[Path]:
    return [path for path in (yard.memory.parent / "pushed").rglob("*") if path.is_file()]


def entry(yard: Yard) -> Path:
    (file,) = entries(yard)
    return file


def test_the_line_is_the_one_that_git_clearml_prints_for_a_cached_verdict(yard: Yard) -> None:
    assert push(yard, 0, "HEAD:refs/heads/second") == f"git clearml: verified {yard.repo.head[:12]} (second)"
    assert push(yard, 0, "HEAD:refs/heads/ä") == f"git clearml: verified {yard.repo.head[:12]}"
    assert push(yard, 0, "HEAD:refs/heads/x", "HEAD:refs/heads/y", ":second") == "git clearml: verified 2 refs"


def test_each_ref_has_to_be_remembered(yard: Yard) -> None:
    first = yard.repo.head
    yard.repo.commit("more")
    yard.task()
    push(yard, 1, "HEAD:refs/heads/x", f"{first}:refs/heads/y")
    push(yard, 0, "HEAD:refs/heads/x2", f"{first}:refs/heads/y2")
    yard.repo.commit("yet more")
    assert yard.push("origin", f"{first}:refs/heads/x3", "HEAD:refs/heads/y3").status == 1


def test_an_update_is_remembered_for_the_commit_that_it_replaces(yard: Yard) -> None:
    old = yard.repo.head
    push(yard, 0, "HEAD:refs/heads/a", "HEAD:refs/heads/b")
    yard.repo.commit("more")
    yard.task()
    push(yard, 1, "HEAD:refs/heads/a")
    push(yard, 0, "HEAD:refs/heads/b")
    assert {file.name for file in entries(yard)} == {f"{old}-new", f"{yard.repo.head}-{old}"}


def test_a_tag_is_remembered_by_its_object(yard: Yard) -> None:
    yard.repo.policy('protect = ["refs/tags/*"]')
    yard.publish("HEAD:refs/heads/main")
    yard.task()
    yard.repo.git("tag", "-a", "v1", "-m", "v1")
    push(yard, 1, "v1")
    yard.repo.git("push", "--quiet", "--no-verify", "origin", ":v1")
    push(yard, 0, "v1")


def test_what_no_policy_gates_is_not_remembered(yard: Yard) -> None:
    before = entries(yard)
    yard.repo.git("tag", "v1")
    push(yard, 0, "v1")
    assert entries(yard) == before


def change_conf(yard: Yard) -> None:
    """Other credentials in a file of the same size and time."""
    conf = Path(yard.env["HOME"] or "", "clearml.conf")
    status = conf.stat()
    conf.write_text(conf.read_text().replace("# a", "# b"))
    os.utime(conf, ns=(status.st_atime_ns, status.st_mtime_ns))


def change_default(yard: Yard) -> None:
    """Somebody else has changed the policy, and this clone has fetched it."""
    other = yard.repo.git("commit-tree", "HEAD^{tree}", "-m", "other").strip()
    yard.repo.git("update-ref", "refs/remotes/origin/main", other)


def git_config(*words: str) -> Callable[[Yard], object]:
    return lambda yard: yard.repo.git("config", *words)


def environment(**values: str) -> Callable[[Yard], object]:
    return lambda yard: yard.env.update(values)


@pytest.mark.parametrize("line", ["Include config.d/*", "\tinclude = ~/hosts", 'INCLUDE "a b"'])
def test_hosts_that_are_called_something_in_an_included_file(line: str, yard: Yard, tmp_path: Path) -> None:
    """That one may change, and the hook does not read it."""
    yard.env["HOME"] = str(tmp_path)
    Repo(tmp_path).write({".ssh/config": f"Host a\n  HostName b\n{line}\n"})
    push(yard, 1)
    push(yard, 1)
    Repo(tmp_path).write({".ssh/config": "Host a # include\n  HostName include\n"})
    push(yard, 1)
    push(yard, 0)


CHANGES: dict[str, Callable[[Yard], object]] = {
    "the accepted policy": change_default,
    "clearml.conf": change_conf,
    "the access key": environment(CLEARML_API_ACCESS_KEY="ANOTHERKEY"),
    "the secret key": environment(CLEARML_API_SECRET_KEY="another-secret"),
    "a token": environment(CLEARML_AUTH_TOKEN="another-token"),
    "the web server": environment(CLEARML_WEB_HOST="https://app.example.com"),
    "how long": environment(GIT_CLEARML_REMEMBER="60"),
    "never": git_config("clearml.remember", "0"),
    "a limit": git_config("clearml.timeout", "5"),
    "a folder of configuration": environment(CLEARML_CONFIG_PATH="/etc/clearml"),
    "what a host is called": lambda yard: Repo(Path(yard.env["HOME"] or "")).write({".ssh/config": "Host work\n"}),
    "another remote": git_config("remote.second.url", "https://example.com/team/second.git"),
    "another URL": git_config("url.https://example.com/.insteadOf", "example:"),
    **{f"CI by {name}": environment(**{name: "1"}) for name in ("CI", "GITHUB_ACTIONS", "GITLAB_CI", "JENKINS_URL")},
}  # fmt: skip


def test_whatever_it_hung_on_has_changed(yard: Yard, tmp_path: Path) -> None:
    """One after the other; what was remembered before holds again once a change is taken back."""
    yard.env["HOME"] = str(tmp_path)
    conf, config, ssh = tmp_path / "clearml.conf", yard.repo.path / ".git" / "config", tmp_path / ".ssh"
    conf.write_text("# a\n")
    push(yard, 1)
    env, text, tasks, main = dict(yard.env), config.read_text(), dict(yard.server.tasks), yard.repo.head
    for name, change in CHANGES.items():
        push(yard, 0)
        change(yard)
        yard.server.tasks.clear()  # so that a belief would be seen
        for file in yard.memory.glob("*"):
            file.unlink()
        assert yard.push("origin", "HEAD:refs/heads/x").status != 0, name
        yard.env = dict(env)
        config.write_text(text)
        conf.write_text("# a\n")
        shutil.rmtree(ssh, ignore_errors=True)
        yard.repo.git("update-ref", "refs/remotes/origin/main", main)
        yard.server.tasks.update(tasks)


@pytest.mark.parametrize("where", ["a blank at its end", "no HOME"])
def test_a_clearml_conf_that_only_python_finds(where: str, yard: Yard, tmp_path: Path) -> None:
    credentials = 'api { api_server: "%s", credentials { access_key: "%s", secret_key: "%s" } } # a\n'
    names = ("CLEARML_API_HOST", "CLEARML_API_ACCESS_KEY", "CLEARML_API_SECRET_KEY")
    (tmp_path / "clearml.conf").write_text(credentials % tuple(yard.server.env[name] for name in names))
    yard.env.update(dict.fromkeys(names))
    blank = {"CLEARML_CONFIG_FILE": f"{tmp_path}/clearml.conf "}
    yard.env.update(blank if where != "no HOME" else {"HOME": None, "USERPROFILE": str(tmp_path)})
    push(yard, 1)
    (tmp_path / "clearml.conf").write_text((tmp_path / "clearml.conf").read_text().replace("# a", "# b"))
    push(yard, 1)


def test_a_remote_that_was_empty_has_accepted_something_since(tmp_path: Path) -> None:
    with ClearMLServer() as server, quick(make_yard(tmp_path, server)) as yard:
        yard.install()
        yard.task()
        push(yard, 1, "HEAD:refs/heads/x")
        policy = yard.repo.git("commit-tree", "HEAD^{tree}", "-p", "HEAD", "-m", "a colleague's").strip()
        yard.remote.git("fetch", "--quiet", str(yard.repo.path), f"{policy}:refs/heads/main")
        yard.repo.git("prune", "--expire=now")
        yard.refuses("origin", "HEAD:refs/heads/y", by_us="policy that applies is unknown", requests=0)


def test_a_push_to_a_path_knows_the_default_branch_by_another_name(yard: Yard) -> None:
    """The hook has hashed no branch of that remote, so a fetch that changes the policy would be missed."""
    where, main = str(yard.remote.path), yard.repo.head
    yard.accepts(where, "HEAD:refs/heads/x", requests=None)
    other = yard.repo.policy('project = "Other"')
    yard.repo.git("update-ref", "refs/remotes/origin/main", other)
    yard.refuses(where, f"{main}:refs/heads/y")


def test_a_tag_of_a_blob_names_no_policy(yard: Yard) -> None:
    """The default branch's judges a tag that replaces it, and that may change."""
    first = yard.repo.policy('protect = ["refs/tags/*"]')
    yard.publish("HEAD:refs/heads/main")
    yard.repo.git("tag", "v1", "HEAD:train.py")
    yard.publish("refs/tags/v1", "refs/tags/v1:refs/tags/v2")
    yard.task()
    push(yard, 1, "--force", "HEAD:refs/tags/v1", "HEAD:refs/tags/v3")
    yard.repo.policy('protect = ["refs/tags/*"]', 'project = "Other"')
    yard.publish("HEAD:refs/heads/main")
    yard.refuses("--force", "origin", f"{first}:refs/tags/v2")


def test_the_server_and_the_url_that_is_pushed_to(yard: Yard, tmp_path: Path) -> None:
    with ClearMLServer() as other:
        assert yard.push("origin", "HEAD:refs/heads/x", env={"CLEARML_API_HOST": other.url}).status == 1
    shutil.copytree(yard.remote.path, tmp_path / "copy.git")
    yard.repo.git("config", "remote.origin.url", str(tmp_path / "copy.git"))
    yard.server.tasks.clear()
    assert yard.push("origin", "HEAD:refs/heads/x").status == 1


def test_another_program_or_version(yard: Yard, tmp_path: Path) -> None:
    (tmp_path / "bin").mkdir()
    starts = shim(tmp_path / "bin")
    env = {"PATH": on_path(tmp_path / "bin")}
    push(yard, 1, env=env)
    push(yard, 0, env=env)
    assert starts.read_text() == "start\n"
    yard.forget_pushes()
    push(yard, 1)
    file = entry(yard)
    lines = file.read_text().splitlines()
    assert (Path(lines[2]).name, Path(lines[3])) == (
        f"git_clearml-{version()}.dist-info",
        ROOT / "git_clearml" / "__init__.py",
    )
    file.write_text("\n".join([*lines[:2], str(tmp_path / "gone"), lines[3], ""]))
    push(yard, 1)
    push(yard, 0)
    os.utime(file, (1, 1))  # older than the program's files
    push(yard, 1)


def version() -> str:
    from git_clearml import __version__

    return __version__


def rewrite(file: Path, verified: int, expires: int) -> None:
    file.write_text(re.sub(r"verified \d+ \d+", f"verified {verified} {expires}", file.read_text()))


def test_it_expires_after_a_day_and_a_time_to_come_is_none(yard: Yard) -> None:
    file, now = entry(yard), int(time.time())
    verified, expires = map(int, file.read_text().split()[1:3])
    assert (expires - verified, 0 <= now - verified < 60) == (DAY, True)
    for dates, asked in {(now - DAY + 100, now + 100): 0, (now - DAY, now): 1, (now + 100, now + DAY): 1}.items():
        rewrite(file, *dates)
        push(yard, asked)


def test_what_git_clearml_remembers_is_good_for_the_rest_of_its_day_only(yard: Yard) -> None:
    """Not for another day from when sh could have used it."""
    verified, _ = map(int, entry(yard).read_text().split()[1:3])
    yard.accepts("origin", "HEAD:refs/heads/x", requests=0)
    yard.forget_pushes()
    push(yard, 1, "HEAD:refs/heads/y")
    (kept,) = yard.memory.iterdir()
    kept.write_text(re.sub(r'"verified": [\d.]+', f'"verified": {verified - 1000}.5', kept.read_text()))
    yard.forget_pushes()
    yard.accepts("origin", "HEAD:refs/heads/z", requests=0)
    assert entry(yard).read_text().startswith(f"verified {verified - 1000} {verified - 1000 + DAY}\n")


def _instead(make: Callable[[Path], object]) -> Callable[[Path], object]:
    def replace(file: Path) -> None:
        file.unlink()
        make(file)

    return replace


DAMAGE: dict[str, Callable[[Path], object]] = {
    "empty": lambda file: file.write_bytes(b""),
    "cut": lambda file: file.write_bytes(file.read_bytes()[:40]),
    "without an end of line": lambda file: file.write_bytes(file.read_bytes().rstrip(b"\n")),
    "garbage": lambda file: file.write_bytes(os.urandom(4000)),
    "zeros": lambda file: file.write_bytes(bytes(4000)),
    "JSON": lambda file: file.write_text('{"verified": 1}\n' * 6),
    "no numbers": lambda file: file.write_text(re.sub(r"\d+ \d+", "1 x", file.read_text(), count=1)),
    "negative": lambda file: file.write_text(re.sub(r"\d+ (\d+)", r"-1 \1", file.read_text(), count=1)),
    "an expression": lambda file: file.write_text(re.sub(r"\d+ (\d+)", r"0+1 \1", file.read_text(), count=1)),
    "too large": lambda file: file.write_text(re.sub(r"(\d+ \d+)", r"\g<1>" + "9" * 30, file.read_text(), count=1)),
    "another default branch": lambda file: file.write_text(
        re.sub(r"\n[0-9a-f ]*\n", f"\n{'1' * 40}\n", file.read_text(), count=1)
    ),
    "a directory": _instead(Path.mkdir),
    "a named pipe": _instead(os.mkfifo),
    "a link": _instead(lambda file: file.symlink_to(_moved(file))),
    "a link to nowhere": _instead(lambda file: file.symlink_to("nowhere")),
}  # fmt: skip


def _moved(file: Path) -> Path:
    target = file.parent / "elsewhere"
    target.write_text("verified 1 99999999999\n\n/\n/\n")
    return target


def test_damage_is_decided_anew(yard: Yard) -> None:
    file = entry(yard)
    sound = file.read_bytes()
    for name, damage in DAMAGE.items():
        damage(file)
        assert push(yard, 1), name
        if file.is_dir():
            file.rmdir()
        else:
            file.unlink()
        file.write_bytes(sound)
    push(yard, 0)


@pytest.mark.skipif(os.geteuid() != 0, reason="only root gives files away")
def test_a_file_of_another_user_is_not_believed(yard: Yard) -> None:
    os.chown(entry(yard), 12345, -1)
    push(yard, 1)


@pytest.mark.parametrize("text", ["include 'other.conf'\n", "a: ${KEY}\n", "# fine\na { b: ${?X} }"])
def test_a_clearml_conf_that_takes_values_from_elsewhere(text: str, yard: Yard, tmp_path: Path) -> None:
    yard.env["HOME"] = str(tmp_path)
    (tmp_path / "clearml.conf").write_text("# include, ${and}\na: 1\n")
    push(yard, 1)
    push(yard, 0)
    (tmp_path / "clearml.conf").write_text(text)
    push(yard, 1)
    push(yard, 1)


def test_the_files_are_private(yard: Yard) -> None:
    file = entry(yard)
    assert file.stat().st_mode & 0o777 == 0o600
    assert {path.stat().st_mode & 0o777 for path in (file.parent, file.parent.parent)} == {0o700}
    content = "".join(path.read_text() + path.name for path in entries(yard))
    assert yard.server.access_key not in content
    assert yard.server.secret_key not in content


def test_a_hooks_directory_in_the_tree_brings_no_memory_of_its_own(yard: Yard) -> None:
    """The verdicts lie in the git directory; what a commit has beside its hooks is not looked at."""
    kept = yard.memory.parent / "pushed"
    hooks = yard.repo.path / "hooks"
    write_hook(hooks / "pre-push", HOOK.read_bytes())
    yard.repo.git("config", "core.hooksPath", "hooks")
    os.rename(kept, yard.repo.path / "kept")
    (yard.repo.path / "clearml").mkdir()
    os.rename(yard.repo.path / "kept", yard.repo.path / "clearml" / "pushed")
    push(yard, 1)


def test_old_circumstances_are_forgotten(yard: Yard) -> None:
    for number in range(60):
        place = entry(yard).parent.parent / f"{number:064x}"
        place.mkdir()
        os.utime(place, (number, number))
    yard.repo.commit("more")
    yard.task()
    push(yard, 1)
    assert len(list(entry_places(yard))) == 50
    push(yard, 0)


def entry_places(yard: Yard) -> Iterator[Path]:
    return (yard.memory.parent / "pushed").iterdir()


@pytest.mark.parametrize("shell", SHELLS)
def test_every_shell_answers_with_two_gits_and_no_python(shell: str, yard: Yard, tmp_path: Path) -> None:
    for name in ("git", "git-clearml"):
        body = f'exec "{shutil.which("git")}" "$@"' if name == "git" else "exit 7"
        write_hook(tmp_path / "bin" / name, f"#!/bin/sh\necho {name} >>'{tmp_path}/starts'\n{body}\n")
    stdin = line("refs/heads/main", yard.repo.head, "refs/heads/x")
    arguments = ("origin", str(yard.remote.path))
    env = {name: value for name, value in yard.environment().items() if name != "PATH"}

    def hook() -> subprocess.CompletedProcess[bytes]:
        (tmp_path / "starts").write_text("")
        path = on_path(tmp_path / "bin")
        return run_hook(shell, yard.hook, stdin, path=path, arguments=arguments, env=env, cwd=yard.repo.path)

    assert hook().returncode == 7  # another program than the one that remembered
    gits = ["git"] * (2 if shutil.which("sha256sum") else 3)
    assert (tmp_path / "starts").read_text().split() == [*gits, "git-clearml"]
    rename_circumstances(shell, yard, tmp_path / "bin", arguments, env)
    done = hook()
    assert (done.returncode, done.stdout) == (0, b"")
    assert done.stderr.decode() == f"git clearml: verified {yard.repo.head[:12]} (x)\n"
    assert (tmp_path / "starts").read_text().split() == gits


def rename_circumstances(shell: str, yard: Yard, bin_: Path, arguments: tuple[str, ...], env: dict[str, str]) -> None:
    """Makes what is remembered that of this program: takes the digest that the hook hands over."""
    handed = bin_ / "handed-over"
    kept = (bin_ / "git-clearml").read_text()
    write_hook(bin_ / "git-clearml", f"#!/bin/sh\nprintf '%s' \"$_GIT_CLEARML_MEMORY\" >'{handed}'\n")
    stdin = line("refs/heads/main", yard.repo.head, "refs/heads/x")
    run_hook(shell, yard.hook, stdin, path=on_path(bin_), arguments=arguments, env=env, cwd=yard.repo.path)
    digest = handed.read_text().split()[0]
    os.rename(entry(yard).parent, entry(yard).parent.parent / digest)
    write_hook(bin_ / "git-clearml", kept)


@pytest.mark.parametrize("tool", ["sha256sum", "date", "cat"])
def test_where_a_tool_fails_git_clearml_decides(tool: str, yard: Yard, tmp_path: Path) -> None:
    assert yard.at_hand is not None
    real = f'[ $# -gt 0 ] || exec "{shutil.which("cat")}"\n' if tool == "cat" else ""
    write_hook(tmp_path / "bin" / tool, f"#!/bin/sh\n{real}exit 1\n")
    if tool == "cat":
        yard.env["HOME"] = str(tmp_path)
        (tmp_path / "clearml.conf").write_text("# a\n")
    path = os.pathsep.join([str(yard.at_hand.path), str(tmp_path / "bin"), os.environ["PATH"]])
    push(yard, 1, env={"PATH": path})


def test_where_there_is_no_sha256sum_git_hashes(yard: Yard, tmp_path: Path) -> None:
    assert yard.at_hand is not None
    tools = tmp_path / "tools"
    tools.mkdir()
    for directory in os.environ["PATH"].split(os.pathsep):
        for file in Path(directory).glob("*"):
            if file.name != "sha256sum" and not os.path.lexists(tools / file.name):
                (tools / file.name).symlink_to(file)
    env = {"PATH": os.pathsep.join([str(yard.at_hand.path), str(tools)])}
    yard.forget_pushes()
    push(yard, 1, env=env)
    push(yard, 0, env=env)
