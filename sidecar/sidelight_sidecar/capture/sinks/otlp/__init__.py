"""Records as OpenTelemetry spans.

    record -> span     (names and values by the GenAI conventions v1.41.1)
           -> content  (messages of the masked bodies, cut to size by `fit`)
           -> dialects (what one backend wants otherwise)
           -> encode   (protobuf)
           -> sink     (batches by bytes, over `http` or `grpc`)

docs/otlp.md has a row for each field and each dialect.
"""
