"""The example of a sweep, as W&B's own agent reads it."""

import itertools

import pytest
import yaml
from commands import ROOT, run
from wandb.sdk.launch.sweeps.utils import (
    create_sweep_command,
    create_sweep_command_args,
    load_sweep_config,
)

SWEEPS = sorted((ROOT / "sweeps").glob("*.yaml"))


def command(sweep, place):
    """The words that an agent starts, with the first or the last of each setting's values."""
    chosen = {name: [*legal(given)][place] for name, given in sweep["parameters"].items()}
    given = create_sweep_command_args({"args": {n: {"value": v} for n, v in chosen.items()}})
    known = {**given, "env": [], "interpreter": ["python"], "program": [sweep["program"]]}
    words = create_sweep_command(list(sweep["command"]))
    return chosen, list(itertools.chain(*(known.get(w.strip("${}"), [w]) for w in words)))


def legal(given):
    return given.get("values") or (given["min"], given["max"])


def at(config, name):
    for part in name.split("."):
        config = config[part]
    return config


@pytest.mark.parametrize("path", SWEEPS, ids=lambda path: path.stem)
@pytest.mark.parametrize("place", [0, -1])
def test_a_sweeps_commands_are_accepted_and_set_what_they_say(path, place):
    chosen, (python, script, *arguments) = command(load_sweep_config(str(path)), place)
    assert python == "python"
    status, output, errors = run(script, *arguments, "--cfg", "job")
    assert status == 0, errors
    config = yaml.safe_load(output)
    assert config["name"] == path.stem
    for name, value in chosen.items():
        found = at(config, name)
        assert found == pytest.approx(value)
