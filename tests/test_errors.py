"""Errors of the user: how they are recognised, and their messages."""

import errno
import os

import pytest
from hydra.errors import InstantiationException
from hydra.utils import instantiate
from omegaconf import OmegaConf
from omegaconf.errors import OmegaConfBaseException

from lightning_nas.errors import as_user_error

DIGITS = {"_target_": "lightning_nas.data.digits.Digits", "validation": 0.25}


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        # Python's message does not name the setting
        ({"batch_size": "ten"}, "settings of data: "),
        # messages of the project do
        ({"batch_size": 0}, "data.batch_size must be 1 or more, got 0"),
        ({"batch_size": "???"}, "data.batch_size has no value: data.batch_size=VALUE"),
        ({"batch_sise": 8}, "settings of data: "),
    ],
)
def test_message_names_the_setting_that_a_class_refuses(settings, message):
    cfg = OmegaConf.create({"data": DIGITS | settings})
    with pytest.raises((InstantiationException, OmegaConfBaseException)) as raised:
        instantiate(cfg.data)
    text = str(as_user_error(raised.value))
    assert text.startswith(message)
    assert "\n" not in text


def test_defect_is_not_a_users_error():
    assert as_user_error(KeyError("a defect")) is None


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EROFS, errno.EACCES, errno.ENAMETOOLONG])
def test_an_error_of_the_machine_is_one_line_with_the_path(number):
    text = str(as_user_error(OSError(number, os.strerror(number), "/full/x.ckpt")))
    assert text == f"/full/x.ckpt: {os.strerror(number).lower()}"


def test_a_missing_file_that_the_program_should_have_written_is_a_defect():
    assert as_user_error(FileNotFoundError(errno.ENOENT, "", "x")) is None
