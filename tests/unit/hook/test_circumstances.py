"""hooks/pre-push looks at every variable that a verdict hangs on: a new one is not to be forgotten there."""

from __future__ import annotations

import re

from git_clearml.clearml import conf_file, config
from git_clearml.settings import in_ci
from git_clearml.settings.table import TABLE
from tests.support.program import ROOT

HOOK = (ROOT / "hooks" / "pre-push").read_text()


def test_the_sh_knows_the_variables_of_ci_services() -> None:
    assert set(re.findall(r"[\w]+(?=-\})", re.findall(r"recall\(\) \{.*?\n\}", HOOK, re.DOTALL)[0])) >= set(
        in_ci.SERVICES
    )


def test_the_sh_hashes_what_names_a_server_and_what_a_person_sets() -> None:
    hashed = set(re.findall(r"[\w]+(?=-\})", re.findall(r"circumstances\(\) \{.*?\n\}", HOOK, re.DOTALL)[0]))
    kinds = [name for kind in [*config._KINDS, "API_HOST_VERIFY_CERT"] for name in config._names(kind)]
    settings = [setting.variable for setting in TABLE if not setting.policy]
    assert settings
    wanted = {*kinds, *settings, *conf_file.NAMES, "CLEARML_AUTH_TOKEN", "CLEARML_CONFIG_PATH", "TRAINS_CONFIG_PATH"}
    assert wanted - hashed == set()
