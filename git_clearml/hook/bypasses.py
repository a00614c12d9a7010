"""Which ways lead around the hook of this clone, and whether anything here closes them (docs/hook.md has them all)."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path

from git_clearml.git.repository import Repository
from git_clearml.hook.owner import head_of
from git_clearml.report.diagnosis import Check

_CI = (
    *(f".{forge}/workflows/*.{end}" for forge in ("github", "gitea", "forgejo") for end in ("yml", "yaml")),
    ".gitlab-ci.yml",
    ".gitlab/*.yml",
    "bitbucket-pipelines.yml",
    "azure-pipelines.yml",
    ".circleci/config.yml",
    "Jenkinsfile",
)
_VERIFIES = re.compile(
    rb"^[^#\n]*(?:git[ -]clearml (?:verify|comment)|(?:uses|component):\s*\S*git-clearml\S*@)", re.MULTILINE
)
_ALIAS = re.compile(rb"^[^#\n]*git clearml push --from-jj", re.MULTILINE)
_ELSEWHERE = re.compile(r"https?://|ssh://|[\w.@-]+:(?!//)")
_WAYS = "clones without it, git push --no-verify, the web interface's buttons, pull requests of forks"
_IN_CI = "let CI run git clearml verify as a check that has to pass (docs/ci.md), or the gate on the git server"
_PUSH = """["util", "exec", "--", "sh", "-c", "jj git push --dry-run --color never \\"$@\\" 2>&1 | git clearml push \
--from-jj && jj git import", "jj"]"""
_MOST = 200  # files of a pattern


def examine(repository: Repository, environment: Mapping[str, str]) -> list[Check]:
    """The ways around a hook, and jj where it is at work here: it runs none."""
    if not repository.top:
        return []
    top = Path(repository.top)
    return [_around(repository, top), *_jj(top, environment)]


def _around(repository: Repository, top: Path) -> Check:
    ways = f"{_WAYS} go around this hook"
    if job := job_that_asks(top):
        return Check("around-the-hook", "ok", f"{ways}; {job} verifies again, where a rule requires that check")
    if any(_ELSEWHERE.match(url) for url in repository.remote_urls()):
        return Check(
            "around-the-hook", "warn", f"{ways}, and no CI job here verifies again: {_IN_CI}", "git clearml init"
        )
    return Check("around-the-hook", "ok", ways)


def job_that_asks(top: Path) -> str:
    """The file of a CI job that asks again, as seen from the working tree's top; "" for none."""
    jobs = [path for pattern in _CI for path in sorted(top.glob(pattern))[:_MOST]]
    job = next((path for path in jobs if _matches(path, _VERIFIES)), None)
    return str(job.relative_to(top)) if job else ""


def _jj(top: Path, environment: Mapping[str, str]) -> list[Check]:
    """Where jj keeps its configuration: its docs/config.md."""
    if not (top / ".jj").is_dir():
        return []
    home = Path(environment.get("HOME") or "/")
    jj = Path(environment.get("XDG_CONFIG_HOME") or home / ".config") / "jj"
    files = [home / ".jjconfig.toml", top / ".jj" / "repo" / "config.toml", jj / "config.toml"]
    files += [*jj.glob("conf.d/*.toml"), *jj.glob("repos/*/config.toml")]
    if any(_matches(path, _ALIAS) for path in files[:_MOST]):
        return [Check("jj", "ok", "jj runs no hooks; an alias pushes by git clearml push")]
    message = (
        "jj runs no hooks: jj git push goes around this one; an alias, jj push, can ask git-clearml (docs/hook.md)"
    )
    return [Check("jj", "warn", message, f"jj config set --repo aliases.push '{_PUSH}'")]


def _matches(path: Path, pattern: re.Pattern[bytes]) -> bool:
    return bool(pattern.search(head_of(path)))
