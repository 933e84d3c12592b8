"""
The framer: whole lines whatever the chunks, bounded, resynchronising, with a durable cursor.
"""

import time
import tracemalloc

import pytest

from orchestrd.protocol.framer import LineFramer, OverlongLine, Region, TornTail

DATA = b'{"a":1}\n{"b":2}\r\n\n   \n{"c":"\xc3\xa9"}\n'
LINES = [(0, b'{"a":1}'), (8, b'{"b":2}'), (22, b'{"c":"\xc3\xa9"}')]


def lines_of(framer: LineFramer, *chunks: bytes) -> list[tuple[int, bytes]]:
    return [
        line
        for chunk in chunks
        for piece in framer.feed(chunk)
        for line in (piece.lines() if isinstance(piece, Region) else [(piece.offset, b"<%d>" % piece.length)])
    ]


def test_whole() -> None:
    framer = LineFramer()

    assert lines_of(framer, DATA) == LINES
    assert (len(DATA), 0) == (framer.consumed, framer.pending)
    assert framer.finish() is None


def test_byte_by_byte() -> None:
    assert lines_of(LineFramer(), *(DATA[at : at + 1] for at in range(len(DATA)))) == LINES


@pytest.mark.parametrize("cut", range(len(DATA) + 1))
def test_cut_anywhere(cut: int) -> None:
    assert lines_of(LineFramer(), DATA[:cut], DATA[cut:]) == LINES


@pytest.mark.parametrize("cut", range(len(DATA) + 1))
def test_the_cursor_is_durable(cut: int) -> None:
    """
    A framer that starts at the cursor of one that died sees each line once.
    """
    first = LineFramer()
    before = lines_of(first, DATA[:cut])
    second = LineFramer(start=first.consumed)

    assert before + lines_of(second, DATA[first.consumed :]) == LINES
    assert len(DATA) == second.consumed


def test_start_moves_every_offset() -> None:
    framer = LineFramer(start=1000)

    assert [(1000 + at, line) for at, line in LINES] == lines_of(framer, DATA)
    assert 1000 + len(DATA) == framer.consumed


def test_torn_tail() -> None:
    framer = LineFramer()
    framer.feed(b"whole\nto")
    framer.feed(b"rn")

    assert (framer.consumed, framer.pending) == (6, 4)
    assert TornTail(offset=6, length=4, data=b"torn") == framer.finish()
    assert framer.finish() is None


@pytest.mark.parametrize("size", [1, 2, 3, 7, 100])
def test_overlong_line_is_told_and_the_next_is_read(size: int) -> None:
    data = b"ok\n" + b"x" * 11 + b"\nexactly10!\n" + b"y" * 30 + b"\nend\n"
    framer = LineFramer(limit=10)

    found = lines_of(framer, *(data[at : at + size] for at in range(0, len(data), size)))

    assert found == [(0, b"ok"), (3, b"<11>"), (15, b"exactly10!"), (26, b"<30>"), (57, b"end")]
    assert len(data) == framer.consumed


def test_overlong_tail() -> None:
    framer = LineFramer(limit=4)
    framer.feed(b"a\nbcdefgh")
    framer.feed(b"ij")

    assert framer.consumed == 2
    assert TornTail(offset=2, length=9, data=b"") == framer.finish()


def test_memory_is_bounded_by_the_limit() -> None:
    """
    64 MiB without an LF cost no more than the limit.
    """
    limit = 1024 * 1024
    framer, chunk = LineFramer(limit), b"x" * 65536
    tracemalloc.start()
    try:
        for _ in range(1024):
            framer.feed(chunk)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()

    assert peak < 1.5 * limit
    assert framer.pending == 0
    found = framer.feed(b"\nnext\n")
    assert [OverlongLine(offset=0, length=1024 * 65536), Region(offset=1024 * 65536 + 1, data=b"next\n")] == found


def spent(size: int, chunk: int) -> float:
    """
    CPU seconds to frame one line of *size* bytes.
    """
    data = b"x" * size + b"\n"
    pieces = [data[at : at + chunk] for at in range(0, len(data), chunk)]
    best = 9e9
    for _ in range(3):
        framer = LineFramer()
        begin = time.process_time()
        for piece in pieces:
            framer.feed(piece)
        best = min(best, time.process_time() - begin)
        assert size + 1 == framer.consumed
    return best


@pytest.mark.parametrize(("size", "chunk"), [(60_000, 1), (1_000_000, 256)])
def test_linear(size: int, chunk: int) -> None:
    """
    Four times the bytes are four times the work.  One that searches or copies again takes seconds for these.
    """
    assert spent(4 * size, chunk) < 10 * max(spent(size, chunk), 0.02)


@pytest.mark.parametrize("length", [1, 15, 16, 17, 1000])
@pytest.mark.parametrize("before", [b"", b"{}\n", b'{"a', b"x" * 20])
@pytest.mark.parametrize("after", [b"", b'"}', b"\n{}\n", b'"}\n{}\n'])
def test_what_is_passed_over_counts_like_nul_bytes(before: bytes, length: int, after: bytes) -> None:
    passing, fed = LineFramer(16), LineFramer(16)
    found, wanted = passing.feed(before), fed.feed(before)

    passing.pass_over(length)
    wanted += fed.feed(bytes(length))
    assert found + passing.feed(after) == wanted + fed.feed(after)
    assert (passing.consumed, passing.finish()) == (fed.consumed, fed.finish())


def test_passing_over_costs_nothing() -> None:
    framer = LineFramer()
    framer.pass_over(1 << 50)

    assert framer.feed(b"\n") == [OverlongLine(offset=0, length=1 << 50)]
