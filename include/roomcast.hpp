/**
 * @file roomcast.hpp
 * Real-time rooms inside your C++ program: roomcast.h with owners, views and lambdas. C++17,
 * header-only; link the library as for roomcast.h.
 *
 *     auto engine = roomcast::engine::start(
 *         roomcast::config()
 *             .listen("127.0.0.1:8080")
 *             .on_connecting([](const roomcast::event &event) {
 *                 event.pending().accept(roomcast::accept().room("lobby"));
 *             })
 *             .on_message([](const roomcast::event &event) {
 *                 event.engine().publish("lobby", event.message());
 *             }));
 *     engine.publish("lobby", "hello");
 *
 * WHAT CARRIES OVER FROM roomcast.h
 *
 * Threads. What is const in `engine_ref`, `engine`, `room`, `connection` and `pending` may be
 * called from any thread, at the same time, also in handlers, and waits for no peer. What waits
 * for something else says so. All other types are for one thread at a time.
 *
 * Handlers run on the engine's threads (or inside `engine::turn`), those of several connections at
 * the same time. They must not block: meanwhile the connections of their shard wait.
 *
 * Texts are UTF-8 and bounded; text that is not UTF-8 gives `status::invalid_argument`. What a
 * call is given it copies before it returns.
 *
 * After fork, a child may use nothing of an engine.
 *
 * WHAT IS ADDED
 *
 * Errors. What can fail has two forms: `try_publish` gives a `result`, `publish` throws `error`.
 * A program without exceptions has the first form only. A peer that has gone is no error: `send`,
 * `join`, `leave`, `close`, `accept` and `refuse` return false then (`try_send` and the others
 * say `status::gone`). Both forms may throw `std::bad_alloc`.
 *
 * Owners (`config`, `keys`, `auth`, `tls`, `engine`, `room`, `events`, `upgrade`) move and do not
 * copy. One that was moved from may be destroyed or assigned to; its calls give
 * `status::invalid_argument`.
 *
 * Lifetime. A `room`, `pending`, `wish`, `upgrade` or `events` may outlive its engine: they keep
 * what is left of it, and their calls say `status::stopped` or `status::gone`. An `engine_ref` or
 * `connection` is a plain number and must not be used once the `engine` is destroyed; those that
 * are found in `events` or a `pending` may, as long as these are there.
 *
 * Exceptions do not leave handlers. One that would is told to `config::on_exception`, or else
 * logged, and the connection that it was about is closed with 1011 (or refused with 500). Of the
 * predicate of a filter it means that there is no match, of a check of tokens that the token is not
 * valid.
 *
 * One file, though a long one, so that it can be copied into a project.
 *
 * All parts of a program that pass these types to each other are compiled with exceptions, or all
 * are without.
 */
#ifndef ROOMCAST_HPP
#define ROOMCAST_HPP

#include "roomcast.h"

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <exception>
#include <initializer_list>
#include <iterator>
#include <memory>
#include <optional>
#include <stdexcept>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>
#include <variant>
#include <vector>

namespace roomcast {

class connection;
class engine;
class engine_ref;
class event;
class filter;
class pending;
class publication;
class room;
class upgrade;
struct present_page;

// ---- Enumerations: those of roomcast.h, with their numbers --------------------------------------

/** What became of a call (`roomcast_status`). */
enum class status : std::uint32_t {
    ok = ROOMCAST_STATUS_OK,
    config = ROOMCAST_STATUS_CONFIG,
    io = ROOMCAST_STATUS_IO,
    stopped = ROOMCAST_STATUS_STOPPED,
    on_shard = ROOMCAST_STATUS_ON_SHARD,
    behind = ROOMCAST_STATUS_BEHIND,
    overloaded = ROOMCAST_STATUS_OVERLOADED,
    payload_too_large = ROOMCAST_STATUS_PAYLOAD_TOO_LARGE,
    room_name = ROOMCAST_STATUS_ROOM_NAME,
    key = ROOMCAST_STATUS_KEY,
    filter = ROOMCAST_STATUS_FILTER,
    gone = ROOMCAST_STATUS_GONE,
    close_code = ROOMCAST_STATUS_CLOSE_CODE,
    not_upgrade = ROOMCAST_STATUS_NOT_UPGRADE,
    answered = ROOMCAST_STATUS_ANSWERED,
    invalid_argument = ROOMCAST_STATUS_INVALID_ARGUMENT,
    version_mismatch = ROOMCAST_STATUS_VERSION_MISMATCH,
    wrong_mode = ROOMCAST_STATUS_WRONG_MODE,
    timed_out = ROOMCAST_STATUS_TIMED_OUT,
    broken = ROOMCAST_STATUS_BROKEN,
    not_built = ROOMCAST_STATUS_NOT_BUILT,
    certificate = ROOMCAST_STATUS_CERTIFICATE,
    token_key = ROOMCAST_STATUS_TOKEN_KEY,
    token = ROOMCAST_STATUS_TOKEN,
    token_expired = ROOMCAST_STATUS_TOKEN_EXPIRED,
    token_revoked = ROOMCAST_STATUS_TOKEN_REVOKED
};

/** What bounds an engine (`roomcast_limit`), in the unit that the name ends with. */
enum class limit : std::uint32_t {
    connections_max = ROOMCAST_LIMIT_CONNECTIONS_MAX,
    head_bytes_max = ROOMCAST_LIMIT_HEAD_BYTES_MAX,
    handshake_timeout_ms = ROOMCAST_LIMIT_HANDSHAKE_TIMEOUT_MS,
    verdict_timeout_ms = ROOMCAST_LIMIT_VERDICT_TIMEOUT_MS,
    message_bytes_max = ROOMCAST_LIMIT_MESSAGE_BYTES_MAX,
    message_fragments_max = ROOMCAST_LIMIT_MESSAGE_FRAGMENTS_MAX,
    publication_bytes_max = ROOMCAST_LIMIT_PUBLICATION_BYTES_MAX,
    tape_bytes_max = ROOMCAST_LIMIT_TAPE_BYTES_MAX,
    shard_tape_bytes_max = ROOMCAST_LIMIT_SHARD_TAPE_BYTES_MAX,
    outbox_bytes_max = ROOMCAST_LIMIT_OUTBOX_BYTES_MAX,
    outbox_high_bytes = ROOMCAST_LIMIT_OUTBOX_HIGH_BYTES,
    room_ahead_bytes_max = ROOMCAST_LIMIT_ROOM_AHEAD_BYTES_MAX,
    inbox_bytes_max = ROOMCAST_LIMIT_INBOX_BYTES_MAX,
    room_name_bytes_max = ROOMCAST_LIMIT_ROOM_NAME_BYTES_MAX,
    connection_rooms_max = ROOMCAST_LIMIT_CONNECTION_ROOMS_MAX,
    turn_budget_us = ROOMCAST_LIMIT_TURN_BUDGET_US,
    ping_interval_ms = ROOMCAST_LIMIT_PING_INTERVAL_MS,
    ping_timeout_ms = ROOMCAST_LIMIT_PING_TIMEOUT_MS,
    idle_timeout_ms = ROOMCAST_LIMIT_IDLE_TIMEOUT_MS,
    close_timeout_ms = ROOMCAST_LIMIT_CLOSE_TIMEOUT_MS,
    stop_spread_ms = ROOMCAST_LIMIT_STOP_SPREAD_MS,
    stop_timeout_ms = ROOMCAST_LIMIT_STOP_TIMEOUT_MS,
    connection_events_max = ROOMCAST_LIMIT_CONNECTION_EVENTS_MAX,
    events_max = ROOMCAST_LIMIT_EVENTS_MAX,
    notsent_lowat_bytes = ROOMCAST_LIMIT_NOTSENT_LOWAT_BYTES,
    listen_backlog = ROOMCAST_LIMIT_LISTEN_BACKLOG,
    keepalive_ms = ROOMCAST_LIMIT_KEEPALIVE_MS,
    user_timeout_ms = ROOMCAST_LIMIT_USER_TIMEOUT_MS,
    address_connections_max = ROOMCAST_LIMIT_ADDRESS_CONNECTIONS_MAX,
    handshakes_max = ROOMCAST_LIMIT_HANDSHAKES_MAX,
    user_connections_max = ROOMCAST_LIMIT_USER_CONNECTIONS_MAX,
    accept_rate_max = ROOMCAST_LIMIT_ACCEPT_RATE_MAX,
    message_rate_max = ROOMCAST_LIMIT_MESSAGE_RATE_MAX,
    message_burst_max = ROOMCAST_LIMIT_MESSAGE_BURST_MAX,
    deflate_level = ROOMCAST_LIMIT_DEFLATE_LEVEL,
    deflate_bytes_min = ROOMCAST_LIMIT_DEFLATE_BYTES_MIN,
    flush_interval_ms = ROOMCAST_LIMIT_FLUSH_INTERVAL_MS,
    flush_interval_max_ms = ROOMCAST_LIMIT_FLUSH_INTERVAL_MAX_MS,
    pressure_us = ROOMCAST_LIMIT_PRESSURE_US,
    key_bytes_max = ROOMCAST_LIMIT_KEY_BYTES_MAX,
    connection_keys_max = ROOMCAST_LIMIT_CONNECTION_KEYS_MAX,
    room_filters_max = ROOMCAST_LIMIT_ROOM_FILTERS_MAX,
    connection_filters_max = ROOMCAST_LIMIT_CONNECTION_FILTERS_MAX,
    memory_bytes_max = ROOMCAST_LIMIT_MEMORY_BYTES_MAX,
    history_bytes_max = ROOMCAST_LIMIT_HISTORY_BYTES_MAX,
    tls_budget_us = ROOMCAST_LIMIT_TLS_BUDGET_US,
    token_bytes_max = ROOMCAST_LIMIT_TOKEN_BYTES_MAX,
    token_failures_max = ROOMCAST_LIMIT_TOKEN_FAILURES_MAX,
    token_notice_ms = ROOMCAST_LIMIT_TOKEN_NOTICE_MS,
    revocations_max = ROOMCAST_LIMIT_REVOCATIONS_MAX,
    presence_page_max = ROOMCAST_LIMIT_PRESENCE_PAGE_MAX,
    presence_notice_members_max = ROOMCAST_LIMIT_PRESENCE_NOTICE_MEMBERS_MAX,
    presence_notice_names_max = ROOMCAST_LIMIT_PRESENCE_NOTICE_NAMES_MAX
};

/** The kinds of events (`roomcast_event_kind`); there may be others in later versions. */
enum class event_kind : std::uint32_t {
    connecting = ROOMCAST_EVENT_CONNECTING,
    opened = ROOMCAST_EVENT_OPENED,
    message = ROOMCAST_EVENT_MESSAGE,
    closed = ROOMCAST_EVENT_CLOSED,
    backpressure = ROOMCAST_EVENT_BACKPRESSURE,
    lagged = ROOMCAST_EVENT_LAGGED,
    delivered = ROOMCAST_EVENT_DELIVERED,
    expiring = ROOMCAST_EVENT_EXPIRING,
    permission = ROOMCAST_EVENT_PERMISSION
};

/** Why a connection ended (`roomcast_close_reason`). */
enum class close_reason : std::uint32_t {
    peer = ROOMCAST_CLOSE_REASON_PEER,
    host = ROOMCAST_CLOSE_REASON_HOST,
    stopping = ROOMCAST_CLOSE_REASON_STOPPING,
    vanished = ROOMCAST_CLOSE_REASON_VANISHED,
    protocol = ROOMCAST_CLOSE_REASON_PROTOCOL,
    too_slow = ROOMCAST_CLOSE_REASON_TOO_SLOW,
    ping_timeout = ROOMCAST_CLOSE_REASON_PING_TIMEOUT,
    idle_timeout = ROOMCAST_CLOSE_REASON_IDLE_TIMEOUT,
    handshake_timeout = ROOMCAST_CLOSE_REASON_HANDSHAKE_TIMEOUT,
    http = ROOMCAST_CLOSE_REASON_HTTP,
    limit = ROOMCAST_CLOSE_REASON_LIMIT,
    token_expired = ROOMCAST_CLOSE_REASON_TOKEN_EXPIRED,
    revoked = ROOMCAST_CLOSE_REASON_REVOKED,
    unauthorized = ROOMCAST_CLOSE_REASON_UNAUTHORIZED,
    other = ROOMCAST_CLOSE_REASON_OTHER
};

/** What happens to members that are too slow (`roomcast_slow_policy`). */
enum class slow_policy : std::uint32_t {
    default_ = ROOMCAST_SLOW_POLICY_DEFAULT,
    disconnect = ROOMCAST_SLOW_POLICY_DISCONNECT,
    skip = ROOMCAST_SLOW_POLICY_SKIP,
    latest = ROOMCAST_SLOW_POLICY_LATEST,
    volatile_ = ROOMCAST_SLOW_POLICY_VOLATILE,
    replay = ROOMCAST_SLOW_POLICY_REPLAY
};

/** What happens to what a peer says beyond `message_rate_max` (`roomcast_message_rate_policy`). */
enum class message_rate_policy : std::uint32_t {
    refuse = ROOMCAST_MESSAGE_RATE_POLICY_REFUSE,
    close = ROOMCAST_MESSAGE_RATE_POLICY_CLOSE
};

/** The header by which trusted proxies say for whom they speak (`roomcast_forwarded_header`). */
enum class forwarded_header : std::uint32_t {
    x_forwarded_for = ROOMCAST_FORWARDED_HEADER_X_FORWARDED_FOR,
    forwarded = ROOMCAST_FORWARDED_HEADER_FORWARDED
};

/** What a peer may ask for in a room (`roomcast_verb`). */
enum class verb : std::uint32_t {
    join = ROOMCAST_VERB_JOIN,
    publish = ROOMCAST_VERB_PUBLISH,
    presence = ROOMCAST_VERB_PRESENCE
};

/** How much a line of the log matters (`roomcast_log_level`). */
enum class log_level : std::uint32_t {
    debug = ROOMCAST_LOG_LEVEL_DEBUG,
    info = ROOMCAST_LOG_LEVEL_INFO,
    warn = ROOMCAST_LOG_LEVEL_WARN,
    error = ROOMCAST_LOG_LEVEL_ERROR
};

/** One sentence for a log, valid for ever. */
inline const char *text(status of) noexcept {
    return roomcast_status_text(static_cast<std::uint32_t>(of));
}

// ---- Errors -------------------------------------------------------------------------------------

/** What the throwing forms throw. `what()` is a sentence; of a start it names the setting. */
class error : public std::runtime_error {
public:
    /** Of a status, with a sentence if there is one. */
    error(roomcast::status of, const std::string &why)
        : std::runtime_error(why.empty() ? roomcast::text(of) : why), status_(of) {}

