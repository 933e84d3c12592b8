"""
The policy's shell beside the real one: the same fields from the same words, every script that bash reads, and of every
script each command that bash runs.  And whatever is thrown at it: a verdict.

Bash is started with nothing in its environment, and what it is given calls only a function that tells its arguments.
"""

from __future__ import annotations

import itertools
import re
import shutil
import subprocess
from collections.abc import Callable

import pytest
from hypothesis import Phase, example, given, settings
from hypothesis import strategies as st

from orchestrd.policy.engine import judge_command
from orchestrd.policy.inquiry import Inquiry
from orchestrd.policy.programs.registry import HANDLERS
from orchestrd.policy.scope import NoFiles
from orchestrd.policy.shell.expansion import Expansion
from orchestrd.policy.shell.invocation import Invocation
from orchestrd.policy.shell.marks import HOLE, cleaned
from orchestrd.policy.shell.nodes import Unreadable
from orchestrd.policy.shell.parser import parse
from orchestrd.policy.shell.state import State
from orchestrd.policy.shell.walk import MAX_STEPS
from orchestrd.policy.verdict import Verdict
from policyworld import SCOPE, TREE, corpus

BASH = shutil.which("bash") or ""
CLEAN = {"HOME": "/home/agent", "PATH": "", "LC_ALL": "C.UTF-8"}
# Of a batch, the message names the one at fault: making the others smaller would take minutes of starting bash.
FIND = (Phase.explicit, Phase.reuse, Phase.generate)
needs_bash = pytest.mark.skipif(not BASH, reason="there is no bash")

VARIABLES = {
    "A": "one",
    "B": "two words",
    "E": "",
    "S": "  lead  trail ",
    "W": "a*b?c",
    "X": "{1,2}",
    "Q": 'it\'s "q" \\n',
    "T": "~/t",
    "P": "src/app.test.ts",
    "I": "A",
    "J": "B",
}
ARRAYS = {"L": ("x", "y z", "w"), "M": ("only",), "O": (), "V": ("", "v w", "")}
POSITIONAL = ("p1", "p two", "", "p*")
NEXT = "and now the next:"
_HOLES = re.compile("\0?\ue000[^\ue001]*\ue001")


def quote(text: str) -> str:
    return "'" + text.replace("'", "'\\''") + "'"


def known() -> State:
    """
    The state of a shell in which the variables above are set.
    """
    state = State((TREE,), {name: (value,) for name, value in {**VARIABLES, **CLEAN, "IFS": " \t\n"}.items()})
    state.arrays = dict(ARRAYS)
    state.positional = POSITIONAL
    return state


SETUP = "\n".join(
    [
        *(f"{name}={quote(value)}" for name, value in VARIABLES.items()),
        *(f"{name}=({' '.join(map(quote, items))})" for name, items in ARRAYS.items()),
        f"set -f -- {' '.join(map(quote, POSITIONAL))}",
        'tell() { printf "%s\\0" "$#" "$@" >&9; }',
    ]
)


def told(setup: str, scripts: list[str]) -> list[list[list[str]]]:
    """
    With which arguments ``tell`` is called by each of *scripts*, run by bash one after another, each in a subshell.
    """
    # It is read until nobody writes any more: what stands in `>(…)` goes on when the script itself has ended.
    runs = [
        f"printf '{NEXT}\\0' >&9\nmapfile -d '' -t said < <(exec 9>&1 >/dev/null; eval {quote(script)})\n"
        "(( ${#said[@]} )) && printf '%s\\0' \"${said[@]}\" >&9"
        for script in scripts
    ]
    text = "\n".join([setup, *runs])
    result = subprocess.run(
        [BASH, "--norc", "--noprofile", "-c", "exec 9>&1 >/dev/null 2>&1 </dev/null\n" + text],
        env=CLEAN,
        cwd="/",
        stdin=subprocess.DEVNULL,
        capture_output=True,
        timeout=60,
        check=False,
    )
    found = []
    for printed in result.stdout.decode().split(NEXT + "\0")[1:]:
        items = iter(printed.split("\0")[:-1])
        found.append([list(itertools.islice(items, int(count))) for count in items])
    assert len(found) == len(scripts)
    return found


