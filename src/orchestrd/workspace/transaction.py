"""
Changing files of the project all or nothing.

A hidden folder in the top of the project, so on its file system, holds the new contents (``new/``) and takes the old
ones (``old/``).  Old files are *moved* there and looked at again once they can no longer change under our hands; new ones
are *linked* into place, which fails rather than overwrites.  A manifest is on disk before the first move: whoever finds a
folder with a manifest whose lock nobody holds puts everything back (``recover``), which is also what happens when a step
fails.  After the last step the manifest gets another name, and the folder stays until what was done is recorded: whoever
finds it so (``landed``) records what its note says.  Folders are opened one by one without following links, so nothing
leads outside.

A person may have mended a project that was left half-way.  What they wrote stays; the file that was there before is kept
in a folder beside (``KEPT``), which is never part of a snapshot either.

Only blocking calls: run it in a thread, which a cancelled task cannot stop half-way.
"""

from __future__ import annotations

import fcntl
import json
import os
import shutil
import tempfile
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

import msgspec

from orchestrd.errors import StorageError
from orchestrd.failpoint import failpoint
from orchestrd.storage.regular import open_regular, read_regular
from orchestrd.workspace.disk import opened, sync
from orchestrd.workspace.exchange import MANIFEST, Exchange
from orchestrd.workspace.listing import KEPT, STAGING
from orchestrd.workspace.trees import Step

LIMIT = 1 << 28
"""Bytes of a manifest that are read."""
LANDED = "landed"
"""The manifest's name once every step has been taken."""


class Recovered(msgspec.Struct, frozen=True, kw_only=True):
    """
    What became of transactions that were cut off: how many were *undone*, where in the project old files are *kept* whose
    places are taken, what is *stuck*, in sentences, and whether one is *busy*: going on at this moment.
    """

    undone: int = 0
    kept: tuple[str, ...] = ()
    stuck: tuple[str, ...] = ()
    busy: bool = False


class Landing(msgspec.Struct, frozen=True, kw_only=True):
    """
    A transaction that was carried out and whose folder, *place*, is still there; *note* is what its maker wanted to know.
    """

    place: Path
    note: str


class _Noted(msgspec.Struct, frozen=True, kw_only=True):
    """
    What a manifest says beside its steps: whose it is, and what its maker wanted to know.
    """

    owner: str = ""
    note: str | None = None


class Leftovers(msgspec.Struct, frozen=True, kw_only=True):
    """
    Folders in a project: of transactions that were *cut* off, that *landed* and are not forgotten yet, and those in which
    old files are *kept*.
    """

    cut: tuple[Path, ...] = ()
    landed: tuple[Path, ...] = ()
    kept: tuple[Path, ...] = ()


class Staging:
    """
    The hidden folder of one transaction, locked while it is in use; ``new`` is to be filled, each file under its path.
    """

    def __init__(self, project: Path) -> None:
        self.place = Path(tempfile.mkdtemp(prefix=os.fsdecode(STAGING), dir=project))
        self.new = self.place / "new"
        self.new.mkdir()
        (self.place / "old").mkdir()
        (self.place / ".gitignore").write_text("*\n", encoding="ascii")
        self.manifest = (self.place / MANIFEST).open("x", encoding="ascii")
        fcntl.flock(self.manifest, fcntl.LOCK_EX)

    def close(self) -> None:
        """
        Remove the folder, unless it holds what could not be put back or is still to be recorded.
        """
        with self.manifest:
            if os.fstat(self.manifest.fileno()).st_size == 0:
                shutil.rmtree(self.place, ignore_errors=True)


