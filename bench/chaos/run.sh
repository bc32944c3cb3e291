#!/usr/bin/env bash
# The queue under faults: each for as long as it takes to say what it does to the rate of jobs, and whether a job was lost; about 10 minutes.
# Usage: bench/run.sh chaos
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
root=$(cd "$here/../.." && pwd)

case " $* " in *" --help "* | *" -h "*) sed -n '2,3s/^# //p' "$0"; exit 0 ;; esac

mkdir -p "$root/artifacts/bench" "$root/bench/results"
echo "Building" >&2
dotnet build "$root/ValueCanvas.Tests" -v q -clp:ErrorsOnly -nologo >"$root/artifacts/bench/build.log" 2>&1 ||
    { cat "$root/artifacts/bench/build.log" >&2; exit 1; }
[ "${BENCH_BUILD_ONLY:-}" != 1 ] || exit 0

# One after another: what is measured must not share the machine with another test.
export VALUECANVAS_CHAOS=long
export VALUECANVAS_CHAOS_RESULTS="$root/bench/results/chaos-$(date -u +%Y%m%d-%H%M%S).json"
status=0
dotnet "$root/artifacts/bin/ValueCanvas.Tests/debug/ValueCanvas.Tests.dll" -parallel none -diagnostics \
    -explicit on -namespace ValueCanvas.Tests.Chaos || status=$?

table=${VALUECANVAS_CHAOS_RESULTS%.json}.md
if [ -f "$table" ]; then cat "$table"; rm "$table"; fi
exit "$status"
