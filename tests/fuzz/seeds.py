#!/usr/bin/env python3
"""Writes the first seeds to corpus/NAME/. What fuzzers found worth keeping lies beside them."""
import pathlib
import struct

HERE = pathlib.Path(__file__).parent / "corpus"
FRAME = bytes.fromhex("ffffffffffff02000000000188b5") + b"payload"


def write(target, **seeds):
    (HERE / target).mkdir(parents=True, exist_ok=True)
    for seed, data in seeds.items():
        (HERE / target / seed).write_bytes(data)


def text(s):
    return bytes([0xA0 | len(s)]) + s.encode()


def request(method, params=b"", msgid=1):
    return bytes([0x94, 0, msgid]) + text(method) + (b"\x91" + params if params else b"\x90")


ATTACH = request("attach", b"\x82" + text("mac") + b"\xb1" + b"02:00:00:00:00:01" + text("locked") + b"\xc3")
CREATE = request(
    "network.create",
    b"\x85" + text("network") + text("lab") + text("mtu") + b"\xcd\x23\x28" + text("up") + b"\xc2"
    + text("addresses") + b"\x92" + text("10.0.0.1/24") + text("fd00::1/64") + text("group") + b"\xc0")
ERROR = b"\x94\x01\x07\x92" + text("denied") + text("no") + b"\xc0"
NOTIFY = b"\x93\x02" + text("network.changed") + b"\x91\x81" + text("mtu") + b"\xcd\x05\xdc"

write("wire",
      session=ATTACH + b"\xc4" + bytes([len(FRAME)]) + FRAME + b"\xc5\0" + bytes([len(FRAME)]) + FRAME,
      bin32=b"\xc6\0\0\0" + bytes([len(FRAME)]) + FRAME,
      ext=b"\xc7\x1a\x01" + bytes(12) + FRAME[:14] + b"\xd8\x05" + bytes(16) + b"\xd4\xff\0",
      calls=CREATE + ERROR + NOTIFY + b"\x94\x01\x07\xc0\x80",
      values=b"\xdc\x00\x0b\xcf" + bytes(8) + b"\xca" + bytes(4) + b"\xd9\x01a\xc4\x01b\xc7\x01\x05c\xd5\x01ab"
      b"\xde\x00\x01\x01\x02\xdd\x00\x00\x00\x01\xc0\xff\xdb\x00\x00\x00\x01x\xdf\x00\x00\x00\x00",
      promise=b"\xdd\x03\x00\x00\x00", deep=b"\x91" * 17 + b"\xc0", never=b"\x91\xc1", other=b"GET / HTTP/1.1\r\n")


def session(choices, stream):
    return bytes([len(choices)]) + bytes(choices) + stream


# as fuzz_conn.c reads choices: 0 feed all, 1-3 feed some, 4 call, 5 call and wait, 6 send frames, 7 deliver
REPLY = b"\x94\x01%c\xc0\x81" + text("fds") + b"\x01"
BIN = b"\xc4" + bytes([len(FRAME)]) + FRAME
RECORD = b"\xc7" + bytes([16 + len(FRAME)]) + b"\x02" + bytes(range(16)) + FRAME
REMOVED = b"\x93\x02" + text("network.removed") + b"\x91\x81" + text("network") + text("lab")
write("conn",
      frames=session([0], BIN * 5 + b"\xc7\x02\x09ab"),
      calls=session([4, 0, 4, 1, 0, 1, 30, 1, 7, 0], REPLY % 1 + BIN + b"\x94\x01\x02\xc0\x80" + NOTIFY + BIN),
      wait=session([4, 0, 5, 1, 1, 0, 1, 60, 1, 1, 80, 7], BIN + NOTIFY + REPLY % 1 + BIN + REPLY % 2 + BIN + REMOVED),
      cut=session([1, 3] * 12 + [7, 4, 1, 2, 0, 9, 2, 5] * 8, BIN * 3 + ERROR + b"\xc6\0\0\0" + BIN[1:]),
      send=session([6, 4, 0, 1, 2, 3, 0, 40, 4, 0, 6, 8, 8, 7, 6, 5, 4, 3, 1, 6, 0], BIN),
      records=session([0x80, 7, 0, 5, 1, 2], RECORD * 3 + REPLY % 1 + BIN + b"\xc7\x05\x02short" + RECORD + NOTIFY + RECORD),
      errors=session([4, 0, 7, 4, 0], b"\x94\x01\x01\x92" + text("denied") + text("n\xc3") + b"\xc0" + BIN + b"\xc1"),
      envelope=session([1, 20, 1, 7], BIN + b"\x93\x05\xc0\xc0" + BIN))
