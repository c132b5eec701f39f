"""The two options of the vision tower that no release has: a convolutional stem, and tubelets."""

import dataclasses
import json

import numpy as np
import pytest
import torch
from golden_data import document, model

from alpamayo_ros.vla.config_json import config_from_json, config_to_json
from alpamayo_ros.vla.errors import CheckpointError
from alpamayo_ros.vla.images import preprocess
from alpamayo_ros.vla.vision import VisionTower


def configured(**changes):
    """The golden model's configuration with these options, as it comes back from its own file."""
    config = model("r1").config
    vision = dataclasses.replace(config.vision, **changes)
    pixels = {"min_pixels": 64 * 96, "max_pixels": 64 * 96}
    written = json.loads(json.dumps(config_to_json(dataclasses.replace(config, vision=vision, **pixels))))
    return config_from_json(written, written["vlm_config"])


def pictures(count, height=64, width=96):
    rng = np.random.default_rng(0)
    return [rng.integers(0, 256, (height, width, 3), dtype=np.uint8) for _ in range(count)]


def test_a_released_model_has_neither():
    config = model("r1").config
    assert (config.vision.stem_channels, config.vision.tubelets) == ((), False)
    assert "stem" not in " ".join(model("r1").state_dict())
    assert document("release_shapes_r1")


def test_a_tubelet_holds_frames_that_follow_each_other():
    config = configured(tubelets=True, temporal_patch_size=4)
    frames = pictures(8)
    rows, grids = preprocess(frames, config)
    assert grids.tolist() == [[1, 4, 6]] * 2
    first = rows[0].reshape(3, 4, 16, 16)
    for number in range(4):
        shown = torch.from_numpy(frames[number][:16, :16]).permute(2, 0, 1)
        torch.testing.assert_close(first[:, number] * 127.5 + 127.5, shown.float())
    still, grids = preprocess(frames[:1], configured())
    assert grids.tolist() == [[1, 4, 6]]
    assert torch.equal(still.reshape(24, 3, 2, 256)[:, :, 0], still.reshape(24, 3, 2, 256)[:, :, 1])


@torch.no_grad()
def test_the_stem_sees_whole_pictures_and_keeps_them_apart():
    config = configured(tubelets=True, temporal_patch_size=2, stem_channels=(6, 8)).vision
    tower = VisionTower(config).eval()
    one, grids = preprocess(pictures(2), configured(tubelets=True))
    wide, wide_grids = preprocess(pictures(2, 64, 96), configured(tubelets=True))
    alone = tower(one, grids)
    both = tower(torch.cat([one, wide]), torch.cat([grids, wide_grids]))
    torch.testing.assert_close(both.tokens[: len(alone.tokens)], alone.tokens)
    # Pictures of two sizes go through it one by one.
    small = torch.randn(4 * 4, one.shape[1])
    mixed = tower(torch.cat([one, small]), torch.cat([grids, torch.tensor([[1, 4, 4]])]))
    torch.testing.assert_close(mixed.tokens[: len(alone.tokens)], alone.tokens, atol=1e-5, rtol=1e-5)


@torch.no_grad()
def test_the_stem_is_a_convolution_of_the_picture():
    config = configured(stem_channels=(5,))
    tower, rows = VisionTower(config.vision), preprocess(pictures(1), config)[0]
    picture = torch.from_numpy(pictures(1)[0]).permute(2, 0, 1).float() / 127.5 - 1.0
    # Channel by channel, each frame of the temporal patch: a still picture is there twice.
    whole = torch.nn.functional.gelu(tower.stem.layers[0](picture[:, None].expand(-1, 2, -1, -1).flatten(0, 1)[None]))
    seen = tower.stem(rows, [(4, 6)]).reshape(2, 3, 2, 2, 5, 8, 8)
    torch.testing.assert_close(seen.permute(4, 0, 2, 5, 1, 3, 6).reshape(5, 32, 48), whole[0])


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"stem_channels": (4, 4, 4, 4, 4)}, "stem_channels must halve patch_size"),
        ({"tubelets": True, "temporal_patch_size": 3}, "frames_per_camera must be a multiple of temporal_patch_size"),
    ],
)
def test_options_that_cannot_work_are_refused(changes, message):
    with pytest.raises(CheckpointError, match=message):
        configured(**changes)
