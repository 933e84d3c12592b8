"""
The grammar: a shell text → its commands, written back in one plain form.

In that form what is quoted stands in ‹›, an expansion is ``${name operator argument}`` (with ‹› when it is quoted), a
substitution ``$( … )``, and every compound command begins with its name in capitals.
"""

from __future__ import annotations

import pytest

from orchestrd.policy.shell.nodes import (
    Arithmetic,
    Assignment,
    Branches,
    Chain,
    Command,
    Coprocess,
    Function,
    Group,
    Loop,
    Parameter,
    Part,
    Pipeline,
    Process,
    Redirect,
    Script,
    Simple,
    Substitution,
    Text,
    Unreadable,
    Word,
)
from orchestrd.policy.shell.parser import parse


def form(text: str) -> str:
    return script(parse(text))


def script(one: Script) -> str:
    return "; ".join(command(each) + (" &" if at in one.background else "") for at, each in enumerate(one.commands))


def command(one: Command) -> str:
    match one:
        case Simple():
            parts = [assignment(each) for each in one.assignments]
            parts += [word(each) for each in one.words]
            parts += ["=" + assignment(each) for each in one.declared]
            return " ".join(parts + redirects(one.redirects))
        case Pipeline():
            return " | ".join(command(each) for each in one.commands)
        case Chain():
            return f"({command(one.left)} {one.operator} {command(one.right)})"
        case Group():
            return " ".join(["SUB" if one.subshell else "GROUP", f"[{script(one.body)}]", *redirects(one.redirects)])
        case Branches():
            parts = [f"[{script(one.always)}]"] if one.always.commands else []
            parts += [word(each) for each in one.words]
            return " ".join(["IF", *parts, *(f"[{script(each)}]" for each in one.branches), *redirects(one.redirects)])
        case Loop():
            head = [one.name] if one.name else []
            head += ["in", *(word(each) for each in one.words)] if one.words is not None else []
            head += [f"[{script(one.condition)}]"] if one.condition.commands else []
            return " ".join(["LOOP", *head, f"[{script(one.body)}]", *redirects(one.redirects)])
        case Function():
            return f"FUNCTION {one.name} {command(one.body)}"
        case Coprocess():
            return f"COPROC {one.name} {command(one.body)}"


def redirects(found: tuple[Redirect, ...]) -> list[str]:
    return [f"{one.descriptor}{one.operator}{word(one.target)}" for one in found]


def assignment(one: Assignment) -> str:
    name = one.name if one.index is None else f"{one.name}[{word(one.index)}]"
    value = word(one.value) if one.items is None else "(" + " ".join(word(each) for each in one.items) + ")"
    return name + ("+=" if one.append else "=") + value


def word(parts: Word) -> str:
    return "".join(part(each) for each in parts).replace("›‹", "")


def part(one: Part) -> str:
    match one:
        case Text():
            return f"‹{one.text}›" if one.quoted else one.text
        case Process():
            return f"{'<' if one.reads else '>'}( {script(one.script)} )"
        case Substitution():
            found = f"$( {script(one.script)} )"
        case Arithmetic():
            found = f"$(({''.join(part(each) for each in one.parts)}))"
        case Parameter():
            name = "!" * one.indirect + "#" * one.length + one.name
            name += "" if one.index is None else f"[{word(one.index)}]"
            found = "${" + " ".join([name, *([one.operator] if one.operator else []), *argument(one)]) + "}"
    return f"‹{found}›" if one.quoted else found


def argument(one: Parameter) -> list[str]:
    return [] if not one.argument else [word(one.argument)]


