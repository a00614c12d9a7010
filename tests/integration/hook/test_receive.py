"""`hook pre-receive` and `hook update` in a bare repository: who decides, by what, and what a pusher may not do."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.integration.verdict.test_require import MODELS, monorepo
from tests.support.clearml_server import ClearMLServer
from tests.support.faults import closed_port, silent
from tests.support.pushing import NULL
from tests.support.receiving import URL, Receiver, make_receiver, with_system_config
from tests.support.repos import fast_history, make_repo


@pytest.fixture
def receiver(tmp_path: Path) -> Iterator[Receiver]:
    with ClearMLServer() as server:
        yield make_receiver(tmp_path, server)


def test_a_push_to_an_empty_repository(receiver: Receiver) -> None:
    assert "rejected" in receiver.refuses().out
    receiver.task()
    assert "verified" in receiver.accepts().err


def test_one_ref_by_the_update_hook(receiver: Receiver) -> None:
    words = ("update", "refs/heads/main", NULL, receiver.repo.head)
    assert receiver.hook(*words).status == 1
    receiver.task()
    assert receiver.hook(*words).status == 0
    for wrong in (words[:3], (*words[:2], "main", words[3]), ("update", "main", NULL, receiver.repo.head)):
        assert receiver.hook(*wrong).status == 2


@pytest.mark.parametrize(
    "lines", ["main", f"{NULL} {NULL}", f"{NULL} refs/heads/main {NULL}", f"x{NULL} {NULL} refs/a b"]
)
def test_lines_that_are_none(receiver: Receiver, lines: str) -> None:
    receiver.refuses(lines + "\n", status=2)


def test_the_old_side_decides(receiver: Receiver) -> None:
    """A push that loosens the policy and brings the code that this would let through."""
    receiver.repo.policy('project = "Vision"')
    receiver.accept()
    receiver.repo.policy('protect = ["nothing"]')
    receiver.task(project="Other")
    assert "is in project" in receiver.refuses().out
    receiver.task(project="Vision")
    receiver.accepts()


def test_limits_of_metrics_are_the_old_sides(receiver: Receiver) -> None:
    rule = ("[[tool.git-clearml.metrics]]", 'metric = "validation/accuracy"')
    receiver.repo.policy(*rule, "at-least = 0.8", "min-runs = 2")
    receiver.accept()
    receiver.repo.policy(*rule)
    receiver.task(metrics={"validation": {"accuracy": 0.8}})
    assert "min-runs is 2" in receiver.refuses().out
    receiver.task(metrics={"validation": {"accuracy": 0.1}})
    assert "verified" in receiver.accepts().err
    assert len(receiver.server.requests) == 1


def test_the_default_branch_decides_about_what_is_new(receiver: Receiver) -> None:
    receiver.repo.policy('protect = ["release/*"]')
    receiver.accept()
    receiver.repo.policy('protect = ["nothing"]')
    receiver.accepts(receiver.line(ref="refs/heads/feature"), requests=0)
    receiver.refuses(receiver.line(ref="refs/heads/release/1"))


@pytest.mark.parametrize("disguise", ["refs/tags/HEAD", "refs/heads/HEAD"])
def test_a_head_that_names_no_branch(receiver: Receiver, disguise: str) -> None:
    """Then every branch that is there decides, and nothing else that is called HEAD."""
    receiver.repo.policy('protect = ["**"]')
    receiver.accept("origin", "main:refs/heads/other", "main:refs/heads/third")
    loose = receiver.repo.policy('protect = ["nothing"]')
    receiver.accept("origin", f"{loose}:{disguise}")
    receiver.refuses(receiver.line(ref="refs/heads/new"))
    receiver.remote.git("update-ref", "--no-deref", "HEAD", loose)  # detached: that commit is the default
    receiver.accepts(receiver.line(ref="refs/heads/new"), requests=0)


def test_what_shares_no_code_is_free(receiver: Receiver) -> None:
    receiver.accept("origin", "main", "main:refs/heads/gone")
    gone = receiver.line(NULL, "refs/heads/gone")
    receiver.accepts(gone, requests=0, env={"CLEARML_CONFIG_FILE": None})
    receiver.accepts(receiver.line(ref="refs/notes/clearml"), receiver.line(ref="refs/tags/v1"), requests=0)
    receiver.repo.commit("two")
    receiver.refuses(gone, receiver.line())


def test_tags_are_peeled(receiver: Receiver) -> None:
    receiver.repo.policy('protect = ["main", "refs/tags/v*"]')
    receiver.accept()
    head = receiver.repo.commit("two")
    receiver.repo.git("tag", "--annotate", "--message", "one", "v1")
    receiver.repo.git("tag", "--annotate", "--message", "of the tag", "v2", "v1")
    lines = [receiver.line(receiver.repo.git("rev-parse", tag), f"refs/tags/{tag}") for tag in ("v1", "v2")]
    receiver.refuses(*lines)
    receiver.task(head)
    receiver.accepts(*lines)


def test_sha_256(tmp_path: Path) -> None:
    with ClearMLServer() as server:
        receiver = make_receiver(tmp_path, server, "--object-format=sha256")
        line = f"{'0' * 64} {receiver.repo.head} refs/heads/main\n"
        receiver.refuses(line)
        receiver.task()
        receiver.accepts(line)


def test_fifty_refs_and_one_question(receiver: Receiver) -> None:
    commits = fast_history(receiver.repo, 50)
    for commit in commits:
        receiver.task(commit)
    lines = [receiver.line(commit, f"refs/heads/b{number}", NULL) for number, commit in enumerate(commits)]
    receiver.accepts(*lines)
    receiver.server.tasks.clear()
    for commit in commits[1:]:
        receiver.task(commit)
    assert commits[0][:12] in receiver.refuses(*lines).out


def test_branches_whose_policies_protect_other_refs_are_one_question(receiver: Receiver) -> None:
    for number, policy in enumerate(('protect = ["**"]', 'protect = ["b*"]', 'evidence = "server"')):
        receiver.repo.policy(policy)
        receiver.accept("origin", f"main:refs/heads/b{number}")
    receiver.repo.commit("all")
    lines = [receiver.line(ref=f"refs/heads/b{number}") for number in range(3)]
    receiver.refuses(*lines)
    receiver.task()
    receiver.accepts(*lines)


# What the pusher has no say in


HOSTILE: dict[str, str | None] = {
    "GIT_CLEARML_SKIP": "1",
    "GIT_PUSH_OPTION_COUNT": "1",
    "GIT_PUSH_OPTION_0": "git-clearml.skip",
    "GIT_CLEARML_PROTECT": "nothing",
    "GIT_CLEARML_EVIDENCE": "offline",
    "GIT_CLEARML_TIMEOUT": "0.0001",
    "GIT_CLEARML_NOSUCH": "1",
    "GIT_CONFIG_COUNT": "1",
    "GIT_CONFIG_KEY_0": "clearml.nosuch",
    "GIT_CONFIG_VALUE_0": "x",
    "GIT_CONFIG_PARAMETERS": "'clearml.repository'='https://elsewhere.example.com/x'",
    "GIT_CONFIG_SYSTEM": "/dev/null",
    "GIT_REPLACE_REF_BASE": "refs/heads/",
    "GIT_NAMESPACE": "x",
    "GIT_TRACE": "1",
    "GIT_EXEC_PATH": "/nonexistent",
    "GIT_WORK_TREE": "/",
    "GIT_INDEX_FILE": "/nonexistent",
    "GIT_SHALLOW_FILE": "/nonexistent",
    "GIT_COMMON_DIR": "/nonexistent",
    "GIT_PYTHON_GIT_EXECUTABLE": "/bin/true",
    "GIT_PYTHON_TRACE": "full",
    "PRE_COMMIT": "1",
    "PRE_COMMIT_TO_REF": "HEAD",
    "CI": "1",
    "GITHUB_ACTIONS": "true",
    "_GIT_CLEARML_SHOWN": "x",
    "_GIT_CLEARML_MEMORY": "x",
    "CLEARML_API_HOST": "http://127.0.0.1:1",
    "CLEARML_API_ACCESS_KEY": "a",
    "CLEARML_API_SECRET_KEY": "b",
    "CLEARML_AUTH_TOKEN": "x",
    "CLEARML_API_HOST_VERIFY_CERT": "/nonexistent",
    "CLEARML_CONFIG_PATH": "/nonexistent",
    "TRAINS_CONFIG_FILE": "/nonexistent",
}


def test_no_environment_changes_the_judgement(receiver: Receiver) -> None:
    """All at once, but for what says where clearml.conf is."""
    plain, hostile = receiver.refuses(), receiver.refuses(env=HOSTILE)
    assert (hostile.out, hostile.err) == (plain.out, plain.err)
    receiver.task()
    assert receiver.accepts(env=HOSTILE).err == receiver.accepts().err


def test_the_system_s_clearml_conf_alone(receiver: Receiver, tmp_path: Path) -> None:
    """Once the server says where its credentials are, no variable says so, nor where the answers come from."""
    system = with_system_config(tmp_path / "bin", "[clearml]", f"\tconfig-file = {receiver.conf}")
    with ClearMLServer() as other:
        liar = make_receiver(tmp_path / "liar", other)
        other.add_task(commit=receiver.repo.head, repository=URL)
        assert receiver.accepts(env={"CLEARML_CONFIG_FILE": str(liar.conf)}, requests=0)
        proxy = {"CLEARML_CONFIG_FILE": str(liar.conf), "http_proxy": other.env["CLEARML_API_HOST"], "no_proxy": ""}
        result = receiver.refuses(env={**system, **proxy})
        assert result.calls
        receiver.task()
        receiver.accepts(env={**system, **proxy})


@pytest.mark.needs("git 2.32")
def test_a_system_config_that_a_variable_names(receiver: Receiver, tmp_path: Path) -> None:
    """It is as good as CLEARML_CONFIG_FILE, and no better."""
    config = tmp_path / "gitconfig"
    config.write_text(f"[clearml]\n\tconfig-file = {receiver.conf}\n")
    receiver.task()
    receiver.accepts(env={"CLEARML_CONFIG_FILE": None, "GIT_CONFIG_SYSTEM": str(config)})
    receiver.accepts(env={"GIT_CONFIG_SYSTEM": str(config)})
    config.write_text("[clearml]\n\tconfig-file = /another/clearml.conf\n")
    receiver.refuses(env={"GIT_CONFIG_SYSTEM": str(config)}, status=2)
    system = with_system_config(tmp_path / "bin", "[clearml]", f"\tconfig-file = {receiver.conf}")
    receiver.accepts(env={**system, "CLEARML_CONFIG_FILE": "/another/clearml.conf"})


@pytest.mark.parametrize("scope", ["--local", "--global"])
def test_no_other_git_config_names_credentials(receiver: Receiver, scope: str) -> None:
    receiver.task()
    receiver.remote.git("config", scope, "clearml.config-file", str(receiver.conf))
    result = receiver.refuses(status=3, env={"CLEARML_CONFIG_FILE": None})
    assert "git config --system clearml.config-file" in result.err
    assert result.calls == ()


def test_credentials_of_the_home_or_a_path_that_is_relative(receiver: Receiver, tmp_path: Path) -> None:
    receiver.task()
    receiver.refuses(status=3, env={"CLEARML_CONFIG_FILE": None, "HOME": str(tmp_path)})
    receiver.refuses(status=2, env={"CLEARML_CONFIG_FILE": "clearml.conf"})
    receiver.refuses(status=2, env={"CLEARML_CONFIG_FILE": "~/clearml.conf", "HOME": str(tmp_path)})
    receiver.refuses(status=2, env={"CLEARML_CONFIG_FILE": str(tmp_path / "nosuch.conf")})


@pytest.mark.parametrize("where", ["old side", "pushed"])
def test_a_policy_that_wants_evidence_of_a_clone(receiver: Receiver, where: str) -> None:
    receiver.repo.policy('evidence = "offline"')
    if where == "old side":
        receiver.accept()
        receiver.repo.policy()
    else:
        receiver.accept("origin", "main~1:refs/heads/main")
    receiver.task()
    result = receiver.refuses(status=2)
    assert "a git server has none" in result.err
    assert result.calls == ()


@pytest.mark.parametrize("content", ["[tool.git-clearml\n", "[tool.git-clearml]\nnosuch = 1\n", "#" * 1_000_001])
def test_a_policy_that_nobody_could_push_by(receiver: Receiver, content: str) -> None:
    receiver.accept()
    receiver.repo.commit("policy", {"pyproject.toml": content})
    receiver.task()
    assert "pyproject.toml" in receiver.refuses(status=2).err


def test_run_records_and_remembered_verdicts_do_not_count(receiver: Receiver) -> None:
    """Where somebody has put them into the bare repository."""
    receiver.task()
    receiver.accepts()
    receiver.server.tasks.clear()
    receiver.refuses()
    for name in ("runs", "verified", "pushed"):
        (receiver.remote.path / "clearml" / name).mkdir(parents=True)
    record = {"commit": receiver.repo.head, "exit_status": 0, "clean": True}
    (receiver.remote.path / "clearml" / "runs" / "1.json").write_text(json.dumps(record))
    receiver.refuses()


@pytest.mark.parametrize("policy", ["", 'protect = ["main", "git-clearml/*"]', 'protect = ["main"]'])
def test_side_refs(receiver: Receiver, policy: str) -> None:
    """New ones are free, exactly by their name, unless the policy names them; what is moved there is judged."""
    receiver.repo.policy(*filter(None, [policy]))
    receiver.accept()
    head, tree = receiver.repo.commit("two"), "git-clearml/"
    side = f"refs/heads/{tree}{head[:12]}-01234567"
    if "git-clearml" in policy:
        receiver.refuses(receiver.line(ref=side))
        return
    receiver.accepts(receiver.line(ref=side), requests=0)
    if policy:
        return
    receiver.accept("origin", f"main~1:{side}")
    others = [side, f"refs/heads/{tree}{'0' * 12}-01234567", f"refs/heads/{tree}{head[:12]}", f"{side}/x", f"{side}0"]
    others += [side.replace("git-clearml", "GIT-CLEARML"), f"refs/heads/x/{tree}{head[:12]}-01234567"]
    result = receiver.refuses(*(receiver.line(ref=ref) for ref in others))
    assert result.out.splitlines()[0].count("refs/heads/") == len(others)


@pytest.mark.parametrize(
    ("pattern", "ref"),
    [("main", "refs/heads/MAIN"), ("main", "refs/HEADS/main"), ("Release/*", "refs/heads/release/1")],
)
def test_refs_in_other_letters(receiver: Receiver, pattern: str, ref: str) -> None:
    """Another branch, but where file names are the same in upper and lower case."""
    receiver.repo.policy(f'protect = ["{pattern}"]')
    receiver.accept()
    receiver.accepts(receiver.line(ref=ref), requests=0)
    receiver.remote.git("config", "core.ignoreCase", "true")
    receiver.refuses(receiver.line(ref=ref))


@pytest.mark.parametrize("there", [True, False])
def test_a_branch_that_is_another_one(receiver: Receiver, there: bool) -> None:
    """A symbolic ref, as after a branch has got another name: whoever pushes to it pushes to that one."""
    receiver.repo.policy('protect = ["trunk"]')
    receiver.accept()
    for alias, target in (("master", "old"), ("old", "trunk")):
        receiver.remote.git("symbolic-ref", f"refs/heads/{alias}", f"refs/heads/{target}")
    if there:
        receiver.accept("origin", "main:refs/heads/trunk")
    receiver.repo.commit("two")
    receiver.refuses(receiver.line(ref="refs/heads/master"))
    receiver.accepts(receiver.line(ref="refs/heads/other"), requests=0)
    (receiver.remote.path / "refs" / "heads" / "master").unlink()
    (receiver.remote.path / "refs" / "heads" / "master").symlink_to("refs/heads/trunk")  # as old gits have made them
    receiver.refuses(receiver.line(ref="refs/heads/master"))


@pytest.mark.parametrize("there", [True, False])
def test_a_branch_that_others_are(receiver: Receiver, there: bool) -> None:
    """The other way round: the policy protects the name that a branch had, which is symbolic for it now."""
    receiver.repo.policy('protect = ["master"]')
    receiver.accept("origin", "main", *(["main:refs/heads/trunk"] if there else []))
    receiver.remote.git("symbolic-ref", "refs/heads/team/old", "refs/heads/trunk")
    receiver.remote.git("symbolic-ref", "refs/heads/master", "refs/heads/team/old")
    receiver.repo.commit("two")
    trunk = receiver.line(ref="refs/heads/trunk")
    assert "refs/heads/master" in receiver.refuses(trunk).out
    receiver.accepts(receiver.line(ref="refs/heads/other"), requests=0)
    (receiver.remote.path / "refs" / "heads" / "master").unlink()
    (receiver.remote.path / "refs" / "heads" / "master").symlink_to("refs/heads/trunk")
    receiver.refuses(trunk)


def test_ref_names_with_odd_characters(receiver: Receiver) -> None:
    refs = [
        "refs/heads/ä ö".replace(" ", "\u00a0"),
        "refs/heads/$(x)`y`",
        "refs/heads/-f",
        "refs/heads/a\u2028b",
        "refs/heads/%s;|&",
    ]
    result = receiver.refuses(*(receiver.line(ref=ref) for ref in refs))
    assert len(result.out.splitlines()) < 6
    receiver.task()
    receiver.accepts(*(receiver.line(ref=ref) for ref in refs))


def _symlink(receiver: Receiver) -> None:
    (receiver.repo.path / "loose.toml").write_text('[tool.git-clearml]\nprotect = ["nothing"]\n')
    (receiver.repo.path / "pyproject.toml").unlink()
    (receiver.repo.path / "pyproject.toml").symlink_to("loose.toml")


def _directory(receiver: Receiver) -> None:
    (receiver.repo.path / "pyproject.toml").unlink()
    receiver.repo.write({"pyproject.toml/x": "1"})


def _renamed(receiver: Receiver) -> None:
    receiver.repo.git("mv", "pyproject.toml", "Pyproject.toml")


def test_a_policy_that_would_be_a_link(receiver: Receiver) -> None:
    """git has of a link where it leads: nobody could read that policy any more."""
    receiver.repo.policy('project = "Vision"')
    receiver.accept()
    _symlink(receiver)
    receiver.repo.commit("policy")
    receiver.task(project="Vision")
    assert "is it a symbolic link?" in receiver.refuses(status=2).err


@pytest.mark.parametrize("change", [_directory, _renamed])
def test_a_policy_file_that_is_none_any_more(receiver: Receiver, change: Callable[[Receiver], None]) -> None:
    """The change is judged by the policy as it was; what follows by the strict defaults."""
    receiver.repo.policy('project = "Vision"')
    receiver.accept()
    change(receiver)
    receiver.repo.commit("policy")
    receiver.task(project="Other")
    receiver.refuses()
    receiver.task(project="Vision")
    receiver.accepts()
    receiver.accept()
    receiver.repo.commit("next")
    receiver.refuses()


def test_replaced_objects_are_not_looked_at(receiver: Receiver) -> None:
    """A pushed refs/replace/* shows another commit, with another policy, in place of the accepted one."""
    accepted = receiver.repo.policy('project = "Vision"')
    receiver.accept()
    loose = receiver.repo.policy('protect = ["nothing"]')
    receiver.accept("origin", f"{loose}:refs/replace/{accepted}", f"{loose}:refs/heads/loose")
    receiver.repo.git("replace", accepted, loose)
    receiver.refuses()
    receiver.task(accepted, project="Vision")
    receiver.refuses()


def test_a_submodule_s_objects_are_its_own(receiver: Receiver, tmp_path: Path) -> None:
    """Where the repository that is pushed to has the submodule, what is in quarantine does not hide it."""
    submodule = make_repo(tmp_path / "sub", {"deep.py": "print(1)\n"})
    receiver.repo.git("clone", "--quiet", "--bare", str(submodule.path), str(receiver.remote.path / "modules" / "sub"))
    receiver.repo.git("update-index", "--add", "--cacheinfo", f"160000,{submodule.head},sub")
    receiver.repo.git("commit", "--quiet", "--message", "submodule")
    receiver.task(entry_point="sub/deep.py")
    receiver.accepts()


# Which repository it is


@pytest.mark.parametrize(
    ("variables", "name"),
    [
        ({"GL_PROJECT_PATH": "group/sub/project"}, "https://forge.example.com/group/sub/project"),
        ({"GITHUB_REPO_NAME": "group/project"}, "git@forge.example.com:group/project.git"),
        (
            {"GITEA_REPO_USER_NAME": "team", "GITEA_REPO_NAME": "project"},
            "ssh://git@forge.example.com:2222/team/project",
        ),
    ],
)
def test_what_the_forge_says(receiver: Receiver, variables: dict[str, str | None], name: str) -> None:
    receiver.remote.git("config", "clearml.server-url", "https://forge.example.com/")
    receiver.task(repository=name)
    receiver.refuses()
    receiver.accepts(env=variables)
    receiver.remote.git("config", "--unset", "clearml.server-url")
    receiver.refuses(env=variables)


def test_what_git_config_and_the_policy_say(receiver: Receiver) -> None:
    receiver.remote.git("config", "--add", "clearml.repository", "git@other.example.com:x/y.git")
    receiver.task(repository="https://other.example.com/x/y")
    receiver.accepts()
    receiver.task(
        receiver.repo.policy('repositories = ["https://third.example.com/z"]'),
        repository="https://third.example.com/z.git",
    )
    receiver.accepts()
    receiver.repo.commit("two")
    receiver.task(repository=f"file://{receiver.remote.path}")
    receiver.accepts()
    receiver.repo.commit("three")
    receiver.task(repository="https://elsewhere.example.com/z")
    assert "another repository" in receiver.refuses().out


# What the pusher sees


def test_each_line_of_a_refusal_is_marked_for_gitlab(receiver: Receiver) -> None:
    gitlab: dict[str, str | None] = {"GL_ID": "user-1", "GL_PROTOCOL": "ssh"}
    for result in (
        receiver.refuses(env=gitlab),
        receiver.refuses(env={**gitlab, "CLEARML_CONFIG_FILE": None}, status=3),
        receiver.refuses("nonsense\n", env=gitlab, status=2),
    ):
        assert all(line.startswith("GL-HOOK-ERR: ") for line in (result.out + result.err).splitlines())
    receiver.task()
    assert "GL-HOOK-ERR" not in receiver.accepts(env=gitlab).err


def test_a_server_that_is_away(receiver: Receiver) -> None:
    receiver.accept()
    receiver.repo.commit("two")
    host = receiver.server.env["CLEARML_API_HOST"]
    receiver.conf.write_text(receiver.conf.read_text().replace(host, f"http://127.0.0.1:{closed_port()}"))
    assert "ask whoever runs this git server" in receiver.refuses(status=3).err
    receiver.repo.policy('on-unreachable = "warn"')
    assert receiver.refuses(status=3).calls == ()  # that of the pushed commit says so, and nobody has accepted it
    receiver.accept()
    receiver.repo.commit("two")
    passed = receiver.accepts(requests=0, env={"GL_ID": "user-1", "GL_PROTOCOL": "ssh"})
    assert "not verified" in passed.out
    assert "push again" not in passed.err
    assert "GL-HOOK-ERR" not in passed.out + passed.err


def test_a_server_that_does_not_answer(receiver: Receiver) -> None:
    """The time is over soon, whoever says when: git config, or who calls the hook."""
    receiver.accept()
    receiver.repo.commit("two")
    content, host = receiver.conf.read_text(), receiver.server.env["CLEARML_API_HOST"]
    receiver.remote.git("config", "clearml.timeout", "0.3")
    with silent() as deaf:
        receiver.conf.write_text(content.replace(host, f"http://127.0.0.1:{deaf.port}"))
        for seconds, result in ((0.3, receiver.refuses(status=3)), (0.2, receiver.receive(words=("--timeout", "0.2")))):
            waited = re.search(r"did not answer within (0\.\d{1,2}) s", result.err)
            assert waited, result.err
            assert float(waited[1]) <= seconds  # git's time is part of it


def test_each_model_of_a_monorepo_has_its_task(receiver: Receiver) -> None:
    """What the commit stands on is here, or in quarantine: a push that touches one model asks for that one."""
    monorepo(receiver.repo)
    receiver.accept()
    for model in MODELS:
        receiver.task(entry_point=f"{model}/train.py")
    receiver.repo.commit("docs", {"docs/readme.md": "2"})
    receiver.accepts()
    receiver.repo.commit("a model", {"tracker/net.py": "2"})
    refused = receiver.refuses()
    assert len(refused.calls) == 3
    assert "meets 2 of 3 requirements" in refused.out
    receiver.task(entry_point="tracker/train.py")
    receiver.accepts()
