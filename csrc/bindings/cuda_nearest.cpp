#include "../cuda_nearest.h"

#include "cuda_arrays.h"

using onet::CudaNearestNeighbors;

void bind_cuda_nearest(nb::module_& m) {
  nb::class_<CudaNearestNeighbors>(m, "NearestNeighbors")
      .def(
          "__init__",
          [](CudaNearestNeighbors* self, Rows<double> points, int threads, int device,
             uintptr_t stream) {
            if (points.shape(0) == 0)
              throw nb::value_error("points: there are none; give at least 1");
            check_coordinates(points, "points");
            nb::gil_scoped_release release;
            new (self) CudaNearestNeighbors(
                onet::CudaBackend(device, to_stream(stream)),
                onet::NearestNeighbors(points.data(), points.shape(0), threads));
          },
          "points"_a.noconvert(), "threads"_a = 0, "device"_a = 0, "stream"_a = 0)
      .def(
          "query",
          [](const CudaNearestNeighbors& self, CudaRows<const double> queries,
             CudaVector<double> distance, CudaVector<int64_t> index) {
            const int device = self.backend().device();
            check_place(queries, device, -1, "queries");
            check_place(distance, device, queries.shape(0), "distance");
            check_place(index, device, queries.shape(0), "index");
            nb::gil_scoped_release release;
            self.query(queries.data(), queries.shape(0), distance.data(), index.data());
          },
          "queries"_a.noconvert(), "distance"_a.noconvert(), "index"_a.noconvert());
}
