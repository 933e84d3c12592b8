"""
Interpreters: what the programs do that they are given by an option, on their input, or by a file.
"""

from __future__ import annotations

import re

from orchestrd.policy.code import python, scripts
from orchestrd.policy.code.acts import Act
from orchestrd.policy.code.sql import changes
from orchestrd.policy.inquiry import Handler, Inquiry
from orchestrd.policy.programs import options as o
from orchestrd.policy.programs.files import delete
from orchestrd.policy.programs.shells import judge_script_name
from orchestrd.policy.secrecy import is_secret, is_secret_variable
from orchestrd.policy.shell.invocation import Invocation
from orchestrd.policy.shell.marks import HOLE, holes, is_known, is_printed
from orchestrd.policy.shell.nodes import Unreadable

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
            return _script(inquiry, call, language, call_argv, 1)
        return None
    if set(argv[:1]) & {"--version", "-V", "-v", "--help", "-h"}:
        return HOLE
    if _only_checks(call.program, language, argv):
        return ""
    texts, position, module = _inline(call.argv, inline, valued, language)
    for value in o.options(argv, "-r", "--require", "-M", "-m"):
        if language == "node" and "dotenv" in value:
            inquiry.found.append(_secret(inquiry, call)) if texts and "process.env" in texts[0] else None
    if language == "php":
        for folder in o.options(argv, "-t", "--docroot"):
            inquiry.use(folder, call)
    if language == "tcl":
        return _tcl(inquiry, call, texts, position)
    if language == "awk":
        return _awk(inquiry, call, texts)
    if module is not None:
        return _module(inquiry, call, module, call.argv[position:])
    if texts:
        judge_code(inquiry, call, language, "\n".join(texts))
        if language in {"perl", "ruby"}:
            _lines(inquiry, call, position)
        return HOLE
    if position < len(call.argv) and call.argv[position] != "-":
        return _script(inquiry, call, language, call.argv, position)
    if call.stdin is not None:
        if is_printed(call.stdin) or not is_known(call.stdin):
            if re.sub("\ue000[^\ue001]*\ue001", "", call.stdin).strip() == "" or (
                is_printed(call.stdin) and len(call.stdin) < 60
            ):
                inquiry.object("exec-unknown", call, "an interpreter would run what another program prints")
                return HOLE
        return judge_code(inquiry, call, language, call.stdin)
    return HOLE


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


def judge_code(inquiry: Inquiry, call: Invocation, language: str, text: str) -> str:
    if is_printed(text) and re.sub("\ue000[^\ue001]*\ue001", "", text).strip() == "":
        inquiry.object("exec-unknown", call, "what it would run is only known when it runs")
        return HOLE
    found: list[Act] | None
    if language == "python":
        for match in re.finditer(r"(?m)^\s*!\s*(.+)$", text):
            inquiry.text(match.group(1))
        text = re.sub(r"(?m)^(\s*)[!%].*$", r"\1pass", text)
        found = python.acts(text)
        if found is None:
            found = python.acts(re.sub("\ue000[^\ue001]*\ue001", "0", text)) or scripts.acts(text, language)
    else:
        found = scripts.acts(text, language)
    for act in found:
        _follow(inquiry, call, act)
    return HOLE


