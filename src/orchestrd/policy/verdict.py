"""
What the policy answers.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from typing import Literal, cast

import msgspec

from orchestrd.domain.events import Permit

Rule = Literal["git", "db", "delete", "outside", "secret", "exec-unknown", "none"]
Decision = Literal["allow", "deny", "ask"]
COMMAND_TOOLS = frozenset({"Bash", "Monitor"})
"""Tools whose argument ``command`` is a command line.  (Claude Code 2.1.330)"""


class Verdict(msgspec.Struct, frozen=True, kw_only=True):
    """
    *rule* is the one that decided; *reason* tells the agent what is forbidden and what to do instead; *target* is what
    the rule was about, as evidence for the person.  *fixed*: it protects this program itself, and no person's line changes it;
    *person*: it is a line of the person's own; *act* is the mark of the call that was judged (`acts`), empty where nobody asked for it;
    *followed* is the digest of the files that the call reads, as far as that was seen, empty where it reads none.
    """

    decision: Decision = "allow"
    rule: Rule = "none"
    reason: str = ""
    target: str = ""
    fixed: bool = False
    person: bool = False
    act: str = ""
    followed: str = ""

    @property
    def allowed(self) -> bool:
        """
        True when the call may be made without asking anybody.
        """
        return self.decision == "allow"


ALLOW = Verdict()
MOST_REASON = 1200
"""Characters of a reason: an agent may write a name of any length into it."""


def deny(rule: Rule, reason: str, target: str, *, fixed: bool = False) -> Verdict:
    """
    A denial about *target*, which is cut to what a person reads.
    """
    if len(reason) > MOST_REASON:
        # What it says to do instead stands at its end.
        reason = f"{reason[: MOST_REASON // 2]}…{reason[-MOST_REASON // 2 :]}"
    return Verdict(decision="deny", rule=rule, reason=printable(reason), target=short(target), fixed=fixed)


def digest(texts: Iterable[str]) -> str:
    """
    The digest of these *texts*, whatever their order; empty for none.
    """
    each = sorted({hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest() for text in texts})
    return hashlib.sha256("".join(each).encode("ascii")).hexdigest()[:32] if each else ""


def recorded(permit: Permit) -> Verdict:
    """
    The verdict that led to the question for this *permit*.
    """
    rule = cast("Rule", permit.rule)
    return Verdict(decision="ask", rule=rule, reason=permit.reason, target=permit.target, act=permit.act)


def short(target: str) -> str:
    """
    *target* as a person reads it.
    """
    return printable(target[:200])[:200]


def printable(text: str) -> str:
    """
    *text* without what would end a line, move a cursor or turn the order of signs around: each as its escape.
    """
    if text.isprintable():
        return text
    return "".join(sign if sign.isprintable() else sign.encode("unicode_escape").decode() for sign in text)
