"""Typed configuration: YAML in, dotted overrides, unknown keys refused."""

from onet.config.adversarial import AdversarialSettings
from onet.config.loader import load_config, parse_config, with_changes
from onet.config.schema import (
    Config,
    DataConfig,
    EvaluationConfig,
    GenerationConfig,
    Section,
    SequenceConfig,
    TrainingConfig,
)

__all__ = [
    "AdversarialSettings",
    "Config",
    "DataConfig",
    "EvaluationConfig",
    "GenerationConfig",
    "Section",
    "SequenceConfig",
    "TrainingConfig",
    "load_config",
    "parse_config",
    "with_changes",
]
