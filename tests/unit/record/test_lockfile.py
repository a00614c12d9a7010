"""clearml.lock: readable, sorted, the same bytes for the same results, and read back with care."""

from __future__ import annotations

import json
import math
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from git_clearml.base.jsonvalue import Malformed
from git_clearml.clearml.model import Artifact, Result
from git_clearml.model import Metric
from git_clearml.record.lockfile import Lock, from_text, merged, to_text, without_secrets
from tests.support.builders import HASH, OTHER_HASH

RESULT = Result(
    task="4f1c0ffee0ddba11ca55e77e00000001",
    name="train",
    project="Vision/Detector",
    status="completed",
    url="https://app.clear.ml/projects/p/experiments/4f1c/output/log",
    commit=HASH,
    parameters=(("Args/epochs", "3"), ("Args/lr", "0.1")),
    metrics=(Metric("loss", "train", 0.30000000000000004, 0.25, 9), Metric("validation", "accuracy", 0.9, 0.5, 0.9)),
    artifacts=(
        Artifact("table", "artifact", "https://files.clear.ml/Vision/table.csv", "ab" * 32, 120),
        Artifact("final", "model", "s3://bucket/models/final.pt"),
    ),
)

TEXT = """\
{
  "commit": "1a2b3c4d5e6f708192a3b4c5d6e7f8091a2b3c4d",
  "schema": 1,
  "tasks": [
    {
      "artifacts": [
        {
          "hash": "abababababababababababababababababababababababababababababababab",
          "name": "table",
          "size": 120,
          "uri": "https://files.clear.ml/Vision/table.csv"
        }
      ],
      "metrics": {
        "loss": {
          "train": {
            "last": 0.30000000000000004,
            "max": 9,
            "min": 0.25
          }
        },
        "validation": {
          "accuracy": {
            "last": 0.9,
            "max": 0.9,
            "min": 0.5
          }
        }
      },
      "models": [
        {
          "name": "final",
          "uri": "s3://bucket/models/final.pt"
        }
      ],
      "name": "train",
      "parameters": {
        "Args/epochs": "3",
        "Args/lr": "0.1"
      },
      "project": "Vision/Detector",
      "status": "completed",
      "task": "4f1c0ffee0ddba11ca55e77e00000001",
      "url": "https://app.clear.ml/projects/p/experiments/4f1c/output/log"
    }
  ]
}
"""


def test_the_file() -> None:
    assert to_text(HASH, [RESULT]) == TEXT
    assert from_text(TEXT) == Lock(HASH, (RESULT,))


def test_the_order_in_which_results_come_does_not_matter() -> None:
    one, other, third = RESULT, replace(RESULT, task="b" * 32), replace(RESULT, task="a" * 32, name="evaluate")
    shuffled = replace(
        one,
        parameters=one.parameters[::-1],
        metrics=one.metrics[::-1],
        artifacts=one.artifacts[::-1],
        completed="2026-01-02T11:00:00+00:00",
    )
    text = to_text(HASH, [one, other, third])
    assert to_text(HASH, [third, other, shuffled]) == text
    assert [task["task"] for task in json.loads(text)["tasks"]] == ["a" * 32, one.task, "b" * 32]


def test_what_no_json_number_can_say() -> None:
    metrics = (Metric("a", "b", math.nan, -math.inf, math.inf),)
    text = to_text(HASH, [replace(RESULT, metrics=metrics)])
    assert json.loads(text)["tasks"][0]["metrics"]["a"]["b"] == {"last": "nan", "min": "-inf", "max": "inf"}
    assert to_text(HASH, from_text(text).results) == text


def test_the_resource_monitors_metrics_are_no_results() -> None:
    metrics = (Metric(":monitor:gpu", "gpu_0_mem", 1.0, 1.0, 1.0), *RESULT.metrics)
    assert to_text(HASH, [replace(RESULT, metrics=metrics)]) == TEXT


def test_names_with_slashes_stay_apart() -> None:
    metrics = (Metric("a", "b/c", 1.0, 1.0, 1.0), Metric("a/b", "c", 2.0, 2.0, 2.0))
    result = replace(RESULT, metrics=metrics)
    assert from_text(to_text(HASH, [result])).results == (result,)


def test_nothing_in_it_controls_a_terminal_or_breaks_the_encoding() -> None:
    odd = "\x1b[31m\u202egnp.exe\x9b\u2028\ud800 Tr\u00e4ning \U0001f469\u200d\U0001f52c \u6f22"
    text = to_text(HASH, [replace(RESULT, name=odd)])
    line = next(line for line in text.splitlines() if '"name": "\\u001b' in line)
    assert line.strip() == (
        r'"name": "\u001b[31m\u202egnp.exe\u009b\u2028\ud800' + " Tr\u00e4ning \U0001f469\u200d\U0001f52c \u6f22" + '",'
    )
    text.encode("utf-8")
    assert from_text(text).results[0].name == odd


