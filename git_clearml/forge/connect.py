"""Where a report is published from, and the forge that it goes to: which repository there, with which token."""

from __future__ import annotations

import contextlib
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import NamedTuple

from git_clearml.clearml.conf_secrets import known_secrets
from git_clearml.errors import NotConfigured, UsageError
from git_clearml.forge.api import Answer, Ask, Forge
from git_clearml.forge.calls import Access, Clock
from git_clearml.forge.job import Job, Provider
from git_clearml.git import url as repository_urls
from git_clearml.git.repository import Repository
from git_clearml.render import flavour as flavours
from git_clearml.render.flavour import Flavour

GITEA_API = "/api/v1"
_TOKENS = {
    Provider.GITHUB: ("GITHUB_TOKEN", "GH_TOKEN"),
    Provider.GITLAB: ("GITLAB_TOKEN",),
    Provider.GITEA: ("GITEA_TOKEN", "FORGEJO_TOKEN", "GITHUB_TOKEN"),
    Provider.BITBUCKET: ("BITBUCKET_TOKEN",),
}
_HOSTS = {
    "github.com": Provider.GITHUB,
    "gitlab.com": Provider.GITLAB,
    "codeberg.org": Provider.GITEA,
    "bitbucket.org": Provider.BITBUCKET,
}
_KINDS = {  # in the name of somebody's own server; Bitbucket's of that kind has no pipelines
    "github": Provider.GITHUB,
    "gitlab": Provider.GITLAB,
    "gitea": Provider.GITEA,
    "forgejo": Provider.GITEA,
}
_SERVERS = {"GITHUB_SERVER_URL": Provider.GITHUB, "CI_SERVER_URL": Provider.GITLAB}
_ASKING_BUDGET = 30.0  # seconds for one question that git could not answer
_SET_TOKEN = "give the step env: GITHUB_TOKEN: ${{ github.token }}, and the job permissions: pull-requests: write"  # noqa: S105

_EXPORT_TOKEN = "export GITHUB_TOKEN=$(gh auth token)"  # noqa: S105


@dataclass(frozen=True)
class Workplace:
    """Where we are: a clone, in a CI job or (`job` is None) by hand. `log` gets details."""

    job: Job | None
    repository: Repository
    environment: Mapping[str, str]
    log: Callable[[str], None] = lambda _: None
    clock: Clock | None = None


class _Request(NamedTuple):
    """What is to be connected: the repository (owner/name; "" is the job's, or a remote's), for `budget` seconds."""

    workplace: Workplace
    repository: str
    budget: float


def provider_of_host(host: str) -> Provider | None:
    """The forge behind a host: a public one, or a server that is named after its kind; None for any other."""
    if host in _HOSTS:
        return _HOSTS[host]
    kinds = [kind for kind in re.split(r"[.-]", host)[:-1] if kind in _KINDS]
    return _KINDS[kinds[0]] if len(kinds) == 1 else None


def takes_comments(provider: Provider) -> bool:
    """Is there a way from here to its comments?"""
    return provider in _CONNECTORS


def provider_of(workplace: Workplace, repository: str = "") -> Provider:
    """Whose forge a report goes to: the job's; by hand, and from a service that is no forge, the remote's.

    Of a remote the forge is known by its host, else by the variables that name a server or hold a token. In a job of
    such a service that knows of none there is nowhere to go; by hand it is GitHub.
    """
    if workplace.job is not None and workplace.job.provider is not Provider.OTHER:
        return workplace.job.provider
    environment = workplace.environment
    hosts = _HOSTS | {_host(environment.get(name, "")): provider for name, provider in _SERVERS.items()}
    named = [hosts[host] for host in map(_host, workplace.repository.remote_urls()) if host and host in hosts]
    held = [provider for provider, names in _TOKENS.items() if any(map(environment.get, names))]
    if repository.count("/") > 1:  # no other forge has groups in groups
        return Provider.GITLAB
    default = Provider.OTHER if workplace.job is not None and not repository else Provider.GITHUB
    chosen = [*named, *held, default][0]
    at_gitea = environment.get("GITHUB_API_URL", "").rstrip("/").endswith(GITEA_API)
    return Provider.GITEA if chosen is Provider.GITHUB and at_gitea else chosen


def connect(workplace: Workplace, repository: str, budget: float) -> Forge:
    """The repository (owner/name; "" is the job's, or a remote's) on its forge, with `budget` seconds.

    Raises NotConfigured without a token, UsageError when the repository is unknown.
    """
    provider = provider_of(workplace, repository)
    if provider not in _CONNECTORS:
        raise NotConfigured(f"nothing can be asked of {provider.shown} here")
    return _CONNECTORS[provider](_Request(workplace, repository, budget))


def asking(workplace: Workplace, repository: str = "", budget: float = 0.0) -> Ask | None:
    """How to ask the job's forge what git does not tell; None where there is none to ask.

    With a budget of 0 seconds, 30 seconds for each question.
    """
    job = workplace.job
    if job is None or job.provider is Provider.OTHER or not takes_comments(job.provider):
        return None

    def ask(question: Callable[[Forge], Answer]) -> Answer:
        with contextlib.closing(connect(workplace, repository, budget or _ASKING_BUDGET)) as forge:
            return question(forge)

    return ask


def flavour_of(provider: Provider) -> Flavour:
    """How a comment is written for the forge that it goes to."""
    return _FLAVOURS.get(provider, flavours.GITHUB)


def token_variable(environment: Mapping[str, str], provider: Provider) -> str:
    """The variable that holds the token for this forge, "" for none."""
    return next((name for name in _TOKENS.get(provider, ()) if environment.get(name)), "")


