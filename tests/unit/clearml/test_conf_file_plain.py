"""A clearml.conf that we read ourselves says what pyhocon reads in it; what is not plain we do not read."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import clearml.config
import pytest
from hypothesis import given
from hypothesis import strategies as st

from git_clearml.clearml import conf_file_plain
from git_clearml.clearml.conf_file import _parse
from git_clearml.errors import BadSetting

# What `clearml-init` writes before the SDK's own sdk.conf (clearml 1.9 to 2.1, clearml/cli/config/__main__.py).
HEAD = """\
# ClearML SDK configuration file
api {
    # Notice: 'host' is the api server (default port 8008), not the web server.
    api_server: http://localhost:8008
    web_server: http://localhost:8080
    files_server: http://localhost:8081
    # Credentials are generated using the webapp, http://localhost:8080/settings
    # Override with os environment: CLEARML_API_ACCESS_KEY / CLEARML_API_SECRET_KEY
    credentials {"access_key": "KEY", "secret_key": "s-e_c"}
}
sdk """

PLAIN = [
    "",
    "# nothing\n",
    HEAD + "{}",
    'api: {\n host: "x" }\n',
    "api = { host = x, port = 8008 }, sdk {}\n",
    'api.credentials.access_key: "a b # no comment // neither"\napi.credentials { secret_key: é }'.replace("é", '"é"'),
    '"api" {"credentials" {"access_key":"","secret_key"="\u2028"},}',
    "a: 1 # b\n// c\nb: -2.50 // d\nc: 007\n,\nd: True, e: no, f: 5\t\n",
    "a {\n b { c: x }\n}\na { b { d: y } }\na.b.e: z\n",
    "d = ~/x, e: /y z, f: b  c 3 # d\na: [] , b: [1, x\n# c\n {d: 1} # e\n]\n",
]
NOT_PLAIN = [
    "api { host: ${HOST} }", 'include "other.conf"', "a: include", "a += 1", "a: b true", "a: 1 b", "a: b 007",
    "a: b 1.50", "a: 5 seconds", 'a: "b" "c"', 'a: b"c"', "a {} b {}", "a {} {}", "a:\n b", "a\n{}", "a:", "a",
    '"a.b": 1', '"""a""": 1', 'a: """b"""', r'a: "\n"', 'a: "\t"', "a b: 1", "a: 5s", "a: 10 d", "a: 1e5", "a: 1.",
    "a: .5", "a: +1", "a: 10.0.0.1", "a: null", "a: nullable", "a: trueish", "a: @b", "a: 1\r\nb: 2", "\ufeffa: 1",
    "a: \u00a0b", "{ a: 1 }", "[a]", "a { b: 1", "a: 1 }", "a: 1\na: 2", "a: 1\na {}", "a {}\na: 1", "a: []\na: []",
    "a.b: 1\na: 2", 'a: [""]', "a: [[1]]", "a [1]", "a..b: 1", ".a: 1", "a: 1 ", "a: " + "1" * 30,
    "a { " * 40 + "}" * 40,
]  # fmt: skip


def by_pyhocon(content: str) -> Any:
    return plainly(_parse(content, "/clearml.conf"))


def plainly(value: Any) -> Any:
    """Its types and values, without pyhocon's own classes."""
    if isinstance(value, dict):
        return {str(key): plainly(item) for key, item in value.items()}
    if isinstance(value, list):
        return [plainly(item) for item in value]
    return str if isinstance(value, str) else type(value), value


@pytest.mark.parametrize("content", PLAIN)
def test_what_is_plain(content: str) -> None:
    tree = conf_file_plain.read(content)
    assert tree is not None
    assert plainly(tree) == by_pyhocon(content)


def test_the_file_that_clearml_init_writes() -> None:
    content = HEAD + (Path(clearml.config.__file__).parent / "default" / "sdk.conf").read_text(encoding="utf-8")
    tree = conf_file_plain.read(content)
    assert tree
    assert plainly(tree) == by_pyhocon(content)
    assert tree["api"]["credentials"] == {"access_key": "KEY", "secret_key": "s-e_c"}


@pytest.mark.parametrize("content", NOT_PLAIN)
def test_what_is_not_plain_is_left_to_pyhocon(content: str) -> None:
    assert conf_file_plain.read(content) is None


PIECES = [
    "api", "sdk", "a", "b", "api.credentials", "a.b", '"a"', '"a.b"', "x-y", "1", "-3", "5s", "10 d", "007", "1.5",
    "1e5", "true", "False", "null", "truey", "include", '"x"', '""', '"a b"', '"#"', '"é"', r'"\n"', "'q'",
    "https://h:8008", "10.0.0.1", "b//c", "b //c", "# c\n", "// c\n", "#", "\n", "\n", " ", "\t", ",", "{", "}", "[",
    "]", ":", ": ", "=", "+=", "${x}", "${?x}", "\r\n", "\ufeff", "é", "\u00a0", "\u2028", '"""m"""', "@", "~/x",
    "/x", "%", "a b", "..", "-", "\\", "\x0c", "$",
]  # fmt: skip
LINES = [
    "a: 1\n", "b {\n", "}\n", 'c = "x"\n', "api {\n", "  host: https://h:80\n", "x: [1, 2]\n", "x: [\n", "]\n",
    "# c\n", 'credentials {"access_key": "A", "secret_key": "B"}\n', 'api.credentials.access_key: "K"\n', "a.c: 2\n",
    "y: {}\n", "a.d { e: f }\n", '{ url: "file://*" } # c\n', "sdk { }\n", "k: v # c\n", "m: v 3\n", "n: b c d\n",
    "l: v // c\n", ", ", "z: [] , w: 2\n", "q: [ {a: 1}, {b: 2} ]\n",
]  # fmt: skip
changes = st.tuples(st.integers(0, 200), st.sampled_from(PIECES))


@given(st.lists(st.sampled_from(LINES), max_size=6), st.lists(changes, max_size=2))
def test_the_two_never_disagree(text: list[str], inserted: list[tuple[int, str]]) -> None:
    content = "".join(text)
    for place, piece in inserted:
        place %= len(content) + 1
        content = content[:place] + piece + content[place:]
    tree = conf_file_plain.read(content)
    if tree is None:
        return
    try:
        expected = by_pyhocon(content)
    except BadSetting:
        expected = None
    assert plainly(tree) == expected
