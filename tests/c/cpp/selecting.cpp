// Labels, filters, watch-lists, options of rooms, and publications that are tracked.
#include "host.hpp"

#include <algorithm>
#include <atomic>
#include <cmath>
#include <map>
#include <mutex>
#include <stdexcept>

namespace rc = roomcast;

using namespace std::chrono_literals;

namespace {

/// The one connection that is open, with the peer's own side.
rc::connection only(const rc::engine &engine) {
    std::vector<rc::connection> all;
    CHECK(comes_true([&] { return (all = engine.connections()).size() == 1; }));
    return all[0];
}

/// What a peer hears before "end".
std::string before_end(peer &of) {
    std::string heard;
    for (std::string text = of.text(); text != "end"; text = of.text()) heard += text + " ";
    return heard;
}

/// Three publications and a word to everybody.
void publish_some(const rc::engine &engine) {
    engine.publish(rc::publication("bid").to("r").event("trade").key("BTC").tag("side", "bid"));
    engine.publish(rc::publication("ask").to("r").event("trade").key("ETH").tag("side", "ask"));
    engine.publish(rc::publication("bare").to("r"));
    engine.send_all("end");
}

/// Reports by their tokens.
struct reports {
    std::mutex guard;
    std::map<std::uint64_t, rc::delivery> all;

    auto handler() {
        return [this](const rc::event &event) {
            const std::lock_guard<std::mutex> held(guard);
            CHECK(event.kind() == rc::event_kind::delivered);
            CHECK(event.room() == "r");
            CHECK_FALSE(event.user());
            CHECK_FALSE(event.connection().is_open());
            all[event.delivery().token] = event.delivery();
        };
    }
    rc::delivery of(std::uint64_t token) {
        const auto is_there = [&] {
            const std::lock_guard<std::mutex> held(guard);
            return all.count(token) == 1;
        };
        CHECK(comes_true(is_there));
        const std::lock_guard<std::mutex> held(guard);
        return all[token];
    }
};

} // namespace

TEST_CASE("filters are built, written and put together") {
    const auto built = rc::filter::eq("side", "bid") && rc::filter::gt("price", 9.5);
    const auto written = rc::filter::of("double(tags.price) > 9.5 && tags.side == \"bid\"");
    CHECK(built == written);
    CHECK(built.text() == written.text());
    CHECK(!!built == built);
    CHECK(!built != built);
    CHECK(rc::filter::all({}).text() == "true");
    CHECK(rc::filter::any({}).text() == "false");
    CHECK((rc::filter::lt("a", 1) || rc::filter::lte("a", 1)).text().find("<= 1") !=
          std::string_view::npos);
    CHECK(rc::filter::gte(std::string("a"), 1).status() == rc::status::ok);
    const auto trade = rc::publication("101").event("trade.bid").key("").tag("a b", "xyz");
    CHECK(rc::filter::starts_with(rc::field::event(), "trade").matches(trade));
    CHECK(rc::filter::ends_with(rc::field::event(), "bid").matches(trade));
    CHECK(rc::filter::contains("a b", "y").matches(trade));
    CHECK(rc::filter::exists(rc::field::key()).matches(trade));
    CHECK(rc::filter::one_of(rc::field::key(), {"x", ""}).matches(trade));
    CHECK_FALSE(rc::filter::exists(rc::field::key()).matches(rc::publication("x")));
    CHECK(rc::filter::one_of("\" || true", {"\" || true"}).text() ==
          "tags[\"\\\" || true\"] == \"\\\" || true\"");
}

TEST_CASE("what is no filter says so, and so does what is made of it") {
    const auto wrong = rc::filter::try_of("tags.side = 'x'");
    CHECK(wrong.status() == rc::status::filter);
    CHECK(wrong.text().find("byte 10") != std::string_view::npos);
    CHECK(thrown_by([] { static_cast<void>(rc::filter::of("&&")); }) == rc::status::filter);
    CHECK(thrown_by([] { static_cast<void>(rc::filter::of("\xff")); }) ==
          rc::status::invalid_argument);
    const auto faulty = rc::filter::gt("price", std::nan(""));
    CHECK(faulty.status() == rc::status::filter);
    CHECK(faulty.raw() == nullptr);
    CHECK(faulty.text().empty());
    CHECK((!faulty).status() == rc::status::filter);
    CHECK((rc::filter::exists("a") || faulty).status() == rc::status::filter);
    CHECK(faulty.try_matches(rc::publication("x")).status() == rc::status::invalid_argument);
    std::atomic<bool> accepts = false;
    rc::engine engine = rc::engine::start(local().on_connecting([&](const rc::event &event) {
        accepts = event.pending().try_accept(rc::accept().room("r", rc::join().filter(faulty)))
                      .status() != rc::status::filter;
        event.pending().accept();
    }));
    peer ann = opened(engine);
    CHECK_FALSE(accepts);
    const auto ann_there = only(engine);
    CHECK(ann_there.try_join("r", rc::join().filter(faulty)).status() == rc::status::filter);
    CHECK(thrown_by([&] { ann_there.join("r", rc::join().key(std::string(300, 'k'))); }) ==
          rc::status::key);
    CHECK(engine.try_publish(rc::publication("x").to("r").key(std::string(300, 'k'))).status() ==
          rc::status::key);
}

