"""Frames of a sequence at other times than they were taken."""

from __future__ import annotations

import torch
from torch import Tensor


def at_times(
    frames: Tensor,  # (B, L, N, 3) of corresponding points
    times: Tensor,  # (B, L) increasing
    wanted: Tensor,  # (B, K)
) -> Tensor:  # (B, K, N, 3)
    """Return frames at other times, between two frames on a straight line.

    Before the first and after the last one the points stay where they are. Frames that are given at
    these very times are returned as they are.
    """
    if times.shape == wanted.shape and torch.allclose(times, wanted, atol=1e-5):
        return frames
    if times.shape[1] == 1:
        return frames.expand(-1, wanted.shape[1], -1, -1)
    after = torch.searchsorted(times.contiguous(), wanted.contiguous())
    after = after.clamp(1, times.shape[1] - 1)
    early, late = times.gather(1, after - 1), times.gather(1, after)
    weight = ((wanted - early) / (late - early)).clamp(0, 1)[:, :, None, None]
    rows = torch.arange(len(times), device=times.device)[:, None]
    return torch.lerp(frames[rows, after - 1], frames[rows, after], weight.to(frames.dtype))


def at_even_times(
    frames: Tensor,  # (B, L, N, 3) of corresponding points
    times: Tensor,  # (B, L) increasing
    count: int,
) -> Tensor:  # (B, count, N, 3)
    """Return frames at `count` times evenly from 0 to 1; see `at_times`."""
    return at_times(frames, times, even_times(count, times).expand(len(times), -1))


def even_times(count: int, like: Tensor) -> Tensor:
    """Return times (count,) evenly from 0 to 1."""
    return torch.linspace(0, 1, count, device=like.device, dtype=like.dtype)
