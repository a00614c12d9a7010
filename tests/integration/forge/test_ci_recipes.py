"""The recipes of docs/ci.md: their own steps, run in bash as the runner does, and what the tables say of the inputs."""

from __future__ import annotations

import json
import os
import re
import subprocess
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.integration.forge.test_actions import ACTIONS, action
from tests.integration.forge.test_comment import Bench
from tests.support import bitbucket_server, gitea_server, gitlab_job
from tests.support.actions import Job, pull_request, repository
from tests.support.apart import Apart
from tests.support.bitbucket_server import BitbucketServer
from tests.support.gitea_server import GiteaServer
from tests.support.github_server import BOT, TOKEN, GitHubServer
from tests.support.gitlab_server import GitLabServer
from tests.support.program import ROOT, Gate
from tests.support.robot import Robot
from tests.support.tools import require

DOCS = ROOT / "docs"
CI = (DOCS / "ci.md").read_text(encoding="utf-8")
RECIPES: list[dict[str, Any]] = [yaml.safe_load(text) for text in re.findall(r"```yaml\n(.*?)```", CI, re.DOTALL)]
PULL_REQUESTS, AS_ACTION, FIRST_STAGE, SECOND_STAGE, GITLAB, GITEA, BITBUCKET, AZURE, CIRCLE, STRYKERS = RECIPES
WORKFLOWS = (PULL_REQUESTS, AS_ACTION, FIRST_STAGE, SECOND_STAGE, STRYKERS)
OURSELVES = "OWNER/git-clearml@COMMIT"  # a placeholder, for we know neither
RIGHTS = {"contents": "read", "pull-requests": "write", "statuses": "write"}
POLICY = ("[tool.git-clearml.best]", 'metric = "loss/train"', 'direction = "min"')


@pytest.fixture
def bench(gate: Gate, tmp_path: Path, apart: Apart) -> Iterator[Bench]:
    """Pull request 7 of HEAD, whose repository is its own remote."""
    apart.stand_in(tmp_path / "bin" / "git-clearml")
    repo = gate.repo
    base = repo.policy(*POLICY)
    head = repo.commit("change", {"train_model.py": "print('better')\n"})
    bare = tmp_path / "remote.git"
    repo.git("clone", "--quiet", "--bare", str(repo.path), str(bare))
    repo.git("remote", "set-url", "origin", f"file://{bare}")
    with GitHubServer() as github:
        github.add_pull(7, head, base)
        yield Bench(gate, github, Job(tmp_path / "job", event=pull_request(7, head, base), api=github.url), base)


def steps(recipe: Mapping[str, Any]) -> list[dict[str, Any]]:
    """The steps of its only job."""
    (job,) = recipe["jobs"].values()
    found: list[dict[str, Any]] = job["steps"]
    return found


def follow(commands: list[str], bench: Bench, tmp_path: Path, cwd: Path | None = None) -> list[int]:
    """Runs the commands that call our program, in the gate's repository or where it is checked out; their statuses."""
    require("bash")
    given = {name: value for name, value in bench.job.env.items() if value is not None}
    path = f"{tmp_path / 'bin'}{os.pathsep}{os.environ['PATH']}"
    env = {**os.environ, **bench.gate.server.env, **given, "PATH": path, "PYTHONPATH": str(ROOT)}
    statuses, where = list[int](), cwd or bench.gate.repo.path
    for command in commands:
        if "git clearml" in command:
            words = ["bash", "--noprofile", "--norc", "-eo", "pipefail", "-c", command]
            done = subprocess.run(words, cwd=where, env=env, capture_output=True, text=True, check=False)
            assert TOKEN not in done.stdout + done.stderr
            assert done.returncode in (0, 1), done.stderr
            statuses.append(done.returncode)
    assert statuses
    return statuses


def runs(recipe: Mapping[str, Any]) -> list[str]:
    return [step["run"] for step in steps(recipe) if "run" in step]


def task(bench: Bench, **fields: Any) -> str:
    url = bench.gate.repo.git("remote", "get-url", "origin")
    return bench.gate.task(**{"metrics": {"loss": {"train": 0.1}}, "repository": url, **fields})


