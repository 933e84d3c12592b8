"""
The daemon's log: events as lines, on whatever stream it is given.
"""

from __future__ import annotations

import sys
from contextlib import suppress
from typing import Any, TextIO, cast

from orchestrd.redaction import BY_LOOKS, Redact

# structlog loads rich where that is installed (typer brings it along), for coloured tracebacks which this log has no use for.
# Without it a daemon is back a fifth sooner.
_modules = cast("dict[str, Any]", sys.modules)
_rich = _modules.get("rich")
_modules["rich"] = None
try:
    import structlog
finally:
    _modules.pop("rich")
    if _rich is not None:
        _modules["rich"] = _rich


def get_logger(name: str) -> Any:
    """
    The log of the module *name*.
    """
    return structlog.get_logger(name)


def configure_logging(level: str, stream: TextIO, redact: Redact = BY_LOOKS) -> None:
    """
    Log events as lines: for people on a terminal, as JSON anywhere else.  No prompt, no environment; what passes all the same, in
    the words of an error, goes through *redact*.
    """
    plain = stream.isatty()
    # A traceback's local variables hold prompts and the agents' environment: places only.
    tracebacks = structlog.tracebacks.ExceptionDictTransformer(show_locals=False)
    console = structlog.dev.ConsoleRenderer(exception_formatter=structlog.dev.plain_traceback)
    structlog.configure(
        processors=[
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            *([] if plain else [structlog.processors.ExceptionRenderer(tracebacks)]),
            console if plain else structlog.processors.JSONRenderer(),
        ],
        wrapper_class=structlog.make_filtering_bound_logger(level),
        logger_factory=structlog.PrintLoggerFactory(cast("TextIO", _Log(stream, redact))),
        cache_logger_on_first_use=True,
    )


class _Log:
    """
    A stream that takes what it can: a log on a full disk must not end what it tells of.
    """

    def __init__(self, stream: TextIO, redact: Redact) -> None:
        self._stream = stream
        self._redact = redact

    def write(self, text: str) -> int:
        """
        Write *text* without secrets, or drop it.
        """
        with suppress(OSError):
            self._stream.write(self._redact(text))
        return len(text)

    def flush(self) -> None:
        """
        Hand over what was written, if it can be.
        """
        with suppress(OSError):
            self._stream.flush()
