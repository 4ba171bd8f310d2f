"""NAS, NASNet and ENAS in PyTorch Lightning.

The public functions are ``load_architecture`` and ``build_network``.
"""

from typing import TYPE_CHECKING, Any

from lightning_nas.published import load_architecture

if TYPE_CHECKING:
    from lightning_nas.networks.build import build_network

__all__ = ["build_network", "load_architecture"]


def __getattr__(name: str) -> Any:
    if name == "build_network":  # imported on first use: it needs torch, architectures do not
        from lightning_nas.networks.build import build_network

        return build_network
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
