/* Only compiled, in every language that the header is for: it may be included twice, and needs
 * nothing before it. */
#include "roomcast.h"
#include "roomcast.h"

int header_twice(void);

int header_twice(void) {
    roomcast_str text = roomcast_str_of("x");
    roomcast_bytes bytes = roomcast_bytes_of(text.data, text.len);
    return (int)bytes.len + ROOMCAST_STATUS_OK + (ROOMCAST_VERSION_MAJOR == 0);
}
