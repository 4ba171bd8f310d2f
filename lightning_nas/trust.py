"""Which code a run folder may name: the check of a configuration that a stranger may have written.

Hydra imports and calls whatever stands at ``_target_``. A configuration from a run folder is
therefore checked before anything is built from it. It may name classes of this package, some kinds
of classes of the libraries below, and what the user names on the command line. The page
``docs/security.md`` explains the rule.
"""

import importlib
import re
from collections.abc import Collection, Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

from lightning_nas.errors import InputError
from lightning_nas.files import read_yaml

PACKAGE = "lightning_nas"
# Functions of this package that configurations call. All other targets must be classes.
FUNCTIONS = {
    "lightning_nas.callbacks.wandb_logger.wandb_logger",
    "lightning_nas.modules.schedules.cosine",
    "lightning_nas.modules.schedules.steps",
}
LIBRARY_CLASS = re.compile(  # a list of kinds: other classes of torch start processes, for example
    r"(torch\.optim|torch\.optim\.lr_scheduler|torch\.nn|torchmetrics|torchmetrics\.\w+"
    r"|torchvision\.transforms|torchvision\.transforms\.v2"
    r"|pytorch_lightning|pytorch_lightning\.(callbacks|loggers|strategies|profilers|plugins))"
    r"\.[A-Z]\w*"
)
LIBRARIES = {"torch", "torchmetrics", "torchvision", "pytorch_lightning", "lightning_fabric"}
DOTTED_NAME = re.compile(r"[A-Za-z_]\w*(\.[A-Za-z_]\w*)+")
RESOLVER = re.compile(r"\$\{\s*([^{}:]*):")  # ${NAME:ARGUMENTS}
SAFE_RESOLVERS = {"hydra", "oc.env", "oc.select"}  # others can make a mapping out of text
ADDRESS = "executor.address"
LOCAL_ADDRESSES = {None, "local", "auto"}


def find_named(arguments: Iterable[str], folders: Iterable[str | Path] = ()) -> set[str]:
    """Return the names that the user's own command line and configurations vouch for.

    Args:
        arguments: Arguments of the command, ``name=value``.
        folders: Folders of configurations that the user gave; their sub-folders belong to them.

    Raises:
        InputError: If a configuration is damaged.
    """
    named = set()
    for argument in arguments:
        name, _, value = argument.lstrip("+").partition("=")
        if "_target_" in argument or name.startswith("operations"):
            named |= {match[0] for match in DOTTED_NAME.finditer(value)}
        if name == ADDRESS:
            named.add(name)
    for folder in folders:
        for path in sorted(Path(folder).rglob("*.yaml")):
            values = (value for _, value in _walk(read_yaml(path, has_aliases=True)[1]))
            texts = (value for value in values if isinstance(value, str))
            named |= {text for text in texts if DOTTED_NAME.fullmatch(text)}
    return named


def check_recorded(
    config: Mapping[str, Any],
    source: str | Path,
    named: Collection[str] = (),
    group: str | None = None,
) -> None:
    """Check that a configuration from a run folder names only trusted code.

    Args:
        config: The configuration as mappings and lists; references are not resolved.
        source: File of the configuration, for the message.
        named: Names that the user vouches for, from ``find_named``.
        group: Check only this group of settings and the groups that it refers to.

    Raises:
        InputError: If it names other code, or a reference could build such a name. Nothing has been
            imported for that name.
    """
    for key, value in _walk(config if group is None else _select_with_references(config, group)):
        where, name = f"{source}: {key}", key.rpartition(".")[2]
        is_operation = key.split(".")[0] == "operations" and value is not None
        if name == "_target_" or is_operation:
            check_target(value, where, named)
        elif name == "address" and value not in LOCAL_ADDRESSES and ADDRESS not in named:
            raise InputError(
                f"{where} is {_shorten(value)}, a Ray cluster elsewhere, which could run code "
                f"here; if you trust it: {ADDRESS}={value}"
            )
        elif "._args_." in key:
            raise InputError(f"{where}: a run folder names its arguments")
        elif isinstance(value, str) and "${" in value:
            _check_references(value, where)


def _select_with_references(config: Mapping[str, Any], group: str) -> dict[str, Any]:
    """Return a group and every group whose name occurs in one of its references."""
    groups, waiting = dict[str, Any](), [group]
    while waiting:
        name = waiting.pop()
        groups[name] = config.get(name)
        texts = [value for _, value in _walk(groups[name]) if isinstance(value, str)]
        words = {word for text in texts if "${" in text for word in re.findall(r"\w+", text)}
        waiting += [word for word in words if word in config and word not in groups]
    return groups


def check_target(target: object, where: str, named: Collection[str] = ()) -> None:
    """Raise InputError unless a dotted name is that of trusted code.

    Args:
        target: The dotted name.
        where: Where the name stands, for the message.
        named: Dotted names that the user trusts.
    """
    if not isinstance(target, str) or not (
        target in named or _is_own(target) or _is_of_library(target)
    ):
        raise InputError(
            f"{where} names {_shorten(target)}, which is not a class of {PACKAGE} or of a kind "
            "that a run needs; if you trust it, name it in this command, or give the folder of "
            "your configuration that names it: --config-dir DIR"
        )


def _is_own(target: str) -> bool:
    """Return whether a name is that of a class, or of a listed function, of this package."""
    return target in FUNCTIONS or (
        target.startswith(f"{PACKAGE}.") and _is_class(target, lambda owner, at: owner == at)
    )


def _is_of_library(target: str) -> bool:
    return bool(LIBRARY_CLASS.fullmatch(target)) and _is_class(
        target, lambda owner, _: owner.split(".")[0] in LIBRARIES
    )


def _is_class(target: str, is_legal: Any) -> bool:
    """Return whether a name is a class; ``is_legal`` gets its defining and its given module.

    A module also holds the names that it imports: ``lightning_nas.files.Path`` is Python's class.
    """
    if not DOTTED_NAME.fullmatch(target):
        return False
    module, _, name = target.rpartition(".")
    try:
        found = getattr(importlib.import_module(module), name, None)
    except ImportError:
        return False
    return isinstance(found, type) and bool(is_legal(found.__module__, module))


def _check_references(text: str, where: str) -> None:
    for part in text.split("${")[1:]:
        match = RESOLVER.match("${" + part)
        is_nested = ":" not in part and "}" not in part  # as in ${oc.${name}:...}
        if is_nested or (match and match[1].strip() not in SAFE_RESOLVERS):
            raise InputError(f"{where} is {_shorten(text)}: only references to settings are legal")


def _walk(content: Any, key: str = "") -> Iterator[tuple[str, Any]]:
    """Yield each value that is not a mapping or a list, with its dotted key."""
    if isinstance(content, Mapping):
        for name, value in content.items():
            yield from _walk(value, f"{key}.{name}" if key else str(name))
            if str(name) == "_target_" and isinstance(value, Mapping | list):
                yield f"{key}._target_", value
    elif isinstance(content, list):
        for index, value in enumerate(content):
            yield from _walk(value, f"{key}.{index}" if key else str(index))
    else:
        yield key, content


def _shorten(value: object) -> str:
    text = repr(value)
    return text if len(text) <= 80 else text[:77] + "..."
