from collections.abc import Mapping
from xml.etree import ElementTree

from .chart import svg
from .figures import FIGURES
from .report import Line, Report
from .sides import Side


SVG = "{http://www.w3.org/2000/svg}"


def chart(samples: Mapping[Side, list[float]], title: str = "a chat.complete over HTTP") -> ElementTree.Element:
    line = Line(FIGURES[title], samples)
    return ElementTree.fromstring(svg(Report([line], {"CPU": "A & B <1 GHz>"}, {"mistralai": "3.7.0"})))


def bars(root: ElementTree.Element, kind: str) -> list[float]:
    return [float(bar.attrib["width"]) for bar in root.iter(f"{SVG}rect") if bar.get("class") == kind]


def texts(root: ElementTree.Element) -> list[str]:
    return ["".join(text.itertext()) for text in root.iter(f"{SVG}text")]


def test_bars_are_multiples_of_ours() -> None:
    root = chart({Side.OURS: [100.0, 110.0, 90.0], Side.SDK: [200.0, 220.0, 180.0], Side.FLOOR: [50.0, 55.0, 45.0]})
    (ours,) = bars(root, "ours")
    assert bars(root, "other") == [ours / 2, ours * 2]
    assert {"50 µs, 0.50x", "100 µs", "200 µs, 2x"} <= set(texts(root))


def test_what_a_side_did_not_measure_is_not_drawn() -> None:
    root = chart({Side.OURS: [100.0], Side.NATIVE: [150.0]})
    assert len(bars(root, "other")) == 1
    assert not any("openinference" in text for text in texts(root))


def test_a_row_that_was_not_measured_is_left_out() -> None:
    assert not {"a plain call", "one of 10,000 stream events"} & set(texts(chart({Side.OURS: [1.0]})))


def test_what_would_be_too_long_ends_in_a_gap_and_tells_its_length() -> None:
    root = chart({Side.OURS: [1.0], Side.SDK: [90.0]})
    (gap,) = (bar for bar in root.iter(f"{SVG}rect") if bar.get("class") == "gap")
    assert float(gap.attrib["width"]) > 0
    assert bars(root, "other")[0] < 10 * bars(root, "ours")[0]
    assert "90 µs, 90x" in texts(root)


def test_what_is_less_than_nothing_has_no_length() -> None:
    assert bars(chart({Side.OURS: [1.0], Side.SDK: [-0.1]}), "other") == [0]


def test_machine_and_versions_stand_below() -> None:
    assert texts(chart({Side.OURS: [1.0]}))[-1] == "CPU A & B <1 GHz>, mistralai 3.7.0"


def test_the_untraced_is_taken_off_where_the_figure_says_so() -> None:
    root = chart({Side.OURS: [110.0], Side.SDK: [210.0], Side.UNTRACED: [10.0]}, "a plain call")
    assert {"100 µs", "200 µs, 2x"} <= set(texts(root))
