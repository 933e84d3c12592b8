"""
Mend what can be mended without a guess, and write down everything before it is done and after.

Only with the home's lock: nobody else writes meanwhile.  What is mended are copies and leftovers (rows, modes, temporary
files, sockets, processes of settled runs); whole facts and what agents said are never touched.  A damaged journal is kept as
it is, and a new one made of what is whole of it.
"""

from __future__ import annotations

import os
import socket
import stat
from collections.abc import Iterator, Mapping
from contextlib import closing, contextmanager, suppress
from pathlib import Path

import msgspec

from orchestrd.address import served_socket
from orchestrd.audit.census import marked, outliving
from orchestrd.audit.finding import Finding
from orchestrd.audit.ledger import read_ledger
from orchestrd.audit.leftovers import leftovers
from orchestrd.audit.losses import losses
from orchestrd.audit.modes import close, loose, shared, walk
from orchestrd.audit.picture import Picture
from orchestrd.audit.rebuild import remake_rows
from orchestrd.audit.worklog import Repair, Worklog
from orchestrd.clock import Clock, iso
from orchestrd.errors import ConfigError, StorageError
from orchestrd.runner.homelock import take
from orchestrd.runner.sweep import ask_heirs, end_heirs, heirs
from orchestrd.storage.home import Home
from orchestrd.storage.salvage import salvage, told_by
from orchestrd.workspace import custody

GRACE_SECONDS = 5.0
"""How long a leftover process may take to end by itself before it is killed."""
AGAIN = "Everything else was looked at all the same.  Mend what it says, then repair again."


class Mended(msgspec.Struct, frozen=True, kw_only=True):
    """
    What was *done*, in order, which is in ``var/repairs.jsonl`` too; and a problem for what could not be, *failed*.
    """

    done: list[Repair] = []
    failed: list[Finding] = []


def repair(root: Path, *, environ: Mapping[str, str], clock: Clock) -> Mended:
    """
    Mend the home *root*.  What cannot be mended holds up nothing else.

    Raises `AlreadyRunning` while a daemon serves the home, `ConfigError`; `DiskFull`, `StorageError` when it cannot be written
    down what is done: then nothing was changed.
    """
    home = Home(root)
    if not home.var.exists():
        return Mended()
    announced = _announced(home, environ)
    lock = take(home, "orchctl doctor --repair")
    try:
        with closing(Worklog(home, clock)) as worklog:
            mender = Mender(home, environ, clock, worklog)
            mender.mend(announced)
            return Mended(done=worklog.done, failed=mender.failed)
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
    Mends one home, whose lock is held; what is done is written into the *worklog*.
    """

    def __init__(self, home: Home, environ: Mapping[str, str], clock: Clock, worklog: Worklog) -> None:
        self._home = home
        self._environ = environ
        self._clock = clock
        self._worklog = worklog
        self._intend = worklog.intend
        self._note = worklog.note
        self.failed: list[Finding] = []

    def mend(self, announced: list[Path]) -> None:
        """
        Everything that can be mended; sockets are looked for where they were *announced*.
        """
        for invariant, step in (
            ("I8", self.modes),
            ("I8", lambda: self.sockets(announced)),
            ("I1", self.journal),
            ("I8", self.files),
            ("I6", self.processes),
            ("I10", self.work),
        ):
            with self._trying(invariant):
                step()

    @contextmanager
    def _trying(self, invariant: str, subject: Path | str = "") -> Iterator[None]:
        """
        Make a finding about *subject* of what the machine refuses, and go on.
        """
        try:
            yield
        except (OSError, StorageError) as error:
            if isinstance(subject, Path):
                subject = str(subject.relative_to(self._home.root))
            message, hint = (error.message, error.hint) if isinstance(error, StorageError) else (str(error), "")
            found = Finding(
                invariant=invariant,
                status="problem",
                subject=subject,
                detail=f"it could not be mended: {message}",
                hint=hint or AGAIN,
            )
            self.failed.append(found)

    def modes(self) -> None:
        """
        Take from others what they may do with our files.
        """
        for path, status in walk(self._home):
            if not loose(self._home, path, status) or shared(status) or status.st_uid != os.getuid():
                continue
            with self._trying("I8", path):
                self._intend("modes", path, "take from others what they may do with it")
                done = close(path, status)
                if done:
                    self._note("modes", path, done)

    def files(self) -> None:
        """
        Remove what a write that was cut off left behind: it was never in its place.
        """
        for path, what in leftovers(Picture(self._home.root, self._environ)):
            with self._trying("I8", path):
                self._intend("file", path, f"remove it: {what}")
                path.unlink()
                self._note("file", path, f"removed: {what}")

    def sockets(self, announced: list[Path]) -> None:
        """
        Remove sockets that nobody listens on any more.
        """
        for path in dict.fromkeys(announced):
            if _silent(path):
                with self._trying("I8", str(path)):
                    self._intend("socket", path, "remove it: nobody listens on it")
                    path.unlink()
                    self._note("socket", path, "removed: nobody listens on it")

    def journal(self) -> None:
        """
        Save what is whole of a damaged journal, and make rows again that are not what the facts add up to.
        """
        path = self._home.database
        ledger = read_ledger(path)
        if ledger.damaged:
            self._intend("journal", path, "keep it as it is, and make a new one of what is whole of it")
            salvage(path, now=self._clock.wall())
            self._tell(path)
        elif not ledger.unreadable:
            if ledger.salvaged:
                # By a repair that died, or could not write any more, before it had told of it.
                self._tell(path)
            remake_rows(Picture(self._home.root, self._environ), self._intend, self._note, self._clock)

    def _tell(self, path: Path) -> None:
        saved = told_by(path)
        if saved is None:
            return
        for subject, detail in self._worklog.untold("journal", losses(path, saved), named=bool(saved.quarantined)):
            self._note("journal", subject, detail)

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
            with self._trying("I6", run.key):
                names = heirs(rundir)
                self._intend("process", run.key, f"end what lives of the settled run: {_listed(names)}")
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
            self._intend("work", path, "make its settings anew")
            found = custody.mend(path, found)
            if not found.broken:
                self._note("work", path, "its settings were damaged, and made anew")
        if found.gone:
            stamp = (iso(self._clock.wall()) or "").replace("-", "").replace(":", "").partition(".")[0]
            aside = path.with_name(f"{path.name}.bad-{stamp}Z")
            self._intend(
                "work", path, f"keep what is left of it as {aside.name}, and give up {len(found.wanted)} commits"
            )
            moved = custody.give_up(path, found, aside=aside)
            where = f"kept as {aside.name}" if moved else "gone"
            self._note("work", path, f"{len(found.wanted)} commits were given up with it ({found.gone}); it is {where}")
        elif found.unnamed:
            self._intend("work", path, f"name {len(found.unnamed)} commits that no ref keeps")
            custody.name(path, found.unnamed)
            self._note("work", path, f"{len(found.unnamed)} commits that no ref kept are kept again")


def _silent(path: Path) -> bool:
    """
    True for a socket on which nobody listens.
    """
    with socket.socket(socket.AF_UNIX) as probe:
        try:
            if not stat.S_ISSOCK(path.lstat().st_mode):
                return False
            probe.connect(str(path))
        except ConnectionRefusedError:
            return True
        except OSError:
            return False
    return False


def _listed(names: Mapping[int, str]) -> str:
    return ", ".join(f"process {pid} ({name})" for pid, name in names.items())
