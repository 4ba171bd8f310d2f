"""Tests of pictures of architectures: complete, without collisions, reproducible."""

import struct
import subprocess
import sys
import xml.etree.ElementTree as ET
from functools import cache
from itertools import combinations, pairwise

import pytest

from lightning_nas.architecture import (
    CELL_OPERATIONS,
    OPERATION_NAMES,
    Block,
    Cell,
    CellArchitecture,
    ChainArchitecture,
    ChainLayer,
    EdgeCellArchitecture,
    MacroArchitecture,
    MacroLayer,
    write_architecture,
)
from lightning_nas.errors import InputError
from lightning_nas.pictures.curves import points_on
from lightning_nas.pictures.palette import UNKNOWN
from lightning_nas.pictures.picture import text_width
from lightning_nas.published import PUBLISHED
from lightning_nas.report.draw import architecture_svg, draw, layout_architecture, main
from lightning_nas.spaces.macro import MacroSpace
from tests.report.architectures import (
    ARCHITECTURES,
    RANDOM,
    do_overlap,
    is_within,
    passes_through_a_box,
    sample,
)

CASES = [(name, one, False) for name, one in ARCHITECTURES.items()] + [
    (f"{name} narrow", one, True)
    for name, one in ARCHITECTURES.items()
    if isinstance(one, CellArchitecture)
]
each = pytest.mark.parametrize(
    ("architecture", "is_narrow"), [case[1:] for case in CASES], ids=[case[0] for case in CASES]
)


@cache
def layout_once(architecture, is_narrow=False):
    return layout_architecture(architecture, is_narrow=is_narrow)


def svg_ids(text):
    return [element.get("id") for element in ET.fromstring(text).iter() if element.get("id")]


def cell_ids(cell):
    """Yield the expected ids of all nodes and arrows of a cell."""

    def state(index):
        return f"input{index}" if index < 2 else joins[index - 2]

    joins = [f"block{index}-{block.combination}" for index, block in enumerate(cell.blocks)]
    yield from ("input0", "input1", "concat", "output", "edge-concat-output")
    for index, block in enumerate(cell.blocks):
        yield joins[index]
        for side, source in zip(("left", "right"), block.inputs, strict=True):
            yield f"block{index}-{side}"
            yield f"edge-{state(source)}-block{index}-{side}"
            yield f"edge-block{index}-{side}-{joins[index]}"
    yield from (f"edge-{state(output)}-concat" for output in cell.outputs)


def expected_ids(architecture):
    if isinstance(architecture, CellArchitecture):
        for name in ("normal", "reduction"):
            yield from (f"{name}-{part}" for part in cell_ids(getattr(architecture, name)))
        return
    if isinstance(architecture, ChainArchitecture):
        yield from chain_ids(architecture)
        return
    if isinstance(architecture, EdgeCellArchitecture):
        yield from edge_cell_ids(architecture)
        return
    yield from ("stem", "classifier")
    for index, layer in enumerate(architecture.layers):
        yield f"layer{index}"
        yield from (f"skip-{source}-{index}" for source in layer.skips)


def chain_ids(architecture):
    """Yield the ids of layers and of inputs other than the row above; output 0 is the image."""
    yield from ("image", "classifier")
    read = {source for layer in architecture.layers for source in layer.inputs}
    for index, layer in enumerate(architecture.layers):
        yield f"layer{index}"
        inputs = [source + 1 for source in layer.inputs] or [0]
        yield from (f"skip-{source}-{index}" for source in inputs if source != index)
        if index not in read and index < len(architecture.layers) - 1:
            yield f"skip-{index + 1}-classifier"


def edge_cell_ids(architecture):
    """Yield the ids of the four nodes and, for each edge that is not none, of three shapes."""
    yield from (f"node{node}" for node in range(4))
    edges = ["0-1", "0-2", "1-2", "0-3", "1-3", "2-3"]
    for edge, operation in zip(edges, architecture.operations, strict=True):
        if operation != "none":
            yield from (f"edge-{edge}", f"node{edge[0]}-edge-{edge}", f"edge-{edge}-node{edge[2]}")


def network_ids(ids):
    """Return the ids of nodes and connections, without those of the legend, lanes and rails."""
    starts = ("normal", "reduction", "stem", "image", "layer", "classifier", "skip", "node", "edge")
    return [name for name in ids if name.startswith(starts)]