    /** What became of the call. */
    roomcast::status status() const noexcept { return status_; }

private:
    roomcast::status status_;
};

/** A value, or the status that says why there is none. `result<void>` is the status alone. */
template <class T>
class [[nodiscard]] result {
    using stored = std::conditional_t<std::is_void_v<T>, std::monostate, T>;

public:
    /** A success. */
    result(stored value) : value_(std::move(value)) {}
    /** A failure; or, of `result<void>`, what a call has returned. */
    result(roomcast::status of, std::string why = {}) : status_(of), why_(std::move(why)) {
        if constexpr (std::is_void_v<T>) {
            if (of == roomcast::status::ok) value_.emplace();
        }
    }

    /** Whether it is a success. */
    explicit operator bool() const noexcept { return value_.has_value(); }
    /** `status::ok`, or why there is no value. */
    roomcast::status status() const noexcept { return status_; }
    /** A sentence for a log, valid as long as this result. */
    std::string_view text() const noexcept {
        return why_.empty() ? std::string_view(roomcast::text(status_)) : why_;
    }
    /** The value. Without one it throws `error`, or aborts in a program without exceptions. */
    T value() && {
        check();
        if constexpr (!std::is_void_v<T>) return std::move(*value_);
    }
    /** The value in place; the same without one. */
    stored &operator*() { return check(), *value_; }
    /** The value's members; the same without one. */
    stored *operator->() { return check(), &*value_; }

private:
    void check() const {
        if (value_) return;
#ifdef __cpp_exceptions
        throw error(status_, why_);
#else
        std::abort();
#endif
    }

    std::optional<stored> value_;
    roomcast::status status_ = roomcast::status::ok;
    std::string why_;
};

// ---- Views --------------------------------------------------------------------------------------

/** Bytes of somebody else: a pointer and a size. Made of every container of one-byte elements. */
class bytes_view {
    template <class C>
    using element = std::remove_pointer_t<decltype(std::declval<const C &>().data())>;
    template <class C>
    using of_bytes = std::enable_if_t<
        sizeof(element<C>) == 1 && !std::is_same_v<std::remove_cv_t<element<C>>, char>>;

public:
    constexpr bytes_view() noexcept = default;
    /** So many bytes from here on. */
    constexpr bytes_view(const void *data, std::size_t size) noexcept : data_(data), size_(size) {}
    /** Those of a container. */
    template <class C, class = of_bytes<C>>
    constexpr bytes_view(const C &bytes) noexcept : data_(bytes.data()), size_(bytes.size()) {}

    /** The first byte. */
    constexpr const void *data() const noexcept { return data_; }
    /** How many. */
    constexpr std::size_t size() const noexcept { return size_; }
    /** Whether there are none. */
    constexpr bool empty() const noexcept { return size_ == 0; }
    /** The first byte. */
    const unsigned char *begin() const noexcept {
        return static_cast<const unsigned char *>(data_);
    }
    /** Behind the last byte. */
    const unsigned char *end() const noexcept { return begin() + size_; }

private:
    const void *data_ = nullptr;
    std::size_t size_ = 0;
};

namespace detail {

inline roomcast_str str(std::string_view text) noexcept { return {text.data(), text.size()}; }
/** A text that is there, though it may be empty. */
inline roomcast_str present(std::string_view text) noexcept {
    return {text.data() ? text.data() : "", text.size()};
}
/** An interval as C has it, where 0 would say nothing. */
inline std::uint32_t interval(std::chrono::milliseconds time) noexcept {
    constexpr std::uint32_t most = ROOMCAST_EACH_TURN - 1;
    if (time.count() <= 0) return ROOMCAST_EACH_TURN;
    return time.count() < most ? static_cast<std::uint32_t>(time.count()) : most;
}
inline roomcast_bytes raw(bytes_view bytes) noexcept { return {bytes.data(), bytes.size()}; }
inline std::string_view view(roomcast_str text) noexcept {
    return text.data ? std::string_view(text.data, text.len) : std::string_view();
}
inline std::optional<std::string_view> maybe(roomcast_str text) noexcept {
    return text.data ? std::optional(std::string_view(text.data, text.len)) : std::nullopt;
}
inline roomcast::status code(roomcast_status of) noexcept {
    return static_cast<roomcast::status>(of);
}
/** A result with the value if the call went well. */
template <class T>
result<std::decay_t<T>> made(roomcast_status of, T &&value) {
    if (of != ROOMCAST_STATUS_OK) return code(of);
    return std::decay_t<T>(std::forward<T>(value));
}

/** What went wrong first with a builder. */
struct fault {
    roomcast::status status = roomcast::status::ok;
    std::string why;

    void note(roomcast_status of, const char *sentence = "") {
        if (status != roomcast::status::ok) return;
        status = code(of);
        why = sentence;
    }
};

/** The `_free` of a handle as a deleter. */
template <auto Free>
struct freed_by {
    template <class T>
    void operator()(T *handle) const noexcept { Free(handle); }
};

/** A function object that is moved, never copied; called from several threads at a time. */
template <class>
class function;
template <class R, class... A>
class function<R(A...)> {
public:
    function() = default;
    template <class F>
    explicit function(F call)
        : object_(new F(std::move(call)), [](void *object) { delete static_cast<F *>(object); }),
          call_([](void *object, A... given) -> R {
              return (*static_cast<F *>(object))(std::forward<A>(given)...);
          }) {}

    explicit operator bool() const noexcept { return call_ != nullptr; }
    R operator()(A... given) const { return call_(object_.get(), std::forward<A>(given)...); }

private:
    std::unique_ptr<void, void (*)(void *)> object_{nullptr, [](void *) {}};
    R (*call_)(void *, A...) = nullptr;
};

/** An engine's memory: whoever holds this may call about the engine, running or not. */
struct life {
    life() = default;
    life(const life &) = delete;
    life &operator=(const life &) = delete;
    ~life() { roomcast_engine_free(engine); }

    roomcast_engine *engine = nullptr;
    /** On its own, for handlers: their engine's memory may be on its way out already. */
    std::shared_ptr<std::weak_ptr<life>> self = std::make_shared<std::weak_ptr<life>>();
};

/** Data of the host's on its way through C, with the address of `tag<T>` for its type. */
struct box {
    const void *type;
    std::shared_ptr<void> held;
};
template <class T>
inline constexpr char tag = 0;

struct told;
struct held;

} // namespace detail

/** What is sent: text or bytes of somebody else's, by what it is made of. */
class payload {
    template <class T, class View>
    using made_of = std::enable_if_t<std::is_convertible_v<const T &, View>, int>;

public:
    /** Text: of everything that converts to `std::string_view`. */
    template <class T, made_of<T, std::string_view> = 0>
    payload(const T &text) noexcept : kind_(ROOMCAST_KIND_TEXT) {
        const std::string_view view = text;
        data_ = {view.data(), view.size()};
    }
    /** Binary: of everything that converts to `bytes_view`. */
    template <class T, made_of<T, bytes_view> = 0>
    payload(const T &bytes) noexcept
        : kind_(ROOMCAST_KIND_BINARY), data_(detail::raw(bytes_view(bytes))) {}
    /** A payload as C has it. */
    payload(std::uint32_t kind, roomcast_bytes data) noexcept : kind_(kind), data_(data) {}

    /** Whether it is text. */
    bool is_text() const noexcept { return kind_ == ROOMCAST_KIND_TEXT; }
    /** One of `roomcast_kind`. */
    std::uint32_t kind() const noexcept { return kind_; }
    /** The text, in UTF-8; empty where it is binary. */
    std::string_view text() const noexcept {
        return is_text() ? detail::view({static_cast<const char *>(data_.data), data_.len})
                         : std::string_view();
    }
    /** The bytes, also of text. */
    bytes_view bytes() const noexcept { return {data_.data, data_.len}; }

private:
    std::uint32_t kind_;
    roomcast_bytes data_{};
};

/** What became of a publication: its `offset` and how many `members` the room had. */
using published = roomcast_published;
/** What became of a tracked publication: its `token`, and how many members it `reached`. */
using delivery = roomcast_delivery;
/** A place in a room's sequence of publications: `epoch` and `offset`. */
using position = roomcast_position;
/** How many are in a room: `members`, and `users` where `counts_users`. */
using presence = roomcast_presence;
/** How stopping went: `connections`, `cut`, `took_ms`. */
using stop_report = roomcast_stop_report;
/** The number of a connection, never reused in its engine's life. */
using connection_id = std::uint64_t;

/** A publication whose fate is told later (`config::on_delivered`). */
struct tracked {
    /** The number by which the report is known, never used twice in its engine's life. */
    std::uint64_t token;
    /** As from `publish`. */
    roomcast::published published;
};

/** A room that exists, and how many members it has. */
struct room_entry {
    /** Its name. */
    std::string name;
    /** How many members it has. */
    std::size_t members;
};

/**
 * What a token says of its bearer (`roomcast_claims`). It and its texts are valid as long as the
 * event or the request that it came with.
 */
class claims_view {
    using text = std::optional<std::string_view>;
    using time = std::optional<std::uint64_t>;

public:
    /** Of those that C has. */
    explicit claims_view(const roomcast_claims *raw) noexcept : raw_(raw) {}

    /** Who it is. */
    text user() const { return detail::maybe(roomcast_claims_user(raw_)); }
    /** Seconds since 1970 at which they end to hold; none for never. */
    time expires_at() const { return known(roomcast_claims_expires_at(raw_)); }
    /** Seconds since 1970 at which the token was made. */
    time issued_at() const { return known(roomcast_claims_issued_at(raw_)); }
    /** The token's own name, by which it can be revoked. */
    text token_id() const { return detail::maybe(roomcast_claims_token_id(raw_)); }
    /** What others in a room with presence are told of the bearer, in JSON. */
    text info() const { return detail::maybe(roomcast_claims_info(raw_)); }
    /** Whether they allow something in a room. */
    bool may(roomcast::verb what, std::string_view room) const {
        return roomcast_claims_may(raw_, static_cast<std::uint32_t>(what), detail::str(room));
    }

    /** Those that C has, if there are any. */
    static std::optional<claims_view> maybe(const roomcast_claims *raw) noexcept {
        return raw ? std::optional(claims_view(raw)) : std::nullopt;
    }

private:
    static time known(std::uint64_t seconds) noexcept {
        return seconds == 0 ? std::nullopt : time(seconds);
    }

    const roomcast_claims *raw_;
};

/**
 * What a token would say, made by the host: for `accept::claims`, and filled by the function of
 * `auth::native`.
 *
 *     roomcast::claims().user("ada").allow("team:7:*", {roomcast::verb::join})
 *
 * A copy is of the same claims. What is wrong with a call (text that is not UTF-8) is said by
 * `status`, and by what the claims are given to.
 */
class claims {
public:
    /** Of nobody, for ever, without any right. */
    claims() {
        roomcast_claims *raw = nullptr;
        note(roomcast_claims_new(&raw));
        raw_ = {raw, detail::freed_by<roomcast_claims_free>()};
    }
    /** Of those that C has, and keeps. */
    explicit claims(roomcast_claims *raw) : raw_(raw, [](roomcast_claims *) {}) {}

    /** Who it is. */
    claims &user(std::string_view user) {
        return note(roomcast_claims_set_user(raw_.get(), detail::str(user)));
    }
    /** When they end to hold, in seconds since 1970; 0 for never. */
    claims &expires_at(std::uint64_t seconds) {
        return note(roomcast_claims_set_expires_at(raw_.get(), seconds));
    }
    /** When the token was made, in seconds since 1970; 0 for not known. */
    claims &issued_at(std::uint64_t seconds) {
        return note(roomcast_claims_set_issued_at(raw_.get(), seconds));
    }
    /** The token's own name, by which it can be revoked. */
    claims &token_id(std::string_view id) {
        return note(roomcast_claims_set_token_id(raw_.get(), detail::str(id)));
    }
    /** What others in a room with presence are told of the bearer: a value in JSON. */
    claims &info(std::string_view json) {
        return note(roomcast_claims_set_info(raw_.get(), detail::str(json)));
    }
    /** Allows something in a room; where the name ends in `*`, in all that begin so. */
    claims &allow(std::string_view rooms, std::initializer_list<verb> verbs) {
        std::uint32_t sum = 0;
        for (const auto each : verbs) sum |= 1U << static_cast<std::uint32_t>(each);
        return note(roomcast_claims_allow(raw_.get(), detail::str(rooms), sum));
    }

    /** `status::ok`, or what was wrong with the first call that failed. */
    roomcast::status status() const noexcept { return status_; }
    /** What they say by now. */
    claims_view view() const noexcept { return claims_view(raw_.get()); }
    /** The claims as C has them; null of what was moved from. */
    const roomcast_claims *raw() const noexcept { return raw_.get(); }

private:
    claims &note(roomcast_status of) noexcept {
        if (status_ == roomcast::status::ok) status_ = detail::code(of);
        return *this;
    }

    std::shared_ptr<roomcast_claims> raw_;
    roomcast::status status_ = roomcast::status::ok;
};

/**
 * What a peer asked for (`roomcast_request`). Everything in it but its claims was chosen by the
 * peer. It and its texts are valid as long as the event, or the call of the page function, that it
 * came with.
 */
class request {
    using text = std::optional<std::string_view>;

public:
    /** Of one that C has. */
    explicit request(const roomcast_request *raw) noexcept : raw_(raw) {}

    /** "GET" for every WebSocket; "GET" or "HEAD" for a page. */
    std::string_view method() const { return detail::view(roomcast_request_method(raw_)); }
    /** The path as sent, without the query. */
    std::string_view path() const { return detail::view(roomcast_request_path(raw_)); }
    /** What follows the question mark, as sent. */
    text query() const { return detail::maybe(roomcast_request_query(raw_)); }
    /** The first query value of this name, decoded. */
    text query_value(std::string_view name) const {
        return detail::maybe(roomcast_request_query_value(raw_, detail::str(name)));
    }
    /** The first header field of this name, in any case, if it is visible ASCII. */
    text header(std::string_view name) const {
        return detail::maybe(roomcast_request_header(raw_, detail::str(name)));
    }
    /** All header fields, names in lower case. */
    std::vector<std::pair<std::string_view, bytes_view>> headers() const {
        std::vector<std::pair<std::string_view, bytes_view>> all;
        roomcast_str name;
        roomcast_bytes value;
        for (std::size_t i = 0; roomcast_request_header_at(raw_, i, &name, &value); ++i)
            all.emplace_back(detail::view(name), bytes_view(value.data, value.len));
        return all;
    }
    /** The first cookie of this name, as sent. */
    text cookie(std::string_view name) const {
        return detail::maybe(roomcast_request_cookie(raw_, detail::str(name)));
    }
    /** The subprotocols that the peer offers, the one that it likes best first. */
    std::vector<std::string_view> subprotocols() const {
        std::vector<std::string_view> all;
        while (auto next = detail::maybe(roomcast_request_subprotocol(raw_, all.size())))
            all.push_back(*next);
        return all;
    }
    /** The web page's origin; none from what is not a browser. */
    text origin() const { return detail::maybe(roomcast_request_origin(raw_)); }
    /** The host, and the port when it is not the default one, that the peer meant to reach. */
    text host() const { return detail::maybe(roomcast_request_host(raw_)); }
    /** The other end of the connection; none on a unix socket. Perhaps this is a proxy. */
    text peer() const { return detail::maybe(roomcast_request_peer(raw_)); }
    /** The address of the peer itself, as far as trusted proxies say it: to count and limit by. */
    text peer_ip() const { return detail::maybe(roomcast_request_peer_ip(raw_)); }
    /** What its token says, which was checked; none where there is no token. */
    std::optional<claims_view> claims() const {
        return claims_view::maybe(roomcast_request_claims(raw_));
    }

private:
    const roomcast_request *raw_;
};

/** The answer to a plain GET request; left alone, it is 404. */
class page {
public:
    /** Of one that C has. */
    explicit page(roomcast_page *raw) noexcept : raw_(raw) {}

