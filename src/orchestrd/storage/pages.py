"""
Every record that still lies in the pages of a database and its log, found without the tree that leads to them.

SQLite finds records from the top; one damaged page hides everything below it.  Here each page is read for itself
(sqlite.org/fileformat2.html §1.6, §2, §4).  What comes out may be older than what is current, or may never have been
committed: the caller holds it against checksums and numbers.
"""

from __future__ import annotations

import mmap
import struct
from collections import ChainMap
from collections.abc import Iterator, Mapping
from pathlib import Path

from orchestrd.storage.integrity import log_of
from orchestrd.storage.schema import Value

_TABLE_LEAF, _INDEX_LEAF, _INDEX_INTERIOR = 0x0D, 0x0A, 0x02
_PAGE = 4096
"""What SQLite takes when nothing else is said; ours is never told otherwise."""
_INTEGERS = {1: 1, 2: 2, 3: 3, 4: 4, 5: 6, 6: 8}
_LIMIT = 1 << 26
"""Bytes of the longest record that is believed."""

Found = tuple[int | None, tuple[Value, ...]]
"""The row id, None in a table without, and the columns."""


class _Pages(Mapping[int, bytes]):
    """
    The pages of a file by number, from 1.
    """

    def __init__(self, path: Path) -> None:
        self._size = path.stat().st_size if path.exists() else 0
        self._data: mmap.mmap | bytes = b""
        if self._size:
            with path.open("rb") as file:
                self._data = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)

    def __getitem__(self, number: int) -> bytes:
        if not 0 < number <= len(self):
            raise KeyError(number)
        return self._data[(number - 1) * _PAGE : number * _PAGE]

    def __iter__(self) -> Iterator[int]:
        return iter(range(1, len(self) + 1))

    def __len__(self) -> int:
        return self._size // _PAGE


def records(path: Path) -> Iterator[Found]:
    """
    All records in the database at *path*, then those in its log, oldest first; the same one may come many times.

    Raises `OSError`.
    """
    pages: ChainMap[int, bytes] = ChainMap({}, _Pages(path))  # type: ignore[arg-type]  # only the first map is written
    for number in pages.maps[1]:
        yield from _page(number, pages[number], pages)
    for number, page in _frames(log_of(path)):
        pages[number] = page
        yield from _page(number, page, pages)


def _frames(path: Path) -> Iterator[tuple[int, bytes]]:
    """
    Number and content of every page in the log that belongs to its newest round.
    """
    data = path.read_bytes() if path.exists() else b""
    salts = data[16:24]
    for at in range(32, len(data) - _PAGE - 23, 24 + _PAGE):
        if data[at + 8 : at + 16] == salts:
            yield int.from_bytes(data[at : at + 4], "big"), data[at + 24 : at + 24 + _PAGE]


def _page(number: int, page: bytes, pages: Mapping[int, bytes]) -> Iterator[Found]:
    head = 100 if number == 1 else 0
    if len(page) < _PAGE or page[head] not in (_TABLE_LEAF, _INDEX_LEAF, _INDEX_INTERIOR):
        return
    kind = page[head]
    cells = head + (12 if kind == _INDEX_INTERIOR else 8)
    count = int.from_bytes(page[head + 3 : head + 5], "big")
    for place in range(cells, min(cells + 2 * count, _PAGE - 1), 2):
        try:
            found = _cell(kind, page, int.from_bytes(page[place : place + 2], "big"), pages)
        except (IndexError, ValueError, KeyError, struct.error):
            continue  # a damaged cell; its neighbours have places of their own
        yield found


def _cell(kind: int, page: bytes, at: int, pages: Mapping[int, bytes]) -> Found:
    if kind == _INDEX_INTERIOR:
        at += 4
    size, at = _varint(page, at)
    rowid = None
    if kind == _TABLE_LEAF:
        rowid, at = _varint(page, at)
    if size > _LIMIT:
        raise ValueError("too long for one of ours")
    most = _PAGE - 35 if kind == _TABLE_LEAF else (_PAGE - 12) * 64 // 255 - 23
    if size <= most:
        return rowid, _columns(page[at : at + size])
    least = (_PAGE - 12) * 32 // 255 - 23
    local = least + (size - least) % (_PAGE - 4)
    local = local if local <= most else least
    payload = bytearray(page[at : at + local])
    following = int.from_bytes(page[at + local : at + local + 4], "big")
    while following and len(payload) < size:
        more = pages[following]
        following = int.from_bytes(more[:4], "big")
        payload += more[4 : 4 + size - len(payload)]
    return rowid, _columns(bytes(payload))


def _columns(payload: bytes) -> tuple[Value, ...]:
    end, at = _varint(payload, 0)
    body = end
    values: list[Value] = []
    while at < end:
        kind, at = _varint(payload, at)
        value, body = _value(kind, payload, body)
        values.append(value)
    return tuple(values)


def _value(kind: int, payload: bytes, at: int) -> tuple[Value, int]:
    if kind == 0:
        return None, at
    if kind in _INTEGERS:
        end = at + _INTEGERS[kind]
        return int.from_bytes(payload[at:end], "big", signed=True), end
    if kind == 7:
        return float(struct.unpack_from(">d", payload, at)[0]), at + 8
    if kind in (8, 9):
        return kind - 8, at
    if kind < 12:
        raise ValueError("a kind of value that is never stored")
    end = at + (kind - 12) // 2
    part = payload[at:end]
    return (part.decode("utf-8") if kind % 2 else part), end


def _varint(data: bytes, at: int) -> tuple[int, int]:
    value = 0
    for length in range(8):
        byte = data[at + length]
        value = value << 7 | byte & 0x7F
        if byte < 0x80:
            return value, at + length + 1
    return value << 8 | data[at + 8], at + 9
