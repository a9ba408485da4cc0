// What the terminal behind a stream can show.
#pragma once

#include <cstddef>
#include <cstdio>

namespace hadal {

// Whether lines may be drawn over: a terminal that knows escape codes (TERM is not "dumb").
bool can_redraw(std::FILE* out);
// That, and nobody has asked for no colours (NO_COLOR is unset or empty).
bool shows_colour(std::FILE* out);

struct TerminalSize {
  std::size_t columns = 0, rows = 0;
};
// As it is now: a window may be resized between two looks. $COLUMNS and $LINES, or 80 x 24, where the terminal does not
// say.
TerminalSize terminal_size(std::FILE* out);

}  // namespace hadal
