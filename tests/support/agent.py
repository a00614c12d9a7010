"""A real clearml-agent at work for the loopback server, as tests/contract/recordings describe it."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import time
from pathlib import Path
from types import TracebackType

from tests.support.clearml_server import ClearMLServer
from tests.support.environments import AGENT, environment

_WAIT = 60.0  # seconds until an agent has to have asked for a task


class Agent:
    """An agent on one queue, for a `with` block. One task runs after another; what the agent says is kept in `output`.

    `installs`: it makes an environment for each task and installs the task's requirements, from a package index.
    Without that, tasks run in the agent's own environment, which takes seconds instead of half a minute.
    """

    def __init__(self, place: Path, server: ClearMLServer, queue: str = "default", *, installs: bool = False) -> None:
        self.place = place
        self.queue = queue
        self._installs = installs
        self._server = server
        self._log = place / "agent.log"
        self._process: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> Agent:
        venv = environment(AGENT)
        self.place.mkdir(parents=True)
        self._server.add_queue(self.queue)
        asked = self._server.calls().count("queues.get_next_task")
        with self._log.open("wb") as log:
            self._process = subprocess.Popen(
                [str(venv / "bin" / "clearml-agent"), "daemon", "--queue", self.queue, "--foreground", "--cpu-only"],
                cwd=self.place,
                env=self._environment(venv),
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        end = time.monotonic() + _WAIT
        while self._server.calls().count("queues.get_next_task") <= asked:
            if self._process.poll() is not None or time.monotonic() > end:
                self.stop()
                raise AssertionError(f"the agent does not ask for tasks:\n{self.output}")
            time.sleep(0.1)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    def stop(self) -> None:
        """Ends the agent as Ctrl-C does, then by force, with everything that it has started."""
        if self._process is None:
            return
        self._process.send_signal(signal.SIGINT)
        with contextlib.suppress(subprocess.TimeoutExpired):
            self._process.wait(15)
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self._process.pid, signal.SIGKILL)
        self._process.wait()
        self._process = None

    @property
    def output(self) -> str:
        """What the agent has said so far, without its configuration."""
        lines = self._log.read_text(encoding="utf-8", errors="replace").splitlines() if self._log.exists() else []
        dump = ("agent.", "api.", "sdk.")
        return "\n".join(line for line in lines if not line.startswith(dump))

    def _environment(self, venv: Path) -> dict[str, str]:
        conf = self.place / "clearml.conf"
        conf.write_text(self._configuration(), encoding="utf-8")
        pip = {name: value for name, value in os.environ.items() if name.startswith("PIP_")}
        light = {"CLEARML_AGENT_SKIP_PYTHON_ENV_INSTALL": "1"}
        return {
            **(pip if self._installs else light),
            "PATH": f"{venv}/bin{os.pathsep}{os.environ['PATH']}",
            "HOME": str(self.place),
            "TMPDIR": str(self.place),
            "LC_ALL": "C.UTF-8",
            "PYTHONUNBUFFERED": "1",
            "GIT_CONFIG_NOSYSTEM": "1",
            "CLEARML_CONFIG_FILE": str(conf),
            "CLEARML_AGENT_QUEUE_POLL_FREQ_SEC": "1",
            "CLEARML_AGENT_STATUS_REPORT_FREQ_SEC": "2",
        }

    def _configuration(self) -> str:
        server = self._server
        return f"""
api {{
    api_server: "{server.url}", web_server: "{server.url}", files_server: "{server.url}"
    credentials {{ access_key: "{server.access_key}", secret_key: "{server.secret_key}" }}
}}
agent {{
    worker_name: "loopback", venvs_dir: "{self.place}/venvs"
    vcs_cache {{ enabled: true, path: "{self.place}/vcs-cache" }}
    pip_download_cache {{ enabled: false }}
}}
sdk {{ storage {{ cache {{ default_base_dir: "{self.place}/cache" }} }} }}
"""
