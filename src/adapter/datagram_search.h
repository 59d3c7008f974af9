/* datagram_search.h -- the largest datagram that a path carries (RFC 8899). Larger sizes are probed
 * one after the other, with padding alone, so that a lost probe costs nothing; three lost ones end
 * the search for ten minutes. Where many packets in a row are lost, and only smaller ones arrive,
 * the path has become narrower: back to the least, and the search begins again. */
#ifndef OSR_ADAPTER_DATAGRAM_SEARCH_H
#define OSR_ADAPTER_DATAGRAM_SEARCH_H

#include "base/bytes.h"

struct osr_datagram_search {
    size_t step;     /* of the sizes that are tried: the one found */
    bool is_probing; /* a probe of the next step is under way */
    size_t lost;     /* probes of the next step in a row */
    /* Packets larger than the least size that were lost, with none acknowledged between them that
     * was as large as the smallest of these. */
    size_t packets_lost;
    size_t lost_bytes_min;
    uint64_t again_us; /* no probe before */
};

void osr_datagram_search_init(struct osr_datagram_search *search, uint64_t now_us);
size_t osr_datagram_search_bytes(const struct osr_datagram_search *search); /* found */
/* Size of the probe that is to be sent; 0: none. */
size_t osr_datagram_search_probe_bytes(const struct osr_datagram_search *search, uint64_t now_us);
void osr_datagram_search_note_probe(struct osr_datagram_search *search); /* sent */
/* Of a probe of so many bytes. */
void osr_datagram_search_note_probe_end(struct osr_datagram_search *search, uint64_t now_us,
                                        size_t bytes, bool is_acked);
/* Of a packet with so many bytes, in the order in which they were sent. */
void osr_datagram_search_note_acked(struct osr_datagram_search *search, size_t bytes);
/* True: it has fallen back. */
bool osr_datagram_search_note_lost(struct osr_datagram_search *search, uint64_t now_us,
                                   size_t bytes);

#endif
