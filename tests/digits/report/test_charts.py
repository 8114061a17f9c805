from xml.etree import ElementTree as ET

import pandas as pd
import pytest

from digits.report.charts import Axis, Chart, chart_accuracy, chart_losses, chart_reliability
from digits.report.page import templates
from stages.report import COLUMNS


def draw(chart: Chart) -> ET.Element:
    return ET.fromstring(str(templates().get_template("chart.html").module.draw(chart)))  # type: ignore[attr-defined]


def test_values_lie_between_the_ends_of_an_axis() -> None:
    linear, logarithmic = Axis("", 2, 4), Axis("", 0.001, 1, logarithmic=True)
    assert [linear.place(value) for value in (2, 2.5, 4, -1)] == [0, 0.25, 1, 0]
    places = [logarithmic.place(value) for value in (0.001, 0.01, 1, 0, 5)]
    assert places == pytest.approx([0, 1 / 3, 1, 0, 1])


@pytest.mark.parametrize(
    ("axis", "expected"),
    [
        (Axis("", 0, 1), [0, 0.2, 0.4, 0.6, 0.8, 1]),
        (Axis("", 0.94, 1), [0.94, 0.95, 0.96, 0.97, 0.98, 0.99, 1]),
        (Axis("", 0, 0.3), [0, 0.05, 0.1, 0.15, 0.2, 0.25, 0.3]),
        (Axis("", 1, 120, whole=True), [20, 40, 60, 80, 100, 120]),
        (Axis("", 1, 3, whole=True), [1, 2, 3]),
        (Axis("", 0.001, 1, logarithmic=True), [0.001, 0.01, 0.1, 1]),
    ],
)
def test_ticks_are_round(axis: Axis, expected: list[float]) -> None:
    assert axis.ticks() == pytest.approx(expected)


def test_every_point_is_drawn_inside_and_joined_where_it_should_be() -> None:
    series = {name: [(1.0, 0.5), (2.0, 0.25), (3.0, 0.0)] for name in ("a", '<script>"&')}
    for even, lines in ((False, 2), (True, 0)):
        axes = Axis("epoch", 1.0, 3.0), Axis("loss", 0.0, 0.5)
        chart = draw(Chart('<"&', *axes, series, even))
        dots = [(float(dot.attrib["cx"]), float(dot.attrib["cy"])) for dot in chart.iter("circle")]
        assert dots[:3] == dots[3:] == [(62, 34), (265, 144), (468, 254)]
        points = [line.attrib["points"] for line in chart.iter("polyline")]
        assert points == ["62.0,34.0 265.0,144.0 468.0,254.0"] * lines
        assert sum(line.attrib["class"] == "even" for line in chart.iter("line")) == even
        assert chart.attrib["aria-label"] == '<"&'
        assert '<script>"&' in [text.text for text in chart.iter("text")]


def test_one_epoch_without_errors_can_be_drawn() -> None:
    curves = pd.DataFrame([[0.0, 0.0, 1.0]], columns=COLUMNS["training"].split())
    bins = pd.DataFrame([[7, 1.0, 1.0, 1.0, 1.0]], columns=COLUMNS["reliability"].split())
    for chart in (chart_losses(curves), chart_accuracy(curves), chart_reliability(bins)):
        assert list(draw(chart).iter("circle"))
