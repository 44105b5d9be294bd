# Sourced by the scripts beside it: makes .venv with the pinned, hashed dependencies of one requirements file and this
# checkout installed into it, and does nothing where that is done already.

find_python() {
    local name
    for name in "${PYTHON:-}" python3.13 python3.12 python3.11 python3; do
        if [ -n "$name" ] && command -v "$name" >/dev/null 2>&1 \
            && "$name" -c 'import sys; sys.exit(not (3, 11) <= sys.version_info[:2] <= (3, 13))' 2>/dev/null; then
            echo "$name"
            return
        fi
    done
    echo "error: no Python 3.11, 3.12 or 3.13 is installed" >&2
    echo "  hint: install one (Debian, Raspberry Pi OS: apt install python3 python3-venv), or set PYTHON" >&2
    return 1
}

# make_venv FILE: FILE is one of requirements/*.txt; the dev file holds all that the others do.
make_venv() {
    local file="requirements/$1.txt" python stamp
    python=$(find_python)
    stamp=$(cat "$file" pyproject.toml | sha256sum | cut -d' ' -f1)
    if [ -f ".venv/stamp-$1" ] && [ "$(cat ".venv/stamp-$1")" = "$stamp" ]; then
        return
    fi
    if [ ! -x .venv/bin/python ]; then
        echo "making .venv with $("$python" --version)"
        "$python" -m venv .venv || {
            echo "  hint: Debian keeps venv apart: apt install python3-venv" >&2
            return 1
        }
    fi
    echo "installing $file (pinned, with hashes)"
    .venv/bin/python -m pip install --quiet --disable-pip-version-check --require-hashes --only-binary :all: -r "$file"
    # Only the path of this checkout is put in; nothing is built, and nothing else is fetched.
    local packages
    packages=$(.venv/bin/python -c 'import sysconfig; print(sysconfig.get_path("purelib"))')
    pwd > "$packages/appliance-checkout.pth"
    printf '#!/bin/sh\nexec "$(dirname "$0")/python" -m appliance "$@"\n' > .venv/bin/appliance
    chmod +x .venv/bin/appliance
    echo "$stamp" > ".venv/stamp-$1"
}
