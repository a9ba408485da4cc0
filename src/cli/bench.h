// The sub-commands of `hadal bench`, a file each (bench_NAME.cpp), and the options that all have.
#pragma once

#include "cli/command.h"

namespace hadal::cli {

struct BenchOptions {
  int threads = 0;  // 0: all CPUs
  bool json = false;
  double seconds = 10;  // of measuring, about
  bool quick = false;   // tiny sizes, one run of each: does it run at all
};

// Adds --threads, --seconds, --json and --quick.
void add_bench_options(Command verb, BenchOptions& options);

void add_bench_gemm(Command bench);
void add_bench_grouped(Command bench);
void add_bench_attention(Command bench);
void add_bench_memory(Command bench);
void add_bench_memory_tokens(Command bench);
void add_bench_train(Command bench);
void add_bench_decode(Command bench);
void add_bench_tokenizer(Command bench);
void add_bench_contention(Command bench);
void add_bench_machine(Command bench);

}  // namespace hadal::cli
