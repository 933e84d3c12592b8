"""
What is the project's own to run: a target or a script that a person has written and named.
"""

from __future__ import annotations

import re

from orchestrd.policy.inquiry import Inquiry
from orchestrd.policy.origin import Origin
from orchestrd.policy.programs.targets import is_migrating_target
from orchestrd.policy.shell.invocation import Invocation

_PUBLISHING = re.compile(
    r"""
    (?:[\w@/.-]*[:_./-])?(?:git[:_-])?
    (?:commit|push|git-push|tag-release|gh-pages|deploy[:_-]?(?:docs|gh-pages|pages)
    |release(?::(?:patch|minor|major|publish|tag|prod))?
    |publish(?::\w+)?
    |version[:_-](?:patch|minor|major)
    |bump(?:[:_-]?version)?
    |changeset[:_-](?:version|publish))
    """,
    re.VERBOSE,
)
"""Names of targets that commit, tag, push or publish."""
_TRYING = re.compile(
    r"""
    (?:^|[:_./-])(?:lint|checks?|tests?|e2e|validate|verify|audit|dry|mock|simulate|show|list|print)(?:$|[:_./-])
    |(?:^|[:_./-])pre[:_-](?:commit|push|publish)$
    |(?:^|[:_./-])build[:_-]release$
    """,
    re.VERBOSE,
)
"""Those that look at what would be committed or published, or build it."""
_BOTH = re.compile(r"[:_./-](?:and|then)[:_./-]")


def follow(inquiry: Inquiry, text: str, author: Origin) -> None:
    """
    Follow *text*, a line of a script of this *author*'s.
    """
    with inquiry.following(author, text):
        inquiry.text(text)


def is_publishing_target(name: str) -> bool:
    """
    True when a script or target of that *name* commits, tags, pushes or publishes, as far as its name says.
    """
    return bool(_PUBLISHING.fullmatch(name)) and (not _TRYING.search(name) or bool(_BOTH.search(name)))


def judge_target(inquiry: Inquiry, call: Invocation, name: str) -> None:
    """
    Object to a target whose name says that it does what is forbidden.
    """
    if is_migrating_target(name):
        inquiry.object("db", call, f"`{name}` runs migrations or changes a database, by its name")
    elif is_publishing_target(name):
        inquiry.object("git", call, f"`{name}` commits, tags, pushes or publishes, by its name")
