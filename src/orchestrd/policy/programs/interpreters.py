"""
Interpreters: what the programs do that they are given by an option, on their input, or by a file.
"""

from __future__ import annotations

import re
from typing import NamedTuple

from orchestrd.policy.inquiry import Handler, Inquiry
from orchestrd.policy.programs import options as o
from orchestrd.policy.programs.awk import run_awk
from orchestrd.policy.programs.deeds import judge_code
from orchestrd.policy.programs.imports import follow_imports
from orchestrd.policy.programs.modules import run_module
from orchestrd.policy.programs.scripts import run_file
from orchestrd.policy.programs.tcl import run_tcl
from orchestrd.policy.shell.invocation import Invocation
from orchestrd.policy.shell.marks import HOLE, is_printed, only_holes


class _Language(NamedTuple):
    """
    *inline* options have a program for their value; so many others are *valued* too.
    """

    language: str
    inline: frozenset[str]
    valued: frozenset[str] = frozenset()


_LANGUAGES: dict[str, _Language] = {
    **o.each(
        "python python2 python3 pypy pypy3 ipython ipython3 bpython micropython pythonw jython",
        _Language("python", o.words("-c"), o.words("-W -X -Q --check-hash-based-pycs")),
    ),
    **o.each(
        "node nodejs bun tsx ts-node esno jiti deno iojs qjs babel-node swc-node",
        _Language(
            "node",
            o.words("-e --eval -p --print -pe"),
            o.words("""
                -r --require --import --loader --experimental-loader -C --conditions --env-file --input-type
                --max-old-space-size -P --project
            """),
        ),
    ),
    "zx": _Language("zx", o.words("-e --eval")),
    **o.each("ruby jruby truffleruby irb macruby", _Language("ruby", o.words("-e"), o.words("-r -I -C -K -E"))),
    "perl": _Language("perl", o.words("-e -E"), o.words("-M -m -I -D")),
    **o.each("php php-cgi php7 php8", _Language("php", o.words("-r --run -B -R -E"), o.words("-d -c -S -t -z"))),
    **o.each("lua luajit lua5.1 lua5.3 lua5.4 texlua luau", _Language("lua", o.words("-e"), o.words("-l"))),
    **o.each("Rscript R r littler", _Language("r", o.words("-e --eval"), o.words("--args"))),
    **o.each(
        "elixir iex",
        _Language("elixir", o.words("-e --eval --rpc-eval"), o.words("-r -S -pa --name --sname --cookie")),
    ),
    "erl": _Language("erlang", o.words("-eval"), o.words("-s -run")),
    **o.each("tclsh wish expect jimsh", _Language("tcl", o.words("-c"), o.words("-f"))),
    "julia": _Language("julia", o.words("-e -E --eval --print"), o.words("-L -p -t --project")),
    **o.each(
        "guile racket sbcl clisp emacs clojure clj bb janet gsi chez scheme fennel hy ecl emacsclient",
        _Language("lisp", o.words("-c -e --eval -eval -x"), o.words("-l --load -L")),
    ),
    **o.each("ghc runghc runhaskell stack-ghc", _Language("haskell", o.words("-e"))),
    **o.each(
        "scala scala-cli groovy kotlin kotlinc jshell amm",
        _Language("jvm", o.words("-e --execute"), o.words("-cp -classpath -J")),
    ),
    **o.each(
        """
        swift dart nim crystal ocaml raku rakudo gjs osascript d8 pwsh-e octave gnuplot maxima gp sage io factor
        gforth mruby rhino coffee lsc rlwrap-e vlang v
        """,
        _Language("other", o.words("-e --eval -c eval --exec --batch-string")),
    ),
    **o.each(
        "awk gawk mawk nawk goawk",
        _Language("awk", o.words("-e --source"), o.words("-F -v -f -i -l --file --assign --field-separator -W -E")),
    ),
}
_SUBCOMMANDS = {
    "deno": o.words("run eval test task fmt lint check bench compile repl cache doc info install add upgrade publish"),
    "bun": o.words("run test install add i build x create remove update pm upgrade link init publish"),
}
_SEVERAL = o.words("ruby perl node zx lua r julia awk")
"""Languages whose programs may be given by several options."""
_GROUPED = o.words("perl ruby node php lua r julia")
"""Languages whose options may stand in one word: ``perl -ne``."""
_GLUED = frozenset({"php", "lua", "ruby", "perl"})
"""Languages whose program may stand in one word with its option: ``ruby -e'puts 1'``."""
_ASKED_ABOUT = frozenset({"node", "perl", "php"})
"""Languages whose ``-v`` runs nothing."""
_NAMING = frozenset("MmIrC")
"""Perl's and Ruby's options that name a module or a folder in the same word."""
_VERSION = re.compile(r"[\d.]+$")


