"""The user properties that we write on tasks: their names, and their form."""

from __future__ import annotations

SECTION = "properties"
"""Where a task keeps them, among its hyperparameters."""

OURS = "git_clearml"
"""How the names of all of them begin."""

LAUNCH = "git_clearml_launch"
"""That under which a task carries the name of the `git clearml run --queue` that launched it."""

CHECK = "git_clearml_check"
"""That under which the task of a `check-runnable` carries its lease."""

CHECK_TAG = "git-clearml-check"
"""The tag of every task that `check-runnable` launches."""

PROPERTY = "git_clearml_run"
"""The user property under which a task on a server carries the record of its run."""

TREE = "git_clearml_tree"
"""The user property that names the tree which a run found clean: a server filters its value exactly [29]."""

IMPORT = "git_clearml_import"
"""That under which a task that `git clearml import` has sent names the offline session it was made of."""


def item(name: str, value: str, writer: str = "git clearml") -> dict[str, str]:
    """A property as an entry of a task's hyperparameters."""
    description = f"written by {writer}"
    return {"section": SECTION, "name": name, "type": "str", "value": value, "description": description}
