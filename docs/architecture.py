"""Draws the picture of docs/architecture.md from the imports: `python docs/architecture.py` writes it anew.

An arrow goes from the room that imports to the room that is imported. What a longer way says already is left out, so
that the picture shows the order and not every single import.
"""

from __future__ import annotations

import ast
import sys
from collections.abc import Iterable
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
PAGE = ROOT / "docs" / "architecture.md"
_BEGIN, _END = "```mermaid\n", "```\n"

Arrows = dict[str, set[str]]


def room_of(module: str) -> str:
    """`git_clearml.git.runner` -> `git`; what lies in the package root is a room of its own."""
    return module.split(".")[1] if "." in module else ""


def arrows(package: Path) -> Arrows:
    """Which room imports which, itself left out. Imports in functions and for the type checker count."""
    rooms = {path.stem for path in package.glob("*.py")} | {path.parent.name for path in package.glob("*/__init__.py")}
    found: Arrows = {room: set() for room in rooms - {"__init__", "__main__"}}
    for path in sorted(package.rglob("*.py")):
        importer = path.relative_to(package).parts[0].removesuffix(".py")
        for imported in _imported(ast.parse(path.read_text(encoding="utf-8"))):
            if importer in found and imported in found and imported != importer:
                found[importer].add(imported)
    return found


def _imported(tree: ast.AST) -> Iterable[str]:
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom) and node.module == "git_clearml":
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and (node.module or "").startswith("git_clearml."):
            yield room_of(node.module or "")
        elif isinstance(node, ast.Import):
            yield from (room_of(alias.name) for alias in node.names if alias.name.startswith("git_clearml."))


def reduced(graph: Arrows) -> Arrows:
    """The arrows that no longer way stands for. The graph must have no cycle."""

    def reach(room: str) -> set[str]:
        return graph[room].union(*(reach(other) for other in graph[room]))

    return {
        room: {other for other in others if not any(other in reach(way) for way in others - {other})}
        for room, others in graph.items()
    }


def picture(package: Path) -> str:
    """The Mermaid text."""
    graph = reduced(arrows(package))
    lines = [f"    {room} --> {other}" for room in sorted(graph) for other in sorted(graph[room])]
    return "\n".join(["flowchart TD", *lines, ""])


def drawn(page: str, text: str) -> str:
    """The page with this picture in place of the one that it has."""
    head, _, rest = page.partition(_BEGIN)
    return head + _BEGIN + text + _END + rest.partition(_END)[2]


if __name__ == "__main__":
    content = drawn(PAGE.read_text(encoding="utf-8"), picture(ROOT / "git_clearml"))
    if content == PAGE.read_text(encoding="utf-8"):
        print(f"{PAGE.name} is as the imports are")
    else:
        PAGE.write_text(content, encoding="utf-8")
        print(f"{PAGE.name} was drawn anew")
        sys.exit(1)
