// The page of `repro report` in a real browser. What the browser draws and how it understood the
// page is checked, in light, in dark and on a narrow screen.
#include "tests/repro/cli/written_run.h"
#include "tests/repro/shell.h"

#include <gmock/gmock.h>
#include <png.h>

#include <cstdlib>
#include <cstring>
#include <vector>

namespace reprise {
namespace {

using testing::HasSubstr;
using testing::Not;
using testing_shell::make_run;
using testing_shell::must;
using testing_shell::put;
using testing_shell::Scratch;
using testing_shell::shell;
namespace fs = std::filesystem;

struct Pixels {
  std::vector<std::uint8_t> rgb;
  std::size_t width = 0;
  // How many pixels are within 24 of a colour in every channel.
  std::size_t near(int r, int g, int b) const {
    std::size_t n = 0;
    for (std::size_t i = 0; i + 2 < rgb.size(); i += 3) {
      n += std::abs(rgb[i] - r) < 24 && std::abs(rgb[i + 1] - g) < 24 &&
           std::abs(rgb[i + 2] - b) < 24;
    }
    return n;
  }
};

Pixels read_png(const fs::path& path) {
  png_image image;
  std::memset(&image, 0, sizeof image);
  image.version = PNG_IMAGE_VERSION;
  Pixels pixels;
  if (png_image_begin_read_from_file(&image, path.c_str()) == 0) {
    ADD_FAILURE() << path << ": " << image.message;
    return pixels;
  }
  image.format = PNG_FORMAT_RGB;
  pixels.rgb.resize(PNG_IMAGE_SIZE(image));
  pixels.width = image.width;
  png_image_finish_read(&image, nullptr, pixels.rgb.data(), 0, nullptr);
  return pixels;
}

class ReportInABrowser : public testing::Test {
 protected:
  void SetUp() override {
    if (shell("/", "command -v chromium").code != 0) GTEST_SKIP() << "chromium is not installed";
    make_run(scratch_ / "a", 20);
    make_run(scratch_ / "<b>", 80);
    must(scratch_.path(), std::string(REPRISE_BIN_REPRO) + " report a '<b>' -o r.html");
  }
  std::string chromium(const std::string& options, const std::string& page = "r.html") {
    return must(scratch_.path(),
                "timeout 120 chromium --headless --no-sandbox --disable-gpu --hide-scrollbars "
                "--no-first-run --disable-background-networking --disable-component-update "
                "--user-data-dir=profile " +
                    options + " file://$PWD/" + page + " 2>/dev/null");
  }
  Pixels screenshot(const std::string& options) {
    chromium("--screenshot=shot.png --window-size=1000,2400 " + options);
    return read_png(scratch_ / "shot.png");
  }
  Scratch scratch_;
};

TEST_F(ReportInABrowser, IsUnderstoodAsItWasMeant) {
  const std::string dom = chromium("--dump-dom");
  EXPECT_THAT(dom, Not(HasSubstr("<script")));
  EXPECT_THAT(dom, Not(HasSubstr("<b></th>")));  // a name of a run is no element
  EXPECT_THAT(dom, HasSubstr("&lt;b&gt;"));
  EXPECT_THAT(dom, HasSubstr("<section id=\"differences\">"));
  EXPECT_THAT(dom, HasSubstr("class=\"best\""));
}

TEST_F(ReportInABrowser, DrawsDotsAndEpochsInLightAndDark) {
  const Pixels light = screenshot("");
  ASSERT_EQ(light.width, 1000u);
  const std::size_t all = light.rgb.size() / 3;
  EXPECT_GT(light.near(255, 255, 255), all / 2);
  EXPECT_GT(light.near(0x12, 0x81, 0x2a), 100u);  // best values
  EXPECT_GT(light.near(0xe8, 0x85, 0x85), 300u);  // ends of epochs, somewhat transparent
  EXPECT_GT(light.near(0x00, 0x72, 0xb2), 300u);  // the first run
  const Pixels dark = screenshot("--blink-settings=preferredColorScheme=0");
  EXPECT_GT(dark.near(0x14, 0x17, 0x1a), all / 2);
  EXPECT_GT(dark.near(0x4c, 0xc7, 0x64), 100u);
}

TEST_F(ReportInABrowser, FitsAPhone) {
  put(scratch_ / "phone.html",
      "<iframe id=f src=r.html width=360 height=700></iframe><script>onload=()=>{const "
      "d=f.contentDocument.documentElement;document.title=`is ${d.scrollWidth} of "
      "${d.clientWidth}`}</script>");
  const std::string dom = chromium("--allow-file-access-from-files --dump-dom", "phone.html");
  EXPECT_THAT(dom, HasSubstr("<title>is 360 of 360</title>"));
}

// The rules for paper, applied on a screen: what unfolds on a click is there, links within the page
// are not, and a reader who likes it dark still prints black on white.
TEST_F(ReportInABrowser, IsReadOnPaper) {
  must(scratch_.path(), std::string("mkdir -p code && cd code && git init -q && ") +
                            REPRISE_BIN_REPRO + " capture -q -o ../a >/dev/null && cd .. && " +
                            REPRISE_BIN_REPRO + " report a '<b>' -o r.html");
  put(scratch_ / "paper.html",
      "<iframe id=f src=r.html width=700 height=700></iframe><script>onload=()=>{"
      "const d=f.contentDocument,w=f.contentWindow;"
      "for(const r of d.styleSheets[0].cssRules)"
      "if(r.media&&r.media.mediaText==='print')r.media.mediaText='all';"
      "const last=[...d.querySelectorAll('details tr')].at(-1);"
      "document.title=[w.getComputedStyle(d.querySelector('nav')).display,"
      "w.getComputedStyle(d.body).backgroundColor,w.getComputedStyle(d.body).color,"
      "last.getBoundingClientRect().height>5,d.documentElement.scrollWidth].join('; ')}</script>");
  for (const char* scheme : {"", "--blink-settings=preferredColorScheme=0 "}) {
    const std::string dom =
        chromium(std::string(scheme) + "--allow-file-access-from-files --dump-dom", "paper.html");
    EXPECT_THAT(dom, HasSubstr("<title>none; rgb(255, 255, 255); rgb(0, 0, 0); true; 700</title>"));
  }
  chromium("--no-pdf-header-footer --print-to-pdf=paper.pdf");
  EXPECT_THAT(testing_shell::get(scratch_ / "paper.pdf"), testing::StartsWith("%PDF-"));
}

}  // namespace
}  // namespace reprise
