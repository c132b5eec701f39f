"""Pictures out of image messages: sensor_msgs Image and CompressedImage, of rclpy or of rosbags."""

from __future__ import annotations

from typing import Any

import cv2
import numpy as np

from alpamayo_ros.timeline import PictureError, RefusalReason

RAW_CHANNELS = {
    "rgb8": 3, "bgr8": 3, "rgba8": 4, "bgra8": 4, "mono8": 1,
    "bayer_rggb8": 1, "bayer_bggr8": 1, "bayer_gbrg8": 1, "bayer_grbg8": 1,
    "yuv422": 2, "uyvy": 2, "yuv422_yuy2": 2, "yuyv": 2,
}  # fmt: skip
"""Bytes of a pixel, by the encoding of an Image that is read."""

_TO_RGB = {
    "bgr8": cv2.COLOR_BGR2RGB,
    "rgba8": cv2.COLOR_RGBA2RGB,
    "bgra8": cv2.COLOR_BGRA2RGB,
    "mono8": cv2.COLOR_GRAY2RGB,
    # OpenCV names a mosaic by the second and third pixel of its second row, ROS by the first row and the second.
    "bayer_rggb8": cv2.COLOR_BayerBG2RGB,
    "bayer_bggr8": cv2.COLOR_BayerRG2RGB,
    "bayer_gbrg8": cv2.COLOR_BayerGR2RGB,
    "bayer_grbg8": cv2.COLOR_BayerGB2RGB,
    "yuv422": cv2.COLOR_YUV2RGB_UYVY,
    "uyvy": cv2.COLOR_YUV2RGB_UYVY,
    "yuv422_yuy2": cv2.COLOR_YUV2RGB_YUY2,
    "yuyv": cv2.COLOR_YUV2RGB_YUY2,
}
"""OpenCV's conversion of every encoding but rgb8. Not cv_bridge: bags are read without ROS too, and the cv_bridge of
PyPI lacks some of them, takes the padding of rows for pixels and swaps single bytes where a message is big-endian."""

_JPEG, _END_OF_JPEG = b"\xff\xd8\xff", b"\xff\xd9"
_PNG, _END_OF_PNG = b"\x89PNG\r\n\x1a\n", b"IEND\xaeB`\x82"


def decode(message: Any) -> np.ndarray:
    """(H, W, 3) uint8 RGB of an Image or CompressedImage; it may share the memory of the message.

    Raises PictureError: CAMERA_ENCODING for what is not read, CAMERA_DAMAGED for what cannot be.
    """
    return _raw(message) if hasattr(message, "encoding") else _compressed(message)


def _raw(message: Any) -> np.ndarray:
    encoding, width, height, step = message.encoding, int(message.width), int(message.height), int(message.step)
    if encoding not in RAW_CHANNELS:
        raise PictureError(
            RefusalReason.CAMERA_ENCODING,
            f"its encoding is {encoding!r}, which is not read; publish one of {', '.join(RAW_CHANNELS)}",
        )
    row, size = width * RAW_CHANNELS[encoding], len(message.data)
    if not row or not height:
        raise _damaged(f"its picture is empty ({width}×{height})")
    if step < row:
        raise _damaged(f"a row of {width} pixels in {encoding} has {row} bytes, but step is {step}")
    if size != step * height:
        raise _damaged(f"it has {size} bytes of data, but {height} rows of {step} make {step * height}")
    if RAW_CHANNELS[encoding] == 2 and width % 2:
        raise _damaged(f"{encoding} holds pairs of pixels, but a row has {width}")
    if "bayer" in encoding and min(width, height) < 4:
        raise _damaged(f"{width}×{height} is too small for a colour mosaic")
    rows = np.frombuffer(message.data, np.uint8).reshape(height, step)[:, :row]
    pixels = np.ascontiguousarray(rows).reshape(height, width, -1)
    return cv2.cvtColor(pixels, _TO_RGB[encoding]) if encoding in _TO_RGB else pixels


def _compressed(message: Any) -> np.ndarray:
    stated, data = message.format, np.frombuffer(message.data, np.uint8)
    if "compresseddepth" in stated.lower():
        raise _not_read(stated)
    if not data.size:
        raise _damaged("its message holds no data")
    head = data[:8].tobytes()
    if not head.startswith((_JPEG, _PNG)):
        if any(word in stated.lower() for word in ("jpeg", "jpg", "png")):
            raise _damaged(f"its data is not what its format {stated!r} says")
        raise _not_read(stated)
    # OpenCV refuses what is cut off. But where a driver fills the rest of its buffer with zeros, it takes them for
    # pixels: so the end must be there.
    name, end = ("JPEG", _END_OF_JPEG) if head.startswith(_JPEG) else ("PNG", _END_OF_PNG)
    if not _ends_with(data, end):
        raise _damaged(f"its {name} of {data.size} bytes is cut off")
    try:
        pixels = cv2.imdecode(data, cv2.IMREAD_UNCHANGED)
    except cv2.error:  # a header with an absurd size
        pixels = None
    if pixels is None:
        raise _damaged(f"its {name} of {data.size} bytes cannot be decoded")
    if pixels.dtype != np.uint8:
        raise PictureError(
            RefusalReason.CAMERA_ENCODING, f"its PNG has {pixels.dtype} channels ({stated!r}); publish 8 bits a channel"
        )
    if pixels.ndim == 2:
        if stated.lower().startswith("bayer"):
            raise PictureError(
                RefusalReason.CAMERA_ENCODING,
                f"its format is {stated!r}: a colour mosaic was compressed; publish it debayered",
            )
        return cv2.cvtColor(pixels, cv2.COLOR_GRAY2RGB)
    return cv2.cvtColor(pixels, cv2.COLOR_BGRA2RGB if pixels.shape[2] == 4 else cv2.COLOR_BGR2RGB)


def _ends_with(data: np.ndarray, end: bytes) -> bool:
    """Whether data ends so, zeros behind it left out."""
    return data.tobytes().rstrip(b"\0").endswith(end)


def _not_read(stated: str) -> PictureError:
    return PictureError(
        RefusalReason.CAMERA_ENCODING, f"its format is {stated!r}, which is not read; publish JPEG or PNG"
    )


def _damaged(what: str) -> PictureError:
    return PictureError(RefusalReason.CAMERA_DAMAGED, f"{what}; check its driver and the transport")
