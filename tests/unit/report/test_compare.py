"""How a task stands against the best one, and who keeps the best tag."""

from __future__ import annotations

import math
from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from git_clearml.errors import BadSetting, PublishFailed, UsageError
from git_clearml.model import Curve, Metric, Task
from git_clearml.report import best_tag, compare
from git_clearml.report.measures import Comparison, ComparisonOutcome
from git_clearml.settings.policy import Best, Policy
from git_clearml.verdict.metric_rules import unusable
from git_clearml.verdict.model import Outcome, Verdict
from git_clearml.verdict.time_windows import Window

RULES = Best(metric="loss/train", direction="min")
MAX = RULES._replace(direction="max")
TAG = RULES.tag


def task(identity: str, value: float | None, completed: str = "2026-01-02T03:04:05.000000+00:00") -> Task:
    return Task(identity, "server", project="P", status="completed", completed=completed, value=value)


def compared(ours: float | None, theirs: float, **rules: object) -> tuple[str, int]:
    """The outcome and the status, with direction max unless `rules` say otherwise."""
    result = compare.decide(task("a", ours), task("b", theirs), MAX._replace(**rules))  # type: ignore[arg-type]
    return result.outcome.value, result.status


@pytest.mark.parametrize(
    ("ours", "theirs", "direction", "outcome"),
    [
        (0.9, 0.8, "max", ("better", 0)),
        (0.8, 0.9, "max", ("worse", 1)),
        (0.8, 0.9, "min", ("better", 0)),
        (0.9, 0.8, "min", ("worse", 1)),
        (0.9, 0.9, "max", ("equal", 0)),
        (0.0, -0.0, "max", ("equal", 0)),
        (-1.0, -2.0, "max", ("better", 0)),
        (-2.0, -1.0, "min", ("better", 0)),
        (5e-324, 0.0, "max", ("better", 0)),
    ],
)
def test_strictly_better_in_the_direction(ours: float, theirs: float, direction: str, outcome: tuple[str, int]) -> None:
    assert compared(ours, theirs, direction=direction) == outcome


@pytest.mark.parametrize(
    ("ours", "theirs", "tolerance", "status"),
    [
        (0.895, 0.9, "0.005", 0),  # in binary floating point the difference is a little more
        (0.8949, 0.9, "0.005", 1),
        (0.8955, 0.9, "0.5%", 0),
        (0.8954, 0.9, "0.5%", 1),
        (-1.01, -1.0, "1%", 0),  # percent are of the absolute value
        (-1.02, -1.0, "1%", 1),
        (-1e-300, 0.0, "99%", 1),  # of a best of 0 they are 0
        (-0.5, 0.0, "0.5", 0),
        (0.1, 0.3, "0", 1),
        (1e308, 1.7e308, "50 %", 0),
        (-1.7e308, 1.7e308, "100%", 1),
    ],
)
def test_the_tolerance_widens_what_passes(ours: float, theirs: float, tolerance: str, status: int) -> None:
    assert compared(ours, theirs, tolerance=tolerance) == ("worse", status)


def test_on_worse_warn_passes_and_says_so() -> None:
    result = compare.decide(task("a", 1.0), task("b", 2.0), MAX._replace(on_worse="warn"))
    assert (result.outcome, result.status) == (ComparisonOutcome.WORSE, 0)
    assert "on-worse" in result.notes[0]


@pytest.mark.parametrize("value", [None, math.nan, math.inf, -math.inf])
@pytest.mark.parametrize("direction", ["max", "min"])
def test_what_is_no_number_never_wins(value: float | None, direction: str) -> None:
    assert compared(value, 0.5, direction=direction) == ("missing", 1)
    rules = RULES._replace(direction=direction)
    assert compare.best_of([task("a", value)], rules) is None
    assert compare.holder([task("z", value), task("a", 0.5)], rules) == task("a", 0.5)


def test_a_diverged_loss_is_missing_unless_the_policy_says_that_zero_is_a_value() -> None:
    result = compare.decide(task("a", 0.0), task("b", 0.5), RULES)
    assert (result.outcome, result.status) == (ComparisonOutcome.MISSING, 1)
    assert "may have been NaN" in result.notes[0]
    assert compare.best_of([task("a", 0.0)], RULES) is None
    meant = RULES._replace(zero_is_a_value=True)
    assert compare.decide(task("a", 0.0), task("b", 0.5), meant).outcome is ComparisonOutcome.BETTER
    assert compare.decide(task("a", 0.0), task("b", -0.5), MAX).outcome is ComparisonOutcome.BETTER


