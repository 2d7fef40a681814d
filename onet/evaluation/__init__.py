"""From meshes to scores, and the searches that scores decide: thresholds, calibration.

`meshes` compares what `onet.inference.generate` wrote with the truth, `diversity` sets of shapes
with one another. Import from the modules.
"""
