"""
Calls of the tools of MCP servers, of which only their names and their arguments tell what they do.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any

from orchestrd.policy.code.sql import only_reads
from orchestrd.policy.inquiry import Inquiry
from orchestrd.policy.shell.invocation import Invocation
from orchestrd.policy.shell.marks import cleaned

_COMMANDS = frozenset({"command", "cmd", "script", "shell", "bash", "command_line", "commandline", "cmdline", "keys"})
_PROGRAMS: dict[str, str] = {
    "python": "python",
    "py": "python",
    "cell": "python",
    "javascript": "node",
    "js": "node",
}
"""Arguments that are a program → its language."""
_CODE = frozenset({"code", "source", "snippet"})
_LANGUAGES = (
    (re.compile(r"python|jupyter|ipython|notebook|pandas", re.IGNORECASE), "python"),
    (re.compile(r"node|javascript|_js|playwright|puppeteer|browser|evaluate", re.IGNORECASE), "node"),
)
"""What a tool's name says about the language of code that it is given."""
_PATHS = re.compile(
    r"(?:^|_)(?:path|paths|file|files|filename|filepath|directory|dir|folder|cwd|uri|source|destination|target)$",
    re.IGNORECASE,
)
_QUERIES = frozenset({"sql", "query", "statement", "q"})
_FORGES = re.compile(
    r"(?:^|_)(?:git|github|gitlab|bitbucket|gitea|forgejo|azure_?devops|jj|hg|svn)(?:_|$|-)", re.IGNORECASE
)
_DATABASES = re.compile(
    r"sql|postgres|mongo|redis|database|supabase|neon|(?:^|_)db(?:_|$)|prisma|dynamo|elastic", re.IGNORECASE
)
_CHANGES = re.compile(
    r"(?:^|_)(?:add|apply|close|commit|create|delete|drop|edit|fork|insert|merge|migrate|move|pull(?!_requests?)|push|rebase|remove|rename|reply|reset|"
    r"restore|revert|run|set|stage|submit|switch|checkout|tag|update|upload|upsert|write|execute|init|clone|stash|publish|deploy)(?:_|$)",
    re.IGNORECASE,
)
_DELETES = re.compile(r"(?:^|_)(?:delete|remove|unlink|rm|rmdir|trash|erase|purge)(?:_|$)", re.IGNORECASE)
_MOVES = re.compile(r"(?:^|_)(?:move|rename|mv)(?:_|$)", re.IGNORECASE)
_MAX_DEPTH = 6


def judge_server(inquiry: Inquiry, call: Invocation, tool: str, arguments: Mapping[str, Any]) -> None:
    """
    Object to a call of the *tool* ``mcp__SERVER__NAME`` where its name or its arguments say that it does what is forbidden.
    """
    _, _, rest = tool.partition("__")
    server, _, name = rest.partition("__")
    changes = bool(_CHANGES.search(name))
    stored = bool(_DATABASES.search(server) or _DATABASES.search(name))
    if changes and (_FORGES.search(server) or _FORGES.search(name)):
        inquiry.object("git", call, f"`{tool}` changes a repository")
    elif changes and _DATABASES.search(server) and not any(isinstance(arguments.get(key), str) for key in _QUERIES):
        inquiry.object("db", call, f"`{tool}` may change a database")
    for words in _argument_lists(arguments):
        inquiry.argv(call, words, stdin=None)
    paths = []
    for key, value in _strings(arguments):
        text = cleaned(value)
        if key in _COMMANDS:
            inquiry.text(text)
        elif key in _PROGRAMS or key in _CODE:
            _judge_code(inquiry, call, _PROGRAMS.get(key) or _language(tool), text)
        elif key in _QUERIES and stored:
            if not only_reads(value):
                inquiry.object("db", call, "its SQL changes a database, or cannot be seen to only read it")
        elif _PATHS.search(key) and "://" not in value.removeprefix("file://"):
            paths.append(text.removeprefix("file://"))
    _judge_paths(inquiry, call, name, paths, changes=changes)


def _judge_paths(inquiry: Inquiry, call: Invocation, name: str, paths: list[str], *, changes: bool) -> None:
    if _DELETES.search(name):
        inquiry.argv(call, ("rm", "-rf", "--", *paths), stdin=None)
    elif _MOVES.search(name) and len(paths) > 1:
        inquiry.argv(call, ("mv", "--", *paths), stdin=None)
    for path in paths:
        inquiry.use(path, call)
        inquiry.use(path, call, writes=changes)


def _judge_code(inquiry: Inquiry, call: Invocation, language: str, text: str) -> None:
    if language:
        inquiry.code(call, language, text)
    else:
        inquiry.text(text)


def _language(tool: str) -> str:
    return next((language for pattern, language in _LANGUAGES if pattern.search(tool)), "")


def _argument_lists(value: Any, depth: int = 0) -> Iterator[tuple[str, ...]]:
    """
    Programs with their arguments beside them: ``{"command": "git", "args": ["push"]}``.
    """
    if isinstance(value, Mapping) and depth < _MAX_DEPTH:
        program = next((value[key] for key in ("command", "cmd", "program", "executable") if key in value), None)
        words = next((value[key] for key in ("args", "argv", "arguments") if key in value), None)
        if isinstance(program, str) and isinstance(words, list) and all(isinstance(word, str) for word in words):
            yield tuple(map(cleaned, (program, *words)))
        for inner in value.values():
            yield from _argument_lists(inner, depth + 1)
    elif isinstance(value, list) and depth < _MAX_DEPTH:
        for inner in value:
            yield from _argument_lists(inner, depth + 1)


def _strings(value: Any, key: str = "", depth: int = 0) -> Iterator[tuple[str, str]]:
    """
    Every text in *value*, with the name of the argument that it stands in.
    """
    if isinstance(value, str):
        yield key, value
    elif isinstance(value, Mapping) and depth < _MAX_DEPTH:
        for name, inner in value.items():
            yield from _strings(inner, str(name), depth + 1)
    elif isinstance(value, list) and depth < _MAX_DEPTH:
        for inner in value:
            yield from _strings(inner, key, depth + 1)
