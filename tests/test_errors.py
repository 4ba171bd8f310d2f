"""Errors of the user: how they are recognised, and their messages."""

import errno
import logging
import os

import pytest
import torch
from hydra.errors import InstantiationException
from hydra.utils import instantiate
from omegaconf import OmegaConf
from omegaconf.errors import OmegaConfBaseException

from lightning_nas.errors import InputError, as_user_error, explain_settings, log_and_continue

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


def test_an_object_of_a_wrong_class_is_named_with_its_settings():
    baseline = {"_target_": "lightning_nas.policy.baseline.MovingAverageBaseline", "decay": 0.5}
    search = {
        "_target_": "lightning_nas.methods.enas.ENAS",
        **dict.fromkeys(("supernet", "controller", "data"), baseline),
    }
    with pytest.raises(InstantiationException) as raised:
        instantiate({"method": search})
    text = str(as_user_error(raised.value))
    assert text.startswith("settings of method: ")
    assert text.endswith("object has no attribute 'space'")


def test_defect_is_not_a_users_error():
    assert as_user_error(KeyError("a defect")) is None


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EROFS, errno.EACCES, errno.ENAMETOOLONG])
def test_an_error_of_the_machine_is_one_line_with_the_path(number):
    text = str(as_user_error(OSError(number, os.strerror(number), "/full/x.ckpt")))
    assert text == f"/full/x.ckpt: {os.strerror(number).lower()}"


class NeedsPackage:
    """Class of a library that is installed without an optional package."""

    error: Exception

    def __init__(self):
        raise self.error


@pytest.mark.parametrize(
    ("error", "message"),
    [
        (ModuleNotFoundError("No module named 'comet'", name="comet"), "pip install comet"),
        (ModuleNotFoundError("`rich` is needed. Install it by pip install rich"), "by pip install"),
    ],
)
def test_a_missing_package_is_named_with_the_command_that_installs_it(error, message):
    NeedsPackage.error = error
    with pytest.raises(InstantiationException) as raised:
        instantiate({"a": {"_target_": f"{__name__}.NeedsPackage"}})
    text = str(as_user_error(raised.value))
    assert text.startswith("settings of a: ")
    assert message in text


def test_a_package_that_the_module_of_a_class_imports_is_named(tmp_path, monkeypatch):
    (tmp_path / "own_logger.py").write_text("import no_such_package.loggers\n")
    monkeypatch.syspath_prepend(tmp_path)
    with pytest.raises(InstantiationException) as raised:
        instantiate({"a": {"_target_": "own_logger.Logger"}})
    assert str(as_user_error(raised.value)) == (
        "settings of a: No module named 'no_such_package'; "
        "to install it: pip install no_such_package"
    )


def test_a_result_that_is_missing_because_of_the_machine_is_one_line(caplog):
    for error in (OSError(errno.ENOSPC, "No space left on device", "/full/x"), KeyError("defect")):
        with log_and_continue("no report"):
            raise error
    full, defect = caplog.records
    assert full.getMessage() == "no report (/full/x: no space left on device)"
    assert (full.levelno, full.exc_info) == (logging.WARNING, None)
    assert (defect.levelno, bool(defect.exc_info)) == (logging.ERROR, True)


def test_a_network_that_does_not_fit_into_memory_is_one_line():
    with pytest.raises(RuntimeError) as raised:
        torch.empty(2**60)
    assert str(as_user_error(raised.value)).startswith("out of memory: choose smaller networks")


def test_an_optimizer_that_refuses_its_settings_is_one_line():
    with (
        pytest.raises(InputError, match=r"^settings of module\.optimizer: Invalid momentum value"),
        explain_settings("module.optimizer"),
    ):
        torch.optim.SGD([torch.zeros(1)], lr=0.1, momentum=-1)


def test_a_missing_file_that_the_program_should_have_written_is_a_defect():
    assert as_user_error(FileNotFoundError(errno.ENOENT, "", "x")) is None