    /** Fills it in; the body is copied. False for a status or type that cannot be sent. */
    bool set(std::string_view type, const payload &body, std::uint32_t http_status = 200) {
        return roomcast_page_set(raw_, http_status, detail::str(type), detail::raw(body.bytes()))
               == ROOMCAST_STATUS_OK;
    }

private:
    roomcast_page *raw_;
};

// ---- Filters ------------------------------------------------------------------------------------

/**
 * What a publication says of itself beside its data, as predicates see it. Valid until the
 * predicate returns.
 */
class labels {
    using text = std::optional<std::string_view>;

public:
    /** Of those that C has. */
    explicit labels(const roomcast_labels *raw) noexcept : raw_(raw) {}

    /** What kind of event it is. */
    text event() const { return detail::maybe(roomcast_labels_event(raw_)); }
    /** What it is about. */
    text key() const { return detail::maybe(roomcast_labels_key(raw_)); }
    /** The value of the first tag of this name. */
    text tag(std::string_view name) const {
        return detail::maybe(roomcast_labels_tag(raw_, detail::str(name)));
    }
    /** Names and values of all tags. */
    std::vector<std::pair<std::string_view, std::string_view>> tags() const {
        std::vector<std::pair<std::string_view, std::string_view>> all;
        roomcast_str name, value;
        for (std::size_t i = 0; roomcast_labels_tag_at(raw_, i, &name, &value); ++i)
            all.emplace_back(detail::view(name), detail::view(value));
        return all;
    }

private:
    const roomcast_labels *raw_;
};

/** What of a publication a filter looks at: made of a tag's name, or the event, or the key. */
class field {
    template <class T>
    using text = std::enable_if_t<std::is_convertible_v<const T &, std::string_view>, int>;

public:
    /** The tag of this name. */
    template <class T, text<T> = 0>
    field(const T &tag) noexcept : kind_(ROOMCAST_FIELD_TAG), tag_(tag) {}
    /** The publication's event. */
    static field event() noexcept { return {ROOMCAST_FIELD_EVENT, {}}; }
    /** The publication's key. */
    static field key() noexcept { return {ROOMCAST_FIELD_KEY, {}}; }

private:
    friend class filter;
    field(std::uint32_t kind, std::string_view tag) noexcept : kind_(kind), tag_(tag) {}

    std::uint32_t kind_;
    std::string_view tag_;
};

/**
 * Which publications of a room a member is sent, by their labels. A value that never changes: cheap
 * to copy, for any thread and engine.
 *
 *     const auto bids = roomcast::filter::eq("side", "bid") && roomcast::filter::gt("price", 9.5);
 *     const auto same = roomcast::filter::of("tags.side == 'bid' && double(tags.price) > 9.5");
 *
 * What a question asks of a label that is missing is unknown, also negated, and a filter that is
 * unknown as a whole does not match. What cannot be a filter (too large, a bound that is no number)
 * has another `status` than ok, and so has what is made of it; a join with it gives that.
 */
class filter {
public:
    /** Of a text in the syntax of CEL; says at which byte it is wrong. */
    static result<filter> try_of(std::string_view text) {
        char why[256] = "";
        const filter made = took([&](roomcast_filter **raw) {
            return roomcast_filter_new(detail::str(text), raw, why, sizeof why);
        });
        if (made.status_ != roomcast::status::ok) return {made.status_, why};
        return made;
    }
#ifdef __cpp_exceptions
    /** Throwing form of `try_of`. */
    static filter of(std::string_view text) { return try_of(text).value(); }
#endif
    /** It has this value. */
    static filter eq(const field &of, std::string_view value) { return one_of(of, {value}); }
    /** It has one of these values. */
    static filter one_of(const field &of, const std::vector<std::string_view> &values) {
        return ask(of, ROOMCAST_QUESTION_ONE_OF, values);
    }
    /** The publication has it, of whatever value. */
    static filter exists(const field &of) { return ask(of, ROOMCAST_QUESTION_EXISTS, {}); }
    /** Its value begins with this. */
    static filter starts_with(const field &of, std::string_view piece) {
        return ask(of, ROOMCAST_QUESTION_STARTS_WITH, {piece});
    }
    /** Its value ends with this. */
    static filter ends_with(const field &of, std::string_view piece) {
        return ask(of, ROOMCAST_QUESTION_ENDS_WITH, {piece});
    }
    /** This is somewhere in its value. */
    static filter contains(const field &of, std::string_view piece) {
        return ask(of, ROOMCAST_QUESTION_CONTAINS, {piece});
    }
    /** Its value is a number less than this. */
    static filter lt(const field &of, double bound) {
        return compare(of, ROOMCAST_COMPARISON_LESS, bound);
    }
    /** Its value is a number, this or less. */
    static filter lte(const field &of, double bound) {
        return compare(of, ROOMCAST_COMPARISON_LESS_OR_EQUAL, bound);
    }
    /** Its value is a number greater than this. */
    static filter gt(const field &of, double bound) {
        return compare(of, ROOMCAST_COMPARISON_GREATER, bound);
    }
    /** Its value is a number, this or greater. */
    static filter gte(const field &of, double bound) {
        return compare(of, ROOMCAST_COMPARISON_GREATER_OR_EQUAL, bound);
    }
    /** What all of these match; everything, of none. */
    static filter all(const std::vector<filter> &of) {
        return gathered(of, roomcast_filter_new_all);
    }
    /** What one of these matches; nothing, of none. */
    static filter any(const std::vector<filter> &of) {
        return gathered(of, roomcast_filter_new_any);
    }
    /**
     * A predicate, `bool(const labels &, bytes_view data)`, on the engine's threads, several at a
     * time. Its name says which it is: two of one name are taken for the same, and asked once for
     * all members that have it. What it throws is no match.
     */
    template <class F>
    static filter native(std::string_view name, F call) {
        auto mine = std::make_unique<F>(std::move(call));
        const filter made = took([&](roomcast_filter **raw) {
            return roomcast_filter_new_native(detail::str(name), mine.get(), &asked<F>,
                                              [](void *data) { delete static_cast<F *>(data); },
                                              raw);
        });
        if (made.raw()) static_cast<void>(mine.release());
        return made;
    }

    /** What both match. */
    friend filter operator&&(const filter &a, const filter &b) { return all({a, b}); }
    /** What one of them matches. */
    friend filter operator||(const filter &a, const filter &b) { return any({a, b}); }
    /** What it does not match, but for what is unknown to it. */
    filter operator!() const {
        if (!raw()) return *this;
        return took([this](roomcast_filter **made) {
            return roomcast_filter_new_not(raw(), made);
        });
    }
    /** Whether both are the same: by their texts. */
    friend bool operator==(const filter &a, const filter &b) noexcept {
        return a.status_ == b.status_ && a.text() == b.text();
    }
    /** Whether they are different. */
    friend bool operator!=(const filter &a, const filter &b) noexcept { return !(a == b); }

    /** `status::ok`, or why it is no filter. */
    roomcast::status status() const noexcept { return status_; }
    /** Its canonical text, valid as long as it or a copy is. */
    std::string_view text() const noexcept { return detail::view(roomcast_filter_text(raw())); }
    /** Whether it matches a publication. */
    inline result<bool> try_matches(const publication &what) const;
#ifdef __cpp_exceptions
    /** Throwing form of `try_matches`. */
    inline bool matches(const publication &what) const;
#endif
    /** The filter as C has it; null where it is none. */
    const roomcast_filter *raw() const noexcept { return raw_.get(); }

private:
    filter() = default;

    template <class Make>
    static filter took(Make make) {
        roomcast_filter *raw = nullptr;
        filter made;
        made.status_ = detail::code(make(&raw));
        if (raw) made.raw_ = {raw, detail::freed_by<roomcast_filter_free>()};
        return made;
    }
    static filter ask(const field &of, std::uint32_t question,
                      const std::vector<std::string_view> &values) {
        std::vector<roomcast_str> all;
        for (const auto value : values) all.push_back(detail::str(value));
        return took([&](roomcast_filter **raw) {
            return roomcast_filter_new_ask(of.kind_, detail::str(of.tag_), question, all.data(),
                                           all.size(), raw);
        });
    }
    static filter compare(const field &of, std::uint32_t comparison, double bound) {
        return took([&](roomcast_filter **raw) {
            return roomcast_filter_new_compare(of.kind_, detail::str(of.tag_), comparison, bound,
                                               raw);
        });
    }
    template <class Gather>
    static filter gathered(const std::vector<filter> &of, Gather gather) {
        std::vector<const roomcast_filter *> all;
        for (const filter &each : of) {
            if (!each.raw()) return each;
            all.push_back(each.raw());
        }
        return took([&](roomcast_filter **raw) { return gather(all.data(), all.size(), raw); });
    }
    template <class F>
    static bool asked(void *data, const roomcast_labels *raw, roomcast_bytes bytes) noexcept {
        const roomcast::labels given(raw);
        const bytes_view payload(bytes.data, bytes.len);
#ifdef __cpp_exceptions
        try {
            return (*static_cast<F *>(data))(given, payload);
        } catch (...) {
            return false;
        }
#else
        return (*static_cast<F *>(data))(given, payload);
#endif
    }

    std::shared_ptr<const roomcast_filter> raw_;
    roomcast::status status_ = roomcast::status::invalid_argument;
};

// ---- Builders: they point to the texts that they are given --------------------------------------

/** What holds for rooms whose names begin alike: `config::room_options`. */
class room_options {
public:
    /** The time within which publications wait for each other, to leave together; 0 for none. */
    room_options &flush_interval(std::chrono::milliseconds time) {
        return raw_.flush_interval_ms = detail::interval(time), *this;
    }
    /** Of one key only the newest of each interval leaves; needs an interval. */
    room_options &conflate(bool conflate = true) { return raw_.conflate = conflate, *this; }
    /** What happens to members that are too slow. */
    room_options &slow_policy(roomcast::slow_policy policy) {
        return raw_.slow_policy = static_cast<std::uint32_t>(policy), *this;
    }
    /** How many publications it keeps, for members with `slow_policy::replay`. */
    room_options &history(std::uint32_t publications) {
        return raw_.history = publications, *this;
    }
    /** With false, publications are sent as they are. */
    room_options &deflate(bool deflate) { return raw_.deflate_off = !deflate, *this; }
    /** Users are counted and members listed: `engine_ref::presence` and `present`. */
    room_options &presence(bool known = true) { return raw_.presence = known, *this; }
    /**
     * The time after a change within which one notice tells the members who came and who went
     * (`roomcast_room_options` shows it); 0 for no notices. Needs `presence`.
     */
    room_options &presence_interval(std::chrono::milliseconds time) {
        const auto ms = time.count();
        raw_.presence_interval_ms = ms > 0 ? detail::interval(time) : 0;
        return *this;
    }

private:
    friend class config;

    roomcast_room_options raw_{sizeof(roomcast_room_options), 0, 0, 0, false, false, false, 0};
};

/** What holds for one listener: `config::listen`. */
class listen_options {
public:
    /** With false, compression is not agreed on with peers that come through it. */
    listen_options &deflate(bool deflate) { return raw_.deflate_off = !deflate, *this; }
    /** Peers speak TLS here, with the certificates of `config::tls`. */
    listen_options &tls(bool tls = true) { return raw_.tls = tls, *this; }
    /** Each connection begins with a PROXY header, by one of `config::trusted_proxies`. */
    listen_options &proxy_protocol(bool begins = true) {
        return raw_.proxy_protocol = begins, *this;
    }
    /** Permissions of the file of a unix socket, such as 0660; 0 for what the umask leaves. */
    listen_options &unix_mode(std::uint32_t mode) { return raw_.unix_mode = mode, *this; }

private:
    friend class config;

    roomcast_listen_options raw_{sizeof(roomcast_listen_options), false, false, false, 0};
};

/**
 * Certificates with their keys, in PEM, found by the names that peers ask for:
 *
 *     config.tls(roomcast::tls().files("cert.pem", "key.pem"))
 *         .listen("0.0.0.0:443", roomcast::listen_options().tls());
 *
 * What is wrong with a call is told by `check`, and by what it is given to; calls after it change
 * nothing.
 */
class tls {
public:
    tls() {
        roomcast_tls *raw = nullptr;
        fault_.note(roomcast_tls_new(&raw));
        raw_.reset(raw);
    }

    /** Adds a certificate, with those that certify it behind it, and its private key. */
    tls &pair(std::string_view certificate, std::string_view key) {
        return add([&](char *why, std::size_t size) {
            return roomcast_tls_add_pair(raw(), {certificate.data(), certificate.size()},
                                         {key.data(), key.size()}, why, size);
        });
    }
    /** The same, from two files, or twice the same one. They are read now. */
    tls &files(std::string_view certificate, std::string_view key) {
        return add([&](char *why, std::size_t size) {
            return roomcast_tls_add_files(raw(), detail::str(certificate), detail::str(key), why,
                                          size);
        });
    }
    /** With true TLS 1.2 is refused. */
    tls &tls13_only(bool only = true) {
        return fault_.note(roomcast_tls_set_tls13_only(raw(), only)), *this;
    }

    /** Whether all calls went well; says which did not, and why. */
    result<void> try_check() const { return {fault_.status, fault_.why}; }
#ifdef __cpp_exceptions
    /** Throwing form of `try_check`. */
    void check() const { try_check().value(); }
#endif

private:
    friend class config;
    friend class engine_ref;

    roomcast_tls *raw() const noexcept { return raw_.get(); }
    template <class Add>
    tls &add(Add call) {
        if (fault_.status != status::ok) return *this;
        char why[1024] = "";
        const roomcast_status of = call(why, sizeof why);
        return fault_.note(of, why), *this;
    }

