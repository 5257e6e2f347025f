"""The configuration: one frozen tree (`tree`), read once at start-up (`loading`)."""

from composition.config.loading import ConfigError, load_config
from composition.config.tree import (
    PROFILES,
    ApiConfig,
    ComplexTriggers,
    Config,
    DetectionConfig,
    FetchConfig,
    IpAdapterConfig,
    LimitsConfig,
    LoggingConfig,
    LorasConfig,
    MetricsConfig,
    ModelsConfig,
    QueueConfig,
    RoutingConfig,
    StorageConfig,
    StructureConfig,
    TracingConfig,
)

__all__ = [
    "PROFILES",
    "ApiConfig",
    "ComplexTriggers",
    "Config",
    "ConfigError",
    "DetectionConfig",
    "FetchConfig",
    "IpAdapterConfig",
    "LimitsConfig",
    "LoggingConfig",
    "LorasConfig",
    "MetricsConfig",
    "ModelsConfig",
    "QueueConfig",
    "RoutingConfig",
    "StorageConfig",
    "StructureConfig",
    "TracingConfig",
    "load_config",
]
