"""Names that the planner and those who talk to it agree on."""

PLANNER = "alpamayo_planner"
"""The planner's node; its topics are below that name."""