    std::unique_ptr<roomcast_tls, detail::freed_by<roomcast_tls_free>> raw_;
    detail::fault fault_;
};

/**
 * Keys that JWTs are signed with, and what these must say. Of a key that has an id (`kid`), tokens
 * that name another are not tried with it.
 *
 *     config.auth(roomcast::auth(roomcast::keys().hs256(secret).audience("board")).cookie("sid"));
 *
 * What is wrong with a call is told by `check`, and by what the keys are given to; calls after it
 * change nothing.
 */
class keys {
public:
    keys() {
        roomcast_keys *raw = nullptr;
        fault_.note(roomcast_keys_new(&raw));
        raw_.reset(raw);
    }

    /** Adds a secret of at least 32 bytes for HS256. */
    keys &hs256(std::string_view secret, std::string_view id = {}) {
        return add(ROOMCAST_ALGORITHM_HS256, secret, id);
    }
    /** Adds a public key in PEM for RS256: RSA, 2048 to 8192 bits. */
    keys &rs256(std::string_view pem, std::string_view id = {}) {
        return add(ROOMCAST_ALGORITHM_RS256, pem, id);
    }
    /** Adds a public key in PEM for ES256: on the curve P-256. */
    keys &es256(std::string_view pem, std::string_view id = {}) {
        return add(ROOMCAST_ALGORITHM_ES256, pem, id);
    }
    /** Adds a public key in PEM for EdDSA: Ed25519. */
    keys &eddsa(std::string_view pem, std::string_view id = {}) {
        return add(ROOMCAST_ALGORITHM_EDDSA, pem, id);
    }
    /** Adds the keys of a JWK Set that can be used, with their ids. */
    keys &jwks(std::string_view set) {
        if (fault_.status != status::ok) return *this;
        char why[256] = "";
        const auto of = roomcast_keys_add_jwks(raw_.get(), detail::str(set), why, sizeof why);
        return fault_.note(of, why), *this;
    }
    /** Tokens must be made by this issuer, or by another that is named so. */
    keys &issuer(std::string_view issuer) {
        return fault_.note(roomcast_keys_add_issuer(raw_.get(), detail::str(issuer))), *this;
    }
    /** Tokens must be meant for this audience, or for another that is named so. */
    keys &audience(std::string_view audience) {
        return fault_.note(roomcast_keys_add_audience(raw_.get(), detail::str(audience))), *this;
    }
    /** By how much the clock of whoever makes the tokens may differ; 5 seconds by default. */
    keys &leeway(std::chrono::seconds time) {
        const auto seconds = static_cast<std::uint64_t>(time.count() < 0 ? 0 : time.count());
        return fault_.note(roomcast_keys_set_leeway(raw_.get(), seconds)), *this;
    }

    /** Whether all calls went well; says which did not, and why. */
    result<void> try_check() const { return {fault_.status, fault_.why}; }
#ifdef __cpp_exceptions
    /** Throwing form of `try_check`. */
    void check() const { try_check().value(); }
#endif

private:
    friend class auth;

    keys &add(std::uint32_t algorithm, std::string_view key, std::string_view id) {
        if (fault_.status != status::ok) return *this;
        char why[256] = "";
        const auto of = roomcast_keys_add(raw_.get(), algorithm, detail::str(id),
                                          {key.data(), key.size()}, why, sizeof why);
        return fault_.note(of, why), *this;
    }

    std::unique_ptr<roomcast_keys, detail::freed_by<roomcast_keys_free>> raw_;
    detail::fault fault_;
};

/**
 * How peers prove who they are: who checks their tokens, and where these are looked for, in the
 * order of header, query, cookie, first message. With none of these named, it is the header
 * `Authorization: Bearer ...` and the query value `token`.
 */
class auth {
public:
    /** Every WebSocket needs a JWT, signed with one of these keys, as they are now. */
    explicit auth(const keys &checked_by) : fault_(checked_by.fault_) {
        roomcast_auth *raw = nullptr;
        if (fault_.status == status::ok)
            fault_.note(roomcast_auth_new(checked_by.raw_.get(), &raw));
        raw_.reset(raw);
    }
    /**
     * Every WebSocket needs a token of the host's own kind, which this finds valid:
     * `status(std::string_view token, std::uint64_t now_s, claims &)` fills the claims and gives
     * `status::ok`, or `status::token_expired`, or anything else where it is not valid. On the
     * engine's threads, several at a time, and it must not block. What it throws is not valid.
     */
    template <class F>
    static auth native(F call) {
        auto mine = std::make_unique<F>(std::move(call));
        roomcast_auth *raw = nullptr;
        auth made;
        made.fault_.note(roomcast_auth_new_native(
            mine.get(), &asked<F>, [](void *data) { delete static_cast<F *>(data); }, &raw));
        if (raw) static_cast<void>(mine.release());
        made.raw_.reset(raw);
        return made;
    }

    /** In this header field: alone, or behind `Bearer `. */
    auth &header(std::string_view name) { return set(roomcast_auth_set_header, name); }
    /** In this query value; proxies write queries to their logs. */
    auth &query(std::string_view name) { return set(roomcast_auth_set_query, name); }
    /** In this cookie; browsers send cookies with requests of any page (`config::origins`). */
    auth &cookie(std::string_view name) { return set(roomcast_auth_set_cookie, name); }
    /** In the first message, behind this text; in later ones it is a new token. */
    auth &message(std::string_view begins) { return set(roomcast_auth_set_message, begins); }
    /** What a connection is sent when its token is about to expire. */
    auth &notice(std::string_view text) { return set(roomcast_auth_set_notice, text); }
    /** Whether a WebSocket without any token is let through to the host, as nobody. */
    auth &optional(bool optional = true) {
        return fault_.note(roomcast_auth_set_optional(raw_.get(), optional)), *this;
    }

    /** Whether all calls went well; says which did not, and why. */
    result<void> try_check() const { return {fault_.status, fault_.why}; }
#ifdef __cpp_exceptions
    /** Throwing form of `try_check`. */
    void check() const { try_check().value(); }
#endif

private:
    friend class config;
    friend class engine_ref;

    auth() = default;
    auth &set(roomcast_status (*setter)(roomcast_auth *, roomcast_str), std::string_view value) {
        return fault_.note(setter(raw_.get(), detail::str(value))), *this;
    }
    template <class F>
    static std::uint32_t asked(void *data, roomcast_str token, std::uint64_t now_s,
                               roomcast_claims *raw) noexcept {
        const auto check = [&] {
            claims given(raw);
            const status said = (*static_cast<F *>(data))(detail::view(token), now_s, given);
            // Claims that could not be written are not what the function meant.
            const status of = said == status::ok ? given.status() : said;
            return static_cast<std::uint32_t>(of);
        };
#ifdef __cpp_exceptions
        try {
            return check();
        } catch (...) {
            return ROOMCAST_STATUS_TOKEN;
        }
#else
        return check();
#endif
    }

    std::unique_ptr<roomcast_auth, detail::freed_by<roomcast_auth_free>> raw_;
    detail::fault fault_;
};

/**
 * How a connection is a member of a room; as made, it is sent everything, as the room's options
 * say. Keys are to be there until the call that it is given to:
 *
 *     connection.join("ticker", roomcast::join().keys({"BTC", "ETH"}).flush_interval(250ms));
 */
class join {
public:
    /** Only what this matches. */
    join &filter(roomcast::filter filter) { return filter_ = std::move(filter), *this; }
    /** Only what has one of its keys: one more of a watch-list. */
    join &key(std::string_view key) {
        raw_.watches = true;
        return keys_.push_back(detail::str(key)), *this;
    }
    /** The same, of several; of none there is a list that is empty. */
    join &keys(const std::vector<std::string_view> &keys) {
        raw_.watches = true;
        for (const auto each : keys) key(each);
        return *this;
    }
    /** Instead of the room's interval; 0 for none. */
    join &flush_interval(std::chrono::milliseconds time) {
        return raw_.flush_interval_ms = detail::interval(time), *this;
    }
    /** Instead of the room's policy. */
    join &slow_policy(roomcast::slow_policy policy) {
        return raw_.slow_policy = static_cast<std::uint32_t>(policy), *this;
    }

private:
    friend class accept;
    friend class connection;

    /** `status::ok`, or why its filter is none. */
    status check() const noexcept { return filter_ ? filter_->status() : status::ok; }
    roomcast_join raw() const noexcept {
        roomcast_join raw = raw_;
        raw.struct_size = sizeof raw;
        raw.filter = filter_ ? filter_->raw() : nullptr;
        raw.keys = keys_.data();
        raw.key_count = keys_.size();
        return raw;
    }

    std::optional<roomcast::filter> filter_;
    std::vector<roomcast_str> keys_;
    roomcast_join raw_{};
};

/** How a connection is accepted. Texts are to be there until the call that it is given to. */
class accept {
public:
    /** Who it is, for `send_user`; one user may have many connections. */
    accept &user(std::string_view user) { return raw_.user = detail::str(user), *this; }
    /** A room to be in from the first moment; may be called several times. */
    accept &room(std::string_view room) {
        return rooms_.push_back(detail::str(room)), joins_.emplace_back(), *this;
    }
    /** The same, in this way. */
    accept &room(std::string_view room, join how) {
        return rooms_.push_back(detail::str(room)), joins_.emplace_back(std::move(how)), *this;
    }
    /** What a token would have said: instead of what its token says, if it had one. */
    accept &claims(const roomcast::claims &claims) { return claims_ = claims, *this; }
    /** What others are told of it in rooms with presence: a value in JSON. */
    accept &info(std::string_view json) { return raw_.info = detail::str(json), *this; }
    /** One of the offered subprotocols. */
    accept &subprotocol(std::string_view name) {
        return raw_.subprotocol = detail::str(name), *this;
    }
    /** Data found again as `event::data<T>()`; let go of after the connection's last event. */
    template <class T>
    accept &data(std::shared_ptr<T> data) {
        static_assert(!std::is_const_v<T> && !std::is_void_v<T>);
        return data_ = {&detail::tag<T>, std::move(data)}, *this;
    }
    /** The same, of a single owner. */
    template <class T>
    accept &data(std::unique_ptr<T> data) {
        return this->data(std::shared_ptr<T>(std::move(data)));
    }

private:
    friend class pending;
    friend class upgrade;

    /** Calls with the C struct; its data is the engine's only if the call returns OK. */
    template <class F>
    roomcast::status give_to(F call) const {
        roomcast_accept raw = raw_;
        raw.struct_size = sizeof raw;
        raw.rooms = rooms_.data();
        raw.room_count = rooms_.size();
        std::vector<roomcast_join> hows(joins_.size());
        std::vector<const roomcast_join *> joins(joins_.size());
        for (std::size_t i = 0; i < joins_.size(); ++i) {
            if (!joins_[i]) continue;
            if (const auto fault = joins_[i]->check(); fault != roomcast::status::ok) return fault;
            hows[i] = joins_[i]->raw();
            joins[i] = &hows[i];
        }
        raw.joins = joins.data();
        if (claims_) {
            if (claims_->status() != roomcast::status::ok) return claims_->status();
            raw.claims = claims_->raw();
        }
        std::unique_ptr<detail::box> box;
        if (data_.held) {
            box = std::make_unique<detail::box>(data_);
            raw.data = box.get();
            raw.data_free = [](void *data) { delete static_cast<detail::box *>(data); };
        }
        const roomcast::status status = detail::code(call(&raw));
        if (status == roomcast::status::ok) static_cast<void>(box.release());
        return status;
    }

    roomcast_accept raw_{};
    std::vector<roomcast_str> rooms_;
    std::vector<std::optional<join>> joins_;
    std::optional<roomcast::claims> claims_;
    detail::box data_{nullptr, nullptr};
};

/**
 * A publication with all that can be said of it. The payload and the names are to be there until
 * it is published:
 *
 *     engine.publish(roomcast::publication("moved").to("floor").except(event.connection()));
 */
class publication {
public:
    /** Of this text or these bytes. */
    explicit publication(const payload &what) noexcept {
        raw_.kind = what.kind();
        raw_.data = detail::raw(what.bytes());
    }
    /** To the members of this room; of several rooms a member is sent it once. */
    publication &to(std::string_view room) { return rooms_.push_back(detail::str(room)), *this; }
    /** But not to this connection: for instance the sender. */
    publication &except(connection_id id) { return except_.push_back(id), *this; }
    /** But not to this connection. */
    inline publication &except(const connection &of);
    /** And not to members of this room. */
    publication &except_room(std::string_view room) {
        return except_rooms_.push_back(detail::str(room)), *this;
    }
    /** What kind of event it is, for filters; not on the wire, as key and tags. */
    publication &event(std::string_view event) {
        return raw_.event = detail::present(event), *this;
    }
    /** What it is about: newer news of it may take its place, and members may watch it. */
    publication &key(std::string_view key) { return raw_.key = detail::present(key), *this; }
    /** A name and a value for filters. */
    publication &tag(std::string_view name, std::string_view value) {
        return tags_.push_back({detail::str(name), detail::str(value)}), *this;
    }

private:
    friend class connection;
    friend class engine_ref;
    friend class filter;
    friend class room;

    roomcast_publication raw() const noexcept {
        roomcast_publication raw = raw_;
        raw.struct_size = sizeof raw;
        raw.rooms = rooms_.data();
        raw.room_count = rooms_.size();
        raw.except = except_.data();
        raw.except_count = except_.size();
        raw.except_rooms = except_rooms_.data();
        raw.except_room_count = except_rooms_.size();
        raw.tags = tags_.data();
        raw.tag_count = tags_.size();
        return raw;
    }

    roomcast_publication raw_{};
    std::vector<roomcast_str> rooms_, except_rooms_;
    std::vector<connection_id> except_;
    std::vector<roomcast_tag> tags_;
};

inline result<bool> filter::try_matches(const publication &what) const {
    bool out = false;
    const roomcast_publication given = what.raw();
    return detail::made(roomcast_filter_matches(raw(), &given, &out), out);
}
#ifdef __cpp_exceptions
inline bool filter::matches(const publication &what) const { return try_matches(what).value(); }
#endif

// ---- The engine, seen from anywhere -------------------------------------------------------------

/**
 * An engine by reference: what handlers are given, also before `engine::start` has returned. Valid
 * until the `engine` is destroyed, and then until the handler that got it returns.
 */
class engine_ref {
public:
    engine_ref() noexcept = default;

