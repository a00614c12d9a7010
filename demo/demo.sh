#!/bin/sh
# The main job with no ClearML server: a push is refused, the training is run, the push is accepted.
set -eu

here=$(cd "$(dirname "$0")" && pwd)
scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT

# A person who has no ClearML server, and no settings that could change what is shown.
for name in $(env | sed -n 's/^\(CLEARML_[A-Z_]*\|GIT_[A-Z_]*\|CI\)=.*/\1/p'); do unset "$name"; done
export HOME="$scratch/home" GIT_CONFIG_NOSYSTEM=1 CLEARML_CACHE_DIR="$scratch/clearml" CLEARML_LOG_LEVEL=ERROR
mkdir "$HOME"
git config --global user.name "A. Trainer"
git config --global user.email "trainer@example.com"
git config --global init.defaultBranch main

step() { printf '\n### %s\n' "$1"; }
typed() { # as somebody would type it
    printf '$'
    for word; do
        case $word in
        *' '*) printf ' "%s"' "$word" ;;
        *) printf ' %s' "$word" ;;
        esac
    done
    echo
}
show() {
    typed "$@"
    "$@"
}
refused() {
    typed "$@"
    if "$@"; then
        echo "demo: this should have been refused" >&2
        exit 1
    fi
}

step "a repository with a remote, and a training script"
git init --quiet --bare "$scratch/origin.git"
git init --quiet "$scratch/detector"
cd "$scratch/detector"
git remote add origin "$scratch/origin.git"
cp "$here/train.py" .
git add train.py
show git commit --quiet --message "Train the detector"

show git clearml install

step "nobody has run this commit, so it does not leave the machine"
refused git push origin main

step "run it: the command is yours, the record is git-clearml's"
show git clearml run -- python train.py

step "it has been run, to its end, with no uncommitted change: it may go"
show git clearml verify
show git push origin main

step "an edit that is not committed does not count"
sed -i.bak 's/learning_rate = 0.1/learning_rate = 0.2/' train.py && rm train.py.bak
refused git clearml run -- python train.py

step "nor does a commit of it that nobody ran"
show git commit --quiet --all --message "Learn faster"
refused git push origin main
