#!/usr/bin/env bash
# The load test of deploy/load (the same requests in the same order as its k6 script), for machines without k6.
# Usage: bench/run.sh load [--url http://host:port --key KEY] [--seconds N] [--rate N]
# Without --url it starts the whole gateway with two simulated model servers: 200 ms to the first token, 30 ms to each further one.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
root=$(cd "$here/../.." && pwd)
cache=$root/artifacts/bench

case " $* " in *" --help "* | *" -h "*) sed -n '2,4s/^# //p' "$0"; exit 0 ;; esac
. "$here/../shared.sh"

mkdir -p "$cache" "$root/bench/results"
echo "Building (Release)" >&2
build bench/gateway/ValueCanvas.GatewayBench.csproj

run_group dotnet "$root/artifacts/bin/ValueCanvas.GatewayBench/release/ValueCanvas.GatewayBench.dll" load --root "$root" "$@"
