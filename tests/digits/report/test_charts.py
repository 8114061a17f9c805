from xml.etree import ElementTree as ET

import pytest

from digits.report.charts import HEIGHT, WIDTH, Axis, Series, draw_chart


def test_an_axis_places_values_from_its_start_to_its_end() -> None:
    axis = Axis("loss", 2.0, 4.0)
    assert [axis.place(value) for value in (2, 2.5, 4)] == [0, 0.25, 1]


def test_equal_factors_are_equal_steps_on_a_logarithmic_axis() -> None:
    axis = Axis("share", 0.001, 1.0, logarithmic=True)
    assert [axis.place(value) for value in (0.001, 0.01, 0.1, 1)] == pytest.approx(
        [0, 1 / 3, 2 / 3, 1]
    )
    assert axis.ticks() == [0.001, 0.01, 0.1, 1]


def test_values_beyond_an_end_lie_there() -> None:
    assert Axis("loss", 2.0, 4.0).place(-1) == 0
    assert Axis("share", 0.001, 1.0, logarithmic=True).place(0) == 0
    assert Axis("share", 0.001, 1.0, logarithmic=True).place(5) == 1


@pytest.mark.parametrize(
    ("low", "high", "expected"),
    [
        (0, 1, [0, 0.2, 0.4, 0.6, 0.8, 1]),
        (0.94, 1, [0.94, 0.95, 0.96, 0.97, 0.98, 0.99, 1]),
        (0, 0.3, [0, 0.05, 0.1, 0.15, 0.2, 0.25, 0.3]),
        (1, 120, [20, 40, 60, 80, 100, 120]),
    ],
)
def test_ticks_are_about_five_round_values(low: float, high: float, expected: list[float]) -> None:
    assert Axis("", low, high).ticks() == pytest.approx(expected)


@pytest.mark.parametrize("epochs", [2, 3, 7])
def test_epochs_are_whole(epochs: int) -> None:
    ticks = Axis("epoch", 1.0, float(epochs), whole=True).ticks()
    assert ticks == [int(tick) for tick in ticks]
    assert ticks[0] >= 1
    assert ticks[-1] <= epochs


def draw(name: str, *, joined: bool = True) -> ET.Element:
    points = [(1.0, 0.5), (2.0, 0.25), (3.0, 0.0)]
    axes = Axis("epoch", 1.0, 3.0), Axis(name, 0.0, 0.5)
    chart = draw_chart(name, *axes, [Series(name, points, joined), Series("b", points)], even=True)
    return ET.fromstring(chart)


def test_every_point_is_drawn_inside_and_joined_where_it_should_be() -> None:
    chart = draw("loss")
    dots = [(float(dot.attrib["cx"]), float(dot.attrib["cy"])) for dot in chart.iter("circle")]
    assert len(dots) == 6
    assert all(0 < x < WIDTH and 0 < y < HEIGHT for x, y in dots)
    assert [x for x, _ in dots[:3]] == sorted(x for x, _ in dots[:3])
    assert [y for _, y in dots[:3]] == sorted(y for _, y in dots[:3])
    assert len(list(chart.iter("polyline"))) == 2
    assert len(list(draw("loss", joined=False).iter("polyline"))) == 1


def test_markup_in_a_name_is_text() -> None:
    name = '<script>"&'
    chart = draw(name)
    assert chart.attrib["aria-label"] == name
    assert not list(chart.iter("script"))
    assert name in [text.text for text in chart.iter("text")]
