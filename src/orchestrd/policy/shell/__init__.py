"""
What a shell would make of a text: read it (`parser`), expand its words (`expansion`), follow it (`walk`).
"""
