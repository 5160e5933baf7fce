// The demonstration in C++: browser windows share live boards, and see the engine's own figures.
//
// A board is a room: cursors and notes of its members move as people move them. Twice a second the
// engine's figures are published to a room of their own. A button adds synthetic users: WebSocket
// clients on a thread of this program. The page, and the lines that it and this host exchange, are
// those of core/examples/board (see lines.rs there). Handlers run on the engine's threads; what
// they share is under a board's lock, and publishing under it is fine, since it never waits.
//
//     c++ -std=c++17 board.cpp -o board $(pkg-config --cflags --libs roomcast) -pthread
//     ./board --port 8080
#include <roomcast.hpp>

#include <algorithm>
#include <arpa/inet.h>
#include <array>
#include <atomic>
#include <cerrno>
#include <charconv>
#include <cmath>
#include <cstdio>
#include <cstring>
#include <ctime>
#include <deque>
#include <filesystem>
#include <fstream>
#include <map>
#include <mutex>
#include <netinet/in.h>
#include <random>
#include <sys/resource.h>
#include <sys/socket.h>
#include <thread>
#include <unistd.h>

using namespace std::chrono_literals;
using clock_type = std::chrono::steady_clock;

namespace {

constexpr unsigned place_max = 10'000, notes_max = 200;
constexpr double burst = 300, per_second = 150; // messages of one connection

// ---- What a page says: one line per message, bounded before anything is done --------------------

/// Takes a line apart; what is not as it should be makes it bad.
struct line {
    std::string_view rest;
    bool bad = false;

    std::string_view word() {
        const auto end = std::min(rest.find(' '), rest.size());
        const auto found = rest.substr(0, end);
        rest.remove_prefix(std::min(end + 1, rest.size()));
        return found;
    }
    unsigned number(unsigned most) {
        const auto text = word();
        unsigned value = 0;
        const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
        bad |= error != std::errc() || end != text.data() + text.size() || value > most;
        return value;
    }
    /// The rest as UTF-8 without control characters, cut.
    std::string text(std::size_t chars_max) {
        std::string kept;
        std::size_t chars = 0;
        for (const char c : rest) {
            const auto byte = static_cast<unsigned char>(c);
            if (byte < 0x20 || byte == 0x7f) continue;
            if ((byte & 0xc0U) != 0x80 && ++chars > chars_max) break;
            kept += c;
        }
        return kept;
    }
};

template <class... Parts>
std::string join(const Parts &...parts) {
    std::string all;
    const auto add = [&](const auto &part) {
        if constexpr (std::is_arithmetic_v<std::decay_t<decltype(part)>>)
            all += std::to_string(part);
        else
            all += part;
        all += ' ';
    };
    (add(parts), ...);
    all.pop_back();
    return all;
}

// ---- The boards ---------------------------------------------------------------------------------

/// What the host knows of a connection; only its own handlers touch it, one after the other.
struct member {
    unsigned number, hue;
    bool synthetic;
    std::string name;
    std::size_t board;
    double allowance = burst;
    clock_type::time_point last = clock_type::now();

    bool may_say_more() {
        const auto now = clock_type::now();
        const std::chrono::duration<double> passed = now - last;
        last = now;
        allowance = std::min(allowance + passed.count() * per_second, burst) - 1;
        return allowance >= 0;
    }
};

struct seat {
    unsigned hue;
    bool synthetic;
    std::string name, place = "- -";

    std::string told(unsigned number) const {
        return join("p", number, hue, synthetic ? "s" : "h", place, name);
    }
};

struct note {
    unsigned x, y, hue;
    std::string text;

    std::string told(unsigned id, unsigned by) const {
        return join("n", id, x, y, hue, by, text);
    }
};

class board {
public:
    board(const char *key, const char *title) : key_(key), title_(title) {
        put(900, 1200, "Open this page in a second window and drag me.");
        put(4100, 2600, "Double click on the board: a note of your own.");
        put(6900, 6300, "Add 300 users, then drag a note. Does it still follow at once?");
    }

    const std::string &key() const { return key_; }
    std::string tab() const { return join("b", key_, title_); }
    std::size_t count() {
        const std::lock_guard held(guard_);
        return seats_.size();
    }

    /// The member is told what is there, and from then on of changes.
    void enter(const roomcast::connection &connection, const member &who) {
        const std::lock_guard held(guard_);
        const auto &mine = seats_[who.number] = {who.hue, who.synthetic, who.name};
        tell(connection.engine(), mine.told(who.number));
        connection.join(room());
        if (!who.synthetic) connection.send(everything());
    }

