"""Numbers of trainings: options of the command, settings of a search, their ranges."""

import pytest
from commands import ROOT
from omegaconf import OmegaConf

from lightning_nas.errors import InputError
from lightning_nas.judge.numbers import Numbers, choose_numbers


def test_an_option_is_stronger_than_what_the_search_recorded():
    recorded = {"at_end": True, "architectures": 12, "epochs": 3}
    numbers = choose_numbers(recorded, {"epochs": 5, "seeds": None})
    assert numbers == Numbers(architectures=12, epochs=5)


@pytest.mark.parametrize("recorded", [None, {}])
def test_a_search_without_the_settings_has_the_defaults(recorded):
    assert choose_numbers(recorded, {}) == Numbers()


def test_the_configuration_has_every_number_with_its_default():
    recorded = OmegaConf.to_container(OmegaConf.load(ROOT / "configs" / "search.yaml").judge)
    assert not recorded.pop("at_end")
    assert Numbers(**recorded) == Numbers()
    assert set(recorded) == set(Numbers.__dataclass_fields__)


@pytest.mark.parametrize(
    ("setting", "value", "lowest"),
    [
        ("architectures", 2, 3),
        ("sampled", -1, 0),
        ("seeds", 0, 1),
        ("derived_seeds", 0, 1),
        ("epochs", 0, 1),
        ("epochs", 1.5, 1),
        ("uniform_epochs", -1, 0),
        ("batches", True, 1),
        ("batches", "many", 1),
    ],
)
def test_a_number_out_of_its_range_is_refused(setting, value, lowest):
    expected = f"judge.{setting}\\) must be a whole number of at least {lowest}, got {value!r}"
    with pytest.raises(InputError, match=expected):
        choose_numbers({setting: value}, {})


def test_an_unknown_number_is_refused():
    with pytest.raises(InputError, match="legal are at_end, architectures"):
        choose_numbers({"epoch": 3}, {})


def test_every_training_is_counted():
    assert Numbers(architectures=10, sampled=2, seeds=3, derived_seeds=5).trainings == 41
