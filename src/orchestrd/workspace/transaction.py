"""
Changing files of the project all or nothing.

A hidden folder in the top of the project, so on its file system, holds the new contents (``new/``) and takes the old
ones (``old/``).  Old files are *moved* there and looked at again once they can no longer change under our hands; new ones
are *linked* into place, which fails rather than overwrites.  A manifest is on disk before the first move and goes after
the last: whoever finds a folder with a manifest whose lock nobody holds puts everything back (``recover``), which is
also what happens when a step fails.  Folders are opened one by one without following links, so nothing leads outside.

Only blocking calls: run it in a thread, which a cancelled task cannot stop half-way.
"""

from __future__ import annotations

import fcntl
import json
import os
import shutil
import stat
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path

from orchestrd.errors import Refused, StorageError
from orchestrd.workspace.disk import digest, link, opened, same, step_into, surroundings
from orchestrd.workspace.git import shown
from orchestrd.workspace.listing import STAGING
from orchestrd.workspace.trees import FILE, LINK, PROGRAM, Entry, Step, above


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
        self.manifest = (self.place / "manifest").open("x", encoding="ascii")
        fcntl.flock(self.manifest, fcntl.LOCK_EX)

    def close(self) -> None:
        """
        Remove the folder, unless it holds what could not be put back.
        """
        with self.manifest:
            if os.fstat(self.manifest.fileno()).st_size == 0:
                shutil.rmtree(self.place, ignore_errors=True)


def land(project: Path, stage: Staging, steps: Sequence[Step], algorithm: str) -> None:
    """
    Take every one of *steps*, or none.  *algorithm* is the hash of the project's object ids, ``sha1`` or ``sha256``.

    Raises Refused when a file is not what its step says it was, StorageError when the machine fails; both only after
    everything is as it was before.
    """
    with opened(project) as root:
        change = _Change(project, root, stage.place, steps, algorithm)
        change.survey()
        json.dump(change.manifest(), stage.manifest)
        stage.manifest.flush()
        os.fsync(stage.manifest.fileno())
        try:
            change.carry_out()
        except BaseException as error:
            change.put_back()
            if isinstance(error, OSError):
                raise StorageError(f"the work could not be written, and was taken back: {error}") from error
            raise
        # From here on it is done: a folder without a manifest is only to be removed.
        (stage.place / "manifest").unlink()
        shutil.rmtree(stage.place, ignore_errors=True)


