#!/bin/sh
# instr.sh - instructions per forwarded frame, by path, under callgrind. The same program gives the
# same number every time, so this is what guards the frame path; seconds are bench.sh's business.
#
#   tests/bench/instr.sh [--build DIR] [--out DIR] [PATH...]
#
# Fails where a path takes more than it may, and, with the compiler of docs/benchmarks/instr.json, where it
# takes 5 % more than it says there. --out writes DIR/benchmarks/instr.json and into DIR/benchmarks.md (docs,
# for what is kept), and does not look at what was there.
set -eu
cd "$(dirname "$0")/../.."

# What each may take: native-native is the promise; the others what they took, and a fifth more for
# other compilers.
limits='
native-native 120
native-crowd 120
native-qemu 210
qemu-native 205
qemu-qemu 120
native-mixed4 600
native-flood8 365
native-host 80
native-coalesced 1700
host-native 180
native-watched 255
native-captured 330
'
usage() {
	echo "usage: instr.sh [--build DIR] [--out DIR] [PATH...]" >&2
	exit 2
}
build=build/release
out=
paths=
while [ $# -gt 0 ]; do
	case $1 in
	--build) [ $# -ge 2 ] || usage; build=$2; shift ;;
	--out) [ $# -ge 2 ] || usage; out=$2; shift ;;
	-*) usage ;;
	*) paths="$paths $1" ;;
	esac
	shift
done
[ "$paths" ] || paths=$(echo "$limits" | cut -d ' ' -f 1)
program=$build/tests/bench/bench_path
batches=200
if ! command -v valgrind >/dev/null; then
	echo "SKIPPED: instr.sh: no valgrind here" >&2
	exit 77
fi
if [ ! -x "$program" ]; then
	echo "instr.sh: no $program; build the release preset first" >&2
	exit 1
fi

# valgrind counts `rep movsb` once a byte, which no machine does (limits.md, 9)
huge=2000000000
export GLIBC_TUNABLES=glibc.cpu.x86_rep_movsb_threshold=$huge:glibc.cpu.x86_rep_stosb_threshold=$huge
tmp=$(mktemp -d)
trap 'rm -rf "$tmp"' EXIT

compiler=$(cc --version | head -n 1)
kept=docs/benchmarks/instr.json
if [ "$out" ] || ! grep -qF "\"compiler\": \"$compiler\"" $kept; then
	kept=/dev/null
fi

status=0
for path in $paths; do
	valgrind --tool=callgrind --callgrind-out-file="$tmp/out" --toggle-collect=bench_measured \
		"$program" "$path" "$batches" >"$tmp/log" 2>&1 || { cat "$tmp/log" >&2; exit 1; }
	refs=$(sed -n 's/^\(summary\|totals\): *//p' "$tmp/out" | head -n 1)
	each=$(awk "BEGIN { printf \"%.1f\", $refs / ($batches * 64) }")
	limit=$(echo "$limits" | sed -n "s/^$path //p")
	printf '%-16s %8s instructions a frame, %s at most\n' "$path" "$each" "${limit:-?}"
	echo "  \"$path\": $each" >>"$tmp/json"
	echo "| $path | $each |" >>"$tmp/rows"
	was=$(sed -n "s/^  \"$path\": \([0-9.]*\),*$/\1/p" $kept)
	if [ "$limit" ] && awk "BEGIN { exit !($each > $limit) }"; then
		echo "instr.sh: $path takes more than $limit" >&2
		status=1
	elif [ "$was" ] && awk "BEGIN { exit !($each > 1.05 * $was) }"; then
		echo "instr.sh: $path took $was, and takes more than 5 % more now; if that is worth it, --out docs" >&2
		status=1
	fi
done
[ "$out" ] || exit $status

echo "  \"compiler\": \"$compiler\"" >>"$tmp/json"
mkdir -p "$out/benchmarks"
{ echo "{"; sed '$!s/$/,/' "$tmp/json"; echo "}"; } >"$out/benchmarks/instr.json"
{
	echo "| path | instructions a frame |"
	echo "|---|---|"
	cat "$tmp/rows"
	echo
	echo "Batches of 64 frames of 60 bytes, $compiler, release preset:" \
		"\`tests/bench/instr.sh --out docs\`"
} | python3 tests/bench/page.py "$out" instr
exit $status
