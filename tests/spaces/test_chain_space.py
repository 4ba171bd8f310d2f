"""The space of NAS: order of decisions, meaning of tokens, errors."""

import pytest

from lightning_nas import load_architecture
from lightning_nas.architecture import ChainLayer
from lightning_nas.errors import InputError
from lightning_nas.spaces.base import Skips
from lightning_nas.spaces.chain import ChainSpace
from lightning_nas.spaces.macro import MacroSpace


def decision_names(space):
    return ["skips" if isinstance(d, Skips) else d.name for d in space.decisions]


def test_decisions_have_the_order_of_the_papers_figure():
    order = decision_names(ChainSpace(layers=2, strides=(1, 2, 3)))
    assert order == 2 * [
        "height", "width", "vertical stride", "horizontal stride", "filters", "skips",
    ]  # fmt: skip
    assert decision_names(ChainSpace(layers=1)) == ["height", "width", "filters", "skips"]


def test_tokens_have_the_meaning_of_the_paper():
    first, second = ChainSpace(layers=2, strides=(1, 2, 3)).decode(
        [0, 3, 1, 2, 0, 2, 1, 0, 0, 3, 1]
    ).layers  # fmt: skip
    assert first == ChainLayer((1, 7), (2, 3), 24, ())
    assert second == ChainLayer((5, 3), (1, 1), 64, (0,))


def test_published_architecture_is_in_the_space():
    space = ChainSpace(layers=15)
    architecture = load_architecture("nas_2017")
    assert space.decode(space.encode(architecture)) == architecture
    assert sum(len(layer.inputs) for layer in architecture.layers) == 51 + 14


def test_size_of_the_space():
    assert ChainSpace(layers=15).size == (4 * 4 * 4) ** 15 * 2 ** (15 * 14 // 2)


@pytest.mark.parametrize(
    "settings",
    [{"kernels": [2]}, {"kernels": []}, {"filters": [0]}, {"layers": 0}, {"pools": [6]},
     {"strides": [1, 1]}, {"repeats": 0}, {"pools": [2, 1]}],
)  # fmt: skip
def test_errors_name_the_bad_setting(settings):
    (name,) = settings
    with pytest.raises(InputError, match=name):
        ChainSpace(**settings)


def test_encode_names_what_is_not_in_the_space():
    narrow = ChainSpace(layers=15, filters=(24, 36))
    with pytest.raises(InputError, match=r"layers\[1\]: filters is 48; legal: \[24, 36\]"):
        narrow.encode(load_architecture("nas_2017"))
    with pytest.raises(InputError, match="15 layers; legal: 6"):
        ChainSpace(layers=6).encode(load_architecture("nas_2017"))
    with pytest.raises(InputError, match="chain architecture is not in"):
        MacroSpace(layers=15).encode(load_architecture("nas_2017"))