@pytest.mark.parametrize("recipe", WORKFLOWS)
def test_a_recipe_is_sound(recipe: dict[str, Any]) -> None:
    """Least rights, actions pinned as our own are, no expression in a shell text."""
    assert recipe["permissions"] == {}
    (job,) = recipe["jobs"].values()
    assert set(job.get("permissions", {}).items()) <= set(RIGHTS.items())
    ours = {step["uses"] for name in ACTIONS for step in action(name)["runs"]["steps"] if "uses" in step}
    for step in job["steps"]:
        assert "${{" not in step.get("run", "")
        assert step.get("uses") in {None, OURSELVES, *ours}


@pytest.mark.parametrize(("fields", "status", "word"), [({}, 0, "Verified"), ({"status": "failed"}, 1, "Rejected")])
def test_pull_requests(fields: dict[str, Any], status: int, word: str, bench: Bench, tmp_path: Path) -> None:
    mine = task(bench, **fields)
    assert follow(runs(PULL_REQUESTS), bench, tmp_path) == [status]
    assert f" {word}: " in bench.ours()
    assert bench.gate.server.tasks[mine]["tags"] == []


def pushed_to_main(bench: Bench, before: str, after: str) -> None:
    event = {"ref": "refs/heads/main", "before": before, "after": after, "repository": repository()}
    bench.job.name, bench.job.event = "push", event


def test_a_push_to_main_moves_the_best_tag(bench: Bench, tmp_path: Path) -> None:
    pushed_to_main(bench, bench.base, bench.head)
    mine = task(bench)
    (command,) = re.findall(r"make the command `(git clearml verify.*?)`", CI)
    assert follow([command], bench, tmp_path) == [0]
    assert bench.gate.server.tasks[mine]["tags"] == ["Best Performance"]


def pasted(bench: Bench) -> tuple[str, str]:
    """The policy that goes with the first recipe, as pasted, on main, and a verified pull request; their commits."""
    policy = re.findall(r"```toml\n(.*?)```", CI, re.DOTALL)[0]
    assert policy.startswith("[tool.git-clearml]\n")
    repo = bench.gate.repo
    base = repo.commit("policy", {"pyproject.toml": policy})
    repo.git("checkout", "--quiet", "-b", "topic")
    head = repo.commit("change", {"train.py": "print('better')\n"})
    repo.git("push", "--quiet", "--no-verify", "origin", f"{head}:refs/pull/7/head", f"{base}:refs/heads/main")
    bench.github.add_pull(7, head, base)
    bench.job.event = pull_request(7, head, base)
    task(bench)
    repo.git("checkout", "--quiet", "main")
    return base, head


def test_the_first_recipe_as_pasted(bench: Bench, tmp_path: Path) -> None:
    """No metric is named in the policy, and the branch is judged again when its training has ended."""
    _, head = pasted(bench)
    tasks = dict(bench.gate.server.tasks)
    bench.gate.server.tasks.clear()
    assert follow(runs(PULL_REQUESTS), bench, tmp_path) == [1]
    bench.gate.server.tasks.update(tasks)
    bench.job.name, bench.job.event = "workflow_dispatch", {"ref": "refs/heads/topic", "repository": repository()}
    bench.job.sha = head
    assert follow(runs(PULL_REQUESTS), bench, tmp_path) == [0]
    assert " Verified: " in bench.ours()  # the same comment
    events = PULL_REQUESTS[True]
    assert set(events) == {"pull_request", "push", "merge_group", "workflow_dispatch"}
    assert steps(PULL_REQUESTS)[0]["with"]["fetch-depth"] == 0
    assert PULL_REQUESTS["jobs"]["verify"]["timeout-minutes"] <= 15
    assert "concurrency" in PULL_REQUESTS


