#!/usr/bin/env bash
# cross.sh - compiles and links everything for macOS on Linux, for both of its processors, and looks at
# what came out. From a clean clone: deps.sh fetches what it takes.
#
# It shows that the sources are complete and meet Apple's headers and libraries without a warning. What
# they do is shown elsewhere: on the simulated kernel (tests/darwin), and on a Mac (verify.sh).
#
# Exit status: 0, 1, or 77 where a compiler cannot be had, or where some check cannot be made.
set -uo pipefail
cd "$(dirname "$0")/../.." || exit 1

readonly programs='server/fethd clients/fethctl clients/hello clients/dropins/socket_vmnet_client clients/dropins/vmnet-run clients/dropins/softnet tests/darwin/darwin_rules tests/bench/bench_inject'
readonly library=clients/libfeth.dylib
faults=0 unchecked=''

fault()
{
	echo "cross.sh: $*" >&2
	faults=$((faults + 1))
}

# have TOOL PACKAGE - a check without its tool is no check that passed
have()
{
	command -v "$1" >/dev/null && return 0
	case $unchecked in
	*" $1 "*) ;;
	*) unchecked="$unchecked $1 (package $2)" ;;
	esac
	return 1
}

# --- one build ----------------------------------------------------------------------------------

build()
{
	local arch=$1 log=build/macos/log/cross-$1
	{ cmake --preset "macos-$arch" && cmake --build --preset "macos-$arch"; } >"$log" 2>&1 || {
		tail -n 40 "$log" >&2
		fault "the build for $arch fails; all it said is in $log"
		return 1
	}
	! grep -n -i 'warning:' "$log" || fault "the build for $arch has warnings"
}

# kind FILE WORDS - what file(1) makes of it
kind()
{
	local is
	have file file || return 0
	is=$(file -b -L "$1")
	case $is in
	"$2"*) ;;
	*) fault "$1 is no $2, but $is" ;;
	esac
}

# It runs on macOS 11, is signed as arm64 demands, and needs no library that a Mac has not.
loads()
{
	local file=$1 arch=$2 headers
	have llvm-objdump llvm || return 0
	headers=$(llvm-objdump --macho --private-headers "$file") || fault "$file cannot be read"
	grep -q -E '^ *minos 11\.0$' <<<"$headers" || fault "$file is not for macOS 11.0"
	[ "$arch" != arm64 ] || grep -q LC_CODE_SIGNATURE <<<"$headers" || fault "$file is not signed"
	! awk '/LC_LOAD_DYLIB/ { dylib = 1 } dylib && $1 == "name" { print $2; dylib = 0 }' <<<"$headers" |
		grep -v -E '^(/usr/lib/lib(System\.B|pcap\.A)\.dylib|@rpath/libfeth\.1\.dylib)$' ||
		fault "$file needs libraries that no Mac has"
}

# The names that client.h declares.
declared()
{
	sed -n 's/^FETH_API [^(]*\(feth_[a-z_]*\)(.*/_\1/p' include/feth/client.h | sort
}

# What the objects of libfeth let out is exactly what client.h declares, and all of it is exported. (The
# linker here exports hidden symbols too, which Apple's does not: so it is the objects that count.)
exports()
{
	local dir=$1 out missing
	have llvm-nm llvm && have llvm-objdump llvm || return 0
	out=$(find "$dir"/clients/CMakeFiles/feth_objects.dir "$dir"/protocol/CMakeFiles/protocol.dir -name '*.o' \
		-exec llvm-nm -m --defined-only {} + |
		awk '$3 == "external" { print $4 }' | sort)
	[ "$out" = "$(declared)" ] || {
		diff <(declared) <(echo "$out") >&2
		fault "libfeth's objects let out other symbols than client.h declares"
	}
	missing=$(comm -23 <(declared) \
		<(llvm-objdump --macho --exports-trie "$dir/$library" | awk '/^0x/ { print $2 }' | sort))
	[ -z "$missing" ] || fault "libfeth does not export $(echo $missing)"
}

look_at()
{
	local arch=$1 dir=build/macos-$1 p
	for p in $programs; do
		kind "$dir/$p" "Mach-O 64-bit $arch executable"
		loads "$dir/$p" "$arch"
	done
	kind "$dir/$library" "Mach-O 64-bit $arch dynamically linked shared library"
	loads "$dir/$library" "$arch"
	exports "$dir"
	# darwin_abi.h against itself in every object, and against Apple's headers in this one
	find "$dir/tests" -name 'abi_check.c.o' | grep -q . || fault "abi_check.c was not compiled for $arch"
	for p in $programs $library; do
		printf '%-8s %9d  %s\n' "$arch" "$(stat -L -c %s "$dir/$p")" "$p"
	done
}

bash tests/macos/deps.sh || exit
for arch in arm64 x86_64; do
	! build $arch || look_at $arch
done
if [ $faults -gt 0 ]; then
	echo "cross.sh: $faults faults" >&2
	exit 1
fi
if [ -n "$unchecked" ]; then
	echo "cross.sh: built, but NOT CHECKED for want of:$unchecked" >&2
	exit 77
fi
echo "cross.sh: both processors: all links, and is as it should be"
