"""
The git program, run the same way whatever the person's environment and configuration say.

Two faces.  ``Git.ours`` works in the daemon's bare repository and reads no configuration but the one this module writes.
``Git.project`` only asks questions of the person's repository, with the person's own configuration, because what counts
as ignored there is theirs to say; every flag that could make such a question run a program or write a file is off.

Needs git 2.38 (``merge-tree --write-tree``).
"""

from __future__ import annotations

import os
import re
import shutil
import signal
import subprocess
from collections.abc import Mapping, Sequence
from contextlib import suppress
from functools import cache
from pathlib import Path

import anyio
import anyio.abc
import anyio.to_thread
import msgspec

from orchestrd.errors import ConfigError, DiskFull, GitFailed, GitTooSlow, StorageError
from orchestrd.storage.shortage import says_full, says_unwritten

OLDEST = (2, 38)
PATIENCE = 900.0
"""
Seconds one git command may take; the first fetch of a large history is the slow one.
"""

LAST_BREATH = 1.0
"""Seconds that what git started is waited for once it is killed; somebody must collect them, which not every machine does."""

SAFE = (
    "core.fsmonitor=false",
    "core.hooksPath=/dev/null",
    "core.quotePath=false",
    "gc.auto=0",
    "maintenance.auto=false",
    "safe.directory=*",
    "protocol.file.allow=always",
    "advice.detachedHead=false",
)
"""
Settings for every command.  The first two are the ways in which a repository's configuration runs programs.
"""

OURS = """\
# Written by orchestrd at every start.  Files are kept byte for byte: see info/attributes.
[core]
\tautocrlf = false
\tfsmonitor = false
\tfsync = objects,derived-metadata,reference
\tfsyncMethod = fsync
\thooksPath = /dev/null
\tlogAllRefUpdates = false
\tpreloadIndex = true
\tprotectHFS = false
\tprotectNTFS = false
\tquotePath = false
[gc]
\tauto = 0
[maintenance]
\tauto = false
[safe]
\tdirectory = *
[protocol "file"]
\tallow = always
[advice]
\tdetachedHead = false
"""
"""
The configuration of our repository, and the only one its commands see.

By default git syncs packs, but neither loose objects nor refs: a journal that is synced would survive a power loss, and name
work that did not.  ``fsync`` and not the faster ``batch``, of which git-config(1) promises as much on macOS and Windows only:
a file system that keeps a log for each file, as btrfs does, need not have the others on disk when it syncs one.
"""

MARK = "ORCHESTRD_REPOSITORY"
"""Names our repository in the environment of every git that works in it: what a killed daemon left at work is found by it."""
INHERITED = ("HOME", "PATH", "TMPDIR", "USER", "LOGNAME", "XDG_CONFIG_HOME")


class Output(msgspec.Struct, frozen=True, kw_only=True):
    """
    What a command gave: exit status, standard output, whether the output was *cut* at the limit, stderr's last lines.
    """

    code: int
    out: bytes
    cut: bool = False
    complaint: str = ""

    @property
    def line(self) -> str:
        """
        The output as one text without its final newline.
        """
        return os.fsdecode(self.out.removesuffix(b"\n"))

    @property
    def records(self) -> list[bytes]:
        """
        The output cut at its NULs.
        """
        return self.out.removesuffix(b"\0").split(b"\0") if self.out else []


def shown(path: str) -> str:
    """
    *path* fit for JSON and for people: bytes that are no UTF-8 and control characters are written as escapes.
    """
    text = os.fsencode(path).decode("utf-8", "backslashreplace")
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode("ascii") for c in text)


@cache
def _program(path: str | None) -> str:
    found = shutil.which("git", path=path)
    if found is None:
        raise ConfigError("git was not found on PATH", hint="Install git 2.38 or newer.")
    return str(Path(found).absolute())


