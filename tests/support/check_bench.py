"""`git clearml check-runnable` on the command line: a clone, its remote, and a world with an agent in it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from tests.support.check_world import World
from tests.support.clearml_common import Json
from tests.support.program import Gate, Result
from tests.support.pushing import Yard, make_yard, on_path, quick

ENDS_AT_ONCE = ((0.0, "pull"), (0.0, "complete"))
"""The story of a task that has completed before anybody looks: such a check takes no time."""

KEYS = {
    "schema": int,
    "command": str,
    "outcome": str,
    "exit_code": int,
    "commit": str,
    "task": str,
    "url": str,
    "queue": str,
    "seconds_queued": float,
    "seconds_running": float,
    "cause": str,
    "sentence": str,
    "log_tail": list,
    "earlier": bool,
    "left": list,
    "hint": str,
    "notes": list,
    "errors": list,
}
"""The JSON of a check; all but the first four and the last may be null."""


@dataclass
class Bench:
    """A clone with an unpushed commit of `main.py` on main; the program is run inside this process."""

    yard: Yard
    world: World
    env: dict[str, str | None] = field(default_factory=lambda: {"PATH": on_path()})

    @property
    def gate(self) -> Gate:
        return Gate(self.yard.repo, self.world.server, dict(self.env))

    @property
    def repo_head(self) -> str:
        return self.yard.repo.head

    def check(self, *words: str, status: int = 0, **options: Mapping[str, str | None]) -> Result:
        """`check-runnable --format json <words>`, whose status is also that of the JSON."""
        self.world.again()
        result = self.gate.call("check-runnable", "--format", "json", *words, **options)  # type: ignore[arg-type]
        assert result.status == status, result.out + result.err
        assert set(result.json) == set(KEYS)
        for key, kind in KEYS.items():
            assert result.json[key] is None or isinstance(result.json[key], kind), key
        assert (result.json["schema"], result.json["command"]) == (1, "check-runnable")
        assert result.json["exit_code"] == status
        return result

    def launched(self, *words: str) -> Json:
        """The task that a check launches, as the server has it afterwards."""
        self.check("--archive", "never", *words)
        return self.world.task


@contextmanager
def bench(place: Path, world: World | None = None, *options: str) -> Iterator[Bench]:
    """A bench whose agent, unless the world says otherwise, completes each task at once."""
    files = {"main.py": "print('works')\n"}
    with world or World(ENDS_AT_ONCE) as around, quick(make_yard(place, around.server, *options, then=files)) as yard:
        yield Bench(yard, around)
