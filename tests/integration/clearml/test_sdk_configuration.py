"""Which server the SDK would log in to, and which one we ask: never is there "no server" where the SDK finds one.

The SDK takes a second for each, so of the installed one only a few are seen; of another version by hand, with
SDK_PYTHON=/path/to/python, all. So seen: 1.9.3, 1.16.5, 2.1.12, which agree.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest

from git_clearml.clearml.config import read_server
from git_clearml.errors import Error
from tests.support import sdk_login
from tests.support.clearml_server import ClearMLServer

SDK = os.environ.get("SDK_PYTHON", "")
SEEN = ("nothing", "former names", "token", "trains.conf", "former name of the file", "missing file", "host alone")


def api(section: str = "", **values: str) -> str:
    keys = "credentials { access_key: {key}, secret_key: {secret} }"
    lines = "\n".join(f'{name}: "{value}"' for name, value in values.items())
    return "api {\n" + lines + "\n" + (section or keys) + "\n}\n"


HOST = api(api_server="{host}")
ENV = {"CLEARML_API_HOST": "{host}", "CLEARML_API_ACCESS_KEY": "{key}", "CLEARML_API_SECRET_KEY": "{secret}"}
TRAINS = {name.replace("CLEARML", "TRAINS"): value for name, value in ENV.items()}
TOKEN = {"CLEARML_API_HOST": "{host}", "CLEARML_AUTH_TOKEN": "{token}"}


def without(name: str) -> dict[str, str]:
    return {key: value for key, value in ENV.items() if not key.endswith(name)}


# name: environment, files in HOME, what we do: a login as the SDK's, None for no server, or the status of an error
SCENARIOS: dict[str, tuple[Mapping[str, str], Mapping[str, str], Any]] = {
    "nothing": ({}, {}, None),
    "environment": (ENV, {}, "login"),
    "former names": (TRAINS, {}, "login"),
    "former host, new keys": ({**without("HOST"), "TRAINS_API_HOST": "{host}"}, {}, "login"),
    "empty new name, former one": ({**TRAINS, "CLEARML_API_HOST": " "}, {}, "login"),
    "token": (TOKEN, {}, "login"),
    "token and keys": ({**ENV, "CLEARML_AUTH_TOKEN": "{token}", "CLEARML_API_SECRET_KEY": "wrong"}, {}, "login"),
    "token, host in the file": (
        {"CLEARML_AUTH_TOKEN": "{token}"}, {"clearml.conf": api("sdk { }", api_server="{host}")}, "login",
    ),
    "clearml.conf": ({}, {"clearml.conf": HOST}, "login"),
    "trains.conf": ({}, {"trains.conf": HOST}, "login"),
    "both, clearml.conf has the keys": (
        {}, {"trains.conf": api("x: 1", api_server="{host}"), "clearml.conf": api()}, "login",
    ),
    "named file": ({"CLEARML_CONFIG_FILE": "~/named.conf"}, {"named.conf": HOST}, "login"),
    "former name of the file": ({"TRAINS_CONFIG_FILE": "~/named.conf"}, {"named.conf": HOST}, "login"),
    "named file wins over home": (
        {"CLEARML_CONFIG_FILE": "~/named.conf"}, {"named.conf": HOST, "clearml.conf": "{"}, "login",
    ),
    "missing file": ({"CLEARML_CONFIG_FILE": "~/missing.conf"}, {}, 2),
    "missing file, conf in home": ({"CLEARML_CONFIG_FILE": "~/missing.conf"}, {"clearml.conf": HOST}, 2),
    "missing file, environment": ({**ENV, "CLEARML_CONFIG_FILE": "~/missing.conf"}, {}, "login"),
    "a variable in the file's name": ({"CLEARML_CONFIG_FILE": "$HOME/named.conf"}, {"named.conf": HOST}, 2),
    "a folder": ({"CLEARML_CONFIG_FILE": "~"}, {}, 2),
    "no file on purpose": ({"CLEARML_CONFIG_FILE": "/dev/null"}, {}, None),
    "broken file": ({}, {"clearml.conf": "api { a"}, 2),
    "host alone": ({"CLEARML_API_HOST": "{host}"}, {}, 3),
    "web host alone": ({"CLEARML_WEB_HOST": "{host}"}, {}, 3),
    "without the secret": (without("SECRET_KEY"), {}, 3),
    "without the access key": (without("ACCESS_KEY"), {}, 3),
    "empty strings": (dict.fromkeys(ENV, ""), {}, None),
    "blanks": (dict.fromkeys(ENV, "  "), {}, None),
    "empty keys": ({**ENV, "CLEARML_API_ACCESS_KEY": "", "CLEARML_API_SECRET_KEY": ""}, {}, 3),
    "file without credentials": ({}, {"clearml.conf": api("x: 1", api_server="{host}")}, 3),
    "file without an api section": ({}, {"clearml.conf": "sdk { }"}, None),
    "api.host": ({}, {"clearml.conf": api(host="{host}")}, "login"),
}  # fmt: skip


@pytest.fixture(scope="module")
def server() -> Iterator[ClearMLServer]:
    with ClearMLServer() as running:
        yield running


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("home")


def filled(values: Mapping[str, str], server: ClearMLServer) -> dict[str, str]:
    known = {"{host}": server.url, "{key}": server.access_key, "{secret}": server.secret_key, "{token}": server.token()}
    done = {}
    for name, value in values.items():
        for mark, text in known.items():
            value = value.replace(mark, text)
        done[name] = value
    return done


@pytest.fixture(scope="module")
def of_sdk(server: ClearMLServer, home: Path) -> dict[str, str]:
    """What the SDK does in each scenario."""
    for _, files, _ in SCENARIOS.values():
        for name, content in filled(files, server).items():
            (home / name).write_text(content, encoding="utf-8")
    names = SCENARIOS if SDK else SEEN
    asked = [{"env": filled(SCENARIOS[name][0], server), "files": filled(SCENARIOS[name][1], server)} for name in names]
    done = subprocess.run(
        [SDK or sys.executable, sdk_login.__file__],
        input=json.dumps(asked),
        env={"PATH": os.environ["PATH"], "HOME": str(home)},
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
        check=True,
        timeout=120,
    )
    return dict(zip(names, json.loads(done.stdout), strict=True))


def ours(name: str, server: ClearMLServer, tmp_path: Path) -> tuple[Any, str]:
    """What we do, and whom we would ask."""
    env, files, _ = SCENARIOS[name]
    for file, content in filled(files, server).items():
        (tmp_path / file).write_text(content, encoding="utf-8")
    try:
        asked = read_server({"HOME": str(tmp_path), **filled(env, server)})
    except Error as error:
        return error.status, ""
    return ("login", asked.api) if asked else (None, "")


@pytest.mark.parametrize("name", SCENARIOS)
def test_a_server_is_asked_where_the_sdk_logs_in(
    name: str, of_sdk: dict[str, str], server: ClearMLServer, tmp_path: Path
) -> None:
    expected = SCENARIOS[name][2]
    outcome, asked = ours(name, server, tmp_path)
    assert outcome == expected
    assert asked in ("", server.url)
    if name in of_sdk:
        assert (of_sdk[name] == "login") == (outcome == "login")
        assert outcome is not None or of_sdk[name] == "MissingConfigError"
