#!/usr/bin/env bash
# run.sh - installs what the tests need, builds, runs them all, and says what each part took.
#
#   tests/run.sh              the set for every change: under 20 minutes on 2 cores
#   tests/run.sh --full       the long one: fuzzers 60 s each, coverage, 60 s of churn, 64 MB transfers, more
#                             guests, a million operations on the simulated Darwin kernel
#   tests/run.sh PART...      only these parts (tests/run.sh --list names them)
#   --no-install              packages are taken as they are
#
# As root everything runs; anything skipped then is a failure. As an ordinary user what needs root is
# skipped, loudly. Traffic stays on this machine: Unix sockets, and network namespaces made by the tests.
set -uo pipefail
cd "$(dirname "$0")/.." || exit 1

ALL="build lint unit property clang daemon tsan darwin macos netns guest fuzz install quickstart bench"
FULL_ONLY="coverage tidy"
PACKAGES="build-essential cmake ninja-build pkg-config git ca-certificates
	libuv1-dev libmsgpack-dev libjansson-dev libinih-dev libmnl-dev libpcap-dev libcmocka-dev
	clang clang-format clang-tidy libclang-rt-14-dev lcov valgrind
	python3 python3-msgpack python3-prometheus-client tmux
	iproute2 iputils-ping tcpdump tshark procps util-linux kmod cpio xz-utils zstd
	qemu-system-x86 user-mode-linux busybox-static dnsmasq-base nftables vde2 libvdeplug-dev iperf3 ethtool avahi-daemon openvswitch-switch passt simh
	dpkg-dev file llvm"
command -v npm >/dev/null || PACKAGES="$PACKAGES npm" # from wherever it is; Debian's is large

full=0 install=1 parts=""
for arg in "$@"; do
	case $arg in
	--full) full=1 ;;
	--no-install) install=0 ;;
	--list) echo $ALL $FULL_ONLY; exit 0 ;;
	-*) echo "usage: tests/run.sh [--full] [--no-install] [--list] [PART...]" >&2; exit 2 ;;
	*) parts="$parts $arg" ;;
	esac
done
if [ -z "$parts" ]; then
	parts=$ALL
	[ $full = 0 ] || parts="$ALL $FULL_ONLY"
fi

