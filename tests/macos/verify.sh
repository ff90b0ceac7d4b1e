#!/usr/bin/env bash
# verify.sh - holds a real Mac against what fethd believes about its kernel, and fethd against the Mac.
#
#   sudo tests/macos/verify.sh [--all] [--quick] [BUILD-FOLDER]
#
# THIS SCRIPT HAS NOT BEEN RUN ON A MAC YET. Where it stumbles, that is news too: please send what it wrote.
#
# Takes about five minutes and needs no network:
#   1. builds what is missing, as you, not as root (default folder: build/release; Homebrew's cmake, ninja, pkg-config,
#      libuv, msgpack, jansson, inih, cmocka)
#   2. writes down the release of macOS, the processor, the settings of feth and BPF, the feth interfaces there are
#   3. runs darwin_rules: the 59 rules of docs/macos.md on this kernel
#   4. runs bench_inject: AF_NDRV against BPF (20 seconds)
#   5. runs fethd with one network for a minute: addresses, MTU, MAC, ping both ways, the pair destroyed under it
#
# All of it goes to the screen and into fethd-verify-DATE.txt in the folder you are in: that file is what to send. It
# has no host name, serial number, user name or address of yours.
#
# It touches only what it makes: the interfaces feth26100 and feth31000 to feth32767 (it will not start where one of them
# exists), the sysctl net.link.fake.max_mtu (put back), the subnet 198.51.100.0/24, which is for documentation only
# (it will not start where this machine uses it), and a folder of its own in /tmp. However it ends, it takes all of that
# away again. No other interface is changed.
#
#   --all     also what takes a unit outside of that range for a moment (rule 4), and what leaves a stale entry in a list
#             of the kernel's until a descriptor is closed (rule 41). Not on a machine that others need.
#   --quick   without bench_inject
#
# Exit status: 0 all is as believed; 1 something is not (the report says what); 2 it could not be tried; 77 no Mac.
set -uo pipefail

readonly net=verify unit=26100 host_addr=198.51.100.1 guest_addr=198.51.100.2
readonly host=feth26100 service=feth31100 # fethd adds 5000 for the service member; --unit-base 22000 allows 26100
readonly max_mtu=net.link.fake.max_mtu
here=$(cd "$(dirname "$0")/../.." && pwd) || exit 2
tmp='' child='' daemon='' writer='' saved_max_mtu='' armed=0 failed=0 checks=0

say()
{
	printf '\n==> %s\n' "$*"
}

die()
{
	echo "verify.sh: $*" >&2
	exit 2
}

# check WORDS CMD... - one line in the report, and what CMD says only if it fails. (By exec: a redirection of CMD alone
# keeps the report's pipe open behind the back of cleanup.)
check()
{
	local words=$1 status
	shift
	checks=$((checks + 1))
	exec >"$tmp/check" 2>&1
	"$@" </dev/null
	status=$?
	exec >&4 2>&1
	if [ $status = 0 ]; then
		echo "ok      $words"
	else
		failed=$((failed + 1))
		echo "FAILED  $words"
		sed 's/^/        | /' "$tmp/check" | tail -n 15
	fi
}

# within SECONDS CMD... - tries until it works
within()
{
	local end=$((SECONDS + $1))
	shift
	until "$@"; do
		[ $SECONDS -lt $end ] || return 1
		sleep 0.2
	done
}

# limited SECONDS CMD... - ends it by SIGTERM when it takes longer; the trap below can reach it
limited()
{
	local end=$((SECONDS + $1)) status
	shift
	"$@" &
	child=$!
	while kill -0 "$child" 2>/dev/null; do
		if [ $SECONDS -ge $end ]; then
			echo "verify.sh: $1 takes too long, and is stopped"
			kill -TERM "$child" 2>/dev/null
		fi
		sleep 0.5
	done
	wait "$child"
	status=$?
	child=''
	return $status
}

# --- interfaces: only those that are ours ---------------------------------------------------------

