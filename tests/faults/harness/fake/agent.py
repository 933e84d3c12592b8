#!/usr/bin/env -S python3 -I -S
"""
A fake agent: what Claude Code 2.1.330 says and hears on its stream-json channel, and a ledger of what truly happened.

It knows ``--version``, ``auth status`` and ``-p`` with both channels as stream-json: initialize, hook callbacks,
AskUserQuestion, user messages by uuid, interrupt, end_session, ``--session-id`` and ``--resume`` with a transcript.
Repeated answers and messages change nothing, one bad line on stdin ends it, SIGTERM is exit status 143.

``FAKE_AGENT`` names a folder: ``TASK.json`` there (else ``default.json``) is a list of attempts, each a list of steps, see
`harness.script`; the last attempt stands for all later ones.  Whatever it does it writes to ``truth.jsonl`` there, one
whole line at a time, beside and apart from what it tells the daemon.

A response is in the ledger as ``message`` before the first byte of it is written, and as ``told`` after the last: only one
that was told must be in the journal, one that was not may be, when the agent was killed in between.

Standard library only, and little of it: it starts in some 20 ms.
"""

import json
import os
import signal
import sys

if __package__ in (None, ""):
    sys.path.insert(0, os.path.dirname(os.path.dirname(os.path.abspath(__file__))))

from fake.account import MODEL
from fake.channel import Interrupted
from fake.records import Records, write_all
from fake.steps import Steps


class Agent(Steps):
    """
    One process.
    """

    def __init__(self, argv, folder):
        super().__init__(Records(os.environ.get("ORCHESTRD_RUN", "day/task/1"), folder))
        resumes = "--resume" in argv
        session = argv[argv.index("--resume" if resumes else "--session-id") + 1]
        trouble = self.records.open_transcript(session, resumes)
        if trouble and resumes:
            self.records.emit(self.outcome(True, "startup", [trouble]))
        if trouble:
            write_all(2, f"Error: {trouble}\n".encode())
            os._exit(1)
        self.records.note("start", pid=os.getpid(), session=session, resumes=resumes)
        self.steps = script(folder, self.records.run)

    def live(self):
        signal.signal(signal.SIGTERM, lambda *_: self.end("SIGTERM", 143))
        signal.signal(signal.SIGINT, signal.SIG_IGN)
        while True:
            self.wait(lambda: self.inbox)
            self.turn()

    def turn(self):
        self.busy, self.interrupted, self.turns = True, False, 0
        self.records.state("running")
        if not self.records.clean:
            # After a kill the CLI first accounts for nothing, with the totals of earlier processes.
            self.records.clean = True
            self.records.emit(
                {**self.outcome(False, "completed"), "num_turns": 0, "model_usage_since_last_result": None}
            )
        about = {"cwd": os.getcwd(), "tools": ["AskUserQuestion", "Bash", "Edit", "Read", "Write"], "mcp_servers": []}
        version = os.environ.get("FAKE_VERSION", "2.1.330")
        about |= {"model": MODEL, "permissionMode": "default", "claude_code_version": version}
        self.records.emit({"type": "system", "subtype": "init", **about})
        self.join()
        result = {}
        try:
            while self.steps:
                step = dict(self.steps.pop(0))
                do = step.pop("do")
                if do == "result":
                    result = step
                    break
                getattr(self, f"do_{do}")(**step)
            ended = self.outcome(False, "completed")
        except Interrupted as reason:
            self.cut()
            for request in sorted(self.pending):
                self.records.emit({"type": "control_cancel_request", "request_id": request})
            self.pending.clear()
            ended = {**self.outcome(True, str(reason)), "subtype": "error_during_execution"}
        self.finish({**ended, **result})


def script(folder, run):
    """
    The steps of this attempt.
    """
    _, task, attempt = run.split("/")
    path = f"{folder}/{task}.json"
    if not os.path.exists(path):
        path = f"{folder}/default.json"
    with open(path, "rb") as file:
        attempts = json.load(file)
    return list(attempts[min(int(attempt), len(attempts)) - 1])


def main(argv):
    if argv == ["--version"]:
        write_all(1, f"{os.environ.get('FAKE_VERSION', '2.1.330')} (Claude Code)\n".encode())
    elif argv == ["auth", "status"]:
        write_all(1, b'{"loggedIn": true, "authMethod": "api_key"}\n')
    else:
        Agent(argv, os.environ["FAKE_AGENT"]).live()


if __name__ == "__main__":
    main(sys.argv[1:])
