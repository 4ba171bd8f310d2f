"""The floors of the package: a module imports from its own floor or from those below."""

import ast
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1] / "lightning_nas"
FLOORS = [  # from the ground up; a module may import from its own floor and from those below
    {"architecture", "ctrl_c", "errors", "files", "trust"},
    {"spaces", "layers", "policy", "data", "storage"},
    {"published"},
    {"networks", "controllers"},
    {"weights"},
    {"modules", "evaluation"},
    {"search"},
    {"methods"},
    {"pictures", "export"},
    {"report", "judge.facts", "judge.numbers", "judge.scatter"},
    {"callbacks", "watch"},
    {"run"},
    {"judge"},
]
RANK = {name: rank for rank, names in enumerate(FLOORS) for name in names}
PURE = {"architecture", "published", "spaces", "storage"}  # plain data: no torch
HYDRA = {"run", "judge"}
OMEGACONF = HYDRA | {"report"}  # the report resolves references in a run's configuration
LIGHTNING = {"data", "modules", "evaluation", "search", "methods", "callbacks", "run", "judge"}
FILES = [path for path in sorted(ROOT.rglob("*.py")) if path != ROOT / "__init__.py"]


def imported(path: Path) -> set[str]:
    """Absolute dotted names that a file imports."""
    nodes = list(ast.walk(ast.parse(path.read_text())))
    plain = {a.name for n in nodes if isinstance(n, ast.Import) for a in n.names}
    return plain | {
        f"{n.module}.{a.name}" for n in nodes if isinstance(n, ast.ImportFrom) for a in n.names
    }


def find_floor(module: str) -> int:
    """Return the floor of a module, given without the package: that of its longest known prefix."""
    parts = module.split(".")
    prefixes = (".".join(parts[:n]) for n in range(len(parts), 0, -1))
    return next(RANK[prefix] for prefix in prefixes if prefix in RANK)


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(ROOT)))
def test_imports_point_down(path):
    module = ".".join(path.relative_to(ROOT).with_suffix("").parts)
    room = module.split(".")[0]
    for name in imported(path):
        top, *rest = name.split(".")
        if top == "lightning_nas":
            assert find_floor(".".join(rest)) <= find_floor(module), f"{module} imports {name}"
        if room in PURE:
            assert top not in {"torch", "torchvision", "pytorch_lightning"}, f"{room} is data only"
        if top == "pytorch_lightning":
            assert room in LIGHTNING, f"{room} knows nothing of Lightning"
        if top == "hydra":
            assert room in HYDRA, f"{room} works without Hydra"
        if top == "omegaconf":
            assert room in OMEGACONF, f"{room} works without OmegaConf"
