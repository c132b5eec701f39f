"""Cameras of the simulator: pictures of the world, and dense labels beside them."""

from alpamayo_ros.simulation.cameras.labels import DenseLabels, Labeller, Seen
from alpamayo_ros.simulation.cameras.renderer import Renderer

__all__ = ["DenseLabels", "Labeller", "Renderer", "Seen"]
