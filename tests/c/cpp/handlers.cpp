// Handlers on the engine's threads: what they may call, and what happens to what they throw.
#include "host.hpp"

#include <atomic>
#include <condition_variable>
#include <mutex>
#include <stdexcept>

namespace rc = roomcast;

namespace {

/// Lines and exceptions that handlers left behind.
struct ledger {
    std::mutex guard;
    std::string lines;

    void add(std::string_view line) {
        const std::lock_guard<std::mutex> held(guard);
        lines.append(line).append("\n");
    }
    bool has(const std::string &part) {
        const std::lock_guard<std::mutex> held(guard);
        return lines.find(part) != std::string::npos;
    }
};

} // namespace

TEST_CASE("a message is published to its room by a handler") {
    rc::engine engine = rc::engine::start(
        local().on_connecting(into_lobby()).on_message([](const rc::event &event) {
            event.engine().publish(
                rc::publication(event.message()).to("lobby").except(event.connection()));
            event.connection().send("told");
        }));
    peer ann = opened(engine), bob = opened(engine);
    ann.say("hello");
    CHECK(bob.text() == "hello");
    CHECK(ann.text() == "told");
    bob.send(2, std::string("\0\1", 2));
    const frame binary = ann.hear();
    CHECK(binary.opcode == 2);
    CHECK(binary.text == std::string("\0\1", 2));
}

TEST_CASE("without handlers for connecting everybody is accepted") {
    std::atomic<unsigned> opens = 0;
    rc::engine engine = rc::engine::start(local().on_opened([&](const rc::event &event) {
        CHECK(event.kind() == rc::event_kind::opened);
        CHECK_FALSE(event.user());
        CHECK(event.data<int>() == nullptr);
        ++opens;
    }));
    peer ann = opened(engine);
    CHECK(comes_true([&] { return opens == 1; }));
    CHECK(engine.rooms().empty());
}

TEST_CASE("closing: by the host, by the peer, and a connection that has gone") {
    std::mutex guard;
    std::vector<std::string> ends;
    rc::connection_id last = 0;
    rc::engine engine = rc::engine::start(
        local()
            .on_message([](const rc::event &event) { event.connection().close(4321, "enough"); })
            .on_closed([&](const rc::event &event) {
                const std::lock_guard<std::mutex> held(guard);
                last = event.connection().id();
                ends.push_back(std::to_string(static_cast<unsigned>(event.close_reason())) + " "
                               + std::to_string(event.close_code()) + " "
                               + std::string(event.close_text()));
            }));
    const auto ended = [&](std::size_t n) {
        const std::lock_guard<std::mutex> held(guard);
        return ends.size() == n;
    };
    {
        peer ann = opened(engine);
        ann.say("x");
        const frame close = ann.hear();
        CHECK(close.close_code == 4321);
        CHECK(close.text == "enough");
        CHECK(comes_true([&] { return ended(1); }));
        peer bob = opened(engine);
        bob.send(8, std::string("\x03\xe8", 2) + "bye");
        CHECK(comes_true([&] { return ended(2); }));
    }
    CHECK(ends[0].rfind("1 ", 0) == 0);
    CHECK(ends[1] == "0 1000 bye");
    const rc::connection gone = engine.connection(last);
    CHECK_FALSE(gone.is_open());
    CHECK_FALSE(gone.send("x"));
    CHECK_FALSE(gone.join("lobby"));
    CHECK_FALSE(gone.leave("lobby"));
    CHECK_FALSE(gone.close());
    CHECK(gone.rooms().empty());
    CHECK(gone.try_send("x").status() == rc::status::gone);
    peer cid = opened(engine);
    CHECK(comes_true([&] { return engine.connections().size() == 1; }));
    const rc::connection there = engine.connections()[0];
    CHECK(thrown_by([&] { there.close(17); }) == rc::status::close_code);
    CHECK(there.close());
}