@pytest.mark.parametrize(
    ("uri", "shown"),
    [
        ("https://me:s3cret@files.clear.ml/a.csv", "https://files.clear.ml/a.csv"),
        ("https://bucket.s3.amazonaws.com/a.csv?X-Amz-Signature=s3cret", "https://bucket.s3.amazonaws.com/a.csv"),
        ("azure://acme.blob.core.windows.net/c/a.csv?sv=1&sig=s3cret", "azure://acme.blob.core.windows.net/c/a.csv"),
        ("HTTPS://h/a#access_token=s3cret", "https://h/a"),
        ("https://[bad?sig=s3cret", "https://[bad"),
        ("s3://key:s3cret@host:9000/bucket/a?b#c.csv", "s3://host:9000/bucket/a?b#c.csv"),
        ("gs://bucket/a@b/c.csv", "gs://bucket/a@b/c.csv"),
        ("file:///data/what?.csv", "file:///data/what?.csv"),
        ("/data/what?.csv", "/data/what?.csv"),
        ("", ""),
    ],
)
def test_a_uri_without_secrets(uri: str, shown: str) -> None:
    assert without_secrets(uri) == shown
    assert without_secrets(shown) == shown
    for kind in ("artifact", "model"):
        assert "s3cret" not in to_text(HASH, [replace(RESULT, url=uri, artifacts=(Artifact("a", kind, uri),))])


def test_no_tasks_and_nothing_known_of_one() -> None:
    assert from_text(to_text(HASH, [])) == Lock(HASH, ())
    bare = Result("a")
    assert from_text(to_text(HASH, [bare])).results == (replace(bare, commit=HASH),)


def changed(**fields: Any) -> str:
    document = json.loads(TEXT)
    document["tasks"][0].update(fields)
    return json.dumps(document)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "{",
        "[]",
        "null",
        "{}",
        '{"schema": 2}',
        '{"schema": 1}',
        '{"schema": 1, "commit": "HEAD", "tasks": []}',
        f'{{"schema": 1, "commit": "{HASH}"}}',
        f'{{"schema": 1, "commit": "{HASH}", "tasks": {{}}}}',
        f'{{"schema": 1, "commit": "{HASH}", "tasks": [1]}}',
        f'{{"schema": 1, "commit": "{HASH}", "tasks": [{{}}]}}',
        "[" * 100_000,
        changed(task="../../etc"),
        changed(task=""),
        changed(name=1),
        changed(parameters={"a": 1}),
        changed(parameters=[]),
        changed(metrics={"a": {"b": {"last": True, "min": 1, "max": 1}}}),
        changed(metrics={"a": {"b": {"last": "1", "min": 1, "max": 1}}}),
        changed(metrics={"a": {"b": {"last": None, "min": 1, "max": 1}}}),
        changed(metrics={"a": {"b": {"last": 1, "min": 10**400, "max": 1}}}),
        changed(metrics={"a": {"b": 1}}),
        changed(artifacts=[{"name": "a", "uri": "", "hash": "", "size": "1"}]),
        changed(artifacts=[{"name": "a", "uri": "", "hash": "", "size": True}]),
        changed(artifacts={}),
        changed(models=[{"name": "a"}]),
    ],
)
def test_what_is_no_lock_of_ours(text: str) -> None:
    with pytest.raises(Malformed):
        from_text(text)


def test_what_a_later_version_may_add_is_no_obstacle() -> None:
    assert from_text(changed(more=1)) == Lock(HASH, (RESULT,))


def test_results_of_the_same_commit_are_kept() -> None:
    other = replace(RESULT, task="b" * 32)
    newer = replace(RESULT, status="published")
    before = Lock(HASH, (RESULT, other))
    assert merged(before, HASH, [newer]) == (newer, other)
    assert merged(before, OTHER_HASH, [newer]) == (newer,)
    assert merged(None, HASH, [newer, other]) == (newer, other)


texts = st.text(max_size=20)
numbers = st.floats() | st.integers(-(2**70), 2**70)
results = st.builds(
    Result,
    task=st.from_regex(r"[A-Za-z0-9_-]{1,64}", fullmatch=True),
    name=texts,
    project=texts,
    status=texts,
    commit=st.just(HASH),
    parameters=st.dictionaries(texts, texts, max_size=3).map(lambda found: tuple(found.items())),
    metrics=st.lists(st.builds(Metric, texts, texts, numbers, numbers, numbers), max_size=3).map(tuple),
    artifacts=st.lists(
        st.builds(Artifact, texts, st.sampled_from(["artifact", "model"]), texts, texts, st.none() | st.integers(0)),
        max_size=3,
    ).map(tuple),
)


@given(st.lists(results, max_size=3))
def test_whatever_a_server_says_can_be_written_and_read(found: list[Result]) -> None:
    text = to_text(HASH, found)
    text.encode("utf-8")
    assert to_text(HASH, from_text(text).results) == text


@given(st.text() | st.recursive(st.none() | st.integers() | st.text(), st.lists).map(json.dumps))
def test_whatever_stands_in_the_file_is_read_or_refused(text: str) -> None:
    try:
        from_text(text)
    except Malformed:
        return
    raise AssertionError("no such text is a lock")


def test_parameters_of_an_earlier_lock_lose_their_secrets_too() -> None:
    parameters = (("General/hub_token", "hf_abc"), ("General/lr", "0.1"), ("Hydra/overrides", "['hub_token=hf_abc']"))
    before = Lock(HASH, (replace(RESULT, parameters=parameters),))
    text = to_text(HASH, merged(before, HASH, ()))
    assert "hf_abc" not in text
    assert from_text(text).results[0].parameters == (
        ("General/hub_token", "[secret]"),
        ("General/lr", "0.1"),
        ("Hydra/overrides", "['hub_token=[secret]']"),
    )
