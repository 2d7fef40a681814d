"""Typed configuration: YAML in, dotted overrides, unknown keys refused."""

from onet.config.adversarial import AdversarialSettings
from onet.config.loader import (
    DEFAULT,
    Explained,
    explain_config,
    load_config,
    packaged_configs,
    parse_config,
    with_changes,
)
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
    "DEFAULT",
    "AdversarialSettings",
    "Config",
    "DataConfig",
    "EvaluationConfig",
    "Explained",
    "GenerationConfig",
    "Section",
    "SequenceConfig",
    "TrainingConfig",
    "explain_config",
    "load_config",
    "packaged_configs",
    "parse_config",
    "with_changes",
]
