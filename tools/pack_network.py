"""Makes of a run the file of a packaged network: its best weights, matrices in half precision.

    python tools/pack_network.py RUN data/photo.safetensors

Vectors (offsets, statistics of batch normalisation) keep their precision. The configuration stays
in the header, with `prepared` in place of the path of the data; what else it has is kept.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path

import torch
from safetensors.torch import save
from torch import Tensor

from onet.checkpoints.checkpoint import load_checkpoint
from onet.files import replacing

LARGEST = torch.finfo(torch.float16).max


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("run", type=Path)
    parser.add_argument("out", type=Path)
    args = parser.parse_args()
    checkpoint = load_checkpoint(args.run)
    state = {key: packed(key, value) for key, value in checkpoint.state.items()}
    config = checkpoint.config.model_dump(mode="json")
    config["data"]["path"] = "prepared"
    header = {"config": config, **checkpoint.metadata}
    with replacing(args.out) as temporary:
        temporary.write_bytes(save(state, {key: json.dumps(v) for key, v in header.items()}))
    print(f"{args.out}: {args.out.stat().st_size / 1e6:.1f} MB")


def packed(key: str, value: Tensor) -> Tensor:
    """Return a tensor as it is written."""
    if not value.is_floating_point() or value.ndim < 2:
        return value.contiguous()
    if value.abs().max() > LARGEST:
        raise SystemExit(f"{key}: reaches {value.abs().max():g}, which half precision has not")
    return value.half().contiguous()


if __name__ == "__main__":
    main()
