"""
Functions that run or delete something, handed on or given what stands nowhere, in languages that are read without a grammar.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from orchestrd.policy.code.acts import Act
from orchestrd.policy.code.literals import Source, content, literals

_RUN = r"exec|system|shell_exec|passthru|popen|proc_open|eval|assert|create_function|pcntl_exec"
_CALLBACKS = re.compile(
    rf"""
    \b(?:array_(?:map|walk|walk_recursive|filter|reduce)|iterator_apply|u[ak]?sort|call_user_func(?:_array)?
    |forward_static_call(?:_array)?|register_shutdown_function|register_tick_function|ob_start
    |preg_replace_callback)\s*(?=\([^;]{{0,400}}?['"]\\?(unlink|rmdir|{_RUN})['"])
    """,
    re.VERBOSE,
)
"""PHP's functions that call the one whose name they are given."""
_METHOD = re.compile(r"\bmethod\(\s*:(delete|unlink|rm\w*|remove\w*|system|exec|spawn|eval|`)\s*\)")
"""Ruby's ``&File.method(:delete)``."""
_LISTED = re.compile(r"\bDir(?:\[|\.glob\()\s*(['\"])([^'\"]+)\1")
_PASSED = re.compile(
    r"""
    \.(?:then|map|forEach|reduce|some|every|find|filter|flatMap|apply|call|bind|on|once|pipe)\(\s*(?:[\w$]+\.)*
    (?:eval|Function|exec(?:File)?(?:Sync)?|spawn(?:Sync)?|unlink(?:Sync)?|rm(?:Sync)?|rmdirSync)\s*[,)]
    |(?<![=!<>\w$.])(?:=|\(\s*0\s*,|,)\s*(?:globalThis\.|window\.|global\.)?eval\s*(?=[;,)\n]|\Z)
    """,
    re.VERBOSE,
)
"""JavaScript's functions as arguments, and another name for ``eval``."""
_BARE = re.compile(
    r"""
    (?:^|[;{}()\n=&|!?]|\b(?:and|or|not|then|do|else|return|if|unless|while|until|begin|puts|print|p|say)(?=\s))[^\S\n]*
    (?:Kernel\.|CORE::)?(system|exec|spawn)[^\S\n]+
    (?!(?:if|unless|and|or|do|end|while|until|then|is|for|x|eq|ne|cmp)\b|[^\n;]{0,40}?(?<![=!<>])=(?![=~>]))
    ([$@%]?\{?[A-Za-z_]\w*)(?=([.(\[])?)
    """,
    re.VERBOSE,
)
"""``system gets``, ``exec @ARGV``: a call without parentheses of what is no literal; then what it is given, and what of that is asked."""
_INPUT = frozenset({"gets", "readline", "readlines", "shift", "pop"})
_OF_TOPIC = re.compile(r"\bunlink\s*(?=[;}]|\Z)")
"""Perl's ``unlink`` of whatever ``$_`` is."""


def handed_on(source: Source, language: str, variables: dict[str, str]) -> Iterator[Act]:
    """
    What is done by functions of *source*, a program in *language*, that are handed on or given what is no literal; *variables* have
    literals.
    """
    match language:
        case "php":
            yield from _by_name(source)
        case "ruby":
            yield from _by_method(source)
            yield from _bare(source, variables)
        case "perl":
            yield from _bare(source, variables)
            if any(not source.in_literal(match.start()) for match in _OF_TOPIC.finditer(source.text)):
                yield Act("delete", None)
        case "node" | "zx":
            for match in _PASSED.finditer(source.text):
                if not source.in_literal(match.start()):
                    yield Act("opaque", f"what `{match.group().strip()}` would be given is only known when it runs")
        case _:
            pass


def _by_name(source: Source) -> Iterator[Act]:
    for match in _CALLBACKS.finditer(source.text):
        if source.in_literal(match.start()):
            continue
        called = match.group(1)
        given = [content(one) for one in literals(source.arguments(match.end()))]
        given = [one for one in given if one.lstrip("\\") != called]
        if not given:
            yield Act("opaque", f"what {called} would be given is only known when it runs")
        for one in given:
            yield Act("delete" if called in {"unlink", "rmdir"} else "text", one)


def _by_method(source: Source) -> Iterator[Act]:
    for match in _METHOD.finditer(source.text):
        if source.in_literal(match.start()):
            continue
        listed = [path for _, path in _LISTED.findall(source.text)]
        if match.group(1) in {"system", "exec", "spawn", "eval", "`"} or not listed:
            yield Act("opaque", f"what {match.group(1)} would be given is only known when it runs")
        else:
            yield from (Act("delete", path) for path in listed)


def _bare(source: Source, variables: dict[str, str]) -> Iterator[Act]:
    for match in _BARE.finditer(source.text):
        if source.in_literal(match.start(1)):
            continue
        name = match.group(2)
        if name[0].islower() and name not in _INPUT and not match.group(3) and not _is_named(name, source.text):
            continue  # a word of a text
        known = variables.get(name.lstrip("$@%{"))
        yield (
            Act("opaque", f"what {match.group(1)} runs is only known when it runs")
            if known is None
            else Act("text", known)
        )


def _is_named(name: str, text: str) -> bool:
    """
    True when the program *text* gives *name* a value, or takes it for a parameter.
    """
    return bool(
        re.search(rf"\b{name}\s*=(?!=)|\|[^|\n]{{0,60}}\b{name}\b[^|\n]{{0,60}}\||\bdef\b[^\n]{{0,80}}\b{name}\b", text)
    )
