"""
A program's text in a language that is read without a grammar, made plainer: what it says by a detour it says straight on.
"""

from __future__ import annotations

import re

from orchestrd.policy.code.literals import Source, content, quoted

_COMMENTS = {
    "node": re.compile(r"(?<![:\w'\"])//[^\n]*|/\*.*?\*/", re.DOTALL),
    "ruby": re.compile(r"(?m)(?:^|\s)#(?!\{)[^\n]*"),
    "perl": re.compile(r"(?m)(?:^|\s)#[^\n]*"),
    "php": re.compile(r"(?m)(?<![:\w'\"])//[^\n]*|(?:^|\s)#[^\n]*|/\*.*?\*/", re.DOTALL),
}
_STRING = r"((?<!\\)\"(?:[^\"\\\n]|\\.)*\"|(?<!\\)'(?:[^'\\\n]|\\.)*')"
_CONCATENATED = re.compile(_STRING + r"\s*(?:\+|\.\.?|<>|\|\||~)\s*" + _STRING)
_VARIABLE = re.compile(r"(?:\b(?:const|let|var|my|local|val|our|def)\s+|(?<![\w.]))[$@]?(\w+)\s*(?::=|=)\s*" + _STRING)
"""A variable that is given a literal."""
_SELF = re.compile(
    r"(?<=[(\[,\s])(?:process\.(?:execPath|argv0|argv\[0\])|RbConfig\.ruby|\$\^X|PHP_BINARY|Deno\.execPath\(\))(?=\s*[,)\]])"
)
"""The interpreter itself, by its path."""
_CALLED_BY_VARIABLE = re.compile(r"\$(\w+)(?=\s*\()")
"""PHP's ``$f("src/a.php")``."""
_SENT = re.compile(
    r"""
    (?:\b(\w{1,40}(?:::\w{1,40}){0,5})\.)?\b(?:public_send|__send__|send)\s*\(?\s*:?["']?
    (system|exec|spawn|eval|unlink|delete|rm\w*|popen|rename|write)["']?\s*,\s*
    """,
    re.VERBOSE,
)
"""Ruby's ``Kernel.send(:system, "ls")``."""
_BY_NAME = re.compile(r"\[\s*['\"](\w+)['\"]\s*\](?=\s*\()")
"""``fs["unlink"](…)``"""
_HOME = re.compile(r"\b(?:os|require\(['\"](?:node:)?os['\"]\))\.homedir\(\)\s*\+\s*(['\"])")
_PATH = re.compile(
    r"""
    (?:require\(['\"](?:node:)?path['\"]\)|\bpath)\.(?:join|resolve)
    \(\s*((?:['\"][^'\"]*['\"]\s*(?:,\s*)?)+)\)
    """,
    re.VERBOSE,
)
_PARTS = re.compile(r"['\"]([^'\"]*)['\"]")
_VARIABLES_GO = re.compile(r"(?<![\w.$:])(?:base::)?(?:rm|remove)(?=\s*\()")
"""R's calls that only forget variables."""
_BLANKS = re.compile(r"\s{32,}")
"""So many mean no more than one does, and are dear to look through."""
_ROUNDS = 8
"""So often literals are put together that stand side by side."""


def simplified(text: str, language: str) -> str:
    """
    *text* in *language* without comments and long blanks, and with what is put together in it as one.
    """
    text = _one_literal(_BLANKS.sub(_one_blank, _without_comments(text, language)))
    text = _SELF.sub(quoted("node" if language == "zx" else language), text)
    match language:
        case "r":
            return _VARIABLES_GO.sub("forget", text)
        case "php":
            known = {name: said for name, said in variables(text).items() if said.isidentifier()}
            return _CALLED_BY_VARIABLE.sub(lambda match: known.get(match.group(1), match.group()), text)
        case "ruby":
            return _SENT.sub(
                lambda match: f"{match.group(1)}.{match.group(2)} " if match.group(1) else match.group(2) + " ", text
            )
        case _:
            return text


def variables(text: str) -> dict[str, str]:
    """
    The variables that are given a literal, with what it says.
    """
    return {name: content(literal) for name, literal in _VARIABLE.findall(text)}


def _without_comments(text: str, language: str) -> str:
    comment = _COMMENTS.get(language)
    if comment is None:
        return text
    source = Source(text)
    return comment.sub(lambda match: match.group() if source.in_literal(match.start() + 1) else " ", text)


def _one_blank(match: re.Match[str]) -> str:
    return "\n" if "\n" in match.group() else " "


def _one_literal(text: str) -> str:
    """
    *text* with literals put together, names in brackets as names, and paths as one literal.
    """
    for _ in range(_ROUNDS):
        joined = _CONCATENATED.sub(lambda match: quoted(content(match.group(1)) + content(match.group(2))), text)
        if joined == text:
            break
        text = joined
    text = _BY_NAME.sub(r".\1", text)
    text = _HOME.sub(r"\1~", text)
    return _PATH.sub(lambda match: quoted("/".join(_PARTS.findall(match.group(1)))), text)
