"""The page at /_streams in a real browser: what happens in the emulator appears without reloading.

Run:  python browser_page.py TARGET/release/emulator DIRECTORY
It starts that binary on a free port and Chromium without a window, leaves pictures of the page in DIRECTORY, and exits
with 0 if everything held.
"""

import pathlib
import sys
import tempfile

from selenium.webdriver.common.keys import Keys

from browser import TIMEOUT, Browser, Emulator

START_MS = 1_795_348_800_000
HOSTILE = "<img src=x onerror=\"window.hacked = 1\"><script>window.hacked = 1</script>"


def opened(page, emulator):
    """Opens the page, and leaves a mark that a reload would wipe off."""
    page.driver.get(f"{emulator.url}/_streams")
    page.until("the page is connected", lambda: page.text("#connection") == "live")
    page.run("window.mark = 'still the same page'")


def is_same(page):
    assert page.run("return window.mark") == "still the same page", "the page was loaded again"
    assert page.run("return window.hacked ?? null") is None, "a value was run as a script"
    complaints = page.complaints()
    assert complaints == [], complaints


def focused(page):
    return page.run("return document.activeElement.id || document.activeElement.tagName")


def tab_to(page, wanted):
    """Goes to an element as somebody without a mouse does."""
    for _ in range(120):
        page.keys(Keys.TAB)
        if focused(page) == wanted:
            break
    assert focused(page) == wanted, f"{wanted} cannot be reached with Tab"
    outline = page.run("return getComputedStyle(document.activeElement).outlineStyle")
    assert outline != "none", f"nobody sees that {wanted} has the focus"


def shards(page):
    return page.run("""return [...document.querySelectorAll("[role=treeitem]")].map((bar) => ({
        label: bar.getAttribute("aria-label"), open: bar.classList.contains("open"),
        selected: bar.getAttribute("aria-selected") === "true" }))""")


def selected(page):
    return [shard for shard in shards(page) if shard["selected"]]


def an_empty_emulator_says_what_to_do(emulator, page, pictures):
    opened(page, emulator)
    page.until("a word of welcome", lambda: page.is_shown("#empty"))
    commands = page.text("#commands")
    assert emulator.url in commands and "aws dynamodb create-table" in commands, commands
    assert not page.is_shown("#stream")
    page.screenshot(pictures / "empty.png")


def a_table_and_its_records_appear(emulator, page, pictures):
    emulator.create("Orders")
    page.until("the table", lambda: page.is_shown("#stream") and page.text("#table") == "Orders")
    page.until("its shard", lambda: [shard["open"] for shard in shards(page)] == [True])
    assert "0 records" in shards(page)[0]["label"], shards(page)
    page.until("nothing yet", lambda: "Nothing yet" in page.text("#none"))
    address = {"city": {"S": "Graz"}, "zip": {"S": "8010"}}
    emulator.put("Orders", "1", state={"S": "placed"}, note={"S": HOSTILE}, address={"M": address}, old={"N": "1"})
    page.until("a record", lambda: len(page.all("#records li")) == 1)
    address["city"] = {"S": "Wien"}
    emulator.put("Orders", "1", state={"S": HOSTILE}, note={"S": HOSTILE}, address={"M": address}, new={"BOOL": True})
    emulator.put("Orders", HOSTILE)
    page.until("more records", lambda: len(page.all("#records li")) == 3)
    assert page.text("#total") == "3"
    events = page.texts("#records .event")
    assert [event[1:] for event in events] == ["INSERT", "MODIFY", "INSERT"], events
    assert HOSTILE in page.texts("#records li")[0], "a key is shown as it is"
    page.until("the shard's count", lambda: "3 records" in shards(page)[0]["label"])
    page.until("items", lambda: "2 items" in page.text("#list"))
    page.until("records per second", lambda: page.text("#peak") != "0")
    page.screenshot(pictures / "one-shard.png")


