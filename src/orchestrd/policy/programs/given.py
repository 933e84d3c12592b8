"""
The programs that a tool such as ``sed`` or ``awk`` is given: by an option, in a file, or as its first word.
"""

from __future__ import annotations

from orchestrd.policy.inquiry import Inquiry
from orchestrd.policy.shell.invocation import Invocation
from orchestrd.policy.shell.marks import HOLE, is_known
from orchestrd.policy.shell.paths import STDIN


def given_programs(
    inquiry: Inquiry, call: Invocation, texts: list[str], files: list[str], words: list[str]
) -> tuple[list[str], list[str]]:
    """
    The texts of the programs, and what is left of *words*: *texts* stand in options, *files* are read, and without either
    the first word is one.
    """
    if not texts and not files:
        return words[:1], words[1:]
    for path in files:
        if path == "-" or path in STDIN:
            texts = [*texts, call.stdin or HOLE]
            continue
        inquiry.use(path, call)
        content = inquiry.content(path)
        texts = [*texts, content] if is_known(content) else texts
    return texts, words
