"""Trailers as git finds them, and lines that look like some."""

from __future__ import annotations

from pathlib import Path

from git_clearml.git import commit as commits
from git_clearml.git.commit import Trailers
from git_clearml.git.repository import Repository
from tests.support.repos import make_repo

SQUASH = """A smaller model (#12)

* First try

* Accept it

ClearML-Accept: a/b: half the size

* Fix a test
"""
CASES = [
    ("x\n\nClearML-Accept: a/b: why\n", ["a/b: why"], []),
    ("x\n\nCLEARML-ACCEPT:a/b:why\nSigned-off-by: A <a@example.com>\n", ["a/b:why"], []),
    ("x\n\nclearml-accept : a/b : why\n", ["a/b : why"], []),
    ("x\r\n\r\nClearML-Accept: a/b: why\r\n", ["a/b: why"], []),
    ("x\n\nClearML-Accept: a/b: why\n  and more\nClearML-Accept: c/d: too", ["a/b: why and more", "c/d: too"], []),
    ("x\n\nClearML-Accept: ä/b: größer\n", ["ä/b: größer"], []),
    ("Merge branch 'x'\n\nClearML-Accept: a/b: why\n\n# Conflicts:\n#\ttrain.py\n", ["a/b: why"], []),
    ("x\n\nClearML-Accept: a/b: why\n(cherry picked from commit 1234)\n", ["a/b: why"], []),
    ("x\n\nClearML-Accept:\n", [], []),
    ("x\n\nClearML-Accepted: a/b: why\n", [], []),
    ("ClearML-Accept: a/b: why\n", [], ["a/b: why"]),  # a subject is none
    (SQUASH, [], ["a/b: half the size"]),
    ("x\n\nClearML-Accept: a/b: why\n\nCo-authored-by: B <b@example.com>\n", [], ["a/b: why"]),
    ("x\n\nSquashed commit of the following:\n\n    ClearML-Accept: a/b: why\n\nend\n", [], ["a/b: why"]),
    ("x\n\nClearML-Accept: c/d: 1\n\nClearML-Accept: a/b: 2\n", ["a/b: 2"], ["c/d: 1"]),
]


def test_what_is_a_trailer_and_what_looks_like_one(tmp_path: Path) -> None:
    repo = make_repo(tmp_path / "repo")
    who = "committer C <c@example.com> 1700000000 +0000"
    script = "".join(
        f"commit refs/heads/t{number}\n{who}\ndata {len(message.encode())}\n{message}\n"
        for number, (message, _, _) in enumerate(CASES)
    )
    repo.git("fast-import", "--quiet", stdin=script)
    repository = Repository(str(repo.path))
    for number, (message, values, elsewhere) in enumerate(CASES):
        commit = repo.git("rev-parse", f"t{number}")
        assert commits.trailers(repository, commit, "ClearML-Accept") == Trailers(values, elsewhere), message
