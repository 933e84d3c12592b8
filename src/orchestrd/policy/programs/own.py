"""
What is the project's own to run: a target or a script that a person has written and named.
"""

from __future__ import annotations

import re

from orchestrd.policy.inquiry import Inquiry
from orchestrd.policy.programs.targets import is_migrating_target
from orchestrd.policy.shell.invocation import Invocation

_TARGET_RULES: tuple[tuple[str, re.Pattern[str], str], ...] = (
    (
        "git",
        re.compile(
            r"""
            (?:[\w@/.-]*[:_./-])?(?:git[:_-])?(?:commit|push|git-push|tag-release|release(?::(?:patch|minor|major
            |publish|tag|prod))?|publish(?::\w+)?|gh-pages|deploy[:_-]?(?:docs|gh-pages|pages)|version[:_-](?:patch
            |minor|major)|bump(?:[:_-]?version)?|changeset[:_-](?:version|publish))
            """,
            re.VERBOSE,
        ),
        "commits, tags, pushes or publishes, by its name",
    ),
)


def follow(inquiry: Inquiry, text: str, *, ours: bool) -> None:
    with inquiry.following(ours=ours):
        inquiry.text(text)


def judge_target(inquiry: Inquiry, call: Invocation, name: str) -> None:
    """
    A target whose name says that it does what is forbidden.
    """
    if is_migrating_target(name):
        inquiry.object("db", call, f"`{name}` runs migrations or changes a database, by its name")
        return
    for rule, pattern, why in _TARGET_RULES:
        if pattern.fullmatch(name):
            inquiry.object(rule, call, f"`{name}` {why}")  # type: ignore[arg-type]
