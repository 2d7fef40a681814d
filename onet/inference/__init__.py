"""From a trained model and observations to meshes, and from meshes to scores.

`reconstructor` is one observation, `generate` a whole split or folder of them, `evaluation`
compares what `generate` wrote with the truth. Import from the modules.
"""
