"""
F9: the power fails at any moment.

Every write and sync of a working journal is recorded, and from the record every disk is made that may be found afterwards:
what was synced is there; what was not may be there, may be missing, or may be there in part.  On each of them everything
that was acknowledged is found, and nobody speaks of damage.
"""

from __future__ import annotations

import os
import random
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from harness.disk import Act, Disk
from harness.journals import Writer
from harness.mutant import Mutant

from orchestrd.storage.integrity import examine, reading
from orchestrd.storage.journal import Journal

pytestmark = [pytest.mark.soak, pytest.mark.timeout(900)]
SECTOR = 512
"""What a disk writes whole."""

COMMITS = """
import os, sys
from pathlib import Path
from harness.journals import Writer
from orchestrd.storage import journal
journal.CHECKPOINT_COMMITS = 5
path = Path(sys.argv[1])
acks = os.open(path.with_name("acks"), os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
for _ in range(2):
    writer = Writer(path)
    for size in (20, 20, 3000, 20, 9000, 20, 20, 500):
        writer.work(1, size=size)
        os.write(acks, b"%d " % writer.journal.last_seq())
    writer.journal.close()
"""


class Drive:
    """
    Files as they are written, and what of them is certain to be there.
    """

    def __init__(self, start: dict[str, bytes]) -> None:
        self.durable = dict(start)
        self.pending: list[Act] = []

    def take(self, act: Act) -> None:
        if act.kind != "S":
            self.pending.append(act)
            return
        # A synced file is there with all that was done to it; a synced folder has all its names.
        ours = [
            a for a in self.pending if a.path == act.path or (a.kind in "UR" and str(Path(a.path).parent) == act.path)
        ]
        for done in ours:
            self.pending.remove(done)
            self._do(self.durable, done)

    def images(self, dice: random.Random) -> Iterator[dict[str, bytes]]:
        """
        Disks that may be found now.
        """
        for kept in (
            self.pending,
            [],
            *([a for a in self.pending if dice.random() < share] for share in (0.8, 0.5, 0.2)),
        ):
            image = dict(self.durable)
            for act in kept:
                self._do(image, act)
            yield image
        for last in self.pending[-1:]:
            if last.kind == "W" and len(last.data) > SECTOR:
                image = dict(self.durable)
                for act in self.pending[:-1]:
                    self._do(image, act)
                sectors = range(SECTOR - last.offset % SECTOR, len(last.data), SECTOR)
                cut = dice.choice(sectors)
                self._do(image, last._replace(data=last.data[:cut]))
                yield image

    @staticmethod
    def _do(files: dict[str, bytes], act: Act) -> None:
        if act.kind == "U":
            files.pop(act.path, None)
        elif act.kind == "R":
            if act.path in files:
                files[act.data.decode()] = files.pop(act.path)
        elif act.kind == "T":
            files[act.path] = files.get(act.path, b"")[: act.offset].ljust(act.offset, b"\0")
        elif act.kind == "W":
            old = files.get(act.path, b"").ljust(act.offset, b"\0")
            files[act.path] = old[: act.offset] + act.data + old[act.offset + len(act.data) :]


def test_every_moment(tmp_path, tally):
    var = tmp_path / "var"
    var.mkdir()
    path = var / "orchestrd.db"
    writer = Writer(path)
    writer.begin()
    first = writer.journal.last_seq()
    writer.journal.close()
    start = {str(file): file.read_bytes() for file in var.iterdir()}
    disk = Disk(var, tmp_path)
    subprocess.run(
        [sys.executable, "-c", COMMITS, path],
        env={**os.environ, **disk.recording, "PYTHONPATH": ":".join(sys.path)},
        check=True,
    )
    acts = list(disk.acts())
    drive, dice = Drive(start), random.Random(9)
    acknowledged, images, most = first, 0, 0
    there = tmp_path / "after"
    there.mkdir()
    for act in acts:
        if act.path.endswith("acks"):
            acknowledged = int(act.data)
            continue
        if act.path.endswith("-shm"):
            continue
        drive.take(act)
        most = max(most, len(drive.pending))
        for image in drive.images(dice):
            images += 1
            facts = found(there, image)
            assert facts[:acknowledged] == list(range(1, acknowledged + 1)), f"after {images} images, {act[:3]}"
            assert facts == list(range(1, len(facts) + 1))
    assert acknowledged == first + 16
    assert most > 5
    tally("F9", checked=images, note=f"{images:,} disks after {len(acts)} acts")


def found(folder: Path, image: dict[str, bytes]) -> list[int]:
    """
    The numbers of the facts on such a disk, proven like at any start.
    """
    for rest in folder.iterdir():
        rest.unlink()
    for name, data in image.items():
        (folder / Path(name).name).write_bytes(data)
    path = folder / "orchestrd.db"
    assert examine(path).whole
    with reading(path) as db:
        return [seq for (seq,) in db.execute("SELECT seq FROM events ORDER BY seq")]


def test_what_is_found_can_be_gone_on_with(tmp_path):
    """
    The log as it was cut by the power: the next daemon writes over what was never committed.
    """
    writer = Writer(tmp_path / "orchestrd.db")
    writer.begin()
    log = tmp_path / "orchestrd.db-wal"
    before = log.stat().st_size
    last = writer.journal.last_seq()
    mark = (tmp_path / "orchestrd.mark").read_bytes()
    writer.work(1)
    files = {file.name: file.read_bytes() for file in tmp_path.iterdir()}
    writer.journal.close()
    for name, data in files.items():
        (tmp_path / name).write_bytes(data)
    with log.open("r+b") as file:
        file.truncate(before + 4000)
    (tmp_path / "orchestrd.mark").write_bytes(mark)
    (tmp_path / "orchestrd.db-shm").unlink()
    writer = Writer(tmp_path / "orchestrd.db")
    assert writer.journal.last_seq() == last
    writer.work(2)
    writer.journal.close()
    journal = Journal(tmp_path / "orchestrd.db")
    assert journal.last_seq() == last + 2
    journal.close()


MUTANTS = (
    Mutant(
        "a commit is not synced",
        file="storage/journal.py",
        old='self._db.execute("PRAGMA synchronous = FULL")',
        new='self._db.execute("PRAGMA synchronous = NORMAL")',
        test="test_every_moment",
    ),
    Mutant(
        "the mark runs ahead of the journal",
        file="storage/journal.py",
        old='            failpoint("journal.written.before_commit")\n',
        new="            self._mark_file.put(marks.Mark(identity=self._mark.identity, seq=seq))\n",
        test="test_every_moment",
    ),
    Mutant(
        "a log that ends in the midst of a page is taken for damaged",
        file="storage/integrity.py",
        old="        _finished(path)\n        _header(path)\n",
        new='        _finished(path)\n        _header(path)\n        if log_of(path).exists() and (log_of(path).stat().st_size - 32) % 4120:\n            raise DamagedJournal(f"{path}: its log was cut", hint=REPAIR)\n',
        test="test_what_is_found_can_be_gone_on_with",
    ),
)
