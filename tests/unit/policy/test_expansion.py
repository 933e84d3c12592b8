"""
Words → fields: what a shell would make of them, and what it leaves open.

A hole, which only the running shell could fill, is written ``$name``.
"""

from __future__ import annotations

import pytest

from orchestrd.policy.shell.expansion import Expansion
from orchestrd.policy.shell.marks import HOLE, cleaned, filled, hole, holes, is_known, is_printed, shown
from orchestrd.policy.shell.parser import parse
from orchestrd.policy.shell.state import MAX_ALTERNATIVES, State
from policyworld import TREE, fields, gap

NOTHING = {"E": ""}
KNOWN = {
    **NOTHING,
    "HOME": "/home/agent",
    "A": "one",
    "B": "two words",
    "S": "  lead  trail ",
    "P": "src/app.test.ts",
    "W": "a*b?c",
    "X": "{1,2}",
    "T": "~/t",
    "N": "A",
    "U8": "Straße",
}


def known() -> State:
    """
    A shell with variables of every kind.
    """
    state = State((TREE,), {name: (value,) for name, value in KNOWN.items()})
    state.arrays = {"L": ("x", "y z", "w"), "M": ("only",), "O": (), "Q": ("x", "", "w")}
    state.positional = ("p1", "p 2")
    return state


PLAIN = [
    ("a b", ["a", "b"]),
    ("'a b' c", ["a b", "c"]),
    ("''", [""]),
    ('"" a', ["", "a"]),
    ("a''", ["a"]),
    ("$E", []),
    ('"$E"', [""]),
    ("a$E", ["a"]),
    ("$A$A", ["oneone"]),
    ("$B", ["two", "words"]),
    ('"$B"', ["two words"]),
    ("a${B}c", ["atwo", "wordsc"]),
    ('a"$B"c', ["atwo wordsc"]),
    ("$S", ["lead", "trail"]),
    ('"$S"', ["  lead  trail "]),
    ("a${S}b", ["a", "lead", "trail", "b"]),
    ("$'a\\tb' $'\\x67it' $'\\147\\151\\164'", ["a\tb", "git", "git"]),
    (r"\g\i\t", ["git"]),
    ("g''i\"\"t", ["git"]),
    ("\\$A '$A'", ["$A", "$A"]),
    ("$W", ["a*b?c"]),
    ("$X", ["{1,2}"]),
    ("$T", ["~/t"]),
    ("$UNKNOWN", ["$UNKNOWN"]),
    ('a"$UNKNOWN"b', ["a$UNKNOWNb"]),
    ("$((1+1))", ["$number"]),
    ("$1 $2 $3", ["p1", "p", "2"]),
    ('"$2" "$3"', ["p 2", ""]),
    ("$# $?", ["2", "0"]),
    ("$PWD", [TREE]),
]

LISTS = [
    ("$@", ["p1", "p", "2"]),
    ('"$@"', ["p1", "p 2"]),
    ("$*", ["p1", "p", "2"]),
    ('"$*"', ["p1 p 2"]),
    ('a"$@"b', ["ap1", "p 2b"]),
    ('"a$@b"', ["ap1", "p 2b"]),
    ('"${@:2}"', ["p 2"]),
    ('"${@:1:1}"', ["p1"]),
    ("${L[@]}", ["x", "y", "z", "w"]),
    ('"${L[@]}"', ["x", "y z", "w"]),
    ('"${L[*]}"', ["x y z w"]),
    ('"${L[0]}" "${L[1]}" "${L[-1]}"', ["x", "y z", "w"]),
    ("$L", ["x"]),
    ("${L[9]}", []),
    ('"${L[@]:1}"', ["y z", "w"]),
    ('"${L[@]:1:1}"', ["y z"]),
    ('"${M[@]}" "${M[*]}"', ["only", "only"]),
    ("${O[@]}", []),
    ("${UNKNOWN[@]}", ["$UNKNOWN[@]"]),
    ("${L[$UNKNOWN]}", ["$(…)"]),
    ('"${Q[@]}"', ["x", "", "w"]),
    ('a "${O[@]}" b', ["a", "b"]),
    ("${L[@]%x}", ["y", "z", "w"]),
    # In the same quotes as "$@", bash does not join a part of "$*".
    gap('"${*:1}$@"', ["p1", "p 2p1", "p 2"]),
    ('"${L[@]/#?/g}"', ["g", "g z", "g"]),
]

