"""The unicycle action space: 64 × (acceleration, curvature) and the trajectory they drive, both ways.

Frame: ego at t0 (x forward, y left, z up); metres, seconds, radians. Motion starts at the origin with heading 0.

Forward, `action_to_trajectory`, integrates a unicycle. Backward, `trajectory_to_action`, is a chain of four small
regularised least-squares problems (heading, speed, acceleration, curvature). Each minimises

    ‖A x − b‖² + λ ‖D x‖² + ridge ‖x‖²

with D a finite-difference matrix, and is solved by its normal equations. Formulas and weights are those of the
released implementation.
"""

from __future__ import annotations

from functools import lru_cache
from typing import NamedTuple

import torch
from torch import Tensor, nn

from alpamayo_ros.vla.config import ActionSpaceConfig


class UnicycleStates(NamedTuple):
    """Physical quantities along a trajectory of N waypoints, with the state at t0 in front.

    speed: (B, N + 1) m/s. heading: (B, N + 1) rad. accel: (B, N) m/s². curvature: (B, N) 1/m.
    """

    speed: Tensor
    heading: Tensor
    accel: Tensor
    curvature: Tensor


class UnicycleActionSpace(nn.Module):
    """Maps normalised actions (B, N, 2) to trajectories and back.

    The four normalisation constants are buffers because R1's checkpoint stores them; 1.5's does not (`persistent`).
    """

    accel_mean: Tensor
    accel_std: Tensor
    curvature_mean: Tensor
    curvature_std: Tensor

    def __init__(self, config: ActionSpaceConfig, *, persistent: bool, constants_dtype: torch.dtype) -> None:
        super().__init__()
        self.config = config
        for name in ("accel_mean", "accel_std", "curvature_mean", "curvature_std"):
            value = torch.tensor(getattr(config, name), device="cpu").to(constants_dtype).float()
            self.register_buffer(name, value, persistent=persistent)

    # ---------------------------------------------------------------- forward: action → trajectory

    def physical(self, action: Tensor) -> tuple[Tensor, Tensor]:
        """Denormalise `action` (B, N, 2) into acceleration (B, N) m/s² and curvature (B, N) 1/m."""
        accel = action[..., 0] * self.accel_std.to(action) + self.accel_mean.to(action)
        curvature = action[..., 1] * self.curvature_std.to(action) + self.curvature_mean.to(action)
        return accel, curvature

    def rollout(self, action: Tensor, initial_speed: Tensor) -> UnicycleStates:
        """Speeds and headings that `action` (B, N, 2) leads to from `initial_speed` (B,), without any bound."""
        accel, curvature = self.physical(action)
        dt = self.config.dt
        start = initial_speed[:, None]
        speed = torch.cat([start, start + torch.cumsum(accel * dt, dim=-1)], dim=-1)
        turned = torch.cumsum(curvature * speed[:, :-1] * dt, dim=-1)
        turned = turned + torch.cumsum(curvature * accel * (0.5 * dt**2), dim=-1)
        heading = torch.cat([torch.zeros_like(start), turned], dim=-1)
        return UnicycleStates(speed, heading, accel, curvature)

    def action_to_trajectory(
        self, action: Tensor, history_xyz: Tensor, history_rot: Tensor, initial_speed: Tensor | None = None
    ) -> tuple[Tensor, Tensor]:
        """Drive `action` (B, N, 2) from the end of the history.

        history_xyz (B, 16, 3) and history_rot (B, 16, 3, 3) give the initial speed, unless it is given (B,).
        Returns positions (B, N, 3) and rotations (B, N, 3, 3). Height stays that of the last pose.
        """
        if initial_speed is None:
            initial_speed = self.speed_at_t0(history_xyz, history_rot)
        states = self.rollout(action, initial_speed)
        # Trapezoidal rule on the velocity vector.
        vx, vy = states.speed * torch.cos(states.heading), states.speed * torch.sin(states.heading)
        half = 0.5 * self.config.dt
        x = torch.cumsum((vx[:, :-1] + vx[:, 1:]) * half, dim=-1)
        y = torch.cumsum((vy[:, :-1] + vy[:, 1:]) * half, dim=-1)
        z = history_xyz[:, -1:, 2].expand_as(x)
        return torch.stack([x, y, z], dim=-1), yaw_rotations(states.heading[:, 1:])

    # ---------------------------------------------------------------- backward: trajectory → action

    def speed_at_t0(self, history_xyz: Tensor, history_rot: Tensor) -> Tensor:
        """Speed at the last of the poses (B, T, 3), (B, T, 3, 3), from a smooth fit over all of them: (B,) m/s."""
        return self.motion_at_t0(history_xyz, history_rot)[0]

    def motion_at_t0(self, history_xyz: Tensor, history_rot: Tensor) -> tuple[Tensor, Tensor]:
        """`speed_at_t0`, and the acceleration over the last step from the same fit: (B,) m/s²."""
        speed = self._fit_speed(history_xyz[..., :2], unwrap(_yaw(history_rot)), initial_speed=None)
        return speed[:, -1], (speed[:, -1] - speed[:, -2]) / self.config.dt

    def states_of(
        self, history_xyz: Tensor, history_rot: Tensor, future_xyz: Tensor, future_rot: Tensor
    ) -> UnicycleStates:
        """The unicycle states that best explain a future of N poses (B, N, 3), (B, N, 3, 3)."""
        cfg = self.config
        initial_speed = self.speed_at_t0(history_xyz, history_rot)
        heading = self._fit_heading(future_rot)
        positions = torch.cat([history_xyz[:, -1:, :2], future_xyz[..., :2]], dim=1)
        speed = self._fit_speed(positions, heading, initial_speed)
        ones = torch.ones_like(speed[:, 1:])
        accel = self._fit_diagonal(ones, (speed[:, 1:] - speed[:, :-1]) / cfg.dt, cfg.a_lambda, cfg.a_ridge)
        arc = speed[:, :-1] * cfg.dt + 0.5 * accel * cfg.dt**2
        curvature = self._fit_diagonal(arc, heading[:, 1:] - heading[:, :-1], cfg.kappa_lambda, cfg.kappa_ridge)
        return UnicycleStates(speed, heading, accel, curvature)

    def trajectory_to_action(
        self, history_xyz: Tensor, history_rot: Tensor, future_xyz: Tensor, future_rot: Tensor
    ) -> Tensor:
        """The normalised action (B, N, 2) whose trajectory is closest to the given future (B, N, 3), (B, N, 3, 3)."""
        states = self.states_of(history_xyz, history_rot, future_xyz, future_rot)
        device = states.accel.device
        accel = (states.accel - self.accel_mean.to(device)) / self.accel_std.to(device)
        curvature = (states.curvature - self.curvature_mean.to(device)) / self.curvature_std.to(device)
        return torch.stack([accel, curvature], dim=-1)

    def _fit_heading(self, future_rot: Tensor) -> Tensor:
        """Smooth headings (B, N + 1) through those of the poses, starting at exactly 0."""
        cfg = self.config
        measured = unwrap(torch.cat([future_rot.new_zeros(len(future_rot), 1), _yaw(future_rot)], dim=-1))[:, 1:]
        n = measured.shape[-1]
        # With heading 0 fixed to zero its column of D drops out.
        smooth = _gram(3, n + 1, measured)[1:, 1:] * (cfg.theta_lambda / cfg.dt**6)
        normal = torch.eye(n, dtype=measured.dtype, device=measured.device) + smooth
        fitted = _solve(normal.expand(len(measured), n, n), measured, cfg.theta_ridge)
        return torch.cat([torch.zeros_like(fitted[:, :1]), fitted], dim=-1)

    def _fit_speed(self, xy: Tensor, heading: Tensor, initial_speed: Tensor | None) -> Tensor:
        """Smooth speeds (B, M) along positions (B, M, 2) with headings (B, M).

        The trapezoidal rule wants v_t u_t + v_(t+1) u_(t+1) = 2 Δp / dt, with u the unit heading vector.
        """
        cfg = self.config
        direction = torch.stack([torch.cos(heading), torch.sin(heading)], dim=-1)
        batch, m, _ = direction.shape
        rows = direction.new_zeros(batch, m - 1, 2, m)
        step = torch.arange(m - 1, device=xy.device)
        rows[:, step, :, step] = direction[:, :-1].transpose(0, 1)
        rows[:, step, :, step + 1] = direction[:, 1:].transpose(0, 1)
        rows = rows.flatten(1, 2)
        wanted = (2.0 / cfg.dt * (xy[:, 1:] - xy[:, :-1])).flatten(1, 2)
        normal = rows.transpose(1, 2) @ rows + _gram(3, m, rows) * (cfg.v_lambda / cfg.dt**6)
        right = (rows.transpose(1, 2) @ wanted[..., None])[..., 0]
        if initial_speed is None:
            return _solve(normal, right, cfg.v_ridge)
        right = right[:, 1:] - normal[:, 1:, 0] * initial_speed[:, None]
        return torch.cat([initial_speed[:, None], _solve(normal[:, 1:, 1:], right, cfg.v_ridge)], dim=-1)

    def _fit_diagonal(self, scale: Tensor, wanted: Tensor, smoothness: float, ridge: float) -> Tensor:
        """Smooth x (B, N) with scale · x = wanted."""
        smooth = _gram(2, scale.shape[-1], scale) * (smoothness / self.config.dt**4)
        return _solve(torch.diag_embed(scale**2) + smooth, scale * wanted, ridge)


