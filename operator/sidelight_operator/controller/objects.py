"""The ConfigMap that the controller keeps beside each ObservedModel: its sidecars' configuration.

Rules:
1. An object of that name that is not ours is never touched.
2. It goes with its ObservedModel (owner reference); no finalizer is needed.
"""

import hashlib
from collections.abc import Sequence

import msgspec

from sidelight_contract import names
from sidelight_contract.config import SidecarConfig, encode_config
from sidelight_contract.export import ExportSettings
from sidelight_contract.names import Reason
from sidelight_contract.spec import TokenizerUse
from sidelight_operator.controller.capturing import capture_settings, export_settings
from sidelight_operator.controller.gpus import gpu_settings
from sidelight_operator.controller.models import Model
from sidelight_operator.controller.objectives import settings_of
from sidelight_operator.controller.pods import Refusal
from sidelight_operator.kube import Json, KubeClient, KubeError

_REVISION_LENGTH = 12


class NotOursError(Exception):
    """An object with our name belongs to somebody else."""


def sidecar_config(
    model: Model,
    accepted: Sequence[str] = (),
    *,
    allow_full: bool = False,
    ships: bool = True,
    allow_visible_all: bool = False,
) -> SidecarConfig:
    """The configuration of the model's sidecars; its revision is a hash of all but the tokens.

    Args:
        model: whose.
        accepted: hashes of the tokens that they accept.
        allow_full: whether payloads may be recorded as they pass.
        ships: whether these sidecars have what shipping needs: a tap attached to a running pod has
            neither Secrets nor room on disk.
        allow_visible_all: whether they may see every GPU of their node.
    """
    assert model.spec is not None
    engine, slo = model.spec.engine, model.spec.slo
    config = SidecarConfig(
        version=1,
        model=model.name,
        engine=str(engine.type),
        tokenizer="Auto" if engine.tokenizer is TokenizerUse.AUTO else "Never",
        slo=settings_of(slo) if slo else None,
        capture=capture_settings(model, allow_full=allow_full),
        export=export_settings(model) if ships else ExportSettings(),
        gpu=gpu_settings(model.spec.gpu, allow_visible_all=allow_visible_all),
        summary_tokens=list(accepted),
    )
    revision = hashlib.sha256(encode_config(config)).hexdigest()[:_REVISION_LENGTH]
    return msgspec.structs.replace(config, revision=revision)


async def ensure_config(
    kube: KubeClient,
    model: Model,
    accepted: Sequence[str],
    *,
    allow_full: bool = False,
    allow_visible_all: bool = False,
) -> Refusal | None:
    """Make sure that it is there and right; what went wrong, None when nothing did."""
    config = sidecar_config(
        model, accepted, allow_full=allow_full, allow_visible_all=allow_visible_all
    )
    try:
        await _ensure(kube, model, config)
    except NotOursError as error:
        return Refusal(Reason.NAME_TAKEN, str(error))
    except KubeError as error:
        return Refusal(Reason.CONFIG_NOT_WRITTEN, str(error))
    return None


async def _ensure(kube: KubeClient, model: Model, config: SidecarConfig) -> None:
    name = names.config_name(model.name)
    data = {names.CONFIG_KEY: encode_config(config).decode()}
    found = await kube.get_config_map(model.namespace, name)
    if found is None:
        body = {"apiVersion": "v1", "kind": "ConfigMap", **_metadata(model), "data": data}
        await kube.create_config_map(model.namespace, body)
        return
    _check_ours(found, model, "ConfigMap")
    if found.get("data") != data:
        stale = {key: None for key in found.get("data") or {} if key not in data}
        await kube.patch_config_map(model.namespace, name, {"data": {**stale, **data}})


def _metadata(model: Model) -> Json:
    return {
        "metadata": {
            "name": names.config_name(model.name),
            "namespace": model.namespace,
            "labels": {
                names.LABEL_MANAGED_BY: names.MANAGED_BY,
                names.LABEL_MODEL: model.name,
            },
            "ownerReferences": [{**model.reference(), "controller": True}],
        }
    }


def _check_ours(found: Json, model: Model, kind: str) -> None:
    metadata = found["metadata"]
    owners = {owner.get("uid") for owner in metadata.get("ownerReferences") or ()}
    if model.uid not in owners:
        raise NotOursError(
            f"{kind} {metadata['name']} is there already and belongs to no ObservedModel "
            f"{model.name}; it is left alone. Delete or rename it, or rename the ObservedModel"
        )
