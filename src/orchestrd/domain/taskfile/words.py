"""
The words of deliverables: which promise a file, which only mention one, which deny it, which make it conditional.

English only; a word that is not here is just a word.
"""

from __future__ import annotations

import re
from collections.abc import Sequence


def _words(text: str) -> frozenset[str]:
    return frozenset(text.split())


CREATE = _words("create creates created creating new generate generates generated generating introduce introduces")
ADD = _words("add adds added adding")
UPDATE = _words(
    "update updates updated updating modify modifies modified modifying edit edits edited extend extends extended change "
    "changes changed fix fixes fixed refactor refactored improve improved rewrite rewritten revise revised amend amended "
    "adjust adjusted append appended expand expanded enhance enhanced patch patched correct corrected bump bumped "
    "existing replace"
)
WRITE = _words("write writes written implement implemented document documented build make finish finished complete put")
MAKING = CREATE | ADD | UPDATE | WRITE
IMPERATIVE = _words(
    "create generate introduce add update modify edit extend change fix refactor improve rewrite revise amend adjust "
    "append expand enhance patch correct bump write implement document build make finish complete put"
)
MOVING = _words("move moved rename renamed split extract extracted convert converted migrate migrated copy copied port")
NOT_MAKING = _words(
    "delete deleted remove removed drop dropped run execute verify verified check review reviewed keep ensure make-sure "
    "read analyze analyse investigate use confirm validate lint test look compare leave ignore avoid consider discuss"
)
DENIAL = _words(
    "not no don't don’t doesn't doesn’t never unchanged untouched pass passes passing compile compiles green works"
)
MENTION = _words(
    "see from via by following follow follows based like similar according using uses used with without than against as "
    "matching described defined documented-in cf e.g e.g. i.e i.e. about regarding that which who because unless before "
    "after instead per if when where mentioned listed outlined unlike imports importing imported beside alongside between"
)
OBJECT = _words("for of on covering")
PLACE = _words("in into at under inside within to")
LINK = _words(
    "link links linking reference references referring refer refers pointer pointing points compared relative next"
)
JOIN = _words("and or & + plus also then both either the a an und and/or")
ARTICLE = _words("the a an this new file files folder module component page script document template : please also")
CONDITION = _words("if when where unless")
CONDITIONAL = re.compile(
    r"\b(?:if|when|where) (?:needed|necessary|required|applicable|possible|appropriate|relevant|using|used|desired|wanted"
    r"|useful|helpful|time|there|it|you|we|any|not)\b|\bas (?:needed|necessary|required|appropriate)\b"
    r"|^\W*(?:optionally|if|when|where)\b|^\W*optional\b(?:\W*$|[\]:,)-]| -)|(?<!not )\boptional(?:ly)?\W*$|\bnice[ -]to[ -]have\b",
    re.IGNORECASE,
)
KIN = (
    (
        _words("test tests spec specs coverage e2e"),
        re.compile(r"(?:^|/)(?:tests?|e2e|specs?|__tests__|cypress)/|\.(?:spec|test)\.|(?:^|/)test_|_test\."),
    ),
    (
        _words("doc docs documentation guide readme section notes entry"),
        re.compile(r"\.(?:mdx?|rst|adoc|txt)$|^docs?/"),
    ),
    (_words("migration migrations"), re.compile(r"(?:^|/)migrations/|\.sql$")),
)
"""Words and the paths they speak of: in ``Tests for the parser in tests/parser.py`` the path is the promise."""


def is_kin(head: Sequence[str], path: str) -> bool:
    """
    True when a word of *head* speaks of files such as *path*.
    """
    return any(words.intersection(head) and shape.search(path) for words, shape in KIN)
