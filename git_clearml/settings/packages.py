"""Where a project's build configuration says that its packages are, and what its console scripts start. Pure.

Read from the files of a commit: pyproject.toml (PEP 621, and the tables of setuptools, hatch, poetry, pdm, uv, flit and
maturin), setup.cfg (setuptools), and of setup.py the literals alone: it is a program. What cannot be read says nothing.
"""

from __future__ import annotations

import functools
import operator
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from git_clearml.settings.table import toml_document

FILES = ("pyproject.toml", "setup.cfg", "setup.py")

_MOST_BYTES = 1_000_000
_OBJECT = re.compile(r"\s*([\w.]+)\s*(?::[\w.\s]*)?(?:\[.*\])?\s*")  # module:attribute [extras], entry points' own form
# console_scripts of setup.py, and its package_dir: the literals that all such files have in common
_SCRIPT = re.compile(r"""["']\s*([\w.-]+)\s*=\s*([\w.]+)\s*:\s*[\w.]+\s*(?:\[[^\]]*\]\s*)?["']""")
_MOVED = re.compile(r"""package_dir\s*=\s*(?:\{|dict\()([^})]*)""")
_PAIR = re.compile(r"""["']([\w.]*)["']\s*:\s*["']([^"']*)["']""")


@dataclass(frozen=True)
class Packages:
    """Folders seen from the file's own: `roots` hold packages, `folders` are those of single packages by their names.
    `scripts` are console scripts with the modules that they start, `files` scripts that are installed as they are."""

    roots: tuple[str, ...] = ()
    folders: Mapping[str, str] = field(default_factory=dict)
    scripts: Mapping[str, str] = field(default_factory=dict)
    files: Mapping[str, str] = field(default_factory=dict)

    def __or__(self, other: Packages) -> Packages:
        """What either says; where both name something, this one."""
        return Packages(
            tuple(dict.fromkeys((*self.roots, *other.roots))),
            {**other.folders, **self.folders},
            {**other.scripts, **self.scripts},
            {**other.files, **self.files},
        )

    def places(self, module: str) -> Iterator[str]:
        """The files that a module may be, seen from the build configuration's folder: likely ones first."""
        path = module.replace(".", "/")
        bases = [f"{root}/{path}" for root in self.roots]
        parts = module.split(".")
        for length in range(len(parts), 0, -1):
            if folder := self.folders.get(".".join(parts[:length])):
                bases.append("/".join([folder, *parts[length:]]))
        for base in dict.fromkeys(bases):
            yield f"{base}.py"
            yield f"{base}/__main__.py"


def read(name: str, content: bytes) -> Packages:
    """What one of the FILES says. Nothing where it is larger than a megabyte, or cannot be read."""
    if len(content) > _MOST_BYTES:
        return Packages()
    try:
        if name == "pyproject.toml":
            return _of_pyproject(toml_document(content))
        text = content.decode("utf-8")
        return _of_setup_cfg(text) if name == "setup.cfg" else _of_setup_py(text)
    except (ValueError, RecursionError):
        return Packages()


def _of_pyproject(document: Mapping[str, Any]) -> Packages:
    project, tool = _table(document, "project"), _table(document, "tool")
    scripts = {**_modules(_table(project, "gui-scripts")), **_modules(_table(project, "scripts"))}
    parts = [Packages(scripts=scripts), _of_setuptools(_table(tool, "setuptools")), _of_hatch(_table(tool, "hatch"))]
    parts += [_of_poetry(_table(tool, "poetry"))]
    roots = [
        _text(_table(_table(tool, "pdm"), "build").get("package-dir")),
        _text(_table(_table(tool, "uv"), "build-backend").get("module-root")),
        _text(_table(tool, "maturin").get("python-source")),
    ]
    return functools.reduce(operator.or_, [*parts, Packages(tuple(root for root in roots if root))])


def _of_setuptools(table: Mapping[str, Any]) -> Packages:
    folders = {package: folder for package, folder in _texts_of(_table(table, "package-dir")).items() if folder}
    packages = table.get("packages")
    find = _table(packages, "find") if isinstance(packages, Mapping) else {}
    roots = [folders.pop("", ""), *_list(find.get("where"))]
    return Packages(tuple(root for root in roots if root), folders, files=_files(_list(table.get("script-files"))))


