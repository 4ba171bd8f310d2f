"""The numbers of the papers and of the released code against the settings of this project.

A line with "S" is from the released code, the others from the paper. ``methods/*.md`` and
``networks/networks.md`` say where this project differs.
"""

import math

import pytest
from hydra import compose, initialize_config_dir
from hydra.utils import instantiate
from omegaconf import OmegaConf

from lightning_nas.run.arguments import CONFIGS, complete_arguments
from lightning_nas.spaces.base import Space

CONTROLLER = "method.controller"
WEIGHTS = "method.supernet"
CHILD = "evaluation.module"
ENAS = {  # S, both searches
    "controller.hidden": 64,
    "controller.temperature": None,
    f"{CONTROLLER}.optimizer.betas": [0.0, 0.999],
    f"{CONTROLLER}.optimizer.eps": 1e-3,
    f"{CONTROLLER}.entropy_weight": 1e-4,
    f"{CONTROLLER}.baseline.decay": 0.99,
    f"{CONTROLLER}.baseline.initial": 0.0,
    f"{WEIGHTS}.optimizer.lr": 0.05,
    f"{WEIGHTS}.optimizer.momentum": 0.9,
    f"{WEIGHTS}.scheduler.T_0": 10,
    f"{WEIGHTS}.scheduler.T_mult": 2,
    f"{WEIGHTS}.scheduler.eta_min": 5e-4,
    "supernet.dropout": 1 - 0.9,
    "supernet.initialization": "he",
    "data.validation": 5000,
    "data.augmentation.pad": 4,
    "data.augmentation.flip": True,
    "data.augmentation.cutout": 0,
}
SEARCHES = {
    "nas_cifar": {
        "method.samples": 12_800,
        "method.batch": 8,
        "method.grow_every": 1600,
        "method.grow_by": 2,
        "space.layers": 6,
        "space.kernels": [1, 3, 5, 7],
        "space.strides": [1, 2, 3],
        "space.filters": [24, 36, 48, 64],
        "controller.hidden": 35,
        "controller.layers": 2,
        "controller.init_range": 0.08,
        f"{CONTROLLER}.optimizer.lr": 0.0006,
        f"{CONTROLLER}.entropy_weight": 0.0,
        "evaluation.epochs": 50,
        "evaluation.best_of_last": 5,
        "evaluation.power": 3.0,
        "evaluation.trainer.gradient_clip_val": None,
        f"{CHILD}.optimizer.lr": 0.1,
        f"{CHILD}.optimizer.momentum": 0.9,
        f"{CHILD}.optimizer.nesterov": True,
        f"{CHILD}.optimizer.weight_decay": 1e-4,
        f"{CHILD}.decay_norms_and_biases": True,  # DenseNet
        "data.batch_size": 64,  # DenseNet
        "data.validation": 5000,
    },
    "nasnet_cifar": {
        "method.samples": 20_000,
        "method.batch": 20,
        "space.blocks": 5,
        "controller.hidden": 100,
        "controller.init_range": 0.1,
        f"{CONTROLLER}.optimizer.lr": 0.00035,
        f"{CONTROLLER}.entropy_weight": 1e-5,
        f"{CONTROLLER}.baseline.decay": 0.95,
        "evaluation.epochs": 20,
        "evaluation.network.cells": 2,
        "evaluation.network.filters": 32,  # S, of the final training
        "evaluation.network.drop_path": 1 - 0.6,  # S, of the final training
        "evaluation.trainer.gradient_clip_val": 5.0,  # S, of the final training
        f"{CHILD}.optimizer.lr": 0.025,  # S, of the final training
        f"{CHILD}.optimizer.momentum": 0.9,
        f"{CHILD}.optimizer.weight_decay": 5e-4,  # S, of the final training
        f"{CHILD}.decay_norms_and_biases": False,  # S
        f"{CHILD}.schedule_interval": "step",
        "data.batch_size": 32,  # S, of the final training
        "data.validation": 5000,
    },
    "enas_micro_cifar": ENAS
    | {
        "trainer.max_epochs": 150,
        "data.batch_size": 160,
        "space.blocks": 5,
        "space.cells": 15 // 3,  # of the final network
        "space.filters": 36,  # of the final network
        "supernet.cells": 6 // 3,
        "supernet.filters": 20,
        "controller.tanh_constant": 1.1,
        "controller.choice_tanh_reduce": 2.5,
        "method.controller_steps": 30,
        f"{CONTROLLER}.samples": 10,
        f"{CONTROLLER}.skip_kl_weight": 0.0,
        f"{CONTROLLER}.optimizer.lr": 0.0035,
        f"{WEIGHTS}.optimizer.weight_decay": 2 * 1e-4,  # twice the factor of TensorFlow's L2 term
        f"{WEIGHTS}.auxiliary_weight": 0.4,
    },
    "enas_macro_cifar": ENAS
    | {
        "trainer.max_epochs": 310,
        "data.batch_size": 128,
        "space.layers": 12,
        "space.filters": 96,  # of the final network
        "supernet.filters": 36,
        "controller.tanh_constant": 1.5,
        "controller.choice_tanh_reduce": 1.0,
        "controller.skip_target": 0.4,
        "method.controller_steps": 50,
        f"{CONTROLLER}.samples": 20,
        f"{CONTROLLER}.skip_kl_weight": 0.8,
        f"{CONTROLLER}.optimizer.lr": 0.001,
        f"{WEIGHTS}.optimizer.weight_decay": 2 * 2.5e-4,
    },
}
ENAS_FINAL = {  # S
    "module.optimizer.lr": 0.05,
    "module.optimizer.momentum": 0.9,
    "module.optimizer.nesterov": True,
    "module.optimizer.weight_decay": 2 * 2e-4,
    "module.decay_norms_and_biases": True,
    "module.schedule_interval": "epoch",
    "module.scheduler.period": 10,
    "module.scheduler.growth": 2,
    "module.scheduler.warmup": 0,
    "module.label_smoothing": 0.0,
    "data.train_on_all": True,
    "data.augmentation.pad": 4,
    "data.augmentation.flip": True,
    "data.augmentation.cutout": 0,
}
IMAGENET = {
    "network.dropout": 0.5,
    "network.auxiliary": True,
    "module.auxiliary_weight": 0.4,
    "module.label_smoothing": 0.1,
    "module.decay_norms_and_biases": False,  # S
    "trainer.gradient_clip_val": 10.0,  # S
    "callbacks.average.decay": 0.9999,
}
RECIPES = {
    "enas_cifar": ENAS_FINAL
    | {
        "trainer.max_epochs": 630,
        "data.batch_size": 144,
        "network.dropout": 1 - 0.8,
        "network.drop_path": 1 - 0.6,
        "network.auxiliary": True,
        "module.auxiliary_weight": 0.4,
        "module.scheduler.lowest": 1e-4,
    },
    "enas_macro_cifar": ENAS_FINAL
    | {
        "trainer.max_epochs": 310,
        "data.batch_size": 100,
        "network.dropout": 1 - 0.5,
        "network.drop_path": 0.0,
        "network.auxiliary": False,
        "module.scheduler.lowest": 1e-3,
    },
    "cifar": {  # S
        "trainer.max_epochs": 600,
        "trainer.gradient_clip_val": 5.0,
        "data.batch_size": 32,
        "data.train_on_all": True,
        "data.augmentation.cutout": 16,
        "network.drop_path": 1 - 0.6,
        "network.dropout": 0.0,
        "network.auxiliary": True,
        "network.norm_momentum": 1 - 0.9,
        "module.auxiliary_weight": 0.4,
        "module.label_smoothing": 0.0,
        "module.decay_norms_and_biases": False,
        "module.schedule_interval": "step",
        "module.optimizer.lr": 0.025,
        "module.optimizer.weight_decay": 5e-4,
        "module.scheduler.lowest": 0.0,
        "module.scheduler.period": None,
    },
    "nas_cifar": {  # DenseNet
        "trainer.max_epochs": 300,
        "trainer.gradient_clip_val": None,
        "data.batch_size": 64,
        "data.augmentation.cutout": 0,
        "module.optimizer.lr": 0.1,
        "module.optimizer.momentum": 0.9,
        "module.optimizer.nesterov": True,
        "module.optimizer.weight_decay": 1e-4,
        "module.scheduler.at": [0.5, 0.75],
        "module.scheduler.factor": 0.1,
        "module.scheduler._target_": "lightning_nas.modules.schedules.steps",
    },
    "imagenet_large": IMAGENET
    | {
        "data.image_size": 331,
        "data.batch_size": 16,  # S
        "network.cells": 18 // 3,
        "network.filters": 168,
        "network.drop_path": 1 - 0.7,  # S
        "module.optimizer.weight_decay": 5e-5,  # S
    },
    "imagenet_mobile": IMAGENET
    | {
        "data.image_size": 224,
        "network.cells": 12 // 3,
        "network.filters": 44,
        "network.drop_path": 1 - 1.0,  # S
        "module.optimizer.weight_decay": 4e-5,  # S
    },
}


