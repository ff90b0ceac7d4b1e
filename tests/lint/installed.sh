#!/usr/bin/env bash
# installed.sh BUILD - installs a build into an empty directory and uses libfeth from there, as a stranger
# would: pkg-config, one C file, no source tree.
set -euo pipefail
build=$1
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT

cmake --install "$build" --prefix "$dir/usr" >"$dir/install.log"
export PKG_CONFIG_PATH
PKG_CONFIG_PATH=$(dirname "$(find "$dir/usr" -name feth.pc)")
lib=$(pkg-config --variable=libdir --define-variable=prefix="$dir/usr" feth)

cp clients/examples/hello.c "$dir/"
for compiler in cc "c++ -x c++ -fsyntax-only"; do
	# the headers alone must do for C++ too
	case $compiler in
	cc) cc -std=c11 -Wall -Wextra -Werror "$dir/hello.c" -o "$dir/hello" \
		$(pkg-config --define-variable=prefix="$dir/usr" --cflags --libs feth) ;;
	*) echo '#include <feth/client.h>' >"$dir/h.cc"
		$compiler -Wall -Wextra -Werror $(pkg-config --define-variable=prefix="$dir/usr" --cflags feth) "$dir/h.cc" ;;
	esac
done
usage=$(LD_LIBRARY_PATH=$lib "$dir/hello" 2>&1 || true)
grep -qi usage <<<"$usage"
find "$dir/usr" -type f | sed "s|$dir||" | sort
for program in fethctl fethd; do
	[ -n "$(find "$dir/usr" -name "$program" -type f)" ] || { echo "no $program"; exit 1; }
done
# what stands in for the programs of others lies where no PATH looks, unless that is asked for
for program in socket_vmnet_client vmnet-run softnet; do
	[ -x "$dir/usr/libexec/fethd/$program" ] && [ ! -e "$dir/usr/bin/$program" ] || { echo "$program is elsewhere"; exit 1; }
done
# a program that was linked with structures of another size must not find it
if [ -e "$lib/libfeth.so" ]; then
	[ -e "$lib/libfeth.so.1" ] && ! ls "$lib"/libfeth.so.0* 2>/dev/null || { echo "libfeth.so is not version 1"; exit 1; }
fi
# nothing but feth_ leaves the library
nm -D --defined-only "$lib/libfeth.so" | awk '{print $3}' | grep -v '^feth_' && { echo "foreign symbols above"; exit 1; }
exit 0