def same(ours: list[str], theirs: list[str]) -> bool:
    """
    True when *ours* and *theirs* are the same fields; a hole of ours may be any number of them.
    """
    pattern = ".*".join(re.escape(piece) for piece in _HOLES.split("".join("\0" + field for field in ours)))
    return re.fullmatch(pattern, "".join("\0" + field for field in theirs), re.DOTALL) is not None


# -- words -----------------------------------------------------------------------------------------------------------

pick = st.sampled_from


def texts(alphabet: str, size: int = 4) -> st.SearchStrategy[str]:
    return st.text(alphabet, max_size=size)


PLAIN = st.text("abc019._/-:=,@%^+", min_size=1, max_size=3)
PATTERN = pick(
    [
        "o",
        "*",
        "?",
        "o*",
        "*e",
        "[a-o]",
        "src/",
        "*/",
        ".ts",
        ".*",
        "*.",
        "w*s",
        "t",
        "[!o]",
        "[^o]",
        "l*d",
        "${A}",
        "$A",
        "'*'",
        "\\*",
        '"?"',
        "'a*'",
        '"$A"',
        "*'*'*",
        "[[:alpha:]]",
        "\\?c",
    ]
)
ARGUMENT = pick(
    [
        "",
        "d",
        "d e",
        "$A",
        "$B",
        "~",
        "$E",
        "${A:-x}",
        "$(echo i j)",
        '"d e"',
        "'d e'",
        "d\\ e",
        '"$B"',
        '""',
        "{",
        "a'b 'c",
    ]
)
QUOTED_ARGUMENT = pick(["", "d", "d e", "$A", "$B", "~", "it's", '\\"', "\\$", "$E", "${A:-x}", "$(echo i j)"])
NAME = pick("ABESWXQTP")
PLACES = pick(["0", "1", "2", " -2", "0:2", "1:3", "3:1", "9", "1:0", "0:-1"])


def parameter(argument: st.SearchStrategy[str]) -> st.SearchStrategy[str]:
    """
    An expansion of every kind, of variables whose values are known.
    """
    return st.one_of(
        st.builds("${}".format, NAME),
        st.builds("${{{}}}".format, NAME),
        st.builds("${{{}{}{}}}".format, NAME, pick(["#", "##", "%", "%%"]), PATTERN),
        st.builds(
            "${{{}{}{}/{}}}".format,
            NAME,
            pick(["/", "//", "/#", "/%"]),
            pick(["o", "?", "w*s", "t", "[a-o]", ".ts", "src"]),
            pick(["", "X", "$A", "a b"]),
        ),
        st.builds("${{{}:{}}}".format, pick("ABWXQTP"), PLACES),
        st.builds("${{{}{}}}".format, NAME, pick(["^", "^^", ",", ",,"])),
        st.builds("${{{}{}{}}}".format, pick("AEU"), pick([":-", "-", ":+", "+"]), argument),
        pick(
            [
                "${L[@]}",
                "${L[*]}",
                "${L[0]}",
                "${L[1]}",
                "${L[-1]}",
                "${M[@]}",
                "${L[@]:1}",
                "${L[@]:1:2}",
                "${L[*]:2}",
                "${L}",
                "${M}",
                "${O[@]}",
                "${O[*]}",
                "${V[@]}",
                "${V[*]}",
                "${V[@]:1}",
                "${L[@]%w}",
                "${L[@]/#?/g}",
                "${L[*]^^}",
                "${@#p}",
                "${*/p/q}",
                "${O[@]-d e}",
                "${O[@]+d}",
                "${V[@]:+d}",
                "${9-d}",
            ]
        ),
        pick(
            [
                "$@",
                "$*",
                "${@:2}",
                "${@:1:1}",
                "${*:2}",
                "$1",
                "$2",
                "${3}",
                "$#",
                "$?",
                "${!I}",
                "${!J}",
                "${#A}",
                "${#L[@]}",
                "$((1+2))",
            ]
        ),
    )


