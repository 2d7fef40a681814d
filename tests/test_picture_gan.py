"""Generators of pictures: networks of the published sizes, folders, training, samples, scores."""

from __future__ import annotations

import json
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from PIL import Image
from typer.testing import CliRunner

import onet
from onet import cli
from onet.adversarial.class_discriminators import ResnetPictureDiscriminator
from onet.config import load_config
from onet.data.build import build_datasets
from onet.data.picture_folder import PictureDataset, PictureSettings, find_pictures
from onet.errors import ConfigError, DataError, FolderInUse
from onet.gan_theory.trained_game import load_game
from onet.inference.sample_pictures import PictureSampler, generate_pictures
from onet.locks import writing
from onet.metrics.distribution_distances import frechet_distance
from onet.metrics.feature_sets import KEPT, FeatureSet, frechet_of_sets, kernel_distance
from onet.models import build_model, check_config
from onet.nn.picture_generators import ResnetPictureGenerator
from onet.report.sample_sheet import sheet_of_samples
from onet.training.loop import train

SMALL = {
    "data.pictures.size": 8,
    "model.z_dim": 4,
    "model.generator": {"size": 8, "width": 4, "widest": 8},
    "model.discriminator": {"size": 8, "width": 4, "widest": 8},
    "training.batch_size": 4,
    "training.max_iterations": 4,
    "training.max_minutes": None,
    "training.validate_every": 2,
    "training.print_every": 1,
    "training.threads": 1,
    "training.device": "cpu",
}
CLASSES = {"data.categories": ["disc", "box"], "model.classes": 2, "model.generator.embedding": 3}


def write_pictures(root: Path, count: int = 8, size: tuple[int, int] = (12, 9)) -> Path:
    """Write pictures of two kinds: red ones, mostly, and blue ones."""
    rng = np.random.default_rng(0)
    for kind, channel in (("disc", 0), ("box", 2)):
        (root / kind).mkdir(parents=True)
        for number in range(count):
            picture = rng.integers(0, 60, (size[1], size[0], 3), dtype=np.uint8)
            picture[..., channel] = 255
            Image.fromarray(picture).save(root / kind / f"{number:03d}.png")
    return root


def parameters(network: torch.nn.Module) -> int:
    return sum(p.numel() for p in network.parameters())


# -- networks --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("make", "count"),
    [
        # the counts of the published networks, whose tables and code differ by one block
        (lambda: ResnetPictureGenerator(256, 1, embedding=1), 52_154_052),
        (lambda: ResnetPictureDiscriminator(0), 29_067_969),
        (lambda: ResnetPictureDiscriminator(0, last_block=True), 47_944_385),
        (lambda: ResnetPictureGenerator(256, 1000, size=128, blocks=2), 100_535_747),
        (lambda: ResnetPictureDiscriminator(1000, size=128, blocks=2), 108_260_776),
        (
            lambda: ResnetPictureGenerator(256, 1, size=1024, width=16, widest=512, embedding=1),
            18_810_036,
        ),
        (
            lambda: ResnetPictureDiscriminator(0, size=1024, width=16, widest=512, last_block=True),
            16_705_201,
        ),
    ],
    ids=["E.1", "E.2", "E.2 of the code", "E.3", "E.4", "1024 generator", "1024 discriminator"],
)
def test_networks_have_the_published_numbers_of_parameters(make: Any, count: int) -> None:
    with torch.device("meta"):
        assert parameters(make()) == count


@pytest.mark.parametrize(
    ("blocks", "generator", "discriminator"),
    [
        (1, [1024, 1024, 512, 256, 128, 64, 64], [64, 128, 256, 512, 1024, 1024]),
        (
            2,
            [1024, 1024, 1024, 1024, 512, 512, 256, 256, 128, 128, 64, 64],
            [64, 128, 128, 256, 256, 512, 512, 1024, 1024, 1024, 1024, 1024],
        ),
    ],
)
def test_features_are_those_of_the_tables(
    blocks: int, generator: list[int], discriminator: list[int]
) -> None:
    def features(network: Any) -> list[int]:
        return [b.conv_1.out_channels for b in network.resnet if hasattr(b, "conv_1")]

    size = 256 if blocks == 1 else 128
    with torch.device("meta"):
        assert features(ResnetPictureGenerator(256, 0, size, blocks=blocks)) == generator
        assert features(ResnetPictureDiscriminator(0, size, blocks=blocks)) == discriminator


