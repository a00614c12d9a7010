"""What `init` makes of what it found: for each file its new content, or why it is left alone. Pure."""

from __future__ import annotations

import difflib
from collections.abc import Callable, Iterator
from functools import partial
from typing import NamedTuple

from git_clearml.errors import BadSetting
from git_clearml.forge.job import Provider
from git_clearml.hook import ci_file, entries, init_policy
from git_clearml.hook.init_situation import HUSKY, LEFTHOOK, LEFTHOOK_LOCAL, PRE_COMMIT, Content, Situation
from git_clearml.hook.yaml_edit import NotEdited
from git_clearml.report.init import Action, Change
from git_clearml.settings.load import POLICY_FILE


class Planned(NamedTuple):
    """A change, and the content of the file `before` (None: there is no file) and `after` it (None: it is left)."""

    change: Change
    before: bytes | None = None
    after: bytes | None = None


def plan(situation: Situation) -> list[Planned]:
    """Every file but git's own hook, in the order in which they are to be written."""
    merges = bool(situation.job or situation.provider)
    proposal = init_policy.propose(situation.recent, situation.entry_points, situation.branch, merges=merges)
    policy = _policy(situation, proposal)
    content = policy.after or situation.contents.get(POLICY_FILE)
    has_metric = isinstance(content, bytes) and bool(init_policy.metric_in(content))
    return [policy, *_entries(situation), *_job(situation, has_metric)]


def manager_files(situation: Situation) -> list[str]:
    """The configurations of programs that manage hooks: one of each program."""
    there = [name for name in PRE_COMMIT if situation.contents.get(name) is not None]
    there += [name for name in (*LEFTHOOK, *LEFTHOOK_LOCAL) if situation.contents.get(name) is not None][:1]
    return there + ([HUSKY] if ".husky" in situation.folders else [])


def _policy(situation: Situation, proposal: str) -> Planned:
    content, says = situation.contents.get(POLICY_FILE), "the policy"
    if isinstance(content, bytes):
        try:
            if init_policy.has_policy(content):
                return _unchanged(POLICY_FILE, "it has a policy already")
        except BadSetting as error:
            return _by_hand(POLICY_FILE, says, f"it has a policy that is not valid: {error.message}")
        except NotEdited as reason:
            return _by_hand(POLICY_FILE, says, str(reason), proposal)
    try:
        return _edited(POLICY_FILE, says, content, lambda text: entries.with_toml(text, proposal))
    except NotEdited as reason:
        return _by_hand(POLICY_FILE, says, str(reason), proposal)


def _entries(situation: Situation) -> Iterator[Planned]:
    """Whoever clones the repository gets our hook from the program that it manages its hooks with."""
    for name in manager_files(situation):
        content, says = situation.contents[name], "runs the hook in every clone"
        writer = entries.writer_of(name)
        if isinstance(content, bytes) and entries.calls_us(content):
            yield _unchanged(name, "it calls git-clearml already")
            continue
        try:
            if writer is None:
                raise NotEdited("there is no safe way to put lines into a file of this form")
            yield _edited(name, says, content, partial(writer, package=situation.package))
        except NotEdited as reason:
            yield _by_hand(name, says, str(reason), entries.entry_of(name, situation.package))


def _job(situation: Situation, has_metric: bool) -> Iterator[Planned]:
    """The CI job that asks again, where the forge is known and none does so yet."""
    provider = situation.provider
    if provider is None or situation.job not in ("", ci_file.GITLAB_JOB):
        if situation.job:
            yield _unchanged(situation.job, "it runs git clearml verify already")
        return
    branch = situation.branch
    text = ci_file.recipe(provider, ci_file.Job(branch, has_metric, situation.package))
    says = "a CI job that runs git clearml verify"
    if provider is Provider.GITLAB:
        yield from _gitlab(situation, text, says)
        return
    names = ci_file.candidates(provider, situation.folders)
    name = next((name for name in names if situation.contents.get(name) is None), "")
    if name:
        yield _edited(name, says, None, lambda _: text)
    else:
        there = situation.contents[names[0]]
        why = there if isinstance(there, str) else "it is there already: put the job into it"
        yield _by_hand(names[0], says, why, text)


def _gitlab(situation: Situation, text: str, says: str) -> Iterator[Planned]:
    """A pipeline that is there gets the job by a file of its own."""
    content, job = situation.contents.get(ci_file.GITLAB_CI), situation.contents.get(ci_file.GITLAB_JOB)
    if content is None and job is None:
        yield _edited(ci_file.GITLAB_CI, says, None, lambda _: text)
        return
    if isinstance(content, bytes) and ci_file.GITLAB_JOB.encode() in content:
        yield _unchanged(ci_file.GITLAB_CI, "it includes the job already")
        return
    try:
        pipeline, text = ci_file.gitlab_with(_text(content), text)
        includes = _edited(ci_file.GITLAB_CI, f"includes {ci_file.GITLAB_JOB}", content, lambda _: pipeline)
        if job is None:
            yield _edited(ci_file.GITLAB_JOB, says, None, lambda _: text)
        elif not situation.job:
            raise NotEdited(f"{ci_file.GITLAB_JOB} is there, and is not ours to change")
        yield includes
    except NotEdited as reason:
        yield _by_hand(ci_file.GITLAB_CI, says, str(reason), text)


def _edited(name: str, says: str, content: Content, edit: Callable[[str], str]) -> Planned:
    """The change that an edit of the text makes. Raises NotEdited."""
    before = content if isinstance(content, bytes) else None
    old = _text(content)
    new = edit(old)
    added = "".join(line[2:] for line in difflib.ndiff(old.splitlines(True), new.splitlines(True)) if line[:2] == "+ ")
    action: Action = "created" if content is None else "changed"
    return Planned(Change(name, action, says, added), before, new.encode("utf-8"))


def _text(content: Content) -> str:
    if isinstance(content, str):
        raise NotEdited(content)
    try:
        return (content or b"").decode("utf-8")
    except UnicodeDecodeError:
        raise NotEdited("it is not UTF-8") from None


def _unchanged(name: str, says: str) -> Planned:
    return Planned(Change(name, "unchanged", says))


def _by_hand(name: str, says: str, why: str, lines: str = "") -> Planned:
    return Planned(Change(name, "unchanged", says, lines, by_hand=why))
