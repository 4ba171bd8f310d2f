"""Reading and writing the arguments of a command in the grammar of Hydra. No torch here."""

import os
import re
import shlex
from collections.abc import Iterable
from itertools import pairwise
from pathlib import Path
from typing import Any

from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.override_parser.types import Quote, QuotedString, Sweep
from hydra.errors import HydraException

from lightning_nas.errors import InputError

CONFIG_FLAGS = ("--config-dir", "-cd")
VALUE_FLAGS = (
    *(*CONFIG_FLAGS, "--config-path", "-cp", "--config-name", "-cn", "--package", "-p"),
    *("--cfg", "-c", "--info", "-i", "--experimental-rerun"),
)
PATHS = (  # settings whose value is a path, or a name for which there is no file
    *("resume", "architecture", "weights", "images", "data.root"),
    *("paths.data", "paths.runs", "hydra.run.dir", "hydra.sweep.dir"),
)
NOTHING = (None, "", "null")  # values of a setting that was not given


def split_arguments(arguments: list[str]) -> tuple[list[str], list[str]]:
    """Divide arguments into flags, such as ``-m`` or ``--config-dir DIR``, and settings."""
    flags: list[str] = []
    settings: list[str] = []
    for before, word in pairwise(["", *arguments]):
        is_flag = word.startswith("-") or before in VALUE_FLAGS
        (flags if is_flag else settings).append(word)
    return flags, settings


def is_complete(arguments: list[str]) -> bool:
    """Return whether the arguments name a folder of configurations, as those of a resume do."""
    return bool({"--config-path", "-cp"} & set(arguments))


def normalise_arguments(arguments: list[str]) -> list[str]:
    """Return the arguments in the order and the form in which Hydra reads them.

    Flags come first. A path that exists is taken as it is, whatever its characters are, and ``~``
    at its start is the home folder.

    Raises:
        InputError: If Hydra cannot read a setting.
    """
    flags, settings = split_arguments(arguments)
    has_sweeps = is_multirun(flags)
    return [*flags, *(normalise_setting(setting, has_sweeps) for setting in settings)]


def normalise_setting(setting: str, has_sweeps: bool = False) -> str:
    """Return a setting in the form in which Hydra reads it.

    Args:
        setting: The setting, ``name=value``.
        has_sweeps: Whether a value may be a list of the values of several runs.

    Raises:
        InputError: If Hydra cannot read the setting.
    """
    name, _, text = setting.partition("=")
    if name == setting and not name.startswith("~"):
        raise InputError(f"{setting}: not a setting; settings are NAME=VALUE")
    is_path = get_name(setting) in PATHS and text not in NOTHING
    home = os.path.expanduser(text)
    if is_path and (os.path.exists(home) or (home != text and not has_sweeps)):
        return make_argument(name, home)
    try:
        value = parse_value(setting)
    except HydraException:
        value = InputError
    several = (list, dict) if has_sweeps else (list, dict, Sweep)
    if value is InputError or (is_path and isinstance(value, several)):
        quoted = quote_for_shell(make_argument(name, text))
        raise InputError(f"{setting}: characters with a meaning for Hydra need quotes: {quoted}")
    if is_path and isinstance(value, int | float):  # such as 1e3, which Hydra reads as 1000.0
        return make_argument(name, text)
    if is_path and isinstance(value, str) and value.startswith("~"):
        return make_argument(name, os.path.expanduser(value))
    return setting


def find_config_folders(arguments: list[str]) -> list[Path]:
    """Return the folders of configurations that the user gives on the command line."""
    folders = [following for word, following in pairwise(arguments) if word in CONFIG_FLAGS]
    folders += [a.partition("=")[2] for a in arguments if a.startswith("--config-dir=")]
    search_path = get_value(arguments, "hydra.searchpath") or ""
    folders += re.findall(r"file://([^,\]\"']+)", search_path)
    return [Path(folder) for folder in folders if folder]


def get_name(argument: str) -> str:
    """Return the name of the setting that an argument changes, group or dotted."""
    return argument.lstrip("+~").split("=")[0]


def get_value(arguments: list[str], name: str) -> str | None:
    """Return the value of the last argument of this name as Hydra reads it; None without any."""
    given = [a for a in arguments if get_name(a) == name and "=" in a]
    if not given:
        return None
    try:
        value = parse_value(given[-1])
    except HydraException:  # Hydra will say what is wrong
        value = None
    return value if isinstance(value, str) else given[-1].partition("=")[2]


def parse_value(setting: str) -> Any:
    """Return the value of a setting as Hydra and OmegaConf read it; references stay as they are.

    Raises:
        HydraException: If Hydra cannot read the setting.
        InputError: If a number has too many digits for Python.
    """
    try:
        value = OverridesParser.create().parse_override(setting).value()
    except ValueError:
        raise InputError(f"{setting}: not a number that Python can read") from None
    return value.replace("\\${", "${") if isinstance(value, str) else value


def parse_settings(settings: Iterable[str]) -> dict[str, Any]:
    """Return the value of each setting by its name.

    Raises:
        InputError: If Hydra cannot read a setting.
    """
    normalised = map(normalise_setting, settings)
    return {get_name(setting): parse_value(setting) for setting in normalised}


def make_argument(name: str, value: str | Path) -> str:
    """Return ``name=value`` so that Hydra reads the value back, whatever its characters are."""
    plain = f"{name}={value}"
    try:
        if parse_value(plain) == str(value) and "${" not in str(value):
            return plain
    except HydraException:
        pass
    text = str(value).replace("${", "\\${")
    return f"{name}={QuotedString(text=text, quote=Quote.single).with_quotes()}"


def quote_for_shell(text: str) -> str:
    """Return text as one word of a shell; double quotes are easier to read around single ones."""
    return shlex.quote(text) if set(text) & set('"$`\\!') else f'"{text}"'


def is_multirun(arguments: list[str]) -> bool:
    """Return whether the arguments ask for several runs."""
    return bool({"-m", "--multirun"} & set(arguments))