class Git:
    """
    The git program bound to one repository.  Make one with ``ours`` or ``project``.
    """

    def __init__(self, *, directory: Path, options: Sequence[str], env: Mapping[str, str]) -> None:
        self._directory = directory
        self._options = (*(word for setting in SAFE for word in ("-c", setting)), *options)
        self._env = {name: os.environ[name] for name in INHERITED if name in os.environ} | {
            "LC_ALL": "C",
            "GIT_OPTIONAL_LOCKS": "0",
            "GIT_TERMINAL_PROMPT": "0",
            "GIT_NO_REPLACE_OBJECTS": "1",
            "GIT_NO_LAZY_FETCH": "1",
            "GIT_LITERAL_PATHSPECS": "1",
            "GIT_AUTHOR_NAME": "orchestrd",
            "GIT_AUTHOR_EMAIL": "orchestrd@localhost",
            "GIT_COMMITTER_NAME": "orchestrd",
            "GIT_COMMITTER_EMAIL": "orchestrd@localhost",
            **env,
        }

    @classmethod
    def ours(cls, path: Path) -> Git:
        """
        For the bare repository at *path*, whose ``orchestrd.config`` is the only configuration read beside its own.
        """
        env = {
            "GIT_DIR": str(path),
            "GIT_CONFIG_NOSYSTEM": "1",
            # Through the environment, because git drops -c settings when it starts the other half of a fetch.
            "GIT_CONFIG_GLOBAL": str(path / "orchestrd.config"),
            MARK: str(path),
        }
        return cls(directory=path, options=(), env=env)

    @classmethod
    def project(cls, path: Path) -> Git:
        """
        For questions about the person's repository whose work tree is at *path*.
        """
        return cls(directory=path, options=("--no-pager",), env={})

    async def run(
        self,
        *words: str | bytes,
        stdin: bytes = b"",
        cwd: Path | None = None,
        env: Mapping[str, str] | None = None,
        expect: Sequence[int] = (0,),
        limit: int | None = None,
        patience: float = PATIENCE,
        handles: Sequence[int] = (),
    ) -> Output:
        """
        Run ``git *words*``; *limit* ends the command after so many bytes of output.  It has the *handles*, which are open, too.

        Raises StorageError with stderr's last lines when the exit status is not in *expect*, or after *patience* seconds;
        DiskFull when they say that there is no room.
        """
        program = await anyio.to_thread.run_sync(_program, self._env.get("PATH"))
        argv = [program, *self._options, *words]
        try:
            with anyio.fail_after(patience):
                output = await _run(argv, stdin, cwd or self._directory, {**self._env, **(env or {})}, limit, handles)
        except TimeoutError:
            raise GitTooSlow(f"{_named(words)} took more than {patience:g} s and was stopped") from None
        except OSError as error:
            raise StorageError(f"{_named(words)} could not be started: {error}") from error
        return self._judged(words, output, expect)

    def ask(self, *words: str, stdin: bytes = b"", expect: Sequence[int] | None = None) -> Output:
        """
        Run ``git *words*`` and block until it has ended; any exit status will do unless *expect* names some.  Without `MARK`:
        who only asks, from beside a daemon, is not to be ended by its start.

        Raises as ``run`` does.
        """
        argv = [_program(self._env.get("PATH")), *self._options, *words]
        try:
            done = subprocess.run(
                argv,
                cwd=self._directory,
                env={name: value for name, value in self._env.items() if name != MARK},
                input=stdin,
                capture_output=True,
                start_new_session=True,
                timeout=PATIENCE,
                check=False,
            )
        except subprocess.TimeoutExpired:
            raise GitTooSlow(f"{_named(words)} took more than {PATIENCE:g} s and was stopped") from None
        except OSError as error:
            raise StorageError(f"{_named(words)} could not be started: {error}") from error
        output = Output(code=done.returncode, out=done.stdout, complaint=_last_lines(done.stderr))
        return output if expect is None else self._judged(words, output, expect)

    def _judged(self, words: Sequence[str | bytes], output: Output, expect: Sequence[int]) -> Output:
        if output.code not in expect and not output.cut:
            if says_full(output.complaint) or says_unwritten(output.complaint, self._directory):
                raise DiskFull(f"{_named(words)} found no room on the disk: {output.complaint}")
            why = output.complaint or "no message"
            raise GitFailed(f"{_named(words)} failed with status {output.code}: {why}", status=output.code)
        return output

    async def version(self) -> tuple[int, int]:
        """
        The version of the program.  Raises ConfigError when it is too old.
        """
        output = await self.run("version")
        match = re.search(rb"(\d+)\.(\d+)", output.out)
        found = (int(match[1]), int(match[2])) if match else (0, 0)
        if found < OLDEST:
            raise ConfigError(f"git 2.38 or newer is needed; this is: {output.line}", hint="Install a newer git.")
        return found


def _named(words: Sequence[str | bytes]) -> str:
    verb = next((word for word in words if word[:1] not in {"-", b"-"}), "git")
    return f"git {verb if isinstance(verb, str) else os.fsdecode(verb)}"


async def _run(
    argv: Sequence[str | bytes],
    stdin: bytes,
    cwd: Path,
    env: Mapping[str, str],
    limit: int | None,
    handles: Sequence[int],
) -> Output:
    out, err = bytearray(), bytearray()
    cut = False
    # A session of its own: Ctrl-C in the daemon's terminal must not stop git half-way.
    # Whoever calls it off in the midst of its start could not tell what there is to kill.
    with anyio.CancelScope(shield=True):
        started = await anyio.open_process(argv, cwd=cwd, env=env, start_new_session=True, pass_fds=handles)
    async with started as process:
        assert process.stdin is not None
        assert process.stdout is not None
        assert process.stderr is not None
        try:
            async with anyio.create_task_group() as group:
                group.start_soon(_feed, process.stdin, stdin)
                group.start_soon(_drain, process.stderr, err)
                async for chunk in process.stdout:
                    out += chunk
                    if limit is not None and len(out) > limit:
                        cut = True
                        del out[limit:]
                        _end(process)
                        break
            code = await process.wait()
        finally:
            if _end(process):
                with anyio.CancelScope(shield=True):
                    await _ended(process)
    return Output(code=code, out=bytes(out), cut=cut, complaint=_last_lines(bytes(err)))


def _last_lines(err: bytes) -> str:
    return "; ".join(err.decode("utf-8", "backslashreplace").strip().splitlines()[-4:])


def _end(process: anyio.abc.Process) -> bool:
    """
    Kill git with whatever it started (they share its session); False when it has ended by itself.
    """
    if process.returncode is not None:
        return False
    with suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    return True


async def _ended(process: anyio.abc.Process) -> None:
    """
    Wait until a killed git and whatever it started are gone: what they leave is cleared away next.
    """
    await process.wait()
    with suppress(ProcessLookupError), anyio.move_on_after(LAST_BREATH):
        while True:
            os.killpg(process.pid, 0)
            await anyio.sleep(LAST_BREATH / 200)


async def _feed(stream: anyio.abc.ByteSendStream, data: bytes) -> None:
    # git may end before it has read everything; its exit status says why.
    try:
        if data:
            await stream.send(data)
        await stream.aclose()
    except (anyio.BrokenResourceError, anyio.ClosedResourceError, ConnectionError):
        pass


async def _drain(stream: anyio.abc.ByteReceiveStream, into: bytearray) -> None:
    async for chunk in stream:
        into += chunk
        del into[:-8192]
