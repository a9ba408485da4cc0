// A non-owning reference to a callable: how pieces of text travel down the pre-tokenizer without a list of them.
#pragma once

#include <cstddef>
#include <string_view>
#include <type_traits>

namespace hadal::text {

template <class... Args>
class Sink {
 public:
  template <class F>
    requires(!std::is_same_v<std::remove_cvref_t<F>, Sink>)
  Sink(F&& f)  // NOLINT: implicit on purpose, as function_ref is
      : object_(const_cast<void*>(static_cast<const void*>(&f))),
        call_([](void* o, Args... args) { (*static_cast<std::remove_reference_t<F>*>(o))(args...); }) {}
  void operator()(Args... args) const { call_(object_, args...); }

 private:
  void* object_;
  void (*call_)(void*, Args...);
};

using PieceSink = Sink<std::string_view>;
using MatchSink = Sink<std::size_t, std::size_t>;  // begin and end of a match, in bytes

}  // namespace hadal::text
