"""
Figures as people read them.
"""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from orchctl.render import figures


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(0, "0s"), (59.9, "59s"), (60, "1m00s"), (190, "3m10s"), (3720, "1h02m"), (183600, "2d03h"), (-5, "0s")],
)
def test_spans(seconds: float, text: str) -> None:
    assert figures.span(seconds) == text


@pytest.mark.parametrize(
    ("amount", "text"), [(0, "$0.00"), (0.0042, "$0.0042"), (0.01, "$0.01"), (1.2431, "$1.24"), (1234.5, "$1,234.50")]
)
def test_money(amount: float, text: str) -> None:
    assert figures.money(amount) == text


@pytest.mark.parametrize(
    ("number", "text"), [(0, "0"), (950, "950"), (12_345, "12.3k"), (312_000, "312k"), (1_200_000, "1.2M")]
)
def test_counts(number: int, text: str) -> None:
    assert figures.count(number) == text


@pytest.mark.parametrize(
    ("fraction", "text"), [(0, "...."), (0.001, "#..."), (0.5, "##.."), (0.999, "###."), (1, "####"), (7, "####")]
)
def test_bars_show_the_first_cent_and_fill_only_at_the_limit(fraction: float, text: str) -> None:
    assert figures.bar(fraction, 4, ascii_only=True) == text


@pytest.mark.parametrize(
    ("evil", "harmless"),
    [
        ("\x1b[2J\x1b[31mred\x1b[0m", "red"),
        ("\x1b]0;title\x07after", "after"),
        ("\x1b]8;;http://x\x1b\\link", "link"),
        ("a\x07b\x9bc", "abc"),
        ("one\rtwo", "onetwo"),
        ("a\u202eb", "ab"),
        ("dos\r\nunix\n", "dos\nunix\n"),
    ],
)
def test_foreign_text_cannot_move_the_cursor(evil: str, harmless: str) -> None:
    assert figures.safe(evil) == harmless


@given(st.text())
def test_no_control_character_survives(text: str) -> None:
    shown = figures.safe(text)
    assert all(char == "\n" or not (char < " " or "\x7f" <= char <= "\x9f") for char in shown)
    assert "\n" not in figures.one_line(text)


@given(st.text(), st.integers(1, 50))
def test_lines_keep_to_their_limit(text: str, limit: int) -> None:
    assert len(figures.one_line(text, limit)) <= limit


def test_times_that_are_none_are_shown_as_nothing() -> None:
    assert figures.clock_time(None) == figures.local_time("soon") == ""