write("qemu",
      frames=struct.pack(">I", len(FRAME)) + FRAME + struct.pack(">I", 14) + FRAME[:14],
      runts=bytes(4) + b"\0\0\0\x01x", longest=struct.pack(">I", 69632), over=struct.pack(">I", 69633))

# as fuzz_ring.c reads choices: 0 look, 1 release, 2 sleep, 3 put, 4 publish, 5 wait, 6 and 7 scribble
def scribble(ring, kind, where, value=b""):
    return bytes([ring, kind]) + value + bytes([where])


write("ring",
      writer=(b"\x03\x00\x3c" * 20 + b"\x04" + b"\x05\x01\x00") * 2,
      records=scribble(7, 0, 4, struct.pack(">I", 60)) + b"\0" + scribble(7, 0, 0, struct.pack(">I", 128)) + b"\0\1\2",
      skips=scribble(7, 3, 7) + b"\x01" + scribble(7, 0, 0, struct.pack(">I", 1024)) + b"\0\1",
      heads=scribble(7, 0, 0, b"\xff\xff\xff\xf8") + b"\0" + scribble(7, 1, 0, b"\x7f") + b"\0\1\2\0",
      tails=b"\x03\x01\xf0" * 3 + scribble(6, 0, 2, b"\x80\0\0\0") + b"\x03\x01\xf0\x04" + scribble(6, 2, 2, b"\x01")
      + b"\x03\x00\x08\x05\x00\x40")
write("text",
      name=b"lab-1_X", mac=b"02:00:5e:ab:cd:ef", mac_dash=b"02-00-5E-AB-CD-EF", v4=b"10.0.0.1/24",
      v6=b"2001:db8::1:0:0:1/64", v4_in_v6=b"64:ff9b::192.0.2.33/96", full=b"1:2:3:4:5:6:7:8/128",
      utf8="né€😀".encode(), overlong=b"\xe0\x80\x80",
      range=b"10.77.0.50-10.77.0.150", tables=b"table ip filter\ntable ip fethd-1-lab\ntable ip fethd-1-a-b_c\n",
      allow=b"user:alice=attach,observe", allow_group=b"group:100=control",
      call=b"tcp:127.0.0.1:5000", call_v6=b"tcp:[::1]:65535", call_path=b"/run/user/1000/passt.sock")
write("params",
      attach=ATTACH, create=CREATE, error=ERROR, notify=NOTIFY,
      join=request("group.join", b"\x81" + text("groups") + b"\x92" + text("01:00:5e:00:00:fb")
                   + text("33:33:00:00:00:01")),
      access=request("network.set", b"\x84" + text("network") + text("lab") + text("owner") + text("alice")
                     + text("mode") + text("0640") + text("allow") + b"\x91\x82" + text("group") + text("100")
                     + text("rights") + b"\x92" + text("attach") + text("control")),
      all=request("group.join", b"\x81" + text("groups") + text("all")),
      members=request("group.list", b"\x83" + text("network") + text("lab") + text("after") + b"\x92"
                      + text("01:00:5e:00:00:fb") + b"\x07" + text("limit") + b"\x40"),
      subscribe=request("event.subscribe", b"\x82" + text("network") + text("lab") + text("events") + b"\x92"
                        + text("port.*") + text("host.groups")),
      multicast=request("network.set", b"\x83" + text("network") + text("lab") + text("multicast")
                        + text("strict") + text("querier") + b"\xc3"),
      monitor=request("attach", b"\x81" + text("monitor") + b"\x83" + text("snaplen") + b"\xcd\x05\xdc" + text("port")
                      + text("a") + text("filter") + b"\x94\x94\x28\x00\x00\x0c\x94\x15\x00\x01\xcd\x08\x06"
                      + b"\x94\x06\x00\x00\xce\x00\x04\x00\x00\x94\x06\x00\x00\x00"),
      rules=request("port.set", b"\x89" + text("name") + text("a") + text("isolated") + b"\xc3" + text("up") + b"\xc2"
                    + text("cap") + b"\xcd\x03\xe8" + text("queue") + b"\xcd\x20\x00" + text("rx_rate")
                    + b"\xce\x00\x98\x96\x80" + text("tx_rate") + b"\x00" + text("storm") + b"\x64" + text("macs")
                    + b"\x92" + text("02:00:00:00:00:01") + text("02:00:00:00:00:02")),
      defaults=request("network.set", b"\x82" + text("network") + text("lab") + text("defaults") + b"\x83"
                       + text("isolated") + b"\xc3" + text("rx_rate") + b"\xce\x00\x98\x96\x80" + text("cap")
                       + b"\xcd\x03\xe8"),
      watch=request("attach", b"\x81" + text("monitor") + b"\xc3"),
      twice=request("x", b"\x82" + text("mtu") + b"\x01" + text("mtu") + b"\x02"),
      keys=request("x", b"\x83\x01\x02\xc0\xc0" + text("") + b"\x91\xa1\xff"))
