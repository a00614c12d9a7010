"""Where a report is published from, and the forge that it goes to: which repository there, with which token."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from git_clearml.clearml.secrets import known_secrets
from git_clearml.errors import NotConfigured, UsageError
from git_clearml.forge.api import Answer, Ask, Forge
from git_clearml.forge.calls import Clock
from git_clearml.forge.job import Job, Provider
from git_clearml.git import url as repository_urls
from git_clearml.git.repository import Repository
from git_clearml.render import flavour as flavours
from git_clearml.render.flavour import Flavour

TOKENS = ("GITHUB_TOKEN", "GH_TOKEN")
_ASKING_BUDGET = 30.0  # seconds for one question that git could not answer
_SET_TOKEN = "give the step env: GITHUB_TOKEN: ${{ github.token }}, and the job permissions: pull-requests: write"  # noqa: S105


@dataclass(frozen=True)
class Workplace:
    """Where we are: a clone, in a CI job or (`job` is None) by hand. `log` gets details."""

    job: Job | None
    repository: Repository
    environment: Mapping[str, str]
    log: Callable[[str], None] = lambda _: None
    clock: Clock | None = None


def takes_comments(job: Job | None) -> bool:
    """Is there a way from here to a forge? By hand, and from a service that is no forge, to GitHub."""
    return (job.provider if job else Provider.OTHER) in _CONNECTORS


def connect(workplace: Workplace, repository: str, budget: float) -> Forge:
    """The repository (owner/name; "" is the job's, or a remote's) on its forge, with `budget` seconds.

    Raises NotConfigured without a token, UsageError when the repository is unknown.
    """
    provider = workplace.job.provider if workplace.job else Provider.OTHER
    if provider not in _CONNECTORS:
        raise NotConfigured(f"nothing can be asked of {provider.shown} here")
    return _CONNECTORS[provider](workplace, repository, budget)


def asking(workplace: Workplace, repository: str = "", budget: float = 0.0) -> Ask | None:
    """How to ask the job's forge what git does not tell; None where there is none to ask.

    With a budget of 0 seconds, 30 seconds for each question.
    """
    if workplace.job is None or workplace.job.provider is Provider.OTHER or not takes_comments(workplace.job):
        return None

    def ask(question: Callable[[Forge], Answer]) -> Answer:
        forge = connect(workplace, repository, budget or _ASKING_BUDGET)
        try:
            return question(forge)
        finally:
            forge.close()

    return ask


def flavour_of(job: Job | None) -> Flavour:
    """How a comment is written for the forge that it goes to."""
    return _FLAVOURS.get(job.provider if job else Provider.OTHER, flavours.GITHUB)


def _github(workplace: Workplace, repository: str, budget: float) -> Forge:
    from git_clearml.forge.github import GitHub

    job, environment = workplace.job, workplace.environment
    name = repository or (job.repository if job else "") or _of_remote(workplace)
    api = (job.api if job else "") or environment.get("GITHUB_API_URL", "") or "https://api.github.com"
    token = next((environment[key] for key in TOKENS if environment.get(key)), "")
    if not token:
        raise NotConfigured("there is no token for GitHub (GITHUB_TOKEN or GH_TOKEN)", _SET_TOKEN)
    secrets = known_secrets(environment)
    return GitHub(
        name, token, api=api, budget=budget, secrets=secrets, log=workplace.log, clock=workplace.clock or Clock()
    )


Connector = Callable[[Workplace, str, float], Forge]
_CONNECTORS: Mapping[Provider, Connector] = {
    Provider.GITHUB: _github,
    Provider.OTHER: _github,  # by hand too
}
"""Makes a forge of a workplace, a repository (owner/name or ""), and a budget in seconds."""

_FLAVOURS: Mapping[Provider, Flavour] = {}
"""Of the forges whose Markdown is not GitHub's."""


def _of_remote(workplace: Workplace) -> str:
    """owner/name of the first remote that is on the GitHub server in question."""
    address = workplace.environment.get("GITHUB_SERVER_URL", "") or "https://github.com"
    server = repository_urls.normalise(address).strip("/")
    for url in workplace.repository.remote_urls():
        place = repository_urls.place_of(url)
        name = place.path.strip("/") if place else ""
        if place and place.name.partition("/")[0] == server and name.count("/") == 1:
            return name
    raise UsageError(f"no remote of this clone is on {server}", "name it: --repository owner/name")
