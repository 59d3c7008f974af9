#!/usr/bin/env python3
"""A second opinion on the hashes of the entry form: prints the vectors that test_entry.c,
test_identity.c and proto/protocol.md carry, by nothing but hashlib and struct."""
import base64
import hashlib
import struct


def u8(value): return struct.pack(">B", value)
def u32(value): return struct.pack(">I", value)
def u64(value): return struct.pack(">Q", value)
def sha(data): return hashlib.sha256(data).digest()
def base32(data): return base64.b32encode(data).decode().lower().rstrip("=")


def text(value):
    data = value.encode() if isinstance(value, str) else value
    return u32(len(data)) + data


def instance(public_key):
    return base32(sha(b"osiris instance 1\0" + public_key)[:20])


def document(id, collection="", kind="", data=None, tags=(), author="", time_ms=0,
             supersedes=(), expires_ms=0, source=None):
    form = text(id) + text(collection) + text(kind) + u8(data is not None) + text(data or b"")
    form += u32(len(tags)) + b"".join(map(text, tags)) + text(author) + u64(time_ms)
    form += u32(len(supersedes))
    form += b"".join(u64(ms) + u32(logical) + text(by) for ms, logical, by in supersedes)
    form += u64(expires_ms) + u8(source is not None)
    if source:
        name, position, digest, occurrence = source
        form += text(name) + u64(position) + digest + u64(occurrence)
    return form


ORIGIN = instance(bytes(range(32)))
OTHER = instance(bytes(32))
ID = "01hf8000000000000000000001"
DATA = '{"text":"El niño aprendió 12345678901234567890"}'.encode()
FULL = document(ID, "facts", "note", DATA, ("spanish", "numbers"), "ada", 1700000000000,
                ((1700000000001, 2, ORIGIN),), 1800000000000, ("kb_a.json", 7, sha(DATA), 1))
GONE = document(ID)

print("origin", ORIGIN)
print("other", OTHER)
chain = bytes(32)
for sequence, ms, logical, operation, form in (
        (1, 1700000000002, 3, 1, FULL), (2, 1700000000004, 0, 2, GONE)):
    stored_head = u64(ms) + u32(logical) + u8(operation)
    document_hash = sha(b"osiris document 1\0" + form)
    entry_hash = sha(b"osiris entry 1\0" + u32(1) + text(ORIGIN) + text("kb") + u64(1)
                     + u64(sequence) + stored_head + document_hash)
    chain = sha(b"osiris chain 1\0" + chain + entry_hash)
    print(f"entry {sequence}: stored ({len(stored_head + form)} bytes)", (stored_head + form).hex())
    print(f"entry {sequence}: document_hash", document_hash.hex())
    print(f"entry {sequence}: entry_hash", entry_hash.hex())
    print(f"entry {sequence}: chain", chain.hex())
head = b"osiris head 1\0" + text("main") + text(ORIGIN) + text("kb") + u64(1) + u64(2) + chain
print("sha256 of the head", sha(head).hex())
proof = (b"osiris proof 1\0" + text(ORIGIN) + b"\x11" * 32 + text(OTHER) + b"\x22" * 32
         + text("bound"))
print("sha256 of the proof", sha(proof).hex())
source = b"osiris source 1\0" + text(ORIGIN) + text("kb_a.json") + sha(DATA) + u64(1)
print("id from source", "s" + base32(sha(source)[:20]))
number = (1700000000000 << 80) | int.from_bytes(bytes(range(10)), "big")
print("made id", "".join("0123456789abcdefghjkmnpqrstvwxyz"[number >> 5 * (25 - i) & 31]
                         for i in range(26)))
feeds = text(OTHER) + text("kb") + u64(1) + u64(5) + b"\x07" * 32
feeds += text(ORIGIN) + text("kb") + u64(1) + u64(2) + chain
winners = text("a") + u64(10) + u32(1) + text(ORIGIN) + u8(1)
winners += text("aa") + u64(11) + u32(0) + text(OTHER) + u8(2)
print("digest", sha(b"osiris digest 1\0" + u32(2) + feeds + winners).hex())
print("digest of nothing", sha(b"osiris digest 1\0" + u32(0)).hex())
