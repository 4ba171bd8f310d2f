"""The layers of the package, bottom to top: a module imports from its own layer or below."""

import ast
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1] / "lightning_nas"
LAYERS = [
    {"architecture", "errors", "files"},
    {"spaces", "layers", "policy", "data"},
    {"published"},
    {"networks", "controllers"},
    {"modules", "evaluation", "loops"},
    {"methods"},
    {"pictures", "export"},
    {"report"},
    {"callbacks"},
    {"arguments", "judge", "judging", "launch", "rehearsal", "runs", "searched", "settings"}
    | {"slurm", "trained", "training"},
]
RANK = {name: rank for rank, names in enumerate(LAYERS) for name in names}
PURE = {"architecture", "published", "spaces"}  # an architecture is data: no torch
OMEGACONF = {"report"}  # it resolves references in a run folder's settings, without Hydra
LIGHTNING = {"data", "modules", "evaluation", "methods", "callbacks"} | {
    "runs",
    "searched",
    "training",
}
FILES = [path for path in sorted(ROOT.rglob("*.py")) if path != ROOT / "__init__.py"]


def imported(path: Path) -> set[str]:
    """Absolute dotted names that a file imports."""
    nodes = list(ast.walk(ast.parse(path.read_text())))
    plain = {a.name for n in nodes if isinstance(n, ast.Import) for a in n.names}
    return plain | {
        f"{n.module}.{a.name}" for n in nodes if isinstance(n, ast.ImportFrom) for a in n.names
    }


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(ROOT)))
def test_imports_point_down(path):
    own = path.relative_to(ROOT).parts[0].removesuffix(".py")
    for name in imported(path):
        top, *rest = name.split(".")
        if top == "lightning_nas":
            assert RANK[rest[0]] <= RANK[own], f"{own} may not import {name}"
        if own in PURE:
            assert top not in {"torch", "torchvision", "pytorch_lightning"}, f"{own} is data only"
        if top == "pytorch_lightning":
            assert own in LIGHTNING, f"{own} knows nothing of Lightning"
        if top in {"hydra", "omegaconf"} and (own not in OMEGACONF or top == "hydra"):
            assert own in LAYERS[-1], f"{own} works without Hydra"