QUOTES = [
    ("a  b\tc", "a b c"),
    ("'a b'c", "‹a b›c"),
    ("'a\nb'", "‹a\nb›"),
    ('"a b"c', "‹a b›c"),
    ("\"a'b\" 'a\"b'", "‹a'b› ‹a\"b›"),
    (r'"a\"b\\c\$d\`e\f"', '‹a"b\\c$d`e\\f›'),
    ("'a\\'", "‹a\\›"),
    ('"a\\\nb"', "‹ab›"),
    (r"a\ b \'c", "a‹ ›b ‹'›c"),
    ("a\\\nb c", "ab c"),
    ("a \\\n b", "a b"),
    ("'' \"\"", "‹› ‹›"),
    ("''a\"\"", "‹›a‹›"),
    (r"$'a\tb\x41\101\u0041\'c'", "‹a\tbAAA'c›"),
    (r"$'\cA\e\q'", "‹\x01\x1b\\q›"),
    ('$"a b"', "‹a b›"),
    ("a'b'\"c\"\\d$'e'", "a‹bcde›"),
    ("a#b #c", "a#b"),
    ("# only a remark", ""),
    ("a # 'not a quote\nb", "a; b"),
    ("a;# b\nc", "a; c"),
    ("a '#' b", "a ‹#› b"),
    ('$ a$ "$"', "‹$› a‹$› ‹$›"),
]

EXPANSIONS = [
    ("$a ${a} $1 ${10} $10", "${a} ${a} ${1} ${10} ${1}0"),
    ("$a_b $a-b", "${a_b} ${a}-b"),
    ('"$a"b', "‹${a}›b"),
    ("$@ $* $# $? $! $$ $-", "${@} ${*} ${#} ${?} ${!} ${$} ${-}"),
    ("${a:-b} ${a-b} ${a:=b} ${a=b}", "${a :- b} ${a - b} ${a := b} ${a = b}"),
    ("${a:?b} ${a?b} ${a:+b} ${a+b}", "${a :? b} ${a ? b} ${a :+ b} ${a + b}"),
    ("${a#b} ${a##b} ${a%b} ${a%%b}", "${a # b} ${a ## b} ${a % b} ${a %% b}"),
    ("${a/b/c} ${a//b/c} ${a/#b/c} ${a/%b/c}", "${a / b/c} ${a // b/c} ${a / #b/c} ${a / %b/c}"),
    ("${a:1} ${a:1:2} ${a: -1}", "${a : 1} ${a : 1:2} ${a :  -1}"),
    ("${a^} ${a^^} ${a,} ${a,,} ${a@Q}", "${a ^} ${a ^^} ${a ,} ${a ,,} ${a @ Q}"),
    ("${#a} ${#} ${#a[@]}", "${#a} ${#} ${#a[@]}"),
    ("${!a} ${!a@} ${!a*}", "${!a} ${!a} ${!a}"),
    ("${a[0]} ${a[@]} ${a[$i]} ${a[@]:1:2}", "${a[0]} ${a[@]} ${a[${i}]} ${a[@] : 1:2}"),
    ("${a:-'b c'} ${a:-\"b $c\"}", "${a :- ‹b c›} ${a :- ‹b ${c}›}"),
    ("\"${a:-'b'}\"", "‹${a :- ‹'b'›}›"),
    ('"${a:-"b c"}"', "‹${a :- ‹b c›}›"),
    ("${a:-${b:-c}}", "${a :- ${b :- c}}"),
    ("${a:-$(b c)}", "${a :- $( b c )}"),
    ("${a:-\\}}", "${a :- ‹}›}"),
    ("$(a b)c", "$( a b )c"),
    ('"$(a "b")"', "‹$( a ‹b› )›"),
    ("$(a $(b $(c)))", "$( a $( b $( c ) ) )"),
    ("$( (a) )", "$( SUB [a] )"),
    ("$(a ')' b)", "$( a ‹)› b )"),
    ("$(a # )\n b)", "$( a; b )"),
    ("$(case a in a) b;; esac)", "$( IF a a [b] )"),
    ("$(case a in (a) b;; esac)", "$( IF a a [b] )"),
    ("`a b`c", "$( a b )c"),
    ("`a \\`b\\``", "$( a $( b ) )"),
    ('"`a`"', "‹$( a )›"),
    ('"`a \\"b\\"`"', "‹$( a ‹b› )›"),
    ("$((1 + 2)) $((a[$(b)] * (c)))", "$(()) $(($( b )))"),
    ('"$(( $a ))"', "‹$((${a}))›"),
    ("$((a); (b))", "$( SUB [a]; SUB [b] )"),
    ("<(a b) >(c)", "<( a b ) >( c )"),
    ("a <(b) <(c)", "a <( b ) <( c )"),
    ("{a,b} {1..3}", "{a,b} {1..3}"),
    ("@(a|b) !(c) +(d|e)f", "@(a|b) !(c) +(d|e)f"),
]

