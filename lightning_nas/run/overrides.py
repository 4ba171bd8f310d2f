"""Reading and writing the arguments of a command in the grammar of Hydra. No torch here."""

import re
from itertools import pairwise
from pathlib import Path

from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.override_parser.types import Quote, QuotedString
from hydra.errors import HydraException

CONFIG_FLAGS = ("--config-dir", "-cd")
VALUE_FLAGS = (*CONFIG_FLAGS, "--config-name", "-cn", "--package", "-p", "--cfg", "-c")
PLAIN_VALUE = re.compile(r"[A-Za-z0-9_./-]+")  # needs no quotes in Hydra's grammar


def split_arguments(arguments: list[str]) -> tuple[list[str], list[str]]:
    """Divide arguments into flags, such as ``-m`` or ``--config-dir DIR``, and settings."""
    flags: list[str] = []
    settings: list[str] = []
    for before, word in pairwise(["", *arguments]):
        is_flag = word.startswith("-") or before in VALUE_FLAGS
        (flags if is_flag else settings).append(word)
    return flags, settings


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
        value = OverridesParser.create().parse_override(given[-1]).value()
    except HydraException:  # Hydra will say what is wrong
        value = None
    return value if isinstance(value, str) else given[-1].partition("=")[2]


def make_argument(name: str, value: str | Path) -> str:
    """Return ``name=value`` so that Hydra reads the value back, whatever its characters are."""
    text = str(value)
    if PLAIN_VALUE.fullmatch(text):
        return f"{name}={text}"
    quoted: str = QuotedString(text=text.replace("${", "\\${"), quote=Quote.single).with_quotes()
    return f"{name}={quoted}"


def is_multirun(arguments: list[str]) -> bool:
    """Return whether the arguments ask for several runs."""
    return bool({"-m", "--multirun"} & set(arguments))
