"""The observer: everything clever, off the path.

frames -> flows -> HTTP -> dialect -> Exchange -> metrics and tallies. All of that is pure: it is
fed with frames, which carry their own time, so a recorded file gives the same numbers every time.
Only `app.py` and what it starts do I/O.
"""