@pytest.mark.parametrize("blocks", [1, 2])
@pytest.mark.parametrize("size", [4, 8, 16])
@pytest.mark.parametrize("classes", [0, 3])
def test_every_size_makes_pictures_and_judges_them(blocks: int, size: int, classes: int) -> None:
    torch.manual_seed(0)
    options: dict[str, Any] = {"size": size, "width": 4, "widest": 8, "blocks": blocks}
    generator = ResnetPictureGenerator(5, classes, embedding=3, **options)
    labels = torch.arange(6) % classes if classes else None
    pictures = generator(torch.randn(6, 5), labels)
    assert pictures.shape == (6, 3, size, size) and pictures.abs().max() <= 1
    judge = ResnetPictureDiscriminator(classes, **options)
    logits = judge(pictures, labels)
    assert logits.shape == (6,) and logits.requires_grad
    if classes:
        assert labels is not None
        other = (labels + 1) % classes
        assert not torch.allclose(judge(pictures, other), logits)
        assert not torch.allclose(generator(torch.zeros(6, 5), labels)[0],
                                  generator(torch.zeros(6, 5), other)[0])  # fmt: skip


def test_without_a_bound_the_gradient_gets_through_pictures_that_are_white() -> None:
    for bounded in (True, False):
        generator = ResnetPictureGenerator(2, 0, 4, 4, 4, bounded=bounded)
        with torch.no_grad():
            generator.conv_img.bias.fill_(12.0)
        generator(torch.randn(3, 2)).mean().backward()
        assert generator.conv_img.bias.grad is not None
        assert (float(generator.conv_img.bias.grad.sum()) > 0.1) == (not bounded)
    options = {**SMALL, "model.generator.bounded": False}
    model = build_model(load_config("gan_images_small", options).model)
    with torch.no_grad():
        model.generator.conv_img.bias.fill_(3.0)
        assert model.sample(torch.randn(2, 4)).max() <= 1


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"model.generator.size": 16}, "model.discriminator.size"),
        ({"model.generator.size": 16, "model.discriminator.size": 16}, "data.pictures.size"),
        ({"model.generator.size": 12}, "12 pixels"),
        ({"model.generator.blocks": 0}, "model.generator.blocks"),
        ({"model.z_dim": 0}, "model.z_dim"),
        ({"model.classes": -1}, "model.classes"),
        ({"model.validation_samples": 1}, "model.validation_samples"),
        ({"data.pictures": None}, "data.pictures: the model learns to make pictures"),
        ({"data.views": {"size": 8}}, "data.views: is of texture networks"),
    ],
)
def test_what_does_not_fit_is_refused(changes: dict[str, Any], words: str) -> None:
    with pytest.raises(ConfigError, match=words):
        check_config(load_config("gan_images_small", SMALL | changes))


def test_pictures_are_no_data_of_models_of_shapes() -> None:
    with pytest.raises(ConfigError, match=r"data\.pictures: is of generators"):
        check_config(load_config("pointcloud", {"data.pictures": {"size": 8}}))


@pytest.mark.parametrize("name", ["gan_images", "gan_images_classes", "gan_images_small"])
def test_packaged_configurations_are_whole(name: str) -> None:
    config = load_config(name)
    check_config(config)
    adversarial = config.training.adversarial
    assert adversarial is not None and adversarial["penalty"]["type"] == "r1"
    assert config.training.optimizer == "rmsprop" and config.training.ema == 0.999


# -- folders ---------------------------------------------------------------------------------------


