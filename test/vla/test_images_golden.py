"""Image preprocessing against the original: equal to the bit."""

from __future__ import annotations

import numpy as np
import pytest
from golden_data import arrays, inputs, model

from alpamayo_ros.vla.images import preprocess, resize, smart_resize

pytestmark = pytest.mark.golden

SIZES = [key.removesuffix("_seed") for key in arrays("image") if key.endswith("_seed")]


@pytest.mark.parametrize("size", SIZES)
def test_pixel_rows(size):
    data = {key.removeprefix(f"{size}_"): value for key, value in arrays("image").items() if key.startswith(size)}
    height, width = map(int, size.split("x"))
    frame = inputs().gen_frame(int(data["seed"]), height, width)
    assert inputs().sha(frame) == str(data["frame_sha256"]), "the generator made another picture than the original's"
    config = model("r1").config
    pixel_values, grid_thw = preprocess([frame.transpose(1, 2, 0)], config)
    np.testing.assert_array_equal(grid_thw, data["grid_thw"])
    np.testing.assert_array_equal(pixel_values[data["rows"]], data["pixel_rows"])
    assert inputs().sha(pixel_values.numpy()) == str(data["pixel_sha256"])
    if "resized_u8" in data:
        np.testing.assert_array_equal(resize(frame.transpose(1, 2, 0), config), data["resized_u8"])
    if "pixel_values" in data:
        np.testing.assert_array_equal(pixel_values, data["pixel_values"])


def test_smart_resize():
    data, vision = arrays("image"), model("r1").config.vision
    factor = vision.patch_size * vision.spatial_merge_size
    sizes = [
        smart_resize(int(h), int(w), factor, int(data["min_pixels"]), int(data["max_pixels"]))
        for h, w in data["smart_resize_in"]
    ]
    np.testing.assert_array_equal(sizes, data["smart_resize_out"])
