"""
What a task promises, read out of the sentences people write: the paths, what should happen to them, on what condition.

``Updated docs/MODULE_REGISTRY.md (add reference if needed)`` promises an update of that file, optionally.  ``Tests for
pagination`` promises something no program can look for: it stays prose, and so does every sentence where a path is only
mentioned (``Tests for src/a.ts``, ``Following docs/GUIDE.md``), denied (``No changes to src/a.ts``), or taken away
(``Delete src/a.ts``).  A path is never guessed: what is wrongly looked for would be held against good work.

The rules, in order: clauses end at ``;`` and full stops; the first path of a clause counts unless a word before it makes
it a mention; more paths follow only through commas, *and*, *or* or a new verb; after a path, a colon or dash begins a
remark; parentheses are remarks, looked into for a path only when there is none outside.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import msgspec

from orchestrd.domain.model import Deliverable, Verb
from orchestrd.domain.taskfile import words
from orchestrd.domain.taskfile.paths import relative_path
from orchestrd.domain.taskfile.pathwords import (
    has_extension,
    is_absolute,
    is_backslashed,
    is_path,
    is_rooted,
    is_system,
)
from orchestrd.domain.taskfile.tokens import Kind, Token, tokens


class _Found(msgspec.Struct, kw_only=True):
    path: str
    verb: Verb
    optional: bool = False


def read_deliverables(text: str) -> tuple[Deliverable, ...]:
    """
    The promises in *text*: one for each path, all with the whole text, or a single one without a path.

    Alternatives (``a.ts or b.ts``) are optional, each.  Raises `paths.BadPath` when a promised path is absolute
    or leads out of the project.
    """
    text = " ".join(text.split())
    if path := _spaced(text):
        return (Deliverable(text=text, path=path),)
    found: dict[str, _Found] = {}
    everything = tokens(text)
    for clause in _clauses(everything):
        for one in _Clause(clause).paths():
            found.setdefault(one.path, one)
    if not found:
        return (Deliverable(text=text, optional=bool(words.CONDITIONAL.search(text) or _has_condition(everything))),)
    always = _leads_with_condition(everything)
    return tuple(
        Deliverable(text=text, path=one.path, verb=one.verb, optional=one.optional or always) for one in found.values()
    )


def _spaced(text: str) -> str | None:
    """
    A text that is nothing but one path with spaces, ``docs/My User Guide.md``.
    """
    parts = text.split()
    if not 1 < len(parts) <= 6 or not is_rooted(parts[0]) or not has_extension(text) or "," in text:
        return None
    vocabulary = (
        words.MAKING | words.NOT_MAKING | words.DENIAL | words.MENTION | words.OBJECT | words.PLACE | words.JOIN
    )
    plain = all(word.strip("()").isalnum() and word.casefold() not in vocabulary for word in parts[1:-1])
    one = sum(has_extension(word) for word in parts) == 1 and "/" not in parts[-1]
    return relative_path(text) if plain and one else None


def _clauses(everything: Sequence[Token]) -> Iterator[list[Token]]:
    clause: list[Token] = []
    for token in everything:
        if token.kind is Kind.STOP:
            yield clause
            clause = []
        else:
            clause.append(token)
    yield clause


def _plain(some: Sequence[Token]) -> str:
    return " ".join(token.text or _plain(token.inside) for token in some)


def _has_condition(some: Sequence[Token]) -> bool:
    return any(token.inside and words.CONDITIONAL.search(_plain(token.inside)) for token in some)


def _leads_with_condition(everything: Sequence[Token]) -> bool:
    """
    ``Optional: ...``, ``[optional] ...``, ``(if needed) ...``, ``Optionally create ...`` and ``If needed, ...``.
    """
    first = everything[0]
    if first.kind is Kind.REMARK:
        return bool(words.CONDITIONAL.search(_plain(first.inside)))
    if first.word == "optional":
        return len(everything) > 1 and (everything[1].kind is not Kind.WORD or is_path(everything[1].text))
    return first.word in words.CONDITION or first.word == "optionally"


def _cut(clause: Sequence[Token]) -> tuple[Sequence[Token], Sequence[Token]]:
    """
    A clause before and after the colon or dash that follows a path: what comes after is a remark.
    """
    for index, token in enumerate(clause):
        if token.kind is Kind.COLON and index and is_path(clause[index - 1].text, alone=True):
            return clause[:index], clause[index + 1 :]
    return clause, ()


def _is_sibling(path: str, name: str) -> bool:
    """
    ``loading.tsx`` after ``src/app/page.tsx``: most likely beside it, and so no path of its own.
    """
    return "/" in path and name[:1].islower() and path.rpartition(".")[2] == name.rpartition(".")[2]


class _Clause:
    """
    Reads one clause from left to right.
    """

    def __init__(self, clause: Sequence[Token]) -> None:
        self._tokens, self._tail = _cut(clause)
        said = [token.word for token in self._tokens if token.word]
        self._first = said[0] if said else ""
        self._denied = any(word in words.DENIAL for word in said) or self._only_mentions(clause)
        self._moving = self._first in words.MOVING
        self._bare = all(word in words.MAKING | words.ARTICLE | words.JOIN or not word.isalpha() for word in said)
        self._found: list[_Found] = []
        self._remarks: list[Sequence[Token]] = []
        self._head: list[str] = []
        self._restart()

    def _restart(self) -> None:
        self._mention = self._moving
        self._object = False
        self._kin = False
        self._place = ""
        self._verbs: set[str] = set()
        self._between = 0
        self._listing = False
        self._alternative = False
        self._unsure = 0

    def _only_mentions(self, clause: Sequence[Token]) -> bool:
        if self._first in words.NOT_MAKING:
            return self._first != "test" or len(clause) < 2 or not clause[1].word.startswith("file")
        following = next((token for token in clause[1:] if token.word not in words.ARTICLE or not token.text), None)
        return self._first == "replace" and following is not None and "/" in following.text

    def paths(self) -> list[_Found]:
        """
        The promised paths of the clause.
        """
        if self._denied:
            return []
        for index, token in enumerate(self._tokens):
            if not self._step(token, self._tokens[index - 1] if index else None):
                break
        if self._found:
            self._listing = True
            self._remark(self._tail)
        elif not self._mention:
            inside = (one for remark in self._remarks for one in _Clause(remark).paths())
            self._found = [one for one in inside if not self._object or words.is_kin(self._head, one.path)]
            for one in self._found:
                one.verb = self._verb() if one.verb is Verb.EITHER else one.verb
        return self._found

    def _step(self, token: Token, before: Token | None) -> bool:
        """
        Take one token; False ends the clause.
        """
        if token.kind is Kind.REMARK:
            self._remark(token.inside)
            return True
        if token.kind is Kind.COMMA:
            return True
        if token.kind in (Kind.COLON, Kind.ARROW):
            return self._turn(token.kind)
        if (path := self._path(token)) is not None:
            return self._take(path)
        word = token.word
        follows = before is None or before.kind in (Kind.COMMA, Kind.COLON) or before.word in words.JOIN
        if self._listing:
            return self._after_path(word, follows=follows)
        return self._before_path(word, before, follows=follows)

    def _turn(self, kind: Kind) -> bool:
        if kind is Kind.ARROW and self._listing:
            self._found.pop()
            self._listing = False
        self._mention = self._object = self._kin = False
        return True

    def _after_path(self, word: str, *, follows: bool) -> bool:
        if word in words.MAKING and follows:
            self._restart()
            self._verbs = {word}
            return True
        if word in words.JOIN:
            self._alternative = self._alternative or word in ("or", "and/or")
            return True
        if word in words.MAKING:
            for one in self._found:
                self._apply({word}, one)
            return True
        if (
            word in words.CONDITION
            or word == "optional"
            or (word == "as" and words.CONDITIONAL.search(_plain(self._tokens)))
        ):
            self._found[-1].optional = True
        return False

    def _before_path(self, word: str, before: Token | None, *, follows: bool) -> bool:
        self._head.append(word)
        self._unsure = max(self._unsure - 1, 3 if is_rooted(word) else 0)
        if word in words.MAKING:
            if word in words.IMPERATIVE and follows:
                self._mention = self._object = self._kin = False
                self._verbs = set() if self._place else self._verbs
            self._verbs.add(word)
            self._place, self._between = "", 0
        elif word in ("to", "into") and self._moving:
            self._mention, self._place = False, word
        elif word in words.MENTION or (word == "to" and before is not None and before.word in words.LINK):
            self._mention = True
        elif word in words.OBJECT:
            self._object, self._kin = True, False
        elif word in words.PLACE:
            self._place, self._kin = word, True
        elif word not in words.ARTICLE:
            self._between += 1
        return True

    def _path(self, token: Token) -> str | None:
        """
        The path *token* is, when the words before it make it a promise; raises `BadPath` when it leads outside.
        """
        text = token.text
        if token.kind not in (Kind.WORD, Kind.QUOTED) or self._mention or len(text) > 1024:
            return None
        alone = self._bare or token.kind is Kind.QUOTED
        outside = text.startswith("../") or text == ".." or (is_backslashed(text) and "://" not in text)
        if is_absolute(text):
            outside = is_system(text) or (alone and (has_extension(text) or len(self._tokens) == 1))
        elif "/../" in text and "://" not in text:
            outside = True
        if " " in text:
            start = text.split()
            good = "/" in start[0] and has_extension(text) and not any(has_extension(word) for word in start[:-1])
            good = good and not is_absolute(text) and not any(word.startswith("-") for word in start)
        else:
            good = outside or is_path(text, alone=alone)
        if not good or (self._unsure and "/" not in text):
            return None
        if self._object and not (self._kin and words.is_kin(self._head, text)):
            return None
        return relative_path(text)

    def _take(self, path: str) -> bool:
        if self._found and "/" not in path and _is_sibling(self._found[-1].path, path):
            return True
        one = _Found(path=path, verb=self._verb())
        if self._alternative and self._found:
            self._found[-1].optional = one.optional = True
        self._alternative = False
        self._found.append(one)
        self._listing = True
        return True

    def _verb(self) -> Verb:
        kinds = {Verb.UPDATE for word in self._verbs if word in words.UPDATE}
        if self._verbs & words.CREATE:
            kinds.add(Verb.EITHER if self._place else Verb.CREATE)
        if self._verbs & words.ADD and not self._verbs & words.CREATE:
            into = Verb.UPDATE if self._place in ("to", "into") else Verb.EITHER
            kinds.add(into if self._place or self._between else Verb.CREATE)
        return kinds.pop() if len(kinds) == 1 else Verb.EITHER

    def _apply(self, verbs: set[str], one: _Found) -> None:
        """
        Verbs after the path count when none stood before it: ``docs/x.md updated``.
        """
        kinds = [kind for kind, known in ((Verb.CREATE, words.CREATE), (Verb.UPDATE, words.UPDATE)) if verbs & known]
        if one.verb is Verb.EITHER and not self._verbs and len(kinds) == 1:
            one.verb = kinds[0]

    def _remark(self, inside: Sequence[Token]) -> None:
        if not self._listing:
            self._remarks.append(inside)
            return
        said = [token.word for token in inside]
        if said and said[0] in words.MAKING:
            self._apply(set(said), self._found[-1])
        if words.CONDITIONAL.search(_plain(inside)):
            self._found[-1].optional = True
