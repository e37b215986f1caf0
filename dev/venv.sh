#!/bin/sh
# Makes .venv with exactly what requirements.lock names. Run by make whenever the lock changed.
set -eu
cd "$(dirname "$0")/.."

least=$(sed -n 's/^requires-python = ">=\([0-9.]*\)".*/\1/p' pyproject.toml)

fits() {
    "$1" -c "import ensurepip, sys, venv; sys.exit(sys.version_info[:2] < tuple(map(int, '$least'.split('.'))))" 2> /dev/null
}

# The first that is recent enough and can make an environment; Debian packs the latter apart.
suitable() {
    for python in ${PYTHON:-} python3 python3.14 python3.13 python3.12 python3.11; do
        if command -v "$python" > /dev/null && fits "$python"; then
            echo "$python"
            return
        fi
    done
    return 1
}

if ! python=$(suitable); then
    if [ "$(id -u)" = 0 ] && command -v apt-get > /dev/null; then
        echo "Installing python3 and python3-venv." >&2
        { apt-get -q update && DEBIAN_FRONTEND=noninteractive apt-get -q -y install python3 python3-venv; } > /dev/null
    fi
    if ! python=$(suitable); then
        echo "Python $least or later with its venv module is needed: install it (Debian and Ubuntu: python3 and" \
            "python3-venv), or name one in PYTHON." >&2
        exit 1
    fi
fi

echo "Installing the locked dependencies into .venv." >&2
"$python" -m venv --clear .venv
.venv/bin/python -m pip install -qq --disable-pip-version-check --require-hashes -r requirements.lock
.venv/bin/python -m pip install -qq --disable-pip-version-check --no-deps --no-build-isolation -e .
touch .venv/installed