exists()
{
	ifconfig "$1" >/dev/null 2>&1
}

gone()
{
	! exists "$1"
}

# What there is of the names that are ours to use.
ours()
{
	local name number
	for name in $(ifconfig -l); do
		case $name in
		"$host") echo "$name" ;;
		feth3[12][0-9][0-9][0-9])
			number=${name#feth}
			[ "$number" -gt 32767 ] || echo "$name"
			;;
		esac
	done
}

none_of_ours()
{
	[ -z "$(ours)" ]
}

# No pipe into grep -q: it ends early, and what writes into the pipe then fails (pipefail).
has()
{
	grep -qE "$2" <<<"$(ifconfig "$1" 2>/dev/null)"
}

# --- the end, whichever it is ---------------------------------------------------------------------

end_process()
{
	local i
	kill -TERM "$1" 2>/dev/null || return 0
	for ((i = 0; i < 100; i++)); do
		kill -0 "$1" 2>/dev/null || return 0
		sleep 0.1
	done
	kill -KILL "$1" 2>/dev/null
}

cleanup()
{
	local status=$? name
	trap '' INT TERM HUP PIPE
	[ -z "$writer" ] || exec >&4 2>&1 # a check may be going on, whose words nobody sees
	if [ -n "$child" ]; then end_process "$child"; fi
	if [ -n "$daemon" ]; then end_process "$daemon"; fi
	if [ "$armed" = 1 ]; then
		for name in $(ours); do
			echo "verify.sh: removing $name, which was left over"
			ifconfig "$name" destroy
		done
		if [ -n "$saved_max_mtu" ] && [ "$(sysctl -n "$max_mtu")" != "$saved_max_mtu" ]; then
			echo "verify.sh: putting $max_mtu back to $saved_max_mtu"
			sysctl -w "$max_mtu=$saved_max_mtu" >/dev/null
		fi
	fi
	if [ -n "$writer" ]; then
		exec 4>&- >&3 2>&1
		wait "$writer"
	fi
	if [ -n "$tmp" ]; then rm -rf "$tmp"; fi
	echo
	case $status in
	0) echo "All is as believed. Please send $report all the same: it is good news." ;;
	1) echo "Something is not as believed. Please send $report." ;;
	*) echo "It did not come to its end. Please send $report." ;;
	esac
	exit $status
}

# --- before it begins -----------------------------------------------------------------------------

as_user()
{
	if [ -n "${SUDO_USER:-}" ] && [ "$SUDO_USER" != root ]; then
		sudo -u "$SUDO_USER" -- "$@"
	else
		"$@"
	fi
}

built()
{
	[ -x "$build/server/fethd" ] && [ -x "$build/clients/fethctl" ] && [ -x "$build/tests/darwin/darwin_rules" ]
}

# Homebrew's folder is not in root's PATH.
make_build()
{
	local tool
	if built; then
		echo "programs: those in $build"
		return
	fi
	PATH=$PATH:/opt/homebrew/bin:/usr/local/bin
	export PATH
	for tool in cmake ninja pkg-config cc; do
		command -v $tool >/dev/null ||
			die "there is nothing built in $build, and no $tool to build it with:" \
				"xcode-select --install; brew install cmake ninja pkg-config libuv msgpack jansson inih cmocka"
	done
	say "building into $build"
	(cd "$here" && as_user cmake --preset release -B "$build" &&
		as_user cmake --build "$build" --target fethd fethctl darwin_rules bench_inject) ||
		die "the build failed. Homebrew has what it needs: cmake ninja pkg-config libuv msgpack jansson inih cmocka"
	built || die "the build made no fethd, fethctl or darwin_rules in $build"
}

may_begin()
{
	none_of_ours || die "these exist already, and are what this script would make: $(ours | tr '\n' ' ')" \
		"- if an earlier run has left them, remove each: sudo ifconfig NAME destroy"
	! grep -q 'inet 198\.51\.100\.' <<<"$(ifconfig)" || die "this machine has an address in 198.51.100.0/24," \
		"which this script wants for itself"
}

