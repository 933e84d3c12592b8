"""
The daemon that runs a day's tasks as agents.
"""

__version__ = "0.1.0"
"""Read by the build as well: asking the installed package for it would cost every start 20 ms."""
