"""Gets what a CI job's clone lacks of the commits that squashed and rebased ones come from."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from git_clearml.git.objects import parents_in
from git_clearml.git.repository import Repository
from git_clearml.model import Commit
from git_clearml.verdict import merges
from git_clearml.verdict.checkout import Checkout

_MOST = 4  # pull requests whose heads are fetched


def fetch(repository: Repository, commits: Sequence[Commit], checkout: Checkout) -> Mapping[str, Sequence[int]]:
    """Fetches the heads of the pull requests that brought these commits, as they say, or else as their forge knows.

    The numbers that only the forge has told, by commit: a squash says its number, a rebase none.
    """
    contents = repository.blobs(commit.hash for commit in commits)
    in_messages = {name: merges.pull_requests(content) for name, content in contents.items()}
    untold = [name for name, content in contents.items() if not in_messages[name] and len(parents_in(content)) == 1]
    by_forge = {name: checkout.merged_by(name) for name in untold}
    numbers = {number for each in (*in_messages.values(), *by_forge.values()) for number in each}
    present = repository.refs([ref for number in sorted(numbers) for ref in merges.refs_of(number)])
    wanted = [number for number in sorted(numbers) if not present.keys() & set(merges.refs_of(number))]
    checkout.fetch_pull_requests(wanted[:_MOST])
    return by_forge