def test_all_pictures_of_a_folder_are_found_and_a_share_is_held_out(tmp_path: Path) -> None:
    root = write_pictures(tmp_path / "pictures", 10)
    Image.new("L", (4, 4)).save(root / "disc" / "000.mask.png")
    (root / "notes.txt").write_text("no picture")
    (root / ".thumbnails").mkdir()
    Image.new("L", (4, 4)).save(root / ".thumbnails" / "000.png")
    assert len(find_pictures(root)) == 20
    settings = PictureSettings(size=8, held_out=0.2)
    parts = [PictureDataset(root, "x", settings, training=t) for t in (True, False)]
    names = [{file.path for file in part.files} for part in parts]
    assert len(names[0]) == 16 and len(names[1]) == 4 and not names[0] & names[1]
    item = parts[0][0]
    assert item["pictures"].shape == (3, 8, 8) and item["labels"] == 0
    assert item["pictures"][0].min() > 0.9 or item["pictures"][2].min() > 0.9
    everything = PictureDataset(root, "x", PictureSettings(size=8, held_out=0), training=False)
    assert len(everything) == 20
    few = PictureDataset(root, "x", PictureSettings(held_out=0.5, validation=3), training=False)
    assert len(few) == 3


def test_links_that_lead_around_are_followed_once(tmp_path: Path) -> None:
    root = write_pictures(tmp_path / "pictures", 2)
    (tmp_path / "more").mkdir()
    Image.new("RGB", (4, 4)).save(tmp_path / "more" / "a.png")
    (root / "linked").symlink_to(tmp_path / "more")
    (root / "disc" / "around").symlink_to(root)
    assert len(find_pictures(root)) == 5


def test_categories_are_numbered_in_the_order_given(tmp_path: Path) -> None:
    root = write_pictures(tmp_path / "pictures")
    found = find_pictures(root, ["disc", "box"])
    assert {(file.path.parent.name, file.label) for file in found} == {("disc", 0), ("box", 1)}
    with pytest.raises(DataError, match="did you mean 'disc'"):
        find_pictures(root, ["disk"])
    with pytest.raises(DataError, match="no pictures below it in folders named 'image'"):
        find_pictures(root, folder="image")
    with pytest.raises(DataError, match="no such folder"):
        find_pictures(root / "absent")


def test_prepared_data_keep_their_splits(tmp_path: Path) -> None:
    for model in ("a", "b", "c"):
        place = tmp_path / "chair" / model / "image"
        place.mkdir(parents=True)
        for view in range(3):
            Image.new("RGB", (8, 8)).save(place / f"{view}.png")
    (tmp_path / "chair" / "train.lst").write_text("a\nb\n")
    (tmp_path / "chair" / "val.lst").write_text("c\n")
    for split, models in (("train", {"a", "b"}), ("val", {"c"})):
        part = PictureDataset(tmp_path, split, PictureSettings(), training=split == "train")
        assert {file.path.parent.parent.name for file in part.files} == models
        assert len(part) == 3 * len(models)
    with pytest.raises(DataError, match="no pictures to validate"):
        PictureDataset(tmp_path, "test", PictureSettings(), training=False)


def test_items_belong_to_their_epoch_and_half_are_mirrored(tmp_path: Path) -> None:
    root = write_pictures(tmp_path / "pictures", 12)
    dataset = PictureDataset(root, "train", PictureSettings(size=9, held_out=0))
    plain = PictureDataset(root, "train", PictureSettings(size=9, flip=False, held_out=0))
    same, mirrored = 0, 0
    for index in range(len(dataset)):
        one, other = dataset[index]["pictures"], plain[index]["pictures"]
        assert torch.equal(one, dataset[index]["pictures"])
        same += torch.equal(one, other)
        mirrored += torch.equal(one, other.flip(2))
    assert same + mirrored == len(dataset) and min(same, mirrored) >= 5
    before = [dataset[i]["pictures"] for i in range(len(dataset))]
    dataset.set_epoch(1)
    assert any(not torch.equal(dataset[i]["pictures"], x) for i, x in enumerate(before))
    assert dataset.fingerprint() == plain.fingerprint()
    before_change = dataset.fingerprint()
    Image.new("RGB", (30, 30)).save(dataset.files[0].path)
    assert dataset.fingerprint() != before_change


def test_a_file_that_is_no_picture_is_named(tmp_path: Path) -> None:
    root = write_pictures(tmp_path / "pictures", 2)
    (root / "disc" / "000.png").write_bytes(b"nothing")
    dataset = PictureDataset(root / "disc", "train", PictureSettings(held_out=0))
    with pytest.raises(DataError, match=r"000\.png"):
        for index in range(len(dataset)):
            dataset[index]


