"""
Does the CLI obey?  Tried on the installed one before any agent starts.

Everything that is forbidden rests on one promise of the agent CLI: before each tool call it asks, and does as it is told.  A
version, a setting of the machine or a wrapper may break it, and nothing would show.  So the CLI is run against a model of our own
(`orchestrd.rehearsal`) on loopback, with an empty home and no key of the person's, called as every agent is called.  In a folder
made for this, the model has it

- run a command that is granted: it must run, or the rest would prove nothing;
- run one that is denied, by itself and by a subagent: neither may run;
- run one that we grant and the CLI's own rules forbid (`policy.backstop`): it may not run, or those were dropped;
- run one that is never answered, until the hook's time is up, and, in a second process, until the channel closes as if the daemon
  were gone: it may not run.

Each command would leave a file in that folder, and nothing else.  What was proved holds for this binary, this way of calling it
and this version of our program; it is kept in ``var/canary.json``, so a restart costs nothing.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
import tempfile
import uuid
from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path

import anyio
import anyio.to_thread
import msgspec
from anyio.streams.buffered import BufferedByteReceiveStream

from orchestrd import __version__
from orchestrd.errors import AgentError
from orchestrd.logs import get_logger
from orchestrd.policy import backstop
from orchestrd.policy.verdict import ALLOW
from orchestrd.protocol import control
from orchestrd.protocol import messages as m
from orchestrd.protocol.claude import ClaudeStream
from orchestrd.rehearsal.scenario import Scenario, Step, ToolCall
from orchestrd.rehearsal.server import RehearsalServer
from orchestrd.runner.claude_cli import AgentCli, command_line, environment
from orchestrd.runner.monitor import Monitor
from orchestrd.storage.home import write_atomic
from orchestrd.storage.regular import read_regular

log = get_logger(__name__)
REVISION = 1
"""Goes up with what is tried: what an earlier one proved is tried again then."""
SECONDS = 60.0
"""How long all of it may take; some 5 s on a slow machine (Claude Code 2.1.330)."""
QUIET = 5.0
"""Seconds in which an agent that rests may be woken by its subagent's end."""
SILENCE = 1
"""Seconds that the hook's answer is waited for by the CLI when none comes: a day, for an agent."""
HINT = (
    "Agents would not be held back, so none is started. Install another version of the CLI, or name it as agent.binary. "
    "`agent.canary: false` in config/orchestrd.yaml lets agents start all the same."
)
END_SECONDS = 5.0
LINE_BYTES = 1 << 24
_MANAGED = ("/etc/claude-code/managed-settings.json", "/etc/claude-code/managed-mcp.json")
_OWN = (
    "ANTHROPIC_",
    "CLAUDE_CODE_OAUTH",
    "CLAUDE_CODE_USE_",
    "AWS_",
    "GOOGLE_",
    "CLOUD_ML_",
    "HTTP_PROXY",
    "HTTPS_PROXY",
)
"""Of an agent's environment what would lead the CLI to the person's account, or away from loopback."""
_GRANTED, _DENIED, _INNER, _RULED, _LATE, _GONE = "granted", "denied", "inner", "ruled", "late", "gone"
_WHO = {
    _DENIED: "ran a command that was denied",
    _INNER: "ran a subagent's command that was denied",
    _RULED: "ran a command that its own rules (--settings) forbid",
    _LATE: "ran a command though the hook's answer never came",
    _GONE: "ran a command though nobody was there to be asked",
}


class Proof(msgspec.Struct, frozen=True, kw_only=True):
    """
    ``var/canary.json``: what was proved of the CLI with this *identity*.
    """

    identity: str
    version: str


class Canary:
    """
    Tries a CLI once, and remembers.
    """

    def __init__(self, var: Path) -> None:
        self._file = var / "canary.json"
        self._proved = ""
        self._lock = anyio.Lock()

    async def prove(self, cli: AgentCli, env: Mapping[str, str], args: Sequence[str]) -> None:
        """
        See that *cli*, called with *args* beside our own and an agent's environment *env*, obeys.

        Raises `AgentError` when it does not, or cannot be tried.
        """
        # One at a time: whoever comes second finds it proved.
        async with self._lock:
            identity = await anyio.to_thread.run_sync(_identity, cli, env, args)
            if identity == self._proved or identity == await anyio.to_thread.run_sync(self._kept):
                self._proved = identity
                return
            await _try(cli, env, args)
            self._proved = identity
            await anyio.to_thread.run_sync(self._keep, Proof(identity=identity, version=cli.version))
            log.info("canary.proved", path=cli.path, version=cli.version)

    def _kept(self) -> str:
        try:
            return msgspec.json.decode(read_regular(self._file, 4096), type=Proof).identity
        except (OSError, msgspec.DecodeError):
            return ""

    def _keep(self, proof: Proof) -> None:
        try:
            write_atomic(self._file, msgspec.json.encode(proof) + b"\n")
        except OSError as error:
            # It is tried again at the next start.
            log.warning("canary.unkept", error=str(error))


