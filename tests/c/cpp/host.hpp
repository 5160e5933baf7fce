// What several parts of the suite do as a host.
#ifndef HOST_HPP
#define HOST_HPP

#include "peer.hpp"

#include <ostream>

#include <doctest/doctest.h>
#include <roomcast.hpp>

#include <memory>
#include <string>
#include <thread>

/// A configuration on a free port whose stops do not take long.
inline roomcast::config local() {
    roomcast::config made;
    made.listen("127.0.0.1:0").shards(1).limit(roomcast::limit::stop_spread_ms, 0);
    made.limit(roomcast::limit::stop_timeout_ms, 2000);
    return made;
}

/// Lets everybody into the room "lobby".
inline auto into_lobby() {
    return [](const roomcast::event &event) {
        event.pending().accept(roomcast::accept().room("lobby"));
    };
}

/// Waits until it is so; false after the deadline.
template <class F>
bool comes_true(F so) {
    const auto until = std::chrono::steady_clock::now() + deadline;
    while (!so()) {
        if (std::chrono::steady_clock::now() > until) return false;
        std::this_thread::sleep_for(std::chrono::milliseconds(1));
    }
    return true;
}

/// A peer that is in, seen from its own side.
inline peer opened(const roomcast::engine_ref &engine, const std::string &target = "/") {
    peer made(engine.port(), target);
    REQUIRE(made.status() == 101);
    return made;
}

/// The status that a call throws; `status::ok` where it throws none.
template <class F>
roomcast::status thrown_by(F call) {
    try {
        call();
    } catch (const roomcast::error &error) {
        return error.status();
    }
    return roomcast::status::ok;
}

#endif
