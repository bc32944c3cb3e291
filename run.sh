#!/usr/bin/env bash
# Starts the whole system: ./run.sh [--port N] [--dashboard-port N] [-- arguments of the AppHost]
# Prints the API key that the running installation began with: ./run.sh key
# Opens psql on the running database as the operator role: ./run.sh psql [-c SQL] [psql arguments]
# Acts on a model server of the running proxy: ./run.sh operator open|close|reset|drain|undrain vllm-0; without arguments shows them all
set -euo pipefail
cd "$(dirname "$0")"
. native/prepare.sh

usage() { sed -n '2,5s/^# //p' "$0"; }

# The process of a service that was started from this directory: another checkout may be running beside it.
process_of() {
    local directory pid
    for directory in "$PWD" "$(pwd -P)"; do
        pid=$(pgrep -f "^([^ ]*dotnet )?$(sed 's/[][().*^$+?{|\\]/\\&/g' <<<"$directory")/[^ ]*/ValueCanvas\.$1(\.dll)?( |$)" | head -n 1) && break
    done
    [ -n "$pid" ] || fail "ValueCanvas is not running: start it with ./run.sh first."
    echo "$pid"
}

open_psql() {
    # The running API knows where the database is, and the VALUECANVAS_DATA that it was started with; the password is with the AppHost's secrets.
    local pid variables connection data host port secrets file password
    pid=$(process_of Api)
    variables=$(tr '\0' '\n' <"/proc/$pid/environ")
    connection=$(sed -n 's/^ConnectionStrings__valuecanvas=//p' <<<"$variables")
    data=$(sed -n 's/^VALUECANVAS_DATA=//p' <<<"$variables")
    host=$(sed -n 's/.*Host=\([^;]*\).*/\1/p' <<<"$connection")
    port=$(sed -n 's/.*Port=\([^;]*\).*/\1/p' <<<"$connection")
    [ -n "$host" ] && [ -n "$port" ] || fail "The running API (process $pid) has no database connection string."
    secrets=("${data:-/nonexistent}/parameters.json" /var/lib/valuecanvas/*/parameters.json /var/lib/valuecanvas/parameters.json
        "${XDG_DATA_HOME:-$HOME/.local/share}"/valuecanvas/*/parameters.json "$HOME/.microsoft/usersecrets/valuecanvas-apphost/secrets.json")
    for file in "${secrets[@]}"; do
        [ -r "$file" ] || continue
        password=$(sed -n 's/.*"Parameters:operator-password" *: *"\([^"]*\)".*/\1/p' "$file")
        [ -n "$password" ] && PGPASSWORD=$password psql -qAt -h "$host" -p "$port" -U valuecanvas_operator -d valuecanvas -c 'select 1' >/dev/null 2>&1 &&
            PGPASSWORD=$password exec psql -h "$host" -p "$port" -U valuecanvas_operator -d valuecanvas "$@"
    done
    fail "The operator role could not sign in at $host:$port: no kept operator-password fits the running database."
}

operate() {
    # The running proxy knows its own address and key; the key goes to curl through a pipe, so that no list of processes shows it.
    local pid variables url key
    pid=$(process_of InferenceProxy)
    variables=$(tr '\0' '\n' <"/proc/$pid/environ")
    url=$(sed -n 's/^ASPNETCORE_URLS=\([^;]*\).*/\1/p' <<<"$variables")
    key=$(sed -n 's/^Inference__OperatorKey=//p' <<<"$variables")
    [ -n "$url" ] || fail "The running proxy (process $pid) does not say where it listens."
    if [ $# -eq 0 ]; then
        exec curl -sS "$url/providers"
    fi
    [ $# -eq 2 ] || { usage >&2; fail "Name an action and a model server."; }
    curl -sS -X POST -H @- "$url/providers/${2//#/%23}/$1" <<<"Authorization: Bearer $key"
    echo
    exit
}

print_key() {
    local pid key
    pid=$(process_of Api)
    key=$(tr '\0' '\n' <"/proc/$pid/environ" | sed -n 's/^VALUECANVAS_BOOTSTRAP_API_KEY=//p')
    [ -n "$key" ] || fail "The running API (process $pid) was started without a first key."
    printf '%s\n' "$key"
    exit
}

if [ "${1:-}" = key ]; then
    print_key
fi

if [ "${1:-}" = operator ]; then
    shift
    operate "$@"
fi

if [ "${1:-}" = psql ]; then
    shift
    command -v psql >/dev/null || fail "psql is missing (Debian, Ubuntu: apt-get install postgresql-client)."
    open_psql "$@"
fi

while [ $# -gt 0 ]; do
    case $1 in
        --port) VALUECANVAS_PORT=${2:?--port needs a number}; export VALUECANVAS_PORT; shift 2 ;;
        --dashboard-port) VALUECANVAS_DASHBOARD_PORT=${2:?--dashboard-port needs a number}; export VALUECANVAS_DASHBOARD_PORT; shift 2 ;;
        -h | --help) usage; exit 0 ;;
        --) shift; break ;;
        *) usage >&2; fail "Unknown argument: $1" ;;
    esac
done

prepare
build ValueCanvas.AppHost
echo "The first API key, once all is up: export VALUECANVAS_API_KEY=\$(./run.sh key)"
exec dotnet run --project ValueCanvas.AppHost --no-build -- "$@"
