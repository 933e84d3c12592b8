"""
Sandboxes for agents and for the checks of their work: whether there are any, and what each is made of.
"""

from __future__ import annotations

import os
import secrets
from collections.abc import Sequence
from contextlib import suppress
from itertools import pairwise
from pathlib import Path
from tempfile import mkdtemp

import msgspec

from orchestrd.config import agent_environment, word
from orchestrd.domain.model import Containment, Credentials, Network
from orchestrd.domain.rows import TaskRow
from orchestrd.errors import AgentError, ConfigError
from orchestrd.logs import get_logger
from orchestrd.rulebook import RULES_FILE
from orchestrd.runner import sandbox, toolchain, users
from orchestrd.runner.probe import HINT, find_bwrap, probe
from orchestrd.runner.sandbox import ENTRANCE, PORT, Ground
from orchestrd.runner.transcripts import config_dir
from orchestrd.services.settings import Settings
from orchestrd.storage.home import Home, private_folder, write_atomic
from orchestrd.workspace.repository import Repository
from orchestrd.workspace.steering import FOLDER, steering
from orchestrd.workspace.view import View, show

log = get_logger(__name__)
BRIDGE = Path(sandbox.__file__).with_name("bridge.py")
SOCKET = "api.sock"
"""The gateway's socket, in the folder of the run that is shown at `ENTRANCE`."""
OFF = "agent.sandbox is off"


class Cell(msgspec.Struct, frozen=True, kw_only=True):
    """
    What one command is started as: *argv* in *env*, with the orders of its gateway where it needs one.
    """

    argv: list[str]
    env: dict[str, str]
    gateway: sandbox.Gate | None = None
    held: Containment