@each
def test_svg_has_one_id_for_each_node_and_connection(architecture, is_narrow):
    ids = network_ids(svg_ids(architecture_svg(architecture, is_narrow=is_narrow)))
    assert sorted(ids) == sorted(set(expected_ids(architecture)))


@each
def test_boxes_and_labels_do_not_overlap_and_stay_on_the_sheet(architecture, is_narrow):
    picture = layout_once(architecture, is_narrow)
    areas = [(box.name, box.extent) for box in picture.boxes]
    for label in picture.labels:
        width = text_width(label.text, label.size) * (1.15 if label.is_bold else 1)
        left = label.x - {"left": 0, "center": 0.5, "right": 1}[label.align] * width
        half = label.size * 0.4
        areas.append((label.text, (left, label.y - half, left + width, label.y + half)))
    sheet = 0, 0, picture.width, picture.height
    assert [name for name, area in areas if not is_within(area, sheet)] == []
    assert [(a[0], b[0]) for a, b in combinations(areas, 2) if do_overlap(a[1], b[1])] == []


@each
def test_texts_fit_their_boxes(architecture, is_narrow):
    for box in layout_once(architecture, is_narrow).boxes:
        _, bottom, _, top = box.extent
        for label in box.labels:
            assert text_width(label.text, label.size) <= box.width - 4, label.text
            half = label.size / 2
            assert bottom <= label.y - half < label.y + half <= top, label.text


@each
def test_no_line_passes_through_a_box(architecture, is_narrow):
    picture = layout_once(architecture, is_narrow)
    assert [line.name for line in picture.lines if passes_through_a_box(line, picture)] == []


@each
def test_legend_explains_each_operation_once(architecture, is_narrow):
    boxes = layout_once(architecture, is_narrow).boxes
    explained = [box.kind for box in boxes if box.name.startswith("legend-")]
    plain = {"end", "join", "pooling", "input0", "input1"}
    assert sorted(explained) == sorted({box.kind for box in boxes} - plain)


@pytest.mark.parametrize("is_narrow", [False, True])
@pytest.mark.parametrize("name", PUBLISHED)
def test_arrows_start_at_their_source_and_end_at_their_target(name, is_narrow):
    picture = layout_once(PUBLISHED[name].architecture, is_narrow)
    boxes = {box.name: box for box in picture.boxes}
    for line in (line for line in picture.lines if "-edge-" in line.name):
        prefix, _, rest = line.name.partition("-edge-")
        ends = [
            (a, b)
            for a in boxes
            for b in boxes
            if f"{a}-{b.removeprefix(prefix + '-')}" == f"{prefix}-{rest}"
        ]
        assert len(ends) == 1
        source, target = (boxes[end] for end in ends[0])
        assert line.points[0][1] == pytest.approx(source.extent[1])
        assert source.extent[0] < line.points[0][0] < source.extent[2]
        assert line.points[-1][1] == pytest.approx(target.extent[3])
        assert target.extent[0] < line.points[-1][0] < target.extent[2]


@pytest.mark.parametrize("name", ["nasnet_a", "enas_micro", *(f"nasnet{seed}" for seed in RANDOM)])
def test_a_narrow_picture_of_cells_fits_a_phone_at_its_own_size(name):
    """A phone of 390 CSS pixels leaves 345 for a picture: 259 points, with margins of 10."""
    picture = layout_once(ARCHITECTURES[name], True)
    assert picture.width <= 239
    boxes = {box.name: box for box in picture.boxes}
    assert boxes["reduction-input0"].extent.top < boxes["normal-output"].extent.bottom
    for name in ("normal", "reduction"):
        rows = [boxes[f"{name}-block{index}-left"].y for index in range(5)]
        assert rows == sorted(rows, reverse=True)
        assert all(above - below > 60 for above, below in pairwise(rows))


def test_skips_join_the_lane_of_their_source_and_the_rail_of_their_reader():
    picture = layout_architecture(PUBLISHED["enas_macro"].architecture)
    lines = {line.name: line.points for line in picture.lines}
    assert len(picture.dots) == 98
    for dot in picture.dots:
        _, source, layer = dot.name.split("-")
        (_, (x, top), (_, bottom)) = lines[f"lane-{source}"]
        ((end, y), _) = lines[f"rail-{layer}"]
        assert dot.x == x
        assert dot.x <= end
        assert dot.y == y
        assert bottom <= dot.y < top


