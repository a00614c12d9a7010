"""JSON that nobody expects, alone or in one place of a document: what the property tests put into answers and files."""

from __future__ import annotations

import json
from collections.abc import Iterator
from itertools import chain
from typing import Any

from hypothesis import strategies as st

SCALARS = st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20)
ODD = st.sampled_from([10**400, -1, 0, "", "--upload-pack=x", "../..", "\ud800", "\0", [], {}, [None], {"id": None}])
JSON = SCALARS | ODD | st.recursive(
    SCALARS, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=8,
)  # fmt: skip


def places(document: Any, at: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """The path of everything in a document."""
    yield at
    inner = (
        document.items() if isinstance(document, dict) else enumerate(document) if isinstance(document, list) else ()
    )
    yield from chain.from_iterable(places(value, (*at, key)) for key, value in inner)


def spoilt(document: Any, where: int, value: Any) -> Any:
    """The document with another value in one of its places; "gone" for none."""
    document = json.loads(json.dumps(document))
    *path, last = [*places(document)][where % len([*places(document)])] or ("",)
    part = holder = {"": document} if last == "" and not path else document
    for key in path:
        part = part[key]
    if value == "gone":
        part.pop(last)
    else:
        part[last] = value
    return holder.get("") if holder is not document else document
