"""What a pass loads, by name: each module is paid for by every push."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

from tests.conftest import COVERAGE
from tests.support.clearml_server import ClearMLServer
from tests.support.program import ROOT, process_environment
from tests.support.pushing import NULL
from tests.support.repos import make_repo

BOTH = """
__init__
agent.__init__ agent.required_check
base.__init__ base.address base.connection base.console base.exchange base.files base.globs base.http base.ids
base.jsonvalue base.words base.sanitize base.secrets base.signals
clearml.__init__ clearml.client clearml.conf_file clearml.config clearml.connect clearml.diff clearml.entry_point
clearml.filters clearml.conf_file_plain clearml.properties clearml.query clearml.response clearml.conf_secrets
cli
commands.__init__ commands.options commands.parser
errors
git.__init__ git.cat_file git.changes git.diff_tree git.forge_url git.gitpython git.objects git.output git.peel
git.repository git.runner git.ssh_config git.url
model
report.__init__ report.compose report.model
run.__init__ run.ownership run.record
settings.__init__ settings.checks settings.code_paths settings.in_ci settings.load settings.policy settings.protection
settings.table
verdict.__init__ verdict.accepted_half verdict.checkout verdict.missing_commits verdict.entry_points
verdict.equivalence verdict.evidence verdict.hint verdict.inquiry verdict.judging verdict.metric_rules verdict.model
verdict.question verdict.requirements verdict.same_code verdict.near_miss verdict.passes verdict.resolve
verdict.results_commits verdict.rules verdict.run_rules verdict.search verdict.server verdict.server_tasks
verdict.session verdict.sources verdict.statuses verdict.time_windows
"""
VERIFY = """
base.colours commands.verification commands.verify commands.verify_output forge.__init__ forge.context render.__init__
render.text render.verify verdict.early_connection
"""
HOOK = """
commands.hook commands.hook_io git.remote git.remote_branch hook.__init__
hook.default_branch hook.gated_refs hook.judge hook.remembered_pushes hook.ref_updates hook.skip
verdict.cache
"""
# None of these is needed by http.client, GitPython's git.cmd or argparse; what they load is not ours to choose.
HEAVY = """
asyncio clearml concurrent configparser csv ctypes dataclasses decimal fractions github gitlab importlib.metadata
inspect multiprocessing pickle pyhocon pyparsing requests tabulate tempfile unittest urllib.request urllib3 uuid xml
""".split()
RUN = """
import json, sys
from git_clearml.cli import main
status = main(sys.argv[1:])
print(json.dumps([status, sorted(sys.modules)]))
"""


def loaded(tmp_path: Path, words: list[str], stdin: str = "") -> tuple[int, set[str], set[str]]:
    """The exit status; our modules, and those of others, that the command has loaded; the server is in clearml.conf."""
    with ClearMLServer() as server:
        repo = make_repo(tmp_path / "repo")
        repo.git("update-ref", "refs/remotes/origin/main", "HEAD")
        repo.git("symbolic-ref", "refs/remotes/origin/HEAD", "refs/remotes/origin/main")
        server.add_task(commit=repo.head)
        (tmp_path / "clearml.conf").write_text(
            f'api {{\n  api_server: {server.url}\n  credentials {{"access_key": "{server.access_key}", '
            f'"secret_key": "{server.secret_key}"}}\n}}\n'
        )
        done = subprocess.run(
            [sys.executable, "-c", RUN, *words],
            cwd=repo.path,
            env=process_environment(
                {
                    **dict.fromkeys(COVERAGE),
                    "HOME": str(tmp_path),
                    "CLEARML_CONFIG_FILE": str(tmp_path / "clearml.conf"),
                }
            ),
            input=stdin.replace("HEAD", repo.head),
            stdout=subprocess.PIPE,
            text=True,
            check=True,
        )
        assert server.calls() == ["tasks.get_all_ex"]
    status, names = json.loads(done.stdout.splitlines()[-1])
    ours = {name.partition(".")[2] for name in names if name.startswith("git_clearml")}
    packages = {path.parent.name for path in (ROOT / "git_clearml").glob("*/__init__.py")}
    ours = {f"{name}.__init__" if name in packages else name or "__init__" for name in ours}
    return status, ours, {name for name in names if not name.startswith("git_clearml")}


def test_what_verify_loads(tmp_path: Path) -> None:
    status, ours, others = loaded(tmp_path, ["verify"])
    assert status == 0
    assert ours == {*BOTH.split(), *VERIFY.split()}
    assert others & set(HEAVY) == set()


def test_what_the_hook_loads(tmp_path: Path) -> None:
    line = f"HEAD HEAD refs/heads/topic {NULL}\n"
    status, ours, others = loaded(
        tmp_path, ["hook", "pre-push", "origin", "https://example.com/team/project.git"], line
    )
    assert status == 0
    assert ours == {*BOTH.split(), *HOOK.split()}
    assert others & set(HEAVY) == {"tempfile"}  # a verdict is written down