def test_classes_need_their_folders(tmp_path: Path) -> None:
    root = write_pictures(tmp_path / "pictures")
    config = load_config("gan_images_small", SMALL | {"data.path": str(root), "model.classes": 3})
    with pytest.raises(ConfigError, match=r"data\.categories: names 0 folders.*classes is 3"):
        build_datasets(config)


# -- training --------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run of a generator of two classes, and its pictures beside it."""
    root = tmp_path_factory.mktemp("gan")
    write_pictures(root / "pictures")
    config = load_config("gan_images_small", SMALL | CLASSES | {"data.path": root / "pictures"})
    result = train(config, root / "run")
    assert result.iterations == 4 and result.best is not None
    return root / "run"


def test_training_gives_the_same_weights_when_it_is_interrupted(run: Path, tmp_path: Path) -> None:
    changes = SMALL | CLASSES | {"data.path": run.parent / "pictures"}
    for limit in (2, 4):
        train(load_config("gan_images_small", changes | {"training.max_iterations": limit}),
              tmp_path / "run")  # fmt: skip
    one, other = (PictureSampler.load(place, "cpu").model for place in (run, tmp_path / "run"))
    for key, value in one.state_dict().items():
        assert torch.equal(value, other.state_dict()[key]), key


def test_validation_prefers_pictures_like_the_true_ones() -> None:
    model = build_model(load_config("gan_images_small", SMALL).model)
    batch = {"pictures": torch.full((3, 3, 8, 8), 0.5)}
    with torch.no_grad():
        model.generator.conv_img.weight.zero_()
        model.generator.conv_img.bias.zero_()
        exact = model.validate(batch)
        model.generator.conv_img.bias.fill_(1.0)
        wrong = model.validate(batch)
    assert torch.allclose(exact["energy_score"], torch.zeros(3), atol=1e-6)
    assert (wrong["energy_score"] > 0.3).all() and (wrong["sample_distance"] == 0).all()


def test_the_penalty_and_the_same_latent_are_those_asked_for() -> None:
    from lightning_fabric import Fabric

    from onet.training.adversarial_update import AdversarialUpdate

    config = load_config("gan_images_small", SMALL)
    torch.manual_seed(0)
    model = build_model(config.model)
    update = AdversarialUpdate(Fabric(accelerator="cpu", devices=1), model, config.training)
    batch = {"pictures": torch.rand(4, 3, 8, 8)}
    report = update(batch, 0, 1e-3)
    real = (2 * batch["pictures"] - 1).requires_grad_()
    assert report["penalty"] > 0 and update.trainer.options.same_latent
    torch.manual_seed(0)
    fresh = build_model(config.model)
    (slope,) = torch.autograd.grad(fresh.discriminate(batch, real).sum(), real)
    squared = slope.square().flatten(1).sum(1).mean()
    assert float(report["penalty"]) == pytest.approx(5 * float(squared), rel=1e-4)


# -- samples ---------------------------------------------------------------------------------------


def test_samples_do_not_depend_on_how_many_are_made(run: Path) -> None:
    sampler = PictureSampler.load(run, "cpu")
    many = [*sampler.pictures(40, seed=1, label=1)]
    few = [*sampler.pictures(3, seed=1, label=1)]
    for one, other in zip(many, few, strict=False):
        assert np.abs(one.astype(int) - other).max() <= 1
    other_seed = next(sampler.pictures(1, seed=2, label=1))
    other_class = next(sampler.pictures(1, seed=1, label=0))
    assert (other_seed != few[0]).any() and (other_class != few[0]).any()


