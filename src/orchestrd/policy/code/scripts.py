"""
Programs in other languages given as text: what their string literals say, next to the calls that run, delete or write.

No grammar for each language: literals are told from code, and calls are known by name.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import cached_property
from typing import NamedTuple

from orchestrd.policy.code import scriptcalls as known
from orchestrd.policy.code.acts import Act, Kind
from orchestrd.policy.code.connections import opened_by
from orchestrd.policy.code.handedon import handed_on
from orchestrd.policy.code.lessknown import said_in
from orchestrd.policy.code.literals import Source, content, literals
from orchestrd.policy.code.loops import stands_for
from orchestrd.policy.code.simplified import simplified, variables
from orchestrd.policy.code.sql import changes
from orchestrd.policy.shell.escapes import unescaped
from orchestrd.policy.tables import words

_BACKTICKS = frozenset({"ruby", "perl", "php", "zx"})
"""Languages in which a text in backticks is run."""
_LESS_KNOWN = words("lisp other r haskell jvm julia elixir erlang lua")
_RUNS_WHATEVER = words("""
    execSync exec system shell_exec passthru popen spawn spawnSync execFile execFileSync
    Command
""")
"""Of these it counts when what they run is not known."""
_LUA_RUNS = frozenset({"os.execute", "io.popen", "popen"})
_LEADING = re.compile(r"\(?\s*(?:await\s+)?[$@]?([A-Za-z_$][\w$]*)\s*(?=([,);]|\Z)|[.(\[])")
"""What a call is given first, where that is a name, or begins with one that is asked for something."""
_ASKED = re.compile(
    r"""
    \b(?:read\w*|gets|fgets|file_get_contents|stream_get_contents|getline|STDIN|stdin|argv|ARGV|args?\[|getenv
    |prompt|atob|base64_decode|decode\w*|env\b|ENV\b)|php://
    """,
    re.VERBOSE,
)
"""What comes from elsewhere when the program runs."""
_ORDINARY = words("run call output doit pipeline ` match")
"""Names that methods of JavaScript's own have too."""
_METHODS = words("remove delete open load require config import file move del touch glob rename")
_LOADING = frozenset({"require", "import", "load", "config", "include"})
_OPENING = frozenset({"open", "fopen", "new", "openSync", "createWriteStream"})
_COPYING = words("copyFileSync copyFile cpSync cp cp_r symlinkSync symlink")
_FILES: tuple[tuple[re.Pattern[str], Kind], ...] = (
    (known.REQUIRED, "delete"),
    (known.DELETES, "delete"),
    (known.MOVES, "move"),
    (known.WRITES, "write"),
    (known.READS, "read"),
)
_MODE = re.compile(r"[rwaxb+]{1,3}|[+]?[<>]{1,2}\S*")
_MODE_BEFORE = re.compile(r"\s*(\+?[<>]{1,2})\s*(\S.*)")
_MODE_ALONE = re.compile(r"\+?[<>]{1,2}(?::\S+)?")
_MAX = 60_000
_MAX_NAMES = 6
_MAX_CALLS = 400
"""So many calls are followed, and more of what is given to one counts as more of them."""


def acts(text: str, language: str) -> list[Act]:
    """
    What the program *text* in *language* (node, ruby, perl, php, lua …) would do, as far as its literals say.
    """
    found = list(_Program(text[:_MAX], language).acts())
    if len(text) > _MAX:
        found.append(Act("opaque", "it is too long to follow"))
    return found


class _Call(NamedTuple):
    name: str
    literals: list[str]
    is_known: bool
    """True when nothing but literals is among the arguments."""
    is_foreign: bool
    """True when what comes first is from elsewhere: from a file, the input, the arguments."""
    leading: str
    """The name that comes first, where it stands alone and no literal is known for it."""


class _Program:
    def __init__(self, text: str, language: str) -> None:
        self._language = language
        self._text = simplified(text, language)
        self._source = Source(self._text)
        self._variables = variables(self._text)
        self._calls = 0
        self._stood: dict[str, list[str] | None] = {}

    def acts(self) -> Iterator[Act]:
        """
        Everything that matters to a rule.
        """
        for match in known.WRITES_CONTENT.finditer(self._text):
            yield Act("content", [content(match.group(1)), content(match.group(2))])
        for match in self._in_code(known.RUNS):
            if "(" in self._text[match.start() : match.start(1)]:  # `Deno.Command("git").output()`
                for inner in known.RUNS.finditer(self._text, match.start(), match.start(1)):
                    yield from self._runs(self._call(inner))
            yield from self._runs(self._call(match))
        for match in self._in_code(known.REQUIRED_RUNS):
            yield from self._runs(self._call(match))
        if self._language in {"ruby", "perl"}:
            for found in known.LISTS.findall(self._text):
                yield from (Act("look", path) for path in found if path)
        for path in known.DELETES_PATH.findall(self._text):
            yield Act("delete", path)
        if self._language in _LESS_KNOWN:
            yield from said_in(self._text)
        if self._language in _BACKTICKS:
            for literal in literals(self._text):
                if literal[0] == "`" or literal.startswith(("%x", "qx")):
                    yield Act("text", content(literal))
        for pattern, kind in _FILES:
            for match in self._in_code(pattern):
                yield from self._uses(match, kind)
        yield from handed_on(self._source, self._language, self._variables)
        yield from self._evaluates()
        yield from self._shows()
        yield from self._is_hostile()
        for match in known.NAMES_PLACE.finditer(self._text):
            if match.group(1).rsplit(".", 1)[-1] not in known.TALKS:
                yield Act("look", match.group(2))
        yield from self._changes_repository()
        yield from self._changes_database()
        if self._calls > _MAX_CALLS:
            yield Act("opaque", "it calls too much to follow")

    # -- calls -------------------------------------------------------------------------------------------------------

    def _in_code(self, pattern: re.Pattern[str]) -> Iterator[re.Match[str]]:
        """
        Where *pattern* matches outside of string literals.
        """
        for match in pattern.finditer(self._text):
            if self._calls > _MAX_CALLS:
                return
            if not self._source.in_literal(match.start()):
                self._calls += 1
                yield match

    def _call(self, match: re.Match[str]) -> _Call:
        """
        The literals that the call which *match* names is given, or what its variables hold.
        """
        inside = self._source.arguments(match.end())
        given = [content(one) for one in literals(inside)]
        self._calls += len(inside) // 80 + len(given) // 10
        foreign = False
        alone = ""
        if leading := _LEADING.match(inside):
            known_by_name = self._variables.get(leading.group(1)) if leading.group(2) is not None else None
            if known_by_name is not None and given:
                given = [known_by_name, *given]
            alone = leading.group(1) if leading.group(2) is not None and known_by_name is None else ""
            foreign = known_by_name is None and _ASKED.search(inside) is not None
        if not given:
            names = re.findall(r"[$@]?(\w+)", inside)
            given = [self._variables[name] for name in names[:3] if name in self._variables]
        name = match.group(1) if match.lastindex else match.group()
        return _Call((name or "").strip(), given, not re.search(r"[\w$]", inside), foreign, alone)

    def _runs(self, call: _Call) -> Iterator[Act]:
        name = call.name.rsplit(".", 1)[-1]
        counts = (name in _RUNS_WHATEVER and self._language != "lua") or call.name in _LUA_RUNS
        if name == "exec" and self._language == "node" and not known.LOADS_RUNNER.search(self._text):
            counts = False  # a regular expression's
        if counts and call.leading and self._language in {"node", "zx"} and (stood := self._stands_for(call.leading)):
            parts = call.literals if name.startswith(("spawn", "execFile")) else []
            yield from (Act("argv", [one, *parts]) if parts else Act("text", one) for one in stood)
        elif counts and not call.is_known and (call.is_foreign or not call.literals):
            yield Act("opaque", f"what {name} runs is only known when it runs")
        elif not call.literals or (
            len(call.literals) == 1 and self._language == "node" and (name in _ORDINARY or self._is_sql(name, call))
        ):
            pass
        elif len(call.literals) == 1 or " " in call.literals[0].strip():
            yield Act("text", call.literals[0])
        else:
            yield Act("argv", call.literals)

    def _stands_for(self, name: str) -> list[str] | None:
        """
        What the variable *name* may be; it is looked for a few of them only.
        """
        if name not in self._stood and len(self._stood) < _MAX_NAMES:
            self._stood[name] = stands_for(self._source, name)
        return self._stood.get(name)

    def _is_sql(self, name: str, call: _Call) -> bool:
        """
        True when ``exec`` is that of a database, and not of a shell.
        """
        return (
            name == "exec"
            and "child_process" not in self._text
            and changes(call.literals[0])
            and known.DATABASE_MODULES.search(self._text) is not None
        )

    def _uses(self, match: re.Match[str], kind: Kind) -> Iterator[Act]:
        """
        Files that a call deletes, moves, writes or reads.
        """
        call = self._call(match)
        name = match.group().strip().rsplit(".", 1)[-1].rstrip("(")
        before = self._text[max(0, match.start() - 2) : match.start()]
        if before.endswith("->") or (before.endswith(".") and name in _METHODS):
            return
        given = call.literals
        if kind == "delete":
            yield from [Act("delete", one) for one in given] or [Act("delete", None)]
        elif kind == "move":
            if len(given) > 1:
                yield Act("move", given[:2])
        elif name in _OPENING:
            yield from _opened(name, kind, given)
        elif kind == "write" and name in _COPYING:
            if len(given) > 1 and "link" in name:
                yield Act("argv", ["ln", given[0], given[1]])
            elif len(given) > 1:
                yield Act("read", given[0])
                yield Act("write", given[1])
        elif given and (kind == "write" or name not in _LOADING or "/" in given[0] or given[0].startswith(".")):
            yield Act(kind, given[0])

    # -- everything else ---------------------------------------------------------------------------------------------

    def _evaluates(self) -> Iterator[Act]:
        for match in self._in_code(known.DYNAMIC):
            called, given = match.group().lstrip(), match.group(1) or ""
            if not given.strip() or called.startswith("do"):
                continue
            loads_block = called.startswith("load") and re.match(r"[\w\s.$]*[\[{]", given)
            if known.DECODES.search(given) or not loads_block:
                yield Act("opaque", "what it evaluates is only known when it runs")

    def _shows(self) -> Iterator[Act]:
        for name in known.ONE_VARIABLE.findall(self._text):
            yield Act("variable", name)
        whole = re.fullmatch(r"\s*process\.env\s*;?\s*", self._text) or known.SHOWS_VARIABLES.search(self._text)
        # Where the environment is mentioned beside its names, a value may be shown by its name.
        text = known.VARIABLE_NAMES.sub("", self._text)
        if whole or (known.ENVIRONMENT.search(text) and known.PRINTS_ENVIRONMENT.search(self._text)):
            yield Act("variable", "*")

    def _is_hostile(self) -> Iterator[Act]:
        text = self._text
        if known.NETWORK.search(text) and (known.SHELLS.search(text) or known.PIPES.search(text)):
            yield Act("opaque", "a shell for whoever connects")
        for match in known.LOADS_FROM_FAR.finditer(text):
            if match.group().startswith(("include", "require", "source", "import", "load", "eval")):
                yield Act("opaque", f"what `{match.group(1)[:40]}` holds is only known when it runs")
        if known.KILLS_PARENT.search(text):
            yield Act("opaque", "its parent process would be ended")
        if self._language in {"node", "zx"}:
            for match in self._in_code(known.HANDED_ON):
                yield Act("opaque", f"what `{match.group().strip()}` would be given is only known when it runs")
            if next(self._in_code(known.KILLS_ANOTHER), None) is not None:
                yield Act("opaque", "a process that is not its own would be ended")
        if self._language == "perl" and next(self._in_code(known.INDIRECT), None) is not None:
            yield Act("opaque", "which program it runs is only known when it runs")
        if known.FORKS_FOREVER.search(text):
            yield Act("opaque", "it would start itself again and again")
        if operated := known.SHELL_OPERATOR.search(text):
            yield Act("text", operated.group(1))
        for match in known.WORKER.finditer(text):
            yield from acts(unescaped(match.group(2)), self._language)

    def _changes_repository(self) -> Iterator[Act]:
        library = known.REPOSITORY.search(self._text)
        change = known.REPOSITORY_CHANGES.search(self._text[library.start() :]) if library else None
        if change:
            yield Act("git", change.group(1))

    def _changes_database(self) -> Iterator[Act]:
        for match in self._in_code(known.STRONG_DROPS):
            yield Act("db", match.group())
        if not known.DATABASE_MODULES.search(self._text):
            return
        for match in known.DATABASE_DROPS.finditer(self._text):
            if ":" in match.group() or not self._source.in_literal(match.start()):
                yield Act("db", match.group())
        for match in self._in_code(known.DATABASE_CALLS):
            for literal in self._call(match).literals[:1]:
                if self._opened is None:
                    yield Act("sql", literal)
                elif self._opened:
                    yield Act("within", [self._opened, Act("sql", literal)])

    @cached_property
    def _opened(self) -> list[str] | None:
        """
        The files of the databases that are opened, where no other can be meant.
        """
        return opened_by(self._text) if self._language == "node" else None


def _opened(name: str, kind: Kind, given: list[str]) -> Iterator[Act]:
    """
    A file that is opened: for reading or writing by its mode, which Perl has before the path; and Perl's pipes.
    """
    mode = next((one for one in given[1:] if _MODE.fullmatch(one)), "")
    first = given[0] if given else ""
    bare = first.strip()
    if match := _MODE_BEFORE.match(first):
        mode, given = match.group(1), [match.group(2)]
    elif _MODE_ALONE.fullmatch(bare) and len(given) > 1:
        mode, given = bare, given[1:]
    elif bare in {"-|", "|-"}:
        if kind == "write":
            yield Act("argv", given[1:]) if len(given) > 2 else Act("text", "".join(given[1:]))
        return
    elif bare.startswith("|") or bare.endswith("|"):
        if kind == "write":
            yield Act("text", bare.strip("|"))
        return
    writes = bool(re.search(r"[wax+>]", mode)) or name == "createWriteStream"
    if given and writes == (kind == "write"):
        yield Act(kind, given[0])
