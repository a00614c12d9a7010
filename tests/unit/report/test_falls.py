"""Where a metric falls in a history: held to a model that knows nothing of walking, and to what bisecting means."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from git_clearml.report import falls
from git_clearml.report.falls import Fall

Graph = dict[str, tuple[str, ...]]


@st.composite
def histories(draw: st.DrawFn) -> Graph:
    """Up to 12 commits with up to three parents each, those before them; now and then a root of its own."""
    graph: Graph = {}
    for number in range(draw(st.integers(1, 12))):
        before = list(graph)
        parents = draw(st.lists(st.sampled_from(before), max_size=3, unique=True)) if before else []
        graph[str(number)] = tuple(parents or (before[-1:] if draw(st.integers(0, 4)) else []))
    return graph


NUMBERS = st.dictionaries(st.integers(0, 11).map(str), st.booleans())


def closure(graph: Graph) -> dict[str, set[str]]:
    """Each commit with all that it stands on, by adding until nothing is added any more."""
    below = {name: {name} for name in graph}
    while True:
        more = {name: below[name].union(*(below[parent] for parent in graph[name])) for name in graph}
        if more == below:
            return below
        below = more


@given(histories(), NUMBERS)
def test_it_is_what_the_words_say(graph: Graph, numbers: dict[str, bool]) -> None:
    """Worse, on nothing that is worse, below nothing that is good; what it stands on and nobody vouches for hides."""
    worse = {name: is_worse for name, is_worse in numbers.items() if name in graph}
    below = closure(graph)
    vouched = {name for good in graph if worse.get(good) is False for name in below[good]}
    open_to = {name: [each for each in graph if each in below[name] - {name} - vouched] for name in graph}
    wanted = tuple(
        Fall(name, tuple(open_to[name]))
        for name in graph
        if worse.get(name) and name not in vouched and not any(worse.get(each) for each in open_to[name])
    )
    result = falls.find(graph, worse)
    assert result.falls == wanted
    certain = [fall for fall in wanted if not fall.hidden]
    assert result.first == next(iter([*certain, *wanted]), None)
    assert {*result.recovered} <= {name for name in vouched if worse.get(name)}


@given(histories(), NUMBERS, st.data())
def test_of_one_culprit_nothing_else_is_ever_named(graph: Graph, numbers: dict[str, bool], data: st.DataObject) -> None:
    """All that stands on it is worse, all else is not, as git bisect assumes: with every number it is found, with some
    it is among what is left."""
    below, culprit = closure(graph), data.draw(st.sampled_from(list(graph)))
    worse = {name: culprit in below[name] for name in graph}
    assert falls.find(graph, worse).falls == (Fall(culprit),)
    seen = {name: is_worse for name, is_worse in worse.items() if name in numbers}
    for fall in falls.find(graph, seen).falls:
        assert culprit in (fall.commit, *fall.hidden)
        if fall.hidden:
            assert falls.halving(graph, fall) in fall.hidden


def test_the_one_to_train_is_in_the_middle() -> None:
    line: Graph = {str(n): (str(n - 1),) if n else () for n in range(10)}
    result = falls.find(line, {"0": False, "9": True})
    assert result.falls == (Fall("9", tuple(map(str, range(1, 9)))),)
    assert falls.halving(line, result.falls[0]) in ("4", "5")
    assert falls.nearest(line, "9", {"0": False}) == ["0"]
    many: Graph = {str(n): (str(n - 1),) if n else () for n in range(5_000)}
    assert falls.halving(many, falls.find(many, {"4999": True}).falls[0]) == "2499"


def test_what_was_made_good_again() -> None:
    line: Graph = {str(n): (str(n - 1),) if n else () for n in range(6)}
    result = falls.find(line, {"0": True, "1": False, "2": True, "3": True, "4": False, "5": True})
    assert result.recovered == ("2",)  # 0 stands on nothing that was better, and 3 was worse already
    assert result.first == Fall("5")
