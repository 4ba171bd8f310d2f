"""The last lines of ``train.py``: what came out, and where it is."""

from typing import Any

from pytorch_lightning.utilities import rank_zero_only

from lightning_nas.data.folders import UNREADABLE
from lightning_nas.storage.run_folder import RunFolder, display_path


@rank_zero_only
def print_facts(folder: RunFolder, facts: dict[str, Any]) -> None:
    """Print the results of a command, one per line."""
    names = {"architecture": "architecture", "images": "data", "weights": "weights"}
    lines = {name: facts[fact] for name, fact in names.items() if facts.get(fact)}
    if "test_accuracy" in facts:
        lines |= {
            "test error": f"{1 - facts['test_accuracy']:.2%}",
            "test accuracy": f"{facts['test_accuracy']:.2%}",
            "parameters": f"{facts['parameters']:,}",
            "multiply-adds": f"{facts['multiply_adds']:,}",
        }
        if "searched_parameters" in facts:
            lines["parameters"] += f" (in the search: {facts['searched_parameters']:,})"
    if "epochs" in facts:
        lines["epochs"] = str(facts["epochs"])
        if facts["epochs"] < facts.get("recipe_epochs", 0):
            lines["epochs"] += f" of {facts['recipe_epochs']}"
    if unreadable := facts.get("left_out", {}).get(UNREADABLE):
        lines["unreadable"] = f"{unreadable:,} image" + "s" * (unreadable > 1)
        if "predictions" in facts:
            lines["unreadable"] += ", listed with their errors in the predictions"
    if "images_per_second" in facts:
        lines["speed"] = f"{facts['images_per_second']:,.0f} images a second, validation included"
    files = {**facts.get("exported", {}), "predictions": facts.get("predictions")}
    lines |= {name: str(display_path(path)) for name, path in files.items() if path}
    if folder.has_current_report:
        lines["report"] = str(display_path(folder.report))
    if "exported" in facts:
        lines["how to use"] = str(display_path(folder.export / "README.md"))
    lines["run folder"] = str(display_path(folder.path))
    print("\n" + "\n".join(f"{name:<16}{line}" for name, line in lines.items()))