@pytest.mark.needs("git 2.38")
@pytest.mark.parametrize("moved", [False, True])
@pytest.mark.parametrize("button", ["merge", "squash", "rebase"])
def test_what_each_merge_button_makes_passes_the_first_recipe(
    button: str, moved: bool, bench: Bench, tmp_path: Path
) -> None:
    base, head = pasted(bench)
    repo = bench.gate.repo
    if moved:
        base = repo.commit("beside", {"README.md": "more\n"})
        repo.git("push", "--quiet", "--no-verify", "origin", "main")
        bench.gate.server.add_task(commit=base, repository=repo.git("remote", "get-url", "origin"))
    words = {
        "merge": ["merge", "--no-ff", head],
        "squash": ["merge", "--squash", head],
        "rebase": ["cherry-pick", head],
    }
    repo.git(*words[button])
    if button == "squash":
        repo.git("commit", "--quiet", "-m", "change (#7)")
    if button == "rebase":  # the button makes new commits, also where nothing has to be rebased
        repo.git("commit", "--quiet", "--amend", "--no-edit", "--date=2026-01-02T03:04:05Z")
    repo.git("push", "--quiet", "--no-verify", "origin", "main")
    bench.github.pulls[7] |= {"state": "closed", "merged_at": "2026-01-02T03:04:05Z", "commits": [repo.head]}
    pushed_to_main(bench, base, repo.head)
    assert repo.head not in {base, head}
    assert follow(runs(PULL_REQUESTS), bench, tmp_path) == [0]


def test_forks(bench: Bench, tmp_path: Path) -> None:
    bench.job.name = "workflow_run"
    bench.github.add_pull(7, bench.head, bench.base, fork="stranger/project")
    bench.github.unlinked.add(bench.head)
    bench.job.event = {
        "repository": repository(),
        "workflow_run": {
            "event": "pull_request",
            "head_sha": bench.head,
            "head_branch": "topic",
            "head_repository": repository("stranger/project"),
            "pull_requests": [],
        },
    }
    task(bench)
    assert follow(runs(SECOND_STAGE), bench, tmp_path) == [0]
    assert len(bench.github.by(BOT)) == 1
    assert [(status["context"], status["state"]) for status in bench.github.statuses] == [
        ("git-clearml/verify", "success")
    ]
    true = True  # what YAML makes of `on`
    assert SECOND_STAGE[true]["workflow_run"]["workflows"] == [FIRST_STAGE["name"]]


def component(**inputs: str) -> dict[str, Any]:
    """The job of templates/verify.yml, with its inputs or their defaults filled in."""
    text = (ROOT / "templates" / "verify.yml").read_text(encoding="utf-8")
    spec, _, body = text.partition("\n---\n")
    known = yaml.safe_load(spec)["spec"]["inputs"]
    assert set(inputs) <= set(known)
    for name, each in known.items():
        assert f"`{name}` (`{each['default']}`)" in CI, name
        body = body.replace(f"$[[ inputs.{name} ]]", inputs.get(name, each["default"]))
    assert "$[[" not in body
    job: dict[str, Any] = yaml.safe_load(body)["clearml"]
    return job


def test_the_component_is_the_recipe() -> None:
    assert component() == {"stage": "test", **GITLAB["clearml"]}
    assert component(image="x", arguments="")["image"] == "x"


@pytest.mark.parametrize(("fields", "status", "word"), [({}, 0, "Verified"), ({"status": "failed"}, 1, "Rejected")])
@pytest.mark.parametrize("merge", ["", "f" * 40])
def test_gitlab(fields: dict[str, Any], status: int, word: str, merge: str, bench: Bench, tmp_path: Path) -> None:
    """Every report that the job promises is there, and the note is on the merge request."""
    task(bench, **fields)
    job = component()
    with GitLabServer() as gitlab:
        gitlab.add_pull(3, bench.head, bench.base)
        kind = "merged_result" if merge else "detached"
        variables = gitlab_job.merge_request(gitlab, 3, bench.head, bench.base, kind=kind, merge=merge)
        bench.job.more = {"GITHUB_ACTIONS": "", **variables}
        assert follow(job["script"], bench, tmp_path) == [status]
        (note,) = gitlab.by(gitlab.user)
        assert f" {word}: " in note["body"]
    for name in job["artifacts"]["reports"].values():
        assert (bench.gate.repo.path / name).exists(), name


def test_gitea(bench: Bench, tmp_path: Path) -> None:
    task(bench)
    with GiteaServer() as gitea:
        gitea.add_pull(7, bench.head, bench.base)
        bench.job.more = {"GITEA_ACTIONS": "true", "GITHUB_API_URL": gitea.url, "GITHUB_TOKEN": gitea_server.TOKEN}
        assert follow(runs(GITEA), bench, tmp_path) == [0]
        assert " Verified: " in gitea.by(gitea_server.BOT)[0]["body"]


