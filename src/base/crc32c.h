/* crc32c.h -- CRC-32C (Castagnoli, RFC 3720), by the processor's instruction where it has one. */
#ifndef OSR_BASE_CRC32C_H
#define OSR_BASE_CRC32C_H

#include <stddef.h>
#include <stdint.h>

/* Goes on from `crc`, the result for what stands in front; 0 to begin. */
uint32_t osr_crc32c(uint32_t crc, const void *data, size_t size);
/* The same without the instruction: what osr_crc32c falls back to, here to be tested. */
uint32_t osr_crc32c_by_table(uint32_t crc, const void *data, size_t size);

#endif
