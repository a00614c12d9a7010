"""The address of a task's page: of the server that is asked, or of another one."""

from __future__ import annotations

import pytest

from git_clearml.clearml.page import task_in
from git_clearml.errors import UsageError

ID = "4f1c0ffee0ddba11ca55e77e00000001"
KEYS = {"CLEARML_API_ACCESS_KEY": "k", "CLEARML_API_SECRET_KEY": "s", "CLEARML_CONFIG_FILE": "/dev/null", "HOME": "/x"}
PAGES = (f"/projects/p/experiments/{ID}/output/log", f"/projects/p/tasks/{ID}/general?x=1#y")


@pytest.mark.parametrize("page", PAGES)
@pytest.mark.parametrize(
    ("api", "web", "files", "host", "ours"),
    [
        ("https://api.clear.ml", "", "", "https://app.clear.ml", True),
        ("api.clear.ml", "", "", "https://APP.clear.ml.", True),
        ("https://api.clear.ml", "", "", "https://app.clearml.example.com", False),
        ("https://api.clearml.example.com", "", "", "https://app.clearml.example.com", True),
        ("https://api.clearml.example.com", "", "", "https://clearml.example.com", True),
        ("https://api.clearml.example.com", "", "", "https://app.other.example.com", False),
        ("http://localhost:8008", "", "", "http://127.0.0.1:8080", True),
        ("http://10.0.0.1:8008", "", "", "http://10.0.0.1:8080", True),
        ("http://10.0.0.1:8008", "", "", "http://10.0.0.2:8080", False),
        ("https://ml.example.com/api", "", "", "https://ml.example.com/clearml", True),
        ("https://gateway.example.com", "https://ml.example.com", "", "https://ml.example.com", True),
        ("https://gateway.example.com", "https://ml.example.com", "", "https://gateway.example.com", True),
        ("https://gateway.example.com", "", "https://store.example.com", "https://store.example.com", True),
        ("https://gateway.example.com", "https://ml.example.com", "", "https://example.com", False),
        ("https://api.ml", "", "", "https://app.evil", False),
    ],
)
def test_whose_page_it_is(page: str, api: str, web: str, files: str, host: str, ours: bool) -> None:
    environment = {**KEYS, "CLEARML_API_HOST": api, "CLEARML_WEB_HOST": web, "CLEARML_FILES_HOST": files}
    if ours:
        assert task_in(host + page, environment) == ID
        return
    with pytest.raises(UsageError) as caught:
        task_in(host + page, environment)
    assert ID in caught.value.hint


@pytest.mark.parametrize("text", [ID, "HEAD", "", "https://app.clear.ml/projects", "offline-1"])
def test_what_is_no_page_is_left_as_it_is(text: str) -> None:
    assert task_in(text, KEYS) == text


@pytest.mark.parametrize("environment", [{**KEYS, "CLEARML_API_ACCESS_KEY": "", "CLEARML_API_SECRET_KEY": ""}, KEYS])
def test_without_a_server_there_is_none_to_compare_with(environment: dict[str, str]) -> None:
    assert task_in("https://app.clear.ml" + PAGES[0], environment) == ID
