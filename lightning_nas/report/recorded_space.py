"""The search space that a run folder names, built without Hydra."""

from collections.abc import Mapping
from pathlib import Path
from pydoc import ErrorDuringImport, locate
from typing import Any

from omegaconf import OmegaConf
from omegaconf.errors import OmegaConfBaseException

from lightning_nas.errors import InputError
from lightning_nas.spaces.base import Space


def build_space(config: Mapping[str, Any], path: Path) -> Space:
    """Build the search space of a configuration in the same way as Hydra.

    Only this function resolves references such as ``${layers}``. Keys that begin with an
    underscore, such as ``_convert_``, are instructions for Hydra, not arguments of the space.

    Args:
        config: Configuration of a run whose class of the space is trusted (``trust.py``).
        path: File of the configuration, for messages.

    Raises:
        InputError: If the space cannot be built.
    """
    try:
        settings: Any = OmegaConf.to_container(OmegaConf.create(dict(config)).space, resolve=True)
        kind: Any = locate(settings["_target_"])
        if not (isinstance(kind, type) and issubclass(kind, Space)):
            raise InputError(f"{path}: its space {settings['_target_']} is no space, or not here")
        space: Space = kind(**{k: v for k, v in settings.items() if not k.startswith("_")})
    except (ErrorDuringImport, OmegaConfBaseException, KeyError, TypeError) as error:
        reason = " ".join(str(error).split())
        raise InputError(f"{path}: its space cannot be built: {reason}") from None
    return space