TEST_CASE("a handler stops its engine, and calls that wait refuse there") {
    std::atomic<unsigned> refused[4] = {};
    rc::config settings = local();
    settings.on_connecting(into_lobby()).on_message([&](const rc::event &event) {
        const rc::engine_ref &here = event.engine();
        refused[0] += thrown_by([&] { here.connections(); }) == rc::status::on_shard;
        refused[1] += thrown_by([&] { here.members("lobby"); }) == rc::status::on_shard;
        refused[2] += thrown_by([&] { event.connection().rooms(); }) == rc::status::on_shard;
        refused[3] += here.try_stop().status() == rc::status::on_shard;
    });
    rc::engine engine = rc::engine::start(settings);
    peer ann = opened(engine);
    ann.say("x");
    CHECK(ann.close_code() == 1001);
    CHECK(comes_true([&] { return engine.is_stopping(); }));
    CHECK(engine.stop().connections == 1);
    for (const auto &call : refused) CHECK(call.load() == 1);
}

TEST_CASE("an engine is destroyed by its own handler") {
    std::mutex guard;
    std::optional<rc::engine> engine;
    auto life = std::make_shared<int>(0);
    const std::weak_ptr<int> watched = life;
    {
        rc::config settings = local();
        settings.on_message([&, life](const rc::event &) {
            const std::lock_guard<std::mutex> held(guard);
            engine.reset();
        });
        life.reset();
        engine = rc::engine::start(settings);
    }
    peer ann = opened(*engine);
    ann.say("x");
    CHECK(ann.close_code() == 1001);
    CHECK(comes_true([&] { return watched.expired(); }));
    const std::lock_guard<std::mutex> held(guard);
    CHECK_FALSE(engine);
}

TEST_CASE("an exception of a handler is told and closes its connection with 1011") {
    ledger told;
    rc::config settings = local();
    settings.on_message([](const rc::event &event) {
        if (event.message().text() == "int") throw 7;
        throw std::runtime_error("boom");
    });
    settings.log([&](rc::log_level level, std::string_view line) {
        if (level == rc::log_level::error) told.add(line);
    });
    SUBCASE("to on_exception") {
        settings.on_exception([&](const std::exception_ptr &thrown) {
            try {
                std::rethrow_exception(thrown);
            } catch (const std::exception &exception) {
                told.add(std::string("caught ") + exception.what());
            } catch (int number) {
                told.add("caught " + std::to_string(number));
            }
        });
        rc::engine engine = rc::engine::start(settings);
        peer ann = opened(engine), bob = opened(engine);
        ann.say("x");
        CHECK(ann.close_code() == 1011);
        bob.say("int");
        CHECK(bob.close_code() == 1011);
        engine.stop();
        CHECK(told.has("caught boom"));
        CHECK(told.has("caught 7"));
    }
    SUBCASE("to the log") {
        rc::engine engine = rc::engine::start(settings);
        peer ann = opened(engine), bob = opened(engine);
        ann.say("x");
        CHECK(ann.close_code() == 1011);
        bob.say("int");
        CHECK(bob.close_code() == 1011);
        engine.stop();
        CHECK(told.has("boom"));
        CHECK(told.has("no std::exception"));
    }
    SUBCASE("to nobody, when on_exception throws as well") {
        settings.on_exception([](const std::exception_ptr &thrown) {
            std::rethrow_exception(thrown);
        });
        rc::engine engine = rc::engine::start(settings);
        peer ann = opened(engine);
        ann.say("x");
        CHECK(ann.close_code() == 1011);
    }
}

TEST_CASE("exceptions while connecting, in pages and in the log stay inside") {
    rc::engine engine = rc::engine::start(
        local()
            .on_connecting([](const rc::event &event) {
                if (event.request().path() == "/accepted") event.pending().accept();
                throw std::runtime_error("no");
            })
            .pages([](const rc::request &asked, rc::page &answer) {
                if (asked.path() == "/throws") throw std::runtime_error("no");
                if (asked.path() == "/there") answer.set("text/plain", "here");
                if (asked.path() == "/bad") CHECK_FALSE(answer.set("text/plain", "", 99));
            })
            .log([](rc::log_level, std::string_view) { throw 1; }));
    peer ann(engine.port());
    CHECK(ann.status() == 500);
    peer bob = opened(engine, "/accepted");
    CHECK(bob.close_code() == 1011);
    CHECK(get(engine.port(), "/throws").first == 500);
    CHECK(get(engine.port(), "/there") == std::pair<int, std::string>(200, "here"));
    CHECK(get(engine.port(), "/bad").first == 404);
    CHECK(get(engine.port(), "/elsewhere").first == 404);
}

