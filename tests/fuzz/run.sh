#!/bin/sh
# Runs every fuzz target for some seconds on a copy of its corpus; fails on any finding.
# usage: tests/fuzz/run.sh BUILDDIR SECONDS        (cmake --preset fuzz && cmake --build --preset fuzz)
set -eu
[ $# -eq 2 ] || { sed -n 2,3p "$0" >&2; exit 2; }
build=$(cd "$1" && pwd)
corpus=$(cd "$(dirname "$0")/corpus" && pwd)
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
failed=0
for target in "$build"/tests/fuzz/fuzz_*; do
	[ -x "$target" ] || continue
	name=${target##*/fuzz_}
	cp -r "$corpus/$name" "$work/$name"
	if "$target" -max_total_time="$2" -timeout=10 -rss_limit_mb=2048 -max_len=70000 -print_final_stats=1 \
		-artifact_prefix="$PWD/$name-" "$work/$name" >"$work/log" 2>&1; then
		echo "$name: $(awk '/number_of_executed_units/ { print $2 }' "$work/log") executions," \
			"$(find "$work/$name" -type f | wc -l) inputs worth keeping"
	else
		echo "$name: FOUND SOMETHING (the input is kept as ./$name-*)"
		tail -40 "$work/log"
		failed=1
	fi
done
[ -d "$work/wire" ] || { echo "no fuzz targets in $build" >&2; exit 2; }
exit $failed
