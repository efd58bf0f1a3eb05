"""What the engine tells of itself, asked over its own port: `SidecarState.identity`.

`told` keeps what was told within the contract's bounds; `openai`, `sglang`, `llama_cpp`,
`huggingface`, `ollama`, `inference_protocol` and `nim` know the answers of one family each, `table`
which engine is asked what; `fingerprint` makes digests of a tokenizer and a template. All of these
are pure. `watch` sees when there is something to ask, `reader` asks.
"""
