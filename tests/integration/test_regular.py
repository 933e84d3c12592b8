"""
What an agent may put where a file is expected: nothing of it is waited for, followed, or believed.
"""

import os

import anyio
import pytest

from orchestrd.domain.model import Deliverable
from orchestrd.runner.evidence import FILES_LIMIT, FileChange, first, judge
from orchestrd.runner.transcripts import read_spend
from orchestrd.storage.regular import open_regular, read_regular, read_text
from orchestrd.storage.rundir import RunDir

pytestmark = pytest.mark.anyio


async def test_a_fifo_a_link_and_a_folder_are_no_text(tmp_path):
    (tmp_path / "secret").write_text("secret")
    os.mkfifo(tmp_path / "fifo")
    (tmp_path / "link").symlink_to("secret")
    (tmp_path / "folder").mkdir()
    with anyio.fail_after(30):
        for name in ("fifo", "link", "folder", "absent"):
            assert await read_text(tmp_path / name, 100) is None
            with pytest.raises(OSError):
                open_regular(tmp_path / name)
    assert await read_text(tmp_path / "link", 100, follow=True) == "secret"
    assert read_regular(tmp_path / "secret", 3) == b"sec"


def test_a_fifo_among_the_transcripts_holds_nothing_up(tmp_path):
    folder = tmp_path / "projects" / "x"
    folder.mkdir(parents=True)
    os.mkfifo(folder / "s.jsonl")
    assert read_spend(tmp_path, "s") == {}


@pytest.mark.parametrize("content", [b"", b"x\n", b"[]", b"\xff", b"[" * 100_000])
def test_a_record_that_is_none(tmp_path, content):
    rundir = RunDir(tmp_path)
    rundir.exit.write_bytes(content)
    rundir.spec.write_bytes(content)
    assert rundir.exit_record() is None
    assert rundir.read_spec() is None


@pytest.mark.parametrize("pattern", ["docs/**.md", "x" * 300])
def test_a_deliverable_nobody_can_look_for(tmp_path, pattern):
    found = judge(Deliverable(text=pattern, path=pattern), tmp_path, set())
    assert found.status in ("unverified", "missing")


def test_the_journal_keeps_only_so_many_paths():
    many = tuple(FileChange(path=f"{number}", kind="created") for number in range(60_000))
    assert len(first(many)) == FILES_LIMIT
    assert len(first(tuple(FileChange(path="x" * 4000, kind="created") for _ in range(100)))) < 20
    assert first(many[:7]) == many[:7]
