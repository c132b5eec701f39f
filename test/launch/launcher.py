"""Runs one launch file with the real `launch`, as `ros2 launch` does: `launcher.py LIBRARIES FILE name:=value ...`.

Runs under a Python 3.12 that has nothing of ours. LIBRARIES is the folder of the Jazzy packages that `make test-launch`
fetches. They need their own libraries, and the nodes must not see those: so this process starts itself once more with
them, and then gives the nodes the environment that it was called with. That one's PYTHONPATH is for another Python, so
it is to be run with -E.
"""

import os
import signal
import sys
from pathlib import Path

# A shell that starts the tests in the background would have all of them ignore Ctrl-C.
signal.signal(signal.SIGINT, signal.default_int_handler)
libraries = Path(sys.argv[1]).absolute()
inherited = os.environ.pop("LAUNCHER_INHERITED", None)
if inherited is None:
    os.environ["LAUNCHER_INHERITED"] = os.environ.get("LD_LIBRARY_PATH", "")
    os.environ["LD_LIBRARY_PATH"] = str(libraries / "lib")
    os.execv(sys.executable, [sys.executable, "-E", *sys.argv])
os.environ["LD_LIBRARY_PATH"] = inherited
os.environ.pop("_ROS_WHEELS_BOOTSTRAP_COMPLETE", None)  # or the nodes would not find their libraries
sys.path.insert(0, str(libraries / "rclpy"))

from launch import LaunchDescription, LaunchService  # noqa: E402
from launch.actions import IncludeLaunchDescription  # noqa: E402
from launch.launch_description_sources import PythonLaunchDescriptionSource  # noqa: E402

arguments = [tuple(argument.split(":=", 1)) for argument in sys.argv[3:]]
service = LaunchService(argv=sys.argv[3:])
source = PythonLaunchDescriptionSource(sys.argv[2])
service.include_launch_description(LaunchDescription([IncludeLaunchDescription(source, launch_arguments=arguments)]))
sys.exit(service.run())
