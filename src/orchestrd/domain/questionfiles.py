"""
Question and answer files, as people and agents write them: Markdown to values and back.
"""

from __future__ import annotations

import re

import msgspec

from orchestrd.domain.events import QuestionOption

_HEADING = re.compile(r"^\s{0,3}#{1,6}\s+(.*?)\s*#*\s*$")
_OPTION = re.compile(
    r"^\s*(?:[-*]\s+|#{1,6}\s+)?(?:\*\*)?(?:option\s+)?\(?([a-z]|[0-9]{1,2})(?:\*\*)?[).:](?:\*\*)?\s+(.*)$",
    re.IGNORECASE,
)
_BULLET = re.compile(r"^\s*[-*]\s+(.*)$")
_HOW_TO_ANSWER = "---\n\nAnswer with `orchctl answer "
_ANSWERED_BY = re.compile(r"\s*<!-- answered by [^\n]*-->\s*\Z")


class WrittenQuestion(msgspec.Struct, frozen=True, kw_only=True):
    """
    A question read from a file: *text* is what is asked, with its context and impact; *options* what is offered.
    """

    text: str
    header: str = ""
    options: tuple[QuestionOption, ...] = ()


def read_question(markdown: str) -> WrittenQuestion | None:
    """
    The question in a file of the documented form (Context, Question, Options, Impact); a text without these headings is
    the question itself.  None when there is nothing to answer yet.
    """
    sections = _sections(markdown.partition(f"\n{_HOW_TO_ANSWER}")[0])
    asked = sections.get("question", "").strip()
    loose = sections.get("", "").strip()
    if not asked and not loose:
        return None
    if not asked:
        return WrittenQuestion(text=loose)
    context, impact = sections.get("context", "").strip(), sections.get("impact", "").strip()
    parts = [asked, *([f"Context: {context}"] if context else []), *([f"Impact: {impact}"] if impact else [])]
    return WrittenQuestion(
        text="\n\n".join(parts), header=asked.splitlines()[0], options=_options(sections.get("options", ""))
    )


def write_question(
    *, task: str, number: int, text: str, options: tuple[QuestionOption, ...], answer_file: str, title: str = ""
) -> str:
    """
    The file a person reads: the question under a *title*, by default that an agent asks, its options lettered, and how to
    answer.
    """
    lines = [f"# {title or f'Question from Agent {task}'}", "", "## Question", "", text.strip(), ""]
    if options:
        lines += ["## Options", ""]
        for place, option in enumerate(options):
            description = f" — {option.description}" if option.description else ""
            lines.append(f"{chr(ord('A') + place % 26)}) {option.label}{description}")
        lines.append("")
    # Without a number the oldest open question is meant, which need not be this one.
    short = task.rpartition("/")[2] + (f" --question {number}" if number > 1 else "")
    how = f'{_HOW_TO_ANSWER}{short} "…"`, or write `{answer_file}` in this folder.\n'
    return "\n".join([*lines, how])


def says_how_to_answer(markdown: str) -> bool:
    """
    True for a file that `write_question` made, whatever somebody has added to it.
    """
    return f"\n{_HOW_TO_ANSWER}" in markdown


def read_answer(markdown: str) -> str:
    """
    The answer in a file: its text without a leading ``# Answer to …`` heading and our note on who gave it; empty when
    there is none yet.
    """
    lines = _ANSWERED_BY.sub("", markdown).strip().splitlines()
    if lines and (match := _HEADING.match(lines[0])) and match.group(1).lower().startswith("answer"):
        lines = lines[1:]
    return "\n".join(lines).strip()


def write_answer(*, task: str, answer: str, by: str) -> str:
    """
    The file that keeps the answer where the question lies.
    """
    return f"# Answer to {task}\n\n{answer.strip()}\n\n<!-- answered by {by} -->\n"


def choose(options: tuple[QuestionOption, ...], choices: list[str]) -> list[str]:
    """
    The labels that *choices* (letters, numbers or labels, in any case) name.

    Raises `ValueError` naming what was not offered.
    """
    labels: list[str] = []
    for choice in choices:
        wanted = choice.strip()
        found = [o.label for o in options if o.label.lower() == wanted.lower()]
        if not found and re.fullmatch(r"[A-Za-z]", wanted):
            number = ord(wanted.upper()) - ord("A")
            found = [options[number].label] if number < len(options) else []
        if not found and re.fullmatch(r"[0-9]{1,4}", wanted):
            found = [options[int(wanted) - 1].label] if 0 < int(wanted) <= len(options) else []
        if not found:
            offered = ", ".join(f"{chr(ord('A') + n)}) {o.label}" for n, o in enumerate(options)) or "none"
            raise ValueError(f"{choice!r} is not an option; offered: {offered}")
        labels += found
    return labels


def _sections(markdown: str) -> dict[str, str]:
    """
    Lower-case heading → text below it; the text before any known heading, titles left out, under the empty name.
    """
    known = ("context", "question", "options", "impact")
    found: dict[str, list[str]] = {"": []}
    current = ""
    fenced = False
    for line in markdown.splitlines():
        fenced = fenced != line.lstrip().startswith("```")
        match = None if fenced else _HEADING.match(line)
        if match is None:
            found[current].append(line)
            continue
        name = match.group(1).strip().lower().rstrip(":")
        if name in known:
            current = name
            found.setdefault(current, [])
        elif current:
            found[current].append(line)
    return {name: "\n".join(lines) for name, lines in found.items()}


def _options(text: str) -> tuple[QuestionOption, ...]:
    labels: list[str] = []
    for line in text.splitlines():
        match = _OPTION.match(line)
        if match:
            labels.append(match.group(2).strip())
        elif bullet := _BULLET.match(line):
            labels.append(bullet.group(1).strip())
        elif line.strip() and labels:
            labels[-1] += f" {line.strip()}"
    return tuple(QuestionOption(label=label) for label in labels if label)
