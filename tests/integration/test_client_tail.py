"""
Reading a growing file, as ``logs -f`` does.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from orchctl import tail


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tail, "POLL_SECONDS", 0.0)


def writing(path: Path, *words: bytes) -> Callable[[], bool]:
    """
    A run that writes one word each time it is looked at, and is over with the last.
    """
    left = list(words)

    def live() -> bool:
        with path.open("ab") as file:
            file.write(left.pop(0))
        return bool(left)

    return live


def test_a_file_that_does_not_grow_is_read_once(tmp_path: Path) -> None:
    path = tmp_path / "s"
    path.write_bytes(b"x" * (tail.CHUNK + 1))
    assert [len(chunk) for chunk in tail.chunks(path)] == [tail.CHUNK, 1]


def test_what_the_run_wrote_last_is_read(tmp_path: Path) -> None:
    path = tmp_path / "s"
    path.write_bytes(b"")
    assert b"".join(tail.chunks(path, live=writing(path, b"one ", b"two ", b"last"))) == b"one two last"


def test_a_file_that_comes_late_is_waited_for(tmp_path: Path) -> None:
    path = tmp_path / "s"
    assert b"".join(tail.chunks(path, live=writing(path, b"one ", b"two"))) == b"one two"


def test_a_file_that_never_comes_is_an_error_once_the_run_is_over(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        list(tail.chunks(tmp_path / "none", live=lambda: False))
