"""From a trained model and observations to meshes.

`reconstructor` is one observation, `generate` a whole split or folder of them. Import from the
modules.
"""
