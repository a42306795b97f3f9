#!/usr/bin/env bash
# Make the environment, then run the linters and the tests: bash scripts/test.sh [pytest options]
# Real data are used where BRAINMRI_DATA names their folder.
set -euo pipefail
if [ -n "${BRAINMRI_DATA:-}" ]; then
    BRAINMRI_DATA=$(realpath "$BRAINMRI_DATA")
    export BRAINMRI_DATA
fi
source "$(dirname "$0")/environment.sh"
ruff format --check .
ruff check .
lint-imports --no-logo
# one process a core, and one thread in each
OMP_NUM_THREADS=1 python -m pytest --numprocesses auto --maxprocesses 4 --dist worksteal "$@"
