"""Tests of SVG files that are inlined in a page."""

import re

from lightning_nas.report.charts import draw_lines
from lightning_nas.report.inline import inline, inline_figure


def test_ticks_that_differ_in_the_fourth_digit_stay_apart():
    figure = draw_lines("epoch", "accuracy", {"accuracy": ([1, 2, 3], [0.9122, 0.9126, 0.9130])})
    figure.axes[0].set_ylim(0.9122, 0.9130)
    text = inline_figure(figure, "one", "Accuracy")
    ticks = re.findall(r">(0\.9\d+)<", text)
    assert len(ticks) > 3
    assert len(set(ticks)) == len(ticks)


def test_positions_are_rounded_to_thousandths_of_a_point():
    svg = '<svg width="9pt" height="9pt"><path d="M 1.23456 2.34567"/>'
    svg += '<g transform="translate(3.45678)"/>'
    text = inline(
        svg + '<use x="4.56789" y="5.6"/><text>6.78901</text></svg>', "one", "One", "chart"
    )
    for expected in ('d="M 1.234 2.345"', "translate(3.456)", 'x="4.567"', ">6.78901<"):
        assert expected in text
