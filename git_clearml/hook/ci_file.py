"""The CI job that `init` writes for a forge: a recipe of docs/ci.md, and where it goes."""

from __future__ import annotations

import json
import re
from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path

from git_clearml.forge.job import Provider
from git_clearml.hook import yaml_edit
from git_clearml.hook.installed_package import Package

GITLAB_CI, GITLAB_JOB, BITBUCKET_CI = ".gitlab-ci.yml", ".gitlab/clearml.yml", "bitbucket-pipelines.yml"
# The first of these folders that is there is the only one that is read; Gitea does not know Forgejo's own.
_WORKFLOWS = {
    Provider.GITHUB: (".github/workflows",),
    Provider.GITEA: (".forgejo/workflows", ".gitea/workflows", ".github/workflows"),
}
_NEW = {Provider.GITHUB: ".github/workflows", Provider.GITEA: ".gitea/workflows"}
_NAMES = ("clearml.yml", "git-clearml.yml")
_KEYS = "CLEARML_API_HOST, CLEARML_API_ACCESS_KEY and CLEARML_API_SECRET_KEY"
_SECRETS = {
    Provider.GITHUB: f"secrets of the repository, at Settings > Secrets and variables > Actions: {_KEYS}",
    Provider.GITEA: f"secrets of the repository, at Settings > Actions > Secrets: {_KEYS}",
    Provider.GITLAB: f"masked variables, at Settings > CI/CD > Variables: {_KEYS}, and GITLAB_TOKEN for the comment",
    Provider.BITBUCKET: f"secured repository variables: {_KEYS}, and BITBUCKET_TOKEN for the comment",
}
LINE = "include:\n  - local: .gitlab/clearml.yml\n"
"""By which .gitlab-ci.yml gets a job that stands in a file of its own."""


@dataclass(frozen=True)
class Job:
    """What the job's text depends on: the default branch ("" where unknown), a best model to tag, what is installed."""

    branch: str
    tags_best: bool
    package: Package


def candidates(provider: Provider, folders: Collection[str]) -> tuple[str, ...]:
    """The files in which the job may stand, the likeliest first. `folders` are those of workflows that are there."""
    if provider is Provider.GITLAB:
        return (GITLAB_CI,)
    if provider is Provider.BITBUCKET:
        return (BITBUCKET_CI,)
    ways = _WORKFLOWS.get(provider, ())
    folder = next((way for way in ways if way in folders), _NEW.get(provider, ""))
    return tuple(f"{folder}/{name}" for name in _NAMES) if folder else ()


def workflow_folders() -> tuple[str, ...]:
    """All folders that a forge may read workflows from."""
    return tuple(dict.fromkeys(folder for ways in _WORKFLOWS.values() for folder in ways))


def secrets_of(provider: Provider) -> str:
    """Which variables the job wants, and where they are set."""
    return _SECRETS.get(provider, "")


def recipe(provider: Provider, job: Job) -> str:
    """The whole file, or of GitLab the job."""
    path = Path(__file__).with_name("recipes") / f"{provider.value}.yml"
    text = path.read_text(encoding="utf-8")
    text = text.replace("PACKAGE", job.package.requirement("gitlab" if provider is Provider.GITLAB else ""))
    if job.branch:
        text = text.replace("branches: [main]", f"branches: [{_scalar(job.branch)}]")
        text = text.replace("    main:\n", f"    {_scalar(job.branch)}:\n")
    return text.replace(" --comment", " --comment --tag-best") if job.tags_best else text


def gitlab_with(text: str, job: str) -> tuple[str, str]:
    """A .gitlab-ci.yml that includes the job's own file, and the text of that file. Raises NotEdited."""
    root = yaml_edit.parse(text)
    stages = yaml_edit.child(root, "stages")
    if stages is not None and "test" not in (names := yaml_edit.texts(stages)):
        if not names:
            raise yaml_edit.NotEdited("its stages are not written as a list")
        job = job.replace("clearml:\n", f"clearml:\n  stage: {_scalar(names[0])}\n", 1)
    if yaml_edit.child(root, "include") is None:
        return yaml_edit.with_key(text, LINE), job
    return yaml_edit.with_last(text, ("include",), LINE.partition("\n")[2].strip() + "\n"), job


def _scalar(text: str) -> str:
    """A text as YAML has it in any place."""
    return text if re.fullmatch(r"[A-Za-z][A-Za-z0-9._/-]*", text) and text not in _WORDS else json.dumps(text)


_WORDS = {"true", "false", "yes", "no", "on", "off", "null", "True", "False", "y", "n"}
