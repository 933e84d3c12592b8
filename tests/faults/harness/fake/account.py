"""
What a response costs, and the spellings of its usage: the API's and the CLI's own.
"""

MODEL = "claude-opus-5-5"
PRICES = {"input": 4000, "output": 20000, "cache_read": 200, "cache_write_5m": 5000, "cache_write_1h": 8000}
"""Nano-USD a token."""
NAMES = {  # ours, the API's, the CLI's
    "input": ("input_tokens", "inputTokens"),
    "output": ("output_tokens", "outputTokens"),
    "cache_read": ("cache_read_input_tokens", "cacheReadInputTokens"),
}


def cost_of(usage):
    return sum(tokens * PRICES[kind] for kind, tokens in usage.items())


def added(a, b):
    return {kind: a.get(kind, 0) + b.get(kind, 0) for kind in PRICES}


def api_usage(usage, **changes):
    usage = {**dict.fromkeys(PRICES, 0), **usage, **changes}
    five, hour = usage["cache_write_5m"], usage["cache_write_1h"]
    return {
        **{api: usage[kind] for kind, (api, _) in NAMES.items()},
        "cache_creation_input_tokens": five + hour,
        "cache_creation": {"ephemeral_5m_input_tokens": five, "ephemeral_1h_input_tokens": hour},
    }


def model_usage(usage):
    usage = {**dict.fromkeys(PRICES, 0), **usage}
    five, hour = usage["cache_write_5m"], usage["cache_write_1h"]
    return {
        MODEL: {
            **{cli: usage[kind] for kind, (_, cli) in NAMES.items()},
            "cacheCreationInputTokens": five + hour,
            "cacheCreationEphemeral5mInputTokens": five,
            "cacheCreationEphemeral1hInputTokens": hour,
            "webSearchRequests": 0,
            "costUSD": cost_of(usage) / 1e9,
        }
    }
