"""Config groups on the command line: options that are null, and the files of options. No torch."""

from pathlib import Path

from lightning_nas.errors import InputError, list_some
from lightning_nas.files import read_yaml
from lightning_nas.run.overrides import find_config_folders, get_name, get_value, split_arguments

CLONE, PACKAGE = Path(__file__).parents[2], Path(__file__).parents[1]
# an installed package has them inside (setup.py)
CONFIGS = next(root / "configs" for root in (PACKAGE, CLONE) if (root / "configs").is_dir())
NULL = ("null", "")
# Groups that a command can do without: the argument in place of GROUP=null, which Hydra refuses
WITHOUT = {
    "logger": "logger=none",
    "callbacks": "callbacks=none",
    "recipe": "recipe=[]",
    "debug": None,  # null is their default
    "tuned": None,
}


def replace_null_groups(arguments: list[str]) -> list[str]:
    """Replace ``GROUP=null`` by what Hydra accepts.

    Raises:
        InputError: If the commands need the group.
    """
    replaced: list[str] = []
    for argument in arguments:
        group = get_name(argument)
        is_null = "=" in argument and get_value([argument], group) in NULL
        options = sorted(path.stem for path in (CONFIGS / group).glob("*.yaml"))
        if not is_null or argument.startswith(("-", "+", "~")) or not options:
            replaced.append(argument)
        elif group not in WITHOUT:
            raise InputError(f"{argument}: a run needs one; legal: {list_some(options, 20)}")
        elif WITHOUT[group]:
            replaced.append(str(WITHOUT[group]))
    return replaced


def check_own_configurations(arguments: list[str]) -> None:
    """Check the files of the options that the arguments choose, before Hydra reads them.

    Raises:
        InputError: If a file is damaged. The message names the file and the line.
    """
    folders = [CONFIGS, *find_config_folders(arguments)]
    for argument in split_arguments(arguments)[1]:
        group, option = get_name(argument), get_value([argument], get_name(argument))
        for folder in folders if option else ():
            path = folder / group / f"{option}.yaml"
            if len(path.name) < 256 and path.exists():
                read_yaml(path, has_aliases=True)