def test_generate_writes_pictures_and_a_sheet(run: Path, tmp_path: Path) -> None:
    words = ["generate", str(run), "--samples", "3", "-o", str(tmp_path / "out"), "--json"]
    result = CliRunner().invoke(cli.app, words)
    assert result.exit_code == 0, result.output
    items = json.loads(result.stdout)["items"]
    assert [item["category"] for item in items] == ["disc"] * 3 + ["box"] * 3
    for item in items:
        with Image.open(tmp_path / "out" / item["picture"]) as picture:
            assert picture.size == (8, 8) and picture.mode == "RGB"
    with Image.open(tmp_path / "out" / "samples.png") as sheet:
        assert sheet.width > 8 * 64 and sheet.height > 2 * 64
    again = onet.generate(run, samples=3, out=tmp_path / "out", device="cpu")
    assert again.out == tmp_path / "out"
    with pytest.raises(ConfigError, match="other settings"):
        generate_pictures(run, samples=2, out=tmp_path / "out", device="cpu")
    onet.generate(run, samples=1, categories=["box"], out=tmp_path / "out", overwrite=True)
    left = [path.as_posix() for path in (tmp_path / "out" / "pictures").rglob("*.png")]
    assert len(left) == 1 and left[0].endswith("box/000000.png")


def test_a_sheet_of_many_classes_ends(tmp_path: Path) -> None:
    Image.new("RGB", (300, 300)).save(tmp_path / "a.png")
    for count, pictures, rows, lines in ((1, 70, 8, 0), (3, 20, 6, 3), (40, 2, 32, 33)):
        of_all = [
            {"category": f"{k}" if count > 1 else "", "picture": "a.png"}
            for k in range(count)
            for _ in range(pictures)
        ]
        with Image.open(sheet_of_samples(tmp_path, of_all)) as sheet:
            assert sheet.size == (8 * 258 + 2, rows * 258 + 2 + 18 * lines)


def test_samples_of_validation_are_made_once_a_class() -> None:
    model = build_model(load_config("gan_images_small", SMALL | CLASSES).model)
    torch.manual_seed(0)
    batch = {"pictures": torch.rand(5, 3, 8, 8), "labels": torch.tensor([1, 0, 1, 1, 0])}
    made: list[int] = []
    model.generator.register_forward_hook(lambda *given: made.append(len(given[2])))
    together = model.validate(batch)
    assert made == [model.validation_samples] * 2
    for number in range(5):
        alone = model.validate({key: value[number : number + 1] for key, value in batch.items()})
        for key, value in alone.items():
            assert torch.equal(value, together[key][number : number + 1]), key


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"categories": ["bix"]}, "did you mean 'box'"),
        ({"samples": 0}, "at least 1"),
        ({"resolution": 32}, "resolution: is of shapes"),
        ({"input": "a.png"}, "input: is of shapes"),
    ],
)
def test_other_options_are_refused(
    run: Path, tmp_path: Path, options: dict[str, Any], words: str
) -> None:
    with pytest.raises(ConfigError, match=words):
        onet.generate(run, out=tmp_path / "out", device="cpu", **options)


def test_a_generator_of_pictures_reconstructs_nothing(run: Path) -> None:
    with pytest.raises(ConfigError, match="makes no shapes; use it with `onet generate"):
        onet.load(run, "cpu")


def test_the_game_of_a_run_can_be_looked_at(run: Path) -> None:
    game = load_game(run, shapes=2)
    assert game.batch["pictures"].shape == (2, 3, 8, 8) and game.iteration == 4
    assert np.abs(game.field().value()).max() > 0


def test_pictures_are_no_meshes_to_evaluate(run: Path, tmp_path: Path) -> None:
    generate_pictures(run, samples=1, out=tmp_path / "out", device="cpu")
    for words in (["eval", tmp_path / "out"], ["diversity", tmp_path / "out"]):
        result = CliRunner().invoke(cli.app, [str(word) for word in words])
        assert "holds pictures, not meshes" in str(result.exception)


# -- scores ----------------------------------------------------------------------------------------


def test_moments_in_batches_are_those_of_all_at_once() -> None:
    rng = np.random.default_rng(0)
    x, y = rng.normal(size=(100, 5)), rng.normal(size=(90, 5)) * 2 + 1
    sets = []
    for values in (x, y):
        features = FeatureSet()
        for start in range(0, len(values), 7):
            features.add(values[start : start + 7])
        features.add(values[:0])
        assert features.count == len(values)
        assert np.allclose(features.mean, values.mean(0))
        assert np.allclose(features.covariance, np.cov(values.T))
        sets.append(features)
    assert frechet_of_sets(*sets) == pytest.approx(frechet_distance(x, y))


