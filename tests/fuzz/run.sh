#!/bin/sh
# Runs every fuzz target for some seconds on a copy of its corpus, as many at once as there are processors; fails
# on any finding.
# usage: tests/fuzz/run.sh BUILDDIR SECONDS        (cmake --preset fuzz && cmake --build --preset fuzz)
set -eu

one() { # TARGET SECONDS WORK
	name=${1##*/fuzz_}
	cp -r "$corpus/$name" "$3/$name"
	if "$1" -max_total_time="$2" -timeout=10 -rss_limit_mb=2048 -max_len=70000 -print_final_stats=1 \
		-artifact_prefix="$PWD/$name-" "$3/$name" >"$3/$name.log" 2>&1; then
		echo "$name: $(awk '/number_of_executed_units/ { print $2 }' "$3/$name.log") executions," \
			"$(find "$3/$name" -type f | wc -l) inputs worth keeping"
	else
		echo "$name: FOUND SOMETHING (the input is kept as ./$name-*)"
		tail -40 "$3/$name.log"
		return 1
	fi
}

corpus=$(cd "$(dirname "$0")/corpus" && pwd)
if [ $# -eq 4 ] && [ "$1" = --one ]; then
	one "$2" "$3" "$4"
	exit
fi
[ $# -eq 2 ] || { sed -n 2,4p "$0" >&2; exit 2; }
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
find "$(cd "$1" && pwd)/tests/fuzz" -maxdepth 1 -name 'fuzz_*' -type f -perm -u+x | sort >"$work/targets"
[ -s "$work/targets" ] || { echo "no fuzz targets in $1" >&2; exit 2; }
xargs -P "$(getconf _NPROCESSORS_ONLN)" -I TARGET sh "$0" --one TARGET "$2" "$work" <"$work/targets"
