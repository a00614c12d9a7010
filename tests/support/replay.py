"""Replays recorded exchanges of a real ClearML server against the loopback one and lists the differences."""

from __future__ import annotations

import base64
import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from tests.support.clearml_common import USER_ID
from tests.support.clearml_server import ClearMLServer
from tests.support.raw_client import RawClient, basic

ID = re.compile(r"(?<![0-9a-f])[0-9a-f]{32}(?![0-9a-f])")
TIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.(\d{3}Z|\d{6}\+00:00)")
OTHER_USER = "__ada__"  # whose key recorded 50 to 54
KEPT = re.compile(r"\[response\.data\.tasks: (\d+) items, first \d+ kept\]")
# Values that differ from run to run; that they are there is compared.
VOLATILE = frozenset(["token", "scroll_id", "active_duration", "last_timestamp", "running_time", "msg"])


@dataclass
class Replay:
    """One server, and which of its ids stands for which recorded one."""

    server: ClearMLServer
    client: RawClient
    ids: dict[str, str] = field(default_factory=dict)
    exact: bool = False  # of what is read through the stand-in for events, compare numbers too

    def own(self, recorded: str) -> str:
        """Our id for a recorded one."""
        return self.ids.get(recorded, recorded)

    def call(self, name: str, /, **body: Any) -> dict[str, Any]:
        """A call that the recording left out, with recorded ids."""
        return self.client.data(name, self._translated(body))

    def differences(self, entry: Mapping[str, Any], request: Any) -> list[str]:
        """Sends one recorded request and says where the answer is not the recorded one."""
        method, path = entry["call"].split(" ", 1)
        body, headers = self._wire(request, entry["request_headers"])
        status, answer = self.client.send(method, path, body, headers)
        recorded = entry["response"]
        found = list(_unlike("status", entry["status"], status))
        for key in ("result_code", "result_subcode"):
            found += _unlike(f"meta.{key}", recorded["meta"][key], answer["meta"][key])
        for key in ("name", "actual_version"):
            expected = recorded["meta"]["endpoint"][key]
            found += _unlike(f"meta.endpoint.{key}", str(expected), str(answer["meta"]["endpoint"][key]))
        comparison = Comparison.of(entry, request, self.exact)
        if comparison.places_agree:
            self._learn(recorded["data"], answer["data"])
        expected_data = self._translated(recorded["data"])
        return found + list(comparison.differences("data", expected_data, answer["data"]))

    def _translated(self, value: Any) -> Any:
        text = ID.sub(lambda match: self.own(match[0]), json.dumps(value))
        text = text.replace(json.dumps(OTHER_USER), json.dumps(USER_ID))
        return json.loads(text)

    def _wire(self, request: Any, recorded_headers: Mapping[str, str]) -> tuple[bytes | None, dict[str, str]]:
        headers = dict(recorded_headers)
        if "Authorization" in headers:
            headers["Authorization"] = self._authorization(headers["Authorization"])
        if request is None:
            return None, headers
        if "raw_text" in request:
            return request["raw_text"].encode(), headers
        translated = self._translated(request)
        if "json_lines" in translated:
            return "\n".join(json.dumps(line) for line in translated["json_lines"]).encode(), headers
        return json.dumps(translated).encode(), headers

    def _authorization(self, recorded: str) -> str:
        """A real header for a recorded one with placeholders."""
        server = self.server
        pair = re.search(r"<base64 of (.*)>$", recorded)
        if pair:
            text = pair[1].replace("<access>", server.access_key).replace("<secret>", server.secret_key)
            return "Basic " + base64.b64encode(text.encode()).decode()
        good = server.token()
        changed = good[:-2] + ("AA" if good[-2:] != "AA" else "BB")
        return (
            recorded.replace("Basic <basic access:secret>", basic(server.access_key, server.secret_key))
            .replace("<bearer token with a broken signature>", changed)
            .replace("<expired bearer token>", server.token(life=-1))
            .replace("<bearer token>", good)
        )

    def _learn(self, recorded: Any, ours: Any) -> None:
        """Takes over ids that stand at the same place, unless one of them is known already."""
        if isinstance(recorded, dict) and isinstance(ours, dict):
            for key in recorded.keys() & ours.keys():
                self._learn(recorded[key], ours[key])
        elif isinstance(recorded, list) and isinstance(ours, list):
            for our, other in zip(recorded, ours, strict=False):
                self._learn(our, other)
        elif isinstance(recorded, str) and isinstance(ours, str) and recorded != ours:
            both = ID.fullmatch(recorded) and ID.fullmatch(ours)
            if both and recorded not in self.ids and ours not in self.ids.values():
                self.ids[recorded] = ours