def a_record_opens_to_what_has_changed(emulator, page, pictures):
    page.run("document.querySelectorAll('#records summary')[1].focus()")
    page.keys(Keys.ENTER)
    page.until("a difference", lambda: page.all("#records [open] tbody tr"))
    rows = page.run("""return [...document.querySelectorAll("#records [open] tbody tr")].map((row) => [
        row.className, row.querySelector(".sign").textContent, row.querySelector("th").textContent,
        row.querySelector("td:last-child").textContent])""")
    by_name = {name: (kind, sign, value) for kind, sign, name, value in rows}
    assert by_name["pk"] == ("same", "unchanged", 'S "1"'), by_name
    assert by_name["address.city"] == ("changed", "~changed", 'S "Graz" → S "Wien"'), by_name
    assert by_name["address.zip"][0] == "same", by_name
    assert by_name["new"] == ("added", "+added", "BOOL true"), by_name
    assert by_name["old"] == ("removed", "−removed", "N 1"), by_name
    kind, _, value = by_name["state"]
    assert kind == "changed" and "<img src=x" in value and "<script>" in value, value
    assert page.all("#records img, #records script") == [], "a value has become markup"
    # Who reads is not disturbed.
    emulator.put("Orders", "2")
    page.until("an offer of new records", lambda: page.text("#newer") == "Show 1 new record")
    assert len(page.all("#records li")) == 3
    page.screenshot(pictures / "difference.png")
    page.run("document.querySelector('#newer').focus()")
    page.keys(Keys.ENTER)
    page.until("the new record", lambda: len(page.all("#records li")) == 4)
    page.run("document.querySelector('#records [open]').open = false")


def a_shard_is_split_without_a_mouse(emulator, page, _):
    page.run("document.querySelector('.skip').focus()")
    tab_to(page, "split")
    page.keys(Keys.ENTER)
    page.until("three shards", lambda: len(shards(page)) == 3)
    assert sorted(shard["open"] for shard in shards(page)) == [False, True, True], shards(page)
    page.until("edges to the children", lambda: len(page.all(".edges path")) == 2)
    assert focused(page) == "split", "the focus stays where it was"
    page.until("a child is selected", lambda: [shard["open"] for shard in selected(page)] == [True])
    page.until("what was done is said", lambda: "was split" in page.text("#said"))
    for key in range(40):
        emulator.put("Orders", f"key {key}")
    page.until("44 records in all", lambda: page.text("#total") == "44")
    page.until("records of the child", lambda: len(page.all("#records li")) > 0)
    # Along the lineage.
    child = page.text("#shard")
    page.run("document.querySelector('[role=treeitem][tabindex=\"0\"]').focus()")
    page.keys(Keys.ARROW_LEFT)
    page.until("the parent", lambda: ["closed" in shard["label"] for shard in selected(page)] == [True])
    page.until("its records", lambda: len(page.all("#records li")) == 4)
    assert page.text("#shard") != child
    page.keys(Keys.ARROW_RIGHT)
    page.until("the child again", lambda: page.text("#shard") == child)
    page.keys(Keys.ARROW_DOWN)
    page.until("its sibling", lambda: page.text("#shard") != child and selected(page)[0]["open"])
    page.run("document.getElementById('roll').focus()")
    page.keys(Keys.ENTER)
    page.until("four shards", lambda: len(shards(page)) == 4)


