"""
The commands, one file per noun.  Imports here are light; what a command needs it imports when it runs.
"""