class _Given(NamedTuple):
    """
    What an interpreter is told: *texts* by options, the *place* of the first other word, Python's ``-m`` *module*.
    """

    texts: list[str]
    place: int
    module: str | None = None


def interpret(inquiry: Inquiry, call: Invocation) -> str | None:
    """
    Judge an interpreter's program, as far as it is given.
    """
    kind = _LANGUAGES.get(call.program) or _LANGUAGES[_VERSION.sub("", call.program)]
    language, argv = kind.language, call.argv[1:]
    if argv and argv[0] in _SUBCOMMANDS.get(call.program, ()):
        return _deno(inquiry, call) if call.program == "deno" else None
    if argv[:1] and argv[0] in {"--version", "--help"}:
        return HOLE
    if argv[:1] and argv[0] in {"-V", "-v", "-h"} and (len(argv) == 1 or language in _ASKED_ABOUT):
        return HOLE
    if _only_checks(call.program, language, argv):
        return ""
    if call.program == "emacs":
        _calls_function(inquiry, call)
    given = _python(call.argv, kind) if language == "python" else _given(call.argv, kind)
    if language == "tcl":
        return run_tcl(inquiry, call, given.texts, given.place)
    if language == "awk":
        return run_awk(inquiry, call, given.texts)
    if language == "ruby" and "-run" in argv and given.texts:
        return inquiry.argv(call, (given.texts[0], *[word for word in call.argv[given.place :] if word != "--"]))
    if language == "php" and "-i" in argv:
        inquiry.object("secret", call, "the whole environment would be shown")
        return HOLE
    if language == "php":
        for folder in o.options(argv, "-t", "--docroot"):
            inquiry.use(folder, call)
        for path in o.options(argv, "-d"):
            if path.startswith(("auto_prepend_file", "auto_append_file")):
                run_file(inquiry, call, "php", (path.partition("=")[2],))
    if given.module is not None:
        return run_module(inquiry, call, given.module, call.argv[given.place :])
    if given.texts:
        _judge_texts(inquiry, call, language, given)
        return HOLE
    if given.place < len(call.argv) and call.argv[given.place] != "-":
        return run_file(inquiry, call, language, call.argv[given.place :])
    if call.stdin is None:
        return HOLE
    if only_holes(call.stdin) or (is_printed(call.stdin) and len(call.stdin) < 60):
        inquiry.object("exec-unknown", call, "an interpreter would run what another program prints")
        return HOLE
    judge_code(inquiry, call, language, call.stdin)
    if language == "python":
        follow_imports(inquiry, call, call.stdin)
    return HOLE


def _judge_texts(inquiry: Inquiry, call: Invocation, language: str, given: _Given) -> None:
    if language == "node" and "process.env" in given.texts[0]:
        loaded = o.options(call.argv[1:], "-r", "--require", "-M", "-m")
        if any("dotenv" in module for module in loaded):
            inquiry.object("secret", call, "the environment's secrets would be shown")
    judge_code(inquiry, call, language, "\n".join(given.texts))
    if language == "python":
        follow_imports(inquiry, call, "\n".join(given.texts))
    if language in {"perl", "ruby"}:
        _lines(inquiry, call, given.place)


def _calls_function(inquiry: Inquiry, call: Invocation) -> None:
    """
    ``emacs -f FUNCTION``: it asks for its arguments, or takes the words that are left.
    """
    for name in o.options(call.argv[1:], "-f", "--funcall"):
        words = o.plain(call.argv[1:], o.words("-f --funcall -l --load -L --eval -u"))
        judge_code(inquiry, call, "lisp", " ".join([f"({name}", *(f'"{word}"' for word in words), ")"]))