write("sendq",
      **{f"mix{i}": bytes((i * 7919 + k * k * 31 + (k >> 3)) & 0xFF for k in range(600)) for i in range(8)})


def frames(*hexes, how=0x8000):
    """Length, how it comes (fuzz_snoop.c), and the frame, of each."""
    data = [bytes.fromhex(h) for h in hexes]
    return b"".join(struct.pack(">H", how | len(d)) + d for d in data)


IGMP = "01005e000016020000000001080046c0%s000040000102f9f80a000001e000001694040000"
MLD = "333300000016020000000001" + "86dd60000000%s0001fe80000000000000000000fffe000001ff0200000000000000000000000000163a00050200000100"
JOIN4 = IGMP % "0028" + "2200e8f90000000104000000ef010203"
LEAVE4 = IGMP % "0028" + "2200e9f90000000103000000ef010203"
ALLOW4 = IGMP % "002c" + "2200e4ef0000000105000001e80102030a000009"
MANY4 = IGMP % "0044" + "22000000000000040200" "0000ef0102040101" "0001ef0102050a000001" "deadbeef" "06000000ef01020604000000ef010207"
OLD4 = IGMP % "0020" + "1600f8faef010203" + "00" * 14
DONE4 = IGMP % "0020" + "1700f7faef010203" + "00" * 14
ASK4 = "01005e00000102000000000b080046c00024000040000102041300000a000009e0000001940400001164ec1e00000000027d0000" + "00" * 12
HELLO4 = "01005e00000d02000000000c080045c0001e0000400001670000" "0a00000ce000000d" "2000000000010002001e" + "00" * 30
V6 = "ff050000000000000000000000010003"
JOIN6 = MLD % "0024" + "8f0071030000000104000000" + V6
LEAVE6 = MLD % "0024" + "8f0072030000000103000000" + V6
OLD6 = MLD % "0020" + "8300811700000000" + V6
DONE6 = MLD % "0020" + "8400801c00000000" + V6
ASK6 = "33330000000102000000000b86dd6000000000240001fe8000000000000000000000000000" "0bff0200000000000000000000000000013a00050200000100" \
    + "8200000027100000" + "00" * 16 + "027d0000"
DATA4 = "01005e01020302000000000308004500002c0000400001110000" "0a000001ef010203" + "00" * 30

write("snoop",
      igmp=frames(JOIN4, LEAVE4, OLD4, DONE4, ALLOW4, MANY4, DATA4),
      mld=frames(JOIN6, LEAVE6, OLD6, DONE6),
      queries=frames(ASK4, ASK6, HELLO4, how=0xa000) + frames(JOIN4, JOIN6, DATA4),
      pieces=frames(JOIN4, JOIN6, MANY4, how=0xc000),
      sums=frames(JOIN4, LEAVE4, OLD4, JOIN6, how=0),
      tagged=frames(JOIN4[:24] + "8100002a" + JOIN4[24:], JOIN6[:24] + "88a8002a" + JOIN6[24:], how=0),
      time=frames(*[JOIN4, JOIN6, ASK4, ASK6] * 8, how=0xa000))


# ARP and neighbour discovery: where the frame is cut, and the frame (fuzz_arpnd.c)
ARP = bytes.fromhex("0001080006040001" "020000000001" "0a000001" "000000000000" "0a000002") + bytes(18)
STATIONS = bytes.fromhex("ffffffffffff" "020000000001")
TARGET = bytes.fromhex("fe80000000000000000000fffe000001")
LLA = "%s01020000000001"


def nd(kind, rest, before=b"", first=58):
    body = before + bytes([kind]) + bytes(7) + rest
    return b"\x86\xdd\x60\0\0\0" + struct.pack(">HBB", len(body), first, 255) + bytes(32) + body


