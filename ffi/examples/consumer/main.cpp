// Starts an engine on a free port, says where, and stops it: shows that the package is whole for
// C++ too. All of it on the main thread; the engine has threads of its own.
#include <roomcast.hpp>

#include <iostream>

int main() {
    try {
        auto engine = roomcast::engine::start(roomcast::config().listen("127.0.0.1:0"));
        std::cout << "roomcast " << roomcast_version_text() << " on 127.0.0.1:" << engine.port()
                  << '\n';
        return engine.port() != 0 ? 0 : 1;
    } catch (const roomcast::error &error) {
        std::cerr << error.what() << '\n';
        return 1;
    }
}