ANSI = st.lists(
    pick(
        [
            "a",
            "b c",
            "*",
            "{1,2}",
            "$A",
            '"',
            r"\n",
            r"\t",
            r"\\",
            r"\'",
            r"\"",
            r"\x41",
            r"\x7",
            r"\x4g",
            r"\101",
            r"\7",
            r"\1012",
            r"\u0041",
            r"\u41",
            r"\u00e9",
            r"\U0001F600",
            r"\e",
            r"\E",
            r"\a",
            r"\b",
            r"\f",
            r"\v",
            r"\r",
            r"\?",
            r"\cA",
            r"\c[",
            r"\q",
            r"\8",
            r"\x",
            r"\xg",
            r"\u",
            r"\$",
            r"\cz",
            r"\c?",
            r"\0",
            r"\x00",
        ]
    ),
    max_size=4,
).map(lambda pieces: "$'" + "".join(pieces) + "'")
SINGLE = texts('ab $`"\\*?{},~!;\n#').map("'{}'".format)
ESCAPED = pick("ab $`\"'\\*?{},~!;#&|()<>\n").map("\\{}".format)
DOUBLE = st.lists(
    pick(["a", "b c", "'", "*", "{1,2}", "~", "!", " ", "#", ";", "|", "&", "(", ")", "<", ">", "é", "'$A'"])
    | pick('$`"\\nax*\n').map("\\{}".format)
    | parameter(QUOTED_ARGUMENT),
    max_size=4,
).map(lambda pieces: '"' + "".join(pieces) + '"')
ITEM = pick(["a", "", "b\\ c", '"q r"', "'s,t'", "x.y", "z"])
BRACES = st.lists(ITEM, min_size=2, max_size=3).map(lambda items: "{" + ",".join(items) + "}") | pick(
    [
        "{1..3}",
        "{a..c}",
        "{3..1}",
        "{1..7..3}",
        "{c..a}",
        "{-1..1}",
        "{1..c}",
        "{a..e..2}",
        "{a",
        "{a}",
        "{a,",
        "{1..}",
        "{..3}",
        "{5..1..2}",
        "\\{a,b}",
        "{a\\,b}",
        "{a,{b,c}}",
        "{{a,b},c}",
        "{a,b{1..2}}",
        "{{a}",
        "{a},b}",
        "{a,b}}",
        "{{a,b}}",
        "{01..03}",
        "{1..03}",
        "{-01..1}",
        "{008..10}",
        "{a..{b,c}}",
    ]
)
BEFORE_BRACES = pick(["$A", "${A}", '"$A"', "$E", "$1", "$I"])
OTHER = pick(["*", "?", "[a]", "!", '"$@"', '"${L[@]}"', '"$*"', '$"x"', '{"a b",c}'])
PIECES = [PLAIN, SINGLE, DOUBLE, ESCAPED, ANSI, OTHER]
WORD = (
    st.lists(st.one_of(*PIECES, parameter(ARGUMENT)), min_size=1, max_size=4)
    | st.lists(st.one_of(PLAIN, SINGLE, ESCAPED, BRACES, BEFORE_BRACES), min_size=1, max_size=4)
).map("".join)
TILDE = pick(
    [
        "~",
        "~/",
        "~/x",
        '"~"',
        "\\~",
        '~"/x"',
        "~/'x y'",
        "~/{a,b}",
        "{~,~/x}",
        "a~",
        "a/~",
        "'~'/x",
        "${T}~",
        "a=~/x",
        "a=b:~",
        "a=b~",
    ]
)


