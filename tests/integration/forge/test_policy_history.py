"""What is said of the policy of a commit that may have been pushed together with the one that it judges."""

from __future__ import annotations

from pathlib import Path

from git_clearml.forge.policy_history import remarks
from git_clearml.git.repository import Repository
from tests.support.program import Gate
from tests.support.repos import Repo, make_repo


def said(repo: Repo, commit: str = "") -> str:
    return " ".join(remarks(Repository(str(repo.path)), commit or repo.head, "Bitbucket"))


def test_a_policy_that_has_changed_lately(tmp_path: Path) -> None:
    repo = make_repo(tmp_path / "repo", {"train.py": "x\n"})
    assert said(repo) == ""
    first = repo.policy('project = "Vision"')
    repo.commit("later", {"a.py": "a\n"})
    assert f"{first[:12]} has changed it" in said(repo)
    assert said(repo, f"{first}~1") == ""
    last = repo.commit(
        "no policy", {"pyproject.toml": '[project]\nname = "x"\n[tool.git-clearml]\nproject = "Vision"\n'}
    )
    assert f"{first[:12]} has changed it" in said(repo), "the same policy, in a file that says more"
    broken = repo.commit("broken", {"pyproject.toml": "[tool.git-clearml\n"})
    assert f"{broken[:12]} has changed it" in said(repo)
    assert f"{first[:12]} has changed it" in said(repo, last)


def test_a_policy_that_has_not(tmp_path: Path) -> None:
    repo = make_repo(tmp_path / "repo", {"train.py": "x\n"})
    commit = repo.policy('project = "Vision"')
    for number in range(30):
        commit = repo.git("commit-tree", f"{commit}^{{tree}}", "-p", commit, "-m", str(number))
    repo.git("update-ref", "refs/heads/main", commit)
    assert said(repo) == ""
    shallow = make_repo(tmp_path / "shallow", {}, remote=f"file://{repo.path}")
    shallow.git("fetch", "--quiet", "--depth=2", "origin", "main")
    assert "is not in this clone" in said(shallow, "FETCH_HEAD")
    assert "is not in this clone" in said(shallow, "1" * 40)


def test_a_reader_of_the_verdict_is_told(gate: Gate) -> None:
    gate.repo.policy('task-name = "train"')
    loosened = gate.repo.policy("published = 'accept'")
    gate.repo.commit("change", {"train.py": "print(2)\n"})
    gate.repo.default_branch(gate.repo.head)
    gate.task(name="other")
    job = {"BITBUCKET_BUILD_NUMBER": "3", "BITBUCKET_COMMIT": gate.repo.head, "BITBUCKET_BRANCH": "main"}
    result = gate.verify(env=job)
    assert (result.status, result.json["policy"]["from"]) == (0, loosened)
    assert [note for note in result.commit["notes"] if f"{loosened[:12]} has changed it" in note]
    assert gate.verify(gate.repo.head, env=job).commit["notes"] == []
