#!/usr/bin/env bash
# Runs a benchmark: bench/run.sh NAME [options]; bench/run.sh NAME --help tells its options.
# The raw figures of every run go to bench/results/, the tables of a full run into docs/performance.md.
set -euo pipefail
cd "$(dirname "$0")"

name=${1:-}
if [ -z "$name" ] || [ ! -x "$name/run.sh" ]; then
    sed -n '2,3s/^# //p' "$0" >&2
    echo "Benchmarks: $(for d in */run.sh; do dirname "$d"; done | paste -sd ' ')" >&2
    exit 2
fi
shift
exec "$name/run.sh" "$@"
