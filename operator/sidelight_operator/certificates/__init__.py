"""The webhook's certificates, where no cert-manager makes them.

`plan` is pure: what there is and the time -> the next step. `make` and `read` know X.509. `keep`
does the steps, in the release's own namespace.
"""
