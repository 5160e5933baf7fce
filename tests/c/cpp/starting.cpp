// Starting, stopping, moving and outliving: which object may go in which order.
#include "host.hpp"

#include <atomic>
#include <cstdlib>
#include <mutex>
#include <optional>
#include <unistd.h>

namespace rc = roomcast;
using rc::limit;

TEST_CASE("an engine listens where it says, and tells how its stop went") {
    rc::engine engine =
        rc::engine::start(local().listen("127.0.0.1:0").on_connecting(into_lobby()));
    REQUIRE(engine);
    CHECK(engine.addresses().size() == 2);
    CHECK(engine.addresses()[1] == "127.0.0.1:" + std::to_string(engine.port(1)));
    CHECK(engine.port(2) == 0);
    CHECK_FALSE(engine.is_stopping());
    CHECK_FALSE(engine.is_broken());
    peer ann = opened(engine);
    CHECK(comes_true([&] { return engine.count("lobby") == 1; }));
    std::thread reader([&] { CHECK(ann.close_code() == 1001); });
    const rc::stop_report report = engine.stop();
    reader.join();
    CHECK(report.connections == 1);
    CHECK(report.cut == 0);
    CHECK(engine.is_stopping());
    CHECK(thrown_by([&] { engine.publish("lobby", "x"); }) == rc::status::stopped);
    CHECK(engine.stop_within(std::chrono::seconds(1)).connections == 1);
}

TEST_CASE("what is wrong with a start is named") {
    const auto why = [](rc::config &settings) {
        auto started = rc::engine::try_start(settings);
        CHECK_FALSE(started);
        return std::string(started.text());
    };
    CHECK(why(local().limit(limit::head_bytes_max, 0)).find("head_bytes_max") != std::string::npos);
    CHECK(why(local().shards(100000)).find("shards") != std::string::npos);
    CHECK(why(local().listen("nowhere")).find("nowhere") != std::string::npos);
    const rc::engine first = rc::engine::start(local());
    rc::config taken;
    taken.listen(first.addresses()[0]);
    CHECK(why(taken).find(first.addresses()[0]) != std::string::npos);
    CHECK(thrown_by([&] { rc::engine::start(taken); }) == rc::status::io);
    const char not_utf8[] = {'\xff', '\xfe'};
    rc::config bad;
    bad.health_path({not_utf8, 2}).listen("127.0.0.1:0");
    CHECK(why(bad).rfind("health_path: ", 0) == 0);
    CHECK(thrown_by([&] { bad.check(); }) == rc::status::invalid_argument);
}

TEST_CASE("a configuration is read back, and starts several engines") {
    rc::config settings = local();
    settings.limit(limit::connections_max, 17).slow_policy(rc::slow_policy::skip);
    settings.message_rate_policy(rc::message_rate_policy::close);
    settings.origins({"https://app.example"}).any_origin().reuse_port(false).health_path("/up")
        .metrics_path("/figures").websocket_metrics(true);
    CHECK(settings.limit(limit::connections_max) == 17);
    settings.check();
    rc::engine one = rc::engine::start(settings);
    rc::engine two = rc::engine::start(settings);
    CHECK(one.limit(limit::connections_max) == 17);
    CHECK(one.port() != two.port());
    CHECK(get(one.port(), "/up").first == 200);
    settings.on_message([](const rc::event &) {});
    CHECK(thrown_by([&] { rc::engine::start(settings); }) == rc::status::invalid_argument);
}

TEST_CASE("the environment sets limits, and a bad variable is named") {
    setenv("ROOMCAST_CONNECTIONS_MAX", "23", 1);
    CHECK(local().from_environment().limit(limit::connections_max) == 23);
    setenv("ROOMCAST_CONNECTIONS_MAX", "many", 1);
    rc::config settings = local();
    const auto checked = settings.from_environment().try_check();
    unsetenv("ROOMCAST_CONNECTIONS_MAX");
    CHECK(checked.status() == rc::status::config);
    CHECK(checked.text().find("connections_max") != std::string_view::npos);
}