OPERATORS = [
    ("${unset-a\\\nb}", ["ab"]),
    # Defaults.
    ("${A:-d} ${A-d}", ["one", "one"]),
    ("${E:-d} ${E-d}", ["d"]),
    ("${UNKNOWN:-d} ${UNKNOWN-d}", ["d", "d"]),
    ("${UNKNOWN:-d e}", ["d", "e"]),
    ('"${UNKNOWN:-d e}"', ["d e"]),
    ("${UNKNOWN:-$B}", ["two", "words"]),
    ("${UNKNOWN:-${A:-d}}", ["one"]),
    ("${A:+d} ${E:+d}", ["d"]),
    ("${A+d} ${E+d}", ["d", "d"]),
    ("${A:?d}", ["one"]),
    ("${UNKNOWN:=d} $UNKNOWN", ["d", "d"]),
    ("${UNKNOWN=d}${UNKNOWN}", ["dd"]),
    ('${UNKNOWN:-"d e"}', ["d e"]),
    ("${A:+d\\ e}", ["d e"]),
    # What is cut off the ends.
    ("${P#*/} ${P##*.} ${P#x}", ["app.test.ts", "ts", "src/app.test.ts"]),
    ("${P%.*} ${P%%.*} ${P%x}", ["src/app.test", "src/app", "src/app.test.ts"]),
    ("${A#[a-o]} ${A#[!a-o]}", ["ne", "one"]),
    ("${A#$N} ${A%e}", ["one", "on"]),
    ("${W#'a*'}", ["b?c"]),
    ("${A##'*'}", ["one"]),
    ("${A%%\\?}", ["one"]),
    # What is replaced.
    ("${P/t/T} ${P//t/T} ${P/t}", ["src/app.Test.ts", "src/app.TesT.Ts", "src/app.est.ts"]),
    ("${P/#src/lib} ${P/%ts/js} ${P/#app/x}", ["lib/app.test.ts", "src/app.test.js", "src/app.test.ts"]),
    ("${P//[st]/_}", ["_rc/app._e__.__"]),
    ("${B// /-}", ["two-words"]),
    # Parts.
    ("${A:1} ${A:1:1} ${A: -2} ${A:0:-1} ${A:9}", ["ne", "n", "ne", "on"]),
    # Cases.
    ("${A^} ${A^^} ${B^^}", ["One", "ONE", "TWO", "WORDS"]),
    ("${A,} ${A,,}", ["one", "one"]),
    # Indirection, length.
    ("${!N}", ["one"]),
    ("${!UNKNOWN}", ["$!UNKNOWN"]),
    ("${#A}", ["$number"]),
    # Of a hole every part is one.
    ("${UNKNOWN#a} ${UNKNOWN/a/b} ${UNKNOWN:1}", ["$UNKNOWN", "$UNKNOWN", "$UNKNOWN"]),
    ("${A#$UNKNOWN}", ["$(…)"]),
]

BRACES = [
    ("{a,b}", ["a", "b"]),
    ("x{a,b}y", ["xay", "xby"]),
    ("{a,b}{1,2}", ["a1", "a2", "b1", "b2"]),
    ("{a,}x {,a}", ["ax", "x", "a"]),
    ("{1..3} {3..1} {a..c}", ["1", "2", "3", "3", "2", "1", "a", "b", "c"]),
    ("{1..7..3} {-1..1}", ["1", "4", "7", "-1", "0", "1"]),
    ("{a} {} {a..} {1..b}", ["{a}", "{}", "{a..}", "{1..b}"]),
    ("'{a,b}' \"{a,b}\" \\{a,b}", ["{a,b}", "{a,b}", "{a,b}"]),
    ("{'a b',c}", ["a b", "c"]),
    ("{a,$B}", ["a", "two", "words"]),
    ("{git,push}", ["git", "push"]),
    ("g{i,}t", ["git", "gt"]),
    ("${A}{1,2}", ["one1", "one2"]),
    ("{a,b", ["{a,b"]),
    ("{a,{b,c}}", ["a", "b", "c"]),
    ("{git,{-C,x},push}", ["git", "-C", "x", "push"]),
    ("{01..03}", ["01", "02", "03"]),
]

TILDES = [
    ("~ ~/x", ["/home/agent", "/home/agent/x"]),
    ("~+/x", [f"{TREE}/x"]),
    ("'~' \\~ \"~/x\"", ["~", "~", "~/x"]),
    ("a~ a/~", ["a~", "a/~"]),
    ("{~,~/x}", ["/home/agent", "/home/agent/x"]),
    ("~dev/x", ["/home/dev/x"]),
    ("x a=~/x b:~/x", ["x", "a=/home/agent/x", "b:~/x"]),
]