    /** Publishes to all members of a room; never blocks on a peer. Nobody is there: no error. */
    result<published> try_publish(std::string_view room, const payload &what) const {
        published out{};
        return detail::made(roomcast_engine_publish(raw_, detail::str(room), what.kind(),
                                                    detail::raw(what.bytes()), &out), out);
    }
    /** Publishes to one or several rooms, with exclusions and labels: to all of them or none. */
    result<published> try_publish(const publication &what) const {
        published out{};
        const roomcast_publication raw = what.raw();
        return detail::made(roomcast_engine_publish_with(raw_, &raw, &out), out);
    }
    /**
     * Publishes to one room, and tells later what became of it (`config::on_delivered`), perhaps
     * before this returns. It costs a walk over the members, so track what matters.
     */
    result<tracked> try_publish_tracked(const publication &what) const {
        tracked out{};
        const roomcast_publication raw = what.raw();
        const roomcast_status status =
            roomcast_engine_publish_tracked(raw_, &raw, &out.token, &out.published);
        return detail::made(status, out);
    }
    /** Sends to every open connection. */
    result<void> try_send_all(const payload &what) const {
        return detail::code(
            roomcast_engine_send_all(raw_, what.kind(), detail::raw(what.bytes())));
    }
    /** Sends to all connections of a user; none is no error. */
    result<void> try_send_user(std::string_view user, const payload &what) const {
        return detail::code(roomcast_user_send(raw_, detail::str(user), what.kind(),
                                               detail::raw(what.bytes())));
    }
    /** Holds a room: publishing to it looks no name up, and it exists as long as it is held. */
    inline result<roomcast::room> try_room(std::string_view name) const;
    /** Members of a room now; 0 for one that does not exist. */
    result<std::size_t> try_count(std::string_view room) const {
        std::size_t out = 0;
        return detail::made(roomcast_engine_count(raw_, detail::str(room), &out), out);
    }
    /** All rooms, in no order. */
    result<std::vector<room_entry>> try_rooms() const {
        roomcast_names *names = nullptr;
        const roomcast_status status = roomcast_engine_rooms(raw_, &names);
        return entries(status, names);
    }
    /** All open connections. Waits for the shards: `status::on_shard` in handlers. */
    inline result<std::vector<roomcast::connection>> try_connections() const;
    /** The members of a room. Waits for the shards: `status::on_shard` in handlers. */
    inline result<std::vector<roomcast::connection>> try_members(std::string_view room) const;
    /** How many are in a room, at once, however many they are. */
    result<roomcast::presence> try_presence(std::string_view room) const {
        roomcast::presence out{};
        return detail::made(roomcast_engine_presence(raw_, detail::str(room), &out), out);
    }
    /**
     * Who is in a room with `room_options::presence`, page by page: behind the `next` of the page
     * before, at most `limit` and `presence_page_max` of them. Whoever is there all the time is on
     * exactly one of them.
     */
    inline result<present_page> try_present(std::string_view room, std::uint64_t after = 0,
                                            std::size_t limit = 0) const;
    /** Closes all connections of a user (4004), and keeps out its tokens that were made by now. */
    result<void> try_revoke_user(std::string_view user) const {
        return detail::code(roomcast_user_revoke(raw_, detail::str(user)));
    }
    /** Closes the connections with the token of this id (4004), and keeps that token out. */
    result<void> try_revoke_token(std::string_view token_id) const {
        return detail::code(roomcast_token_revoke(raw_, detail::str(token_id)));
    }
    /** Has tokens checked by the keys or the function of this from now on. */
    result<void> try_reload_auth(const auth &by) const {
        if (by.fault_.status != status::ok) return {by.fault_.status, by.fault_.why};
        return detail::code(roomcast_engine_reload_auth(raw_, by.raw_.get()));
    }
    /** Serves new TLS handshakes with these certificates; no connection is dropped. */
    result<void> try_reload_tls(const tls &with) const {
        if (with.fault_.status != status::ok) return {with.fault_.status, with.fault_.why};
        char why[256] = "";
        const auto of = roomcast_engine_reload_tls(raw_, with.raw(), why, sizeof why);
        return {detail::code(of), why};
    }
    /** The engine's figures at one moment. */
    result<roomcast_snapshot> try_snapshot() const {
        roomcast_snapshot out{};
        out.struct_size = sizeof out;
        const roomcast_status status = roomcast_engine_snapshot(raw_, &out);
        return detail::made(status, out);
    }
    /** The figures of one shard alone, to see which one is hot. */
    result<roomcast_snapshot> try_shard_snapshot(std::size_t shard) const {
        roomcast_snapshot out{};
        out.struct_size = sizeof out;
        const roomcast_status status = roomcast_engine_shard_snapshot(raw_, shard, &out);
        return detail::made(status, out);
    }
    /** The engine's figures as Prometheus reads them. */
    result<std::string> try_metrics() const {
        roomcast_text *text = nullptr;
        const roomcast_status status = roomcast_engine_metrics(raw_, &text);
        const std::unique_ptr<roomcast_text, detail::freed_by<roomcast_text_free>> freed(text);
        return detail::made(status, std::string(detail::view(roomcast_text_str(text))));
    }
    /** The value of a limit that the engine runs on. */
    result<std::uint64_t> try_limit(roomcast::limit which) const {
        std::uint64_t out = 0;
        return detail::made(
            roomcast_engine_limit(raw_, static_cast<std::uint32_t>(which), &out), out);
    }
    /**
     * Takes over a connected socket of which the host has read `head`. The engine's on success;
     * else it stays the host's.
     */
    result<void> try_adopt(int fd, bytes_view head = {}) const {
        return detail::code(roomcast_engine_adopt(raw_, fd, detail::raw(head)));
    }
    /** Checks a request that came to the host's own HTTP server. */
    inline result<roomcast::upgrade> try_upgrade(
        std::string_view method, std::string_view target,
        const std::vector<std::pair<std::string_view, std::string_view>> &headers) const;
    /** Begins to stop and returns at once, anywhere. */
    result<void> try_begin_stop() const { return detail::code(roomcast_engine_begin_stop(raw_)); }
    /**
     * Stops, as `roomcast_engine_stop`: waits until all connections have ended. In a handler it
     * says `status::on_shard` and has begun to stop.
     */
    result<stop_report> try_stop() const {
        stop_report out{};
        const roomcast_status status = roomcast_engine_stop(raw_, &out);
        return detail::made(status, out);
    }
    /** Stops, and cuts after this time who has not gone by then. */
    result<stop_report> try_stop_within(std::chrono::milliseconds timeout) const {
        stop_report out{};
        const auto ms = static_cast<std::uint64_t>(timeout.count() < 0 ? 0 : timeout.count());
        const roomcast_status status = roomcast_engine_stop_within(raw_, ms, &out);
        return detail::made(status, out);
    }
    /** Calls `work()` now; what it publishes and sends leaves together. */
    template <class F>
    result<void> try_corked(F &&work) const;

#ifdef __cpp_exceptions
    /** The throwing forms: as `try_...`, but they give the value or throw `error`. */
    published publish(std::string_view room, const payload &what) const {
        return try_publish(room, what).value();
    }
    /** Throwing form of `try_publish`. */
    published publish(const publication &what) const { return try_publish(what).value(); }
    /** Throwing form of `try_publish_tracked`. */
    tracked publish_tracked(const publication &what) const {
        return try_publish_tracked(what).value();
    }
    /** Throwing form of `try_send_all`. */
    void send_all(const payload &what) const { try_send_all(what).value(); }
    /** Throwing form of `try_send_user`. */
    void send_user(std::string_view user, const payload &what) const {
        try_send_user(user, what).value();
    }
    /** Throwing form of `try_room`. */
    inline roomcast::room room(std::string_view name) const;
    /** Throwing form of `try_count`. */
    std::size_t count(std::string_view room) const { return try_count(room).value(); }
    /** Throwing form of `try_rooms`. */
    std::vector<room_entry> rooms() const { return try_rooms().value(); }
    /** Throwing form of `try_connections`. */
    inline std::vector<roomcast::connection> connections() const;
    /** Throwing form of `try_members`. */
    inline std::vector<roomcast::connection> members(std::string_view room) const;
    /** Throwing form of `try_presence`. */
    roomcast::presence presence(std::string_view room) const {
        return try_presence(room).value();
    }
    /** Throwing form of `try_present`. */
    inline present_page present(std::string_view room, std::uint64_t after = 0,
                                std::size_t limit = 0) const;
    /** Throwing form of `try_revoke_user`. */
    void revoke_user(std::string_view user) const { try_revoke_user(user).value(); }
    /** Throwing form of `try_revoke_token`. */
    void revoke_token(std::string_view token_id) const { try_revoke_token(token_id).value(); }
    /** Throwing form of `try_reload_auth`. */
    void reload_auth(const auth &by) const { try_reload_auth(by).value(); }
    /** Throwing form of `try_reload_tls`. */
    void reload_tls(const tls &with) const { try_reload_tls(with).value(); }
    /** Throwing form of `try_snapshot`. */
    roomcast_snapshot snapshot() const { return try_snapshot().value(); }
    /** Throwing form of `try_shard_snapshot`. */
    roomcast_snapshot shard_snapshot(std::size_t shard) const {
        return try_shard_snapshot(shard).value();
    }
    /** Throwing form of `try_metrics`. */
    std::string metrics() const { return try_metrics().value(); }
    /** Throwing form of `try_limit`. */
    std::uint64_t limit(roomcast::limit which) const { return try_limit(which).value(); }
    /** Throwing form of `try_adopt`. */
    void adopt(int fd, bytes_view head = {}) const { try_adopt(fd, head).value(); }
    /** Throwing form of `try_upgrade`. */
    inline roomcast::upgrade upgrade(
        std::string_view method, std::string_view target,
        const std::vector<std::pair<std::string_view, std::string_view>> &headers) const;
    /** Throwing form of `try_begin_stop`. */
    void begin_stop() const { try_begin_stop().value(); }
    /** Throwing form of `try_stop`. */
    stop_report stop() const { return try_stop().value(); }
    /** Throwing form of `try_stop_within`. */
    stop_report stop_within(std::chrono::milliseconds timeout) const {
        return try_stop_within(timeout).value();
    }
    /** Throwing form of `try_corked`. */
    template <class F>
    void corked(F &&work) const { try_corked(std::forward<F>(work)).value(); }
#endif

    /** A connection by its number; whether it is there is seen when it is used. */
    inline roomcast::connection connection(connection_id id) const;
    /** Whether the engine is stopping or has stopped. */
    bool is_stopping() const { return roomcast_engine_is_stopping(raw_); }
    /** Whether an internal error has happened; it stops by itself then. */
    bool is_broken() const { return roomcast_engine_is_broken(raw_); }
    /** Where the TCP listeners listen: "127.0.0.1:8080". */
    std::vector<std::string> addresses() const {
        std::vector<std::string> all;
        roomcast_str text{};
        while (roomcast_engine_address(raw_, all.size(), &text, nullptr) == ROOMCAST_STATUS_OK)
            all.emplace_back(detail::view(text));
        return all;
    }
    /** The port of a TCP listener; 0 where there is no such listener. */
    std::uint16_t port(std::size_t index = 0) const {
        std::uint16_t port = 0;
        roomcast_engine_address(raw_, index, nullptr, &port);
        return port;
    }
    /** The engine as C has it; null of what was moved from. */
    const roomcast_engine *raw() const noexcept { return raw_; }

protected:
    /** Of an engine and the way to its memory. */
    engine_ref(const roomcast_engine *raw, const std::weak_ptr<detail::life> *life) noexcept
        : raw_(raw), life_(life) {}

    /** The engine as C has it. */
    const roomcast_engine *raw_ = nullptr;

private:
    friend class roomcast::connection;
    friend class roomcast::room;
    friend struct detail::told;
    friend struct detail::held;

    static result<std::vector<room_entry>> entries(roomcast_status status, roomcast_names *names) {
        const std::unique_ptr<roomcast_names, detail::freed_by<roomcast_names_free>> freed(names);
        std::vector<room_entry> all(roomcast_names_count(names));
        for (std::size_t i = 0; i < all.size(); ++i) {
            roomcast_str name{};
            roomcast_names_at(names, i, &name, &all[i].members);
            all[i].name = detail::view(name);
        }
        return detail::made(status, std::move(all));
    }
    inline result<std::vector<roomcast::connection>> ids(roomcast_status, roomcast_ids *) const;
    inline result<present_page> page(roomcast_status, roomcast_present *) const;

    const std::weak_ptr<detail::life> *life_ = nullptr;
};

namespace detail {

/** An engine that is held: its memory, and the reference that is good for as long. */
struct held {
    held() = default;
    explicit held(const engine_ref &of)
        : memory(of.life_ ? of.life_->lock() : nullptr),
          engine(memory ? engine_ref(of.raw_, memory->self.get()) : engine_ref()) {}

    std::shared_ptr<life> memory;
    engine_ref engine;
};

#ifdef __cpp_exceptions
/** False where the peer has gone, which is no error. */
template <class T>
bool reached(result<T> done) {
    if (done.status() == status::gone) return false;
    return static_cast<void>(std::move(done).value()), true;
}
#endif

} // namespace detail

/** A connection: a light value, to be copied at will, of an engine and a number. */
class connection {
public:
    connection() noexcept = default;
    /** By its number. */
    connection(const engine_ref &engine, connection_id id) noexcept : engine_(engine), id_(id) {}

    /** Its number, never reused in its engine's life. */
    connection_id id() const noexcept { return id_; }
    /** Its engine. */
    const engine_ref &engine() const noexcept { return engine_; }
    /** Whether it is open or waits for a verdict, at this moment. */
    bool is_open() const { return roomcast_connection_is_open(engine_.raw(), id_); }

