"""Cameras and odometry as a car of four cameras sends them, for measurements: nothing is driven, nothing simulated."""

from __future__ import annotations

import time
from dataclasses import dataclass
from multiprocessing.synchronize import Event

import cv2
import numpy as np
import rclpy
from nav_msgs.msg import Odometry
from sensor_msgs.msg import CompressedImage

from alpamayo_ros.nodes.message_parts import time as stamped
from alpamayo_ros.nodes.message_types import live_types
from alpamayo_ros.nodes.rig_profile import OdometrySource, RigProfile

SPEED = 10.0  # m/s along x
VARIANTS = 31
"""Different pictures of each camera, sent in turn: enough that none comes twice within one plan, even at 60 Hz."""


@dataclass(frozen=True)
class Traffic:
    """size: width and height. camera_rate, odometry_rate: Hz."""

    rig: RigProfile
    size: tuple[int, int]
    camera_rate: float
    odometry_rate: float

    def send(self, stop: Event) -> None:
        """Publish in real time until told to stop, in a process of its own."""
        assert isinstance(self.rig.ego, OdometrySource)
        rclpy.init()
        node = rclpy.create_node("traffic")
        cameras = [node.create_publisher(CompressedImage, it.topic, 10) for it in self.rig.cameras.values()]
        odometry = node.create_publisher(Odometry, self.rig.ego.topic, 100)
        pictures = _pictures(*self.size)
        begin, frames, poses = time.time(), 0, 0
        while not stop.is_set():
            elapsed = time.time() - begin
            while poses <= elapsed * self.odometry_rate:
                odometry.publish(_pose(begin, poses / self.odometry_rate))
                poses += 1
            if frames <= elapsed * self.camera_rate:
                stamp = stamped(live_types(), round((begin + frames / self.camera_rate) * 1e9))
                for number, camera in enumerate(cameras):
                    message = CompressedImage(format="jpeg", data=pictures[(frames + number) % VARIANTS])
                    message.header.stamp = stamp
                    camera.publish(message)
                frames += 1
            time.sleep(0.0005)
        node.destroy_node()
        rclpy.try_shutdown()


def _pictures(width: int, height: int) -> list[bytes]:
    """JPEGs of some texture, about as large as those of a street."""
    random = np.random.default_rng(0)
    small = [random.integers(0, 256, (height // 12, width // 12, 3), dtype=np.uint8) for _ in range(VARIANTS)]
    large = [cv2.resize(picture, (width, height), interpolation=cv2.INTER_CUBIC) for picture in small]
    return [cv2.imencode(".jpg", picture, [cv2.IMWRITE_JPEG_QUALITY, 85])[1].tobytes() for picture in large]


def _pose(begin: float, elapsed: float) -> Odometry:
    message = Odometry(child_frame_id="base_link")
    message.header.frame_id = "odom"
    message.header.stamp = stamped(live_types(), round((begin + elapsed) * 1e9))
    message.pose.pose.position.x = elapsed * SPEED
    message.pose.pose.orientation.w = 1.0
    return message
