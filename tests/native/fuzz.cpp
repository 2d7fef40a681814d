// Random inputs through the compiled operations, to be built with sanitizers; no Python in it.
//
//   fuzz --list                             names of the operations
//   fuzz --break                            does what sanitizers must find
//   fuzz OPERATION FIRST COUNT [THREADS]    cases FIRST .. FIRST + COUNT - 1 of one operation
//
// A case is a function of its number alone. A finding is reported on stderr with the number of its
// case and ends the program with a status other than 0, whether a check or a sanitizer found it.
// A new operation is one function in the table at the end.
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <string>
#include <thread>

#include "extraction.h"
#include "layers.h"
#include "meshes.h"
#include "pictures.h"
#include "queries.h"

namespace fuzz {
namespace {

struct Operation {
  const char* name;
  void (*run)(Random&, int threads);
};

constexpr Operation kOperations[] = {
    {"extraction", extraction},         {"prediction", prediction}, {"components", components},
    {"simplification", simplification}, {"contains", contains},     {"winding", winding},
    {"closest_point", closest_point},   {"nearest", nearest},       {"sampling", sampling},
    {"rasterize", rasterize},           {"visibility", visibility}, {"residual", residual},
};

char running[96] = "";

void set_running(int64_t number, const char* operation) {
  std::snprintf(running, sizeof running, "case %lld of %s\n", static_cast<long long>(number),
                operation);
}

int break_rules() {
  set_running(7, "nothing");
  std::vector<int> values(16);
  std::thread other([&] { values[0] = 1; });
  values[0] = 2;
  other.join();
  const int* volatile data = values.data();
  return data[16];
}

}  // namespace
}  // namespace fuzz

// Sanitizers call abort(), whose signal is caught below, at the first finding.
extern "C" {
const char* __asan_default_options() { return "abort_on_error=1"; }
const char* __ubsan_default_options() { return "abort_on_error=1:print_stacktrace=1"; }
const char* __tsan_default_options() { return "abort_on_error=1:halt_on_error=1"; }
}

int main(int argc, char** argv) {
  if (argc == 2 && std::strcmp(argv[1], "--list") == 0) {
    for (const auto& operation : fuzz::kOperations) std::puts(operation.name);
    return 0;
  }
  std::signal(SIGABRT, [](int) { std::fputs(fuzz::running, stderr); });
  if (argc == 2 && std::strcmp(argv[1], "--break") == 0) return fuzz::break_rules();
  if (argc != 4 && argc != 5) {
    std::fputs("usage: fuzz --list | --break | OPERATION FIRST COUNT [THREADS]\n", stderr);
    return 2;
  }
  const int64_t first = std::atoll(argv[2]), count = std::atoll(argv[3]);
  const int threads = argc == 5 ? std::atoi(argv[4]) : 1;
  for (const auto& operation : fuzz::kOperations) {
    if (std::strcmp(operation.name, argv[1]) != 0) continue;
    uint64_t name = 0;
    for (const char* c = operation.name; *c; ++c) name = fuzz::mix(name ^ uint64_t(*c));
    for (int64_t i = first; i < first + count; ++i) {
      fuzz::set_running(i, operation.name);
      fuzz::Random random(fuzz::mix(name ^ static_cast<uint64_t>(i)));
      try {
        operation.run(random, threads);
      } catch (const std::exception& error) {
        std::fprintf(stderr, "%s\n%s", error.what(), fuzz::running);
        return 1;
      }
    }
    return 0;
  }
  std::fprintf(stderr, "no operation %s\n", argv[1]);
  return 2;
}
