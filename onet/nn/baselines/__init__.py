"""Networks that make voxels, points and meshes from a code."""
