#include "base/report/html.h"

#include <fmt/format.h>
#include <cmath>

#include "base/file.h"
#include "base/report/svg.h"
#include "base/report/text_plot.h"

namespace hadal::report {

namespace {

constexpr std::size_t kLongCell = 30;  // characters: a cell with more may take several lines

constexpr const char* kStyle = R"css(
:root{color-scheme:light dark;--ink:#1c2430;--soft:#5d6673;--page:#f7f7f4;--card:#fff;--edge:#e2e2dc;--grid:#ecece7;--head:#f1f1ec}
@media (prefers-color-scheme:dark){:root{--ink:#e4e7eb;--soft:#98a2ae;--page:#14171b;--card:#1c2026;--edge:#2e343c;--grid:#2a3037;--head:#242a31}}
body{font:15px/1.5 system-ui,sans-serif;color:var(--ink);background:var(--page);max-width:1240px;margin:28px auto 60px;padding:0 20px}
h1{font-size:26px;margin:0}h2{font-size:19px;margin:34px 0 10px;padding-bottom:4px;border-bottom:1px solid var(--edge)}
.sub{color:var(--soft);margin:2px 0 16px}p{max-width:78ch}
.plots{display:grid;grid-template-columns:repeat(auto-fit,minmax(min(100%,500px),1fr));gap:16px;margin:12px 0}
figure{margin:0;background:var(--card);border:1px solid var(--edge);border-radius:8px;padding:12px 14px;position:relative;max-width:680px}
figcaption{font-weight:600;margin-bottom:4px}svg{width:100%;height:auto;display:block;font-size:12px;overflow:visible}figcaption .y{display:none}
svg text{fill:var(--soft)}.label{font-size:12.5px}.grid{stroke:var(--grid)}.cursor{stroke:var(--soft);stroke-dasharray:3 3;visibility:hidden}
.line{fill:none;stroke-width:1.7;stroke-linejoin:round}.faint{opacity:.28;stroke-width:1}
.legend{display:flex;flex-wrap:wrap;gap:2px 16px;font-size:13px;color:var(--soft);align-items:center}.legend b{color:var(--ink);font-weight:600}
.legend i{display:inline-block;width:14px;height:3px;margin-right:6px;vertical-align:middle}.legend .diamond{width:8px;height:8px;transform:rotate(45deg);margin-right:8px}.mark{stroke:var(--card);stroke-width:1}.scale{gap:8px}.steps{display:flex}.steps i{width:16px;height:12px;margin:0}
.note{font-size:13px;color:var(--soft);margin:6px 0 0}
.facts{display:grid;grid-template-columns:repeat(auto-fill,minmax(150px,1fr));gap:10px;margin:0 0 18px}
.facts div{background:var(--card);border:1px solid var(--edge);border-radius:8px;padding:8px 12px}.facts b{display:block;font-size:20px;font-weight:600}
.facts span{color:var(--soft);font-size:13px}
.wide{overflow-x:auto}table{border-collapse:collapse;background:var(--card);margin:10px 0;font-variant-numeric:tabular-nums}
td,th{border:1px solid var(--edge);padding:4px 12px;text-align:left;vertical-align:top;white-space:nowrap}.long{white-space:normal;min-width:15em}.n{text-align:right}th{white-space:normal;vertical-align:bottom;background:var(--head);font-weight:600}
details{margin:12px 0}summary{cursor:pointer;color:var(--soft)}pre{background:var(--card);border:1px solid var(--edge);border-radius:8px;padding:12px;overflow-x:auto;font-size:13px}
.quote{white-space:pre-wrap;max-width:90ch;line-height:1.55}dl{display:grid;grid-template-columns:max-content 1fr;gap:6px 16px;max-width:100ch}dt{font-weight:600}dd{margin:0;color:var(--soft)}
@media (max-width:560px){dl{display:block}dd{margin-bottom:8px}}
.facts [title]{cursor:help}
@media (max-width:600px){body{padding:0 12px}figure{padding:10px}.plots{gap:10px}.facts{grid-template-columns:repeat(auto-fill,minmax(130px,1fr))}svg,.label{font-size:19px}.side{display:none}figcaption .y{display:inline;font-weight:400;color:var(--soft);margin-left:8px}td,th{padding:4px 8px}}@media (max-width:360px){svg,.label{font-size:22px}}
.tip{position:absolute;pointer-events:none;background:var(--ink);color:var(--page);font-size:12.5px;line-height:1.45;padding:5px 9px;border-radius:5px;white-space:pre;display:none;z-index:2}
)css";

constexpr const char* kScript = R"js(
const short=v=>{if(v==null)return'-';const a=Math.abs(v);for(const[l,s]of[[1e12,'T'],[1e9,'G'],[1e6,'M'],[1e4,'k']])if(a>=l)return+(v/(l==1e4?1e3:l)).toPrecision(3)+s;return a&&a<1e-3?v.toExponential(1):String(+v.toPrecision(4))};
for(const f of document.querySelectorAll('figure[data-p]')){
const d=JSON.parse(f.dataset.p),svg=f.querySelector('svg'),cursor=f.querySelector('.cursor'),tip=f.appendChild(document.createElement('div'));tip.className='tip';
svg.addEventListener('mouseleave',()=>{tip.style.display='none';if(cursor)cursor.style.visibility='hidden'});
svg.addEventListener('mousemove',e=>{
const b=svg.getBoundingClientRect(),k=560/b.width,px=(e.clientX-b.left)*k,py=(e.clientY-b.top)*k,t=(px-d.a)/(d.b-d.a);
if(t<0||t>1)return;let text;
if(d.h){const r=Math.floor((py-d.t)/(d.u-d.t)*d.v.length);if(r<0||r>=d.v.length)return;const c=Math.min(d.v[r].length-1,Math.floor(t*d.v[r].length));
text=d.yl+' '+(d.r[r]??r)+'\n'+(d.c[c]??d.l+' '+short(d.low+t*(d.high-d.low)))+'\n'+short(d.v[r][c])}
else{const at=d.low+t*(d.high-d.low),p=v=>d.log?Math.log10(v):v;let shown=null;
const rows=d.s.map(s=>{let i=0;s.x.forEach((v,j)=>{if(Math.abs(p(v)-at)<Math.abs(p(s.x[i])-at))i=j});if(shown==null||Math.abs(p(s.x[i])-at)<Math.abs(p(shown)-at))shown=s.x[i];return s.n+'  '+short(s.y[i])});
text=d.l+' '+short(shown)+'\n'+rows.join('\n');const x=d.a+(p(shown)-d.low)/(d.high-d.low)*(d.b-d.a);cursor.setAttribute('x1',x);cursor.setAttribute('x2',x);cursor.style.visibility='visible'}
tip.textContent=text;tip.style.display='block';const o=f.getBoundingClientRect(),left=e.clientX-o.left;
tip.style.left=(left>o.width/2?left-tip.offsetWidth-14:left+14)+'px';tip.style.top=(e.clientY-o.top+12)+'px'})}
)js";

constexpr const char* kLight[detail::kColours] = {"#1f6fb4", "#d9622b", "#2a9d57", "#8e5bb5",
                                                  "#b3423f", "#7a6a58", "#c26aa8", "#5c7f8a"};
constexpr const char* kDark[detail::kColours] = {"#6db3f2", "#f39a63", "#66cf8f", "#c39be6",
                                                 "#ef8683", "#c2ae97", "#ec9fd4", "#9cc3cf"};

// From `middle` towards one end, by `share`.
std::string blend(const int (&middle)[3], const int (&end)[3], double share) {
  int c[3];
  for (int i = 0; i < 3; ++i) c[i] = static_cast<int>(std::lround(middle[i] + (end[i] - middle[i]) * share));
  return fmt::format("#{:02x}{:02x}{:02x}", c[0], c[1], c[2]);
}

std::string palette(const char* const (&series)[detail::kColours], const int (&middle)[3], const int (&low)[3],
                    const int (&high)[3]) {
  std::string css;
  for (int i = 0; i < detail::kColours; ++i) {
    css +=
        fmt::format(".line.c{0}{{stroke:{1}}}circle.c{0},path.c{0}{{fill:{1}}}i.c{0}{{background:{1}}}", i, series[i]);
  }
  for (int level = -detail::kHeatLevels; level <= detail::kHeatLevels; ++level) {
    const double share = std::abs(level) / static_cast<double>(detail::kHeatLevels);
    css += fmt::format(".h{0}{{fill:{1};background:{1}}}", level, blend(middle, level < 0 ? low : high, share));
  }
  return css;
}

// A class name may not hold a bare sign: .h-3 is fine, as an identifier may have one inside.
std::string palettes() {
  return palette(kLight, {246, 246, 243}, {33, 102, 172}, {178, 60, 40}) + "@media (prefers-color-scheme:dark){" +
         palette(kDark, {44, 49, 56}, {98, 172, 240}, {240, 128, 96}) + "}";
}

}  // namespace

std::string escape(const std::string& text) {
  std::string out;
  for (const char c : text) {
    switch (c) {
      case '&':
        out += "&amp;";
        break;
      case '<':
        out += "&lt;";
        break;
      case '>':
        out += "&gt;";
        break;
      case '\'':
        out += "&#39;";
        break;
      case '"':
        out += "&quot;";
        break;
      default:
        out += c;
    }
  }
  return out;
}

HtmlReport::HtmlReport(std::string title, std::string subtitle)
    : title_(std::move(title)), subtitle_(std::move(subtitle)) {}

void HtmlReport::close_figures() {
  if (in_figures_) body_ += "</div>\n";
  in_figures_ = false;
}

void HtmlReport::figure(const std::string& content) {
  if (!in_figures_) body_ += "<div class='plots'>\n";
  in_figures_ = true;
  body_ += content;
}

void HtmlReport::heading(const std::string& text) {
  close_figures();
  body_ += "<h2>" + escape(text) + "</h2>\n";
}

void HtmlReport::paragraph(const std::string& text) {
  close_figures();
  body_ += "<p>" + escape(text) + "</p>\n";
}

void HtmlReport::facts(const std::vector<Fact>& facts) {
  close_figures();
  body_ += "<div class='facts'>";
  for (const Fact& f : facts) {
    body_ +=
        fmt::format("<div{}><b>{}</b><span>{}</span></div>",
                    f.meaning.empty() ? "" : " title='" + escape(f.meaning) + "'", escape(f.value), escape(f.name));
  }
  body_ += "</div>\n";
}

void HtmlReport::table(const Table& table) {
  close_figures();
  const std::vector<bool> numbers = number_columns(table);
  body_ += "<div class='wide'><table>";
  for (std::size_t r = 0; r < table.size(); ++r) {
    body_ += "<tr>";
    for (std::size_t c = 0; c < table[r].size(); ++c) {
      const bool number = c < numbers.size() && numbers[c], is_long = shown_width(table[r][c]) > kLongCell;
      body_ += fmt::format("<{0}{1}>{2}</{0}>", r == 0 ? "th" : "td",
                           number    ? " class='n'"
                           : is_long ? " class='long'"
                                     : "",
                           escape(table[r][c]));
    }
    body_ += "</tr>\n";
  }
  body_ += "</table></div>\n";
}

void HtmlReport::glossary(const std::string& title, const std::vector<std::pair<std::string, std::string>>& words) {
  close_figures();
  body_ += "<details><summary>" + escape(title) + "</summary><dl>";
  for (const auto& [word, meaning] : words) body_ += "<dt>" + escape(word) + "</dt><dd>" + escape(meaning) + "</dd>";
  body_ += "</dl></details>\n";
}

void HtmlReport::quote(const std::string& given, const std::string& written) {
  close_figures();
  body_ += "<pre class='quote'>" + (given.empty() ? "" : "<b>" + escape(given) + "</b>") + escape(written) + "</pre>\n";
}

void HtmlReport::folded(const std::string& title, const std::string& text) {
  close_figures();
  body_ += "<details><summary>" + escape(title) + "</summary><pre>" + escape(text) + "</pre></details>\n";
}

void HtmlReport::plot(const LinePlot& plot) { figure(detail::figure_of(plot)); }
void HtmlReport::heatmap(const Heatmap& map) { figure(detail::figure_of(map)); }

std::string HtmlReport::html() const {
  return "<!doctype html><html lang='en'><head><meta charset='utf-8'><meta name='viewport' "
         "content='width=device-width,initial-scale=1'><title>" +
         escape(title_) + "</title><style>" + kStyle + palettes() + "</style></head><body><h1>" + escape(title_) +
         "</h1>\n<p class='sub'>" + escape(subtitle_) + "</p>\n" + body_ + (in_figures_ ? "</div>\n" : "") +
         "<script>" + kScript + "</script></body></html>\n";
}

void HtmlReport::write(const std::filesystem::path& path) const { write_file_atomically(path, html()); }

}  // namespace hadal::report
