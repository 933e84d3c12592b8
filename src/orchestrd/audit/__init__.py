"""
Is a home whole?  The invariants that hold of every home at every moment, looked at from outside, and what can be mended.

Synchronous and without a daemon: a home is read as it lies there, live, dead or copied.
"""
