"""Names that the planner and those who talk to it agree on."""

PLANNER = "alpamayo_planner"
"""The planner's node; its topics are below that name."""

BASE = "base_link"
"""Frame of every plan: x forward, y left, z up, as it was at t0."""