class Sandboxes:
    """
    What of the settings holds on this machine.
    """

    def __init__(self, home: Home, settings: Settings, environ: dict[str, str]) -> None:
        agent = settings.config.agent
        self._home = home
        self._agent = agent
        self._book = settings.rulebook
        self._environ = environ
        self._mode = word(agent.sandbox)
        self._network = Network(word(agent.network))
        self._credentials = Credentials(agent.credentials)
        self._works = "it has not been tried yet"
        self._bwrap = ""

    async def look(self) -> None:
        """
        Try whether there are sandboxes.

        Raises `ConfigError` when they are required and there are none, or when the settings would show this home's state.
        """
        if self._mode == "off":
            self._works = OFF
            return
        self._refuse_own_state()
        path = f"{self._environ.get('PATH', '')}:{os.defpath}"
        found = find_bwrap(path)
        self._works = await probe(found, self._home.var, networked=self._network is Network.FULL)
        self._bwrap = found or ""
        if self._works and self._mode == "required":
            raise ConfigError(f"agent.sandbox is required, and {self._works}", hint=HINT)
        if self._works:
            log.warning("sandbox.missing", why=self._works)

    def _refuse_own_state(self) -> None:
        for key in ("readable", "writable"):
            for path in getattr(self._book, key):
                if any(Path(known).is_relative_to(path) for known in (self._home.var, self._home.config)):
                    raise ConfigError(
                        f"{RULES_FILE}: {key}: {path} holds this home's own state",
                        hint="Name folders below it that agents need.",
                    )

    @property
    def held(self) -> Containment:
        """
        How an agent that is started now is held.
        """
        return sandbox.contained(
            works=self._works,
            wanted=self._mode != "off",
            network=self._network,
            credentials=self._credentials,
            env=agent_environment(self._agent, self._environ),
        )

    def _surely_held(self) -> Containment:
        held = self.held
        if self._mode == "required" and not held.sandbox:
            raise AgentError(f"agent.sandbox is required, and {held.why}", hint=HINT)
        return held

    async def view(self, repo: Repository, tree: Path) -> View | None:
        """
        What the sandbox of an agent in *tree* shows of *repo*; None where there is none, and for a tree that is the person's own.

        Raises `StorageError`, `OSError`.
        """
        return await show(repo, tree) if self.held.sandbox else None

    def agent(
        self, task: TaskRow, tree: Path, rundir: Path, env: dict[str, str], argv: list[str], *, view: View | None
    ) -> Cell:
        """
        How the agent on *task* is started with the command line *argv* and the environment *env*; *rundir* is the run's
        directory, *view* what is shown of our repository.  Makes what its sandbox shows it of its own.

        Raises `AgentError` when a sandbox is required and there is none any more, `OSError`, `StorageError`.
        """
        held = self._surely_held()
        if not held.sandbox:
            return Cell(argv=argv, env=env, held=held)
        workspace, asked = self._home.workspace(task.key), rundir / "questions"
        login = workspace / "login"
        inside, gate = sandbox.inside(
            env,
            held,
            home=str(workspace / "home"),
            login=str(login),
            hosts=self._agent.hosts,
            token=f"run-{secrets.token_hex(24)}",
        )
        for folder in (rundir, asked):
            private_folder(folder)
        ground = self._ground(task, tree, inside, view, programs=toolchain.program(argv[0]), folders=_folders(argv))
        ground = msgspec.structs.replace(ground, moved=((str(asked), str(self._home.questions / task.spec.day)),))
        if held.credentials is Credentials.LOGIN:
            shown = _login(config_dir(env), login, env)
            ground = msgspec.structs.replace(ground, inner=(*ground.inner, str(login)), moved=(*ground.moved, *shown))
        if gate is not None and gate.listen != "tcp":
            door = rundir / "door"
            private_folder(door)
            gate = msgspec.structs.replace(gate, listen=f"{door.name}/{SOCKET}")
            python, needed = toolchain.interpreter()
            bridge = f"{ENTRANCE}-bridge.py"
            argv = [python, "-I", "-S", bridge, f"{ENTRANCE}/{SOCKET}", str(PORT), *argv]
            ground = msgspec.structs.replace(
                ground,
                readable=(*ground.readable, *filter(self._harmless, needed)),
                shown=(*ground.shown, (str(door), ENTRANCE), (str(BRIDGE), bridge)),
            )
        return Cell(argv=sandbox.wrap(self._bwrap, ground, argv), env=inside, gateway=gate, held=held)

    def command(
        self, task: TaskRow, tree: Path, rundir: Path, env: dict[str, str], argv: list[str], *, view: View | None
    ) -> Cell:
        """
        How a command on the work of *task*'s agent is run: held as that agent is, without anything of it for the API, and without
        a network where the agent has not the host's.  Its home lies where the agent's does and is empty, a new folder in *rundir*:
        what an agent puts into its own says what programs do.

        Raises `AgentError`, `StorageError` as `agent` does.
        """
        held = self._surely_held()
        if not held.sandbox:
            return Cell(argv=argv, env=env, held=held)
        inside = sandbox.without_key(env) | {"HOME": str(self._home.workspace(task.key) / "home")}
        (rundir / "homes").mkdir(mode=0o700, exist_ok=True)
        fresh = mkdtemp(dir=rundir / "homes")
        ground = self._ground(task, tree, inside, view)
        ground = msgspec.structs.replace(ground, moved=(*ground.moved, (fresh, inside["HOME"])))
        return Cell(argv=sandbox.wrap(self._bwrap, ground, argv, tied=True), env=inside, held=held)

    def _ground(
        self,
        task: TaskRow,
        tree: Path,
        env: dict[str, str],
        view: View | None,
        *,
        programs: Sequence[str] = (),
        folders: Sequence[str] = (),
    ) -> Ground:
        home, workspace = self._home, self._home.workspace(task.key)
        for folder in (workspace, workspace / "tmp", workspace / "home"):
            private_folder(folder)
        own = tree.is_relative_to(home.var)
        settings = Path(os.path.realpath(tree / FOLDER))
        if settings.is_relative_to(os.path.realpath(tree)) and not settings.exists():
            # Git keeps no empty folders: it is no part of the work, and nobody can make another in its place.
            with suppress(FileExistsError, NotADirectoryError):
                settings.mkdir(mode=0o700 if own else 0o777, parents=True)
        inner = [str(folder) for folder in (workspace, workspace / "tmp", workspace / "home")]
        root, links = toolchain.system()
        git = _git_folders(tree)
        # Not in its workspace, where it could put a link in its place, and would be shown what that leads to.
        listed = home.logs / task.key / "passwd"
        write_atomic(listed, users.users(str(workspace / "home")))
        return Ground(
            tree=str(tree),
            var=str(home.var),
            system=root,
            links=links,
            readable=(
                *filter(self._harmless, (*toolchain.installed(env.get("PATH", os.defpath)), *programs)),
                *toolchain.java(),
                *(path for path in _certificates(env) if Path(path).exists()),
                *self._book.readable,
                *(path for path in git if not Path(path).is_relative_to(home.var)),
            ),
            writable=(
                *(path for path in (*self._book.writable, *folders) if self._shows(path)),
                *(() if own else (str(tree),)),
            ),
            repository=() if view is None else view.mounts,
            inner=(*inner, *((str(tree),) if own else ())),
            sealed=tuple(_sealed(home, workspace, tree, self._book.writable)),
            networked=self._network is Network.FULL,
            shown=((str(listed), users.PLACE),),
        )

    def _harmless(self, path: str) -> bool:
        """
        False for a folder, found by the programs in it, that holds a whole home, the person's or this one.
        """
        kept = (self._home.var, self._home.config, Path(self._environ.get("HOME") or "/nonexistent"))
        real = Path(path).resolve()
        return not any(known.is_relative_to(path) or known.resolve().is_relative_to(real) for known in kept)

    def _shows(self, path: str) -> bool:
        """
        True for what lies outside the home's state: what an agent sees of that is ours to say.
        """
        return Path(path).exists() and not Path(path).is_relative_to(self._home.var)


