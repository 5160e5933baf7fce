
/* ------------------------------------------------------------------------------------------
 * Shorthands
 * ------------------------------------------------------------------------------------------ */

/**
 * The text of a string that ends with a zero; no text for NULL. It points to the string.
 */
static inline roomcast_str roomcast_str_of(const char *string) {
    roomcast_str text;
    text.data = string;
    text.len = string ? strlen(string) : 0;
    return text;
}

/**
 * So many bytes from here on. It points to them.
 */
static inline roomcast_bytes roomcast_bytes_of(const void *data, size_t len) {
    roomcast_bytes bytes;
    bytes.data = data;
    bytes.len = len;
    return bytes;
}

#ifdef __cplusplus
}
#endif

#endif