def _unlike(path: str, recorded: Any, ours: Any) -> Iterator[str]:
    if recorded != ours or isinstance(recorded, bool) != isinstance(ours, bool):
        yield f"{path}: recorded {recorded!r}, ours {ours!r}"


@dataclass(frozen=True)
class Comparison:
    """What of an answer is compared."""

    ordered: bool  # the request asked for an order of its list
    shape_only: bool  # read through the stand-in for events: names and nesting alone
    trimmed: bool
    length: int | None  # of a list of which the recording kept only the first items

    @classmethod
    def of(cls, entry: Mapping[str, Any], request: Any, exact: bool) -> Comparison:
        service, _, action = entry["call"].rpartition("/")[2].partition(".")
        order = request.get("order_by") if isinstance(request, dict) else None
        kept = KEPT.search(entry.get("note") or "")
        return cls(
            ordered=bool(order) and order != ["-nope"],
            shape_only=not exact and service == "events" and not action.startswith("add"),
            trimmed=bool(entry.get("trimmed")),
            length=int(kept[1]) if kept else None,
        )

    @property
    def places_agree(self) -> bool:
        """Whether items at the same place are the same: not among the first few of many in no order."""
        return self.ordered or self.length is None

    def differences(self, path: str, recorded: Any, ours: Any) -> Iterator[str]:
        if isinstance(recorded, dict) and isinstance(ours, dict):
            yield from self._maps(path, recorded, ours)
        elif isinstance(recorded, list) and isinstance(ours, list):
            yield from self._lists(path, recorded, ours)
        elif isinstance(recorded, str) and TIME.fullmatch(recorded):
            if not (isinstance(ours, str) and TIME.fullmatch(ours)):
                yield f"{path}: recorded a time, ours {ours!r}"
        elif self.shape_only and recorded is not None:
            if isinstance(recorded, (dict, list)) or isinstance(ours, (dict, list)):
                yield f"{path}: recorded {recorded!r}, ours {ours!r}"
        else:
            yield from _unlike(path, recorded, ours)

    def _maps(self, path: str, recorded: dict[str, Any], ours: dict[str, Any]) -> Iterator[str]:
        partly = self.trimmed and self.length is None
        for key in sorted(recorded.keys() | ours.keys()):
            here = f"{path}.{key}"
            if key not in ours:
                yield f"{here}: recorded {recorded[key]!r}, ours is absent"
            elif key not in recorded:
                if not partly:
                    yield f"{here}: absent in the recording, ours {ours[key]!r}"
            elif key not in VOLATILE:
                yield from self.differences(here, recorded[key], ours[key])

    def _lists(self, path: str, recorded: list[Any], ours: list[Any]) -> Iterator[str]:
        length = self.length if self.length is not None and path == "data.tasks" else len(recorded)
        if length != len(ours):
            yield f"{path}: recorded {length} items, ours {len(ours)}"
            return
        if length != len(recorded) and not self.ordered:
            return  # the first two of many in no order say nothing
        if not self.ordered and all(isinstance(item, dict) and "id" in item for item in [*recorded, *ours]):
            recorded, ours = (sorted(items, key=lambda item: str(item["id"])) for items in (recorded, ours))
        for index, (our, other) in enumerate(zip(recorded, ours, strict=False)):
            yield from self.differences(f"{path}[{index}]", our, other)
