import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from alpamayo_ros.types import CameraRole
from alpamayo_ros.types.rig import FTheta, Pinhole, Rig, default_rig, f_theta_lens, pinhole_lens

LENSES = [pinhole_lens(160, 96, math.radians(70)), f_theta_lens(160, 96, math.radians(120)), f_theta_lens(64, 64, 0.5)]


@pytest.mark.parametrize("lens", LENSES)
@given(u=st.floats(0, 1), v=st.floats(0, 1))
def test_projecting_a_ray_gives_its_pixel_back(lens: Pinhole | FTheta, u: float, v: float) -> None:
    pixel = np.array([u * (lens.width - 1), v * (lens.height - 1)])
    ray = lens.unproject(pixel)
    assert np.linalg.norm(ray) == pytest.approx(1.0)
    back, valid = lens.project(7.0 * ray)
    assert valid
    assert np.abs(back - pixel).max() < 0.05


@pytest.mark.parametrize("lens", LENSES)
def test_resizing_keeps_directions(lens: Pinhole | FTheta) -> None:
    large = lens.resized(lens.width * 3, lens.height * 2)
    pixel = np.array([20.0, 30.0])
    same = np.array([(20.0 + 0.5) * 3 - 0.5, (30.0 + 0.5) * 2 - 0.5])
    np.testing.assert_allclose(lens.unproject(pixel), large.unproject(same), atol=1e-9)


def test_the_field_of_view_is_the_one_in_the_name() -> None:
    rig = default_rig(roles=list(CameraRole))
    assert rig.roles == tuple(CameraRole)
    for role in rig.roles:
        lens = rig[role].intrinsics
        left, right = lens.unproject(np.array([[-0.5, lens.cy], [lens.width - 0.5, lens.cy]]))
        angle = math.degrees(math.acos(left @ right))
        assert angle == pytest.approx(float(role.label.rsplit("_", 1)[1]), abs=0.5)


def test_the_front_camera_looks_ahead_and_cameras_see_what_is_on_their_side() -> None:
    rig = default_rig(roles=list(CameraRole))
    front = rig[CameraRole.FRONT_WIDE_120]
    pixels, _ = front.project(np.array([[30.0, 5.0, 1.0], [30.0, -5.0, 1.0], [30.0, 0.0, 5.0]]))
    assert pixels[0, 0] < 80 < pixels[1, 0], "left is left in the picture"
    assert pixels[2, 1] < pixels[0, 1], "up is up"
    assert rig[CameraRole.CROSS_LEFT_120].sees(np.array([3.0, 10.0, 1.0]))
    assert not rig[CameraRole.CROSS_LEFT_120].sees(np.array([3.0, -10.0, 1.0]))
    assert rig[CameraRole.REAR_TELE_30].sees(np.array([-20.0, 0.0, 1.0]))
    assert rig[CameraRole.REAR_LEFT_70].sees(np.array([-10.0, 6.0, 1.0]))
    assert not front.sees(np.array([-20.0, 0.0, 1.0]))


def test_no_camera_mirrors_or_stretches() -> None:
    for camera in default_rig(roles=list(CameraRole)).cameras.values():
        np.testing.assert_allclose(camera.rotation @ camera.rotation.T, np.eye(3), atol=1e-12)
        assert np.linalg.det(camera.rotation) == pytest.approx(1.0)


def test_a_role_comes_once() -> None:
    camera = default_rig()[CameraRole.FRONT_WIDE_120]
    with pytest.raises(ValueError, match="one camera of each role"):
        Rig([camera, camera])
    with pytest.raises(KeyError, match="rear_tele_30"):
        default_rig()[CameraRole.REAR_TELE_30]