TEST_CASE("a member is sent what it asked for, at accept and later") {
    const auto bids = rc::filter::eq("side", "bid");
    rc::engine engine = rc::engine::start(local().on_connecting([&](const rc::event &event) {
        event.pending().accept(rc::accept().room("plain").room("r", rc::join().filter(bids)));
    }));
    peer ann = opened(engine);
    const auto there = only(engine);
    publish_some(engine);
    CHECK(before_end(ann) == "bid ");
    CHECK(there.join("r", rc::join().filter(!bids)));
    publish_some(engine);
    CHECK(before_end(ann) == "ask ");
    CHECK(there.join("r", rc::join().keys({})));
    publish_some(engine);
    CHECK(before_end(ann).empty());
    CHECK(there.watch("r", {"BTC", "ETH"}));
    CHECK(there.unwatch("r", {"BTC"}));
    publish_some(engine);
    CHECK(before_end(ann) == "ask ");
    CHECK(there.join("r", rc::join().key("BTC").flush_interval(0ms)));
    publish_some(engine);
    CHECK(before_end(ann) == "bid ");
    CHECK(there.join("r", rc::join().slow_policy(rc::slow_policy::latest)));
    publish_some(engine);
    CHECK(before_end(ann) == "bid ask bare ");
    CHECK(there.close());
    CHECK(ann.close_code() == 1000);
    CHECK(comes_true([&] { return !there.is_open(); }));
    CHECK_FALSE(there.join("r", rc::join()));
    CHECK_FALSE(there.watch("r", {"BTC"}));
    CHECK_FALSE(there.unwatch("r", {"BTC"}));
}

TEST_CASE("a predicate sees labels and data, and what it throws is no match") {
    auto life = std::make_shared<int>(0);
    const std::weak_ptr<int> watched = life;
    {
        rc::engine engine = rc::engine::start(local().on_opened([](const rc::event &) {}));
        peer ann = opened(engine);
        const auto filter = rc::filter::native(
            "three", [life](const rc::labels &labels, rc::bytes_view data) {
                if (!labels.event()) throw std::runtime_error("no event");
                CHECK(labels.key());
                CHECK(labels.tags().size() == 1);
                CHECK(labels.tags()[0].first == "side");
                CHECK_FALSE(labels.tag("other"));
                return data.size() == 3 && labels.tag("side") == "ask";
            });
        life.reset();
        CHECK(only(engine).join("r", rc::join().filter(filter)));
        publish_some(engine);
        CHECK(before_end(ann) == "ask ");
        CHECK(filter.try_matches(rc::publication("x")).value() == false);
        CHECK_FALSE(watched.expired());
    }
    CHECK(watched.expired());
}

TEST_CASE("a tracked publication is reported, by name and of a held room") {
    reports told;
    rc::engine engine = rc::engine::start(local().on_delivered(told.handler()));
    peer ann = opened(engine);
    CHECK(only(engine).join("r", rc::join().filter(rc::filter::exists(rc::field::key()))));
    const rc::tracked filtered = engine.publish_tracked(rc::publication("x").to("r"));
    CHECK(filtered.published.offset == 1);
    CHECK(filtered.published.members == 1);
    CHECK(told.of(filtered.token).filtered == 1);
    CHECK(told.of(filtered.token).reached == 0);
    const rc::room room = engine.room("r");
    const rc::tracked reached = room.publish_tracked(rc::publication("y").key("k"));
    CHECK(told.of(reached.token).reached == 1);
    CHECK(told.of(reached.token).offset == 2);
    CHECK(ann.text() == "y");
    CHECK(engine.try_publish_tracked(rc::publication("x")).status() ==
          rc::status::invalid_argument);
    CHECK(room.try_publish_tracked(rc::publication("x").to("r")).status() ==
          rc::status::invalid_argument);
    CHECK(thrown_by([&] { engine.publish_tracked(rc::publication("x").to("")); }) ==
          rc::status::room_name);
}