NS = nd(135, TARGET + bytes.fromhex(LLA % "01"))
write("arpnd",
      arp=b"\x05" + STATIONS + b"\x08\x06" + ARP, rarp=b"\x20" + STATIONS + b"\x80\x35" + ARP,
      tagged=b"\x02" + STATIONS + bytes.fromhex("88a800078100000a0806") + ARP,
      three=b"\x02" + STATIONS + bytes.fromhex("8100000788a8000a810000010806") + ARP,
      snap=b"\x03" + STATIONS + bytes.fromhex("0030aaaa0300000080f3") + ARP,
      ns=b"\x30" + STATIONS + NS, rs=b"\x10" + STATIONS + nd(133, bytes.fromhex(LLA % "01")),
      ra=b"\x50" + STATIONS + nd(134, bytes(8) + bytes.fromhex("05010000000005dc" + LLA % "01" + "19030000") + bytes(20)),
      na=b"\0" + STATIONS + nd(136, TARGET + bytes.fromhex(LLA % "02" + LLA % "02")),
      redirect=b"\x60" + STATIONS + nd(137, TARGET * 2 + bytes.fromhex(LLA % "02" + "0400")),
      headers=b"\x3a" + STATIONS + nd(135, TARGET + bytes.fromhex(LLA % "01"), b"\x3c\0" + bytes(6) + b"\x33\1" + bytes(14)
                                      + b"\x3a\1" + bytes(10), 0),
      fragment=b"\x3a" + STATIONS + nd(135, TARGET + bytes.fromhex(LLA % "01"), b"\x3a\0\0\1" + bytes(4), 44))


# what was too long (fuzz_toobig.c): caps of the next hop and of the sender, how it lies in memory, the frame
def long_packet(head, mtu=1280, room=1500, cut=1, tag=b"", size=1400):
    stations = bytes.fromhex("020000000009020000000001") + tag
    return struct.pack(">HHH", mtu, room, cut) + stations + head + bytes(i & 0xFF for i in range(size - len(head) + 2))


def packet4(protocol=17, length=1400):
    ip = struct.pack(">BBHHHBBH", 0x45, 0, length, 1, 0x4000, 64, protocol, 0) + bytes([10, 0, 0, 7, 10, 9, 9, 9])
    total = sum(struct.unpack(">10H", ip))
    total = (total & 0xFFFF) + (total >> 16)
    return b"\x08\0" + ip[:10] + struct.pack(">H", ~((total & 0xFFFF) + (total >> 16)) & 0xFFFF) + ip[12:]


def packet6(following=17, more=b"", length=1400):
    return (b"\x86\xdd\x60\0\0\0" + struct.pack(">HBB", length - 40, following, 64) + b"\xfd" + bytes(14) + b"\x07"
            + b"\xfd\x01" + bytes(13) + b"\x09" + more)


write("toobig",
      udp4=long_packet(packet4()), small=long_packet(packet4(), mtu=68, room=68), pieces=long_packet(packet4(), cut=3),
      error4=long_packet(packet4(1) + b"\x03\x04"), echo4=long_packet(packet4(1) + b"\x08\0"),
      tagged=long_packet(packet4(), tag=b"\x81\0\x60\x0a"), udp6=long_packet(packet6()),
      echo6=long_packet(packet6(58, b"\x80\0"), cut=30), error6=long_packet(packet6(58, b"\x01\0")),
      headers=long_packet(packet6(0, b"\x3c\0" + bytes(6) + b"\x33\1" + bytes(14) + b"\x2c\1" + bytes(10)
                                  + b"\x3a\0\0\1" + bytes(4) + b"\x81\0")))


# rules of two ports (fuzz_vlan.c), and the frame between them
def between(rules, tags):
    return bytes(rules).ljust(64, b"\0") + bytes.fromhex("020000000009020000000001" + tags + "0800") + b"payload"


ACCESS10, TRUNK10 = [1, 10, 0], [2, 10, 2, 0, 20, 3, 0, 40, 0]
write("vlan",
      access=between(ACCESS10 + ACCESS10, ""), trunk=between(TRUNK10 + ACCESS10, "8100000a"),
      tagged=between(TRUNK10 + TRUNK10, "81006014"), priority=between(ACCESS10 + TRUNK10, "8100e000"),
      twice=between([0, 0, 0] + TRUNK10, "8100000a81000014"), provider=between([0, 0, 0, 0, 0, 0], "88a8000a"))

# Darwin's: server/hostif/darwin_abi.h has the layouts
def align4(data):
    return data + bytes(-len(data) % 4)


def sockaddr(family, rest):
    return align4(bytes([len(rest) + 2, family]) + rest) if rest else bytes(4)


def link_addr(name=b"", mac=b"", index=7):
    return sockaddr(18, struct.pack("<HBBBB", index, 6, len(name), len(mac), 0) + name + mac)


def message(kind, head, addrs, *sockaddrs, flags=0x8843, index=7, version=5):
    body = struct.pack("<iiH2x", addrs, flags, index) + bytes(head - 16) + b"".join(sockaddrs)
    return struct.pack("<HBB", 4 + len(body), version, kind) + body