@needs_bash
@settings(max_examples=20, derandomize=True, phases=FIND)
@given(st.lists(WORD | WORD | WORD | TILDE, min_size=20, max_size=40))
def test_words_become_the_fields_that_bash_makes_of_them(words):
    theirs = told(SETUP, [f"tell {word}" for word in words])

    for word, calls in zip(words, theirs, strict=True):
        if not calls:
            continue  # bash itself objects: a substring that ends before it begins
        (command,) = parse(f"tell {word}").commands
        found = Expansion(known(), lambda _: "i j\n", lambda _: HOLE).commands(command.words)
        assert any(same(one[1:], calls[0]) for one in found), (word, calls[0], found)


@needs_bash
def test_the_strategy_is_one_that_bash_understands():
    """
    Words to which bash objects prove nothing: there must be hardly any.
    """
    words: list[str] = []

    @settings(max_examples=300, derandomize=True, database=None)
    @given(WORD)
    def collect(word: str) -> None:
        words.append(word)

    collect()
    calls = told(SETUP, [f"tell {word}" for word in words])

    assert sum(not one for one in calls) <= len(words) * 0.03


# -- scripts ---------------------------------------------------------------------------------------------------------

# In a script, § is a word that stands nowhere else in it.
SCRIPT_WORD = pick(
    [
        "§",
        "§",
        "a",
        "b\\ c",
        "'q r'",
        '"s t"',
        '"$x"',
        "$x",
        '"$y"',
        "$y",
        "${x:-d}",
        '"${z[@]}"',
        "${z[1]}",
        "$1",
        '"$@"',
        '"${#x}"',
        "$'\\x41'",
        '"a\\"b"',
        "x\\\ny",
        "$((1+1))",
        '"$(echo hi)"',
        "$(echo u v)",
        "`echo w`",
        "-",
        "--",
        "h#",
        '"#"',
        "a=b",
        "[",
        "!",
        "{",
        "}",
        "if",
        "done",
        "~",
        "{m,n}",
    ]
)
WORDS = st.lists(SCRIPT_WORD, min_size=1, max_size=3).map(" ".join)
CALL = st.builds(
    "{} § {}".format, pick(["tell", "tell", "tell", "'tell'", '"te"ll', "\\tell", "te\\\nll", "tell \\\n"]), WORDS
)
VALUE = pick(
    ["§", "", "$y", '"$x"z', "'a b'", "$(echo hi)", "${x:-d}", '"$(echo hi there)"', "~/x", "a\\ b", "$'\\x41'"]
)
ASSIGNED = st.builds("{}{}{}".format, pick("xy"), pick(["=", "+="]), VALUE)
REDIRECTION = pick(
    [
        ">/dev/null",
        "2>&1",
        "</dev/null",
        "2>/dev/null",
        "&>/dev/null",
        ">>/dev/null",
        ">|/dev/null",
        "3>&1",
        "<<<w",
        '<<<"$x y"',
        "1>&2",
        "{fd}>/dev/null",
        "2>&-",
        "<&-",
        "3</dev/null",
        ">&2",
    ]
)
MAYBE = st.just("") | REDIRECTION.map(" {}".format)
SIMPLE = st.one_of(
    CALL,
    CALL,
    st.builds("{1} {0}".format, CALL, REDIRECTION),
    st.builds("{0} {1}".format, CALL, REDIRECTION),
    st.builds("{1} {0}".format, CALL, pick(["time", "!", "time -p", "! !", "time !"])),
    st.builds("x=§ {}".format, CALL),
    REDIRECTION.map("tell {} §".format),
    st.builds("x={}; tell § $x".format, VALUE),
)
BODY = pick(["body $x", 'text "$(tell §)"', "it's", "`tell §`", "\\$(tell no)", "E ", "a\\\nb", "${x:-$(tell §)}", ""])
DOCUMENT = st.builds(
    "tell § <<{0}{1}\n{2}{3}\n{2}E\n".format,
    pick(["E", '"E"', "'E'", "\\E", "E"]),
    pick(["", " | tell §", "; tell §", " && tell §", " # c", " >/dev/null"]),
    st.just(""),
    BODY,
) | pick(
    [
        "tell § <<A <<'B' && tell § <<-C\n$(tell §)\nA\n$(tell no)\nB\n\t`tell §`\n\tC\n",
        "tell § <<-E\n\ta\n\t$(tell §)\n\tE\n",
        "x=$(cat <<'E'\n) \"\nE\n); tell §\n".replace("cat", "echo"),
    ]
)
CONDITION = SIMPLE | pick(
    [
        '[[ -n "$x" && a == b* ]]',
        "[[ a =~ ^(a|b)+$ ]]",
        "(( 1 < 2 ))",
        "[ 1 = 1 ]",
        "true",
        "false",
        "[[ $(tell §) ]]",
        "(( $(tell §) + 1 ))",
        "[[ ( a < b || c > d ) && ! -f x ]]",
        "(( 1 << 2, (1) ))",
        "[[ 'a b' == 'a'\\ * ]]",
        '[[ a =~ a\\ b|"c)" ]]',
        "[[ a\n&& b ]]",
    ]
)
END = pick([";", "\n", " ; ", "\n\n", " # c;\n"])
SENTENCES = pick(
    [
        "eval 'tell §'", 'eval "tell § $x"', "eval tell § $y", '( set -- § b; tell § "$@" $# $* )',
        '( set -- a "b c" d; shift; tell § "$@" )', "export x=§ w; tell § $x", 'read -r r s <<< "1 2 3"; tell § "$r" "$s"',
        'while read -r r; do tell § "$r"; done <<< l', 'printf -v x "%s-%s" a b; tell § "$x"',
        'echo hi there | { read -r r; tell § "$r"; }', "x=$(echo hi); tell § $x", 'w[1]=§; tell § "${w[1]}"',
        "w=(§ 'b c'); tell § \"${w[@]}\"", "w+=(§); tell § ${w[0]}", "# it's \" ` $(\ntell §", ': "$(tell §)" ${q:=$(tell §)}',
        'tell § "$( case a in a) echo x;; esac )"', 'tell § "$( # c )\necho x)"', "c=tell; $c §", '"${t[@]}" §; t=(tell "a b"); "${t[@]}" §',
        "builtin eval tell §", "command eval 'tell §'", "case $x in esac", "case x in\n x) tell §\nesac",
        "tell § ${x#?} ${x%?} ${x/X/Y} ${x:0:1} ${x^^} ${x,,}", "i=x; tell § ${!i}", "tell § ${unset-§} ${unset:+§}",
    ]
)  # fmt: skip


