"""What every part of the loopback ClearML server needs: constants, times, ids, errors and body checks.

"Point N" in these modules is point N of `tests/contract/recordings/README.md`; "[NN-k]" is entry k of the
recording `exchanges/NN-*.json`.
"""

from __future__ import annotations

import uuid
from collections.abc import Callable
from datetime import datetime, timezone
from typing import Any

Json = dict[str, Any]

API_VERSION = "2.31"
SERVER_VERSION = "2.0.0"
API_VERSIONS = {SERVER_VERSION: API_VERSION, "2.3.0": "2.34"}  # of the servers in the recordings [03, 50]

# The identity behind the key of the recordings [03-2].
COMPANY_ID = "d1bd92a3b039400cbafc60a7a5b1e52b"
COMPANY_NAME = "clearml"
USER_ID = "__tests__"
USER_NAME = "Default User"
KEY_NAME = "tests"  # what the server calls the user in "Stopped by ..." [16-1] and in workers [19-1]


class ApiError(Exception):
    """An answer that is not a success: HTTP status (= result code), subcode, message and its arguments."""

    def __init__(self, code: int, subcode: int, title: str, **data: Any) -> None:
        self.code = code
        self.subcode = subcode
        self.data = data
        arguments = ", ".join(f"{key}={value}" for key, value in data.items())
        self.message = f"{title}: {arguments}" if arguments else title
        super().__init__(self.message)

    def as_failure(self, item: str) -> Json:
        """How the `..._many` calls list a member that failed [15-62]."""
        return {
            "id": item,
            "error": {"codes": [self.code, self.subcode], "msg": self.message, "data": dict(self.data)},
        }


def unknown_id(kind: str, subcode: int, value: str) -> ApiError:
    """400 for an id that nothing has: tasks 101, projects 401, queues 701."""
    return ApiError(400, subcode, f"Invalid {kind} id", id=value, company=COMPANY_ID)


def new_id() -> str:
    return uuid.uuid4().hex


def now() -> datetime:
    return datetime.now(timezone.utc)


def stamp(moment: datetime | None = None) -> str:
    """A time as the server stores and answers it: UTC, milliseconds, written with six decimals."""
    moment = (moment or now()).astimezone(timezone.utc)
    return moment.replace(microsecond=moment.microsecond // 1000 * 1000).isoformat(timespec="microseconds")


def parse_time(text: str) -> datetime:
    """An ISO time of a filter or a document; without a zone it is UTC."""
    moment = datetime.fromisoformat(text.strip().replace("Z", "+00:00"))
    return moment if moment.tzinfo else moment.replace(tzinfo=timezone.utc)


def required(body: Json, field: str) -> Any:
    """A field that must be there: 400/12 otherwise [03-13, 03-14]."""
    if body.get(field) is None:
        raise ApiError(400, 12, f"Validation error (error for field '{field}'. field is required!)")
    return body[field]


def required_text(body: Json, field: str) -> str:
    """A required string: 400/12 when it is missing or of another type [03-15]."""
    value = required(body, field)
    if not isinstance(value, str):
        problem = f"('value is wrong, expected type \"str\"', {value!r})"
        raise ApiError(400, 12, f"Validation error (error for field '{field}': {problem}.)")
    return value


def required_list(body: Json, field: str) -> list[str]:
    """A required list of at least one item [13-11]."""
    value = required(body, field)
    if not isinstance(value, list) or not value:
        problem = f"value '{value}' length is lower than allowed minimum '1'."
        raise ApiError(400, 12, f"Validation error (error for field '{field}': {problem}.)")
    return [str(item) for item in value]


def checked_name(body: Json) -> str:
    """A name without the blanks around it; shorter than three characters is 400/800 (point 23)."""
    name = required_text(body, "name").strip()
    if len(name) < 3:
        raise ApiError(400, 800, "Data validation error", name="String value is too short")
    return name


def for_each(ids: list[str], action: Callable[[str], Json]) -> Json:
    """The frame of the `..._many` calls: who succeeded, who failed and why [15-62, 16-32, 17-33]."""
    succeeded: list[Json] = []
    failed: list[Json] = []
    for item in ids:
        try:
            succeeded.append({"id": item, **action(item)})
        except ApiError as error:
            failed.append(error.as_failure(item))
    return {"succeeded": succeeded, "failed": failed}