    void leave(const roomcast::connection &connection, const member &who) {
        const std::lock_guard held(guard_);
        seats_.erase(who.number);
        connection.leave(room());
        tell(connection.engine(), join("q", who.number));
    }

    /// Does what a member's line says; false where it is no line.
    bool on_line(const roomcast::connection &from, member &who, std::string_view word, line said) {
        const std::lock_guard held(guard_);
        const auto mine = seats_.find(who.number);
        if (mine == seats_.end()) return true;
        if (word == "w") {
            const std::string name = said.text(24);
            if (name.find_first_not_of(' ') == std::string::npos) return false;
            who.name = mine->second.name = name;
            tell(from.engine(), join("w", who.number, name));
        } else if (word == "m") {
            const unsigned x = said.number(place_max), y = said.number(place_max);
            if (said.bad) return false;
            mine->second.place = join(x, y);
            tell(from.engine(), join("c", who.number, x, y), from.id());
        } else if (word == "n") {
            const unsigned x = said.number(place_max), y = said.number(place_max);
            if (said.bad) return false;
            if (notes_.size() >= notes_max) return from.send("say This board is full."), true;
            const unsigned id = put(x, y, "");
            tell(from.engine(), notes_[id].told(id, who.number));
        } else {
            return on_note(from, word, said);
        }
        return true;
    }

    /// Publishes everything, where a change could not be published.
    void refresh(const roomcast::engine_ref &engine) {
        const std::lock_guard held(guard_);
        if (std::exchange(untold_, false)) tell(engine, everything());
    }

private:
    std::string room() const { return "board:" + key_; }

    bool on_note(const roomcast::connection &from, std::string_view word, line said) {
        const unsigned id = said.number(~0U);
        const auto found = notes_.find(id);
        if (said.bad || word.size() != 1 || !std::strchr("dtx", word[0])) return false;
        if (found == notes_.end()) return true; // Somebody else has just removed it.
        if (word == "d") {
            const unsigned x = said.number(place_max), y = said.number(place_max);
            if (said.bad) return false;
            found->second.x = x;
            found->second.y = y;
            tell(from.engine(), join("d", id, x, y), from.id());
        } else if (word == "t") {
            found->second.text = said.text(200);
            tell(from.engine(), join("t", id, found->second.text), from.id());
        } else {
            notes_.erase(found);
            tell(from.engine(), join("x", id));
        }
        return true;
    }

    unsigned put(unsigned x, unsigned y, const char *text) {
        constexpr unsigned hues[] = {45, 210, 140, 330, 265, 15};
        const unsigned id = ++last_note_;
        notes_[id] = {x, y, hues[id % std::size(hues)], text};
        return id;
    }

    void tell(const roomcast::engine_ref &engine, const std::string &what,
              roomcast::connection_id except = 0) {
        const std::string to = room();
        roomcast::publication told(what);
        told.to(to);
        if (except != 0) told.except(except);
        if (!engine.try_publish(told)) untold_ = true;
    }

    std::string everything() const {
        std::string lines = join("room", key_);
        for (const auto &[number, seat] : seats_) lines += "\n" + seat.told(number);
        for (const auto &[id, note] : notes_) lines += "\n" + note.told(id, 0);
        return lines;
    }

