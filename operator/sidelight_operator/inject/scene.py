"""What a decision rests on, once the engine is found."""

from dataclasses import dataclass

from sidelight_contract.spec import ObservedModelSpec
from sidelight_operator.inject.detect import Found
from sidelight_operator.inject.gpu import NONE_ASKED as NO_GPU
from sidelight_operator.inject.gpu import GpuAccess
from sidelight_operator.inject.types import InjectionSettings, Json, NamespaceFacts
from sidelight_operator.inject.weights import NONE_ASKED, Weights


@dataclass(frozen=True, slots=True)
class Scene:
    """A pod, what is around it, and what it is to be injected for."""

    pod: Json
    container: Json
    """The engine's."""
    found: Found
    namespace: NamespaceFacts
    model: str
    """The ObservedModel's name."""
    settings: InjectionSettings
    spec: ObservedModelSpec
    """The ObservedModel's."""
    weights: Weights = NONE_ASKED
    gpu: GpuAccess = NO_GPU
