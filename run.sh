#!/usr/bin/env bash
# Set oxoflow up in .venv and start it. First word: test [--all], demo, bench; else flags of app.py.
set -euo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
venv=$here/.venv
python=$venv/bin/python

fail() { echo "run.sh: $*" >&2; exit 2; }

make_venv() {
    [ -x "$python" ] && return
    echo "Making $venv" >&2
    if command -v uv >/dev/null; then uv venv -q "$venv"
    else python3 -m venv "$venv" || fail "python3 cannot make $venv; install python3-venv or uv"
    fi
}

# Install the pins of $1 once; the stamp is a copy of the file that was installed.
install() {
    local stamp=$venv/$(echo "${1#"$here"/}" | tr / -).done
    cmp -s "$1" "$stamp" && return
    echo "Installing ${1#"$here"/}" >&2
    if command -v uv >/dev/null; then uv pip install -q --compile-bytecode -p "$python" -r "$1"
    else "$python" -m pip install -q --disable-pip-version-check -r "$1"
        "$python" -m compileall -q -j 0 "$venv"/lib/python3*/site-packages >/dev/null || true
    fi || fail "the packages of $1 could not be installed; see above"
    cp "$1" "$stamp"
}

# Make `import oxoflow` and the command `oxoflow` work from any directory.
link() {
    local site
    site=$(echo "$venv"/lib/python3*/site-packages)
    echo "$here" >"$site/oxoflow.pth"
    # -P: a directory named oxoflow where the command is typed must not be imported
    printf '#!/bin/sh\nexec %q -P %q "$@"\n' "$python" "$here/oxoflow/__main__.py" >"$venv/bin/oxoflow"
    chmod +x "$venv/bin/oxoflow"
    "$python" -m compileall -q "$here/oxoflow" "$here/app.py"
}

make_venv
install "$here/requirements.txt"
link
case ${1-} in
test)
    shift
    install "$here/tests/requirements.txt"
    cd "$here"
    marks=()
    if [ "${1-}" = --all ]; then shift; marks=(-m ""); fi
    exec "$python" -m pytest -n "$(nproc)" "${marks[@]}" "$@" ;;
demo) shift; exec "$python" -m oxoflow.demo "$@" ;;
bench)
    shift
    install "$here/tests/requirements.txt"
    cd "$here"
    exec "$python" -m tests.bench "$@" ;;
*) exec "$python" "$here/app.py" "$@" ;;
esac
