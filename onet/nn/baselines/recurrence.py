"""Several views of an object fused into a grid: the 3D convolutional LSTM of 3D-R2N2.

Source: Choy et al., ECCV 2016, equations 5 to 8. There is no output gate.
"""

from __future__ import annotations

from torch import Tensor, nn

SIDE = 4
"""Cells along an edge of the grid."""


class VoxelLSTM(nn.Module):
    """An LSTM in each of 4³ cells, which also sees what its 26 neighbours were.

    A cell has linear maps of the views' codes of its own; what it takes from the state around it is
    a convolution that all cells share.

    Args:
        c_dim: size of the code of a view.
        hidden: features of a cell. Published: 128.
    """

    GATES = 3
    """Forget, input, and what is new."""

    def __init__(self, c_dim: int, hidden: int = 128) -> None:
        super().__init__()
        self.hidden = hidden
        self.of_code = nn.Linear(c_dim, self.GATES * hidden * SIDE**3)
        self.of_state = nn.Conv3d(hidden, self.GATES * hidden, 3, padding=1, bias=False)

    def forward(
        self,
        codes: Tensor,  # (B, V, c_dim) of the views, in their order
    ) -> Tensor:  # (B, hidden, 4, 4, 4)
        seen = self.of_code(codes).unflatten(-1, (-1, SIDE, SIDE, SIDE))
        state = memory = seen.new_zeros(len(seen), self.hidden, SIDE, SIDE, SIDE)
        for view in seen.unbind(1):
            forget, take, new = (view + self.of_state(state)).chunk(self.GATES, 1)
            memory = forget.sigmoid() * memory + take.sigmoid() * new.tanh()
            state = memory.tanh()
        return state