def test_few_features_stay_in_memory_and_stand_for_all() -> None:
    features = FeatureSet(seed=3)
    numbers = np.arange(6 * KEPT, dtype=np.float64)
    for part in np.array_split(numbers, 50):
        features.add(part[:, None])
    kept = features.kept[:, 0]
    assert len(kept) == KEPT == len(np.unique(kept))
    assert abs(kept.mean() / numbers.mean() - 1) < 0.05  # 4 standard deviations


def test_the_kernel_distance_is_unbiased_and_sees_a_difference() -> None:
    rng = np.random.default_rng(1)

    def draws(count: int, shift: float = 0.0) -> NDArray[np.float64]:
        return rng.normal(size=(count, 8)) + shift

    same = [kernel_distance(draws(30), draws(30))[0] for _ in range(40)]
    assert abs(np.mean(same)) < 4 * np.std(same) / 40**0.5
    distance, spread = kernel_distance(draws(300), draws(200, 0.5))
    x, y = draws(4000), draws(4000, 0.5)
    expected = _kernel_mean(x, x) + _kernel_mean(y, y) - 2 * _kernel_mean(x, y)
    assert distance == pytest.approx(expected, rel=0.4) and 0 < spread < distance
    with pytest.raises(ValueError, match="at least two"):
        kernel_distance(draws(1), draws(5))


def _kernel_mean(x: NDArray[np.float64], y: NDArray[np.float64]) -> float:
    values = (x @ y.T / x.shape[1] + 1) ** 3
    if x is y:
        return float((values.sum() - np.trace(values)) / (len(x) * (len(x) - 1)))
    return float(values.mean())


class _Colors:
    """Features that need no network: mean colours."""

    name = "colours"

    def __init__(self, weights: str) -> None:
        assert weights == "colours"

    def __call__(self, pictures: Any) -> NDArray[np.float64]:
        return np.stack([np.asarray(p, float).mean((0, 1)) for p in pictures])


def test_picture_eval_of_what_a_generator_made(
    run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from onet.evaluation import picture_sets

    monkeypatch.setattr(picture_sets, "PictureFeatures", _Colors)
    generate_pictures(run, samples=6, out=tmp_path / "out", device="cpu")
    scores = picture_sets.compare_pictures(tmp_path / "out", features="colours")
    assert scores.size == 8 and [row["number"] for row in scores.rows] == [12, 7]
    assert scores.rows[0]["fid"] > 0.05 > scores.rows[1]["fid"]
    assert (tmp_path / "out" / "picture_scores.csv").is_file()
    told = json.loads((tmp_path / "out" / "picture_scores.json").read_text(encoding="utf-8"))
    assert told["features"] == "colours" and told["size"] == 8
    data = run.parent / "pictures"
    assert told["data"] == str(data.resolve()) and told["split"] == "train"
    assert told["categories"] == ["disc", "box"] and told["folder"] is None
    with writing(tmp_path / "held"), ThreadPoolExecutor(1) as other:
        asked = other.submit(
            picture_sets.compare_pictures, data, data, features="colours", out=tmp_path / "held"
        )
        with pytest.raises(FolderInUse):
            asked.result()
    generate_pictures(run, samples=2, out=tmp_path / "out", device="cpu", overwrite=True)
    assert not [*(tmp_path / "out").glob("picture_scores.*")]

    same = picture_sets.compare_pictures(data, data, features="colours", out=tmp_path / "same")
    assert same.rows[0]["fid"] == pytest.approx(0, abs=1e-9) and same.size == 9
    one = picture_sets.compare_pictures(
        data / "box", data, features="colours", categories=["disc"], out=tmp_path / "o", limit=5
    )
    assert one.rows[0]["number"] == 5 and one.rows[0]["fid"] > 0.5

    (data / "box" / "bad.png").write_bytes(b"nothing")
    words = ["picture-eval", str(data), "--data", str(data), "--features", "colours"]
    result = CliRunner().invoke(cli.app, [*words, "-o", str(tmp_path / "bad")])
    (data / "box" / "bad.png").unlink()
    assert result.exit_code == 1 and "bad.png" in result.output
    with pytest.raises(ConfigError, match="name the folder of the true ones"):
        picture_sets.compare_pictures(data, features="colours")