def what_others_do_is_seen(emulator, page, _):
    [stream] = emulator.control("streams")["streams"]
    opened_shard = next(shard for shard in stream["shards"] if shard["open"])
    emulator.control("split", {"streamArn": stream["streamArn"], "shardId": opened_shard["shardId"]})
    page.until("six shards", lambda: len(shards(page)) == 6)
    emulator.create("Customers", "KEYS_ONLY")
    page.until("another table", lambda: len(page.all("#list .stream")) == 2)
    emulator.call("UpdateTimeToLive", TableName="Orders",
                  TimeToLiveSpecification={"Enabled": True, "AttributeName": "ends"})
    expires = {"ends": {"N": str(START_MS // 1000 + 60)}}
    emulator.put("Orders", "soon over", **expires)
    page.until("45 records", lambda: page.text("#total") == "45")


def the_clock_is_turned(emulator, page, _):
    assert page.text("#now").startswith("2026-11-22 12:00:00"), page.text("#now")
    page.run("document.querySelector('#turn [data-ms=\"3600000\"]').focus()")
    page.keys(Keys.ENTER)
    page.until("one hour later", lambda: page.text("#now") == "2026-11-22 13:00:00")
    page.until("an item has expired", lambda: page.text("#total") == "46")
    page.until("it is said", lambda: "1 item expired" in page.text("#said"))
    page.one("#turn-other").click()
    page.until("a question", lambda: page.is_shown("#ask"))
    page.keys(Keys.ESCAPE)
    page.until("no question", lambda: not page.is_shown("#ask"))
    assert page.text("#now") == "2026-11-22 13:00:00"
    # From elsewhere, too; and a day later all that was there is too old.
    emulator.control("clock", {"advanceMs": 86_400_001})
    page.until("a day later", lambda: page.text("#now") == "2026-11-23 13:00:00")
    page.until("what is trimmed", lambda: any("trimmed" in shard["label"] for shard in shards(page)))


def a_stream_is_disabled_if_one_is_sure(emulator, page, _):
    page.one("#disable").click()
    page.until("a question", lambda: page.is_shown("#ask"))
    assert focused(page) == "ask-no", "the harmless answer has the focus"
    page.keys(Keys.ESCAPE)
    page.until("no question", lambda: not page.is_shown("#ask"))
    assert page.text("#status") == "ENABLED"
    page.one("#disable").click()
    page.until("a question", lambda: page.is_shown("#ask"))
    page.keys(Keys.TAB, Keys.ENTER)
    page.until("it is disabled", lambda: page.text("#status") == "DISABLED")
    page.until("no shard is open", lambda: not any(shard["open"] for shard in shards(page)))
    assert not page.is_shown("#disable")


def another_stream_is_selected(emulator, page, _):
    emulator.put("Customers", "a")
    page.run("[...document.querySelectorAll('#list section')]"
             ".find((one) => one.textContent.includes('Customers')).querySelector('button').focus()")
    page.keys(Keys.ENTER)
    page.until("the other table", lambda: page.text("#table") == "Customers")
    # The first one was rolled when the clock was turned.
    page.until("its shards", lambda: [shard["open"] for shard in shards(page)] == [False, True])
    page.until("its record", lambda: len(page.all("#records li")) == 1)
    page.one("#records summary").click()
    page.until("keys only", lambda: "the keys only" in page.text("#records .difference"))
    emulator.call("DeleteTable", TableName="Orders")
    page.until("a deleted table's stream stays", lambda: "deleted" in page.text("#list"))


def who_looks_away_misses_nothing(emulator, page, _):
    """A page in the background lets go of its connection, of which a browser has few."""
    page.run("document.addEventListener('visibilitychange', () => { window.hidden = document.hidden; })")
    first = page.driver.current_window_handle
    page.driver.switch_to.new_window("tab")
    emulator.put("Customers", "while nobody looks")
    page.driver.close()
    page.driver.switch_to.window(first)
    page.until("the page is back", lambda: page.run("return window.hidden") is False)
    page.until("what has happened meanwhile", lambda: page.text("#total") == "2")
    page.run("document.querySelector('#records [open]').open = false; document.activeElement.blur()")
    emulator.put("Customers", "while somebody looks")
    page.until("what happens since", lambda: page.text("#total") == "3" and len(page.all("#records li")) == 3)


def it_fits_a_phone(emulator, page, pictures):
    page.resize(400, 850, mobile=True)
    page.until("narrow", lambda: page.run("return innerWidth") == 400)
    for scheme in ["light", "dark"]:
        page.media(prefers_color_scheme=scheme)
        wide = page.run("return document.documentElement.scrollWidth")
        assert wide <= 400, f"{wide} px wide"
        page.screenshot(pictures / f"phone-{scheme}.png")
    assert not page.is_shown("#list")
    page.one("#menu").click()
    page.until("the drawer", lambda: page.is_shown("#list"))
    page.screenshot(pictures / "phone-drawer.png")
    page.keys(Keys.ESCAPE)
    page.until("no drawer", lambda: not page.is_shown("#list"))
    assert focused(page) == "menu"
    page.resize(1360, 1000)


def whoever_is_gone_is_missed(emulator, page, pictures, binary):
    is_same(page)
    port = emulator.url.rsplit(":", 1)[1]
    emulator.terminate()
    page.until("it says that it is not connected", lambda: page.is_shown("#lost"))
    assert "Not connected" in page.text("#lost") and page.text("#connection") == "not connected"
    cut = [complaint for complaint in page.complaints() if "INCOMPLETE" in complaint]
    assert cut == [], f"the events did not come to their end: {cut}"
    page.screenshot(pictures / "lost.png")
    again = Emulator(binary, port=port)
    try:
        page.until("it is connected again", lambda: page.text("#connection") == "live")
        page.until("what there was is gone", lambda: page.is_shown("#empty"))
        assert page.is_shown("#system") and not page.is_shown("#turn"), "nobody turns the system's clock"
        assert page.run("return window.mark") == "still the same page"
    finally:
        again.kill()


def many_shards_are_drawn(page, binary, pictures):
    """Three hundred side by side, then some forty in generations."""
    page.driver.get("about:blank")
    page.complaints()
    for first, generations in [(300, 0), (6, 5)]:
        emulator = Emulator(binary, "--shards", str(first), "--retain-records", "50")
        try:
            arn = emulator.create("Orders")
            for generation in range(generations):
                [stream] = emulator.control("streams")["streams"]
                open_shards = [shard["shardId"] for shard in stream["shards"] if shard["open"]]
                for at, shard in enumerate(open_shards[::2]):
                    how = "split" if at % 2 == 0 else "roll"
                    emulator.control(how, {"streamArn": arn, "shardId": shard})
                for key in range(60 * generation):
                    emulator.put("Orders", f"key {key}", generation={"N": str(generation)})
            [stream] = emulator.control("streams")["streams"]
            drawn = min(240, len(stream["shards"]))
            opened(page, emulator)
            page.until(f"{drawn} shards", lambda: len(shards(page)) == drawn)
            more = len(stream["shards"]) - drawn
            assert page.is_shown("#more") == (more > 0)
            assert more == 0 or f"and {more} more" in page.text("#more"), page.text("#more")
            for scheme in ["light", "dark"]:
                page.media(prefers_color_scheme=scheme)
                page.screenshot(pictures / f"shards-{drawn}-{scheme}.png")
            is_same(page)
            page.driver.get("about:blank")
        finally:
            emulator.kill()


def main():
    if len(sys.argv) != 3:
        sys.exit(__doc__)
    binary, pictures = sys.argv[1], pathlib.Path(sys.argv[2])
    pictures.mkdir(parents=True, exist_ok=True)
    passed = 0
    with tempfile.TemporaryDirectory(dir=pictures, ignore_cleanup_errors=True) as profile:
        emulator = Emulator(binary, "--manual-clock", str(START_MS))
        try:
            page = Browser(profile)
            try:
                page.media(prefers_color_scheme="light")
                for test in [
                    an_empty_emulator_says_what_to_do, a_table_and_its_records_appear,
                    a_record_opens_to_what_has_changed, a_shard_is_split_without_a_mouse, what_others_do_is_seen,
                    the_clock_is_turned, a_stream_is_disabled_if_one_is_sure, another_stream_is_selected,
                    who_looks_away_misses_nothing, it_fits_a_phone,
                ]:
                    test(emulator, page, pictures)
                    is_same(page)
                    print(f"ok: {test.__name__.replace('_', ' ')}", flush=True)
                    passed += 1
                whoever_is_gone_is_missed(emulator, page, pictures, binary)
                many_shards_are_drawn(page, binary, pictures)
                passed += 2
            except BaseException:
                page.screenshot(pictures / "failed.png")
                raise
            finally:
                page.quit()
        finally:
            emulator.kill()
    print(f"{passed} passed, 0 failed (nothing was waited for longer than {TIMEOUT} s)")


if __name__ == "__main__":
    main()
