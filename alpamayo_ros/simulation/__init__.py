"""The built-in world: roads, road users, scenarios, cameras, the expert driver, interventions, scoring.

A drive: `drive_expert(build(kind, seed, variant))`; with another driver: `scenario.begin()`, then `advance` it by
accelerations and curvatures. Pictures: `Renderer(default_rig()).render_all(world)`; causes: `find_keyframes` and
`explain`; figures: `score_drive`.
"""

from alpamayo_ros.reasoning.comfort import comfort
from alpamayo_ros.simulation.cameras import DenseLabels, Labeller, Renderer, Seen
from alpamayo_ros.simulation.episode import Episode, drive_expert
from alpamayo_ros.simulation.expert import Command, Expert
from alpamayo_ros.simulation.explanation import Cause, Explanation, explain
from alpamayo_ros.simulation.foresight import foreseen
from alpamayo_ros.simulation.intervention import Effect, effect_of, with_lamp, without
from alpamayo_ros.simulation.keyframe import Keyframe, Rule, find_keyframes
from alpamayo_ros.simulation.scenarios import KINDS, build
from alpamayo_ros.simulation.scoring import Score, score_drive
from alpamayo_ros.simulation.traffic import advance
from alpamayo_ros.simulation.visibility import visible, visible_in_history
from alpamayo_ros.simulation.world import DURATION, PERIOD, Daylight, Ego, Scenario, Variant, Weather, World

__all__ = [
    "DURATION",
    "KINDS",
    "PERIOD",
    "Cause",
    "Command",
    "Daylight",
    "DenseLabels",
    "Effect",
    "Ego",
    "Episode",
    "Expert",
    "Explanation",
    "Keyframe",
    "Labeller",
    "Renderer",
    "Rule",
    "Scenario",
    "Score",
    "Seen",
    "Variant",
    "Weather",
    "World",
    "advance",
    "build",
    "comfort",
    "drive_expert",
    "effect_of",
    "explain",
    "find_keyframes",
    "foreseen",
    "score_drive",
    "visible",
    "visible_in_history",
    "with_lamp",
    "without",
]
