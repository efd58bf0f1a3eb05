"""Routes of the APIs that many servers speak: OpenAI's, Anthropic's, Ollama's, TGI's.

See `routes` for what the tables mean. OpenAI's resources are found at the end of a path, since
servers and gateways put them under `/v1`, `/openai/v1` (KServe, Groq), `/api/v1`, `/inference/v1`,
`/openai/deployments/NAME` (Azure) and more. `completions` alone is llama.cpp's own, and `messages`
could be anybody's: these need a version before them.

What generates or embeds nothing is no inference (vLLM's score, rerank, tokenize, ...): no route.
"""

import re

from sidelight_sidecar.observer.dialects.anthropic import Anthropic
from sidelight_sidecar.observer.dialects.base import Dialect
from sidelight_sidecar.observer.dialects.ollama import Ollama
from sidelight_sidecar.observer.dialects.openai import OpenAI
from sidelight_sidecar.observer.dialects.openai_embeddings import OpenAIEmbeddings
from sidelight_sidecar.observer.dialects.openai_responses import Responses
from sidelight_sidecar.observer.dialects.route import Route
from sidelight_sidecar.observer.dialects.tgi import Tgi

_CHAT = Route("chat", OpenAI, generating=True)
_COMPLETIONS = Route("text_completion", OpenAI, generating=True)
_RESPONSES = Route("responses", Responses, generating=True)
_MESSAGES = Route("messages", Anthropic, generating=True)
_EMBEDDINGS = Route("embeddings", OpenAIEmbeddings)
_OLLAMA_EMBED = Route("embeddings", Ollama)

EXACT: dict[str, Route] = {
    "POST /v1/chat/completions": _CHAT,
    "POST /v1/completions": _COMPLETIONS,
    "POST /v1/responses": _RESPONSES,
    "POST /v1/messages": _MESSAGES,
    "POST /v1/embeddings": _EMBEDDINGS,
    "POST /api/chat": Route("chat", Ollama, generating=True),
    "POST /api/generate": Route("generate", Ollama, generating=True),
    "POST /api/embed": _OLLAMA_EMBED,
    "POST /api/embeddings": _OLLAMA_EMBED,
}
_ANYWHERE = r"POST (?:/[^/]+)*?"
_VERSIONED = _ANYWHERE + r"(?:/v[0-9][a-z0-9]*|/openai|/deployments/[^/]+)"
PATTERNS: tuple[tuple[re.Pattern[str], Route], ...] = (
    (re.compile(_ANYWHERE + "/chat/completions"), _CHAT),
    (re.compile(_VERSIONED + "/completions"), _COMPLETIONS),
    (re.compile(_ANYWHERE + "/responses"), _RESPONSES),
    (re.compile(_ANYWHERE + "/v1/messages"), _MESSAGES),
    (re.compile(_ANYWHERE + "/embeddings"), _EMBEDDINGS),
)
SHARED: dict[str, tuple[str, tuple[type[Dialect], ...]]] = {
    "POST /": ("generate", (Tgi,)),
    "POST /generate": ("generate", (Tgi,)),
    "POST /generate_stream": ("generate", (Tgi,)),
    "POST /invocations": ("generate", (OpenAI, Tgi)),  # SageMaker's one path, for any of them
    "POST /completions": ("text_completion", (OpenAI,)),
}
