"""The Containerfile, held to what it is built from and to what its jobs need: no container is built here."""

from __future__ import annotations

import importlib
import re
import sys

from tests.support.program import ROOT

TEXT = (ROOT / "Containerfile").read_text(encoding="utf-8")
toml = importlib.import_module("tomllib" if sys.version_info >= (3, 11) else "tomli")
PROJECT = toml.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))


def instructions() -> list[tuple[str, str]]:
    """Pairs of instruction and its words, in order."""
    lines = [line for line in TEXT.splitlines() if not line.startswith("#")]
    whole = "\n".join(lines).replace("\\\n", " ")
    return [
        (word, " ".join(rest.split())) for word, _, rest in (line.partition(" ") for line in whole.split("\n") if line)
    ]


def copied() -> list[str]:
    """What goes in from this repository."""
    words = [rest.split() for word, rest in instructions() if word == "COPY" and not rest.startswith("--from=")]
    return [name for names in words for name in names[:-1]]


def test_all_that_the_package_is_built_from_is_copied_and_nothing_else() -> None:
    wheel = PROJECT["tool"]["hatch"]["build"]["targets"]["wheel"]
    needed = {PROJECT["project"]["readme"], *PROJECT["project"]["license-files"], "pyproject.toml", *wheel["packages"]}
    needed |= {path if path.startswith("docs/") else path.partition("/")[0] for path in wheel["force-include"]}
    needed |= {"hatch_build.py"} if "custom" in wheel["hooks"] else set()
    assert set(copied()) == needed
    assert all((ROOT / name).exists() for name in copied())
    ignore = (ROOT / ".containerignore").read_text(encoding="utf-8").split()
    assert {line[1:] for line in ignore if line.startswith("!")} == needed
    assert ignore[0] == "*"


def test_its_python_is_a_supported_one_with_the_extras_that_there_are() -> None:
    images = {rest.split()[0] for word, rest in instructions() if word == "FROM"}
    (image,) = images
    minor = re.fullmatch(r"python:3\.(\d+)-slim", image)
    assert minor
    assert int(minor[1]) >= int(PROJECT["project"]["requires-python"].rpartition(".")[2])
    (extras,) = re.findall(r'install --no-cache-dir "\.\[([\w,]+)\]"', TEXT)
    assert set(extras.split(",")) <= PROJECT["project"]["optional-dependencies"].keys() - {"dev"}


def test_nobody_in_it_is_root_and_a_job_has_its_own_shell() -> None:
    words = [word for word, _ in instructions()]
    last = [rest for word, rest in instructions() if word == "USER"][-1]
    assert last == "1000:1000"  # a number: where a container must not be root that is looked at before it starts
    assert "RUN" not in words[words.index("USER") :]
    assert not {"ENTRYPOINT", "CMD", "ADD"} & {*words}
    assert "curl" not in TEXT
    packages = re.findall(r"--no-install-recommends ([\w. -]+?) +&&", " ".join(TEXT.replace("\\\n", " ").split("\n")))
    assert {*packages[0].split()} == {"ca-certificates", "git", "openssh-client"}


def test_the_program_is_where_jobs_look_for_it() -> None:
    (script,) = PROJECT["project"]["scripts"]
    assert f"ln -s /opt/git-clearml/bin/{script} /usr/local/bin/{script}" in TEXT
    assert "COPY --from=build /opt/git-clearml /opt/git-clearml" in TEXT  # a virtual environment does not move
    assert "python -m venv /opt/git-clearml" in TEXT
