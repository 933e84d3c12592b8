"""
``policy``: what agents may do, asked without a daemon.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from orchctl.cli.options import Command, DayOption, Group, Look, TaskArgument, invocation

if TYPE_CHECKING:
    from orchctl.invocation import Invocation
    from orchestrd.policy.scope import Scope
    from orchestrd.policy.verdict import Verdict
    from orchestrd.rulebook import Rulebook

app = typer.Typer(
    cls=Group, help="What agents may do: ask for verdicts, see the rules, try a corpus.", no_args_is_help=True
)

_Project = Annotated[
    Path | None, typer.Option("--project", metavar="DIR", help="The project; here by default. It need not exist.")
]
_Cwd = Annotated[
    Path | None, typer.Option("--cwd", metavar="DIR", help="Where the agent stands; the project by default.")
]
_Scratch = Annotated[
    list[Path] | None,
    typer.Option("--scratch", metavar="DIR", help="A folder besides it that may be written; repeatable."),
]

_Task = Annotated[
    str | None, typer.Option("--task", metavar="TASK", help="With what config/policy.yaml says for this task.")
]


@app.command("check", cls=Look)
def check(
    ctx: typer.Context,
    command: Annotated[
        str | None, typer.Argument(metavar="[CMD]", help="A shell command line.", show_default=False)
    ] = None,
    stdin: Annotated[
        bool,
        typer.Option(
            "--stdin",
            help='Read JSON lines {"command": …} or {"tool": …, "input": {…}} and answer each with a line, in order; also written -.',
        ),
    ] = False,
    project: _Project = None,
    cwd: _Cwd = None,
    scratch: _Scratch = None,
    task: _Task = None,
) -> None:
    """
    May an agent run this?  Exit status 0: yes, 1: no, or only with leave; with --stdin 0: all were answered, 2: a line could not be read.

    Under a home, config/policy.yaml counts.
    """
    from orchctl.failures import Misuse

    if command == "-":
        command, stdin = None, True
    if stdin == (command is not None):
        raise Misuse("give one command line, or --stdin")
    here = invocation(ctx)
    scope, place = _scope(project, cwd, scratch, _book(here), task)
    if stdin:
        _answer_lines(here, scope, place)
        return
    verdict = _judge(command or "", scope, place)
    if here.json:
        here.emit({"command": command, **_told(verdict)})
    elif verdict.allowed:
        here.screen.show("allow")
    else:
        here.screen.show(f"{verdict.decision}  {verdict.rule}: {verdict.reason}")
    if not verdict.allowed:
        raise typer.Exit(1)


@app.command("explain", cls=Look)
def explain(
    ctx: typer.Context,
    what: Annotated[
        str | None, typer.Argument(metavar="[RULE|CMD]", help="A rule's name or a command line.", show_default=False)
    ] = None,
    project: _Project = None,
    cwd: _Cwd = None,
    scratch: _Scratch = None,
    task: _Task = None,
) -> None:
    """
    The rules, one of them, or everything that is objected to in a command line.
    """
    from orchestrd.policy.inquiry import REASONS

    here = invocation(ctx)
    rules = {rule: reason for rule, reason in REASONS.items() if reason}
    if what is None or what in rules:
        chosen = rules if what is None else {what: rules[what]}
        if here.json:
            here.emit(chosen)
            return
        for rule, reason in chosen.items():
            here.screen.show(f"{rule}: {reason}")
        return
    from orchestrd.policy.engine import objections
    from orchestrd.treefiles import TreeFiles

    scope, place = _scope(project, cwd, scratch, _book(here), task)
    found = objections("Bash", {"command": what}, scope, place, TreeFiles())
    if here.json:
        here.emit(
            [{"verdict": one.decision, "rule": one.rule, "reason": one.reason, "target": one.target} for one in found]
        )
        return
    if not found:
        here.screen.show("allow: nothing is objected to")
    for one in found:
        here.screen.show(f"{one.rule}: {one.reason}", f"  in: {one.target}")


@app.command("test", cls=Look)
def try_corpus(
    ctx: typer.Context,
    file: Annotated[
        Path,
        typer.Argument(metavar="FILE", help='JSON lines {"command", "verdict": "allow"|"deny", "rule", "category"}.'),
    ],
    project: Annotated[
        Path, typer.Option("--project", metavar="DIR", help="The project that the commands speak of.")
    ] = Path("/home/dev/project"),
    cwd: _Cwd = None,
    scratch: _Scratch = None,
    misses: Annotated[
        bool, typer.Option("--misses", help="Print what was judged otherwise than the file says.")
    ] = False,
) -> None:
    """
    Judge a corpus, and print how much of each rule and category is judged as it says.  Exit status 1 when something is not.
    """
    from orchctl.failures import Misuse
    from orchctl.render.policy import Tally, table

    here = invocation(ctx)
    scope, place = _scope(project, cwd, scratch if scratch is not None else [Path("/tmp/agent")])  # noqa: S108
    tally = Tally()
    rows = list(_rows(file))
    if not rows:
        raise Misuse(f"{file} holds no command to judge")
    for row in rows:
        verdict = _judge(row["command"], scope, place, look=False)
        tally.count(row, verdict.decision, verdict.rule)
    if here.json:
        here.emit(tally.summary())
    else:
        here.screen.show(table(tally))
        for command, wanted, decided in tally.misses if misses else []:
            here.screen.show(f"{wanted}, judged {decided}: {command}")
    if tally.misses:
        raise typer.Exit(1)


@app.command("disallow", cls=Command)
def disallow(
    ctx: typer.Context,
    task: TaskArgument,
    allowance: Annotated[
        str, typer.Argument(metavar="ID", help="Under which id it is allowed, as orchctl status TASK shows.")
    ],
    day: DayOption = None,
) -> None:
    """
    Take back what a task was allowed beyond the rules.  From its next call on it is denied again.
    """
    from orchestrd.protocol import api

    here = invocation(ctx)
    params = api.Disallow(task=task, allowance=allowance, day=day)
    changed: api.Changed = here.client().call("task.disallow", params)
    if here.json:
        here.emit(changed)
        return
    for note in changed.notes:
        here.screen.line(note)


def _book(here: Invocation) -> Rulebook:
    """
    What the person says in the home that the command is about; nothing where there is none, and none was named.

    Raises `Misuse`, `ConfigError`.
    """
    from orchctl.failures import Misuse
    from orchestrd.rulebook import Rulebook, load_rulebook

    try:
        home = here.home
    except Misuse:
        if here.named_home is not None:
            raise
        return Rulebook()
    return load_rulebook(home)


def _scope(
    project: Path | None,
    cwd: Path | None,
    scratch: list[Path] | None,
    book: Rulebook | None = None,
    task: str | None = None,
) -> tuple[Scope, str]:
    import os

    from orchestrd.policy.amendments import Amendments
    from orchestrd.policy.scope import Scope

    def absolute(path: Path) -> str:
        return os.path.normpath(Path.cwd() / path)

    tree = absolute(project or Path())
    home = str(Path("~").expanduser())
    named = task or ""
    scope = Scope(
        tree=tree,
        scratch=tuple(absolute(one) for one in scratch or ()),
        home=home,
        readable=book.readable if book is not None else (),
        lent=book.writable if book is not None else (),
        amendments=book.of(named if "/" in named else f"/{named}") if book is not None else Amendments(),
    )
    return scope, absolute(cwd) if cwd is not None else tree


def _judge(text: str, scope: Scope, cwd: str, *, look: bool = True) -> Verdict:
    from orchestrd.policy.engine import judge_command
    from orchestrd.policy.scope import NoFiles
    from orchestrd.treefiles import TreeFiles

    return judge_command(text, scope, cwd, TreeFiles() if look else NoFiles())


def _answer_lines(here: Invocation, scope: Scope, place: str) -> None:
    """
    Judge each line of standard input; one that says no call is answered with what is wrong with it, and the rest goes on.
    """
    from orchctl.failures import Misuse
    from orchestrd.policy.engine import judge
    from orchestrd.treefiles import TreeFiles

    unread = False
    for number, line in enumerate(sys.stdin, 1):
        if not line.strip():
            continue
        try:
            asked, tool, arguments = _call(line, f"line {number} of standard input")
        except Misuse as error:
            unread = True
            here.emit({"error": str(error)}, lines=True)
            continue
        here.emit({**asked, **_told(judge(tool, arguments, scope, place, TreeFiles()))}, lines=True)
    if unread:
        raise typer.Exit(2)


def _told(verdict: Verdict) -> dict[str, str]:
    return {"verdict": verdict.decision, "rule": verdict.rule, "reason": verdict.reason}


def _call(line: str, where: str) -> tuple[dict[str, Any], str, dict[str, Any]]:
    """
    The call that a *line* of JSON speaks of: what is repeated of it in the answer, the tool and its arguments.

    Raises `Misuse`.
    """
    from orchctl.failures import Misuse

    row = _row(line, where)
    if "tool" not in row:
        command = _command(row, where)["command"]
        return {"command": command}, "Bash", {"command": command}
    if not isinstance(row["tool"], str) or not isinstance(row.get("input"), dict):
        raise Misuse(f'{where}: "tool" is a name, and "input" an object with its arguments')
    return {"tool": row["tool"]}, row["tool"], row["input"]


def _rows(file: Path) -> Iterator[dict[str, Any]]:
    from orchctl.failures import Misuse

    try:
        with file.open(encoding="utf-8") as lines:
            for number, line in enumerate(lines, 1):
                if line.strip():
                    row = _command(_row(line, f"{file}, line {number}"), f"{file}, line {number}")
                    if row.get("verdict") not in {"allow", "deny", "ask"}:
                        raise Misuse(f'{file}, line {number}: "verdict" is allow, deny or ask')
                    yield row
    except (OSError, UnicodeDecodeError) as error:
        raise Misuse(f"{file} cannot be read: {error}") from None


def _row(line: str, where: str) -> dict[str, Any]:
    import msgspec

    from orchctl.failures import Misuse

    try:
        return msgspec.json.decode(line, type=dict[str, Any])
    except (msgspec.DecodeError, UnicodeError, RecursionError) as error:
        raise Misuse(f'{where}: expected a JSON object such as {{"command": "git status"}} ({error})') from None


def _command(row: dict[str, Any], where: str) -> dict[str, Any]:
    from orchctl.failures import Misuse

    if not isinstance(row.get("command"), str):
        raise Misuse(f'{where}: "command" is missing')
    return row
