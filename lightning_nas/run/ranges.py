"""Types and ranges of settings: one table for both commands. Classes check what depends on others.

A setting that a configuration does not have is legal. A name with a question mark may be null.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import Annotated, Any, Literal

from pydantic import Field, TypeAdapter

BILLION = 10**9  # larger sizes overflow in libraries
Whole = Annotated[int, Field(ge=1, le=BILLION)]
Count = Annotated[int, Field(ge=0, le=BILLION)]
Number = Annotated[float, Field(allow_inf_nan=False)]
Positive = Annotated[Number, Field(gt=0)]
NotNegative = Annotated[Number, Field(ge=0)]
Share = Annotated[Number, Field(ge=0, le=1)]
Fraction = Annotated[Number, Field(ge=0, lt=1)]
Names = Annotated[list[str], Field(min_length=1)]


@dataclass(frozen=True)
class Range:
    """Legal values of a setting.

    Args:
        kind: Type with its range, for pydantic.
        words: The same for a message.
    """

    kind: Any
    words: str

    @cached_property
    def _validator(self) -> TypeAdapter[Any]:
        return TypeAdapter(self.kind)

    def accepts(self, value: object, is_nullable: bool) -> bool:
        """Return whether a value is legal; a whole number counts as a number, but not as a text."""
        if value is None:
            return is_nullable
        try:
            self._validator.validate_python(value, strict=True)
        except ValueError:
            return False
        return True


SEED = Range(Annotated[int, Field(ge=0, lt=2**32)], f"a whole number from 0 to {2**32 - 1}")
PROCESSES = Range(Annotated[int, Field(ge=0, le=1024)], "a whole number from 0 to 1024")
THREADS = Range(Annotated[int, Field(ge=1, le=1024)], "a whole number from 1 to 1024")
LIMIT = Range(Whole | Literal[-1], "a whole number of at least 1, or -1 for no limit")
WHOLE = Range(Whole, "a whole number from 1 to 10^9")
AT_LEAST_3 = Range(Annotated[int, Field(ge=3, le=BILLION)], "a whole number from 3 to 10^9")
COUNT = Range(Count, "a whole number from 0 to 10^9")
INTEGER = Range(Annotated[int, Field(ge=-BILLION, le=BILLION)], "a whole number")
SWITCH = Range(bool, "true or false")
NUMBER = Range(Number, "a finite number")
POSITIVE = Range(Positive, "a number above 0")
NOT_NEGATIVE = Range(NotNegative, "a number of at least 0")
SHARE = Range(Share, "a number from 0 to 1")
FRACTION = Range(Fraction, "a number of at least 0 and below 1")
CROP = Range(Annotated[Positive, Field(le=1)], "a number above 0 and at most 1")
BATCHES = Range(Positive, "a number above 0: a number of batches, or a share below 1.0")
PRECISION = Range(
    Literal[
        *("16-true", "16-mixed", "bf16-true", "bf16-mixed", "32-true", "64-true"),
        *("transformer-engine", "transformer-engine-float16", "16", "32", "64", "bf16", 16, 32, 64),
    ],
    "a precision of Lightning's Trainer, such as 32-true, 16-mixed or bf16-mixed",
)
ACCELERATOR = Range(
    Literal["auto", "cpu", "gpu", "cuda", "mps", "tpu"], "auto, cpu, gpu, cuda, mps or tpu"
)
PIXELS = Range(list[Number], "a list with a number for each channel")
SPREAD = Range(list[Positive], "a list with a number above 0 for each channel")
EPOCHS = Range(list[Whole], "a list of whole numbers from 1 to 10^9")
SIZES = Range(Whole | Annotated[list[Whole], Field(min_length=1)], "whole numbers from 1 to 10^9")
BETAS = Range(Annotated[list[Fraction], Field(min_length=2, max_length=2)], "two numbers below 1")
OBJECTIVE = Range(Literal["sampled_mean", "best_reward"], "sampled_mean or best_reward")
NAME = Range(str | int | float, "a name or a path")
WORDS = Range(list[str], "a list of words")
FORMATS = Range(str | Names, "a format or a list of formats")
TEXT = Range(str, "text")
GROUP = Range(dict[Any, Any], "a group of settings")

OPTIMIZERS = (
    *("module.optimizer", "evaluation.module.optimizer"),
    *("method.supernet.optimizer", "method.controller.optimizer"),
)

# Settings that every class of their group has, also the classes of users
SETTINGS: dict[Range, str] = {
    SEED: "seed data.seed method.seed",
    THREADS: "threads? evaluation.threads?",
    SWITCH: "dry_run finish extras.print_config new_head compile judge.at_end data.train_on_all "
    "data.skip_unreadable network.auxiliary? evaluation.latency method.repeat "
    "logger.wandb.offline?",
    LIMIT: "trainer.max_epochs trainer.max_steps",
    WHOLE: "data.batch_size data.image_size? method.samples method.batch method.controller.samples "
    "method.candidates method.grow_every? method.grow_by method.finalist_epochs evaluation.epochs "
    "method.finalist_seeds "
    "judge.seeds judge.derived_seeds judge.epochs? judge.batches "
    "evaluation.best_of_last top callbacks.derive.samples trainer.check_val_every_n_epoch? "
    "trainer.accumulate_grad_batches",
    INTEGER: "network.filters? network.cells? evaluation.network.filters? "
    "evaluation.network.cells?",
    COUNT: "method.redraws method.finalists method.control_steps? method.controller_steps "
    "method.warmup_epochs judge.sampled judge.uniform_epochs "
    "trainer.log_every_n_steps?",
    AT_LEAST_3: "judge.architectures",
    PROCESSES: "data.num_workers",
    POSITIVE: "minutes? evaluation.time_limit? method.budget.target? "
    + " ".join(f"{name}.lr" for name in OPTIMIZERS),
    NUMBER: "data.validation method.control method.budget.exponent",
    NOT_NEGATIVE: "trainer.gradient_clip_val? evaluation.trainer.gradient_clip_val? "
    "evaluation.power callbacks.live.seconds callbacks.time_left.seconds",
    SHARE: "evaluation.penalty",
    FRACTION: "evaluation.keep",
    EPOCHS: "evaluation.rungs",
    PRECISION: "trainer.precision? evaluation.trainer.precision?",
    ACCELERATOR: "trainer.accelerator evaluation.trainer.accelerator",
    BATCHES: "trainer.limit_train_batches? trainer.limit_val_batches? trainer.limit_test_batches?",
    NAME: "name paths.runs paths.data architecture? weights? images? resume? data.root",
    FORMATS: "export?",
    WORDS: "tags",
    TEXT: "train_with",
    OBJECTIVE: "objective",
    GROUP: "trainer callbacks? logger? paths network module module.optimizer module.scheduler "
    "method.evaluation? method.executor? method.budget? executor? controller? supernet? "
    "evaluation.module evaluation.trainer evaluation.network? "
    "extras? method method.controller method.supernet space evaluation data? judge?",
}
# Settings of the classes of this project and of its libraries
SETTINGS_OF_CLASSES: dict[Range, str] = {
    SWITCH: "data.download data.augmentation.flip supernet.auxiliary controller.released "
    "controller.bias method.same_images method.controller.leave_one_out method.importance "
    "method.normalise method.ranks method.supernet.optimizer.sparse_updates "
    "network.skip_reduction_input? " + " ".join(f"{name}.nesterov" for name in OPTIMIZERS),
    WHOLE: "data.images data.num_classes data.channels method.controller_batch? method.passes "
    "method.population method.tournament method.supernet.scheduler.T_0 "
    "method.supernet.scheduler.T_mult controller.hidden controller.layers supernet.cells "
    "supernet.blocks supernet.layers space.blocks space.cells space.layers space.repeats "
    "network.stem_filters? executor.slots? module.scheduler.period? module.scheduler.growth",
    SIZES: "space.filters supernet.filters space.strides space.kernels",
    COUNT: "data.augmentation.pad data.augmentation.cutout method.calibration_images "
    "module.frozen_stages module.scheduler.warmup executor.retries",
    LIMIT: "module.scheduler.epochs",
    NUMBER: "method.controller.baseline.initial?",
    POSITIVE: "controller.temperature? controller.tanh_constant? controller.choice_tanh_reduce "
    "controller.init_range network.norm_epsilon? module.stage_factor method.clip "
    "method.controller.clip_norm? method.supernet.optimizer.clip_norm? executor.cpus",
    NOT_NEGATIVE: "data.noise data.augmentation.colour module.auxiliary_weight "
    "method.supernet.auxiliary_weight method.controller.entropy_weight executor.gpus? "
    "method.controller.skip_kl_weight module.scheduler.lowest method.supernet.scheduler.eta_min "
    + " ".join(f"{name}.{of}" for name in OPTIMIZERS for of in ("weight_decay", "eps")),
    SHARE: "network.norm_momentum? module.label_smoothing",
    FRACTION: "network.dropout? network.drop_path? evaluation.network.dropout? "
    "evaluation.network.drop_path? supernet.dropout callbacks.average.decay "
    "method.controller.baseline.decay " + " ".join(f"{name}.momentum" for name in OPTIMIZERS),
    BETAS: " ".join(f"{name}.betas" for name in OPTIMIZERS),
    CROP: "data.crop",
    PIXELS: "data.mean?",
    SPREAD: "data.std?",
}


def list_ranges(table: dict[Range, str]) -> Iterator[tuple[str, Range, bool]]:
    """Yield each setting of a table: its name, its range, and whether it may be null."""
    for legal, names in table.items():
        for name in names.split():
            yield name.removesuffix("?"), legal, name.endswith("?")