    /** Sends to it alone, in its place among the publications of its rooms. */
    result<void> try_send(const payload &what) const {
        return detail::code(roomcast_connection_send(engine_.raw(), id_, what.kind(),
                                                     detail::raw(what.bytes())));
    }
    /** Makes it a member: it is sent what is published after this call, nothing from before. */
    result<position> try_join(std::string_view room) const {
        position out{};
        return detail::made(
            roomcast_connection_join(engine_.raw(), id_, detail::str(room), &out), out);
    }
    /** The same in this way; of a member already it changes how it is one. */
    result<position> try_join(std::string_view room, const roomcast::join &how) const {
        if (const auto fault = how.check(); fault != status::ok) return fault;
        position out{};
        const roomcast_join raw = how.raw();
        const auto status =
            roomcast_connection_join_with(engine_.raw(), id_, detail::str(room), &raw, &out);
        return detail::made(status, out);
    }
    /** Adds keys to its watch-list, where it joined with one: for what is published from now on. */
    result<void> try_watch(std::string_view room,
                           const std::vector<std::string_view> &keys) const {
        return change_keys(roomcast_connection_watch, room, keys);
    }
    /** Takes keys off its watch-list. */
    result<void> try_unwatch(std::string_view room,
                             const std::vector<std::string_view> &keys) const {
        return change_keys(roomcast_connection_unwatch, room, keys);
    }
    /** Ends a membership; not being a member is no error. */
    result<void> try_leave(std::string_view room) const {
        return detail::code(roomcast_connection_leave(engine_.raw(), id_, detail::str(room)));
    }
    /** Closes it, after what it is owed: 1000, 1001, 1003, 1007 to 1014, or 3000 to 4999. */
    result<void> try_close(std::uint32_t code = 1000, std::string_view why = {}) const {
        return detail::code(roomcast_connection_close(engine_.raw(), id_, code, detail::str(why)));
    }
    /**
     * It asks to join: for what peers say. If its token allows that it joins; else the host decides
     * (`config::on_permission`). That it is not allowed is not reported here.
     */
    result<void> try_request_join(std::string_view room, const roomcast::join &how = {}) const {
        if (const auto fault = how.check(); fault != status::ok) return fault;
        const roomcast_join raw = how.raw();
        return detail::code(
            roomcast_connection_request_join(engine_.raw(), id_, detail::str(room), &raw));
    }
    /** It asks to publish to one room, likewise. */
    result<void> try_request_publish(const publication &what) const {
        const roomcast_publication raw = what.raw();
        return detail::code(roomcast_connection_request_publish(engine_.raw(), id_, &raw));
    }
    /** Gives it a new token; one that is not valid, or another user's, changes nothing. */
    result<void> try_refresh(std::string_view token) const {
        return detail::code(roomcast_connection_refresh(engine_.raw(), id_, detail::str(token)));
    }
    /** From now on these hold of it; another user's change nothing. */
    result<void> try_refresh(const claims &made) const {
        return detail::code(roomcast_connection_refresh_claims(engine_.raw(), id_, made.raw()));
    }
    /** Closes it with 4004, at once; it may come back, even with the same token. */
    result<void> try_revoke() const {
        return detail::code(roomcast_connection_revoke(engine_.raw(), id_));
    }
    /** The rooms that it is in. Waits for its shard: `status::on_shard` in handlers. */
    result<std::vector<room_entry>> try_rooms() const {
        roomcast_names *names = nullptr;
        const auto status = roomcast_connection_rooms(engine_.raw(), id_, &names);
        return engine_ref::entries(status, names);
    }

#ifdef __cpp_exceptions
    /** The throwing forms; false where it has gone. */
    bool send(const payload &what) const { return detail::reached(try_send(what)); }
    /** Throwing form of `try_join`. */
    bool join(std::string_view room) const { return detail::reached(try_join(room)); }
    /** Throwing form of `try_join`. */
    bool join(std::string_view room, const roomcast::join &how) const {
        return detail::reached(try_join(room, how));
    }
    /** Throwing form of `try_watch`. */
    bool watch(std::string_view room, const std::vector<std::string_view> &keys) const {
        return detail::reached(try_watch(room, keys));
    }
    /** Throwing form of `try_unwatch`. */
    bool unwatch(std::string_view room, const std::vector<std::string_view> &keys) const {
        return detail::reached(try_unwatch(room, keys));
    }
    /** Throwing form of `try_leave`. */
    bool leave(std::string_view room) const { return detail::reached(try_leave(room)); }
    /** Throwing form of `try_close`. */
    bool close(std::uint32_t code = 1000, std::string_view why = {}) const {
        return detail::reached(try_close(code, why));
    }
    /** Throwing form of `try_request_join`. */
    bool request_join(std::string_view room, const roomcast::join &how = {}) const {
        return detail::reached(try_request_join(room, how));
    }
    /** Throwing form of `try_request_publish`. */
    bool request_publish(const publication &what) const {
        return detail::reached(try_request_publish(what));
    }
    /** Throwing form of `try_refresh`; it throws also for a token that is not valid. */
    bool refresh(std::string_view token) const { return detail::reached(try_refresh(token)); }
    /** Throwing form of `try_refresh`. */
    bool refresh(const claims &made) const { return detail::reached(try_refresh(made)); }
    /** Throwing form of `try_revoke`. */
    bool revoke() const { return detail::reached(try_revoke()); }
    /** None of one that has gone. */
    std::vector<room_entry> rooms() const {
        auto all = try_rooms();
        if (all.status() == status::gone) return {};
        return std::move(all).value();
    }
#endif

    /** Whether both are the same connection of the same engine. */
    friend bool operator==(const connection &a, const connection &b) noexcept {
        return a.id_ == b.id_ && a.engine_.raw() == b.engine_.raw();
    }
    /** Whether they are different. */
    friend bool operator!=(const connection &a, const connection &b) noexcept { return !(a == b); }

private:
    template <class Change>
    result<void> change_keys(Change change, std::string_view room,
                             const std::vector<std::string_view> &keys) const {
        std::vector<roomcast_str> all;
        for (const auto key : keys) all.push_back(detail::str(key));
        return detail::code(
            change(engine_.raw(), id_, detail::str(room), all.data(), all.size()));
    }

    engine_ref engine_;
    connection_id id_ = 0;
};

inline publication &publication::except(const connection &of) { return except(of.id()); }

/** A member of a room with presence. */
struct present_member {
    /** The connection. */
    roomcast::connection connection;
    /** The user that it was accepted as; none where it is anonymous. */
    std::optional<std::string> user;
    /** What it was accepted with for others to see, in JSON. */
    std::optional<std::string> info;
};

/** Some members of a room with presence, in the order in which they joined. */
struct present_page {
    /** The members. */
    std::vector<present_member> members;
    /** Where the next page begins; 0 when this is the last one. */
    std::uint64_t next = 0;
};

/**
 * What a peer wants in a room and its token does not allow by itself: answer now or within
 * `verdict_timeout_ms`, from any thread, also after its engine. It may be copied; the first answer
 * counts, and another gives `status::answered`. When the last copy and the event that it came with
 * have gone, it is denied.
 */
class wish {
public:
    wish() = default;
    /** Of one that C has, and kept from now on. */
    explicit wish(const roomcast_wish *raw) {
        roomcast_wish *kept = nullptr;
        if (roomcast_wish_keep(raw, &kept) == ROOMCAST_STATUS_OK)
            raw_ = {kept, detail::freed_by<roomcast_wish_free>()};
    }

    /** The number of the connection that wants it. */
    connection_id id() const noexcept { return roomcast_wish_connection(raw_.get()); }
    /** To join or to publish. */
    roomcast::verb verb() const noexcept {
        return static_cast<roomcast::verb>(roomcast_wish_verb(raw_.get()));
    }
    /** In which room; valid as long as it or a copy is. */
    std::string_view room() const noexcept {
        return detail::view(roomcast_wish_room(raw_.get()));
    }
    /** Allows it. `status::gone` where nothing has come of it: too late, or too much. */
    result<void> try_allow() const { return detail::code(roomcast_wish_allow(raw_.get())); }
    /** Does not allow it; the peer is not told. */
    result<void> try_deny() const { return detail::code(roomcast_wish_deny(raw_.get())); }
#ifdef __cpp_exceptions
    /** The throwing forms; false where nothing has come of it. */
    bool allow() const { return detail::reached(try_allow()); }
    /** Throwing form of `try_deny`. */
    void deny() const { try_deny().value(); }
#endif

private:
    std::shared_ptr<const roomcast_wish> raw_;
};

/**
 * Somebody who waits to be let in: answer now or within `verdict_timeout_ms`, from any thread. It
 * may be copied; the first answer counts, and another gives `status::answered`.
 */
class pending {
public:
    pending() = default;
    /** By the number of its connection. */
    pending(const engine_ref &engine, connection_id id) : held_(engine), id_(id) {}

    /** The number that the connection will have. */
    connection_id id() const noexcept { return id_; }
    /** Lets it in. From the return on it is sent what is published to its rooms. */
    result<void> try_accept(const roomcast::accept &as = {}) const {
        return as.give_to([this](const roomcast_accept *raw) {
            return roomcast_connection_accept(held_.engine.raw(), id_, raw);
        });
    }
    /** Turns it away with an HTTP status from 400 to 599 and a line for the client. */
    result<void> try_refuse(std::uint32_t http_status, std::string_view why = {}) const {
        return detail::code(roomcast_connection_refuse(held_.engine.raw(), id_, http_status,
                                                       detail::str(why)));
    }
#ifdef __cpp_exceptions
    /** The throwing forms; false where the peer has gone or its time is over. */
    bool accept(const roomcast::accept &as = {}) const { return detail::reached(try_accept(as)); }
    /** Throwing form of `try_refuse`. */
    bool refuse(std::uint32_t http_status, std::string_view why = {}) const {
        return detail::reached(try_refuse(http_status, why));
    }
#endif

private:
    detail::held held_;
    connection_id id_ = 0;
};

/** A held room, released with this object. Made by `engine_ref::room`. */
class room {
public:
    /** Takes it over. */
    room(room &&from) noexcept
        : held_(std::exchange(from.held_, {})), id_(std::exchange(from.id_, 0)) {}
    /** Takes it over, for the one that was here. */
    room &operator=(room &&from) noexcept {
        std::swap(held_, from.held_);
        std::swap(id_, from.id_);
        return *this;
    }
    ~room() {
        if (id_ != 0) roomcast_room_release(raw(), id_);
    }

    /** Publishes to its members, as `engine_ref::try_publish`. */
    result<published> try_publish(const payload &what) const {
        published out{};
        return detail::made(
            roomcast_room_publish(raw(), id_, what.kind(), detail::raw(what.bytes()), &out), out);
    }
    /** With exclusions and labels; the publication names no room. */
    result<published> try_publish(const publication &what) const {
        published out{};
        const roomcast_publication given = what.raw();
        return detail::made(roomcast_room_publish_with(raw(), id_, &given, &out), out);
    }
    /** The same, and what became of it is told, as by `engine_ref::try_publish_tracked`. */
    result<tracked> try_publish_tracked(const publication &what) const {
        tracked out{};
        const roomcast_publication given = what.raw();
        const roomcast_status status =
            roomcast_room_publish_tracked(raw(), id_, &given, &out.token, &out.published);
        return detail::made(status, out);
    }
    /** Members now. */
    result<std::size_t> try_members() const {
        std::size_t out = 0;
        return detail::made(roomcast_room_members(raw(), id_, &out), out);
    }
    /** Epoch and offset now. */
    result<roomcast::position> try_position() const {
        roomcast::position out{};
        return detail::made(roomcast_room_position(raw(), id_, &out), out);
    }
    /** How many are in it, as `engine_ref::try_presence`. */
    result<roomcast::presence> try_presence() const {
        roomcast::presence out{};
        return detail::made(roomcast_room_presence(raw(), id_, &out), out);
    }
    /** Who is in it, as `engine_ref::try_present`. */
    result<present_page> try_present(std::uint64_t after = 0, std::size_t limit = 0) const {
        roomcast_present *page = nullptr;
        const auto status = roomcast_room_present(raw(), id_, after, limit, &page);
        return held_.engine.page(status, page);
    }
#ifdef __cpp_exceptions
    /** The throwing forms. */
    published publish(const payload &what) const { return try_publish(what).value(); }
    /** Throwing form of `try_publish`. */
    published publish(const publication &what) const { return try_publish(what).value(); }
    /** Throwing form of `try_publish_tracked`. */
    tracked publish_tracked(const publication &what) const {
        return try_publish_tracked(what).value();
    }
    /** Throwing form of `try_presence`. */
    roomcast::presence presence() const { return try_presence().value(); }
    /** Throwing form of `try_present`. */
    present_page present(std::uint64_t after = 0, std::size_t limit = 0) const {
        return try_present(after, limit).value();
    }
    /** Throwing form of `try_members`. */
    std::size_t members() const { return try_members().value(); }
    /** Throwing form of `try_position`. */
    roomcast::position position() const { return try_position().value(); }
#endif
    /** Its name, valid as long as the room is held; empty of what was moved from. */
    std::string_view name() const {
        roomcast_str name{};
        roomcast_room_name(raw(), id_, &name);
        return detail::view(name);
    }

private:
    friend class engine_ref;
    room(detail::held engine, std::uint64_t id) noexcept : held_(std::move(engine)), id_(id) {}
    const roomcast_engine *raw() const noexcept { return held_.engine.raw(); }

    detail::held held_;
    std::uint64_t id_;
};

/** A request that the host's own HTTP server has read. Made by `engine_ref::upgrade`. */
class upgrade {
public:
    /** Takes it over. */
    upgrade(upgrade &&from) noexcept = default;
    /** Takes it over, for the one that was here. */
    upgrade &operator=(upgrade &&from) noexcept {
        std::swap(held_, from.held_);
        std::swap(raw_, from.raw_);
        return *this;
    }

    /** 101 where the socket can be handed over, else 400, 401, 403, 405 or 426. */
    std::uint32_t http_status() const { return roomcast_upgrade_status(raw_.get()); }
    /** What its token says, which was checked; valid until the next call. */
    std::optional<claims_view> claims() const {
        return claims_view::maybe(roomcast_upgrade_claims(raw_.get()));
    }
    /** The response to send, whatever it is; valid until the next call. */
    std::string_view response() const {
        return detail::view(roomcast_upgrade_response(raw_.get()));
    }
    /** Says how it is accepted; before the response is sent. */
    result<void> try_accept(const roomcast::accept &as) {
        return as.give_to([this](const roomcast_accept *raw) {
            return roomcast_upgrade_accept(raw_.get(), raw);
        });
    }
    /** Takes the socket over, once the response was sent. The engine's on success only. */
    result<void> try_adopt(int fd, bytes_view leftover = {}) {
        return detail::code(roomcast_upgrade_adopt(raw_.get(), fd, detail::raw(leftover)));
    }
#ifdef __cpp_exceptions
    /** The throwing forms. */
    void accept(const roomcast::accept &as) { try_accept(as).value(); }
    /** Throwing form of `try_adopt`. */
    void adopt(int fd, bytes_view leftover = {}) { try_adopt(fd, leftover).value(); }
#endif

private:
    friend class engine_ref;
    upgrade(detail::held engine, roomcast_upgrade *raw) noexcept
        : held_(std::move(engine)), raw_(raw) {}

    detail::held held_;
    std::unique_ptr<roomcast_upgrade, detail::freed_by<roomcast_upgrade_free>> raw_;
};

// ---- Events -------------------------------------------------------------------------------------

/**
 * What happened. In a handler it is valid until the handler returns, in `events` as long as these
 * are. What an event of its kind does not have is empty.
 */
class event {
public:
    /** Of one that C has. */
    event(const engine_ref &engine, const roomcast_event &raw) noexcept
        : engine_(engine), raw_(&raw) {}

    /** Its kind; one that the host does not know is to be left alone. */
    event_kind kind() const noexcept { return static_cast<event_kind>(raw_->kind); }
    /** The engine that it comes from. */
    const engine_ref &engine() const noexcept { return engine_; }
    /** The connection that it is about; of delivered, none, whose calls say `status::gone`. */
    roomcast::connection connection() const noexcept { return {engine_, raw_->connection}; }
    /** The user that it was accepted as; none where it is anonymous. */
    std::optional<std::string_view> user() const noexcept { return detail::maybe(raw_->user); }
    /** What it was accepted with; null where that was nothing or of another type. */
    template <class T>
    T *data() const noexcept {
        const auto *box = static_cast<const detail::box *>(raw_->connection_data);
        const bool is = box && box->type == &detail::tag<T>;
        return is ? static_cast<T *>(box->held.get()) : nullptr;
    }
    /** The same, to be kept. */
    template <class T>
    std::shared_ptr<T> shared_data() const noexcept {
        T *found = data<T>();
        if (!found) return nullptr;
        return {static_cast<const detail::box *>(raw_->connection_data)->held, found};
    }

