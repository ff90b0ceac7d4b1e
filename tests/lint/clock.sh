#!/bin/sh
# clock.sh - nothing is decided by the wall clock, which people and NTP set: only the files named here may ask
# what time it is, to tell it to somebody. All else measures by a clock that only goes forward.
set -u
cd "$(dirname "$0")/../.." || exit 2

# what tells the time, and of what
allowed='server/io/session\.c'                 # a monitor's record
allowed=$allowed'|clients/ctl/capture\.c'      # a frame, when it was
allowed=$allowed'|clients/ctl/cmd_events\.c|clients/ctl/out_text\.c' # an event
allowed=$allowed'|clients/ctl/cmd_watch\.c'    # a line of rates
allowed=$allowed'|clients/ctl/cmd_doctor\.c'   # a report

found=$(git ls-files -co --exclude-standard -- 'server/*.[ch]' 'clients/*.[ch]' 'protocol/*.[ch]' 'include/*.h' |
	grep -vxE "$allowed" |
	xargs grep -nE 'CLOCK_REALTIME|gettimeofday|timespec_get|uv_clock_gettime|uv_gettimeofday|[^_[:alnum:]](local|gm)time(_r)?\(|[^_[:alnum:]]time\((NULL|0|&)' /dev/null)
[ -z "$found" ] || { echo "$found"; echo "the wall clock is asked: tests/lint/clock.sh says who may"; exit 1; }
