// Events taken by the host: drained beside poll(2), waited for by a thread, turned in a loop.
#include "host.hpp"

#include <atomic>
#include <poll.h>

namespace rc = roomcast;
using namespace std::chrono_literals;

namespace {

/// What a host without handlers does: lets in, echoes, and notes the kinds.
void work_off(const rc::events &batch, std::string &kinds) {
    for (const rc::event event : batch) {
        kinds += std::to_string(static_cast<unsigned>(event.kind()));
        if (event.kind() == rc::event_kind::connecting)
            event.pending().accept(rc::accept().user("ann").data(std::make_unique<int>(42)));
        if (event.kind() == rc::event_kind::message) {
            CHECK(*event.data<int>() == 42);
            CHECK(event.user() == "ann");
            event.connection().send(event.message());
        }
    }
}

} // namespace

TEST_CASE("a host with a loop of its own drains beside poll") {
    rc::engine engine = rc::engine::start(local());
    std::thread client([&] {
        peer ann = opened(engine);
        ann.say("hello");
        CHECK(ann.text() == "hello");
        ann.send(8, "\x03\xe8");
        CHECK(ann.close_code() == 1000);
    });
    std::string kinds;
    const auto until = std::chrono::steady_clock::now() + deadline;
    while (kinds != "1234" && std::chrono::steady_clock::now() < until) {
        pollfd watched{engine.fd(), POLLIN, 0};
        REQUIRE(poll(&watched, 1, 10000) == 1);
        work_off(engine.drain(2), kinds);
    }
    client.join();
    CHECK(kinds == "1234");
    CHECK(engine.drain().empty());
    CHECK_FALSE(engine.drain().ended());
    engine.stop();
    pollfd watched{engine.fd(), POLLIN, 0};
    CHECK(poll(&watched, 1, 10000) == 1);
    CHECK(engine.drain().ended());
}

TEST_CASE("a thread waits for events until the engine has stopped") {
    rc::engine engine = rc::engine::start(local());
    const rc::events nothing = engine.wait(1ms);
    CHECK(nothing.empty());
    CHECK_FALSE(nothing.ended());
    std::string kinds;
    std::thread host([&] {
        for (;;) {
            const rc::events batch = engine.wait(-1ms);
            if (batch.ended()) return;
            work_off(batch, kinds);
        }
    });
    peer ann = opened(engine);
    ann.say("hello");
    CHECK(ann.text() == "hello");
    engine.begin_stop();
    CHECK(ann.close_code() == 1001);
    host.join();
    CHECK(kinds == "1234");
    CHECK(engine.wait(deadline).ended());
}

TEST_CASE("only the kinds that are asked for are queued") {
    rc::engine engine = rc::engine::start(local().queue({rc::event_kind::message}));
    peer ann = opened(engine);
    ann.say("hello");
    const rc::events batch = engine.wait(deadline);
    REQUIRE(batch.size() == 1);
    CHECK(batch[0].message().text() == "hello");
    CHECK(batch[0].data<int>() == nullptr);
}

TEST_CASE("events that are moved are given back once") {
    rc::engine engine = rc::engine::start(local());
    peer ann(engine.port());
    rc::events batch = engine.wait(deadline);
    REQUIRE(batch.size() == 1);
    rc::events moved = std::move(batch);
    CHECK(batch.empty());
    REQUIRE(moved.size() == 1);
    CHECK(moved[0].request().path() == "/");
    CHECK(moved[0].pending().refuse(404));
    moved = rc::events();
    CHECK(moved.empty());
    CHECK(ann.status() == 404);
}

TEST_CASE("a loop turns an engine without threads, with handlers") {
    std::atomic<unsigned> heard = 0;
    const auto mine = std::this_thread::get_id();
    rc::engine engine = rc::engine::start(
        local().own_threads(false).on_connecting(into_lobby()).on_message(
            [&](const rc::event &event) {
                CHECK((std::this_thread::get_id() == mine));
                CHECK(event.engine().publish("lobby", event.message()).members == 1);
                ++heard;
            }));
    std::atomic<bool> ended = false;
    std::thread client([&] {
        peer ann = opened(engine);
        ann.say("one");
        CHECK(ann.text() == "one");
        CHECK(ann.text() == "tick");
        ended = true;
        CHECK(ann.close_code() == 1001);
    });
    while (!ended) {
        pollfd watched{engine.fd(), POLLIN, 0};
        const auto ms = engine.next_turn().count();
        poll(&watched, 1, ms < 0 || ms > 5 ? 5 : static_cast<int>(ms));
        CHECK(engine.turn());
        if (heard == 1 && engine.count("lobby") == 1) {
            engine.publish("lobby", "tick");
            ++heard;
        }
    }
    engine.begin_stop();
    while (engine.turn(10ms)) {}
    client.join();
    CHECK(heard == 2);
    CHECK(engine.try_turn().status() == rc::status::stopped);
}

TEST_CASE("a loop turns an engine without threads, with the queue, and just destroys it") {
    rc::engine engine = rc::engine::start(local().own_threads(false));
    std::string kinds;
    std::atomic<bool> ended = false;
    std::thread client([&] {
        peer ann = opened(engine);
        ann.say("one");
        CHECK(ann.text() == "one");
        ended = true;
        CHECK(ann.close_code() == 1001);
    });
    while (!ended) {
        CHECK(engine.turn(5ms));
        work_off(engine.drain(), kinds);
    }
    engine = rc::engine();
    client.join();
    CHECK(kinds == "123");
}

TEST_CASE("calls of another way of being told give wrong_mode") {
    const rc::status wrong = rc::status::wrong_mode;
    rc::engine told = rc::engine::start(local().on_connecting(into_lobby()));
    CHECK(thrown_by([&] { told.fd(); }) == wrong);
    CHECK(thrown_by([&] { told.drain(); }) == wrong);
    CHECK(thrown_by([&] { told.wait(1ms); }) == wrong);
    CHECK(thrown_by([&] { told.turn(); }) == wrong);
    CHECK(thrown_by([&] { told.next_turn(); }) == wrong);
    CHECK(told.try_drain().status() == wrong);
    rc::engine queued = rc::engine::start(local());
    CHECK(thrown_by([&] { queued.turn(); }) == wrong);
    CHECK(thrown_by([&] { queued.drain(0); }) == rc::status::invalid_argument);
}