def yaw_rotations(yaw: Tensor) -> Tensor:
    """Rotations about z by `yaw` (…): (…, 3, 3)."""
    cos, sin = torch.cos(yaw), torch.sin(yaw)
    zero, one = torch.zeros_like(yaw), torch.ones_like(yaw)
    rows = [torch.stack(row, dim=-1) for row in ((cos, -sin, zero), (sin, cos, zero), (zero, zero, one))]
    return torch.stack(rows, dim=-2)


def unwrap(angle: Tensor) -> Tensor:
    """Remove jumps of 2π along the last axis of `angle` (…, N)."""
    step = torch.diff(angle, dim=-1)
    wrapped = torch.remainder(step + torch.pi, 2 * torch.pi) - torch.pi
    # A jump of exactly +π stays positive, as in numpy.unwrap.
    wrapped = torch.where((wrapped == -torch.pi) & (step > 0), torch.pi, wrapped)
    return torch.cat([angle[..., :1], angle[..., :1] + torch.cumsum(wrapped, dim=-1)], dim=-1)


def difference_matrix(order: int, n: int, like: Tensor) -> Tensor:
    """The finite-difference operator of `order` over n samples: (n − order, n)."""
    matrix = torch.eye(n, dtype=like.dtype, device=like.device)
    for _ in range(order):
        matrix = matrix[1:] - matrix[:-1]
    return matrix


def _gram(order: int, n: int, like: Tensor) -> Tensor:
    return _gram_of(order, n, like.dtype, like.device)


@lru_cache(maxsize=16)
def _gram_of(order: int, n: int, dtype: torch.dtype, device: torch.device) -> Tensor:
    # Whoever asks first: others may ask with gradients, or in full precision.
    with torch.inference_mode(False), torch.autocast(device.type, enabled=False):
        matrix = difference_matrix(order, n, torch.empty(0, dtype=dtype, device=device))
        return matrix.T @ matrix


def _yaw(rotations: Tensor) -> Tensor:
    return torch.atan2(rotations[..., 1, 0], rotations[..., 0, 0])


def _solve(normal: Tensor, right: Tensor, ridge: float) -> Tensor:
    """Solve (normal + ridge I) x = right for (B, n, n) and (B, n); ten times the ridge when it is not positive."""
    identity = torch.eye(normal.shape[-1], dtype=normal.dtype, device=normal.device)
    factor, info = torch.linalg.cholesky_ex(normal + ridge * identity)
    if bool((info > 0).any()):
        factor = torch.linalg.cholesky(normal + 10 * ridge * identity)
    return torch.cholesky_solve(right[..., None], factor)[..., 0]
