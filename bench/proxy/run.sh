#!/usr/bin/env bash
# The inference proxy against direct, nginx, haproxy and Portkey on this machine; loads only loopback addresses.
# Usage: bench/run.sh proxy [--quick] [--only start,overhead,half,streaming,routing,trace,soak] [--rounds N] [--seconds N]
#                           [--soak-minutes N] [--trace FILE] [--trace-speed N] [--label TEXT] [--no-doc]
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
root=$(cd "$here/../.." && pwd)
cache=$root/artifacts/bench

case " $* " in *" --help "* | *" -h "*) sed -n '2,4s/^# //p' "$0"; exit 0 ;; esac

. "$here/../shared.sh"

mkdir -p "$cache" "$root/bench/results"
install_packages wrk nginx haproxy
install_portkey
echo "Building (Release)" >&2
build ValueCanvas.InferenceProxy
build ValueCanvas.VllmSimulator
build bench/proxy/ValueCanvas.ProxyBench.csproj

DOTNET_TieredPGO=0 DOTNET_gcServer=0 DOTNET_SYSTEM_NET_SOCKETS_INLINE_COMPLETIONS=1 run_group \
    dotnet "$root/artifacts/bin/ValueCanvas.ProxyBench/release/ValueCanvas.ProxyBench.dll" run --root "$root" "$@"
