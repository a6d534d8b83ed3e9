"""How values and surprises are written and coloured."""

from __future__ import annotations

import datetime

import pytest

from tapemill.report.flow_style import BUY, NEUTRAL, SELL, blend, write_value, z_colour
from tapemill.report.sparkline import spark_points, sparkline


@pytest.mark.parametrize(
    ("value", "form", "written"),
    [
        (1_234_567_890, "volume", "1.23B"),
        (12_345_678.0, "volume", "12.35M"),
        (345_678, "volume", "346K"),
        (999.4, "volume", "999"),
        (2.5e7, "dollars", "$25.00M"),
        (0.5123, "frac", "51.2 %"),
        (-0.0001, "frac", "0.0 %"),
        (2.314, "z", "+2.31"),
        (-0.001, "z", "0.00"),
        (1234.5, "price", "1,234.50"),
        (1.254, "ratio", "1.25"),
        (45, "count", "45"),
        (datetime.date(2021, 1, 15), "date", "2021-01-15"),
        ("T1", "text", "T1"),
        (True, "flag", "●"),
        (False, "flag", "○"),
        (None, "volume", ""),
        (float("nan"), "z", ""),
    ],
)
def test_values_are_written_by_their_form_and_unknown_ones_are_blank(value, form, written):
    assert write_value(value, form) == written


def test_colour_follows_the_sign_and_size_of_the_surprise():
    assert z_colour(3.0) == z_colour(9.0) == BUY
    assert z_colour(-3.0) == SELL
    assert z_colour(0.0) == z_colour(None) == z_colour(float("nan")) == NEUTRAL
    assert blend("#000000", "#FE8000", 0.5) == "#7F4000"


def test_a_spark_steps_from_bottom_to_top_and_breaks_where_nothing_is_known():
    runs = spark_points([0.0, None, 2.0, 1.0], 40.0, 10.0)
    assert runs == [
        [(0.0, 10.0), (10.0, 10.0)],
        [(20.0, 0.0), (30.0, 0.0), (30.0, 5.0), (40.0, 5.0)],
    ]
    assert spark_points([1.0, 1.0], 20.0, 10.0) == [[(0, 5.0), (10, 5.0), (10, 5.0), (20, 5.0)]]
    assert sparkline([None, None]) == ""
    assert sparkline([1.0, 2.0]).count("<polyline") == 1
