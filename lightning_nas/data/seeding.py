"""Random generators with seeds of their own; the global random state stays unchanged."""

import hashlib

import torch


def make_generator(*key: object, device: torch.device | str = "cpu") -> torch.Generator:
    """Return a generator whose random numbers depend only on ``key``.

    The key is hashed: ("order", 0, 1) and ("order", 1, 0) give independent numbers, as a sum of
    seeds would not.

    Args:
        key: Purpose, then numbers, such as ("order", seed, epoch).
        device: Device of the generator. CPU and GPU give different numbers.

    >>> numbers = [torch.rand(1, generator=make_generator("order", 0, 1)) for _ in range(2)]
    >>> bool(numbers[0] == numbers[1])
    True
    """
    digest = hashlib.sha256("/".join(map(str, key)).encode()).digest()
    return torch.Generator(device).manual_seed(int.from_bytes(digest[:7], "big"))


def draw_seed(*key: object) -> int:
    """Return a seed in [0, 2**31) that depends only on ``key``, as in ``make_generator``."""
    return int(torch.randint(2**31, (), generator=make_generator(*key)))