def test_the_first_task() -> None:
    result = compare.decide(task("a", 0.5), None, RULES)
    assert (result.outcome, result.status, result.best, result.delta) == (ComparisonOutcome.FIRST, 0, None, None)


def test_the_delta_is_that_of_the_printed_numbers() -> None:
    assert compare.decide(task("a", 0.3), task("b", 0.1), MAX).delta == 0.2
    assert compare.difference(1.7e308, -1.7e308) is None
    assert compare.difference(math.nan, 1.0) is None


@pytest.mark.parametrize(
    ("outcome", "standing", "status"),
    [
        (Outcome.REJECTED, ComparisonOutcome.MISSING, 1),
        (Outcome.PENDING, ComparisonOutcome.PENDING, 4),
        (Outcome.UNDECIDED, ComparisonOutcome.UNDECIDED, 3),
    ],
)
def test_without_an_accepted_task(outcome: Outcome, standing: ComparisonOutcome, status: int) -> None:
    result = compare.without_task(Verdict("c" * 40, outcome), Policy(best=RULES))
    assert (result.outcome, result.status, result.current, result.best) == (standing, status, None, None)
    assert compare.plan(result, [task("a", 1.0), task("b", 2.0)], RULES) == compare.TagMove()


def test_ties_go_to_the_later_and_then_to_the_greater_id() -> None:
    early, late = "2026-01-02T03:04:05+00:00", "2026-01-02T03:04:05.001000+00:00"
    assert compare.holder([task("z", 1.0, early), task("a", 1.0, late)], RULES) == task("a", 1.0, late)
    assert compare.holder([task("a", 1.0), task("b", 1.0)], RULES) == task("b", 1.0)
    assert compare.holder([task("a", 1.0, "2026-01-02T03:04:05Z"), task("b", 1.0, "nonsense")], RULES) == task(
        "a", 1.0, "2026-01-02T03:04:05Z"
    )
    assert compare.holder([], RULES) is None


finite = st.floats(allow_nan=False, allow_infinity=False)
any_value = st.one_of(st.none(), st.floats())
moments = st.sampled_from(["", "2026-01-01T00:00:00+00:00", "2026-01-01T00:00:00.000001+00:00", "2025-12-31T00:00:00Z"])
tasks = st.lists(st.builds(task, st.text("abc", min_size=1, max_size=4), any_value, moments), unique_by=lambda t: t.id)
directions = st.sampled_from([RULES, MAX])


