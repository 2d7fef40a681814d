"""Every configuration key, its type, default and meaning.

The sections `data`, `training`, `generation` and `evaluation` are typed here. Sections that choose
a part by name (`model`, `model.encoder`, `model.decoder`, `data.input`) are dictionaries
`{type: name, **options}`: their options are the constructor arguments of the registered class and
are checked when the part is built, so a new part needs no change here. No torch in this module.
"""

from __future__ import annotations

import math
import warnings
from pathlib import Path
from typing import Annotated, Any, Literal

import yaml
from pydantic import BaseModel, ConfigDict, Field, model_validator

Section = dict[str, Any]
PositiveInt = Annotated[int, Field(gt=0, lt=2**31)]
"""A number of things; the bounds further down keep what a file asks for within what there is."""

_RENAMED = "generation.threshold is called probability now"

Processes = Annotated[int, Field(gt=0, le=4096)]


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, validate_default=True)


def _pointcloud_input() -> Section:
    return {"type": "pointcloud", "count": 300, "noise": 0.005}


def _occupancy_model() -> Section:
    return {
        "type": "occupancy",
        "c_dim": 512,
        "z_dim": 0,
        "encoder": {"type": "pointnet_resnet", "hidden_dim": 512},
        "decoder": {"type": "cbatchnorm", "hidden_size": 256},
    }


class SequenceConfig(_Strict):
    """What is learned from moving shapes."""

    length: Annotated[int, Field(ge=2, lt=2**31)] | None = Field(
        default=17, description="Frames of a window; null for whole sequences of one length."
    )
    offset: PositiveInt = Field(default=15, description="Frames from one window to the next.")
    points: int = Field(
        default=512,
        ge=0,
        lt=2**31,
        description="Query points drawn at the first time, and as many at a random one; 0: none.",
    )
    trajectories: int = Field(
        default=100,
        ge=0,
        lt=2**31,
        description="Surface points that are followed over time, where they correspond; 0: none.",
    )


class DataConfig(_Strict):
    """What is learned from."""

    path: Path = Field(
        default=Path("data/prepared"),
        description="Folder written by `onet prepare`, or the published ShapeNet download; "
        "relative to the working directory.",
    )
    categories: list[str] | None = Field(
        default=None, description="Categories (folder names) to use; null for all."
    )
    train_split: str = Field(default="train", description="Split that is trained on (NAME.lst).")
    val_split: str = Field(default="val", description="Split that selects the best checkpoint.")
    test_split: str = Field(default="test", description="Split that `generate` and `eval` use.")
    points_file: str = Field(
        default="points.npz",
        description="File of an item with the query points to train on; `onet prepare "
        "--near-surface` writes points_surface.npz. Validation always takes points.npz.",
    )
    points_subsample: PositiveInt | tuple[PositiveInt, PositiveInt] = Field(
        default=2048,
        description="Query points drawn from each training item per iteration; or two numbers: of "
        "those outside and of those inside.",
    )
    importance: bool = Field(
        default=False,
        description="Weigh near-surface query points in the loss so that they stand for uniform "
        "ones, and probabilities stay calibrated; for points_file points_surface.npz.",
    )
    distances: bool = Field(
        default=False,
        description="Give each query point its distance to the surface, which the soft occupancies "
        "of adversarial training need.",
    )
    sequence: SequenceConfig | None = Field(
        default=None,
        description="Moving shapes, prepared by `onet prepare --sequences`; null for shapes.",
    )
    input: Section = Field(
        default_factory=_pointcloud_input,
        description="What the network observes: {type, **options} of a registered input. "
        "Noise is in units of the shape's longest edge.",
    )
    views: Section | None = Field(
        default=None,
        description="For a texture network: how pictures with depth are drawn from the items, the "
        "options of onet.data.views.ViewDataset (size, pixels, surface_points); null for query "
        "points.",
    )
    pictures: Section | None = Field(
        default=None,
        description="For a generator of pictures: how they are read from the folder data.path, the "
        "options of onet.data.picture_folder.PictureSettings (size, flip, folder, held_out); null "
        "for shapes.",
    )
    cache: bool = Field(
        default=True,
        description="Keep in memory what was read of items (about 1.2 MB each), so that files are "
        "read once; arrays of a packed store are not kept, as the system does so.",
    )
    workers: int = Field(
        default=0,
        ge=0,
        le=4096,
        description="Processes that load training data; 0 for the main one.",
    )


