"""Keys and shapes of the published checkpoints, by rule."""

from __future__ import annotations

Layout = dict[str, tuple[int, ...]]


def published_layout(name: str) -> Layout:
    """Of `img`, `pointcloud`, `voxels` or `unconditional`."""
    if name == "img":
        return {**cbatchnorm(256, 256), **resnet18(256)}
    if name == "pointcloud":
        return {**cbatchnorm(512, 256), **pointnet_resnet(512, 512)}
    if name == "voxels":
        return {**cbatchnorm(256, 256), **voxel_simple(256)}
    assert name == "unconditional"
    return {**simple(128, 128), **latent(128, 128)}


def legacy(layout: Layout) -> Layout:
    """With the old names and shapes of conditional batch normalisation."""
    old = {}
    for key, shape in layout.items():
        if "conv_gamma" in key or "conv_beta" in key:
            key, shape = key.replace("conv_gamma", "fc_gamma"), shape[:2]
            key = key.replace("conv_beta", "fc_beta")
        old[key] = shape
    return old


def _layer(name: str, out: int, *rest: int, bias: bool = True) -> Layout:
    return {f"{name}.weight": (out, *rest), **({f"{name}.bias": (out,)} if bias else {})}


def _statistics(name: str, features: int) -> Layout:
    return {
        f"{name}.running_mean": (features,),
        f"{name}.running_var": (features,),
        f"{name}.num_batches_tracked": (),
    }


def cbatchnorm(c: int, f: int) -> Layout:
    shapes = {**_layer("decoder.fc_p", f, 3, 1), **_layer("decoder.fc_out", 1, f, 1)}
    norms = [f"block{i}.bn_{j}" for i in range(5) for j in range(2)] + ["bn"]
    for norm in (f"decoder.{n}" for n in norms):
        shapes |= _layer(f"{norm}.conv_gamma", f, c, 1) | _layer(f"{norm}.conv_beta", f, c, 1)
        shapes |= _statistics(f"{norm}.bn", f)
    for i in range(5):
        for j in range(2):
            shapes |= _layer(f"decoder.block{i}.fc_{j}", f, f, 1)
    return shapes


def simple(z: int, f: int) -> Layout:
    shapes = _layer("decoder.fc_p", f, 3) | _layer("decoder.fc_z", f, z)
    for i in range(5):
        for j in range(2):
            shapes |= _layer(f"decoder.block{i}.fc_{j}", f, f)
    return shapes | _layer("decoder.fc_out", 1, f)


def latent(z: int, h: int) -> Layout:
    name = "encoder_latent"
    shapes = _layer(f"{name}.fc_pos", h, 3) | _layer(f"{name}.fc_0", h, 1)
    shapes |= _layer(f"{name}.fc_1", h, h)
    shapes |= _layer(f"{name}.fc_2", h, 2 * h) | _layer(f"{name}.fc_3", h, 2 * h)
    return shapes | _layer(f"{name}.fc_mean", z, h) | _layer(f"{name}.fc_logstd", z, h)


def pointnet_resnet(c: int, h: int) -> Layout:
    shapes = _layer("encoder.fc_pos", 2 * h, 3) | _layer("encoder.fc_c", c, h)
    for i in range(5):
        shapes |= _layer(f"encoder.block_{i}.fc_0", h, 2 * h)
        shapes |= _layer(f"encoder.block_{i}.fc_1", h, h)
        shapes |= _layer(f"encoder.block_{i}.shortcut", h, 2 * h, bias=False)
    return shapes


def voxel_simple(c: int) -> Layout:
    shapes = _layer("encoder.conv_in", 32, 1, 3, 3, 3) | _layer("encoder.fc", c, 512 * 8)
    for i in range(4):
        shapes |= _layer(f"encoder.conv_{i}", 64 * 2**i, 32 * 2**i, 3, 3, 3)
    return shapes


def resnet18(c: int) -> Layout:
    name = "encoder.features"
    shapes = _layer(f"{name}.conv1", 64, 3, 7, 7, bias=False) | _layer("encoder.fc", c, 512)
    shapes |= _layer(f"{name}.bn1", 64) | _statistics(f"{name}.bn1", 64)
    for i in range(4):
        f, before = 64 * 2**i, 64 * 2 ** max(0, i - 1)
        for j in range(2):
            block = f"{name}.layer{i + 1}.{j}"
            for k, width in ((1, f if j else before), (2, f)):
                shapes |= _layer(f"{block}.conv{k}", f, width, 3, 3, bias=False)
                shapes |= _layer(f"{block}.bn{k}", f) | _statistics(f"{block}.bn{k}", f)
        if i:
            down = f"{name}.layer{i + 1}.0.downsample"
            shapes |= _layer(f"{down}.0", f, before, 1, 1, bias=False)
            shapes |= _layer(f"{down}.1", f) | _statistics(f"{down}.1", f)
    return shapes
