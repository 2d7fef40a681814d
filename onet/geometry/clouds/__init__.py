"""Readers of point clouds by format; `onet.geometry.point_cloud_io` chooses among them."""
