#!/bin/sh
# Makes .venv hold exactly what requirements-dev.txt locks, every file checked against its hash, and beside it what the file named
# by SLUICE_REQUIREMENTS asks for, or own-requirements.txt. Called by `make setup`.
set -eu
cd "$(dirname "$0")/../.."
lock=requirements-dev.txt
python=.venv/bin/python

find_python() {
    for candidate in python3.11 python3.12 python3.13 python3.14 python3; do
        if "$candidate" -c 'import sys; sys.exit(sys.version_info < (3, 11))' >/dev/null 2>&1; then
            echo "$candidate"
            return
        fi
    done
    echo "setup: Python 3.11 or newer is needed and none was found on the PATH." >&2
    exit 1
}

# Debian ships python3 without what `python3 -m venv` needs.
add_venv_module() {
    line="apt-get update && apt-get install -y --no-install-recommends python3-venv"
    if [ "$(id -u)" -ne 0 ] || ! command -v apt-get >/dev/null; then
        echo "setup: '$1 -m venv' does not work here; run as root: $line" >&2
        exit 1
    fi
    echo "+ $line"
    sh -c "$line" </dev/null >&2
}

make_environment() {
    rm -rf .venv
    if uv --version >/dev/null 2>&1; then
        uv venv --quiet --python "$1" .venv
        return
    fi
    "$1" -c 'import ensurepip, venv' >/dev/null 2>&1 || add_venv_module "$1"
    "$1" -m venv .venv
}

# uv installs the lock in a second where pip takes twenty; where it is not on the PATH, the lock itself brings it.
find_uv() {
    if uv --version >/dev/null 2>&1; then
        echo uv
        return
    fi
    sed -n '/^uv==/,/[^\\]$/p' "$lock" >.venv/uv.txt
    "$python" -m pip install --quiet --disable-pip-version-check --require-hashes --only-binary :all: -r .venv/uv.txt >&2 || return 0
    echo .venv/bin/uv
}

install_lock() {
    uv=$(find_uv)
    if [ -n "$uv" ] && "$uv" pip sync --quiet --python "$python" --require-hashes "$lock"; then
        return
    fi
    "$python" -m pip install --quiet --disable-pip-version-check --require-hashes -r "$lock"
}

# Own requirements come after the lock each time, within the versions it holds: nothing of Sluice's may change for them.
install_own() {
    own=${SLUICE_REQUIREMENTS:-own-requirements.txt}
    if [ ! -f "$own" ]; then
        [ -z "${SLUICE_REQUIREMENTS:-}" ] && return
        echo "setup: SLUICE_REQUIREMENTS names $own, and there is no such file." >&2
        exit 1
    fi
    echo "setup: installing $own beside it"
    sed 's/ *\\$//; /^ *--hash/d; s/\[[^]]*\]//' "$lock" >.venv/bounds.txt
    if [ -n "$uv" ]; then
        "$uv" pip install --quiet --python "$python" -r "$own" -c .venv/bounds.txt && return
    else
        "$python" -m pip install --quiet --disable-pip-version-check -r "$own" -c .venv/bounds.txt && return
    fi
    echo "setup: $own cannot be installed beside what Sluice needs ($lock): see above." >&2
    exit 1
}

# The three packages of the product and no others of this tree, so that a project of its own may have `tests` and `infra`.
install_product() {
    packages=$(echo .venv/lib/python3*/site-packages)
    for name in api consumer sluice; do
        ln -sfn "../../../../$name" "$packages/$name"
    done
    sed "1s|.*|#!$PWD/$python|" infra/sluice >.venv/bin/sluice
    chmod +x .venv/bin/sluice
}

"$python" -c 'import sys; sys.exit(sys.version_info < (3, 11))' >/dev/null 2>&1 || make_environment "$(find_python)"
echo "setup: installing $lock into .venv"
install_lock
install_own
install_product
touch .venv/lock.stamp
echo "${SLUICE_REQUIREMENTS:-}" >.venv/own
