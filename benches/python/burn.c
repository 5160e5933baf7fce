/* Burns a core until told to stop, holding no lock of an interpreter: ctypes lets go of it. */

void burn(volatile int *stop) {
    while (!*stop) {
    }
}