LISTS = [
    ("a; b", "a; b"),
    ("a\nb\n\n\nc", "a; b; c"),
    ("a;", "a"),
    ("a & b", "a &; b"),
    ("a &", "a &"),
    ("a && b || c", "((a && b) || c)"),
    ("a &&\n\nb ||\n c", "((a && b) || c)"),
    ("a | b | c", "a | b | c"),
    ("a |\n b |& c", "a | b | c"),
    ("a && b | c; d", "(a && b | c); d"),
    ("! a", "a"),
    ("! ! a | b", "a | b"),
    ("time a; time -p b; time", "a; b; "),
    ("", ""),
    ("  \n\t \n", ""),
]

COMMANDS = [
    ("{ a; b; }", "GROUP [a; b]"),
    ("{\na\n}", "GROUP [a]"),
    ("(a; b)", "SUB [a; b]"),
    ("((a)); ( (a) )", "IF ; SUB [SUB [a]]"),
    ("(( $(a) + 1 ))", "IF $( a )"),
    ("((a); b)", "SUB [SUB [a]; b]"),
    ("if a; then b; fi", "IF [a] [b]"),
    ("if a; then b; elif c; then d; else e; fi", "IF [a; c] [b] [d] [e]"),
    ("if a\nthen b\nfi", "IF [a] [b]"),
    ("if ! a; then b; fi > c", "IF [a] [b] >c"),
    ("while a; do b; done", "LOOP [a] [b]"),
    ("until a; b; do c; done < d", "LOOP [a; b] [c] <d"),
    ("for a in b c; do d; done", "LOOP a in b c [d]"),
    ("for a in; do b; done", "LOOP a in [b]"),
    ("for a; do b; done", "LOOP a [b]"),
    ("for a do b; done", "LOOP a [b]"),
    ("for a\nin b\ndo c\ndone", "LOOP a in b [c]"),
    ("for a in b; { c; }", "LOOP a in b [c]"),
    ("for ((a=$(b); a<1; a++)); do c; done", "LOOP in $( b ) [c]"),
    ("for ((;;)) { a; }", "LOOP in  [a]"),
    ("select a in b c; do d; done", "LOOP a in b c [d]"),
    ("case a in b) c;; esac", "IF a b [c]"),
    ("case a in b|c) d;; (e) f;& g) h;;& *) i; esac", "IF a b c e g * [d] [f] [h] [i]"),
    ("case $(a) in\n  b)\n    c\n    ;;\n  *) ;;\nesac", "IF $( a ) b * [c] []"),
    ("case a in esac", "IF a"),
    ('case "a b" in "c d") e;; $f) g;; esac', "IF ‹a b› ‹c d› ${f} [e] [g]"),
    ("[[ -f a && $b == c* ]]", "IF -f a ${b} == c*"),
    ("[[ a =~ ^(b|c)+$ ]]", "IF a =~ …"),
    ("[[ a =~ $(b) ]] && c", "(IF a =~ …$( b ) && c)"),
    ("[[ ( a < b || c > d ) && ! -f $(e) ]]", "IF a b c d ! -f $( e )"),
    ("[[ a\n&& b ]]", "IF a b"),
    ("f() { a; }", "FUNCTION f GROUP [a]"),
    ("f ( )\n{\na\n}", "FUNCTION f GROUP [a]"),
    ("f() (a)", "FUNCTION f SUB [a]"),
    ("f() if a; then b; fi", "FUNCTION f IF [a] [b]"),
    ("function f { a; }", "FUNCTION f GROUP [a]"),
    ("function f() { a; } > b", "FUNCTION f GROUP [a] >b"),
    ("function f-g.h\n{ a; }", "FUNCTION f-g.h GROUP [a]"),
    ("f() { a; }; f", "FUNCTION f GROUP [a]; f"),
    ("coproc a b", "COPROC COPROC a b"),
    ("coproc N { a; }", "COPROC N GROUP [a]"),
    ("coproc while a; do b; done", "COPROC COPROC LOOP [a] [b]"),
    ("{ a; } > b 2>&1", "GROUP [a] >b 2>&1"),
    ("{ a; } | (b)", "GROUP [a] | SUB [b]"),
    ("{a; b}", "{a; b}"),
    ("a if then { } done", "a if then { } done"),
    ("echo [[ x", "echo [[ x"),
]

