"""Asks a ClearML server for tasks: the one place that does, page by page, and for whole maps where one refuses a field.

It hands on what passes the query's filters here as well (filters.py): a server or a proxy may ignore them. By how many
tasks came it knows whether there are more, so a page that a filter was ignored for ends nothing too soon. Numbers in
brackets are points of the README of tests/contract/recordings.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import datetime, timezone
from typing import Any

from git_clearml.base.exchange import MEGABYTE
from git_clearml.base.ids import FIND_THE_ID, is_clearml_id, is_hash
from git_clearml.clearml import filters, response
from git_clearml.clearml.client import ClearML
from git_clearml.errors import BadAnswer, Refused

Query = Mapping[str, Any]
Document = Mapping[str, Any]

PAGE = 500  # a page is never longer, whatever one asks for [14]
_SCROLL = 5000  # a scroll is [15]
_LIMIT = 16 * MEGABYTE
_HASHES = 500
_PATTERN = 32_000  # characters; the server takes 32,352 [6]
_PREFIX = 16  # digits of a hash that tell commits well enough apart for a query
_NOTHING: Query = {}
_UNKNOWN_FIELD = (400, 14)  # result code and subcode [13]
_MAPS = ("runtime", "hyperparams", "last_metrics")  # of which an old server gives no single entries


def every(
    api: ClearML,
    query: Query,
    fields: Sequence[str],
    *,
    limit: int = _LIMIT,
    unchecked: Query = _NOTHING,
    many: bool = False,
) -> Iterator[Document]:
    """These fields of every task that the query finds, and those that its filters look at; each task once.

    A page of 500 first, and where it is full a scroll, which gives 5,000 at once, in no order: a server sorts for it.
    `many`: there are more than a page holds, so the scroll comes first. A query with an `order_by`, or to a server
    without scrolls, goes page by page. `limit` are the bytes of one answer. `unchecked` are more filters, whose fields
    are too large to be fetched: being ignored they must not let anything pass. Raises the errors of ClearML.call, and
    BadAnswer, also where a full page comes a second time: such a list does not end.
    """
    passes = filters.passes(query)
    scroll: dict[str, Any] = {"scroll_id": None, "size": _SCROLL, "order_by": ["-last_update"]}
    paging: dict[str, Any] = scroll if many and "order_by" not in query else {"page": 0, "page_size": PAGE}
    seen, pages = set[str](), set[int]()
    while True:
        data = _ask(api, {**paging, **query, **unchecked}, [*fields, *filters.fields(query)], limit)
        documents = response.objects(data, "tasks")
        for document in documents:
            if passes(document) and (identity := response.identity(document)) not in seen:
                seen.add(identity)
                yield document
        page = hash(tuple(str(document.get("id")) for document in documents))
        if page in pages and len(documents) >= PAGE:
            raise BadAnswer("the server answers with the same page of tasks again and again", response.WHICH)
        pages.add(page)
        scroll_id = data.get("scroll_id")
        if isinstance(scroll_id, str) and scroll_id:
            if len(documents) < _SCROLL:
                return
            paging = {**scroll, "scroll_id": scroll_id}
        elif len(documents) < PAGE:
            return
        elif paging == {"page": 0, "page_size": PAGE} and "order_by" not in query:
            paging = scroll  # pages of a query without an order may overlap
            pages.clear()
        else:
            paging = {"order_by": ["-last_update"], "page": paging.get("page", 0) + 1, "page_size": PAGE}


def newest_first(documents: Iterable[Document]) -> list[Document]:
    """Tasks by when they were last updated, which has to be among their fields: no server has to sort for that."""
    return sorted(documents, key=lambda document: response.text(document, "last_update"))[::-1]


def first(api: ClearML, query: Query, fields: Sequence[str], size: int) -> tuple[list[Document], bool]:
    """Those of the first `size` tasks, 500 at most, that pass the query's filters, as `every` has them; and whether
    there are no more. One request."""
    data = _ask(api, {**query, "page": 0, "page_size": size}, [*fields, *filters.fields(query)], _LIMIT)
    documents = response.objects(data, "tasks")
    return list(filter(filters.passes(query), documents)), len(documents) < size


def task(api: ClearML, identity: str, fields: Sequence[str]) -> Document | None:
    """These fields of the task of this id, None when the server has none. One request, or none for what is no id."""
    return by_ids(api, [identity], fields).get(identity) if is_clearml_id(identity) else None


def by_ids(api: ClearML, ids: Sequence[str], fields: Sequence[str], *, limit: int = _LIMIT) -> dict[str, Document]:
    """These fields of the tasks of these ids, by id; those that the server does not know are left out.

    One request for 500. Raises BadAnswer for what is no id, and the errors of ClearML.call.
    """
    if odd := [identity for identity in ids if not is_clearml_id(identity)]:
        raise BadAnswer(f"not the id of a task: {odd[0]!r}", FIND_THE_ID)
    documents: dict[str, Document] = {}
    for start in range(0, len(ids), PAGE):
        part = list(ids[start : start + PAGE])  # never empty: an empty list of ids finds every task [10]
        data = _ask(api, {"id": part, "page": 0, "page_size": len(part)}, fields, limit)
        documents |= {response.identity(document): document for document in response.objects(data, "tasks")}
        if not documents.keys() <= set(ids):  # then who is missing need not be gone
            raise BadAnswer("the server answered with other tasks than were asked for", response.WHICH)
    return {identity: documents[identity] for identity in ids if identity in documents}


def patterns(commits: Iterable[str]) -> Iterator[str]:
    """`^(a|b|c)$` for as many hashes as the server takes [6]. What is no full hash never gets into a query.

    More than 500 are asked for by their first 16 digits: three times as many fit, and what else the server may find
    by them is left out when hashes are compared in full. Raises BadAnswer for what is no full hash.
    """
    names = list(dict.fromkeys(commits))
    if not all(is_hash(name) for name in names):
        raise BadAnswer("only full hashes are asked for")
    short = len(names) > _HASHES
    if short:
        names = list(dict.fromkeys(name[:_PREFIX] for name in names))
    most = _PATTERN // (_PREFIX + 1) if short else min(_HASHES, _PATTERN // (max(map(len, names), default=0) + 1))
    for start in range(0, len(names), most):
        yield f"^({'|'.join(names[start : start + most])}){'' if short else '$'}"


def of_commits(pattern: str) -> dict[str, Any]:
    """The filter for tasks whose recorded commit matches a pattern of `patterns`."""
    return {"_all_": {"fields": ["script.version_num"], "pattern": pattern}}


def updated(since: datetime | None, until: datetime | None = None) -> dict[str, Any]:
    """The filter for tasks last updated from `since` on and before `until` [16]; {} for no bound."""
    bounds = [f"{operator}{_utc(time)}" for operator, time in ((">=", since), ("<", until)) if time is not None]
    return {"last_update": bounds} if bounds else {}


def _utc(time: datetime) -> str:
    return time.astimezone(timezone.utc).replace(tzinfo=None).isoformat(timespec="seconds")


def _ask(api: ClearML, body: Query, fields: Sequence[str], limit: int) -> dict[str, Any]:
    """One answer. A server that knows no single entries of a map is asked for the whole map."""
    try:
        return api.call("tasks.get_all_ex", {**body, "only_fields": list(dict.fromkeys(fields))}, limit=limit)
    except Refused as refusal:
        whole = list(dict.fromkeys(_whole(field) for field in fields))
        if (refusal.result_code, refusal.subcode) != _UNKNOWN_FIELD or set(whole) == set(fields):
            raise
        return api.call("tasks.get_all_ex", {**body, "only_fields": whole}, limit=limit)


def _whole(field: str) -> str:
    name = field.partition(".")[0]
    return name if name in _MAPS else field