class TrainingConfig(_Strict):
    """How it is learned."""

    batch_size: PositiveInt = Field(
        default=64, description="Items per optimiser step, over all processes together."
    )
    optimizer: Literal["adam", "adamw", "rmsprop", "sgd"] = Field(
        default="adam",
        description="Optimiser; adamw is Adam with decoupled weight decay, rmsprop that of the "
        "published GANs, sgd plain gradient descent.",
    )
    learning_rate: float = Field(
        default=1e-4,
        gt=0,
        allow_inf_nan=False,
        description="Learning rate, after warm-up and before it falls.",
    )
    weight_decay: float = Field(
        default=0.0,
        ge=0,
        allow_inf_nan=False,
        description="Weight decay of adamw, on matrices and kernels only.",
    )
    warmup: int = Field(
        default=0,
        ge=0,
        lt=2**63,
        description="Iterations over which the learning rate rises from 0.",
    )
    schedule: Literal["constant", "cosine"] = Field(
        default="constant",
        description="cosine lets the learning rate fall to 0 at the end of the run: max_iterations "
        "or max_minutes, whichever is nearer.",
    )
    clip: float | None = Field(
        default=None, gt=0, description="Largest norm of the gradient of a step; null for any."
    )
    ema: float = Field(
        default=0.0,
        ge=0,
        lt=1,
        description="Decay of the moving average of weights and running statistics that is "
        "validated and saved; 0 for the weights themselves.",
    )
    adversarial: Section | None = Field(
        default=None,
        description="How a model with a discriminator is trained: the options of "
        "onet.config.adversarial.AdversarialSettings, such as {loss: non_saturating, penalty: "
        "{type: r1, gamma: 10}}; null for their defaults.",
    )
    max_iterations: PositiveInt | None = Field(
        default=None, description="Stop after this many iterations; null for no limit."
    )
    max_minutes: float | None = Field(
        default=None,
        gt=0,
        description="Stop after this many minutes of the run, validation included; null for no "
        "limit.",
    )
    validate_every: PositiveInt = Field(default=20000, description="Iterations per validation.")
    checkpoint_every: PositiveInt = Field(
        default=1000, description="Iterations between writes of the last checkpoint."
    )
    print_every: PositiveInt = Field(default=10, description="Iterations between progress lines.")
    validation_points: PositiveInt | None = Field(
        default=None, description="Query points per validation item; null for all that are stored."
    )
    selection_metric: str = Field(
        default="iou", description="Validation metric that chooses the best checkpoint."
    )
    selection_mode: Literal["max", "min"] = Field(
        default="max", description="Whether a larger or a smaller selection metric is better."
    )
    seed: int = Field(
        default=0, ge=0, lt=2**63, description="Seed of weights, data order and sampling."
    )
    device: Literal["auto", "cpu", "cuda", "mps"] = Field(
        default="auto", description="Where to train; auto takes a GPU if there is one."
    )
    devices: Processes = Field(
        default=1, description="Processes per machine, each with its device (DDP if over 1)."
    )
    nodes: Processes = Field(default=1, description="Machines (DDP when over 1).")
    synchronize: bool = Field(
        default=True,
        description="Batch normalisation over the items of all processes, so that several learn "
        "what one does; false normalises each share by itself.",
    )
    accumulate: PositiveInt = Field(
        default=1,
        description="Parts of a batch that are computed one after the other, where memory does not "
        "hold it; batch normalisation then sees a part at a time.",
    )
    precision: Literal["32-true", "bf16-mixed", "auto"] = Field(
        default="32-true",
        description="Arithmetic of forward and backward passes; auto takes bf16-mixed where the "
        "processor has instructions for it.",
    )
    threads: Processes | None = Field(
        default=None,
        description="CPU threads of each process; null for OMP_NUM_THREADS, or the cores that the "
        "process may use.",
    )


