"""What Sidelight knows of inference servers: one table, pure data. `docs/engines.md` shows it."""

from dataclasses import dataclass, field

from sidelight_contract.spec import EngineType


@dataclass(frozen=True, slots=True)
class EngineProfile:
    """How to recognise an engine and how its port is set."""

    type: EngineType
    images: tuple[str, ...]
    """Parts of image names that tell it."""
    programs: tuple[str, ...]
    """Words of the command line that tell it, without their folder."""
    default_port: int
    port_flags: tuple[str, ...] = ()
    """Arguments that set the port; the last one given wins, and wins over the environment."""
    port_variables: tuple[str, ...] = ()
    """Environment variables that set the port."""
    address_variables: tuple[str, ...] = field(default=())
    """Environment variables of the form `host:port` or `host`."""
    port_set_by_image: bool = False
    """`default_port` is the image's own setting, and not certain in any other image."""
    entrypoint_takes_arguments: bool = False
    """The image's entrypoint is the server, so that arguments may be given alone."""


PROFILES: tuple[EngineProfile, ...] = (
    EngineProfile(
        type=EngineType.VLLM,
        images=("vllm/vllm-openai", "/vllm-openai", "/vllm-cpu"),
        programs=("vllm", "vllm.entrypoints.openai.api_server"),
        default_port=8000,
        port_flags=("--port",),
        entrypoint_takes_arguments=True,
    ),
    EngineProfile(
        type=EngineType.SGLANG,
        images=("lmsysorg/sglang",),
        programs=("sglang.launch_server", "sglang"),
        default_port=30000,
        port_flags=("--port",),
    ),
    EngineProfile(
        type=EngineType.TGI,
        images=("text-generation-inference",),
        programs=("text-generation-launcher",),
        default_port=80,
        port_flags=("--port", "-p"),
        port_variables=("PORT",),
        port_set_by_image=True,
        entrypoint_takes_arguments=True,
    ),
    EngineProfile(
        type=EngineType.LLAMA_CPP,
        images=("ggml-org/llama.cpp", "ggerganov/llama.cpp", "llama-server"),
        programs=("llama-server",),
        default_port=8080,
        port_flags=("--port",),
        port_variables=("LLAMA_ARG_PORT",),
        entrypoint_takes_arguments=True,
    ),
    EngineProfile(
        type=EngineType.OLLAMA,
        images=("ollama/ollama",),
        programs=("ollama",),
        default_port=11434,
        address_variables=("OLLAMA_HOST",),
    ),
)


def profile_of(engine: EngineType) -> EngineProfile | None:
    """The profile of a type; None for Auto and Generic, which have none."""
    return next((profile for profile in PROFILES if profile.type is engine), None)
