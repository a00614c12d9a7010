"""README and docs: every link leads somewhere, every policy is one, every test that is named is there."""

from __future__ import annotations

import re

from git_clearml.settings import table as settings
from tests.support.program import ROOT

TOP = [ROOT / name for name in ("README.md", "CONTRIBUTING.md", "SECURITY.md", "CHANGELOG.md")]
PAGES = {str(page.relative_to(ROOT)): page.read_text("utf-8") for page in [*TOP, *(ROOT / "docs").rglob("*.md")]}
BLOCK = re.compile(r"^```(\w*)\n(.*?)^```", re.DOTALL | re.MULTILINE)


def anchors(text: str) -> set[str]:
    """Those of the headings, as GitHub and GitLab make them."""
    headings = re.findall(r"^#+ (.*)$", BLOCK.sub("", text), re.MULTILINE)
    plain = (re.sub(r"\[([^\]]*)\]\([^)]*\)", r"\1", heading).lower() for heading in headings)
    return {re.sub(r"[^\w\- ]", "", heading).replace(" ", "-") for heading in plain}


def test_every_link_leads_somewhere() -> None:
    known = {name: anchors(page) for name, page in PAGES.items()}
    for name, page in PAGES.items():
        for target in re.findall(r"\]\(([^)\s<]+)\)", BLOCK.sub("", page)):
            path, _, anchor = target.partition("#")
            if not target.startswith(("http://", "https://")):
                place = (ROOT / name).parent / path if path else ROOT / name
                assert place.exists(), (name, target)
                assert not anchor or anchor in known[str(place.resolve().relative_to(ROOT))], (name, target)


def test_every_policy_is_one() -> None:
    policies = [(name, text) for name, page in PAGES.items() for kind, text in BLOCK.findall(page) if kind == "toml"]
    assert len(policies) > 10
    for name, text in policies:
        if "tool.git-clearml" in text:  # not the alias for jj
            table = settings.pyproject_table(text.encode(), name)
            values, _ = settings.merge(flags={}, environment={}, git_config=(), pyproject=table)
            settings.policy_of(values)


def test_every_test_that_a_page_names_is_there() -> None:
    for name, page in PAGES.items():
        for path, test in re.findall(r"`(?:tests/)?((?:unit|integration|contract|e2e)/[\w/]+\.py)(?:::(\w+))?`", page):
            file = ROOT / "tests" / path
            assert file.exists(), (name, path)
            assert not test or f"def {test}(" in file.read_text("utf-8"), (name, path, test)