    /** Of connecting: what is asked for. */
    roomcast::request request() const noexcept { return roomcast::request(raw_->request); }
    /** Of connecting: who waits for an answer. */
    roomcast::pending pending() const { return {engine_, raw_->connection}; }
    /** What the token of its connection says, by now; of connecting ask `request`. */
    std::optional<claims_view> claims() const {
        return claims_view::maybe(roomcast_event_claims(raw_));
    }
    /** Whether the token of its connection allows something in a room, by now. */
    bool may(roomcast::verb what, std::string_view room) const {
        return roomcast_event_may(raw_, static_cast<std::uint32_t>(what), detail::str(room));
    }
    /** Of permission: to be answered, now or later. */
    roomcast::wish wish() const { return roomcast::wish(raw_->wish); }
    /** Of permission: to join or to publish. */
    roomcast::verb verb() const noexcept { return static_cast<roomcast::verb>(raw_->verb); }
    /** Of message, and of permission to publish: what came. */
    payload message() const noexcept { return {raw_->message_kind, raw_->message}; }
    /** Of closed: why. */
    roomcast::close_reason close_reason() const noexcept {
        return static_cast<roomcast::close_reason>(raw_->close_reason);
    }
    /** Of closed: the WebSocket close code; 1006 where no close frame passed. */
    std::uint32_t close_code() const noexcept { return raw_->close_code; }
    /** Of closed: the peer's text, or the rule that it broke. */
    std::string_view close_text() const noexcept { return detail::view(raw_->text); }
    /** Of backpressure: whether more waits than `outbox_high_bytes`. */
    bool high() const noexcept { return raw_->high; }
    /** Of lagged, delivered and permission: the room's name. */
    std::string_view room() const noexcept { return detail::view(raw_->text); }
    /** Of lagged: how many publications it was not sent. */
    std::uint64_t missed() const noexcept { return raw_->missed; }
    /** Of lagged: the number of the first of them in the room. */
    std::uint64_t missed_first() const noexcept { return raw_->missed_first; }
    /** Of lagged: the number of the last of them. */
    std::uint64_t missed_last() const noexcept { return raw_->missed_last; }
    /** Of lagged: whether newer news of the key of each was sent instead, or will be. */
    bool missed_replaced() const noexcept { return raw_->missed_replaced; }
    /** Of delivered: what became of the publication. */
    roomcast::delivery delivery() const noexcept {
        return raw_->delivery ? *raw_->delivery : roomcast::delivery{};
    }

private:
    engine_ref engine_;
    const roomcast_event *raw_;
};

/**
 * Events taken from the queue, given back with this object, on any thread, also after the engine.
 * A connection whose events are kept is soon not read from.
 */
class events {
public:
    /** Goes over a batch; valid as long as that is. */
    class iterator {
    public:
        /** It gives events by value, once each. */
        using iterator_category = std::input_iterator_tag;
        using value_type = event;               /**< What it gives. */
        using difference_type = std::ptrdiff_t; /**< Not used. */
        using pointer = void;                   /**< None. */
        using reference = event;                /**< What it gives. */

        /** At one of the events. */
        iterator(const events *of, std::size_t at) noexcept : of_(of), at_(at) {}
        /** The event. */
        event operator*() const noexcept { return (*of_)[at_]; }
        /** To the next one. */
        iterator &operator++() noexcept { return ++at_, *this; }
        /** Whether it is elsewhere. */
        bool operator!=(const iterator &other) const noexcept { return at_ != other.at_; }

    private:
        const events *of_;
        std::size_t at_;
    };

    events() noexcept = default;
    /** Takes them over. */
    events(events &&from) noexcept { *this = std::move(from); }
    /** Takes them over, for those that were here. */
    events &operator=(events &&from) noexcept {
        std::swap(held_, from.held_);
        std::swap(raw_, from.raw_);
        std::swap(size_, from.size_);
        std::swap(ended_, from.ended_);
        return *this;
    }
    ~events() { roomcast_events_free(sizeof(roomcast_event), size_, raw_.get()); }

    /** How many. */
    std::size_t size() const noexcept { return size_; }
    /** Whether there are none. */
    bool empty() const noexcept { return size_ == 0; }
    /** Whether the engine has stopped and all its events were taken. */
    bool ended() const noexcept { return ended_; }
    /** One of them, below `size`. */
    event operator[](std::size_t index) const noexcept { return {held_.engine, raw_[index]}; }
    /** The first. */
    iterator begin() const noexcept { return {this, 0}; }
    /** Behind the last. */
    iterator end() const noexcept { return {this, size_}; }

private:
    friend class engine;

    detail::held held_;
    std::unique_ptr<roomcast_event[]> raw_;
    std::size_t size_ = 0;
    bool ended_ = false;
};

// ---- Configuration ------------------------------------------------------------------------------

namespace detail {

/** The host's lambdas, shared by a configuration and its engines; constant once one started. */
struct handlers {
    static constexpr std::uint32_t kinds = ROOMCAST_EVENT_PERMISSION + 1;

    /** Runs a handler; false where an exception has ended it, which was told. */
    template <class F>
    bool run(F work) const noexcept {
#ifdef __cpp_exceptions
        try {
            return work(), true;
        } catch (...) {
            return tell(std::current_exception()), false;
        }
#else
        return work(), true;
#endif
    }

#ifdef __cpp_exceptions
    void tell(const std::exception_ptr &thrown) const noexcept {
        try {
            if (on_exception) return on_exception(thrown);
            std::rethrow_exception(thrown);
        } catch (const std::exception &exception) {
            tell(exception.what());
        } catch (...) {
            tell("something that is no std::exception");
        }
    }
    void tell(const char *what) const noexcept {
        try {
            if (log) log(log_level::error, std::string("a handler has thrown: ") + what);
        } catch (...) {
            // Nobody is left to be told.
        }
    }
#endif

    const function<void(const event &)> *find(std::uint32_t kind) const noexcept {
        const function<void(const event &)> *all[kinds] = {
            nullptr,       &connecting, &opened,    &message,  &closed,
            &backpressure, &lagged,     &delivered, &expiring, &permission};
        return kind < kinds && all[kind] && *all[kind] ? all[kind] : nullptr;
    }

    function<void(const event &)> connecting, opened, message, closed, backpressure, lagged,
        delivered, expiring, permission;
    function<void(const request &, page &)> pages;
    function<void(log_level, std::string_view)> log;
    function<void(const std::exception_ptr &)> on_exception;
};

/** What C hands to the trampolines: the lambdas, and a way to the engine's memory. */
struct told {
    std::shared_ptr<const handlers> host;
    std::shared_ptr<const std::weak_ptr<life>> self;

    static void free(void *told_data) noexcept { delete static_cast<told *>(told_data); }

    static void event(void *data, const roomcast_engine *engine,
                      const roomcast_event *raw) noexcept {
        const told &to = *static_cast<const told *>(data);
        const auto *const handler = to.host->find(raw->kind);
        if (!handler) return;
        const roomcast::event event(engine_ref(engine, to.self.get()), *raw);
        if (to.host->run([&] { (*handler)(event); })) return;
        constexpr char why[] = "internal error";
        const roomcast_str text = {why, sizeof why - 1};
        const auto id = raw->connection;
        const bool waits = raw->kind == ROOMCAST_EVENT_CONNECTING
                           && roomcast_connection_refuse(engine, id, 500, text) == 0;
        if (!waits) roomcast_connection_close(engine, id, 1011, text);
    }
    static void page(void *data, const roomcast_request *request, roomcast_page *raw) noexcept {
        const told &to = *static_cast<const told *>(data);
        roomcast::page answer(raw);
        if (!to.host->run([&] { to.host->pages(roomcast::request(request), answer); }))
            to.host->run([&] { answer.set("text/plain", "internal error\n", 500); });
    }
    static void log(void *data, std::uint32_t level, roomcast_str line) noexcept {
        const told &to = *static_cast<const told *>(data);
#ifdef __cpp_exceptions
        try {
            to.host->log(static_cast<log_level>(level), view(line));
        } catch (...) {
            // To tell of it would be to log again.
        }
#else
        to.host->log(static_cast<log_level>(level), view(line));
#endif
    }
};

} // namespace detail

/**
 * Everything that a host may choose before an engine starts. What is wrong with a call is told by
 * the start, which names it; calls after it change nothing. One configuration may start several
 * engines; handlers are given before the first one starts.
 */
class config {
public:
    config() {
        roomcast_config *raw = nullptr;
        note(roomcast_config_new(ROOMCAST_VERSION, &raw), "header");
        raw_.reset(raw);
    }

    /** Adds a TCP listener: "host:port", port 0 for a free one. */
    config &listen(std::string_view address) {
        return note(roomcast_config_add_listener(raw(), detail::str(address)), "listen");
    }
    /** Adds a unix socket; a stale socket file is replaced. */
    config &listen_unix(std::string_view path) {
        return note(roomcast_config_add_unix_listener(raw(), detail::str(path)), "listen_unix");
    }
    /** Adds a TCP listener with options of its own. */
    config &listen(std::string_view address, const listen_options &options) {
        return note(roomcast_config_add_listener_with(raw(), detail::str(address), &options.raw_),
                    "listen");
    }
    /** Adds a unix socket with options of its own. */
    config &listen_unix(std::string_view path, const listen_options &options) {
        return note(roomcast_config_add_unix_listener_with(raw(), detail::str(path),
                                                           &options.raw_), "listen_unix");
    }
    /** Options of all rooms whose names begin so; of several prefixes the longest counts. */
    config &room_options(std::string_view prefix, const roomcast::room_options &options) {
        return note(roomcast_config_set_room_options(raw(), detail::str(prefix), &options.raw_),
                    "room_options");
    }
    /** How many threads serve connections; 0, the default, is one per core. */
    config &shards(std::size_t count) {
        return note(roomcast_config_set_shards(raw(), count), "shards");
    }
    /** With false the engine has no thread, and the host calls `engine::turn`. */
    config &own_threads(bool own) {
        return note(roomcast_config_set_own_threads(raw(), own), "own_threads");
    }
    /** Lets several processes share a port. */
    config &reuse_port(bool reuse) {
        return note(roomcast_config_set_reuse_port(raw(), reuse), "reuse_port");
    }
    /** What happens to members that are too slow, where nothing else says otherwise. */
    config &slow_policy(roomcast::slow_policy policy) {
        return note(roomcast_config_set_slow_policy(raw(), static_cast<std::uint32_t>(policy)),
                    "slow_policy");
    }
    /** What happens to what a peer says beyond `message_rate_max`. */
    config &message_rate_policy(roomcast::message_rate_policy policy) {
        const auto number = static_cast<std::uint32_t>(policy);
        return note(roomcast_config_set_message_rate_policy(raw(), number),
                    "message_rate_policy");
    }
    /** The web pages that may connect, beside those of the engine's own host. */
    config &origins(const std::vector<std::string_view> &origins) {
        std::vector<roomcast_str> all;
        for (const auto origin : origins) all.push_back(detail::str(origin));
        return note(roomcast_config_set_origins(raw(), all.data(), all.size()), "origins");
    }
    /** Lets every web page connect: where clients prove who they are without cookies. */
    config &any_origin() {
        return note(roomcast_config_allow_any_origin(raw()), "any_origin");
    }
    /** How peers prove who they are; else they do not, and the host decides by itself. */
    config &auth(const roomcast::auth &auth) {
        if (auth.fault_.status != status::ok) return note(auth.fault_, "auth");
        return note(roomcast_config_set_auth(raw(), auth.raw_.get()), "auth");
    }
    /** The certificates of listeners with `listen_options::tls`. */
    config &tls(const roomcast::tls &tls) {
        if (tls.fault_.status != status::ok) return note(tls.fault_, "tls");
        return note(roomcast_config_set_tls(raw(), tls.raw()), "tls");
    }
    /**
     * The proxies whose word is taken for the address of a peer: networks ("10.0.0.0/8"), single
     * addresses, and "unix". Name no more than what stands in front of the engine.
     */
    config &trusted_proxies(const std::vector<std::string_view> &proxies) {
        std::vector<roomcast_str> all;
        for (const auto proxy : proxies) all.push_back(detail::str(proxy));
        return note(roomcast_config_set_trusted_proxies(raw(), all.data(), all.size()),
                    "trusted_proxies");
    }
    /** The one header by which trusted proxies say for whom they speak. */
    config &forwarded_header(roomcast::forwarded_header header) {
        const auto number = static_cast<std::uint32_t>(header);
        return note(roomcast_config_set_forwarded_header(raw(), number), "forwarded_header");
    }
    /** The path that answers 200 while the engine runs; empty for none. */
    config &health_path(std::string_view path) {
        return note(roomcast_config_set_health_path(raw(), detail::str(path)), "health_path");
    }
    /** The path that answers with the figures as Prometheus reads them; empty for none. */
    config &metrics_path(std::string_view path) {
        return note(roomcast_config_set_metrics_path(raw(), detail::str(path)), "metrics_path");
    }
    /** Has the figures for Prometheus say some things under the names of other servers too. */
    config &websocket_metrics(bool also) {
        return note(roomcast_config_set_websocket_metrics(raw(), also), "websocket_metrics");
    }
    /** Sets a limit, in the unit that its name ends with. */
    config &limit(roomcast::limit which, std::uint64_t value) {
        const auto number = static_cast<std::uint32_t>(which);
        const char *name = roomcast_limit_name(number);
        return note(roomcast_config_set_limit(raw(), number, value), name ? name : "limit");
    }
    /** Sets limits from the environment: ROOMCAST_CONNECTIONS_MAX and the like. */
    config &from_environment() {
        char why[512] = "";
        const auto status = roomcast_config_read_environment(raw(), why, sizeof why);
        return note(status, "from_environment", why);
    }
    /** Which kinds of events are queued; all by default. With handlers it is those handled. */
    config &queue(std::initializer_list<event_kind> kinds) {
        std::uint32_t sum = 0;
        for (const auto kind : kinds) sum |= 1U << static_cast<std::uint32_t>(kind);
        return note(roomcast_config_set_events(raw(), sum), "queue");
    }

