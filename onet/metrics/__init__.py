"""Numbers that compare two shapes, or two sets of shapes. Knows nothing of networks and folders.

`scores` is the usual protocol for a mesh and the truth. Import from the modules.
"""
