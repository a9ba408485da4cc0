// The sub-commands of `hadal bench`, a file each (bench_NAME.cpp), and the options that all have.
#pragma once

namespace CLI {
class App;
}

namespace hadal::cli {

struct BenchOptions {
  int threads = 0;  // 0: all CPUs
  bool json = false;
  double seconds = 10;  // of measuring, about
  bool quick = false;   // tiny sizes, one run of each: does it run at all
};

// Adds --threads, --seconds, --json and --quick.
void add_bench_options(CLI::App& verb, BenchOptions& options);

void add_bench_gemm(CLI::App& bench);
void add_bench_grouped(CLI::App& bench);
void add_bench_attention(CLI::App& bench);
void add_bench_memory(CLI::App& bench);
void add_bench_memory_tokens(CLI::App& bench);
void add_bench_train(CLI::App& bench);
void add_bench_decode(CLI::App& bench);
void add_bench_tokenizer(CLI::App& bench);
void add_bench_contention(CLI::App& bench);
void add_bench_machine(CLI::App& bench);

}  // namespace hadal::cli
