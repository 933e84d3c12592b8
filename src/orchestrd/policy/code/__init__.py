"""
Programs given as text to an interpreter or a database: what they would run, write or change.
"""
