/* The stored form of an entry: arbitrary bytes are refused, or are what the entry read from them
 * encodes to. */
#include "fuzz.h"

#include "model/entry.h"

enum { ARENA_KEEP = 64 << 10, ARENA_CAP = 1 << 20 };

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct osr_arena *arena = osr_arena_create(ARENA_KEEP, ARENA_CAP);
    struct osr_slice stored = osr_slice(data, size);
    struct osr_buffer again = {0};
    struct osr_err err = {0};
    Osr__Entry *entry = NULL;

    int code = osr_entry_decode(stored, 1, arena, &entry, &err);
    MUST(code == 0 || code == OSR_CORRUPT || code == OSR_TOO_LARGE);
    MUST((entry != NULL) == (code == 0));
    if (entry != NULL) {
        struct osr_time time = {entry->time_ms, entry->time_logical};
        osr_entry_encode(&again, time, entry->operation, entry->document);
        MUST(osr_slice_equal(osr_buffer_slice(&again), stored));
        osr_entry_check(entry, &err);
    }
    osr_buffer_done(&again);
    osr_arena_destroy(arena);
    return 0;
}