def _api(workplace: Workplace, variable: str) -> str:
    """The address of the API, as the job or the variable has it; "" for neither."""
    return (workplace.job.api if workplace.job else "") or workplace.environment.get(variable, "")


def _access(request: _Request, provider: Provider, server: str, api: str, variable: str = "") -> Access:
    """What is asked for, with the token, "" for none. Raises UsageError as _of_remote does."""
    workplace, job = request.workplace, request.workplace.job
    name = request.repository or (job.repository if job else "") or _of_remote(workplace, server, variable)
    token = workplace.environment.get(token_variable(workplace.environment, provider), "")
    secrets = known_secrets(workplace.environment)
    return Access(name, token, api, request.budget, secrets, workplace.log, workplace.clock or Clock())


def _github(request: _Request) -> Forge:
    from git_clearml.forge.github import GitHub

    job = request.workplace.job
    server = request.workplace.environment.get("GITHUB_SERVER_URL", "") or "https://github.com"
    api = _api(request.workplace, "GITHUB_API_URL") or "https://api.github.com"
    access = _access(request, Provider.GITHUB, server, api)
    if not access.token:
        hint = _SET_TOKEN if job is not None and job.provider is Provider.GITHUB else _EXPORT_TOKEN
        raise NotConfigured("there is no token for GitHub (GITHUB_TOKEN or GH_TOKEN)", hint)
    return GitHub(access)


def _gitea(request: _Request) -> Forge:
    from git_clearml.forge import gitea

    api = _api(request.workplace, "GITHUB_API_URL")
    if not api:
        hint = "export GITHUB_API_URL=https://gitea.example.com/api/v1, with the name of your server"
        raise NotConfigured("the address of Gitea's API is not known (GITHUB_API_URL)", hint)
    access = _access(request, Provider.GITEA, api.rstrip("/").removesuffix(GITEA_API), api)
    if not access.token:
        raise NotConfigured("there is no token for Gitea (GITEA_TOKEN)", gitea.Gitea.dialect.credentials)
    forge = gitea.Gitea(access)
    if request.workplace.environment.get("FORGEJO_ACTIONS"):
        forge.bot = gitea.FORGEJO_BOT
    return forge


def _gitlab(request: _Request) -> Forge:
    from git_clearml.forge import gitlab

    environment = request.workplace.environment
    server = environment.get("CI_SERVER_URL", "") or "https://gitlab.com"
    api = _api(request.workplace, "CI_API_V4_URL") or server.rstrip("/") + gitlab.API_PATH
    access, job_token = _access(request, Provider.GITLAB, server, api, "CI_SERVER_URL"), environment.get("CI_JOB_TOKEN")
    if not access.token or access.token == job_token:
        but = "; CI_JOB_TOKEN may read notes, and write none" if job_token else ""
        hint = f"set GITLAB_TOKEN to {gitlab.TOKEN}"
        raise NotConfigured(f"there is no token for GitLab that may comment (GITLAB_TOKEN){but}", hint)
    forge = gitlab.GitLab(access)
    bundles = ("REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE", "CI_SERVER_TLS_CA_FILE")  # the last is the runner's own
    if authorities := next((environment[bundle] for bundle in bundles if environment.get(bundle)), ""):
        forge.trust(authorities)
    return forge


def _bitbucket(request: _Request) -> Forge:
    from git_clearml.forge import bitbucket, from_clone
    from git_clearml.forge.bitbucket_job import API

    api = _api(request.workplace, "BITBUCKET_API_URL") or API
    access = _access(request, Provider.BITBUCKET, "https://bitbucket.org", api)
    if not access.token:
        hint = f"set BITBUCKET_TOKEN to {bitbucket.TOKEN}"
        raise NotConfigured("there is no token for Bitbucket (BITBUCKET_TOKEN)", hint)
    forge = bitbucket.Bitbucket(access)
    forge.complete = lambda short: from_clone.full_hash(request.workplace.repository, short)
    return forge


_CONNECTORS: Mapping[Provider, Callable[[_Request], Forge]] = {
    Provider.GITHUB: _github,
    Provider.GITEA: _gitea,
    Provider.GITLAB: _gitlab,
    Provider.BITBUCKET: _bitbucket,
}

_FLAVOURS: Mapping[Provider, Flavour] = {
    Provider.GITLAB: flavours.GITLAB,
    Provider.GITEA: flavours.GITEA,
    Provider.BITBUCKET: flavours.BITBUCKET,
}
"""Of the forges whose Markdown is not GitHub's."""


def _host(url: str) -> str:
    """The host of a URL or of an address as ssh takes it, "" for neither."""
    place = repository_urls.place_of(url) if url else None
    return place.name.partition("/")[0] if place else ""


def _of_remote(workplace: Workplace, server: str, variable: str = "") -> str:
    """The path of the first remote that is on this server: owner/name, on GitLab perhaps group/sub/project.

    `variable` is the one that names another server, for the hint.
    """
    host, _, root = repository_urls.normalise(server).strip("/").partition("/")  # a server may be below a path
    urls = workplace.repository.remote_urls()
    for url in urls:
        place = repository_urls.place_of(url)
        name = place.path.strip("/").removeprefix(f"{root}/" if root else "") if place else ""
        if _host(url) == host and "/" in name:
            return name
    elsewhere = next((other for other in map(_host, urls) if "." in other), "")
    hint = (
        f"export {variable}=https://{elsewhere}"
        if variable and elsewhere
        else "git clearml comment --repository owner/name"
    )
    raise UsageError(f"no remote of this clone is on {host}", hint)