ASSIGNMENTS = [
    ("a=b", "a=b"),
    ("a=", "a="),
    ("a=b c=d e f=g", "a=b c=d e f=g"),
    ("a+=b", "a+=b"),
    ("a='b c'$d", "a=‹b c›${d}"),
    ("a=$(b)", "a=$( b )"),
    ("a=(b 'c d' $e)", "a=(b ‹c d› ${e})"),
    ("a=(\n b # c\n d\n)", "a=(b d)"),
    ("a+=(b)", "a+=(b)"),
    ("a=()", "a=()"),
    ("a[0]=b a[$(c)]=d", "a[‹0›]=b a[‹$( c )›]=d"),
    ("export a=b c", "export c =a=b"),
    ("declare -a a=(b c)", "declare -a =a=(b c)"),
    ("local a=$(b) c=d", "local =a=$( b ) =c=d"),
    ("readonly a=b; typeset c=d", "readonly =a=b; typeset =c=d"),
    ("env a=b c", "env a=b c"),
    ("a=b; c", "a=b; c"),
    ("1a=b", "1a=b"),
    ("a-b=c", "a-b=c"),
]

REDIRECTIONS = [
    ("a > b", "a >b"),
    ("a >b >>c <d", "a >b >>c <d"),
    ("> a b c", "b c >a"),
    ("a > b c", "a c >b"),
    ("a 2>b 10>>c", "a 2>b 10>>c"),
    ("a2>b", "a2 >b"),
    ("a 2 >b", "a 2 >b"),
    ("a 2>&1 >&2 3>&- <&4", "a 2>&1 >&2 3>&- <&4"),
    ("a &>b &>>c", "a &>b &>>c"),
    ("a >|b <>c", "a >|b <>c"),
    ("a {fd}>b", "a {fd}>b"),
    ('a >"b c" 2>$d', "a >‹b c› 2>${d}"),
    ("a < <(b)", "a <<( b )"),
    ("a > >(b)", "a >>( b )"),
    ("a <<< b", "a <<<b"),
    ('a <<< "b $c" d', "a d <<<‹b ${c}›"),
    ("> a", ">a"),
    ("a\\>b '>' c", "a‹>›b ‹>› c"),
]

DOCUMENTS = [
    ("a <<E\nb\nc\nE\nd", "a <<‹b\nc\n›; d"),
    ("a <<E | b\nc\nE", "a <<‹c\n› | b"),
    ("a <<E && b\nc\nE\nd", "(a <<‹c\n› && b); d"),
    ("a <<E > b\nc\nE", "a <<‹c\n› >b"),
    ("a <<-E\n\tb\n\t\tc\n\tE\nd", "a <<‹b\nc\n›; d"),
    ("a <<E\n\tE\nE", "a <<‹\tE\n›"),
    ("a <<E\nE \nE", "a <<‹E \n›"),
    ("a <<A <<B\n1\nA\n2\nB", "a <<‹1\n› <<‹2\n›"),
    ("a <<A; b <<'B'; c <<-C\n1\nA\n$2\nB\n\t3\n\tC\nd", "a <<‹1\n›; b <<‹$2\n›; c <<‹3\n›; d"),
    ("a <<E\n$b ${c} $(d) `e`\nE", "a <<‹${b} ${c} $( d ) $( e )\n›"),
    ("a <<'E'\n$b $(c) `d` \\e\nE", "a <<‹$b $(c) `d` \\e\n›"),
    ('a <<"E"\n$(b)\nE', "a <<‹$(b)\n›"),
    ("a <<\\E\n$(b)\nE", "a <<‹$(b)\n›"),
    ("a <<E'F'\n$(b)\nEF", "a <<‹$(b)\n›"),
    ("a <<'E F'\nb\nE F\nc", "a <<‹b\n›; c"),
    ("a <<E\n\\$b \\`c \\\\d \\e \"f\" 'g'\nE", "a <<‹$b `c \\d \\e \"f\" 'g'\n›"),
    ("a <<E\nb\\\nc\nE", "a <<‹bc\n›"),
    ("a <<E\n$(b <<F\nc\nF\n)\nE\nd", "a <<‹$( b <<‹c\n› )\n›; d"),
    ('a <<E\n$(b "$(c)")\nE', "a <<‹$( b ‹$( c )› )\n›"),
    ("$(a <<E\nb )\nE\n)", "$( a <<‹b )\n› )"),
    ("a <<E\n${b:-$(c)}\nE", "a <<‹${b :- ‹$( c )›}\n›"),
    ("if a <<E; then b; fi\nc\nE", "IF [a <<‹c\n›] [b]"),
    ("{ a <<E; b\nc\nE\n}", "GROUP [a <<‹c\n›; b]"),
    ("for a in b; do c <<E\nd\nE\ndone", "LOOP a in b [c <<‹d\n›]"),
    ("a <<E\nb", "a <<‹b›"),
    ("a <<E", "a <<"),
    ("a 3<<E\nb\nE", "a 3<<‹b\n›"),
    ("a << E\nb\nE", "a <<‹b\n›"),
    ("a <<E # b\nc\nE", "a <<‹c\n›"),
    ("a <<E\nb\nE\n# c\nd", "a <<‹b\n›; d"),
]


