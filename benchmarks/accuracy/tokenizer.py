"""`tokenizer.py FOLDER`, for AIPerf's own Python: a tokenizer of single bytes.

AIPerf does not start without one; what it counts with is the engine's usage.
"""

from __future__ import annotations

import sys

from tokenizers import Tokenizer, decoders, models, pre_tokenizers
from transformers import PreTrainedTokenizerFast

END = "<end>"
letters = {
    letter: number for number, letter in enumerate(sorted(pre_tokenizers.ByteLevel.alphabet()))
}
tokenizer = Tokenizer(models.BPE(vocab=letters | {END: len(letters)}, merges=[]))
tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
tokenizer.decoder = decoders.ByteLevel()
PreTrainedTokenizerFast(tokenizer_object=tokenizer, eos_token=END, unk_token=END).save_pretrained(
    sys.argv[1]
)
