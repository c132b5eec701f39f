"""Parity of the metrics with the released evaluation code, and of comfort with the public recipes."""

import numpy as np
import pytest
from golden_data import arrays

from alpamayo_ros.evaluation.displacement import ade, min_ade
from alpamayo_ros.reasoning.comfort import comfort, dynamics

pytestmark = pytest.mark.golden


def yaws(rotations: np.ndarray) -> np.ndarray:
    return np.arctan2(rotations[..., 1, 0], rotations[..., 0, 0])


def test_ade() -> None:
    golden = arrays("metrics")
    planned, driven = golden["pred_xyz"].astype(float), golden["gt_xyz"].astype(float)
    np.testing.assert_allclose(ade(planned, driven), golden["ade"], rtol=0, atol=3e-7)
    np.testing.assert_allclose(ade(planned, driven, 2.0, only_xy=False), golden["ade_xyz_h20"], rtol=0, atol=3e-7)


@pytest.mark.parametrize(("case", "only_xy"), [("minade", True), ("minade_xyz_nosummary", False)])
def test_min_ade(case: str, only_xy: bool) -> None:
    golden = {key: value for key, value in arrays("metrics").items() if key.startswith(f"{case}|")}
    planned, driven = arrays("metrics")["pred_xyz"].astype(float), arrays("metrics")["gt_xyz"].astype(float)
    horizons = sorted(float(key.split("=")[1]) for key in golden if "=" in key and not key.endswith("_std"))
    names = [f"{case}|min_ade/by_t={horizon}" for horizon in horizons] + [f"{case}|min_ade"]
    found = min_ade(planned, driven, [*horizons, 6.4], only_xy)
    assert found.valid.all()
    for column, name in enumerate(names):
        np.testing.assert_allclose(found.metres[:, column], golden[name], rtol=0, atol=3e-7)
        if f"{name}_std" in golden:
            # Recorded in float32: the deviation of values around 0.6 keeps four digits.
            np.testing.assert_allclose(found.spread[:, column], golden[f"{name}_std"], rtol=0, atol=3e-6)


def test_comfort_and_dynamics() -> None:
    golden, drives = arrays("metrics"), arrays("action_space")
    headings = yaws(drives["fut_rot"])
    names = {
        "yaw_rate": "ego_yaw_rate", "yaw_accel": "ego_yaw_accel", "jerk": "ego_jerk", "lon_accel": "ego_dv_lon",
        "lon_jerk": "ego_jerk_lon", "lat_accel": "ego_dv_lat",
    }  # fmt: skip
    # In the precision of the record: every difference multiplies the rounding of float32 positions by ten.
    found = dynamics(drives["fut_xyz"], headings)
    for ours, theirs in names.items():
        scale = np.abs(golden[f"dyn|{theirs}"]).max()
        np.testing.assert_allclose(found[ours], golden[f"dyn|{theirs}"], rtol=0, atol=3e-6 * max(scale, 300.0))
    # The recorded change of speed has no bound of its own; jerk is its difference.
    speed_change = golden["dyn|ego_dv"]
    np.testing.assert_allclose(found["jerk"][:, :-1], np.diff(speed_change) * 10.0, rtol=0, atol=6e-3)
    passed = comfort(drives["fut_xyz"], headings)
    for name, values in passed.items():
        np.testing.assert_array_equal(values, golden[f"comfort|comfort/{name}"])
    for name, values in comfort(golden["pred_xyz"], yaws(golden["pred_rot"])).items():
        np.testing.assert_allclose(values.mean(axis=(1, 2)), golden[f"comfort_pred|comfort/{name}"])


def test_a_horizon_beyond_the_plan_is_not_valid() -> None:
    planned, driven = np.zeros((1, 2, 20, 3)), np.ones((20, 3))
    found = min_ade(planned, driven, (1.0, 2.5))
    assert found.valid.tolist() == [True, False]
    assert np.isnan(found.metres[1])
    with pytest.raises(ValueError, match="needs 25 waypoints; the plan has 20"):
        ade(planned, driven, 2.5)
