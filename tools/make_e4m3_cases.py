"""Writes tests/data/quant/e4m3.txt: all numbers of PyTorch's float8_e4m3fn, and what it makes of floats within +-448 and beyond.

    python tools/make_e4m3_cases.py > tests/data/quant/e4m3.txt
"""

import random

import torch


def words(x):
    return [w & 0xFFFFFFFF for w in x.view(torch.int32).tolist()]


def main():
    numbers = torch.arange(256, dtype=torch.uint8).view(torch.float8_e4m3fn).float()
    print("# code: all 256 numbers of torch.float8_e4m3fn as words of float32. cast: a float32 word, the code it has after clamping to +-448.")
    print(f"# PyTorch {torch.__version__.split('+')[0]}")
    for code, word in enumerate(words(numbers)):
        print(f"code {code:02x} {word:08x}")
    sizes = sorted(numbers[:0x7F].tolist())
    cases = [0.0, 2.0**-10, 2.0**-11, 1e-30, 1e-45, 447.9, 448.0, 449.0, 463.9, 464.0, 480.0, 1e6, float("inf")]
    for low, high in zip(sizes, sizes[1:]):
        half = torch.tensor((low + high) / 2)
        cases += [half.item(), torch.nextafter(half, torch.tensor(0.0)).item(), torch.nextafter(half, torch.tensor(1e9)).item()]
    random.seed(1)
    cases += [random.choice([-1, 1]) * 2 ** random.uniform(-12, 9) for _ in range(200)]
    x = torch.tensor(cases, dtype=torch.float32)
    x = torch.cat([x, -x])
    codes = x.clamp(-448, 448).to(torch.float8_e4m3fn).view(torch.uint8).tolist()
    for word, code in zip(words(x), codes):
        print(f"cast {word:08x} {code:02x}")


if __name__ == "__main__":
    main()
