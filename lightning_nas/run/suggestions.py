"""Messages on unknown settings and options: the nearest legal name. No torch here."""

from collections.abc import Iterable
from difflib import get_close_matches

from hydra.errors import MissingConfigException
from omegaconf import DictConfig

from lightning_nas.errors import list_some

MOST_NAMES = 20
ALL = "all settings: --cfg job"
SIMILAR = 0.6  # ratio of difflib from which a name is near enough to be meant


def explain_unknown_name(error: BaseException) -> str | None:
    """Return the message on a setting or an option that does not exist; None on other errors.

    Args:
        error: Error of Hydra while it composes the configuration.
    """
    options = getattr(error, "options", None)
    if isinstance(error, MissingConfigException) and options and error.missing_cfg_file:
        return explain_option(error.missing_cfg_file, options)
    cause = error.__cause__
    group = getattr(cause, "parent_node", None)
    if not str(error).startswith("Could not override") or not isinstance(group, DictConfig):
        return None
    return f"{explain_setting(str(getattr(cause, 'full_key', '')), map(str, group))}; {ALL}"


def explain_setting(full_name: str, names: Iterable[str]) -> str:
    """Return the message on an unknown setting.

    Args:
        full_name: Its name, with dots.
        names: Names of the settings in the same group.
    """
    parent, _, name = full_name.rpartition(".")
    prefix = f"{parent}." if parent else ""
    legal = [one for one in names if not one.startswith("_")]
    return f"{full_name}: no such setting; {_advise(name, legal, prefix)}"


def explain_option(path: str, options: Iterable[str]) -> str:
    """Return the message on an unknown option of a group.

    Args:
        path: Group and option: ``data/digitz``.
        options: Names of the options of the group.
    """
    group, _, option = path.rpartition("/")
    return f"{group}={option}: no such option; {_advise(option, list(options), f'{group}=')}"


def find_nearest(name: str, names: Iterable[object]) -> str:
    """Return the name that was probably meant; empty if none is near enough.

    >>> find_nearest("sample", ["samples", "batch"]), find_nearest("x", ["samples"])
    ('samples', '')
    """
    return "".join(get_close_matches(name, map(str, names), n=1, cutoff=SIMILAR))


def _advise(name: str, names: list[str], prefix: str) -> str:
    near = find_nearest(name, names)
    nearest = f"did you mean {prefix}{near}? " if near else ""
    return f"{nearest}legal: {list_some(names, MOST_NAMES)}"
