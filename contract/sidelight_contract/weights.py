"""The weights' digest from files (`spec.version.readWeights`): what injection tells the sidecar,
and why there is a digest or none.

Standard library and msgspec: the sidecar reads it too. `docs/versions.md` has a row for each state.
"""

from enum import StrEnum

import msgspec


class WeightsState(StrEnum):
    """What came of reading the model's files, in one word: metric, summary and status have it."""

    NOT_ASKED = "not_asked"
    """`spec.version.readWeights` is not set, or was not when the pod was made."""

    # known at injection, which then mounts nothing
    PATH_UNKNOWN = "path_unknown"
    """What the engine is told does not say for certain where the model is."""
    NOT_ON_VOLUME = "not_on_volume"
    """The model is on none of the pod's volumes: in the image, or on the container's own disk."""
    VOLUME_LEFT_ALONE = "volume_left_alone"
    """It is on a volume that is never mounted a second time."""
    ATTACHED = "attached"
    """The sidecar came to a running pod, and mounts nothing there."""

    # known to the sidecar
    WAITING = "waiting"
    """The engine has not answered yet."""
    READING = "reading"
    READ = "read"
    """There is a digest."""
    NO_FILES = "no_files"
    """There is no weight file where the model should be."""
    SEVERAL_MODELS = "several_models"
    """Several models, or revisions, are where one should be, and nothing says which is served."""
    NOT_PERMITTED = "not_permitted"
    """A file cannot be read by the sidecar's user (65532)."""
    LINK_LEADS_OUT = "link_leads_out"
    """A file is a link to somewhere outside the volume."""
    TOO_LARGE = "too_large"
    """More files, or more of them to read, than the sidecar reads."""
    TOO_SLOW = "too_slow"
    """Reading took too long and was given up for good."""
    FAILED = "failed"
    """Reading failed in another way; the sidecar's log says how."""


class WeightsPlan(msgspec.Struct, omit_defaults=True):
    """What injection tells the sidecar (`names.WEIGHTS_VARIABLE`, JSON)."""

    paths: list[str] = []
    """Where the model may be, in the sidecar's own container; the first that is there is read.
    Empty: nothing is mounted, and `state` says why."""
    revision: str = ""
    """Of a repository in a Hugging Face cache: the one that is served; empty: `main`."""
    state: str = ""
    """A `WeightsState`, where nothing is mounted."""
    root: str = ""
    """What no link may lead out of; empty: `names.WEIGHTS_DIRECTORY`."""


def decode_plan(text: str) -> WeightsPlan:
    """The plan in a variable; without one, or with one that is none, nothing is read."""
    try:
        return msgspec.json.decode(text, type=WeightsPlan)
    except (msgspec.DecodeError, UnicodeEncodeError):
        return WeightsPlan(state=WeightsState.NOT_ASKED.value)
