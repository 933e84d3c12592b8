"""
Mend what can be mended without a guess, and write down everything that was done.

Only with the home's lock: nobody else writes meanwhile.  What is mended are copies and leftovers (rows, modes, temporary
files, sockets, processes of settled runs); whole facts and what agents said are never touched.  A damaged journal is kept as
it is, and a new one made of what is whole of it.
"""

from __future__ import annotations

import os
import re
import socket
import stat
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path

import msgspec

from orchestrd.address import served_socket
from orchestrd.audit.census import marked, outliving
from orchestrd.audit.ledger import read_ledger
from orchestrd.audit.modes import LOOSE, walk
from orchestrd.audit.picture import Picture
from orchestrd.audit.rebuild import remake_rows
from orchestrd.clock import Clock, iso
from orchestrd.errors import ConfigError, StorageError
from orchestrd.runner.homelock import take
from orchestrd.runner.sweep import ask_heirs, end_heirs, heirs
from orchestrd.storage.home import Home
from orchestrd.storage.rundir import RunDir
from orchestrd.storage.salvage import salvage
from orchestrd.workspace import custody

LOG = "repairs.jsonl"
GRACE_SECONDS = 5.0
"""How long a leftover process may take to end by itself before it is killed."""
_TEMPORARY = re.compile(r"\..+\.\d+(-[0-9a-f]{8})?\.new")
_PROBE = re.compile(r"\.room-\d+-[0-9a-f]{8}")
_OF_RUN = ("exit.json.new", "process.json.new")


class Repair(msgspec.Struct, frozen=True, kw_only=True):
    """
    One thing that was done: *at* in ISO-8601 UTC; *what* is modes, file, socket, journal, rows, cursor or process.
    """

    at: str
    what: str
    subject: str
    detail: str


def repair(root: Path, *, environ: Mapping[str, str], clock: Clock) -> list[Repair]:
    """
    Mend the home *root*; gives what was done, in order, which is in ``var/repairs.jsonl`` too.

    Raises `AlreadyRunning` while a daemon serves the home, `ConfigError`, `StorageError`.
    """
    home = Home(root)
    if not home.var.exists():
        return []
    log = home.var / LOG
    if os.path.lexists(log) and not stat.S_ISREG(log.lstat().st_mode):
        raise StorageError(f"{log}: not a regular file", hint="Nothing of ours: look what it is, remove it.")
    announced = _announced(home, environ)
    lock = take(home, "orchctl doctor --repair")
    try:
        mender = Mender(home, environ, clock)
        mender.modes()
        mender.files()
        mender.sockets(announced)
        mender.journal()
        mender.processes()
        mender.work()
        return mender.done
    finally:
        os.close(lock)


def _announced(home: Home, environ: Mapping[str, str]) -> list[Path]:
    """
    Where the last daemon may have listened; read before the lock file says something else.
    """
    with suppress(ConfigError):
        return [served_socket(home.root, dict(environ)), *(home.var / "run").glob("*.sock")]
    return []


