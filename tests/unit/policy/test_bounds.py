"""
What a verdict costs, counted in lines of the policy's own that are gone through and not in time: whatever is written, no agent has to
wait for it.
"""

from __future__ import annotations

import sys
from types import FrameType
from typing import Any

import pytest

from orchestrd.policy.shell.patterns import fitting
from policyworld import rule, verdict

MOST_LINES = 600_000
"""About 50 ms without anybody counting."""

DEAR = {
    "a pattern that is not closed": "rm " + "[" * 20_000,
    "one that is closed at its end": "rm " + "[" * 20_000 + "]",
    "what it is not": "cat " + "[!" * 10_000,
    "many of them": "cat " + ("[a-z]" * 20 + "* ") * 900,
    "stars": "cat " + "*[" * 10_000,
    "a program": "/bin/" + "[" * 20_000 + " x",
    "a value's pattern": "x=aaa; echo ${x#" + "[" * 20_000 + "}",
    "a value's pattern, often": "x=aaa; for i in 1 2 3 4 5 6 7 8 9; do echo ${x//" + "[" * 20_000 + "/y}; done",
    "a redirection": "ls > " + "[" * 20_000,
    "not an assignment": "[" * 20_000 + " x",
    "parentheses": "(" * 50_000,
    "negations": "! " * 50_000 + "ls",
    "times": "time " * 40_000 + "ls",
    "arms": "case x in " + "x) ls;; " * 8_000 + "esac",
    "values that double": "".join(f"a{at}=$a{at - 1}$a{at - 1}; " for at in range(200)) + "$a199",
    "traps": "trap 'trap \"ls\" EXIT' EXIT;" * 3_000,
    "escapes in a loop": "for i in 1 2 3 4 5 6 7 8 9; do echo " + "\\a" * 90_000 + "; done",
    "words": "env " * 20_000 + "ls",
    "redirections": "ls " + ">a " * 20_000,
    "processes": "cat " + "<(ls) " * 5_000,
    "a document in a loop": "for i in 1 2 3 4 5 6 7 8 9; do cat <<A\n" + "x\n" * 90_000 + "A\ndone",
    "SQL in a loop": "for i in 1 2 3 4 5 6 7 8 9; do psql -c '" + "select 1;" * 7_000 + "'; done",
    "dollars of SQL": "psql -c 'select " + "$a" * 9_000 + "'",
    "comments of SQL": "psql -c 'select " + "/*" * 9_000 + "'",
    "brackets of a program": "perl -e 'unlink \"src/a" + "[[" * 9_000 + "'",
    "calls that do not end": "julia -e 'using Pkg; Pkg" + "$(" * 8_000 + "'",
    "quotes of a program": "ruby -e 'x = \"" + '\\"' * 8_000 + "'",
    "what is renamed": "rename -f 's{^docs}{/" + "\\" * 1_000 + "' *.md",
    "an archive's names": "tar cf a.tar --transform 's/a/" + "\\" * 1_000 + "' src",
    "processes by an expression": "pkill -f '((.+)+)+!'",
    "what git shows": "git show HEAD" + " eval" * 4_000,
    "an index": "export a" + "[" * 20_000,
    "Python": "python3 - <<'A'\n" + "print('a', 1*2)\n" * 1_100 + "A",
    "Python that is too long": "python3 -c '" + "x=1;" * 25_000 + "'",
    "Python nearly too long": "python3 -c '" + "f(a,b).c(1);" * 1_400 + "'",
    "a module that is too long": "cat > a.py <<'A'\n" + "x=1\n" * 13_000 + "A\npython3 -c 'import a'",
    "backticks of a program": "python3 -c '" + "`" * 5_000 + "'",
    "names of a library": "node -e '" + 'const {a}=require("sqlite3");' * 300 + ' x.query("drop table t")' * 40 + "'",
    "what a class is sent": "ruby -e '" + "a::" * 5_000 + "'",
    "what is listed": "php -r '" + "array_map(" * 1_500 + "'",
    "a library's classes": "node -e '"
    + ";".join(f'const a{i}=require("sqlite3")' for i in range(400))
    + '; db.query("drop table t")'
    + "'",
    "a makefile in a loop": "for i in 1 2 3 4 5 6 7 8 9; do make -f - <<'A'\n" + "a b: c\n" * 20_000 + "A\ndone",
}


class TooMuch(Exception):
    """
    More was gone through than a verdict may cost.
    """


def lines_of(command: str) -> int:
    """
    How many lines are gone through for the verdict on *command*.
    """
    count = 0

    def line(frame: FrameType, event: str, value: Any) -> Any:
        nonlocal count
        count += event == "line"
        if count > MOST_LINES:
            raise TooMuch
        return line

    before = sys.gettrace()
    sys.settrace(line)
    try:
        verdict(command)
    finally:
        sys.settrace(before)
    return count


@pytest.mark.parametrize("name", DEAR)
def test_no_verdict_costs_more_than_a_moment(name):
    assert lines_of(DEAR[name]) <= MOST_LINES


@pytest.mark.parametrize(
    ("pattern", "names"),
    [
        ("*", [".env", ".git", "a-b", "]", "["]),
        (".[^e]*", [".git"]),
        (".[!e]*", [".git"]),
        (".[[:alpha:]]nv", [".env"]),
        (".[[=e=]]nv", [".env"]),
        (".[a-f]??", [".env"]),
        (".[f-a]nv", []),
        ("[]]", ["]"]),
        ("[[]", ["["]),
        ("[", ["["]),
        ("a[-b]b", ["a-b"]),
        ("a[+--]b", ["a-b"]),
        ("*" * 9_000 + "git", [".git"]),
        (".[" + "xg" * 9_000 + "]it", [".git"]),
        ("?" * 9_000, []),
        ("*[" * 9_000, []),
    ],
)
def test_which_names_a_pattern_fits(pattern, names):
    assert fitting([".env", ".git", "a-b", "]", "["], pattern) == names


def test_what_a_pattern_may_stand_for():
    assert rule("cat .[[:alpha:]]nv") == "secret"
    assert rule("cat .[^x]nv") == "secret"
    assert rule("rm -r .[^x]it") == "git"
    assert rule("cat .[" + "xe" * 300 + "]nv") == "secret"
    assert rule("ls src/[a-z]*.py") == "none"


def test_a_sign_that_is_no_character_is_followed():
    assert rule("x=$(echo '\ud800' | base64); echo $x") == "none"
