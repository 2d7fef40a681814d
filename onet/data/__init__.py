"""From meshes to training batches: prepare -> store -> dataset.

`prepare` turns a folder of meshes into a store, as `settings` say; `item` makes one item of it, and
`parts` are what an item may hold besides points. `store` is the layout on disk, `inputs` are the
observations that a model may be given, `dataset` draws training items. Import from the modules.
"""
