"""The network in float32 on the CPU, in few calls of a library of our own.

Operators of a small model are so short that calling them costs more than what they do.
"""