def _identity(cli: AgentCli, env: Mapping[str, str], args: Sequence[str]) -> str:
    """
    What must be the same for a proof to hold.
    """
    parts: list[object] = [REVISION, __version__, cli.version, list(args), sorted(_neutral(env).items())]
    parts.append(_call(cli.path, Path("/"), args))
    for path in (cli.path, os.path.realpath(cli.path), *_MANAGED):
        try:
            found = Path(path).stat()
            parts.append([path, found.st_size, found.st_mtime_ns, found.st_ino, found.st_dev])
        except OSError:
            parts.append([path])
    return hashlib.sha256(msgspec.json.encode(parts)).hexdigest()


def _neutral(env: Mapping[str, str]) -> dict[str, str]:
    """
    The agent's environment without what is the person's: no key, no account, no way off this machine.
    """
    left = {name: value for name, value in env.items() if not name.upper().startswith(_OWN)}
    return {name: value for name, value in left.items() if name not in {"HOME", "CLAUDE_CONFIG_DIR"}}


def _call(path: str, folder: Path, args: Sequence[str], *, session: str = "") -> list[str]:
    return command_line(
        path,
        session=session,
        resumes=False,
        model="claude-opus-5-5",
        instructions=str(folder / "instructions.md"),
        folders=[],
        extra=list(args),
        rules=backstop.settings(),
    )


async def _try(cli: AgentCli, env: Mapping[str, str], args: Sequence[str]) -> None:
    try:
        folder = Path(await anyio.to_thread.run_sync(partial(tempfile.mkdtemp, prefix="orchestrd-canary-")))
    except OSError as error:
        raise AgentError(f"the CLI cannot be tried: {error}", hint=HINT) from None
    try:
        with anyio.fail_after(SECONDS):
            async with anyio.create_task_group() as group:
                server = RehearsalServer(_scenarios(folder))
                await group.start(server.run)
                trials = [_Trial(cli, env, args, folder, server.url, name) for name in ("obeys", "waits")]
                async with anyio.create_task_group() as both:
                    for trial in trials:
                        both.start_soon(trial.run)
                group.cancel_scope.cancel()
        _judge(cli, folder, trials)
    except TimeoutError:
        raise AgentError(f"{cli.path} could not be tried within {SECONDS:.0f} seconds", hint=HINT) from None
    except OSError as error:
        raise AgentError(f"{cli.path} cannot be tried: {error}", hint=HINT) from None
    except ExceptionGroup as errors:
        first = errors.exceptions[0]
        raise AgentError(f"{cli.path} cannot be tried: {first}", hint=HINT) from None
    finally:
        with anyio.CancelScope(shield=True):
            await anyio.to_thread.run_sync(partial(shutil.rmtree, folder, ignore_errors=True))


def _scenarios(folder: Path) -> list[Scenario]:
    def bash(name: str, command: str = "") -> Step:
        text = command or f"touch {folder / name}"
        return Step(tools=(ToolCall(name="Bash", input={"command": text, "description": name}),))

    inner = ToolCall(
        name="Agent", input={"description": "a part", "prompt": "canary inner", "subagent_type": "general-purpose"}
    )
    # Forbidden by a rule of ours as a whole, and harmless where git were to run: there is no repository.
    ruled = f"touch {folder / _RULED}; git push"
    end = Step(text="Done.")
    obeys = (bash(_GRANTED), bash(_DENIED), bash(_RULED, ruled), Step(tools=(inner,)), end, end, end)
    return [
        Scenario(name="inner", match="canary inner", steps=(bash(_INNER), end)),
        Scenario(name="obeys", match="canary obeys", steps=obeys),
        Scenario(name="waits", match="canary waits", steps=(bash(_LATE), bash(_GONE), end)),
    ]


