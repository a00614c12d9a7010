"""What a command says stands in the task's parameters as argparse understands it, and nothing else is touched."""

from __future__ import annotations

import argparse
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from git_clearml.agent.queue_arguments import Options, options_of, over


def sections(name: str = "Args", **values: str) -> dict[str, dict[str, Any]]:
    return {name: {key: {"section": name, "name": key, "value": value, "type": "x"} for key, value in values.items()}}


def values(result: dict[str, dict[str, Any]], name: str = "Args") -> dict[str, str]:
    return {key: item["value"] for key, item in result.get(name, {}).items()}


def said(words: str, source: str = "", **template: str) -> tuple[dict[str, str], list[str]]:
    result, unmatched = over(sections(**template), words.split(), options_of(source))
    return values(result), unmatched


BY_NAME = [
    ("--lr 0.9", {"lr": "0.9"}),
    ("--lr=0.9", {"lr": "0.9"}),
    ("-lr 0.9", {"lr": "0.9"}),
    ("-lr=0.9", {"lr": "0.9"}),
    ("--lr -0.9", {"lr": "-0.9"}),
    ("--lr 1e-3", {"lr": "1e-3"}),
    ("--lr=", {"lr": ""}),
    ("--lr 0.1 --lr 0.9", {"lr": "0.9"}),
    ("--fail-at 3", {"fail_at": "3"}),
    ("--fail_at 3", {"fail_at": "3"}),
    ("--fail 3", {"fail_at": "3"}),
    ("--amp", {"amp": "True"}),
    ("--no-amp", {"amp": "False"}),
    ("--amp --lr 0.9", {"amp": "True", "lr": "0.9"}),
    ("--amp false", {"amp": "false"}),
    ("--layers 64 32 --lr 0.9", {"layers": "[64, 32]", "lr": "0.9"}),
    ("--names a b", {"names": "['a', 'b']"}),
    ("--depth 3", {"train/depth": "3"}),
]
TEMPLATE = {"lr": "0.5", "fail_at": "", "amp": "False", "layers": "[1]", "names": "['x']", "train/depth": "1"}


@pytest.mark.parametrize(("words", "changed"), BY_NAME)
def test_arguments_are_known_by_their_name(words: str, changed: dict[str, str]) -> None:
    assert said(words, **TEMPLATE) == ({**TEMPLATE, **changed}, [])


@pytest.mark.parametrize("words", ["--other 1", "-x", "data.yaml", "--l 3", "--amp x.yaml"])
def test_what_fits_none_is_said_and_changes_nothing_else(words: str) -> None:
    changed, unmatched = said(words, **TEMPLATE)
    assert unmatched
    assert changed == {**TEMPLATE, **({"amp": "True"} if "amp" in words else {})}


SOURCE = """
import argparse
p = argparse.ArgumentParser()
p.add_argument("config")
p.add_argument("-l", "--lr", "--learning-rate", type=float, default=0.5)
p.add_argument("--epochs", dest="rounds", type=int)
p.add_argument("-v", action="count", default=0)
p.add_argument("-a", "--amp", action="store_true")
p.add_argument("--no-cache", dest="cache", action="store_false")
p.add_argument("--wandb", action=argparse.BooleanOptionalAction)
p.add_argument("--size", nargs=2, type=int)
p.add_argument("--tag", action="append")
p.add_argument("--fast", action="store_const", const="fast", dest="mode")
"""


@pytest.mark.parametrize(
    ("words", "changed"),
    [
        ("conf.yaml -l 0.9", {"config": "conf.yaml", "lr": "0.9"}),
        ("-l0.9 conf.yaml", {"config": "conf.yaml", "lr": "0.9"}),
        ("--learning-rate 0.9", {"lr": "0.9"}),
        ("--learn 0.9", {"lr": "0.9"}),
        ("--epochs 3", {"rounds": "3"}),
        ("-avv", {"amp": "True", "v": "2"}),
        ("--no-cache --no-wandb", {"cache": "False", "wandb": "False"}),
        ("--amp conf.yaml", {"amp": "True", "config": "conf.yaml"}),
        ("--size 3 4 conf.yaml", {"size": "[3, 4]", "config": "conf.yaml"}),
        ("--tag a --tag b", {"tag": "['a', 'b']"}),
        ("--fast", {"mode": "fast"}),
        ("-- conf.yaml", {"config": "conf.yaml"}),
    ],
)
def test_a_script_says_more_than_names_do(words: str, changed: dict[str, str]) -> None:
    assert said(words, SOURCE, lr="0.5", rounds="1") == ({"lr": "0.5", "rounds": "1", **changed}, [])


