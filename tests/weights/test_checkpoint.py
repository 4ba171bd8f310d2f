"""A checkpoint says what it was made for, and is refused elsewhere."""

import pytest
from torch import nn

from lightning_nas.errors import InputError
from lightning_nas.weights.checkpoint import add_facts, check_checkpoint


def checkpoint_of(module, **facts):
    checkpoint = {"state_dict": module.state_dict()}
    add_facts(checkpoint, **facts)
    return checkpoint


def test_its_own_module_takes_it():
    check_checkpoint(checkpoint_of(nn.Linear(2, 3), classes=3), nn.Linear(2, 3), classes=3)


@pytest.mark.parametrize(
    ("module", "classes", "said"),
    [
        (nn.Linear(2, 3), 4, "classes: 3; this run has classes: 4"),
        (nn.Linear(2, 4), 3, r"weight is \[3, 2\] there and \[4, 2\] here"),
        (nn.Linear(2, 3, bias=False), 3, "this run's network has no bias"),
        (nn.Sequential(nn.Linear(2, 3)), 3, "the checkpoint has no 0.bias"),
    ],
)
def test_another_refuses_it_by_name(module, classes, said):
    with pytest.raises(InputError, match=said):
        check_checkpoint(checkpoint_of(nn.Linear(2, 3), classes=3), module, classes=classes)
