"""What GitHub Actions gives a job: variables, the event file, and files to write to."""

from __future__ import annotations

import json
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from tests.support.github_server import REPOSITORY, TOKEN

Json = dict[str, Any]


def repository(name: str = REPOSITORY) -> Json:
    """A repository as an event shows it."""
    return {
        "full_name": name,
        "default_branch": "main",
        "clone_url": f"https://github.com/{name}.git",
        "ssh_url": f"git@github.com:{name}.git",
        "html_url": f"https://github.com/{name}",
    }


def pull_request(number: int, head: str, base: str, *, fork: str = "", action: str = "synchronize") -> Json:
    """The event of a pull request of branch `topic`, from a fork where one is named."""
    return {
        "action": action,
        "number": number,
        "repository": repository(),
        "pull_request": {
            "number": number,
            "head": {"sha": head, "ref": "topic", "repo": repository(fork or REPOSITORY)},
            "base": {"sha": base, "ref": "main", "repo": repository()},
        },
    }


@dataclass
class Job:
    """One job: `env` is what it sees, the properties are what it has written."""

    directory: Path
    name: str = "pull_request"
    event: Any = None
    sha: str = "f" * 40
    api: str = "https://api.github.com"
    token: str = TOKEN
    more: dict[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.directory.mkdir(parents=True, exist_ok=True)
        for file in ("summary.md", "output"):
            (self.directory / file).touch()

    def again(self, name: str) -> Job:
        """The same job, run anew: what it writes lies apart."""
        return replace(self, directory=self.directory.parent / f"job {name}")

    @property
    def env(self) -> dict[str, str | None]:
        event = self.directory / "event.json"
        content = self.event if isinstance(self.event, bytes) else json.dumps(self.event).encode()
        event.write_bytes(content)
        return {
            "CI": "true",
            "GITHUB_ACTIONS": "true",
            "GITHUB_API_URL": self.api,
            "GITHUB_EVENT_NAME": self.name,
            "GITHUB_EVENT_PATH": str(event),
            "GITHUB_OUTPUT": str(self.directory / "output"),
            "GITHUB_REPOSITORY": REPOSITORY,
            "GITHUB_RUN_ID": "77",
            "GITHUB_SERVER_URL": "https://github.com",
            "GITHUB_SHA": self.sha,
            "GITHUB_STEP_SUMMARY": str(self.directory / "summary.md"),
            "GITHUB_TOKEN": self.token,
            **self.more,
        }

    @property
    def summary(self) -> str:
        return (self.directory / "summary.md").read_text(encoding="utf-8")

    @property
    def outputs(self) -> dict[str, str]:
        """The outputs, read as the runner reads them."""
        values = {}
        lines = iter((self.directory / "output").read_text(encoding="utf-8").splitlines())
        for line in lines:
            name, _, mark = line.partition("<<")
            value = []
            for inner in lines:
                if inner == mark:
                    break
                value.append(inner)
            values[name] = "\n".join(value)
        return values

    @property
    def written(self) -> str:
        """All that the job has written."""
        return self.summary + (self.directory / "output").read_text(encoding="utf-8")
