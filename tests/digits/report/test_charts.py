from xml.etree import ElementTree as ET

import pandas as pd
import pytest

from digits.report.charts import Axis, Chart, chart_accuracy, chart_losses, chart_reliability
from digits.report.page import templates
from stages.report import COLUMNS


def draw(chart: Chart) -> ET.Element:
    return ET.fromstring(str(templates().get_template("chart.html").module.draw(chart)))  # type: ignore[attr-defined]


def test_values_lie_between_the_ends_of_an_axis() -> None:
    assert [Axis("", (2, 4)).place(value) for value in (2, 2.5, 4, -1, 5)] == [0, 0.25, 1, 0, 1]


def test_every_point_is_drawn_inside_and_joined_where_it_should_be() -> None:
    series = {name: [(1.0, 0.5), (2.0, 0.25), (3.0, 0.0)] for name in ("a", '<script>"&')}
    for even, lines in ((False, 2), (True, 0)):
        axes = Axis("epoch", (1.0, 3.0)), Axis("loss", (0.0, 0.5))
        chart = draw(Chart('<"&', *axes, series, even))
        dots = [(float(dot.attrib["cx"]), float(dot.attrib["cy"])) for dot in chart.iter("circle")]
        assert dots[:3] == dots[3:] == [(62, 34), (265, 144), (468, 254)]
        points = [line.attrib["points"] for line in chart.iter("polyline")]
        assert points == ["62.0,34.0 265.0,144.0 468.0,254.0"] * lines
        assert sum(line.attrib["class"] == "even" for line in chart.iter("line")) == even
        assert chart.attrib["aria-label"] == '<"&'
        assert '<script>"&' in [text.text for text in chart.iter("text")]


@pytest.mark.parametrize(("epochs", "last"), [(1, 1), (5, 5), (32, 35)])
def test_axes_reach_as_far_as_their_values_in_round_steps(epochs: int, last: int) -> None:
    curves = pd.DataFrame([[0.0, 0.61, 0.91]] * epochs, columns=COLUMNS["training"].split())
    losses, accuracy = chart_losses(curves), chart_accuracy(curves)
    assert losses.across.ticks[-1] == last
    assert losses.up.ticks == pytest.approx([0, 0.14, 0.28, 0.42, 0.56, 0.7])
    assert accuracy.up.ticks == pytest.approx([0.9, 0.92, 0.94, 0.96, 0.98, 1])
    assert len(list(draw(losses).iter("circle"))) == 2 * epochs
    for chart in (chart_losses(curves * 0), chart_accuracy(curves * 0 + 1)):  # without errors
        assert chart.up.ticks[0] < chart.up.ticks[-1] == 1


@pytest.mark.parametrize(("least", "tick"), [(0.57, 50), (0.993, 90)])
def test_how_sure_and_how_often_right_are_in_percent_on_two_equal_axes(
    least: float, tick: float
) -> None:
    rows = [[467, least, 1.0, 0.995, 0.998]]
    chart = chart_reliability(pd.DataFrame(rows, columns=COLUMNS["reliability"].split()))
    assert chart.across.ticks == chart.up.ticks
    assert (chart.up.ticks[0], chart.up.ticks[-1]) == (tick, 100)
    assert list(chart.series) == ["uncalibrated", "calibrated"]
    [uncalibrated], [calibrated] = chart.series.values()
    assert (*uncalibrated, *calibrated) == pytest.approx((100 * least, 100, 99.5, 99.8))
    assert chart.even
    assert chart.title == "How often it is right, by how sure it is"
    assert chart.across.title == "how sure it is (%)"
    assert chart.up.title == "how often it is right (%)"


def test_charts_tell_their_ends_in_words_and_have_all_epochs() -> None:
    rows = [[0.51234, 0.6, 0.97], [0.25, 0.4, 0.98], [0.125, 0.3, 0.981]]
    curves = pd.DataFrame(rows, columns=COLUMNS["training"].split())
    losses, accuracy = chart_losses(curves), chart_accuracy(curves)
    assert losses.title == (
        "Loss (nats) by epoch: training 0.5123, then 0.125; validation 0.6, then 0.3"
    )
    assert losses.series == {
        "training": [(1, 0.51234), (2, 0.25), (3, 0.125)],
        "validation": [(1, 0.6), (2, 0.4), (3, 0.3)],
    }
    assert accuracy.title == "Accuracy by epoch: validation 0.97, then 0.981"
    assert accuracy.series == {"validation": [(1, 0.97), (2, 0.98), (3, 0.981)]}
    assert accuracy.up.ticks[0] == 0.95
    for chart, up in ((losses, "Loss (nats)"), (accuracy, "Accuracy")):
        assert (chart.across.title, chart.up.title, chart.even) == ("epoch", up, False)
