"""
What an agent is told: the page ``agent_instructions.md`` in its workspace, and the first message that points to it.
"""

from __future__ import annotations

import msgspec

from orchestrd.domain.events import FileChange
from orchestrd.domain.model import Task
from orchestrd.domain.rows import QuestionRow


class ContextFile(msgspec.Struct, frozen=True, kw_only=True):
    """
    One file named by ``context_files``, relative to the project; *text* when it is small enough to be shown whole.
    """

    path: str
    size: int
    text: str | None = None


class Places(msgspec.Struct, frozen=True, kw_only=True):
    """
    Absolute paths that an agent is told.
    """

    tree: str
    workspace: str
    question_file: str
    scratch: str


class Dependency(msgspec.Struct, frozen=True, kw_only=True):
    """
    A task this one builds on: its work is in the tree already.
    """

    id: str
    name: str
    summary: str
    files: tuple[FileChange, ...] = ()


def instructions(
    task: Task,
    places: Places,
    *,
    template: str,
    rules: str,
    patterns: str,
    standards: str,
    guide: str = "",
    context: tuple[ContextFile, ...] = (),
    absent: tuple[str, ...] = (),
    dependencies: tuple[Dependency, ...] = (),
) -> str:
    """
    The whole page: template, rules, patterns, standards, the project's own *guide*, the task and its context files;
    *absent* are those that are named and not there.
    """
    parts = [
        template.strip(),
        _section("Rules", rules),
        _section("Patterns that have worked", patterns),
        _section("Code quality standards", standards),
        _section("The project's own guide (CLAUDE.md)", guide and _fenced(guide)),
        _task(task, places),
        _dependencies(dependencies),
        _context(context, absent),
    ]
    return "\n\n".join(part for part in parts if part) + "\n"


def first_message(task: Task, places: Places, answered: tuple[QuestionRow, ...] = ()) -> str:
    """
    The message that starts a run; *answered* is what earlier runs asked a person and were told.
    """
    parts = [
        f"You are working alone on task {task.key}: {task.name}",
        f"Working tree: {places.tree}\nInstructions: {places.workspace}/agent_instructions.md",
        "The instructions are part of your system prompt: the rules, the task and its context. Do the task to its end, and "
        f"write {places.workspace}/summary.md before you finish.",
    ]
    if answered:
        parts.append("An earlier attempt at this task asked, and was answered; do not ask again:")
        parts += [f"Asked: {question.text}\nThe answer: {question.answer}" for question in answered]
    return "\n\n".join(parts)


def resume_message(
    task: Task,
    places: Places,
    why: str,
    questions: tuple[QuestionRow, ...] = (),
    interrupted: tuple[str, ...] = (),
    allowed: tuple[str, ...] = (),
) -> str:
    """
    The message that continues an interrupted conversation; *questions* are those whose answers never arrived,
    *interrupted* the tool calls that never returned, *allowed* the acts that a person allows beyond the rules.
    """
    parts = [
        f"This is task {task.key} again: {task.name}",
        f"Working tree: {places.tree}\nInstructions: {places.workspace}/agent_instructions.md",
        f"Your process was interrupted ({why}). Your working tree is as you left it; a command that was running did not "
        "finish.",
    ]
    if interrupted:
        calls = "\n".join(f"- {call}" for call in interrupted)
        parts.append(f"Cut off while under way; see what each of them did before you do it again:\n{calls}")
    if allowed:
        acts = "\n".join(f"- {act}" for act in allowed)
        parts.append(
            "A person has looked at what you were denied, and allows exactly this, in the same folder and the same words; "
            f"everything else that is forbidden stays so, and trying it ends your work:\n{acts}"
        )
    for question in questions:
        if question.answer is not None:
            parts.append(f"You had asked: {question.text}\nThe answer: {question.answer}")
        else:
            parts.append(
                f"You had asked: {question.text}\nIt was not answered yet; ask again if you still need to know."
            )
    parts.append(f"Look at where things stand, then go on, and write {places.workspace}/summary.md before you finish.")
    return "\n\n".join(parts)


def _section(title: str, text: str) -> str:
    body = text.strip()
    if not body:
        return ""
    return body if body.startswith("#") else f"## {title}\n\n{body}"


def _task(task: Task, places: Places) -> str:
    lines = [
        f"# Your task: {task.name}",
        "",
        f"- Task: `{task.key}`",
        *([f"- Module: {task.module}"] if task.module else []),
        f"- Estimated complexity: {task.complexity}",
        f"- Working tree: `{places.tree}` (a git worktree of your own; change files only here)",
        f"- Scratch folder, for files that are no part of the work: `{places.scratch}`",
        f"- Summary to write: `{places.workspace}/summary.md`; notes, if you like: `{places.workspace}/notes.md`",
        f"- Question file, where AskUserQuestion is not available: `{places.question_file}`",
        "",
        "## Description",
        "",
        task.description.strip(),
    ]
    if task.deliverables:
        lines += [
            "",
            "## Deliverables",
            "",
            *(f"- {text}" for text in dict.fromkeys(d.text for d in task.deliverables)),
        ]
    if task.checks:
        lines += ["", "## Checks that will be run on your work", "", *(f"- `{c.run}`" for c in task.checks)]
    return "\n".join(lines)


def _dependencies(dependencies: tuple[Dependency, ...]) -> str:
    if not dependencies:
        return ""
    lines = ["## Work this task builds on (already in your tree)"]
    for done in dependencies:
        lines += ["", f"### {done.id}: {done.name}"]
        if done.files:
            lines += ["", *(f"- {change.kind}: `{change.path}`" for change in done.files[:50])]
        if done.summary.strip():
            lines += ["", done.summary.strip()[:4000]]
    return "\n".join(lines)


def _context(files: tuple[ContextFile, ...], absent: tuple[str, ...]) -> str:
    if not files and not absent:
        return ""
    lines = ["## Context files", "", "Read these before you start; paths are relative to the working tree.", ""]
    lines += [
        f"- `{file.path}` ({file.size} bytes{', shown below' if file.text is not None else ''})" for file in files
    ]
    lines += [f"- `{name}`: named for this task, but not in the project" for name in absent]
    for file in files:
        if file.text is not None:
            lines += ["", f"### `{file.path}`", "", _fenced(file.text)]
    return "\n".join(lines)


def _fenced(text: str) -> str:
    fence = "`" * max(3, _longest_fence(text) + 1)
    return "\n".join([fence, text.strip("\n"), fence])


def _longest_fence(text: str) -> int:
    longest = run = 0
    for character in text:
        run = run + 1 if character == "`" else 0
        longest = max(longest, run)
    return longest
