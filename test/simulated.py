"""The simulator's end of the topics, without its process."""

from contextlib import contextmanager

import rclpy
from rclpy.context import Context
from rclpy.node import Node

from alpamayo_ros.datasets.drive import EPOCH_NS, TICK_NS
from alpamayo_ros.evaluation.closed_loop import WARM_UP
from alpamayo_ros.evaluation.scene import Scene
from alpamayo_ros.nodes.sensor_feed import SensorFeed
from alpamayo_ros.simulation.cameras import Renderer
from alpamayo_ros.simulation.world import Variant
from alpamayo_ros.types.rig import default_rig

SCENE = Scene("open_road", 0, Variant.NOMINAL)
T0 = EPOCH_NS + WARM_UP * TICK_NS


@contextmanager
def simulated(domain, renderer=None, raw=True, record=lambda message: None, navigation=False):
    """A node and its feed."""
    context = Context()
    rclpy.init(context=context, domain_id=domain)
    try:
        node = Node("simulator", context=context)
        renderer = renderer or Renderer(default_rig(64, 48), 1)
        yield node, SensorFeed(node, renderer, raw=raw, record=record, navigation=navigation)
    finally:
        rclpy.shutdown(context=context)