@given(tasks, directions, st.randoms())
def test_the_order_is_total(some: list[Task], rules: Best, random: object) -> None:
    """Whoever looks at the same tasks, in whatever order, keeps the same one; taking others away changes nothing."""
    keeper = compare.holder(some, rules)
    shuffled = list(some)
    random.shuffle(shuffled)  # type: ignore[attr-defined]
    assert compare.holder(shuffled, rules) == keeper
    ranks = [compare.rank(task, rules) for task in some]
    assert len(set(ranks)) == len(ranks)
    if keeper:
        rest = [task for task in some[: len(some) // 2] if task != keeper]
        assert compare.holder([*rest, keeper], rules) == keeper


@given(finite, finite, directions, st.sampled_from(["0", "5%", "100%", "1e300"]))
def test_the_tolerance_never_tags(ours: float, theirs: float, rules: Best, tolerance: str) -> None:
    rules = rules._replace(tolerance=tolerance, zero_is_a_value=True)
    current, other = task("new", ours), task("old", theirs)
    result = compare.decide(current, other, rules)
    move = compare.plan(result, [other], rules)
    lost = theirs - ours if rules.direction == "max" else ours - theirs
    assert (result.outcome is ComparisonOutcome.WORSE) == (lost > 0)
    if lost > 0:
        assert not move


def test_the_plan_repairs_several_best_tasks_even_when_ours_is_worse() -> None:
    tagged = [task("a", 0.3), task("b", 0.1), task("c", None)]
    worse = compare.decide(task("d", 0.4), compare.best_of(tagged, RULES), RULES)
    assert compare.plan(worse, tagged, RULES) == compare.TagMove((), ("a", "c"))
    better = compare.decide(task("d", 0.05), compare.best_of(tagged, RULES), RULES)
    assert compare.plan(better, tagged, RULES) == compare.TagMove(("d",), ("a", "b", "c"))
    already = compare.decide(tagged[1], compare.best_of(tagged, RULES), RULES)
    assert compare.plan(already, tagged, RULES) == compare.TagMove((), ("a", "c"))


def test_a_task_without_the_metric_moves_no_tag() -> None:
    tagged = [task("a", None), task("b", None)]
    assert not compare.plan(compare.decide(task("d", None), None, RULES), tagged, RULES)


class Shelf:
    """Tasks with tags, in memory: the evidence of `best`, without a network."""

    source = "server"
    identity = ""

    def __init__(self) -> None:
        self.tasks: dict[str, Task] = {}
        self.tags: dict[str, set[str]] = {}

    def put(self, one: Task, *tags: str) -> Task:
        self.tasks[one.id] = one
        self.tags[one.id] = set(tags)
        return one

    def bearers(self) -> list[str]:
        return sorted(name for name, tags in self.tags.items() if TAG in tags)

    def tagged(self, tag: str, policy: Policy) -> list[Task]:
        return [self.tasks[name] for name, tags in self.tags.items() if tag in tags]

    def move_tag(self, add_to: Sequence[str], remove_from: Sequence[str], tag: str) -> None:
        for name in add_to:
            self.tags[name].add(tag)
        for name in remove_from:
            self.tags.get(name, set()).discard(tag)

    bounded = True

    def passing(self, commits: Sequence[str], policy: Policy, window: Window) -> list[Task]:
        raise NotImplementedError

    all = of_trees = passing

    def of_ids(self, ids: Sequence[str], policy: Policy) -> list[Task]:
        raise NotImplementedError

    def recent(self, policy: Policy, window: Window) -> list[Task]:
        raise NotImplementedError

    def find(self, identity: str, policy: Policy) -> Task | None:
        return self.tasks.get(identity)

    def metrics(self, one: Task) -> tuple[Metric, ...]:
        return ()

    def curves(
        self, tasks: Sequence[Task], names: Sequence[tuple[str, str]]
    ) -> dict[str, dict[tuple[str, str], Curve]]:
        raise NotImplementedError

    def open_ahead(self) -> None: ...

    def tag(self, ids: Sequence[str], tag: str) -> None:
        self.move_tag(ids, (), tag)

    def renew(self) -> None: ...

    def close(self) -> None: ...


def settled(
    shelf: Shelf, current: Task, rules: Best = RULES, *, may_write: bool = True, dry_run: bool = False
) -> Comparison:
    verdict = Verdict("c" * 40, Outcome.VERIFIED, task=current)
    policy = Policy(best=rules)
    allowed = best_tag.MayWrite(may_write)
    return best_tag.move_best_tag(shelf, verdict, policy, may_write=allowed, dry_run=dry_run, pause=lambda _: None)


def test_a_worse_task_repairs_the_others_tags_and_is_told_only_that() -> None:
    shelf = Shelf()
    for name, value in (("a", 0.2), ("b", 0.3)):
        shelf.put(task(name, value), TAG)
    result = settled(shelf, shelf.put(task("new", 0.4)))
    assert (result.outcome, result.status, shelf.bearers()) == (ComparisonOutcome.WORSE, 1, ["a"])
    assert result.notes == (
        "2 tasks have the tag 'Best Performance', only one should: git clearml compare --tag-best repairs it",
        "took the tag 'Best Performance' from b",
    )


@given(st.lists(finite, min_size=1, max_size=12), directions, st.sampled_from(["0", "3%", "1e9"]))
def test_best_cannot_drift_down(values: list[float], rules: Best, tolerance: str) -> None:
    """However many models come by, each within the tolerance of the last: the best value ever stays the best."""
    rules = rules._replace(tolerance=tolerance)
    shelf = Shelf()
    seen: list[float] = []
    for number, value in enumerate(values):
        settled(shelf, shelf.put(task(f"t{number:02}", value), "keep"), rules)
        if not unusable(value, rules):
            seen.append(value)
        held = [shelf.tasks[name].value for name in shelf.bearers()]
        assert held == ([max(seen) if rules.direction == "max" else min(seen)] if seen else [])
    assert all("keep" in tags for tags in shelf.tags.values())


def test_a_dry_run_and_a_pull_request_only_say_what_they_would_do() -> None:
    shelf = Shelf()
    shelf.put(task("old", 0.5), TAG)
    ours = shelf.put(task("new", 0.4))
    for may_write, dry_run in ((True, True), (False, False)):
        result = settled(shelf, ours, may_write=may_write, dry_run=dry_run)
        assert result.notes == ("would put the tag 'Best Performance' on new and take it from old",)
        assert (result.tagged, shelf.bearers()) == (False, ["old"])
    result = settled(shelf, ours)
    assert (result.tagged, shelf.bearers()) == (True, ["new"])


def test_somebody_better_at_the_same_time_wins_and_it_is_said() -> None:
    class Raced(Shelf):
        def move_tag(self, add_to: Sequence[str], remove_from: Sequence[str], tag: str) -> None:
            super().move_tag(add_to, remove_from, tag)
            if add_to == ("new",):
                super().move_tag(["other"], ["old"], tag)

    shelf = Raced()
    shelf.put(task("old", 0.5), TAG)
    shelf.put(task("other", 0.3))
    result = settled(shelf, shelf.put(task("new", 0.4)))
    assert (result.outcome, result.status, result.tagged) == (ComparisonOutcome.BETTER, 0, False)
    assert shelf.bearers() == ["other"]
    assert "is on other now" in result.notes[-1]


def test_all_that_lose_in_a_round_lose_the_tag_at_once() -> None:
    """More of them than there are rounds."""

    class Raced(Shelf):
        def __init__(self) -> None:
            super().__init__()
            self.moves: list[tuple[tuple[str, ...], tuple[str, ...]]] = []

        def move_tag(self, add_to: Sequence[str], remove_from: Sequence[str], tag: str) -> None:
            super().move_tag(add_to, remove_from, tag)
            if not self.moves:
                super().move_tag([f"rival {number}" for number in range(7)], (), tag)
            self.moves.append((tuple(add_to), tuple(remove_from)))

    shelf = Raced()
    shelf.put(task("old", 0.5), TAG)
    for number in range(7):
        shelf.put(task(f"rival {number}", 0.5 + number / 10))
    result = settled(shelf, shelf.put(task("new", 0.4)))
    assert (result.outcome, result.status, result.tagged) == (ComparisonOutcome.BETTER, 0, True)
    assert shelf.bearers() == ["new"]
    assert shelf.moves == [(("new",), ("old",)), ((), tuple(f"rival {number}" for number in range(7)))]


@pytest.mark.parametrize(("value", "status"), [(0.4, 3), (0.9, 1)])
def test_when_others_never_stop_it_ends_after_five_rounds(value: float, status: int) -> None:
    """A worse model stays status 1: trouble with the tag does not hide it."""

    class Stubborn(Shelf):
        rounds = 0

        def tagged(self, tag: str, policy: Policy) -> list[Task]:
            self.rounds += 1
            return [task("x", 0.5), task(f"y{self.rounds}", 0.6)]

    shelf = Stubborn()
    result = settled(shelf, shelf.put(task("new", value)))
    assert [problem.code for problem in result.problems] == [PublishFailed.code]
    assert result.status == status
    assert shelf.rounds == 6


def test_only_tasks_of_the_project() -> None:
    """Without a project in the policy it is the task's own; a task without one stands alone."""
    asked: list[str] = []

    class Asked(Shelf):
        def tagged(self, tag: str, policy: Policy) -> list[Task]:
            asked.append(policy.project)
            return super().tagged(tag, policy)

    shelf = Asked()
    shelf.put(task("old", 0.5)._replace(project="Theirs"), TAG)
    homeless = shelf.put(task("new", 0.9)._replace(project=""))
    verdict = Verdict("c" * 40, Outcome.VERIFIED, task=homeless)
    assert best_tag.compared(shelf, verdict, Policy(best=RULES)).outcome is ComparisonOutcome.FIRST
    best_tag.compared(shelf, verdict._replace(task=task("x", 1.0)), Policy(best=RULES))
    best_tag.compared(shelf, verdict, Policy(project="Ours", best=RULES))
    best_tag.compared(shelf, verdict, Policy(project="Ours", best=RULES._replace(project="The best")))
    assert asked == ["", "P", "Ours", "The best"]
    result = settled(shelf, homeless)
    assert (result.outcome, shelf.bearers()) == (ComparisonOutcome.FIRST, ["new", "old"])  # theirs keeps its tag


@pytest.mark.parametrize(
    ("rules", "error"),
    [
        (Best(), UsageError),
        (Best(metric="loss"), BadSetting),
        (RULES._replace(tag=" "), BadSetting),
        (RULES._replace(tag="-x"), BadSetting),
        (RULES._replace(tag="__$all"), BadSetting),
    ],
)
def test_rules_that_cannot_be_asked_about(rules: Best, error: type[Exception]) -> None:
    with pytest.raises(error):
        best_tag.check(Policy(best=rules))
