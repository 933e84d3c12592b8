"""
The ear of a fake agent: lines of stdin, and what each of them means to it.
"""

import json
import os
import select
import time

from .account import cost_of, model_usage
from .records import write_all

SILENT = float("inf")


class Interrupted(Exception):
    """
    The turn ends here; the text is its ``terminal_reason``.
    """


class Channel:
    """
    Hears for one process; what it says and writes down goes through *records*.
    """

    def __init__(self, records):
        self.records = records
        self.heard = b""
        self.eof = self.deaf = self.busy = self.hooked = self.interrupted = self.failed = False
        self.open = None
        """Name and first usage of the response that is being written."""
        self.texts = {}
        """Messages taken, by uuid."""
        self.inbox = []
        self.pending, self.answers, self.given = set(), {}, {}

    def wait(self, done=lambda: False, seconds=SILENT, fd=None):
        """
        Hear until *done*, or *fd* is readable (True), or the time is over (False).
        """
        end = time.monotonic() + seconds
        while not done():
            if self.busy and self.interrupted:
                raise Interrupted("aborted_streaming" if self.open else "aborted_tools")
            if self.eof and self.busy and seconds == SILENT and fd is None:
                raise Interrupted("aborted_tools")  # nobody is left to answer
            if self.eof and not self.busy:
                self.end("stdin closed", int(self.failed))
            watched = ([] if self.eof or self.deaf else [0]) + ([] if fd is None else [fd])
            left = None if end == SILENT else max(0.0, end - time.monotonic())
            ready = select.select(watched, [], [], left)[0]
            if 0 in ready:
                self.read()
            if fd in ready:
                return True
            if not ready and left is not None and time.monotonic() >= end:
                return False
        return True

    def read(self):
        data = os.read(0, 65536)
        self.eof = not data
        *lines, self.heard = (self.heard + data).split(b"\n")
        for line in lines:
            if line.strip():
                try:
                    self.hear(json.loads(line))
                except (ValueError, KeyError, TypeError, AttributeError) as error:
                    write_all(2, b"Error parsing streaming input line: %r: %s\n" % (line[:200], repr(error).encode()))
                    self.end("bad line", 1)

    def hear(self, line):
        if line["type"] == "user":
            self.hear_message(line["uuid"], line["message"]["content"])
        elif line["type"] == "control_response":
            about = line["response"]
            request = about["request_id"]
            if request not in self.pending:
                same = self.given.get(request, about) == about
                self.records.note("repeat", what="answer", id=request, same=same)
                return
            self.pending.discard(request)
            self.answers[request] = self.given[request] = about
        elif line["type"] == "control_request":
            self.obey(line["request_id"], line["request"])

    def hear_message(self, uuid, text):
        if uuid in self.texts.keys() | self.records.known:
            self.records.note("repeat", what="message", id=uuid, same=self.texts.get(uuid, text) == text)
            if uuid not in self.texts:
                self.records.lifecycle(uuid, "completed")
            return
        self.texts[uuid] = text
        self.records.note("user", uuid=uuid, text=text[:4000], size=len(text))
        self.records.write_down("user", uuid=uuid, message={"role": "user", "content": text})
        self.inbox.append(uuid)
        self.records.lifecycle(uuid, "queued")

    def respond(self, request, **response):
        about = {"subtype": "success", "request_id": request, "response": response}
        self.records.emit({"type": "control_response", "response": about})

    def obey(self, request, about):
        subtype = about["subtype"]
        if subtype == "initialize":
            self.hooked = bool((about.get("hooks") or {}).get("PreToolUse"))
            self.respond(request, commands=[], models=[], pid=os.getpid(), hook_on_failure_supported=True)
        elif subtype == "interrupt":
            self.interrupted = self.busy
            self.respond(request, still_queued=[])
        elif subtype == "get_usage":
            spent = self.records.total
            # One that does not tell is not asked again: where what is said to it is counted.
            told = {} if os.environ.get("FAKE_RETICENT") else {"model_usage": model_usage(spent)}
            self.respond(request, session={"total_cost_usd": cost_of(spent) / 1e9, **told})
        elif subtype == "end_session":
            self.respond(request)
            self.end("end_session", 0)
        else:
            about = {"subtype": "error", "request_id": request, "error": "Unsupported control request subtype"}
            self.records.emit({"type": "control_response", "response": about})

    def end(self, how, code):
        self.records.write_down("cost-state", total=self.records.total)
        self.records.note("end", how=how, code=code)
        os._exit(code)