@pytest.mark.parametrize(("fields", "status", "word"), [({}, 0, "Verified"), ({"status": "failed"}, 1, "Rejected")])
def test_bitbucket(fields: dict[str, Any], status: int, word: str, bench: Bench, tmp_path: Path) -> None:
    """A Code Insights report without a token, and with one the comment; the same step on main."""
    task(bench, **fields)
    (wanted,) = BITBUCKET["pipelines"]["pull-requests"]["**"]
    assert [wanted] == BITBUCKET["pipelines"]["branches"]["main"]
    with BitbucketServer() as bitbucket:
        bitbucket.add_pull(7, bench.head, bench.base)
        bench.job.more = {
            "GITHUB_ACTIONS": "",
            "BITBUCKET_BUILD_NUMBER": "3",
            "BITBUCKET_REPO_FULL_NAME": bitbucket.repository,
            "BITBUCKET_COMMIT": bench.head,
            "BITBUCKET_BRANCH": "topic",
            "BITBUCKET_PR_ID": "7",
            "BITBUCKET_PR_DESTINATION_BRANCH": "main",
            "BITBUCKET_PR_DESTINATION_COMMIT": bench.base[:12],
            "BITBUCKET_API_URL": bitbucket.url,
            "BITBUCKET_TOKEN": bitbucket_server.TOKEN,
            "BITBUCKET_PROXY_URL": "",
        }
        assert follow(wanted["step"]["script"], bench, tmp_path) == [status]
        (comment,) = bitbucket.by(bitbucket_server.BOT)
        assert f" {word}: " in comment["body"]
        del bench.job.more["BITBUCKET_API_URL"]
        bench.job.more |= {"BITBUCKET_PROXY_URL": bitbucket.url.removesuffix("/2.0"), "BITBUCKET_TOKEN": ""}
        commands = [command.replace(" --comment", "") for command in wanted["step"]["script"]]
        assert follow(commands, bench, tmp_path) == [status]
        (report,) = bitbucket.reports.values()
        assert report["result"] == ("FAILED" if status else "PASSED")
    assert (bench.gate.repo.path / "test-reports" / "junit.xml").exists()


@pytest.mark.parametrize(("end", "statuses", "word"), [("complete", [0, 0], "Verified"), ("fail", [1, 1], "Rejected")])
def test_launch_monitor_and_comment(end: str, statuses: list[int], word: str, bench: Bench, tmp_path: Path) -> None:
    """The training is launched at the pull request's head, and what came of it is told, whatever that is."""
    Robot(bench.gate.server, "take", "report", end, queue="default")
    assert follow(runs(STRYKERS), bench, tmp_path) == statuses
    (made,) = bench.gate.server.tasks.values()
    assert (made["script"]["version_num"], made["script"]["entry_point"]) == (bench.head, "train_model.py")
    assert f" {word}: " in bench.ours()
    assert ("loss" in bench.ours()) is (end == "complete")
    assert "!cancelled()" in steps(STRYKERS)[-1]["if"]


# --- the tables --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ACTIONS)
def test_every_input_has_its_row(name: str) -> None:
    document = action(name)
    heading = "\n## GitHub" if name == "action.yml" else f"\n## Moving from clearml-actions-{Path(name).parent.name}\n"
    start = CI.index(heading)
    rows = "".join(line for line in CI[start : CI.index("\n## ", start + 4)].splitlines() if line.startswith("|"))
    assert [key for key in document["inputs"] if f"`{key}`" not in rows] == []
    for key, each in document["inputs"].items():
        default = str(each.get("default", ""))
        assert not default or default.startswith("${{") or f"`{default}`" in rows, key
    if name == "action.yml":
        assert [key for key in document["outputs"] if f"`{key}`" not in rows] == []


def test_the_ruleset_pins_the_check_to_its_source() -> None:
    (text,) = re.findall(r"```json\n(.*?)```", CI, re.DOTALL)
    rules = {rule["type"]: rule.get("parameters") for rule in json.loads(text)["rules"]}
    (check,) = rules["required_status_checks"]["required_status_checks"]
    assert check["context"] in PULL_REQUESTS["jobs"]
    assert isinstance(check["integration_id"], int)
