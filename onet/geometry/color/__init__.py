"""Colours of surfaces: fields of colour, textured meshes, pictures of them, baked textures.

A field of colour is a function `color(points (N, 3)) -> (N, 3)`, in [0, 1] and encoded as pictures
are (sRGB), beside the field of occupancy of the same shape.
"""

from __future__ import annotations
