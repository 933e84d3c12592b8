"""
What a fake agent is told to do, in few words: each function gives one step, see `harness.fake.steps`.
"""

from __future__ import annotations

import base64
from typing import Any

Step = dict[str, Any]


def stream(count: int, *, tool: str = "Bash", every: float = 0.0, until: str | None = None, **more: Any) -> Step:
    """
    *count* responses, each with a tool call that is asked about, run and returned; *every* seconds before each; no more once
    there is a file *until* in the agents' folder.
    """
    return {"do": "stream", "count": count, "tool": tool, "every": every, "until": until, **more}


def eat(pieces: int) -> Step:
    """
    Take and hold so many pieces of 8 MiB.
    """
    return {"do": "eat", "pieces": pieces}


def tool(name: str, *, gate: str | None = None, **more: Any) -> Step:
    """
    One tool call; at *gate* its command waits for the test.  *more*: input, result, error, text, usage.
    """
    return {"do": "tool", "name": name, "gate": gate, **more}


def write(path: str, content: str) -> Step:
    """
    Really write a file of the tree.
    """
    return {"do": "write", "path": path, "content": content}


def say(text: str = "Done.", **more: Any) -> Step:
    """
    One response without a tool call; *deltas*, a list of texts written *every* seconds, in place of *text*.
    """
    return {"do": "say", "text": text, **more}


def ask(*questions: dict[str, Any]) -> Step:
    """
    AskUserQuestion, see `kit.script.question`.
    """
    return {"do": "ask", "questions": list(questions)}


def gate(name: str) -> Step:
    """
    Stay at the test's gate, between two tool calls.
    """
    return {"do": "gate", "name": name}


def aside(**usage: int) -> Step:
    """
    Spend what the stream tells nothing of: a request of the CLI's own.
    """
    return {"do": "aside", "usage": usage}


def pause(seconds: float) -> Step:
    return {"do": "pause", "seconds": seconds}


def result(**fields: Any) -> Step:
    """
    End the turn here; *fields* replace those of the result line.  What follows is for the next user message.
    """
    return {"do": "result", **fields}


def busy() -> Step:
    """
    End the turn as the CLI does when the service is busy: the task is tried again after ``busy_pause``.
    """
    return result(is_error=True, terminal_reason="api_error", api_error_status=529, result="Overloaded")


def emit(**line: Any) -> Step:
    """
    One line of any kind.
    """
    return {"do": "emit", "line": line}


def raw(data: bytes, *, newline: bool = True) -> Step:
    """
    These bytes, whatever they are.
    """
    return {"do": "raw", "data": base64.b64encode(data).decode(), "newline": newline}


def huge(size: int, *, newline: bool = True) -> Step:
    """
    *size* bytes of one letter.
    """
    return {"do": "raw", "size": size, "newline": newline}


def silent() -> Step:
    """
    Never do or hear anything again.
    """
    return {"do": "silent"}


def deaf() -> Step:
    """
    Stop reading stdin, go on otherwise.
    """
    return {"do": "deaf"}


def hear() -> Step:
    """
    Read stdin again.
    """
    return {"do": "hear"}


def stubborn() -> Step:
    """
    Block SIGTERM from now on: it ends nothing, and `kit.processes.told_to_end` sees that it came.
    """
    return {"do": "stubborn"}


def grandchild(seconds: float = 3600.0, *, stubborn: bool = False) -> Step:
    """
    Leave a sleeper of its own session behind whose parent is gone; *stubborn*: it ignores SIGTERM.
    """
    return {"do": "grandchild", "seconds": seconds, "stubborn": stubborn}


def complain(text: str) -> Step:
    """
    A line on stderr.
    """
    return {"do": "complain", "text": text}


def leave(code: int) -> Step:
    """
    Exit with this status, without a result.
    """
    return {"do": "exit", "code": code}


def die(name: str = "SIGKILL") -> Step:
    """
    End by this signal.
    """
    return {"do": "die", "name": name}
