"""`git add --all && git commit` without its processes, for plain working trees; held to git by test_quick_commit.py.

Tests make thousands of commits, and two gits for each were a tenth of the suite's time. What is not plain is left to
git: ignored files, attributes, submodules, settings and hooks that have a say in it, any odd state of the index.
"""

from __future__ import annotations

import hashlib
import os
import re
import stat
import struct
import zlib
from datetime import datetime
from pathlib import Path
from typing import NamedTuple

_MOST = 40  # files
_SECTIONS = {"branch", "clearml", "core", "extensions", "gc", "maintenance", "push", "receive", "remote", "url"}
_KEYS = {"repositoryformatversion", "filemode", "bare", "logallrefupdates", "objectformat"}  # of core and extensions
_HOOKS = {"pre-commit", "prepare-commit-msg", "commit-msg", "post-commit", "post-index-change", "reference-transaction"}
_STATES = ("MERGE_HEAD", "CHERRY_PICK_HEAD", "REVERT_HEAD", "index.lock", "shallow", "packed-refs", "sequencer")
_ENVIRONMENT = re.compile(r"GIT_(DIR|INDEX_FILE|WORK_TREE|CONFIG_COUNT|OBJECT_DIRECTORY|COMMON_DIR|NAMESPACE)")
_DATE = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\+00:00")


class NotPlain(Exception):
    """It takes git."""


class _Entry(NamedTuple):
    path: bytes
    mode: int
    name: bytes
    status: os.stat_result


class _Store:
    """The loose objects of a repository."""

    def __init__(self, git_dir: Path, algorithm: str) -> None:
        self.place, self.algorithm = git_dir / "objects", algorithm

    def write(self, kind: bytes, content: bytes) -> bytes:
        """Writes an object; its name."""
        whole = kind + b" %d\0" % len(content) + content
        name = hashlib.new(self.algorithm, whole)
        path = self.place / name.hexdigest()[:2] / name.hexdigest()[2:]
        if not path.exists():
            path.parent.mkdir(exist_ok=True)
            with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT, 0o444), "wb") as file:
                file.write(zlib.compress(whole, 1))
        return name.digest()


def commit(top: Path, message: str) -> str:
    """Commits all of the working tree; the new commit's hash. Raises NotPlain where git might do something else."""
    git_dir = top / ".git"
    if not git_dir.is_dir() or message != message.strip() or not message or "\n" in message:
        raise NotPlain
    store = _Store(git_dir, _algorithm(git_dir))
    branch, parent = _head(git_dir)
    _look_at_index(git_dir)
    entries: list[_Entry] = []
    tree = _tree(store, top, b"", entries)
    who = [_identity(role) for role in ("AUTHOR", "COMMITTER")]
    lines = [f"tree {tree.hex()}", *([f"parent {parent}"] if parent else []), f"author {who[0]}", f"committer {who[1]}"]
    name = store.write(b"commit", "\n".join([*lines, "", message, ""]).encode()).hex()
    _write_index(git_dir, entries, store.algorithm)
    initial = "" if parent else " (initial)"
    logged = f"{parent or '0' * len(name)} {name} {who[1]}\tcommit{initial}: {message}\n"
    for ref in filter(None, ("HEAD", branch)):
        log = git_dir / "logs" / ref
        log.parent.mkdir(parents=True, exist_ok=True)
        with log.open("a", encoding="utf-8") as file:
            file.write(logged)
    place = git_dir / (branch or "HEAD")
    place.parent.mkdir(parents=True, exist_ok=True)
    place.write_text(f"{name}\n")
    return name


def _algorithm(git_dir: Path) -> str:
    """The one of its object names. Raises NotPlain for settings, hooks and states that have a say in a commit."""
    if any(_ENVIRONMENT.match(name) for name in os.environ) or os.path.exists(os.environ.get("GIT_CONFIG_GLOBAL", "/")):
        raise NotPlain
    if any((git_dir / name).exists() for name in (*_STATES, "info/attributes", "info/sparse-checkout", "info/grafts")):
        raise NotPlain
    exclude = git_dir / "info" / "exclude"
    if exclude.exists() and any(line and line[0] != "#" for line in exclude.read_text().splitlines()):
        raise NotPlain
    if (git_dir / "hooks").exists() and _HOOKS & set(os.listdir(git_dir / "hooks")):
        raise NotPlain
    section, algorithm = "", "sha1"
    for line in map(str.strip, (git_dir / "config").read_text(encoding="utf-8").splitlines()):
        if line.startswith("["):
            section = re.split(r'[\] ".]', line[1:], maxsplit=1)[0].lower()
            if section not in _SECTIONS:
                raise NotPlain
        elif section in ("core", "extensions"):
            key, _, value = (part.strip() for part in line.partition("="))
            if key.lower() not in _KEYS or (key.lower() == "bare" and value != "false"):
                raise NotPlain
            algorithm = value if key.lower() == "objectformat" else algorithm
    return algorithm


