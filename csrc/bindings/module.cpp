// The module `onet._C`: one binding file an operation.
#include "arrays.h"

void bind_octree(nb::module_& m);
void bind_marching_cubes(nb::module_& m);
void bind_components(nb::module_& m);
void bind_inside(nb::module_& m);
void bind_nearest(nb::module_& m);
void bind_closest_point(nb::module_& m);
void bind_sampling(nb::module_& m);
void bind_depth_map(nb::module_& m);
void bind_winding(nb::module_& m);
void bind_residual(nb::module_& m);
void bind_simplify(nb::module_& m);
void bind_crossings(nb::module_& m);
void bind_rays(nb::module_& m);
void bind_sparse_cells(nb::module_& m);
void bind_rows(nb::module_& m);
void bind_cell_maxima(nb::module_& m);
void bind_table_rows(nb::module_& m);

NB_MODULE(_C, m) {
  m.doc() = "Compiled geometry of onet; see csrc/*.h for the contracts.";
  bind_octree(m);
  bind_marching_cubes(m);
  bind_components(m);
  bind_inside(m);
  bind_nearest(m);
  bind_closest_point(m);
  bind_sampling(m);
  bind_depth_map(m);
  bind_winding(m);
  bind_residual(m);
  bind_simplify(m);
  bind_crossings(m);
  bind_rays(m);
  bind_sparse_cells(m);
  bind_rows(m);
  bind_cell_maxima(m);
  bind_table_rows(m);
}
