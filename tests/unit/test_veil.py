"""
An answer without the key, however it comes.
"""

from __future__ import annotations

import gzip

import pytest
from hypothesis import given
from hypothesis import strategies as st

from orchestrd.runner.veil import Answer, Unclear

KEY = b"sk-sk-real-01"
HIDDEN = b"[secret]*****"
TEXT = b"one " + KEY + b" two sk-sk-real-0 three " + KEY
SHOWN = TEXT.replace(KEY, HIDDEN)


def chunked(data: bytes, *sizes: int) -> bytes:
    out = b""
    for size in sizes:
        part, data = data[:size], data[size:]
        out += b"%X;x=1\r\n%s\r\n" % (len(part), part) if part else b""
    out += b"%X\r\n%s\r\n" % (len(data), data) if data else b""
    return out + b"0\r\nX-Trailer: " + KEY + b"\r\n\r\n"


def body_of(answer: bytes) -> bytes:
    """
    The body of an *answer* as a client reads it.
    """
    head, _, body = answer.partition(b"\r\n\r\n")
    if b"Transfer-Encoding: chunked" not in head:
        return body
    out = b""
    while True:
        size, _, body = body.partition(b"\r\n")
        if int(size, 16) == 0:
            assert body == b"\r\n"
            return out
        out, body = out + body[: int(size, 16)], body[int(size, 16) :]
        assert body.startswith(b"\r\n")
        body = body[2:]


def heard(answer: bytes, cuts: list[int], method: str = "GET") -> bytes:
    """
    What goes on of an *answer* that comes in pieces.
    """
    veil, out, at = Answer(method, [KEY]), b"", 0
    for cut in [*sorted(cuts), len(answer)]:
        out += veil.take(answer[at : max(at, cut)])
        at = max(at, cut)
    return out + veil.end()


CUTS = st.lists(st.integers(0, 300), max_size=8)
HEAD = b"HTTP/1.1 200 OK\r\nrequest-id: " + KEY + b"\r\n"


@given(CUTS)
def test_of_a_known_length(cuts):
    answer = HEAD + b"Content-Length: %d\r\n\r\n" % len(TEXT)
    found = heard(answer + TEXT + b"HTTP/1.1 200 " + KEY, cuts)
    assert found == answer.replace(KEY, HIDDEN) + SHOWN


@given(CUTS, st.lists(st.integers(1, 20), max_size=8))
def test_in_chunks(cuts, sizes):
    found = heard(HEAD + b"Transfer-Encoding: chunked\r\n\r\n" + chunked(TEXT, *sizes), cuts)
    assert found.startswith(b"HTTP/1.1 200 OK\r\nrequest-id: " + HIDDEN)
    assert body_of(found) == SHOWN


@given(CUTS)
def test_until_it_is_closed(cuts):
    assert heard(HEAD + b"\r\n" + TEXT, cuts) == HEAD.replace(KEY, HIDDEN) + b"\r\n" + SHOWN


@given(CUTS, st.booleans())
def test_packed_though_nobody_asked_for_it(cuts, whole):
    data = gzip.compress(TEXT)
    head = HEAD + b"Content-Encoding: gzip\r\n"
    answer = head + (
        b"Content-Length: %d\r\n\r\n" % len(data) + data
        if whole
        else b"Transfer-Encoding: chunked\r\n\r\n" + chunked(data, 9)
    )
    found = heard(answer, cuts)
    assert body_of(found) == SHOWN
    assert b"gzip" not in found


def test_what_comes_goes_on_at_once():
    veil = Answer("POST", [KEY])
    assert veil.take(HEAD + b"Transfer-Encoding: chunked\r\n\r\n")
    assert veil.take(b"9\r\nevent: a\n\r\n") == b"9\r\nevent: a\n\r\n"
    # But for what may be the beginning of a key.
    assert veil.take(b"7\r\nit is s\r\n") == b"6\r\nit is \r\n"
    assert veil.take(b"2\r\no.\r\n") == b"3\r\nso.\r\n"


def test_interim_answers_and_those_without_a_body():
    interim = b"HTTP/1.1 103 Early Hints\r\nLink: " + KEY + b"\r\n\r\n"
    found = heard(interim + b"HTTP/1.1 204 No Content\r\n\r\n" + KEY, [])
    assert found == interim.replace(KEY, HIDDEN) + b"HTTP/1.1 204 No Content\r\n\r\n"
    head = HEAD + b"Content-Length: 9\r\n\r\n"
    assert heard(head + KEY, [], "HEAD") == head.replace(KEY, HIDDEN)


def test_one_that_is_broken_off_shows_no_part_of_a_key():
    for answer in (
        HEAD + b"Content-Length: 99\r\n\r\nit is " + KEY[:-1],
        HEAD + b"Transfer-Encoding: chunked\r\n\r\n20\r\nit is " + KEY[:-1],
    ):
        assert KEY[:-1] not in heard(answer, [])


@pytest.mark.parametrize(
    "answer",
    [
        b"hello\r\n\r\n",
        b"HTTP/1.1 101 Switching Protocols\r\n\r\n",
        HEAD + b"Content-Encoding: br\r\n\r\n",
        HEAD + b"Content-Encoding: gzip\r\n\r\nnot packed",
        HEAD + b"Transfer-Encoding: gzip, chunked\r\n\r\n",
        HEAD + b"Content-Length: 1\r\nContent-Length: 2\r\n\r\n",
        HEAD + b"Transfer-Encoding: chunked\r\n\r\nzz\r\n",
        HEAD + b"Transfer-Encoding: chunked\r\n\r\n1\r\nabc\r\n",
        b"x" * 70_000,
    ],
)
def test_what_cannot_be_read_is_not_passed_on(answer):
    with pytest.raises(Unclear):
        heard(answer, [])
