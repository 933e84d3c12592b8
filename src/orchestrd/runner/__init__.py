"""
Processes: the shim that owns one run, and the session that drives it.
"""
