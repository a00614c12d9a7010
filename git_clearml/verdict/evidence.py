"""Evidence sources as the rest of the program sees them; server.py and offline.py are the two there are."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from git_clearml.model import Metric, Task
from git_clearml.settings.policy import Policy


class Evidence(Protocol):
    """Where tasks are looked up: the server or this clone. Same question, same answer."""

    source: str
    identity: str  # whom a verdict may be remembered for; "" where remembering gains nothing

    def passing(self, commits: Sequence[str], policy: Policy) -> list[Task]: ...

    def all(self, commits: Sequence[str], policy: Policy) -> list[Task]: ...

    def recent(self, policy: Policy) -> list[Task]: ...

    def find(self, identity: str, policy: Policy) -> Task | None: ...

    def metrics(self, task: Task) -> tuple[Metric, ...]: ...

    def tagged(self, tag: str, policy: Policy) -> list[Task]: ...

    def move_tag(self, add_to: Sequence[str], remove_from: Sequence[str], tag: str) -> None: ...

    def renew(self) -> None: ...

    def tag(self, ids: Sequence[str], tag: str) -> None: ...

    def close(self) -> None: ...
