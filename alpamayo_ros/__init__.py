"""Alpamayo-R1 for ROS 2: an Observation goes in, a Plan comes out."""
