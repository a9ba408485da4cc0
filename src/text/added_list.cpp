#include "text/added_list.h"

#include <algorithm>
#include <utility>

namespace hadal::text {

AddedTokenList::AddedTokenList(const IdsByText& model_ids) : model_ids_(model_ids) {
  for (const auto& [content, id] : model_ids) {
    const auto place = static_cast<std::size_t>(id);
    if (place >= taken_.size()) taken_.resize(place + 1);
    taken_[place] = true;
  }
}

std::int32_t AddedTokenList::add(AddedToken token) {
  if (token.content.empty()) return -1;
  if (const auto place = places_.find(token.content); place != places_.end()) {
    AddedToken& there = tokens_[static_cast<std::size_t>(place->second)];
    token.id = there.id;
    token.skipped = token.special || there.skipped;
    there = std::move(token);
    return there.id;
  }
  const auto in_model = model_ids_.find(token.content);
  const auto is_taken = [&](std::int32_t id) {
    return static_cast<std::size_t>(id) < taken_.size() && taken_[static_cast<std::size_t>(id)];
  };
  std::int32_t id = in_model != model_ids_.end() ? in_model->second
                                                 : std::max(last_ + 1, static_cast<std::int32_t>(model_ids_.size()));
  if (in_model == model_ids_.end() && is_taken(id)) {
    const bool is_free = token.id > last_ && !is_taken(token.id);
    id = is_free ? token.id : std::max(last_ + 1, static_cast<std::int32_t>(taken_.size()));
  }
  token.id = id;
  last_ = std::max(last_, token.id);
  token.skipped = token.special;
  places_.emplace(token.content, static_cast<std::int32_t>(tokens_.size()));
  tokens_.push_back(std::move(token));
  return tokens_.back().id;
}

const AddedToken* AddedTokenList::find(std::string_view content) const {
  const auto place = places_.find(content);
  return place == places_.end() ? nullptr : &tokens_[static_cast<std::size_t>(place->second)];
}

}  // namespace hadal::text
