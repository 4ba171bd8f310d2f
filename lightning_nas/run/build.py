"""From the configuration of a method to the search. Settings of users are flat: ``method.samples``.

The constructors take groups of settings. One table says which setting belongs to which group.
"""

import copy
import logging
from typing import Any

from hydra.utils import instantiate
from omegaconf import DictConfig, OmegaConf, open_dict

from lightning_nas.data.base import ImageData
from lightning_nas.data.synthetic import Synthetic
from lightning_nas.run.groups import CONFIGS
from lightning_nas.search.alternating import EpochSettings
from lightning_nas.search.base import Search
from lightning_nas.search.finalists import Finalists
from lightning_nas.search.growth import Growth
from lightning_nas.search.sampling import Sampling

log = logging.getLogger(__name__)

# argument of the constructor: (its class, {setting of the configuration: field of the class}); a
# search has the group if its configuration has the first of these settings
GROUPS: dict[str, tuple[type, dict[str, str]]] = {
    "sampling": (
        Sampling,
        {
            "samples": "samples",
            "batch": "batch",
            "control": "random_share",
            "stratify_control": "stratify",
            "budget": "budget",
            "repeat": "repeat",
            "redraws": "redraws",
            "candidates": "candidates",
            "seed": "seed",
        },
    ),
    "epoch": (
        EpochSettings,
        {
            "controller_steps": "controller_steps",
            "controller_batch": "controller_batch",
            "control_steps": "random_steps",
            "calibration_images": "calibration_images",
            "warmup_epochs": "warmup_epochs",
            "same_images": "same_images",
            "seed": "seed",
        },
    ),
    "growth": (Growth, {"grow_every": "every", "grow_by": "by"}),
    "finalists": (
        Finalists,
        {"finalists": "count", "finalist_epochs": "epochs", "finalist_seeds": "seeds"},
    ),
}


def drop_foreign_settings(cfg: DictConfig) -> None:
    """Remove settings of other data from a configuration with generated images (``debug=smoke``).

    An experiment sets its own data, such as ``data.root``; generated images have no such setting.
    """
    if cfg.data.get("_target_") != f"{Synthetic.__module__}.{Synthetic.__qualname__}":
        return
    known = OmegaConf.load(CONFIGS / "data" / "synthetic.yaml")
    foreign = [
        name
        for name in cfg.data
        if name not in (*known, "num_workers") or (cfg.data[name] is None and known[name])
    ]
    with open_dict(cfg.data):
        for name in foreign:
            del cfg.data[name]
    if foreign:
        log.warning("generated images have no data.%s", ", data.".join(map(str, foreign)))


def build_search(cfg: DictConfig, data: ImageData | None, **changes: Any) -> Search:
    """Return the search of a configuration.

    Args:
        cfg: Configuration of the method (``cfg.method``); it stays as it is.
        data: Images to train and validate on; None if the evaluator needs no images.
        changes: Settings, and arguments of the constructor, that replace those of ``cfg``.
    """
    node = copy.deepcopy(cfg)  # a copy keeps its parent, so interpolations still resolve
    node._set_flag(["struct", "readonly", "allow_objects"], [False, False, True])
    for group, (kind, fields) in GROUPS.items():
        first = next(iter(fields))
        if first not in node and first not in changes and not OmegaConf.is_missing(node, first):
            continue
        values = {}
        for setting, field in fields.items():
            if setting in changes:
                node[setting] = changes.pop(setting)
            if setting in node or OmegaConf.is_missing(node, setting):
                values[field] = node.pop(setting)
        node[group] = {"_target_": f"{kind.__module__}.{kind.__qualname__}", **values}
    search: Search = instantiate(node, data=data, **changes)
    return search