def compound(inner: st.SearchStrategy[str], *, runs: bool) -> st.SearchStrategy[str]:
    """
    Commands around others; with *runs* only what comes to an end, in an order, and what both shells take the same way.
    """
    build: Callable[..., st.SearchStrategy[str]] = st.builds
    found = [
        build("{{ {}{}}}{}".format, inner, END, MAYBE),
        build("({}){}".format, inner, MAYBE),
        build("if {}{}then {}{}fi{}".format, CONDITION, END, inner, END, MAYBE),
        build("if {}; then {}{}else {}{}fi".format, CONDITION, inner, END, inner, END),
        build("if {}; then {}{}elif {}\nthen {}{}fi".format, CONDITION, inner, END, CONDITION, inner, END),
        build("for x in {}{}do {}{}done{}".format, WORDS, END, inner, END, MAYBE),
        build("for x{} do {}{}done".format, pick(["", ";", "\n"]), inner, END),
        build("for ((i=0;i<1;i++)){} do {}{}done".format, pick([";", "\n", " "]), inner, END),
        build("for ((;;)) {{ {}{}break; }}".format, inner, END),
        build("while {}; do {}{}break; done{}".format, CONDITION, inner, END, MAYBE),
        build("until {}{}do {}{}break; done".format, CONDITION, END, inner, END),
        build('case {} in a|b) {};; (c*) tell §;; "d e") ;; [!x]$x) {}\n;; *) tell §; esac{}'.format, SCRIPT_WORD, inner, inner,  MAYBE),
        build("define§() {{ {}{}}}{}\ncall§ {}".format, inner, END, MAYBE, WORDS),
        build("function define§ {{ local l=§; {}{}}}; call§ {}".format, inner, END, WORDS),
        build("define§ ( ) (\n{}\n)\ncall§ a".format, inner),
        build("function define§()\nif :; then {}{}fi\ncall§ a".format, inner, END),
        build("{} | {{ {}\n}}".format, SIMPLE, inner),
        build("{} |&\n({})".format, SIMPLE, inner),
        build("{} && {{ {}\n}} || {}".format, CONDITION, inner, inner),
        build("{} ||\n {}".format, CONDITION, inner),
        build("tell § $({})".format, inner),
        build('tell § "$({}\n)" x'.format, inner),
        build("x=$({}); tell § x".format, inner),
    ]  # fmt: skip
    if not runs:
        found += [
            build("{{ {}\n}} & {}".format, inner, inner),
            build("tell § <({}) > >({})".format, inner, inner),
            build("coproc ({})".format, inner),
            build("coproc N {{ {}{}}}".format, inner, END),
            build("select x in {}; do {}{}done".format, WORDS, inner, END),
            build("case {} in a) {};& b|c) {};;& *) {}{}esac".format, SCRIPT_WORD, inner, inner, inner, END),
            build("declare {} {}; {}".format, ASSIGNED, ASSIGNED, inner),
        ]
    return st.one_of(*found)


