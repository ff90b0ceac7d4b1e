#!/bin/sh
# layers.sh - each folder includes only what lies below it (house style, 2): what a folder may include is
# one line here. Prints every include that breaks a rule.
set -u
cd "$(dirname "$0")/../.." || exit 2
faults=0

iso='<(assert|ctype|errno|inttypes|limits|setjmp|stdalign|stdarg|stdatomic|stdbool|stddef|stdint|stdio|stdlib|string)\.h>'
feth='"feth/(client|errors|types)\.h"'
wire='"protocol/((wire|ring|qemu|vde|rights|text)\.h|drops\.def)"'
rpc='"protocol/(rpc\.h|(methods|fields|events)\.def)"'
err='"server/base/(err|message)\.h"'
below_io='"server/(base|core|rpc|conf|priv)/[a-z_]+\.h"'
# any header of the system, but for those that one folder has for itself
system='<((sys|net|netinet|arpa|linux|mach-o|pcap)/[a-z0-9_/-]+|[a-z0-9_]+)\.h>'

# rule FILES ALLOWED... : every #include of these files matches one of the patterns
rule() {
	files=$1
	shift
	allowed=$(printf '|%s' "$@")
	found=$(git ls-files -co --exclude-standard -- $files | xargs -r grep -HnE '^[[:space:]]*#[[:space:]]*include' /dev/null |
		grep -vE ":[[:space:]]*#[[:space:]]*include[[:space:]]+(${allowed#|})([[:space:]]|$)")
	[ -z "$found" ] || { echo "$found"; faults=1; }
}

# only FOLDERS PATTERN : nothing outside of these files includes the header
only() {
	found=$(git ls-files -co --exclude-standard -- '*.[ch]' ':!tests' | grep -vE "^($1)$" |
		xargs -r grep -HnE "^[[:space:]]*#[[:space:]]*include[[:space:]]+$2" /dev/null)
	[ -z "$found" ] || { echo "$found"; faults=1; }
}

rule 'include/feth/*.h' "$feth" '<(errno|stdbool|stddef|stdint)\.h>'
rule 'protocol/*.[ch]' "$feth" "$wire" "$rpc" "$iso" '<msgpack\.h>'
rule 'server/base/*.[ch]' '"server/base/[a-z_]+\.h"' "$iso"
rule 'server/core/*.[ch]' "$feth" "$wire" "$err" '"server/core/[a-z0-9_]+\.h"' "$iso"
rule 'server/hostif/*.[ch]' "$feth" '"protocol/text\.h"' '"server/(base|core|hostif)/[a-z0-9_]+\.h"' '<libmnl/libmnl\.h>' "$system"
rule 'server/rpc/*.[ch]' "$feth" "$wire" "$rpc" '"server/(base|core|rpc)/[a-z_]+\.h"' "$iso"
rule 'server/conf/*.[ch]' "$feth" "$wire" "$rpc" '"server/(base|core|rpc|conf)/[a-z_]+\.h"' "$iso" '<ini\.h>'
rule 'server/priv/*.[ch]' "$feth" "$wire" '"server/(base|core|hostif|priv)/[a-z_]+\.h"' "$system"
rule 'server/io/*.[ch]' "$feth" "$wire" "$rpc" "$below_io" '"server/io/[a-z_]+\.h"' "$system"
rule 'server/*.c' "$feth" "$wire" "$rpc" '"server/[a-z]+/[a-z_]+\.h"' "$system" '<libmnl/libmnl\.h>'
rule 'clients/lib/*.[ch]' "$feth" "$wire" "$rpc" '"clients/lib/[a-z_]+\.h"' "$system"
rule 'clients/ctl/*.[ch]' "$feth" "$wire" "$rpc" '"clients/ctl/[a-z_]+\.(h|def)"' "$system"
rule 'clients/dropins/*.[ch]' '"feth/client\.h"' "$system"
rule 'clients/vdeplug/*.[ch]' '"feth/client\.h"' "$system"
rule 'clients/examples/*.[ch]' '<feth/client\.h>' "$system"

only 'server/io/[a-z_]+(\.c|_priv\.h)' '<uv\.h>'
only 'protocol/rpc\.[ch]|server/rpc/.*|clients/(lib|ctl)/.*' '<msgpack'
only 'protocol/rpc\.[ch]|server/(rpc|conf|io)/.*|clients/(lib|ctl)/.*' '"protocol/rpc\.h"'
only 'server/hostif/.*_linux\.c' '<libmnl'
only 'server/(hostif|priv|io)/.*_linux\.[ch]|clients/ctl/.*' '<linux/'
only 'server/(hostif|priv|io)/.*_darwin\.[ch]|clients/ctl/.*_darwin\.c' '<sys/(sysctl|ucred)\.h>'
only 'server/conf/lines\.c' '<ini\.h>'
only 'clients/ctl/.*' '<(jansson|pcap/pcap)\.h>'

[ $faults = 0 ] || echo "these includes go against the direction of the layers: docs/architecture.md, tests/lint/layers.sh"
exit $faults
