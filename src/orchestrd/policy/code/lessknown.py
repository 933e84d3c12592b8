"""
Languages of which only little is known: a command or a path that stands in a literal and is not merely printed.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from orchestrd.policy.code.acts import Act
from orchestrd.policy.code.literals import content, literals

_PRINTED = re.compile(
    r"""
    \b(?:print\w*|println!?|puts|cat|display|princ|message|say|echo|io\.write|IO\.puts|writeln|show|format|warn\w*
    |putStrLn|Console\.Write\w*)\b
    \s*[(\s]\s*(?:\"(?:[^\"\\]|\\.)*\"|'(?:[^'\\]|\\.)*')
    """,
    re.VERBOSE,
)
_COMMAND = re.compile(r"\s*(?:git|rm|psql|gh|alembic)\s+\S")
_ARGUMENTS = re.compile(
    r"[\"'](git|rm|psql|gh|hg|alembic)[\"'][\s,()\[\]{}.:a-z]*[\"']([^\"']+)[\"']",
)
_LABEL = r"(?:(?:atPath|at|path|file|dir|directory|url|fileURLWithPath|filePath)\s*:\s*)?"
_DELETES = re.compile(
    rf"""
    (?:\b|(?<=[.:/]))(?:\w{{0,60}}(?:delete|remove|unlink|rm_rf|rmtree|deldir|erase)[\w/-]{{0,60}}+|rm(?:Dir|File|dir))[!?]?
    \s*(?:\(|\s|\.)\s*(?:{_LABEL}[\w.:]*\(\s*){{0,10}}{_LABEL}[\"']([^\"']+)[\"']
    """,
    re.IGNORECASE | re.VERBOSE,
)
_DELETED = re.compile(r"[\"']([\w./~-]+)[\"']\s*\)?\s*\.\s*(?:delete\w*|remove\w*|deleteDir|unlink)\s*\(")
_VARIABLE = re.compile(r"getenv[\"'\s(]+([A-Z_]{3,})|(?:Sys\.getenv|get_env|env)\(\s*[\"'](\w+)")


def said_in(text: str) -> Iterator[Act]:
    """
    What *text*, a program in any language, would run, delete or show.
    """
    text = _PRINTED.sub(" ", text)
    for literal in map(content, literals(text)):
        if _COMMAND.match(literal):
            yield Act("text", literal)
    if match := _ARGUMENTS.search(text):
        yield Act("argv", [match.group(1), *match.group(2).split()])
    for path in _DELETES.findall(text):
        if "/" in path or "." in path or re.fullmatch(r"[\w-]+", path):
            yield Act("delete", path)
    for path in _DELETED.findall(text):
        yield Act("delete", path)
    for match in _VARIABLE.finditer(text):
        yield Act("variable", match.group(1) or match.group(2))
