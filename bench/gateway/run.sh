#!/usr/bin/env bash
# The whole gateway (Api, proxy, PostgreSQL, Redis) on this machine: hits, uncached requests, accounting; loads only loopback addresses.
# Usage: bench/run.sh gateway [--quick] [--only uncached,half,hits,accounting,soak] [--rounds N] [--seconds N] [--soak-minutes N]
#                             [--label TEXT] [--no-doc]
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
root=$(cd "$here/../.." && pwd)
cache=$root/artifacts/bench

case " $* " in *" --help "* | *" -h "*) sed -n '2,4s/^# //p' "$0"; exit 0 ;; esac
. "$here/../shared.sh"

mkdir -p "$cache" "$root/bench/results"
install_packages wrk
install_portkey
echo "Building (Release)" >&2
build bench/gateway/ValueCanvas.GatewayBench.csproj
[ "${BENCH_BUILD_ONLY:-}" != 1 ] || exit 0

DOTNET_TieredPGO=0 DOTNET_gcServer=0 DOTNET_SYSTEM_NET_SOCKETS_INLINE_COMPLETIONS=1 run_group \
    dotnet "$root/artifacts/bin/ValueCanvas.GatewayBench/release/ValueCanvas.GatewayBench.dll" run --root "$root" "$@"
