"""What the end-to-end tests share: one agent for the tests of a module, one task after another."""

from __future__ import annotations

from collections.abc import Generator, Iterator

import pytest

from tests.e2e.workshop import Workshop, workshop


@pytest.fixture(autouse=True)
def _http(_seal: None, monkeypatch: pytest.MonkeyPatch) -> None:
    """Here git may speak HTTP too; to the loopback only, as nothing else has a URL."""
    monkeypatch.setenv("GIT_ALLOW_PROTOCOL", "file:http")


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Workshop]:
    """A light agent: it installs nothing."""
    with workshop(tmp_path_factory.mktemp("shop")) as made:
        yield made


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """A failure shows the end of what the agent said."""
    report = yield
    shop = getattr(item, "funcargs", {}).get("shop")
    if report.failed and isinstance(shop, Workshop):
        report.sections.append(("clearml-agent", "\n".join(shop.agent.output.splitlines()[-80:])))
    return report
