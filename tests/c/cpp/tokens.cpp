// Tokens and wishes: who comes in, what their tokens say, and what the host decides.
#include "edge.hpp"
#include "host.hpp"

#include <atomic>
#include <ctime>
#include <map>
#include <memory>
#include <mutex>
#include <stdexcept>

namespace rc = roomcast;

using namespace std::chrono_literals;

namespace {

/// Seconds since 1970.
std::uint64_t now() { return static_cast<std::uint64_t>(std::time(nullptr)); }

/// Told of something, so that everybody is let in.
void ignores(const rc::event &) {}

/// The status of the answer to a request with this token.
int asks(const rc::engine_ref &engine, const std::string &token) {
    return peer(engine.port(), "/?token=" + token).status();
}

} // namespace

TEST_CASE("a token opens, and its claims are read of request and event") {
    const signer signs;
    std::atomic<unsigned> seen = 0;
    rc::engine engine = rc::engine::start(
        local()
            .auth(rc::auth(rc::keys().hs256(signs.text())))
            .on_connecting([&](const rc::event &event) {
                const auto claims = event.request().claims();
                REQUIRE(claims);
                CHECK(claims->user() == "ada");
                CHECK(claims->token_id() == "t1");
                CHECK(claims->expires_at() == 4102444805);
                CHECK(claims->issued_at() == 1700000000);
                CHECK(claims->info() == R"({"n":1})");
                CHECK(event.request().peer_ip() == "127.0.0.1");
                CHECK_FALSE(event.claims());
                event.pending().accept();
                ++seen;
            })
            .on_opened([&](const rc::event &event) {
                CHECK(event.user() == "ada");
                CHECK(event.claims()->may(rc::verb::join, "team:7:x"));
                CHECK(event.may(rc::verb::join, "team:7:x"));
                CHECK_FALSE(event.may(rc::verb::publish, "team:7:x"));
                ++seen;
            }));
    const std::string good = signs.token(
        R"({"sub": "ada", "exp": 4102444800, "iat": 1700000000, "jti": "t1",
            "info": {"n":1}, "rooms": {"team:7:*": "join"}})");
    CHECK(asks(engine, good) == 101);
    CHECK(comes_true([&] { return seen == 2; }));
    CHECK(asks(engine, "a.b.c") == 401);
    CHECK(asks(engine, signer().token("{}")) == 401);
    engine.revoke_token("t1");
    CHECK(asks(engine, good) == 401);
    CHECK(engine.snapshot().tokens_refused == 3);
}

TEST_CASE("keys of each algorithm, by id, in sets, and with demands") {
    for (const std::uint32_t algorithm :
         {ROOMCAST_ALGORITHM_RS256, ROOMCAST_ALGORITHM_ES256, ROOMCAST_ALGORITHM_EDDSA}) {
        const signer signs(algorithm);
        rc::keys keys;
        if (algorithm == ROOMCAST_ALGORITHM_RS256) keys.rs256(signs.text(), "k1");
        if (algorithm == ROOMCAST_ALGORITHM_ES256) keys.es256(signs.text(), "k1");
        if (algorithm == ROOMCAST_ALGORITHM_EDDSA) keys.jwks(signs.set("k1"));
        keys.issuer("https://a.example").audience("board").leeway(7s);
        keys.check();
        rc::engine engine =
            rc::engine::start(local().auth(rc::auth(keys)).on_opened(ignores));
        const std::string claims = R"({"iss": "https://a.example", "aud": ["board", "x"]})";
        CHECK(asks(engine, signs.token(claims, "k1")) == 101);
        CHECK(asks(engine, signs.token(claims, "k2")) == 401);
        CHECK(asks(engine, signs.token(R"({"aud": "board"})", "k1")) == 401);
    }
    rc::keys direct;
    direct.eddsa(signer(ROOMCAST_ALGORITHM_EDDSA).text());
    CHECK(direct.try_check());
}

TEST_CASE("a key that cannot be used is told by whatever it is given to") {
    rc::keys keys;
    keys.hs256("too short").issuer("x");
    CHECK(keys.try_check().status() == rc::status::token_key);
    CHECK(keys.try_check().text().find("HS256") != std::string_view::npos);
    CHECK(thrown_by([&] { keys.check(); }) == rc::status::token_key);
    const rc::auth auth(keys);
    CHECK(auth.try_check().status() == rc::status::token_key);
    const auto started = rc::engine::try_start(local().auth(auth));
    CHECK(started.status() == rc::status::token_key);
    CHECK(started.text().find("auth: the secret for HS256") == 0);
    rc::engine engine = rc::engine::start(local());
    CHECK(engine.try_reload_auth(auth).status() == rc::status::token_key);
    CHECK(engine.try_reload_auth(rc::auth(rc::keys())).status() == rc::status::config);
    CHECK(rc::auth(rc::keys()).query("\xff").try_check().status() ==
          rc::status::invalid_argument);
}