class GenerationConfig(_Strict):
    """How surfaces are taken from a trained field. Validation uses the same probability."""

    resolution: PositiveInt = Field(
        default=128,
        le=2**14,
        description="Cells along each edge of the extraction grid at its finest level.",
    )
    probability: float = Field(
        default=0.2, gt=0, lt=1, description="On the surface: a point counts as inside above it."
    )
    padding: float = Field(
        default=0.1,
        ge=0,
        le=100,
        description="Margin of the extraction box around the unit cube, both sides together.",
    )
    format: Literal["ply", "glb", "obj", "off", "stl"] = Field(
        default="ply", description="File format of the meshes."
    )
    batch_size: PositiveInt = Field(
        default=65536, description="Query points per network evaluation; bounds the memory."
    )
    mode: Literal["exact", "fast"] = Field(
        default="exact",
        description="fast predicts where the surface is and evaluates half as many points; it can "
        "miss detail that exact finds.",
    )
    precision: Literal["float32", "bfloat16"] = Field(
        default="float32",
        description="Arithmetic of the decoder; bfloat16 is nearly twice as fast where the "
        "processor has instructions for it, and moves the surface a little.",
    )
    refine: Literal["none", "root", "published"] = Field(
        default="none",
        description="Move vertices to the surface: root finds it on each vertex's lattice edge, in "
        "about 4 evaluations; published descends a loss, after simplification.",
    )
    refine_steps: PositiveInt = Field(default=30, description="Steps of the published refinement.")
    sharp: bool = Field(
        default=False,
        description="Dual contouring: sharp edges and corners, from the gradients of the field.",
    )
    simplify: Annotated[int, Field(ge=4, lt=2**31)] | None = Field(
        default=None, description="Faces to simplify to; the mesh stays closed. null keeps all."
    )
    normals: bool = Field(
        default=False,
        description="Give vertices the normals of the field; ply, glb, obj keep them.",
    )
    uncertainty: bool = Field(
        default=False,
        description="Give vertices the width of the zone in which the probability is between 1/4 "
        "and 3/4, as an attribute `uncertainty`; ply and glb keep it.",
    )

    @model_validator(mode="before")
    @classmethod
    def _with_present_names(cls, values: Any) -> Any:
        """Take `threshold`, as `probability` was called; files are renamed before."""
        if not isinstance(values, dict) or "threshold" not in values or "probability" in values:
            return values
        warnings.warn(_RENAMED, DeprecationWarning, stacklevel=3)
        return {"probability" if key == "threshold" else key: v for key, v in values.items()}

    @property
    def threshold(self) -> float:
        """Former name of `probability`."""
        warnings.warn(_RENAMED, DeprecationWarning, stacklevel=2)
        return self.probability

    @property
    def level(self) -> float:
        """Logit of the probability on the surface."""
        return math.log(self.probability / (1 - self.probability))


class EvaluationConfig(_Strict):
    """How reconstructions are compared with the truth."""

    samples: PositiveInt = Field(default=100000, le=10**8, description="Surface samples per mesh.")
    seed: int = Field(default=0, ge=0, lt=2**63, description="Seed of the surface samples.")


class Config(_Strict):
    """One experiment. The defaults are the published point cloud setting."""

    data: DataConfig = Field(default_factory=DataConfig, description="What is learned from.")
    model: Section = Field(
        default_factory=_occupancy_model,
        description="The network: {type, **options} of a registered model.",
    )
    training: TrainingConfig = Field(
        default_factory=TrainingConfig, description="How it is learned."
    )
    generation: GenerationConfig = Field(
        default_factory=GenerationConfig, description="How surfaces are extracted."
    )
    evaluation: EvaluationConfig = Field(
        default_factory=EvaluationConfig, description="How results are scored."
    )

    def to_yaml(self) -> str:
        """Return all keys, defaults included, as YAML; read back it gives an equal `Config`."""
        return yaml.safe_dump(self.model_dump(mode="json"), sort_keys=False)
