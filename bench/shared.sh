# What the benchmarks' run.sh share; sourced, with $root and $cache set.

install_packages() {
    local missing=()
    for tool in "$@"; do command -v "$tool" >/dev/null || missing+=("$tool"); done
    [ ${#missing[@]} -gt 0 ] || return 0
    if [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null; then
        echo "Installing ${missing[*]}" >&2
        apt-get update -qq >/dev/null || true
        # The packages would start servers of their own.
        RUNLEVEL=1 DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends "${missing[@]}" >/dev/null ||
            echo "Could not install ${missing[*]}." >&2
    fi
    for tool in "${missing[@]}"; do
        command -v "$tool" >/dev/null && continue
        echo "Missing: $tool. Debian, Ubuntu: apt-get install $tool" >&2
        [ "$tool" != wrk ] || exit 1 # the others are left out of the comparison
    done
}

install_portkey() {
    command -v npm >/dev/null || { echo "Missing: npm and Node.js 20 or later; Portkey is left out of the comparison." >&2; return 0; }
    [ -f "$cache/portkey/node_modules/@portkey-ai/gateway/build/start-server.js" ] && return 0
    mkdir -p "$cache/portkey"
    # Later versions of the server adapter do not start with this gateway.
    cat >"$cache/portkey/package.json" <<'JSON'
{"name":"bench","private":true,"dependencies":{"@portkey-ai/gateway":"1.15.2"},"overrides":{"@hono/node-server":"1.13.8"}}
JSON
    (cd "$cache/portkey" && npm install --no-audit --no-fund --silent) || echo "Portkey could not be installed; it is left out." >&2
}

build() {
    dotnet build "$root/$1" -c Release -v q -clp:ErrorsOnly -nologo >"$cache/build.log" 2>&1 || { cat "$cache/build.log" >&2; exit 1; }
}

# Runs a benchmark in a process group of its own: whatever happens to it, nothing that it started stays behind.
run_group() {
    set -m
    "$@" &
    group=$!
    set +m
    trap 'kill -TERM "$group" 2>/dev/null || true' INT TERM
    trap 'kill -KILL -- "-$group" 2>/dev/null || true' EXIT
    local status=0
    wait "$group" || status=$?
    # Interrupted: the bench stops its servers before it ends.
    while kill -0 "$group" 2>/dev/null; do wait "$group" || status=$?; done
    exit "$status"
}

install_bullmq() {
    command -v npm >/dev/null || { echo "Missing: npm and Node.js 20 or later; BullMQ is left out of the comparison." >&2; return 0; }
    [ -f "$cache/bullmq/node_modules/bullmq/package.json" ] && [ -f "$cache/bullmq/node_modules/ioredis/package.json" ] && return 0
    mkdir -p "$cache/bullmq"
    cat >"$cache/bullmq/package.json" <<'JSON'
{"name":"bench","private":true,"dependencies":{"bullmq":"6.7.0","ioredis":"^5.11.1"}}
JSON
    (cd "$cache/bullmq" && npm install --no-audit --no-fund --silent) || echo "BullMQ could not be installed; it is left out." >&2
}
