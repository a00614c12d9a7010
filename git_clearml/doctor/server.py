"""Is the ClearML server there, whose credentials are these, and is what the policy names on it?"""

from __future__ import annotations

import contextlib
import shlex
import ssl
import sys
import time
from collections.abc import Mapping
from email.utils import parsedate_to_datetime
from typing import Any
from urllib.parse import urlsplit

from git_clearml.base.sanitize import sanitize
from git_clearml.clearml import config as clearml_conf
from git_clearml.clearml import projects, queues
from git_clearml.clearml.client import ClearML
from git_clearml.clearml.config import Server
from git_clearml.doctor.advice import guarded, of_error
from git_clearml.errors import CannotDecide, Error, NotConfigured, Unauthorized
from git_clearml.report.diagnosis import Check
from git_clearml.settings.policy import Policy, Runnable

_LOCAL = ("localhost", "127.0.0.1", "::1")
_SKEW = 60.0  # seconds by which two clocks may differ
_SOON = 14 * 86400.0  # seconds before a certificate's end


def examine(environment: Mapping[str, str], budget: float, policy: Policy | None = None) -> list[Check]:
    """The credentials, the way to the server, its answers; `budget` is in seconds, for all questions together."""
    try:
        server = clearml_conf.read_server(environment)
        origins = clearml_conf.origins(environment)
    except Error as error:
        return [of_error("credentials", "fail", error)]
    if server is None:
        message = "no ClearML server is configured, only the run records of this clone count"
        return [of_error("server", "warn", NotConfigured(message, clearml_conf.login_hint(environment)))]
    with contextlib.closing(ClearML(server, budget, environment=environment)) as api:
        started = time.monotonic()
        try:
            user = api.call("users.get_current_user", {})
        except Error as error:
            words = f" ({described(server, origins)})" if isinstance(error, Unauthorized) else ""
            failed = of_error("server", "fail", error, words, address=origins.get("host", ""))
            return [*_way(server, "", time.time()), failed]
        milliseconds = 1000 * (time.monotonic() - started)
        now = time.time()
        checks = [
            Check("credentials", "ok", f"{described(server, origins)}: those of {_owner(user)}"),
            *_way(server, api.certificate_ends, now),
            *clock(api.date, now),
            Check("server", "ok", f"{server.api} answered in {milliseconds:.0f} ms{_version(api)}"),
        ]
        return [*checks, *(_named_by(policy, api) if policy else [])]


def described(server: Server, origins: Mapping[str, str]) -> str:
    """The credentials, of the key no more than its first digits, and where each part is from. Pure."""
    by_origin: dict[str, list[str]] = {}
    for word, origin in origins.items():
        shown = f"{word} {server.access_key[:4]}..." if word == "access key" and len(server.access_key) > 8 else word
        by_origin.setdefault(origin, []).append(shown)
    return ", ".join(f"{' and '.join(words)} from {origin}" for origin, words in by_origin.items())


def _owner(answer: Mapping[str, Any]) -> str:
    user = answer.get("user")
    user = user if isinstance(user, dict) else {}
    company = user.get("company")
    name = sanitize(str(user.get("name") or user.get("id") or "a user without a name"), 60)
    where = company.get("name") if isinstance(company, dict) else ""
    return f"{name} of {sanitize(str(where), 60)}" if where else name


def _version(api: ClearML) -> str:
    """The server's version for a message; "" where it does not tell."""
    try:
        version = api.call("server.info", {}).get("version")
    except CannotDecide:
        return ""
    return f", ClearML {sanitize(version, 30)}" if isinstance(version, str) and version else ""


def _way(server: Server, ends: str, now: float) -> list[Check]:
    """What may be read or changed on the way to the server; `ends` is when its certificate does. Pure."""
    parts = urlsplit(server.api)
    if parts.scheme == "http":
        if parts.hostname in _LOCAL:
            return []
        words = f"{server.api} is asked in plain http: who is on the way can read the keys, and answer in its place"
        return [Check("certificate", "warn", words)]
    if server.verify is False:
        words = f"the certificate of {server.api} is not checked (verify_certificate): anybody can answer in its place"
        return [Check("certificate", "warn", words, "export CLEARML_API_HOST_VERIFY_CERT=true")]
    if not ends:
        return []
    left = ssl.cert_time_to_seconds(ends) - now
    if left < _SOON:
        return [Check("certificate", "warn", f"the certificate of {server.api} ends soon: {ends}")]
    return [Check("certificate", "ok", f"the certificate of {server.api} is good until {ends}")]


def clock(date: str, now: float) -> list[Check]:
    """This machine's clock (`now`, seconds since the epoch) against the server's, as its answer has it. Pure."""
    try:
        ahead = now - parsedate_to_datetime(date).timestamp()
    except (ValueError, TypeError, OverflowError, IndexError):
        return []
    if abs(ahead) <= _SKEW:
        return [Check("clock", "ok", "this machine's clock agrees with the server's")]
    size = f"{abs(ahead) / 3600:.1f} hours" if abs(ahead) >= 7200 else f"{abs(ahead) / 60:.0f} minutes"
    way = "ahead of" if ahead > 0 else "behind"
    words = f"this machine's clock is {size} {way} the server's: tasks are looked for by time, and may be missed"
    set_it = "sudo sntp -sS time.apple.com" if sys.platform == "darwin" else "sudo timedatectl set-ntp true"
    return [Check("clock", "warn", words, set_it)]


def _named_by(policy: Policy, api: ClearML) -> list[Check]:
    """The policy's project, and where it wants the remote check, the queue of that and who serves it."""
    checks: list[Check] = []
    if policy.project:
        checks += guarded("project", lambda: [_project(policy.project, api)])
    if policy.runnable.required or policy.runnable.queue != Runnable().queue:
        checks += guarded("queue", lambda: [_queue(policy.runnable.queue, api)])
    return checks


def _project(name: str, api: ClearML) -> Check:
    if projects.existing(api, name):
        return Check("project", "ok", f"{sanitize(name, 100)} is on the server")
    words = f"there is no project {name!r} on the server: its first task makes it, unless the policy has the name wrong"
    return Check("project", "warn", words)


def _queue(name: str, api: ClearML) -> Check:
    queue = queues.queue(api, name)
    if queue.workers:
        return Check("queue", "ok", f"{sanitize(name, 60)} is served by live workers: {queue.workers}")
    words = f"no live worker serves the queue {name!r}, where the policy wants commits to be proved runnable"
    return Check("queue", "warn", words, shlex.join(["clearml-agent", "daemon", "--queue", name, "--detached"]))
