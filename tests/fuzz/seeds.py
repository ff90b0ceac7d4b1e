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
