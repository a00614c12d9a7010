"""How the programs that manage hooks are told to run ours: the text of their configuration with our entry in it. Pure.

Formats: https://pre-commit.com/#pre-commit-configyaml---top-level, https://prek.j178.dev/configuration/,
https://lefthook.dev/configuration/, https://typicode.github.io/husky/how-to.html.
"""

from __future__ import annotations

import re
from typing import Any, Protocol

from git_clearml.hook import yaml_edit
from git_clearml.hook.installed_package import Package
from git_clearml.hook.owner import CALLS_US_ANYWHERE
from git_clearml.hook.yaml_edit import NotEdited
from git_clearml.settings.table import toml_document

COMMENT = "# git-clearml: no push without a ClearML task that ran exactly that code."
_TYPES = "default_install_hook_types"
_LEFTHOOK = """\
git-clearml:
  run: git-clearml hook pre-push {1} {2}
  use_stdin: true
"""
_LEFTHOOK_TOML = """\
[pre-push.commands.git-clearml]
run = "git-clearml hook pre-push {1} {2}"
use_stdin = true
"""
_HUSKY = f"""\
#!/usr/bin/env sh
{COMMENT}
git-clearml hook pre-push "$@" || exit $?
"""
# The lines of the push are read once, and given to whatever follows once more.
_HUSKY_BESIDE = f"""\
{COMMENT}
lines=$(cat)
if [ -n "$lines" ]; then
    printf '%s\\n' "$lines" | git-clearml hook pre-push "$@" || exit $?
    exec <<LINES
$lines
LINES
fi
"""
_SOURCED = re.compile(r"""^[ \t]*\.[ \t]+["']?.*husky\.sh.*$""", re.MULTILINE)  # husky 4 to 8: runs the file once more


class Writer(Protocol):
    """Puts our entry into the text of a configuration. Raises NotEdited."""

    def __call__(self, text: str, package: Package) -> str: ...


def calls_us(content: bytes) -> bool:
    """Does the configuration run our hook already?"""
    return bool(CALLS_US_ANYWHERE.search(content) or re.search(rb"^[^#\n]*\bclearml-verify\b", content, re.MULTILINE))


def writer_of(name: str) -> Writer | None:
    """What puts our entry into a configuration of this name, None where there is none for its form."""
    base = name.rpartition("/")[2].lstrip(".")
    if base == "prek.toml":
        return _prek_toml
    if base.startswith("pre-commit-config."):
        return _pre_commit
    if base == "pre-push":
        return _husky
    return {"lefthook.yml": _lefthook, "lefthook.yaml": _lefthook, "lefthook.toml": _lefthook_toml}.get(base)


def entry_of(name: str, package: Package) -> str:
    """The same as lines to be put there by hand."""
    base = name.rpartition("/")[2].lstrip(".")
    if base.startswith("pre-commit-config."):
        return f"{_TYPES}: [pre-commit, pre-push]\nrepos:\n" + _indented(_repo(package), 2)
    if base == "prek.toml":
        return _repo_toml(package)
    if base == "pre-push":
        return _HUSKY_BESIDE
    return _LEFTHOOK_TOML if base.endswith(".toml") else "pre-push:\n  commands:\n" + _indented(_LEFTHOOK, 4)


def _pre_commit(text: str, package: Package) -> str:
    """`pre-commit install` makes a pre-push hook only where the configuration says so."""
    root = yaml_edit.parse(text)
    types = yaml_edit.child(root, _TYPES)
    if types is not None and "pre-push" not in yaml_edit.texts(types):
        raise NotEdited(f"{_TYPES} does not name pre-push, so `pre-commit install` would not install it")
    new = yaml_edit.with_last(text, ("repos",), _repo(package))
    return new if types is not None else yaml_edit.with_line_before(new, "repos", f"{_TYPES}: [pre-commit, pre-push]")


def _repo(package: Package) -> str:
    if package.rev:
        return f"- repo: {package.url}\n  rev: {package.rev}\n  hooks:\n  - id: clearml-verify\n"
    lines = ["- repo: local", "  hooks:"]
    fields = [f"{key}: {_yaml(value)}" for key, value in _FIELDS.items()]
    return "\n".join([*lines, f"  - {fields[0]}", *(f"    {field}" for field in fields[1:])]) + "\n"


