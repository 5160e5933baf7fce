// Data of connections, and sockets that are handed over: freed exactly once, by whoever is last.
#include "host.hpp"

#include <atomic>
#include <sys/socket.h>
#include <unistd.h>

namespace rc = roomcast;

namespace {

std::atomic<int> alive = 0;
std::atomic<int> freed = 0;

struct player {
    explicit player(std::string called) : name(std::move(called)) { ++alive; }
    player(const player &) = delete;
    player &operator=(const player &) = delete;
    ~player() {
        --alive;
        ++freed;
    }
    std::string name;
};

} // namespace

TEST_CASE("data is found in every event, by its type, and freed once") {
    freed = 0;
    std::shared_ptr<player> kept;
    std::atomic<bool> has = false;
    {
        rc::engine engine = rc::engine::start(
            local()
                .on_connecting([](const rc::event &event) {
                    const auto name = event.request().query_value("name").value_or("");
                    auto mine = std::make_unique<player>(std::string(name));
                    if (name == "bob") {
                        event.pending().accept(
                            rc::accept().data(std::shared_ptr<player>(std::move(mine))));
                        return;
                    }
                    const auto as = rc::accept().user(name).data(std::move(mine));
                    event.pending().accept(as);
                    CHECK(event.pending().try_accept(as).status() == rc::status::answered);
                })
                .on_message([&](const rc::event &event) {
                    CHECK(event.data<int>() == nullptr);
                    CHECK_FALSE(event.shared_data<int>());
                    REQUIRE(event.data<player>() != nullptr);
                    CHECK(event.data<player>()->name == event.message().text());
                    if (event.message().text() == "bob") kept = event.shared_data<player>();
                    event.connection().close();
                })
                .on_closed([&](const rc::event &event) {
                    if (event.data<player>()) has = true;
                }));
        peer ann = opened(engine, "/?name=ann");
        CHECK(alive == 1);
        ann.say("ann");
        CHECK(ann.close_code() == 1000);
        CHECK(comes_true([&] { return freed == 1; }));
        CHECK(has);
        peer bob = opened(engine, "/?name=bob");
        bob.say("bob");
        CHECK(bob.close_code() == 1000);
        peer cid = opened(engine, "/?name=cid");
    }
    CHECK(freed == 2);
    REQUIRE(kept);
    CHECK(kept->name == "bob");
    kept.reset();
    CHECK(freed == 3);
    CHECK(alive == 0);
}

TEST_CASE("data in events that are kept lives as long as these") {
    freed = 0;
    rc::events last;
    {
        rc::engine engine = rc::engine::start(local());
        peer ann(engine.port());
        const rc::events first = engine.wait(deadline);
        REQUIRE(first.size() == 1);
        CHECK(first[0].pending().accept(rc::accept().data(std::make_shared<player>("ann"))));
        CHECK(ann.status() == 101);
        ann.say("x");
        while (last.empty() || last[last.size() - 1].kind() != rc::event_kind::message)
            last = engine.wait(deadline);
    }
    CHECK(freed == 0);
    CHECK(last[last.size() - 1].data<player>()->name == "ann");
    last = rc::events();
    CHECK(freed == 1);
}

TEST_CASE("handlers are moved in and destroyed with their engine") {
    freed = 0;
    auto mine = std::make_unique<player>("handler");
    {
        rc::engine engine;
        {
            rc::config settings = local();
            settings.on_message([mine = std::move(mine)](const rc::event &event) {
                event.connection().send(mine->name);
            });
            engine = rc::engine::start(settings);
        }
        CHECK(alive == 1);
        peer ann = opened(engine);
        ann.say("x");
        CHECK(ann.text() == "handler");
    }
    CHECK(freed == 1);
    CHECK(alive == 0);
}

TEST_CASE("a socketpair and a socket of the host's own are adopted") {
    rc::engine engine = rc::engine::start(local().on_connecting(into_lobby()));
    int ends[2];
    REQUIRE(socketpair(AF_UNIX, SOCK_STREAM, 0, ends) == 0);
    const std::string request = peer::request("/adopted");
    peer ann = peer::on(ends[1], true);
    peer::write(ends[1], request.substr(20));
    engine.adopt(ends[0], rc::bytes_view(request.data(), 20));
    CHECK(ann.status() == 101);
    engine.publish("lobby", "hello");
    CHECK(ann.text() == "hello");

    int no_socket[2];
    REQUIRE(pipe(no_socket) == 0);
    CHECK(thrown_by([&] { engine.adopt(no_socket[0]); }) == rc::status::invalid_argument);
    CHECK(engine.try_adopt(no_socket[0]).status() == rc::status::invalid_argument);
    CHECK(close(no_socket[0]) == 0);
    CHECK(close(no_socket[1]) == 0);
}

TEST_CASE("a request of the host's own server is checked, answered and handed over") {
    freed = 0;
    rc::engine engine = rc::engine::start(local().on_message([](const rc::event &event) {
        event.connection().send(event.data<player>()->name + " of " + std::string(*event.user()));
    }));
    const std::vector<std::pair<std::string_view, std::string_view>> headers = {
        {"Host", "suite"}, {"Upgrade", "websocket"}, {"Connection", "Upgrade"},
        {"Sec-WebSocket-Version", "13"}, {"Sec-WebSocket-Key", "dGhlIHNhbXBsZSBub25jZQ=="}};
    int ends[2];
    REQUIRE(socketpair(AF_UNIX, SOCK_STREAM, 0, ends) == 0);
    rc::upgrade upgrade = engine.upgrade("GET", "/ws?x=1", headers);
    CHECK(upgrade.http_status() == 101);
    upgrade.accept(rc::accept().user("ann").data(std::make_shared<player>("data")));
    peer::write(ends[0], std::string(upgrade.response()));
    rc::upgrade moved = std::move(upgrade);
    CHECK(upgrade.http_status() == 0);
    moved.adopt(ends[0]);
    CHECK(moved.try_adopt(ends[1]).status() == rc::status::not_upgrade);
    peer ann = peer::on(ends[1], true);
    CHECK(ann.status() == 101);
    ann.say("x");
    CHECK(ann.text() == "data of ann");

    rc::upgrade plain = engine.upgrade("GET", "/", {{"Host", "suite"}});
    CHECK(plain.http_status() == 426);
    CHECK(thrown_by([&] { plain.accept(rc::accept()); }) == rc::status::not_upgrade);
    plain = std::move(moved);
    CHECK(thrown_by([&] { engine.upgrade("G T", "", {}); }) == rc::status::invalid_argument);
    engine = rc::engine();
    CHECK(freed == 1);
}
