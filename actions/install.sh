#!/bin/sh
# install.sh DIRECTORY: a virtual environment with this checkout's git-clearml. The job holds secrets, so everything beside
# it has the version and the hash of the two lists that lie here (`make lock` makes them).
# -I: the current directory is the job's checkout, whose venv.py or logging.py Python would import else.
set -eu
lists=$(dirname "$0")
python3 -I -m venv "$1"
set -- "$1/bin/python" -I -m pip install --quiet --disable-pip-version-check
"$@" --require-hashes --only-binary :all: --requirement "$lists/build.txt"
# Not isolated: a build of its own would fetch what has no hash.
"$@" --require-hashes --no-build-isolation --requirement "$lists/requirements.txt"
"$@" --no-deps --no-build-isolation "$lists/.."
