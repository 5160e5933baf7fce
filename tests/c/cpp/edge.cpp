// TLS, addresses behind proxies, and presence.
#include "edge.hpp"
#include "host.hpp"

#include <atomic>
#include <cstdio>
#include <memory>
#include <mutex>
#include <sys/stat.h>
#include <unistd.h>

namespace rc = roomcast;

using namespace std::chrono_literals;

namespace {

/// What is said and heard within TLS.
class secure {
public:
    explicit secure(const rc::engine_ref &engine, std::size_t listener, int version = 0)
        : tls_(edge_tls(peer::connect(engine.port(listener)), "a.example", version)) {}

    explicit operator bool() const { return tls_ != nullptr; }
    std::string name() const { return owned(edge_tls_name(tls_.get())); }
    void write(const std::string &bytes) {
        REQUIRE(SSL_write(tls_.get(), bytes.data(), static_cast<int>(bytes.size())) > 0);
    }
    /// Reads until the text was seen.
    bool reads(const std::string &text) {
        char some[4096];
        while (in_.find(text) == std::string::npos) {
            const int n = SSL_read(tls_.get(), some, sizeof some);
            if (n <= 0) return false;
            in_.append(some, static_cast<std::size_t>(n));
        }
        return true;
    }

private:
    struct freed {
        void operator()(SSL *tls) const { SSL_free(tls); }
    };
    std::unique_ptr<SSL, freed> tls_;
    std::string in_;
};

/// A folder of its own.
std::string new_folder() {
    const char *base = std::getenv("TMPDIR");
    std::string folder = std::string(base ? base : ".") + "/edge-XXXXXX";
    REQUIRE(mkdtemp(folder.data()));
    return folder;
}

rc::config &with_tls(rc::config &settings) {
    return settings.listen("127.0.0.1:0", rc::listen_options().tls());
}

} // namespace

TEST_CASE("a peer is let in within TLS, and stays under new certificates") {
    const certificate first("a.example"), second("b.example");
    rc::config settings = local();
    with_tls(settings).tls(rc::tls().pair(first.pem(), first.key())).on_connecting(into_lobby());
    rc::engine engine = rc::engine::start(settings);
    secure ann(engine, 1);
    REQUIRE(ann);
    CHECK(ann.name() == "a.example");
    ann.write(peer::request("/"));
    CHECK(ann.reads("HTTP/1.1 101"));
    engine.reload_tls(rc::tls().pair(second.pem(), second.key()));
    CHECK(secure(engine, 1).name() == "b.example");
    CHECK(engine.publish("lobby", "still here").members == 1);
    CHECK(ann.reads("still here"));
    CHECK(engine.snapshot().tls_handshakes == 2);
}

TEST_CASE("a certificate is found by name, from files too, and TLS 1.2 may be refused") {
    const certificate first("x.example"), second("a.example");
    const std::string folder = new_folder(), path = folder + "/both.pem";
    std::FILE *file = std::fopen(path.c_str(), "w");
    REQUIRE(file);
    std::fprintf(file, "%s%s", second.pem(), second.key());
    std::fclose(file);
    rc::tls tls;
    tls.pair(first.pem(), first.key()).files(path, path).tls13_only().check();
    CHECK(unlink(path.c_str()) == 0);
    CHECK(rmdir(folder.c_str()) == 0);
    rc::config settings = local();
    rc::engine engine = rc::engine::start(with_tls(settings).tls(tls));
    CHECK(secure(engine, 1).name() == "a.example");
    CHECK_FALSE(secure(engine, 1, TLS1_2_VERSION));
}

TEST_CASE("what cannot be a certificate is told by whatever it is given to") {
    const certificate one("a.example"), two("b.example");
    rc::tls wrong;
    wrong.pair(one.pem(), two.key()).pair(one.pem(), one.key());
    CHECK(wrong.try_check().status() == rc::status::certificate);
    CHECK(thrown_by([&] { wrong.check(); }) == rc::status::certificate);
    const auto started = rc::engine::try_start(local().tls(wrong));
    CHECK(started.status() == rc::status::certificate);
    CHECK(started.text().find("tls: the private key is not") == 0);
    CHECK(rc::tls().files("/no/such", "/no/such").try_check().status() == rc::status::io);
    rc::engine engine = rc::engine::start(local());
    CHECK(engine.try_reload_tls(wrong).status() == rc::status::certificate);
    rc::tls good;
    good.pair(one.pem(), one.key());
    CHECK(engine.try_reload_tls(good).status() == rc::status::config);
    rc::config settings = local();
    CHECK(rc::engine::try_start(with_tls(settings)).status() == rc::status::config);
}

