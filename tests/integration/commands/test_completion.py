"""Completion in a real bash: of `git-clearml`, and of `git clearml` as git's own completion calls it."""

from __future__ import annotations

import shlex
import subprocess

import pytest

from git_clearml import cli
from git_clearml.commands import completion_scripts
from git_clearml.model import RunRecord
from git_clearml.run.store import RunStore
from tests.integration.commands.test_log import note
from tests.support.program import Gate
from tests.support.tools import needs, where_there_is

_DRIVER = """
gits=/usr/share/bash-completion/completions/git  # where Debian and most others have it
[ -r "$gits" ] && source "$gits"
source "$1"
complete -p git-clearml
while IFS= read -r line; do
    eval "words=($line)"; cword=$((${#words[@]} - 1)); COMPREPLY=()
    if [ "${words[0]}" = git ] && declare -F __git_wrap__git_main >/dev/null; then
        COMP_WORDS=("${words[@]}"); COMP_CWORD=$cword; COMP_LINE=$line; COMP_POINT=${#line}; words=(); unset cword
        __git_wrap__git_main
    elif [ "${words[0]}" = git ]; then
        _git_clearml
    else
        COMP_WORDS=("${words[@]}"); COMP_CWORD=$cword; words=(); unset cword
        _shtab_git_clearml
    fi
    printf '%s ' "${COMPREPLY[@]}"; echo
done
"""


def bash(gate: Gate, *lines: str) -> list[set[str]]:
    """What bash offers for the last word of each line."""
    script = gate.repo.path / ".git" / "completion"
    script.write_text(gate.call("completion", "bash").out)
    done = subprocess.run(
        ["bash", "--norc", "-c", _DRIVER, "-", str(script)],
        cwd=gate.repo.path,
        input="".join(line + "\n" for line in lines),
        capture_output=True,
        text=True,
        check=True,
    )
    registered, *offered = done.stdout.splitlines()
    assert registered.endswith("-F _shtab_git_clearml git-clearml")
    return [set(each.split()) for each in offered]


@needs("bash")
def test_bash(gate: Gate) -> None:
    repo = gate.repo
    note(repo, task="a" * 32)
    task = "b" * 32
    run = RunRecord("c" * 32, repo.head, repo.head, ("x",), "h", "u", 1, "", "2026-01-01T00:00:00Z")
    run = run._replace(tasks=((task, "completed"),))
    RunStore(str(repo.path / ".git")).write(run)
    for ref in ("refs/heads/feature/ü", "refs/tags/v1.0", "refs/remotes/origin/x", "refs/heads/$(touch${IFS}pwned)"):
        repo.git("update-ref", ref, "HEAD")
    revs, ids = {"HEAD", "main", "feature/ü", "v1.0", "origin/x"}, {"a" * 32, task}
    cases = {
        "git-clearml ver": {"verify"},
        "git-clearml verify --eq": {"--equivalence"},
        "git-clearml verify --equivalence ''": {"commit", "tree", "paths"},
        "git-clearml verify ''": revs,
        "git-clearml verify HEAD fea": {"feature/ü"},
        "git-clearml verify --task ''": ids,
        "git-clearml show ''": revs | ids,
        "git-clearml run --attach b": {task},
        "git-clearml log --metric ''": set(),
        "git clearml bis": {"bisect"},
        "git clearml show b": {task},
        "git -C . clearml verify --eq": {"--equivalence"},
        "git clearml completion ''": {"bash", "zsh", "fish"},
    }
    assert dict(zip(cases, bash(gate, *cases), strict=True)) == cases
    assert not (repo.path / "pwned").exists()


@needs("bash")
def test_bash_outside_of_a_repository(gate: Gate) -> None:
    (gate.repo.path / ".git" / "HEAD").unlink()
    script = gate.repo.path / "script"
    script.write_text(completion_scripts.script("bash", cli.build_parser))
    line = f"source {shlex.quote(str(script))}; _git_clearml_tasks ''; _git_clearml_revs ''"
    done = subprocess.run(["bash", "-c", line], cwd=gate.repo.path, capture_output=True, text=True, check=False)
    assert (done.stdout, done.stderr) == ("HEAD\n", "")


@pytest.mark.parametrize("shell", [pytest.param(name, marks=where_there_is(name)) for name in ("zsh", "fish")])
def test_other_shells_read_theirs(gate: Gate, shell: str) -> None:
    script = gate.repo.path / "script"
    script.write_text(gate.call("completion", shell).out)
    done = subprocess.run([shell, "-n", str(script)], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")
    if shell == "fish":
        flags = {f"git{words} verify --eq": "--equivalence" for words in ("-clearml", " clearml", " -C . clearml")}
        for words, meant in {**flags, "git clearml ": "bisect", "git clearml bis": "bisect"}.items():
            line = f"source {shlex.quote(str(script))}; complete -C '{words}'"
            assert meant in subprocess.check_output([shell, "-c", line], text=True, cwd=gate.repo.path), words


def test_each_shell_s_own(gate: Gate) -> None:
    begin = {"bash": "_git_clearml()", "zsh": "#compdef git-clearml", "fish": "complete -c git-clearml"}
    for shell, begins in begin.items():
        out = gate.call("completion", shell).out
        assert begins in out, shell
        assert "_git_clearml_revs" in out
    wrong = gate.call("completion", "tcsh")
    assert wrong.status == 2
    assert {*completion_scripts.FILES} == {*completion_scripts.PLACES} == {*completion_scripts.SHELLS}
