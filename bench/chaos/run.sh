#!/usr/bin/env bash
# The queue under faults, each in a fleet of its own (Api, workers, proxy, PostgreSQL, Redis) with the default leases, two to three minutes each:
# is a job lost, does it end once, is it charged once, and is the rate there again? --into FILE puts what is measured into an earlier run's file.
# Usage: bench/run.sh chaos [--only FAULT,…] [--into bench/results/chaos-….json] [--label TEXT] [--no-doc]
# Faults: nothing worker-killed worker-frozen postgres-restarted backends-terminated connections-used-up pool-exhausted redis-killed redis-flushed
#   api-killed api-killed-after-commit replica-killed clocks-apart poison-job rescuers malformed-rows nothing-again
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
root=$(cd "$here/../.." && pwd)
cache=$root/artifacts/bench

case " $* " in *" --help "* | *" -h "*) sed -n '2,6s/^# //p' "$0"; exit 0 ;; esac
. "$here/../shared.sh"

mkdir -p "$cache" "$root/bench/results"
if [ "${BENCH_NO_BUILD:-}" != 1 ]; then
    echo "Building" >&2
    build bench/chaos/ValueCanvas.ChaosBench.csproj
    dotnet build "$root/ValueCanvas.Tests" -v q -clp:ErrorsOnly -nologo >"$cache/build.log" 2>&1 || { cat "$cache/build.log" >&2; exit 1; }
fi
[ "${BENCH_BUILD_ONLY:-}" != 1 ] || exit 0

run_group dotnet "$root/artifacts/bin/ValueCanvas.ChaosBench/release/ValueCanvas.ChaosBench.dll" run --root "$root" "$@"