@pytest.mark.parametrize(
    ("text", "expected"),
    [*QUOTES, *EXPANSIONS, *LISTS, *COMMANDS, *ASSIGNMENTS, *REDIRECTIONS, *DOCUMENTS],
)
def test_the_grammar(text, expected):
    assert form(text) == expected


@pytest.mark.parametrize(
    "text",
    [
        # What is not closed.
        "'a", '"a', "$'a", "`a", "$(a", "${a", "${a:-b", "<(a", "(a", "{ a", "{ a;", "((a", "a=(b", "[[ a", "@(a",
        '"$(a"', "$((1)", "if a; then b", "while a; do b", "for a in b; do c", "case a in b) c", "f() { a",
        # What closes nothing.
        "a)", "}", "a; fi", "done", "a;; b", "esac", "then", "if a; fi", "for a in b; c; done", "do a; done",
        # Where a command must stand.
        "| a", "a |", "&& a", "a &&", "a ||", "; a", "a & & b", "a ;; b", "! | a", "a | | b", "&",
        # Redirections to nothing, functions without a body.
        "a >", "a > ; b", "a <<", "a <<<", "f()", "f() ;", "function", "case", "case a", "case a in b c) d;; esac", "for",
        "for a in b c d", "coproc",
        # Expansions that bash does not know either.
        "${}", "${a b}", "${a!b}", "${-:-", "$[1+1]",
    ],
)  # fmt: skip
def test_what_cannot_be_read_is_refused(text):
    with pytest.raises(Unreadable):
        parse(text)


@pytest.mark.parametrize(
    "text",
    [
        "$(" * 3000, "(" * 3000, "{ " * 3000, "`" * 3001, "${a:-" * 3000, "if " * 3000, "$((" * 3000, "a && " * 4_000 + "a",
        "a | " * 4_000 + "a", "! " * 4_000 + "a", "f() " * 3000 + "{ a; }", "<(" * 3000, '"$(' * 3000, "coproc " * 3000 + "a",
        "time " * 3000 + "a", "for a in b; do " * 3000, "case a in b) " * 3000, "a <<E\n$(" * 500,
    ],
    ids=lambda text: str(text)[:12].strip(),
)  # fmt: skip
def test_depth_has_an_end(text):
    """
    However deep it is, it is read or refused; the program's own stack is not what ends it.
    """
    try:
        parse(text)
    except Unreadable as error:
        assert str(error)


def test_a_long_text_is_read_in_one_go():
    body = "x" * 100_000

    assert form(f"a <<'E'\n{body}\nE\nb '{body}' \"{body}\" {body}") == f"a <<‹{body}\n›; b ‹{body}› ‹{body}› {body}"
    assert len(parse("a b; " * 900).commands) == 900
