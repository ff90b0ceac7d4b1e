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
REMOVED = b"\x93\x02" + text("network.removed") + b"\x91\x81" + text("network") + text("lab")
write("conn",
      frames=session([0], BIN * 5 + b"\xc7\x02\x09ab"),
      calls=session([4, 0, 4, 1, 0, 1, 30, 1, 7, 0], REPLY % 1 + BIN + b"\x94\x01\x02\xc0\x80" + NOTIFY + BIN),
      wait=session([4, 0, 5, 1, 1, 0, 1, 60, 1, 1, 80, 7], BIN + NOTIFY + REPLY % 1 + BIN + REPLY % 2 + BIN + REMOVED),
      cut=session([1, 3] * 12 + [7, 4, 1, 2, 0, 9, 2, 5] * 8, BIN * 3 + ERROR + b"\xc6\0\0\0" + BIN[1:]),
      send=session([6, 4, 0, 1, 2, 3, 0, 40, 4, 0, 6, 8, 8, 7, 6, 5, 4, 3, 1, 6, 0], BIN),
      errors=session([4, 0, 7, 4, 0], b"\x94\x01\x01\x92" + text("denied") + text("n\xc3") + b"\xc0" + BIN + b"\xc1"),
      envelope=session([1, 20, 1, 7], BIN + b"\x93\x05\xc0\xc0" + BIN))
write("qemu",
      frames=struct.pack(">I", len(FRAME)) + FRAME + struct.pack(">I", 14) + FRAME[:14],
      runts=bytes(4) + b"\0\0\0\x01x", longest=struct.pack(">I", 69632), over=struct.pack(">I", 69633))
write("text",
      name=b"lab-1_X", mac=b"02:00:5e:ab:cd:ef", mac_dash=b"02-00-5E-AB-CD-EF", v4=b"10.0.0.1/24",
      v6=b"2001:db8::1:0:0:1/64", v4_in_v6=b"64:ff9b::192.0.2.33/96", full=b"1:2:3:4:5:6:7:8/128",
      utf8="né€😀".encode(), overlong=b"\xe0\x80\x80")
write("params",
      attach=ATTACH, create=CREATE, error=ERROR, notify=NOTIFY,
      twice=request("x", b"\x82" + text("mtu") + b"\x01" + text("mtu") + b"\x02"),
      keys=request("x", b"\x83\x01\x02\xc0\xc0" + text("") + b"\x91\xa1\xff"))
write("sendq",
      **{f"mix{i}": bytes((i * 7919 + k * k * 31 + (k >> 3)) & 0xFF for k in range(600)) for i in range(8)})


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
