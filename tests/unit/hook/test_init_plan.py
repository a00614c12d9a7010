"""What `init` plans from what it found: true values, guesses that say so, and what is not understood is left alone."""

from __future__ import annotations

import re
from dataclasses import replace
from typing import Any

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from git_clearml.clearml.recent import Recent, RecentTask
from git_clearml.forge.connect import provider_of_host
from git_clearml.forge.job import Provider
from git_clearml.hook import ci_file, init_plan, init_policy
from git_clearml.hook.ci_file import Job
from git_clearml.hook.init_situation import Content, Situation
from git_clearml.hook.installed_package import Package
from git_clearml.settings import table as settings
from git_clearml.settings.policy import Policy
from tests.support.program import ROOT

POLICY = "pyproject.toml"
PACKAGE = Package("https://example.com/x.git", "c" * 40)
NOTHING = Situation(
    top="/x", remote="", provider=None, branch="main", branch_from="", server="", problem="", recent=Recent(),
    entry_points=frozenset(), contents={}, folders=frozenset(), job="", package=PACKAGE,
)  # fmt: skip


def recent(*tasks: dict[str, Any], measured: bool = True) -> Recent:
    made = [
        RecentTask(**{"id": str(n), "project": "Vision/Detector", "name": "train", **task})
        for n, task in enumerate(tasks)
    ]
    return Recent(tuple(made), 7, frozenset(task.id for task in made) if measured else frozenset())


def proposed(found: Recent, *files: str, merges: bool = False, branch: str = "main") -> tuple[str, Policy]:
    text = init_policy.propose(found, files, branch, merges=merges)
    values, _ = settings.merge(
        flags={}, environment={}, git_config=(), pyproject=settings.pyproject_table(text.encode(), "x")
    )
    assert max(map(len, text.splitlines())) < 110
    return text, settings.policy_of(values)


def planned(name: str, **found: Any) -> init_plan.Planned:
    return next(each for each in init_plan.plan(replace(NOTHING, **found)) if each.change.path == name)


# The policy


@pytest.mark.parametrize(
    ("projects", "project"),
    [
        (["Vision/Detector"], "Vision/Detector"),
        (["Vision/Detector/a", "Vision/Detector/b"], "Vision/Detector"),
        (["Vision/Detector", "Vision/Detector/b"], "Vision/Detector"),
        (["Vision/Detector", "Vision/Detectors"], "Vision"),
        (["Vision", "Text"], ""),
        (["Vision", ""], ""),
        (["ab"], ""),
        ([], ""),
    ],
)
def test_the_project_that_has_all_tasks(projects: list[str], project: str) -> None:
    text, policy = proposed(recent(*({"project": name} for name in projects)))
    assert policy == Policy(project=project)
    assert ("No project has all 2 tasks" in text) is (len(projects) == 2 and not project)


@pytest.mark.parametrize(
    ("metrics", "metric", "direction"),
    [
        ([["validation/accuracy", "train/accuracy", "validation/loss"]], "validation/accuracy", "max"),
        ([["train/loss", "epoch/lr"]], "train/loss", "min"),
        ([["a/acc"], ["a/loss"]], "", "max"),
        ([["x/acc", "test/f1"], ["x/acc"]], "x/acc", "max"),
        ([["lr/lr", "time/seconds"]], "", "max"),
        ([["loss/accuracy"]], "", "max"),
        ([[]], "", "max"),
    ],
)
def test_the_metric_that_all_report(metrics: list[list[str]], metric: str, direction: str) -> None:
    text, policy = proposed(recent(*({"metrics": frozenset(names)} for names in metrics)))
    assert (policy.best.metric, policy.best.direction) == (metric, direction)
    assert ("guess" in text) is bool(metric)
    assert proposed(recent({"metrics": frozenset({"a/acc"})}, measured=False))[1].best.metric == ""


def test_how_it_is_started() -> None:
    ran = {"entry_point": "train.py", "working_dir": "src", "queue": "gpu"}
    _, policy = proposed(recent(ran, ran), "src/train.py")
    assert (policy.runnable.entry_point, policy.runnable.folder, policy.runnable.queue) == ("train.py", "src", "gpu")
    for tasks, file in (([ran], "train.py"), ([ran, {**ran, "entry_point": "b.py"}], "src/train.py"),
                        ([{**ran, "entry_point": "-m x"}], "src/x.py")):  # fmt: skip
        assert proposed(recent(*tasks), file)[1].runnable.entry_point == "main.py"


