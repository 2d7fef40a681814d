#include "../cuda_inside.h"

#include "cuda_arrays.h"

void bind_cuda_inside(nb::module_& m) {
  m.def(
      "contains",
      [](Rows<double> vertices, Rows<int64_t> faces, CudaRows<const double> points,
         CudaVector<uint8_t> inside, uintptr_t stream) {
        check_faces(faces, vertices.shape(0));
        const int device = points.device_id();
        check_place(inside, device, points.shape(0), "inside");
        nb::gil_scoped_release release;
        const onet::CudaBackend backend(device, to_stream(stream));
        onet::contains(backend, vertices.data(), vertices.shape(0), faces.data(), faces.shape(0),
                       points.data(), points.shape(0), inside.data());
      },
      "vertices"_a.noconvert(), "faces"_a.noconvert(), "points"_a.noconvert(),
      "inside"_a.noconvert(), "stream"_a = 0);
}
