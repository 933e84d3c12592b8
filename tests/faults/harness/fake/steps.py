"""
What a script can have a fake agent do: one method a step, see `harness.script`.
"""

import binascii
import os
import signal
import time

from .account import cost_of
from .records import write_all
from .turns import Turns


class Steps(Turns):
    """
    The steps.
    """

    def do_stream(self, count=1, tool="Bash", every=0.0, until=None, **more):
        for number in range(count):
            if until and os.path.exists(f"{os.environ['FAKE_AGENT']}/{until}"):
                return
            if every:
                self.wait(seconds=every)
            self.do_tool(name=tool, input={"command": f"true {number}"} if tool == "Bash" else {}, **more)

    def do_say(self, text="", deltas=None, every=0.0, usage=None):
        self.last = text or "".join(deltas or [])
        self.message([{"type": "text", "text": deltas or text}], usage, every)

    def do_tool(self, name="Bash", input=None, result="ok", error=False, gate=None, text="On it.", usage=None):  # noqa: A002
        call = {"type": "tool_use", "id": f"toolu_{os.urandom(8).hex()}", "name": name, "input": input or {}}
        self.message([{"type": "text", "text": text}, call], usage)
        verdict = self.leave(call)
        if verdict.get("permissionDecision") != "allow":
            reason = verdict.get("permissionDecisionReason", "")
            self.returned(call["id"], f"PreToolUse:{name} hook error: {reason}", error=True, denied=True)
            return
        changed = verdict.get("updatedInput", call["input"])
        if name == "AskUserQuestion":
            answers = changed.get("answers", {})
            result = " ".join(f'"{question}"="{answer}"' for question, answer in answers.items())
            result = f"Your questions have been answered: {result}."
        elif name == "Write":
            os.makedirs(os.path.dirname(changed["file_path"]), exist_ok=True)
            with open(changed["file_path"], "w", encoding="utf-8") as file:
                file.write(changed["content"])
        if gate:
            self.do_gate(gate)
        self.returned(call["id"], result, error=error)

    def do_ask(self, questions):
        self.do_tool("AskUserQuestion", {"questions": questions}, text="I have a question.")

    def do_write(self, path, content):
        self.do_tool("Write", {"file_path": os.path.join(os.getcwd(), path), "content": content}, text="I write.")

    def do_gate(self, name):
        """
        Stay at the test's gate, hearing what is said meanwhile.
        """
        import socket  # here, for it doubles the time to start

        host, port = os.environ["GATE"].split(":")
        with socket.create_connection((host, int(port))) as link:
            link.sendall(f"{name} {os.getpid()}\n".encode())
            self.wait(fd=link.fileno())

    def do_aside(self, usage):
        """
        A request of the CLI's own, or a subagent's end: the stream tells nothing of it, only the account does.
        """
        self.book(usage)
        self.records.note("aside", usage=usage, cost=cost_of(usage))

    def do_pause(self, seconds):
        self.wait(seconds=seconds)

    def do_silent(self):
        self.deaf = True
        while True:
            signal.pause()

    def do_deaf(self):
        """
        Stdin is not read any more.
        """
        self.deaf = True

    def do_hear(self):
        """
        Stdin is read again.
        """
        self.deaf = False

    def do_stubborn(self):
        """
        SIGTERM does nothing any more; that it came can be seen.
        """
        signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGTERM])

    def do_raw(self, data="", size=0, newline=True):
        """
        Bytes as they are: *data* in base 64, and *size* times one letter.
        """
        self.records.torn = not newline
        write_all(1, binascii.a2b_base64(data))
        for done in range(0, size, 1 << 20):
            write_all(1, b"x" * min(1 << 20, size - done))
        if newline:
            write_all(1, b"\n")
            self.records.mend()

    def do_emit(self, line):
        self.records.emit(line)

    def do_complain(self, text):
        write_all(2, text.encode() + b"\n")

    def do_grandchild(self, seconds=3600.0, stubborn=False):
        """
        Leave a process of its own session behind, whose parent is gone.
        """
        read, write = os.pipe()
        if os.fork() == 0:
            os.setsid()
            if os.fork() == 0:
                signal.signal(signal.SIGTERM, signal.SIG_IGN if stubborn else signal.SIG_DFL)
                signal.pthread_sigmask(signal.SIG_UNBLOCK, [signal.SIGTERM])
                write_all(write, b"%d\n" % os.getpid())
                time.sleep(seconds)
            os._exit(0)
        pid = int(os.read(read, 32))
        os.wait()
        self.records.note("grandchild", pid=pid)

    def do_eat(self, pieces, size=8 << 20):
        self.eaten = [os.urandom(1) * size for _ in range(pieces)]

    def do_exit(self, code):
        self.end("script", code)

    def do_die(self, name="SIGKILL"):
        self.records.note("die", signal=name)
        number = getattr(signal, name)
        if number != signal.SIGKILL:
            signal.signal(number, signal.SIG_DFL)
        os.kill(os.getpid(), number)
        signal.pause()
