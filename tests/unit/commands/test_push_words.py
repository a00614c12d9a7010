"""What `git clearml push` reads out of git push's own arguments."""

from __future__ import annotations

from git_clearml.commands.push import _is_dry_run


def test_which_pushes_are_dry_runs() -> None:
    for words in ("--dry-run", "-n", "--dry", "--dr", "-fn", "-nf", "origin main -n", "-vn origin"):
        assert _is_dry_run(words.split()), words
    for words in ("", "origin n", "-f", "--no-verify", "--d", "--delete", "-o n", "-on", "-fon", "--dry-runs", "new"):
        assert not _is_dry_run(words.split()), words
