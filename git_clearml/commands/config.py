"""`git clearml config`: every setting, its value, and where that is from."""

from __future__ import annotations

import argparse
import os

from git_clearml.base.console import Console
from git_clearml.clearml import config as clearml_conf
from git_clearml.commands import options
from git_clearml.errors import NotARepository, UnknownRevision
from git_clearml.git.repository import Repository
from git_clearml.render import config as view
from git_clearml.settings import load as policies
from git_clearml.settings import table as settings
from git_clearml.settings.load import POLICY_FILE

failed = options.failed("config")

TITLE = "every setting and where it comes from"
DESCRIPTION = "Prints every setting with its value and origin. Policy is read from HEAD's pyproject.toml."


def add_flags(parser: argparse.ArgumentParser) -> None:
    options.add_format(parser, "text", "json")


def run(arguments: argparse.Namespace, console: Console) -> int:
    """Prints the settings in force here. Returns the exit status."""
    values, warnings = _values()
    for warning in warnings:
        console.warn(warning)
    server = _server()
    if arguments.format == "json":
        console.document(view.document(values, server))
    else:
        console.product(view.text(values, server))
    return 0


def _values() -> tuple[settings.Settings, tuple[str, ...]]:
    """The settings here: with HEAD's policy, or with the defaults where there is no commit to read one from."""
    try:
        repository = Repository()
    except NotARepository:
        values, warnings = settings.merge(flags={}, environment=os.environ, git_config=(), pyproject={})
        return values, tuple(warnings)
    try:
        head = repository.resolve(["HEAD"])
    except UnknownRevision:
        pairs = [(key, value) for key, value in repository.config() if key.startswith("clearml.")]
        values, warnings = settings.merge(flags={}, environment=os.environ, git_config=pairs, pyproject={})
        return values, tuple(warnings)
    ruling = policies.rulings(repository, head, flags={}, environment=os.environ)[0]
    notes = ruling.warnings
    if repository.top and _edited(repository, head[0].policy_blob):
        notes = (*notes, f"{POLICY_FILE} has uncommitted changes; the policy is the committed one")
    return ruling.settings, notes


def _edited(repository: Repository, blob: str) -> bool:
    """Does the working tree's pyproject.toml say something else than HEAD's?"""
    path = os.path.join(repository.top, POLICY_FILE)
    if not os.path.isfile(path):
        return bool(blob)
    status, out, _ = repository.run("hash-object", "--", path)
    return status == 0 and out.decode("ascii", "replace").strip() != blob


def _server() -> dict[str, str]:
    """Which server and whose credentials, without the credentials."""
    server = clearml_conf.read_server(os.environ)
    if server is None:
        return {"server": "none configured; evidence = auto means this clone's own run records"}
    return {"server": server.api, "credentials": f"from {server.origin}"}
