"""The planner, and a bag played to it on the bag's own time; the launch ends with the bag.

    ros2 launch alpamayo_ros replay.launch.py bag:=BAG rig:=simulator model:=FOLDER rviz:=true

Takes the arguments of alpamayo.launch.py too.
"""

from pathlib import Path

from launch import LaunchContext, LaunchDescription
from launch.actions import DeclareLaunchArgument, EmitEvent, IncludeLaunchDescription, RegisterEventHandler
from launch.event_handlers import OnProcessExit
from launch.events import Shutdown
from launch.events.process import ProcessExited
from launch.launch_description_sources import PythonLaunchDescriptionSource
from launch.substitutions import LaunchConfiguration
from launch_ros.actions import Node
from launch_ros.event_handlers import OnStateTransition
from launch_ros.parameter_descriptions import ParameterValue

PLANNER = Path(__file__).with_name("alpamayo.launch.py")


def generate_launch_description() -> LaunchDescription:
    planner = IncludeLaunchDescription(
        PythonLaunchDescriptionSource(str(PLANNER)), launch_arguments=[("use_sim_time", "true"), ("autostart", "true")]
    )
    replay = Node(
        package="alpamayo_ros",
        executable="replay",
        name="alpamayo_replay",
        parameters=[
            {
                "bag": ParameterValue(LaunchConfiguration("bag"), value_type=str),
                "rate": ParameterValue(LaunchConfiguration("rate"), value_type=float),
                "start": ParameterValue(LaunchConfiguration("start"), value_type=float),
                "loop": ParameterValue(LaunchConfiguration("loop"), value_type=bool),
                "plans": False,  # those in the bag would be mixed with the planner's own
                "wait": 60.0,
            }
        ],
        output="screen",
    )
    return LaunchDescription(
        [
            DeclareLaunchArgument("bag", description="The bag to play: its folder, or its .mcap or .db3 file."),
            DeclareLaunchArgument("rate", default_value="1.0", description="Bag seconds per second."),
            DeclareLaunchArgument("start", default_value="0.0", description="Seconds into the bag."),
            DeclareLaunchArgument(
                "loop", default_value="false", choices=["true", "false"], description="Start again at the end."
            ),
            # A model may take minutes to load: the bag has to wait for it.
            RegisterEventHandler(OnStateTransition(goal_state="active", entities=[replay], handle_once=True)),
            RegisterEventHandler(OnProcessExit(target_action=replay, on_exit=_end)),
            planner,
        ]
    )


def _end(event: ProcessExited, context: LaunchContext) -> EmitEvent | None:
    if context.is_shutdown:
        return None
    if event.returncode != 0:
        raise RuntimeError("the bag could not be played; the replay says why above")
    return EmitEvent(event=Shutdown(reason="the bag is over"))
