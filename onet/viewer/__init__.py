"""Meshes, clouds and results in the browser: live by viser, or as a page of its own."""

from onet.viewer.show import export, view

__all__ = ["export", "view"]
