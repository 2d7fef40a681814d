"""Writes the reference of configurations, as Markdown, from the types that check them.

    python tools/configuration_reference.py

The site has it as a page; nothing in it is written by hand.
"""

from __future__ import annotations

import inspect
import re
from collections.abc import Iterator
from typing import Any

import yaml
from pydantic import BaseModel

from onet.adversarial.class_discriminators import CLASS_DISCRIMINATORS
from onet.adversarial.discriminators import DISCRIMINATORS
from onet.adversarial.picture_discriminators import PICTURE_DISCRIMINATORS
from onet.config.adversarial import AdversarialSettings
from onet.config.schema import (
    DataConfig,
    EvaluationConfig,
    GenerationConfig,
    SequenceConfig,
    TrainingConfig,
)
from onet.data.inputs import INPUTS
from onet.data.picture_folder import PICTURES
from onet.data.transforms import TRANSFORMS
from onet.data.views import VIEWS
from onet.models import MODELS
from onet.nn.color import COLOR_DECODERS, GEOMETRY_ENCODERS, PICTURE_ENCODERS
from onet.nn.decoders import DECODERS
from onet.nn.encoders import ENCODERS
from onet.nn.latent_encoders import LATENT_ENCODERS
from onet.nn.picture_generators import PICTURE_GENERATORS
from onet.nn.sequence_encoders import SEQUENCE_ENCODERS, SEQUENCE_LATENT_ENCODERS
from onet.registry import Registry
from onet.resources import configs_dir

SECTIONS: list[tuple[str, type[BaseModel]]] = [
    ("data", DataConfig),
    ("data.sequence", SequenceConfig),
    ("training", TrainingConfig),
    ("training.adversarial", AdversarialSettings),
    ("generation", GenerationConfig),
    ("evaluation", EvaluationConfig),
]
CODES = {"c_dim", "z_dim"}
PARTS: list[tuple[str, str, Registry]] = [
    ("model", "Models", MODELS),
    ("model.encoder", "Encoders", ENCODERS),
    ("model.decoder", "Decoders", DECODERS),
    ("model.encoder_latent", "Latent encoders", LATENT_ENCODERS),
    ("model.discriminator", "Discriminators", DISCRIMINATORS),
    ("model.encoder_temporal", "Encoders of sequences", SEQUENCE_ENCODERS),
    ("model.encoder_latent", "Latent encoders of sequences", SEQUENCE_LATENT_ENCODERS),
    ("model.geometry_encoder", "Encoders of geometry, for colours", GEOMETRY_ENCODERS),
    ("model.decoder", "Decoders of colours", COLOR_DECODERS),
    ("model.encoder_latent", "Latent encoders of pictures", PICTURE_ENCODERS),
    ("model.discriminator", "Discriminators of pictures", PICTURE_DISCRIMINATORS),
    ("data.input", "Inputs", INPUTS),
    ("data.input.transforms", "Transforms of point clouds", TRANSFORMS),
    ("data.views", "Views", VIEWS),
    ("data.pictures", "Pictures", PICTURES),
    ("model.generator", "Generators of pictures", PICTURE_GENERATORS),
    ("model.discriminator", "Discriminators of pictures of classes", CLASS_DISCRIMINATORS),
]
BOUNDS = {
    "minimum": "at least",
    "exclusiveMinimum": "over",
    "maximum": "at most",
    "exclusiveMaximum": "below",
}
NAMES = {"integer": "int", "number": "float", "boolean": "bool", "string": "text", "object": "map"}
LARGEST = 2**31  # bounds from there on only keep numbers within what is possible


def configuration_reference() -> str:
    """Return the whole page below its title."""
    return "\n".join([*_packaged(), *_keys(), *_parts()]) + "\n"


def _packaged() -> Iterator[str]:
    yield "## Packaged configurations\n"
    yield from _header("name", "inherits", "what it is")
    for path in sorted(configs_dir().glob("*.yaml")):
        text = path.read_text(encoding="utf-8")
        above = re.match(r"(?:#.*\n)+", text)
        told = " ".join(re.findall(r"^# ?(.*)$", above[0], re.MULTILINE)) if above else ""
        parents = (yaml.safe_load(text) or {}).get("inherit", [])
        parents = [parents] if isinstance(parents, str) else parents
        names = ", ".join(f"`{parent.removesuffix('.yaml')}`" for parent in parents)
        yield _row(f"`{path.stem}`", names, re.split(r"(?<=\.) |; ", told)[0])
    yield ""


def _keys() -> Iterator[str]:
    yield "## Keys\n"
    for name, section in SECTIONS:
        yield f"### `{name}`\n"
        yield (inspect.getdoc(section) or "").split("\n")[0] + "\n"
        yield from _header("key", "type", "default", "meaning")
        schema = section.model_json_schema()
        for key, told in schema["properties"].items():
            default = section.model_fields[key].get_default(call_default_factory=True)
            meaning = told.get("description", "")
            yield _row(f"`{key}`", _kind(told, schema), f"`{_plain(default)}`", meaning)
        yield ""


def _kind(told: dict[str, Any], schema: dict[str, Any]) -> str:
    """Return in words what a JSON schema allows."""
    if "$ref" in told:
        return "map"
    if "anyOf" in told:
        return " or ".join(_kind(one, schema) for one in told["anyOf"])
    if "enum" in told:
        return ", ".join(f"`{value}`" for value in told["enum"])
    if told.get("type") == "array":
        inner = told.get("items") or {}
        return f"list of {_kind(inner, schema)}" if inner else "two numbers"
    kind = "path" if told.get("format") == "path" else NAMES.get(told["type"], told["type"])
    limits = [
        f"{words} {told[key]:,}"
        for key, words in BOUNDS.items()
        if key in told and told[key] < LARGEST - 1
    ]
    return f"{kind}, {', '.join(limits)}" if limits else kind


def _parts() -> Iterator[str]:
    yield "## Parts\n"
    yield (
        "Sections that choose a part are `{type: name, **options}`. Sizes of codes, `c_dim` and "
        "`z_dim`, stand in `model` itself.\n"
    )
    for where, title, registry in PARTS:
        yield f"### {title}: `{where}`\n"
        yield from _header("`type`", "what it does", "options and their defaults")
        for name in registry:
            told = " ".join((inspect.getdoc(registry[name]) or "").split("\n\n")[0].split())
            yield _row(f"`{name}`", told, _options(registry, name))
        yield ""


def _options(registry: Registry, name: str) -> str:
    fields = registry.options(name, tuple(CODES)).model_fields
    shown = []
    for key, field in fields.items():
        must = field.is_required()
        shown.append(f"`{key}`" if must else f"`{key}: {_plain(field.default)}`")
    return ", ".join(shown)


def _plain(value: Any) -> str:
    """Return a value as YAML writes it within a line."""
    if isinstance(value, BaseModel):
        value = value.model_dump(mode="json")
    if not isinstance(value, str | int | float | bool | list | tuple | dict | None):
        value = str(value)
    value = list(value) if isinstance(value, tuple) else value
    text = yaml.safe_dump(value, default_flow_style=True, width=10**6, sort_keys=False)
    return text.removesuffix("\n").removesuffix("\n...")


def _header(*titles: str) -> Iterator[str]:
    yield _row(*titles)
    yield _row(*["---"] * len(titles))


def _row(*cells: str) -> str:
    return "| " + " | ".join(cell.replace("|", "\\|").replace("\n", " ") for cell in cells) + " |"


if __name__ == "__main__":
    print(configuration_reference(), end="")
