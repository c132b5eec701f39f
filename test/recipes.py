"""Recipes of a few steps."""

from alpamayo_ros.training.recipe import ExpertRecipe, GrpoRecipe, SftRecipe, VisionRecipe

COMMON = {
    "steps": 6, "batch_size": 4, "micro_batch": 2, "learning_rate": 3e-3, "final_learning_rate": 1e-3,
    "warmup_steps": 1, "validate_every": 0, "save_every": 2,
}  # fmt: skip


def vision(**changes):
    return VisionRecipe(**{**COMMON, **changes})


def sft(**changes):
    return SftRecipe(**{**COMMON, "trajectory_share": 0.5, **changes})


def expert(**changes):
    return ExpertRecipe(**{**COMMON, "times_per_sample": 2, **changes})


def grpo(**changes):
    """Rollouts of few words: a model that has learned nothing does not end its sentences."""
    small = {"batch_size": 2, "group_size": 3, "longest": 6, "temperature": 1.0, "top_p": 1.0}
    return GrpoRecipe(**{**COMMON, **small, **changes})
