"""Whether the sidecar's figures and the engine's own agree over the same span of time.

`counts` says of each exchange what an engine may have counted for it, `ledger` adds that up between
samples of the engine's metrics, `compare` holds one span against them, `reconciler` chooses spans.
All of it is pure: time comes with frames and samples.
"""
