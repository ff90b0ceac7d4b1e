#!/usr/bin/env python3
"""mutants.py [--cc CC] [NAME...] - makes mistakes in the feth backend on purpose, one at a time, and expects
that tests/darwin/test_feth.c notices each.

A mutant is one text of one file, or a few, replaced. Each must occur there exactly once: where the source has
changed so that it does not, this script fails until somebody has looked. Everything is compiled once, without
sanitizers; a mutant costs its one file, a link and a run. NAME...: only these.
"""
import argparse
import concurrent.futures
import os
import pathlib
import re
import shutil
import subprocess
import sys
import tempfile

ROOT = pathlib.Path(__file__).resolve().parents[2]
TIMEOUT = 60  # seconds of one run; a mutant that hangs is caught by it

# name, file below server/hostif, and texts with what each becomes
MUTANTS = [
    # reading
    ("seesent-left-at-1", "bpf_darwin.c", ("{ NAMED(BIOCSSEESENT), 0 }", "{ NAMED(BIOCSSEESENT), 1 }")),
    ("bpf-on-the-host-member", "feth_darwin.c", ("bpf_open(spec->service, &a.call)", "bpf_open(spec->host, &a.call)")),
    ("blen-after-setif", "bpf_darwin.c",
     ("		{ NAMED(BIOCSBLEN), BUFFER_BYTES },\n", ""),
     ("	uint32_t dlt = 0;\n",
      "	const struct step size = { NAMED(BIOCSBLEN), BUFFER_BYTES };\n	rc = apply(fd, &size, out_call);\n"
      "	if (rc < 0)\n		return rc;\n	uint32_t dlt = 0;\n")),
    ("blen-after-setif-unchecked", "bpf_darwin.c",
     ("		{ NAMED(BIOCSBLEN), BUFFER_BYTES },\n", ""),
     ("	uint32_t dlt = 0;\n",
      "	const struct step size = { NAMED(BIOCSBLEN), BUFFER_BYTES };\n	(void)apply(fd, &size, out_call);\n"
      "	uint32_t dlt = 0;\n")),
    ("immediate-missing", "bpf_darwin.c", ("		{ NAMED(BIOCIMMEDIATE), 1 },\n", "")),
    ("busy-devices-not-passed-over", "bpf_darwin.c", ("		if (rc != -DW_EBUSY)\n", "		if (rc != 1)\n")),
    ("read-alignment-8", "bpfrec_darwin.c",
     ("DW_BPF_WORDALIGN((size_t)head.hdrlen + head.caplen)", "((size_t)head.hdrlen + head.caplen + 7) / 8 * 8")),
    ("header-length-by-sizeof", "bpfrec_darwin.c", (".head = p + head.hdrlen,", ".head = p + sizeof(head),")),
    ("truncated-frames-let-through", "bpfrec_darwin.c", ("	if (head.caplen < head.datalen)\n", "	if (0)\n")),
    ("record-length-believed", "bpfrec_darwin.c", (" || head.caplen > left - head.hdrlen", "")),
    ("asked-size-believed", "frames_darwin.c",
     ("ioctl(hif->rx_fd, DW_BIOCGBLEN, &hif->size)", "ioctl(hif->rx_fd, DW_BIOCGBLEN, &hif->size);\n	hif->size = 1 << 20")),
    ("rest-of-a-read-forgotten", "frames_darwin.c", ("	return hif->in.at < hif->in.len;\n", "	return false;\n")),
    ("vanished-is-later", "frames_darwin.c",
     ("	if (got == -DW_EAGAIN || got == -DW_EINTR)\n", "	if (got < 0)\n")),

    # writing
    ("ndrv-on-the-host-member", "feth_darwin.c", ("ndrv_open(spec->service, &a.call)", "ndrv_open(spec->host, &a.call)")),
    ("ndrv-buffer-not-raised", "inject_darwin.c", ("DW_SO_SNDBUF, SEND_BUFFER)", "DW_SO_SNDBUF, 8192)")),
    ("ndrv-not-connected", "inject_darwin.c", ("rc = darwin_sys.connect(fd, &addr, sizeof(addr));", "rc = 0;")),
    ("no-fallback-without-ndrv", "feth_darwin.c", ("rc == -DW_EPROTONOSUPPORT || rc == -DW_EAFNOSUPPORT", "0")),
    ("short-frames-let-through", "inject_darwin.c", ("return f->len >= FETH_FRAME_MIN && ", "return ")),
    ("hdrcmplt-0", "bpf_darwin.c", ("{ NAMED(BIOCSHDRCMPLT), 1 }", "{ NAMED(BIOCSHDRCMPLT), 0 }")),
    ("write-alignment-8", "bpfrec_darwin.c",
     ("const size_t pad = DW_BPF_WORDALIGN(len) - len;", "const size_t pad = (len + 7) / 8 * 8 - len;"),
     ("zeros[DW_BPF_ALIGN]", "zeros[8]")),
    ("batch-padding-left-out", "bpfrec_darwin.c", ("	if (pad) /* behind the last record too */\n", "	if (0)\n")),
    ("batch-with-a-frame-too-long", "inject_darwin.c", (" && f->len <= in->most && ", " && ")),
    ("enobufs-ends-the-burst", "inject_darwin.c", ("	return rc == -DW_ENETDOWN || ", "	return rc == -DW_ENOBUFS || ")),
    ("old-write-limit-not-told", "bpf_darwin.c", ("		*out_mtu = FRAME_OLD - HEADER;\n", "		;\n")),
    ("ndrv-may-block", "inject_darwin.c", ("int rc = darwin_sys.ioctl(fd, DW_FIONBIO, &on);", "int rc = 0;")),
    ("later-pieces-forgotten", "inject_darwin.c", ("write_pieces(in->fd, pieces, 1u + f->more_n)", "write_pieces(in->fd, pieces, 1u)")),

    # making and removing
    ("destroy-race-ignored", "feth_darwin.c", ("#define BUSY_TRIES 3u", "#define BUSY_TRIES 1u")),
    ("destroy-race-one-try-short", "feth_darwin.c", ("#define BUSY_TRIES 3u", "#define BUSY_TRIES 2u")),
    ("destroy-race-waited-for-for-long", "feth_darwin.c", ("#define BUSY_TRIES 3u", "#define BUSY_TRIES 50u")),
    ("destroy-race-waited-for-for-ever", "feth_darwin.c",
     ("rc == -DW_EBUSY && tries < BUSY_TRIES; tries++", "rc == -DW_EBUSY; tries++")),
    ("destroy-race-without-a-pause", "feth_darwin.c", ("		darwin_sys.sleep_us(BUSY_US);\n", "")),
    ("max-mtu-raised-while-it-waits", "feth_darwin.c",
     ("	int rc = create_raised(c, name);\n	for (unsigned tries = 1; rc == -DW_EBUSY && tries < BUSY_TRIES; tries++) {\n",
      "	int rc = create_raised(c, name);\n	while (0) {\n"),
     ("	fake_restore(&limit);\n	return rc;\n",
      "	for (unsigned tries = 1; rc == -DW_EBUSY && tries < BUSY_TRIES; tries++) {\n"
      "		darwin_sys.sleep_us(BUSY_US);\n		rc = if_create(c, name);\n	}\n	fake_restore(&limit);\n	return rc;\n"),
     ("	const int rc = if_create(c, name);\n", "	int rc = if_create(c, name);\n")),
    ("max-mtu-not-raised", "fakesysctl_darwin.c", ("	if (set(MAX_MTU, (int)DW_FETH_MTU_MAX) < 0)\n", "	if (1)\n")),
    ("max-mtu-not-restored", "fakesysctl_darwin.c", ("			rc = set(MAX_MTU, limit->was);\n", "			break;\n")),
    ("max-mtu-of-others-overwritten", "fakesysctl_darwin.c",
     ("		if (!get(MAX_MTU, &now) && now != (int)DW_FETH_MTU_MAX)\n", "		if (!get(MAX_MTU, &now) && now == limit->was)\n")),
    ("settings-not-checked", "feth_darwin.c", ("		rc = settings_check(spec, err);\n", "		rc = 0;\n")),
    ("fcs-accepted", "fakesysctl_darwin.c",
     ('	{ "net.link.fake.fcs", 0, 0, "puts four bytes behind every frame" },\n', "")),
    ("trailer-accepted", "fakesysctl_darwin.c",
     ('	{ "net.link.fake.trailer_length", 0, 0, "puts a trailer behind every frame" },\n', "")),
    ("offloads-not-asked-for", "feth_darwin.c", ("	if (!((host | service) & OFFLOADS))\n", "	if (1)\n")),
    ("limit-of-the-host-member-only", "feth_darwin.c",
     ("*out = host < service ? host : service;", "*out = host;")),
    ("foreign-pair-replaced", "pair_darwin.c", ("	const bool host_mac = h->there && mac_equal(h->mac, spec->mac);", "	const bool host_mac = h->there;")),
    ("name-is-enough", "pair_darwin.c",
     ("	const bool service_mac = s->there && mac_equal(s->mac, spec->service_mac);", "	const bool service_mac = s->there;")),
    ("another-daemons-pair-taken", "pair_darwin.c",
     ("		h->ours = s->ours = service_mac || (made && host_mac);", "		h->ours = s->ours = service_mac || host_mac;")),
    ("another-daemons-host-member-taken", "pair_darwin.c",
     (" && (service_mac || !s->there || nameless(s, spec->service));", ";")),
    ("half-named-pair-left", "pair_darwin.c", (" || nameless(s, spec->service));", ");")),
    ("any-service-member-is-nameless", "pair_darwin.c",
     ("	return m->there && !m->peer[0] && mac_equal(m->mac, fresh);", "	return m->there && !m->peer[0];")),
    ("nameless-with-a-peer", "pair_darwin.c",
     ("	return m->there && !m->peer[0] && mac_equal(m->mac, fresh);", "	return m->there && mac_equal(m->mac, fresh);")),
    ("nameless-one-claimed", "pair_darwin.c",
     ("	s->ours = service_mac && !s->peer[0];", "	s->ours = (service_mac || nameless(s, spec->service)) && !s->peer[0];")),
    ("foreign-mac-is-whole", "feth_darwin.c", ("mac_equal(p->host.mac, spec->mac) && ", "")),
    ("foreign-service-mac-is-whole", "feth_darwin.c", (" && mac_equal(p->service.mac, spec->service_mac)", "")),
    ("gone-meanwhile-is-not-found", "refused_darwin.c", ("		return -EBUSY;\n", "		return -ENODEV;\n")),
    ("every-eexist-is-a-taken-name", "refused_darwin.c", ("	case -DW_EEXIST:\n		return -EIO;\n", "")),
    ("peer-of-others-taken", "pair_darwin.c", ("	s->ours = service_mac && !s->peer[0];", "	s->ours = service_mac;")),
    ("half-a-pair-left", "feth_darwin.c", ("m->service ? if_destroy(&m->c, spec->service) : 0", "0")),
    ("service-member-left", "pair_darwin.c", ("	return p->service.ours ? if_destroy(c, p->spec->service) : host;", "	return host;")),
    ("link-address-erased", "ifioctl_darwin.c", ("	return ASK(c, SIOCSIFLLADDR, name, &req);", "	req.u.addr.len = 0;\n	return ASK(c, SIOCSIFLLADDR, name, &req);")),
    ("not-made-peers", "pair_darwin.c", ("	const int rc = if_set_peer(c, p->spec->service, p->spec->host);", "	const int rc = 0;")),
    ("mtu-of-the-host-member-only", "pair_darwin.c",
     ("	if (to->service.mtu > p->service.mtu)\n", "	if (0)\n"),
     ("	if (!rc)\n		rc = member_mtu(c, spec->service, &p->service, to->service.mtu);\n	return rc;\n", "	return rc;\n")),
    ("service-member-not-raised", "pair_darwin.c", ("	rc = if_set_up(c, spec->service, to->service.up);\n", "")),
    ("descriptors-left-open", "feth_darwin.c",
     ("	if (m->tx_fd >= 0 && m->tx_fd != m->rx_fd)\n		darwin_sys.close(m->tx_fd);\n", "")),
    ("netmask-in-whole-bytes", "ifioctl_darwin.c", ("bits >= 8 ? 0xff : 0xff00u >> bits", "bits ? 0xff : 0")),
    ("declared-address-not-taken-back", "pair_darwin.c", ("const int rc = keep ? 0 : addr_delete(c, name, *out_addr);", "const int rc = keep ? 0 : 0;")),
    ("every-failure-means-free", "feth_darwin.c", ("	return rc == -DW_ENXIO;\n", "	return rc < 0;\n")),
    ("up-behind-its-back", "feth_darwin.c", ("	rc = if_set_up(c, want->host, want->up);\n", "	rc = 0;\n")),
    ("change-not-undone", "feth_darwin.c",
     ("		(void)pair_apply(c, p, &was, &what);\n		pair_addrs_undo(c, p, now, want, added);\n", "")),

    # watching and listing
    ("watch-ignores-ifinfo", "watch_darwin.c", ("rec->kind == ROUTE_LINK_NEWS;", "false;")),
    ("watch-ignores-what-has-gone", "watch_darwin.c", ("			*out_gone = true;\n", "			continue;\n")),
    ("watch-ignores-groups", "watch_darwin.c", ("rec->kind == ROUTE_GROUPS_NEWS;", "false;")),
    ("list-that-grew-within-a-call", "iflist_darwin.c", (" || rc == -DW_ENOBUFS", "")),
    ("list-that-grew-between-calls", "iflist_darwin.c", ("rc == -DW_ENOMEM || ", "tries == 0 || ")),
    ("names-by-prefix", "iflist_darwin.c", ("!strcmp(rec.name, name)", "!strncmp(rec.name, name, strlen(rec.name))")),
    ("groups-of-every-interface", "iflist_darwin.c", (" && rec.index == index && rec.has_mac", " && rec.has_mac")),
    ("routing-alignment-8", "route_darwin.c", ("DW_RT_ROUNDUP(p[0])", "((size_t)p[0] + 7) / 8 * 8")),
]