TEST_CASE("a connection is answered later, from another thread, once") {
    std::mutex guard;
    std::condition_variable came;
    std::vector<rc::pending> waiting;
    rc::engine engine = rc::engine::start(local().on_connecting([&](const rc::event &event) {
        const std::lock_guard<std::mutex> held(guard);
        waiting.push_back(event.pending());
        came.notify_one();
    }));
    std::thread doorman([&] {
        for (int n = 0; n < 2; ++n) {
            std::unique_lock<std::mutex> held(guard);
            REQUIRE(came.wait_for(held, deadline, [&] { return !waiting.empty(); }));
            const rc::pending next = waiting.back();
            waiting.pop_back();
            held.unlock();
            if (n == 1) {
                CHECK(next.refuse(403, "full"));
                continue;
            }
            CHECK(next.accept(rc::accept().user("ann").room("lobby")));
            CHECK(thrown_by([&] { next.accept(); }) == rc::status::answered);
            CHECK(thrown_by([&] { next.refuse(403); }) == rc::status::answered);
            CHECK(engine.connection(next.id()).is_open());
        }
    });
    peer ann = opened(engine);
    engine.send_user("ann", "welcome");
    CHECK(ann.text() == "welcome");
    peer bob(engine.port());
    CHECK(bob.status() == 403);
    doorman.join();
}

TEST_CASE("what a request says") {
    rc::engine engine = rc::engine::start(
        local().any_origin().on_connecting([](const rc::event &event) {
            const rc::request asked = event.request();
            CHECK(asked.method() == "GET");
            CHECK(asked.path() == "/a%20b");
            CHECK(asked.query().value() == "k=v+w&e");
            CHECK(asked.query_value("k").value() == "v w");
            CHECK(asked.query_value("e").value().empty());
            CHECK_FALSE(asked.query_value("none"));
            CHECK(asked.header("x-Some").value() == "thing");
            CHECK_FALSE(asked.header("x-none"));
            CHECK(asked.cookie("id").value() == "7");
            CHECK(asked.subprotocols() == std::vector<std::string_view>{"one", "two"});
            CHECK(asked.origin().value() == "https://else.example");
            CHECK(asked.host().value() == "suite");
            CHECK(asked.peer().value().rfind("127.0.0.1:", 0) == 0);
            CHECK(asked.headers().size() == 9);
            CHECK(asked.headers()[0].first == "host");
            event.pending().accept(rc::accept().subprotocol("two"));
        }));
    peer ann(engine.port(), "/a%20b?k=v+w&e",
             "X-Some: thing\r\nCookie: a=b; id=7\r\nOrigin: https://else.example\r\n"
             "Sec-WebSocket-Protocol: one, two\r\n");
    CHECK(ann.status() == 101);
    CHECK(ann.head().find("two") != std::string::npos);
}

TEST_CASE("backpressure and lag are told") {
    std::atomic<unsigned> high = 0, low = 0;
    std::atomic<std::uint64_t> missed = 0;
    rc::config settings = local();
    settings.slow_policy(rc::slow_policy::skip)
        .limit(rc::limit::tape_bytes_max, 1 << 20)
        .limit(rc::limit::publication_bytes_max, 1 << 18)
        .limit(rc::limit::room_ahead_bytes_max, 1 << 19)
        .limit(rc::limit::outbox_bytes_max, 1 << 24)
        .on_connecting(into_lobby())
        .on_backpressure([&](const rc::event &event) { ++(event.high() ? high : low); })
        .on_lagged([&](const rc::event &event) {
            CHECK(event.room() == "lobby");
            missed += event.missed();
        });
    rc::engine engine = rc::engine::start(settings);
    peer ann = opened(engine);
    const std::string much(1 << 17, 'x');
    const auto floods = [&](auto more, auto until) {
        return comes_true([&] { return more(), until(); });
    };
    CHECK(floods([&] { static_cast<void>(engine.try_publish("lobby", much)); },
                 [&] { return missed > 0; }));
    const auto all = engine.connections();
    REQUIRE(all.size() == 1);
    CHECK(floods([&] { static_cast<void>(all[0].try_send(much)); }, [&] { return high > 0; }));
    std::thread reader([&] { while (ann.hear().text != "end") {} });
    CHECK(comes_true([&] { return low > 0; }));
    CHECK(all[0].send("end"));
    reader.join();
}
