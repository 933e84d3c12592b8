"""
What a person says in answer to a question, as the agent gets it.
"""

from __future__ import annotations

import re

from orchestrd.domain.questionfiles import choose
from orchestrd.domain.rows import QuestionRow
from orchestrd.errors import RequestError


def compose(row: QuestionRow, text: str, options: list[str]) -> str:
    """
    The answer as the agent gets it: the chosen labels, the text, or both; a bare letter that names an option is one.

    Raises `RequestError` when nothing is said, or an option is named that was not offered, or too many are.
    """
    chosen: list[str] = []
    if options:
        try:
            chosen = choose(row.options, options)
        except ValueError as error:
            raise RequestError(str(error)) from None
        if len(set(chosen)) > 1 and not row.multi:
            raise RequestError(f"{row.id} takes one option, not {len(chosen)}", hint="Choose one, or answer in words.")
    said = text.strip()
    if not options and row.options and re.fullmatch(r"[A-Za-z]\)?|\d{1,2}", said):
        try:
            chosen, said = choose(row.options, [said.rstrip(")")]), ""
        except ValueError:
            chosen = []
    parts = [*([", ".join(chosen)] if chosen else []), *([said] if said else [])]
    if not parts:
        raise RequestError("the answer is empty", hint='Write it: orchctl answer TASK "…", or choose --option A.')
    return "\n\n".join(parts)


def closed(row: QuestionRow) -> str:
    """
    Why *row* takes no answer any more.
    """
    if row.answer is None:
        return f"{row.id} is {row.state}: nobody needs the answer any more"
    return f"{row.id} was answered before by {row.answered_by}: {row.answer}"