def sources():
    """Every file of the test program, from the root; a path is enough for its object's name."""
    hostif = [p for p in (ROOT / "server/hostif").glob("*_darwin.c") if p.name != "sys_darwin.c"]
    hostif += [ROOT / "server/hostif" / name for name in ("l3io.c", "wanted.c")]
    sim = list((ROOT / "tests/darwin").glob("sim_*.c"))
    pure = list((ROOT / "server/base").glob("*.c")) + list((ROOT / "server/core").glob("*.c"))
    pure += [p for p in (ROOT / "protocol").glob("*.c") if p.name != "rpc.c"]  # which needs msgpack-c
    return hostif, [ROOT / "tests/darwin/test_feth.c", *sim], pure


class Lab:
    """Objects of everything, made once; then one program per mutant."""

    def __init__(self, cc, folder):
        self.cc = cc.split()
        self.folder = folder
        self.hostif, rest, pure = sources()
        with concurrent.futures.ThreadPoolExecutor(os.cpu_count()) as pool:
            list(pool.map(lambda path: self.compile(path, self.object(path)), [*self.hostif, *rest, *pure]))
        self.rest = [self.object(path) for path in rest]
        self.archive = folder / "pure.a"
        self.call(["ar", "rcs", self.archive, *[self.object(path) for path in pure]])

    def object(self, path):
        return self.folder / (str(path.relative_to(ROOT)).replace("/", "-") + ".o")

    @staticmethod
    def call(command):
        run = subprocess.run([str(word) for word in command], capture_output=True, text=True)
        if run.returncode:
            raise SystemExit(f"mutants.py: {' '.join(map(str, command))}\n{run.stdout}{run.stderr}")

    def compile(self, path, out):
        self.call([*self.cc, "-std=c11", "-O0", "-g0", "-w", "-D_GNU_SOURCE", '-DFETHD_VERSION="mutant"', f"-I{ROOT}",
                   f"-I{ROOT}/include", "-c", path, "-o", out])

    def link(self, out, instead=None, by=None):
        hostif = [by if path == instead else self.object(path) for path in self.hostif]
        self.call([*self.cc, *self.rest, *hostif, self.archive, "-lcmocka", "-o", out])

    def mutant(self, name, file, *texts):
        """The program with this one mistake."""
        path = ROOT / "server/hostif" / file
        source = self.folder / f"{name}.c"
        text = path.read_text()
        for old, new in texts:
            text = text.replace(old, new)
        source.write_text(text)
        self.compile(source, source.with_suffix(".o"))
        self.link(source.with_suffix(""), path, source.with_suffix(".o"))
        return source.with_suffix("")


