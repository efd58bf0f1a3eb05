"""The ConfigMap and the Secret that the controller keeps beside each ObservedModel.

Rules:
1. An object of that name that is not ours is never touched.
2. The token is made once, and is never in a log, an Event or a status.
3. Both go with their ObservedModel (owner reference); no finalizer is needed.
"""

import base64
import binascii
import hashlib
import secrets

import msgspec

from sidelight_contract import names
from sidelight_contract.config import SidecarConfig, encode_config
from sidelight_contract.names import Reason
from sidelight_contract.spec import TokenizerUse
from sidelight_operator.controller.models import Model
from sidelight_operator.controller.pods import Refusal
from sidelight_operator.kube import Json, KubeClient, KubeError

TOKEN_BYTES = 32
_REVISION_LENGTH = 12


class NotOursError(Exception):
    """An object with our name belongs to somebody else."""


def sidecar_config(model: Model) -> SidecarConfig:
    """The configuration of the model's sidecars; its revision is a hash of the rest."""
    assert model.spec is not None
    engine = model.spec.engine
    config = SidecarConfig(
        version=1,
        model=model.name,
        engine=str(engine.type),
        tokenizer="Auto" if engine.tokenizer is TokenizerUse.AUTO else "Never",
    )
    revision = hashlib.sha256(encode_config(config)).hexdigest()[:_REVISION_LENGTH]
    return msgspec.structs.replace(config, revision=revision)


async def ensure_objects(kube: KubeClient, model: Model) -> tuple[str | None, Refusal | None]:
    """Make sure that both are there and right.

    Returns:
        The token, None when there is none to be had; and what went wrong, None when nothing did.
    """
    token, problem = None, None
    try:
        token = await _ensure_token(kube, model)
    except (KubeError, NotOursError) as error:
        problem = _problem(error)
    try:
        await _ensure_config(kube, model)
    except (KubeError, NotOursError) as error:
        problem = problem or _problem(error)
    return token, problem


async def _ensure_config(kube: KubeClient, model: Model) -> None:
    name = names.config_name(model.name)
    data = {names.CONFIG_KEY: encode_config(sidecar_config(model)).decode()}
    found = await kube.get_config_map(model.namespace, name)
    if found is None:
        body = {"apiVersion": "v1", "kind": "ConfigMap", **_metadata(model), "data": data}
        await kube.create_config_map(model.namespace, body)
        return
    _check_ours(found, model, "ConfigMap")
    if found.get("data") != data:
        stale = {key: None for key in found.get("data") or {} if key not in data}
        await kube.patch_config_map(model.namespace, name, {"data": {**stale, **data}})


async def _ensure_token(kube: KubeClient, model: Model) -> str:
    name = names.config_name(model.name)
    found = await kube.get_secret(model.namespace, name)
    if found is None:
        token = secrets.token_urlsafe(TOKEN_BYTES)
        body = {
            "apiVersion": "v1",
            "kind": "Secret",
            **_metadata(model),
            "type": "Opaque",
            "stringData": {names.TOKEN_KEY: token},
        }
        await kube.create_secret(model.namespace, body)
        return token
    _check_ours(found, model, "Secret")
    try:
        return base64.b64decode((found.get("data") or {})[names.TOKEN_KEY]).decode("ascii")
    except (KeyError, binascii.Error, UnicodeDecodeError):
        raise NotOursError(
            f"Secret {name} has no usable key {names.TOKEN_KEY!r}; delete it, and a new one is "
            "made within a round"
        ) from None


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


def _problem(error: Exception) -> Refusal:
    reason = Reason.NAME_TAKEN if isinstance(error, NotOursError) else Reason.CONFIG_NOT_WRITTEN
    return Refusal(reason, str(error))
