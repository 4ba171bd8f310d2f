"""Which errors are the user's, and what is said of them."""

import pytest
from hydra.errors import InstantiationException
from hydra.utils import instantiate
from omegaconf import OmegaConf
from omegaconf.errors import OmegaConfBaseException

from lightning_nas.errors import as_user_error

DIGITS = {"_target_": "lightning_nas.data.digits.Digits", "validation": 0.25}


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"batch_size": "ten"}, "settings of data: "),  # Python's own words name no setting
        ({"batch_size": 0}, "data.batch_size must be 1 or more, got 0"),  # ours do
        ({"batch_size": "???"}, "data.batch_size has no value: data.batch_size=VALUE"),
        ({"batch_sise": 8}, "settings of data: "),
    ],
)
def test_a_setting_that_a_class_refuses_is_named(settings, said):
    cfg = OmegaConf.create({"data": DIGITS | settings})
    with pytest.raises((InstantiationException, OmegaConfBaseException)) as raised:
        instantiate(cfg.data)
    shown = str(as_user_error(raised.value))
    assert shown.startswith(said)
    assert "\n" not in shown


def test_a_defect_is_not_the_users():
    assert as_user_error(KeyError("a defect")) is None
