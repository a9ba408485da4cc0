"""Writes src/text/unicode_table.inc: one byte of properties for every code point, as a two-stage table.

Needs unicodedata2 16.0.0 (Python's own unicodedata may be older than Unicode 16) and tokenizers, whose NFC tables are
older than the rest of it: marks and compositions that it does not know are recorded, too.

    python tools/make_unicode_table.py > src/text/unicode_table.inc
"""

import sys

import unicodedata2 as ucd
from tokenizers import normalizers

BLOCK = 128
LAST = 0x110000
CLASS = {"L": 1, "M": 2, "N": 3, "P": 4, "S": 5}
WHITE, WORD, NFC_ACTIVE, NFC_UNKNOWN = 6, 8, 16, 32
WHITE_SPACE = [*range(9, 14), 0x20, 0x85, 0xA0, 0x1680, *range(0x2000, 0x200B), 0x2028, 0x2029, 0x202F, 0x205F, 0x3000]
# Alphabetic symbols: circled and squared letters are \w although their category is So.
ALPHABETIC_SYMBOLS = [*range(0x24B6, 0x24EA), *range(0x1F130, 0x1F14A), *range(0x1F150, 0x1F16A), *range(0x1F170, 0x1F18A)]


def composition_parts():
    """Code points that stand second in a canonical composition, and whether the reference knows that composition."""
    nfc = normalizers.NFC().normalize_str
    second = dict.fromkeys([*range(0x1161, 0x1176), *range(0x11A8, 0x11C3)], True)
    for cp in range(LAST):
        parts = ucd.decomposition(chr(cp)).split()
        if len(parts) == 2 and not parts[0].startswith("<") and ucd.normalize("NFC", chr(cp)) == chr(cp):
            pair = "".join(chr(int(part, 16)) for part in parts)
            last = int(parts[1], 16)
            second[last] = second.get(last, False) or nfc(pair) == chr(cp)
    return second


def unknown_to_reference(cp, combining):
    """Whether the reference's older NFC tables take cp for a character without any normalisation."""
    nfc = normalizers.NFC().normalize_str
    char = chr(cp)
    if combining:
        if combining == 1:  # an overlay: a mark of class 220 before it must move behind it
            return nfc("a\u0323" + char) == "a\u0323" + char
        return nfc("a" + char + "\u0334") == "a" + char + "\u0334"
    return nfc(char) != ucd.normalize("NFC", char)


def properties(cp, second):
    char = chr(cp)
    category = ucd.category(char)
    value = WHITE if cp in white else CLASS.get(category[0], 0)
    if category[0] in "LM" or category in ("Nd", "Nl", "Pc") or cp in (0x200C, 0x200D) or cp in symbols:
        value |= WORD
    if 0xD800 <= cp < 0xE000:
        return value
    combining = ucd.combining(char)
    if combining or cp in second or ucd.normalize("NFC", char) != char:
        value |= NFC_ACTIVE
        changes = combining or ucd.normalize("NFC", char) != char
        if unknown_to_reference(cp, combining) if changes else not second[cp]:
            value |= NFC_UNKNOWN
    return value


white, symbols = set(WHITE_SPACE), set(ALPHABETIC_SYMBOLS)


def main():
    if ucd.unidata_version != "16.0.0":
        sys.exit(f"unicodedata2 has Unicode {ucd.unidata_version}; install version 16.0.0")
    second = composition_parts()
    table = bytes(properties(cp, second) for cp in range(LAST))
    blocks, index = {}, []
    for start in range(0, LAST, BLOCK):
        index.append(blocks.setdefault(table[start : start + BLOCK], len(blocks)))
    if len(blocks) > 256:
        sys.exit(f"{len(blocks)} different blocks do not fit one byte")
    print("// Made by tools/make_unicode_table.py from Unicode 16.0; do not edit.")
    print("// A character c of a block stands for the properties c - '0'.")
    print(f"constexpr char kBlocks[{len(blocks) * BLOCK + 1}] =")
    for block in blocks:
        text = "".join(chr(ord("0") + value) for value in block)
        if "\\" in text or '"' in text:
            sys.exit("a property value needs an escape; choose another offset")
        print(f'"{text}"')
    print(";")
    print(f"constexpr unsigned char kIndex[{len(index)}] = {{")
    line = ""
    for value in index:
        if len(line) + 4 > 118:
            print(line)
            line = ""
        line += f"{value},"
    print(line)
    print("};")


if __name__ == "__main__":
    main()
