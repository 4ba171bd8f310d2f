"""The report of a training: accuracy, curves, classes, mistakes, and what to run next.

The page depends only on the run folder. This module must not import Hydra.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from lightning_nas.errors import InputError
from lightning_nas.files import replace_text
from lightning_nas.pictures.sheet import read_sheet
from lightning_nas.published import load_architecture
from lightning_nas.report.charts import Chart, draw_confusion, draw_lines
from lightning_nas.report.inline import inline_architecture
from lightning_nas.report.metrics import read_curve
from lightning_nas.report.page import read_samples, render_charts, render_page
from lightning_nas.report.record import NoTrialsError
from lightning_nas.report.statistics import find_accuracy_interval
from lightning_nas.report.table import format_duration, format_number
from lightning_nas.storage.run_folder import COMPLETE, RunFolder, shell_path

REPORTED = ("fit", "test")  # values of ``mode`` whose run folder has a report
MOST_CLASSES = 20  # in the confusion matrix and in the table of classes
CURVES = {  # curves by the title of their chart: names of metrics by the names of the curves
    "Accuracy": {"training": "train/accuracy", "validation": "val/accuracy"},
    "Loss": {"training": "train/loss", "validation": "val/loss"},
}
CLASS_HEAD = ("class", "images", "accuracy", "95 %", "taken for")


@dataclass(frozen=True)
class TrainingRecord:
    """A training or a test, finished or not.

    Args:
        run: The run folder.
        configuration: The whole configuration as YAML text.
        config: The configuration as a dictionary.
        summary: Content of ``summary.json``; may be empty.
        metrics: Rows of ``metrics.csv``.
        test: Content of ``test.json``; empty if the network was not tested.
    """

    run: RunFolder
    configuration: str
    config: Mapping[str, Any]
    summary: Mapping[str, Any]
    metrics: Sequence[Mapping[str, float]]
    test: Mapping[str, Any]

    @property
    def is_complete(self) -> bool:
        """Whether the training has ended."""
        return self.summary.get("status") == COMPLETE

    @property
    def trains_on_validation(self) -> bool:
        """Whether the validation images are training images too: their accuracy then misleads."""
        return bool((self.config.get("data") or {}).get("train_on_all"))


def is_training(folder: Path) -> bool:
    """Return whether a folder holds a command of ``train.py``, not a search.

    Raises:
        InputError: If the folder holds no run, or its configuration is damaged.
    """
    config = RunFolder(folder).read_config()[1]
    return "space" not in config and "mode" in config


def write_training_report(folder: Path) -> Path:
    """Write ``report.html`` into the run folder of a training or a test, and return its path.

    Raises:
        InputError: If the folder is of another command, or a file is damaged.
        NoTrialsError: If no epoch and no test has ended yet.
    """
    record = read_training(folder)
    replace_text(record.run.report, render_page("training.html", _build_page(record)))
    return record.run.report


def read_training(folder: Path) -> TrainingRecord:
    """Read the run folder of a training or a test.

    Raises:
        InputError: If the folder is of another command, or a file is damaged.
        NoTrialsError: If no epoch and no test has ended yet.
    """
    run = RunFolder(folder)
    configuration, config = run.read_config()
    if config.get("mode") not in REPORTED:
        raise InputError(f"{folder}: only a search, a training and a test have a report")
    test, metrics = run.read_test_record(), run.read_metrics()
    if not test and not metrics:
        raise NoTrialsError(folder, "a training without a complete epoch")
    return TrainingRecord(run, configuration, config, run.read_summary(), metrics, test)


# ---- the page ------------------------------------------------------------------------------------


def _build_page(record: TrainingRecord) -> dict[str, Any]:
    folder, run = shell_path(record.run.path), record.run
    charts = _chart_curves(record)
    classes = _describe_classes(record.test) if record.test else []
    confusion = record.test and len(record.test["classes"]) <= MOST_CLASSES
    content: dict[str, Any] = {
        "title": str(record.config.get("name", run.path.name)),
        "subtitle": _describe_training(record),
        "report_arguments": folder,
        "answer_words": _describe_accuracy(record),
        "partial": "" if record.is_complete else _describe_partial(record),
        "resume_command": f"python train.py resume={folder}",
        "facts": _list_facts(record),
        "short_words": _describe_shortening(record),
        "size_words": _explain_size(record),
        "data": read_samples(run, record.summary),
        "curves": render_charts(charts),
        "class_head": CLASS_HEAD,
        "class_rows": classes[:MOST_CLASSES],
        "class_count": len(classes),
        "confusion": render_charts([_chart_confusion(record.test)])[0] if confusion else None,
        "mistakes": _list_mistakes(record),
        "picture": inline_architecture(load_architecture(run.path), "network", "The architecture")
        if run.architecture.exists()
        else None,
        "commands": _list_commands(record),
        "configuration": record.configuration,
    }
    titles = {"summary": "Summary", "curves": "Curves", "classes": "Classes",
              "mistakes": "Mistakes", "network": "Network", "next": "Next",
              "configuration": "Configuration"}  # fmt: skip
    shown = {"curves": charts, "classes": classes, "mistakes": content["mistakes"],
             "network": content["picture"], "next": content["commands"]}  # fmt: skip
    content["contents"] = [(name, title) for name, title in titles.items() if shown.get(name, True)]
    return content


def _describe_training(record: TrainingRecord) -> str:
    what = "Test" if record.config["mode"] == "test" else "Training"
    source = record.summary.get("architecture", "a network")
    return f"{what} of {source}, seed {record.config.get('seed')}."


def _describe_accuracy(record: TrainingRecord) -> tuple[str, str, str]:
    """Return CSS class, answer and sentences on the accuracy on test images."""
    if not record.test:
        return "", "Not tested yet.", "The network is tested when the training has ended."
    confusion_KK = np.array(record.test["confusion"])
    correct, images = int(np.trace(confusion_KK)), int(confusion_KK.sum())
    low, high = find_accuracy_interval(correct, images)
    answer = f"{correct / max(images, 1):.1%} of {images:,} test images are classified correctly."
    words = f"95 % interval: {low:.1%} to {high:.1%}."
    share = record.summary.get("largest_share")
    if share is None:
        return "", answer, words
    words += f" Always answering the largest class would reach {share:.1%}."
    if low <= share:
        return "bad", answer, f"{words} The network is not measurably better than guessing."
    return "good", answer, words


def _describe_partial(record: TrainingRecord) -> str:
    if record.summary:
        return "the training was interrupted"
    return "the training has not ended: it is still running, or it was killed"


def _list_facts(record: TrainingRecord) -> list[tuple[str, str, str]]:
    """Return the facts in the section Summary, each as name, value and note."""
    summary, facts = record.summary, []
    epochs, accuracies = read_curve(record.metrics, "val/accuracy")
    if accuracies and record.trains_on_validation:
        note = "its images are training images too"
        facts.append(("last validation accuracy", f"{accuracies[-1]:.1%}", note))
    elif accuracies:
        best = int(np.argmax(accuracies))
        note = f"in epoch {epochs[best]:.0f}, whose weights are kept"
        facts.append(("best validation accuracy", f"{accuracies[best]:.1%}", note))
    names = {"epochs": "epochs", "parameters": "parameters", "multiply_adds": "multiply-adds"}
    facts += [
        (words, format_number(summary[name]), "")
        for name, words in names.items()
        if name in summary
    ]
    if "seconds" in summary:
        facts.append(("time", format_duration(summary["seconds"]), ""))
    if "images_per_second" in summary:
        facts.append(("speed", f"{summary['images_per_second']:,.0f}", "images a second"))
    return facts


def _describe_shortening(record: TrainingRecord) -> str:
    """Return that the training had fewer than half of the epochs of its recipe, if it had."""
    wanted, minutes = record.summary.get("recipe_epochs", 0), record.config.get("minutes")
    epochs = (record.config.get("trainer") or {}).get("max_epochs", 0)
    if not minutes or 2 * epochs >= wanted:
        return ""
    return (
        f"minutes={minutes:g} shortened the training from {wanted} to {epochs} epochs. More "
        "minutes, or fewer or smaller images, give a higher accuracy."
    )


def _explain_size(record: TrainingRecord) -> str:
    """Return why the network has more or fewer parameters than in the search, if it has."""
    searched = record.summary.get("searched_parameters")
    if searched is None:
        return ""
    return (
        f"In its search, this architecture had {format_number(searched)} parameters. The training "
        "builds a network of another size from the same architecture: the recipe, the settings "
        "network.* and the images of the training decide the size."
    )


def _chart_curves(record: TrainingRecord) -> list[Chart]:
    charts = []
    for title, metrics in CURVES.items():
        curves = {name: read_curve(record.metrics, metric) for name, metric in metrics.items()}
        curves = {name: points for name, points in curves.items() if points[0]}
        if curves:
            caption = f"{title} after each epoch, on training images (with augmentation, while the "
            caption += "network learns) and on validation images"
            caption += ", which are training images too." if record.trains_on_validation else "."
            figure = draw_lines("epoch", title.lower(), curves)
            charts.append(Chart(title.lower(), title, caption, figure))
    return charts


def _chart_confusion(test: Mapping[str, Any]) -> Chart:
    caption = "A row is a class, a column an answer of the network: the share of the images of the "
    caption += "class that got the answer. A perfect network has dark squares on the diagonal only."
    figure = draw_confusion(np.array(test["confusion"]), test["classes"])
    return Chart("confusion", "Confusion matrix", caption, figure)


def _describe_classes(test: Mapping[str, Any]) -> list[list[str]]:
    """Return the row of each class that has test images, the lowest accuracy first."""
    rows = []
    for place, (name, counts) in enumerate(zip(test["classes"], test["confusion"], strict=True)):
        images, correct = sum(counts), counts[place]
        if not images:
            continue
        low, high = find_accuracy_interval(correct, images)
        wrong = {other: n for other, n in enumerate(counts) if n and other != place}
        most = max(wrong, key=lambda other: wrong[other], default=None)
        words = "" if most is None else f"{test['classes'][most]} ({wrong[most]:,})"
        row = [name, f"{images:,}", f"{correct / images:.1%}", f"{low:.1%} to {high:.1%}", words]
        rows.append((correct / images, row))
    return [row for _, row in sorted(rows, key=lambda one: one[0])]


def _list_mistakes(record: TrainingRecord) -> list[dict[str, str]]:
    """Return the most confident mistakes: address of the picture, its words, and its file."""
    mistakes = record.test.get("mistakes", [])
    if not mistakes or not record.run.mistakes.exists():
        return []
    classes, pictures = record.test["classes"], read_sheet(record.run.mistakes, 1, len(mistakes))
    return [
        {
            "picture": picture,
            "true": classes[one["label"]],
            "words": f"{classes[one['predicted']]}, {one['probability']:.1%}",
            "path": one.get("path", ""),
        }
        for one, picture in zip(mistakes, pictures, strict=True)
    ]


def _list_commands(record: TrainingRecord) -> list[tuple[str, str]]:
    """Return what to run next: words and command."""
    if not record.is_complete or record.config["mode"] == "test":
        return []
    weights = f"weights={shell_path(record.run.path)}"
    return [
        ("To predict the classes of other images",
         f"python train.py mode=predict {weights} images=DIR"),
        ("To test the network on other labelled images",
         f"python train.py mode=test {weights} data=image_folder data.root=DIR"),
        ("To export the network for use without this project",
         f"python train.py mode=export {weights} 'export=[onnx,python]'"),
        ("To fine-tune the network on other classes",
         f"python train.py {weights} recipe=finetune data=image_folder data.root=DIR"),
    ]  # fmt: skip
