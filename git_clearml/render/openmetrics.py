"""A task's metrics in the OpenMetrics text format: one gauge, a sample for each metric. Pure.

https://prometheus.io/docs/specs/om/open_metrics_spec/ - GitLab compares the samples with the target branch's by their
name and labels: https://docs.gitlab.com/ci/testing/metrics_reports/
"""

from __future__ import annotations

import math
from collections.abc import Sequence

from git_clearml.base.sanitize import Safe, sanitize
from git_clearml.report.measures import Row

NAME = "clearml_metric"
_MOST_LABEL = 500  # characters


def text(rows: Sequence[Row]) -> Safe:
    """The last value of each metric; the file ends with `# EOF`, which says that it is whole."""
    samples = {f'title="{_label(row.metric)}",series="{_label(row.variant)}"': row.last for row in reversed(rows)}
    lines = [f"{NAME}{{{labels}}} {_number(value)}" for labels, value in reversed(samples.items())]
    about = [f"# TYPE {NAME} gauge", f"# HELP {NAME} Last value of a metric of the ClearML task."] if lines else []
    return Safe("".join(line + "\n" for line in [*about, *lines, "# EOF"]))


def _label(value: str) -> str:
    """Two names that look alike after this are one sample: of two with the same labels none would be read."""
    return sanitize(value, _MOST_LABEL).replace("\\", "\\\\").replace('"', '\\"')


def _number(value: float) -> str:
    if math.isnan(value):
        return "NaN"
    return repr(float(value)) if math.isfinite(value) else ("+Inf" if value > 0 else "-Inf")