MAC, GROUP = bytes.fromhex("02aa00002774"), bytes.fromhex("01005e010203")
LINK = message(18, 160, 1 << 4, link_addr(b"feth10100", MAC))
MEMBER = message(19, 20, 1 << 5 | 1 << 4 | 1 << 1, link_addr(mac=GROUP), link_addr(b"feth10100", MAC),
                 sockaddr(2, bytes(2) + bytes([239, 1, 2, 3]) + bytes(8)))
GROUP_LINK = message(19, 20, 1 << 5 | 1 << 4, link_addr(b"feth10100", MAC), link_addr(mac=GROUP))
ADDR = message(12, 20, 1 << 7 | 1 << 5 | 1 << 4 | 1 << 2, sockaddr(0, bytes(2) + b"\xff\xff\xff"),
               link_addr(b"feth10100", MAC), sockaddr(2, bytes(2) + bytes([10, 0, 0, 1]) + bytes(8)), bytes(4))
ADDR6 = message(12, 20, 1 << 5 | 1 << 2, sockaddr(30, bytes(6) + b"\xff" * 8),
                sockaddr(30, bytes(6) + bytes.fromhex("fe80000700000000000000000000000001") + bytes(3)))
write("route",
      dump=b"\0" + LINK + ADDR + ADDR6 + GROUP_LINK + MEMBER + LINK[:20],
      news=b"\1" + message(14, 112, 0) + message(15, 16, 1 << 5, link_addr(mac=GROUP)) + ADDR
      + message(16, 16, 1 << 5 | 1 << 4, link_addr(b"feth1", MAC), link_addr(mac=GROUP)) + message(13, 20, 0),
      names=b"\0" + message(18, 160, 1 << 4, link_addr(b"a" * 16, MAC)) + message(18, 160, 1 << 4, link_addr(b"a\0b")),
      lies=b"\0" + message(18, 160, 0xff, link_addr(b"feth1", MAC)) + message(12, 20, -1, bytes(32)) + b"\x03\0\x05\x12",
      version=b"\0" + LINK + message(18, 160, 0, version=4) + LINK, short=b"\0" + message(18, 16, 0) + LINK)


def record(frame, caplen=None, datalen=None, hdrlen=18):
    caplen = len(frame) if caplen is None else caplen
    return align4(struct.pack("<iiIIH", 1, 2, caplen, caplen if datalen is None else datalen, hdrlen)
                  + bytes(max(0, hdrlen - 18)) + frame)


write("bpfrec",
      several=b"".join(record(FRAME + bytes(i)) for i in range(8)), header=record(FRAME, hdrlen=26) + record(FRAME)[:-3],
      cut=record(FRAME) + record(FRAME, datalen=1514) + record(FRAME), runt=record(FRAME[:13]) + record(b"") + record(FRAME),
      lies=record(FRAME) + record(FRAME, caplen=0xfffffff0), lies2=record(FRAME) + record(FRAME, hdrlen=17) + record(FRAME))


def program(frame, *steps):
    """As fuzz_bpf.c reads it: steps of [code, jt, jf, k], and a frame."""
    return bytes([len(steps)]) + b"".join(struct.pack(">HBBI", *s) for s in steps) + frame


IP = bytes.fromhex("ffffffffffff020000000001" "0800" "4500001c00000000401100000a0000010a000002" "0044004300080000")
write("bpf",
      arp=program(FRAME, (0x28, 0, 0, 12), (0x15, 0, 1, 0x806), (6, 0, 0, 65535), (6, 0, 0, 0)),
      port=program(IP, (0x28, 0, 0, 12), (0x15, 0, 6, 0x800), (0x30, 0, 0, 23), (0x15, 0, 4, 17), (0xB1, 0, 0, 14),
                   (0x48, 0, 0, 16), (0x15, 0, 1, 67), (6, 0, 0, 65535), (6, 0, 0, 0)),
      memory=program(IP, (0x80, 0, 0, 0), (2, 0, 0, 3), (0x61, 0, 0, 3), (3, 0, 0, 15), (0x60, 0, 0, 15), (7, 0, 0, 0),
                     (0x87, 0, 0, 0), (0x0C, 0, 0, 0), (0x84, 0, 0, 0), (0x9C, 0, 0, 0), (0x16, 0, 0, 0)),
      beyond=program(IP[:20], (0x20, 0, 0, 17), (6, 0, 0, 1)), out=program(b"", (5, 0, 0, 0xFFFFFFFF), (6, 0, 0, 1)))
