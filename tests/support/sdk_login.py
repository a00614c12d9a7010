"""What ClearML's SDK makes of a configuration: run by an interpreter that has it, with scenarios as JSON on stdin.

Each is `{"env": {...}}`; the answer is a list of what became of them: `login` and the user of the request is for the
server to tell, else the exception's class. HOME is the process's own, since the SDK looks it up when it is imported.
"""

import json
import os
import sys

import clearml  # noqa: F401  the slow part, once
from clearml.backend_api import Session

FOREIGN = ("CLEARML_", "TRAINS_")


def outcome() -> str:
    from clearml.config import ConfigWrapper

    try:
        Session(config=ConfigWrapper._init(), http_retries_config={"total": 0})
    except BaseException as error:
        return type(error).__name__
    return "login"


def main() -> None:
    answers = []
    stdout = os.dup(1)
    os.dup2(2, 1)
    for scenario in json.load(sys.stdin):
        reading, writing = os.pipe()
        if os.fork() == 0:
            for name in [name for name in os.environ if name.startswith(FOREIGN)]:
                del os.environ[name]
            os.environ.update(scenario["env"])
            for name in ("clearml.conf", "trains.conf"):
                path = os.path.join(os.environ["HOME"], name)
                if os.path.isfile(path):
                    os.remove(path)
                if name in scenario["files"]:
                    with open(path, "w") as file:
                        file.write(scenario["files"][name])
            os.write(writing, outcome().encode())
            os._exit(0)
        os.close(writing)
        with os.fdopen(reading) as answer:
            answers.append(answer.read())
        os.wait()
    os.write(stdout, json.dumps(answers).encode())


if __name__ == "__main__":
    main()
