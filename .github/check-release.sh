#!/bin/sh
# check-release.sh TAG: does this tag name the version that the code and the changelog have?
set -eu
cd "$(dirname "$0")/.."
version=$(sed -n 's/^__version__ = "\(.*\)"$/\1/p' git_clearml/__init__.py)
if [ "$1" != "v$version" ]; then
    echo "the tag is $1, git_clearml/__init__.py says $version" >&2
    exit 1
fi
if ! grep -q "^## \[$version\] - [0-9]\{4\}-[0-9][0-9]-[0-9][0-9]\$" CHANGELOG.md; then
    echo "CHANGELOG.md has no dated section for $version" >&2
    exit 1
fi
