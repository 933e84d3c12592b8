"""
Task files that are wrong, by accident or on purpose: each is refused, quickly, at the right place, in words that help.
"""

import time
from datetime import UTC

import pytest

from orchestrd.domain.tasks import TaskFileProblems, parse_task_file

DATE = b"date: 2026-11-22\n"
HEAD = DATE + b"tasks:\n  - id: t\n    name: N\n    description: D\n"
"""Five good lines; what a case adds begins on line 6."""
NEXT = b"  - {id: %s, name: N, description: D}\n"
MIB = 1024 * 1024


def task(more: str) -> bytes:
    """
    A file whose only task has *more* on line 6.
    """
    return HEAD + f"    {more}\n".encode()


def ids(*names: str) -> bytes:
    """
    A file with a task for each of *names*, from line 3 on.
    """
    return DATE + b"tasks:\n" + b"".join(NEXT % name.encode() for name in names)


def dated(value: str) -> bytes:
    return HEAD.replace(b"2026-11-22", value.encode())


HOSTILE = {
    # The bytes.
    "empty": (b"", "1:1: the file is empty; expected 'date:'"),
    "only spaces": (b"  \n\n", "1:1: the file is empty"),
    "only a comment": (b"# nothing\n", "1:1: the file is empty"),
    "only a marker": (b"---\n", "1:1: the file is empty"),
    "null": (b"~\n", "1:1: the file is empty"),
    "utf-16 with mark": (HEAD.decode().encode("utf-16"), "1:1: the file is UTF-16 or UTF-32; save it as UTF-8"),
    "utf-16 without mark": (HEAD.decode().encode("utf-16-be"), "1:1: the file is UTF-16"),
    "utf-32": (HEAD.decode().encode("utf-32"), "1:1: the file is UTF-16 or UTF-32"),
    "latin-1": (b"date: 2026-11-22\n# caf\xe9\n", "2:6: byte 0xe9 is not UTF-8; save the file as UTF-8"),
    "latin-1 after a mark": (b"\xef\xbb\xbf# caf\xe9\n", "1:6: byte 0xe9 is not UTF-8"),
    "nul": (b"date: 2026-11-22\nname: a\0b\n", "2:8: control character U+0000"),
    "bell": (b"date: \x07\n", "1:7: control character U+0007"),
    "escape": (HEAD + b"    module: \x1b[31m\n", "6:13: control character U+001B"),
    "escaped nul": (task(r'module: "a\0b"'), "6:13: t: control character U+0000 in a value"),
    "escaped escape": (task(r'module: "\e[31m"'), "6:13: t: control character U+001B in a value"),
    "too big": (b"#" * (MIB + 1), "1:1: the file has more than 1048576 bytes, and no more are read"),
    "a program": (b"\x7fELF\x02\x01\x01\0\0\0", "1:1: control character U+007F"),
    # The YAML.
    "tab": (b"date: 2026-11-22\ntasks:\n\t- id: t\n", "3:1: not YAML: a tab; indent with spaces"),
    "colon in text": (task("module: a: b"), "6:14: not YAML: a second ': ' in one line; put the value"),
    "open quote": (task('module: "abc'), "6:13: not YAML: this quote is never closed"),
    "bad escape": (task(r'module: "C:\work"'), "6:16: not YAML: unknown escape; write \\\\ for a backslash"),
    "open bracket": (task("context_files: [a, b"), "6:20: not YAML: this '[' list is not closed"),
    "backtick": (task("module: `x`"), "6:13: not YAML: put a value that begins with '`' in quotes"),
    "at sign": (task("module: @x"), "6:13: not YAML: put a value that begins with '@' in quotes"),
    "glob": (task("context_files: **/*.ts"), "6:20: not YAML: a value that begins with '*' must be in quotes"),
    "alias to nothing": (task("module: *x"), "6:13: no anchor '&x' before this alias"),
    "optional in brackets": (task("deliverables:\n      - [optional] a.md"), "7:20: not YAML: "),
    "indentation": (HEAD + b"   module: x\n", "6:4: not YAML: wrong indentation"),
    "two documents": (HEAD + b"---\n" + HEAD, "6:1: a second document begins here"),
    "directive": (b"%YAML 1.2\n---\n" + HEAD, "1:1: a line may not begin with '%'"),
    "python object": (task('module: !!python/object/apply:os.system ["id"]'), "6:13: t: tag '!!python/object/apply:os"),
    "own tag": (task("module: !secret x"), "6:13: t: tag '!secret' is not allowed; remove it"),
    "merge key": (task("<<: {name: X}"), "6:5: t: '<<': merge keys are not supported"),
    "duplicate top key": (HEAD + b"date: 2026-11-23\n", "6:1: date: duplicate key; it is already on line 1"),
    "duplicate task key": (task("name: M"), "6:5: t: name: duplicate key; it is already on line 4"),
    "duplicate check key": (task("checks: [{run: a, run: b}]"), "6:23: t: run: duplicate key; it is already on line 6"),
    "list as key": (task("[a, b]: c"), "6:5: t: a key must be plain text"),
    "recursive alias": (task("checks: &x [*x]"), "6:17: alias '*x' holds itself"),
    "alias bomb": (
        b"a: &a [x, x, x, x, x, x, x, x, x, x]\n"
        + b"".join(b"%c: &%c [%s]\n" % (c, c, b", ".join([b"*%c" % (c - 1)] * 10)) for c in range(98, 106)),
        "5:8: more than 20000 values, with aliases written out",
    ),
    "deep list": (b"a: " + b"[" * 5000, "1:23: nested deeper than 20 levels"),
    "deep block": (b"- " * 5000, "1:41: nested deeper than 20 levels"),
    "deep aliases": (
        b"a: &a " + b"[" * 12 + b"]" * 12 + b"\nb: " + b"[" * 12 + b"*a" + b"]" * 12,
        "2:16: nested deeper than 20 levels",
    ),
    "many values": (b"- a\n" * 20_001, "20000:3: more than 20000 values"),
    # The top level.
    "a list": (b"- a\n", "1:1: expected 'date:' and 'tasks:' at the top level, found a list"),
    "a text": (b"hello\n", "1:1: expected 'date:' and 'tasks:' at the top level, found 'hello'"),
    "no date": (ids("t").removeprefix(DATE), "1:1: date: required field is missing; write date: YYYY-MM-DD"),
    "empty date": (dated(""), "1:6: date: required field is missing"),
    "no such day": (dated("2026-02-30"), "1:7: date: 2026-02-30 is not a day of the calendar"),
    "a moment": (
        dated("2026-11-22T10:00:00Z"),
        "1:7: date: expected a day without a time, found '2026-11-22T10:00:00Z'; write 2026-11-22",
    ),
    "a short date": (
        dated("2026-1-5"),
        "1:7: date: expected a date as YYYY-MM-DD, found '2026-1-5'; did you mean 2026-01-05?",
    ),
    "a local date": (dated("22.11.2026"), "1:7: date: expected a date as YYYY-MM-DD, found '22.11.2026'"),
    "other digits": (dated("２０２６-11-22"), "1:7: date: expected a date as YYYY-MM-DD"),
    "year 26": (dated("0026-11-22"), "1:7: date: expected a year from 2000 to 2999"),
    "date as a list": (dated("[2026, 11, 22]"), "1:7: date: expected a single value, found a list"),
    "no tasks": (DATE, "1:1: tasks: required field is missing"),
    "tasks left out": (DATE + b"tasks:\n", "2:7: tasks: is empty; expected at least one task"),
    "no task in tasks": (DATE + b"tasks: []\n", "2:8: tasks: is empty"),
    "tasks a mapping": (
        DATE + b"tasks:\n  t: {name: N}\n",
        "3:3: tasks: expected a list, found a mapping; begin each task with '- id:'",
    ),
    "tasks a text": (DATE + b"tasks: t\n", "2:8: tasks: expected a list of tasks, found 't'"),
    "a task a text": (
        DATE + b"tasks: [t]\n",
        "2:9: tasks[0]: expected a task with id, name and description, found 't'",
    ),
    "501 tasks": (ids(*(f"t{n:03}" for n in range(501))), "3:3: tasks: has 501 tasks; at most 500 are allowed"),
    "unknown top field": (HEAD + b"max_cost: 5\n", "6:1: max_cost: unknown field; did you mean 'max_cost_usd'?"),
    "field one level up": (HEAD + b"model: opus\n", "6:1: model: unknown field here; it belongs to a task"),
    # A task.
    "misspelt field": (
        task("estimated_complexty: low"),
        "6:5: t: estimated_complexty: unknown field; did you mean 'estimated_complexity'?",
    ),
    "other tool's field": (task("deps: [a]"), "6:5: t: deps: unknown field; did you mean 'depends_on'?"),
    "strange field": (task("zzz: 1"), "6:5: t: zzz: unknown field; expected one of id, name,"),
    "field one level down": (task("date: 2026-11-22"), "6:5: t: date: unknown field here; it belongs to the top level"),
    "no id": (DATE + b"tasks: [{name: N, description: D}]\n", "2:9: tasks[0].id: required field is missing"),
    "empty id": (ids("''"), "3:10: tasks[0].id: is empty; expected an id such as task-001"),
    "id with a folder": (ids("a/b"), "3:10: tasks[0].id: expected letters, digits, '.', '_' and '-', beginning with"),
    "id up": (ids("../../etc/x"), "3:10: tasks[0].id: expected letters, digits"),
    "id of dots": (
        ids("a..b"),
        "3:10: tasks[0].id: expected letters, digits, '.', '_' and '-', beginning with a letter or digit, at most 64, without '..'; found 'a..b'; did you mean 'a-b'?",
    ),
    "long id": (ids("x" * 65), "3:10: tasks[0].id: expected letters"),
    "id with a line break": (ids('"t\\n"', '"a\\nb"'), "4:10: tasks[1].id: expected letters"),
    "id in Cyrillic": (ids("tаsk"), "3:10: tasks[0].id: expected letters"),
    "id is a list": (ids("[a]"), "3:10: tasks[0].id: expected a single value, found a list"),
    "same id": (ids("a", "b", "a"), "5:10: a: id: 'a' is already the id of the task on line 3"),
    "same number": (ids("1", "'1'"), "4:10: 1: id: '1' is already the id of the task on line 3"),
    "same but case": (ids("Task", "task"), "4:10: task: id: 'task' differs only by case from 'Task' on line 3"),
    "same but capitals": (ids("task", "TASK"), "4:10: TASK: id: 'TASK' differs only by case from 'task' on line 3"),
    "answer": (ids("a-answer"), "3:10: tasks[0].id: an id may not end in '-answer'"),
    "numbered answer": (ids("a-2-Answer"), "3:10: tasks[0].id: an id may not end in '-answer'"),
    "second question": (ids("task-2", "TASK"), "3:10: task-2: id: 'task-2' and 'TASK' on line 4 would share files"),
    "no name": (DATE + b"tasks: [{id: t, description: D}]\n", "2:9: t: name: required field is missing"),
    "blank name": (HEAD.replace(b"N\n", b"'  '\n"), "4:11: t: name: is empty; expected some text"),
    "null name": (HEAD.replace(b"N\n", b"null\n"), "4:11: t: name: is empty"),
    "long name": (HEAD.replace(b"N\n", b"N" * 301 + b"\n"), "4:11: t: name: has 301 characters; at most 300"),
    "name of lines": (HEAD.replace(b"N\n", b'"a\\nb"\n'), "4:11: t: name: expected one line of text, found several"),
    "name turned round": (HEAD.replace(b"N\n", '"a\u202eb"\n'.encode()), "4:11: t: name: holds invisible characters"),
    "no description": (DATE + b"tasks: [{id: t, name: N}]\n", "2:9: t: description: required field is missing"),
    "description is a mapping": (
        HEAD.replace(b"D\n", b"{a: b}\n"),
        "5:18: t: description: expected a single value, found a mapping",
    ),
    "long description": (
        HEAD.replace(b"D\n", "é".encode() * 52_000 + b"\n"),
        "5:18: t: description: has 104000 bytes; at most 102400",
    ),
    "complexity": (
        task("estimated_complexity: meduim"),
        "6:27: t: estimated_complexity: expected low, medium or high as the first word, found 'meduim'; did you mean 'medium'?",
    ),
    "very high": (
        task("estimated_complexity: very high"),
        "6:27: t: estimated_complexity: expected low, medium or high as the first word, found 'very high'; did you mean 'high'?",
    ),
    "complexity 3": (task("estimated_complexity: 3"), "6:27: t: estimated_complexity: expected low, medium or high"),
    "absolute context": (
        task("context_files: [/etc/passwd]"),
        "6:21: t: context_files[0]: '/etc/passwd': an absolute path",
    ),
    "home context": (task("context_files: ~/x"), "6:20: t: context_files: '~/x': '~' is outside the project"),
    "context outside": (
        task("context_files: [a, a/../../b]"),
        "6:24: t: context_files[1]: 'a/../../b': '..' leads out",
    ),
    "context above a glob": (
        task("context_files: ['*/../b']"),
        "6:21: t: context_files[0]: '*/../b': '..' leads out",
    ),
    "context of Windows": (
        task(r"context_files: src\a.ts"),
        "6:20: t: context_files: 'src\\\\a.ts': a backslash; write '/'",
    ),
    "context URL": (task("context_files: https://x.org/a"), "6:20: t: context_files: 'https://x.org/a': a URL"),
    "empty context": (
        task("context_files: [a, ]\n    module: ''\n    deliverables: ['']"),
        "8:20: t: deliverables[0]: is empty",
    ),
    "context a mapping": (
        task("context_files: [{a: b}]"),
        "6:21: t: context_files[0]: expected a path, found a mapping",
    ),
    "deliverable outside": (
        task("deliverables: [a.md, Update ../b.md]"),
        "6:26: t: deliverables[1]: 'Update ../b.md': '..' leads out of the project",
    ),
    "absolute deliverable": (
        task("deliverables: /etc/cron.d/x.conf"),
        "6:19: t: deliverables: '/etc/cron.d/x.conf': an absolute path",
    ),
    "deliverable a mapping": (
        task("deliverables: [{a: b, c: d}]"),
        "6:20: t: deliverables[0]: expected a single value, found a mapping",
    ),
    "long deliverable": (
        task(f"deliverables: [{'x ' * 1001}]"),
        "6:20: t: deliverables[0]: has 2001 characters; at most 2000",
    ),
    "priority": (
        task("priority: hihg"),
        "6:15: t: priority: expected low, normal, high or urgent, found 'hihg'; did you mean 'high'?",
    ),
    "medium priority": (
        HEAD + b"priority: medium\n",
        "6:11: priority: expected low, normal, high or urgent, found 'medium'; did you mean 'normal'?",
    ),
    "waits for nobody": (
        ids("task-a").replace(b"}", b", depends_on: task-b}"),
        "3:55: task-a: depends_on: expected the id of a task in this file, found 'task-b'; did you mean 'task-a'?",
    ),
    "waits for a full name": (
        ids("a", "b").replace(b"b, name: N,", b"b, name: N, depends_on: 2026-11-22/a,"),
        "4:34: b: depends_on: expected the id of a task in this file, found '2026-11-22/a'; did you mean 'a'?",
    ),
    "waits for itself": (task("depends_on: [t]"), "6:18: t: depends_on: 't' depends on itself"),
    "free": (task("max_cost_usd: 0"), "6:19: t: max_cost_usd: expected more than 0, found '0': nothing could run"),
    "negative cost": (task("max_cost_usd: -5"), "6:19: t: max_cost_usd: expected more than 0, found '-5'"),
    "infinite cost": (
        task("max_cost_usd: .inf"),
        "6:19: t: max_cost_usd: expected a number of USD such as 50.00, found '.inf'",
    ),
    "no number": (task("max_cost_usd: .nan"), "6:19: t: max_cost_usd: expected a number of USD such as 50.00"),
    "cost yes": (
        task("max_cost_usd: true"),
        "6:19: t: max_cost_usd: expected a number of USD such as 50.00, found 'true'",
    ),
    "cost in dollars": (
        task("max_cost_usd: $50"),
        "6:19: t: max_cost_usd: expected a number of USD such as 50.00, found '$50'; write 50",
    ),
    "cost with commas": (
        task("max_cost_usd: 1,000.50"),
        "6:19: t: max_cost_usd: expected a number of USD such as 50.00, found '1,000.50'; write 1000.50",
    ),
    "huge cost": (task("max_cost_usd: 1e99"), "6:19: t: max_cost_usd: expected at most 100000 USD, found '1e99'"),
    "huge exponent": (
        task("max_cost_usd: 1e999999999"),
        "6:19: t: max_cost_usd: expected a number of USD such as 50.00",
    ),
    "tiny cost": (task("max_cost_usd: 1e-12"), "6:19: t: max_cost_usd: expected more than 0"),
    "timeout by colon": (
        task("timeout: 1:30"),
        "6:14: t: timeout: expected seconds, or a duration such as 90m, 2.5h or 1h30m, found '1:30'; ':' is not a duration",
    ),
    "timeout in words": (task("timeout: soon"), "6:14: t: timeout: expected seconds, or a duration"),
    "no timeout": (task("timeout: 0"), "6:14: t: timeout: expected more than 0 and at most 7 days, found '0'"),
    "eight days": (task("timeout: 8d"), "6:14: t: timeout: expected more than 0 and at most 7 days, found '8d'"),
    "many spaces": (task("timeout: '1h" + " " * 5000 + "x'"), "6:14: t: timeout: has 5003 characters; at most 200"),
    "model as option": (task("model: --dangerously-skip-permissions"), "6:12: t: model: expected a model's name"),
    "model with a space": (task("model: claude opus"), "6:12: t: model: expected a model's name"),
    "codex": (task("agent: codex"), "6:12: t: agent: agent 'codex' is not supported by this version; only 'claude'"),
    "misspelt agent": (
        task("agent: cluade"),
        "6:12: t: agent: expected 'claude', found 'cluade'; did you mean 'claude'?",
    ),
    "check without a command": (task("checks: [{name: x}]"), "6:14: t: checks[0].run: required field is missing"),
    "check with a colon": (task("checks:\n      - npm run x: y"), "7:9: t: checks[0].npm run x: unknown field"),
    "check with a typo": (
        task("checks: [{rnu: x, run: y}]"),
        "6:15: t: checks[0].rnu: unknown field; did you mean 'run'?",
    ),
    "empty check": (task("checks: [x, ~]"), "6:17: t: checks[1]: is empty; expected some text"),
    "check timeout": (task("checks: [{run: x, timeout: -1}]"), "6:32: t: checks[0].timeout: expected seconds"),
    "check of a list": (task("checks: [[x]]"), "6:14: t: checks[0]: expected a command, or a mapping with run"),
    "same check": (task("checks: [x, x]"), "6:17: t: checks: the name 'x' is already taken by the check on line 6"),
    "51 checks": (task(f"checks: [{', '.join(map(str, range(51)))}]"), "6:13: t: checks: has 51 entries; at most 50"),
    "isolation": (
        task("isolation: in-place"),
        "6:16: t: isolation: expected worktree or in_place, found 'in-place'; did you mean 'in_place'?",
    ),
    "retries": (task("retries: 11"), "6:14: t: retries: expected a whole number from 0 to 10, found '11'"),
    "half a retry": (task("retries: 1.5"), "6:14: t: retries: expected a whole number from 0 to 10, found '1.5'"),
    "retries yes": (task("retries: true"), "6:14: t: retries: expected a whole number from 0 to 10"),
    "start late": (task("start_at: 24:00"), "6:15: t: start_at: '24:00' is not a time of the calendar"),
    "start at a date": (task("start_at: 2026-11-22"), "6:15: t: start_at: expected HH:MM or an ISO date and time"),
    "start in words": (
        task("start_at: noon"),
        "6:15: t: start_at: expected HH:MM or an ISO date and time, found 'noon'",
    ),
    "start in a gap": (task("start_at: 2026-02-30T10:00"), "6:15: t: start_at: '2026-02-30T10:00' is not a time"),
    "start long ago": (task("start_at: 0001-01-01T00:00+14:00"), "6:15: t: start_at: "),
}


