"""
What does the policy catch, what does it hold up, and what does a verdict cost?

Judges two corpora of command lines (``tests/data/policy``) and prints, per category and per rule, what was caught and what
of the daily work was held up, beside the figures of other guards; then the CPU time of a verdict.  With ``--fuzz N`` also N
command lines that nobody wrote: lines of the corpora, damaged, and random signs.  Nothing that is judged is ever run; an
exception is reported with the line that caused it, and the exit status is 1.

Run: ``python benchmarks/policy.py [--fuzz 100000] [--seed 7]``.
"""

from __future__ import annotations

import argparse
import collections
import json
import random
import statistics
import sys
import time
from pathlib import Path
from typing import Any

from orchestrd.policy.engine import judge_command
from orchestrd.policy.scope import Scope
from orchestrd.policy.verdict import Verdict

DATA = Path(__file__).parents[1] / "tests" / "data" / "policy"
SCOPE = Scope(tree="/home/dev/project", scratch=("/tmp/agent",))
RULES = ("git", "db", "delete", "outside", "secret", "exec-unknown")
SLOW = 50.0
"""What a verdict may cost, in milliseconds of CPU."""
# On 3941 command lines, of which corpus.jsonl holds 2350: in percent, catch, held up, and catch per rule.  They were built for
# other rules than ours, so this says what taking them over would give us, not how good they are.
PEERS = {
    "regex git (add|commit|push)": (11.7, 4.4, 31.0, 0, 0, 0, 0, 1.0),
    "keywords of all rules": (69.3, 21.9, 78.2, 63.1, 75.0, 74.4, 58.3, 33.5),
    "permissions.deny, ~100 rules": (33.1, 6.4, 49.4, 15.6, 45.6, 29.8, 9.4, 13.4),
    "cc-safety-net 2.4.5": (29.0, 1.2, 29.6, 0, 16.2, 32.2, 56.7, 45.5),
    "cc-safety-net strict": (33.4, 3.1, 34.0, 2.6, 26.5, 35.5, 57.1, 55.0),
    "cc-safety-net paranoid": (39.6, 6.1, 37.5, 5.4, 60.8, 40.0, 58.7, 61.2),
    "nah 0.11, block only": (4.7, 0.0, 0.4, 0, 0.5, 2.4, 15.4, 29.2),
    "nah 0.11, block or ask": (70.6, 33.1, 65.4, 82.1, 44.6, 71.2, 79.9, 87.6),
    "nah 0.11, and git_write denied": (80.5, 34.9, 91.4, 82.1, 44.6, 71.4, 80.7, 88.0),
}
SIGNS = [*"'\"`$(){}[];|&<>\\\n #!*?~=-,.:/@%^+\t\r\0é…", "\ud800", "\ue000", "\ue001", "\ue002", "\ue003", "\ue12a"]
SIGNS += ["$(", "${", "<<E\n", "\nE\n", "$'", "((", "[[", "{a,b}", "{1..9}", "for a in ", "; do ", "case a in ", "f() "]
REPEATED = [
    "[",
    "[!",
    "*[",
    "?*",
    "(",
    "$(",
    "! ",
    "\\",
    "x) ls;; ",
    "env ",
    "eval ",
    ">a ",
    "<(ls) ",
    "a=$a$a; ",
    "../",
    "{a,",
    "-a ",
]
"""What is dear to read a few thousand times in a row."""
WRAPS = [
    "sh -c '{}'",
    "$({})",
    "eval {}",
    "x=`{}`",
    "({})",
    "sh <<E\n{}\nE",
    "{} | sh",
    "xargs -I{} {}",
    "for i in {1..50}; do {}; done",
]


def cases(name: str) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (DATA / f"{name}.jsonl").read_text().splitlines()]


def judged(command: str) -> tuple[Verdict, float]:
    """
    The verdict on *command* and its CPU time in milliseconds.
    """
    begin = time.thread_time()
    verdict = judge_command(command, SCOPE, SCOPE.tree)
    return verdict, (time.thread_time() - begin) * 1e3


def percent(part: int, whole: int) -> float:
    return 100 * part / whole if whole else 0.0


def spread(name: str, times: list[float]) -> None:
    ordered = sorted(times)
    p99 = ordered[int(len(ordered) * 0.99)]
    print(
        f"{name:12} {len(ordered):7} lines: median {statistics.median(ordered):.3f} ms, p99 {p99:.2f}, worst {ordered[-1]:.2f}, "
        f"above {SLOW:.0f} ms: {sum(one > SLOW for one in ordered)}"
    )


