#!/usr/bin/env bash
# The rate limiter: checks per second and latency in Redis and in memory, exactness with four processes, and what authentication costs; loopback only.
# Usage: bench/run.sh limits [--quick] [--seconds N] [--only checks,exact,authentication] [--label TEXT] [--no-doc]
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
root=$(cd "$here/../.." && pwd)

case " $* " in *" --help "* | *" -h "*) sed -n '2,3s/^# //p' "$0"; exit 0 ;; esac
command -v redis-server >/dev/null || { echo "Missing: redis-server. Debian, Ubuntu: apt-get install redis-server" >&2; exit 1; }

mkdir -p "$root/artifacts/bench" "$root/bench/results"
echo "Building (Release)" >&2
dotnet build "$here/ValueCanvas.LimitsBench.csproj" -c Release -v q -clp:ErrorsOnly -nologo >"$root/artifacts/bench/build.log" 2>&1 ||
    { cat "$root/artifacts/bench/build.log" >&2; exit 1; }
[ "${BENCH_BUILD_ONLY:-}" != 1 ] || exit 0

# A process group of its own: whatever happens to the bench, nothing that it started stays behind.
set -m
DOTNET_gcServer=0 dotnet "$root/artifacts/bin/ValueCanvas.LimitsBench/release/ValueCanvas.LimitsBench.dll" run --root "$root" "$@" &
group=$!
set +m
trap 'kill -TERM "$group" 2>/dev/null || true' INT TERM
trap 'kill -KILL -- "-$group" 2>/dev/null || true' EXIT
status=0
wait "$group" || status=$?
while kill -0 "$group" 2>/dev/null; do wait "$group" || status=$?; done
exit "$status"