def _follow(inquiry: Inquiry, call: Invocation, act: Act) -> None:
    what = act.what
    match act.kind:
        case "text" if isinstance(what, str):
            inquiry.text(what)
        case "argv" if isinstance(what, list) and what and isinstance(what[0], str):
            inquiry.argv(call, tuple(one if isinstance(one, str) else HOLE for one in what), stdin=None)
        case "text" | "argv":
            inquiry.object("exec-unknown", call, "the command that it runs is only known when it runs")
        case "python" if isinstance(what, str):
            judge_code(inquiry, call, "python", what)
        case "content" if isinstance(what, list):
            path, written = what
            if isinstance(path, str) and isinstance(written, str):
                inquiry.write(path, written)
        case "delete":
            delete(inquiry, call, what if isinstance(what, str) else HOLE)
        case "move" if isinstance(what, list):
            source, target = (one if isinstance(one, str) else HOLE for one in what[:2])
            inquiry.argv(call, ("mv", source, target), stdin=None)
        case "read" | "look" if isinstance(what, str):
            inquiry.use(what, call, only_looks=act.kind == "look")
        case "write" if isinstance(what, str):
            inquiry.use(what, call, writes=True)
        case "variable" if what == "*" or (isinstance(what, str) and is_secret_variable(what)):
            inquiry.object("secret", call, "the environment's secrets would be shown")
        case "agent":
            inquiry.object("exec-unknown", call, f"`{what}` is an agent of its own")
        case "sql" if what is None:
            inquiry.object("db", call, "the SQL that it runs is only known when it runs")
        case "sql" if isinstance(what, str) and changes(what):
            inquiry.object("db", call, "its SQL changes a database")
        case "db":
            inquiry.object("db", call, f"`{what}` changes a database")
        case "git":
            inquiry.object("git", call, f"`{what}` changes a repository")
        case "opaque":
            inquiry.object("exec-unknown", call, str(what))
        case _:
            pass


def _script(inquiry: Inquiry, call: Invocation, language: str, argv: tuple[str, ...], position: int) -> str | None:
    """
    A program in a file.
    """
    if position >= len(argv):
        return HOLE
    path = argv[position]
    if path in {"/dev/stdin", "/dev/fd/0"}:
        return judge_code(inquiry, call, language, call.stdin or HOLE)
    if not is_known(path) and "\ue000(" in path:
        if (
            is_printed(path)
            and path.startswith("\ue000")
            and not set(holes(path)) & o.words("(find) (ls) (git) (fd) (rg) (grep) (sort)")
        ):
            inquiry.object("exec-unknown", call, "which script it would run is only known when it runs")
        return HOLE
    if re.match(r"https?:|npm:|jsr:", path):
        inquiry.object("exec-unknown", call, f"`{path}` is only known when it runs")
        return HOLE
    inquiry.use(path, call)
    judge_script_name(inquiry, call, path)
    if path.endswith("manage.py"):
        return inquiry.argv(call, ("manage.py", *argv[position + 1 :]))
    name = path.rsplit("/", 1)[-1]
    if name == "umzug.js":
        return inquiry.argv(call, ("umzug.js", *argv[position + 1 :]))
    if name in o.words("""
        artisan spark yii console ace rails rake drush occ magento craft wp cake think phinx doctrine
    """) or (language == "ruby" and name in {"rails", "rake"}):
        return inquiry.argv(call, (path, *argv[position + 1 :]))
    content = inquiry.content(path)
    if is_known(content):
        ours = not inquiry.is_new(path)
        inquiry.trusted += ours
        try:
            return judge_code(inquiry, call, language, content)
        except Unreadable:
            if not ours:
                raise
        finally:
            inquiry.trusted -= ours
    elif inquiry.is_new(path):
        inquiry.object("exec-unknown", call, f"what `{path}` holds is only known when it runs")
        return HOLE
    elif (
        name
        in o.words("""
            alembic django-admin git prisma typeorm knex sequelize sequelize-cli drizzle-kit rimraf pip cli.js
            index.js
        """)
        or "node_modules/" in path
        or "/bin/" in path
    ):
        package = re.search(r"node_modules/(?:\.bin/)?((?:@[\w.-]+/)?[\w.-]+)", path)
        return inquiry.argv(call, (package.group(1).rsplit("/", 1)[-1] if package else name, *argv[position + 1 :]))
    return HOLE


