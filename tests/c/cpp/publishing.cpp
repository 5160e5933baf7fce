// Publishing in all its forms, rooms, lists and figures; each error as exception and as result.
#include "host.hpp"

#include <algorithm>

namespace rc = roomcast;

namespace {

/// A connection of an engine whose peers are let in by `local` into no room.
rc::connection newest(const rc::engine &engine, std::size_t of) {
    std::vector<rc::connection> all;
    CHECK(comes_true([&] { return (all = engine.connections()).size() == of; }));
    return *std::max_element(all.begin(), all.end(),
                             [](const auto &a, const auto &b) { return a.id() < b.id(); });
}

} // namespace

TEST_CASE("publishing tells the number and the members") {
    rc::engine engine = rc::engine::start(local().on_connecting(into_lobby()));
    CHECK(engine.publish("nobody", "x").members == 0);
    CHECK(engine.publish("nobody", "x").offset == 0);
    peer ann = opened(engine), bob = opened(engine);
    CHECK(comes_true([&] { return engine.count("lobby") == 2; }));
    const rc::published first = engine.publish("lobby", std::string("one"));
    CHECK(first.members == 2);
    CHECK(first.offset == 1);
    const auto second = engine.try_publish("lobby", std::vector<unsigned char>{7, 8});
    REQUIRE(second);
    for (peer *each : {&ann, &bob}) {
        CHECK(each->text() == "one");
        const frame binary = each->hear();
        CHECK(binary.opcode == 2);
        CHECK(binary.text == "\x07\x08");
    }
    engine.send_all("all");
    CHECK(ann.text() == "all");
    CHECK(bob.text() == "all");
}

TEST_CASE("a publication goes to several rooms once, and not to whom it leaves out") {
    rc::engine engine = rc::engine::start(local().on_opened([](const rc::event &) {}));
    peer ann = opened(engine);
    const rc::connection to_ann = newest(engine, 1);
    peer bob = opened(engine);
    const rc::connection to_bob = newest(engine, 2);
    peer cid = opened(engine);
    const rc::connection to_cid = newest(engine, 3);
    for (const auto &each : {to_ann, to_bob, to_cid}) CHECK(each.join("a"));
    CHECK(to_ann.join("b"));
    CHECK(to_cid.join("quiet"));
    CHECK(engine.publish(rc::publication("news").to("a").to("b").except(to_bob)
                             .except_room("quiet")).members == 4);
    engine.send_all("end");
    CHECK(ann.text() == "news");
    for (peer *each : {&ann, &bob, &cid}) CHECK(each->text() == "end");

    rc::room room = engine.room("a");
    room.publish(rc::publication("held").except(to_ann.id()));
    CHECK(to_bob.leave("a"));
    room.publish("later");
    engine.send_all("end");
    for (const char *expected : {"later", "end"}) CHECK(ann.text() == expected);
    for (const char *expected : {"held", "end"}) CHECK(bob.text() == expected);
    for (const char *expected : {"held", "later", "end"}) CHECK(cid.text() == expected);

    std::vector<std::string> names;
    for (const auto &entry : to_ann.rooms()) names.push_back(entry.name);
    std::sort(names.begin(), names.end());
    CHECK(names == std::vector<std::string>{"a", "b"});
    CHECK(to_ann == engine.connection(to_ann.id()));
    CHECK(to_ann != to_bob);
}

TEST_CASE("publish errors come as exceptions and as results") {
    rc::engine engine = rc::engine::start(local()
        .limit(rc::limit::publication_bytes_max, 1000)
        .limit(rc::limit::room_name_bytes_max, 10)
        .on_connecting(into_lobby()));
    const rc::room room = engine.room("held");
    const std::string big(1001, 'x'), name(11, 'n'), bad("\xff");
    const auto both = [](auto thrown, const auto &result, rc::status expected) {
        CHECK(thrown_by(thrown) == expected);
        CHECK_FALSE(result);
        CHECK(result.status() == expected);
        CHECK(result.text() == rc::text(expected));
    };
    const rc::status large = rc::status::payload_too_large, named = rc::status::room_name;
    both([&] { engine.publish("lobby", big); }, engine.try_publish("lobby", big), large);
    both([&] { room.publish(big); }, room.try_publish(big), large);
    both([&] { engine.send_all(big); }, engine.try_send_all(big), large);
    both([&] { engine.send_user("u", big); }, engine.try_send_user("u", big), large);
    both([&] { engine.publish(name, "x"); }, engine.try_publish(name, "x"), named);
    both([&] { engine.publish("", "x"); }, engine.try_publish("", "x"), named);
    both([&] { engine.room(name); }, engine.try_room(name), named);
    const rc::status invalid = rc::status::invalid_argument;
    both([&] { engine.publish("lobby", bad); }, engine.try_publish("lobby", bad), invalid);
    both([&] { engine.count(bad); }, engine.try_count(bad), invalid);
    const rc::publication to_none("x");
    both([&] { engine.publish(to_none); }, engine.try_publish(to_none),
         engine.try_publish(to_none).status());
    const rc::publication named_room = rc::publication("x").to("lobby");
    both([&] { room.publish(named_room); }, room.try_publish(named_room), invalid);
}

TEST_CASE("a held room exists, counts and keeps its numbers") {
    rc::engine engine = rc::engine::start(local().on_connecting(into_lobby()));
    {
        rc::room room = engine.room("lobby");
        CHECK(room.name() == "lobby");
        CHECK(room.members() == 0);
        CHECK(room.publish("nobody hears").offset == 1);
        peer ann = opened(engine);
        CHECK(comes_true([&] { return room.members() == 1; }));
        CHECK(room.publish("x").offset == 2);
        CHECK(ann.text() == "x");
        CHECK(room.position().offset == 2);
        CHECK(engine.members("lobby").size() == 1);
        const auto rooms = engine.rooms();
        REQUIRE(rooms.size() == 1);
        CHECK(rooms[0].name == "lobby");
        CHECK(rooms[0].members == 1);
    }
    CHECK(comes_true([&] { return engine.rooms().empty(); }));
}

TEST_CASE("what is corked leaves together, and what it throws comes out") {
    rc::engine engine = rc::engine::start(local().on_connecting(into_lobby()));
    peer ann = opened(engine);
    CHECK(comes_true([&] { return engine.count("lobby") == 1; }));
    engine.corked([&] {
        engine.publish("lobby", "one");
        engine.publish("lobby", "two");
    });
    CHECK(ann.text() == "one");
    CHECK(ann.text() == "two");
    CHECK_THROWS_AS(engine.corked([] { throw 5; }), int);
}

TEST_CASE("figures count") {
    rc::engine engine = rc::engine::start(local().on_connecting(into_lobby()));
    peer ann = opened(engine);
    CHECK(comes_true([&] { return engine.count("lobby") == 1; }));
    engine.publish("lobby", "x");
    CHECK(ann.text() == "x");
    CHECK(comes_true([&] { return engine.snapshot().deliveries == 1; }));
    CHECK(engine.snapshot().connections == 1);
    CHECK(engine.shard_snapshot(0).struct_size == sizeof(roomcast_snapshot));
    CHECK(engine.try_shard_snapshot(1000).status() == rc::status::invalid_argument);
    CHECK(engine.snapshot().struct_size == sizeof(roomcast_snapshot));
    CHECK(engine.metrics().find("roomcast_") != std::string::npos);
}
