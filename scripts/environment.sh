# Make .venv from constraints.txt, once; sourced by the other scripts, which then find its commands on the PATH.
cd "$(dirname "${BASH_SOURCE[0]}")/.."
stamp=.venv/installed
if ! cmp --silent constraints.txt "$stamp" 2>/dev/null || [ setup.cfg -nt "$stamp" ]; then
    echo "installing into .venv"
    "${PYTHON:-python3}" -m venv .venv
    .venv/bin/python -m pip install --quiet --constraint constraints.txt torch==2.13.0 --editable '.[test]'
    cp constraints.txt "$stamp"
fi
export PATH="$PWD/.venv/bin:$PATH"