TEST_CASE("a check of the host's own, and one that throws") {
    auto life = std::make_shared<int>(0);
    const std::weak_ptr<int> watched = life;
    {
        rc::auth auth = rc::auth::native([life](std::string_view token, std::uint64_t now_s,
                                                rc::claims &claims) {
            if (token == "old") return rc::status::token_expired;
            if (token == "oops") throw std::runtime_error("no");
            CHECK(now_s > 1700000000);
            claims.user(token).token_id("id").issued_at(now_s).expires_at(now_s + 100);
            if (token == "bad") claims.info("\xff");
            return rc::status::ok;
        });
        auth.header("X-Token").cookie("sid").query("token").optional().notice("renew");
        life.reset();
        rc::engine engine = rc::engine::start(local().auth(auth).on_opened(ignores));
        CHECK(asks(engine, "ada") == 101);
        CHECK(asks(engine, "old") == 401);
        CHECK(asks(engine, "oops") == 401);
        CHECK(asks(engine, "bad") == 401);
        CHECK(peer(engine.port(), "/", "X-Token: ada\r\n").status() == 101);
        CHECK(peer(engine.port(), "/", "Cookie: sid=ada\r\n").status() == 101);
        CHECK(peer(engine.port(), "/").status() == 101);
        CHECK_FALSE(watched.expired());
    }
    CHECK(watched.expired());
}

TEST_CASE("a token in a message, renewed, and at its end") {
    const signer signs;
    std::atomic<unsigned> expiring = 0;
    std::atomic<rc::close_reason> reason{};
    rc::auth auth(rc::keys().hs256(signs.text()).leeway(0s));
    auth.message("token ").notice("renew");
    rc::engine engine = rc::engine::start(
        local()
            .auth(auth)
            .on_expiring([&](const rc::event &event) {
                CHECK(event.kind() == rc::event_kind::expiring);
                CHECK(event.claims()->expires_at() > now() - 60);
                ++expiring;
            })
            .on_closed([&](const rc::event &event) { reason = event.close_reason(); }));
    const auto brief = [&](unsigned seconds) {
        return signs.token(R"({"sub": "ada", "exp": )" + std::to_string(now() + seconds) + "}");
    };
    peer ann = opened(engine);
    ann.say("token " + brief(20));
    CHECK(ann.text() == "renew");
    const auto there = engine.connections().at(0);
    CHECK(there.refresh(brief(10)));
    CHECK(ann.text() == "renew");
    CHECK(thrown_by([&] { there.refresh("x"); }) == rc::status::token);
    CHECK(there.try_refresh(signs.token(R"({"exp": 1})")).status() == rc::status::token_expired);
    CHECK(there.refresh(brief(2)));
    CHECK(ann.text() == "renew");
    CHECK(ann.close_code() == 4003);
    CHECK(comes_true([&] { return reason.load() == rc::close_reason::token_expired; }));
    CHECK(expiring == 3);
    CHECK_FALSE(there.refresh(brief(10)));
    CHECK_FALSE(there.revoke());
}

TEST_CASE("an accept brings claims, and revocations end") {
    rc::engine engine = rc::engine::start(
        local()
            .on_connecting([](const rc::event &event) {
                const auto user = event.request().query_value("user");
                event.pending().accept(rc::accept().claims(
                    rc::claims().user(*user).allow("r", {rc::verb::join, rc::verb::presence})));
            })
            .on_opened([](const rc::event &event) {
                CHECK(event.may(rc::verb::presence, "r"));
                CHECK_FALSE(event.may(rc::verb::publish, "r"));
            }));
    peer ann = opened(engine, "/?user=ann"), bob = opened(engine, "/?user=bob");
    CHECK(comes_true([&] { return engine.snapshot().connections == 2; }));
    engine.revoke_user("ann");
    CHECK(ann.close_code() == 4004);
    CHECK(comes_true([&] { return engine.connections().size() == 1; }));
    CHECK(engine.connections()[0].revoke());
    CHECK(bob.close_code() == 4004);
    CHECK(rc::claims().user("\xff").status() == rc::status::invalid_argument);
    rc::claims wrong;
    wrong.user("\xff").info("7");
    CHECK(wrong.view().info() == "7");
    CHECK(rc::pending(engine, 77).try_accept(rc::accept().claims(wrong)).status() ==
          rc::status::invalid_argument);
}

