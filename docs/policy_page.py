"""Writes the tables of docs/policy.md from the settings: `python docs/policy_page.py` writes them anew.

What a key means and its default are the program's own; the examples stand here, and each of them is a valid value.
"""

from __future__ import annotations

import sys
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from git_clearml.settings import arrays  # noqa: E402 - the program beside this page
from git_clearml.settings.checks import Setting  # noqa: E402
from git_clearml.settings.table import TABLE  # noqa: E402

PAGE = ROOT / "docs" / "policy.md"
_BEGIN, _END = "<!-- {} -->\n", "<!-- end -->\n"

EXAMPLES: Mapping[str, Mapping[str, str]] = {
    "": {
        "project": '"Vision/Detector"',
        "task-name": '"train"',
        "protect": '["main", "release/*", "refs/tags/v*"]',
        "equivalence": '"tree"',
        "code-paths": '["src/**", "conf/**", "!src/README.md"]',
        "results-paths": '["reports/**"]',
        "merges": '"clean"',
        "untracked-ok": '["outputs/**"]',
        "ignored-code": '"refuse"',
        "evidence": '"server"',
        "published": '"reject"',
        "require-run-record": "true",
        "repositories": '["https://github.com/acme/old-name"]',
        "allow-no-repository": "true",
        "on-unreachable": '"warn"',
        "accept-trailer": "true",
    },
    "best": {
        "metric": '"validation/accuracy"',
        "direction": '"min"',
        "value": '"max"',
        "tolerance": '"0.5%"',
        "tag": '"Best model"',
        "on-worse": '"warn"',
        "zero-is-a-value": "true",
    },
    "metrics": {
        "metric": '"validation/accuracy"',
        "direction": '"min"',
        "value": '"max"',
        "at-least": "0.80",
        "at-most": "0.95",
        "against": '"base"',
        "tolerance": '"0.5%"',
        "of": '"median"',
        "requirement": '"evaluation"',
        "zero-is-a-value": "true",
        "min-runs": "3",
        "on-worse": '"warn"',
    },
    "require": {
        "name": '"detector"',
        "project": '"Vision/Detector"',
        "task-name": '"train"',
        "entry-point": '"detector/train.py"',
        "code-paths": '["detector/**", "common/**"]',
    },
    "runnable": {
        "required": "true",
        "queue": '"gpu"',
        "project": '"Vision/Checks"',
        "task-name": '"starts"',
        "entry-point": '"train.py"',
        "folder": '"detector"',
        "args": '["epochs=1"]',
        "requirements": '"requirements-gpu.txt"',
        "docker": '"nvidia/cuda:12.4.1-runtime-ubuntu22.04"',
        "execution-timeout": "900",
        "queue-timeout": "3600",
        "archive": '"always"',
    },
}
"""For each table of the policy ("" is its top) an example of each of its keys, as TOML."""


def keys() -> dict[str, tuple[Setting, ...]]:
    """The keys of each table of the policy, in its order; the tables' own names are no keys."""
    rows = [setting for setting in TABLE if setting.policy and setting.kind != "tables"]

    def part(name: str) -> tuple[Setting, ...]:
        return tuple(
            setting._replace(key=setting.key.rpartition(".")[2])
            for setting in rows
            if setting.key.rpartition(".")[0] == name
        )

    tables = {"": part(""), "best": part("best"), "metrics": arrays.METRICS, "require": arrays.REQUIRE}
    return {**tables, "runnable": part("runnable")}


def table(name: str) -> str:
    """The Markdown of one table's keys."""
    rows = [
        f"| `{each.key}` | {_meaning(each)} | {_default(each)} | `{each.key} = {EXAMPLES[name][each.key]}` |"
        for each in keys()[name]
    ]
    return "\n".join(["", "| key | meaning | default | example |", "|---|---|---|---|", *rows, "", ""])


def _meaning(setting: Setting) -> str:
    choices = f": {', '.join(f'`{choice}`' for choice in setting.choices)}" if setting.choices else ""
    return setting.help.replace("|", "\\|") + choices


def _default(setting: Setting) -> str:
    if setting.default in ("", (), None):
        return ""
    if isinstance(setting.default, bool):
        return f"`{str(setting.default).lower()}`"
    if isinstance(setting.default, (int, float)):
        return f"`{setting.default:g}`"
    return f'`"{setting.default}"`'


def written(page: str) -> str:
    """The page with these tables in place of those that it has."""
    for name in keys():
        begin = _BEGIN.format(name or "top")
        head, _, rest = page.partition(begin)
        page = head + begin + table(name) + _END + rest.partition(_END)[2]
    return page


def policies(page: str) -> Iterator[tuple[str, str]]:
    """The policies to copy: each heading and the TOML below it."""
    section = page.partition("## Five policies to copy")[2]
    for part in section.split("\n### ")[1:]:
        title, _, text = part.partition("\n")
        for block in _blocks(text):
            yield title, block


def _blocks(text: str) -> Iterable[str]:
    return (part.partition("```")[0] for part in text.split("```toml\n")[1:])


if __name__ == "__main__":
    before = PAGE.read_text(encoding="utf-8")
    content = written(before)
    if content == before:
        print(f"{PAGE.name} is as the settings are")
    else:
        PAGE.write_text(content, encoding="utf-8")
        print(f"{PAGE.name} was written anew")
        sys.exit(1)
