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

from lightning_nas import load_architecture
from lightning_nas.search.result import RankedArchitecture, SearchResult
from lightning_nas.storage.trial import POLICY, Outcome, Proposal, Trial

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


@pytest.mark.parametrize("path", SWEEPS, ids=lambda path: path.stem)
def test_a_sweep_has_each_setting_with_all_seeds_and_aims_at_no_single_lucky_reward(path):
    sweep = load_sweep_config(str(path))
    assert sweep["method"] == "grid"
    assert len(sweep["parameters"]["seed"]["values"]) > 1
    trial = Trial(Proposal(0, (), (), 0, POLICY), Outcome(0.3), 0.3, 1)
    best = RankedArchitecture(load_architecture("enas_micro"), trial)
    found = SearchResult((best,), sampled=(0.1, 0.3), uniform=(0.9,), how="").summary()
    assert found[sweep["metric"]["name"]] == pytest.approx(0.2)  # of what the controller sampled
