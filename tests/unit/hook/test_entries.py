"""Our entry in the configuration of each program that manages hooks, as that program reads it."""

from __future__ import annotations

import pytest
import yaml

from git_clearml.hook import entries
from git_clearml.hook.installed_package import Package, parse
from git_clearml.hook.yaml_edit import NotEdited
from git_clearml.settings.table import toml_document
from tests.support.program import ROOT

HERE = Package(is_here_alone=True)
URL, REV = "https://example.com/git-clearml.git", "b" * 40
COMMAND = {"run": "git-clearml hook pre-push {1} {2}", "use_stdin": True}


def written(name: str, text: str, package: Package = HERE) -> str:
    writer = entries.writer_of(name)
    assert writer is not None
    new = writer(text, package=package)
    assert entries.calls_us(new.encode())
    return new


def test_pre_commit() -> None:
    old = "repos:\n- repo: x\n  rev: v1\n  hooks: []\n"
    document = yaml.safe_load(written(".pre-commit-config.yaml", old))
    assert document["default_install_hook_types"] == ["pre-commit", "pre-push"]
    (hook,) = document["repos"][1]["hooks"]
    (published, *_) = yaml.safe_load((ROOT / ".pre-commit-hooks.yaml").read_text())
    differ = {"language": "system"}
    assert hook == {key: value for key, value in published.items() if key != "description"} | differ
    pinned = yaml.safe_load(written(".pre-commit-config.yaml", old, Package(URL, REV)))["repos"][1]
    assert pinned == {"repo": URL, "rev": REV, "hooks": [{"id": published["id"]}]}
    types = "default_install_hook_types: [pre-push]\n"
    assert written(".pre-commit-config.yaml", types + old).startswith(types + old)
    with pytest.raises(NotEdited):
        written(".pre-commit-config.yaml", types.replace("pre-push", "commit-msg") + old)


@pytest.mark.parametrize("package", [HERE, Package(URL, REV)])
@pytest.mark.parametrize("end", ["\n", "\r\n"])
def test_prek(package: Package, end: str) -> None:
    old = f'# mine{end}[[repos]]{end}repo = "builtin"{end}hooks = [{{ id = "x" }}]'
    new = written("prek.toml", old, package)
    assert old in new
    document = toml_document(new.encode())
    assert document["default_install_hook_types"] == ["pre-commit", "pre-push"]
    assert [repo["hooks"][0]["id"] for repo in document["repos"]] == ["x", "clearml-verify"]
    for odd in ("repos = []", "a = ", f'default_install_hook_types = ["pre-commit"]{end}'):
        with pytest.raises(NotEdited):
            written("prek.toml", odd, package)


@pytest.mark.parametrize(
    ("old", "where"),
    [
        ("", "commands"),
        ("pre-commit:\n  jobs: []\n", "commands"),
        ("pre-push:\n  parallel: true\n", "commands"),
        ("pre-push:\n  commands:\n    a:\n      run: x\n", "commands"),
        ("pre-push:\n  jobs:\n  - run: x\n", "jobs"),
    ],
)
def test_lefthook(old: str, where: str) -> None:
    hook = yaml.safe_load(written(".config/lefthook.yml", old))["pre-push"]
    entry = hook["jobs"][0] if where == "jobs" else {**hook["commands"]["git-clearml"], "name": "git-clearml"}
    assert entry == {"name": "git-clearml", **COMMAND}
    if not old.startswith("pre-push"):
        toml = toml_document(written("lefthook.toml", "[pre-commit]\nparallel = true").encode())
        assert toml["pre-push"]["commands"]["git-clearml"] == COMMAND
        assert toml["pre-commit"] == {"parallel": True}


def test_no_safe_way() -> None:
    for name in ("lefthook.json", "lefthook-local.yml"):
        assert entries.writer_of(name) is None
        assert entries.entry_of(name, HERE)
    with pytest.raises(NotEdited):
        written("lefthook.yml", "pre-push: {jobs: [{run: x}]}\n")
    with pytest.raises(NotEdited):
        written(".husky/pre-push", "echo\r\n")


@pytest.mark.parametrize(
    ("old", "head"),
    [
        ("npm test\n", ""),
        ("#!/bin/sh\nnpm test", "#!/bin/sh\n"),
        ('#!/bin/sh\n. "$(dirname "$0")/_/husky.sh"\n\nnpm test\n', '#!/bin/sh\n. "$(dirname "$0")/_/husky.sh"\n'),
        ("#!/bin/sh", "#!/bin/sh\n"),
    ],
)
def test_husky(old: str, head: str) -> None:
    new = written(".husky/pre-push", old)
    assert new.startswith(head + entries.COMMENT)
    assert new.endswith(old.removeprefix(head.rstrip("\n")).removeprefix("\n"))


@pytest.mark.parametrize(
    ("text", "package"),
    [
        (f'{{"url": "{URL}", "vcs_info": {{"vcs": "git", "commit_id": "{REV}"}}}}', Package(URL, REV)),
        (f'{{"url": "https://me:key@example.com/x", "vcs_info": {{"vcs": "git", "commit_id": "{REV}"}}}}', None),
        (
            '{"url": "https://example.com/git_clearml-1.whl", "archive_info": {}}',
            "https://example.com/git_clearml-1.whl",
        ),
        ('{"url": "file:///home/me/git-clearml", "dir_info": {"editable": true}}', HERE),
        (f'{{"url": "{URL}", "vcs_info": {{"vcs": "hg", "commit_id": "{REV}"}}}}', HERE),
        (f'{{"url": "{URL}", "vcs_info": {{"vcs": "git", "commit_id": "main"}}}}', HERE),
        ('{"url": "https://example.com/$(id)", "archive_info": {}}', HERE),
        (f'{{"url": "{URL}", "vcs_info": {{}}, "subdirectory": "x"}}', HERE),
        ("{}", HERE),
        ("[", HERE),
        ('{"url": 1}', HERE),
    ],
)
def test_where_it_was_installed_from(text: str, package: Package | str | None) -> None:
    found = parse(text)
    if isinstance(package, Package):
        assert found == package
    else:
        assert not found.is_here_alone
        assert "key" not in found.requirement()
    assert Package(URL, REV).requirement("gitlab") == f"git-clearml[gitlab] @ git+{URL}@{REV}"
    assert Package(version="1.2").requirement() == "git-clearml==1.2"
    assert Package("https://x/a.whl").requirement() == "git-clearml @ https://x/a.whl"
