"""Names of versions. An adapter (LoRA) is a version of its own: `<version of its pods>/<adapter>`.

Neither a label's value nor an image's tag or digest may hold a slash, so a pod's version has none;
an adapter's name may.
"""

MODEL = ""
"""In place of an adapter's name: what is no adapter's."""


def adapter_version(pod_version: str, adapter: str) -> str:
    """The version's name; the pod's own with `MODEL`, or where the pod has none."""
    return f"{pod_version}/{adapter}" if adapter and pod_version else pod_version


def parted(version: str) -> tuple[str, str]:
    """The pod's version and the adapter in a version's name."""
    pod_version, _, adapter = version.partition("/")
    return pod_version, adapter
