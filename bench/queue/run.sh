#!/usr/bin/env bash
# The queue (Api, workers, PostgreSQL that forces commits to the disk, Redis) beside BullMQ on this machine; loads only loopback addresses.
# Usage: bench/run.sh queue [--quick] [--only jobs,enqueue,pickup,fairness,bullmq] [--seconds N] [--finished N] [--label TEXT] [--no-doc]
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
root=$(cd "$here/../.." && pwd)
cache=$root/artifacts/bench

case " $* " in *" --help "* | *" -h "*) sed -n '2,3s/^# //p' "$0"; exit 0 ;; esac
. "$here/../shared.sh"

mkdir -p "$cache" "$root/bench/results"
install_bullmq
echo "Building (Release)" >&2
build bench/queue/ValueCanvas.QueueBench.csproj
[ "${BENCH_BUILD_ONLY:-}" != 1 ] || exit 0

DOTNET_TieredPGO=0 DOTNET_gcServer=0 DOTNET_SYSTEM_NET_SOCKETS_INLINE_COMPLETIONS=1 run_group \
    dotnet "$root/artifacts/bin/ValueCanvas.QueueBench/release/ValueCanvas.QueueBench.dll" run --root "$root" "$@"
