#!/usr/bin/env bash
# quickstart.sh - from a clone to a network with a virtual machine on it, in one command.
#
#   sudo docs/quickstart.sh            Debian, Ubuntu: leaves fethd running, with the network `lab`
#   docs/quickstart.sh                 the same without root: in a network namespace of fethd's own. On macOS,
#                                      with Homebrew: a network among programs, and what to do for more
#   docs/quickstart.sh --check         the same, then takes it all away again; exit status 0 or 1
#
# Installs what is missing (apt-get), builds into build/quickstart, starts fethd, makes the network, boots
# a small guest from Debian's cloud kernel and busybox (tests/guest/build.sh), and lets guest and host ping
# each other. Run again, it finds what is there. Environment: FETHD_RUN_DIR, where fethd's sockets are to
# be; FETHD_GUEST_DIR, where the guest is kept.
set -euo pipefail
cd "$(dirname "$0")/.."

readonly network=lab host_ip=10.77.0.1 guest_ip=10.77.0.2 guest_mac=02:77:00:00:00:02
readonly build=$PWD/build/quickstart
readonly fethd=$build/server/fethd fethctl=$build/clients/fethctl
guest_dir=${FETHD_GUEST_DIR:-$PWD/build/guest}
tmp=$(mktemp -d /tmp/fethd-quickstart.XXXXXX) # short, for socket paths are
check=0 daemon_pid='' started=0 guest_pid='' finished=0
python=python3 rootless=0
[ "$(id -u)" = 0 ] || rootless=1

say()
{
	echo "==> $*"
}

die()
{
	echo "quickstart.sh: $*" >&2
	exit 1
}

# quietly CMD... - shows what it says only if it fails
quietly()
{
	"$@" >"$tmp/log" 2>&1 </dev/null || {
		local status=$?
		tail -n 30 "$tmp/log" >&2
		return $status
	}
}

# as_owner CMD... - whoever owns this clone owns what is built in it, also under sudo
as_owner()
{
	local uid gid
	read -r uid gid < <(stat -c '%u %g' . 2>/dev/null || stat -f '%u %g' .)
	if [ "$(id -u)" = 0 ] && [ "$uid" != 0 ] && command -v setpriv >/dev/null; then
		setpriv --reuid "$uid" --regid "$gid" --clear-groups -- "$@"
	else
		"$@"
	fi
}

stop_guest()
{
	[ -n "$guest_pid" ] || return 0
	kill "$guest_pid" 2>/dev/null || true
	wait "$guest_pid" 2>/dev/null || true
	guest_pid=''
}

stop_daemon()
{
	[ "$started" = 1 ] || return 0
	started=0
	kill "$daemon_pid" 2>/dev/null || true
	for _ in $(seq 100); do
		kill -0 "$daemon_pid" 2>/dev/null || return 0
		sleep 0.1
	done
	kill -KILL "$daemon_pid" 2>/dev/null || true
	return 1
}

# Whatever happens, nothing half done stays behind.
cleanup()
{
	local status=$?
	stop_guest
	if [ "$finished" = 0 ]; then
		if [ "$started" = 1 ] && [ -s "$log" ]; then
			echo "fethd's log:" >&2
			tail -n 20 "$log" >&2
		fi
		stop_daemon || true
	fi
	rm -rf "$tmp"
	exit "$status"
}

# --- packages -----------------------------------------------------------------------------------

installed()
{
	dpkg-query -W -f '${Status}' "$1" 2>/dev/null | grep -q 'ok installed'
}

# One word per package; libmsgpack-c-dev is the newer name of libmsgpack-dev.
missing_packages()
{
	local p
	for p in gcc libc6-dev cmake ninja-build pkg-config libuv1-dev libjansson-dev libinih-dev libmnl-dev libpcap-dev \
		qemu-system-x86 iproute2 python3-msgpack cpio xz-utils; do
		installed "$p" || echo "$p"
	done
	installed libmsgpack-dev || installed libmsgpack-c-dev || echo libmsgpack
}