_MODULES = {
    "alembic": "alembic",
    "django": "django-admin",
    "flask": "flask",
    "aerich": "aerich",
    "yoyo": "yoyo",
    "piccolo": "piccolo",
    "pip": "pip",
    "pytest": "pytest",
    "commitizen": "cz",
    "pre_commit": "pre-commit",
    "twine": "twine",
    "bumpversion": "bumpversion",
    "invoke": "invoke",
    "poetry": "poetry",
    "uv": "uv",
    "pipx": "pipx",
    "pipenv": "pipenv",
    "celery": "celery",
    "airflow": "airflow",
    "semantic_release": "semantic-release",
    "mkdocs": "mkdocs",
    "mike": "mike",
    "IPython": "ipython",
    "superset": "superset",
    "litestar": "litestar",
    "nox": "nox",
    "tox": "tox",
    "hatch": "hatch",
    "pdm": "pdm",
    "coverage": "coverage",
    "ghp_import": "ghp-import",
    "virtualenv": "virtualenv",
    "pgcli": "pgcli",
    "sqlite3": "sqlite3",
    "aider": "aider",
    "interpreter": "interpreter",
    "keyring": "keyring",
    "httpie": "http",
    "send2trash": "trash",
    "tarfile": "tarfile",
    "zipfile": "zipfile",
}


def _module(inquiry: Inquiry, call: Invocation, module: str, rest: tuple[str, ...]) -> str:
    """
    ``python -m MODULE``.
    """
    top = module.split(".", maxsplit=1)[0]
    if top in o.words("""
        coverage kernprof viztracer cProfile profile trace pdb scalene memray memory_profiler debugpy ddtrace
        pyinstrument line_profiler austin cprofile dotenv honcho
    """):
        words = [word for word in rest if not word.startswith("-")]
        if "-m" in rest:
            at = rest.index("-m")
            return _module(inquiry, call, rest[at + 1], rest[at + 2 :]) if at + 1 < len(rest) else HOLE
        for text in o.options(rest, "-c"):
            judge_code(inquiry, call, "python", text.lstrip("!"))
        scripts_ = [at for at, word in enumerate(words) if word.endswith(".py")]
        return _script(inquiry, call, "python", ("python", *words[scripts_[0] :]), 1) or HOLE if scripts_ else HOLE
    if module in o.words("""
        py_compile compileall ast tokenize pyclbr dis tabnanny symtable pydoc this site platform ensurepip
        calendar inspect
    """):
        return HOLE
    if module == "timeit":
        for text in [
            *o.options(rest, "-s", "--setup"),
            *o.plain(rest, o.words("-s -n -r -u --setup --number --repeat --unit")),
        ]:
            judge_code(inquiry, call, "python", text)
        return HOLE
    if top in {"pdb", "code", "doctest", "trace"}:
        for text in o.options(rest, "-c"):
            judge_code(inquiry, call, "python", text.lstrip("!"))
    if top == "tarfile" or top == "zipfile":
        for at, word in enumerate(rest):
            inquiry.use(word, call, writes=at > 1 and rest[0] == "-e") if not word.startswith("-") else None
        return HOLE
    if top == "http" or top == "json" or top == "base64":
        for word in o.plain(rest, o.words("-d --directory -b --bind")):
            inquiry.use(word, call) if "/" in word or is_secret(word) else None
        for path in o.options(rest, "-d", "--directory"):
            inquiry.use(path, call)
        return HOLE
    program = _MODULES.get(module, _MODULES.get(top))
    if program is not None:
        return inquiry.argv(call, (program, *rest))
    return inquiry.argv(call, (top.replace("_", "-"), *rest))


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


