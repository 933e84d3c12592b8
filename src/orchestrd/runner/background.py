"""
What an agent has under way beside its conversation: subagents, and commands that it did not wait for.
"""

from __future__ import annotations

from orchestrd.protocol import messages as m

ENDS = frozenset({"completed", "failed", "killed", "stopped"})
"""Of work in the background."""
WAKE_SECONDS = 5.0
"""How long an agent whose background work has just ended may take to begin the turn about it."""
DELEGATED_SECONDS = 0.5
"""The same for one that had background work before, of which an end may have come while it was busy."""


class Background:
    """
    The work in the background of one process, as its stream tells of it.

    Where it gives no lists of what is alive (Claude Code 2.1.197), that is what has begun, has not ended, and is not waited for
    any more: the call that began it has returned.
    """

    def __init__(self) -> None:
        self.tasks: frozenset[str] = frozenset()
        self.delegates: frozenset[str] = frozenset()
        """What of it has no processes of its own: subagents."""
        self.waking = False
        """True when work has ended beside an idle agent, which has not begun its turn about that yet."""
        self._told = False
        self._calls: dict[str, str] = {}
        """Subagents at work: their task → the call that began them."""
        self._listed = False
        self._begun: dict[str, m.BackgroundTask] = {}
        """Work that has not ended, in the foreground too, of an agent that gives no lists."""

    @property
    def patience(self) -> float:
        """
        Seconds of silence after which no turn about it is to be expected any more.
        """
        if self.waking:
            return WAKE_SECONDS
        return DELEGATED_SECONDS if self._told else 0.0

    def began(self, call: str) -> bool:
        """
        True when the tool *call* began a subagent that is still at work here, though the call has returned.
        """
        return call in self._calls.values()

    def listed(self, message: m.BackgroundTasks, *, idle: bool) -> list[str]:
        """
        Take the list of what is alive now, told by an agent that is *idle* or not; the calls whose subagents have ended.
        """
        tasks = frozenset(message.ids)
        ended = self.tasks - tasks
        self.tasks, self.delegates = tasks, tasks - frozenset(message.commands)
        self._told = self._listed = True
        self._begun.clear()
        self.waking = self.waking or (bool(ended) and idle)
        return [call for task in ended if (call := self._calls.pop(task, ""))]

    def returned(self, call: str) -> None:
        """
        Take that the tool *call* has returned: what it began and has not ended goes on without it.
        """
        for task, begun in self._begun.items():
            if begun.tool_use_id == call:
                self.tasks |= {task}
                self._told = True
                if begun.kind == "local_agent":
                    self.delegates |= {task}
                    self._calls[task] = call

    def told(self, message: m.BackgroundTask, *, idle: bool) -> str:
        """
        Take what is told of one piece of work by an agent that is *idle* or not; the call whose subagent has ended, or nothing.
        """
        task = message.task_id
        if message.status == "started":
            if not self._listed:
                self._begun[task] = message
            elif message.kind == "local_agent" and task in self.tasks:
                self._calls[task] = message.tool_use_id
        elif message.status in ENDS:
            if self._begun.pop(task, None) is not None and task in self.tasks:
                self.tasks, self.delegates = self.tasks - {task}, self.delegates - {task}
                self.waking = self.waking or idle
            return self._calls.pop(task, "")
        return ""
