"""
Words → the fields a shell would make of them: braces, tildes, variables, substitutions, splitting, in that order.

What is not known becomes a hole; where several values are possible, every one of them is followed.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from itertools import product

from orchestrd.policy.shell.marks import (
    HOLE,
    SPLIT,
    hole,
    inert,
    is_known,
    plain,
    quoted,
)
from orchestrd.policy.shell.nodes import Parameter, Part, Process, Script, Substitution, Text, Unreadable, Word
from orchestrd.policy.shell.state import MAX_ALTERNATIVES, MAX_TEXT, State, Values
from orchestrd.policy.shell.substrings import as_regex, braces, changed, substring
from orchestrd.policy.tables import words

_WILD = re.compile(r"[*?\[]")
_MAX_LENGTH = 4096
"""Of a longer value no part is worked out."""
_MAX_COMMAND = 4 * MAX_TEXT
"""So long (characters) may the words of one command be together."""
_NUMBER = hole("number")
Capture = Callable[[Script], str]
"""What a script prints."""
Attach = Callable[[Process], str]
"""The path of a process substitution."""


class Expansion:
    """
    Expands words in one state of the shell.
    """

    def __init__(self, state: State, capture: Capture, attach: Attach) -> None:
        self._state = state
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
        found: list[list[str]] = []
        for text in self._texts(word):
            fields = self._split(text)
            if fields not in found:
                found.append(fields)
        return found

    def commands(self, words: tuple[Word, ...]) -> list[list[str]]:
        """
        The fields of a whole command, once for each way its variables may stand.
        """
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
        found = []
        for text in self._texts(word):
            expanded = self._tilde(text)
            found.append(plain(expanded).replace(SPLIT, " "))
        return tuple(dict.fromkeys(found))

    def value(self, word: Word) -> str:
        """
        The one value of *word*, or a hole where there are several.
        """
        values = self.values(word)
        return values[0] if len(values) == 1 else HOLE

    # -- parts -------------------------------------------------------------------------------------------------------

    def _texts(self, word: Word) -> list[str]:
        texts = [""]
        pending: list[str] = []
        size = 0
        for part in word:
            options = self._options(part)
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
        if size > MAX_TEXT:
            return [HOLE]
        return [text + "".join(pending) for text in texts] if pending else texts

    def _options(self, part: Part) -> list[str]:
        if isinstance(part, Text):
            return [quoted(part.text) if part.quoted else part.text]
        if isinstance(part, Parameter):
            return [self._as_written(value, is_quoted=part.quoted) for value in self._parameter(part)]
        if isinstance(part, Substitution):
            return [self._as_written(self._capture(part.script).rstrip("\n"), is_quoted=part.quoted)]
        if isinstance(part, Process):
            return [self._attach(part)]
        for inner in part.parts:
            self._options(inner)
        return [_NUMBER]

    def _as_written(self, value: str, *, is_quoted: bool) -> str:
        if is_quoted:
            return quoted(value)
        separators = self._state.variables.get("IFS", (" \t\n",))[-1]
        text = value
        for sign in separators if is_known(separators) else " \t\n":
            text = text.replace(sign, SPLIT)
        return inert(text)

    def _parameter(self, part: Parameter) -> Values:
        name, state = part.name, self._state
        if part.indirect:
            names = state.value(name)
            if len(names) != 1 or not is_known(names[0]):
                return (hole("!" + name),)
            name = names[0]
            if match := re.fullmatch(r"(\w+)\[([@*]|\d+)\]", name):
                return self._items(state.arrays.get(match.group(1), (HOLE,)), match.group(2), is_quoted=part.quoted)
        if part.length:
            return (_NUMBER,)
        if part.index is not None:
            index = self.value(part.index)
            items = state.arrays.get(name)
            if items is None:
                values: Values = (hole(f"{name}[{index}]"),)
            else:
                values = self._items(items, index, is_quoted=part.quoted)
        elif name in "@*":
            values = self._items(state.positional, name, is_quoted=part.quoted)
        else:
            values = self._named(name)
        return self._operated(part, name, values) if part.operator else values

    def _named(self, name: str) -> Values:
        state = self._state
        if name.isdecimal() and name != "0":
            at = int(name) - 1
            return (state.positional[at] if at < len(state.positional) else "",)
        if name == "PWD":
            return state.cwd
        if name == "OLDPWD":
            return state.previous
        if name == "?":
            return ("0",)
        if name == "#":
            return (str(len(state.positional)),)
        return state.value(name)

    @staticmethod
    def _items(items: tuple[str, ...], index: str, *, is_quoted: bool) -> Values:
        if index in {"@", "*"}:
            joined = (" " if index == "*" and is_quoted else SPLIT).join(items)
            return (joined,)
        if index.lstrip("-").isdecimal():
            at = int(index)
            return (items[at] if -len(items) <= at < len(items) else "",)
        return (HOLE,)

    def _operated(self, part: Parameter, name: str, values: Values) -> Values:
        operator, argument = part.operator, part.argument or ()
        if operator in words("- :- = := ? :? + :+"):
            return self._default(part, name, values, argument)
        if not all(is_known(value) and len(value) <= _MAX_LENGTH for value in values):
            self.values(argument)
            return values
        if operator == ":" and (name in "@*" or part.index is not None):
            return self._sliced(name, self.value(argument))
        if operator == ":":
            return tuple(substring(value, self.value(argument)) for value in values)
        if operator in {"/", "//"}:
            return self._replaced(operator, values, argument)
        if operator == "@":
            return values if self.value(argument) != "P" else (HOLE,)
        pattern = self.value(argument)
        if not is_known(pattern):
            return (HOLE,)
        return tuple(changed(operator, value, pattern) for value in values)

    def _sliced(self, name: str, argument: str) -> Values:
        """
        ``${@:START:LENGTH}``: some of the positional parameters, or of an array's items.
        """
        items = self._state.positional if name in "@*" else self._state.arrays.get(name, (HOLE,))
        bounds = [int(one) if one.strip().lstrip("-").isdecimal() else 0 for one in argument.split(":")]
        start = bounds[0] - (1 if name in "@*" and bounds[0] > 0 else 0)
        return (SPLIT.join(items[start : start + bounds[1]] if len(bounds) > 1 else items[start:]),)

    def _default(self, part: Parameter, name: str, values: Values, argument: Word) -> Values:
        operator = part.operator
        unset = name not in self._state.variables and values == (hole(name),)
        empty = unset or (":" in operator and values == ("",))
        if operator in {"+", ":+"}:
            if unset:
                return ("", *self.values(argument))
            return ("",) if empty else self.values(argument)
        if not empty:
            self.values(argument)
            return values
        found = self.values(argument)
        if not part.quoted:
            found = tuple(text.replace(" ", SPLIT) for text in found)
        if operator in {"=", ":="}:
            self._state.assign(name, *(text.replace(SPLIT, " ") for text in found))
        return values if operator in {"?", ":?"} else found

    def _replaced(self, operator: str, values: Values, argument: Word) -> Values:
        text = self.value(argument)
        if not is_known(text):
            return (HOLE,)
        pattern, _, replacement = text.partition("/")
        anchor = pattern[:1] if pattern[:1] in {"#", "%"} and operator == "/" else ""
        found = re.compile(as_regex(pattern[len(anchor) :]), re.DOTALL)
        if anchor:
            found = re.compile(r"\A" + found.pattern if anchor == "#" else found.pattern + r"\Z", re.DOTALL)
        return tuple(found.sub(lambda _: replacement, value, count=0 if operator == "//" else 1) for value in values)

    # -- fields ------------------------------------------------------------------------------------------------------

    def _split(self, text: str) -> list[str]:
        fields: list[str] = []
        for one in braces(text) if "{" in text else [text]:
            expanded = self._tilde(one)
            for field in expanded.split(SPLIT):
                if field:
                    fields.append(plain(field))
                    if "/" in field and _WILD.search(field):
                        self.patterns.append(fields[-1])
        return fields

    def _tilde(self, text: str) -> str:
        if not text.startswith("~"):
            return text
        name, slash, rest = text[1:].partition("/")
        match name:
            case "":
                home = self._state.value("HOME")[-1]
            case "+":
                home = self._state.cwd[-1]
            case "-":
                home = self._state.previous[-1]
            case _:
                home = "/home/" + name if (slash and re.fullmatch(r"[\w.-]+", name)) or name == "root" else "~" + name
        return home + slash + rest


def _expands(text: str) -> bool:
    return "{" in text or text.startswith("~") or not text
