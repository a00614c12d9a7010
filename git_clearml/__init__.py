"""git-clearml: no push without a ClearML task that ran exactly that code."""

__version__ = "0.2.0"
