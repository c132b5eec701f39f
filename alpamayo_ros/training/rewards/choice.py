"""The rewards that a recipe asks for."""

from __future__ import annotations

from alpamayo_ros.training.recipe import GrpoRecipe
from alpamayo_ros.training.rewards.consistency import ConsistencyReward
from alpamayo_ros.training.rewards.endpoint import EndpointCritic
from alpamayo_ros.training.rewards.reasoning import Critic, ReasoningReward
from alpamayo_ros.training.rewards.reward import Reward
from alpamayo_ros.training.rewards.rubric import RubricCritic
from alpamayo_ros.training.rewards.trajectory import TrajectoryReward


def chosen_rewards(recipe: GrpoRecipe) -> list[tuple[float, Reward]]:
    """Those of weight above 0, with their weights; what is off is not even computed. Raises TrainingError."""
    found: list[tuple[float, Reward]] = []
    if recipe.reasoning:
        found.append((recipe.reasoning, ReasoningReward(_critic(recipe))))
    if recipe.consistency:
        found.append((recipe.consistency, ConsistencyReward()))
    if recipe.trajectory:
        reward = TrajectoryReward(recipe.l2, recipe.collision, recipe.jerk, recipe.far)
        found.append((recipe.trajectory, reward))
    return found


def _critic(recipe: GrpoRecipe) -> Critic:
    if recipe.critic == "rubric":
        return RubricCritic()
    return EndpointCritic(
        recipe.critic_url, recipe.critic_model, recipe.critic_key, recipe.critic_seconds, recipe.critic_at_once
    )
