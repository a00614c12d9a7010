"""The secrets that clearml.conf adds to those of the environment (base/secrets.py), whatever else is in it."""

from __future__ import annotations

import os
from collections.abc import Mapping

from git_clearml.base.files import read_limited
from git_clearml.base.secrets import Secrets
from git_clearml.clearml.conf_file import conf_paths

_MOST_BYTES = 1_000_000


def known_secrets(environment: Mapping[str, str]) -> Secrets:
    """All that must stand in no output. Files are searched and not parsed: one may be broken, and parsing is slow."""
    secrets = Secrets.of_environment(environment)
    for path in conf_paths(environment):
        content = read_limited(os.path.realpath(path), _MOST_BYTES)
        if not isinstance(content, str):
            secrets |= Secrets.of_configuration(content.decode("utf-8", "replace"))
    return secrets
