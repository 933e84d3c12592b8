"""
The outside: the control socket and what it serves.
"""
