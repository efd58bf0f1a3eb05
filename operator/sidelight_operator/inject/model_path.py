"""Where an engine's model is, in the engine's own container: from what the engine is told.

Rules:
1. Only what is certain: a value that a Secret, the image or a script's own doing may change is not
   known, and neither is a file or folder that is named relative to a folder nobody names.
2. A repository of a hub is where the hub's client keeps it: `models--ORG--NAME` in its cache.
3. What is not on the pod's file systems (`s3://`, `hf://`) has no path.
"""

import posixpath
import re
from dataclasses import dataclass

from sidelight_contract.engines import EngineProfile, ModelFiles
from sidelight_contract.weights import WeightsState
from sidelight_operator.inject.detect import Found
from sidelight_operator.inject.environment import Environment
from sidelight_operator.inject.flags import could_hide, given, value_of, values_of
from sidelight_operator.inject.types import Json
from sidelight_operator.inject.word import Word

_REPOSITORY = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*/[A-Za-z0-9][A-Za-z0-9._-]*")
_CACHE_VARIABLES = (("HF_HUB_CACHE", ""), ("HUGGINGFACE_HUB_CACHE", ""), ("HF_HOME", "hub"))
"""Of huggingface_hub, the strongest first, each with the cache's place inside."""
_USUAL_CACHE = "~/.cache/huggingface/hub"
_NOT_OF_HUB = ("VLLM_USE_MODELSCOPE", "SGLANG_USE_MODELSCOPE")
"""With these, repositories come from another hub, which keeps them in another form."""


class NotReadError(Exception):
    """The model's files are not read, for this reason."""

    def __init__(self, state: WeightsState, message: str) -> None:
        super().__init__(message)
        self.state = state
        self.message = message


@dataclass(frozen=True, slots=True)
class ModelPlace:
    """Absolute paths, of which the first that is there is the model, and its revision."""

    paths: tuple[str, ...]
    revision: str = ""


def model_place(found: Found, pod: Json, container: Json) -> ModelPlace:
    """Where the model of the engine in `container` is.

    Raises:
        NotReadError: that is not certain.
    """
    profile = found.profile
    if profile is None or profile.model == ModelFiles() or found.start is None:
        raise _unknown(f"it is not known how {found.type.value} is told where its model is")
    labels = (pod.get("metadata") or {}).get("labels") or {}
    environment = Environment(container, labels)
    users = [
        (one.get("securityContext") or {}).get("runAsUser") for one in (container, pod["spec"])
    ]
    user = next((one for one in users if one is not None), 0)
    return _Reader(found, profile, container, environment, user).place()