@pytest.mark.parametrize(("words", "expected"), [*PLAIN, *LISTS, *OPERATORS, *BRACES, *TILDES])
def test_words_become_fields(words, expected):
    assert fields(words, known()) == expected


@pytest.mark.parametrize(
    ("separators", "word", "expected"),
    [
        (" \t\n", "$V", ["a:b,c"]),
        (":", "$V", ["a", "b,c"]),
        (":,", "$V", ["a", "b", "c"]),
        ("", "$V", ["a:b,c"]),
        (":", '"$V"', ["a:b,c"]),
        (":", "a:b", ["a:b"]),
    ],
)
def test_values_are_split_where_ifs_says(separators, word, expected):
    assert fields(word, V="a:b,c", IFS=separators) == expected


@pytest.mark.parametrize(("separators", "expected"), [(" ", ["p1 p 2"]), ("", ["p1p 2"]), ("-", ["p1-p 2"])])
def test_a_list_in_quotes_is_joined_by_ifs(separators, expected):
    state = known()
    state.variables["IFS"] = (separators,)
    assert fields('"$*"', state) == expected


def several(*words: str) -> tuple[Expansion, list[list[str]]]:
    state = State((TREE,), {"A": ("x", "y"), "B": ("1", "2"), "C": tuple("abcdefgh")})
    expansion = Expansion(state, lambda _: HOLE, lambda _: HOLE)
    (command,) = parse(" ".join(words)).commands
    return expansion, expansion.commands(command.words)


def test_every_value_that_is_possible_is_followed():
    _, found = several("p", "$A", "$B")
    assert found == [["p", "x", "1"], ["p", "x", "2"], ["p", "y", "1"], ["p", "y", "2"]]


def test_of_too_many_values_none_is_known():
    assert MAX_ALTERNATIVES == 8
    _, found = several("p", "$A", "$C", "q")
    assert [[shown(word) for word in one] for one in found] == [["p", "$(…)", "$(…)", "q"]]


def test_a_value_is_worked_out_once_for_each_way():
    expansion, _ = several("p")
    (command,) = parse("V=${A}$B").commands
    assert expansion.values(command.assignments[0].value) == ("x1", "x2", "y1", "y2")
    assert shown(expansion.value(command.assignments[0].value)) == "$(…)"


@pytest.mark.parametrize(
    ("word", "patterns"),
    [
        ("/etc/*", ["/etc/*"]),
        ("src/?.py", ["src/?.py"]),
        ("'/etc/*'", []),
        ("/etc/\\*", []),
        ("*.py", []),
        ("$D/*", ["/etc/*"]),
        ("{/etc,/opt}/*", ["/etc/*", "/opt/*"]),
    ],
)
def test_patterns_of_paths_are_told(word, patterns):
    expansion = Expansion(State((TREE,), {"D": ("/etc",)}), lambda _: HOLE, lambda _: HOLE)
    (command,) = parse(f"p {word}").commands
    expansion.commands(command.words)
    assert expansion.patterns == patterns


@pytest.mark.parametrize("text", ["{a,b}" * 40, "{1..999999}" * 3, "{a,{b,{c,{d,e}}}}" * 6, "{" * 500, "{,}" * 60])
def test_braces_do_not_multiply_without_end(text):
    assert len(fields(text)) <= 2_000


def test_what_a_script_prints_is_put_in_its_place():
    expansion = Expansion(State((TREE,), {}), lambda _: "a b\n\n", lambda _: "/dev/fd/60")
    (command,) = parse('p $(q) "$(q)" x$(q)y <(q)').commands
    assert expansion.commands(command.words) == [["p", "a", "b", "a b", "xa", "by", "/dev/fd/60"]]


def test_holes_are_no_text_of_the_outside():
    """
    Characters that mark holes and quotes inside are replaced where a text comes in.
    """
    assert is_known(cleaned(f"a{HOLE}b"))
    assert fields(f"'{HOLE}' \ue003x \ue12a") == ["\ufffd(…)\ufffd", "\ufffdx", "\ufffd"]


def test_marks():
    text = f"a{hole('X')}b{HOLE}"

    assert holes(text) == ["X", "(…)"]
    assert shown(text) == "a$Xb$(…)"
    assert filled(text, "-") == "a-b-"
    assert (is_known(text), is_printed(text), is_printed(hole("X"))) == (False, True, False)
    assert (holes("a"), shown("a"), filled("a", "-"), is_known("a")) == ([], "a", "a", True)
