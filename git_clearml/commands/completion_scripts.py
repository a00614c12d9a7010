"""Completions for shells: shtab makes them of the parser, and what is completed by asking git stands here.

A wheel has them made already (hatch_build.py), so that whoever uses them needs no shtab. What git lists is somebody
else's: names with what a shell would understand are left out, as a branch may be called `$(reboot)`.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from git_clearml.errors import CannotDecide

SHELLS = ("bash", "zsh", "fish")
FILES = {"bash": "git-clearml", "zsh": "_git-clearml", "fish": "git-clearml.fish"}
"""What a shell wants the file to be called."""

PLACES = {
    "bash": "share/bash-completion/completions",
    "zsh": "share/zsh/site-functions",
    "fish": "share/fish/vendor_completions.d",
}
"""Where shells look below an installation's prefix."""

Build = Callable[[], tuple[argparse.ArgumentParser, Mapping[str, argparse.ArgumentParser]]]

_REVS, _TASKS, _BOTH = "_git_clearml_revs", "_git_clearml_tasks", "_git_clearml_revs_and_tasks"
_FILES, _FOLDERS = ("FILE", "PATH"), ("DIR", "<dir>", "[DIR]")

# Ids stand in this clone's run records, notes and clearml.lock: no network, and no Python either.
_LISTS = r"""
_git_clearml_list_revs() {
  { echo HEAD; git for-each-ref --format='%(refname:short)' refs/heads refs/tags refs/remotes 2>/dev/null; } |
    LC_ALL=C grep -v '[][$`"'\''\\;&|<>(){}*?!#~[:space:]]'
}
_git_clearml_list_tasks() {
  { LC_ALL=C git grep -ohE '"task": *"[A-Za-z0-9_-]{1,64}"' refs/notes/clearml -- 2>/dev/null
    LC_ALL=C git grep -ohE '"task": *"[A-Za-z0-9_-]{1,64}"' HEAD -- ':(top)clearml.lock' 2>/dev/null
    runs=$(git rev-parse --git-common-dir 2>/dev/null)/clearml/runs
    [ -d "$runs" ] && find "$runs" -name '*.json' -exec cat {} + 2>/dev/null | tr -d '\n\t ' |
      LC_ALL=C grep -oE '"tasks":\[[^{}]*\]\]' | LC_ALL=C grep -oE '\["[A-Za-z0-9_-]{1,64}"'
  } | LC_ALL=C sed 's/.*"\([A-Za-z0-9_-]*\)"$/\1/' | sort -u
}
"""

_BASH = (
    _LISTS
    + r"""
# The lines that begin with $1, as they are: compgen -W would run what stands in them.
_git_clearml_beginning() {
  local line
  while IFS= read -r line; do [[ $line == "$1"* ]] && printf '%s\n' "$line"; done
}
_git_clearml_revs() { _git_clearml_list_revs | _git_clearml_beginning "$1"; }
_git_clearml_tasks() { _git_clearml_list_tasks | _git_clearml_beginning "$1"; }
_git_clearml_revs_and_tasks() { _git_clearml_revs "$1"; _git_clearml_tasks "$1"; }

# What git's own completion calls for `git clearml`: as for git-clearml, without the words before that.
_git_clearml() {
  local COMP_CWORD=${cword:-$COMP_CWORD} start=0
  local -a line=("${words[@]:-${COMP_WORDS[@]}}")
  while [[ ${line[start]} != clearml && $start -lt $COMP_CWORD ]]; do start=$((start + 1)); done
  local -a COMP_WORDS=(git-clearml "${line[@]:start+1}")
  COMP_CWORD=$((COMP_CWORD - start))
  _shtab_git_clearml
}
"""
)

_ZSH = (
    _LISTS
    + r"""
_git_clearml_revs() { local -a names=("${(@f)$(_git_clearml_list_revs)}"); compadd -a names }
_git_clearml_tasks() { local -a names=("${(@f)$(_git_clearml_list_tasks)}"); compadd -a names }
_git_clearml_revs_and_tasks() { _git_clearml_revs; _git_clearml_tasks }
_git-clearml() { _shtab_git_clearml "$@" }  # what git's own completion calls for `git clearml`
"""
)

_FISH = r"""
function _git_clearml_revs
    echo HEAD
    git for-each-ref --format='%(refname:short)' refs/heads refs/tags refs/remotes 2>/dev/null
end
function _git_clearml_tasks
    git grep -ohE '"task": *"[A-Za-z0-9_-]{1,64}"' refs/notes/clearml -- 2>/dev/null |
        string replace -rf '.*"([A-Za-z0-9_-]+)"$' '$1' | sort -u
end
function _git_clearml_revs_and_tasks
    _git_clearml_revs
    _git_clearml_tasks
end

# `git clearml` as git-clearml, without the words before that. fish 3.6 looks for its own way under a wrong name.
function _git_clearml_after_git
    set -l words (commandline -opc)
    set -l place (contains -i -- clearml $words); or return
    set -e words[1..$place]
    set -p words git-clearml
    complete -C (string escape -- $words | string join ' ')" "(commandline -ct)
end
complete -c git -f -n '__fish_git_using_command clearml' -a '(_git_clearml_after_git)'
"""


def script(shell: str, build: Build) -> str:
    """The completion: the one of the wheel, else one that is made now. Raises CannotDecide without shtab."""
    file = Path(__file__).resolve().parents[1] / "completions" / FILES[shell]
    return file.read_text(encoding="utf-8") if file.is_file() else make(shell, build)


def make(shell: str, build: Build) -> str:
    """Makes the completion for a shell. Raises CannotDecide without shtab."""
    try:
        import shtab  # late: what is installed has its completions
    except ImportError:
        raise CannotDecide("this is no built git-clearml, and shtab is not installed", "pip install shtab") from None
    parser, commands = build()
    parser.prog = "git-clearml"
    for command in (parser, *commands.values()):
        for action in command._actions:
            if kind := _kind(action):
                action.complete = {each: f"({kind})" if each == "fish" else kind for each in SHELLS}  # type: ignore[attr-defined]
            elif value := _value(action):
                action.complete = getattr(shtab, value)  # type: ignore[attr-defined]
    preamble = {"bash": _BASH, "zsh": _ZSH, "fish": _FISH}
    return str(shtab.complete(parser, shell=shell, root_prefix="git_clearml", preamble=preamble[shell]))


def _kind(action: argparse.Action) -> str:
    """The function that lists what may stand there, by what the help calls it; "" for what is no name in git."""
    shown: Any = action.metavar or ""
    has_task = any(word in shown for word in ("<task", "TASK", "<a>", "<b>")) or shown == "ID"
    has_rev = any(word in shown for word in ("<rev", "<range", "<good", "<bad", "<a>", "<b>"))
    return _BOTH if has_task and has_rev else _TASKS if has_task else _REVS if has_rev else ""


def _value(action: argparse.Action) -> str:
    """shtab's name for files or directories, "" for neither."""
    if action.metavar in _FILES:
        return "FILE"
    return "DIRECTORY" if action.metavar in _FOLDERS else ""