def scripts(*, runs: bool) -> st.SearchStrategy[str]:
    leaf = st.one_of(SIMPLE, SIMPLE, ASSIGNED, DOCUMENT, SENTENCES)
    inner = leaf
    for _ in range(2):
        inner = compound(inner, runs=runs) | leaf
    return st.lists(inner, min_size=1, max_size=3).map(_joined)


def _joined(commands: list[str]) -> str:
    """
    Commands one after another, with a name for each § and with calls of functions by the names that they got.
    """
    # Nothing may stand between the end of a here-document and the end of its line.
    text = re.sub(r"\n *;(?![;&])", "\n", "\n".join([*commands, ""]))
    numbers = itertools.count()
    names: list[str] = []

    def name(match: re.Match[str]) -> str:
        match match.group():
            case "define§":
                names.append(f"f{next(numbers)}")
                return names[-1]
            case "call§":
                return names.pop()
            case _:
                return f"k{next(numbers)}"

    return re.sub("define§|call§|§", name, text)


class Listening(Inquiry):
    """
    An inquiry that keeps what would be started, in a shell like the one that bash is started as.
    """

    def __init__(self) -> None:
        super().__init__(SCOPE, TREE, NoFiles(), HANDLERS)
        self.state.variables.update(x=("X0",), y=("y1 y2",))
        self.state.arrays["z"] = ("z0", "z 1")
        self.state.positional = ("P1", "P 2")
        self.calls: list[list[str]] = []

    def invoke(self, invocation: Invocation) -> str:
        if invocation.argv[:1] == ("tell",):
            self.calls.append([re.sub(r"/dev/fd/\d+", "/dev/fd/..", word) for word in invocation.argv[1:]])
        return super().invoke(invocation)

    @property
    def steps(self) -> float:
        return self._steps


RUN_SETUP = "tell() { printf '%s\\0' \"$#\" \"$@\" >&9; }\nx=X0 y='y1 y2' z=(z0 'z 1')\nset -f -- P1 'P 2'"


@needs_bash
@settings(max_examples=20, derandomize=True, phases=FIND)
@given(st.lists(scripts(runs=True), min_size=10, max_size=25))
def test_every_command_that_bash_runs_is_seen(texts):
    """
    Ours goes both ways where bash goes one, so it may see more: never less.
    """
    for text, calls in zip(texts, told(RUN_SETUP, texts), strict=True):
        listening = Listening()
        listening.text_here(cleaned(text), None)
        for call in calls:
            theirs = [re.sub(r"/dev/fd/\d+", "/dev/fd/..", word) for word in call]
            assert any(same(ours, theirs) for ours in listening.calls), (text, theirs, listening.calls)