TEST_CASE("proxies are believed as far as they are trusted") {
    std::mutex guard;
    std::string last;
    const auto notes = [&](const rc::event &event) {
        const std::lock_guard<std::mutex> held(guard);
        last = event.request().peer_ip().value_or("none");
        event.pending().accept();
    };
    const auto told = [&](const rc::engine &engine, const std::string &headers) {
        CHECK(peer(engine.port(), "/", headers).status() == 101);
        const std::lock_guard<std::mutex> held(guard);
        return last;
    };
    const std::string forwarded = "Forwarded: for=192.0.2.1\r\n";
    rc::engine nobody = rc::engine::start(local().on_connecting(notes));
    CHECK(told(nobody, "X-Forwarded-For: 192.0.2.1\r\n") == "127.0.0.1");
    rc::engine trusts = rc::engine::start(
        local()
            .trusted_proxies({"127.0.0.0/8", "::1"})
            .forwarded_header(rc::forwarded_header::forwarded)
            .listen("127.0.0.1:0", rc::listen_options().proxy_protocol())
            .on_connecting(notes));
    CHECK(told(trusts, forwarded) == "192.0.2.1");
    CHECK(told(trusts, "X-Forwarded-For: 192.0.2.1\r\n") == "127.0.0.1");
    const int fd = peer::connect(trusts.port(1));
    peer::write(fd, "PROXY TCP4 192.0.2.7 192.0.2.8 4711 80\r\n");
    CHECK(peer::on(fd).status() == 101);
    {
        const std::lock_guard<std::mutex> held(guard);
        CHECK(last == "192.0.2.7");
    }
    CHECK(rc::engine::try_start(local().trusted_proxies({"nonsense"})).status() ==
          rc::status::config);
}

TEST_CASE("a unix socket has its permissions") {
    const std::string folder = new_folder(), path = folder + "/s";
    {
        rc::config settings;
        settings.listen_unix(path, rc::listen_options().unix_mode(0640));
        rc::engine engine = rc::engine::start(settings);
        struct stat status {};
        CHECK(stat(path.c_str(), &status) == 0);
        CHECK((status.st_mode & 07777) == 0640);
    }
    CHECK(rmdir(folder.c_str()) == 0);
}

TEST_CASE("members and users are counted, listed and told of each other") {
    const auto options = rc::room_options().presence().presence_interval(20ms);
    rc::engine engine = rc::engine::start(
        local().room_options("lobby", options).on_connecting([](const rc::event &event) {
            const auto user = event.request().query_value("user");
            rc::accept as;
            as.room("lobby").info(R"({"n":1})");
            if (user) as.user(*user);
            event.pending().accept(as);
        }));
    CHECK(engine.presence("lobby").counts_users);
    CHECK_FALSE(engine.presence("other").counts_users);
    peer ann = opened(engine, "/?user=ann");
    const std::string notice = ann.text();
    CHECK(notice.find(R"("user":"ann","info":{"n":1})") != std::string::npos);
    peer bob = opened(engine, "/?user=bob"), eve = opened(engine);
    CHECK(comes_true([&] { return engine.presence("lobby").members == 3; }));
    CHECK(engine.presence("lobby").users == 2);
    const auto first = engine.present("lobby", 0, 2);
    REQUIRE(first.members.size() == 2);
    CHECK(first.members[0].user == "ann");
    CHECK(first.members[0].info == R"({"n":1})");
    CHECK(first.members[0].connection.is_open());
    CHECK(first.next != 0);
    const rc::room room = engine.room("lobby");
    CHECK(room.presence().members == 3);
    const auto rest = room.present(first.next);
    REQUIRE(rest.members.size() == 1);
    CHECK_FALSE(rest.members[0].user);
    CHECK(rest.next == 0);
    CHECK(engine.present("other").members.empty());
    CHECK(engine.try_present("\xff").status() == rc::status::invalid_argument);
}