def measure(name: str) -> tuple[str, list[float]]:
    """
    The row of the corpus *name* for the table, after its categories are printed.
    """
    times: list[float] = []
    whole: collections.Counter[str] = collections.Counter()
    wrong: collections.Counter[str] = collections.Counter()
    for case in cases(name):
        verdict, spent = judged(case["command"])
        times.append(spent)
        failed = verdict.allowed == (case["verdict"] == "deny")
        for key in (case["category"], case["rule"], case["verdict"]):
            whole[key] += 1
            wrong[key] += failed
    print(f"\n{name}: category, lines, wrong")
    kinds = {case["category"] for case in cases(name)}
    for category in sorted(kinds):
        print(f"  {category:22}{whole[category]:5}{wrong[category]:5}")
    figures = [100 - percent(wrong["deny"], whole["deny"]), percent(wrong["allow"], whole["allow"])]
    figures += [100 - percent(wrong[rule], whole[rule]) for rule in RULES]
    return row(f"ours, {name}.jsonl", figures), times


def row(name: str, figures: Any) -> str:
    return f"{name:32}" + "".join(f"{one:9.1f}" for one in figures)


def damaged(rng: random.Random, commands: list[str]) -> str:
    """
    A command line with a few of its characters deleted, doubled, swapped or put in, spliced with another, or wrapped; one in
    eight is nothing but signs.
    """
    if rng.random() < 0.125:
        return "".join(rng.choices(SIGNS, k=rng.randrange(60)))
    text = rng.choice(commands)
    for _ in range(rng.randint(1, 6)):
        at = rng.randint(0, len(text))
        if rng.random() < 0.02:
            text = text[:at] + rng.choice(REPEATED) * rng.randrange(10_000) + text[at:]
        match rng.randrange(7):
            case 0:
                text = text[:at] + text[at + rng.randint(1, 4) :]
            case 1:
                size = rng.randint(1, 12)
                text = text[:at] + text[at : at + size] * rng.randint(2, 6) + text[at + size :]
            case 2:
                text = text[:at] + text[at + 1 : at + 2] + text[at : at + 1] + text[at + 2 :]
            case 3 | 4:
                text = text[:at] + rng.choice(SIGNS) + text[at:]
            case 5:
                other = rng.choice(commands)
                text = text[:at] + other[rng.randint(0, len(other)) :]
            case _:
                text = rng.choice(WRAPS).replace("{}", text)
    return text[:20_000]


def fuzz(count: int, seed: int) -> int:
    """
    Judge *count* damaged lines; how many exceptions there were.
    """
    rng = random.Random(seed)
    commands = [case["command"] for name in ("corpus", "families") for case in cases(name)]
    times: list[float] = []
    slowest: list[tuple[float, str]] = []
    raised: dict[str, list[str]] = {}
    denied = 0
    for at in range(count):
        text = damaged(rng, commands)
        begin = time.thread_time()
        try:
            verdict, spent = judged(text)
            denied += not verdict.allowed
        except Exception as error:  # noqa: BLE001 - that none is raised is what is measured
            spent = (time.thread_time() - begin) * 1e3
            frame = error.__traceback__
            while frame and frame.tb_next:
                frame = frame.tb_next
            where = f"{Path(frame.tb_frame.f_code.co_filename).name}:{frame.tb_lineno}" if frame else ""
            raised.setdefault(f"{type(error).__name__}: {error} ({where})"[:200], []).append(text)
        times.append(spent)
        slowest.append((spent, text))
        if len(slowest) > 200 or at == count - 1:
            slowest = sorted(slowest, reverse=True)[:10]
    print()
    spread("fuzz", times)
    print(f"{denied} denied; slowest:")
    for spent, text in slowest:
        print(f"  {spent:8.1f} ms  {len(text):6}  {text[:160]!r}")
    total = sum(map(len, raised.values()))
    print(f"exceptions: {total}")
    for what, texts in sorted(raised.items(), key=lambda item: -len(item[1])):
        print(f"  {len(texts):5} {what}\n        {min(texts, key=len)!r}")
    return total


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").strip().splitlines()[0])
    parser.add_argument(
        "--fuzz", type=int, nargs="?", const=100_000, default=0, help="judge so many damaged lines (100000)"
    )
    parser.add_argument("--seed", type=int, default=7)
    args = parser.parse_args()
    rows: list[str] = []
    times: dict[str, list[float]] = {}
    for name in ("corpus", "families"):
        found, times[name] = measure(name)
        rows.append(found)
    print(f"\n{'':32}" + "".join(f"{head:>9}" for head in ("catch", "held up", *(rule[:8] for rule in RULES))))
    for line in [*rows, *(row(name, figures) for name, figures in PEERS.items())]:
        print(line)
    print("\nCPU time of a verdict:")
    for name, spent in times.items():
        spread(name, spent)
    if args.fuzz and fuzz(args.fuzz, args.seed):
        sys.exit(1)


if __name__ == "__main__":
    main()