@pytest.mark.parametrize("source", ["def (", "x" * 10, "\0", "add_argument()", "p.add_argument(*a)", "(" * 5000])
def test_a_script_that_says_nothing_is_no_trouble(source: str) -> None:
    assert options_of(source) == Options()


def test_hydra_s_overrides_take_the_place_of_the_template_s() -> None:
    hydra = sections("Hydra", **{"lr": "0.5", "+data.n": "1", "_allow_omegaconf_edit_": "False"})
    result, unmatched = over(hydra, ["lr=0.9", "++data.n=2", "model@m=big", "~opt", "-m"], Options())
    expected = {"_allow_omegaconf_edit_": "False", "lr": "0.9", "data.n": "2", "model@m": "big", "~opt": ""}
    assert values(result, "Hydra") == expected
    assert unmatched == ["-m"]


def test_so_do_those_that_an_older_sdk_keeps_as_one_list() -> None:
    result, unmatched = said("lr=0.9 +x=1", overrides="['lr=0.5', 'seed=1']")
    assert (result, unmatched) == ({"overrides": "['seed=1', 'lr=0.9', '+x=1']"}, [])


def test_without_hydra_such_a_word_is_a_plain_argument() -> None:
    assert said("lr=0.9", lr="0.5") == ({"lr": "0.5"}, ["lr=0.9"])


def test_what_an_item_says_besides_its_value_stays() -> None:
    before = sections(lr="0.5")
    result, _ = over(before, ["--lr", "0.9"], Options())
    assert result["Args"]["lr"] == {"section": "Args", "name": "lr", "value": "0.9", "type": "x"}
    assert before["Args"]["lr"]["value"] == "0.5"


# --- against argparse itself

KINDS: dict[str, dict[str, Any]] = {
    "value": {},
    "flag": {"action": "store_true"},
    "off": {"action": "store_false"},
    "boolean": {"action": argparse.BooleanOptionalAction},
    "several": {"nargs": "+"},
    "two": {"nargs": 2},
    "append": {"action": "append"},
    "count": {"action": "count"},
}
VALUE = st.sampled_from(["1", "0.9", "-2", "a", "data/x.yaml", "a=b", "True"])
NAMES = ["alpha", "beta-rate", "gamma_x", "delta"]


@st.composite
def command_lines(draw: st.DrawFn) -> tuple[dict[str, str], list[str]]:
    kinds = {name: draw(st.sampled_from(sorted(KINDS))) for name in NAMES}
    words: list[str] = []
    for name in draw(st.lists(st.sampled_from(NAMES), max_size=5)):
        kind = kinds[name]
        option = draw(st.sampled_from([f"--{name}", f"-{name[0]}"]))
        amount = {"several": draw(st.integers(1, 3)), "two": 2}.get(kind, 1)
        if kind in ("value", "append") and draw(st.booleans()):
            words.append(f"--{name}={draw(VALUE)}")
        elif kind in ("flag", "off", "count"):
            words.append(option)
        elif kind == "boolean":
            words.append(draw(st.sampled_from([f"--{name}", f"--no-{name}"])))
        else:
            words += [option, *(draw(VALUE) for _ in range(amount))]
        if draw(st.integers(0, 3)) == 0:  # an option that the script does not have, and perhaps a word behind it
            words += draw(st.sampled_from([["--nonsense"], ["--nonsense=3"], ["--nonsense", draw(VALUE)]]))
    return kinds, words


@given(command_lines(), st.booleans())
def test_what_is_written_is_what_argparse_reads(drawn: tuple[dict[str, str], list[str]], has_positional: bool) -> None:
    """A word behind an option that there is not is none of its value: it is the script's next argument."""
    kinds, words = drawn
    parser = argparse.ArgumentParser(allow_abbrev=False)
    source = []
    if has_positional:
        parser.add_argument("data")
        source.append('parser.add_argument("data")')
        words = ["--nonsense", "first", *words]
    for name, kind in kinds.items():
        parser.add_argument(f"-{name[0]}", f"--{name}", default=argparse.SUPPRESS, **KINDS[kind])
        keywords = ", ".join(
            f"{key}={value!r}" if not isinstance(value, type) else f"{key}=argparse.{value.__name__}"
            for key, value in KINDS[kind].items()
        )
        source.append(f'parser.add_argument("-{name[0]}", "--{name}", {keywords})')
    known, extras = parser.parse_known_args(words)
    expected = vars(known)
    result, unmatched = over(sections(), words, options_of("\n".join(source)))
    assert unmatched == extras
    written = {name: text.replace("'", "") for name, text in values(result).items()}
    assert written == {name: str(value).replace("'", "") for name, value in expected.items()}