@needs_bash
@settings(max_examples=80, derandomize=True, phases=FIND)
@given(scripts(runs=False))
def test_every_script_that_bash_reads_is_read(text):
    checked = subprocess.run([BASH, "-n", "-c", text], env=CLEAN, capture_output=True, timeout=60, check=False)

    assert checked.returncode == 0, (text, checked.stderr)
    assert parse(text).commands


# -- anything --------------------------------------------------------------------------------------------------------

SIGNS = pick(
    [
        *"'\"`$(){}[];|&<>\\\n #!*?~=-,.:/@%^+\t\r\0é…",
        "\ud800",
        "\ue000",
        "\ue001",
        "\ue002",
        "\ue003",
        "$(",
        "${",
        "<<E\n",
        "\nE\n",
        "$'",
        "((",
        "[[",
    ]
)
COMMANDS = pick([case.command for name in ("corpus", "families") for case in corpus(name)])


@st.composite
def damaged(draw: st.DrawFn, texts: st.SearchStrategy[str]) -> str:
    """
    A text with a few of its characters taken away, doubled, moved or put in, or with another text's end.
    """
    text = draw(texts)
    for _ in range(draw(st.integers(1, 4))):
        at, other = (draw(st.integers(0, max(len(text) - 1, 0))) for _ in range(2))
        match draw(pick(["delete", "double", "swap", "insert", "splice", "wrap"])):
            case "delete":
                text = text[:at] + text[at + 1 :]
            case "double":
                text = text[:at] + text[at : at + 1] * 2 + text[at + 1 :]
            case "swap":
                text = text[:at] + text[at + 1 : at + 2] + text[at : at + 1] + text[at + 2 :]
            case "insert":
                text = text[:at] + draw(SIGNS) + text[at:]
            case "splice":
                text = text[:at] + draw(texts)[other:]
            case _:
                text = draw(pick(["sh -c '{}'", "$({})", "eval {}", "x=`{}`", "({})", "sh <<E\n{}\nE"])).replace(
                    "{}", text
                )
    return text


@settings(max_examples=250, derandomize=True)
@given(
    damaged(scripts(runs=False)) | damaged(COMMANDS) | st.lists(SIGNS, max_size=40).map("".join) | st.text(max_size=80)
)
def test_what_cannot_be_parsed_is_unreadable(text):
    """
    Nothing else is raised: neither an index nor a stack is ever exceeded.
    """
    try:
        parse(cleaned(text))
    except Unreadable as error:
        assert str(error)


@settings(max_examples=300, derandomize=True)
@given(damaged(COMMANDS) | damaged(COMMANDS) | st.lists(SIGNS, max_size=40).map("".join) | st.text(max_size=80))
@example("x" * 100_000)
@example("a; " * 50_000)
@example("{a,b}" * 2_000)
def test_everything_gets_a_verdict_in_bounded_steps(text):
    """
    A verdict, never an exception; and what is followed is counted, so that no text takes for ever.
    """
    found = judge_command(text, SCOPE, TREE)
    assert isinstance(found, Verdict)
    assert found.allowed == (found.rule == "none")
    assert bool(found.reason) != found.allowed
    assert len(found.target) <= 200

    inquiry = Listening()
    try:
        inquiry.text_here(cleaned(text), None)
    except (Unreadable, RecursionError):
        assert not found.allowed
    assert inquiry.steps <= MAX_STEPS + 1


@settings(max_examples=100, derandomize=True)
@given(st.text(max_size=80))
def test_quoted_text_is_only_text(text):
    """
    What stands in quotes is an argument and nothing else, whatever it says.
    """
    recorder = Listening()
    recorder.text_here(f"tell {quote(cleaned(text))}", None)
    assert recorder.calls == [[re.sub(r"/dev/fd/\d+", "/dev/fd/..", cleaned(text))]]
    assert judge_command(f"echo {quote(text)}", SCOPE, TREE).allowed
    assert judge_command(f"grep -rn {quote('x' + text)} src", SCOPE, TREE).allowed
