"""What occupancy networks are compared with: voxels, points and meshes from a code."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from onet import load
from onet.checkpoints.checkpoint import restored
from onet.checkpoints.published_weights import read_checkpoint
from onet.config import Config, load_config
from onet.errors import ConfigError, DataError
from onet.geometry.topology import topology
from onet.inference.generate import generate
from onet.models import MODELS, build_model, model_layout
from onet.nn.baselines import cubes
from onet.nn.baselines.distances import earth_movers, nearest_indices, squared_chamfer
from onet.nn.baselines.graph import (
    GraphConvolution,
    camera_axes,
    normalised_adjacency,
    seen_features,
)
from onet.nn.baselines.mesh_losses import edge_lengths, laplacian, mean_square, normal_deviation
from onet.nn.baselines.template import ellipsoids, even_sphere, square
from onet.nn.baselines.voxels import EMPTY, overlap, sample_grid
from onet.training.loop import train


def count(part: torch.nn.Module) -> int:
    return sum(parameter.numel() for parameter in part.parameters())


def random(*shape: int, seed: int = 0) -> Tensor:
    return torch.rand(shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


# -- sizes of the published networks ---------------------------------------------------------------


COUNTS = {  # all, encoder, decoder
    "r2n2_img": (16_680_001, 11_307_840, 5_372_161),
    "r2n2_pointcloud": (16_391_937, 6_825_472, 9_566_465),
    "psgn_img": (13_540_672, 11_307_840, 2_232_832),
    "psgn_pointcloud": (9_189_376, 6_825_472, 2_363_904),
    "psgn_two_branch": (28_126_774, 18_325_040, 9_801_734),
    "atlasnet_img": (54_614_274, 11_701_824, 42_912_450),
    "atlasnet_pointcloud": (50_000_578, 7_088_128, 42_912_450),
    "atlasnet_sphere_img": (13_420_891, 11_701_824, 1_719_067),
    "pixel2mesh": (16_839_545, 12_843_632, 3_995_913),
    "dmc": (1_559_284, 5_136, 1_554_148),
}


@pytest.mark.parametrize("name", COUNTS)
def test_numbers_of_parameters(name: str) -> None:
    with torch.device("meta"):
        model: Any = MODELS.build(load_config(name).model, "model")
    assert (count(model), count(model.encoder), count(model.decoder)) == COUNTS[name]


@pytest.mark.parametrize("name", ["r2n2_pointcloud", "psgn_two_branch", "pixel2mesh", "dmc"])
def test_published_files_are_recognised(name: str, tmp_path: Path) -> None:
    model = build_model(load_config(name).model)
    torch.save({"model": model.state_dict(), "it": 7}, tmp_path / "weights.pt")
    checkpoint = read_checkpoint(tmp_path / "weights.pt")
    assert checkpoint.config.model == load_config(name).model
    assert checkpoint.metadata["iteration"] == 7
    loaded = restored(checkpoint, build_model).state_dict()
    assert all(torch.equal(loaded[key], value) for key, value in model.state_dict().items())


PUBLISHED_KEYS = {
    "r2n2_pointcloud": (
        "decoder.fc_in.weight",
        "decoder.convtrp_2.bias",
        "decoder.conv_out.weight",
    ),
    "psgn_pointcloud": ("decoder.fc_0.weight", "decoder.fc_out.bias"),
    "psgn_two_branch": (
        *("encoder.conv_block6.6.weight", "encoder.trans_conv3.bias"),
        *("decoder.fc_branch.0.weight", "decoder.deconv_4.weight", "decoder.conv_4.bias"),
    ),
    "atlasnet_img": ("decoder.24.conv4.weight", "decoder.0.bn3.running_mean"),
    "pixel2mesh": (
        *("encoder.block_1.14.weight", "encoder.block_4.6.bias", "decoder.gc1.0.lin.bias"),
        *("decoder.gc8.12.0.lin2.weight", "decoder.gc9.lin2.weight"),
    ),
    "dmc": (
        "encoder.conv1.0.weight",
        "decoder.encoder.conv1_1_bn.bias",
        "decoder.decoder.deconv1_occ_2.bias",
    ),
}


@pytest.mark.parametrize("name", PUBLISHED_KEYS)
def test_weights_have_their_published_names(name: str) -> None:
    assert model_layout(load_config(name).model).keys() >= set(PUBLISHED_KEYS[name])


# -- operations ------------------------------------------------------------------------------------


def test_a_grid_is_itself_at_its_centres_and_empty_outside() -> None:
    grid = random(2, 4, 4, 4)
    axis = (torch.arange(4, dtype=torch.float64) + 0.5) / 4 - 0.5
    points = torch.cartesian_prod(axis, axis, axis)[None].expand(2, -1, -1)
    assert torch.allclose(sample_grid(grid, points), grid.flatten(1))
    far = torch.full((2, 1, 3), 0.7, dtype=torch.float64)
    assert torch.allclose(sample_grid(grid, far), torch.full((2, 1), EMPTY, dtype=torch.float64))


def test_overlap_of_nothing_is_one() -> None:
    nothing = torch.zeros(1, 3, dtype=torch.bool)
    assert overlap(nothing, nothing).item() == 1
    assert (
        overlap(torch.tensor([[True, True, False]]), torch.tensor([[True, False, True]])) == 1 / 3
    )


def test_nearest_and_chamfer_are_those_of_all_pairs() -> None:
    one, other = random(2, 30, 3), random(2, 40, 3, seed=1)
    distances = torch.cdist(one, other)
    assert torch.equal(nearest_indices(one, other), distances.argmin(2))
    there, back = squared_chamfer(one, other)
    assert torch.allclose(there, distances.min(2).values.square().mean(1))
    assert torch.allclose(back, distances.min(1).values.square().mean(1))


RING = torch.tensor([[k, (k + 1) % 9] for k in range(9)])
CAMERA = torch.tensor([[[1.0, 0, 0.5, 1], [0, 1, 0.5, 1], [0, 0, 1, 2]]], dtype=torch.float64)
SETS = (random(2, 9, 3), random(2, 9, 3, seed=1))
DIFFERENTIABLE: dict[str, tuple[Any, tuple[Tensor, ...]]] = {
    "earth mover": (earth_movers, SETS),
    "chamfer": (squared_chamfer, SETS),
    "grid": (sample_grid, (random(2, 4, 4, 4), random(2, 5, 3, seed=1) - 0.5)),
    "edges": (lambda v: edge_lengths(v, RING), (random(2, 9, 3),)),
    "normals": (
        lambda v: normal_deviation(v, RING, random(2, 5, 3, seed=2), torch.zeros(2, 9).long()),
        (random(2, 9, 3),),
    ),
    "laplacian": (lambda v: laplacian(v, RING), (random(2, 9, 3),)),
    "moves": (mean_square, SETS),
    "projection": (
        lambda p, m: seen_features(p, [m], CAMERA),
        (random(1, 5, 3) - 0.5, random(1, 2, 6, 6, seed=1)),
    ),
    "topologies": (cubes.topology_probabilities, (random(2, 8),)),
    "triangles": (cubes.squared_triangle_distances, (random(20, 3), random(20, 3, 3, seed=1))),
    "expected distance": (
        lambda o, m: expected_distance(o, m),
        (random(3, 3, 3), random(3, 3, 3, 3, seed=1) - 0.5),
    ),
    "bending": (
        lambda v, p: cubes.bending(v, even_sphere(12).faces, p),
        (random(12, 3), random(20, seed=1)),
    ),
}


def expected_distance(occupancy: Tensor, offsets: Tensor) -> Tensor:
    points = 2 * random(6, 3, seed=3)
    cells = points.floor().long()
    likely = cubes.topology_probabilities(cubes.corner_values(occupancy, cells))
    vertices = cubes.edge_vertices(offsets, cells)
    return (likely * cubes.point_to_topologies(points, vertices, 1.0)).sum(1)


@pytest.mark.parametrize("name", DIFFERENTIABLE)
def test_gradients_agree_with_finite_differences(name: str) -> None:
    operation, given = DIFFERENTIABLE[name]
    arguments = tuple(tensor.clone().requires_grad_() for tensor in given)
    assert torch.autograd.gradcheck(operation, arguments, eps=1e-6, atol=1e-5)


def test_earth_movers_distance_of_a_shuffled_and_moved_set() -> None:
    one = random(1, 20, 3)
    moved = one[:, torch.randperm(20, generator=torch.Generator().manual_seed(0))] + 1e-3
    assert earth_movers(one, moved).item() == pytest.approx(3**0.5 * 1e-3, rel=1e-6)
    with pytest.raises(ValueError, match="differ"):
        earth_movers(one, moved[:, 1:])


# -- templates -------------------------------------------------------------------------------------


def test_the_ellipsoid_has_the_published_sizes_and_is_closed() -> None:
    import trimesh

    axes = (0.2, 0.3, 0.4)
    templates = ellipsoids(axes)
    assert [len(t.vertices) for t in templates] == [156, 618, 2466]
    assert [len(t.edges) for t in templates] == [462, 1848, 7392]
    for template in templates:
        mesh = trimesh.Trimesh(template.vertices, template.faces, process=False)
        shape = topology(mesh)
        assert shape.watertight and shape.manifold and shape.oriented and mesh.volume > 0
        assert mesh.euler_number == 2
    ends = templates[1].vertices[templates[2].parents]
    assert np.allclose(templates[2].vertices[618:], ends.mean(axis=1))
    lengths = np.ptp(templates[0].vertices, axis=0)
    assert np.allclose(lengths, 2 * np.array(axes), rtol=0.03)


def test_a_square_is_covered_once() -> None:
    places, faces = square(5)
    a, b, c = places[faces].transpose(1, 0, 2)
    areas = ((b - a)[:, 0] * (c - a)[:, 1] - (b - a)[:, 1] * (c - a)[:, 0]) / 2
    assert (areas > 0).all() and areas.sum() == pytest.approx(1)


def test_graph_convolution_is_that_of_the_dense_matrix() -> None:
    template = even_sphere(12)
    support = normalised_adjacency(template.edges, 12)
    layer, x = GraphConvolution(3, 4), torch.rand(2, 12, 3)
    dense = torch.eye(12)
    for a, b in template.edges:
        dense[a, b] = dense[b, a] = 1
    root = dense.sum(1).rsqrt()
    expected = layer.lin(x) + (root[:, None] * dense * root) @ layer.lin2(x)
    assert torch.allclose(layer(x, support), expected, atol=1e-5)


# -- marching cubes with probabilities -------------------------------------------------------------


def test_topologies_are_those_of_corners() -> None:
    likely = cubes.topology_probabilities(random(5, 8))
    assert torch.allclose(likely.sum(1), torch.ones(5, dtype=torch.float64))
    for case in (0, 1, 37, 255):
        corners = torch.tensor([[float(case >> k & 1) for k in range(8)]])
        assert cubes.topology_probabilities(corners)[0].argmax().item() == case


def test_distances_to_triangles_are_those_of_samples() -> None:
    points, triangles = random(50, 3), random(50, 3, 3, seed=1)
    corners = torch.distributions.Dirichlet(torch.ones(3, dtype=torch.float64))
    weights = corners.sample((50, 20000))
    nearest = (weights @ triangles - points[:, None]).square().sum(-1).min(1).values
    exact = cubes.squared_triangle_distances(points, triangles)
    assert (exact <= nearest + 1e-12).all() and torch.allclose(exact, nearest, atol=5e-3)


def test_the_likely_mesh_is_closed_and_has_its_corners_inside() -> None:
    import trimesh

    from onet.geometry.inside import contains

    inside = np.zeros((9, 9, 9), bool)
    inside[1:-1, 1:-1, 1:-1] = np.random.default_rng(0).random((7, 7, 7)) < 0.5
    edges, faces, cells = cubes.likely_mesh(inside)
    offsets = 0.9 * (random(3, 9, 9, 9) - 0.5)
    mesh = trimesh.Trimesh(cubes.vertices_of(offsets, edges).numpy(), faces, process=False)
    assert topology(mesh).watertight and topology(mesh).oriented and len(cells) == len(faces)
    straight = trimesh.Trimesh(cubes.vertices_of(0 * offsets, edges).numpy(), faces, process=False)
    corners = np.argwhere(np.ones_like(inside)).astype(float)
    assert (contains(straight, corners) == inside.reshape(-1)).all()


def test_bending_of_a_plane_is_nothing_and_grows_with_its_fold() -> None:
    faces = np.array([[0, 1, 2], [0, 2, 3]])
    flat = torch.tensor([[0.0, 0, 0], [1, 0, 0], [1, 1, 0], [0, 1, 0]], dtype=torch.float64)
    likely = torch.ones(2, dtype=torch.float64)
    assert cubes.bending(flat, faces, likely).item() == pytest.approx(0, abs=1e-12)
    folds = []
    for height in (0.1, 0.3, 0.6):
        folded = flat.clone()
        folded[3, 2] = height
        folds.append(cubes.bending(folded, faces, likely).item())
    assert 0 < folds[0] < folds[1] < folds[2]
    assert cubes.bending(folded, faces, likely / 2).item() == pytest.approx(folds[2] / 4)


# -- as models -------------------------------------------------------------------------------------


def small(name: str, store: Path, *changes: str) -> Config:
    few = [
        *("training.batch_size=2", "training.threads=1", "training.device=cpu"),
        *("training.validate_every=100000", "training.max_minutes=null", "data.train_split=all"),
        *("data.val_split=all", "data.test_split=all", "training.precision=32-true"),
        *("training.print_every=50", "training.learning_rate=0.002"),
    ]
    return load_config(name, [f"data.path={store}", *few, *changes])


@pytest.fixture(scope="module")
def few_shapes(sample_store: Path) -> Path:
    """Name a split of two shapes."""
    for folder in sample_store.iterdir():
        if folder.is_dir():
            names = [(folder / f"{s}.lst").read_text().split() for s in ("train", "val", "test")]
            chosen = names[0] if folder.name == "chair" else names[1]
            (folder / "all.lst").write_text("\n".join(chosen) + "\n")
    return sample_store


CLOUD = ["data.input.count=100", "data.input.noise=0"]


POINTNET = {"type": "pointnet_simple", "hidden_dim": 32}
CODES = {"type": "idx", "count": 2}  # a code for each shape: PointNets tell two apart too slowly
PYRAMID = {"c_dim": 64, "hidden_dim": 32, "vertices": 42, "n_points": 500}
FITTED: dict[str, tuple[dict[str, Any], int, float]] = {  # model, steps, learning rate
    "r2n2": ({"encoder": CODES, "c_dim": 32, "width": 32}, 160, 5e-3),
    "psgn": ({"encoder": CODES, "c_dim": 64, "n_points": 500}, 120, 3e-3),
    "atlasnet": ({"encoder": POINTNET, "c_dim": 62, "patches": 4, "n_points": 500}, 120, 2e-3),
    "dmc": ({"c_dim": 32, "cells": 8, "n_points": 300}, 40, 3e-3),
    "pixel2mesh": (PYRAMID, 60, 1e-3),
}
REACHED = {"r2n2": ("iou", 0.8), "psgn": ("chamfer", 0.003), "atlasnet": ("chamfer", 0.004)}
REACHED |= {"dmc": ("iou", 0.7), "pixel2mesh": ("iou", 0.85)}  # dmc: 8 cells
AXES = torch.tensor([[0.15, 0.2, 0.45], [0.4, 0.4, 0.2]])


ROTATION = torch.tensor([[0.8, 0, 0.6], [0, 1, 0], [-0.6, 0, 0.8]])
PIXELS = torch.tensor([[40.0, 0, 16], [0, 40, 16], [0, 0, 1]])
TURNED_CAMERA = PIXELS @ torch.cat([ROTATION, torch.tensor([[0.0], [0], [1.6]])], 1)


def drawn_ellipsoid(axes: Tensor, size: int = 32) -> Tensor:
    """Return its picture (3, size, size) from `TURNED_CAMERA`, brighter towards a light."""
    place = torch.arange(size) + 0.5
    v, u = torch.meshgrid(place, place, indexing="ij")
    rays = torch.stack([u, v, torch.ones_like(u)], -1) @ torch.linalg.inv(PIXELS).T @ ROTATION
    eye = -1.6 * ROTATION[2]
    along, start = rays / axes, eye / axes
    a, b = along.square().sum(-1), (along * start).sum(-1)
    inside = b.square() - a * (start.square().sum() - 1)
    hit = eye + ((-b - inside.clamp(min=0).sqrt()) / a)[..., None] * rays
    normal = torch.nn.functional.normalize(hit / axes**2, dim=-1)
    shade = 0.3 + 0.6 * (normal @ torch.tensor([0.3, -0.8, -0.5])).clamp(min=0)
    return torch.where(inside > 0, shade, 1.0).expand(3, -1, -1)


def two_ellipsoids() -> dict[str, Any]:
    """Return a batch of what any of the models is trained with."""
    drawn = torch.randn(2, 500, 3, generator=torch.Generator().manual_seed(0))
    axes = AXES[:, None]
    normals = torch.nn.functional.normalize(drawn, dim=-1)
    cell = (torch.arange(32) + 0.5) / 32 - 0.5
    grid = torch.cartesian_prod(cell, cell, cell)
    voxels = ((grid / axes).square().sum(-1) < 1).float().view(2, 32, 32, 32)
    camera = TURNED_CAMERA.expand(2, -1, -1)
    image = torch.stack([drawn_ellipsoid(row) for row in AXES])
    surface = normals * axes
    points = 1.1 * (torch.rand(2, 4000, 3, generator=torch.Generator().manual_seed(2)) - 0.5)
    return {
        "points": points,
        "occupancies": ((points / axes).square().sum(-1) < 1).float(),
        "surface": surface,
        "surface_normals": torch.nn.functional.normalize(normals / axes, dim=-1),
        "voxels": voxels,
        "inputs": surface[:, :100],
        "pictures": {"image": image, "camera": camera},
    }


def test_voxels_of_the_truth_are_the_truth() -> None:
    batch = two_ellipsoids()
    model: Any = build_model({"type": "r2n2", **FITTED["r2n2"][0]})
    model.decoder.forward = lambda code: 8 * (2 * batch["voxels"] - 1)
    settings = load_config("r2n2_pointcloud").generation
    scores = model.validate(batch | {"inputs": torch.arange(2)}, settings)
    assert (scores["iou"] > 0.9).all() and (scores["iou_voxels"] == 1).all()


def fitted(name: str) -> tuple[Any, dict[str, Any]]:
    """Return a model in eval mode after training on two ellipsoids, and their batch."""
    section, steps, rate = FITTED[name]
    batch = two_ellipsoids()
    if section.get("encoder") == CODES:
        batch["inputs"] = torch.arange(2)
    if name == "pixel2mesh":
        batch["inputs"] = batch["pictures"]
    with torch.random.fork_rng():
        torch.manual_seed(0)
        model: Any = build_model({"type": name, **section})
        optimizer = torch.optim.Adam(model.parameters(), rate)
        falling = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, steps)
        for _ in range(steps):
            optimizer.zero_grad()
            model.loss(batch)["loss"].backward()
            optimizer.step()
            falling.step()
    return model.eval(), batch


@pytest.mark.slow
@pytest.mark.parametrize("name", FITTED)
def test_two_shapes_are_learned_by_heart(name: str) -> None:
    model, batch = fitted(name)
    key, bound = REACHED[name]
    scores = model.validate(batch)
    reached = scores[key]
    assert (reached > bound).all() if key == "iou" else (reached < bound).all(), scores
    # each is its own shape, not a mean of both
    swapped = {k: v.flip(0) for k, v in batch.items() if torch.is_tensor(v) and k != "inputs"}
    other = model.validate(batch | swapped)[key]
    assert (other < 0.7 * reached).all() if key == "iou" else (other > 2 * reached).all(), other


def test_a_mesh_turns_with_its_camera() -> None:
    batch = two_ellipsoids()["pictures"]
    model: Any = build_model({"type": "pixel2mesh", "c_dim": 32, "hidden_dim": 16, "vertices": 12})
    turn = torch.tensor([[0.36, 0.48, -0.8], [-0.8, 0.6, 0.0], [0.48, 0.64, 0.6]])
    camera = batch["camera"]
    turned = torch.cat([camera[:, :, :3] @ turn.T, camera[:, :, 3:]], 2)
    with torch.no_grad():
        usual, other = (
            model._vertices(model.encode(batch | {"camera": c}))[0][-1] for c in (camera, turned)
        )
    assert torch.allclose(usual @ turn.T, other, atol=1e-5)
    axes = camera_axes(turned)
    assert torch.allclose(axes @ axes.transpose(1, 2), torch.eye(3).expand(2, 3, 3), atol=1e-6)
    assert torch.allclose(torch.linalg.det(axes), torch.ones(2))


@pytest.mark.parametrize("c_dim", [128, 512])
def test_fresh_weights_keep_the_ellipsoid_and_tell_pictures_apart(c_dim: int) -> None:
    batch = two_ellipsoids()["pictures"]
    with torch.random.fork_rng():
        torch.manual_seed(0)
        sizes = {"c_dim": c_dim, "hidden_dim": 64, "vertices": 156}
        model: Any = build_model({"type": "pixel2mesh", **sizes})
    axes = camera_axes(batch["camera"])
    with torch.no_grad():
        made = model._vertices(model.encode(batch))[0]
    for vertices, template in zip(made, ellipsoids((0.35, 0.35, 0.35)), strict=True):
        moved = vertices - torch.from_numpy(template.vertices).float() @ axes
        assert 0.003 < moved.norm(dim=-1).mean() < 0.15
        assert (vertices[0] - vertices[1]).norm(dim=-1).mean() > 0.1 * moved.norm(dim=-1).mean()


def test_the_middle_is_asked_to_be_full_only_until_something_is() -> None:
    from onet.models.deep_marching_cubes import _prior

    def middle(inside: float) -> float:
        occupancy = torch.full((1, 17, 17, 17), 0.0)
        occupancy[:, 2:8, 2:8, 2:8] = inside
        occupancy.requires_grad_()
        (gradient,) = torch.autograd.grad(_prior(occupancy), occupancy)
        return gradient[0, 10, 10, 10].item()

    assert middle(0.0) < middle(0.5) < 0 == middle(1.0)


def test_voxels_of_another_resolution_are_refused(few_shapes: Path) -> None:
    from onet.data.inputs import INPUTS
    from onet.data.store import Store
    from onet.data.targets import Targets

    item = Store(few_shapes).items("train")[0]
    with pytest.raises(DataError, match="--voxels 16"):
        Targets(voxels=16).sample(item, np.random.default_rng(0))
    assert INPUTS is not None


def test_a_model_of_meshes_has_no_field(few_shapes: Path, tmp_path: Path) -> None:
    pytest.importorskip("pymeshlab", reason="meshes through points: the extra meshlab")
    config = small("psgn_pointcloud_small", few_shapes, *CLOUD, "training.max_iterations=1")
    train(config, tmp_path / "run")
    model = load(tmp_path / "run", "cpu")
    points = np.random.default_rng(0).normal(size=(100, 3))
    with pytest.raises(ConfigError, match="no field"):
        model.field(points)
    with pytest.raises(ConfigError, match="resolution"):
        model.reconstruct(points, resolution=64)
    report = generate(tmp_path / "run", limit=1, device="cpu")
    assert len(report.rows) == 1


def test_two_branches_have_their_own_encoder() -> None:
    with pytest.raises(ConfigError, match="two_branch"):
        build_model({"type": "psgn", "two_branch": True, "encoder": {"type": "resnet18"}})
    with pytest.raises(ConfigError, match="768"):
        build_model({"type": "psgn", "two_branch": True, "c_dim": 32, "n_points": 700})
    model: Any = build_model({"type": "psgn", "two_branch": True, "c_dim": 32})
    assert model.points(model.encode(torch.rand(2, 3, 64, 64))).shape == (2, 1024, 3)
