"""What capture costs: `python -m benchmarks.capture`."""