    const std::string key_, title_;
    std::mutex guard_;
    std::map<unsigned, seat> seats_;
    std::map<unsigned, note> notes_;
    bool untold_ = false;
    inline static std::atomic<unsigned> last_note_ = 0;
};

using boards = std::array<board, 4>;

std::string any_name(std::mt19937 &dice) {
    constexpr const char *manners[] = {"Amber", "Bold", "Calm", "Eager", "Jolly", "Quiet", "Sunny"};
    constexpr const char *animals[] = {"Badger", "Crane", "Fox", "Heron", "Lynx", "Otter", "Seal"};
    return join(manners[dice() % std::size(manners)], animals[dice() % std::size(animals)]);
}

// ---- The engine's figures -----------------------------------------------------------------------

/// What follows a word in a text, as a number; 0 where it does not occur.
double number_behind(std::string_view text, std::string_view word) {
    const auto at = text.find(word);
    if (at == std::string_view::npos) return 0;
    return std::strtod(std::string(text.substr(at + word.size(), 40)).c_str(), nullptr);
}

/// Bytes of this process in memory; 0 where the system does not say.
std::uint64_t memory_bytes() {
    std::ifstream in("/proc/self/status");
    const std::string text{std::istreambuf_iterator<char>(in), {}};
    return static_cast<std::uint64_t>(number_behind(text, "VmRSS:")) * 1024;
}

/// How many publications were flushed within so many nanoseconds, for bounds that ascend.
std::vector<std::pair<double, double>> flushed(std::string_view metrics) {
    constexpr std::string_view name = "\nroomcast_publish_to_flush_seconds_bucket{le=\"";
    std::vector<std::pair<double, double>> found;
    for (auto at = metrics.find(name); at != std::string_view::npos; at = metrics.find(name)) {
        metrics.remove_prefix(at);
        found.emplace_back(1e9 * number_behind(metrics, name), number_behind(metrics, "\"} "));
        metrics.remove_prefix(name.size());
    }
    return found;
}

class meter {
public:
    /// Another sample, as a line; all in it is since the sample before.
    std::string sample(const roomcast_snapshot &now, std::string_view metrics, boards &all,
                       unsigned users, unsigned most) {
        const std::lock_guard held(guard_);
        const auto flushes = flushed(metrics);
        const auto cpu = std::clock();
        const auto time = clock_type::now();
        const std::chrono::duration<double> passed = time - time_;
        const double used = static_cast<double>(cpu - cpu_) / CLOCKS_PER_SEC;
        const auto rate = [](std::uint64_t n, std::uint64_t before) { return 2 * (n - before); };
        const auto frames = now.deliveries - before_.deliveries;
        const auto writes = now.writes - before_.writes;
        const auto per_write = static_cast<double>(frames) / static_cast<double>(writes | 1U);
        std::string counts;
        for (auto &one : all)
            counts += (counts.empty() ? "in=" : ",") + std::to_string(one.count());
        const auto pair = [](const char *key, auto value) { return key + std::to_string(value); };
        std::string line = join(
            "s", pair("seq=", ++number_), pair("rate=", rate(now.deliveries, before_.deliveries)),
            pair("pub=", rate(now.publications, before_.publications)),
            pair("writes=", rate(now.writes, before_.writes)), pair("fpw=", per_write),
            pair("p50=", quantile(flushes, 0.5)), pair("p99=", quantile(flushes, 0.99)),
            pair("cpu=", 100 * used / passed.count()), pair("mem=", memory_bytes()),
            pair("conns=", now.connections), pair("lag=", now.tape_bytes + now.outbox_bytes),
            pair("slow=", now.too_slow), pair("refused=", now.refused), pair("synth=", users),
            pair("synthmax=", most), counts);
        before_ = now;
        flushes_ = flushes;
        cpu_ = cpu;
        time_ = time;
        past_.push_back(line);
        if (past_.size() > 240) past_.pop_front();
        return line;
    }

    std::string history() {
        const std::lock_guard held(guard_);
        std::string lines;
        for (const auto &line : past_) lines += "\n" + line;
        return lines;
    }

private:
    /// An upper bound of the time that this share of the flushes since the last sample took.
    std::uint64_t quantile(const std::vector<std::pair<double, double>> &now, double share) const {
        const auto since = [&](std::size_t i) {
            return now[i].second - (i < flushes_.size() ? flushes_[i].second : 0);
        };
        if (now.empty() || since(now.size() - 1) <= 0) return 0;
        const double rank = share * since(now.size() - 1);
        std::size_t i = 0;
        while (i + 2 < now.size() && since(i) < rank) ++i; // The last bound is infinity.
        return static_cast<std::uint64_t>(now[i].first);
    }