def _of_hatch(table: Mapping[str, Any]) -> Packages:
    """`packages` are folders whose last part is the package; `sources` are taken off, or renamed (hatch's build.md)."""
    build = _table(table, "build")
    roots: list[str] = []
    folders: dict[str, str] = {}
    for target in (_table(_table(build, "targets"), "wheel"), build):
        for path in [*_list(target.get("packages")), *_list(target.get("only-include"))]:
            roots.append(path.rstrip("/").rpartition("/")[0] or ".")
        sources = target.get("sources")
        roots += _list(sources)
        for path, name in _texts_of(sources).items() if isinstance(sources, Mapping) else ():
            if name:
                folders[name.strip("/").replace("/", ".")] = path
            else:
                roots.append(path)
    return Packages(tuple(roots), folders)


def _of_poetry(table: Mapping[str, Any]) -> Packages:
    """`packages = [{include = "pkg", from = "lib", to = "over"}]`; a script is a text or a table with `reference`."""
    packages = table.get("packages")
    entries = [entry for entry in packages if isinstance(entry, Mapping)] if isinstance(packages, list) else []
    roots = [_text(entry.get("from")) for entry in entries]
    scripts: dict[str, str] = {}
    files: dict[str, str] = {}
    for name, value in _table(table, "scripts").items():
        text = value if isinstance(value, str) else ""
        if isinstance(value, Mapping):
            text = _text(value.get("reference")) or _text(value.get("callable"))
        if isinstance(value, Mapping) and value.get("type") == "file":
            files[name] = text
        else:
            scripts |= _modules({name: text})
    return Packages(tuple(root for root in roots if root), scripts=scripts, files=files)


def _of_setup_cfg(text: str) -> Packages:
    import configparser

    parser = configparser.RawConfigParser(strict=False)
    try:
        parser.read_string(text)
    except configparser.Error:
        return Packages()

    def lines(section: str, key: str) -> list[str]:
        value = parser.get(section, key, fallback="") or ""
        return [line.strip() for line in value.split("\n") if line.strip()]

    folders = _assigned([part for line in lines("options", "package_dir") for part in line.split(",")])
    roots = [folders.pop("", ""), *lines("options.packages.find", "where")]
    scripts: dict[str, str] = {}
    for section in ("entry_points", "options.entry_points"):
        for key in ("gui_scripts", "console_scripts"):
            scripts |= _modules(_assigned(lines(section, key)))
    files = _files([path for line in lines("options", "scripts") for path in line.split(",")])
    return Packages(tuple(root for root in roots if root), folders, scripts, files)


def _of_setup_py(text: str) -> Packages:
    folders: dict[str, str] = {}
    for match in _MOVED.finditer(text):
        folders |= dict(_PAIR.findall(match[1]))
    root = folders.pop("", "")
    return Packages((root,) if root else (), folders, dict(_SCRIPT.findall(text)))


def _assigned(lines: list[str]) -> dict[str, str]:
    pairs = (line.partition("=") for line in lines)
    return {name.strip(): value.strip() for name, equals, value in pairs if equals}


def _modules(scripts: Mapping[str, Any]) -> dict[str, str]:
    """Script -> the module of `module:attribute`."""
    matches = {name: _OBJECT.fullmatch(value) for name, value in scripts.items() if isinstance(value, str)}
    return {name: match[1] for name, match in matches.items() if match}


def _files(paths: list[str]) -> dict[str, str]:
    return {path.strip().rpartition("/")[2]: path.strip() for path in paths if path.strip()}


def _table(table: Any, key: str) -> Mapping[str, Any]:
    value = table.get(key) if isinstance(table, Mapping) else None
    return value if isinstance(value, Mapping) else {}


def _texts_of(table: Any) -> dict[str, str]:
    return {key: value for key, value in table.items() if isinstance(value, str)} if isinstance(table, Mapping) else {}


def _list(value: Any) -> list[str]:
    values = value if isinstance(value, list) else []
    return [each for each in values if isinstance(each, str) and each]


def _text(value: Any) -> str:
    return value if isinstance(value, str) else ""