TEST_CASE("what was moved from is safe") {
    rc::config settings = local();
    rc::config moved = std::move(settings);
    settings.listen("127.0.0.1:0").on_message([](const rc::event &) {}).pages(
        [](const rc::request &, rc::page &) {});
    CHECK(thrown_by([&] { rc::engine::start(settings); }) == rc::status::invalid_argument);

    rc::engine engine = rc::engine::start(moved);
    rc::room room = engine.room("kept");
    rc::engine other = std::move(engine);
    CHECK_FALSE(engine);
    CHECK(engine.raw() == nullptr);
    CHECK(thrown_by([&] { engine.publish("a", "b"); }) == rc::status::invalid_argument);
    CHECK(thrown_by([&] { engine.room("a"); }) == rc::status::invalid_argument);
    CHECK(thrown_by([&] { engine.stop(); }) == rc::status::invalid_argument);
    CHECK(engine.addresses().empty());

    rc::room mine = std::move(room);
    CHECK(mine.name() == "kept");
    CHECK(room.name().empty());
    CHECK(thrown_by([&] { room.publish("x"); }) == rc::status::invalid_argument);
    room = std::move(mine);
    CHECK(room.publish("x").offset == 1);

    engine = rc::engine::start(local());
    const auto port = engine.port();
    engine = std::move(other);
    CHECK(engine.port() != port);
    CHECK(engine.count("kept") == 0);
    rc::events none;
    rc::events also_none = std::move(none);
    CHECK(none.empty());
    CHECK_FALSE(also_none.ended());
}

TEST_CASE("rooms, connections to be answered and events may outlive their engine") {
    std::optional<rc::room> room;
    std::optional<rc::pending> pending;
    rc::events batch;
    {
        rc::engine engine = rc::engine::start(local());
        room.emplace(engine.room("kept"));
        peer ann(engine.port());
        batch = engine.wait(deadline);
        REQUIRE(batch.size() == 1);
        pending = batch[0].pending();
    }
    CHECK(thrown_by([&] { room->publish("x"); }) == rc::status::stopped);
    CHECK(room->name() == "kept");
    CHECK(batch[0].request().path() == "/");
    CHECK_FALSE(batch[0].connection().is_open());
    CHECK(thrown_by([&] { batch[0].engine().publish("a", "b"); }) == rc::status::stopped);
    CHECK_FALSE(pending->accept(rc::accept().data(std::make_shared<int>(1))));
    CHECK_FALSE(pending->refuse(403));
    SUBCASE("room last") { pending.reset(); batch = {}; room.reset(); }
    SUBCASE("pending last") { room.reset(); batch = {}; pending.reset(); }
    SUBCASE("events last") { room.reset(); pending.reset(); batch = {}; }
}

TEST_CASE("a room that is held by its engine's handler goes with it") {
    auto kept = std::make_shared<std::optional<rc::room>>();
    std::weak_ptr<std::optional<rc::room>> watched = kept;
    std::atomic<bool> took = false;
    {
        rc::config settings = local();
        settings.on_opened([kept, &took](const rc::event &event) {
            kept->emplace(event.engine().room("kept"));
            took = true;
        });
        kept.reset();
        rc::engine engine = rc::engine::start(settings);
        peer ann = opened(engine);
        CHECK(comes_true([&] { return took.load(); }));
        engine.stop();
        watched.lock()->reset();
    }
    CHECK(watched.expired());
}

TEST_CASE("an engine is destroyed while others are about to publish") {
    for (int round = 0; round < 20; ++round) {
        std::mutex guard;
        std::optional<rc::engine> engine = rc::engine::start(local());
        std::atomic<bool> ended = false;
        std::atomic<unsigned> published = 0;
        std::vector<std::thread> publishers;
        for (int i = 0; i < 3; ++i)
            publishers.emplace_back([&] {
                while (!ended) {
                    const std::lock_guard<std::mutex> held(guard);
                    if (!engine) continue;
                    engine->publish("lobby", "x");
                    ++published;
                }
            });
        CHECK(comes_true([&] { return published > 10; }));
        {
            const std::lock_guard<std::mutex> held(guard);
            engine.reset();
        }
        ended = true;
        for (auto &publisher : publishers) publisher.join();
    }
}

TEST_CASE("a unix socket is listened on") {
    const char *base = std::getenv("TMPDIR");
    std::string folder = std::string(base ? base : ".") + "/socket-XXXXXX";
    REQUIRE(mkdtemp(folder.data()));
    const std::string path = folder + "/s";
    {
        rc::config settings;
        settings.listen_unix(path);
        rc::engine engine = rc::engine::start(settings);
        CHECK(engine.addresses().empty());
        CHECK(access(path.c_str(), F_OK) == 0);
    }
    CHECK(access(path.c_str(), F_OK) != 0);
    CHECK(rmdir(folder.c_str()) == 0);
}