def _head(git_dir: Path) -> tuple[str, str]:
    """The ref ("" for a detached HEAD) and commit ("" for none) of HEAD."""
    head = (git_dir / "HEAD").read_text().strip()
    if not head.startswith("ref: "):
        return "", head
    place = git_dir / head[5:]
    commit = place.read_text().strip() if place.exists() else ""
    if commit.startswith("ref: ") or place.is_symlink() or place.is_dir():
        raise NotPlain
    return head[5:], commit


def _look_at_index(git_dir: Path) -> None:
    """Raises NotPlain for one that holds more than plain files."""
    index = git_dir / "index"
    content = index.read_bytes() if index.exists() else b"DIRC" + struct.pack(">II", 2, 0)
    _, version, count = struct.unpack(">4sII", content[:12])
    size = 32 if "sha256" in (git_dir / "config").read_text() else 20
    place = 12
    for _ in range(count if version == 2 else 0):
        mode = int.from_bytes(content[place + 24 : place + 28], "big")
        flags = int.from_bytes(content[place + 40 + size : place + 42 + size], "big")
        if flags & 0xF000 or mode == 0o160000:  # assumed unchanged, extended, a merge's stage; a submodule
            raise NotPlain
        end = content.index(b"\0", place + 42 + size)
        place += (end - place) // 8 * 8 + 8
    if version != 2:
        raise NotPlain


def _tree(store: _Store, directory: Path, prefix: bytes, entries: list[_Entry]) -> bytes:
    """Writes the tree of a directory, and what is in it; its name. `entries` are those of the index."""
    named = []
    for name in os.listdir(os.fsencode(directory)):
        path = Path(directory, os.fsdecode(name))
        if name == b".git":
            if prefix:
                raise NotPlain
            continue
        if name in (b".gitignore", b".gitattributes", b".gitmodules"):
            raise NotPlain
        status = path.lstat()
        if stat.S_ISDIR(status.st_mode):
            inner = _tree(store, path, prefix + name + b"/", entries)
            if inner:  # git knows no empty directories
                named.append((name + b"/", b"40000 " + name + b"\0" + inner))
            continue
        if stat.S_ISLNK(status.st_mode):
            mode, content = 0o120000, os.fsencode(os.readlink(path))
        elif stat.S_ISREG(status.st_mode):
            mode, content = (0o100755 if status.st_mode & 0o100 else 0o100644), path.read_bytes()
        else:
            raise NotPlain
        blob = store.write(b"blob", content)
        named.append((name, b"%o " % mode + name + b"\0" + blob))
        entries.append(_Entry(prefix + name, mode, blob, status))
        if len(entries) > _MOST:
            raise NotPlain
    return store.write(b"tree", b"".join(entry for _, entry in sorted(named))) if named or not prefix else b""


def _write_index(git_dir: Path, entries: list[_Entry], algorithm: str) -> None:
    """gitformat-index(5), version 2."""
    content = b"DIRC" + struct.pack(">II", 2, len(entries))
    for path, mode, name, status in sorted(entries):
        times = [*divmod(status.st_ctime_ns, 10**9), *divmod(status.st_mtime_ns, 10**9)]
        numbers = [*times, status.st_dev, status.st_ino, mode, status.st_uid, status.st_gid, status.st_size]
        packed = struct.pack(">10I", *(number & 0xFFFFFFFF for number in numbers)) + name
        packed += struct.pack(">H", min(len(path), 0xFFF)) + path
        content += packed + b"\0" * (8 - len(packed) % 8)
    new = git_dir / "index.new"
    new.write_bytes(content + hashlib.new(algorithm, content).digest())
    new.replace(git_dir / "index")


def _identity(role: str) -> str:
    name, mail, date = (os.environ.get(f"GIT_{role}_{what}", "") for what in ("NAME", "EMAIL", "DATE"))
    if not name or not mail or not _DATE.fullmatch(date):
        raise NotPlain
    return f"{name.rstrip('.')} <{mail}> {int(datetime.fromisoformat(date).timestamp())} +0000"
