// Kernels this ISA has no fast version of yet run the reference. Weak: a fast version replaces its entry by being there.
#include "kernels/declare.h"
#include "kernels/kernels.h"

namespace hadal::kernels {

namespace ref {
HADAL_KERNELS(HADAL_DECLARE)
}

namespace HADAL_ISA_NS {

#define HADAL_FALLBACK(name, Params) \
  __attribute__((weak)) void name(const Context& cx, const Params& p) { ref::name(cx, p); }
HADAL_KERNELS(HADAL_FALLBACK)

}  // namespace HADAL_ISA_NS
}  // namespace hadal::kernels
