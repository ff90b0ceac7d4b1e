#!/bin/sh
# bench.sh - measures the switch against its peers, interleaved; see docs/benchmarks.md.
#
#   tests/bench/bench.sh [--quick] [--rounds N] [--seconds S] [--points P,…] [--minutes M]
#       [--build DIR] [--out DIR] [--against FETHD] [NAME...]
#   tests/bench/bench.sh --page | --list
#
# NAME is a bench of tests/bench/benches (--list says what there is); all of them and instr.sh if none is
# given, which takes no more rounds after --minutes (14.5). Results go to docs/benchmarks/NAME.json, and from all that are there the
# page is written: tables, plots and verdicts in docs/benchmarks.md (--out: another docs; --page: only
# that). --against puts another fethd beside ours, cell by cell: the way to see what a change is worth.
# --quick only shows that every cell delivers frames, and writes nothing. Host sides need root.
#
# All of it runs in namespaces of its own, for networks and for mounts, so it can neither disturb the
# machine's interfaces nor leave any behind.
set -eu
cd "$(dirname "$0")/../.."
export PYTHONDONTWRITEBYTECODE=1
case " $* " in
*" --quick "* | *" --list "* | *" --page "*) ;;
*) bash tests/guest/build.sh "${FETHD_GUEST_DIR:-build/guest}" || true ;; # a namespace has no Internet
esac
if [ "$(id -u)" = 0 ] && unshare --net --mount true 2>/dev/null; then
	exec unshare --net --mount /usr/bin/python3 tests/bench/bench.py --netns "$@"
fi
exec /usr/bin/python3 tests/bench/bench.py "$@"
