#include "adapter/datagram_search.h"

#include "adapter/datagram_pipe.h"

#include <assert.h>

enum {
    LOST_PROBES_MAX = 3,
    /* As many in a row by chance are rare even where every third packet is lost. */
    LOST_PACKETS_MAX = 8,
    PAUSE_MS = 600 * 1000, /* RFC 8899, 5.1.1 */
};

/* UDP payloads that fit where IP packets of 576, 1280, 1420 (tunnels), 1500, 4100, 9000 bytes do,
 * with IPv6's header, and the most that one DTLS record makes. */
static const size_t sizes[] = {
    OSR_DATAGRAM_BYTES_MIN, 1232, 1372, 1452, 4052, 8952, OSR_DATAGRAM_BYTES_MAX,
};

enum { STEPS = sizeof(sizes) / sizeof(sizes[0]) };

void osr_datagram_search_init(struct osr_datagram_search *search, uint64_t now_us)
{
    *search = (struct osr_datagram_search){.again_us = now_us};
}

size_t osr_datagram_search_bytes(const struct osr_datagram_search *search)
{
    return sizes[search->step];
}

size_t osr_datagram_search_probe_bytes(const struct osr_datagram_search *search, uint64_t now_us)
{
    if (search->is_probing || search->step + 1 == STEPS || now_us < search->again_us) {
        return 0;
    }
    return sizes[search->step + 1];
}

void osr_datagram_search_note_probe(struct osr_datagram_search *search)
{
    assert(!search->is_probing);
    search->is_probing = true;
}

void osr_datagram_search_note_probe_end(struct osr_datagram_search *search, uint64_t now_us,
                                        size_t bytes, bool is_acked)
{
    if (!search->is_probing || bytes != sizes[search->step + 1]) {
        return; /* it has fallen back meanwhile */
    }
    search->is_probing = false;
    if (is_acked) {
        search->step++;
        search->lost = 0;
        search->packets_lost = 0;
        return;
    }
    search->lost++;
    if (search->lost == LOST_PROBES_MAX) {
        search->lost = 0;
        search->again_us = now_us + (uint64_t)PAUSE_MS * 1000;
    }
}

void osr_datagram_search_note_acked(struct osr_datagram_search *search, size_t bytes)
{
    if (bytes >= search->lost_bytes_min) {
        search->packets_lost = 0;
    }
}

bool osr_datagram_search_note_lost(struct osr_datagram_search *search, uint64_t now_us,
                                   size_t bytes)
{
    if (bytes <= sizes[0]) {
        return false;
    }
    if (search->packets_lost == 0 || bytes < search->lost_bytes_min) {
        search->lost_bytes_min = bytes;
    }
    search->packets_lost++;
    if (search->packets_lost < LOST_PACKETS_MAX) {
        return false;
    }
    osr_datagram_search_init(search, now_us);
    return true;
}
