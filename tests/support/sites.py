"""A repository on a forge with a change request, and the jobs that run there: the same for each."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from git_clearml.render import comment as view
from git_clearml.render.flavour import BITBUCKET as BITBUCKET_FLAVOUR
from git_clearml.render.flavour import GITHUB as GITHUB_FLAVOUR
from tests.support import actions, gitlab_job
from tests.support.forges import BITBUCKET, GITEA, GITLAB, Kind
from tests.support.program import Gate, Result

FORK = "stranger/project"


@dataclass
class Site:
    """A gate whose repository is on a forge, with change request 7 of `head` into `base`, of branch `topic`."""

    gate: Gate
    kind: Kind
    server: Any
    directory: Path
    base: str
    head: str

    def marker(self, label: str = "verify") -> str:
        """The first line of our comments here."""
        return view.marker(label, flavour=BITBUCKET_FLAVOUR if self.kind.name == BITBUCKET.name else GITHUB_FLAVOUR)

    @property
    def ours(self) -> str:
        """The body of our only comment."""
        (only,) = self.server.by(self.kind.bot)
        return str(only["body"])

    def request(self, head: str = "", *, fork: bool = False) -> dict[str, str | None]:
        """The variables of a job of the change request, from a fork where that is wanted."""
        head, owner = head or self.head, FORK if fork else ""
        if self.kind is GITLAB:
            return {**gitlab_job.merge_request(self.server, 7, head, self.base, fork=owner)}
        if self.kind.name == BITBUCKET.name:
            target = {"BITBUCKET_PR_DESTINATION_BRANCH": "main", "BITBUCKET_PR_DESTINATION_COMMIT": self.base[:12]}
            return self._pipeline(BITBUCKET_COMMIT=head, BITBUCKET_BRANCH="topic", BITBUCKET_PR_ID="7", **target)
        return self._actions("pull_request", actions.pull_request(7, head, self.base, fork=owner))

    def push(self, ref: str, after: str, before: str) -> dict[str, str | None]:
        """The variables of a job of a push."""
        kind, _, name = ref.removeprefix("refs/").partition("/")
        if self.kind is GITLAB:
            where = {"tag": name} if kind == "tags" else {"branch": name}
            return {**gitlab_job.push(self.server, after, before, **where)}
        if self.kind.name == BITBUCKET.name:
            where = {"BITBUCKET_TAG": name} if kind == "tags" else {"BITBUCKET_BRANCH": name}
            return self._pipeline(BITBUCKET_COMMIT=after, **where)
        event = {"ref": ref, "before": before, "after": after, "repository": actions.repository()}
        return self._actions("push", event)

    def queued(self, merged: str, *, kind: str = "merged_result") -> dict[str, str | None]:
        """The variables of a job of a merge queue, of GitLab's merged results or of its merge train."""
        if self.kind is GITLAB:
            job = gitlab_job.merge_request(self.server, 7, self.head, self.base, kind=kind, merge=merged)
            return {**job}
        queue = f"refs/heads/gh-readonly-queue/main/pr-7-{self.base}"
        group = {"head_sha": merged, "head_ref": queue, "base_sha": self.base, "base_ref": "refs/heads/main"}
        return self._actions("merge_group", {"merge_group": group, "repository": actions.repository()})

    def comment(self, *words: str, env: Mapping[str, str | None] | None = None, **more: str | None) -> Result:
        """Runs `comment`; nothing that it prints or posts holds the token."""
        result = self.gate.call("comment", *words, env={**(env or self.request()), **more})
        bodies = "".join(comment["body"] for comment in self.server.comments)
        assert self.kind.token not in result.out + result.err + bodies
        return result

    def amend(self) -> str:
        """A new head, as after `git commit --amend`."""
        number = len(self.server.calls)
        self.gate.repo.git("commit", "--amend", "--quiet", "--allow-empty", "-m", f"again {number}")
        self.head = self.gate.repo.head
        pull = self.server.pulls[7]
        if self.kind is GITLAB:
            pull["sha"] = self.head
        elif self.kind.name == BITBUCKET.name:
            pull["source"]["commit"]["hash"] = self.head[:12]
        else:
            pull["head"]["sha"] = self.head
        return self.head

    def _pipeline(self, **more: str) -> dict[str, str | None]:
        """The variables of a pipeline of Bitbucket."""
        return {
            "CI": "true",
            "BITBUCKET_BUILD_NUMBER": "3",
            "BITBUCKET_REPO_FULL_NAME": self.server.repository,
            "BITBUCKET_WORKSPACE": self.server.repository.partition("/")[0],
            "BITBUCKET_API_URL": self.server.url,
            "BITBUCKET_TOKEN": self.kind.token,
            **more,
        }

    def _actions(self, name: str, event: Any) -> dict[str, str | None]:
        more = {"GITEA_ACTIONS": "true", "GITHUB_SERVER_URL": self.server.web} if self.kind is GITEA else {}
        job = actions.Job(self.directory, name, event, api=self.server.url, token=self.kind.token, more=more)
        return job.env
