"""
Make everything ready that a run needs: its working tree, its instructions, its command line.
"""

from __future__ import annotations

import os
from pathlib import Path

import anyio.to_thread

from orchestrd.clock import Clock
from orchestrd.config import agent_environment, default_text
from orchestrd.domain.instructions import Dependency, Places, first_message, instructions, resume_message
from orchestrd.domain.model import Check, Isolation
from orchestrd.domain.rows import QuestionState, RunRow, TaskRow
from orchestrd.domain.state import State
from orchestrd.errors import AgentError, RequestError
from orchestrd.policy.verdict import Scope
from orchestrd.runner.checks import run_check
from orchestrd.runner.claude_cli import AgentCli, command_line, environment
from orchestrd.runner.session import Order
from orchestrd.services.settings import Settings
from orchestrd.storage.home import Home, write_atomic
from orchestrd.storage.regular import read_text
from orchestrd.storage.rundir import RunSpec
from orchestrd.workspace import worktree
from orchestrd.workspace.context import gather, missing
from orchestrd.workspace.merge import Work
from orchestrd.workspace.repository import Repository, ref_name

MAX_QUESTION_FILES = 50
"""Question files that an agent may write for one task."""


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

    def __init__(self, home: Home, settings: Settings, clock: Clock) -> None:
        self._home = home
        self._settings = settings
        self._clock = clock

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

    def scope(self, task: TaskRow, tree: str) -> Scope:
        """
        Where an agent on *task* may write: its tree, its workspace, and its question files.
        """
        files = [str(self._home.question_file(task.key, number)) for number in range(1, MAX_QUESTION_FILES + 1)]
        return Scope(tree=tree, scratch=(str(self._home.workspace(task.key)), *files))

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
        for folder in (workspace, workspace / "tmp"):
            folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            if folder.resolve() != self._home.workspaces.resolve() / folder.relative_to(self._home.workspaces):
                raise SetupFailed(f"{folder} is a link and leads elsewhere", hint="Remove it: an agent put it there.")
        # Where the agent may write a question: it must find the folder.
        (self._home.questions / task.spec.day).mkdir(mode=0o700, exist_ok=True)
        tree = Path(run.tree)
        if run.resumes and self.intact(repo, task, tree):
            earlier = [r for r in state.runs(task=task.key) if r.base and r.key != run.key]
            if earlier:
                return earlier[-1].base
        ref = ref_name("orchestrd", *run.key.split("/"), "base")
        if task.spec.isolation is Isolation.IN_PLACE:
            return (await repo.base(message=f"before {run.key}", ref=ref)).commit
        snapshot = await repo.base(message=f"base of {run.key}", ref=ref, merge=dependency_work(state, task))
        if tree.exists() or tree.is_symlink():
            await self._keep_old_work(repo, task, state, tree)
        await worktree.make(repo, tree, snapshot.commit)
        await self._set_up(tree, run)
        return snapshot.commit

    async def _keep_old_work(self, repo: Repository, task: TaskRow, state: State, tree: Path) -> None:
        """
        Snapshot what an earlier run left in the tree before the tree is made anew.
        """
        earlier = [r for r in state.runs(task=task.key) if r.base and not r.open]
        if earlier and self.intact(repo, task, tree):
            last = earlier[-1]
            ref = ref_name("orchestrd", *last.key.split("/"), "left")
            await repo.snapshot(tree, parents=(last.base,), message=f"left by {last.key}", ref=ref)
        await worktree.remove(repo, tree)

    async def _set_up(self, tree: Path, run: RunRow) -> None:
        env = agent_environment(self._settings.config.agent, dict(os.environ))
        for number, command in enumerate(self._settings.config.worktree.setup, 1):
            log = self._home.run_dir(run.key) / f"setup-{number}.log"
            check = Check(name=command, run=command, timeout=self._settings.setup_timeout)
            done = await run_check(check, tree=tree, env=env, log=log, clock=self._clock)
            if done.status != "passed":
                raise SetupFailed(f"worktree.setup `{command}` {done.status}", hint=f"See {log}.")

    async def order(
        self, state: State, task: TaskRow, run: RunRow, *, cli: AgentCli | None, started: RunSpec | None
    ) -> Order:
        """
        How the run is started; *started* is how it was, when it was already.

        Raises `AgentError` when it has to be started and there is no CLI.
        """
        spec = started or await self._spec(state, task, run, cli)
        opening = first_message(task.spec, self.places(task, run.tree))
        if run.resumes:
            earlier = [r for r in state.runs(task=task.key) if r.key != run.key]
            why = earlier[-1].reason if earlier else "the machine stopped"
            lost = (
                [q for q in state.questions(run=earlier[-1].key) if q.state is QuestionState.WITHDRAWN]
                if earlier
                else []
            )
            opening = resume_message(task.spec, self.places(task, run.tree), why, tuple(lost))
        return Order(
            run=run.key,
            spec=spec,
            opening=opening,
            timeout=self._settings.timeout_of(task.spec),
            grace=self._settings.stop_grace,
        )

    async def _spec(self, state: State, task: TaskRow, run: RunRow, cli: AgentCli | None) -> RunSpec:
        """
        Write the agent's instructions and say what is executed.
        """
        if cli is None:
            raise AgentError("no agent CLI is ready", hint="See `orchctl doctor`.")
        spec = task.spec
        places = self.places(task, run.tree)
        workspace = self._home.workspace(task.key)
        tree = Path(run.tree)
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
        )
        return RunSpec(run=run.key, argv=argv, cwd=run.tree, env=env, grace=self._settings.stop_grace)

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