class _Trial:
    """
    One process of the CLI that plays the scenario *name*.
    """

    def __init__(
        self, cli: AgentCli, env: Mapping[str, str], args: Sequence[str], folder: Path, url: str, name: str
    ) -> None:
        self.name = name
        self.asked: set[str] = set()
        """The commands that we were asked about, by what they are called."""
        self.bypassed = ""
        self.complaint = ""
        """The last words of its errors."""
        self._folder = folder / f"{name}.d"
        self._argv = _call(cli.path, folder, args, session=str(uuid.uuid4()))
        self._env = environment(_neutral(env), run="canary", folder=str(self._folder), scratch=str(self._folder))
        self._env |= {
            "HOME": str(self._folder),
            "CLAUDE_CONFIG_DIR": str(self._folder / ".claude"),
            "ANTHROPIC_API_KEY": "canary",
            "ANTHROPIC_BASE_URL": url,
            "NO_PROXY": "127.0.0.1",
        }
        self._monitor = Monitor(lambda *_: ALLOW)
        self._granted: set[str] = set()
        self._answered: set[str] = set()

    async def run(self) -> None:
        """
        Play it to its end.
        """
        errors = await anyio.to_thread.run_sync(self._furnish)
        try:
            async with await anyio.open_process(
                self._argv,
                cwd=self._folder,
                env=self._env,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=errors,
                start_new_session=True,
            ) as process:
                cut = True
                try:
                    await self._converse(process)
                    cut = False
                except (anyio.BrokenResourceError, anyio.ClosedResourceError):
                    pass  # it has gone; what it left is looked at
                finally:
                    # Who has closed its output is about to end by itself.
                    with anyio.move_on_after(0 if cut else END_SECONDS, shield=True):
                        await process.wait()
                    if process.returncode is None:
                        process.kill()
            self.complaint = await anyio.to_thread.run_sync(_tail, errors)
        finally:
            os.close(errors)

    def _furnish(self) -> int:
        """
        Make what the process needs; gives the file for its errors.
        """
        self._folder.mkdir()
        (self._folder.parent / "instructions.md").write_text("You are tried.\n", encoding="utf-8")
        return os.open(self._folder / "stderr", os.O_CREAT | os.O_RDWR | os.O_CLOEXEC, 0o600)

    async def _converse(self, process: anyio.abc.Process) -> None:
        assert process.stdin is not None
        assert process.stdout is not None
        # What is asked in the second process is answered by nobody.
        timeout = SILENCE if self.name == "waits" else control.HOOK_TIMEOUT
        opening = control.initialize("initialize", hook_timeout=timeout)
        await process.stdin.send(opening + control.user_message(f"canary {self.name}", str(uuid.uuid4())))
        stream, lines, rests = ClaudeStream(), BufferedByteReceiveStream(process.stdout), False
        while True:
            line: bytes | None = None
            try:
                with anyio.move_on_after(QUIET if rests else SECONDS):
                    line = await lines.receive_until(b"\n", LINE_BYTES)
            except (anyio.IncompleteRead, anyio.EndOfStream):
                return
            if line is None:
                # It rests and nothing wakes it: it is let go.
                await process.stdin.aclose()
                rests = False
                continue
            messages = stream.feed(line + b"\n")
            for found in self._monitor.take(messages, granted=self._granted, answered=self._answered):
                self.bypassed = self.bypassed or f"{found.tool}: {found.how}"
            for message in messages:
                if isinstance(message, m.StateChanged):
                    rests = message.state == "idle"
                    if rests and self._over():
                        await process.stdin.aclose()
                elif isinstance(message, m.HookRequest) and not await self._answer(message, process):
                    # As when the daemon is gone; the CLI is left to come to its own end.
                    await process.stdin.aclose()

    def _over(self) -> bool:
        return {_GRANTED, _DENIED, _RULED, _INNER} <= self.asked

    async def _answer(self, request: m.HookRequest, process: anyio.abc.Process) -> bool:
        """
        Answer as the trial has it; False when the channel is to be closed instead.
        """
        assert process.stdin is not None
        name, said = request.request_id, str(request.tool_input.get("description", ""))
        self.asked.add(said)
        if said in {_LATE, _GONE}:
            return said == _LATE
        grant = said in {_GRANTED, _RULED} or request.tool_name in {"Agent", "Task"}
        self._answered.add(name)
        if grant:
            self._granted.add(name)
        await process.stdin.send(control.hook_allow(name) if grant else control.hook_deny(name, "Not this one."))
        return True


def _judge(cli: AgentCli, folder: Path, trials: Sequence[_Trial]) -> None:
    """
    Raise `AgentError` for what the trials left, or did not.
    """
    named = f"{cli.path} (Claude Code {cli.version})"
    for name, what in _WHO.items():
        if (folder / name).exists():
            raise AgentError(f"{named} {what}", hint=HINT)
    for trial in trials:
        if trial.bypassed:
            raise AgentError(f"{named} does not do as it is told: {trial.bypassed}", hint=HINT)
    if not (folder / _GRANTED).exists():
        complaint = next((f": {trial.complaint}" for trial in trials if trial.complaint), "")
        raise AgentError(f"{named} could not be tried: what was granted did not run{complaint}", hint=HINT)
    asked: set[str] = set().union(*(trial.asked for trial in trials))
    if missing := [name for name in _WHO if name not in asked]:
        raise AgentError(f"{named} did not ask before it called a tool ({', '.join(missing)})", hint=HINT)


def _tail(file: int) -> str:
    size = os.fstat(file).st_size
    text = os.pread(file, 300, max(0, size - 300)).decode("utf-8", "replace")
    return " ".join(text.split())
