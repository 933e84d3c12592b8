"""
What a call may do to a tree: never taken for less than it is.
"""

import pytest

from orchestrd.policy.effect import Effect, effect_of

READING = [
    "ls -la src",
    "cat a.txt | head -5",
    "cd src && grep -rn 'def ' .",
    "git status; git diff",
    "find . -name '*.py'",
    "wc -l a b 2>&1",
    "cat $x",
    "file -b a",
    "test -f x || echo no 2>/dev/null",
    "",
]
DESTROYING = [
    "rm a",
    "mv a b",
    "find . -delete",
    "find . -exec rm {} +",
    "git clean -fdx",
    "git checkout -- .",
    "git -C x status",
    "git diff --output=a",
    "echo x > a",
    "echo $(rm a)",
    "cat `rm a`",
    "ls; rm a",
    "ls & rm a",
    "ls\nrm a",
    "ls || { rm a; }",
    "cat <(rm a)",
    "python3 script.py",
    "pytest",
    "make clean",
    "./run",
    "sed -i s/a/b/ f",
    "PATH=. ls",
    "sort -o a a",
    "rg --pre rm x",
    "find . '-delete'",
    'find . "-"exec rm -- +',
    "find . $x",
    "git diff '--out'put=a",
    "git diff HEAD $x",
    "rg '--p're rm x",
    "file --comp -m x",
    "l\\s",
    "$X a",
    "x" * 3000,
]


@pytest.mark.parametrize("command", READING)
def test_a_command_that_only_reads(command):
    assert effect_of("Bash", {"command": command}) is Effect.READS


@pytest.mark.parametrize("command", DESTROYING)
def test_a_command_that_may_destroy(command):
    assert effect_of("Bash", {"command": command}) is Effect.DESTROYS


@pytest.mark.parametrize(
    ("tool", "effect"),
    [
        ("Read", Effect.READS),
        ("Agent", Effect.READS),
        ("Edit", Effect.WRITES),
        ("Write", Effect.WRITES),
        ("NotebookEdit", Effect.DESTROYS),
        ("mcp__files__remove", Effect.DESTROYS),
        ("Monitor", Effect.DESTROYS),
        ("Brand new", Effect.DESTROYS),
    ],
)
def test_other_tools(tool, effect):
    assert effect_of(tool, {"command": "ls"}) is effect


def test_a_call_without_a_command():
    assert effect_of("Bash", {}) is Effect.DESTROYS
    assert effect_of("Bash", {"command": 3}) is Effect.DESTROYS
