// Splits a range over threads. Standard threads, not OpenMP, whose runtime may clash with torch's.
#pragma once

#include <algorithm>
#include <atomic>
#include <cstdint>
#include <cstdlib>
#include <exception>
#include <mutex>
#include <thread>
#include <vector>

namespace onet {

// Threads to use when the caller does not say: OMP_NUM_THREADS, else the cores of this process.
inline int default_threads() {
  if (const char* text = std::getenv("OMP_NUM_THREADS")) {
    int n = std::atoi(text);
    if (n > 0) return n;
  }
  return std::max(1u, std::thread::hardware_concurrency());
}

// Calls body(begin, end) on disjoint chunks that cover [0, n). The first exception is rethrown.
template <class Body>
void parallel_for(int64_t n, int threads, int64_t chunk, Body body) {
  if (threads <= 0) threads = default_threads();
  const int64_t chunks = (n + chunk - 1) / chunk;
  threads = static_cast<int>(std::min<int64_t>(threads, chunks));
  if (threads <= 1) {
    if (n > 0) body(int64_t{0}, n);
    return;
  }
  std::atomic<int64_t> next{0};
  std::exception_ptr error;
  std::mutex mutex;
  auto work = [&] {
    try {
      for (int64_t i; (i = next.fetch_add(1)) < chunks;)
        body(i * chunk, std::min(n, (i + 1) * chunk));
    } catch (...) {
      std::lock_guard<std::mutex> lock(mutex);
      if (!error) error = std::current_exception();
      next = chunks;
    }
  };
  std::vector<std::thread> pool;
  for (int t = 1; t < threads; ++t) pool.emplace_back(work);
  work();
  for (auto& thread : pool) thread.join();
  if (error) std::rethrow_exception(error);
}

}  // namespace onet
