"""What real OTLP backends show of a chat: `python -m benchmarks.otlp`."""
