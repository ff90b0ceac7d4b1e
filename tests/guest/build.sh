#!/bin/bash
# build.sh - makes the kernel and the initrd of the test guest, and the small tools of the tests.
#
#   build.sh OUTDIR
#
# OUTDIR/vmlinuz      Debian's cloud kernel: small, and exactly what many real guests run
# OUTDIR/initrd.img   busybox, the tools, a virtio-net driver, 802.1Q, and ./init
# OUTDIR/rawframe, OUTDIR/bulk, OUTDIR/busybox    the same programs for use on the host
#
# Nothing is installed: packages are downloaded from the machine's own apt sources and unpacked.
# A second run finds the stamp of the first and does nothing; two runs at once wait for each other.
# Exits 77 (skipped), saying so, where this cannot be done: no Debian, no network, no compiler.
set -euo pipefail

skip()
{
	echo "build.sh: SKIPPED, no test guest: $*" >&2
	exit 77
}

[ $# = 1 ] || { echo "usage: build.sh OUTDIR" >&2; exit 2; }
here=$(cd "$(dirname "$0")" && pwd)
mkdir -p "$1"
out=$(cd "$1" && pwd)

exec 9>"$out/.lock"
flock 9

key=$(cd "$here" && cat build.sh init rawframe.c bulk.c | sha256sum | cut -d' ' -f1)
if [ "$(cat "$out/.stamp" 2>/dev/null)" = "$key" ]; then
	exit 0
fi
rm -f "$out/.stamp"

for tool in apt-get apt-cache dpkg-deb cpio gzip xz flock "${CC:-gcc}"; do
	command -v "$tool" >/dev/null || skip "$tool is not installed"
done
[ "$(dpkg --print-architecture)" = amd64 ] || skip "only amd64 guests are known here"

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work"

# download PACKAGE... - each into ./PACKAGE/
download()
{
	local p
	for p; do
		mkdir -p "$p.deb"
		# As root apt wants to drop privilege to read what it wrote; this folder is ours alone.
		(cd "$p.deb" && apt-get -qq -o APT::Sandbox::User=root download "$p" >&2) ||
			skip "cannot download $p (apt-get update first?)"
		dpkg-deb -x "$p.deb"/*.deb "$p"
	done
}

# --- the kernel: the real package behind the newest-version metapackage
kernel=$(apt-cache depends --important linux-image-cloud-amd64 2>/dev/null |
	awk '$1 == "Depends:" && $2 ~ /^linux-image-[0-9]/ { print $2; exit }')
[ -n "$kernel" ] || skip "apt knows no linux-image-cloud-amd64 (apt-get update first?)"
download "$kernel"
cp "$kernel"/boot/vmlinuz-* "$out/vmlinuz"
all_modules=$kernel/lib/modules
[ -d "$all_modules" ] || all_modules=$kernel/usr/lib/modules # from Debian 13 on

# --- the tools
# An installed busybox will do if it is Debian's static one: the plain one lacks applets.
installed=$(command -v busybox || true)
if [ -n "$installed" ] && ! ldd "$installed" >/dev/null 2>&1; then
	cp -L "$installed" busybox
else
	download busybox-static
	find busybox-static/ -name busybox -type f -perm -1 -exec cp {} busybox \;
fi
applets=$(./busybox --list) # whole: grep -q would end the pipe early, and pipefail call that an error
for applet in base64 ip mktemp nc nslookup ping6 setsid sha256sum stty timeout udhcpc vconfig; do
	grep -qx "$applet" <<<"$applets" ||
		{ echo "build.sh: this busybox has no $applet" >&2; exit 1; }
done
for tool in rawframe bulk; do
	"${CC:-gcc}" -std=c11 -O2 -Wall -Wextra -Wconversion -Wshadow -static -s \
		-o "$tool" "$here/$tool.c"
done
cp busybox rawframe bulk "$out/"

# --- the initrd
mkdir -p root/{bin,dev,proc,sys,tmp,lib/modules}
cp busybox rawframe bulk root/bin/
install -m 755 "$here/init" root/init
for applet in $(./busybox --list); do
	[ -e "root/bin/$applet" ] || ln -s busybox "root/bin/$applet"
done

# Each after what it needs. What a kernel has built in, or does not have at all, is no module.
modules="virtio_ring virtio virtio_pci_legacy_dev virtio_pci_modern_dev virtio_pci
	failover net_failover virtio_net llc stp garp mrp 8021q"
for module in $modules; do
	file=$(find "$all_modules" -name "$module.ko*")
	case $file in
	*.ko) cp "$file" root/lib/modules/ ;;
	*.ko.xz) xz -dc "$file" >"root/lib/modules/$module.ko" ;;
	'') continue ;;
	*) echo "build.sh: cannot unpack $file" >&2; exit 1 ;;
	esac
	echo "$module" >>root/lib/modules/order
done
for module in virtio_net 8021q; do
	grep -qx "$module" root/lib/modules/order ||
		grep -q "/$module.ko" "$all_modules"/*/modules.builtin ||
		{ echo "build.sh: $kernel has no $module" >&2; exit 1; }
done

(cd root && find . | LC_ALL=C sort | cpio --quiet -o -H newc -R 0:0) | gzip -9n >"$out/initrd.img"
echo "$key" >"$out/.stamp"
