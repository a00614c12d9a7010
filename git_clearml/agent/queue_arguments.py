"""What a command says, written over a template's arguments: `run --queue --from T -- python train.py --lr 0.9`. Pure.

An agent's script gets its command line and, through the SDK, the task's parameters. argparse takes the command line
where both speak, but for flags, and the task keeps its own value on record (clearml 1.9 to 2.1,
backend_interface/task/args.py, copy_to_parser); Hydra takes the task's (binding/hydra_bind.py appends its section to
the overrides). So both have to say the same.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

_NUMBER = re.compile(r"-?(\d+\.?\d*|\.\d+)([eE][-+]?\d+)?")
_OVERRIDE = re.compile(r"(\+\+|\+|~)?([\w./@:$-]+)(=.*)?", re.DOTALL)
_TRUTHS = ("true", "false", "yes", "no", "on", "off")
_FLAGS = ("store_true", "store_false", "store_const", "count", "BooleanOptionalAction")
_SEVERAL = ("*", "+", "append", "extend")
_ARGS, _HYDRA, _OVERRIDES = "Args", "Hydra", "overrides"

Sections = Mapping[str, Mapping[str, Any]]


@dataclass(frozen=True)
class Options:
    """What a script's own text says of its arguments: each option's destination, action, and number of values (of
    `store_const` the constant).

    `positionals` are the destinations of arguments without a dash, in their order, with the number of their values.
    """

    options: Mapping[str, tuple[str, str, str]] = field(default_factory=dict)
    positionals: tuple[tuple[str, str], ...] = ()


def options_of(source: str) -> Options:
    """The `add_argument` calls of a script, as far as they are written out; none for what is not Python."""
    try:
        calls = [node for node in ast.walk(ast.parse(source)) if isinstance(node, ast.Call)]
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return Options()
    options, positionals = dict[str, tuple[str, str, str]](), list[tuple[str, str]]()
    for call in sorted(calls, key=lambda node: (node.lineno, node.col_offset)):
        if not isinstance(call.func, ast.Attribute) or call.func.attr != "add_argument":
            continue
        names = [_text(word) for word in call.args]
        words = {keyword.arg: _text(keyword.value) for keyword in call.keywords if keyword.arg}
        if not names or not all(names):
            continue
        if not names[0].startswith("-"):
            positionals.append((names[0], words.get("nargs", "")))
            continue
        long = next((name for name in names if name.startswith("--")), names[0])
        target = words.get("dest") or long.lstrip("-").replace("-", "_")
        action = words.get("action", "")
        if action == "BooleanOptionalAction":
            names += [f"--no-{name[2:]}" for name in names if name.startswith("--")]
        amount = words.get("const" if action == "store_const" else "nargs", "")
        options |= dict.fromkeys(names, (target, action, amount))
    return Options(options, tuple(positionals))


def _text(node: ast.expr) -> str:
    """A constant as text, the last part of a name, "" for anything else."""
    if isinstance(node, ast.Constant):
        return str(node.value)
    return node.attr if isinstance(node, ast.Attribute) else node.id if isinstance(node, ast.Name) else ""


def over(sections: Sections, words: Sequence[str], options: Options) -> tuple[dict[str, dict[str, Any]], list[str]]:
    """The sections of hyperparameters with what the words say, and the words that fit none of them.

    `words` are those behind the script's name.
    """
    reading = _Reading(sections, options)
    rest = list(words)
    while rest:
        reading.take(rest)
    return reading.result()


class _Reading:
    """A command line as it is read, word by word."""

    def __init__(self, sections: Sections, options: Options) -> None:
        self._sections = {name: dict(items) for name, items in sections.items()}
        self._args = self._sections.get(_ARGS, {})
        self._options, self._positionals = options.options, list(options.positionals)
        self._is_hydra = _HYDRA in sections or _OVERRIDES in self._args
        self._values: dict[str, list[str]] = {}
        self._lists: set[str] = set()
        self._unmatched: list[str] = []

    def take(self, rest: list[str]) -> None:
        """Takes the next word and what belongs to it off the list."""
        word = rest.pop(0)
        if not _is_option(word):
            self._plain(word, rest)
            return
        name, equals, value = word.partition("=")
        target, action, nargs = self._option(name)
        if target:
            values = [value] if equals else self._flag(name, target, action, nargs)
            self._set(target, values or self._following(target, action, nargs, rest), action, nargs)
        elif not word.startswith("--") and self._option(word[:2])[0]:  # -l0.9, or -vx
            target, action, nargs = self._option(word[:2])
            if action in _FLAGS:
                rest.insert(0, f"-{word[2:]}")
            values = self._flag(word[:2], target, action, nargs)
            self._set(target, values or [word[2:].removeprefix("=")], action, nargs)
        elif word != "--":
            self._unmatched.append(word)

    def result(self) -> tuple[dict[str, dict[str, Any]], list[str]]:
        """The sections, and the words that were not understood."""
        for target, values in self._values.items():
            text = _as_list(values, self._now(target)) if target in self._lists else values[-1]
            self._put(_ARGS, target, text)
        return self._sections, self._unmatched

    def _option(self, name: str) -> tuple[str, str, str]:
        """The destination that an option names, with its action and number of values; "" where it names none.

        As the script says; else the template's argument of that name. Any beginning that fits one alone is enough.
        """
        if name in self._options:
            return self._options[name]
        long = [option for option in self._options if option.startswith("--") and option.startswith(name)]
        if name.startswith("--") and len({self._options[option] for option in long}) == 1:
            return self._options[long[0]]
        bare = name.lstrip("-").replace("-", "_")
        for target, action in ((bare, ""), (bare.removeprefix("no_"), "BooleanOptionalAction")):
            names = [(option, option.rpartition("/")[2].replace("-", "_")) for option in self._args]
            same = [option for option, plain in names if plain == target]
            begun = [option for option, plain in names if plain.startswith(target) and name.startswith("--")]
            if target and len(same or begun) == 1:
                return (same or begun)[0], action, ""
        return "", "", ""

    def _flag(self, name: str, target: str, action: str, const: str) -> list[str]:
        """The value that an option without one stands for, [] where it takes one."""
        if action == "count":
            before = self._values.get(target, ["0"])[-1]
            return [str(int(before) + 1 if before.isdigit() else 1)]
        if action == "store_false" or (action == "BooleanOptionalAction" and name.startswith("--no-")):
            return ["False"]
        if action == "store_const":
            return [const]
        return ["True"] if action in _FLAGS else []

    def _following(self, target: str, action: str, nargs: str, rest: list[str]) -> list[str]:
        """The values that follow an option, taken off the list; a flag's "True" where none does."""
        now = self._now(target)
        several = nargs in _SEVERAL or (not action and now.startswith("[")) or nargs.isdigit()
        most = int(nargs) if nargs.isdigit() else len(rest) if several else 1
        if not action and not nargs and now in ("True", "False") and rest[:1] and rest[0].lower() not in _TRUTHS:
            most = 0  # a flag of the template, and a word that is not its value
        values = list[str]()
        while rest and len(values) < most and not _is_option(rest[0]):
            values.append(rest.pop(0))
        return values or ["True"]

    def _set(self, target: str, values: list[str], action: str, nargs: str) -> None:
        if action in ("append", "extend"):
            values = [*self._values.get(target, []), *values]
        if nargs in _SEVERAL or nargs.isdigit() or action in _SEVERAL or self._now(target).startswith("["):
            self._lists.add(target)
        self._values[target] = values

    def _plain(self, word: str, rest: list[str]) -> None:
        """A word without a dash: an override of Hydra's, or the script's next argument."""
        match = _OVERRIDE.fullmatch(word)
        if self._is_hydra and match and (match[3] or match[1] == "~"):
            self._override(match[1] or "", match[2], (match[3] or "")[1:])
            return
        if not self._positionals:
            self._unmatched.append(word)
            return
        target, nargs = self._positionals.pop(0)
        values = [word]
        while nargs in _SEVERAL and rest and not _is_option(rest[0]):
            values.append(rest.pop(0))
        self._set(target, values, "", nargs)

    def _override(self, sign: str, key: str, value: str) -> None:
        """Writes an override in place of the template's of the same key, in both places where the SDK may have it."""
        if _HYDRA in self._sections:
            items = self._sections[_HYDRA]
            for name in [name for name in items if name.lstrip("+~") == key]:
                del items[name]
            self._put(_HYDRA, f"~{key}" if sign == "~" else key, value)  # the SDK keeps no plus either
        if _OVERRIDES in self._args:
            words = _read_list(self._now(_OVERRIDES))
            kept = [word for word in words if word.partition("=")[0].lstrip("+~") != key]
            self._put(_ARGS, _OVERRIDES, str([*kept, f"{sign}{key}={value}" if value or sign != "~" else f"~{key}"]))

    def _now(self, target: str) -> str:
        return str(self._args.get(target, {}).get("value") or "")

    def _put(self, section: str, name: str, value: str) -> None:
        items = self._sections.setdefault(section, {})
        items[name] = {"section": section, "name": name, "type": "str", **items.get(name, {}), "value": value}


def _is_option(word: str) -> bool:
    return word.startswith("-") and len(word) > 1 and not _NUMBER.fullmatch(word)


def _read_list(text: str) -> list[str]:
    try:
        values = ast.literal_eval(text)
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return []
    return [str(value) for value in values] if isinstance(values, (list, tuple)) else []


def _as_list(values: Sequence[str], before: str) -> str:
    """The values as the SDK writes a list: numbers bare, unless the template has them as texts."""
    if all(_NUMBER.fullmatch(value) for value in values) and "'" not in before:
        return f"[{', '.join(values)}]"
    return str(list(values))