def run(program):
    """None if all tests pass, else what did not."""
    try:
        done = subprocess.run([program], capture_output=True, text=True, timeout=TIMEOUT, errors="replace")
    except subprocess.TimeoutExpired as late:
        return f"{last_begun((late.output or b'').decode(errors='replace'))} (it hangs)"
    if done.returncode == 0:
        return None
    failed = re.search(r"^\[  FAILED  \] (?:\w+: )?(\w+)$", done.stdout + done.stderr, re.M)
    return failed[1] if failed else f"{last_begun(done.stdout + done.stderr)} (exit {done.returncode})"


def last_begun(text):
    begun = re.findall(r"^\[ RUN      \] (\w+)", text, re.M)
    return begun[-1] if begun else "the program as a whole"


def check_texts(mutants):
    names = [name for name, *_ in MUTANTS]
    faults = [f"{name} is there twice" for name in set(names) if names.count(name) > 1]
    for name, file, *texts in mutants:
        path = ROOT / "server/hostif" / file
        for old, new in texts:
            found = path.read_text().count(old) if path.exists() else 0
            if found != 1 or old == new:
                faults.append(f"{name}: {file} has the text {found} times, where it must have it once:\n{old}")
    if faults:
        raise SystemExit("\n".join(f"mutants.py: {fault}" for fault in faults))


def try_mutant(lab, mutant):
    caught = run(lab.mutant(*mutant))
    print(f"{mutant[0]:34} {'caught by ' + caught if caught else 'SURVIVED'}", flush=True)
    return caught is not None


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--cc", default=os.environ.get("CC", "cc"))
    parser.add_argument("names", nargs="*")
    options = parser.parse_args()
    mutants = [m for m in MUTANTS if not options.names or m[0] in options.names]
    if len(mutants) < max(1, len(options.names)):
        raise SystemExit("mutants.py: there is no such mutant")
    check_texts(mutants)
    folder = pathlib.Path(tempfile.mkdtemp(prefix="fethd-mutants-"))
    try:
        lab = Lab(options.cc, folder)
        lab.link(folder / "sound")
        broken = run(folder / "sound")
        if broken:
            raise SystemExit(f"mutants.py: without any mistake {broken} fails")
        with concurrent.futures.ThreadPoolExecutor(os.cpu_count()) as pool:
            caught = list(pool.map(lambda mutant: try_mutant(lab, mutant), mutants))
    finally:
        shutil.rmtree(folder)
    print(f"{sum(caught)} of {len(caught)} mutants were caught")
    return 0 if all(caught) else 1


sys.exit(main())
