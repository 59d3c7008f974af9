/* received_bytes.h -- how much a TCP connection has brought so far. */
#ifndef OSR_ADAPTER_RECEIVED_BYTES_H
#define OSR_ADAPTER_RECEIVED_BYTES_H

#include <stdint.h>

/* What the kernel has received in order, read from it or not. 0 where it is no TCP. */
uint64_t osr_received_bytes(int fd);

#endif