def _deno(inquiry: Inquiry, call: Invocation) -> str | None:
    """
    ``deno eval CODE``, ``deno run FILE``; its other subcommands run nothing that is given to them.
    """
    rest = call.argv[2:]
    match call.argv[1]:
        case "eval":
            return judge_code(inquiry, call, "node", " ".join(o.plain(rest, {"--ext"})))
        case "run":
            return run_file(inquiry, call, "node", tuple(word for word in rest if not word.startswith("-")))
        case _:
            return None


def _only_checks(program: str, language: str, argv: tuple[str, ...]) -> bool:
    """
    True when a program is only checked, not run.
    """
    match language:
        case "php":
            return o.has_flag(argv[:2], "l", "--syntax-check")
        case "ruby" | "perl":
            return any(re.fullmatch(r"-w?c", word) for word in argv[:2])
        case "node":
            return program in {"node", "nodejs"} and not {"--check", "-c"}.isdisjoint(argv[:2])
        case _:
            return False


def _python(argv: tuple[str, ...], kind: _Language) -> _Given:
    """
    Python's options: ``-c`` and ``-m`` end them, and may stand in a group or with their value in one word.
    """
    at = 1
    while at < len(argv) and argv[at].startswith("-") and argv[at] not in {"-", "--"}:
        word = argv[at]
        for place, letter in enumerate(word[1:], 1):
            if word.startswith("--") or letter in "WX":
                break
            if letter in "cm":
                rest = word[place + 1 :]
                value = rest or "".join(argv[at + 1 : at + 2])
                after = at + 1 if rest else at + 2
                return _Given([value], after) if letter == "c" else _Given([], after, value)
        at += 2 if word in kind.valued else 1
    return _Given([], at + 1 if argv[at : at + 1] == ("--",) else at)


def _given(argv: tuple[str, ...], kind: _Language) -> _Given:
    texts: list[str] = []
    at = 1
    while at < len(argv):
        word = argv[at]
        if word == "--":
            return _Given(texts, at + 1)
        if not word.startswith("-") or word == "-":
            if word == "eval" and "eval" in kind.inline:
                return _Given([*texts, *argv[at + 1 : at + 2]], at + 2)
            break
        name, sign, value = word.partition(":" if word.startswith("--eval:") else "=")
        if name in kind.inline:
            joined = bool(sign) and word.startswith("--")
            texts += [value] if joined else argv[at + 1 : at + 2]
            at += 1 if joined else 2
            if kind.language not in _SEVERAL:
                break
        elif word in kind.valued:
            at += 2
        elif (letter := _inline_letter(word, kind)) and not _names(word, letter, kind.language):
            rest = word[word.index(letter, 1) + 1 :] if kind.language in _GLUED else ""
            texts += [rest] if rest else argv[at + 1 : at + 2]
            at += 1 if rest else 2
        else:
            at += 1
    return _Given(texts, at)


def _inline_letter(word: str, kind: _Language) -> str:
    """
    The letter in a group of short options whose value is a program.
    """
    if word.startswith("--") or len(word) == 2 or kind.language not in _GROUPED:
        return ""
    return next((letter for letter in word[1:] if "-" + letter in kind.inline), "")


def _names(word: str, letter: str, language: str) -> bool:
    """
    True when *word* is no group: it names a module or a folder that has *letter* in it.
    """
    return language in {"perl", "ruby"} and word[1] in _NAMING and word[1] != letter


def _lines(inquiry: Inquiry, call: Invocation, position: int) -> None:
    """
    Perl and Ruby with ``-n``, ``-p`` and ``-i`` go through files.
    """
    flags = [word for word in call.argv[1:position] if word.startswith("-") and not word.startswith("--")]
    if not any(re.match(r"-\w*[npi]", word) for word in flags):
        return
    in_place = any(re.match(r"-(?:[a-zA-Z0-9]*?)i", word) and word[1] not in "MmI" for word in flags)
    for path in o.plain(call.argv[position:]):
        inquiry.use(path, call, writes=in_place)


HANDLERS: dict[str, Handler] = dict.fromkeys(_LANGUAGES, interpret)
