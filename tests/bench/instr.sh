#!/bin/sh
# instr.sh - instructions per forwarded frame, by path, under callgrind. The same program gives the
# same number every time, so this is what guards the frame path; seconds are bench.sh's business.
#
#   tests/bench/instr.sh [--build DIR] [--out FILE] [--max PATH=N]... [PATH...]
#
# --out writes JSON too; --max fails where a path takes more than N instructions a frame.
set -eu
cd "$(dirname "$0")/../.."
build=build/release
out=
limits=
paths=
batches=200
while [ $# -gt 0 ]; do
	case $1 in
	--build) build=$2; shift ;;
	--out) out=$2; shift ;;
	--max) limits="$limits $2"; shift ;;
	-*) echo "usage: instr.sh [--build DIR] [--out FILE] [--max PATH=N]... [PATH...]" >&2; exit 2 ;;
	*) paths="$paths $1" ;;
	esac
	shift
done
program=$build/tests/bench/bench_path
if ! command -v valgrind >/dev/null; then
	echo "SKIPPED: instr.sh: no valgrind here" >&2
	exit 77
fi
if [ ! -x "$program" ]; then
	echo "instr.sh: no $program; build the release preset first" >&2
	exit 1
fi
[ "$paths" ] || paths=$("$program" 2>&1 | sed 's/.*PATH one of//') || true

# valgrind counts `rep movsb` once a byte, which no machine does (limits.md, 9)
huge=2000000000
export GLIBC_TUNABLES=glibc.cpu.x86_rep_movsb_threshold=$huge:glibc.cpu.x86_rep_stosb_threshold=$huge
tmp=$(mktemp -d)
trap 'rm -rf "$tmp"' EXIT

status=0
for path in $paths; do
	valgrind --tool=callgrind --callgrind-out-file="$tmp/$path" --toggle-collect=bench_measured \
		"$program" "$path" "$batches" >"$tmp/log" 2>&1 || { cat "$tmp/log" >&2; exit 1; }
	refs=$(sed -n 's/^\(summary\|totals\): *//p' "$tmp/$path" | head -n 1)
	each=$(awk "BEGIN { printf \"%.1f\", $refs / ($batches * 64) }")
	printf '%-16s %8s instructions a frame\n' "$path" "$each"
	echo "  \"$path\": $each" >>"$tmp/rows"
	for limit in $limits; do
		[ "${limit%%=*}" = "$path" ] || continue
		if awk "BEGIN { exit !($each > ${limit#*=}) }"; then
			echo "instr.sh: $path: more than ${limit#*=} instructions a frame" >&2
			status=1
		fi
	done
done
if [ "$out" ]; then
	{ echo "{"; sed '$!s/$/,/' "$tmp/rows"; echo "}"; } >"$out"
fi
exit $status
