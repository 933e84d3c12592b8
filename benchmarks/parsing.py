"""
How fast is a stream parsed, beside the Agent SDK, json.loads, and merely splitting lines?

Two seeded corpora in the shape of Claude Code's stream with partial messages: ``lines`` has most *lines* deltas and most
bytes in few long lines (up to 2.4 MB); ``bytes`` has most *bytes* deltas.  CPU time, variants interleaved in one
process, the ratio of each round, the median of the rounds.  Ours must also find what was put in: every tool call and
every output token.  Run: ``python benchmarks/parsing.py [--mb 48] [--rounds 5]``.
"""

from __future__ import annotations

import argparse
import codecs
import json
import random
import statistics
import time
from collections.abc import Callable, Iterator

import msgspec
from claude_agent_sdk._internal.message_parser import parse_message
from claude_agent_sdk._internal.transport.subprocess_cli import _LineFramer, _parse_stdout_line

from orchestrd.protocol.claude import ClaudeStream
from orchestrd.protocol.messages import MessageUsage, ToolCall

CHUNK = 64 * 1024
WORDS = [w for w in (__doc__ or "").split() if w.isalpha()]
SESSION = "52b9ced9-1248-4471-8a73-4e619b24d2fe"


class Corpus(msgspec.Struct):
    name: str
    data: bytes
    tool_calls: int
    output_tokens: int
    delta_lines: float
    delta_bytes: float
    longest: int


