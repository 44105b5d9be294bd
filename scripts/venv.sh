# Sourced by the scripts beside it: makes .venv with the pinned, hashed dependencies of one requirements file and this
# checkout put into it, and does nothing where that is done already. Never in here: anything outside .venv.

find_python() {
    local name
    for name in "${PYTHON:-}" python3.13 python3.12 python3.11 python3.14 python3; do
        if [ -n "$name" ] && command -v "$name" >/dev/null 2>&1 \
            && "$name" -c 'import sys; sys.exit(not (3, 11) <= sys.version_info[:2] <= (3, 14))' 2>/dev/null; then
            echo "$name"
            return
        fi
    done
    echo "error: no Python 3.11, 3.12, 3.13 or 3.14 is installed" >&2
    echo "  hint: install one (Debian, Raspberry Pi OS: apt install python3 python3-venv), or set PYTHON" >&2
    return 1
}

# make_venv FILE: FILE is one of requirements/*.txt; the dev file holds all that the others do.
make_venv() {
    local file="requirements/$1.txt" python stamp packages
    # The folder belongs to it: a virtual environment does not survive being moved.
    stamp=$({ pwd -P; cat "$file" pyproject.toml; } | sha256sum | cut -d' ' -f1)
    if [ "$(cat ".venv/stamp-$1" 2>/dev/null)" = "$stamp" ] && .venv/bin/python -c '' 2>/dev/null; then
        return
    fi
    # Made elsewhere, or by a Python that is gone, or left half made: anew.
    if ! grep -qF "$(pwd -P)/.venv" .venv/bin/activate 2>/dev/null || ! .venv/bin/python -m pip --version >/dev/null 2>&1; then
        python=$(find_python)
        echo "making .venv with $("$python" --version)"
        "$python" -m venv --clear .venv || {
            echo "  hint: Debian keeps venv apart: apt install python3-venv" >&2
            return 1
        }
    fi
    echo "installing $file (pinned, with hashes)"
    .venv/bin/python -m pip install --quiet --disable-pip-version-check --require-hashes --only-binary :all: -r "$file"
    # Only the path of this checkout is put in; nothing is built, and nothing else is fetched.
    packages=$(.venv/bin/python -c 'import sysconfig; print(sysconfig.get_path("purelib"))')
    pwd > "$packages/appliance-checkout.pth"
    printf '#!/bin/sh\nexec "$(dirname "$0")/python" -m appliance "$@"\n' > .venv/bin/appliance
    chmod +x .venv/bin/appliance
    echo "$stamp" > ".venv/stamp-$1"
}
