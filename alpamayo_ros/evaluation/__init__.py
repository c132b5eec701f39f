"""Open loop, closed loop and reports: what a policy does, in figures with intervals.

Comfort and the figures of a drive are defined in `simulation` (`comfort`, `scoring`): the simulator judges its own
expert by them too.
"""
