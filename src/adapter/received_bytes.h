/* received_bytes.h -- how much a TCP connection has brought so far to who reads from it. */
#ifndef OSR_ADAPTER_RECEIVED_BYTES_H
#define OSR_ADAPTER_RECEIVED_BYTES_H

#include <stdint.h>

/* What was read from it when this was called, and perhaps some that has come since. 0 where it is
 * no TCP. */
uint64_t osr_received_bytes(int fd);

#endif
