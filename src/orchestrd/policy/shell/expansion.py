"""
Words → the fields a shell would make of them: braces, tildes, variables, substitutions, splitting, in that order.

What is not known becomes a hole; where several values are possible, every one of them is followed.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from itertools import product

from orchestrd.policy.shell.marks import FREE, HOLE, SPLIT, hole, plain, quoted
from orchestrd.policy.shell.nodes import Parameter, Part, Process, Script, Substitution, Text, Unreadable, Word
from orchestrd.policy.shell.parameters import Parameters, Spend, free
from orchestrd.policy.shell.state import MAX_ALTERNATIVES, MAX_TEXT, State, Values
from orchestrd.policy.shell.substrings import braces
from orchestrd.policy.shell.words import extended

_WILD = re.compile(r"[*?\[]")
_FREE = re.compile("([\ue200-\uf8ff])")
_MAX_PARTS = 0xF8FF - FREE
_MAX_COMMAND = 4 * MAX_TEXT
"""So long (characters) may the words of one command be together."""
_NUMBER = hole("number")
_ASSIGNED = re.compile(r"([A-Za-z_]\w*\+?=)(.*)", re.DOTALL)
Capture = Callable[[Script], str]
"""What a script prints."""
Attach = Callable[[Process], str]
"""The path of a process substitution."""


class Expansion(Parameters):
    """
    Expands words in one state of the shell.
    """

    def __init__(self, state: State, capture: Capture, attach: Attach, spend: Spend = free) -> None:
        super().__init__(state, spend)
        self._capture = capture
        self._attach = attach
        self.patterns: list[str] = []
        """Fields that a shell would take for patterns of paths."""

    def fields(self, word: Word) -> list[list[str]]:
        """
        The fields that *word* becomes, once for each way its variables may stand.
        """
        if len(word) == 1 and type(only := word[0]) is Text and (only.quoted or not _expands(only.text)):
            if not only.quoted and "/" in only.text and _WILD.search(only.text):
                self.patterns.append(only.text)
            return [[only.text]]
        ways: list[list[str]] = [[]]
        words = unbraced(word)
        self._spend(len(words) / 5)
        for one in words:
            found: list[list[str]] = []
            for text in self._texts(one, splits=True):
                fields = self._split(text)
                if fields not in found:
                    found.append(fields)
            if len(ways) * len(found) > MAX_ALTERNATIVES:
                found = [[HOLE]]
            if len(found) == 1:
                for way in ways:
                    way.extend(found[0])
            else:
                ways = [[*way, *fields] for way in ways for fields in found]
        return ways

    def commands(self, words: tuple[Word, ...]) -> list[list[str]]:
        """
        The fields of a whole command, once for each way its variables may stand.
        """
        self._spend(len(words) // 20)
        choices = [self.fields(word) for word in words]
        count = 1
        for choice in choices:
            count *= len(choice)
        if count > MAX_ALTERNATIVES:
            choices = [choice if len(choice) == 1 else [[HOLE]] for choice in choices]
        found = [[field for fields in one for field in fields] for one in product(*choices)]
        if any(sum(map(len, fields)) > _MAX_COMMAND for fields in found):
            raise Unreadable("a command that is too long to follow")
        return found

    def values(self, word: Word) -> Values:
        """
        *word* as an assignment's value or a redirection's target: it is not split.
        """
        if all(type(part) is Text and (part.quoted or "~" not in part.text) for part in word):
            return ("".join(part.text for part in word if isinstance(part, Text)),)
        found = [plain(self._tildes(text)) for text in self._texts(word, splits=False)]
        return tuple(dict.fromkeys(found))

    def value(self, word: Word) -> str:
        """
        The one value of *word*, or a hole where there are several.
        """
        values = self.values(word)
        return values[0] if len(values) == 1 else HOLE

    # -- parts -------------------------------------------------------------------------------------------------------

    def _texts(self, word: Word, *, splits: bool) -> list[str]:
        self._spend(len(word) / 12)
        texts = [""]
        pending: list[str] = []
        size = 0
        for part in word:
            options = self._options(part, splits=splits)
            if len(texts) * len(options) > MAX_ALTERNATIVES:
                options = [HOLE]
            size += max(map(len, options))
            if size > MAX_TEXT:
                pending = []  # what is in the other parts is followed all the same
            elif len(options) == 1:
                pending += options
            else:
                before = "".join(pending)
                texts = [text + before + option for text in texts for option in options]
                pending = []
        self._spend(size / 500)
        if size > MAX_TEXT:
            return [HOLE]
        return [text + "".join(pending) for text in texts] if pending else texts

    def _options(self, part: Part, *, splits: bool) -> list[str]:
        if isinstance(part, Text):
            return [quoted(part.text) if part.quoted else part.text]
        if isinstance(part, Parameter):
            return self._parameter(part, splits=splits)
        if isinstance(part, Substitution):
            printed = self._capture(part.script).replace("\0", "").rstrip("\n")
            return [self._as_written(printed, is_quoted=part.quoted, splits=splits)]
        if isinstance(part, Process):
            return [self._attach(part)]
        for inner in part.parts:
            self._options(inner, splits=False)
        return [_NUMBER]

    # -- fields ------------------------------------------------------------------------------------------------------

    def _split(self, text: str) -> list[str]:
        fields: list[str] = []
        assigned = _ASSIGNED.match(text) if "~" in text else None
        if assigned is not None:
            text = assigned.group(1) + self._tildes(assigned.group(2))
        for field in self._tilde(text).split(SPLIT):
            if field:
                fields.append(plain(field))
                if _WILD.search(field) and "/" in fields[-1]:
                    self.patterns.append(fields[-1])
        return fields

    def _tildes(self, text: str) -> str:
        """
        The marked value of an assignment: there a tilde may stand behind each colon.
        """
        return ":".join(self._tilde(one) for one in text.split(":")) if "~" in text else text

    def _tilde(self, text: str) -> str:
        if not text.startswith("~"):
            return text
        name, slash, rest = text[1:].partition("/")
        match name:
            case "":
                home = self._state.value("HOME")[-1]
            case "+":
                home = self._state.told[-1]
            case "-":
                home = self._state.previous[-1]
            case _ if (slash and re.fullmatch(r"[\w.-]+", name)) or name == "root":
                home = "/home/" + name
            case _:
                return text
        return quoted(home) + slash + rest


def unbraced(word: Word) -> list[Word]:
    """
    *word* once for each way through its braces, which come before everything else.

    While they are looked at, a sign of its own stands for each part that is no plain text.
    """
    if not any(type(part) is Text and not part.quoted and "{" in part.text for part in word):
        return [word]
    if len(word) > _MAX_PARTS:
        raise Unreadable("a word that is too long to follow")
    flat = "".join(
        part.text if isinstance(part, Text) and not part.quoted else chr(FREE + at) for at, part in enumerate(word)
    )
    ways = braces(flat)
    return [word] if ways == [flat] else [_rebuilt(way, word) for way in ways]


def _rebuilt(way: str, word: Word) -> Word:
    parts: list[Part] = []
    for at, piece in enumerate(_FREE.split(way)):
        if at % 2:
            parts.append(word[ord(piece) - FREE])
        elif piece:
            extended(parts, piece)
    return tuple(parts)


def _expands(text: str) -> bool:
    return "{" in text or "~" in text or not text
