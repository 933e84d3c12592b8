"""
What stands for ``$name`` and ``${name…}``: variables, arrays, the positional parameters, and what operators make of them.
"""

from __future__ import annotations

import re
from abc import ABC, abstractmethod
from collections.abc import Callable

from orchestrd.policy.shell.escapes import as_word, unescaped
from orchestrd.policy.shell.marks import HOLE, QUOTED, SPLIT, UNSET, hole, inert, is_known, plain, quoted, shown
from orchestrd.policy.shell.nodes import Parameter, Text, Word
from orchestrd.policy.shell.state import Items, State, item
from orchestrd.policy.shell.substrings import MAX_VALUE, changed, divided, replaced, substring
from orchestrd.policy.tables import words

_NUMBER = hole("number")
_INDIRECT = re.compile(r"(\w+)(?:\[([@*]|\d+)\])?|[@*]")


Spend = Callable[[float], None]
"""Counts steps, and raises `Unreadable` when they are too many."""


def free(steps: float) -> None:
    """
    Where nobody counts.
    """
    del steps


class Parameters(ABC):
    """
    Expands parameters in one state of the shell.
    """

    def __init__(self, state: State, spend: Spend) -> None:
        self._state = state
        self._spend = spend

    @abstractmethod
    def value(self, word: Word) -> str:
        """
        The one value of *word*, or a hole where there are several.
        """

    @abstractmethod
    def _texts(self, word: Word, *, splits: bool) -> list[str]:
        """
        The marked texts that *word* may become; with *splits* marked where they are split.
        """

    @abstractmethod
    def _tilde(self, text: str) -> str:
        """
        The marked *text* with the folder that a tilde at its beginning stands for.
        """

    def _parameter(self, part: Parameter, *, splits: bool) -> list[str]:
        """
        The marked texts that *part* may become.
        """
        if part.length or (part.indirect and part.index is not None):
            if part.index is not None:
                self.value(part.index)
            return [HOLE if part.indirect else _NUMBER]
        name, sign, ways = self._subject(part)
        operator, argument = part.operator, part.argument or ()
        if operator in words("- :- = := ? :? + :+"):
            return self._defaulted(part, name, sign, ways, splits=splits)
        if operator:
            ways = self._operated(operator, argument, name, sign, ways)
        return list(dict.fromkeys(self._written(way, sign, quoted=part.quoted, splits=splits) for way in ways))

    def _subject(self, part: Parameter) -> tuple[str, str, tuple[Items, ...]]:
        """
        What *part* is about: its name, ``@`` or ``*`` for a list, and what it may be.
        """
        name, state = part.name, self._state
        index = self.value(part.index) if part.index is not None else ""
        if part.indirect:
            names = state.value(name)
            found = _INDIRECT.fullmatch(names[0]) if len(names) == 1 and is_known(names[0]) else None
            if found is None:
                return name, "", ((hole("!" + name),),)
            name, index = found.group(1) or names[0], found.group(2) or ""
        if name in "@*":
            return name, name, state.ways
        if index in {"@", "*"}:
            return name, index, state.items(name)
        if not index:
            return name, "", tuple((value,) for value in self._named(name))
        if state.is_unknown(name):
            return name, "", ((hole(f"{name}[{shown(index)}]"),),)
        if not index.lstrip("-").isdecimal():
            return name, "", ((HOLE,),)
        return name, "", tuple((item(items, int(index)),) for items in state.items(name))

    def _named(self, name: str) -> tuple[str, ...]:
        state = self._state
        if name.isdecimal() and name != "0":
            at = int(name) - 1
            return tuple(way[at] if at < len(way) else UNSET for way in state.ways)
        match name:
            case "PWD":
                return state.told
            case "OLDPWD":
                return state.previous
            case "?":
                return ("0",)
            case "#":
                return tuple(str(len(way)) for way in state.ways)
        return state.possible(name)

    def _written(self, way: Items, sign: str, *, quoted: bool, splits: bool) -> str:
        """
        The items of a *way* as they stand in the word: one of them, or all for the *sign* of a list.
        """
        items = [one for one in way if one != UNSET]
        if not sign:
            return self._as_written("".join(items), is_quoted=quoted, splits=splits)
        if splits and (sign == "@" or not quoted):
            return SPLIT.join(self._as_written(one, is_quoted=quoted, splits=True) for one in items)
        separator = " " if sign == "@" else self._state.separators()[:1]
        return self._as_written(separator.join(items), is_quoted=quoted, splits=False)

    def _as_written(self, value: str, *, is_quoted: bool, splits: bool) -> str:
        if is_quoted:
            return quoted(value)
        return inert(divided(value, self._state.separators()) if splits else value)

    # -- operators ---------------------------------------------------------------------------------------------------

    def _defaulted(self, part: Parameter, name: str, sign: str, ways: tuple[Items, ...], *, splits: bool) -> list[str]:
        operator, state = part.operator, self._state
        assigns = operator[-1] == "="
        arguments = self._arguments(part, splits=splits and not assigns)
        unknown = ways == ((hole(name),),) and state.is_unknown(name)
        found: list[str] = []
        for way in ways:
            items = [one for one in way if one != UNSET]
            given = any(items) if ":" in operator else bool(items)
            written = self._written(way, sign, quoted=part.quoted, splits=splits)
            if operator[-1] == "+":
                nothing = QUOTED if part.quoted else ""
                found += [nothing, *arguments] if unknown else arguments if given else [nothing]
            elif operator[-1] == "?" or (given and not unknown):
                found.append(written)
            elif not assigns:
                found += arguments
            else:
                values = [plain(text) for text in arguments]
                state.assign(name, *values)
                found += [self._as_written(value, is_quoted=part.quoted, splits=splits) for value in values]
        return list(dict.fromkeys(found))

    def _arguments(self, part: Parameter, *, splits: bool) -> list[str]:
        """
        What stands behind the operator, as it would stand in the word itself.
        """
        separators = self._state.separators()
        argument = part.argument or ()
        if splits and not part.quoted:
            argument = tuple(
                Text(divided(one.text, separators)) if isinstance(one, Text) and not one.quoted else one
                for one in argument
            )
        found = [inert(self._tilde(text)) for text in self._texts(argument, splits=splits)]
        return [text or QUOTED for text in found] if part.quoted else found

    def _operated(
        self, operator: str, argument: Word, name: str, sign: str, ways: tuple[Items, ...]
    ) -> tuple[Items, ...]:
        if operator == ":" and sign:
            bounds = self.value(argument)
            return tuple(_sliced(way, bounds, 1 if name in "@*" else 0) for way in ways)
        change = self._change(operator, argument)

        def changed_item(one: str) -> str:
            if one == UNSET or not is_known(one):
                return one
            if len(one) > MAX_VALUE:
                return HOLE
            self._spend(len(one) / 32)
            return change(one)

        return tuple(tuple(changed_item(one) for one in way) for way in ways)

    def _change(self, operator: str, argument: Word) -> Callable[[str], str]:
        """
        What an *operator* with its *argument* makes of a value.
        """
        match operator:
            case ":":
                bounds = self.value(argument)
                return lambda value: substring(value, bounds)
            case "@":
                letter = self.value(argument)
                return lambda value: _transformed(value, letter)
            case "/" | "//":
                pattern, replacement = (self._marked(half) for half in _halves(argument))
                if not is_known(pattern + replacement) or "&" in replacement:
                    return lambda _: HOLE  # what `&` is depends on the version of bash
                text = plain(replacement)
                return lambda value: replaced(value, pattern, text, everywhere=operator == "//")
            case _:
                pattern = self._marked(argument)
                return lambda value: changed(operator, value, pattern) if is_known(pattern) else HOLE

    def _marked(self, word: Word) -> str:
        """
        *word* with the marks of what is quoted in it.
        """
        found = self._texts(word, splits=False)
        return found[0] if len(found) == 1 else HOLE