class Mender:
    """
    Mends one home, whose lock is held.
    """

    def __init__(self, home: Home, environ: Mapping[str, str], clock: Clock) -> None:
        self._home = home
        self._environ = environ
        self._clock = clock
        self.done: list[Repair] = []

    def _note(self, what: str, subject: str | Path, detail: str) -> None:
        """
        Write down what was done before anything else is: a repair that dies half-way has told of its first half.
        """
        if isinstance(subject, Path):
            subject = str(subject.relative_to(self._home.root) if subject.is_relative_to(self._home.root) else subject)
        entry = Repair(at=iso(self._clock.wall()) or "", what=what, subject=subject, detail=detail)
        self.done.append(entry)
        flags = os.O_RDWR | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC | os.O_NOFOLLOW
        fd = os.open(self._home.var / LOG, flags | os.O_NONBLOCK, 0o600)
        with os.fdopen(fd, "wb") as file:
            file.write(msgspec.json.encode(entry) + b"\n")
            file.flush()
            os.fsync(fd)

    def modes(self) -> None:
        """
        Take from others what they may do with our files.
        """
        for path, status in walk(self._home):
            mode = stat.S_IMODE(status.st_mode)
            if mode & LOOSE and status.st_uid == os.getuid():
                path.chmod(mode & ~LOOSE)
                self._note("modes", path, f"mode {mode:04o} became {mode & ~LOOSE:04o}")

    def files(self) -> None:
        """
        Remove what a write that was cut off left behind: it was never in its place.
        """
        for path, status in walk(self._home):
            if not stat.S_ISREG(status.st_mode):
                continue
            of_run = path.name in _OF_RUN and path.is_relative_to(self._home.logs)
            if of_run and RunDir(path.parent).shim_alive():
                continue  # its shim is writing it
            if of_run or _TEMPORARY.fullmatch(path.name):
                path.unlink()
                self._note("file", path, "removed: a write that was cut off before the file was in its place")
            elif _PROBE.fullmatch(path.name):
                path.unlink()
                self._note("file", path, "removed: it was written only to see whether there is room")

    def sockets(self, announced: list[Path]) -> None:
        """
        Remove sockets that nobody listens on any more.
        """
        for path in dict.fromkeys(announced):
            with socket.socket(socket.AF_UNIX) as probe:
                try:
                    if not stat.S_ISSOCK(path.lstat().st_mode):
                        continue
                    probe.connect(str(path))
                except ConnectionRefusedError:
                    path.unlink()
                    self._note("socket", path, "removed: nobody listens on it")
                except OSError:
                    continue

    def journal(self) -> None:
        """
        Save what is whole of a damaged journal, and make rows again that are not what the facts add up to.
        """
        ledger = read_ledger(self._home.database)
        if ledger.damaged:
            self._salvage()
        elif not ledger.unreadable:
            remake_rows(Picture(self._home.root, self._environ), self._note, self._clock)

    def _salvage(self) -> None:
        path = self._home.database
        saved = salvage(path, now=self._clock.wall())
        for copy in saved.quarantined:
            self._note("journal", path, f"the damaged file was kept as {Path(copy).name}")
        where = f" ({', '.join(saved.damaged)} not as written)" if saved.damaged else ""
        self._note("journal", path, f"made anew from {saved.facts} whole facts and {saved.replies} replies{where}")
        if saved.lost_facts > saved.lost_end:
            number = saved.lost_facts - saved.lost_end
            kept = "what they did to tasks, runs, questions and money is not lost"
            self._note("journal", path, f"lost: {number} facts, the first is number {saved.first_lost}; {kept}")
        if saved.lost_end:
            first = saved.facts + saved.lost_facts - saved.lost_end + 1
            again = "what was read from an agent's output is read again when its run is taken up"
            gone = "no task of that time is known any more: submit the day again"
            lost = f"{saved.lost_end} facts" if saved.counted else "nobody knows how many facts"
            detail = f"lost: {lost}, from number {first} on; {again if saved.facts else gone}"
            self._note("journal", path, detail)
        if saved.lost_replies:
            self._note("journal", path, f"lost: {saved.lost_replies} replies; a request of that time acts once more")
        for run in saved.unknown_runs:
            self._note(
                "journal", run, "its start is among what was lost: nobody follows or ends it, its files are still there"
            )
        for task in saved.held:
            self._note(
                "journal",
                task,
                "no other run begins by itself: its unknown run may have done it; look, then: orchctl retry",
            )
        for run in saved.unread_runs:
            self._note("journal", run, "a part of its output may be missing from the journal for good")

    def processes(self) -> None:
        """
        End what lives of settled runs: TERM, a grace, KILL.
        """
        picture = Picture(self._home.root, self._environ)
        living = marked(self._home)
        for run in picture.runs if picture.readable else ():
            rundir = picture.rundir(run.key)
            if run.open or not (run.key in living or rundir.agent_alive()):
                continue
            names = heirs(rundir)
            outliving(ask_heirs(rundir), GRACE_SECONDS, self._clock)
            killed = end_heirs(rundir)
            for pid, name in names.items():
                how = "had to be killed" if name in killed else "ended when asked"
                self._note("process", run.key, f"process {pid} ({name}) of the settled run {how}")

    def work(self) -> None:
        """
        Name again what no ref keeps, and put a repository that has lost everything aside: without this no daemon starts.
        """
        picture = Picture(self._home.root, self._environ)
        path = self._home.git / "work.git"
        found = custody.examine(
            path, custody.held(picture.runs, picture.state.all_snapshots()) if picture.readable else {}
        )
        if found.mendable:
            found = custody.mend(path, found)
            if not found.broken:
                self._note("work", path, "its settings were damaged, and made anew")
        if found.gone:
            stamp = (iso(self._clock.wall()) or "").replace("-", "").replace(":", "").partition(".")[0]
            aside = path.with_name(f"{path.name}.bad-{stamp}Z")
            moved = custody.give_up(path, found, aside=aside)
            where = f"kept as {aside.name}" if moved else "gone"
            self._note("work", path, f"{len(found.wanted)} commits were given up with it ({found.gone}); it is {where}")
        elif found.unnamed:
            custody.name(path, found.unnamed)
            self._note("work", path, f"{len(found.unnamed)} commits that no ref kept are kept again")
