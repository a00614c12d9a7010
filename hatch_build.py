"""Makes the manual and the completions when a wheel is built, of the parser as it is."""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path
from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface


class CustomBuildHook(BuildHookInterface):  # type: ignore[type-arg]
    """Man pages below share/man, completions where the shells look for them, and in the package for `completion`."""

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        sys.path.insert(0, self.root)
        from git_clearml.cli import build_parser
        from git_clearml.commands import completion_scripts, manual

        self._made = tempfile.TemporaryDirectory()
        made = Path(self._made.name)
        for name, text in manual.files(*build_parser()).items():
            (made / name).write_text(text, encoding="ascii")
            build_data["shared_data"][str(made / name)] = f"share/man/man1/{name}"
        for shell in completion_scripts.SHELLS:
            (made / shell).write_text(completion_scripts.make(shell, build_parser), encoding="utf-8")
            build_data["shared_data"][str(made / shell)] = (
                f"{completion_scripts.PLACES[shell]}/{completion_scripts.FILES[shell]}"
            )
            build_data["force_include"][str(made / shell)] = (
                f"git_clearml/completions/{completion_scripts.FILES[shell]}"
            )

    def finalize(self, version: str, build_data: dict[str, Any], artifact_path: str) -> None:
        self._made.cleanup()
