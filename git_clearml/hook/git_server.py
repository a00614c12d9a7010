"""The surroundings of a hook on a git server: its environment, and what the server's git config says.

Of the environment the pusher may have made a part (ssh's AcceptEnv, a remote that is a path).

Settings are those of the system's and the repository's own git config. Where clearml.conf lies is believed of the
system's alone: who may configure a repository need not be who keeps the server's credentials.
"""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from typing import NamedTuple

from git_clearml.errors import BadSetting
from git_clearml.git.output import entries
from git_clearml.git.repository import Repository
from git_clearml.settings.table import CONFIG_FILE, REPOSITORY, SERVER_URL

VARIABLE = "CLEARML_CONFIG_FILE"
ADVICE = "git config --system clearml.config-file /path/of/clearml.conf"
GITLAB_PREFIX = "GL-HOOK-ERR: "
"""GitLab shows lines that begin so in its pages, too (docs.gitlab.com, administration/server_hooks)."""

_SYSTEM = "GIT_CONFIG_SYSTEM"
_PROGRAMS = ("PATH", "LD_LIBRARY_PATH", "DYLD_LIBRARY_PATH", "TMPDIR", "TZ", "LANG", "LC_ALL", "LC_CTYPE")
_OBJECTS = ("GIT_QUARANTINE_PATH", "GIT_OBJECT_DIRECTORY", "GIT_ALTERNATE_OBJECT_DIRECTORIES")
_ROUTES = (
    "http_proxy https_proxy all_proxy no_proxy requests_ca_bundle curl_ca_bundle ssl_cert_file ssl_cert_dir"
).split()
NOWHERE = "/nonexistent"


class ServerConfig(NamedTuple):
    """What git config says here: where clearml.conf is, the repository's URLs, and the addresses of its forge.

    `file_by_variable` is what the system's git config says once GIT_CONFIG_SYSTEM says where that is.
    """

    file: str = ""
    file_by_variable: str = ""
    repositories: tuple[str, ...] = ()
    forges: tuple[str, ...] = ()


def kept(environment: Mapping[str, str], directory: str) -> dict[str, str]:
    """The variables that a hook's gits need: where programs are, the repository, and the objects in quarantine.

    No settings of git or ours, no HOME, no credentials. `directory` is where we are: git's paths are seen from there.
    """
    variables = {name: environment[name] for name in _PROGRAMS if environment.get(name)}
    variables |= {name: environment[name] for name in _OBJECTS if environment.get(name)}
    for name in ("GIT_DIR", "GIT_OBJECT_DIRECTORY"):
        if environment.get(name):
            variables[name] = os.path.join(directory, environment[name])
    return {**variables, "HOME": NOWHERE, "GIT_CONFIG_GLOBAL": os.devnull}


def with_credentials(
    variables: Mapping[str, str], environment: Mapping[str, str], config: ServerConfig
) -> dict[str, str]:
    """The variables with the place of clearml.conf: what the system's git config says, else what the environment does.

    A proxy or certificates of the environment count only where nothing but the environment says where clearml.conf is:
    else the pusher could answer in the server's place. Raises BadSetting for a path that is none, and for two.
    """
    named = environment.get(VARIABLE, "").strip()
    file = config.file or config.file_by_variable or named
    if not file:
        return dict(variables)
    if not os.path.isabs(file):
        raise BadSetting(f"where clearml.conf is has to be an absolute path, not {file!r}", ADVICE)
    if not config.file and named not in ("", file):
        raise BadSetting(f"{_SYSTEM} and {VARIABLE} each name another clearml.conf", ADVICE)
    routes = {name: value for name, value in environment.items() if name.lower() in _ROUTES}
    return {**variables, **(routes if file == named and not config.file else {}), VARIABLE: file}


def read_config(repository: Repository, environment: Mapping[str, str]) -> ServerConfig:
    """What git config says of `clearml.*`, with the scope that each value is from (git-config(1), --show-scope).

    Where the system's says nothing of clearml.conf, that which GIT_CONFIG_SYSTEM names is looked at, too: a variable
    like CLEARML_CONFIG_FILE, and believed no more. Gitaly sets it to /dev/null.
    """
    config = _config(repository, {})
    system = environment.get(_SYSTEM, "")
    if config.file or system in ("", os.devnull):
        return config
    named = _config(repository, {_SYSTEM: system})
    return named._replace(file="", file_by_variable=named.file)


def _config(repository: Repository, variables: Mapping[str, str]) -> ServerConfig:
    result = repository.run("config", "--show-scope", "--null", "--get-regexp", r"^clearml\.", env=variables)
    out = entries(result.stdout)
    pairs = [(scope, *pair.split("\n", 1)) for scope, pair in zip(out[::2], out[1::2], strict=True) if "\n" in pair]
    files = [value for scope, key, value in pairs if key == CONFIG_FILE and scope == "system"]
    return ServerConfig(
        file=files[-1].strip() if files else "",
        repositories=tuple(value for _, key, value in pairs if key == REPOSITORY and value),
        forges=tuple(value for _, key, value in pairs if key == SERVER_URL and value),
    )


def names(environment: Mapping[str, str], config: ServerConfig) -> tuple[str, ...]:
    """The repository's URLs: those of git config, and below the forge's addresses what the forge tells its hooks."""
    paths = [path for path in _paths(environment) if path]
    return (*config.repositories, *(f"{forge.rstrip('/')}/{path}" for forge in config.forges for path in paths))


def _paths(environment: Mapping[str, str]) -> Sequence[str]:
    """`group/project` as GitLab, GitHub Enterprise Server, and Gitea or Forgejo, tell it."""
    owner, name = environment.get("GITEA_REPO_USER_NAME", ""), environment.get("GITEA_REPO_NAME", "")
    of_gitea = f"{owner}/{name}" if owner and name else ""
    return environment.get("GL_PROJECT_PATH", ""), environment.get("GITHUB_REPO_NAME", ""), of_gitea


def prefix(environment: Mapping[str, str]) -> str:
    """What each line of a refusal begins with."""
    return GITLAB_PREFIX if environment.get("GL_ID") and environment.get("GL_PROTOCOL") else ""
