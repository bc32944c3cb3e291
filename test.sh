#!/usr/bin/env bash
# Builds everything and runs every test: ./test.sh [arguments of dotnet test]. The last line is `N passed, N failed, N skipped`.
set -uo pipefail
cd "$(dirname "$0")"
. native/prepare.sh
prepare

results=$(mktemp -d)
trap 'rm -rf "$results"' EXIT
status=0
build ValueCanvas.sln
dotnet test ValueCanvas.Tests --no-build --nologo --logger "console;verbosity=minimal" --logger "trx;LogFileName=tests.trx" \
    --results-directory "$results" "$@" || status=$?

counters=$(grep -o '<Counters [^>]*>' "$results/tests.trx" 2>/dev/null | head -n 1)
count() { sed -n "s/.* $1=\"\([0-9]*\)\".*/\1/p" <<<"$counters"; }
total=$(count total) passed=$(count passed) failed=$(count failed)
[ -n "$total" ] || fail "The test run left no result, so it counts as failed."
printf '%s passed, %s failed, %s skipped\n' "$passed" "$failed" "$((total - passed - failed))"
exit "$status"
