#!/bin/sh
# bench.sh - measures the switch against its peers, interleaved; see docs/benchmarks.md.
#
#   tests/bench/bench.sh [--quick] [--rounds N] [--seconds S] [--build DIR] [--out DIR]
#       [--against FETHD] [NAME...]
#
# NAME is one of clients, single, qemu, tohost, fromhost; all of them if none is given. Results go to
# docs/benchmarks/NAME.json and into docs/benchmarks.md (--out: another docs). --against puts another
# fethd beside ours, cell by cell: the way to see what a change is worth. --quick only shows that
# every cell delivers frames, and writes nothing. Host sides need root.
#
# All of it runs in a network namespace of its own, so it can neither disturb the machine's interfaces
# nor leave any behind.
set -eu
cd "$(dirname "$0")/../.."
if [ "$(id -u)" = 0 ] && unshare --net true 2>/dev/null; then
	exec unshare --net /usr/bin/python3 tests/bench/bench.py --netns "$@"
fi
exec /usr/bin/python3 tests/bench/bench.py "$@"
