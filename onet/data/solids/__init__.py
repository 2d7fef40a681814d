"""Generators of exact solids, of which a network for scans learns; `onet.data.scan_solids` is the
way in.

`primitives` are the pieces; `assemblies` puts furniture together, `vehicles` what drives, swims and
flies, `carved` unions and differences of anything, `hollow` vessels, shells and frames, `smooth`
bodies that are level sets of functions. Each takes a seeded generator; y is up.
"""