def composed(command, *arguments):
    with initialize_config_dir(str(CONFIGS), version_base="1.3"):
        return compose(command, list(arguments))


def differences(cfg, numbers):
    """Return the settings that differ from the numbers."""
    found = {name: OmegaConf.select(cfg, name, default=None) for name in numbers}
    plain = {n: list(v) if OmegaConf.is_list(v) else v for n, v in found.items()}
    return {n: v for n, v in plain.items() if numbers[n] != pytest.approx(v)}


@pytest.mark.parametrize("experiment", SEARCHES)
def test_a_published_search_has_the_numbers_of_its_source(experiment):
    cfg = composed("search", f"experiment={experiment}")
    assert differences(cfg, SEARCHES[experiment]) == {}


@pytest.mark.parametrize("recipe", RECIPES)
def test_a_published_recipe_has_the_numbers_of_its_paper(recipe):
    cfg = composed("train", f"recipe={recipe}")
    assert differences(cfg, RECIPES[recipe]) == {}


@pytest.mark.parametrize(
    ("experiment", "recipe"),
    [
        ("nas_cifar", "nas_cifar"),
        ("nasnet_cifar", "cifar"),
        ("enas_micro_cifar", "enas_cifar"),
        ("enas_macro_cifar", "enas_macro_cifar"),
    ],
)
def test_the_training_that_a_published_search_recommends_is_that_of_its_source(
    experiment, recipe, tmp_path
):
    """The search prints ``python train.py architecture=RUN``."""
    (tmp_path / ".hydra").mkdir()
    OmegaConf.save(composed("search", f"experiment={experiment}"), tmp_path / ".hydra/config.yaml")
    (tmp_path / ".hydra" / "hydra.yaml").write_text(
        "hydra: {runtime: {choices: {data: cifar10}, config_sources: []}, overrides: {task: "
        f"[experiment={experiment}]}}}}\n"
    )
    cfg = composed("train", *complete_arguments([f"architecture={tmp_path}"]))
    assert differences(cfg, RECIPES[recipe]) == {}


def test_evolution_has_the_numbers_of_its_paper():
    cfg = composed("search", "experiment=nasnet_cifar", "method=evolution")
    assert (cfg.method.population, cfg.method.tournament) == (100, 25)
    assert cfg.method.with_replacement


@pytest.mark.parametrize(
    ("experiment", "size"),
    [
        ("nasnet_cifar", math.prod((b + 1) ** 2 * 13**2 * 2 for b in range(1, 6)) ** 2),
        ("enas_macro_cifar", 6**12 * 2 ** (12 * 11 // 2)),
    ],
)
def test_a_published_space_has_the_size_of_its_paper(experiment, size):
    space: Space = instantiate(composed("search", f"experiment={experiment}").space)
    assert space.size == pytest.approx(size)


def test_the_drop_path_steps_of_the_released_nasnet_are_600_epochs_of_all_images():
    cfg = composed("train", "recipe=cifar")
    assert cfg.trainer.max_epochs * 50_000 / cfg.data.batch_size == 937_500
    assert cfg.data.train_on_all
