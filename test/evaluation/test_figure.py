import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from alpamayo_ros.evaluation.figure import Figure, ratio_figure


def test_the_interval_covers_the_truth_as_often_as_it_says() -> None:
    rng = np.random.default_rng(7)
    covered = 0
    for _ in range(300):
        found = ratio_figure((rng.random(60) < 0.3).astype(float), np.ones(60))
        assert found is not None
        assert found.low is not None
        assert found.high is not None
        covered += found.low <= 0.3 <= found.high
    # The percentile bootstrap of 60 scenes is known to fall a little short of its 95 %.
    assert 0.90 <= covered / 300 <= 0.98


@settings(max_examples=40)
@given(st.lists(st.tuples(st.floats(0, 50), st.floats(0.1, 20)), min_size=1, max_size=40))
def test_the_value_lies_in_its_interval_and_comes_again(rows: list[tuple[float, float]]) -> None:
    shares, wholes = np.array(rows).T
    found = ratio_figure(shares, wholes)
    assert found == ratio_figure(shares, wholes)
    assert found is not None
    assert found.low is not None
    assert found.high is not None
    assert found.low <= found.high
    ratios = shares / wholes
    assert ratios.min() - 1e-9 <= found.low
    assert found.high <= ratios.max() + 1e-9


def test_no_whole_is_no_figure() -> None:
    assert ratio_figure(np.array([1.0, 2.0]), np.zeros(2)) is None


def test_kilometres_per_event_are_unbounded_where_a_resample_has_no_event() -> None:
    found = ratio_figure(np.full(10, 0.2), np.array([1.0] + [0.0] * 9))
    assert found is not None
    assert found.low is not None
    assert found.value == pytest.approx(2.0)
    assert found.low < 2.0
    assert found.high is None
    assert ratio_figure(np.ones(5), np.ones(5)) == Figure(1.0, 1.0, 1.0)
