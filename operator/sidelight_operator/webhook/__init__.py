"""The webhook role: the injection decision, asked by the API server for each new pod."""

PATH = "/inject"
"""Where the API server sends reviews. kopf serves a handler at its id: with any other path it would
admit every pod unchanged and say nothing. The chart's value is compared with this one in a test."""
HANDLER_ID = "inject"
