"""Legal names of operations and combinations. The layers themselves are in ``layers``."""

from collections.abc import Sequence
from dataclasses import dataclass

from lightning_nas.errors import InputError

CELL_OPERATIONS = ("sep_conv_3x3", "sep_conv_5x5", "avg_pool_3x3", "max_pool_3x3", "identity")
MACRO_OPERATIONS = (
    "conv_3x3",
    "sep_conv_3x3",
    "conv_5x5",
    "sep_conv_5x5",
    "avg_pool_3x3",
    "max_pool_3x3",
)
EDGE_OPERATIONS = ("none", "identity", "conv_1x1", "conv_3x3", "avg_pool_3x3")
NASNET_OPERATIONS = (
    "identity",
    "conv_1x3_3x1",
    "conv_1x7_7x1",
    "dil_conv_3x3",
    "avg_pool_3x3",
    "max_pool_3x3",
    "max_pool_5x5",
    "max_pool_7x7",
    "conv_1x1",
    "conv_3x3",
    "sep_conv_3x3",
    "sep_conv_5x5",
    "sep_conv_7x7",
)
COMBINATIONS = ("add", "concat")

# Legal names by rule set: the operations of the papers, then those that `register_name` added.
OPERATION_NAMES: dict[str, list[str]] = {
    "enas": list(CELL_OPERATIONS),
    "nasnet": list(NASNET_OPERATIONS),
    "darts": [*CELL_OPERATIONS, "sep_conv_7x7"],
    "macro": list(MACRO_OPERATIONS),
    "edge": list(EDGE_OPERATIONS),
}


@dataclass(frozen=True)
class CellRules:
    """Operations and combinations that the blocks of a cell may have.

    Args:
        name: Rule set, a key of ``OPERATION_NAMES``.
        combinations: Legal ways to combine the two results of a block.
    """

    name: str
    combinations: tuple[str, ...]

    @property
    def operations(self) -> tuple[str, ...]:
        """Legal names of operations, registered ones last."""
        return tuple(OPERATION_NAMES[self.name])


CELL_RULES = {
    "enas": CellRules("enas", ("add",)),
    "nasnet": CellRules("nasnet", COMBINATIONS),
    "darts": CellRules("darts", ("add",)),
}


def register_name(rules: str, name: str) -> None:
    """Add the name of an operation to a rule set. A name that is there already stays.

    Args:
        rules: Rule set, a key of ``OPERATION_NAMES``.
        name: Name of the operation in files and settings: letters, digits and underscores.

    Raises:
        InputError: If the rule set is unknown or the name has other characters.
    """
    if rules not in OPERATION_NAMES:
        raise InputError(
            f"operations.{rules}: unknown rule set; legal: {', '.join(OPERATION_NAMES)}"
        )
    if not isinstance(name, str) or not name.isidentifier():
        raise InputError(
            f"operations.{rules}: {name!r} is not a name of letters, digits and underscores"
        )
    if name not in OPERATION_NAMES[rules]:
        OPERATION_NAMES[rules].append(name)


def check_names(setting: str, names: Sequence[str], legal: Sequence[str]) -> None:
    """Check the names that a space chooses from.

    Args:
        setting: Setting that holds the names, for the message.
        names: At least one name, each once.
        legal: Legal names.

    Raises:
        InputError: If there are no names, or a name is unknown or given twice.
    """
    if not names or len(set(names)) < len(names) or not set(names) <= set(legal):
        raise InputError(
            f"{setting} must be different names out of {', '.join(legal)}, got {list(names)}"
        )
