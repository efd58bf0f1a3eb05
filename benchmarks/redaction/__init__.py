"""A labelled corpus for the detectors of `sidelight_sidecar.capture.mask`, and its results.

`python -m benchmarks.redaction > docs/redaction.md`. No value in it is a real person's: numbers are
made, or published specimens.
"""
