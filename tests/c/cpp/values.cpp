// Views, payloads, results, errors and enumerations: what needs no engine.
#include "host.hpp"

#include <array>
#include <cstddef>
#include <type_traits>

namespace rc = roomcast;

static_assert(!std::is_copy_constructible_v<rc::config>);
static_assert(std::is_move_constructible_v<rc::config>);
static_assert(!std::is_copy_constructible_v<rc::engine> && !std::is_copy_assignable_v<rc::engine>);
static_assert(std::is_nothrow_move_constructible_v<rc::engine>);
static_assert(!std::is_copy_constructible_v<rc::room>);
static_assert(std::is_nothrow_move_assignable_v<rc::room>);
static_assert(!std::is_copy_constructible_v<rc::events>);
static_assert(!std::is_copy_constructible_v<rc::upgrade>);
static_assert(std::is_trivially_copyable_v<rc::connection>);
static_assert(std::is_copy_assignable_v<rc::filter>);
static_assert(!std::is_convertible_v<rc::filter, bool>);
static_assert(std::is_copy_constructible_v<rc::pending>);
static_assert(std::is_convertible_v<rc::engine &, rc::engine_ref>);
static_assert(!std::is_convertible_v<std::string, rc::bytes_view>);
static_assert(!std::is_convertible_v<std::vector<int>, rc::bytes_view>);

TEST_CASE("a payload is text or binary by what it is made of") {
    const std::string text = "text";
    CHECK(rc::payload(text).is_text());
    CHECK(rc::payload("literal").text() == "literal");
    CHECK(rc::payload(std::string_view("view")).kind() == ROOMCAST_KIND_TEXT);
    const std::vector<unsigned char> bytes = {1, 2, 3};
    const rc::payload binary = bytes;
    CHECK_FALSE(binary.is_text());
    CHECK(binary.text().empty());
    CHECK(binary.bytes().size() == 3);
    CHECK(*(binary.bytes().begin() + 2) == 3);
    CHECK(rc::payload(std::array<std::byte, 2>{}).bytes().size() == 2);
    CHECK(rc::payload(rc::bytes_view(text.data(), 2)).kind() == ROOMCAST_KIND_BINARY);
    CHECK(rc::payload("").bytes().empty());
}

TEST_CASE("a result is a value or says why there is none") {
    rc::result<int> good(7);
    CHECK(good);
    CHECK(*good == 7);
    CHECK(good.status() == rc::status::ok);
    rc::result<int> bad(rc::status::io, "listen: no");
    CHECK_FALSE(bad);
    CHECK(bad.text() == "listen: no");
    CHECK(rc::result<void>(rc::status::ok));
    CHECK(rc::result<void>(rc::status::gone).text() == rc::text(rc::status::gone));
    CHECK(thrown_by([&] { static_cast<void>(std::move(bad).value()); }) == rc::status::io);
    CHECK(thrown_by([] { rc::result<void>(rc::status::broken).value(); }) == rc::status::broken);
}

TEST_CASE("an error says its status or the sentence that it was given") {
    CHECK(std::string(rc::error(rc::status::behind, "").what()) == rc::text(rc::status::behind));
    CHECK(std::string(rc::error(rc::status::config, "shards: 900").what()) == "shards: 900");
}

TEST_CASE("statuses and limits have the library's numbers") {
    CHECK(std::string(roomcast_limit_name(static_cast<unsigned>(rc::limit::turn_budget_us)))
          == "turn_budget_us");
    CHECK(std::string(rc::text(rc::status::gone)) == "no such connection");
}
