// Regular expressions in the syntax of Oniguruma, the engine of the Hugging Face library, written for PCRE2.
#pragma once

#include <string>
#include <string_view>

namespace hadal::text {

// The same expression for PCRE2 with UTF, UCP and MULTILINE: what both write alike stays, what they take differently
// (\w, \s, \h, \v, \b, \p{...}, [[:alpha:]], (?m), {,n}, ...) is written out. Throws Error naming what has no
// counterpart, or is no Oniguruma.
std::string for_pcre2(std::string_view regex);

}  // namespace hadal::text
