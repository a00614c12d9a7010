"""docs/server.md: its commands, run as they stand, and what its files say."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml

from git_clearml.hook import script
from tests.support.clearml_server import ClearMLServer
from tests.support.program import ROOT
from tests.support.pushing import write_hook
from tests.support.receiving import Receiver, make_receiver, with_system_config
from tests.support.tools import needs

TEXT = (ROOT / "docs" / "server.md").read_text(encoding="utf-8")
SUDO = '#!/bin/sh\n[ "$1" != -u ] || shift 2\n[ "$1" != -- ] || shift\nexec "$@"\n'
NOTHING = "#!/bin/sh\nexit 0\n"
GITALY = '#!/bin/sh\n[ "$1 $2" = "hooks set" ] && tar -xf - -C "{repository}"\n'
"""As docs.gitlab.com has `hooks set`: a tarball on stdin, with a folder custom_hooks."""
PROGRAM = f'#!/bin/sh\nexec "{sys.executable}" -m git_clearml "$@"\n'


def blocks(section: str, language: str = "sh") -> list[str]:
    """The commands of a section, in their order."""
    part = TEXT.partition(f"\n## {section}\n")[2].partition("\n## ")[0]
    return re.findall(rf"```{language}\n(.*?)```", part, re.DOTALL)


@pytest.fixture
def receiver(tmp_path: Path) -> Iterator[Receiver]:
    with ClearMLServer() as server:
        yield make_receiver(tmp_path, server)


def follow(section: str, receiver: Receiver, place: Path, repository: str, commands: str = "") -> str:
    """Runs the section's commands, or these; its paths stand for those of the test. The system's git config."""
    env = {**os.environ, **with_system_config(place / "bin"), "PYTHONPATH": str(ROOT)}
    for name, content in (("sudo", SUDO), ("chgrp", NOTHING), ("python3", NOTHING)):
        write_hook(place / "bin" / name, content)
    write_hook(place / "opt" / "pip", NOTHING)
    write_hook(place / "opt" / "git-clearml", PROGRAM)
    write_hook(place / "gitlab" / "gitaly", GITALY.format(repository=receiver.remote.path))
    (place / "gitlab" / "git").symlink_to(place / "bin" / "git")
    commands = "set -e\n" + (commands or "".join(blocks(section)))
    for theirs, ours in {
        "/opt/git-clearml/bin": place / "opt",
        "/opt/gitlab/embedded/bin": place / "gitlab",
        "/etc/clearml.conf": receiver.conf,
        repository: receiver.remote.path,
    }.items():
        assert theirs in commands or "gitlab" in theirs
        commands = commands.replace(theirs, str(ours))
    env.pop("GIT_CONFIG_NOSYSTEM")
    done = subprocess.run(
        ["sh", "-c", commands],
        cwd=place,
        env=env,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert "FAIL" not in done.stdout
    return (place / "bin" / "gitconfig").read_text()


def is_gated(receiver: Receiver, place: Path, hook: str, **forge: str | None) -> None:
    """The hook is there, and it asks with the credentials and the names that the commands have set."""
    text = (receiver.remote.path / hook).read_bytes()
    assert script.with_python(text, "") == script.text("pre-receive")
    assert os.access(receiver.remote.path / hook, os.X_OK)
    system = {"PATH": os.pathsep.join([str(place / "bin"), os.environ["PATH"]]), "CLEARML_CONFIG_FILE": None}
    (place / "bin" / "python3").unlink()
    receiver.refuses(env={**system, **forge})


@needs("git 2.32")  # whose system configuration can be another file
def test_a_plain_bare_repository(receiver: Receiver, tmp_path: Path) -> None:
    follow("A plain bare repository", receiver, tmp_path, "/srv/git/project.git")
    is_gated(receiver, tmp_path, "hooks/pre-receive")


@needs("git 2.32")  # whose system configuration can be another file
def test_gitlab(receiver: Receiver, tmp_path: Path) -> None:
    config = follow("GitLab, self-managed", receiver, tmp_path, "@hashed/ab/cd/abcd.git")
    assert config.count("config-file") == 1
    receiver.remote.git("config", "--unset", "clearml.repository")
    gitlab = {"GL_ID": "user-1", "GL_PROTOCOL": "web", "GL_PROJECT_PATH": "team/project"}
    is_gated(receiver, tmp_path, "custom_hooks/pre-receive.d/git-clearml", **gitlab)
    system = {"PATH": os.pathsep.join([str(tmp_path / "bin"), os.environ["PATH"]]), "CLEARML_CONFIG_FILE": None}
    receiver.task(repository="git@gitlab.example.com:team/project.git")
    receiver.accepts(env={**system, **gitlab})


@needs("git 2.32")  # whose system configuration can be another file
def test_gitea(receiver: Receiver, tmp_path: Path) -> None:
    delegate = "#!/bin/sh\nfor hook in ${GIT_DIR}/hooks/${hookname}.d/*; do :; done\n"
    write_hook(receiver.remote.path / "hooks" / "pre-receive", delegate)
    write_hook(receiver.remote.path / "hooks" / "pre-receive.d" / "gitea", NOTHING)
    repository = "/var/lib/gitea/data/gitea-repositories/team/project.git"
    follow("Gitea and Forgejo", receiver, tmp_path, repository)
    is_gated(receiver, tmp_path, "hooks/pre-receive.d/git-clearml")


@needs("git 2.32")  # whose system configuration can be another file
def test_github_enterprise_server(receiver: Receiver, tmp_path: Path) -> None:
    """docker is not run here: what it runs is, but for what installs, and the hook with what such a server tells it."""
    section = "GitHub Enterprise Server"
    [recipe], [shell] = blocks(section, "dockerfile"), blocks(section)
    assert "RUN /opt/git-clearml/bin/pip install" in recipe
    [prints_hook] = re.findall(r"^docker run --rm git-clearml (.* > pre-receive)$", shell, re.MULTILINE)
    commands = "\n".join([*re.findall(r"^RUN (git config .*)$", recipe, re.MULTILINE), prints_hook])
    follow(section, receiver, tmp_path, "THERE", commands.replace("> ", "> THERE/hooks/"))
    (receiver.remote.path / "hooks" / "pre-receive").chmod(0o755)
    receiver.remote.git("config", "--unset", "clearml.repository")
    is_gated(receiver, tmp_path, "hooks/pre-receive", GITHUB_REPO_NAME="team/project")
    receiver.task(repository="git@github.example.com:team/project.git")
    system = {"PATH": os.pathsep.join([str(tmp_path / "bin"), os.environ["PATH"]]), "CLEARML_CONFIG_FILE": None}
    receiver.accepts(env={**system, "GITHUB_REPO_NAME": "team/project"})


def test_the_ruleset_of_an_organisation() -> None:
    """The workflow that it names is the one above it, which runs the steps of ci.md's first recipe without rights."""
    [workflow], [ruleset] = blocks("github.com", "yaml"), blocks("github.com", "json")
    ours, rules = yaml.safe_load(workflow), json.loads(ruleset)
    [first] = re.findall(r"```yaml\n(.*?)```", (ROOT / "docs" / "ci.md").read_text(encoding="utf-8"), re.DOTALL)[:1]
    [job], [theirs] = ours["jobs"].values(), yaml.safe_load(first)["jobs"].values()
    assert [step.get("uses") for step in job["steps"]] == [step.get("uses") for step in theirs["steps"]]
    assert job["permissions"] == {"contents": "read"}
    assert {"pull_request", "merge_group"} == set(ours[True])
    [required] = [rule["parameters"] for rule in rules["rules"] if rule["type"] == "workflows"]
    assert required["workflows"][0]["path"] in TEXT.partition("```yaml")[0]
    assert rules["bypass_actors"] == []


pytestmark = needs("tar")
