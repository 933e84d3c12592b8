"""
Where a fake agent writes: lines on stdout, the ledger of what truly happened, and the transcript that a resume needs.
"""

import json
import os
import time


def compact(value):
    return json.dumps(value, separators=(",", ":"), ensure_ascii=False).encode("utf-8", "surrogatepass") + b"\n"


def write_all(fd, data):
    while data:
        data = data[os.write(fd, data) :]


def new_id():
    text = os.urandom(16).hex()
    return f"{text[:8]}-{text[8:12]}-4{text[13:16]}-a{text[17:20]}-{text[20:]}"


class Records:
    """
    The files of one process: *run* is its name, *folder* that of the ledger.
    """

    def __init__(self, run, folder):
        self.run = run
        append = os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC
        self._ledger = os.open(f"{folder}/truth.jsonl", append, 0o600)
        self._transcript = None
        self.session = ""
        self.known = set()
        """Uuids of the user messages of earlier processes of this conversation."""
        self.clean = True
        """False when the process before this one was killed."""
        self.total = {}
        """Usage of the conversation so far."""
        self.torn = False
        """True while a line is open whose end is still to come: the CLI never writes anything into the midst of one."""
        self._late = []

    def open_transcript(self, session, resumes):
        """
        Take up the conversation; gives what is wrong with it, or None.
        """
        self.session = session
        home = os.environ.get("CLAUDE_CONFIG_DIR") or os.environ.get("HOME", "/nonexistent") + "/.claude"
        folder = f"{home}/projects/{''.join(c if c.isalnum() else '-' for c in os.getcwd())}"
        path = f"{folder}/{session}.jsonl"
        exists = os.path.exists(path)
        if resumes and not exists:
            return f"No conversation found with session ID: {session}"
        if not resumes and exists:
            return f"Session ID {session} is already in use."
        if exists:
            with open(path, "rb") as file:
                for entry in map(json.loads, file):
                    self.clean = entry["type"] == "cost-state"
                    self.total = entry["total"] if self.clean else self.total
                    if entry["type"] == "user":
                        self.known.add(entry.get("uuid"))
        os.makedirs(folder, mode=0o700, exist_ok=True)
        self._transcript = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o600)
        return None

    def note(self, kind, **fields):
        """
        One more truth.
        """
        write_all(self._ledger, compact({"kind": kind, "run": self.run, "at": time.time(), **fields}))

    def write_down(self, kind, **fields):
        """
        One more line of the transcript.
        """
        stamp = time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime()) + f".{time.time_ns() // 1000 % 1000000:06d}+00:00"
        write_all(self._transcript, compact({"type": kind, "sessionId": self.session, "timestamp": stamp, **fields}))

    def emit(self, value):
        """
        One line of stdout.
        """
        if not value["type"].startswith("control_"):
            value = {**value, "session_id": self.session, "uuid": new_id()}
        elif self.torn:
            self._late.append(value)
            return
        write_all(1, compact(value))

    def mend(self):
        """
        The open line has ended.
        """
        self.torn = False
        for value in self._late:
            self.emit(value)
        self._late = []

    def state(self, name):
        if os.environ.get("CLAUDE_CODE_EMIT_SESSION_STATE_EVENTS") == "1":
            self.emit({"type": "system", "subtype": "session_state_changed", "state": name})

    def lifecycle(self, uuid, state):
        self.emit({"type": "command_lifecycle", "command_uuid": uuid, "state": state})
