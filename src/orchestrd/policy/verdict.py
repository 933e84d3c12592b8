"""
What the policy answers.
"""

from __future__ import annotations

from typing import Literal

import msgspec

Rule = Literal["git", "db", "delete", "outside", "secret", "exec-unknown", "none"]
Decision = Literal["allow", "deny", "ask"]


class Verdict(msgspec.Struct, frozen=True, kw_only=True):
    """
    *rule* is the one that decided; *reason* tells the agent what is forbidden and what to do instead; *target* is what
    the rule was about, as evidence for the person.
    """

    decision: Decision = "allow"
    rule: Rule = "none"
    reason: str = ""
    target: str = ""

    @property
    def allowed(self) -> bool:
        """
        True when the call may be made without asking anybody.
        """
        return self.decision == "allow"


ALLOW = Verdict()


def deny(rule: Rule, reason: str, target: str) -> Verdict:
    """
    A denial about *target*, which is cut to what a person reads.
    """
    return Verdict(decision="deny", rule=rule, reason=_printable(reason), target=_printable(target[:200])[:200])


def _printable(text: str) -> str:
    """
    *text* without what would end a line, move a cursor or turn the order of signs around: each as its escape.
    """
    if text.isprintable():
        return text
    return "".join(sign if sign.isprintable() else sign.encode("unicode_escape").decode() for sign in text)
