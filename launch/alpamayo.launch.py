"""The planner, configured and activated.

    ros2 launch alpamayo_ros alpamayo.launch.py rig:=autoware model:=FOLDER rviz:=true

Where it cannot be configured or activated, or ends, the launch ends with an error.
"""

from pathlib import Path

from launch import LaunchContext, LaunchDescription, LaunchDescriptionEntity
from launch.actions import DeclareLaunchArgument, EmitEvent, OpaqueFunction, RegisterEventHandler
from launch.conditions import IfCondition
from launch.event_handlers import OnProcessExit
from launch.events import matches_action
from launch.substitutions import LaunchConfiguration
from launch_ros.actions import LifecycleNode, Node
from launch_ros.event_handlers import OnStateTransition
from launch_ros.events.lifecycle import ChangeState
from launch_ros.parameter_descriptions import ParameterValue
from lifecycle_msgs.msg import Transition

CONFIG = Path(__file__).parents[1] / "config"
FLAG = ["true", "false"]
ARGUMENTS = [
    DeclareLaunchArgument(
        "rig", default_value="", description="Rig profile: a shipped name or a YAML file. Empty: that of params_file."
    ),
    DeclareLaunchArgument(
        "model", default_value="", description="A folder, a shipped name or a hub id. Empty: that of params_file."
    ),
    DeclareLaunchArgument(
        "language_model",
        default_value="",
        description="Folder of the language model that a released config names. Empty: that of params_file.",
    ),
    DeclareLaunchArgument(
        "params_file", default_value=str(CONFIG / "planner.yaml"), description="Parameters of the planner."
    ),
    DeclareLaunchArgument("use_sim_time", default_value="false", choices=FLAG, description="Time comes from /clock."),
    DeclareLaunchArgument(
        "autostart", default_value="true", choices=FLAG, description="Configure and activate, not only start."
    ),
    DeclareLaunchArgument("namespace", default_value="", description="Namespace of the planner and of RViz."),
    DeclareLaunchArgument(
        "log_level",
        default_value="info",
        choices=["debug", "info", "warn", "error", "fatal"],
        description="Least severe messages of the planner that are shown.",
    ),
    DeclareLaunchArgument("rviz", default_value="false", choices=FLAG, description="Show the plans in RViz."),
]


def generate_launch_description() -> LaunchDescription:
    rviz = Node(
        package="rviz2",
        executable="rviz2",
        namespace=LaunchConfiguration("namespace"),
        arguments=["-d", str(CONFIG / "alpamayo.rviz")],
        parameters=[{"use_sim_time": ParameterValue(LaunchConfiguration("use_sim_time"), value_type=bool)}],
        condition=IfCondition(LaunchConfiguration("rviz")),
    )
    return LaunchDescription([*ARGUMENTS, OpaqueFunction(function=_planner), rviz])


def _planner(context: LaunchContext) -> list[LaunchDescriptionEntity]:
    given = context.launch_configurations
    if not Path(given["params_file"]).is_file():
        raise RuntimeError(f"params_file: {given['params_file']} is no file")
    chosen = {name: ParameterValue(given[name], value_type=str) for name in ("rig", "model", "language_model")}
    planner = LifecycleNode(
        package="alpamayo_ros",
        executable="planner",
        name="alpamayo_planner",
        namespace=given["namespace"],
        parameters=[
            given["params_file"],
            {name: value for name, value in chosen.items() if given[name]},
            {"use_sim_time": given["use_sim_time"] == "true"},
        ],
        arguments=["--ros-args", "--log-level", given["log_level"]],
        output="screen",
        sigterm_timeout="30",  # a plan that is being made is finished first
    )
    ended = RegisterEventHandler(OnProcessExit(target_action=planner, on_exit=_fail("the planner has ended")))
    return [*(_start(planner) if given["autostart"] == "true" else []), ended, planner]


def _start(planner: LifecycleNode) -> list[LaunchDescriptionEntity]:
    """Configure, then activate; what fails on the way ends the launch."""

    def when(start: str, goal: str, then: LaunchDescriptionEntity) -> LaunchDescriptionEntity:
        return RegisterEventHandler(
            OnStateTransition(target_lifecycle_node=planner, start_state=start, goal_state=goal, entities=[then])
        )

    def change(transition: int) -> EmitEvent:
        return EmitEvent(event=ChangeState(lifecycle_node_matcher=matches_action(planner), transition_id=transition))

    return [
        when("configuring", "inactive", change(Transition.TRANSITION_ACTIVATE)),
        when("configuring", "unconfigured", _fail("the planner could not be configured; it says why above")),
        when("configuring", "errorprocessing", _fail("configuring the planner failed; it says why above")),
        when("activating", "inactive", _fail("the planner could not be activated; it says why above")),
        when("activating", "errorprocessing", _fail("activating the planner failed; it says why above")),
        change(Transition.TRANSITION_CONFIGURE),
    ]


def _fail(text: str) -> OpaqueFunction:
    """Ends the launch with this error and a non-zero exit status; once the launch is ending anyway it does nothing."""

    def fail(context: LaunchContext) -> None:
        if not context.is_shutdown:
            raise RuntimeError(text)

    return OpaqueFunction(function=fail)
