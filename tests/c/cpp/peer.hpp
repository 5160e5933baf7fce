// A WebSocket client for the suite: blocking POSIX sockets, a deadline on every wait. One thread.
#ifndef PEER_HPP
#define PEER_HPP

#include <chrono>
#include <cstdint>
#include <string>
#include <utility>

/// What nothing in this suite takes.
constexpr auto deadline = std::chrono::seconds(10);

/// A message or a close frame; `opcode` 0 for the end of the stream.
struct frame {
    unsigned opcode = 0;
    std::string text;
    unsigned close_code = 0;
};

class peer {
public:
    /// Connects and asks; `status()` tells what was answered.
    explicit peer(std::uint16_t port, const std::string &target = "/",
                  const std::string &more_headers = "");
    /// Takes a connected socket over, and asks on it unless `asked`.
    static peer on(int fd, bool asked = false);
    peer(peer &&from) noexcept : fd_(std::exchange(from.fd_, -1)), in_(std::move(from.in_)),
                                 head_(std::move(from.head_)) {}
    peer &operator=(peer &&) = delete;
    ~peer();

    /// Reads the head of the answer where that was not done; its HTTP status, 0 for none.
    int status();
    /// The answer's head.
    const std::string &head() const { return head_; }
    /// What came behind the head until the end of the stream: a page.
    std::string body();

    void say(const std::string &text) { send(1, text); }
    void send(unsigned opcode, const std::string &payload);
    /// The next message, or the close frame (which is answered), or the end.
    frame hear();
    /// The next message's text; of anything else a text that says what it was.
    std::string text();
    /// Reads until a close frame or the end; the close code, 0 without one.
    unsigned close_code();
    /// Whether nothing is there to be read for this time.
    bool hears_nothing(std::chrono::milliseconds time);

    /// The request of a WebSocket.
    static std::string request(const std::string &target, const std::string &more_headers = "");
    /// A new TCP connection to a port of 127.0.0.1.
    static int connect(std::uint16_t port);
    static void write(int fd, const std::string &bytes);

private:
    explicit peer(int fd) : fd_(fd) {}
    /// Reads more; false at the end of the stream. Fails the test after the deadline.
    bool fill();
    bool need(std::size_t bytes);
    std::string take(std::size_t bytes);

    int fd_ = -1;
    std::string in_;
    std::string head_;
};

/// Answers a GET: the status and the body.
std::pair<int, std::string> get(std::uint16_t port, const std::string &path);

#endif
