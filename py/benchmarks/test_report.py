import pytest

from .figures import FIGURES
from .report import Line
from .sides import Side


@pytest.mark.parametrize(
    ("title", "samples", "reached"),
    [
        pytest.param("a plain call", {Side.OURS: 15.0, Side.FLOOR: 10.0, Side.SDK: 1.0}, True, id="by floors"),
        pytest.param("a plain call", {Side.OURS: 16.0, Side.FLOOR: 10.0, Side.SDK: 90.0}, False, id="not by floors"),
        pytest.param("a plain call", {Side.OURS: 15.0}, None, id="without a floor"),
        pytest.param("import of the integration", {Side.OURS: 6.0, Side.SDK: 1.0}, True, id="by a limit"),
        pytest.param("import of the integration", {Side.OURS: 6.1, Side.SDK: 9.0}, False, id="not by a limit"),
        pytest.param("a plain call over HTTP", {Side.OURS: 5.0, Side.SDK: 6.0, Side.NATIVE: 5.1}, True, id="ahead"),
        pytest.param("a plain call over HTTP", {Side.OURS: 5.0, Side.SDK: 6.0, Side.NATIVE: 4.9}, False, id="behind"),
        pytest.param("a plain call over HTTP", {Side.OURS: 5.0, Side.FLOOR: 4.0}, None, id="ahead of nobody"),
        pytest.param("a call with 20 connectors", {Side.OURS: 5.0, Side.FLOOR: 1.0}, None, id="nothing to reach"),
    ],
)
def test_a_line_tells_whether_it_is_reached(title: str, samples: dict[Side, float], reached: bool | None) -> None:
    line = Line(FIGURES[title], {side: [sample] * 3 for side, sample in samples.items()})
    assert line.reached() is reached


def test_every_target_of_the_table_is_in_words() -> None:
    targets = {title: figure.target() for title, figure in FIGURES.items()}
    assert targets["a plain call"] == "≤ 1.5 floors"
    assert targets["a call with 10 MB of text"] == "≤ 0.5 ms"
    assert targets["a call with 4 tools over HTTP"] == "ahead of all"
    assert targets["a call with 20 connectors"] == ""
