"""
Questions, readable, with the way to answer each.
"""

from __future__ import annotations

from collections.abc import Sequence

from rich.console import Group, RenderableType
from rich.padding import Padding
from rich.text import Text

from orchctl.render import figures
from orchestrd.protocol import api


def questions(found: Sequence[api.Question], *, everything: bool, now: float | None) -> RenderableType:
    """
    All of *found*, or a line saying that there is none; *everything*: answered ones were asked for too.
    """
    if not found:
        return Text("No questions." if everything else "No question waits for you.")
    lines: list[RenderableType] = []
    for question in found:
        if lines:
            lines.append(Text(""))
        lines += question_lines(question, now=now)
    return Group(*lines)


def question_lines(question: api.Question, *, now: float | None) -> list[RenderableType]:
    """
    One question: who asks and since when, the text, the options by letter, and the answer or the command that gives it.
    """
    heading = Text.assemble((question.id, "bold magenta" if question.state == "open" else "bold"))
    if question.task_name:
        heading.append(f"  {figures.one_line(question.task_name)}")
    asked = figures.moment(question.asked_at)
    if now is not None and asked is not None:
        heading.append(f"  asked {figures.span(now - asked)} ago", style="dim")
    lines: list[RenderableType] = [heading, _indented(Text(figures.safe(question.text).strip()))]
    for option in question.options:
        line = Text.assemble((f"{option.key}) ", "bold"), figures.one_line(option.label))
        if option.description:
            line.append(f"  {figures.one_line(option.description)}", style="dim")
        lines.append(_indented(line, 4))
    if question.state == "open":
        lines.append(_indented(Text(how_to_answer(question), style="dim")))
    elif question.answer is not None:
        by = f" by {question.answered_by}" if question.answered_by else ""
        answer = figures.safe(question.answer).strip()
        lines.append(_indented(Text.assemble((f"answered{by}: ", "green"), answer)))
    else:
        lines.append(_indented(Text(question.state, style="dim")))
    if question.note:
        lines.append(_indented(Text(figures.one_line(question.note), style="yellow")))
    return lines


def how_to_answer(question: api.Question) -> str:
    """
    The commands that answer it.
    """
    number = question.id.rpartition("#")[2]
    # Without a number the oldest open question is meant, which need not be this one.
    name = question.task if number in ("", "1") else f"{question.task} --question {number}"
    if not question.options:
        return f'orchctl answer {name} "your answer"'
    letters = "|".join(option.key for option in question.options)
    more = " (again for more than one)" if question.multi else ""
    return f'orchctl answer {name} --option {letters}{more}   or: orchctl answer {name} "your own words"'


def _indented(text: Text, by: int = 2) -> RenderableType:
    return Padding(text, (0, 0, 0, by))
