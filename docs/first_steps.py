"""Runs what docs/first-steps.md shows, in an empty home; `python docs/first_steps.py` writes what comes of it there.

Blocks marked `console` are run, one command after the other; a `python` block is the file that its first line names.
What changes from run to run (directories, ids) is replaced; lines that ClearML prints for itself are left out.
"""

from __future__ import annotations

import os
import pty
import re
import subprocess
import sys
import tempfile
from pathlib import Path

PAGE = Path(__file__).with_name("first-steps.md")
_BLOCK = re.compile(r"```(console|python)\n(.*?)```", re.DOTALL)
_ID = "89715b8b49c04f0f9d3a3f6b7d1c2e5a"
_NOISE = re.compile(r"(?:ClearML (?!Task: created)|\d{4}-\d\d-\d\d |Retrying ).*")
_WHEN = "2026-01-02T03:04:05+00:00"
_SETTINGS = {"user.name": "A. Trainer", "user.email": "trainer@example.com", "init.defaultBranch": "main"}
_ANSWER = "write this? [y/N] "


def written(page: str, programs: Path) -> str:
    """The page with what its commands print today. `programs` is the directory of `git-clearml` and `python`."""
    with tempfile.TemporaryDirectory() as place:
        session = Session(Path(place).resolve(), programs)
        return _BLOCK.sub(lambda block: f"```{block[1]}\n{session.block(block[1], block[2])}```", page)


class Session:
    """Somebody's shell, in a home with nothing but what git has to know of its user."""

    def __init__(self, home: Path, programs: Path) -> None:
        self.home, self.place = home, home
        self.environment = {
            "HOME": str(home),
            "PATH": os.pathsep.join([str(programs), os.environ.get("PATH", os.defpath)]),
            "LC_ALL": "C.UTF-8",
            "NO_COLOR": "1",
            "TERM": "dumb",
            "GIT_CONFIG_NOSYSTEM": "1",
            "GIT_AUTHOR_DATE": _WHEN,
            "GIT_COMMITTER_DATE": _WHEN,
        }
        for name, value in _SETTINGS.items():
            subprocess.run(["git", "config", "--global", name, value], env=self.environment, check=True)

    def block(self, kind: str, text: str) -> str:
        """A block of the page as it has to be."""
        if kind == "python":
            name = text.partition("\n")[0].removeprefix("# ")
            (self.place / name).write_text(text, encoding="utf-8")
            return text
        commands = [line.removeprefix("$ ") for line in text.splitlines() if line.startswith("$ ")]
        shown = [f"$ {command}\n{self.run(command)}" for command in commands]
        return "".join(each + "\n" * (each.count("\n") > 1) for each in shown[:-1]) + shown[-1]

    def run(self, command: str) -> str:
        """What a command prints, on both streams."""
        if command.startswith("cd "):
            self.place = self.place / command.removeprefix("cd ")
            return ""
        text = self._answered(command) if command == "git clearml init" else self._piped(command)
        lines = [line.rstrip() for line in self._steady(text).splitlines() if not _NOISE.fullmatch(line)]
        return "".join(f"{line}\n" for line in lines)

    def _piped(self, command: str) -> str:
        done = subprocess.run(
            ["sh", "-c", command],
            cwd=self.place,
            env=self.environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            check=False,
        )
        return done.stdout.decode()

    def _answered(self, command: str) -> str:
        """The same at a terminal, where the question is answered with a yes."""
        ours, theirs = pty.openpty()
        with subprocess.Popen(
            command.split(), cwd=self.place, env=self.environment, stdin=theirs, stdout=theirs, stderr=theirs
        ):
            os.close(theirs)
            text = b""
            try:
                while part := os.read(ours, 4096):
                    text += part
                    if text.endswith(_ANSWER.encode()):
                        os.write(ours, b"y\n")
            except OSError:  # EIO: the other end is closed
                pass
            os.close(ours)
        return text.decode().replace("\r\n", "\n")

    def _steady(self, text: str) -> str:
        text = text.replace(str(self.home), "~")
        task = re.search(r"offline-([0-9a-f]{32})", text)
        return text.replace(task[1], _ID).replace(task[1][:8], _ID[:8]) if task else text


if __name__ == "__main__":
    before = PAGE.read_text(encoding="utf-8")
    after = written(before, Path(sys.executable).parent)
    PAGE.write_text(after, encoding="utf-8")
    print(f"{PAGE.name} is as it was" if after == before else f"{PAGE.name} was written anew")
