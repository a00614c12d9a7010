"""What other machines have to install to get this git-clearml: as a requirement of pip, as a repository for pre-commit.

An installation says itself where it came from (PEP 610, direct_url.json); one from a package index does not.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from importlib import metadata

from git_clearml import __version__
from git_clearml.base import ids, jsonvalue
from git_clearml.base.secrets import without_credentials

NAME = "git-clearml"
_EVERYWHERE = re.compile(r"(?:https?|ssh)://[A-Za-z0-9._~:/@%+-]+")  # and nothing that a shell would take for more


@dataclass(frozen=True)
class Package:
    """Where git-clearml can be had: at `url`, of a git repository at its commit `rev`; "" where an index has it.

    `is_here_alone`: it was installed from a directory of this machine, and nobody knows where others get it.
    """

    url: str = ""
    rev: str = ""
    version: str = __version__
    is_here_alone: bool = False

    def requirement(self, extra: str = "") -> str:
        """What pip installs."""
        name = f"{NAME}[{extra}]" if extra else NAME
        if not self.url:
            return f"{name}=={self.version}"
        return f"{name} @ git+{self.url}@{self.rev}" if self.rev else f"{name} @ {self.url}"


def installed() -> Package:
    """The one that runs."""
    try:
        text = metadata.distribution(NAME).read_text("direct_url.json")
    except metadata.PackageNotFoundError:  # run from a checkout that nobody has installed
        return Package(is_here_alone=True)
    return parse(text) if text else Package()


def parse(direct_url: str) -> Package:
    """What a direct_url.json says; what it does not say in a form that others can use is here alone."""
    try:
        document = jsonvalue.parse(direct_url)
        url, vcs = document["url"], document.get("vcs_info") or {}
        if not _EVERYWHERE.fullmatch(url) or document.get("subdirectory"):
            return Package(is_here_alone=True)
        if vcs and (vcs["vcs"] != "git" or not ids.is_hash(vcs["commit_id"])):
            return Package(is_here_alone=True)
        return Package(without_credentials(url), vcs["commit_id"] if vcs else "")
    except (ValueError, KeyError, TypeError, AttributeError):
        return Package(is_here_alone=True)
