"""The loopback server answers every recorded request as the real server did.

Not compared: times, tokens, error texts, ids beyond being the same ones throughout, and of `events.*` reads
(whose recordings come from a stand-in) everything but names and nesting; of curves (53) their points are.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from tests.support.clearml_common import SERVER_VERSION
from tests.support.clearml_server import ClearMLServer
from tests.support.preparations import BEFORE, STEPS, whole_request
from tests.support.raw_client import RawClient
from tests.support.replay import Replay

EXCHANGES = Path(__file__).parent / "recordings" / "exchanges"
NAMES = [f"{number:02}" for number in (*range(1, 21), *range(30, 37), *range(40, 49), 50, 52, 53)]
VERSIONS = dict.fromkeys(["50", "52", "53"], "2.3.0")  # of the recorded server, where it is not 2.0.0

# "recording-entry call" -> why the loopback server answers it in another way.
NOT_IMITATED: dict[str, str] = {}


def entries(name: str) -> list[dict[str, Any]]:
    (path,) = EXCHANGES.glob(f"{name}-*.json")
    loaded: list[dict[str, Any]] = json.loads(path.read_text(encoding="utf-8"))
    return loaded


def replayed(replay: Replay, name: str, last: int | None = None) -> dict[str, list[str]]:
    """The differences of each entry of a recording that has any."""
    found: dict[str, list[str]] = {}
    for number, entry in enumerate(entries(name)[:last], 1):
        for step in STEPS.get((name, number), []):
            step(replay)
        differences = replay.differences(entry, whole_request(name, number, entry, replay))
        if differences:
            found[f"{name}-{number} {entry['call']}"] = differences
    return found


def listed(name: str) -> dict[str, str]:
    return {key: reason for key, reason in NOT_IMITATED.items() if key.startswith(f"{name}-")}


@pytest.mark.parametrize("name", NAMES)
def test_recording(name: str) -> None:
    with ClearMLServer(version=VERSIONS.get(name, SERVER_VERSION)) as server, RawClient(server) as client:
        replay = Replay(server, client, exact=name == "53")
        for earlier, last in BEFORE.get(name, []):
            replayed(replay, earlier, last)
        found = replayed(replay, name)

    unexpected = {key: found[key] for key in found.keys() - listed(name).keys()}
    assert unexpected == {}
    assert sorted(listed(name).keys() - found.keys()) == [], "these are imitated: take them off the list"


def test_the_list_names_only_recordings_that_are_replayed() -> None:
    assert [key for key in NOT_IMITATED if key.partition("-")[0] not in NAMES] == []