def test_chain_shows_every_input():
    picture = layout_architecture(PUBLISHED["nas_2017"].architecture)
    assert len(picture.dots) == 51  # the paper's skips; the other 14 inputs are arrows
    assert sum(line.name.startswith("path") for line in picture.lines) == 16
    loose = layout_architecture(ChainArchitecture((ChainLayer((3, 3), (1, 1), 8),) * 2))
    assert {dot.name for dot in loose.dots} == {"skip-0-1", "skip-1-classifier"}


def test_lanes_do_not_overlap():
    lanes = [
        line for line in layout_once(PUBLISHED["enas_macro"].architecture).lines if line.has_bridge
    ]
    assert len({line.points[-1][0] for line in lanes}) == len(lanes) > 0


def test_poolings_follow_the_last_layers_of_the_first_two_thirds():
    picture = layout_architecture(PUBLISHED["enas_macro"].architecture)
    names = [box.name for box in sorted(picture.boxes, key=lambda box: -box.y)]
    assert names[names.index("pooling0") - 1] == "layer7"
    assert names[names.index("pooling1") - 1] == "layer15"


def test_chain_shows_strides_and_repeats_if_it_has_any():
    plain = ChainArchitecture((ChainLayer((3, 5), (1, 1), 24),))
    strided = ChainArchitecture((ChainLayer((3, 5), (2, 1), 24),), repeats=3)
    texts = [{box.text for box in layout_architecture(chain).boxes} for chain in (plain, strided)]
    hints = [
        " ".join(label.text for label in layout_architecture(chain).labels)
        for chain in (plain, strided)
    ]
    assert "3x5, 24" in texts[0]
    assert "3x5, 24 / 2x1" in texts[1]
    assert "strides" not in hints[0]
    assert "strides" in hints[1]
    assert "3 layers in a row" in hints[1]


@pytest.mark.parametrize("is_space", [False, True])
def test_arrows_of_an_edge_cell_do_not_cross(is_space):
    lines = layout_architecture(ARCHITECTURES["edge cell with every edge"], is_space).lines
    ways = [list(pairwise(points_on(line.points))) for line in lines]
    for one, other in combinations(ways, 2):
        assert not any(do_cross(*a, *b) for a in one for b in other)


def do_cross(a, b, c, d):
    """Return whether the straight lines from a to b and from c to d cross."""

    def left(p, q, r):
        return (q[0] - p[0]) * (r[1] - p[1]) - (q[1] - p[1]) * (r[0] - p[0])

    return left(a, b, c) * left(a, b, d) < 0 and left(c, d, a) * left(c, d, b) < 0


def test_arrows_leave_a_box_in_the_order_of_their_directions():
    picture = layout_architecture(PUBLISHED["nasnet_a"].architecture)
    lines = {line.name: line.points for line in picture.lines}
    starts = {name: points[0][0] for name, points in lines.items() if "normal-edge-input0" in name}
    # this arrow passes to the left of all blocks
    assert starts["normal-edge-input0-concat"] == min(starts.values())


@pytest.mark.parametrize("is_space", [False, True])
def test_operation_that_a_user_adds_gets_the_default_colours(is_space, monkeypatch):
    names = ("swish", "ghost_module_3x3_with_attention")
    block = Block((0, 1), names)
    cell = CellArchitecture(Cell((block,), (2,)), Cell((block,), (2,)))
    monkeypatch.setitem(OPERATION_NAMES, "enas", [*CELL_OPERATIONS, *names])
    picture = layout_architecture(cell, is_space)
    boxes = [box for box in picture.boxes if box.kind in names]
    assert len(boxes) == 6  # two in each cell and two in the legend
    assert {box.style.face for box in boxes} == {UNKNOWN.face}
    assert {"swish", "ghost module 3x3 with attention"} <= {label.text for label in picture.labels}
    for box in picture.boxes:
        assert all(text_width(label.text, label.size) <= box.width - 4 for label in box.labels)
    macro = layout_architecture(MacroArchitecture((MacroLayer("swish"),)))
    assert next(box for box in macro.boxes if box.name == "layer0").text == "swish"


def test_svg_has_text_as_text_and_fallback_fonts():
    root = ET.fromstring(architecture_svg(PUBLISHED["enas_micro_paper"].architecture))
    texts = [e.text for e in root.iter() if e.tag.endswith("}text")]
    assert {"normal cell", "reduction cell", "h[i-1]", "h[i]", "concat", "avg", "3x3"} <= set(texts)
    assert texts.count("add") == 10
    assert texts.count("concat") == 2
    assert root.get("font-family").endswith(",sans-serif")


