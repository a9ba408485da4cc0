// hadal tokenizer train
#pragma once

namespace CLI {
class App;
}

namespace hadal::cli {

void add_tokenizer_train(CLI::App& verb);

}  // namespace hadal::cli
