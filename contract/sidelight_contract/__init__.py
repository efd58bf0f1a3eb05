"""The small package that operator and sidecar share: the resource, wire formats and names."""
