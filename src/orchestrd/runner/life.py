"""
What of an agent's messages shows that it, or the model for it, does something.

A message counts for what had to happen before it could be sent.  That includes tries to reach the API, which the CLI itself ends
(ten, two where it is overloaded).  What comes of itself counts for nothing, however often it comes: an echo or an answer of what
*we* said, the state of an account, a line that cannot be read, and that a call is still waited for, which the CLI says every 30 s by
its own timer.  Pings and deltas of nothing are left out before, see `orchestrd.protocol.lines.moves`.  Facts: Claude Code 2.1.330.
"""

from __future__ import annotations

from orchestrd.protocol import messages as m

_IDLE = (m.ControlReply, m.Lifecycle, m.RateLimit, m.StateChanged, m.Malformed)
"""Messages that come without anything being done."""
ANNOUNCED_SECONDS = 3600.0
"""The longest pause before a retry that is believed."""
_HOOKS = frozenset({"hook_started", "hook_response", "attachment"})


class Life:
    """
    The signs of life in one process's messages.
    """

    def __init__(self) -> None:
        self.signs = 0
        """How many there were."""
        self.pause = 0.0
        """Seconds after the last sign for which nothing is to be expected: the API is asked again only then."""
        self.compacts = False
        """True while the conversation is summarised."""
        self._characters = 0

    def note(self, message: m.Message) -> None:
        """
        See what *message* tells.
        """
        if self._shows(message):
            self.signs += 1
            self.pause = min(message.delay_ms / 1000, ANNOUNCED_SECONDS) if isinstance(message, m.ApiRetry) else 0.0
        if isinstance(message, m.StatusChanged):
            self.compacts, self._characters = message.status == "compacting", message.characters
        elif isinstance(message, m.Compacted | m.Result):
            self.compacts = False

    def _shows(self, message: m.Message) -> bool:
        match message:
            case m.ThinkingTokens(more=more):
                return more > 0
            case m.StatusChanged(status="compacting", characters=characters):
                return not self.compacts or characters != self._characters
            case m.StatusChanged(compact_result=done):
                # That a request is made comes of what was told before, and may come again and again.
                return done is not None
            case m.ToolProgress(heartbeat=heartbeat):
                return not heartbeat
            case m.UserEcho(replay=replay):
                return not replay
            case m.Notice(subtype=subtype):
                return subtype in _HOOKS
            case _:
                # Also what this version does not know: a newer CLI may tell of work in words of its own.
                return not isinstance(message, _IDLE)
