"""The package on a machine without ROS: everything but the messages. With ROS, `colcon build` reads CMakeLists.txt."""

from pathlib import Path
from xml.etree import ElementTree

from setuptools import setup

# The same places below the prefix that CMakeLists.txt installs to.
shared = {"share/alpamayo_ros": ["package.xml"]}
for folder in ("config", "launch", "models", "msg"):
    for path in sorted(Path(folder).rglob("*")):
        if path.is_file():
            shared.setdefault(f"share/alpamayo_ros/{path.parent}", []).append(str(path))

setup(
    version=ElementTree.parse("package.xml").findtext("version"),
    data_files=list(shared.items()),
)
