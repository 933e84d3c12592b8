"""
The command-line client of orchestrd.
"""
