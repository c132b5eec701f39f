"""Pictures out of messages: every encoding that is read gives the same picture; all else is refused, never guessed."""

from __future__ import annotations

import contextlib
from types import SimpleNamespace
from typing import Any

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from alpamayo_ros.nodes.message_types import live_types, offline_types
from alpamayo_ros.nodes.pictures import RAW_CHANNELS, decode
from alpamayo_ros.timeline import PictureError, RefusalReason

DAMAGED, ENCODING = RefusalReason.CAMERA_DAMAGED, RefusalReason.CAMERA_ENCODING


def scene(height: int = 96, width: int = 160) -> np.ndarray:
    """(H, W, 3) uint8 RGB, smooth, with three different channels."""
    y, x = np.mgrid[:height, :width]
    channels = (128 + 100 * np.sin(x / 21), 128 + 100 * np.cos(y / 17), 128 + 90 * np.sin((x + y) / 31))
    return np.stack(channels, axis=-1).astype(np.uint8)


def mosaic(picture: np.ndarray, pattern: str) -> np.ndarray:
    """(H, W): of every pixel the one channel that a sensor with this 2×2 pattern sees."""
    seen = np.empty(picture.shape[:2], np.uint8)
    for i, colour in enumerate(pattern):
        seen[i // 2 :: 2, i % 2 :: 2] = picture[i // 2 :: 2, i % 2 :: 2, "rgb".index(colour)]
    return seen


def packed_yuv(picture: np.ndarray, luma_first: bool) -> np.ndarray:
    """(H, W, 2): 4:2:2, video range, ITU-R BT.601, written down independently of OpenCV."""
    r, g, b = (picture[..., i].astype(float) for i in range(3))
    y = 16 + (65.738 * r + 129.057 * g + 25.064 * b) / 256
    u = 128 + (-37.945 * r - 74.494 * g + 112.439 * b) / 256
    v = 128 + (112.439 * r - 94.154 * g - 18.285 * b) / 256
    chroma = np.empty_like(y)
    chroma[:, 0::2], chroma[:, 1::2] = u[:, 0::2], v[:, 0::2]
    return np.stack([y, chroma] if luma_first else [chroma, y], axis=-1).round().astype(np.uint8)


def pixels_in(encoding: str, picture: np.ndarray) -> np.ndarray:
    """(H, W * bytes) as the sensor_msgs documentation lays the encoding out."""
    height = picture.shape[0]
    if encoding.startswith("bayer_"):
        return mosaic(picture, encoding[6:10])
    if RAW_CHANNELS[encoding] == 2:
        return packed_yuv(picture, encoding in ("yuyv", "yuv422_yuy2")).reshape(height, -1)
    if encoding == "mono8":
        return picture[..., 1]
    opaque = np.dstack([picture, np.full(picture.shape[:2], 77, np.uint8)])
    order = ["rgba".index(letter) for letter in encoding[:-1]]
    return opaque[..., order].reshape(height, -1)


def image(types: Any, encoding: str, rows: np.ndarray, pixels: int, padding: int = 0, **changes: Any) -> Any:
    padded = np.pad(rows, ((0, 0), (0, padding)), constant_values=255)
    fields = {
        "header": types.Header(stamp=types.Time(sec=0, nanosec=0), frame_id=""), "height": len(rows), "width": pixels,
        "encoding": encoding, "is_bigendian": 0, "step": padded.shape[1], "data": types.octets(padded.tobytes()),
    }  # fmt: skip
    return types.Image(**(fields | changes))


def compressed(types: Any, data: bytes, stated: str = "jpeg") -> Any:
    header = types.Header(stamp=types.Time(sec=0, nanosec=0), frame_id="")
    return types.CompressedImage(header=header, format=stated, data=types.octets(data))


def encoded(suffix: str, picture: np.ndarray, *options: int) -> bytes:
    bgr = cv2.cvtColor(picture, cv2.COLOR_RGB2BGR) if picture.ndim == 3 else picture
    return cv2.imencode(suffix, bgr, list(options))[1].tobytes()


@pytest.fixture(params=[live_types, offline_types], ids=["rclpy", "rosbags"])
def types(request):
    return request.param()


@pytest.mark.parametrize("padding", [0, 1, 13, 32])
@pytest.mark.parametrize("big", [0, 1])
@pytest.mark.parametrize("encoding", RAW_CHANNELS)
def test_every_encoding_gives_the_picture(types, encoding, padding, big):
    picture = scene()
    got = decode(image(types, encoding, pixels_in(encoding, picture), 160, padding, is_bigendian=big))
    assert (got.shape, got.dtype) == ((96, 160, 3), np.uint8)
    expected = np.repeat(picture[..., 1:2], 3, axis=2) if encoding == "mono8" else picture
    # A mosaic and 4:2:2 leave colour out; what is put in for it is within a few levels in a smooth picture.
    exact = encoding in ("rgb8", "bgr8", "rgba8", "bgra8", "mono8")
    off = np.abs(got.astype(int) - expected)[2:-2, 2:-2]
    assert off.max() <= (0 if exact else 6)


@pytest.mark.parametrize(
    "encoding",
    ["mono16", "rgb16", "bgra16", "16UC1", "32FC1", "64FC3", "8UC3", "8UC1", "bayer_rggb16", "nv12", "", "RGB8"],
)
def test_other_encodings_are_refused_by_name(types, encoding):
    with pytest.raises(PictureError, match="rgb8.*mono8.*yuv422_yuy2") as caught:
        decode(image(types, encoding, np.zeros((4, 32), np.uint8), 4))
    assert caught.value.reason is ENCODING
    assert repr(encoding) in str(caught.value)


@pytest.mark.parametrize(
    ("changes", "what"),
    [
        ({"width": 0, "step": 0, "data": b""}, "empty"),
        ({"height": 0, "data": b""}, "empty"),
        ({"step": 0}, "step is 0"),
        ({"step": 479}, "step is 479"),
        ({"data": b""}, "0 bytes"),
        ({"data": bytes(480 * 96 - 1)}, "46079 bytes"),
        ({"data": bytes(480 * 96 + 1)}, "46081 bytes"),
        ({"height": 97}, "97 rows"),
    ],
)
def test_sizes_that_do_not_fit_are_damage(types, changes, what):
    if "data" in changes:
        changes = changes | {"data": types.octets(changes["data"])}
    with pytest.raises(PictureError, match=what) as caught:
        decode(image(types, "rgb8", pixels_in("rgb8", scene()), 160, **changes))
    assert caught.value.reason is DAMAGED


@pytest.mark.parametrize(
    ("encoding", "width", "height"), [("uyvy", 7, 4), ("bayer_rggb8", 1, 1), ("bayer_grbg8", 2, 2)]
)
def test_pictures_too_small_for_their_encoding_are_damage(types, encoding, width, height):
    rows = np.zeros((height, width * RAW_CHANNELS[encoding]), np.uint8)
    with pytest.raises(PictureError) as caught:
        decode(image(types, encoding, rows, width))
    assert caught.value.reason is DAMAGED


@settings(max_examples=200, deadline=None)
@given(
    encoding=st.sampled_from([*RAW_CHANNELS]), width=st.integers(0, 9), height=st.integers(0, 9),
    step=st.integers(0, 40), size=st.integers(0, 200),
)  # fmt: skip
def test_any_sizes_give_a_picture_or_a_refusal(encoding, width, height, step, size):
    message = SimpleNamespace(
        encoding=encoding, width=width, height=height, step=step, is_bigendian=0, data=np.zeros(size, np.uint8)
    )
    try:
        picture = decode(message)
    except PictureError as error:
        damaged = error.reason is DAMAGED
    else:
        damaged = False
        assert picture.shape == (height, width, 3)
    assert damaged or size == step * height


@pytest.mark.parametrize(
    "stated", ["jpeg", "rgb8; jpeg compressed bgr8", "png", "bgr8; png compressed bgr8", "", "jpg"]
)
@pytest.mark.parametrize("suffix", [".jpg", ".png"])
def test_compressed_pictures_are_read_by_what_they_are(types, suffix, stated):
    picture = scene()
    got = decode(compressed(types, encoded(suffix, picture), stated))
    assert np.abs(got.astype(int) - picture).max() <= (0 if suffix == ".png" else 12)


def test_compressed_grey_and_transparency(types):
    grey, rgba = scene()[..., 1], np.dstack([scene(), np.full((96, 160), 9, np.uint8)])
    got = decode(compressed(types, encoded(".png", grey), "mono8; png compressed mono8"))
    assert (got == grey[..., None]).all()
    assert np.abs(decode(compressed(types, encoded(".jpg", grey))).astype(int) - grey[..., None]).max() <= 12
    transparent = cv2.imencode(".png", cv2.cvtColor(rgba, cv2.COLOR_RGBA2BGRA))[1].tobytes()
    assert (decode(compressed(types, transparent, "png")) == scene()).all()


def test_a_jpeg_that_its_driver_filled_up_with_zeros_is_read(types):
    data = encoded(".jpg", scene())
    np.testing.assert_array_equal(decode(compressed(types, data + bytes(5000))), decode(compressed(types, data)))


JPEGS = {
    "baseline": (),
    "progressive": (cv2.IMWRITE_JPEG_PROGRESSIVE, 1),
    "restarts": (cv2.IMWRITE_JPEG_RST_INTERVAL, 4),
}


@pytest.mark.parametrize("padding", [0, 1, 200_000], ids=["cut", "cut-0", "cut-zeros"])
@pytest.mark.parametrize("kind", [*JPEGS, "png"])
def test_a_picture_cut_off_anywhere_is_damage(kind, padding):
    picture = scene()
    data = encoded(".png", picture) if kind == "png" else encoded(".jpg", picture, *JPEGS[kind])
    cuts = [*range(1, 64), *range(64, len(data), max(1, len(data) // 150)), len(data) - 1]
    for cut in cuts:
        with pytest.raises(PictureError) as caught:
            decode(compressed(offline_types(), data[:-cut] + bytes(padding), "jpeg"))
        assert caught.value.reason is DAMAGED, cut


@pytest.mark.parametrize("data", [b"", b"\xff", b"\xff\xd8\xff", b"hello, this is no picture", bytes(1000)])
@pytest.mark.parametrize("stated", ["jpeg", "bgr8; png compressed bgr8"])
def test_garbage_is_damage(types, data, stated):
    with pytest.raises(PictureError) as caught:
        decode(compressed(types, data, stated))
    assert caught.value.reason is DAMAGED


def test_an_absurd_size_is_damage(types):
    data = bytearray(encoded(".png", scene()))
    data[16:24] = b"\x7f\xff\xff\xff" * 2
    with pytest.raises(PictureError) as caught:
        decode(compressed(types, bytes(data), "png"))
    assert caught.value.reason is DAMAGED


@pytest.mark.parametrize(
    ("stated", "data"),
    [
        ("16UC1; compressedDepth", bytes(12) + encoded(".png", np.zeros((4, 4), np.uint16))),
        ("16UC1; compressedDepth png", encoded(".png", np.zeros((4, 4), np.uint16))),
        ("32FC1; compressedDepth", encoded(".png", np.zeros((4, 4), np.uint8))),
        ("16UC1; png compressed ", encoded(".png", np.zeros((4, 4), np.uint16))),
        ("rgb16; png compressed bgr16", encoded(".png", np.zeros((4, 4, 3), np.uint16))),
        ("bayer_rggb8; jpeg compressed ", encoded(".jpg", scene()[..., 0])),
        ("h264", b"\x00\x00\x00\x01\x67"),
        ("webp", b"RIFF" + bytes(40)),
        ("tiff", b"II*\x00" + bytes(40)),
    ],
)
def test_other_compressed_formats_are_refused_by_name(types, stated, data):
    with pytest.raises(PictureError) as caught:
        decode(compressed(types, data, stated))
    assert caught.value.reason is ENCODING
    assert repr(stated) in str(caught.value)


def test_random_bytes_in_the_middle_never_crash():
    data, rng = encoded(".jpg", scene()), np.random.default_rng(3)
    for _ in range(60):
        broken = bytearray(data)
        for place in rng.integers(3, len(data) - 2, 5):
            broken[place] = rng.integers(256)
        with contextlib.suppress(PictureError):
            assert decode(compressed(offline_types(), bytes(broken))).dtype == np.uint8
