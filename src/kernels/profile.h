// Time and floating-point operations of each kind of kernel, for benchmarks. A Context carries a Profile or none.
#pragma once

#include <chrono>
#include <map>
#include <string>
#include <string_view>

namespace hadal::kernels {

class Profile {
 public:
  struct Entry {
    double seconds = 0;
    double flops = 0;  // of matmuls and attention; 0 for what is bound by memory
    double work = 0;   // what the time grows with: the flops, or else elements
    long calls = 0;
  };

  void add(std::string_view name, double seconds, double flops, double work);
  void clear() { entries_.clear(); }
  const std::map<std::string, Entry, std::less<>>& entries() const { return entries_; }
  double seconds() const;  // in all kernels

 private:
  std::map<std::string, Entry, std::less<>> entries_;
};

}  // namespace hadal::kernels