def lines(data: bytes) -> list[str]:
    """
    The problems of *data*, one a line, without the file's name.
    """
    with pytest.raises(TaskFileProblems) as caught:
        parse_task_file(data, source="f.yaml", zone=UTC)
    assert caught.value.message.splitlines()[: len(caught.value.problems)] == [
        str(problem) for problem in caught.value.problems[:50]
    ]
    return [line.removeprefix("f.yaml:") for line in caught.value.message.splitlines()]


@pytest.mark.parametrize("name", HOSTILE)
def test_refused(name: str) -> None:
    """
    The problem is named with its place; nothing else is complained about on other lines without reason.
    """
    data, expected = HOSTILE[name]

    found = lines(data)

    assert any(line.startswith(expected) for line in found), found


def test_there_is_one_problem() -> None:
    """
    A single mistake in a good file is a single line, for nearly all cases.
    """
    many = {name for name, (data, _) in HOSTILE.items() if len(lines(data)) > 1}

    assert many == {"python object", "check with a colon"}


QUICK = {
    "flow": b"[" * MIB,
    "curly": b"{" * MIB,
    "block": b"- " * (MIB // 2),
    "question": b"? " * (MIB // 2),
    "list": b"- a\n" * (MIB // 4),
    "tags": b"".join(b"%%TAG !a%d! b\n" % n for n in range(MIB // 18)),
    "tags later": b"a: b\n...\n" + b"".join(b"%%TAG !a%d! b\n" % n for n in range(MIB // 18)),
    "tags after a next line": "a: b\n...\u0085".encode() + b"".join(b"%%TAG !a%d! b\xc2\x85" % n for n in range(52_000)),
    "aliases": b"a: &a b\nc: [" + b"*a," * (MIB // 3 - 10) + b"]",
    "anchors": b"- &a a\n" * (MIB // 8),
    "long scalar": HEAD + b"    module: " + b"x" * (MIB - 200),
    "long text": HEAD + b"    deliverables: " + b"(" * (MIB - 200),
    "unknown keys": b"".join(b"estimated_complexit%d: 1\n" % n for n in range(9_900)),
    "unknown waits": HEAD + b"    depends_on: [" + b"taks-0001," * 499 + b"]\n",
    "duplicate keys": b"a: 1\n" * 9_900,
    "tasks": DATE + b"tasks:\n" + b"- a\n" * 19_000,
    "open brackets": HEAD + b"    deliverables:\n" + b"".join(b"      - '" + b"(" * 1900 + b"'\n" for _ in range(190)),
    "brackets in words": DATE + b"tasks:\n" + b"".join(
        b"- {id: t%d, name: N, description: D, deliverables: [%s]}\n" % (n, b",".join([b"'" + b"((a/b.md) " * 11 + b"'"] * 90)) for n in range(95)
    ),
    "paths": DATE + b"tasks:\n" + b"".join(
        b"- {id: t%d, name: N, description: D, deliverables: [%s]}\n" % (n, b",".join([b"src/a.ts and src/b.ts (if needed)"] * 190)) for n in range(98)
    ),
    "circles": DATE + b"tasks:\n" + b"".join(
        b"- {id: t%d, name: N, description: D, depends_on: [%s]}\n" % (n, b",".join(b"t%d" % m for m in range(130))) for n in range(130)
    ),
    "diamonds": DATE
    + b"tasks:\n"
    + b"".join(
        b"- {id: t%d, name: N, description: D, depends_on: [%s]}\n"
        % (n, b",".join(b"t%d" % m for m in range(n + 1, min(n + 4, 500))))
        for n in range(500)
    ),
    "spaces": HEAD + b"    timeout: '1" + b" " * (MIB - 200) + b"'\n",
    "line breaks": HEAD + b"    checks: |\n" + b"      x\n" * (MIB // 8 - 100),
}  # fmt: skip


@pytest.mark.slow
@pytest.mark.parametrize("name", QUICK)
def test_quick(name: str) -> None:
    """
    No megabyte takes long, whatever is in it.
    """
    data = QUICK[name]
    assert len(data) <= MIB

    message = ""
    began = time.process_time()
    try:
        parse_task_file(data, source="f.yaml", zone=UTC)
    except TaskFileProblems as error:
        message = error.message
    took = time.process_time() - began

    # What is quadratic takes minutes; a busy machine takes its time too.
    assert took < 8.0
    assert len(message) < 200_000
