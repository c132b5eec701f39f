"""Drives as data: recordings, bags and videos of the simulator, and labelled samples in shards."""
