// The tables of all ISAs in one place.
#include "base/error.h"
#include "kernels/kernels.h"

namespace hadal::kernels {

namespace ref {
const Table& table();
}
namespace avx2 {
const Table& table();
}
namespace avx512 {
const Table& table();
}
namespace avx512bf16 {
const Table& table();
}

const Table& table_of(Isa isa) {
  switch (isa) {
    case Isa::ref:
      return ref::table();
    case Isa::avx2:
      return avx2::table();
    case Isa::avx512:
      return avx512::table();
    case Isa::avx512bf16:
      return avx512bf16::table();
  }
  HADAL_ASSERT(false);
  return ref::table();
}

}  // namespace hadal::kernels
