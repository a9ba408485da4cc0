// What every file of JSON is held to, and that each error names the file and the field.
#include "base/json.h"

#include <gtest/gtest.h>

#include <cmath>

#include "base/error.h"

namespace hadal {
namespace {

template <class F>
std::string error_of(const F& f) {
  try {
    f();
  } catch (const Error& e) {
    return e.what();
  }
  return "no error";
}

std::string parse_error(const std::string& text) {
  return error_of([&] { parse_json(text, "f.json"); });
}

std::string nested(std::size_t depth, const std::string& open, const std::string& close, const std::string& inside) {
  std::string text;
  for (std::size_t i = 0; i < depth; ++i) text += open;
  text += inside;
  for (std::size_t i = 0; i < depth; ++i) text += close;
  return text;
}

TEST(Json, ReadsWhatTheFormatAllowsInItsOrder) {
  const std::string text =
      R"({"b":[1,-2,3.5,1e3,true,null,"\u00fc\ud83d\ude00"],"a":{"":{},"x":[]},"c":18446744073709551615})";
  const json j = parse_json(text, "f.json");
  EXPECT_EQ(
      j.dump(),
      "{\"b\":[1,-2,3.5,1000.0,true,null,\"\u00fc\U0001f600\"],\"a\":{\"\":{},\"x\":[]},\"c\":18446744073709551615}");
  EXPECT_EQ(j, json::parse(text));
  EXPECT_EQ(parse_json(" 7 ", "f.json"), 7);
  EXPECT_EQ(parse_json("\xef\xbb\xbf[]", "f.json"), json::array());
}

TEST(Json, ManyKeysTakeLinearTime) {
  std::string text = "{";
  for (int i = 0; i < 200000; ++i) text += "\"" + std::to_string(i) + "\":" + std::to_string(i) + ",";
  text.back() = '}';
  EXPECT_EQ(parse_json(text, "f.json").size(), 200000u);
}

TEST(Json, NestingHasALimit) {
  EXPECT_NO_THROW(parse_json(nested(kMaxJsonDepth, "[", "]", ""), "f.json").dump());
  EXPECT_NO_THROW(parse_json(nested(kMaxJsonDepth, "{\"a\":", "}", "1"), "f.json").dump());
  for (const std::size_t depth : {kMaxJsonDepth + 1, std::size_t{100000}, std::size_t{5000000}}) {
    for (const char* close : {"]", ""}) {
      EXPECT_NE(parse_error(nested(depth, "[", close, "")).find("nested more than 500 deep"), std::string::npos);
    }
  }
  const std::string text = parse_error(nested(1000, "{\"key\":[", "]}", "1"));
  EXPECT_TRUE(text.starts_with("f.json: field 'key[0].key[0].")) << text;
}

TEST(Json, SaysWhereTheTextIsWrong) {
  EXPECT_EQ(parse_error("{\"a\": {\"b\": [1, x]}}"),
            "f.json is not valid JSON: in 'a.b[1]': syntax error while parsing value - invalid literal; last read: "
            "'1, x' (byte 17)");
  EXPECT_NE(parse_error("{\n\"a\": 1,\n\"b\" 2}").find("(line 3)"), std::string::npos);
  EXPECT_NE(parse_error("").find("f.json is not valid JSON: "), std::string::npos);
  EXPECT_NE(parse_error("[1] [2]").find("f.json is not valid JSON: "), std::string::npos);
  EXPECT_NE(parse_error("{\"a\": \"\xff\"}").find("invalid"), std::string::npos);
  EXPECT_NE(parse_error("{\"a\": \"\xed\xa0\x80\"}").find("invalid"), std::string::npos);
  EXPECT_LE(parse_error("[\"" + std::string(1 << 20, 'x')).size(), 286u);
}

TEST(Json, ANumberThatNoDoubleHoldsIsNamed) {
  EXPECT_EQ(parse_error("{\"a\": 1,\n \"b\": {\"rope\": [0, 1e999]}}"),
            "f.json is not valid JSON: in 'b.rope[1]': the number 1e999 is beyond what a double holds (line 2)");
  EXPECT_NE(parse_error("-1" + std::string(400, '0')).find("beyond what a double holds"), std::string::npos);
}

TEST(Json, ANulByteIsNotTheEnd) {
  EXPECT_NE(parse_error(std::string("{}\0 rest", 8)).find("a NUL byte (byte 2)"), std::string::npos);
  EXPECT_NE(parse_error(std::string("{\"a\":\"x\0y\"}", 11)).find("a NUL byte"), std::string::npos);
  EXPECT_EQ(parse_json("[\"x\\u0000y\"]", "f.json")[0].get<std::string>(), std::string("x\0y", 3));
}

TEST(Json, AKeyCountsOnce) {
  EXPECT_EQ(parse_error(R"({"a":{"x":1,"y":2,"\u0078":3}})"), "f.json: the key 'x' is there twice in one object");
  EXPECT_NO_THROW(parse_json(R"([{"x":1},{"x":2},{"a":{"x":{"x":0}}}])", "f.json"));
}

TEST(JsonField, NamesTheFileTheFieldAndTheValue) {
  const json document = parse_json(
      R"({"n":3,"f":2.5,"whole":4.0,"s":"text","list":[1,null,"x"],"o":{"big":18446744073709551615,"no":null},"deep":[[1],[2,-1]]})",
      "f.json");
  const JsonField j(document, "f.json");
  EXPECT_EQ(j.at("n").integer(), 3);
  EXPECT_EQ(j.at("whole").integer(), 4);
  EXPECT_EQ(j.at("f").number(), 2.5);
  EXPECT_EQ(j.at("s").string(), "text");
  EXPECT_EQ(j.at("o").at("big").unsigned_integer(), ~std::uint64_t{0});
  EXPECT_FALSE(j.find("absent"));
  EXPECT_FALSE(j.at("o").find("no"));
  EXPECT_TRUE(std::isnan(j.at("o").at("no").number_or_nan()));
  EXPECT_EQ(j.at("deep").items()[1].integers(), (std::vector<std::int64_t>{2, -1}));

  const auto wrong = [&](const auto& f) { return error_of([&] { f(j); }); };
  EXPECT_EQ(wrong([](const JsonField& f) { f.at("f").integer(); }), "f.json: field 'f' = 2.5: must be an integer");
  EXPECT_EQ(wrong([](const JsonField& f) { f.at("n").integer(4, 9); }),
            "f.json: field 'n' = 3: must be an integer from 4 to 9");
  EXPECT_EQ(wrong([](const JsonField& f) { f.at("o").at("big").integer(0); }),
            "f.json: field 'o.big' = 18446744073709551615: must be an integer, 0 or more");
  EXPECT_EQ(wrong([](const JsonField& f) { f.at("s").number(); }), "f.json: field 's' = \"text\": must be a number");
  EXPECT_EQ(wrong([](const JsonField& f) { f.at("n").at("m"); }), "f.json: field 'n' = 3: must be an object");
  EXPECT_EQ(wrong([](const JsonField& f) { f.at("o").at("m"); }), "f.json: field 'o.m' is missing");
  EXPECT_EQ(wrong([](const JsonField& f) { f.at("list").integers(); }),
            "f.json: field 'list[1]' = null: must be an integer");
  EXPECT_EQ(wrong([](const JsonField& f) { f.at("list").numbers(); }),
            "f.json: field 'list[2]' = \"x\": must be a number, or null");
  EXPECT_EQ(wrong([](const JsonField& f) { f.at("deep").items()[1].integers(0); }),
            "f.json: field 'deep[1][1]' = -1: must be an integer, 0 or more");
  EXPECT_EQ(wrong([](const JsonField& f) { f.items(); }), "f.json: is an object of 7 keys: must be an array");
}

}  // namespace
}  // namespace hadal
