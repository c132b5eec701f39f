"""Hosts of the policy over ROS 2: the live planner, the simulator, bags, and what people look at."""
