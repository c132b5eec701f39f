"""The planner drives in the built-in simulator, in lockstep; the launch ends with the scenario.

    ros2 launch alpamayo_ros demo.launch.py kind:=jaywalker rviz:=true

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
from launch_ros.actions import Node, SetRemap
from launch_ros.event_handlers import OnStateTransition
from launch_ros.parameter_descriptions import ParameterValue

PLANNER = Path(__file__).with_name("alpamayo.launch.py")
PARAMETERS = Path(__file__).parents[1] / "config/demo.yaml"


def generate_launch_description() -> LaunchDescription:
    planner = IncludeLaunchDescription(
        PythonLaunchDescriptionSource(str(PLANNER)),
        launch_arguments=[("use_sim_time", "true"), ("autostart", "true"), ("rig", "simulator"), ("namespace", "")],
    )
    simulator = Node(
        package="alpamayo_ros",
        executable="simulator",
        name="simulator",
        parameters=[
            {
                "kind": ParameterValue(LaunchConfiguration("kind"), value_type=str),
                "variant": ParameterValue(LaunchConfiguration("variant"), value_type=str),
                "seed": ParameterValue(LaunchConfiguration("seed"), value_type=int),
                "repeat": ParameterValue(LaunchConfiguration("repeat"), value_type=bool),
                "navigation": ParameterValue(LaunchConfiguration("navigation"), value_type=bool),
                "cameras": ParameterValue(LaunchConfiguration("cameras"), value_type=str),
                "lockstep": True,
            }
        ],
        output="screen",
    )
    return LaunchDescription(
        [
            DeclareLaunchArgument(
                "kind", default_value="red_light", description="Scenario kind; a wrong one lists all."
            ),
            DeclareLaunchArgument("seed", default_value="0", description="Of the scenario."),
            DeclareLaunchArgument(
                "variant", default_value="nominal", choices=["nominal", "challenging"], description="Of the scenario."
            ),
            DeclareLaunchArgument(
                "repeat", default_value="false", choices=["true", "false"], description="Begin again at the end."
            ),
            DeclareLaunchArgument(
                "params_file", default_value=str(PARAMETERS), description="Parameters of the planner."
            ),
            DeclareLaunchArgument(
                "navigation",
                default_value="false",
                choices=["true", "false"],
                description="Give the planner a navigation device's instructions; needs a model that takes them.",
            ),
            DeclareLaunchArgument(
                "cameras",
                default_value="r1",
                description="That the simulated car has: r1, or all, for a model that takes whichever there are.",
            ),
            SetRemap("~/navigation", "/navigation"),  # the planner's topic to the simulator's
            # A model may take minutes to load: the drive has to wait for it.
            RegisterEventHandler(OnStateTransition(goal_state="active", entities=[simulator], handle_once=True)),
            RegisterEventHandler(OnProcessExit(target_action=simulator, on_exit=_end)),
            planner,
        ]
    )


def _end(event: ProcessExited, context: LaunchContext) -> EmitEvent | None:
    if context.is_shutdown:
        return None
    if event.returncode != 0:
        raise RuntimeError("the simulator has failed; it says why above")
    return EmitEvent(event=Shutdown(reason="the scenario is over"))
