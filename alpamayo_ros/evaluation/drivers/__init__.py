"""Who drives: the baselines that come with the evaluation, and any model."""

from alpamayo_ros.evaluation.drivers.choice import BASELINES, make_driver
from alpamayo_ros.evaluation.drivers.driver import Driver, Proposal

__all__ = ["BASELINES", "Driver", "Proposal", "make_driver"]
