"""
What an index file of git says is tracked; pure.

Two index files may differ in every byte of what git remembers of the files' looks (``git status`` refreshes that) and say the same.
Format: Documentation/gitformat-index of git 2.39 to 2.51, versions 2 to 4, SHA-1 and SHA-256.
"""

from __future__ import annotations

import hashlib
import struct
from collections.abc import Iterator
from typing import NamedTuple

_HEAD = struct.Struct(">4sII")
_STAT = 40
"""Bytes of an entry before the object's id: what the file looked like, and its mode at 24."""
_KEPT_FLAGS = 0xB000
"""Of an entry's flags: assumed unchanged, and the stage; the others say how the entry itself is written."""
_KEPT_EXTENDED = 0x6000
"""Of the extended flags: left out of the tree, and only meant to be added."""


def entries_digest(data: bytes, *, oid: int = 20) -> str:
    """
    A digest of mode, object, stage, flags and path of every entry of an index with object ids of *oid* bytes; of all bytes when
    it cannot be read, or names another file that it goes with (a split index).
    """
    try:
        return _digest(data, oid)
    except (struct.error, IndexError, ValueError):
        return f"raw:{hashlib.sha256(data).hexdigest()}"


def tracked(data: bytes, *, oid: int = 20) -> dict[bytes, bool]:
    """
    The paths of the files and links that an index says are in the working tree, True for a link; none where it cannot be read.
    """
    try:
        return {
            entry.path: entry.mode & 0o170000 == 0o120000
            for entry in _entries(data, oid)
            if entry.mode & 0o170000 in (0o100000, 0o120000) and not entry.extended & _KEPT_EXTENDED
        }
    except (struct.error, IndexError, ValueError):
        return {}


def inodes(data: bytes, *, oid: int = 20) -> dict[bytes, int] | None:
    """
    The paths of all entries, each with the low 32 bits of the inode that it had when git last looked; None where the index cannot be
    read, or names another file that it goes with.
    """
    try:
        return {entry.path: entry.inode for entry in _entries(data, oid)}
    except (struct.error, IndexError, ValueError):
        return None


class _Entry(NamedTuple):
    inode: int
    mode: int
    object: bytes
    flags: int
    extended: int
    path: bytes


def _digest(data: bytes, oid: int) -> str:
    found, count = hashlib.sha256(), 0
    for entry in _entries(data, oid):
        count += 1
        found.update(struct.pack(">IHH", entry.mode, entry.flags & _KEPT_FLAGS, entry.extended & _KEPT_EXTENDED))
        found.update(entry.object + len(entry.path).to_bytes(4, "big") + entry.path)
    return f"{count}:{found.hexdigest()}"


def _entries(data: bytes, oid: int) -> Iterator[_Entry]:
    """
    Every entry; raises `ValueError`, `IndexError` or `struct.error` for what is no index, or a split one.
    """
    magic, version, count = _HEAD.unpack_from(data)
    if magic != b"DIRC" or version not in (2, 3, 4):
        raise ValueError("no index that is known")
    at, path = _HEAD.size, b""
    end = len(data) - oid
    for _ in range(count):
        begin = at
        inode, mode = struct.unpack_from(">II", data, at + 20)
        name = data[at + _STAT : at + _STAT + oid]
        at += _STAT + oid
        (flags,) = struct.unpack_from(">H", data, at)
        at += 2
        extended = 0
        if flags & 0x4000:
            (extended,) = struct.unpack_from(">H", data, at)
            at += 2
        if version == 4:
            strip, at = _varint(data, at)
            stop = data.index(b"\0", at, end)
            if strip > len(path):
                raise ValueError("a path shorter than nothing")
            path = path[: len(path) - strip] + data[at:stop]
            at = stop + 1
        else:
            stop = data.index(b"\0", at, end)
            path = data[at:stop]
            # Padded with one to eight NULs to a multiple of eight bytes.
            at = begin + ((stop - begin) // 8 + 1) * 8
        yield _Entry(inode, mode, name, flags, extended, path)
    while at + 8 <= end:
        if data[at : at + 4] == b"link":
            raise ValueError("a split index")
        (size,) = struct.unpack_from(">I", data, at + 4)
        at += 8 + size


def _varint(data: bytes, at: int) -> tuple[int, int]:
    """
    A number as version 4 writes it, and where it ends.
    """
    value = data[at] & 0x7F
    while data[at] & 0x80:
        at += 1
        value = ((value + 1) << 7) | (data[at] & 0x7F)
    return value, at + 1
