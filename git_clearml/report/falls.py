"""Where in a history a metric falls: the first commits whose value is worse, and what may hide others. Pure.

As git bisect has it: what is not worse vouches for all that it stands on, so the falls that count are those that no
later commit has made good. Unlike git bisect it has every value at hand, and names each of several falls.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple

Parents = Mapping[str, Sequence[str]]
"""The parents of each commit of a range, by hash, parents before children; those outside of it are not worse."""

_COUNTED = 2000  # commits of which the one is looked for that halves them best


class Fall(NamedTuple):
    """A commit that is worse and stands on none that is, and those without a number that it stands on.

    With any of those `hidden` the metric may have fallen at one of them, or at the commit itself. All oldest first.
    """

    commit: str
    hidden: tuple[str, ...] = ()


class Falls(NamedTuple):
    """All falls, oldest first, and the commits at which the metric had fallen before a later one made that good."""

    falls: tuple[Fall, ...] = ()
    recovered: tuple[str, ...] = ()

    @property
    def first(self) -> Fall | None:
        """The oldest that nothing hides, else the oldest; None where the metric does not fall."""
        return next((fall for fall in self.falls if not fall.hidden), next(iter(self.falls), None))


def find(parents: Parents, worse: Mapping[str, bool]) -> Falls:
    """The falls in this range. `worse` has each commit with a number."""
    good = ancestors(parents, [commit for commit in parents if worse.get(commit) is False])
    falls, below = list[Fall](), set[str]()  # commits that are worse, or stand on one that is
    for commit, others in parents.items():
        if commit in good:
            continue
        if any(parent in below for parent in others):
            below.add(commit)
        elif worse.get(commit):
            below.add(commit)
            hidden = ancestors(parents, [commit], without=good) - {commit}
            falls.append(Fall(commit, tuple(each for each in parents if each in hidden) if hidden else ()))
    made_good = [commit for commit in parents if commit in good and worse.get(commit)]
    recovered = [name for name in made_good if any(not worse.get(below) for below in nearest(parents, name, worse))]
    return Falls(tuple(falls), tuple(recovered))


def ancestors(parents: Parents, commits: Iterable[str], *, without: Iterable[str] = ()) -> set[str]:
    """These commits and all of the range that they stand on, but for those `without` and what only those stand on."""
    skipped, reached, front = set(without), set[str](), list(commits)
    while front:
        commit = front.pop()
        if commit in parents and commit not in reached and commit not in skipped:
            reached.add(commit)
            front += parents[commit]
    return reached


def nearest(parents: Parents, commit: str, measured: Mapping[str, bool]) -> list[str]:
    """The commits with a number, or outside of the range, that are the first on each way down from this one."""
    seen, front, numbers = set[str](), list(parents[commit]), list[str]()
    while front:
        current = front.pop(0)
        if current in seen:
            continue
        seen.add(current)
        if current in measured or current not in parents:
            numbers.append(current)
        else:
            front += parents[current]
    return numbers


def halving(parents: Parents, fall: Fall) -> str:
    """The hidden commit whose number would tell most: about half of what may have made the fall is at or below it."""
    left = {*fall.hidden, fall.commit}
    if len(left) > _COUNTED:
        return fall.hidden[len(fall.hidden) // 2]
    inside = {commit: [parent for parent in parents[commit] if parent in left] for commit in left}

    def worth(commit: str) -> int:
        count = len(ancestors(inside, [commit]))
        return min(count, len(left) - count)

    return max(fall.hidden, key=worth)