    std::mutex guard_;
    unsigned number_ = 0;
    roomcast_snapshot before_{};
    std::vector<std::pair<double, double>> flushes_;
    std::clock_t cpu_ = std::clock();
    clock_type::time_point time_ = clock_type::now();
    std::deque<std::string> past_;
};

// ---- Synthetic users: WebSocket clients that walk, on one thread --------------------------------

class crowd {
public:
    /// How many there may be: each takes two descriptors of this process.
    static unsigned most() {
        rlimit files{};
        getrlimit(RLIMIT_NOFILE, &files);
        return static_cast<unsigned>(std::clamp<rlim_t>(files.rlim_cur / 2, 100, 1'000) - 100);
    }
    /// So many more on a board; 0 sends all away. From any thread.
    void order(const std::string &board, unsigned count) {
        const std::lock_guard held(guard_);
        board_ = board;
        wanted_ = count == 0 ? 0 : std::min(wanted_ + count, most());
    }
    unsigned count() const { return count_; }

    void start(std::uint16_t port) {
        thread_ = std::thread([this, port] { run(port); });
    }
    ~crowd() {
        ended_ = true;
        if (thread_.joinable()) thread_.join();
    }

private:
    void run(std::uint16_t port) {
        std::vector<user> users;
        for (; !ended_; std::this_thread::sleep_for(100ms)) {
            const auto [board, wanted] = orders();
            for (auto &one : users)
                if (!step(one)) one.socket = descriptor();
            const auto gone = [](const user &one) { return one.socket.fd < 0; };
            users.erase(std::remove_if(users.begin(), users.end(), gone), users.end());
            if (users.size() > wanted) users.resize(wanted);
            while (users.size() < wanted && join_in(users, port, board)) {}
            count_ = static_cast<unsigned>(users.size());
        }
    }

    struct descriptor {
        explicit descriptor(int of = -1) : fd(of) {}
        descriptor(descriptor &&from) noexcept : fd(std::exchange(from.fd, -1)) {}
        descriptor &operator=(descriptor &&from) noexcept { return std::swap(fd, from.fd), *this; }
        ~descriptor() {
            if (fd >= 0) close(fd);
        }
        int fd;
    };
    struct user {
        descriptor socket;
        double x = 0, y = 0, to_x = 0, to_y = 0;
    };

    std::pair<std::string, unsigned> orders() {
        const std::lock_guard held(guard_);
        return {board_, wanted_};
    }
    double anywhere() { return static_cast<double>(dice_() % (place_max + 1)); }

    bool join_in(std::vector<user> &users, std::uint16_t port, const std::string &board) {
        user one{descriptor(socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0))};
        sockaddr_in to{};
        to.sin_family = AF_INET;
        to.sin_port = htons(port);
        to.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
        const auto *address = reinterpret_cast<const sockaddr *>(&to);
        if (connect(one.socket.fd, address, sizeof to) != 0) return false;
        const std::string head = "GET /ws?synthetic=1&board=" + board + " HTTP/1.1\r\n"
            "Host: board\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
            "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n";
        send(one.socket.fd, head.data(), head.size(), MSG_NOSIGNAL);
        one.x = one.to_x = anywhere();
        one.y = one.to_y = anywhere();
        users.push_back(std::move(one));
        return true;
    }

    /// Passes over what came, walks on and says where it is; false once it was let go of.
    bool step(user &one) {
        char some[16'384];
        ssize_t n = 0;
        while ((n = recv(one.socket.fd, some, sizeof some, MSG_DONTWAIT)) > 0) {}
        if (n == 0 || (errno != EAGAIN && errno != EINTR)) return false;
        const double dx = one.to_x - one.x, dy = one.to_y - one.y, way = std::hypot(dx, dy);
        if (way < 200) {
            one.to_x = anywhere();
            one.to_y = anywhere();
            return true;
        }
        one.x += dx / way * 200;
        one.y += dy / way * 200;
        const auto said = join("m", static_cast<unsigned>(one.x), static_cast<unsigned>(one.y));
        // A masked text frame; a mask of zeros leaves the text as it is.
        std::string frame = {'\x81', static_cast<char>(0x80U | said.size()), 0, 0, 0, 0};
        frame += said;
        const auto sent =
            send(one.socket.fd, frame.data(), frame.size(), MSG_DONTWAIT | MSG_NOSIGNAL);
        return sent == static_cast<ssize_t>(frame.size()) || (sent < 0 && errno == EAGAIN);
    }

    std::mutex guard_;
    std::string board_;
    unsigned wanted_ = 0;
    std::atomic<unsigned> count_ = 0;
    std::atomic<bool> ended_ = false;
    std::thread thread_;
    std::mt19937 dice_{std::random_device()()};
};

// ---- The host -----------------------------------------------------------------------------------

/// The page's files by path: type and content.
using files = std::map<std::string, std::pair<const char *, std::string>, std::less<>>;

files read_page(const std::filesystem::path &folder) {
    const std::map<std::string, const char *> types = {{".html", "text/html; charset=utf-8"},
                                                       {".css", "text/css; charset=utf-8"},
                                                       {".js", "text/javascript; charset=utf-8"}};
    files all;
    for (const auto &entry : std::filesystem::directory_iterator(folder)) {
        const auto type = types.find(entry.path().extension().string());
        if (type == types.end()) continue;
        std::ifstream in(entry.path(), std::ios::binary);
        std::string content{std::istreambuf_iterator<char>(in), {}};
        const auto name = entry.path().filename().string();
        all["/" + (name == "index.html" ? "" : name)] = {type->second, std::move(content)};
    }
    return all;
}

struct host {
    boards all{{{"main", "Workshop"}, {"retro", "Retrospective"}, {"plan", "Planning"},
                {"play", "Playground"}}};
    meter figures;
    crowd users;
    std::mutex guard;
    std::mt19937 dice{std::random_device()()};
    unsigned last_member = 0;

    std::size_t find(std::string_view key) const {
        for (std::size_t i = 0; i < all.size(); ++i)
            if (all[i].key() == key) return i;
        return all.size();
    }

    void connecting(const roomcast::event &event) {
        const auto asked = event.request();
        if (asked.path() != "/ws")
            return static_cast<void>(event.pending().refuse(404, "the WebSocket is at /ws"));
        const bool synthetic = asked.query_value("synthetic").has_value();
        const auto board = find(asked.query_value("board").value_or(""));
        roomcast::accept as;
        {
            const std::lock_guard held(guard);
            as.data(std::make_unique<member>(member{
                ++last_member, static_cast<unsigned>(dice() % 360), synthetic, any_name(dice),
                board % all.size()}));
        }
        if (!synthetic) as.room("metrics");
        event.pending().accept(as);
    }

    void opened(const roomcast::event &event) {
        member &who = *event.data<member>();
        std::string greeting = join("hello", who.number);
        for (const auto &one : all) greeting += "\n" + one.tab();
        if (!who.synthetic) event.connection().send(greeting + figures.history());
        all[who.board].enter(event.connection(), who);
    }

    void message(const roomcast::event &event) {
        member &who = *event.data<member>();
        const auto connection = event.connection();
        if (!who.may_say_more())
            return static_cast<void>(connection.close(1008, "too many messages a second"));
        line said{event.message().text()};
        const auto word = said.word();
        bool good = true;
        if (word == "e") {
            connection.send(join("e", said.text(24)));
        } else if (word == "users") {
            const unsigned count = said.number(100'000);
            if ((good = !said.bad)) users.order(all[who.board].key(), count);
        } else if (word == "b") {
            const auto other = find(said.rest);
            if (other == all.size()) return;
            all[who.board].leave(connection, who);
            who.board = other;
            all[who.board].enter(connection, who);
        } else {
            good = all[who.board].on_line(connection, who, word, said);
        }
        if (!good) connection.close(1008, "this is no line of the board's");
    }

    void closed(const roomcast::event &event) {
        const member &who = *event.data<member>();
        all[who.board].leave(event.connection(), who);
    }
};

int run(std::uint16_t port, const std::string &folder) {
    const files page = read_page(folder);
    host here;
    auto engine = roomcast::engine::start(
        roomcast::config()
            .listen("127.0.0.1:" + std::to_string(port))
            .limit(roomcast::limit::connections_max, 2'000)
            .limit(roomcast::limit::message_bytes_max, 2'048)
            .metrics_path("/metrics")
            .pages([&](const roomcast::request &asked, roomcast::page &answer) {
                const auto found = page.find(asked.path());
                if (found != page.end()) answer.set(found->second.first, found->second.second);
            })
            .on_connecting([&](const roomcast::event &event) { here.connecting(event); })
            .on_opened([&](const roomcast::event &event) { here.opened(event); })
            .on_message([&](const roomcast::event &event) { here.message(event); })
            .on_closed([&](const roomcast::event &event) { here.closed(event); })
            .log([](roomcast::log_level level, std::string_view line) {
                if (level >= roomcast::log_level::warn)
                    std::fprintf(stderr, "%.*s\n", static_cast<int>(line.size()), line.data());
            }));
    here.users.start(engine.port());
    std::printf("roomcast board: open http://%s/ in several windows\n",
                engine.addresses()[0].c_str());
    std::fflush(stdout);
    for (;; std::this_thread::sleep_for(500ms)) {
        for (auto &one : here.all) one.refresh(engine);
        const auto sample = here.figures.sample(engine.snapshot(), engine.metrics(), here.all,
                                                here.users.count(), crowd::most());
        static_cast<void>(engine.try_publish("metrics", sample));
    }
}

} // namespace

int main(int count, char **words) {
    const auto source = std::filesystem::path(__FILE__).parent_path();
    std::string folder = (source / "../../core/examples/board/page").string();
    unsigned port = 8080;
    for (int i = 1; i < count; i += 2) {
        const std::string_view option = words[i];
        line value{i + 1 < count ? words[i + 1] : ""};
        if (option == "--port") port = value.number(65'535);
        else if (option == "--page") folder = value.rest;
        if (value.bad || (option != "--port" && option != "--page")) {
            std::fputs("usage: board [--port N] [--page FOLDER]   (0 for a free port)\n", stderr);
            return 1;
        }
    }
    try {
        return run(static_cast<std::uint16_t>(port), folder);
    } catch (const std::exception &error) {
        std::fprintf(stderr, "board: %s\n", error.what());
        return 1;
    }
}
