"""
The mouth of a fake agent: responses of the model, tool calls and their results, and the account of a turn.
"""

import json
import os

from .account import MODEL, added, api_usage, cost_of, model_usage
from .channel import Channel
from .records import new_id


class Turns(Channel):
    """
    Everything that a turn is made of.
    """

    def __init__(self, records):
        super().__init__(records)
        self.joined = []
        """Uuids of the messages that this turn is about."""
        self.spent = {}
        """Usage since the last result."""
        self.count = self.results = self.turns = 0
        self.last = "Done."

    def part(self, name, /, **event):
        self.records.emit({"type": "stream_event", "event": event, "parent_tool_use_id": None, "api_message_id": name})

    def message(self, blocks, usage=None, every=0.0):
        """
        One response of the model: *blocks* are content blocks; a text may be a list of deltas, written *every* seconds.
        """
        self.count += 1
        usage = usage or {"input": 100, "output": 20 + self.count % 7, "cache_read": 1000, "cache_write_5m": 50}
        name = f"msg_{os.urandom(6).hex()}{self.count:06d}"
        calls = [block["id"] for block in blocks if block["type"] == "tool_use"]
        self.open = (name, {**usage, "output": 1})
        costs = {"cost": cost_of(usage), "first": cost_of(self.open[1])}
        self.records.note("message", id=name, model=MODEL, usage=usage, calls=calls, **costs)
        # The lines of a response repeat its usage as it began; only the delta at its end has the final figures.
        head = {"id": name, "type": "message", "role": "assistant", "model": MODEL, "stop_reason": None}
        head["usage"] = api_usage(usage, output=1)
        self.part(name, type="message_start", message={**head, "content": []})
        blocks = [self.block(name, head, index, block, every) for index, block in enumerate(blocks)]
        reason = "tool_use" if calls else "end_turn"
        self.part(name, type="message_delta", delta={"stop_reason": reason}, usage=api_usage(usage))
        self.part(name, type="message_stop")
        final = {"content": blocks, "stop_reason": reason, "usage": api_usage(usage)}
        self.records.write_down("assistant", message={**head, **final})
        self.book(usage)
        self.turns += 1
        self.records.note("told", id=name)

    def block(self, name, head, index, block, every):
        deltas = block.get("text", "") if block["type"] == "text" else json.dumps(block["input"])
        deltas = [deltas] if isinstance(deltas, str) else deltas
        if block["type"] == "text":
            block, kind, key = {**block, "text": "".join(deltas)}, "text_delta", "text"
        else:
            kind, key = "input_json_delta", "partial_json"
        self.part(name, type="content_block_start", index=index, content_block={"type": block["type"]})
        for text in deltas:
            self.part(name, type="content_block_delta", index=index, delta={"type": kind, key: text})
            if every:
                self.wait(seconds=every)
        self.records.emit({"type": "assistant", "message": {**head, "content": [block]}, "parent_tool_use_id": None})
        self.part(name, type="content_block_stop", index=index)
        return block

    def book(self, usage):
        self.spent, self.records.total = added(self.spent, usage), added(self.records.total, usage)
        self.open = None

    def leave(self, call):
        """
        The host's verdict on a call, asked over the hook callback.
        """
        if not self.hooked:
            return {"permissionDecision": "allow"}
        request = new_id()
        about = {"hook_event_name": "PreToolUse", "tool_name": call["name"], "tool_input": call["input"]}
        about |= {"session_id": self.records.session, "cwd": os.getcwd(), "tool_use_id": call["id"]}
        asked = {"subtype": "hook_callback", "callback_id": "pre_tool_use", "input": about, "tool_use_id": call["id"]}
        if call["name"] == "AskUserQuestion":
            texts = [question["question"] for question in call["input"]["questions"]]
            self.records.note("question", request=request, call=call["id"], texts=texts)
        self.pending.add(request)
        self.records.emit({"type": "control_request", "request_id": request, "request": asked})
        self.wait(lambda: request in self.answers)
        answer = self.answers.pop(request)
        verdict = (answer.get("response") or {}).get("hookSpecificOutput") or {}
        if call["name"] == "AskUserQuestion":
            self.records.note("answer", request=request, answers=(verdict.get("updatedInput") or {}).get("answers"))
        return verdict

    def returned(self, call, text, error=False, denied=False):
        result = {"type": "tool_result", "tool_use_id": call, "content": text, **({"is_error": True} if error else {})}
        decision = {"decision": "reject" if denied else "accept", "source": "hook"}
        meta = [{"id": call, "permission_decision": decision}]
        line = {"message": {"role": "user", "content": [result]}, "parent_tool_use_id": None, "tool_result_meta": meta}
        self.records.emit({"type": "user", **line})
        self.records.note("returned", id=call, error=error)
        self.join()

    def join(self):
        """
        Queued messages become part of the turn.
        """
        while self.inbox:
            self.joined.append(self.inbox.pop(0))
            self.records.lifecycle(self.joined[-1], "started")

    def cut(self):
        """
        A response that was broken off is booked as it began.
        """
        if self.open is not None:
            name, usage = self.open
            self.records.note("cut", id=name, usage=usage, cost=cost_of(usage))
            self.book(usage)

    def outcome(self, is_error, reason, errors=()):
        return {
            "type": "result",
            "subtype": "success" if not errors else "error_during_execution",
            "is_error": is_error,
            "terminal_reason": reason,
            "num_turns": self.turns,
            "result": "" if is_error else self.last,
            "errors": list(errors),
            "total_cost_usd": cost_of(self.records.total) / 1e9,
            "modelUsage": model_usage(self.records.total),
            "usage": api_usage(self.spent),
            "model_usage_since_last_result": model_usage(self.spent),
            "permission_denials": [],
            "result_index": self.results,
            "duration_ms": 1,
        }

    def finish(self, result):
        self.records.note("result", spent=self.spent, cost=cost_of(self.spent), is_error=result["is_error"])
        self.records.emit(result)
        self.spent = {}
        self.results += 1
        self.failed = result["is_error"]
        self.records.write_down("cost-state", total=self.records.total)
        for uuid in self.joined:
            self.records.lifecycle(uuid, "completed")
        self.joined = []
        self.busy = False
        self.records.state("idle")
