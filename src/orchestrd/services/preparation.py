"""
Make everything ready that a run needs: its working tree, its instructions, its command line.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from tempfile import mkdtemp

import anyio.to_thread
import msgspec

from orchestrd.clock import Clock
from orchestrd.config import agent_environment, default_text
from orchestrd.domain.events import Occasion
from orchestrd.domain.instructions import Dependency, Places, first_message, instructions, resume_message
from orchestrd.domain.model import Cause, Check, Containment, Credentials, Isolation
from orchestrd.domain.rows import QuestionRow, QuestionState, RunRow, TaskRow
from orchestrd.domain.state import State
from orchestrd.errors import AgentError, RequestError, StorageError
from orchestrd.logs import get_logger
from orchestrd.policy import backstop
from orchestrd.runner.checks import end_commands, run_check
from orchestrd.runner.claude_cli import AgentCli, command_line, environment
from orchestrd.runner.order import Order
from orchestrd.runner.sandbox import without_key
from orchestrd.runner.transcripts import carry, config_dir, sizes
from orchestrd.services.desk import Desk
from orchestrd.services.patience import when_room
from orchestrd.services.sandboxes import Sandboxes
from orchestrd.services.settings import Settings
from orchestrd.services.snapshots import Snapshots
from orchestrd.storage.home import Home, write_atomic
from orchestrd.storage.regular import read_text
from orchestrd.storage.rundir import RunDir, RunSpec
from orchestrd.workspace import worktree
from orchestrd.workspace.context import gather, missing
from orchestrd.workspace.git import shown
from orchestrd.workspace.merge import Work
from orchestrd.workspace.repository import Repository, ref_name
from orchestrd.workspace.steering import keep_steering
from orchestrd.workspace.trees import above

log = get_logger(__name__)
GUIDES = ("CLAUDE.md", ".claude/CLAUDE.md", "AGENTS.md")
TEXT_LIMIT = 200_000
"""Characters of one of the home's own texts for agents."""
GUIDE_LIMIT = 64 * 1024
"""Characters of the project's guide that an agent is given."""


class SetupFailed(RequestError):
    """
    A ``worktree.setup`` command failed.
    """