def test_prefixes_keep_ids_of_one_page_unique():
    architecture = PUBLISHED["nasnet_a"].architecture
    plain, first, second = (
        svg_ids(architecture_svg(architecture, prefix)) for prefix in ("", "a-", "b-")
    )
    assert [f"a-{name}" for name in plain] == first
    assert not set(first) & set(second)


def test_svg_is_small_and_refers_to_no_other_file():
    text = architecture_svg(PUBLISHED["nasnet_a"].architecture, "best-")
    assert text.startswith("<svg ")
    assert "href" not in text
    assert "url(" not in text
    assert len(text) < 25_000
    assert len(architecture_svg(PUBLISHED["enas_macro"].architecture)) < 40_000


@pytest.mark.parametrize("name", ["nasnet_a", "nas_2017"])
@pytest.mark.parametrize("suffix", [".svg", ".png", ".pdf"])
def test_same_architecture_gives_same_bytes(name, suffix, tmp_path):
    paths = [tmp_path / f"{i}{suffix}" for i in range(2)]
    for path in paths:
        draw(PUBLISHED[name].architecture, path)
    assert paths[0].read_bytes() == paths[1].read_bytes()


@pytest.mark.parametrize("name", ["nasnet_a", "nas_2017", "enas_macro"])
def test_png_is_complete_and_has_a_reasonable_size(name, tmp_path):
    path = tmp_path / "new folder" / "picture.PNG"
    draw(PUBLISHED[name].architecture, path)
    content = path.read_bytes()
    assert content.startswith(b"\x89PNG\r\n\x1a\n")
    assert content.endswith(b"IEND\xaeB`\x82")
    width, height = struct.unpack(">II", content[16:24])
    assert 600 < width < 4000
    assert 800 < height < 4000


def test_pdf_is_complete_and_embeds_its_fonts(tmp_path):
    draw(PUBLISHED["nasnet_a"].architecture, tmp_path / "picture.pdf")
    content = (tmp_path / "picture.pdf").read_bytes()
    assert content.startswith(b"%PDF-")
    assert content.rstrip().endswith(b"%%EOF")
    assert b"/FontFile2" in content


def test_other_formats_are_errors(tmp_path):
    with pytest.raises(InputError, match=r"legal: \.svg, \.png, \.pdf"):
        draw(PUBLISHED["enas_micro"].architecture, tmp_path / "picture.gif")


# ---- the command --------------------------------------------------------------------------------


def test_command_draws_a_file_and_a_run_folder(tmp_path):
    write_architecture(sample(MacroSpace(12), 1), tmp_path / "architecture.json")
    for source, output in ((tmp_path / "architecture.json", "a.svg"), (tmp_path, "b.svg")):
        assert main([str(source), "-o", str(tmp_path / output)]) == 0
    assert (tmp_path / "a.svg").read_bytes() == (tmp_path / "b.svg").read_bytes()


@pytest.mark.parametrize(
    ("name", "output", "message"),
    [
        ("enas_mikro", "picture.svg", "not a published architecture"),
        ("enas_micro", "picture.gif", "legal: .svg, .png, .pdf"),
        ("enas_micro", "taken/picture.svg", "cannot be written"),
    ],
)
def test_command_prints_an_error_in_one_line(name, output, message, tmp_path, capsys):
    (tmp_path / "taken").write_text("a file where a folder is needed")
    assert main([name, "-o", str(tmp_path / output)]) == 2
    errors = capsys.readouterr().err
    assert errors.startswith("error: ")
    assert errors.count("\n") == 1
    assert message in errors


def test_command_runs_as_a_module_without_torch(tmp_path):
    code = (
        "import sys; from lightning_nas.report.draw import main; code = main(sys.argv[1:]); "
        "assert not {'torch', 'matplotlib.pyplot'} & set(sys.modules); sys.exit(code)"
    )
    path = str(tmp_path / "picture.svg")
    result = subprocess.run([sys.executable, "-c", code, "enas_micro", "-o", path], check=False)
    assert result.returncode == 0
    module = [sys.executable, "-m", "lightning_nas.report.draw", "nothing", "-o", path]
    assert subprocess.run(module, check=False, capture_output=True).returncode == 2
