// One function a sub-command of `hadal bench`; each lives in its own file.
#pragma once

namespace CLI {
class App;
}

namespace hadal::cli {

void add_bench_train(CLI::App& bench);

}  // namespace hadal::cli