class Preparation:
    """
    Prepares runs in one home.
    """

    def __init__(
        self, home: Home, settings: Settings, clock: Clock, desk: Desk, snapshots: Snapshots, sandboxes: Sandboxes
    ) -> None:
        self._home = home
        self._sandboxes = sandboxes
        self._settings = settings
        self._clock = clock
        self._desk = desk
        self._snapshots = snapshots

    def places(self, task: TaskRow, tree: str) -> Places:
        """
        The paths an agent on *task* is told.
        """
        workspace = self._home.workspace(task.key)
        return Places(
            tree=tree,
            workspace=str(workspace),
            question_file=str(self._home.question_file(task.key, task.questions + 1)),
            scratch=str(workspace / "tmp"),
        )

    def tree_of(self, task: TaskRow, project: Path) -> Path:
        """
        Where an agent on *task* works.
        """
        if task.spec.isolation is Isolation.IN_PLACE:
            return project
        return self._home.workspace(task.key) / "tree"

    def intact(self, repo: Repository, task: TaskRow, tree: Path) -> bool:
        """
        True while *tree* is what was made for *task*: nothing else may be looked at as its work.
        """
        if task.spec.isolation is Isolation.IN_PLACE:
            return tree.is_dir()
        return worktree.intact(repo, tree, under=self._home.workspaces)

    async def base(self, repo: Repository, state: State, task: TaskRow, run: RunRow) -> str:
        """
        Make the working tree; gives the commit it starts from.

        A run that resumes an earlier one goes on in that one's tree.  Raises `MergeConflict`, `SetupFailed`,
        `StorageError`.
        """
        workspace = self._home.workspace(task.key)
        for folder in (workspace, workspace / "tmp", workspace / "home"):
            folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            if folder.resolve() != self._home.workspaces.resolve() / folder.relative_to(self._home.workspaces):
                raise SetupFailed(f"{folder} is a link and leads elsewhere", hint="Remove it: an agent put it there.")
        # Where the agent may write a question: it must find the folder.
        (self._home.questions / task.spec.day).mkdir(mode=0o700, exist_ok=True)
        for row in state.runs(task=task.key):
            # Before the tree is touched: a daemon that was killed left its commands at work in it.
            await end_commands(RunDir(self._home.run_dir(row.key)))
        tree = self._home.tree(task.key, run.tree)
        made = await anyio.to_thread.run_sync(self._made_from, repo, task, tree)
        earlier = [r.base for r in state.runs(task=task.key) if r.base and r.key != run.key]
        in_place = task.spec.isolation is Isolation.IN_PLACE
        whole = made is not None and await repo.holds(made)
        if run.resumes and earlier and ((whole and made == earlier[-1]) or (in_place and tree.is_dir())):
            return earlier[-1]
        ref = ref_name("orchestrd", *run.key.split("/"), "base")
        if in_place and (tree / ".git").is_symlink():
            raise SetupFailed(
                f"{tree}/.git is a link, which an agent could replace",
                hint="Give the task isolation: worktree, or let .git be the folder itself or a file (gitdir: …).",
            )
        if in_place:
            return (await repo.base(message=f"before {run.key}", ref=ref)).commit
        snapshot = await repo.base(message=f"base of {run.key}", ref=ref, merge=dependency_work(state, task))
        async with self._snapshots.alone(task.key):
            if tree.is_dir() and not tree.is_symlink():
                # Whatever the agent did to it: what lies there may be work.
                left = made or await anyio.to_thread.run_sync(worktree.made_from, repo, tree)
                if left is not None:
                    await self._keep(task, tree, left)
            if tree.exists() or tree.is_symlink():
                await self._snapshots.remove(task, tree)
            set_up = partial(self._set_up, tree, run, lambda: _stopped(state, run.key))
            await worktree.make(repo, tree, snapshot.commit, furnish=set_up)
        return snapshot.commit

    async def _keep(self, task: TaskRow, tree: Path, made: str) -> None:
        """
        Keep what lies in the tree, *made* from that commit, before it is made anew; of work that is too large, or cannot be kept, the
        files are moved out of the tree.
        """
        left = await self._snapshots.take(task, tree, base=made, occasion=Occasion.CLEANUP)
        if left.left_out:
            place = await anyio.to_thread.run_sync(_move_out, tree, left.left_out)
            log.warning("tree.large_files_kept", task=task.key, files=len(left.left_out), place=str(place))

    def _made_from(self, repo: Repository, task: TaskRow, tree: Path) -> str | None:
        """
        The commit that *tree* was made from for *task*; None when there is no such tree: nothing of an agent's is in it.
        """
        if task.spec.isolation is Isolation.IN_PLACE or not self.intact(repo, task, tree):
            return None
        return worktree.made_from(repo, tree)

    async def _set_up(self, tree: Path, run: RunRow, stopped: Callable[[], bool]) -> None:
        rundir = RunDir(self._home.run_dir(run.key))
        # It has nothing to ask the API, and what it runs may be an agent's work.
        env = without_key(agent_environment(self._settings.config.agent, dict(os.environ)))
        for number, command in enumerate(self._settings.config.worktree.setup, 1):
            log = rundir.path / f"setup-{number}.log"
            check = Check(name=command, run=command, timeout=self._settings.setup_timeout)
            act = partial(
                run_check, check, rundir=rundir, tree=tree, env=env, log=log, clock=self._clock, overseer=self._desk
            )
            done = await when_room(act, what=run.key, give_up=stopped)
            if done.status != "passed":
                raise SetupFailed(f"worktree.setup `{command}` {done.status}", hint=f"See {log}.")

    async def order(
        self,
        repo: Repository,
        state: State,
        task: TaskRow,
        run: RunRow,
        *,
        cli: AgentCli | None,
        started: RunSpec | None,
    ) -> Order:
        """
        How the run is started; *started* is how it was, when it was already.  How its agent is held is part of it, but where it
        was started before.

        Raises `AgentError` when it has to be started and there is no CLI, `StorageError`.
        """
        spec, held = (started, None) if started is not None else await self._spec(repo, state, task, run, cli)
        places = self.places(task, str(self._home.tree(task.key, run.tree)))
        opening = first_message(task.spec, places, answered(state, task, run))
        if run.resumes:
            opening = _resume_message(state, task, run, places)
        return Order(
            run=run.key,
            spec=spec,
            opening=opening,
            timeout=self._settings.timeout_of(task.spec),
            grace=self._settings.stop_grace,
            silence=self._settings.silence_limit,
            hold=self._settings.snapshots.hold,
            metered=not self._settings.rules.limits.unmetered,
            held=held,
        )

    async def _spec(
        self, repo: Repository, state: State, task: TaskRow, run: RunRow, cli: AgentCli | None
    ) -> tuple[RunSpec, Containment]:
        """
        Write the agent's instructions and say what is executed, and how it is held.
        """
        if cli is None:
            raise AgentError("no agent CLI is ready", hint="See `orchctl doctor`.")
        spec = task.spec
        tree = self._home.tree(task.key, run.tree)
        places = self.places(task, str(tree))
        workspace = self._home.workspace(task.key)
        inline = self._settings.config.inline_context_bytes
        context = await anyio.to_thread.run_sync(lambda: gather(tree, spec.context_files, inline_bytes=inline))
        absent = await anyio.to_thread.run_sync(missing, tree, spec.context_files)
        text = instructions(
            spec,
            places,
            template=await self._text("agent_instructions.md"),
            rules=await self._text("orchestrator_rules.md"),
            patterns=await self._text("task_execution_patterns.md"),
            standards=await self._text("code_quality_standards.md"),
            guide=await self._guide(tree, spec.context_files),
            context=context,
            absent=tuple(absent),
            dependencies=_dependencies(state, task),
        )
        write_atomic(workspace / "agent_instructions.md", text.encode())
        env = environment(
            agent_environment(self._settings.config.agent, dict(os.environ)),
            run=run.key,
            folder=str(self._home.run_dir(run.key)),
            scratch=places.scratch,
        )
        agent = self._settings.config.agent
        argv = command_line(
            cli.path,
            session=run.session,
            resumes=run.resumes,
            model=spec.model or agent.model,
            folders=[str(workspace)],
            instructions=str(workspace / "agent_instructions.md"),
            extra=agent.args,
            rules=self._backstop(task),
        )
        rundir = self._home.run_dir(run.key)
        enclose = partial(self._sandboxes.agent, view=await self._sandboxes.view(repo, tree))
        cell = await anyio.to_thread.run_sync(enclose, task, tree, rundir, env, argv)
        await anyio.to_thread.run_sync(partial(keep_steering, tree, rundir, contained=cell.held.sandbox))
        if run.resumes and cell.held.sandbox and cell.held.credentials is Credentials.LOGIN:
            # It was begun in the person's own folder, with a sandbox turned off or by an earlier version.
            await anyio.to_thread.run_sync(carry, config_dir(env), config_dir(cell.env), run.session)
        paid = await anyio.to_thread.run_sync(sizes, config_dir(cell.env), run.session) if run.resumes else {}
        spec_of_run = RunSpec(
            run=run.key,
            argv=cell.argv,
            cwd=str(tree),
            env=cell.env,
            grace=self._settings.stop_grace,
            transcripts=paid,
            framed=cell.held.sandbox,
            gateway=msgspec.to_builtins(cell.gateway) if cell.gateway is not None else None,
        )
        return spec_of_run, cell.held

    def _backstop(self, task: TaskRow) -> str:
        """
        The CLI's own rules for *task*: without those that would stop what a person has opened to it.
        """
        book = self._settings.rulebook
        lines = book.of(task.key)
        return backstop.settings(
            commands=not (lines.opens_commands or task.allowed),
            system=not (lines.opens_calls or book.readable or book.writable or task.allowed),
        )

    async def _guide(self, tree: Path, named: tuple[str, ...]) -> str:
        """
        The project's ``CLAUDE.md``, unless the task names it anyway: without the project's settings, which stay out, the
        CLI does not read it by itself (Claude Code 2.1.330).
        """
        top = tree.resolve()
        for name in GUIDES:
            path = (tree / name).resolve()
            if name not in named and path.is_relative_to(top) and path.is_file():
                return await read_text(path, GUIDE_LIMIT) or ""
        return ""

    async def _text(self, name: str) -> str:
        path = self._home.config / name
        found = await read_text(path, TEXT_LIMIT, follow=True)
        return default_text(name) if found is None else found


