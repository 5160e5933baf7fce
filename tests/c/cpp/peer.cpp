// The WebSocket client of the suite.
#include "peer.hpp"

#include <arpa/inet.h>
#include <doctest/doctest.h>
#include <netinet/in.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

namespace {

bool readable(int fd, std::chrono::milliseconds time) {
    pollfd watched{fd, POLLIN, 0};
    return poll(&watched, 1, static_cast<int>(time.count())) > 0;
}

} // namespace

peer::peer(std::uint16_t port, const std::string &target, const std::string &more_headers)
    : fd_(connect(port)) {
    write(fd_, request(target, more_headers));
}

peer peer::on(int fd, bool asked) {
    peer made(fd);
    if (!asked) write(fd, request("/"));
    return made;
}

peer::~peer() {
    if (fd_ >= 0) close(fd_);
}

int peer::connect(std::uint16_t port) {
    const int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    sockaddr_in to{};
    to.sin_family = AF_INET;
    to.sin_port = htons(port);
    to.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    REQUIRE(::connect(fd, reinterpret_cast<sockaddr *>(&to), sizeof to) == 0);
    return fd;
}

std::string peer::request(const std::string &target, const std::string &more_headers) {
    return "GET " + target + " HTTP/1.1\r\nHost: suite\r\nUpgrade: websocket\r\n"
           "Connection: Upgrade\r\nSec-WebSocket-Version: 13\r\n"
           "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n" + more_headers + "\r\n";
}

void peer::write(int fd, const std::string &bytes) {
    std::size_t sent = 0;
    while (sent < bytes.size()) {
        const ssize_t n = ::send(fd, bytes.data() + sent, bytes.size() - sent, MSG_NOSIGNAL);
        if (n <= 0) return; // The other end has gone; what is read next tells.
        sent += static_cast<std::size_t>(n);
    }
}

bool peer::fill() {
    char some[4096];
    REQUIRE_MESSAGE(readable(fd_, deadline), "the engine was expected to say something");
    const ssize_t n = read(fd_, some, sizeof some);
    if (n <= 0) return false;
    in_.append(some, static_cast<std::size_t>(n));
    return true;
}

bool peer::need(std::size_t bytes) {
    while (in_.size() < bytes)
        if (!fill()) return false;
    return true;
}

std::string peer::take(std::size_t bytes) {
    std::string taken = in_.substr(0, bytes);
    in_.erase(0, bytes);
    return taken;
}

int peer::status() {
    while (head_.empty()) {
        const std::size_t end = in_.find("\r\n\r\n");
        if (end != std::string::npos) head_ = take(end + 4);
        else if (!fill()) return 0;
    }
    return std::stoi(head_.substr(9, 3));
}

std::string peer::body() {
    status();
    while (fill()) {}
    return take(in_.size());
}

void peer::send(unsigned opcode, const std::string &payload) {
    const char mask[4] = {0x11, 0x22, 0x33, 0x44};
    std::string bytes(1, static_cast<char>(0x80U | opcode));
    if (payload.size() < 126) {
        bytes += static_cast<char>(0x80U | payload.size());
    } else {
        bytes += static_cast<char>(0xfe);
        bytes += static_cast<char>(payload.size() >> 8U);
        bytes += static_cast<char>(payload.size() & 0xffU);
    }
    bytes.append(mask, sizeof mask);
    for (std::size_t i = 0; i < payload.size(); ++i)
        bytes += static_cast<char>(payload[i] ^ mask[i % 4]);
    write(fd_, bytes);
}

frame peer::hear() {
    if (head_.empty()) REQUIRE(status() == 101);
    for (;;) {
        if (!need(2)) return {};
        const auto byte = [this](std::size_t i) { return static_cast<unsigned char>(in_[i]); };
        const unsigned opcode = byte(0) & 0xfU;
        std::size_t length = byte(1) & 0x7fU;
        const std::size_t more = length == 126 ? 2 : length == 127 ? 8 : 0;
        if (!need(2 + more)) return {};
        if (more) length = 0;
        for (std::size_t i = 0; i < more; ++i) length = length << 8U | byte(2 + i);
        if (!need(2 + more + length)) return {};
        take(2 + more);
        std::string payload = take(length);
        if (opcode == 9) {
            send(10, payload);
        } else if (opcode == 8) {
            send(8, payload.substr(0, 2));
            const auto code = payload.size() < 2 ? 1005U
                : static_cast<unsigned>(static_cast<unsigned char>(payload[0])) << 8U
                      | static_cast<unsigned char>(payload[1]);
            return {8, payload.size() < 2 ? "" : payload.substr(2), code};
        } else {
            return {opcode, payload, 0};
        }
    }
}

std::string peer::text() {
    const frame next = hear();
    return next.opcode == 1 ? next.text : "opcode " + std::to_string(next.opcode);
}

unsigned peer::close_code() {
    for (;;) {
        const frame next = hear();
        if (next.opcode == 8 || next.opcode == 0) return next.close_code;
    }
}

bool peer::hears_nothing(std::chrono::milliseconds time) {
    return in_.empty() && !readable(fd_, time);
}

std::pair<int, std::string> get(std::uint16_t port, const std::string &path) {
    const int fd = peer::connect(port);
    peer::write(fd, "GET " + path + " HTTP/1.1\r\nHost: suite\r\nConnection: close\r\n\r\n");
    peer asked = peer::on(fd, true);
    const int status = asked.status();
    return {status, asked.body()};
}
