"""
An agent's stream as people read it: what it said, which tools it called on what, what came back, what it asked.
"""

from __future__ import annotations

from typing import Any

from rich.text import Text

from orchctl.render import figures
from orchestrd.protocol import messages as m
from orchestrd.protocol.questions import questions_in

RESULT_LINES = 3
RESULT_CHARS = 200
ARGUMENT_CHARS = 160
_MAIN_ARGUMENTS = (
    "command", "file_path", "notebook_path", "path", "pattern", "url", "query", "description", "prompt", "skill",
)  # fmt: skip


class Transcript:
    """
    Messages in, lines out.  Remembers the turn's number and the calls whose results are still to come.
    """

    def __init__(self, *, ascii_only: bool = False) -> None:
        self._turn = 0
        self._calls: dict[str, str] = {}
        self._newest = ""
        self._together = False
        self._call_mark, self._result_mark, self._rule = ("*", "|", "--") if ascii_only else ("●", "⎿", "──")

    def lines(self, message: m.Message) -> list[Text]:
        """
        What *message* adds to the transcript; empty for what only machines need.
        """
        lines = self._lines(message)
        if lines and not isinstance(message, m.ToolCall):
            self._together = False
        return lines

    def _lines(self, message: m.Message) -> list[Text]:
        match message:
            case m.Init():
                self._turn += 1
                words = [f"turn {self._turn}", message.model, f"session {message.session}"]
                return [Text(""), self._ruled(words, "bold")]
            case m.Text():
                said = [Text(line) for line in figures.safe(message.text).strip().split("\n")]
                return [Text(""), *(self._nested(line, message.subagent) for line in said)]
            case m.ToolCall():
                return self._call(message)
            case m.ToolResult():
                return self._result(message)
            case m.Result():
                return self._ended(message)
            case _:
                line = self._notice(message)
                return [] if line is None else [line]

    def _call(self, call: m.ToolCall) -> list[Text]:
        self._calls[call.id] = call.name
        self._newest = call.id
        line = Text.assemble((f"{self._call_mark} ", "cyan"), (figures.one_line(call.name), "bold"))
        argument = main_argument(call.input)
        if argument:
            line.append(f"  {argument}")
        # Calls made together stand together.
        space = [] if self._together else [Text("")]
        self._together = True
        lines = [*space, self._nested(line, call.subagent)]
        for question in questions_in(call.name, call.input):
            lines.append(Text(f"  ? {figures.one_line(question.text)}", style="bold magenta"))
            for place, (label, description) in enumerate(question.options):
                option = Text(f"    {_letter(place)}) {figures.one_line(label)}")
                if description:
                    option.append(f"  {figures.one_line(description)}", style="dim")
                lines.append(option)
        return lines

    def _result(self, result: m.ToolResult) -> list[Text]:
        style = "red" if result.is_error else "dim"
        text = figures.safe(result.text).strip()
        rows = text.split("\n") if text else ["(nothing)"]
        if result.denied:
            rows[0] = f"denied: {rows[0]}" if text else "denied"
        name = self._calls.pop(result.id, "")
        if name and result.id != self._newest:
            # Calls made together, or a subagent's words in between: say whose result it is.
            rows[0] = f"{figures.one_line(name)}: {rows[0]}"
        lines = [
            Text(f"  {' ' if place else self._result_mark} {_cut(row)}", style=style)
            for place, row in enumerate(rows[:RESULT_LINES])
        ]
        hidden = len(rows) - RESULT_LINES
        if hidden > 0:
            lines.append(Text(f"    … {figures.many(hidden, 'more line')}", style="dim"))
        return [self._nested(line, result.subagent) for line in lines]

    def _ended(self, result: m.Result) -> list[Text]:
        reason = result.terminal_reason or result.subtype or "ended"
        spent = result.models_since
        cost = result.total_cost_usd if spent is None else sum(model.cost_usd or 0.0 for model in spent.values())
        words = [reason.replace("_", " "), figures.many(result.num_turns, "turn")]
        words += [figures.span(result.duration_ms / 1000), figures.money(cost)]
        lines = [Text(""), self._ruled(words, "bold red" if result.is_error else "bold green")]
        if result.is_error:
            # A success repeats the last text; an error says here what was wrong.
            errors = [*result.errors, *([result.text] if result.text else [])]
            lines += [Text(f"  {figures.one_line(error)}", style="red") for error in errors]
        return lines

    def _notice(self, message: m.Message) -> Text | None:
        match message:
            case m.ApiRetry():
                status = message.status or figures.one_line(message.error)
                delay = figures.span(message.delay_ms / 1000)
                return _warning(f"API {status}: try {message.attempt} of {message.max_retries} in {delay}")
            case m.ApiFailure():
                return Text(f"! {message.kind}: {figures.one_line(message.text)}", style="red")
            case m.RateLimit() if message.status != "allowed":
                paid = ", paid overage in use" if message.overage else ""
                return _warning(f"usage window {message.kind}: {message.status.replace('_', ' ')}{paid}")
            case m.ModelFallback():
                return _warning(f"the model changed from {message.original} to {message.fallback}")
            case m.Compacted():
                before, after = figures.count(message.pre_tokens), figures.count(message.post_tokens)
                return _warning(f"the conversation was summarised: {before} → {after} tokens")
            case m.Notice(tag="hook_no_verdict"):
                return _warning(figures.one_line(message.text))
            case m.UserEcho() if not message.synthetic and not message.subagent:
                return Text(f"> {figures.one_line(message.text, ARGUMENT_CHARS)}", style="bold")
            case m.BackgroundTask() if message.kind == "local_agent" and message.status != "progress":
                what = figures.one_line(message.description or message.summary, ARGUMENT_CHARS)
                return Text(f"  subagent {message.status}: {what}", style="dim")
            case m.Malformed():
                torn = " (cut off)" if message.torn else ""
                return _warning(f"{message.length} bytes at {message.offset} are no event{torn}: {message.reason}")
            case m.Oversize():
                return _warning(f"a line of {message.length} bytes at {message.offset} was not read")
            case _:
                return None

    def _ruled(self, words: list[str], style: str) -> Text:
        shown = " · ".join(figures.one_line(word) for word in words if word)
        return Text(f"{self._rule} {shown} {self._rule}", style=style)

    def _nested(self, line: Text, subagent: str | None) -> Text:
        return Text("    ") + line if subagent else line


def main_argument(given: dict[str, Any]) -> str:
    """
    The argument that says what a tool call is about: the command, the file, the pattern; else its first text.
    """
    texts = {key: value for key, value in given.items() if isinstance(value, str) and value}
    for name in _MAIN_ARGUMENTS:
        if name in texts:
            return figures.one_line(texts[name], ARGUMENT_CHARS)
    return figures.one_line(next(iter(texts.values()), ""), ARGUMENT_CHARS)


def _letter(place: int) -> str:
    return chr(ord("A") + place) if place < 26 else str(place + 1)


def _cut(row: str) -> str:
    return row.rstrip() if len(row) <= RESULT_CHARS else f"{row[: RESULT_CHARS - 1]}…"


def _warning(text: str) -> Text:
    return Text(f"! {text}", style="yellow")