TEST_CASE("wishes are granted by tokens, or answered now, later and never") {
    std::mutex guard;
    std::map<std::string, rc::wish> kept;
    std::atomic<unsigned> asked = 0;
    const signer signs;
    rc::engine engine = rc::engine::start(
        local()
            .auth(rc::auth(rc::keys().hs256(signs.text())))
            .on_message([](const rc::event &event) {
                const auto room = event.message().text();
                CHECK(event.connection().request_join(room));
                CHECK(event.connection().request_join(room, rc::join().key("k")));
                CHECK(event.connection().request_publish(rc::publication("news").to(room)));
            })
            .on_permission([&](const rc::event &event) {
                const rc::wish wish = event.wish();
                CHECK(wish.room() == event.room());
                CHECK(wish.verb() == event.verb());
                CHECK(wish.id() == event.connection().id());
                if (event.verb() == rc::verb::publish) CHECK(event.message().text() == "news");
                ++asked;
                if (event.room() == "now") CHECK(wish.allow());
                if (event.room() == "no") wish.deny();
                if (event.room() == "throws") throw std::runtime_error("no");
                const std::lock_guard<std::mutex> held(guard);
                kept.emplace(std::string(event.room()), wish);
            }));
    peer ann(engine.port(), "/?token=" + signs.token(R"({"rooms": {"mine": "join publish"}})"));
    REQUIRE(ann.status() == 101);
    ann.say("mine");
    CHECK(comes_true([&] { return engine.count("mine") == 1; }));
    for (const char *room : {"now", "no", "later"}) ann.say(room);
    CHECK(comes_true([&] { return asked == 9; }));
    CHECK(engine.count("now") == 1);
    CHECK(engine.count("no") == 0);
    CHECK(engine.count("later") == 0);
    std::unique_lock<std::mutex> held(guard);
    CHECK(kept.at("later").allow());
    CHECK(kept.at("now").try_allow().status() == rc::status::answered);
    CHECK(thrown_by([&] { kept.at("no").deny(); }) == rc::status::answered);
    held.unlock();
    CHECK(engine.count("later") == 1);
    ann.say("throws");
    // What a handler throws ends the connection that it was about.
    CHECK(ann.close_code() == 1011);
    CHECK(engine.count("throws") == 0);
    CHECK(rc::wish().try_allow().status() == rc::status::invalid_argument);
    CHECK(rc::wish().room().empty());
}

TEST_CASE("a wish outlives its engine") {
    rc::wish wish;
    {
        rc::engine engine = rc::engine::start(
            local().queue({rc::event_kind::opened, rc::event_kind::permission}));
        peer ann = opened(engine);
        rc::events next = engine.wait(deadline);
        REQUIRE(next[0].kind() == rc::event_kind::opened);
        CHECK(next[0].connection().request_join("r"));
        rc::events asked = engine.wait(deadline);
        REQUIRE(asked[0].kind() == rc::event_kind::permission);
        wish = asked[0].wish();
    }
    CHECK(wish.room() == "r");
    CHECK(wish.try_allow().status() == rc::status::stopped);
    CHECK(wish.try_allow().status() == rc::status::answered);
}

TEST_CASE("an upgrade needs a token too") {
    const signer signs;
    rc::engine engine =
        rc::engine::start(local().auth(rc::auth(rc::keys().hs256(signs.text()))));
    const auto upgrade = [&](const std::string &target) {
        return engine.upgrade("GET", target,
                              {{"Host", "x"},
                               {"Connection", "upgrade"},
                               {"Upgrade", "websocket"},
                               {"Sec-WebSocket-Version", "13"},
                               {"Sec-WebSocket-Key", "dGhlIHNhbXBsZSBub25jZQ=="}});
    };
    CHECK(upgrade("/").http_status() == 401);
    CHECK_FALSE(upgrade("/").claims());
    const rc::upgrade good = upgrade("/?token=" + signs.token(R"({"sub": "ada"})"));
    CHECK(good.http_status() == 101);
    CHECK(good.claims()->user() == "ada");
}
