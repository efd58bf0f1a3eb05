"""A model's identity from its files: a program of its own, which reads a little of them and ends.

`python -m sidelight_sidecar.weights` is started by the observer (`observer/weights.py`), so that a
file system that is slow, or that has died, holds up nobody else. Standard library only.

`header` finds where the header of a weight file ends, `safely` opens what is a plain file inside
the volume and nothing else, `layout` finds the model's folder, `listing` says which of its files
count, `digest` makes one digest of them; `__main__` is the program. `docs/versions.md` says what
the digest is made of, to the byte.
"""

SECONDS = 120
"""How long the program may take. Default 120: a cold network file system, beside an engine that
loads its model."""
