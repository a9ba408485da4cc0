#include "kernels/declare.h"
#include "kernels/kernels.h"

namespace hadal::kernels::HADAL_ISA_NS {

HADAL_KERNELS(HADAL_DECLARE)

const Table& table() {
  static const Table t{HADAL_KERNELS(HADAL_ENTRY)};
  return t;
}

}  // namespace hadal::kernels::HADAL_ISA_NS
