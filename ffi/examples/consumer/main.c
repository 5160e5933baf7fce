/* Starts an engine on a free port, says where, and stops it: shows that the package is whole.
 * All of it on the main thread; the engine has threads of its own. */
#include <roomcast.h>

#include <stdio.h>

int main(void) {
    roomcast_config *config;
    roomcast_engine *engine;
    roomcast_str address;
    char why[256];
    roomcast_status status = roomcast_config_new(ROOMCAST_VERSION, &config);
    if (status != ROOMCAST_STATUS_OK) {
        fprintf(stderr, "%s: the header is %d, the library %s\n", roomcast_status_text(status),
                ROOMCAST_VERSION, roomcast_version_text());
        return 1;
    }
    roomcast_config_add_listener(config, roomcast_str_of("127.0.0.1:0"));
    status = roomcast_engine_new(config, &engine, why, sizeof why);
    roomcast_config_free(config);
    if (status != ROOMCAST_STATUS_OK) {
        fprintf(stderr, "%s\n", why);
        return 1;
    }
    status = roomcast_engine_address(engine, 0, &address, NULL);
    if (status == ROOMCAST_STATUS_OK)
        printf("roomcast %s on %.*s\n", roomcast_version_text(), (int)address.len, address.data);
    roomcast_engine_free(engine);
    return status == ROOMCAST_STATUS_OK ? 0 : 1;
}
