/* pagectl/listen.h - a listening socket by its name: ADDR:PORT, [ADDR]:PORT or unix:PATH. */
#ifndef PAGECTL_LISTEN_H
#define PAGECTL_LISTEN_H
#include <stddef.h>

#define LISTEN_TEXT_BYTES 256u

/* Opens it, not blocking. Port 0: any that is free. A socket at PATH to which nobody listens any
 * more is replaced, anything else there is left alone. Returns 0, the descriptor, and in text where
 * it listens, as in a URL ("http://127.0.0.1:9000", "unix:/run/x"); or -errno, and in text what is
 * wrong. */
int listen_open(const char *name, int *ret_fd, char *text, size_t text_bytes);

/* Removes the file of a socket; of ADDR:PORT there is none. */
void listen_unlink(const char *name);

#endif
