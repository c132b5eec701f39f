"""Oriented boxes in the plane, and whether they meet."""

from __future__ import annotations

import math

import numpy as np


def corners(x: float, y: float, yaw: float, length: float, width: float) -> np.ndarray:
    """(4, 2) front left, front right, rear right, rear left of a box around its middle."""
    c, s = math.cos(yaw), math.sin(yaw)
    ahead, side = np.array([c, s]) * length / 2, np.array([-s, c]) * width / 2
    middle = np.array([x, y])
    return np.array([middle + ahead + side, middle + ahead - side, middle - ahead - side, middle - ahead + side])


def meet(a: np.ndarray, b: np.ndarray) -> bool:
    """Whether two convex outlines (N, 2) and (M, 2), or a line (2, 2), intersect: separating axes (touching counts)."""
    for outline in (a, b):
        edges = np.roll(outline, -1, axis=0) - outline
        normals = np.stack([-edges[:, 1], edges[:, 0]], axis=1)
        if len(outline) == 2:
            # The ends of a line separate along the line itself.
            normals = np.concatenate([normals[:1], edges[:1]])
        left, right = a @ normals.T, b @ normals.T
        if ((left.max(axis=0) < right.min(axis=0)) | (right.max(axis=0) < left.min(axis=0))).any():
            return False
    return True