TEST_CASE("a report is taken from the queue") {
    rc::engine engine = rc::engine::start(local());
    const auto tracked = engine.publish_tracked(rc::publication("x").to("r"));
    const rc::events batch = engine.wait(deadline);
    REQUIRE(batch.size() == 1);
    CHECK(batch[0].kind() == rc::event_kind::delivered);
    CHECK(batch[0].delivery().token == tracked.token);
    CHECK(batch[0].room() == "r");
    CHECK(batch[0].connection().try_send("x").status() == rc::status::gone);
}

TEST_CASE("what a handler of reports throws is told, and closes nobody") {
    std::atomic<unsigned> thrown = 0;
    rc::engine engine = rc::engine::start(
        local()
            .on_delivered([](const rc::event &) { throw std::runtime_error("no"); })
            .on_exception([&](const std::exception_ptr &) { ++thrown; }));
    peer ann = opened(engine);
    const auto there = only(engine);
    CHECK(there.join("r"));
    engine.publish_tracked(rc::publication("x").to("r"));
    CHECK(comes_true([&] { return thrown == 1; }));
    CHECK(ann.text() == "x");
    CHECK(there.is_open());
}

TEST_CASE("options of rooms and listeners") {
    reports told;
    rc::engine engine = rc::engine::start(
        local()
            .listen("127.0.0.1:0", rc::listen_options().deflate(false))
            .limit(rc::limit::deflate_level, 1)
            .room_options("r", rc::room_options()
                                   .flush_interval(300ms)
                                   .conflate()
                                   .slow_policy(rc::slow_policy::volatile_)
                                   .history(5)
                                   .deflate(false))
            .on_delivered(told.handler()));
    const std::string offer = "Sec-WebSocket-Extensions: permessage-deflate\r\n";
    const auto agrees = [&](std::size_t listener) {
        peer asks(engine.port(listener), "/", offer);
        CHECK(asks.status() == 101);
        return asks.head().find("permessage-deflate") != std::string::npos;
    };
    CHECK(agrees(0));
    CHECK_FALSE(agrees(1));
    peer ann = opened(engine);
    CHECK(comes_true([&] { return engine.connections().size() == 1; }));
    CHECK(only(engine).join("r"));
    // With the first one an interval has ended, so another has just begun.
    engine.publish("r", "first");
    CHECK(ann.text() == "first");
    const auto old = engine.publish_tracked(rc::publication("1").to("r").key("k"));
    const auto fresh = engine.publish_tracked(rc::publication("2").to("r").key("k"));
    CHECK(ann.text() == "2");
    CHECK(told.of(old.token).conflated == 1);
    CHECK(told.of(fresh.token).reached == 1);
    const auto without = rc::engine::try_start(
        local().room_options("r", rc::room_options().conflate().flush_interval(0ms)));
    CHECK(without.status() == rc::status::config);
    CHECK(without.text().find("flush_interval_ms") != std::string_view::npos);
    CHECK(rc::engine::try_start(local().room_options("\xff", {})).text().find("room_options") == 0);
}

TEST_CASE("a slow member is told of by range") {
    std::mutex guard;
    std::uint64_t missed = 0, first = 0, last = 0;
    bool replaced = false;
    rc::engine engine = rc::engine::start(
        local()
            .limit(rc::limit::publication_bytes_max, 65536)
            .limit(rc::limit::tape_bytes_max, 262144)
            .limit(rc::limit::room_ahead_bytes_max, 131072)
            .on_lagged([&](const rc::event &event) {
                const std::lock_guard<std::mutex> held(guard);
                missed = event.missed();
                first = event.missed_first();
                last = event.missed_last();
                replaced = event.missed_replaced();
            }));
    peer ann = opened(engine);
    CHECK(only(engine).join("r", rc::join().slow_policy(rc::slow_policy::skip)));
    const std::vector<unsigned char> much(60000);
    CHECK(comes_true([&] {
        const auto done = engine.try_publish(rc::publication(much).to("r"));
        CHECK((done || done.status() == rc::status::behind));
        const std::lock_guard<std::mutex> held(guard);
        return missed > 0;
    }));
    const std::lock_guard<std::mutex> held(guard);
    CHECK(first > 0);
    CHECK(missed == last - first + 1);
    CHECK_FALSE(replaced);
}
