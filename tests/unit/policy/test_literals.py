"""
String literals of languages that are read without a grammar.
"""

import pytest

from orchestrd.policy.code.acts import Act
from orchestrd.policy.code.literals import Source, content, literals
from orchestrd.policy.code.scripts import acts
from orchestrd.policy.shell.walk import has_hidden_run


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("a \"b\" 'c' `d`", ['"b"', "'c'", "`d`"]),
        (r'"a\"b" c', [r'"a\"b"']),
        ('"a\n"b"', ['"b"']),
        ("`a\nb`", ["`a\nb`"]),
        ('it\'s "x"', ['"x"']),
        (
            "%x[ls] %w(a b) qx{ls} q(a) qq<b> qw/c d/ my_q(e)",
            ["%x[ls]", "%w(a b)", "qx{ls}", "q(a)", "qq<b>", "qw/c d/"],
        ),
        ("[[a]] [[ b ]", ["[[a]]"]),
        ("[[[a]]", ["[[[a]]"]),
        ("q(" + "a" * 2001 + ") 'b'", ["'b'"]),
        ("[[" + "a" * 2001 + "]] 'b'", ["'b'"]),
        ("%x[a", []),
    ],
)
def test_they_are_found(text, found):
    assert list(literals(text)) == found


def test_what_they_say():
    assert [content(one) for one in ("'a'", '"a#{b}}"', "%w(a)", "qx{b}", "q(c)", "[[d]]")] == [
        "a",
        "a\ue000(…)\ue001}",
        "a",
        "b",
        "c",
        "d",
    ]


@pytest.mark.parametrize(
    ("text", "inside"),
    [
        ("f(a, (b), ')') + 1", "(a, (b), ')')"),
        ("f a, ';' ; b", "a, ';' "),
        ("f([a", "([a"),
        ("f(" + "a" * 5000 + ")", "(" + "a" * 3999),
    ],
)
def test_what_a_call_is_given(text, inside):
    assert Source(text).arguments(1) == inside


@pytest.mark.parametrize("language", ["perl", "ruby", "node", "lua", "php"])
@pytest.mark.parametrize("sign", ["[", '\\"', "%x[", "q(", "$(", " ", "\n", "a:", "-", "unlink(", "${", "'+'"])
@pytest.mark.timeout(20)
def test_no_sign_is_looked_at_again_and_again(language, sign):
    """
    What takes a moment would take minutes if it grew with the square of the length.
    """
    list(acts(f'system("git push"); x = "{(sign * 50_000)[:55_000]}', language))


def test_many_blanks_are_as_one():
    assert Act("text", "git push") in list(acts("system(" + " " * 500 + '"git push")', "perl"))


@pytest.mark.parametrize(
    ("text", "hidden"),
    [
        ("a[$(b)]", True),
        ("a[[`b`", True),
        ("a[1]$(b)", False),
        ("[$(b)]", False),
        ("a[1] b[$(c)", True),
        ("a[", False),
        ("$(b) a[1]", False),
    ],
)
def test_an_index_that_runs_something(text, hidden):
    assert has_hidden_run(text) is hidden


def test_a_bracket_is_enough_where_names_are_given():
    assert has_hidden_run("[$(b)]", "[")
    assert not has_hidden_run("[1]$(b)", "[")