write("conf",
      network=b"# a network\n[network]\nbackend = veth\nunit = 123\nmtu = 9000\nmac = 02:00:00:00:00:01\n"
      b"address = 10.0.0.1/24\naddress = fd00::1/64\nup = no\nmulticast = strict\nquerier = on\n"
      b"dhcp = 10.0.0.50-10.0.0.60\nnat = yes\ngroup = users\n",
      ports=b"[network]\n[defaults]\nisolated = yes\ncap = 900\n[port a]\nkind = qemu\nlocked = yes\n"
      b"mac = 02:00:00:00:00:02\n[port b] ; b\nkind: native\nup = false\n",
      daemon=b"[daemon]\nadmin-group = net\nunit-base = 100\nlog-level = debug\nrootless = yes\n",
      wrong=b"mtu = 1\n[network\n[network]\nmtu = x\nmtu = 2\ncolour = red\n[port host]\n[port a]\nkind =\n=\nnonsense\n",
      bytes=b"\xef\xbb\xbf[network]\r\nmtu = 1500\r\n\xff\0\n\t up = maybe\n" + b"k" * 200 + b"\n")

write("http",
      prometheus=b"\1GET /metrics HTTP/1.1\r\nHost: localhost:9464\r\nUser-Agent: Prometheus/2.42.0\r\n"
      b"Accept: application/openmetrics-text;version=1.0.0;q=0.75,text/plain;version=0.0.4;q=0.5,*/*;q=0.1\r\n"
      b"Accept-Encoding: gzip\r\nX-Prometheus-Scrape-Timeout-Seconds: 10\r\n\r\n",
      head=b"\0HEAD http://[::1]/metrics?a=b HTTP/1.0\n\n", text=b"\0GET /metrics HTTP/1.1\nHost:x\naccept:text/plain;q=1\n\n",
      other=b"\1POST / HTTP/1.1\r\nHost: 127.0.0.1.evil\r\nContent-Length: 5\r\n\r\nhello",
      broken=b"\0GET  /metrics HTTP/2.0\r\n: x\r\n y\r\n\r\n", long=b"\0GET /metrics HTTP/1.0\r\nX: " + b"a" * 9000,
      keys=b"\0q\x1b[A\x1bOB\x1b[5~\x1b[1;5H\x1b\x1b[\xff+-\x1b[0000000000000000000000000000000000000000")

# a virtio_net_hdr, choices (fuzz_offload.c: MTU, where the frame is in pieces), and the frame
def owing(flags, gso, size, start, offset, headers, payload, mtu=1500):
    return (struct.pack("<BBHHHH", flags, gso, 0, size, start, offset) + struct.pack(">H", mtu) + b"\x30\x05\0\0\0\0"
            + bytes.fromhex("020000000002020000000001" + headers) + bytes(payload))


TCP = "03e807d000000001000000025018200012340000"


def ip4(protocol, payload, words=5):
    return "0800" + struct.pack(">BBHHHBBH", 0x40 | words, 0, 4 * words + payload, 7, 0x4000, 64, protocol, 0).hex() + "0a0000010a000002" \
        + "01" * 4 * (words - 5)


