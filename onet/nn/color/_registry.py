"""The parts of a colour network that a configuration can choose."""

from onet.registry import Registry

GEOMETRY_ENCODERS: Registry = Registry("geometry encoder")
COLOR_DECODERS: Registry = Registry("colour decoder")
PICTURE_ENCODERS: Registry = Registry("picture encoder")
