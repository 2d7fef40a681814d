"""Configuration files, inheritance, overrides, and the messages for mistakes."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from pydantic import BaseModel

from onet.config import Config, load_config
from onet.config.loader import parse_config
from onet.errors import ConfigError
from onet.resources import configs_dir


def write(path: Path, text: str) -> Path:
    path.write_text(text)
    return path


@pytest.mark.parametrize("name", [p.stem for p in sorted(configs_dir().glob("*.yaml"))])
def test_packaged_configurations_survive_a_round_trip(name: str, tmp_path: Path) -> None:
    config = load_config(name)
    assert load_config(write(tmp_path / "copy.yaml", config.to_yaml())) == config
    assert parse_config(config.model_dump_json(), "checkpoint") == config
    assert load_config(configs_dir() / f"{name}.yaml") == config


def test_pointcloud_is_the_published_setting() -> None:
    config = load_config("pointcloud")
    assert config == Config()
    assert config.data.input == {"type": "pointcloud", "count": 300, "noise": 0.005}
    assert config.data.points_subsample == 2048
    assert config.model["c_dim"] == 512
    training = config.training
    assert (training.batch_size, training.learning_rate) == (64, 1e-4)
    assert (training.selection_metric, training.selection_mode) == ("iou", "max")
    assert config.generation.probability == 0.2


def test_thesis_noise_differs_in_the_noise_alone() -> None:
    noise = load_config("pointcloud_thesis_noise")
    assert noise.data.input["noise"] == 0.05
    assert load_config("pointcloud", ["data.input.noise=0.05"]) == noise


def differences(name: str, base: str) -> dict[str, object]:
    """Dotted keys of a configuration with other values than in another one."""

    def flatten(tree: dict[str, object], where: str = "") -> Iterator[tuple[str, object]]:
        for key, value in tree.items():
            if isinstance(value, dict):
                yield from flatten(value, f"{where}{key}.")
            else:
                yield f"{where}{key}", value

    new, old = (dict(flatten(load_config(n).model_dump())) for n in (name, base))
    return {key: new.get(key) for key in new.keys() | old.keys() if new.get(key) != old.get(key)}


CHAIRS = {"data.categories": ["03001627"]}
NO_POINT_CLOUD = {"data.input.count": None, "data.input.noise": None}
NO_POINTNET = {"model.encoder.hidden_dim": None}
LOCAL = {
    "model.c_dim": 32,
    "model.encoder.planes": ["xz", "xy", "yz"],
    "model.encoder.plane_resolution": 64,
    "model.encoder.unet_depth": 4,
    "model.encoder.unet_width": 32,
    "model.decoder.type": "local",
    "model.decoder.hidden_size": 32,
    "training.batch_size": 32,
    "training.validate_every": 10000,
}
GRID = {
    "model.encoder.planes": [],
    "model.encoder.grid_resolution": 32,
    "model.encoder.unet_depth": 3,
}
PUBLISHED = {
    ("img", "pointcloud"): {
        **NO_POINT_CLOUD,
        **NO_POINTNET,
        "data.input.type": "image",
        "model.c_dim": 256,
        "model.encoder.type": "resnet18",
        "model.encoder.pretrained": "imagenet",
    },
    ("voxels", "pointcloud"): {
        **NO_POINT_CLOUD,
        **NO_POINTNET,
        "data.input.type": "voxels",
        "data.points_subsample": 1024,
        "model.c_dim": 256,
        "model.encoder.type": "voxel_simple",
    },
    ("unconditional", "pointcloud"): {
        **NO_POINT_CLOUD,
        **NO_POINTNET,
        "data.input.type": "none",
        "model.c_dim": 0,
        "model.z_dim": 128,
        "model.encoder.type": None,
        "model.encoder_latent.type": "simple",
        "model.decoder.type": "simple",
        "model.decoder.hidden_size": 128,
        "training.selection_metric": "loss",
        "training.selection_mode": "min",
    },
    ("representation_power", "pointcloud"): {
        **CHAIRS,
        **NO_POINT_CLOUD,
        **NO_POINTNET,
        "data.input.type": "index",
        "data.val_split": "train",
        "data.test_split": "train",
        "data.points_subsample": 1024,
        "model.encoder.type": "idx",
        "training.validate_every": 2000,
        "generation.probability": 0.5,
    },
    ("unconditional_cars", "unconditional"): {"data.categories": ["02958343"]},
    ("unconditional_airplanes", "unconditional"): {"data.categories": ["02691156"]},
    ("unconditional_sofas", "unconditional"): {"data.categories": ["04256520"]},
    ("unconditional_chairs", "unconditional"): CHAIRS,
    ("ablation_sampling_equal", "img"): {"data.points_subsample": (1024, 1024)},
    ("ablation_sampling_few", "img"): {"data.points_subsample": 64},
    ("ablation_sampling_surface", "img"): {"data.points_file": "points_surface.npz"},
    ("ablation_architecture_nocbn", "img"): {
        "model.decoder.type": "batchnorm",
        "model.decoder.hidden_size": None,
    },
    ("ablation_architecture_noresnet", "img"): {
        "model.decoder.type": "cbatchnorm_noresnet",
        "model.decoder.hidden_size": None,
    },
    ("pointcloud_planes", "pointcloud"): {
        **LOCAL,
        "data.input.count": 3000,
        "model.encoder.type": "local_pointnet",
        "model.encoder.hidden_dim": 32,
    },
    ("voxels_planes", "voxels"): {**LOCAL, "model.encoder.type": "local_voxels"},
    ("pointcloud_grid", "pointcloud_planes"): GRID,
    ("img_pixel", "img"): {
        "data.input.camera": True,
        "model.c_dim": 64,
        "model.encoder.type": "resnet18_pixel",
        "model.decoder.type": "pixel_aligned",
        "model.decoder.hidden_size": 64,
    },
    ("voxels_grid", "voxels_planes"): GRID,
}


@pytest.mark.parametrize(("name", "base"), PUBLISHED)
def test_published_settings_differ_in_what_the_paper_says(name: str, base: str) -> None:
    assert differences(name, base) == PUBLISHED[name, base]


def test_inheritance_and_overrides_are_laid_over_one_another(tmp_path: Path) -> None:
    (tmp_path / "sub").mkdir()
    write(tmp_path / "a.yaml", "training: {seed: 1, batch_size: 2, learning_rate: 0.5}")
    write(tmp_path / "sub/b.yaml", "inherit: ../a.yaml\ntraining: {seed: 3}")
    path = write(tmp_path / "c.yaml", "inherit: sub/b.yaml\ntraining: {batch_size: 4}")
    training = load_config(path, ["training.seed=5", "training.seed=6"]).training
    assert (training.seed, training.batch_size, training.learning_rate) == (6, 4, 0.5)


def test_several_parents_are_laid_over_one_another_in_their_order(tmp_path: Path) -> None:
    write(tmp_path / "base.yaml", "training: {seed: 1, batch_size: 2, threads: 1}")
    write(tmp_path / "a.yaml", "inherit: base.yaml\ntraining: {seed: 2, threads: 2}")
    write(tmp_path / "b.yaml", "inherit: base.yaml\ntraining: {batch_size: 3, threads: 3}")
    for order, threads in (("a.yaml, b.yaml", 3), ("b.yaml, a.yaml", 2)):
        path = write(tmp_path / "c.yaml", f"inherit: [{order}]\ntraining: {{warmup: 9}}")
        training = load_config(path).training
        # base.yaml, under both, does not undo what the first one of them says
        assert (training.seed, training.batch_size, training.warmup) == (2, 3, 9)
        assert training.threads == threads


def test_parents_are_found_as_the_command_line_finds_them(tmp_path: Path) -> None:
    small = load_config("pointcloud_small")
    for name in ("pointcloud_small", "pointcloud_small.yaml"):
        assert load_config(name) == small
        path = write(tmp_path / "mine.yaml", f"inherit: {name}")
        assert load_config(path) == small
    for name in ("pointcloud_small", "pointcloud_small.yaml"):  # of the file's own name
        assert load_config(write(tmp_path / "pointcloud_small.yaml", f"inherit: {name}")) == small
    write(tmp_path / "pointcloud_small.yaml", "training: {seed: 5}")
    write(tmp_path / "base.yaml", "training: {batch_size: 6}")
    path = write(tmp_path / "mine.yaml", "inherit: [pointcloud_small, base]")
    training = load_config(path).training  # a file beside it comes before a packaged one
    assert (training.seed, training.batch_size) == (5, 6)
    path = write(tmp_path / "mine.yaml", "inherit: pointclod_small")
    with pytest.raises(
        ConfigError, match=r"did you mean 'pointcloud_small'\?; packaged are .*demo"
    ):
        load_config(path)


def test_long_and_branching_inheritance_ends(tmp_path: Path) -> None:
    write(tmp_path / "a0.yaml", "training: {seed: 7}")
    for i in range(1, 40):  # 2^40 ways from the last one to the first
        write(tmp_path / f"a{i}.yaml", f"inherit: [a{i - 1}, a{i - 1}.yaml, ./a{i - 1}.yaml]")
    assert load_config(tmp_path / "a39.yaml").training.seed == 7
    for i in range(300):
        write(tmp_path / f"b{i}.yaml", f"inherit: b{i + 1}")
    with pytest.raises(ConfigError, match="more than 50 files"):
        load_config(tmp_path / "b0.yaml")


def test_messages_stay_short(tmp_path: Path) -> None:
    long = "x" * 100_000
    for override in (
        f"training={long}",
        f"training.seed={long}",
        f"model={long}",
        ".".join("a" * 99),
    ):
        with pytest.raises(ConfigError) as caught:
            load_config("pointcloud", [override])
        assert len(str(caught.value)) < 1000
    with pytest.raises(ConfigError, match="the key 3 is no name"):
        load_config(write(tmp_path / "a.yaml", "model: {encoder: {3: 4}}"))
    with pytest.raises(ConfigError, match="web page"):
        load_config(write(tmp_path / "b.yaml", "<!DOCTYPE html><html><b>: x: y</b>"))


def test_the_recipe_adds_training_keys_alone() -> None:
    changed = differences("pointcloud_recipe_small", "pointcloud_small")
    assert changed == differences("recipe", "pointcloud")
    assert {key.partition(".")[0] for key in changed} == {"training"}


def test_values_of_overrides_are_yaml() -> None:
    config = load_config(
        "demo",
        [
            "data.categories=[chair, table]",
            "training.max_minutes=null",
            "training.learning_rate=1e-4",
            "data.cache=false",
            "model.encoder={hidden_dim: 7}",
        ],
    )
    assert config.data.categories == ["chair", "table"]
    assert config.training.max_minutes is None
    assert config.training.learning_rate == 1e-4
    assert config.data.cache is False
    assert config.model["encoder"] == {"type": "pointnet_resnet", "hidden_dim": 7}


def test_another_type_drops_the_options_of_the_old_one() -> None:
    config = load_config("pointcloud", ["model.decoder.type=other", "model.encoder.hidden_dim=3"])
    assert config.model["decoder"] == {"type": "other"}
    assert config.model["encoder"] == {"type": "pointnet_resnet", "hidden_dim": 3}


@pytest.mark.parametrize(
    ("key", "expected"),
    [
        ("training.batchsize", "did you mean 'training.batch_size'"),
        ("trainig", "training"),
        ("batch_size", "training.batch_size"),
        ("training.threshold", "generation.probability"),
        ("data.noise", "valid here"),
    ],
)
def test_unknown_keys_name_the_place_and_the_nearest_valid_key(
    tmp_path: Path, key: str, expected: str
) -> None:
    with pytest.raises(ConfigError, match=rf"override '{key}=1'.*'{key}'.*{expected}"):
        load_config("pointcloud", [f"{key}=1"])
    *sections, name = key.split(".")
    text = "".join(f"{'  ' * i}{s}:\n" for i, s in enumerate(sections))
    path = write(tmp_path / "mine.yaml", f"{text}{'  ' * len(sections)}{name}: 1\n")
    with pytest.raises(ConfigError, match=rf"mine\.yaml.*'{key}'.*{expected}"):
        load_config(path)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("training: {batch_size: 0}", r"training\.batch_size.*greater than 0, not 0"),
        ("training: {batch_size: many}", r"training\.batch_size.*integer.*'many'"),
        ("training: {precision: half}", r"training\.precision.*bf16-mixed"),
        ("generation: {threshold: 1}", r"generation\.probability.*less than 1"),
        ("data: {points_subsample: [1, 0]}", r"data\.points_subsample.*greater than 0"),
        ("training: 3", "training is a section"),
        ("model: 3", "model: .*dictionary"),
        ("- 1", "section"),
        ("a: [", "not valid YAML"),
        ("inherit: none.yaml", r"none\.yaml, which does not exist"),
        ("inherit: [1]", "inherit must be the name"),
        ("inherit: bad.yaml", "in a circle"),
        ("inherit: [bad.yaml]", "in a circle"),
    ],
)
def test_bad_files(tmp_path: Path, text: str, message: str) -> None:
    path = write(tmp_path / "bad.yaml", text)
    with pytest.raises(ConfigError, match=rf"bad\.yaml: .*{message}"):
        load_config(path)


def test_missing_files_name_the_remedy(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="did you mean 'pointcloud'"):
        load_config("pointclod")
    with pytest.raises(ConfigError, match=r"no such configuration file.*demo"):
        load_config(tmp_path / "none.yaml")
    with pytest.raises(ConfigError, match="UTF-8"):
        (tmp_path / "binary.yaml").write_bytes(b"\xff\xfe\x00")
        load_config(tmp_path / "binary.yaml")
    with pytest.raises(ConfigError, match=r"section\.key=value"):
        load_config("demo", ["training.seed"])


def test_every_key_has_a_description() -> None:
    def fields(schema: type[BaseModel]) -> Iterator[tuple[str, str | None]]:
        for name, field in schema.model_fields.items():
            yield name, field.description
            if isinstance(field.annotation, type) and issubclass(field.annotation, BaseModel):
                yield from fields(field.annotation)

    assert [name for name, description in fields(Config) if not description] == []


def test_configuration_does_not_import_torch() -> None:
    code = "import sys, onet.config; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
