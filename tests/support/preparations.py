"""What the recordings left out: tasks, queues and workers that were there before or came in between.

Prepared things bear the recorded ids, so that requests and answers fit as they are.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from typing import Any

from tests.support.clearml_common import new_id, now
from tests.support.clearml_events import NO_ITERATION, add_all, scalar
from tests.support.replay import Replay

Step = Callable[[Replay], None]
Entry = dict[str, Any]

MISC = "contract/misc"
MISC_ID = "adc2b2deb61f402691bd9b8559046d0a"
QUEUE_15 = "03981584781b485eb6f476610f6b7cb4"
AGENT_QUEUE = "f6b193ba1d484ebd850db620f52cf82c"


def _task(task_id: str, status: str = "created", **fields: Any) -> Step:
    def step(replay: Replay) -> None:
        replay.server.add_task(id=task_id, status=status, script__branch="main", **fields)

    return step


def _task_without_branch(replay: Replay) -> None:
    """The task of 52."""
    replay.server.add_task(
        "with a property", "contract/bounds", commit="c3" * 20, id="6fdbbbdcb9084156b05d2563eb780643"
    )


def _task_with_curves(replay: Replay) -> None:
    """The task of 53: a loss of 60 iterations, an accuracy every tenth."""
    task_id = "f21a0bffef05429e86e90448c2b71d6e"
    replay.server.add_task("with curves", "contract/bounds", id=task_id)
    loss = [scalar(task_id, "loss", "train", 1 / (step + 1), step) for step in range(60)]
    accuracy = [scalar(task_id, "validation", "accuracy", step / 100, step) for step in range(0, 60, 10)]
    add_all(replay.server.store, [*loss, *accuracy])


def _queued(task_id: str, queue: str, times: int = 1, status: str = "created") -> Step:
    """A task in a queue; enqueued twice, which fails, it has lost its former status (point 26)."""

    def step(replay: Replay) -> None:
        _task(task_id, status)(replay)
        replay.call("tasks.enqueue", task=task_id, queue=queue)
        for _ in range(times - 1):
            replay.client.call("tasks.enqueue", {"task": task_id, "queue": replay.own(queue)})

    return step


def _project(name: str, project_id: str) -> Step:
    def step(replay: Replay) -> None:
        replay.server.add_project(name, project_id)

    return step


def _queue(name: str, queue_id: str) -> Step:
    def step(replay: Replay) -> None:
        replay.server.add_queue(name, queue_id)

    return step


def _call(name: str, /, **body: Any) -> Step:
    def step(replay: Replay) -> None:
        replay.call(name, **body)

    return step


def _bulk(replay: Replay) -> None:
    """The 1105 tasks of 08 and 09."""
    replay.server.add_project("contract/bulk", "f6f6067a84c348ba8c9a40bda554712a")
    for number in range(1105):
        replay.server.add_task(f"bulk {number:04}", "contract/bulk", "created")


def _stage_2(replay: Replay) -> None:
    """The tasks of 07, in the order in which its answers show them, oldest first."""
    tags = {
        "none": [],
        "x": ["x"],
        "xy": ["x", "y"],
        "xz": ["x", "z"],
        "colon": ["cfg:x"],
        "comma space": ["a, b"],
    }
    project = "5c1d6265b1514033bc7958d65f9aef73"
    for name, own in tags.items():
        replay.call("tasks.create", name=f"t-{name}", type="training", project=project, tags=own)


def _thirty_tags_at_once(replay: Replay) -> None:
    task_id = "1ace47229b8f49df9c55cf342967c770"
    _task(task_id)(replay)

    def add(tag: str) -> None:
        with type(replay.client)(replay.server) as client:
            client.data("tasks.update_tags", {"ids": [task_id], "add_tags": [tag]})

    with ThreadPoolExecutor(10) as pool:
        list(pool.map(add, [f"w{number:02}" for number in range(30)]))


def _task_in_sub_project(replay: Replay) -> None:
    sub = replay.own("7e6ea7dfff8f45b9ba0a4085198f3766")
    name = replay.server.store.projects[sub]["name"]
    replay.server.add_task("in sub", name, "created", id="58414c6f6d834440979915484e0d6916")


def _six_seconds_later(replay: Replay) -> None:
    moment = now() - timedelta(seconds=6)
    replay.server.store.workers["builder:cpu:1"]["last_activity_time"] = moment.isoformat()


def _completed_agent_tasks(replay: Replay) -> None:
    """The four tasks of other recordings that the query of 35 finds."""
    store = replay.server.store
    for name, minute, steps in (
        ("smoke", 34, 5),
        ("agent train", 36, 8),
        ("agent plain", 37, 0),
        ("agent fails", 38, 8),
    ):
        task_id = replay.server.add_task(name, "contract/agent", commit=_COMMIT_AGENT)
        losses = [scalar(task_id, "loss", "train", 0.1 / (step + 1), step) for step in range(steps)]
        if losses:
            add_all(store, [*losses, scalar(task_id, "Summary", "final", 0.77, NO_ITERATION)])
        store.tasks[task_id]["last_update"] = f"2026-11-21T07:{minute}:00.000000+00:00"


def _worker(name: str) -> Step:
    return _call("workers.register", worker=name, queues=[AGENT_QUEUE])


def _report(name: str, /, **body: Any) -> Step:
    return _call("workers.status_report", worker=name, queues=[AGENT_QUEUE], **body)


_COMMIT_AGENT = "b2b0d97155e5de0a2493bf5ce70228c6db54bbad"
_COMMIT_17 = "bc7c122c3c10ab6578a3e44a49cf97d27c9d0f3b"
_ARGS = {"Args": {"lr": {"section": "Args", "name": "lr", "value": "0.1"}}}
_BARE: dict[str, Any] = {"diff": None, "repository": None, "entry_point": None, "working_dir": None}


def _bare_task(replay: Replay) -> None:
    task_id = "a4231d71d1404f92a36bf491eb874364"
    replay.server.add_task("bare task", "contract/misc-c77a22", "created", id=task_id, **_BARE)


def _agent_task(task_id: str, name: str, commit: str = _COMMIT_AGENT, script: str = "train.py", **args: str) -> Step:
    """A task as it waited for the agents of 40 to 44."""
    params = {key: {"section": "Args", "name": key, "value": value} for key, value in args.items()}

    def step(replay: Replay) -> None:
        _queue("contract-agent", AGENT_QUEUE)(replay)
        _project("contract/agent", "cf7595b769ae41529c1be6c22ac52ec6")(replay)
        replay.server.add_task(
            name,
            "contract/agent",
            "created",
            commit,
            repository="http://127.0.0.1:8090/project.git",
            entry_point=script,
            id=task_id,
            script__branch="main",
            script__binary="python3",
            script__requirements={"pip": ""},
            hyperparams={"Args": params} if params else {},
        )

    return step


def _enqueued(task_id: str) -> Step:
    return _call("tasks.enqueue", task=task_id, queue=AGENT_QUEUE)


AGENT_TASKS = {
    "40": _agent_task("99650e061d274315bacbd21a88d10748", "agent train", steps="8", sleep="1"),
    "41": _agent_task("f8690418c5a840c1b29f5729092da49d", "agent plain", script="plain.py"),
    "42": _agent_task("b15b86cc8125498995e64cb976558f93", "agent fails", steps="8", sleep="0.2", fail_at="2"),
    "43": _agent_task(
        "d0f4ac40a0d54771a42ed6b036dd93c9", "agent bad commit", "0123456789abcdef0123456789abcdef01234567"
    ),
    "44": _agent_task("3aa8b654830f45de9c25ac5693d23530", "agent stopped", steps="300", sleep="0.5"),
}

# What to do before an entry: (recording, number of the entry) -> steps.
STEPS: dict[tuple[str, int], list[Step]] = {
    ("02", 1): [_task("41b0128b0c074a4d998ec08e543b0e42", name="basic auth")],
    ("07", 1): [_stage_2],
    ("08", 1): [_bulk],
    ("09", 1): [_bulk],
    ("10", 1): [
        _project("contract/misc-c77a22", "e55d23d4f0a84ae086d3bf8c9f22011d"),
        _task(
            "a1d0df5cb4b545f1ae613c96f7179932",
            "completed",
            name="one task",
            project="contract/misc-c77a22",
            commit="203ade8194ef05827abf51dfca17e40c03015720",
            comment="a comment",
            tags=["k1"],
            hyperparams=_ARGS,
        ),
        _bare_task,
    ],
    ("11", 1): [_project(MISC, MISC_ID), _task("f69efdf79745474d875f011ce184c174")],
    ("12", 1): [_project(MISC, MISC_ID)],
    ("13", 1): [
        _project(MISC, "bfde9888f79e4497a522ea6f63850b3e"),
        _task("9b9467f8fa2645abaaefad5c2a60110e", "completed", commit="42e8e122c9780062733e65c28ad40b301e89c904"),
        _task("f5b2f28fd3b846e8bce440a4731aa92b", "published", commit="42e8e122c9780062733e65c28ad40b301e89c904"),
    ],
    ("13", 35): [_thirty_tags_at_once],
    ("14", 1): [
        _project(MISC, MISC_ID),
        _task("4979291e6d0a4dd9a214fa3a10e8c139", "completed"),
        _task("101133346ade4369b16a62d88df9a094", "published"),
        _task("68c4195c6fdf47cab02832df3e1e68c6", "in_progress"),
        _task("0113f33addf943db94cb6e91a64c82d6", "in_progress"),
        _task("fb4e7e7fc33448d1aad72ec7ef84fd4c"),
        _task("6b897b9bd26440a6b14cd004ec9718e5", "in_progress"),
        _task("d989a54137894864ad407b8c06d1a4e3", "in_progress"),
    ],
    ("15", 12): [
        _queue("contract-empty", "905fee277f664750a3e1b51739d265be"),
        _task("e03b86eb52dd4aeb960fdd7f38664ea4"),
        _task("340794599f9d4e82b95c131e9dc66338", "stopped"),
        _task("42cb38fc176149e2911c368777da4f69"),
        _task("d0ae80b89a5a4af89fb5a27f630abafb"),
        _task("38cc4062f14b48349ad8109851fa0d2a"),
        _task("379820e4cb3a400abf765b09bb11b048"),
        _task("13249a4642e348868f07a252de6ff7e2"),
        _task("4180c39b48bf4f50be3d2f4b985de0ae", **_BARE),
        _task("15de39f50d2e458d9264663745f0cfa4", "completed"),
        _task("6f9637d2280442bb9853ec2375af604e", "failed"),
        _task("209b9492b34c42a5babac3c4f5e559bd", "stopped"),
        _task("a38e66b4291349d683b2e4f8810b65de", "in_progress"),
        _task("383d85d523f44593af20b77674980924", "published"),
        _task("c78ee89579cf4846a9e02df80e24af76", system_tags=["archived"]),
        _task("963d80a8aa194945b12a07847abc3bf6"),
    ],
    ("15", 18): [_queued("0d3840eac2c14337bc0d9b8339c5221d", QUEUE_15, times=2)],
    ("15", 29): [_queued("8079d9870c31496bbe4d103b3a69c08c", QUEUE_15, status="stopped")],
    ("15", 32): [_queued("47f11afae73549dfa125ff9a5fe4b9c5", QUEUE_15)],
    ("16", 1): [
        _queue("contract-stop-6262a0", "5921e417af8a46808aab08a0ec9408f7"),
        _queued("c4da9b34988a417284941afe5c33c5b3", "5921e417af8a46808aab08a0ec9408f7"),
        _task("ff65677a8fc4446c83dd2457bc415216", "in_progress"),
        _task("fb66ef6e7a0742c187882721e63b8ec5", "in_progress", system_tags=["development"]),
        _task("41e4bd1fbf68445eae836e048e7460e4"),
        _task("a6007c652d7b43778a6c9dd864668009", "completed"),
        _task("3410de1173a3486aa96f8a0c002af3ad", "failed"),
        _task("1500367765af4988a26dce5043901823", "published"),
        _task("0d2014649dde4f0e987927e8d1e85804", "in_progress"),
        _task("6e6945edb5424ba89f3e52d31cfaff7e", "in_progress"),
        _task("efc9ff92c67845518c070a5efbaac5e2"),
    ],
    ("17", 1): [
        _project("contract/misc-ea8817", "3f40a0fea343452b864b92b5b0bf43f2"),
        _queue("contract-arch-ea8817", "0043ef564cd94c8b89957001be5c2bc3"),
        _task("ab10b83f6a004f05a4c87989a23dceaf", "completed", name="to reset", commit=_COMMIT_17, tags=["k"]),
        _task("7488cd81c95b4d149d35eb31dc6656d6", "in_progress"),
        _queued("c56a079a7e854dafa86f09f122a77828", "0043ef564cd94c8b89957001be5c2bc3"),
        _task("99ce672b46c24a658cde6fede09597a3", "failed"),
        _task("795ad4aee2a948db9653e2bdd4803bc1", "stopped"),
        _task(
            "0c9f94ec1f494c4eb20062b5264008eb",
            "completed",
            name="source",
            project="contract/misc-ea8817",
            commit=_COMMIT_17,
            tags=["k"],
            hyperparams=_ARGS,
        ),
        _task("edace20a6275483dad8b53bae88443dd", "in_progress"),
        _task("60992950d3fa49949be2ad07d9237834", "published"),
        _task("022e99a536d34741b0684b404e71876d", "completed"),
        _queued("ad1a6c7ece7741479d0b5a3147261793", "0043ef564cd94c8b89957001be5c2bc3"),
    ],
    ("18", 15): [_task_in_sub_project],
    ("19", 1): [_queue("contract-agent", AGENT_QUEUE), _worker("builder:cpu:0")],
    ("19", 8): [
        _project("contract/agent", "cf7595b769ae41529c1be6c22ac52ec6"),
        _task("99650e061d274315bacbd21a88d10748", "in_progress", name="agent train", project="contract/agent"),
        _report("builder:cpu:0", task="99650e061d274315bacbd21a88d10748", queue=AGENT_QUEUE),
    ],
    ("19", 9): [_report("builder:cpu:0")],
    ("19", 10): [_call("workers.unregister", worker="builder:cpu:0")],
    ("19", 11): [_worker("builder:cpu:1"), _report("builder:cpu:1")],
    ("19", 12): [_six_seconds_later],
    ("20", 1): [_project(MISC, MISC_ID), _task("f4186500fcd04fbcb71db8396f353eae")],
    ("35", 1): [_queue("contract-sdk", "51067f61e4444579822be83fb7486464"), _completed_agent_tasks],
    ("36", 1): [
        _queue("contract-sdk", "51067f61e4444579822be83fb7486464"),
        _project("contract/sdk", "4f784d7b60ce40f0aa33319f0c77d069"),
    ],
    **{(name, 1): [step] for name, step in AGENT_TASKS.items()},
    ("40", 10): [_enqueued("99650e061d274315bacbd21a88d10748")],
    ("41", 10): [_enqueued("f8690418c5a840c1b29f5729092da49d")],
    ("42", 10): [_enqueued("b15b86cc8125498995e64cb976558f93")],
    ("43", 10): [_enqueued("d0f4ac40a0d54771a42ed6b036dd93c9")],
    ("44", 10): [_enqueued("3aa8b654830f45de9c25ac5693d23530")],
    ("44", 41): [_call("tasks.stop", task="3aa8b654830f45de9c25ac5693d23530", status_reason="asked")],
    ("50", 1): [
        _task("683f5e555c594b97abc8f8f5b3f1373f", "in_progress"),
        _task("0bec1508599649e1bf28e06ceb2b7026", "in_progress"),
        _task("4c7a0b810990442dbd2bdd5801fe073a", "in_progress"),
    ],
    ("53", 1): [_task_with_curves],
    ("52", 1): [
        _project("contract/bounds", "9334d47f60c94644bad664a2edf01ae3"),
        _task_without_branch,
    ],
    ("48", 1): [_project(MISC, "8e8397aaac894ffeac7da40ab6f87fdd")],
}

# Recordings that go on with the tasks of others: which to replay first, and up to which entry.
BEFORE: dict[str, list[tuple[str, int | None]]] = {
    "05": [("04", 56)],
    "06": [("04", 56)],
    "07": [("04", 56)],
    "31": [("30", None)],
    "32": [("30", None), ("31", None)],
    "33": [("30", None)],
}


def whole_request(name: str, number: int, entry: Entry, replay: Replay) -> Any:
    """The body of a request, with what the recording cut out of it put in again."""
    request = entry["request"]
    if not entry.get("trimmed") or not isinstance(request, dict):
        return request
    if (name, number) == ("11", 3):
        return {"json_lines": [*request["json_lines"], *_more_scalars(request["json_lines"][0]["task"])]}
    request = dict(request)
    if "_all_" in request:
        request["_all_"] = {**request["_all_"], "pattern": _more_commits(request["_all_"]["pattern"])}
    if "id" in request:
        request["id"] = [each for item in request["id"] for each in _more_ids(item, name, replay)]
    return request


def _more_commits(pattern: str) -> str:
    cut = re.search(r"\|\|\.\.\.(\d+) more shas of 40 hex, here left out\.\.\.\|", pattern)
    if cut is None:
        return pattern
    made = "|".join(f"{number:040x}" for number in range(int(cut[1])))
    return pattern.replace(cut[0], f"|{made}|")


def _more_ids(item: str, name: str, replay: Replay) -> list[str]:
    cut = re.fullmatch(r"\.\.\. (\d+) more .*\.\.\.|\.\.\. (\d+) more \.\.\.", item)
    if cut is None:
        return [item]
    if name == "08":
        return [task["id"] for task in replay.server.tasks.values() if task["name"] > "bulk 0001"]
    return [new_id() for _ in range(int(cut[1]))]


def _more_scalars(task_id: str) -> list[Entry]:
    return [
        scalar(task_id, f"m{metric:02}", variant, round((metric + 1) * (step + 1) / 10, 1), step)
        for metric in range(1, 25)
        for variant in ("v0", "v1")
        for step in range(3)
    ]