def test_merges_count_where_a_job_asks_again() -> None:
    assert proposed(Recent(), merges=True)[1].merges == "clean"
    assert proposed(Recent())[1] == Policy()
    for found in ({"provider": Provider.GITHUB}, {"job": "Jenkinsfile"}):
        assert b"merges" in (planned(POLICY, **found).after or b"")


NAMES = st.text(max_size=20)


@given(
    st.lists(
        st.builds(
            dict, project=NAMES, name=NAMES, entry_point=NAMES, queue=NAMES, metrics=st.frozensets(NAMES, max_size=2)
        ),
        max_size=3,
    ),
    NAMES,
)
def test_whatever_a_server_says_the_policy_is_valid(tasks: list[dict[str, Any]], branch: str) -> None:
    found = recent(*tasks)
    text = init_policy.propose(found, {task.entry_point for task in found.tasks}, branch, merges=False)
    table = settings.toml_document(text.encode())["tool"]["git-clearml"]
    settings.merge(flags={}, environment={}, git_config=(), pyproject=table)
    assert table.keys() <= {"project", "best", "runnable"}


# pyproject.toml


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"# only a comment",
        b'[project]\nname = "x"\n',
        b'[project]\r\nname = "x"\r\n[tool.black]\r\nline-length = 1\r\n',
        b"[tool]\nx = 1\n[b]\n[tool.a] # out of order\n",
        b"tool.black.x = 1\n",
        b'x = """\nno newline at the end"""',
        "n = 'größe'\n".encode(),
    ],
)
def test_every_byte_is_kept(content: bytes) -> None:
    done = planned(POLICY, contents={POLICY: content})
    assert done.after is not None
    assert done.after.startswith(content)
    assert settings.pyproject_table(done.after, "x") == {}
    assert (b"\r\n" in content) == (b"\r\n" in done.after)
    assert done.after.count(b"\r") in (0, done.after.count(b"\n"))
    again = planned(POLICY, contents={POLICY: done.after})
    assert (again.change.action, again.change.by_hand, again.after) == ("unchanged", "", None)


@pytest.mark.parametrize(
    ("content", "why"),
    [
        (b"a = ", "TOML"),
        (b"tool = {x = 1}\n", "cannot"),
        (b"[[tool]]\nx = 1\n", "cannot"),
        (b"tool = 1\n", "cannot"),
        (b"\xef\xbb\xbfa = 1\n", "byte order mark"),
        (b"a = '\xff'\n", "UTF-8"),
        (b"[tool.git-clearml]\nprotekt = 1\n", "protekt"),
        (b"[tool]\ngit-clearml = 1\n", "not a table"),
        ("it is a symbolic link", "symbolic link"),
    ],
)
def test_what_is_left_alone(content: Content, why: str) -> None:
    done = planned(POLICY, contents={POLICY: content})
    assert (done.change.action, done.after) == ("unchanged", None)
    assert why in done.change.by_hand


# The CI job


def test_the_recipes_are_those_of_the_docs() -> None:
    """But for the best tag, which wants a metric in the policy, and where pip gets us from."""
    blocks = re.findall(r"```yaml\n(.*?)```", (ROOT / "docs" / "ci.md").read_text(encoding="utf-8"), re.DOTALL)

    def bare(text: str) -> str:
        return re.sub(r"pip install .*", "pip install", text).replace(" --tag-best", "")

    for provider in (Provider.GITHUB, Provider.GITLAB, Provider.GITEA, Provider.BITBUCKET):
        assert bare(ci_file.recipe(provider, Job("", False, PACKAGE))) in [bare(block) for block in blocks], provider


@pytest.mark.parametrize("branch", ["main", "trunk", "a/b", "on", "1.0", "a:b#c"])
@pytest.mark.parametrize("provider", [Provider.GITHUB, Provider.GITLAB, Provider.GITEA, Provider.BITBUCKET])
def test_the_recipe_fits_the_repository(provider: Provider, branch: str) -> None:
    text = ci_file.recipe(provider, Job(branch, True, PACKAGE))
    document = yaml.safe_load(text)
    assert PACKAGE.requirement("gitlab" if provider is Provider.GITLAB else "") in text
    assert "PACKAGE" not in text
    assert "--comment --tag-best" in text
    if provider is Provider.BITBUCKET:
        assert list(document["pipelines"]["branches"]) == [branch]
    elif provider is not Provider.GITLAB:
        assert document[True]["push"]["branches"] == [branch]


