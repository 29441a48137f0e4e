"""The page in a real browser: what it does at a click and a key, in both themes and on a phone."""

import itertools

import pytest

from results.records import load_records
from results.report.build import build_report
from results.report.sources import from_places
from tests.browser import CHROMIUM, browser
from tests.results.report.pages import fill

pytestmark = [
    pytest.mark.browser,
    pytest.mark.skipif(CHROMIUM is None, reason="needs Chromium, such as Debian's package `chromium`"),
]

ORDER = "[...document.querySelectorAll('section.task:first-of-type .board, #task-1-digits .board')].at(-1)"
FAMILIES = f"[...{ORDER}.tBodies].map(b => b.rows[0].querySelector('.family .name').textContent)"


@pytest.fixture(scope="module")
def url(make_runs):
    runs = make_runs()
    fill(runs)
    page = runs.path.parent / "report.html"
    page.write_text(build_report(load_records(runs.path), sources=from_places([runs.path])))
    return page.as_uri()


@pytest.fixture(scope="module")
def tab():
    with browser() as started:
        yield started


def sort_of(tab, key):
    return tab.js(f"document.querySelector('#task-1-digits th.{key}').getAttribute('aria-sort')")


def values(tab, key):
    found = tab.js(f"[...document.querySelectorAll('#task-1-digits td.{key}')].map(c => c.dataset.value)")
    return [float(value) if value else None for value in found]


def test_the_page_loads_alone_and_complains_of_nothing(tab, url):
    tab.open(url)
    assert tab.requests() == [url]
    assert tab.complaints() == []
    assert tab.js("document.documentElement.classList.contains('js')")


def test_pictures_are_there_on_white_and_within_their_frames(tab, url):
    for dark in (False, True):
        tab.open(url, dark=dark, width=390, height=844)
        sizes = tab.js("[...document.images].map(i => [i.naturalWidth, i.clientWidth, i.parentElement.clientWidth])")
        assert len(sizes) == 1
        assert all(0 < shown <= min(natural, frame) for natural, shown, frame in sizes)
        assert tab.js("getComputedStyle(document.images[0]).backgroundColor") == "rgb(255, 255, 255)"


def test_a_click_sorts_and_a_second_one_turns_the_order_round(tab, url):
    tab.open(url)
    assert sort_of(tab, "rank") == "ascending"
    tab.click("#task-1-digits th.num_parameters .sort")
    assert (sort_of(tab, "num_parameters"), sort_of(tab, "rank")) == ("ascending", "none")
    up = values(tab, "num_parameters")
    assert up == sorted(up, key=lambda value: (value is None, value))
    tab.click("#task-1-digits th.num_parameters .sort")
    assert sort_of(tab, "num_parameters") == "descending"
    down = values(tab, "num_parameters")
    assert down == sorted(down, key=lambda value: (value is None, -(value or 0)))
    assert down != up


def test_a_score_that_grows_is_sorted_best_first_and_rows_without_one_stay_last(tab, url):
    tab.open(url)
    tab.click("#task-1-digits th.score .sort")
    tab.click("#task-1-digits th.score .sort")
    assert sort_of(tab, "score") == "ascending"
    scores = values(tab, "score")
    assert None in scores
    known = [score for score in scores if score is not None]
    assert scores[len(known) :] == [None] * (len(scores) - len(known))
    assert all(one <= other for one, other in itertools.pairwise(known))


@pytest.mark.parametrize("key", ["Enter", " "])
def test_a_key_sorts_as_a_click_does(tab, url, key):
    tab.open(url)
    tab.js("document.querySelector('#task-1-digits th.family .sort').focus()")
    tab.press(key)
    assert sort_of(tab, "family") == "ascending"
    names = tab.js("[...document.querySelectorAll('#task-1-digits th.family[data-value]')].map(c => c.dataset.value)")
    assert names == sorted(names)


def test_every_control_is_reached_by_the_tab_key_and_shows_that_it_has_the_focus(tab, url):
    tab.open(url)
    reached = set()
    for _ in range(40):
        tab.press("Tab")
        name = tab.js("(e => e.className || e.id || e.tagName)(document.activeElement)")
        outline = tab.js("getComputedStyle(document.activeElement).outlineStyle")
        assert outline != "none", name
        reached.add(name)
    assert {"skip", "filter", "quiet", "sort", "expand", "A"} <= reached


def test_a_row_opens_and_closes_and_moves_with_its_runs(tab, url):
    tab.open(url)
    first = "#task-1-digits-1"
    shown = f"getComputedStyle(document.querySelector('{first}-more')).display !== 'none'"
    assert not tab.js(shown)
    tab.click(f"{first} .expand")
    assert tab.js(shown)
    assert tab.js(f"document.querySelector('{first} .expand').getAttribute('aria-expanded')") == "true"
    tab.click("#task-1-digits th.score .sort")
    tab.click("#task-1-digits th.score .sort")
    assert tab.js(f"document.querySelector('{first}-more').closest('tbody').id") == first[1:]
    assert tab.js(shown)
    tab.click(f"{first} .expand")
    assert not tab.js(shown)


def test_the_command_is_copied(tab, url):
    tab.open(url)
    tab.call("Browser.grantPermissions", permissions=["clipboardReadWrite", "clipboardSanitizedWrite"])
    tab.click("#task-1-digits-1 .expand")
    tab.click("#task-1-digits-1 .copy")
    tab.wait_for("document.querySelector('#task-1-digits-1 .copy').textContent === 'Copied'")
    copied = tab.js("navigator.clipboard.readText()")
    assert copied == tab.js("document.querySelector('#task-1-digits-1 code').textContent")
    assert copied.startswith("boltbench replay digits-")


