"""
Sans-IO: bytes in, typed messages out, and messages in, bytes out.  Nothing here reads, waits or knows the time.
"""