def _tcl(inquiry: Inquiry, call: Invocation, texts: list[str], position: int) -> str:
    """
    Tcl and Expect: ``exec``, ``spawn``, ``open |…``, ``file delete``.
    """
    if not texts and position < len(call.argv) and call.argv[position] != "-":
        path = call.argv[position]
        inquiry.use(path, call)
        content = inquiry.content(path)
        texts = [content] if is_known(content) else []
    elif not texts and call.stdin is not None:
        texts = [call.stdin]
    for text in texts:
        if not is_known(text) and not re.sub("\ue000[^\ue001]*\ue001", "", text).strip():
            inquiry.object("exec-unknown", call, "what it would run is only known when it runs")
            continue
        for match in re.finditer(
            r"(?:^|[;\n\[{])\s*(?:exec|spawn|system|open\s+\"?\|)\s+(?:-\w+\s+)*([^;\n\]}]+)", text
        ):
            inquiry.text(match.group(1).replace("{", "'").replace("}", "'").strip().rstrip('"'))
        for match in re.finditer(r"\bfile\s+(delete|rename|copy)\s+([^;\n\]]+)", text):
            words = [word for word in match.group(2).split() if not word.startswith("-")]
            inquiry.argv(call, ({"delete": "rm", "rename": "mv", "copy": "cp"}[match.group(1)], *words), stdin=None)
        for name in re.findall(r"\benv\((\w+)\)", text):
            if is_secret_variable(name):
                inquiry.object("secret", call, "the environment's secrets would be shown")
        for match in re.finditer(r"\bopen\s+([^\s|\]]+)(?:\s+(\w+\+?))?", text):
            inquiry.use(match.group(1).strip('"{}'), call, writes=bool(match.group(2)) and match.group(2) != "r")
    return HOLE


def _awk(inquiry: Inquiry, call: Invocation, texts: list[str]) -> str:
    argv = call.argv[1:]
    files = o.options(argv, "-f", "--file", "-E")
    words = o.plain(argv, o.words("-F -v -f -i -l -e --file --assign --field-separator --source -W -E"))
    if not texts and not files:
        texts, words = words[:1], words[1:]
    for path in files:
        inquiry.use(path, call)
        content = inquiry.content(path)
        texts = [*texts, content] if is_known(content) else texts
    for path in words:
        if not re.match(r"[A-Za-z_]\w*=", path):
            inquiry.use(path, call)
    for text in texts:
        if is_printed(text) and not re.sub("\ue000[^\ue001]*\ue001", "", text).strip():
            inquiry.object("exec-unknown", call, "what it would run is only known when it runs")
        _awk_program(inquiry, call, text)
    for name in re.findall(r"ENVIRON\[\"(\w+)\"\]", " ".join(texts)):
        if is_secret_variable(name):
            inquiry.object("secret", call, "the environment's secrets would be shown")
    if any(re.search(r"\bin\s+ENVIRON\b", text) for text in texts):
        inquiry.object("secret", call, "the environment's secrets would be shown")
    return HOLE


def _awk_program(inquiry: Inquiry, call: Invocation, text: str) -> None:
    literal = r"\"((?:[^\"\\\n]|\\.)*)\""
    for match in re.finditer(rf"system\s*\(\s*{literal}\s*(\))?", text):
        inquiry.text(match.group(1).replace('\\"', '"') + ("" if match.group(2) else " " + HOLE))
    if re.search(r"system\s*\(\s*[^\"\s)]", text):
        inquiry.object("exec-unknown", call, "the command that it runs is only known when it runs")
    for match in re.finditer(rf"(?:print|printf)\b([^|;}}\n]*)\|&?\s*{literal}", text):
        printed = " ".join(re.findall(literal, match.group(1)))
        inquiry.text(match.group(2).replace('\\"', '"'), stdin=printed or HOLE)
    for match in re.finditer(rf"{literal}\s*\|&?\s*getline", text):
        inquiry.text(match.group(1).replace('\\"', '"'))
    if re.search(
        r"(?<![|\w\"])\w+\s*\|&?\s*getline|\|\s*&?\s*[A-Za-z_]\w*\s*(?:[;}\n]|$)", re.sub(literal, '""', text)
    ) and not re.search(r"\|\|", text):
        inquiry.object("exec-unknown", call, "the command that it runs is only known when it runs")
    for match in re.finditer(rf"(?:print|printf)\b[^>;}}\n]*>>?\s*{literal}", text):
        inquiry.use(match.group(1), call, writes=True)
    for match in re.finditer(rf"getline[^<;}}]*<\s*{literal}", text):
        inquiry.use(match.group(1), call)


HANDLERS: dict[str, Handler] = dict.fromkeys(_LANGUAGES, interpret)