def test_the_filter_leaves_what_matches_says_how_many_and_is_cleared_by_escape(tab, url):
    tab.open(url)
    tab.press("/")
    assert tab.js("document.activeElement.id") == "filter"
    tab.type("MLP width=128")
    tab.wait_for("document.getElementById('matches').textContent === '1 configuration matches'")
    shown = "[...document.querySelectorAll('tbody.config')].filter(b => b.offsetParent !== null).length"
    assert tab.js(shown) == 1
    assert tab.js("document.querySelector('#task-2-digits-reconstruction').offsetParent === null")
    tab.press("Escape")
    assert tab.js("document.getElementById('matches').textContent") == ""
    assert tab.js(shown) == tab.js("document.querySelectorAll('tbody.config').length")


def test_the_theme_follows_the_system_until_the_reader_chooses(tab, url):
    def back():
        return tab.js("getComputedStyle(document.body).backgroundColor")

    tab.open(url)
    tab.js("localStorage.clear()")
    tab.open(url)
    light = back()
    tab.open(url, dark=True)
    dark = back()
    assert dark != light
    assert tab.js("document.getElementById('theme').getAttribute('aria-label')") == "Switch to the light theme"
    tab.click("#theme")
    assert back() == light
    tab.open(url, dark=True)
    assert back() == light, "the choice is kept"
    tab.click("#theme")
    assert back() == dark
    tab.js("localStorage.clear()")


# Rounds to the contrast that WCAG 2.2 asks of text and of marks; what is drawn through something else is left out.
CONTRAST = """
(() => {
  const canvas = document.createElement('canvas').getContext('2d', {willReadFrequently: true});
  const rgb = (colour) => { canvas.clearRect(0, 0, 1, 1); canvas.fillStyle = colour; canvas.fillRect(0, 0, 1, 1);
    const d = canvas.getImageData(0, 0, 1, 1).data; return [d[0], d[1], d[2], d[3] / 255]; };
  const linear = (v) => (v /= 255) <= 0.04045 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4;
  const light = ([r, g, b]) => 0.2126 * linear(r) + 0.7152 * linear(g) + 0.0722 * linear(b);
  const back = (e) => {
    for (; e; e = e.parentElement) {
      const colour = rgb(getComputedStyle(e).backgroundColor);
      if (colour[3] > 0.99) return colour;
    }
    return [255, 255, 255, 1];
  };
  const ratio = (a, b) => {
    const [x, y] = [light(a), light(b)].sort((p, q) => q - p);
    return (x + 0.05) / (y + 0.05);
  };
  const bad = [];
  for (const e of document.querySelectorAll('body *')) {
    const style = getComputedStyle(e);
    const own = [...e.childNodes].some(n => n.nodeType === 3 && n.textContent.trim());
    if (own && e.checkVisibility() && !e.closest('.visually-hidden, .skip, script')) {
      const r = ratio(rgb(e.closest('svg') ? style.fill : style.color), back(e));
      if (r < 4.5) bad.push([e.tagName, e.className.baseVal ?? e.className, e.textContent.slice(0, 30), r]);
    }
    if (e.matches('path.line, circle.dot, .point circle')) {
      const r = ratio(rgb(e.matches('path, .beaten circle') ? style.stroke : style.fill), back(e));
      if (r < 3) bad.push([e.tagName, e.parentElement.className.baseVal, '', r]);
    }
  }
  return bad;
})()
"""


@pytest.mark.parametrize("dark", [False, True])
def test_words_and_marks_stand_out_in_both_themes(tab, url, dark):
    tab.open(url, dark=dark)
    tab.js("document.querySelectorAll('.expand').forEach(b => b.click())")
    assert tab.js(CONTRAST) == []


@pytest.mark.parametrize("width", [390, 768, 1280, 1920])
def test_the_page_never_scrolls_sideways(tab, url, width):
    tab.open(url, width=width, height=844)
    tab.js("document.querySelectorAll('.expand').forEach(b => b.click())")
    tab.js("document.querySelectorAll('details').forEach(d => { d.open = true; })")
    assert tab.js("document.documentElement.scrollWidth") <= width
    tab.js("window.scrollTo(500, 0)")
    assert tab.js("window.scrollX") == 0


def test_in_print_the_page_is_light_and_shows_no_buttons(tab, url):
    tab.open(url, dark=True)
    tab.call("Emulation.setEmulatedMedia", media="print", features=[{"name": "prefers-color-scheme", "value": "dark"}])
    assert (
        tab.js(
            "[...document.querySelectorAll('button')].filter(b => b.checkVisibility() && !b.matches('.sort')).length"
        )
        == 0
    )
    assert tab.js("getComputedStyle(document.body).color") == "rgb(21, 24, 30)"
    tab.call("Emulation.setEmulatedMedia", media="")


def test_without_its_script_the_page_still_shows_everything(tab, url):
    tab.call("Emulation.setScriptExecutionDisabled", value=True)
    try:
        tab.open(url)
        assert tab.js("[...document.querySelectorAll('.detail')].every(row => row.checkVisibility())")
        assert tab.js("document.getElementById('filter').disabled")
    finally:
        tab.call("Emulation.setScriptExecutionDisabled", value=False)
