"""Routes of what single engines have of their own: llama.cpp, SGLang, Triton, KServe, and others.

See `routes` for what the tables mean.
"""

import re

from sidelight_sidecar.observer.dialects.base import Dialect
from sidelight_sidecar.observer.dialects.grpc import Grpc
from sidelight_sidecar.observer.dialects.kserve import Generate, Infer
from sidelight_sidecar.observer.dialects.kserve_grpc import ModelInfer, ModelStreamInfer
from sidelight_sidecar.observer.dialects.lamini import Lamini
from sidelight_sidecar.observer.dialects.llamacpp import LlamaCpp
from sidelight_sidecar.observer.dialects.predict import Predict, Qwak
from sidelight_sidecar.observer.dialects.route import Route
from sidelight_sidecar.observer.dialects.sglang import SGLang
from sidelight_sidecar.observer.dialects.takeoff import Takeoff
from sidelight_sidecar.observer.dialects.vllm_tokens import VllmTokens
from sidelight_sidecar.observer.exchange import OTHER

_LLAMACPP = Route("text_completion", LlamaCpp, generating=True, needs_request=True)
_TAKEOFF = Route("generate", Takeoff, generating=True)
_GENERATE = Route("generate", Generate, generating=True)
_INFER = Route("infer", Infer)
_PREDICT = Route("infer", Predict, generating=True, needs_request=True)
_QWAK = Route("infer", Qwak, generating=True, needs_request=True)
_LAMINI = Route(OTHER, Lamini, needs_request=True)
_GRPC = "POST /inference.GRPCInferenceService/"
_V2 = r"POST (?:/[^/]+)?/v2/models/[^/]+(?:/versions/[^/]+)?"

EXACT: dict[str, Route] = {
    "POST /completion": _LLAMACPP,
    "POST /infill": _LLAMACPP,
    "POST /embedding": Route("embeddings", Dialect),
    "POST /image_generate": _TAKEOFF,
    "POST /image_generate_stream": _TAKEOFF,
    "POST /inference/v1/generate": Route("generate", VllmTokens, generating=True),
    "POST /predict": _PREDICT,
    "POST /api/v1/predict": _PREDICT,
    _GRPC + "ModelInfer": Route("infer", ModelInfer),
    _GRPC + "ModelStreamInfer": Route("infer", ModelStreamInfer),
}
PATTERNS: tuple[tuple[re.Pattern[str], Route], ...] = (
    (re.compile(_V2 + "/infer"), _INFER),
    (re.compile(_V2 + "/generate(?:_stream)?"), _GENERATE),
    (re.compile(r"POST /v1/models/[^/:]+:(?:predict|explain)"), _INFER),
    (re.compile(r"POST /v1/[^/]+(?:/[^/]+)?/predict"), _QWAK),
    (re.compile(r"POST /v[1-3]/(?:streaming|batch)_completions"), _LAMINI),
    (re.compile(r"GET /v[1-3]/(?:streaming|batch)_completions/[^/]+/result"), _LAMINI),
    (re.compile(r"POST /inference/[^/]+"), _PREDICT),
    (re.compile(r"POST /[A-Za-z_]\w*(?:\.\w+)+/[A-Z]\w*"), Route(OTHER, Grpc)),
)
SHARED: dict[str, tuple[str, tuple[type[Dialect], ...]]] = {
    "POST /completions": ("text_completion", (LlamaCpp,)),
    "POST /generate": ("generate", (SGLang, Takeoff)),
    "POST /generate_stream": ("generate", (Takeoff,)),
}