class _Reader:
    """Reads one container's arguments and environment."""

    def __init__(
        self,
        found: Found,
        profile: EngineProfile,
        container: Json,
        environment: Environment,
        user: int,
    ) -> None:
        assert found.start is not None
        self._profile = profile
        self._model = profile.model
        self._container = container
        self._environment = environment
        self._user = user
        self._arguments = found.start.arguments
        self._assigned = found.start.invocation.assigned or {}
        self._alone = found.start.alone

    def place(self) -> ModelPlace:
        if not self._alone:
            raise _unknown("the container starts the engine in several places")
        named = self._named()
        if named and "://" not in named and named.startswith("/"):
            return ModelPlace((_path(named),))
        if self._model.store_variable and (not named or "://" in named):
            return ModelPlace(self._store())
        if not named:
            raise _unknown("nothing that the engine is told names its model")
        if "://" in named:
            raise _unknown(f"the model is {named[:100]}, which is no path")
        if self._model.hub and _REPOSITORY.fullmatch(named):
            folder = f"models--{named.replace('/', '--')}"
            paths = tuple(posixpath.join(cache, folder) for cache in self._caches())
            return ModelPlace(paths, self._revision())
        return ModelPlace((self._relative(named),))

    def _named(self) -> str:
        """What names the model; empty: nothing does."""
        model, flags = self._model, self._model.flags
        if hidden := could_hide(self._arguments, flags):
            raise _unknown(f"{hidden} could name another model")
        words = values_of(self._arguments, flags)
        if (first := self._first_word()) is not None:
            words.append(first)
        texts = {_certain(word, "the argument that names the model") for word in words}
        if len(texts) > 1:
            raise _unknown("several arguments name a model")
        if texts:
            return texts.pop()
        return next((text for name in model.variables if (text := self._variable(name))), "")

    def _first_word(self) -> Word | None:
        words = self._arguments
        if words and words[0].text in self._model.before_word:
            words = words[1:]
        if not self._model.first_word or not words or words[0].known_start.startswith("-"):
            return None
        return words[0]

    def _revision(self) -> str:
        word = value_of(self._arguments, self._model.revision_flags)
        if word is not None:
            return _certain(word, "the argument that names the revision")
        variables = self._model.revision_variables
        return next((text for name in variables if (text := self._variable(name))), "")

    def _caches(self) -> tuple[str, ...]:
        for name in _NOT_OF_HUB:
            if self._variable(name):
                raise _unknown(f"{name} has the model come from another hub")
        word = value_of(self._arguments, self._model.cache_flags)
        if word is not None:
            return (_path(_certain(word, "the argument that names the cache")),)
        for name, inside in _CACHE_VARIABLES:
            if text := self._variable(name):
                return (_path(posixpath.join(text, inside)),)
        if flag := given(self._arguments, self._profile.config_flags):
            raise _unknown(f"{flag} may set the cache in a file")
        self._check_usual("HF_HOME")
        image = str(self._container.get("image", ""))
        if self._model.cache_folders:
            if not any(part in image for part in self._profile.images):
                raise _unknown("where this image keeps repositories is not known; set HF_HOME")
            return self._model.cache_folders
        if text := self._variable("XDG_CACHE_HOME"):
            return (_path(posixpath.join(text, "huggingface/hub")),)
        return (self._at_home(_USUAL_CACHE),)

    def _store(self) -> tuple[str, ...]:
        name, folder = self._model.store_variable, self._variable(self._model.store_variable)
        if not folder:
            self._check_usual(name)
            folder = self._at_home(self._model.store_folder)
        return tuple(_path(posixpath.join(folder, inside)) for inside in self._model.store_inside)

    def _check_usual(self, name: str) -> None:
        if self._environment.hidden:
            raise _unknown(f"{name} may come from envFrom; set it in env")

    def _at_home(self, folder: str) -> str:
        if not folder.startswith("~/"):
            return folder
        home = self._variable("HOME")
        if not home and self._user:
            raise _unknown(f"the home of user {self._user} is not known; set HOME in env")
        return _path(posixpath.join(home or "/root", folder[2:]))

    def _relative(self, named: str) -> str:
        folder = str(self._container.get("workingDir") or "")
        if not folder.startswith("/"):
            raise _unknown(f"the model is {named[:100]}, in a folder that the pod does not name")
        return _path(posixpath.join(folder, named))

    def _variable(self, name: str) -> str:
        """A variable's value as the engine has it; empty: nothing in the pod sets it."""
        if name in self._assigned:
            word = self._assigned[name]
            return _certain(word, name) if word is not None else _certain(Word(()), name)
        if name not in self._environment:
            return ""
        text = self._environment.literal(name)
        if text is None:
            raise _unknown(f"{name} comes from elsewhere")
        return text


def _certain(word: Word, what: str) -> str:
    text = word.text
    if not text or any(part.assumed for part in word.parts):
        raise _unknown(f"{what} is not plain text that the pod says")
    return text


def _path(text: str) -> str:
    if not text.startswith("/") or ".." in text.split("/"):
        raise _unknown(f"{text[:100]} is no absolute path")
    return "/" + posixpath.normpath(text).lstrip("/")


def _unknown(why: str) -> NotReadError:
    return NotReadError(WeightsState.PATH_UNKNOWN, why)


def holds(folder: str, path: str) -> bool:
    """Whether a path is a folder or in it."""
    return path == folder or path.startswith(f"{folder.rstrip('/')}/")
