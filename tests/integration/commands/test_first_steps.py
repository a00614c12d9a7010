"""docs/first-steps.md: every command of the page, in an empty home, prints what stands below it."""

from __future__ import annotations

import re

from docs import first_steps
from tests.support.program import ROOT
from tests.support.pushing import BIN


def test_the_page_is_what_its_commands_print() -> None:
    page = first_steps.PAGE.read_text(encoding="utf-8")
    assert first_steps.written(page, BIN) == page, "python docs/first_steps.py"
    (install,) = re.findall(r"^pip install .*$", page, re.MULTILINE)
    assert install in (ROOT / "README.md").read_text(encoding="utf-8")
