"""The sidecar's metrics to an OTLP backend.

    snapshot -> convert (protobuf, cumulative)
             -> sender  (requests by bytes, over the transports of `otlp`)

docs/otlp.md says what becomes of each metric.
"""
