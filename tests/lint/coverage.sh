#!/usr/bin/env bash
# coverage.sh - runs the tests in a build that counts lines, and fails where protocol/ and server/core/
# are covered by less than 90 %. The daemon's tests count too where they can run. BUILD and LEAST are
# for experiments.
set -euo pipefail
cd "$(dirname "$0")/../.."
build=${BUILD:-build/coverage}
least=${LEAST:-90}
command -v lcov >/dev/null || { echo "SKIPPED: no lcov"; exit 77; }

cmake --preset coverage -B "$build" >"/dev/null"
cmake --build "$build" -j "$(nproc)" | tail -1
lcov --quiet --directory "$build" --zerocounters
ctest --test-dir "$build" -L '^(unit|property)$' --output-on-failure | tail -3
# not those with another user's processes, which could not write their counts here and would say so in
# the wrong place, nor the one that measures memory
ctest --test-dir "$build" -L '^daemon$' -E '/test_(access|churn|unprivileged)$' --output-on-failure | tail -3 || echo "daemon tests failed: see the part daemon"

lcov --quiet --directory "$build" --capture --output-file "$build/all.info" \
	--rc geninfo_gcov_all_blocks=0 2>/dev/null
lcov --quiet --extract "$build/all.info" "$PWD/protocol/*" "$PWD/server/core/*" \
	--output-file "$build/coverage.info"
lcov --list "$build/coverage.info" | grep -E '\.[ch] ' | sort
awk -F: -v least="$least" '
	/^LF:/ { found += $2 }
	/^LH:/ { hit += $2 }
	END {
		percent = found ? 100 * hit / found : 0
		printf "%d of %d lines: %.1f %%\n", hit, found, percent
		exit percent < least
	}' "$build/coverage.info"