def _git_folders(tree: Path) -> list[str]:
    """
    Where a repository lies whose ``.git`` is a file (gitrepository-layout(5)): its own folder and the common one.
    """
    try:
        folder = tree / (tree / ".git").read_text(encoding="utf-8").removeprefix("gitdir:").strip()
        common = folder / (folder / "commondir").read_text(encoding="utf-8").strip()
    except (OSError, UnicodeDecodeError):
        return []
    return [str(path.resolve()) for path in (folder, common) if path.is_dir()]


def _sealed(home: Home, workspace: Path, tree: Path, writable: Sequence[str]) -> list[str]:
    """
    What lies in folders that an agent may write, and it may not.
    """
    settings = Path(os.path.realpath(tree / FOLDER))
    found = [tree / ".git", tree / FOLDER, workspace / "agent_instructions.md"]
    if home.config.is_relative_to(tree):
        found += [home.config, home.root / "tasks"]
    # Nothing can be mounted on a link: what it leads to is, where an agent could write it.  Elsewhere that is only read, or not there.
    found += [tree / place for place in steering(tree).places]
    found += [settings] if any(settings.is_relative_to(folder) for folder in writable) else []
    return [str(path) for path in found if path.exists() and not path.is_symlink()]


def _login(theirs: Path, place: Path, env: dict[str, str]) -> list[tuple[str, str]]:
    """
    Make *place*, the folder that an agent's CLI has instead of the person's, which is *theirs*: with the names of the account, and for
    the login itself a file that the person's is shown at.  Gives where that lies, and where it is shown.

    The CLI renames its new login to that of before, and where it cannot, as here, writes into it: so it is the person's too.
    (Claude Code 2.1.330 and 2.1.197)
    """
    private_folder(place)
    state = (theirs if env.get("CLAUDE_CONFIG_DIR") else theirs.parent) / sandbox.CLI_STATE
    write_atomic(place / sandbox.CLI_STATE, sandbox.account(state.read_bytes() if state.is_file() else b""))
    real, shown = Path(os.path.realpath(theirs / sandbox.CLI_LOGIN)), place / sandbox.CLI_LOGIN
    shown.unlink(missing_ok=True)
    if not real.is_file():
        return []
    # Anew: an agent that had no login may have left a link there.
    shown.touch(mode=0o600, exist_ok=False)
    return [(str(real), str(shown))]


def _certificates(env: dict[str, str]) -> list[str]:
    return [env[name] for name in ("SSL_CERT_FILE", "NODE_EXTRA_CA_CERTS") if env.get(name, "").startswith("/")]


def _folders(argv: Sequence[str]) -> list[str]:
    """
    The further folders that the settings' own arguments give the agent; ours are shown anyway.
    """
    return [folder for sign, folder in pairwise(argv) if sign == "--add-dir" and folder.startswith("/")]
