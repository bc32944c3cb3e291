# Sourced by run.sh and test.sh: chooses the mode (the real Aspire packages, or native/), says which, and sees to what it needs.
# Exports AspirePackages. The order is the one of Directory.Build.props; only here is a chosen mode checked, and a fallback remembered.

aspire_version=13.5.4
tools_dir=${VALUECANVAS_TOOLS:-${XDG_DATA_HOME:-$HOME/.local/share}/valuecanvas/tools}

say() { printf '%s\n' "$*" >&2; }
fail() { say "$*"; exit 1; }

engine_socket() {
    local socket
    for socket in /var/run/docker.sock "$HOME/.docker/run/docker.sock" "$HOME/.docker/desktop/docker.sock" /run/podman/podman.sock \
        "${XDG_RUNTIME_DIR:-/nonexistent}/podman/podman.sock" "${XDG_RUNTIME_DIR:-/nonexistent}/docker.sock"; do
        [ -e "$socket" ] && return 0
    done
    return 1
}

engine_answers() {
    local engine
    for engine in docker podman; do
        command -v "$engine" >/dev/null && timeout 10 "$engine" info >/dev/null 2>&1 && return 0
    done
    return 1
}

# What keeps the real packages from being used; nothing where they can be.
official_lacks() {
    engine_answers || { echo "no container engine answers (docker info, podman info)"; return; }
    dotnet restore ValueCanvas.AppHost -p:AspirePackages=official -v quiet >/dev/null 2>&1 ||
        echo "the Aspire $aspire_version packages cannot be restored from the configured package source"
}

choose_mode() {
    if [ -n "${AspirePackages:-}" ]; then
        :
    elif [ -s .aspire-packages ]; then
        AspirePackages=$(tr -d '[:space:]' <.aspire-packages)
    elif engine_socket; then
        local lacks
        lacks=$(official_lacks)
        if [ -z "$lacks" ]; then
            AspirePackages=official
        else
            AspirePackages=native
            echo native >.aspire-packages
            say "Falling back to native mode: $lacks. Remembered in .aspire-packages; delete that file to try again."
        fi
    else
        AspirePackages=native
    fi
    case $AspirePackages in
        official | native) ;;
        *) fail "AspirePackages is '$AspirePackages'; it must be official or native." ;;
    esac
    export AspirePackages
    say "Mode: $AspirePackages$([ "$AspirePackages" = native ] && echo ' (plain processes, no container engine needed)')"
}

postgres_found() { command -v postgres >/dev/null || ls /usr/lib/postgresql/*/bin/postgres >/dev/null 2>&1; }

need_servers() {
    local missing=()
    command -v redis-server >/dev/null || missing+=(redis-server)
    postgres_found || missing+=(postgresql)
    [ ${#missing[@]} -eq 0 ] && return
    if command -v apt-get >/dev/null && [ "$(id -u)" -eq 0 ]; then
        say "Installing ${missing[*]} ..."
        local log
        log=$(mktemp)
        { apt-get update && DEBIAN_FRONTEND=noninteractive apt-get install -y --no-install-recommends "${missing[@]}"; } >"$log" 2>&1 ||
            { tail -n 20 "$log" >&2; fail "Could not install ${missing[*]}; install them by hand and run this again."; }
        rm -f "$log"
    else
        fail "Missing: ${missing[*]}. Install them (Debian, Ubuntu: sudo apt-get install ${missing[*]}; Fedora: dnf install redis postgresql-server; macOS: brew install redis postgresql) and run this again."
    fi
}

# The dashboard is a convenience: without it everything runs, and the AppHost says so.
need_dashboard() {
    command -v aspire >/dev/null && return
    local machine package
    case $(uname -s)-$(uname -m) in
        Linux-x86_64) machine=linux-x64 ;;
        Linux-aarch64) machine=linux-arm64 ;;
        *) return ;;
    esac
    package=@microsoft/aspire-cli-$machine
    [ -x "$tools_dir/node_modules/$package/bin/aspire" ] && return
    command -v npm >/dev/null || { say "No Node.js, so no dashboard: install Node.js, or the Aspire CLI, to get it."; return; }
    say "Fetching the Aspire dashboard (npm package $package $aspire_version) ..."
    mkdir -p "$tools_dir"
    npm install --prefix "$tools_dir" --no-audit --no-fund --loglevel=error "$package@$aspire_version" >/dev/null 2>&1 ||
        say "The dashboard could not be fetched; everything else runs without it."
}

# Quiet unless it fails.
build() {
    local log
    log=$(mktemp)
    say "Building $1 ..."
    dotnet build "$1" -nologo -v quiet >"$log" 2>&1 || { cat "$log" >&2; rm -f "$log"; fail "The build failed."; }
    rm -f "$log"
}

prepare() {
    command -v dotnet >/dev/null || fail "The .NET 10 SDK is missing: install it (https://dot.net) and run this again."
    dotnet --version >/dev/null 2>&1 || fail "No installed .NET SDK satisfies global.json ($(tr -d '\n' <global.json)): install .NET 10."
    choose_mode
    if [ "$AspirePackages" = native ]; then
        need_servers
        need_dashboard
    fi
}