def _halves(argument: Word) -> tuple[Word, Word]:
    """
    A pattern and its replacement, which the first slash that is not quoted divides.
    """
    for at, part in enumerate(argument):
        if isinstance(part, Text) and not part.quoted and "/" in part.text:
            before, _, after = part.text.partition("/")
            return (*argument[:at], Text(before)), (Text(after), *argument[at + 1 :])
    return argument, ()


def _sliced(way: Items, bounds: str, first: int) -> Items:
    """
    ``${@:START:LENGTH}``: some of a list's items, whose *first* place is that; the name of the shell is before them.
    """
    numbers = [one.strip() for one in bounds.split(":")]
    if not all(re.fullmatch(r"-?\d{1,9}|", one) for one in numbers):
        return (HOLE,)
    start, *length = (int(one or 0) for one in numbers)
    items = ("bash", *way) if first and start == 0 else way
    if start < 0 and -start > len(items) + first:
        return ()
    begin = max(start - first, 0) if start >= 0 else start
    found = [one for one in items[begin:] if one != UNSET]
    return tuple(found[: length[0]] if length else found)


def _transformed(value: str, letter: str) -> str:
    """
    ``${…@LETTER}``.
    """
    match letter:
        case "U":
            return value.upper()
        case "L":
            return value.lower()
        case "u":
            return value[:1].upper() + value[1:]
        case "E":
            return unescaped(value).partition("\0")[0]
        case "Q":
            return as_word(value)
        case _:
            return HOLE
