"""The REST API of Bitbucket Cloud, asked within one budget: documents, pages of lists, and what a refusal means.

https://developer.atlassian.com/cloud/bitbucket/rest/intro/
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import Any
from urllib.parse import urlencode

from git_clearml.base import address, jsonvalue
from git_clearml.base.connection import basic
from git_clearml.base.exchange import Reply, Request, Site
from git_clearml.base.http import HttpClient
from git_clearml.base.jsonvalue import Malformed
from git_clearml.base.secrets import Secrets
from git_clearml.errors import BadAnswer, Unavailable
from git_clearml.forge import calls
from git_clearml.forge.calls import Access, Operation
from git_clearml.forge.explain import Dialect, Explainer

MOST_ITEMS = 20_000  # of a list; a server whose list never ends is not believed
_LIMITED = "(HTTP 429)"
_SECONDARY_SECONDS = 60.0  # to wait after a 429 that does not say how long

DIALECT = Dialect(
    "Bitbucket",
    "check BITBUCKET_API_URL",
    "set BITBUCKET_TOKEN to an access token of the repository that has not expired",
    "give BITBUCKET_TOKEN the scope {}",
    "check the repository's name, and give BITBUCKET_TOKEN the scope {}",
    "Bitbucket's",
)


class BitbucketApi:
    """One API. `path`s are below its address; a refusal is raised as a CannotDecide."""

    def __init__(self, access: Access, environment: Mapping[str, str]) -> None:
        token, clock = access.token, access.clock
        self._address = access.api.rstrip("/")
        secrets = access.secrets | Secrets([token, token.partition(":")[2]])
        self._explainer = Explainer(self._address, secrets, DIALECT)
        self._token, self._clock, self._deadline = token, clock, clock.monotonic() + access.budget
        self._client = HttpClient(
            Site(self._address, check_address=DIALECT.check_api),
            access.budget,
            environment=environment,
            log=lambda line: access.log(f"Bitbucket: {line}"),
            sleep=clock.sleep,
            clock=clock.monotonic,
        )

    def close(self) -> None:
        """Lets go of the connection."""
        self._client.close()

    def document(self, verb: str, path: str, operation: Operation, body: Any = None) -> Mapping[str, Any]:
        """The object that is answered."""
        return self._parsed(self.raw(verb, path, operation, body))

    def raw(self, verb: str, path: str, operation: Operation, body: Any = None) -> bytes:
        """The answer as it is."""
        reply = self._asked(verb, path, body)
        if reply.status >= 400:
            raise self._explainer.refused(reply.status, _message(reply.body), operation)
        return reply.body

    def listed(self, path: str, operation: Operation, **query: str) -> Iterator[Mapping[str, Any]]:
        """Everything of a list, page by page; the address of the next one is not followed to another server."""
        following, seen = f"{path}?{urlencode(query)}" if query else path, 0
        while following:
            page = self.document("GET", following, operation)
            try:
                values = jsonvalue.items(page.get("values"), "values")
                url = jsonvalue.text(page.get("next") or "", "next")
            except Malformed as error:
                raise _malformed(error) from None
            seen += len(values)
            if seen > MOST_ITEMS:
                raise BadAnswer(f"the list does not end after {MOST_ITEMS} items", DIALECT.check_api)
            yield from (item for item in values if isinstance(item, Mapping))
            if url and not (values and url.startswith(self._address + "/") and ".." not in url):
                raise BadAnswer(f"{self._address} names a next page that is not its own", DIALECT.check_api)
            following = url.removeprefix(self._address + "/")

    def _asked(self, verb: str, path: str, body: Any) -> Reply:
        """One answer. An error of the server's own is asked about again, as long as that makes sense."""
        headers = {"Accept": "application/json"}
        if self._token:
            headers["Authorization"] = basic(self._token) if ":" in self._token else f"Bearer {self._token}"
        content = None if body is None else json.dumps(body).encode("utf-8", "surrogatepass")
        if content is not None:
            headers["Content-Type"] = "application/json"
        request, delays = Request(verb, path, headers, content), iter((calls.BACKOFF_SECONDS, _SECONDARY_SECONDS))
        while True:
            try:
                reply = self._client.exchange(request)
                if reply.status < 500:
                    return reply
            except Unavailable as error:
                if _LIMITED not in error.message:
                    raise
                next(delays, None)  # the client has tried again soon already
                reply = Reply(429, {}, b"")
            wait = next(delays, None)
            if wait is None or self._clock.monotonic() + wait >= self._deadline or (wait > 1 and reply.status != 429):
                return reply
            self._clock.sleep(wait)

    def _parsed(self, content: bytes) -> Mapping[str, Any]:
        try:
            return jsonvalue.parse_object(content, "the answer")
        except Malformed:
            message = f"{self._address} answered with something that is not Bitbucket's"
            raise BadAnswer(message, DIALECT.check_api) from None


def at(document: Any, *keys: str) -> Any:
    """What stands there; None where it, or anything on the way, is missing."""
    for key in keys:
        document = document.get(key) if isinstance(document, Mapping) else None
    return document


def text(document: Any, *keys: str) -> str:
    """A text; "" for none."""
    value = at(document, *keys)
    return value if isinstance(value, str) else ""


def needed(document: Any, *keys: str) -> str:
    """A text that has to be there. Raises BadAnswer."""
    return DIALECT.needed(at(document, *keys), ".".join(keys))


def number(document: Any, key: str) -> int:
    """A number that has to be there. Raises BadAnswer."""
    try:
        return jsonvalue.integer(at(document, key), key)
    except Malformed as error:
        raise _malformed(error) from None


def quoted(name: str) -> str:
    """A name, or a path, in an address."""
    return address.quoted(name, safe="/")


def _malformed(error: Malformed) -> BadAnswer:
    return BadAnswer(f"the API answered something else: {error}", DIALECT.check_api)


def _message(content: bytes) -> Any:
    """`{"type": "error", "error": {"message": ..., "detail": ...}}`"""
    try:
        document = jsonvalue.parse(content)
    except Malformed:
        return ""
    error = at(document, "error")
    return error if isinstance(error, Mapping) else document