def land(
    project: Path, stage: Staging, steps: Sequence[Step], algorithm: str, *, owner: str = "", note: str | None = None
) -> None:
    """
    Take every one of *steps*, or none.  *algorithm* is the hash of the project's object ids, ``sha1`` or ``sha256``.  With a
    *note* the folder stays, for *owner* to record and to ``forget``.

    Raises Refused when a file is not what its step says it was, StorageError when the machine fails; both only after
    everything is as it was before.
    """
    with opened(project) as root:
        change = Exchange(project, root, stage.place, steps, algorithm)
        change.survey()
        json.dump(change.manifest() | {"owner": owner, "note": note}, stage.manifest)
        stage.manifest.flush()
        os.fsync(stage.manifest.fileno())
        for folder in (stage.place, project):
            sync(folder)
        failpoint("apply.noted")
        try:
            change.carry_out()
            failpoint("apply.placed")
            # From here on it is done.
            (stage.place / MANIFEST).rename(stage.place / LANDED)
        except BaseException as error:
            kept = change.put_back()
            if isinstance(error, OSError):
                told = f", but for {', '.join(kept)}" if kept else ""
                raise StorageError(f"the work could not be written, and was taken back{told}: {error}") from error
            raise
        with suppress(OSError):
            sync(stage.place)
        if note is None:
            forget(stage.place)


def forget(place: Path) -> None:
    """
    Remove the folder of a transaction that is done and recorded.
    """
    # The mark first: what is left of a folder without one is only to be removed.
    with suppress(OSError):
        (place / LANDED).unlink(missing_ok=True)
        shutil.rmtree(place, ignore_errors=True)


def landed(project: Path, owner: str) -> list[Landing]:
    """
    What was carried out for *owner* and not forgotten yet.
    """
    found = []
    for place in _folders(project, STAGING):
        # Another owner's, or one that somebody has just forgotten.
        with suppress(OSError, msgspec.DecodeError, UnicodeDecodeError):
            noted = msgspec.json.decode(read_regular(place / LANDED, LIMIT), type=_Noted)
            if noted.owner == owner and noted.note is not None:
                found.append(Landing(place=place, note=noted.note))
    return found


def leftovers(project: Path, owner: str) -> Leftovers:
    """
    What lies in *project* of transactions that are not going on; changes nothing.
    """
    cut = [place for place in _folders(project, STAGING) if _abandoned(place / MANIFEST)]
    return Leftovers(
        cut=tuple(cut),
        landed=tuple(landing.place for landing in landed(project, owner)),
        kept=tuple(_folders(project, KEPT)),
    )


def _folders(project: Path, names: bytes) -> list[Path]:
    """
    The folders in *project* whose names begin so, in order.
    """
    found = sorted(project.glob(f"{os.fsdecode(names)}*"))
    return [place for place in found if place.is_dir() and not place.is_symlink()]


def _abandoned(manifest: Path) -> bool:
    """
    True for a manifest that says something and whose lock nobody holds.
    """
    try:
        with os.fdopen(open_regular(manifest), "rb") as file:
            fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
            return os.fstat(file.fileno()).st_size > 0
    except OSError:
        return False


def recover(project: Path) -> Recovered:
    """
    Put back what a crash left half-done in *project*, as far as that can be.
    """
    undone, busy = 0, False
    kept: list[str] = []
    stuck: list[str] = []
    for place in _folders(project, STAGING):
        try:
            manifest = os.fdopen(open_regular(place / MANIFEST), encoding="ascii", errors="replace")
        except FileNotFoundError:
            if not (place / LANDED).exists():
                # Before the first step, or recorded.
                shutil.rmtree(place, ignore_errors=True)
            continue
        except OSError as error:
            stuck.append(f"{place}: {error.strerror}")
            continue
        with manifest, opened(project) as root:
            try:
                fcntl.flock(manifest, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                busy = True
                continue
            change = Exchange.read(project, root, place, manifest.read())
            if change is None:
                if any(place.glob("old/*")):
                    where = f"what its old files are called is lost: put those in {place / 'old'} back, then remove it"
                    stuck.append(f"{place}: its manifest cannot be read, and {where}")
                else:
                    shutil.rmtree(place, ignore_errors=True)
                continue
            try:
                kept += change.put_back()
                undone += 1
            except StorageError as error:
                stuck.append(str(error).replace("\n", "  "))
    return Recovered(undone=undone, kept=tuple(kept), stuck=tuple(stuck), busy=busy)