@pytest.mark.parametrize(
    ("provider", "folders", "contents", "written"),
    [
        (Provider.GITHUB, [], {}, [".github/workflows/clearml.yml"]),
        (Provider.GITHUB, [], {".github/workflows/clearml.yml": b"x"}, [".github/workflows/git-clearml.yml"]),
        (Provider.GITEA, [], {}, [".gitea/workflows/clearml.yml"]),
        (Provider.GITEA, [".forgejo/workflows"], {}, [".forgejo/workflows/clearml.yml"]),
        (Provider.GITEA, [".github/workflows"], {}, [".github/workflows/clearml.yml"]),
        (Provider.BITBUCKET, [], {}, ["bitbucket-pipelines.yml"]),
        (Provider.BITBUCKET, [], {"bitbucket-pipelines.yml": b"image: x\n"}, []),
        (Provider.GITLAB, [], {}, [".gitlab-ci.yml"]),
        (Provider.GITLAB, [], {".gitlab-ci.yml": b"a: {script: x}\n"}, [".gitlab/clearml.yml", ".gitlab-ci.yml"]),
        (Provider.GITLAB, [], {".gitlab-ci.yml": b"include:\n- local: x\n"}, [".gitlab/clearml.yml", ".gitlab-ci.yml"]),
        (Provider.GITLAB, [], {".gitlab-ci.yml": b"include: x.yml\n"}, []),
        (Provider.GITLAB, [], {".gitlab-ci.yml": b"stages: *x\n"}, []),
        (Provider.GITLAB, [], {".gitlab-ci.yml": b"a: 1\n", ".gitlab/clearml.yml": b"b: 1\n"}, []),
        (Provider.GITLAB, [], {".gitlab-ci.yml": b"include: /.gitlab/clearml.yml\n"}, []),
        (None, [], {}, []),
    ],
)  # fmt: skip
def test_where_the_job_goes(
    provider: Provider | None, folders: list[str], contents: dict[str, Content], written: list[str]
) -> None:
    situation = replace(NOTHING, provider=provider, folders=frozenset(folders), contents=contents)
    plans = [each for each in init_plan.plan(situation) if each.change.path != POLICY]
    assert [each.change.path for each in plans if each.after is not None] == written
    for each in plans:
        if each.before:
            assert each.after is None or each.before in each.after


def test_the_best_tag_wants_a_metric_in_the_policy() -> None:
    """In that which is there in the end, and not in that which was proposed."""
    found = {"provider": Provider.GITHUB, "recent": recent({"metrics": frozenset({"a/acc"})})}
    name = ".github/workflows/clearml.yml"
    for content, tags in ((None, True), (b"a = ", False), (b"[tool.git-clearml]\n", False),
                          (b'[tool.git-clearml.best]\nmetric = "x/y"\n', True)):  # fmt: skip
        assert (b"--tag-best" in (planned(name, contents={POLICY: content}, **found).after or b"")) is tags


def test_a_stage_that_the_pipeline_has() -> None:
    text = "stages: [build, deploy]\n"
    _, job = ci_file.gitlab_with(text, ci_file.recipe(Provider.GITLAB, Job("main", False, PACKAGE)))
    assert yaml.safe_load(job)["clearml"]["stage"] == "build"


@pytest.mark.parametrize(
    ("host", "provider"),
    [
        ("github.com", Provider.GITHUB), ("github.example.com", Provider.GITHUB), ("gitlab.com", Provider.GITLAB),
        ("gitlab-ee.example.com", Provider.GITLAB), ("codeberg.org", Provider.GITEA), ("forgejo.x.dev", Provider.GITEA),
        ("bitbucket.org", Provider.BITBUCKET), ("bitbucket.example.com", None), ("example.com", None), ("", None),
        ("notgithub.com", None),
    ],
)  # fmt: skip
def test_the_forge_by_its_host(host: str, provider: Provider | None) -> None:
    assert provider_of_host(host) is provider
