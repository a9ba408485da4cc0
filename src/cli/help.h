// What --help prints: one form for all verbs, in lines that fit the terminal.
#pragma once

namespace CLI {
class App;
}

namespace hadal::cli {

// For `app` and all verbs that are added to it afterwards.
void use_help(CLI::App& app);

}  // namespace hadal::cli
