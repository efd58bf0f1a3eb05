"""Fields and types that mean the same in every API, as far as what to do with them goes."""

from collections.abc import Mapping

from sidelight_sidecar.capture.content.read_json import Json

JSON_TEXT = frozenset({"arguments", "partial_json"})
"""JSON within a string: what a tool is called with."""
CALLED_WITH = frozenset({"arguments", "input"})
"""Where an object is what a tool is called with: a client's own words."""
TIMES = frozenset({
    "created", "created_at", "completed_at", "total_duration", "load_duration",
    "prompt_eval_duration", "eval_duration",
})  # fmt: skip
"""Whole numbers that an engine says about an answer; as many digits as a telephone number has."""
FACTS = frozenset({
    "role", "type", "object", "model", "finish_reason", "index", "id", "content", "text", *TIMES,
})  # fmt: skip
"""Fields whose names tell nothing of what is in them."""
MEDIA = frozenset({
    "data", "b64_json", "file_data", "image_data", "audio_data", "video_data", "images",
    "image_url", "result", "encrypted_content", "signature", "embedding", "audio", "image",
})  # fmt: skip
"""Strings that are media, or something else in base64 that nobody reads."""
TOKENS = frozenset({
    "prompt", "input", "inputs", "input_ids", "prompt_token_ids", "token_ids", "tokens", "bytes",
    "output_ids", "context", "prompt_ids", "output_token_ids",
})  # fmt: skip
"""Lists of numbers that are text in another form: tokens' ids, and bytes."""
VECTORS = frozenset({"embedding", "embeddings"})
LOGPROBS = frozenset({
    "logprobs", "top_logprobs", "prompt_logprobs", "completion_probabilities", "probs",
    "top_probs", "output_token_logprobs", "input_token_logprobs", "output_top_logprobs",
    "input_top_logprobs", "top_tokens", "prefill", "tokens", "token_logprobs",
})  # fmt: skip
"""Lists and objects in which the text is said once more, token by token."""
LARGEST_TIME = 10**13
"""Three hours in nanoseconds, or any time in milliseconds."""
TEXTS_OF_PARTS = ("text", "thinking", "refusal", "content", "summary")
"""Where a part of a message has its text."""
DECLARED = ("media_type", "mime_type", "mimeType", "mediaType", "format")
_FORMATS = {"wav": "audio/wav", "mp3": "audio/mpeg", "flac": "audio/flac", "opus": "audio/opus"}


def declared_type(value: Mapping[str, Json]) -> str:
    """The media type that an object says its content has; empty if none."""
    for name in DECLARED:
        said = value.get(name)
        if isinstance(said, str) and said:
            return _FORMATS.get(said, said)
    return ""


def numbers_in(value: list[Json]) -> int:
    """How many numbers a list, or a list of lists, consists of; 0 if it has anything else."""
    if value and all(isinstance(one, list) for one in value):
        counts = [numbers_in(one) for one in value if isinstance(one, list)]
        return sum(counts) if all(counts) else 0
    return len(value) if all(type(one) in (int, float) for one in value) else 0


def text_of_part(value: Json, name: str) -> str | None:
    """The field that holds the text of a part, in a list of that name; None if it is no part."""
    if isinstance(value, dict) and (isinstance(value.get("type"), str) or name == "parts"):
        for field in TEXTS_OF_PARTS:
            if isinstance(value.get(field), str):
                return field
    return None