def _move_out(tree: Path, paths: Sequence[str]) -> Path:
    """
    Move the files at *paths* in *tree* to the same paths in a new folder beside it, in the agent's ``tmp``, and give that.
    """
    # A folder of our own making: whatever an agent has prepared there would lead us elsewhere.
    place = Path(mkdtemp(prefix="left-", dir=tree.with_name("tmp")))
    for path in paths:
        # One by one: they may be many.
        for folder in [*above(path.rstrip("/"))][::-1]:
            (place / folder).mkdir(exist_ok=True)
        try:
            (tree / path).rename(place / path)
        except OSError as error:
            raise StorageError(
                f"{shown(path)} cannot be moved out of {tree}: {error.strerror}",
                hint="No snapshot can hold it: move it elsewhere, or remove it.",
            ) from error
    return place


def _stopped(state: State, run: str) -> bool:
    row = state.run(run)
    return row is None or row.stopping is not None


def _resume_message(state: State, task: TaskRow, run: RunRow, places: Places) -> str:
    """
    What a resumed agent is told of how its last run ended.
    """
    earlier = [r for r in state.runs(task=task.key) if r.key != run.key]
    if not earlier:
        return resume_message(task.spec, places, "the machine stopped")
    last = earlier[-1]
    lost: list[QuestionRow] = []
    for before in reversed(earlier):
        asked = [q for q in state.questions(run=before.key) if q.permit is None]
        withdrawn = [q for q in asked if q.state is QuestionState.WITHDRAWN]
        # What nobody answered concerns only the run that follows.
        lost = [*(q for q in withdrawn if q.answer is not None or before is last), *lost]
        if before.model is not None:
            # It began its turn, and so was told of what was lost before it.
            break
    allowed = tuple(f"{one.tool}: {one.target}" for one in task.allowed.values())
    # Of a halt for what was forbidden the very call that was denied would be among them: nothing of it was done.
    interrupted = () if last.cause is Cause.VIOLATION else last.interrupted
    return resume_message(task.spec, places, last.reason, tuple(lost), interrupted, allowed)