apt()
{
	local root=()
	[ "$(id -u)" = 0 ] || root=(sudo)
	quietly "${root[@]}" env DEBIAN_FRONTEND=noninteractive apt-get -qq "$@"
}

guest_built()
{
	[ -e "$guest_dir/.stamp" ]
}

install_packages()
{
	local missing
	mapfile -t missing < <(missing_packages)
	if [ ${#missing[@]} = 0 ] && guest_built; then
		say "packages: all there"
		return
	fi
	if ! command -v apt-get >/dev/null; then
		[ ${#missing[@]} = 0 ] || die "this is no Debian or Ubuntu; install the counterparts of: ${missing[*]}"
		return
	fi
	if [ "$(id -u)" != 0 ] && ! command -v sudo >/dev/null; then
		[ ${#missing[@]} = 0 ] || die "not root, and there is no sudo: ask for these packages: ${missing[*]}"
		return # and apt's lists are taken as they are
	fi
	say "packages: apt-get update"
	if ! apt update; then
		[ ${#missing[@]} = 0 ] || die "apt-get update failed"
		say "packages: apt-get update failed; going on with the lists as they are"
	fi
	[ ${#missing[@]} -gt 0 ] || return 0
	local i
	for i in "${!missing[@]}"; do
		[ "${missing[i]}" = libmsgpack ] || continue
		missing[i]=libmsgpack-dev
		[ -z "$(apt-cache madison libmsgpack-c-dev)" ] || missing[i]=libmsgpack-c-dev
	done
	say "packages: apt-get install ${missing[*]}"
	apt install --no-install-recommends --yes "${missing[@]}" || die "apt-get install failed"
}

# --- build --------------------------------------------------------------------------------------

build_fethd()
{
	say "build: the release preset, into build/quickstart"
	quietly as_owner cmake --preset release -B "$build" -DFETHD_TESTS=OFF &&
		quietly as_owner cmake --build "$build"
}

# Status 77: none can be made here.
build_guest()
{
	local status=0
	if guest_built; then
		say "guest: kernel and initrd are in $guest_dir"
		as_owner test -w "$guest_dir/.lock" || return 0 # somebody else's: as it is
	else
		say "guest: Debian's cloud kernel and busybox, into $guest_dir"
	fi
	as_owner tests/guest/build.sh "$guest_dir" >"$tmp/log" 2>&1 </dev/null || status=$?
	[ $status = 0 ] || tail -n 5 "$tmp/log" >&2
	return $status
}

# --- daemon and network -------------------------------------------------------------------------

choose_run_dir()
{
	if [ -z "${FETHD_RUN_DIR:-}" ]; then
		if [ "$check" = 1 ]; then
			FETHD_RUN_DIR=$tmp/run # nobody else's
		elif [ "$(uname)" = Darwin ]; then
			FETHD_RUN_DIR=$HOME/.fethd # on_macos() is nothing for root
		elif [ "$rootless" = 0 ]; then
			FETHD_RUN_DIR=/run/fethd
		else
			FETHD_RUN_DIR=${XDG_RUNTIME_DIR:-/tmp}/fethd
			[ -n "${XDG_RUNTIME_DIR:-}" ] || FETHD_RUN_DIR+=-$(id -u)
		fi
	fi
	export FETHD_RUN_DIR # fethd and fethctl heed it
	chmod 755 "$tmp"     # the daemon's directory may be in here
}

running_pid()
{
	"$fethctl" daemon show 2>/dev/null | awk '$1 == "Process:" { print $2 }'
}

start_daemon()
{
	daemon_pid=$(running_pid) || daemon_pid=''
	if [ -n "$daemon_pid" ]; then
		[ "$check" = 0 ] || die "a fethd serves $FETHD_RUN_DIR already; stop it, or set FETHD_RUN_DIR"
		say "fethd: running already in $FETHD_RUN_DIR, pid $daemon_pid"
		return
	fi
	local options=()
	if [ "$rootless" = 1 ] && [ "$(uname)" = Linux ]; then
		options=(--rootless)
		say "fethd: starting in $FETHD_RUN_DIR; not root, so in a network namespace of its own (--rootless)"
	else
		say "fethd: starting in $FETHD_RUN_DIR"
	fi
	log=$build/fethd.log
	[ "$check" = 0 ] || log=$tmp/fethd.log
	rm -f "$log"
	# A process of its own: it outlives this script, and its terminal.
	if command -v setsid >/dev/null; then
		setsid "$fethd" "${options[@]+"${options[@]}"}" >"$log" 2>&1 </dev/null &
	else
		nohup "$fethd" "${options[@]+"${options[@]}"}" >"$log" 2>&1 </dev/null &
	fi
	daemon_pid=$! started=1
	local i
	for ((i = 0; i < 100; i++)); do
		[ -z "$(running_pid)" ] || return 0
		kill -0 "$daemon_pid" 2>/dev/null || die "fethd did not start"
		sleep 0.1
	done
	die "fethd does not answer"
}

make_network()
{
	if "$fethctl" show "$network" >"$tmp/show" 2>/dev/null; then
		grep -q "$host_ip/24" "$tmp/show" ||
			die "there is a network $network, but without the address $host_ip/24; delete it, or try it yourself"
		say "network $network: there already"
		return
	fi
	if [ "$rootless" = 0 ] && grep -qF " ${host_ip%.*}." <<<"$(ip -o -4 address show)"; then
		die "this machine has an address in ${host_ip%.*}.0/24 already, which this script wants for itself"
	fi
	# Whoever said sudo may attach to it as himself.
	local group=()
	[ -z "${SUDO_GID:-}" ] || group=(--group "$SUDO_GID")
	quietly "$fethctl" create "$network" --address "$host_ip/24" "${group[@]}" || die "cannot make the network"
	"$fethctl" show "$network" >"$tmp/show"
	say "network $network: the host is $host_ip on $(awk '/^Host interface/ { print $NF }' "$tmp/show")"
}

# --- the guest ----------------------------------------------------------------------------------

# The line to boot a machine by.
qemu_command()
{
	# shellcheck disable=SC2054 # the commas are QEMU's
	qemu=(qemu-system-x86_64 -accel "$1" -m 256 -nodefaults -no-user-config -display none -no-reboot
		-kernel "$guest_dir/vmlinuz" -initrd "$guest_dir/initrd.img"
		-append "console=ttyS0 quiet loglevel=1 panic=-1 host=guest addr=$guest_ip/24"
		-chardev stdio,id=console,signal=off -serial chardev:console
		-netdev socket,id=n,fd=3 -device "virtio-net-pci,netdev=n,mac=$guest_mac,romfile=")
}

# boot_guest ACCEL SECONDS - whether it says within so many seconds that it is ready
boot_guest()
{
	local line end=$((SECONDS + $2))
	qemu_command "$1"
	coproc "$fethctl" run "$network" --mac "$guest_mac" -- "${qemu[@]}" 2>"$tmp/qemu"
	guest_pid=$COPROC_PID
	exec {from_guest}<&"${COPROC[0]}" {to_guest}>&"${COPROC[1]}"
	while [ $SECONDS -lt $end ] && IFS= read -r -t $((end - SECONDS)) line <&"$from_guest"; do
		[ "$line" != 'guest ready' ] || return 0
	done
	stop_guest
	exec {from_guest}<&- {to_guest}>&-
	return 1
}

# guest_run CMD - runs it in the guest; its output and status are the guest's (tests/guest/init)
guest_run()
{
	local mark=q$RANDOM$RANDOM line
	echo "= $mark $(echo "$1" | base64 | tr -d '\n')" >&"$to_guest"
	while IFS= read -r -t 60 line <&"$from_guest"; do
		case $line in
		"$mark+") ;;
		"$mark:"*) return "${line#*:}" ;;
		*) echo "$line" ;;
		esac
	done
	return 1
}

boot_some_guest()
{
	# Where it is emulated badly a guest of KVM hangs before its first line; 10 s are plenty otherwise.
	if [ -r /dev/kvm ] && [ -w /dev/kvm ]; then
		say "guest: booting with KVM"
		boot_guest kvm 10 && return
		say "guest: not a word from it within 10 s, so without KVM (slower)"
	else
		say "guest: booting without KVM (slower)"
	fi
	boot_guest tcg 120 || {
		cat "$tmp/qemu" >&2
		die "the guest does not boot"
	}
}

pings()
{
	say "guest pings host: ping $host_ip"
	guest_run "ping -q -c 3 -w 20 $host_ip" >"$tmp/log" || {
		cat "$tmp/log" >&2
		die "the host does not answer the guest"
	}
	say "host pings guest: ping $guest_ip"
	quietly "$fethctl" enter "$network" -- "$guest_dir/busybox" ping -q -c 3 -w 20 "$guest_ip" ||
		die "the guest does not answer the host"
}

# Both examples at once, each to hear what the other says.
examples()
{
	local path=$FETHD_RUN_DIR/$network/feth.sock pids=()
	say "examples: hello.c and hello.py exchange a frame"
	"$build/clients/hello" "$path" 02:77:00:00:00:0c "from C" 3 >"$tmp/c" 2>"$tmp/c.err" &
	pids+=($!)
	"$python" clients/examples/hello.py "$path" 02:77:00:00:00:0d "from Python" 2 >"$tmp/py" 2>"$tmp/py.err" &
	pids+=($!)
	sleep 1 # both are ports by now: say it again
	"$build/clients/hello" "$path" 02:77:00:00:00:0e "from C" 0 >/dev/null 2>&1 || true
	wait "${pids[@]}" || true
	if ! grep -q 'from Python' "$tmp/c" || ! grep -q 'from C' "$tmp/py"; then
		cat "$tmp/c" "$tmp/c.err" "$tmp/py" "$tmp/py.err" >&2
		return 1
	fi
}

# --- what now -----------------------------------------------------------------------------------

what_next()
{
	local sudo='sudo ' attach='' dir='' ctl enter=''
	[ "$rootless" = 0 ] || sudo=''
	[ -n "${SUDO_GID:-}" ] || attach=$sudo
	[ "$FETHD_RUN_DIR" = /run/fethd ] || dir=" --run-dir $FETHD_RUN_DIR"
	ctl="${sudo}build/quickstart/clients/fethctl$dir"
	[ "$rootless" = 0 ] || enter="
  ping it from where its host side is    $ctl enter $network -- ping 10.77.0.3"
	cat <<-NEXT

	fethd is running, pid $daemon_pid, and the host is $host_ip on network $network. What next:

	  see your networks                      $ctl list
	  see all of this one                    $ctl show $network
	  see who is on it                       $ctl port list $network$enter
	  put a QEMU of yours on it (one mac= per guest), and give the guest an address in ${host_ip%.*}.0/24:
	    ${attach}build/quickstart/clients/fethctl$dir run $network --mac 52:54:00:00:00:01 -- \\
	      qemu-system-x86_64 -netdev socket,id=n,fd=3 -device virtio-net-pci,netdev=n,mac=52:54:00:00:00:01 ...
	  attach a program of ten lines:
	    ${attach}$python clients/examples/hello.py $FETHD_RUN_DIR/$network/feth.sock 02:00:00:00:00:01 hello 10
	  stop it, and take everything away      $ctl daemon stop
	NEXT
}

on_linux()
{
	[ "$rootless" = 0 ] || echo "Not root: fethd runs --rootless, and its interfaces live in a namespace of its own."
	install_packages
	# python3-msgpack is for Debian's own Python, which need not be the first in PATH.
	"$python" -c 'import msgpack' 2>/dev/null || python=/usr/bin/python3
	build_fethd || die "the build failed"
	local guest=0
	build_guest || guest=$?
	[ $guest = 0 ] || [ $guest = 77 ] || die "the guest could not be made"
	start_daemon
	make_network
	if [ $guest = 0 ]; then
		boot_some_guest
		pings
		stop_guest
	else
		# 77: no Debian kernel to be had here, as on Ubuntu or another processor.
		say "guest: none can be made here, so the examples must do"
		examples || die "they did not hear each other"
		[ "$check" = 0 ] || die "checked without a guest, which is not enough"
	fi
	if [ "$check" = 1 ]; then
		stop_daemon || die "fethd did not end"
		left_nothing
		say "checked: all is well, and nothing is left"
	else
		what_next
	fi
}

left_nothing()
{
	local host
	host=$(awk '/^Host interface/ { print $NF }' "$tmp/show")
	if [ -e "$FETHD_RUN_DIR/control.sock" ] || [ -e "$FETHD_RUN_DIR/$network" ]; then
		die "there are still files in $FETHD_RUN_DIR"
	fi
	if [ -e "/proc/sys/net/ipv4/conf/$host/forwarding" ]; then
		die "there is still an interface $host"
	fi
}

# NEVER RUN ON A MAC, whose bash is 3.2: no mapfile, no coproc here. Written by what Homebrew's and Apple's documents say; that all of it compiles and links
# for macOS is checked on Linux (tests/macos/cross.sh). A host side needs root there, and Homebrew wants none: so programs among themselves must do.
on_macos()
{
	command -v brew >/dev/null || die "this needs Homebrew, https://brew.sh"
	[ "$rootless" = 1 ] || die "Homebrew does not run as root; run this as yourself"
	say "packages: brew install libuv msgpack jansson inih cmake ninja pkg-config"
	quietly brew install --quiet libuv msgpack jansson inih cmake ninja pkg-config || die "brew failed"
	build_fethd || die "the build failed"
	# The Python example wants msgpack, of which Homebrew has no package.
	python=$build/python/bin/python
	if [ ! -x "$python" ]; then
		quietly python3 -m venv "$build/python" || die "cannot make a Python environment"
		quietly "$python" -m pip install msgpack || die "cannot install msgpack for Python"
	fi
	start_daemon
	if ! "$fethctl" show "$network" >/dev/null 2>&1; then
		quietly "$fethctl" create "$network" --backend none || die "cannot make the network"
	fi
	say "network $network: among programs only (backend none)"
	examples || die "they did not hear each other"
	if [ "$check" = 1 ]; then
		stop_daemon || die "fethd did not end"
		say "checked: all is well"
	else
		cat <<-NEXT

		fethd is running, pid $daemon_pid. What next:

		  see all of the network                 build/quickstart/clients/fethctl --run-dir $FETHD_RUN_DIR show $network
		  stop it                                build/quickstart/clients/fethctl --run-dir $FETHD_RUN_DIR daemon stop
		  a network that the Mac itself is on    sudo build/quickstart/server/fethd
		    and in another terminal              sudo build/quickstart/clients/fethctl create $network --address $host_ip/24
		  and how to have it always              docs/macos.md
		NEXT
	fi
}

case ${1:-} in
'') ;;
--check) check=1 ;;
-h | --help)
	sed -n '2,/^set /{ /^set /d; s/^# \{0,1\}//; p; }' "$0"
	exit 0
	;;
*)
	echo "usage: docs/quickstart.sh [--check]" >&2
	exit 2
	;;
esac

log=/dev/null
trap cleanup EXIT
trap 'exit 130' INT TERM HUP
choose_run_dir
case $(uname) in
Linux) on_linux ;;
Darwin) on_macos ;;
*) die "this is neither Linux nor macOS" ;;
esac
finished=1