# --- the parts ------------------------------------------------------------------------------------

machine()
{
	say "the machine"
	sw_vers
	uname -srm
	uname -v
	sysctl hw.model hw.ncpu machdep.cpu.brand_string 2>/dev/null
	(cd "$here" && as_user git describe --always --dirty 2>/dev/null | sed 's/^/fethd from git: /')
	say "settings of feth, BPF and sockets"
	sysctl net.link.fake 2>/dev/null || echo "no net.link.fake: this kernel has no feth"
	sysctl debug 2>/dev/null | grep bpf
	sysctl net.local.dgram kern.ipc.maxsockbuf net.inet6.ip6.auto_linklocal 2>/dev/null
	say "BPF devices, and feth interfaces of others (they are left alone)"
	find /dev -name 'bpf*' -exec ls -l {} + | awk '{ print $1, $3, $4 }' | sort | uniq -c
	ifconfig -l | tr ' ' '\n' | grep '^feth' || echo "no feth"
}

rules()
{
	say "the rules of the kernel"
	if limited 600 "$build/tests/darwin/darwin_rules" ${all:+--all}; then
		check "all rules that can be tried here hold" true
	else
		check "all rules that can be tried here hold (FAILED lines above)" false
	fi
	check "the rules left no interface" within 10 none_of_ours
}

bench()
{
	local program=$build/tests/bench/bench_inject
	say "what injecting costs"
	if [ ! -x "$program" ]; then
		echo "not run: there is no bench_inject in $build"
		return
	fi
	if limited 90 "$program" --seconds 20; then
		check "bench_inject ran" true
	else
		check "bench_inject ran (it says above why not)" false
	fi
	check "bench_inject left no interface" within 10 none_of_ours
}

ctl()
{
	"$build/clients/fethctl" --run-dir "$tmp/run" "$@"
}

# guest ARGUMENTS... - a port of the network, in Python
guest()
{
	limited 60 python3 "$here/tests/macos/ping.py" "$tmp/run/$net/qemu.sock" "$@"
}

# The host pings the guest, which answers as long as this lasts.
host_pings()
{
	local status
	python3 "$here/tests/macos/ping.py" "$tmp/run/$net/qemu.sock" answer "$guest_addr" 8 &
	child=$!
	sleep 1
	ping -c 3 -t 6 "$guest_addr"
	status=$?
	wait "$child"
	child=''
	return $status
}

daemon_start()
{
	"$build/server/fethd" --run-dir "$tmp/run" --unit-base 22000 --log-level debug >>"$tmp/log" 2>&1 </dev/null &
	daemon=$!
	within 10 ctl daemon show
}

daemon_gone()
{
	! kill -0 "$daemon" 2>/dev/null
}

stopped()
{
	ctl daemon stop && within 10 daemon_gone && wait "$daemon"
}

no_sockets()
{
	[ -z "$(find "$tmp/run" -type s 2>/dev/null)" ]
}

pings()
{
	if ! xcode-select -p >/dev/null 2>&1 && [ "$(command -v python3)" = /usr/bin/python3 ]; then
		echo "not tried: ping, for there is no Python (xcode-select --install)"
		return
	fi
	check "$1: a guest pings the host" guest ping "$host_addr" "$guest_addr" 56 5
	check "$1: the host pings a guest" host_pings
}

network()
{
	check "fethctl makes the network" ctl create $net --unit $unit --address $host_addr/24 --mtu 4000
	check "the host member has its address" has $host "inet $host_addr "
	check "the host member has its MTU" has $host 'mtu 4000'
	check "the host member is up" has $host 'flags=.*<UP,'
	check "the service member has the MTU too" has $service 'mtu 4000'
	check "they are peers" has $host "peer: $service"
	ctl show $net
	ifconfig $host
	ifconfig $service
	pings "new"
	check "a guest pings the host with 3900 bytes" guest ping $host_addr $guest_addr 3900 3

	check "fethctl changes the MTU" ctl set $net --mtu 1500
	check "the host member has it" has $host 'mtu 1500'
	check "fethctl changes the MAC" ctl set $net --mac 02:fe:7a:00:00:01
	check "the host member has it" has $host 'ether 02:fe:7a:00:00:01'
	pings "changed"
}

