"""Published architectures, each with its paper, figure and link.

``load_architecture`` finds them by name and also reads architecture files.
"""

from dataclasses import dataclass
from pathlib import Path

from lightning_nas.architecture import (
    Architecture,
    Block,
    Cell,
    CellArchitecture,
    ChainArchitecture,
    ChainLayer,
    read_architecture,
)
from lightning_nas.errors import InputError
from lightning_nas.spaces.cell import CellSpace
from lightning_nas.spaces.macro import MacroSpace
from lightning_nas.storage.run_folder import RunFolder, shell_path


@dataclass(frozen=True)
class Published:
    """A published architecture and its source.

    Args:
        architecture: The architecture.
        paper: Authors, title and place of the paper.
        figure: Figure of the paper, or file of the released code.
        link: Address of the paper or the code.
        differences: Differences from the paper, with measured numbers of parameters.
    """

    architecture: Architecture
    paper: str
    figure: str
    link: str
    differences: str


# The released code writes a block as input, operation, input, operation. Its operations have the
# order of CELL_OPERATIONS.
_ENAS_MICRO_NORMAL = "0 2 0 0  0 4 0 1  0 4 1 1  1 0 0 1  0 2 1 1"
_ENAS_MICRO_REDUCTION = "1 0 1 0  0 3 0 2  1 1 3 1  1 0 0 4  0 3 1 1"

# One line for each layer: the operation, then one bit for each earlier output, the stem first.
_ENAS_MACRO = """
0
3 0
0 1 0
2 0 0 1
2 0 0 0 0
3 1 1 0 1 0
2 0 0 0 0 0 1
2 0 1 1 0 1 1 1
1 0 1 1 1 0 1 0 1
0 0 0 0 0 0 0 0 0 0
2 0 0 0 0 0 1 0 0 0 0
0 1 0 0 1 1 0 0 0 0 1 1
2 0 1 0 0 0 0 0 1 0 1 1 0
1 0 0 1 0 0 0 1 1 1 0 1 0 1
0 1 1 0 1 0 1 0 0 0 0 0 1 0 0
2 0 0 1 0 0 0 0 0 0 0 1 0 1 0 1
2 0 1 0 0 0 1 0 0 1 1 1 1 0 0 1 0
2 0 0 0 0 1 0 1 0 1 0 0 1 0 1 0 0 1
3 0 1 1 0 1 0 0 0 0 0 1 0 1 0 1 0 0 0
3 0 1 1 0 0 0 0 0 0 0 0 0 1 1 0 0 0 0 1
0 1 0 0 1 0 1 1 0 0 0 1 0 0 0 0 0 1 1 0 0
3 0 1 0 1 1 0 0 1 0 1 1 0 1 1 0 1 0 0 1 0 0
0 1 0 1 0 1 0 0 0 0 0 0 0 0 1 0 1 0 0 1 0 0 0
0 1 1 0 0 0 1 1 1 0 1 0 0 0 1 0 1 0 0 1 1 0 0 0
"""


def _parse_integers(text: str) -> list[int]:
    return [int(word) for word in text.split()]


def _parse_cells(normal: str, reduction: str) -> CellArchitecture:
    tokens: list[int] = []
    for cell in (_parse_integers(normal), _parse_integers(reduction)):
        for i in range(0, len(cell), 4):
            tokens += [cell[i], cell[i + 2], cell[i + 1], cell[i + 3]]
    return CellSpace(blocks=5, cells=5, filters=36).decode(tokens)


def _make_block(left: tuple[str, int], right: tuple[str, int]) -> Block:
    return Block((left[1], right[1]), (left[0], right[0]))


_SEP3, _SEP5, _AVG, _ID = "sep_conv_3x3", "sep_conv_5x5", "avg_pool_3x3", "identity"

_ENAS_PAPER_CELLS = CellArchitecture(
    normal=Cell(
        (
            _make_block((_SEP3, 1), (_ID, 1)),
            _make_block((_SEP5, 1), (_ID, 0)),
            _make_block((_AVG, 0), (_SEP3, 1)),
            _make_block((_SEP3, 0), (_AVG, 1)),
            _make_block((_SEP5, 1), (_AVG, 0)),
        ),
        outputs=(2, 3, 4, 5, 6),
    ),
    reduction=Cell(
        (
            _make_block((_SEP5, 0), (_AVG, 1)),
            _make_block((_SEP3, 1), (_AVG, 1)),
            _make_block((_AVG, 1), (_SEP3, 1)),
            _make_block((_SEP5, 4), (_AVG, 1)),
            _make_block((_SEP3, 5), (_SEP5, 0)),
        ),
        outputs=(2, 3, 6),
    ),
    cells=6,
    filters=36,
)

_SEP7, _MAX = "sep_conv_7x7", "max_pool_3x3"

# The released code numbers the newer input 0, and lists outputs that blocks read as well.
_NASNET_A = CellArchitecture(
    normal=Cell(
        (
            _make_block((_SEP5, 1), (_SEP3, 0)),
            _make_block((_SEP5, 0), (_SEP3, 0)),
            _make_block((_AVG, 1), (_ID, 0)),
            _make_block((_AVG, 0), (_AVG, 0)),
            _make_block((_SEP3, 1), (_ID, 1)),
        ),
        outputs=(0, 2, 3, 4, 5, 6),
    ),
    reduction=Cell(
        (
            _make_block((_SEP5, 1), (_SEP7, 0)),
            _make_block((_MAX, 1), (_SEP7, 0)),
            _make_block((_AVG, 1), (_SEP5, 0)),
            _make_block((_ID, 3), (_AVG, 2)),
            _make_block((_SEP3, 2), (_MAX, 1)),
        ),
        outputs=(3, 4, 5, 6),
    ),
    cells=6,
    filters=32,
    rules="nasnet",
)

