"""Live attach: a pod that serves already is observed by an ephemeral container in mode Tap.

`taps` reads what a pod's own object says of its tap, `decision` whether a pod may have one, `plan`
which pod is next: pure. `add` adds the container.
"""
