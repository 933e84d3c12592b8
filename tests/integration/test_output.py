"""
An agent's output in pieces: bounded, whatever the file's length says, and the same in every reading.
"""

import os

import pytest

from orchestrd.storage.output import OUTPUT_LIMIT, PIECE, Piece, excessive, extent, read_piece


@pytest.fixture
def output(tmp_path):
    fd = os.open(tmp_path / "stdout.jsonl", os.O_RDWR | os.O_CREAT)
    yield fd
    os.close(fd)


def pieces(fd: int, stop: int = OUTPUT_LIMIT) -> list[Piece]:
    offset, found = 0, []
    while (piece := read_piece(fd, offset, stop)).length:
        found.append(piece)
        offset += piece.length
    return found


def test_all_of_it_in_order(output):
    data = os.urandom(3 * PIECE + 5)
    os.write(output, data)
    found = pieces(output)
    assert b"".join(piece.data for piece in found) == data
    assert max(piece.length for piece in found) == PIECE
    assert sum(piece.length for piece in pieces(output, PIECE + 1)) == PIECE + 1


def test_a_hole_is_one_piece(output):
    os.write(output, b"before")
    os.pwrite(output, b"after", 1 << 32)
    found = pieces(output)
    assert sum(piece.length for piece in found) == (1 << 32) + 5
    assert len([piece for piece in found if piece.hole]) == 1
    assert len(found) < 5


def test_nul_bytes_that_were_written_are_read(output):
    os.write(output, bytes(2 * PIECE) + b"x")
    assert [len(piece.data) for piece in pieces(output)] == [PIECE, PIECE, 1]


def test_where_holes_are_not_told_they_are_read(output, monkeypatch):
    os.truncate(output, 3 * PIECE)
    monkeypatch.setattr("orchestrd.storage.output.os.lseek", lambda fd, offset, how: offset)
    assert [len(piece.data) for piece in pieces(output)] == [PIECE] * 3


def test_nothing_is_read_beyond_the_limit(output):
    os.truncate(output, OUTPUT_LIMIT)
    assert not excessive(output)
    os.pwrite(output, b"beyond", OUTPUT_LIMIT)
    assert excessive(output)
    assert extent(output) == OUTPUT_LIMIT
    assert pieces(output) == [Piece(hole=OUTPUT_LIMIT)]
