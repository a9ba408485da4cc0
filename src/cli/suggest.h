// What somebody probably meant by a verb or a flag that is not there: the one that is spelled alike, or the name that
// the thing has in other programs.
#pragma once

#include <string>
#include <string_view>

namespace CLI {
class App;
}

namespace hadal::cli {

// "did you mean 'pretrain'?", or empty if nothing is near.
std::string suggested_verb(const CLI::App& app, std::string_view word);
// The same for what a verb could not use: a flag, or words too many.
std::string suggested_option(const CLI::App& verb, std::string_view word);

}  // namespace hadal::cli
