"""
The steps of one transaction: old files out, new ones in, and all the way back.
"""

from __future__ import annotations

import errno
import os
import shutil
import stat
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Literal

import msgspec

from orchestrd.errors import Refused, StorageError
from orchestrd.failpoint import failpoint
from orchestrd.workspace.disk import digest, link, same, step_into, surroundings, sync
from orchestrd.workspace.git import shown
from orchestrd.workspace.listing import KEPT, STAGING
from orchestrd.workspace.trees import FILE, LINK, PROGRAM, Entry, Step, above

MANIFEST = "manifest"
"""Says what is to be done, in the transaction's folder, from before the first step until after the last."""
ABOUT_KEPT = """\
# orchestrd: an apply was cut off, and these files were written anew before it could be taken back.  Here they lie as they
# were before that apply.  Take from them what you miss, then remove this folder.
*
"""


class _Manifest(msgspec.Struct, frozen=True, kw_only=True):
    """
    The file `MANIFEST`: each step as path, old and new; folders with their modes; what was no folder before.
    """

    algorithm: Literal["sha1", "sha256"]
    steps: list[tuple[str, tuple[str, str] | None, tuple[str, str] | None]]
    folders: dict[str, int]
    absent: list[str]


class Exchange:
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
    def read(cls, project: Path, root: int, place: Path, text: str) -> Exchange | None:
        """
        The transaction of a manifest; None when that cannot be read: it was not finished, so nothing was touched, or is damaged.
        """
        try:
            noted = msgspec.json.decode(text, type=_Manifest)
        except (msgspec.DecodeError, UnicodeEncodeError):
            return None
        steps = [
            Step(path=path, old=Entry(*old) if old else None, new=Entry(*new) if new else None)
            for path, old, new in noted.steps
        ]
        # Whoever wrote it: nothing outside the project, and nothing of git's, is touched for it.
        paths = [*(step.path for step in steps), *noted.folders, *noted.absent]
        if any(name.lower() in {"", ".", "..", ".git"} for path in paths for name in path.split("/")):
            return None
        change = cls(project, root, place, steps, noted.algorithm)
        change._folders, change._absent = noted.folders, noted.absent
        return change

    def manifest(self) -> dict[str, object]:
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
        failpoint("apply.emptied")
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
                    if step.new.mode != LINK:
                        sync(source)
                    link(str(source), name, folder)
        self._sync_folders()

    def put_back(self) -> list[str]:
        """
        Undo whatever of ``carry_out`` has been done; gives where old files are kept whose places somebody has taken.

        Raises StorageError naming what could be neither put back nor kept; it can be tried again.
        """
        failures: list[str] = []
        kept: list[str] = []
        for step in self._steps:
            with _noting(failures, step.path):
                # What was changed since it came is somebody's own.
                if step.new is not None and self._placed(step) and self._at(step.path) == step.new:
                    with self._parent(step.path) as (folder, name):
                        os.unlink(name, dir_fd=folder)
        for path in sorted(self._absent, key=len, reverse=True):
            with suppress(OSError), self._parent(path) as (folder, name):
                os.rmdir(name, dir_fd=folder)
        for path, mode in sorted(self._folders.items(), key=lambda item: len(item[0])):
            with (
                _noting(failures, path),
                suppress(FileExistsError, NotADirectoryError),
                self._parent(path, make=True) as (folder, name),
            ):
                os.mkdir(name, dir_fd=folder)
                os.chmod(name, mode, dir_fd=folder)
        for number, step in enumerate(self._steps):
            old = self._place / "old" / str(number)
            if os.path.lexists(old):
                with _noting(failures, step.path):
                    if self._returned(old, step.path):
                        old.unlink(missing_ok=True)
                    else:
                        kept.append(self._keep(old, step.path))
        if failures:
            raise StorageError(
                f"these could not be put back as they were: {'; '.join(failures)}",
                hint=f"Mend that, and they are put back by the next start or apply.  They are in {self._place / 'old'}, "
                f"numbered as in {self._place / MANIFEST}.",
            )
        (self._place / MANIFEST).unlink(missing_ok=True)
        shutil.rmtree(self._place, ignore_errors=True)
        return kept

    def _returned(self, old: Path, path: str) -> bool:
        """
        True when *path* holds again what *old* holds: put there now, or by somebody before.
        """
        try:
            with self._parent(path, make=True) as (folder, name):
                if same(old, name, folder):
                    return True
                try:
                    link(str(old), name, folder)
                except FileExistsError:
                    there = digest(name, algorithm=self._algorithm, folder=folder)
                    return there is not None and there == digest(str(old), algorithm=self._algorithm)
        except OSError as error:
            if error.errno in {errno.ENOTDIR, errno.ELOOP}:
                return False  # its folder is a file or a link now
            raise
        return True

    def _keep(self, old: Path, path: str) -> str:
        """
        Move *old*, which was at *path*, to where the person finds it; gives the place within the project.
        """
        kept = self._place.name.replace(os.fsdecode(STAGING), os.fsdecode(KEPT), 1)
        place = self._project / kept
        place.mkdir(mode=0o700, exist_ok=True)
        (place / ".gitignore").write_text(ABOUT_KEPT, encoding="ascii")
        # A name that no file of the project can have: it may hold a .gitignore of its own.
        target = place / "files" / path
        target.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        old.rename(target)
        return f"{kept}/files/{shown(path)}"

    def _sync_folders(self) -> None:
        """
        Have every folder on disk in which a name came or went.
        """
        for path in {step.path.rpartition("/")[0] for step in self._steps}:
            with (
                suppress(FileNotFoundError, NotADirectoryError),
                self._parent(f"{path}/." if path else ".") as (here, _),
            ):
                os.fsync(here)

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
