"""Readers of mesh files, one format a module; `onet.geometry.mesh_io.load_mesh` is the way in."""
