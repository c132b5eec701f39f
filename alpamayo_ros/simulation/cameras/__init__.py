"""Cameras of the simulator: pictures of the world, and dense labels beside them."""

from alpamayo_ros.simulation.cameras.renderer import Renderer

__all__ = ["Renderer"]
