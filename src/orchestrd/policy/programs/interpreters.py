"""
Interpreters: what the programs do that they are given by an option, on their input, or by a file.
"""

from __future__ import annotations

import re

from orchestrd.policy.inquiry import Handler, Inquiry
from orchestrd.policy.programs import options as o
from orchestrd.policy.programs.awk import run_awk
from orchestrd.policy.programs.deeds import judge_code
from orchestrd.policy.programs.modules import run_module
from orchestrd.policy.programs.scripts import run_file
from orchestrd.policy.programs.tcl import run_tcl
from orchestrd.policy.shell.invocation import Invocation
from orchestrd.policy.shell.marks import HOLE, is_printed, only_holes

_LANGUAGES: dict[str, tuple[str, frozenset[str], frozenset[str]]] = {
    # program -> its language, options whose value is a program, other options that take a value
    **o.each(
        """
        python python2 python3 pypy pypy3 ipython ipython3 bpython micropython pythonw jython
        """,
        ("python", o.words("-c"), o.words("-W -X -Q --check-hash-based-pycs")),
    ),
    **o.each(
        "node nodejs bun tsx ts-node esno jiti deno iojs qjs babel-node swc-node",
        (
            "node",
            o.words("-e --eval -p --print -pe"),
            o.words("""
                -r --require --import --loader --experimental-loader -C --conditions --env-file --input-type
                --max-old-space-size -P --project
            """),
        ),
    ),
    "zx": ("zx", o.words("-e --eval"), frozenset()),
    **o.each("ruby jruby truffleruby irb macruby", ("ruby", o.words("-e"), o.words("-r -I -C -K -E"))),
    "perl": ("perl", o.words("-e -E"), o.words("-M -m -I -D")),
    **o.each("php php-cgi php7 php8", ("php", o.words("-r --run -B -R -E"), o.words("-d -c -S -t -z"))),
    **o.each("lua luajit lua5.1 lua5.3 lua5.4 texlua luau", ("lua", o.words("-e"), o.words("-l"))),
    **o.each("Rscript R r littler", ("r", o.words("-e --eval"), o.words("--args"))),
    **o.each(
        """
        elixir iex
        """,
        ("elixir", o.words("-e --eval --rpc-eval"), o.words("-r -S -pa --name --sname --cookie")),
    ),
    "erl": ("erlang", o.words("-eval"), o.words("-s -run")),
    **o.each("tclsh wish expect jimsh", ("tcl", o.words("-c"), o.words("-f"))),
    "julia": ("julia", o.words("-e -E --eval --print"), o.words("-L -p -t --project")),
    **o.each(
        """
        guile racket sbcl clisp emacs clojure clj bb janet gsi chez scheme fennel hy ecl emacsclient
        """,
        ("lisp", o.words("-c -e --eval -eval -x"), o.words("-l --load -L")),
    ),
    **o.each("ghc runghc runhaskell stack-ghc", ("haskell", o.words("-e"), frozenset())),
    **o.each(
        """
        scala scala-cli groovy kotlin kotlinc jshell amm
        """,
        ("jvm", o.words("-e --execute"), o.words("-cp -classpath -J")),
    ),
    **o.each(
        """
        swift dart nim crystal ocaml raku rakudo gjs osascript d8 pwsh-e octave gnuplot maxima gp sage io factor
        gforth mruby rhino coffee lsc rlwrap-e vlang v
        """,
        ("other", o.words("-e --eval -c eval --exec"), frozenset()),
    ),
    **o.each(
        """
        awk gawk mawk nawk goawk
        """,
        ("awk", o.words("-e --source"), o.words("-F -v -f -i -l --file --assign --field-separator -W -E")),
    ),
}
_DEFAULT_READS = o.words("awk gawk mawk nawk goawk")
_INLINE_FIRST = _DEFAULT_READS
_PERL_IN_PLACE = re.compile(r"-\w*i")
_SUBCOMMANDS = {
    "deno": o.words("run eval test task fmt lint check bench compile repl cache doc info install add upgrade"),
    "bun": o.words("run test install add i build x create remove update pm upgrade link init"),
}
_FIRST = o.words("swift dart nim crystal julia elixir stack")