root=0
[ "$(id -u)" != 0 ] || root=1
jobs=$(nproc)
waiting=$((jobs + 1)) # of tests that wait more than they work
results=$PWD/build/results
mkdir -p "$results"
rm -f "$results"/*
export FETHD_GUEST_DIR=$PWD/build/guest
export FETHD_RELEASE=$PWD/build/release/server/fethd
export FETHD_FULL=$full
[ $full = 0 ] || export FETHD_CHURN_SECONDS=60 FETHD_SOAK_OPS=1000000 FETHD_OPERATIONS=5000
seconds=5
[ $full = 0 ] || seconds=60
# Shown only where something is wrong, so that the log stays readable.
export ASAN_OPTIONS=abort_on_error=0 UBSAN_OPTIONS=print_stacktrace=1

passed=0 failed=0 skipped=0 table=""

note() { printf '\n=== %s\n' "$*"; }

# step NAME CMD... : one thing that passes, fails, or (77) is skipped
step() {
	local name=$1 start=$SECONDS rc
	shift
	"$@"
	rc=$?
	case $rc in
	0) passed=$((passed + 1)) ;;
	77) skipped=$((skipped + 1)); echo "SKIPPED: $name" ;;
	*) failed=$((failed + 1)); echo "FAILED: $name (exit $rc)" ;;
	esac
	printf '%-28s %4d s  exit %d\n' "$name" $((SECONDS - start)) $rc
	return $rc
}

# tests LABEL DIR [ctest options]: every test of a label, counted one by one
tests() {
	local label=$1 dir=$2 xml
	shift 2
	xml=$results/$label-$(basename "$dir").xml
	ctest --test-dir "$dir" -L "^$label\$" --output-on-failure --no-tests=error --output-junit "$xml" "$@"
	local rc=$? counts
	if [ ! -s "$xml" ]; then
		failed=$((failed + 1))
		return 1
	fi
	counts=$(python3 - "$xml" <<-'PY'
		import sys, xml.etree.ElementTree as et
		cases = et.parse(sys.argv[1]).getroot().findall("testcase")
		by = [c.get("status") for c in cases]
		print(by.count("run"), by.count("fail"), len(by) - by.count("run") - by.count("fail"))
	PY
	)
	read -r p f s <<<"$counts"
	passed=$((passed + p)) failed=$((failed + f)) skipped=$((skipped + s))
	return $rc
}

# configure_and_build PRESET [TARGET]
configure_and_build() {
	cmake --preset "$1" >"$results/cmake-$1.log" 2>&1 || { cat "$results/cmake-$1.log"; return 1; }
	cmake --build --preset "$1" -j "$jobs" ${2:+--target "$2"} >"$results/build-$1.log" 2>&1 ||
		{ tail -60 "$results/build-$1.log"; return 1; }
}

have() { [ -e "build/$1/build.ninja" ] || configure_and_build "$1"; }

install_packages() {
	if ! command -v apt-get >/dev/null; then
		echo "This is no Debian or Ubuntu: install the counterparts of: $(echo $PACKAGES)"
		return 77
	fi
	local missing=""
	for p in $PACKAGES; do
		dpkg-query -W -f '${Status}' "$p" 2>/dev/null | grep -q 'ok installed' || missing="$missing $p"
	done
	[ -n "$missing" ] || return 0
	if [ $root = 0 ]; then
		echo "not root, so not installed:$missing"
		return 0
	fi
	apt-get update -qq && DEBIAN_FRONTEND=noninteractive apt-get install -y -qq \
		--no-install-recommends $missing >"$results/apt.log" 2>&1 || { tail -20 "$results/apt.log"; return 1; }
}

part_build() { step "build dev (gcc)" configure_and_build dev && step "build release" configure_and_build release; }
part_lint() { have dev && tests lint build/dev; }
part_unit() { have dev && tests unit build/dev -j "$jobs"; }
part_property() { have dev && tests property build/dev -j "$jobs"; }
part_clang() {
	step "build clang" configure_and_build clang unit && tests unit build/clang -j "$jobs"
}
part_daemon() { have release && have dev && tests daemon build/dev -j "$waiting"; }
# a line per rule: on how many releases it was tested, by how many tests
rules() {
	build/dev/tests/darwin/darwin_rules >"$results/rules.log" 2>&1
	local rc=$?
	[ $rc = 0 ] || grep -v -E '^rule .* (ok|not here)' "$results/rules.log"
	awk '$1 == "rule" && $4 == "ok" { tests[$2]++; if (!seen[$2 $3]++) on[$2]++ }
		END { for (n = 1; n <= 59; n++) { r = sprintf("%02d", n)
			printf "rule %s %s on %d releases, %d times\n", r, tests[r] ? "ok" : "NOT TESTED", on[r], tests[r]
			bad += !tests[r] } exit bad > 0 }' "$results/rules.log" && return $rc
}

part_darwin() {
	have dev && tests darwin build/dev -j "$waiting" || return 1
	step "rules of the kernel" rules
	[ $full = 0 ] || tests darwin-full build/dev -j "$jobs"
}
part_macos() { step "build for macOS" bash tests/macos/cross.sh; }
# a race is found where both sides were run, so a few tests that do a lot at once find most
part_tsan() {
	have release || return 1
	step "build tsan" configure_and_build tsan threads && step "inbox (tsan)" build/tsan/tests/test_inbox &&
		step "closing (tsan)" build/tsan/tests/test_closing && step "ring (tsan)" build/tsan/tests/test_ring || return 1
	if [ $full = 1 ]; then
		tests daemon build/tsan -j "$jobs"
	else
		tests daemon build/tsan -j "$jobs" -R '/test_(threads|switch|access)$'
	fi
}
part_netns() { have dev && tests netns build/dev -j "$waiting"; }
part_guest() {
	have release || return 1
	step "guest image" bash tests/guest/build.sh "$FETHD_GUEST_DIR"
	tests guest build/release -j "$jobs"
	[ $full = 0 ] || tests guest-full build/release -j "$jobs"
}
part_fuzz() {
	step "build fuzz" configure_and_build fuzz && step "fuzz $seconds s each" bash tests/fuzz/run.sh build/fuzz $seconds
}
part_install() { have release && step "install, use libfeth" bash tests/lint/installed.sh build/release; }
part_quickstart() {
	if [ $root = 1 ]; then # in a network namespace of its own: the machine's is not ours to change
		bash tests/guest/build.sh "$FETHD_GUEST_DIR" || return 1 # nothing can be downloaded in there
		step "quickstart --check" unshare -n -- env FETHD_RUN_DIR=/tmp/fethd-quickstart bash docs/quickstart.sh --check
	else
		step "quickstart --check" env FETHD_RUN_DIR=/tmp/fethd-quickstart-$(id -u) bash docs/quickstart.sh --check
	fi
}
part_bench() { have release && step "bench --quick" bash tests/bench/bench.sh --quick && step "instructions per frame" bash tests/bench/instr.sh; }
part_coverage() { step "coverage over 90 %" bash tests/lint/coverage.sh; }
part_tidy() { step "clang-tidy" configure_and_build tidy; }

begin=$SECONDS
[ $install = 0 ] || step "packages" install_packages
for part in $parts; do
	if ! declare -F "part_$part" >/dev/null; then
		echo "tests/run.sh: there is no part $part; --list names them" >&2
		exit 2
	fi
	note "$part"
	start=$SECONDS before=$failed
	"part_$part" || [ $failed -gt $before ] || failed=$((failed + 1))
	table="$table$(printf '%-12s %5d s' "$part" $((SECONDS - start)))"$'\n'
done

note "time per part"
printf '%s' "$table"
printf '%-12s %5d s\n' total $((SECONDS - begin))
if [ $skipped -gt 0 ]; then
	echo "SKIPPED $skipped: see the lines with 'Skipped' or 'SKIPPED' above"
	[ $root = 0 ] || { echo "As root nothing may be skipped."; failed=$((failed + 1)); }
fi
echo "$passed passed, $failed failed, $skipped skipped"
[ $failed = 0 ]