# The version of DARTS: the output of the normal cell lacks the older input, and the output of the
# reduction cell lacks a state that a block reads.
_DARTS_NASNET_A = CellArchitecture(
    normal=Cell(_NASNET_A.normal.blocks, outputs=(2, 3, 4, 5, 6)),
    reduction=Cell(_NASNET_A.reduction.blocks, outputs=(4, 5, 6)),
    cells=6,
    filters=32,
    rules="darts",
)

# One line for each layer, from the image: height, width, filters, then the layers that it reads
# besides the layer before it, numbered from 1.
_NAS = """
3 3 36
3 3 48
3 3 36  1
5 5 36  1 2
3 7 48  3
7 7 48  2 3 4
7 7 48  2 3 4 5
7 3 36  1 6
7 1 36  1 5 6
7 7 36  1 3 4 5 6 7 8
5 7 36  1 2 5 6 7 8 9
7 7 48  1 2 3 4 6
7 5 48  1 3 6 7 8 9 10 11
7 5 48  3 7 12
7 5 48  2 7 11 12 13
"""


def _parse_chain(lines: str) -> ChainArchitecture:
    layers = []
    for index, line in enumerate(lines.strip().splitlines()):
        height, width, filters, *skips = _parse_integers(line)
        inputs = {source - 1 for source in skips} | ({index - 1} if index else set())
        layers.append(ChainLayer((height, width), (1, 1), filters, tuple(sorted(inputs))))
    return ChainArchitecture(tuple(layers))


_ENAS = "Pham et al., Efficient Neural Architecture Search via Parameter Sharing, ICML 2018"
_ENAS_CODE = "https://github.com/melodyguan/enas"

PUBLISHED: dict[str, Published] = {
    "nas_2017": Published(
        _parse_chain(_NAS),
        paper="Zoph and Le, Neural Architecture Search with Reinforcement Learning, ICLR 2017",
        figure="Appendix, Figure 7: without strides or pooling, 15 layers, 4.2M parameters",
        link="https://arxiv.org/abs/1611.01578",
        differences="read from the drawing; global average pooling before the classifier, which "
        "the paper does not state but its 4.2M parameters imply: 4,201,630",
    ),
    "nasnet_a": Published(
        _NASNET_A,
        paper="Zoph et al., Learning Transferable Architectures for Scalable Image Recognition, "
        "CVPR 2018",
        figure="Figure 4: NASNet-A, here 6 @ 768 of Table 1, 3.3M parameters",
        link="https://arxiv.org/abs/1707.07012",
        differences="outputs as in the released code: those of the normal cell include the older "
        "input; 3,346,538 parameters",
    ),
    "darts_nasnet_a": Published(
        _DARTS_NASNET_A,
        paper="Zoph et al., CVPR 2018, as built for Liu, Simonyan and Yang, DARTS, ICLR 2019",
        figure="the genotype NASNet of the code of DARTS",
        link="https://github.com/quark0/darts",
        differences="not the official network: five outputs of the normal cell instead of six, "
        "three of the reduction cell instead of four; 3,061,738 parameters",
    ),
    "enas_micro": Published(
        _parse_cells(_ENAS_MICRO_NORMAL, _ENAS_MICRO_REDUCTION),
        paper=_ENAS,
        figure="the released script of the final micro network",
        link=_ENAS_CODE,
        differences="not the cells of the paper's Figure 8; with cells=6 it has the paper's 4.6M "
        "parameters",
    ),
    "enas_micro_paper": Published(
        _ENAS_PAPER_CELLS,
        paper=_ENAS,
        figure="Figure 8",
        link="https://arxiv.org/abs/1802.03268",
        differences="read from the drawing; 4,052,556 parameters, but the paper states 4.6M",
    ),
    "enas_macro": Published(
        MacroSpace(layers=24, filters=96).decode(_parse_integers(_ENAS_MACRO)),
        paper=_ENAS,
        figure="the released script of the final macro network",
        link=_ENAS_CODE,
        differences="the released code computes its separable operations as plain convolutions",
    ),
}


def load_architecture(name_or_path: str | Path) -> Architecture:
    """Return a published architecture by its name, or the architecture of a file or a run folder.

    Args:
        name_or_path: Name of a published architecture, path of an architecture file, or path of a
            folder with ``architecture.json``.

    Raises:
        InputError: If there is no such name and no such file, or the file is not valid.

    >>> load_architecture("enas_micro").filters
    36
    """
    if str(name_or_path) in PUBLISHED:
        return PUBLISHED[str(name_or_path)].architecture
    path = Path(str(name_or_path))  # a number in a configuration may be the name of a folder
    if path.is_dir():
        run = RunFolder(path)
        path = run.architecture
        if not path.exists():
            raise InputError(f"{name_or_path}: {_explain_missing(run)}")
    if not path.exists():
        raise InputError(
            f"{name_or_path}: no such file, and not a published architecture "
            f"({', '.join(sorted(PUBLISHED))})"
        )
    return read_architecture(path)


def _explain_missing(run: RunFolder) -> str:
    """Return why a folder has no architecture, and what to do."""
    if not run.journal.exists():
        inside = sorted(run.path.glob("*/architecture.json"))  # times in names: the newest is last
        newest = f"; a folder in it has: {shell_path(inside[-1].parent)}" if inside else ""
        return f"the folder has no architecture.json{newest}"
    resume = f"python search.py resume={shell_path(run.path)}"
    return f"the search has not ended; to continue: {resume}; to end it now: {resume} finish=true"
