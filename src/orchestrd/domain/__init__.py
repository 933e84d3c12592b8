"""
Pure values and decisions: no I/O, no waiting, no clock.
"""