# Somebody else destroys it: fethd makes it again, with all it had.
vanishing()
{
	local name
	for name in $host $service; do
		check "$name is destroyed under fethd" ifconfig "$name" destroy
		check "it comes back, with its peer" within 15 has $host "peer: $service"
		check "with its address" within 5 has $host "inet $host_addr "
		check "with its MAC" has $host 'ether 02:fe:7a:00:00:01'
		pings "after $name was destroyed"
	done
}

leaving()
{
	ctl stats $net
	check "fethctl deletes the network" ctl delete $net
	check "its interfaces are gone" within 10 none_of_ours
	check "the network can be made again" ctl create $net --unit $unit --address $host_addr/24
	check "fethctl stops the daemon" stopped
	check "no interface is left" within 10 none_of_ours
	check "no socket is left" no_sockets
	daemon=''

	# and after a death without a word, the next daemon clears up
	check "fethd starts" daemon_start
	check "the network is made" ctl create $net --unit $unit
	kill -KILL "$daemon"
	wait "$daemon" 2>/dev/null
	check "a killed fethd leaves its pair" exists $host
	check "the next one starts" daemon_start
	check "and has removed it" within 10 none_of_ours
	check "it stops" stopped
	daemon=''
}

fethd()
{
	say "fethd on this Mac"
	check "fethd starts" daemon_start
	if daemon_gone; then
		cat "$tmp/log"
		return
	fi
	network
	vanishing
	leaving
	check "max_mtu is what it was" [ "$(sysctl -n "$max_mtu" 2>/dev/null)" = "$saved_max_mtu" ]
	say "fethd's log, its last lines"
	tail -n 60 "$tmp/log"
}

# What is said goes through tee, which is not to die by Ctrl-C (-i) before all of it is written.
begin_report()
{
	mkfifo "$tmp/said" || die "no pipe in $tmp"
	tee -i "$report" <"$tmp/said" &
	writer=$!
	exec 3>&1 4>"$tmp/said"
	exec >&4 2>&1
}

verify()
{
	trap cleanup EXIT
	trap 'exit 130' INT TERM HUP
	tmp=$(mktemp -d /tmp/fethd-verify.XXXXXX) || die "no folder in /tmp"
	begin_report
	make_build
	may_begin
	saved_max_mtu=$(sysctl -n "$max_mtu" 2>/dev/null)
	armed=1
	machine
	rules
	[ -n "$quick" ] || bench
	fethd
	say "the result: $checks checks, $failed FAILED"
	[ "$failed" = 0 ] || exit 1
}

# --- options --------------------------------------------------------------------------------------

all='' quick='' build=''
while [ $# -gt 0 ]; do
	case $1 in
	--all) all=1 ;;
	--quick) quick=1 ;;
	-*) die "usage: sudo tests/macos/verify.sh [--all] [--quick] [BUILD-FOLDER]" ;;
	*) build=$1 ;;
	esac
	shift
done
if [ "$(uname -s)" != Darwin ]; then
	echo "verify.sh: this is no Mac; on other systems the same rules run on a simulated kernel: tests/run.sh darwin" >&2
	exit 77
fi
[ "$(id -u)" = 0 ] || die "making interfaces takes root: sudo tests/macos/verify.sh"
build=${build:-$here/build/release}
case $build in
/*) ;;
*) build=$PWD/$build ;;
esac
report=$PWD/fethd-verify-$(date +%Y%m%d-%H%M%S).txt
: >"$report" || die "cannot write $report: run it from a folder that can be written to"
[ -z "${SUDO_UID:-}" ] || chown "$SUDO_UID:${SUDO_GID:-}" "$report"

verify
