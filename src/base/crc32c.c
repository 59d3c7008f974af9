#include "base/crc32c.h"

#include <pthread.h>
#include <string.h>

enum { POLYNOMIAL_REFLECTED = (int)0x82f63b78u };

static uint32_t table[256];
static pthread_once_t table_once = PTHREAD_ONCE_INIT;

static void fill_table(void)
{
    for (uint32_t byte = 0; byte < 256; byte++) {
        uint32_t crc = byte;
        for (int bit = 0; bit < 8; bit++) {
            crc = crc >> 1 ^ (crc & 1 ? (uint32_t)POLYNOMIAL_REFLECTED : 0);
        }
        table[byte] = crc;
    }
}

uint32_t osr_crc32c_by_table(uint32_t crc, const void *data, size_t size)
{
    const uint8_t *bytes = data;

    pthread_once(&table_once, fill_table);
    crc = ~crc;
    for (size_t i = 0; i < size; i++) {
        crc = table[(crc ^ bytes[i]) & 0xff] ^ crc >> 8;
    }
    return ~crc;
}

#ifdef __x86_64__

__attribute__((target("sse4.2"))) static uint32_t by_instruction(uint32_t crc, const void *data,
                                                                 size_t size)
{
    const uint8_t *bytes = data;
    uint64_t wide = ~crc;

    for (; size >= sizeof(wide); bytes += sizeof(wide), size -= sizeof(wide)) {
        uint64_t word;
        memcpy(&word, bytes, sizeof(word));
        wide = __builtin_ia32_crc32di(wide, word);
    }
    crc = (uint32_t)wide;
    for (; size > 0; bytes++, size--) {
        crc = __builtin_ia32_crc32qi(crc, *bytes);
    }
    return ~crc;
}

uint32_t osr_crc32c(uint32_t crc, const void *data, size_t size)
{
    if (__builtin_cpu_supports("sse4.2")) {
        return by_instruction(crc, data, size);
    }
    return osr_crc32c_by_table(crc, data, size);
}

#else

uint32_t osr_crc32c(uint32_t crc, const void *data, size_t size)
{
    return osr_crc32c_by_table(crc, data, size);
}

#endif