def recover(project: Path) -> int:
    """
    Put back what a crash left half-done in *project*; how many transactions that were.

    Raises Refused while a transaction is going on, StorageError when files were changed after the crash.
    """
    count = 0
    for place in sorted(project.glob(f"{os.fsdecode(STAGING)}*")):
        try:
            manifest = (place / "manifest").open(encoding="ascii")
        except FileNotFoundError:
            # Before the first step or after the last.
            shutil.rmtree(place, ignore_errors=True)
            continue
        with manifest, opened(project) as root:
            try:
                fcntl.flock(manifest, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                raise Refused("work is being applied to the project at this moment", hint="Try again.") from None
            change = _Change.read(project, root, place, manifest.read())
            if change is not None:
                change.put_back()
                count += 1
        shutil.rmtree(place, ignore_errors=True)
    return count


class _Change:
    """
    One transaction: the steps, and the folders as they were.
    """

    def __init__(self, project: Path, root: int, place: Path, steps: Sequence[Step], algorithm: str) -> None:
        self._project = project
        self._root = root
        self._place = place
        self._steps = steps
        self._algorithm = algorithm
        self._folders: dict[str, int] = {}
        self._absent: list[str] = []

    @classmethod
    def read(cls, project: Path, root: int, place: Path, text: str) -> _Change | None:
        """
        The transaction of a manifest; None when it was not finished, so nothing was touched.
        """
        try:
            noted = json.loads(text)
        except ValueError:
            return None
        steps = [
            Step(path=path, old=Entry(*old) if old else None, new=Entry(*new) if new else None)
            for path, old, new in noted["steps"]
        ]
        change = cls(project, root, place, steps, noted["algorithm"])
        change._folders, change._absent = noted["folders"], noted["absent"]
        for step in steps:
            if step.new is not None and change._placed(step) and change._at(step.path) not in {None, step.new}:
                raise StorageError(
                    f"applying work was interrupted, and {shown(step.path)} was changed since",
                    hint=f"The files as they were are in {place / 'old'}, numbered as in {place / 'manifest'}.",
                )
        return change

    def manifest(self) -> object:
        """
        What ``read`` needs.
        """
        entries = [(s.path, s.old and (s.old.mode, s.old.oid), s.new and (s.new.mode, s.new.oid)) for s in self._steps]
        return {
            "algorithm": self._algorithm, "steps": entries, "folders": self._folders, "absent": self._absent
        }  # fmt: skip

    def survey(self) -> None:
        """
        Look at every path once more and at the folders around.  Raises Refused when a step starts from something else.
        """
        for step in self._steps:
            if self._at(step.path) != step.old:
                raise Refused(f"{shown(step.path)} has just changed; nothing was touched", hint="Try again.")
        self._folders, self._absent = surroundings(self._project, self._steps)

    def carry_out(self) -> None:
        """
        Old files out, empty folders away, new files in.
        """
        for number, step in enumerate(self._steps):
            if step.old is not None:
                old = str(self._place / "old" / str(number))
                with self._parent(step.path) as (folder, name):
                    os.rename(name, old, src_dir_fd=folder)
                if digest(old, algorithm=self._algorithm) != step.old:
                    raise Refused(f"{shown(step.path)} has just changed; all was put back", hint="Try again.")
        needed = {folder for step in self._steps if step.new for folder in above(step.path)}
        for candidate in sorted(self._folders, key=len, reverse=True):
            if candidate not in needed:
                with suppress(OSError), self._parent(candidate) as (outer, name):
                    os.rmdir(name, dir_fd=outer)
        for number, step in enumerate(self._steps):
            if step.new is not None:
                source = self._place / "new" / step.path
                with self._parent(step.path, make=True) as (folder, name):
                    self._dress(source, step, self._place / "old" / str(number), folder)
                    link(str(source), name, folder)

    def put_back(self) -> None:
        """
        Undo whatever of ``carry_out`` has been done.  Raises StorageError naming what could not be.
        """
        failures: list[str] = []
        for step in self._steps:
            if step.new is not None and self._placed(step):
                with (
                    _noting(failures, step.path),
                    suppress(FileNotFoundError, NotADirectoryError),
                    self._parent(step.path) as (folder, name),
                ):
                    os.unlink(name, dir_fd=folder)
        for path in sorted(self._absent, key=len, reverse=True):
            with suppress(OSError), self._parent(path) as (folder, name):
                os.rmdir(name, dir_fd=folder)
        for path, mode in sorted(self._folders.items(), key=lambda item: len(item[0])):
            with _noting(failures, path), suppress(FileExistsError), self._parent(path) as (folder, name):
                os.mkdir(name, dir_fd=folder)
                os.chmod(name, mode, dir_fd=folder)
        for number, step in enumerate(self._steps):
            old = self._place / "old" / str(number)
            if os.path.lexists(old):
                with _noting(failures, step.path), self._parent(step.path) as (folder, name):
                    if not same(old, name, folder):
                        link(str(old), name, folder)
                    old.unlink(missing_ok=True)
        if failures:
            raise StorageError(
                f"these could not be put back as they were: {'; '.join(failures)}",
                hint=f"What was there is in {self._place / 'old'}.",
            )
        (self._place / "manifest").unlink(missing_ok=True)
        shutil.rmtree(self._place, ignore_errors=True)

    def _placed(self, step: Step) -> bool:
        """
        True when the new file of *step* has been put in its place: linked there, or moved.
        """
        source = self._place / "new" / step.path
        if not os.path.lexists(source):
            return True
        try:
            with self._parent(step.path) as (folder, name):
                return same(source, name, folder)
        except (FileNotFoundError, NotADirectoryError):
            return False

    def _at(self, path: str) -> Entry | None:
        try:
            with self._parent(path) as (folder, name):
                return digest(name, algorithm=self._algorithm, folder=folder)
        except (FileNotFoundError, NotADirectoryError):
            return None

    def _dress(self, source: Path, step: Step, old: Path, folder: int) -> None:
        """
        Give a new file its mode: the replaced file's, or for a newcomer one as open as the folder it comes to.
        """
        assert step.new is not None
        if step.new.mode == LINK:
            return
        if step.old is not None and step.old.mode != LINK:
            before = os.lstat(old)
            mode = stat.S_IMODE(before.st_mode)
            if step.old.mode != step.new.mode:
                mode = mode & ~0o111 if step.new.mode == FILE else mode | (mode & 0o444) >> 2
            now = os.lstat(source)
            if (before.st_uid, before.st_gid) != (now.st_uid, now.st_gid):
                with suppress(PermissionError):
                    os.chown(source, before.st_uid, before.st_gid)
        else:
            mode = (0o777 if step.new.mode == PROGRAM else 0o666) & os.fstat(folder).st_mode & 0o775 | 0o600
        source.chmod(mode)

    @contextmanager
    def _parent(self, path: str, *, make: bool = False) -> Iterator[tuple[int, str]]:
        """
        The folder *path* lies in, reached without following links, and the last name.
        """
        *folders, name = path.split("/")
        here = os.dup(self._root)
        try:
            for folder in folders:
                here = step_into(here, folder, make=make)
            yield here, name
        finally:
            os.close(here)


@contextmanager
def _noting(failures: list[str], path: str) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        failures.append(f"{shown(path)} ({error.strerror or error})")