def make_corpus(name: str, size: int, seed: int = 7) -> Corpus:
    rng = random.Random(seed)
    out: list[bytes] = []
    deltas = delta_bytes = total = calls = tokens = 0
    blocks, body = (40, 80_000) if name == "lines" else (60, 5_000)

    def uid() -> str:
        h = f"{rng.getrandbits(128):032x}"
        return f"{h[:8]}-{h[8:12]}-{h[12:16]}-{h[16:20]}-{h[20:]}"

    def prose(chars: int) -> str:
        if chars < 80:
            return " ".join(rng.choices(WORDS, k=max(1, chars // 6)))
        rows = [
            f'    {" ".join(rng.choices(WORDS, k=7))} = "{rng.choice(WORDS)}"\n' for _ in range(min(chars // 50, 60))
        ]
        text = "".join(rows) + "# naïve → done — ✓\n"
        return (text * (chars // len(text) + 1))[:chars]

    def put(value: dict[str, object], *, delta: bool = False) -> None:
        nonlocal deltas, delta_bytes, total
        rest = {"session_id": SESSION, "parent_tool_use_id": None, "uuid": uid()}
        line = json.dumps({**value, **rest}, ensure_ascii=False, separators=(",", ":")).encode() + b"\n"
        out.append(line)
        total += len(line)
        deltas += delta
        delta_bytes += len(line) if delta else 0

    def event(kind: str, mid: str, **fields: object) -> None:
        value = {"type": "stream_event", "event": {"type": kind, **fields}, "api_message_id": mid}
        put(value, delta=kind == "content_block_delta")

    while total < size:
        mid, tool = f"msg_{rng.getrandbits(48):012x}", f"toolu_{rng.getrandbits(48):012x}"
        usage = {"input_tokens": 10, "output_tokens": 1, "cache_read_input_tokens": rng.randrange(90_000)}
        head = {"id": mid, "type": "message", "role": "assistant", "model": "claude-opus-5-5", "stop_reason": None}
        put({"type": "system", "subtype": "status", "status": "requesting"})
        event("message_start", mid, message={**head, "content": [], "usage": usage})
        content = prose(40 * blocks)
        for index, piece in enumerate(("text_delta", "input_json_delta")):
            event("content_block_start", mid, index=index, content_block={"type": "text", "text": ""})
            for _ in range(rng.randint(blocks // 2, blocks)):
                event("content_block_delta", mid, index=index, delta={"type": piece, "text": prose(rng.randint(5, 60))})
            event("content_block_stop", mid, index=index)
        put({"type": "assistant", "message": {**head, "content": [{"type": "text", "text": content}], "usage": usage}})
        size_of = 1_200_000 if name == "lines" and calls % 64 == 9 else rng.randint(body // 4, body)
        call = {
            "type": "tool_use",
            "id": tool,
            "name": "Write",
            "input": {"file_path": "/x", "content": prose(size_of)},
        }
        put({"type": "assistant", "message": {**head, "content": [call], "usage": usage}})
        spent = rng.randint(20, 900)
        event("message_delta", mid, delta={"stop_reason": "tool_use"}, usage={**usage, "output_tokens": spent})
        event("message_stop", mid)
        answer = {"type": "tool_result", "tool_use_id": tool, "content": prose(size_of // 20), "is_error": False}
        user = {"type": "user", "message": {"role": "user", "content": [answer]}}
        put({**user, "tool_use_result": {"filePath": "/x", "content": prose(size_of), "stderr": ""}})
        calls += 1
        tokens += spent
    data = b"".join(out)
    return Corpus(name, data, calls, tokens, deltas / len(out), delta_bytes / total, max(map(len, out)))


def chunks(data: bytes, size: int) -> Iterator[bytes]:
    for at in range(0, len(data), size):
        yield data[at : at + size]


def framed(data: bytes, size: int) -> Iterator[bytes]:
    pending = bytearray()
    for chunk in chunks(data, size):
        last = chunk.rfind(b"\n")
        if last < 0:
            pending += chunk
            continue
        yield bytes(pending) + chunk[: last + 1]
        pending[:] = chunk[last + 1 :]


def run_split(data: bytes, size: int = CHUNK) -> int:
    return sum(len(region.split(b"\n")) for region in framed(data, size))


def run_json(data: bytes, size: int = CHUNK) -> int:
    return sum(json.loads(line)["type"] == "user" for region in framed(data, size) for line in region.splitlines())


def run_untyped(data: bytes, size: int = CHUNK) -> int:
    decoder = msgspec.json.Decoder()
    return sum(len(decoder.decode_lines(region)) for region in framed(data, size))


def run_sdk(data: bytes, size: int = CHUNK) -> int:
    framer, decode = _LineFramer(), codecs.getincrementaldecoder("utf-8")().decode
    return sum(
        _parse_stdout_line(line) is not None for chunk in chunks(data, size) for line in framer.push(decode(chunk))
    )


def run_sdk_objects(data: bytes, size: int = CHUNK) -> int:
    framer, decode = _LineFramer(), codecs.getincrementaldecoder("utf-8")().decode
    lines = (line for chunk in chunks(data, size) for line in framer.push(decode(chunk)))
    return sum(parse_message(_parse_stdout_line(line) or {}) is not None for line in lines)


def run_ours(data: bytes, size: int = CHUNK) -> int:
    stream = ClaudeStream()
    return sum(len(stream.feed(chunk)) for chunk in chunks(data, size))


VARIANTS: dict[str, Callable[[bytes], int]] = {
    "framing + bytes.split": run_split,
    "ours": run_ours,
    "msgspec untyped": run_untyped,
    "json.loads": run_json,
    "SDK (framer + parse)": run_sdk,
    "SDK (and objects)": run_sdk_objects,
}


def cpu(run: Callable[[], object]) -> float:
    begin = time.process_time()
    run()
    return time.process_time() - begin


def check(corpus: Corpus) -> None:
    stream = ClaudeStream()
    calls = tokens = 0
    for chunk in chunks(corpus.data, CHUNK):
        for message in stream.feed(chunk):
            calls += isinstance(message, ToolCall)
            tokens += message.usage.output if isinstance(message, MessageUsage) and message.final else 0
    found = (calls, tokens, stream.malformed, stream.unknown, stream.events, stream.consumed)
    truth = (corpus.tool_calls, corpus.output_tokens, 0, {}, corpus.data.count(b"\n"), len(corpus.data))
    if found != truth:
        raise SystemExit(f"wrong: {found} is not {truth}")


def compare(corpus: Corpus, rounds: int) -> None:
    mb = len(corpus.data) / 1e6
    print(
        f"\n{corpus.name}: {mb:.0f} MB, {corpus.data.count(10)} lines, deltas {corpus.delta_lines:.0%} of lines and "
        f"{corpus.delta_bytes:.0%} of bytes, longest {corpus.longest / 1e6:.2f} MB"
    )
    check(corpus)
    times: dict[str, list[float]] = {name: [] for name in VARIANTS}
    for _ in range(rounds):
        for name, run in VARIANTS.items():
            times[name].append(cpu(lambda run=run: run(corpus.data)))
    print(f"  {'variant':24}{'MB/s':>8}{'x SDK':>8}{'x split':>9}")
    for name, spent in times.items():
        against = {
            base: statistics.median(b / a for a, b in zip(spent, times[base], strict=True))
            for base in ("SDK (framer + parse)", "framing + bytes.split")
        }
        sdk, split = against.values()
        print(f"  {name:24}{mb / statistics.median(spent):8.0f}{sdk:8.1f}{split:9.2f}")


def linearity(rounds: int) -> None:
    print("\none long line, ms CPU per MB")

    def line(mb: float) -> bytes:
        return b'{"type":"user","message":{"content":[]},"tool_use_result":"' + b"a" * int(mb * 1e6) + b'"}\n'

    def per_mb(run: Callable[[bytes, int], int], mb: float, size: int) -> float:
        data = line(mb)
        return min(cpu(lambda: run(data, size)) for _ in range(rounds)) * 1e3 / mb

    small, large = (per_mb(run_ours, mb, 4096) for mb in (1, 10))
    print(f"  4 KiB chunks: 1 MB {small:.2f}, 10 MB {large:.2f}, ratio {large / small:.2f} (bar 1.3)")
    ours, sdk = per_mb(run_ours, 1, 1), per_mb(run_sdk, 1, 1)
    print(f"  1-byte chunks: ours {ours:.0f}, SDK {sdk:.0f}, ratio {ours / sdk:.2f} (bar 0.5)")


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").strip().splitlines()[0])
    parser.add_argument("--mb", type=int, default=48, help="size of each corpus")
    parser.add_argument("--rounds", type=int, default=5)
    args = parser.parse_args()
    for name in ("lines", "bytes"):
        compare(make_corpus(name, args.mb * 1_000_000), args.rounds)
    linearity(args.rounds)


if __name__ == "__main__":
    main()