    /**
     * Handlers, `void(const event &)`. With one of them events are told on the engine's threads;
     * without any they wait in the queue. Of kinds without a handler nothing is told; without
     * `on_connecting` everybody is accepted, into no room. A handler is moved here, never copied,
     * and destroyed when neither this configuration nor an engine needs it any more.
     */
    template <class F>
    config &on_connecting(F call) { return on(&detail::handlers::connecting, std::move(call)); }
    /** Is told that a connection is open. */
    template <class F>
    config &on_opened(F call) { return on(&detail::handlers::opened, std::move(call)); }
    /** Is told a message. */
    template <class F>
    config &on_message(F call) { return on(&detail::handlers::message, std::move(call)); }
    /** Is told that a connection which had opened has ended. */
    template <class F>
    config &on_closed(F call) { return on(&detail::handlers::closed, std::move(call)); }
    /** Is told that much waits for a connection, or no longer. */
    template <class F>
    config &on_backpressure(F call) { return on(&detail::handlers::backpressure, std::move(call)); }
    /** Is told that a connection has missed publications. */
    template <class F>
    config &on_lagged(F call) { return on(&detail::handlers::lagged, std::move(call)); }
    /** Is told what became of a publication of `publish_tracked`. */
    template <class F>
    config &on_delivered(F call) { return on(&detail::handlers::delivered, std::move(call)); }
    /** Is told that a connection's token is about to expire. */
    template <class F>
    config &on_expiring(F call) { return on(&detail::handlers::expiring, std::move(call)); }
    /**
     * Is told what a peer wants in a room and its token does not allow by itself
     * (`connection::request_join`, `request_publish`); answers by `event::wish`. Without this
     * handler it is denied.
     */
    template <class F>
    config &on_permission(F call) { return on(&detail::handlers::permission, std::move(call)); }
    /** Answers plain GET requests, `void(const request &, page &)`, on the engine's threads. */
    template <class F>
    config &pages(F call) { return set(&detail::handlers::pages, std::move(call)); }
    /** Is told the engine's log, `void(log_level, std::string_view)`, on any thread. */
    template <class F>
    config &log(F call) { return set(&detail::handlers::log, std::move(call)); }
    /** Is told what handlers throw, `void(std::exception_ptr)`, on their thread. */
    template <class F>
    config &on_exception(F call) {
        return set(&detail::handlers::on_exception, std::move(call));
    }

    /** Whether an engine could run on this; says what cannot be. */
    result<void> try_check() const {
        if (failed_ != status::ok) return {failed_, why_};
        char why[512] = "";
        const auto status = detail::code(roomcast_config_check(raw(), why, sizeof why));
        return {status, why};
    }
    /** The value of a limit by now. */
    result<std::uint64_t> try_limit(roomcast::limit which) const {
        std::uint64_t out = 0;
        const auto number = static_cast<std::uint32_t>(which);
        return detail::made(roomcast_config_limit(raw(), number, &out), out);
    }
#ifdef __cpp_exceptions
    /** The throwing forms. */
    void check() const { try_check().value(); }
    /** Throwing form of `try_limit`. */
    std::uint64_t limit(roomcast::limit which) const { return try_limit(which).value(); }
#endif

private:
    friend class engine;

    roomcast_config *raw() const noexcept { return raw_.get(); }
    config &note(roomcast_status of, const char *setting, const char *why = "") {
        if (of == ROOMCAST_STATUS_OK || failed_ != status::ok) return *this;
        failed_ = detail::code(of);
        why_ = std::string(setting) + ": " + (*why ? why : text(failed_));
        return *this;
    }
    config &note(const detail::fault &of, const char *setting) {
        if (failed_ != status::ok) return *this;
        failed_ = of.status;
        why_ = std::string(setting) + ": " + (of.why.empty() ? text(failed_) : of.why);
        return *this;
    }
    template <class F>
    config &on(detail::function<void(const event &)> detail::handlers::*slot, F call) {
        has_handlers_ = true;
        return set(slot, std::move(call));
    }
    template <class Slot, class F>
    config &set(Slot detail::handlers::*slot, F call) {
        if (started_ || !host_)
            return note(ROOMCAST_STATUS_INVALID_ARGUMENT, "handler", "given after the start");
        (*host_).*slot = Slot(std::move(call));
        return *this;
    }
    /** Gives one of the trampolines to C, with a `told` of its own. */
    template <class Setter, class Call>
    roomcast_status give(Setter setter, Call call, const detail::told &to) const {
        auto mine = std::make_unique<detail::told>(to);
        const roomcast_status status = setter(raw(), mine.get(), call, &detail::told::free);
        if (status == ROOMCAST_STATUS_OK) static_cast<void>(mine.release());
        return status;
    }
    roomcast_status install(const detail::told &to) const {
        roomcast_status status = ROOMCAST_STATUS_OK;
        started_ = true;
        if (host_->log) status = give(roomcast_config_set_log, &detail::told::log, to);
        if (status == ROOMCAST_STATUS_OK && host_->pages)
            status = give(roomcast_config_set_pages, &detail::told::page, to);
        if (status != ROOMCAST_STATUS_OK || !has_handlers_) return status;
        std::uint32_t kinds = 0;
        for (std::uint32_t kind = 0; kind < detail::handlers::kinds; ++kind)
            if (host_->find(kind)) kinds |= 1U << kind;
        status = roomcast_config_set_events(raw(), kinds);
        if (status != ROOMCAST_STATUS_OK) return status;
        return give(roomcast_config_set_callback, &detail::told::event, to);
    }

    std::unique_ptr<roomcast_config, detail::freed_by<roomcast_config_free>> raw_;
    std::shared_ptr<detail::handlers> host_ = std::make_shared<detail::handlers>();
    status failed_ = status::ok;
    std::string why_;
    bool has_handlers_ = false;
    mutable bool started_ = false;
};

// ---- The engine, owned --------------------------------------------------------------------------

/** A running engine. Destroying it stops it, which waits as `stop` does, but not in a handler. */
class engine : public engine_ref {
public:
    /** None yet. */
    engine() noexcept = default;
    /** Takes an engine over. */
    engine(engine &&from) noexcept
        : engine_ref(std::exchange(static_cast<engine_ref &>(from), engine_ref())),
          memory_(std::move(from.memory_)) {}
    /** Takes an engine over; the one that was here stops. */
    engine &operator=(engine &&from) noexcept {
        engine old(std::move(*this));
        static_cast<engine_ref &>(*this) =
            std::exchange(static_cast<engine_ref &>(from), engine_ref());
        memory_ = std::move(from.memory_);
        return *this;
    }
    ~engine() {
        // What is still held keeps the memory; the threads end here all the same.
        if (memory_) roomcast_engine_stop(raw_, nullptr);
    }

    /** Starts an engine. Handlers may be called before this returns. */
    static result<engine> try_start(const config &settings) {
        if (settings.failed_ != status::ok) return {settings.failed_, settings.why_};
        if (!settings.raw_) return status::invalid_argument;
        auto memory = std::make_shared<detail::life>();
        *memory->self = memory;
        roomcast_status status = settings.install({settings.host_, memory->self});
        char why[512] = "";
        if (status == ROOMCAST_STATUS_OK)
            status = roomcast_engine_new(settings.raw(), &memory->engine, why, sizeof why);
        if (status != ROOMCAST_STATUS_OK) return {detail::code(status), why};
        return engine(std::move(memory));
    }
#ifdef __cpp_exceptions
    /** The same; throws an `error` that names the setting or address. */
    static engine start(const config &settings) { return try_start(settings).value(); }
#endif
    /** Whether there is an engine, running or stopped. */
    explicit operator bool() const noexcept { return memory_ != nullptr; }

    /** The descriptor to watch for readability; never read it, never close it. */
    result<int> try_fd() const {
        std::int32_t fd = -1;
        return detail::made(roomcast_engine_fd(raw_, &fd), fd);
    }
    /**
     * Takes the events that wait, without waiting. None is no error, nor is the end: then
     * `events::ended` is true.
     */
    result<events> try_drain(std::size_t capacity = 128) const {
        return take(capacity, [this](std::size_t n, roomcast_event *raw, std::size_t *count) {
            return roomcast_engine_drain(raw_, sizeof *raw, n, raw, count);
        });
    }
    /** Waits for events, then takes them; a negative time waits as long as it takes. */
    result<events> try_wait(std::chrono::milliseconds time, std::size_t capacity = 128) const {
        return take(capacity, [&](std::size_t n, roomcast_event *raw, std::size_t *count) {
            return roomcast_engine_wait(raw_, time.count(), sizeof *raw, n, raw, count);
        });
    }
    /**
     * One turn of an engine without threads: waits for this time at most, negative for as long as
     * it takes, and calls handlers from inside. `status::stopped` once it has stopped.
     */
    result<void> try_turn(std::chrono::milliseconds time = {}) const {
        return detail::code(roomcast_engine_turn(raw_, time.count()));
    }
    /** The time until the next turn is due; negative: as long as `fd` is not readable. */
    result<std::chrono::milliseconds> try_next_turn() const {
        std::int64_t ms = 0;
        const roomcast_status status = roomcast_engine_next_turn_ms(raw_, &ms);
        return detail::made(status, std::chrono::milliseconds(ms));
    }
#ifdef __cpp_exceptions
    /** The throwing forms. */
    int fd() const { return try_fd().value(); }
    /** Throwing form of `try_drain`. */
    events drain(std::size_t capacity = 128) const { return try_drain(capacity).value(); }
    /** Throwing form of `try_wait`. */
    events wait(std::chrono::milliseconds time, std::size_t capacity = 128) const {
        return try_wait(time, capacity).value();
    }
    /** False once it has stopped. */
    bool turn(std::chrono::milliseconds time = {}) const {
        auto done = try_turn(time);
        if (done.status() == status::stopped) return false;
        return std::move(done).value(), true;
    }
    /** Throwing form of `try_next_turn`. */
    std::chrono::milliseconds next_turn() const { return try_next_turn().value(); }
#endif

private:
    explicit engine(std::shared_ptr<detail::life> memory) noexcept
        : engine_ref(memory->engine, memory->self.get()), memory_(std::move(memory)) {}

    template <class Take>
    result<events> take(std::size_t capacity, Take call) const {
        events batch;
        batch.held_ = detail::held(*this);
        batch.raw_.reset(new roomcast_event[capacity]);
        const roomcast_status status = call(capacity, batch.raw_.get(), &batch.size_);
        batch.ended_ = status == ROOMCAST_STATUS_STOPPED;
        if (batch.ended_ || status == ROOMCAST_STATUS_TIMED_OUT)
            return result<events>(std::move(batch));
        return detail::made(status, std::move(batch));
    }

    std::shared_ptr<detail::life> memory_;
};

// ---- What had to wait for its types -------------------------------------------------------------

inline roomcast::connection engine_ref::connection(connection_id id) const { return {*this, id}; }

inline result<std::vector<connection>> engine_ref::ids(roomcast_status of,
                                                       roomcast_ids *list) const {
    const std::unique_ptr<roomcast_ids, detail::freed_by<roomcast_ids_free>> freed(list);
    std::vector<roomcast::connection> all;
    for (std::size_t i = 0; i < roomcast_ids_count(list); ++i)
        all.emplace_back(*this, roomcast_ids_data(list)[i]);
    return detail::made(of, std::move(all));
}

inline result<std::vector<connection>> engine_ref::try_connections() const {
    roomcast_ids *list = nullptr;
    const roomcast_status status = roomcast_engine_connections(raw_, &list);
    return ids(status, list);
}

inline result<std::vector<connection>> engine_ref::try_members(std::string_view room) const {
    roomcast_ids *list = nullptr;
    const roomcast_status status = roomcast_engine_members(raw_, detail::str(room), &list);
    return ids(status, list);
}

inline result<present_page> engine_ref::page(roomcast_status of, roomcast_present *raw) const {
    const std::unique_ptr<roomcast_present, detail::freed_by<roomcast_present_free>> freed(raw);
    const auto owned = [](roomcast_str text) {
        return text.data ? std::optional(std::string(detail::view(text))) : std::nullopt;
    };
    present_page all;
    for (std::size_t i = 0; i < roomcast_present_count(raw); ++i) {
        connection_id id = 0;
        roomcast_str user{}, info{};
        roomcast_present_at(raw, i, &id, &user, &info);
        all.members.push_back({{*this, id}, owned(user), owned(info)});
    }
    all.next = roomcast_present_next(raw);
    return detail::made(of, std::move(all));
}

inline result<present_page> engine_ref::try_present(std::string_view room, std::uint64_t after,
                                                    std::size_t limit) const {
    roomcast_present *raw = nullptr;
    const auto status = roomcast_engine_present(raw_, detail::str(room), after, limit, &raw);
    return page(status, raw);
}

inline result<roomcast::room> engine_ref::try_room(std::string_view name) const {
    detail::held held(*this);
    std::uint64_t id = 0;
    const roomcast_status status = roomcast_room_hold(held.engine.raw(), detail::str(name), &id);
    return detail::made(status, roomcast::room(std::move(held), id));
}

inline result<roomcast::upgrade> engine_ref::try_upgrade(
    std::string_view method, std::string_view target,
    const std::vector<std::pair<std::string_view, std::string_view>> &headers) const {
    std::vector<roomcast_header> all;
    for (const auto &[name, value] : headers)
        all.push_back({detail::str(name), {value.data(), value.size()}});
    detail::held held(*this);
    roomcast_upgrade *raw = nullptr;
    const roomcast_status status =
        roomcast_upgrade_new(held.engine.raw(), detail::str(method), detail::str(target),
                             all.data(), all.size(), &raw);
    return detail::made(status, roomcast::upgrade(std::move(held), raw));
}

template <class F>
result<void> engine_ref::try_corked(F &&work) const {
    struct call {
        std::remove_reference_t<F> *work;
        std::exception_ptr thrown;
    } given{&work, nullptr};
    const roomcast_status status = roomcast_engine_corked(raw_, &given, [](void *data) noexcept {
        auto &to = *static_cast<call *>(data);
#ifdef __cpp_exceptions
        try {
            (*to.work)();
        } catch (...) {
            to.thrown = std::current_exception();
        }
#else
        (*to.work)();
#endif
    });
    if (given.thrown) std::rethrow_exception(given.thrown);
    return detail::code(status);
}

#ifdef __cpp_exceptions
inline roomcast::room engine_ref::room(std::string_view name) const {
    return try_room(name).value();
}
inline std::vector<connection> engine_ref::connections() const {
    return try_connections().value();
}
inline std::vector<connection> engine_ref::members(std::string_view room) const {
    return try_members(room).value();
}
inline present_page engine_ref::present(std::string_view room, std::uint64_t after,
                                        std::size_t limit) const {
    return try_present(room, after, limit).value();
}
inline roomcast::upgrade engine_ref::upgrade(
    std::string_view method, std::string_view target,
    const std::vector<std::pair<std::string_view, std::string_view>> &headers) const {
    return try_upgrade(method, target, headers).value();
}
#endif

} // namespace roomcast

#endif