def ip6(protocol, payload, ext=""):
    return "86dd60000000" + struct.pack(">HBB", payload + len(ext) // 2, 60 if ext else protocol, 64).hex() + "fd" + "00" * 14 + "01fd" \
        + "00" * 14 + "02" + ext


UDP = lambda payload: "03e807d0" + struct.pack(">HH", 8 + payload, 0x1234).hex()
write("offload",
      sum=owing(1, 0, 0, 34, 16, ip4(6, 120) + TCP, 100), tcp4=owing(1, 1, 100, 34, 16, ip4(6, 520) + TCP, 500),
      ecn=owing(1, 0x81, 99, 46, 16, "8100000a" + ip4(6, 520, 7) + TCP, 500), tcp6=owing(1, 4, 100, 54, 16, ip6(6, 520) + TCP, 500),
      udp4=owing(1, 5, 100, 34, 6, ip4(17, 508) + UDP(500), 500), small=owing(1, 1, 1, 34, 16, ip4(6, 620) + TCP, 600),
      udp6=owing(1, 5, 100, 70, 6, "88a8000a8100000b" + ip6(17, 508, "1100010400000000") + UDP(500), 500),
      verified=owing(2, 0, 0, 0, 0, ip4(6, 120) + TCP, 100), far=owing(1, 0, 0, 60, 200, ip4(6, 420) + TCP, 400),
      type=owing(1, 0, 0, 14, 6, ip6(17, 132) + UDP(124), 124), vxlan=owing(1, 0, 0, 84, 16, ip4(17, 508) + UDP(500), 500))


# what the receiver takes, its longest frame, then frames: how, length, bytes (fuzz_gro.c)
def segments(packet, *hows, takes=0x3F, longest=0):
    return (struct.pack(">BHBH", takes, longest, 2, len(packet) - 14) + packet + bytes(hows))


def packet4(protocol, rest, tag=b""):
    return (bytes(range(2, 14)) + tag + b"\x08\0\x45\0" + struct.pack(">HHHBB", 20 + len(rest), 7, 0x4000, 64, protocol)
            + bytes(2) + bytes.fromhex("0a0000010a000002") + rest)


def packet6(protocol, rest):
    return (bytes(range(2, 14)) + b"\x86\xdd\x60\0\0\0" + struct.pack(">HBB", len(rest), protocol, 64)
            + bytes.fromhex("fd" + "00" * 14 + "01" + "fd" + "00" * 14 + "02") + rest)


STREAM = struct.pack(">HHIIBBHHH", 1000, 80, 0xFFFFFFF0, 5, 0x80, 0x10, 500, 0, 0) + b"\1\1\x08\x0a" + bytes(8)
DATAGRAM = struct.pack(">HHHH", 1000, 53, 8 + 40, 0)
write("gro",
      tcp4=segments(packet4(6, STREAM + b"x" * 100), 0x83, 0x83, 0x83, 0xB3, 0x83),
      tcp6=segments(packet6(6, STREAM + b"y" * 30), 0x82, 0x82, 0x96, 0x80, 0x82, 0x82),
      tag=segments(packet4(6, STREAM + b"z" * 9, b"\x81\0\x60\x05"), 0x87, 0x8F, 0x97, longest=200),
      udp=segments(packet4(17, DATAGRAM + b"u" * 40), 0x83, 0x83, 0x82, 0x82) + segments(packet6(17, DATAGRAM + b"v" * 40), 0x82)[3:])


# as a client of vde/ctl packs it on a little-endian Linux: version 3, or 1 with a MAC address
def vde(path, version=3, kind=0, family=1, says=b"QEMU"):
    addr = struct.pack("<H108s", family, path)
    if version == 1:
        return struct.pack("<II6s", 0xFEEDFACE, kind, b"\2\0\0\0\0\1") + addr + says
    return struct.pack("<III", 0xFEEDFACE, version, kind) + addr + says


write("vde",
      v3=vde(b"/run/fethd/lab/vde/.01234-00000"), v1=vde(b"/tmp/vde.01234-00000", version=1), v2=vde(b"/tmp/x", version=2),
      port=vde(b"/tmp/x", kind=0x701), type=vde(b"/tmp/x", kind=2), up=vde(b"/tmp/../x"), ends_up=vde(b"/tmp/.."), relative=vde(b"x"),
      abstract=vde(b"\0\1\2\3"), endless=vde(b"/" + b"a" * 107), inet=vde(b"/tmp/x", family=2), cut=vde(b"/tmp/x")[:100], other=b"\0\0\0\x0eabcdef")


# as fuzz_l3glue.c reads steps: 0-4 a frame (0 ARP, 1 IPv4, 2 NS, 3 NA as the header that is spared), 5 a packet, 6 time
def l3(kind, body, header=True, mend=False):
    return bytes([kind | (1 if header and not mend else 2 if mend else 0) << 3, len(body)]) + body


def arp(op, src, dst):
    return bytes([op]) + bytes.fromhex("020000000007") + bytes([10, 0, 0, src]) + bytes(6) + bytes([10, 0, 0, dst])


TICKS = bytes([6, 0, 6, 32]) * 4
OUT = l3(5, b"\x45\0\0\x14\0\0\0\0\x40\x11\0\0\x0a\0\0\1\x0a\0\0\7", header=False)
OUT6 = l3(5, b"\x60\0\0\0\0\0\x11\x40" + bytes.fromhex("fd" + "00" * 14 + "01" + "fd" + "00" * 14 + "07"), header=False)
SLLA, TLLA = b"\1\1\2\0\0\0\0\7", b"\2\1\2\0\0\0\0\7"
write("l3glue",
      arp=TICKS + OUT * 3 + l3(0, arp(2, 7, 1)) + OUT + l3(0, arp(1, 8, 1)) + l3(0, arp(1, 1, 9)) + bytes([6, 200, 6, 80]) + OUT,
      nd=TICKS + OUT6 * 2 + l3(3, TLLA, mend=True) + OUT6 + l3(2, SLLA, mend=True) + bytes([6, 250]) * 3 + OUT6,
      fails=TICKS + (OUT + OUT6 + bytes([6, 40])) * 5, settings=TICKS + OUT + bytes([7, 16, 6, 40, 7, 2, 7, 9]) + OUT6,
      packets=TICKS + l3(1, b"\0\0\x14" + bytes(9) + b"\x0a\0\0\7\x0a\0\0\1") + l3(1, b"\0\1\0") + l3(4, bytes(40), header=False))

# as fuzz_place.c reads it: whose it is said to be, how many bytes the address is said to have, and these
write("place", none=b"\1\0", whole=b"\1\x0a/dev/null\0", others=b"\0\x0a/dev/null\0", relative=b"\1\4vm.s",
      long=b"\1\x6c" + b"/" + b"a" * 107, beyond=b"\1\xff" + b"/" * 108, abstract=b"\1\5\0nobo", root=b"\1\1/",
      odd=b"\1\x20/tmp/../proc/self/fd/0\0/behind\0", unended=b"\1\x05/tmp/x")


# as fuzz_messages.c reads it: MTU, kind, how the clients can be reached, who is denied, (a greeting); then steps: batches of messages (how
# long, tagged or not, from which sender), and frames the other way
def messages(kind, *steps, mtu=0, refuses=bytes(7), denied=b"\1\1", greeting=b"\0"):
    return bytes([mtu, kind]) + refuses + denied + (b"" if kind < 2 else greeting) + b"".join(steps)


def batch(*msgs, kind=0, way=0, ended=1):
    return bytes([2, len(msgs), way]) + b"".join(bytes(m) for m in msgs) + bytes([ended])


# (how[, tagged, sender]): 1 is "VFKT" if asked, 0 empty, 2 a runt
GREET, SHORT, RUNT, NONE, LONG, LONGER, HUGE = (1, 1, 1), (7, 1), (2, 1), (0, 1), (14, 1), (24, 1), (25, 0)
write("messages",
      greeted=messages(2, batch(GREET, SHORT, RUNT, LONG), batch(GREET, SHORT), greeting=b"\0"),
      ends=messages(2, batch(SHORT, SHORT, NONE, SHORT, ended=0), batch(SHORT)), empty=messages(2, batch(NONE, SHORT, NONE)),
      udp=messages(3, batch(SHORT, LONGER, HUGE, NONE), b"\2\x41\0", batch(SHORT), b"\0\1", mtu=3),
      vde=messages(4, batch(SHORT, LONG, LONGER, (10, 0), RUNT), batch(SHORT), b"\0\1", batch(SHORT), mtu=2),
      dgram=messages(0, batch(*[(7, 1, s) for s in range(9)]), b"\0\1", batch((14, 0, 1), (7, 1, 2), (7, 1, 1), (25, 0, 3))),
      greets=messages(0, batch((1, 1, 1, 3), (7, 1, 4), (1, 1, 1, 3)), batch((1, 1, 1, 3), (2, 1, 8), (0, 1, 1))),
      shared=messages(0, batch((7, 1, 1), (7, 1, 3)), batch((7, 1, 5), way=1), b"\0\1", batch((7, 1, 7), way=2), refuses=b"\2" * 7),
      alike=messages(0, batch((7, 1, 1)), batch((7, 1, 2), (7, 1, 8), (7, 1, 1)), denied=b"\1\0"),
      refused=messages(0, batch(*[(7, 1, 1 + i % 2) for i in range(8)]), batch((7, 1, 6)), refuses=b"\3\2\3\0\0\0\0", denied=b"\1\0"))


# as fuzz_tapio.c reads it: with headers or without, MTU, then length and bytes of what a tap's other side gives
def given(vnet, *parts, mtu=1432):
    return bytes([vnet]) + struct.pack(">H", mtu) + b"".join(bytes([len(p) if len(p) < 255 else 255]) + p for p in parts)


OWED = bytes(12) + bytes.fromhex(ip4(6, 120) + TCP) + bytes(100)
SUPER = bytes(12) + bytes.fromhex(ip4(6, 520) + TCP) + bytes(500)
write("tapio",
      plain=given(0, FRAME, FRAME[:13], FRAME[:14], b"x", FRAME), gone=given(0, FRAME, b"", FRAME), none=given(1, b"1234567890", FRAME),
      headers=given(1, bytes(10) + FRAME, struct.pack("<BBHHHH", 1, 0, 0, 0, 34, 16) + OWED, bytes(11), bytes([255] * 10) + FRAME),
      tso=given(1, struct.pack("<BBHHHH", 1, 1, 54, 100, 34, 16) + SUPER),
      lies=given(1, struct.pack("<BBHHHH", 1, 1, 9, 1, 34, 16) + OWED, struct.pack("<BBHHHH", 1, 3, 0, 0, 65535, 65535) + OWED, mtu=0),
      jumbo=given(0, FRAME + bytes(9000)), longest=given(1, struct.pack("<BBHHHH", 0, 1, 0, 1, 0, 0) + FRAME + bytes(65600)))
