// A host without exceptions and RTTI: every call gives a result. No test framework, for the same
// reason; it talks to itself over a socketpair and says on stderr what is wrong.
#include <roomcast.hpp>

#include <atomic>
#include <cstdio>
#include <sys/socket.h>
#include <unistd.h>

namespace {

int wrong = 0;

void expect(bool so, const char *what) {
    if (so) return;
    ++wrong;
    std::fprintf(stderr, "plain: not so: %s\n", what);
}

/// Reads until the text was seen; the socket times out.
bool reads(int fd, std::string &in, std::string_view text) {
    char some[1024];
    while (in.find(text) == std::string::npos) {
        const ssize_t n = read(fd, some, sizeof some);
        if (n <= 0) return false;
        in.append(some, static_cast<std::size_t>(n));
    }
    return true;
}

void says(int fd, std::string_view bytes) {
    const ssize_t n = send(fd, bytes.data(), bytes.size(), MSG_NOSIGNAL);
    expect(n == static_cast<ssize_t>(bytes.size()), "all is sent");
}

} // namespace

int main() {
    std::atomic<int> messages{0};
    roomcast::config settings;
    settings.listen("127.0.0.1:0")
        .on_connecting([](const roomcast::event &event) {
            const auto done = event.pending().try_accept(
                roomcast::accept().room("lobby").data(std::make_shared<int>(7)));
            expect(static_cast<bool>(done), "accepting");
        })
        .on_message([&](const roomcast::event &event) {
            const int *seven = event.data<int>();
            expect(seven && *seven == 7, "data without RTTI");
            expect(!event.data<long>(), "data of another type");
            const auto done = event.engine().try_publish("lobby", event.message());
            expect(done.status() == roomcast::status::ok, "publishing in a handler");
            ++messages;
        });
    const roomcast::tls no_certificate;
    expect(static_cast<bool>(no_certificate.try_check()), "TLS is built in");
    roomcast::keys keys;
    keys.hs256("short");
    expect(keys.try_check().status() == roomcast::status::token_key, "a key that is none");
    roomcast::auth auth = roomcast::auth::native(
        [](std::string_view, std::uint64_t, roomcast::claims &) { return roomcast::status::ok; });
    settings.auth(auth.optional()).on_permission([](const roomcast::event &event) {
        expect(!event.may(roomcast::verb::join, "lobby"), "nobody has rights");
        expect(static_cast<bool>(event.wish().try_deny()), "denying");
    });
    auto started = roomcast::engine::try_start(settings);
    expect(static_cast<bool>(started), "starting");
    if (!started) return 1;
    roomcast::engine engine = std::move(started).value();

    int ends[2];
    expect(socketpair(AF_UNIX, SOCK_STREAM, 0, ends) == 0, "a socketpair");
    const timeval patience = {10, 0};
    setsockopt(ends[1], SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience);
    expect(static_cast<bool>(engine.try_adopt(ends[0])), "adopting");
    says(ends[1], "GET / HTTP/1.1\r\nHost: plain\r\nUpgrade: websocket\r\n"
                  "Connection: Upgrade\r\nSec-WebSocket-Version: 13\r\n"
                  "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n");
    std::string in;
    expect(reads(ends[1], in, "\r\n\r\n"), "an answer");
    const char frame[] = "\x81\x82\0\0\0\0hi";
    says(ends[1], std::string_view(frame, sizeof frame - 1));
    expect(reads(ends[1], in, "\x81\x02hi"), "the message comes back");
    expect(messages == 1, "one message");

    expect(engine.try_publish("", "x").status() == roomcast::status::room_name, "no name");
    auto room = engine.try_room("lobby");
    expect(room && *room->try_members() == 1, "a held room");
    expect(static_cast<bool>(engine.try_corked([&] { expect(bool(room->try_publish("x")), "x"); })),
           "corked");
    std::vector<roomcast::connection> there = *engine.try_connections();
    expect(there.size() == 1, "one connection");
    const auto written = roomcast::filter::try_of("key == 'a'");
    expect(static_cast<bool>(written), "a filter");
    expect(!roomcast::filter::try_of("key = 'a'"), "no filter");
    const auto native = roomcast::filter::native(
        "none", [](const roomcast::labels &labels, roomcast::bytes_view) { return !labels.key(); });
    const auto joined = there[0].try_join(
        "keys",
        roomcast::join().filter(roomcast::filter::eq(roomcast::field::key(), "a") || native));
    expect(static_cast<bool>(joined), "joining with a filter");
    const auto tracked =
        engine.try_publish_tracked(roomcast::publication("seen").to("keys").key("a"));
    expect(static_cast<bool>(tracked), "tracking");
    expect(reads(ends[1], in, "seen"), "what matches comes");
    const auto missing = roomcast::engine::try_start(roomcast::config().listen("nowhere"));
    expect(!missing && missing.text().find("nowhere") != std::string_view::npos, "why");
    expect(static_cast<bool>(engine.try_stop()), "stopping");
    close(ends[1]);
    if (wrong == 0) std::puts("plain: all is well");
    return wrong != 0;
}