def answered(state: State, task: TaskRow, run: RunRow) -> tuple[QuestionRow, ...]:
    """
    What was answered to the runs of *task* before *run*.
    """
    earlier = [r.key for r in state.runs(task=task.key) if r.key != run.key]
    # Leave that was given or refused was for one call; what holds for the whole task is kept with it.
    asked = (q for key in earlier for q in state.questions(run=key) if q.permit is None)
    return tuple(q for q in asked if q.answer is not None)


def dependency_work(state: State, task: TaskRow) -> list[Work]:
    """
    The work of every task that *task* builds on, directly or not, in an order in which it can be merged.
    """
    works: list[Work] = []
    seen: set[str] = set()

    def visit(row: TaskRow) -> None:
        for name in row.spec.depends_on:
            needed = state.task(f"{row.spec.day}/{name}")
            if needed is None or needed.key in seen:
                continue
            seen.add(needed.key)
            visit(needed)
            run = state.run(needed.run) if needed.run else None
            if needed.applied_at is not None:
                continue  # it is in the project, perhaps edited since: merging it again could only conflict
            if run is not None and run.result and needed.spec.isolation is Isolation.WORKTREE:
                works.append(Work(base=run.base, result=run.result))

    visit(task)
    return works


def _dependencies(state: State, task: TaskRow) -> tuple[Dependency, ...]:
    found: list[Dependency] = []
    for name in task.spec.depends_on:
        needed = state.task(f"{task.spec.day}/{name}")
        run = state.run(needed.run) if needed is not None and needed.run else None
        if needed is not None and run is not None:
            found.append(Dependency(id=name, name=needed.spec.name, summary=run.summary, files=run.files))
    return tuple(found)
