"""
When a file that others write is whole.
"""

from __future__ import annotations

import pytest

from orchestrd.services import watched
from orchestrd.services.watched import Watched, put_aside_late

pytestmark = pytest.mark.anyio


@pytest.fixture
def looked(monkeypatch) -> Watched:
    """
    What lies still at two looks is whole, but for what was seen to change.
    """
    monkeypatch.setattr(watched, "STILL_SECONDS", 0.0)
    monkeypatch.setattr(watched, "GROWN_SECONDS", 1000.0)
    return Watched()


async def test_a_file_that_appears_whole(tmp_path, looked):
    file = tmp_path / "a-answer.md"
    file.write_text("all of it")
    assert [await looked.due(file) for _ in range(3)] == [False, True, False]
    file.write_text("all of it, again")
    assert [await looked.due(file) for _ in range(3)] == [False, True, False]


async def test_an_empty_file_is_only_the_name_of_one(tmp_path, looked):
    file = tmp_path / "a-answer.md"
    file.touch()
    assert not await looked.due(file)
    file.write_text("all of it")
    assert [await looked.due(file) for _ in range(2)] == [False, True]


async def test_a_file_that_was_seen_to_grow_lies_still_for_longer(tmp_path, looked, monkeypatch):
    file = tmp_path / "a-answer.md"
    file.write_text("one")
    assert not await looked.due(file)
    file.write_text("one and a half")
    assert not any([await looked.due(file) for _ in range(3)])
    monkeypatch.setattr(watched, "GROWN_SECONDS", 0.0)
    assert await looked.due(file)


async def test_what_a_short_machine_cannot_read_is_looked_at_again(tmp_path, looked, monkeypatch):
    file = tmp_path / "a-answer.md"
    file.write_text("all of it")
    assert [await looked.due(file) for _ in range(2)] == [False, True]

    async def short(*_) -> str:
        raise OSError(24, "Too many open files")

    with monkeypatch.context() as patch:
        patch.setattr(watched, "read_whole", short)
        assert await looked.text(file, 100) is None
    assert looked.refusal(file) == ""
    assert [await looked.due(file) for _ in range(2)] == [False, True]
    assert await looked.text(file, 100) == "all of it"


def test_what_was_put_aside_is_found_by_the_name_it_had(tmp_path):
    for name in ("a-answer.md", "a-answer.md.late-2", "a-answer.md.late", "a-2-answer.md.late", "a-answer.md.unknown"):
        (tmp_path / name).touch()
    assert put_aside_late(tmp_path) == {
        tmp_path / "a-answer.md": ["a-answer.md.late", "a-answer.md.late-2"],
        tmp_path / "a-2-answer.md": ["a-2-answer.md.late"],
    }
    assert put_aside_late(tmp_path / "none") == {}
