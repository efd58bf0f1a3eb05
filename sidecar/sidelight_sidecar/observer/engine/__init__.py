"""What the observer asks the engine itself, off the path: its tokenizer and its queue.

`tokenizers` and `queue` are pure: what to ask and what the answer says. `client` asks, within
limits; `tokenizer` knows one engine's; `worker` decides when.
"""