_FIELDS: dict[str, Any] = {
    "id": "clearml-verify",
    "name": "a ClearML task ran these commits",
    "entry": "git-clearml hook pre-push",
    "language": "system",
    "stages": ["pre-push", "manual"],
    "always_run": True,
    "pass_filenames": False,
    "verbose": True,
}
"""As in .pre-commit-hooks.yaml, but that git-clearml is installed already."""


def _yaml(value: Any) -> str:
    if isinstance(value, list):
        return f"[{', '.join(value)}]"
    return str(value).lower() if isinstance(value, bool) else str(value)


def _prek_toml(text: str, package: Package) -> str:
    types = _document(text).get(_TYPES)
    if types is not None and "pre-push" not in types:
        raise NotEdited(f"{_TYPES} does not name pre-push, so `prek install` would not install it")
    line = "" if types is not None else f'{_TYPES} = ["pre-commit", "pre-push"]{yaml_edit.newline(text)}'
    return with_toml(line + text, _repo_toml(package), before=text)


def _repo_toml(package: Package) -> str:
    if package.rev:
        head = f'[[repos]]\nrepo = "{package.url}"\nrev = "{package.rev}"\n'
        return head + 'hooks = [{ id = "clearml-verify" }]\n'
    fields = "".join(f"{key} = {_toml(value)}\n" for key, value in _FIELDS.items())
    return f'[[repos]]\nrepo = "local"\n\n[[repos.hooks]]\n{fields}'


def _toml(value: Any) -> str:
    if isinstance(value, list):
        return f"[{', '.join(map(_toml, value))}]"
    return str(value).lower() if isinstance(value, bool) else f'"{value}"'


def _lefthook(text: str, package: Package) -> str:
    root = yaml_edit.parse(text)
    hook = yaml_edit.child(root, "pre-push")
    if hook is None:
        return yaml_edit.with_key(text, entry_of("lefthook.yml", package))
    if yaml_edit.child(hook, "commands") is not None:
        return yaml_edit.with_first(text, ("pre-push", "commands"), _LEFTHOOK)
    if yaml_edit.child(hook, "jobs") is not None:
        item = _LEFTHOOK.replace("git-clearml:\n", "- name: git-clearml\n", 1)
        return yaml_edit.with_first(text, ("pre-push", "jobs"), item)
    return yaml_edit.with_first(text, ("pre-push",), "commands:\n" + _indented(_LEFTHOOK, 2))


def _lefthook_toml(text: str, package: Package) -> str:
    return with_toml(text, _LEFTHOOK_TOML)


def _husky(text: str, package: Package) -> str:
    if not text:
        return _HUSKY
    sourced = _SOURCED.search(text)
    first = re.match(r"#!.*(?:\n|$)", text)
    end = sourced.end() if sourced else first.end() if first else 0
    head, tail = text[:end], text[end:].removeprefix("\n") if sourced else text[end:]
    head += "\n" if head and not head.endswith("\n") else ""
    if "\r" in text:
        raise NotEdited("its lines end as on Windows, which sh does not understand")
    return head + _HUSKY_BESIDE + tail


def with_toml(text: str, block: str, *, before: str | None = None) -> str:
    """The text with tables more at its end, after an empty line. Raises NotEdited unless that adds just these.

    `before` is what the file has now, where the text has been added to already. A new line follows the file's own way.
    """
    end = yaml_edit.newline(text)
    start = text + (end if text and not text.endswith("\n") else "") + (end if text.strip() else "")
    new = start + block.replace("\n", end)
    document = _document(new)  # what has been there stays at its place, and may not be written twice: TOML's own rule
    old = _document(text if before is None else before)
    if not _holds(document, old):
        raise NotEdited("tables cannot be put at its end")
    return new


def _document(text: str) -> dict[str, Any]:
    try:
        return toml_document(text.encode("utf-8"))
    except (ValueError, RecursionError) as error:
        raise NotEdited(f"it cannot be read: {error}") from None


def _holds(new: Any, old: Any) -> bool:
    """Does the new value hold all of the old one?"""
    if isinstance(old, dict):
        return isinstance(new, dict) and all(key in new and _holds(new[key], old[key]) for key in old)
    if isinstance(old, list) and old and isinstance(old[0], dict):
        return isinstance(new, list) and new[: len(old)] == old
    return bool(new == old)


def _indented(block: str, by: int) -> str:
    return "".join(" " * by + line for line in block.splitlines(keepends=True))
