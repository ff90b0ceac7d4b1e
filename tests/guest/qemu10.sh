#!/bin/bash
# qemu10.sh - unpacks a newer QEMU beside the installed one, for what Debian 12's 7.2 lacks:
# `-netdev stream,...,reconnect-ms=` (QEMU >= 9.2).
#
#   qemu10.sh OUTDIR
#
# OUTDIR/qemu10       run this in place of qemu-system-x86_64; OUTDIR may be moved as a whole
#
# Nothing is installed. The packages come from the backports suite on the site the machine's own apt
# sources name, through an apt configuration of our own below OUTDIR. A second run does nothing.
# Exits 77 (skipped), saying so, where backports cannot be reached or has nothing new enough.
set -euo pipefail

wanted='9.2'

skip()
{
	echo "qemu10.sh: SKIPPED, no newer QEMU: $*" >&2
	exit 77
}

[ $# = 1 ] || { echo "usage: qemu10.sh OUTDIR" >&2; exit 2; }
here=$(cd "$(dirname "$0")" && pwd)
for tool in apt-get dpkg-deb flock; do
	command -v "$tool" >/dev/null || skip "$tool is not installed"
done
[ "$(dpkg --print-architecture)" = amd64 ] || skip "only amd64 is known here"
mkdir -p "$1"
out=$(cd "$1" && pwd)

exec 9>"$out/.lock"
flock 9

key=$(sha256sum <"$here/qemu10.sh" | cut -d' ' -f1)
if [ "$(cat "$out/.stamp" 2>/dev/null)" = "$key" ]; then
	exit 0
fi
rm -rf "$out/.stamp" "$out/qemu10" "$out/tree"

# --- an apt of our own: the machine's Debian sources and, beside them, backports
work=$(mktemp -d -p "$out")
trap 'rm -rf "$work"' EXIT
mkdir -p "$work"/{lists/partial,archives/partial,debs,empty}
cp /var/lib/dpkg/status "$work/status" # what is installed already; also makes the lock our own
# shellcheck source=/dev/null
codename=$(. /etc/os-release && echo "${VERSION_CODENAME:-}")
suite=$codename-backports
# shellcheck disable=SC2016 # apt's own fields, not the shell's
apt-get indextargets --format '$(ORIGIN) $(LABEL) $(REPO_URI) $(CODENAME) $(COMPONENT)' \
	'Created-By: Packages' |
	awk -v codename="$codename" -v suite="$suite" '
		$1 == "Debian" && $5 == "main" { print "deb", $3, $4, $5 }
		$1 == "Debian" && $2 == "Debian" && $4 == codename { print "deb", $3, suite, "main" }
	' | sort -u >"$work/sources.list"
grep -q " $suite " "$work/sources.list" ||
	skip "the apt sources name no Debian main archive (apt-get update first?)"
# The machine's settings (a proxy, say) without its hooks, then ours.
{
	apt-config dump | grep -vE '^(APT::Update|DPkg)::'
	cat <<-CONF
	Dir::Etc::Main "$work/none";
	Dir::Etc::Parts "$work/empty";
	Dir::Etc::SourceList "$work/sources.list";
	Dir::Etc::SourceParts "$work/empty";
	Dir::State::Lists "$work/lists";
	Dir::State::Status "$work/status";
	Dir::Cache::Archives "$work/archives";
	Dir::Cache::PkgCache "";
	Dir::Cache::SrcPkgCache "";
	APT::Default-Release "$suite";
	APT::Install-Recommends "false";
	APT::Sandbox::User "root";
	CONF
} >"$work/apt.conf"
export APT_CONFIG="$work/apt.conf"
apt-get -qq -o APT::Update::Error-Mode=any update >&2 || skip "cannot reach $suite"

version=$(apt-cache policy qemu-system-x86 | awk '$1 == "Candidate:" { print $2 }')
dpkg --compare-versions "${version#*:}" ge "$wanted" ||
	skip "$suite has QEMU ${version:-(none)}, not $wanted or newer"

# --- it, its data, and the libraries it needs beyond what is installed
uris=$(apt-get -qq --print-uris install qemu-system-x86)
mapfile -t packages < <({
	printf '%s\n' qemu-system-x86 qemu-system-common qemu-system-data seabios ipxe-qemu
	awk '{ sub(/_.*/, "", $2); print $2 }' <<<"$uris"
} | sed '/^$/d' | sort -u)
(cd "$work/debs" && apt-get -qq download "${packages[@]}" >&2) || skip "cannot download from $suite"
for deb in "$work"/debs/*.deb; do
	dpkg-deb -x "$deb" "$out/tree"
done
unset APT_CONFIG

mkdir -p "$out/tree/no-modules"
cat >"$out/qemu10" <<'WRAPPER'
#!/bin/sh
# Runs the QEMU unpacked beside this file; made by qemu10.sh.
tree=$(dirname "$(readlink -f "$0")")/tree
LD_LIBRARY_PATH=$tree/usr/lib/x86_64-linux-gnu:$tree/lib/x86_64-linux-gnu
QEMU_MODULE_DIR=$tree/no-modules
export LD_LIBRARY_PATH QEMU_MODULE_DIR
exec "$tree/usr/bin/qemu-system-x86_64" -L "$tree/usr/share/qemu" -L "$tree/usr/share/seabios" "$@"
WRAPPER
chmod +x "$out/qemu10"

"$out/qemu10" --version >&2 || { echo "qemu10.sh: what was unpacked does not run" >&2; exit 1; }
echo "$key" >"$out/.stamp"