def interpret(inquiry: Inquiry, call: Invocation) -> str | None:
    """
    Judge an interpreter's program, as far as it is given.
    """
    language, inline, valued = _language(call.program)
    argv = call.argv[1:]
    if argv and argv[0] in _SUBCOMMANDS.get(call.program, ()):
        if call.program == "deno" and argv[0] == "eval":
            return judge_code(inquiry, call, language, " ".join(o.plain(argv[1:], {"--ext"})))
        if call.program == "deno" and argv[0] == "run":
            argv = tuple(word for word in argv[1:] if not word.startswith("-"))
            call_argv = (call.program, *argv)
            return run_file(inquiry, call, language, call_argv, 1)
        return None
    if set(argv[:1]) & {"--version", "-V", "-v", "--help", "-h"}:
        return HOLE
    if _only_checks(call.program, language, argv):
        return ""
    texts, position, module = _inline(call.argv, inline, valued, language)
    for value in o.options(argv, "-r", "--require", "-M", "-m"):
        if language == "node" and "dotenv" in value:
            if texts and "process.env" in texts[0]:
                inquiry.found.append(_secret(inquiry, call))
    if language == "php":
        for folder in o.options(argv, "-t", "--docroot"):
            inquiry.use(folder, call)
    if language == "tcl":
        return run_tcl(inquiry, call, texts, position)
    if language == "awk":
        return run_awk(inquiry, call, texts)
    if module is not None:
        return run_module(inquiry, call, module, call.argv[position:])
    if texts:
        judge_code(inquiry, call, language, "\n".join(texts))
        if language in {"perl", "ruby"}:
            _lines(inquiry, call, position)
        return HOLE
    if position < len(call.argv) and call.argv[position] != "-":
        return run_file(inquiry, call, language, call.argv, position)
    if call.stdin is None:
        return HOLE
    if only_holes(call.stdin) or (is_printed(call.stdin) and len(call.stdin) < 60):
        inquiry.object("exec-unknown", call, "an interpreter would run what another program prints")
        return HOLE
    return judge_code(inquiry, call, language, call.stdin)


def _only_checks(program: str, language: str, argv: tuple[str, ...]) -> bool:
    """
    True when a program is only checked, not run.
    """
    return (
        (language == "php" and o.has_flag(argv[:2], "l", "--syntax-check"))
        or (language in {"ruby", "perl"} and any(re.fullmatch(r"-w?c", word) for word in argv[:2]))
        or (language == "node" and set(argv[:2]) & {"--check", "-c"} and program in {"node", "nodejs"})
    )


def _secret(inquiry: Inquiry, call: Invocation):  # noqa: ANN202
    inquiry.object("secret", call, "the environment's secrets would be shown")
    return inquiry.found.pop()


def _language(program: str) -> tuple[str, frozenset[str], frozenset[str]]:
    return _LANGUAGES.get(program) or _LANGUAGES[re.sub(r"[\d.]+$", "", program)]


def _inline(
    argv: tuple[str, ...], inline: frozenset[str], valued: frozenset[str], language: str
) -> tuple[list[str], int, str | None]:
    """
    The programs that options give, the place of the first other word, and Python's ``-m`` module.
    """
    texts: list[str] = []
    at = 1
    while at < len(argv):
        word = argv[at]
        if word == "--":
            at += 1
            break
        if not word.startswith("-") or word == "-":
            if word == "eval" and "eval" in inline:
                texts += argv[at + 1 : at + 2]
                return texts, at + 2, None
            break
        if language == "python" and not word.startswith("--"):
            for place, letter in enumerate(word[1:], 1):
                if letter in "cm":
                    value = word[place + 1 :] or (argv[at + 1] if at + 1 < len(argv) else "")
                    after = at + (1 if word[place + 1 :] else 2)
                    return ([value], after, None) if letter == "c" else ([], after, value)
                if letter in "WX":
                    break
            at += 2 if word in valued else 1
            continue
        name, sign, value = word.partition("=")
        if name in inline:
            texts += [value] if sign and word.startswith("--") else argv[at + 1 : at + 2]
            at += 1 if sign and word.startswith("--") else 2
            if language not in o.words("ruby perl node zx lua r julia awk"):
                return texts, at, None
        elif word in valued:
            at += 2
        elif (
            not word.startswith("--")
            and len(word) > 2
            and any("-" + letter in inline for letter in word[1:])
            and language in o.words("perl ruby node php lua r julia")
        ):
            letter = next(one for one in word[1:] if "-" + one in inline)
            rest = (
                word[word.index(letter, 1) + 1 :]
                if language not in {"perl", "node"} or not word.endswith(letter)
                else ""
            )
            if (
                word[1] in "MmIirC"
                and language in {"perl", "ruby"}
                and word[1] != letter
                and not (word[1] == "i" or (language == "perl" and word[1] in "n"))
            ):
                at += 1
                continue
            texts += [rest] if rest and language in {"php", "lua", "ruby"} else argv[at + 1 : at + 2]
            at += 1 if rest and language in {"php", "lua", "ruby"} else 2
        else:
            at += 1
    return texts, at, None


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
        if not in_place:
            continue


HANDLERS: dict[str, Handler] = dict.fromkeys(_LANGUAGES, interpret)
