"""Alpamayo-R1 for ROS 2: an Observation goes in, a Plan comes out."""

from pkgutil import extend_path

# `colcon build` puts the messages (alpamayo_ros.msg) beside a copy of this package in the install space; a checkout on
# the path comes first, and still finds them there.
__path__ = extend_path(__path__, __name__)
